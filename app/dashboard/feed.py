"""The last known state of each source: its answer, when it came, and what is wrong now.

May touch: nothing; the clock.

A source that is away keeps its last value.  Pages show it with its age; a new value or a change of
its error wakes those who wait (`Feed.changed`).
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

    `value` is None until it has answered once, or where there is nothing; `at` is when it did (Unix
    seconds); `error` is what is wrong now, or `""`; `every_s` is how often it is asked.
    """

    title: str
    every_s: float
    value: T | None = None
    at: float | None = None
    error: str = ""
    failing_since: float | None = None

    @property
    def state(self) -> str:
        """`loading` (no answer yet), `live`, `stale` (last known, now in trouble) or `away` (in
        trouble since the start)."""
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
        """Make room for a source."""
        self.readings[name] = Reading(title, every_s)

    def __getitem__(self, name: str) -> Reading[Any]:
        return self.readings[name]

    def value(self, name: str) -> Any:
        """The last value of a source, None without any."""
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
        """The process is about to end: let everyone go."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        self.revision += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, since: int, within_s: float) -> int:
        """The revision, as soon as it is not `since` any more, or after `within_s`."""
        if self.revision == since and not self.closed:
            try:
                await asyncio.wait_for(self._changed.wait(), within_s)
            except TimeoutError:
                return self.revision
        return self.revision
