"""What is published now: a compacted topic read from the beginning to its end, the highest version of each key.

May touch: the broker (read only).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from app.broker import read_to_end, reader, version_of
from app.errors import BadDataError, UnreachableError
from app.settings import Settings
from app.topics import require_existence


async def current(settings: Settings, topic: str, kind: Any) -> dict[str, Any]:
    """Key → decoded record for every key of `topic` that is not retired.

    Raises `UnreachableError` without a broker and `BadDataError` if a record is not of `kind` (not written by this version).
    """
    await require_existence(settings, [topic])
    decode = msgspec.json.Decoder(kind).decode
    newest: dict[bytes, tuple[int, bytes | None]] = {}
    partitions = [TopicPartition(settings.topic(topic), p) for p in range(settings.partitions)]
    consumer = reader(settings)
    try:
        await consumer.start()
        async for _, records, _ in read_to_end(consumer, dict.fromkeys(partitions)):
            for record in records:
                version = version_of(record)
                if record.key not in newest or version >= newest[record.key][0]:
                    newest[record.key] = (version, record.value)
    except (KafkaError, OSError) as error:
        raise _unreadable(settings, topic, error) from error
    finally:
        with suppress(KafkaError, OSError):
            await consumer.stop()
    try:
        return {key.decode(): decode(value) for key, (_, value) in newest.items() if value is not None}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadDataError(
            f"A record of {settings.topic(topic)} is not what this version writes: {error}.",
            "Was something else producing to it?  `faust -A app topics check` names the topics that belong to Edgeloop.",
        ) from error


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
