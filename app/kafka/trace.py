"""The trace context of records (W3C `traceparent` and `tracestate`), passed on unchanged.

May touch: nothing.

Edgeloop creates no spans.  Its records carry the context of the newest close behind them, so that a
trace leads from the close to the override.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeAlias

Context: TypeAlias = tuple[tuple[str, bytes], ...]
"""Headers; empty if the record belongs to no trace."""

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
_STATE_BYTES = 512
_VALID = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def context_of(record: Any) -> Context:
    """The trace context of a record; empty if it has none that is valid."""
    parent = state = None
    for name, value in record.headers or ():
        if name == TRACEPARENT:
            parent = value
        elif name == TRACESTATE:
            state = value
    if parent is None or _VALID.fullmatch(parent) is None:
        return ()
    if state and len(state) <= _STATE_BYTES:
        return ((TRACEPARENT, parent), (TRACESTATE, state))
    return ((TRACEPARENT, parent),)


class Newest:
    """The context of the newest record of each key, in the order of the log."""

    def __init__(self) -> None:
        self._contexts: dict[str | bytes, Context] = {}

    def note(self, key: str | bytes, record: Any) -> None:
        """Take in a record of `key`; one without a trace replaces the previous context with
        none."""
        if context := context_of(record):
            self._contexts[key] = context
        elif self._contexts:
            self._contexts.pop(key, None)

    def note_all(self, records: Iterable[Any]) -> None:
        """Take in records, each of its own key."""
        contexts = self._contexts
        for record in records:
            for name, _ in record.headers or ():
                if name == TRACEPARENT:
                    self.note(record.key, record)
                    break
            else:
                if contexts:
                    contexts.pop(record.key, None)

    def of(self, key: str | bytes) -> Context:
        """The headers of a record derived from `key` now."""
        return self._contexts.get(key, ())
