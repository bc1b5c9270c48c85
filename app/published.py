"""What is published now: a compacted topic read from the beginning to its end, the highest version of each key.

May touch: the broker (read only).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from app.broker import read_to_end, reader, version_of
from app.errors import BadDataError, UnreachableError
from app.settings import Settings
from app.topics import BASELINES, FACTORS, OVERRIDES, REGIME_WEIGHTS, VERDICTS, require_existence
from schemas.lessons import Baseline, LatentFactor, LessonVerdict, RegimeWeight
from schemas.overrides import Override

JUDGED: dict[type, str] = {
    Override: OVERRIDES,
    LessonVerdict: VERDICTS,
    Baseline: BASELINES,
    RegimeWeight: REGIME_WEIGHTS,
    LatentFactor: FACTORS,
}
"""What a judge hands out, and the topic that each goes to.  Overrides first: they are what a position manager waits for."""


async def current(
    settings: Settings, topic: str, kind: Any, *, partition: int | None = None, wanted: Callable[[str], bool] = lambda key: True
) -> dict[str, Any]:
    """Key → decoded record for every key of `topic` (or of one partition of it) that is not retired and that is `wanted`.

    Raises `UnreachableError` without a broker and `BadDataError` if a record is not of `kind` (not written by this version).
    """
    await require_existence(settings, [topic])
    newest: dict[bytes, tuple[int, bytes | None]] = {}
    async for records in scan(settings, topic, partition=partition):
        for record in records:
            version = version_of(record)
            if record.key not in newest or version >= newest[record.key][0]:
                newest[record.key] = (version, record.value)
    decode = decoder(settings, topic, kind)
    texts = {key_text(settings, topic, key): value for key, (_, value) in newest.items()}
    return {key: decode(value) for key, value in texts.items() if value is not None and wanted(key)}


async def scan(
    settings: Settings, topic: str, *, partition: int | None = None, starts: Mapping[int, int] | None = None
) -> AsyncIterator[list[ConsumerRecord]]:
    """Yield all records of `topic` in batches, those of each partition in order, to the end as it is now.

    `partition`: of this one only; `starts`: from these offsets on (partition → offset), and of those partitions only.
    Raises `UnreachableError` without a broker.
    """
    wanted = [partition] if partition is not None else sorted(starts) if starts is not None else range(settings.partitions)
    if not wanted:
        return  # a consumer that is stopped as soon as it has started cancels who stops it
    consumer = reader(settings)
    try:
        await consumer.start()
        begin = {TopicPartition(settings.topic(topic), p): None if starts is None else starts.get(p) for p in wanted}
        async for _, records, _ in read_to_end(consumer, begin):
            if records:
                yield records
    except (KafkaError, OSError) as error:
        raise _unreadable(settings, topic, error) from error
    finally:
        with suppress(KafkaError, OSError):
            await consumer.stop()


def key_text(settings: Settings, topic: str, key: bytes) -> str:
    """A record's key as text.  Raises `BadDataError` if it is none."""
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise _foreign(settings, topic, error) from error


def decoder(settings: Settings, topic: str, kind: Any) -> Callable[[bytes], Any]:
    """A decoder of values of `topic`; it raises `BadDataError` for one that is not of `kind`."""
    decode = msgspec.json.Decoder(kind).decode

    def read(value: bytes) -> Any:
        try:
            return decode(value)
        except msgspec.MsgspecError as error:
            raise _foreign(settings, topic, error) from error

    return read


def _foreign(settings: Settings, topic: str, error: Exception) -> BadDataError:
    return BadDataError(
        f"A record of {settings.topic(topic)} is not what this version writes: {error}.",
        "Was something else producing to it?  `faust -A app topics check` names the topics that belong to Edgeloop.",
    )


def _unreadable(settings: Settings, topic: str, error: Exception) -> UnreachableError:
    return UnreachableError(f"{settings.topic(topic)} cannot be read from {settings.broker}: {error!r}.", "Run: faust -A app doctor")


async def follow(settings: Settings, topic: str) -> Any:
    """Yield `(key, version, value or None)` of every record that is published from now on, until the caller stops."""
    await require_existence(settings, [topic])
    partitions = [TopicPartition(settings.topic(topic), p) for p in range(settings.partitions)]
    consumer = reader(settings)
    try:
        await consumer.start()
        consumer.assign(partitions)
        await consumer.seek_to_end(*partitions)
        for tp in partitions:
            await consumer.position(tp)  # the end is asked for lazily: fix it now
        async for record in consumer:
            yield record.key.decode(), version_of(record), record.value
    except (KafkaError, OSError) as error:
        raise _unreadable(settings, topic, error) from error
    finally:
        with suppress(KafkaError, OSError):
            await consumer.stop()


def matching(records: dict[str, Any], *, module: str | None, pattern: str | None, category: str | None) -> Iterator[Any]:
    """Those of the records (overrides, lessons, verdicts) whose group fits; `pattern` may end in `*`."""
    for record in records.values():
        if module is not None and record.module != module:
            continue
        if category is not None and record.action_category != category:
            continue
        key = record.pattern_key
        if pattern is not None and not (key.startswith(pattern[:-1]) if pattern.endswith("*") else key == pattern):
            continue
        yield record
