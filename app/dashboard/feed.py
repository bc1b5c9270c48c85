"""The last known state of each source: its answer, when it came, and the current error.

May touch: the clock.

A source that is away keeps its last value.  Pages show it with its age; a new value or a changed
error wakes those waiting in `Feed.changed`.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass
class Reading(Generic[T]):
    """The last answer of one source.

    `value` is None until the source has answered once, or if it has nothing; `at` is the time of
    the answer (Unix seconds); `error` is the current error, or `""`; `every_s` is how often the
    source is asked.
    """

    title: str
    every_s: float
    value: T | None = None
    at: float | None = None
    error: str = ""
    failing_since: float | None = None

    @property
    def state(self) -> str:
        """`loading` (no answer yet), `live`, `stale` (answered before, fails now) or `away` (has
        never answered)."""
        if self.error:
            return "away" if self.value is None else "stale"
        return "loading" if self.at is None else "live"


class Feed:
    """All readings by name, and a revision that grows with each change."""

    def __init__(self) -> None:
        self.readings: dict[str, Reading[Any]] = {}
        self.revision = 0
        self.closed = False
        self._changed = asyncio.Event()

    def add(self, name: str, title: str, every_s: float) -> None:
        """Register a source."""
        self.readings[name] = Reading(title, every_s)

    def __getitem__(self, name: str) -> Reading[Any]:
        return self.readings[name]

    def value(self, name: str) -> Any:
        """The last value of a source, None if there is none."""
        return self.readings[name].value

    def put(self, name: str, value: Any) -> None:
        """A source answered."""
        reading = self.readings[name]
        news = reading.error != "" or reading.value != value
        reading.value, reading.at, reading.error = value, time.time(), ""
        reading.failing_since = None
        if news:
            self._wake()

    def fail(self, name: str, error: str) -> None:
        """A source did not answer; its last value stays."""
        reading = self.readings[name]
        news, reading.error = reading.error != error, error
        reading.failing_since = reading.failing_since or time.time()
        if news:
            self._wake()

    def close(self) -> None:
        """The process is about to end: wake everyone who waits."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        self.revision += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, since: int, within_s: float) -> int:
        """Return the revision as soon as it differs from `since`, or after `within_s` seconds."""
        if self.revision == since and not self.closed:
            try:
                await asyncio.wait_for(self._changed.wait(), within_s)
            except TimeoutError:
                return self.revision
        return self.revision
