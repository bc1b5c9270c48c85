"""Records to send, and the headers of records read.

May touch: nothing.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import msgspec
from aiokafka import ConsumerRecord
from aiokafka.partitioner import murmur2

from app.kafka.trace import Context
from app.settings import Settings
from edgeloop.versions import MAX_VERSION
from schemas.kinds import KINDS

MAX_RECORD_BYTES = 16 * 1024 * 1024
"""Maximum size of a record: room for all facts of a close, or for a rejected close as a dead
letter."""

encode = msgspec.json.Encoder(order="deterministic").encode
"""The bytes of a record's value."""

_JSON_HEADERS = (("content-type", b"application/json"), ("schema-version", b"1"))


class Outgoing(NamedTuple):
    """A record to send.  `topic` is the full name; a `value` of None makes it a tombstone."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp_ms: int | None = None


@functools.lru_cache(maxsize=65_536)
def partition_of(key: str, partitions: int) -> int:
    """The partition Kafka's default partitioner gives `key` (murmur2 of its UTF-8)."""
    return int(murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def letter_partition(settings: Settings, source: int) -> int:
    """The partition for dead letters of the `source` partition of `position_closed`, which may have
    more partitions."""
    return source % settings.partitions


def partition_of_record(settings: Settings, topic: str, record: Any) -> int:
    """The partition of a record of the topic `topic` (without prefix)."""
    return partition_of(KINDS[topic].partition_text(record), settings.partitions)


@functools.lru_cache(maxsize=16)
def derived_headers(version: int) -> tuple[tuple[str, bytes], ...]:
    """The headers that every derived record has; one object for a batch, whose records share
    their version."""
    return (("version", str(version).encode()), *_JSON_HEADERS)


def published(
    settings: Settings, topic: str, record: Any, version: int, more: Context = ()
) -> Outgoing:
    """A derived record of the topic `topic` (without prefix); `more` headers come last."""
    key, partition = KINDS[topic].key_of(record), partition_of_record(settings, topic, record)
    headers = derived_headers(version) + more
    return Outgoing(settings.topic(topic), partition, key.encode(), encode(record), headers)


def tombstone(
    settings: Settings, topic: str, module: str, key: str, version: int, more: Context = ()
) -> Outgoing:
    """The tombstone of a key of a topic that is partitioned by module."""
    partition = partition_of(module, settings.partitions)
    headers = derived_headers(version) + more
    return Outgoing(settings.topic(topic), partition, key.encode(), None, headers)


def header(record: ConsumerRecord, name: str) -> bytes | None:
    """The last header of that name, or None."""
    found = None
    for key, value in record.headers:
        if key == name:
            found = value
    return found


def version_of(record: ConsumerRecord) -> int:
    """The `version` header of a derived record; -1 if it is missing or not an offset."""
    try:
        version = int(header(record, "version") or b"-1")
    except ValueError:
        return -1
    return version if 0 <= version <= MAX_VERSION else -1


def timestamp_ms(message: Any) -> int:
    """The Kafka timestamp of a record, in ms since 1970."""
    milliseconds: int = message.timestamp
    return milliseconds


UNREADABLE = (ValueError, TypeError, RecursionError)
"""What decoding may raise if another program wrote the value: it may be malformed or of another
form (`msgspec.DecodeError`, a `ValueError`), not UTF-8, missing, or nested too deeply.
`msgspec.MsgspecError` covers the first two only."""

KEY_CHARACTERS = 200
"""Maximum number of characters of a key in messages: a key that another program wrote may have
megabytes."""


def is_strangers(record: ConsumerRecord) -> bool:
    """Whether another program wrote this record of a derived topic: all records of Edgeloop have a
    version, and a key that is text."""
    if record.key is None or version_of(record) < 0:
        return True
    try:
        record.key.decode()
    except UnicodeDecodeError:
        return True
    return False
