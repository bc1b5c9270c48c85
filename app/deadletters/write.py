"""The letter that ingest writes for a close that cannot become facts, with the reason.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import hashlib
from typing import Any

from app.closes import RefusedCloseError
from app.kafka.records import MAX_RECORD_BYTES, Outgoing, letter_partition, timestamp_ms
from app.kafka.trace import context_of
from app.settings import Settings
from schemas.kinds import DEAD_LETTERS

CUT_BYTES = 1024 * 1024
"""How much is kept of a key or a value if both together do not fit into a record."""
_HEADER_BYTES = 16_384
"""Room for the headers of a letter."""
PATH_CHARACTERS = 2_000
"""Maximum number of characters of a path in a header or a log line."""


def dead_letter(settings: Settings, message: Any, error: RefusedCloseError) -> Outgoing:
    """The record with key and value unchanged; the headers give the reason and the origin.  If both
    are too large for a record, each is cut to its first MiB, with its length and hash in headers.
    Of the record's own headers only the trace context is kept.
    """
    key, value = message.key, message.value
    cut: tuple[tuple[str, bytes], ...] = ()
    if len(key or b"") + len(value or b"") > MAX_RECORD_BYTES - _HEADER_BYTES:
        key, cut_key = _cut("key", key)
        value, cut_value = _cut("value", value)
        cut = (*cut_value, *cut_key)
    headers = (
        ("reason", error.reason.encode()),
        ("path", error.path[:PATH_CHARACTERS].encode()),
        ("exception", error.exception.encode()),
        ("source.topic", message.topic.encode()),
        ("source.partition", str(message.partition).encode()),
        ("source.offset", str(message.offset).encode()),
        ("source.timestamp", str(timestamp_ms(message)).encode()),
        *cut,
        *context_of(message),
    )
    partition = letter_partition(settings, message.partition)
    return Outgoing(settings.topic(DEAD_LETTERS), partition, key, value, headers)


def _cut(name: str, content: bytes | None) -> tuple[bytes | None, tuple[tuple[str, bytes], ...]]:
    """The beginning of a key or value, and the headers that describe the whole if it was longer."""
    if content is None or len(content) <= CUT_BYTES:
        return content, ()
    digest = hashlib.sha256(content).hexdigest()
    return content[:CUT_BYTES], (
        (f"{name}.length", str(len(content)).encode()),
        (f"{name}.sha256", digest.encode()),
    )
