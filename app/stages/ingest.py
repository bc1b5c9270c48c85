"""ingest: a closed position becomes its facts, one per group, or a dead letter.  Keeps no state.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from app.closes import DeadLetterError, explode
from app.log.records import MAX_RECORD_BYTES, Outgoing, published
from app.metrics import CLOSES as CLOSES_TOTAL
from app.settings import Settings
from schemas.kinds import DEAD_LETTERS, FACTS

CUT_BYTES = 1024 * 1024
"""How much is kept of a value too large for a record with headers."""
_HEADER_BYTES = 16_384


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
    CLOSES_TOTAL.labels("facts").inc()
    return [
        published(settings, FACTS, fact, message.offset).with_headers(
            ("event-id", fact.event_id.encode())
        )
        for fact in facts
    ]


def dead_letter(settings: Settings, message: Any, error: DeadLetterError) -> Outgoing:
    """The record with key and value unchanged; the headers give the reason and the origin.

    A value too large for a record is cut to its first MiB, with its length and hash.
    """
    value = message.value
    cut: tuple[tuple[str, bytes], ...] = ()
    if len(message.key or b"") + len(value or b"") > MAX_RECORD_BYTES - _HEADER_BYTES:
        digest = hashlib.sha256(value).hexdigest()
        cut = (("value.length", str(len(value)).encode()), ("value.sha256", digest.encode()))
        value = value[:CUT_BYTES]
    headers = (
        ("reason", error.reason.encode()),
        ("path", error.path.encode()),
        ("exception", error.exception.encode()),
        ("source.topic", message.topic.encode()),
        ("source.partition", str(message.partition).encode()),
        ("source.offset", str(message.offset).encode()),
        ("source.timestamp", str(_timestamp_ms(message)).encode()),
        *cut,
    )
    partition = message.partition % settings.partitions
    return Outgoing(settings.topic(DEAD_LETTERS), partition, message.key, value, headers)


def _timestamp_ms(message: Any) -> int:
    milliseconds: int = round(message.timestamp * 1000)
    return milliseconds
