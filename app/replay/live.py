"""What is published: the records that count in the topics, with their versions, and where the logs end.

May touch: the broker (read only, no group).
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from app import topics
from app.broker import read_to_end, reader, version_of
from app.errors import BadDataError, UnreachableError
from app.published import JUDGED
from app.replay.digest import DIGESTED, Records
from app.settings import Settings
from schemas.lessons import GroupSummary, Lesson

KINDS: dict[str, Any] = {topics.LESSONS: Lesson | GroupSummary, **{topic: kind for kind, topic in JUDGED.items()}}
"""What the records of each topic are; lessons first, overrides next."""
_decoders = {topic: msgspec.json.Decoder(kind).decode for topic, kind in KINDS.items()}


class Live(NamedTuple):
    """Topic → key → value of what is in force; topic → key → highest version, of what is retired too; topic → partition → end offset."""

    records: Records
    versions: dict[str, dict[str, int]]
    ends: dict[str, dict[str, int]]


async def read_live(settings: Settings) -> Live:
    """Everything that is published.  Raises `UnreachableError`, `ConfigurationError` where a topic is missing, `BadDataError`."""
    await topics.require_existence(settings, [*DIGESTED, topics.FACTS, topics.CLOSES])
    values: dict[str, dict[str, bytes | None]] = {topic: {} for topic in DIGESTED}
    versions: dict[str, dict[str, int]] = {topic: {} for topic in DIGESTED}
    consumer = reader(settings)
    try:
        await consumer.start()
        ends = {topic: await ends_of(consumer, settings, topic) for topic in (topics.CLOSES, topics.FACTS, topics.LESSONS)}
        for topic in DIGESTED:
            held, highest = values[topic], versions[topic]
            async for _, batch, _ in read_to_end(consumer, dict.fromkeys(_partitions(settings, topic))):
                for record in batch:
                    key, version = record.key.decode(), version_of(record)
                    if version >= highest.get(key, -1):
                        held[key], highest[key] = record.value, version
    except (KafkaError, OSError) as error:
        raise _unreachable(settings, error) from error
    finally:
        with suppress(KafkaError, OSError):
            await consumer.stop()
    records = {topic: {key: value for key, value in held.items() if value is not None} for topic, held in values.items()}
    for topic, found in records.items():
        for key, value in found.items():
            decoded(topic, key, value)
    return Live(records, versions, ends)


def decoded(topic: str, key: str, value: bytes) -> Any:
    """The struct of a record.  Raises `BadDataError`."""
    try:
        return _decoders[topic](value)
    except msgspec.DecodeError as error:
        raise BadDataError(
            f"The record {key} of {topic} is not what this version writes: {error}.",
            "Start the workers, who replace what others wrote, wait until they are idle, and try again.",
        ) from error


async def log_bounds(settings: Settings, topic: str) -> tuple[dict[str, int], dict[str, int]]:
    """Partition → the first offset that is there, and the one behind the last."""
    await topics.require_existence(settings, [topic])
    consumer = reader(settings)
    try:
        await consumer.start()
        begins = await consumer.beginning_offsets(_partitions(settings, topic))
        return {str(tp.partition): offset for tp, offset in begins.items()}, await ends_of(consumer, settings, topic)
    except (KafkaError, OSError) as error:
        raise _unreachable(settings, error) from error
    finally:
        with suppress(KafkaError, OSError):
            await consumer.stop()


async def ends_of(consumer: AIOKafkaConsumer, settings: Settings, topic: str) -> dict[str, int]:
    """Partition → the offset behind the last record."""
    return {str(tp.partition): offset for tp, offset in (await consumer.end_offsets(_partitions(settings, topic))).items()}


def _partitions(settings: Settings, topic: str) -> list[TopicPartition]:
    return [TopicPartition(settings.topic(topic), p) for p in range(settings.partitions)]


def _unreachable(settings: Settings, error: Exception) -> UnreachableError:
    return UnreachableError(f"The topics cannot be read from {settings.broker}: {error!r}.", "Run: faust -A app doctor")
