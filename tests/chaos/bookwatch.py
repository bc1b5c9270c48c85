"""A position manager's book during the faults: within its bounds, and never older than it reports.

May touch: the broker (read only).
"""

from __future__ import annotations

import asyncio
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from itertools import accumulate
from types import TracebackType
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from app.kafka.client import client_options
from app.settings import Settings
from edgeloop import OverrideBook
from edgeloop.overrides import MAX_MULTIPLIER, MIN_MULTIPLIER
from schemas import kinds

LOOK_EVERY_S = 1.0
STALE_AFTER_S = 8.0
MARGIN_S = 0.05
"""The two clocks are read in one process, one after the other."""


class Seen(NamedTuple):
    """A record of `pm_overrides`, and a time at which another reader had received it."""

    received: float
    version: int
    gone: bool


class Look(NamedTuple):
    """The content of the book, and the time up to which it reported to be complete."""

    complete_to: float
    versions: dict[str, int]


class BookWatch:
    """Queries a book repeatedly, in a thread of its own, during the `with` block.

    The book connects with the settings `through`, the other reader with `direct`.
    """

    def __init__(self, direct: Settings, through: Settings) -> None:
        self._direct, self._through = direct, through
        self._seen: dict[str, list[Seen]] = defaultdict(list)
        self._looks: list[Look] = []
        self._ending = threading.Event()
        self._problems: list[str] = []
        self._thread = threading.Thread(target=self._run, name="book-watch")
        self.looks = self.stale_looks = self.most_overrides = 0
        self.oldest_s = 0.0

    def __enter__(self) -> BookWatch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def end(self) -> None:
        """Make the last observation; returns when all records for the comparison have been read."""
        self._ending.set()
        self._thread.join(90)
        if self._thread.is_alive():
            self._problems.append("The watch of the book does not end.")

    def problems(self) -> list[str]:
        """The problems that were found, once it has ended."""
        found = list(self._problems)
        histories = {key: History(seen) for key, seen in self._seen.items()}
        for look in self._looks:
            found += older_than_said(look, histories)
        return found

    def _run(self) -> None:
        try:
            asyncio.run(self._watch())
        except Exception as error:
            self._problems.append(f"The watch of the book failed: {error!r}.")

    async def _watch(self) -> None:
        topic = self._direct.topic(kinds.OVERRIDES)
        tail = AIOKafkaConsumer(
            **client_options(self._direct),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await tail.start()
        try:
            tps = [TopicPartition(topic, p) for p in range(self._direct.partitions)]
            tail.assign(tps)
            await tail.seek_to_beginning(*tps)
            async with OverrideBook(
                self._through.broker,
                topic_prefix=self._through.topic_prefix,
                stale_after_s=STALE_AFTER_S,
            ) as book:
                next_look = time.monotonic()
                while not self._ending.is_set():
                    await self._read(tail)
                    if time.monotonic() >= next_look:
                        self._look(book)
                        next_look = time.monotonic() + LOOK_EVERY_S
            ends = await tail.end_offsets(tps)
            give_up = time.monotonic() + 60
            while any([await tail.position(tp) < ends[tp] for tp in tps]):
                if time.monotonic() > give_up:
                    raise TimeoutError(f"{topic} cannot be read to its end")
                await self._read(tail)
        finally:
            await tail.stop()

    async def _read(self, tail: AIOKafkaConsumer) -> None:
        for records in (await tail.getmany(timeout_ms=100)).values():
            now = time.monotonic()
            for record in records:
                version = int(dict(record.headers)["version"])
                self._seen[record.key.decode()].append(Seen(now, version, record.value is None))

    def _look(self, book: OverrideBook) -> None:
        now = time.monotonic()
        status, held = book.status, book.overrides()
        self.looks += 1
        self.most_overrides = max(self.most_overrides, len(held))
        if status.age_s is not None:
            self.oldest_s = max(self.oldest_s, status.age_s)
            self.stale_looks += status.stale
            self._looks.append(Look(now - status.age_s, {o.override_id: o.version for o in held}))
        for override in held:
            answer = book.resolve(
                override.pattern_key,
                override.action_category,
                override.scope,
                module=override.module,
            )
            if not MIN_MULTIPLIER <= answer.multiplier <= MAX_MULTIPLIER:
                self._problems.append(f"The book answers {answer} for {override}.")
            if status.stale and answer.multiplier != 1.0 and book.status.stale:
                self._problems.append(f"A stale book answers {answer} for {override}.")


class History:
    """The records of one key in `pm_overrides`, in the order of the log."""

    def __init__(self, seen: list[Seen]) -> None:
        self.seen = seen
        self._received = [s.received for s in seen]
        self._newest = list(accumulate((s.version for s in seen), max))

    def allows(self, held: int | None, complete_to: float) -> tuple[bool, int | None]:
        """Whether a book that is complete up to that time may hold this version of the key (None:
        not hold the key), and the version that had certainly been written by then."""
        before = bisect_left(self._received, complete_to - MARGIN_S)
        if not before:
            return True, None  # later records may or may not be in the book
        newest = self._newest[before - 1]
        last = next(at for at in reversed(range(before)) if self.seen[at].version == newest)
        candidates = [s for s in self.seen[last:] if s.version >= newest]
        if held is None:
            return any(s.gone for s in candidates), newest
        return any(s.version == held and not s.gone for s in candidates), newest


def older_than_said(look: Look, histories: dict[str, History]) -> list[str]:
    """The records that the book lacked, among those that existed when it reported to be
    complete."""
    found = []
    for key, history in histories.items():
        held = look.versions.get(key)
        allowed, newest = history.allows(held, look.complete_to)
        if not allowed:
            found.append(
                f"The book says it is complete, with version {held} of {key}, not {newest}."
            )
    return found
