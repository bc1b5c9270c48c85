"""ingest: a closed position becomes its facts, one per group, or a dead letter.  Keeps no state.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from app.closes import DeadLetterError, explode
from app.log.records import (
    MAX_RECORD_BYTES,
    Outgoing,
    derived_headers,
    encode,
    partition_of,
)
from app.metrics import CLOSES as CLOSES_TOTAL
from app.settings import Settings
from schemas.facts import group_key
from schemas.kinds import DEAD_LETTERS, FACTS

CUT_BYTES = 1024 * 1024
"""What is kept of a key or a value where no record can hold both beside the headers."""
_HEADER_BYTES = 16_384
_EXPLODED = CLOSES_TOTAL.labels("facts")
_PATH_CHARACTERS = 2_000


def facts_of(settings: Settings, messages: Sequence[Any]) -> list[Outgoing]:
    """The facts of records of `position_closed`, or a dead letter for each invalid one."""
    return [record for message in messages for record in _outgoing(settings, message)]


def _outgoing(settings: Settings, message: Any) -> list[Outgoing]:
    try:
        facts = explode(
            message.value,
            _timestamp_ms(message),
            dimensions=settings.dimensions,
            outcome=settings.outcome,
        )
    except DeadLetterError as error:
        CLOSES_TOTAL.labels("dead_letter").inc()
        return [dead_letter(settings, message, error)]
    _EXPLODED.inc()
    headers = (*derived_headers(message.offset), ("event-id", facts[0].event_id.encode()))
    topic, partitions = settings.topic(FACTS), settings.partitions
    records = []
    for fact in facts:
        key = group_key(fact.pattern_key, fact.action_category)
        records.append(
            Outgoing(topic, partition_of(key, partitions), key.encode(), encode(fact), headers)
        )
    return records


def dead_letter(settings: Settings, message: Any, error: DeadLetterError) -> Outgoing:
    """The record with key and value unchanged; the headers give the reason and the origin.

    Where both are too large for a record, of each its first MiB, with its length and hash.  The
    record's own headers are left out.
    """
    key, value = message.key, message.value
    cut: tuple[tuple[str, bytes], ...] = ()
    if len(key or b"") + len(value or b"") > MAX_RECORD_BYTES - _HEADER_BYTES:
        key, cut_key = _cut("key", key)
        value, cut_value = _cut("value", value)
        cut = (*cut_value, *cut_key)
    headers = (
        ("reason", error.reason.encode()),
        ("path", error.path[:_PATH_CHARACTERS].encode()),
        ("exception", error.exception.encode()),
        ("source.topic", message.topic.encode()),
        ("source.partition", str(message.partition).encode()),
        ("source.offset", str(message.offset).encode()),
        ("source.timestamp", str(_timestamp_ms(message)).encode()),
        *cut,
    )
    partition = message.partition % settings.partitions
    return Outgoing(settings.topic(DEAD_LETTERS), partition, key, value, headers)


def _cut(name: str, content: bytes | None) -> tuple[bytes | None, tuple[tuple[str, bytes], ...]]:
    """The beginning of a key or value, and the headers that tell of the whole if it was longer."""
    if content is None or len(content) <= CUT_BYTES:
        return content, ()
    digest = hashlib.sha256(content).hexdigest()
    return content[:CUT_BYTES], (
        (f"{name}.length", str(len(content)).encode()),
        (f"{name}.sha256", digest.encode()),
    )


def _timestamp_ms(message: Any) -> int:
    milliseconds: int = message.timestamp
    return milliseconds
