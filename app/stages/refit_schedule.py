"""When each group of a partition publishes what it has learned: provisionally, after a refit, or
not yet.

May touch: the monotonic clock, and threads for refits.  The clock affects when something is
published, never what: once no group owes a refit, the published records are a function of the
facts.

New trades of a group are published provisionally at once.  The group is refitted when the outcome
can have changed (`GroupLearner.due`), when nothing has come for half a second, or when it has
waited for ten seconds.  Refits of large groups run on another thread while folding continues, and
the first refits after the log has been read on several.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from typing import NamedTuple

import numpy as np
import structlog

from app.learning.common.refit import DUE_PART, Refit, Work
from app.learning.methods import GroupLearner
from app.stages.pace import (
    GROUPS_PART,
    GROUPS_TURN_BUSY_S,
    GROUPS_TURN_S,
    HELD_S,
    REFIT_AFTER_QUIET_S,
    REFIT_AFTER_S,
    rest_s,
)
from app.stages.refit_fairness import Turns
from app.worker.threads import started_pool

log = structlog.get_logger(__name__)

LARGE_TRADES = 1_000
"""A group of this many trades is refitted on the other thread, once it has published something."""
SEVERAL_TRADES = 100
"""The first refits of groups of this many trades run on several threads."""
AT_ONCE = min(4, len(os.sched_getaffinity(0)))
"""First refits that run at once."""


Result = tuple[GroupLearner, Refit]


class Wait(NamedTuple):
    """When the first and the last trade came that no refit of the group has covered, and the offset
    of the first."""

    first_s: float
    last_s: float
    since: int


NEVER = Wait(0.0, 0.0, 0)


class Started(NamedTuple):
    """A refit that was started at `began_s`, for trades that had waited as `waited` says.

    `work` runs on another thread until `done`; if both are None, it is still to be run.
    """

    key: str
    work: Work | None
    done: Future[None] | None
    began_s: float
    waited: Wait


class RefitSchedule:
    """The schedule of the groups of one partition; a group with `least` trades may have lessons."""

    def __init__(self, groups: Mapping[str, GroupLearner], least: int = 1) -> None:
        self._groups = groups
        self._least = least
        self._turns = Turns(least)
        self._owing: dict[str, bool] = {}  # groups that owe a refit; whether they may have lessons
        self._large = 0
        self._held: dict[str, float] = {}
        self._waiting: dict[str, Wait] = {}
        self._touched: dict[str, None] = {}
        self._beside: Started | None = None
        self._cut = False
        self._rest_until_s = 0.0

    def note(self, key: str) -> None:
        """Check whether a group owes a refit: it is new, or its trades have changed."""
        group = self._groups[key]
        self._large -= self._owing.pop(key, False)
        if group.dirty:
            self._owing[key] = large = len(group.window) >= self._least
            self._large += large

    @property
    def owing(self) -> tuple[int, int]:
        """How many groups owe a refit: those that may have lessons, and the others."""
        return self._large, len(self._owing) - self._large

    def touch(self, key: str, since: int) -> None:
        """Note that trades were folded into a group, from records at the offset `since` or
        later."""
        self.note(key)
        if key not in self._owing:
            return  # the group knew all of them
        now_s = time.monotonic()
        self._touched[key] = None
        known = self._waiting.get(key, Wait(now_s, now_s, since))
        self._waiting[key] = known._replace(last_s=now_s)

    @property
    def held(self) -> int:
        """The number of groups that wait for memory."""
        return len(self._held)

    @property
    def unfinished(self) -> bool:
        """Whether the last turn left groups waiting, or a refit runs on the other thread."""
        return self._cut or self._beside is not None or bool(self._touched)

    def exact_to(self, version: int) -> int:
        """The offset, at most `version`, before which everything published is the result of
        refits."""
        for key in self._owing:
            if self._is_beside(key) and self._beside is not None:
                version = min(version, self._beside.waited.since)
            else:
                version = min(version, self._waiting.get(key, NEVER).since)
        return version

    def turn(self, full: bool, version: int) -> Iterator[Result]:
        """The results of the groups, one by one: provisional ones first, then those of refits.

        In a full turn all groups that owe a refit are in line, else those that need one by now.
        After some time the others wait for the next turn.
        """
        busy, self._touched = self._touched, {}
        self._cut = False
        for key in busy:
            group = self._groups[key]
            if group.touched:
                yield group, group.provisional(version)
        quiet = full and not busy
        yield from self._from_beside(version, GROUPS_TURN_BUSY_S if quiet else 0.0)
        began_s = time.monotonic()
        until_s = began_s + (GROUPS_TURN_S if quiet else GROUPS_TURN_BUSY_S)
        first: deque[Started] = deque()
        for key in self._line(full, began_s):
            group = self._groups[key]
            if len(group.window) >= LARGE_TRADES and not _is_new(group):
                if self._start_beside(key, version) and quiet:
                    yield from self._from_beside(version, GROUPS_TURN_BUSY_S)
                continue
            first.append(self._start(key, version))
            if first[-1].done is None or len(first) >= AT_ONCE:
                yield from self._results(first, version)
            ended_s = time.monotonic()
            if not full:
                self._rest_until_s = ended_s + rest_s(ended_s - began_s, GROUPS_PART)
            if ended_s > until_s:
                self._cut = True
                break
        while first:
            yield from self._results(first, version)

    def _start(self, key: str, version: int) -> Started:
        """Start the refit of a group, on a thread of its own if it is the first one: after the log
        has been read there may be hundreds."""
        group = self._groups[key]
        work = None
        if AT_ONCE > 1 and _is_new(group) and len(group.window) >= SEVERAL_TRADES:
            work = group.begin(version)
        return self._started(key, work, _first_threads)

    def _started(
        self, key: str, work: Work | None, threads: Callable[[], ThreadPoolExecutor]
    ) -> Started:
        done = None if work is None else threads().submit(work.run)
        return Started(key, work, done, time.monotonic(), self._waiting.pop(key, NEVER))

    def _results(self, started: deque[Started], version: int) -> Iterator[Result]:
        """The result of the refit that was started first, and, to keep the order, of all if the
        last one runs here."""
        for _ in range(len(started) if started[-1].done is None else 1):
            yield from self._finish(started.popleft(), version)

    def _finish(self, started: Started, version: int) -> Iterator[Result]:
        """The result of a refit; none if it runs out of memory, which lets its group wait."""
        group = self._groups[started.key]
        try:
            if started.work is None or started.done is None:
                refit = group.refit(version)
            else:
                started.done.result()  # raises the refit's exception
                refit = group.finish(started.work, version)
        except MemoryError:
            self._hold(started)
            return
        self.note(started.key)
        yield group, refit

    def _hold(self, started: Started) -> None:
        """Let a group wait after a refit that ran out of memory.  Its trades wait as before."""
        key = started.key
        newer = self._waiting.get(key, started.waited)
        self._waiting[key] = started.waited._replace(last_s=newer.last_s)
        self._held[key] = time.monotonic() + HELD_S
        log.error(
            "group.held_back",
            group=key,
            trades=len(self._groups[key].window),
            retry_s=HELD_S,
            do="Raise the memory limit, or lower EDGELOOP_MAX_DIMS or EDGELOOP_WINDOW_TRADES.",
        )

    def _line(self, full: bool, now_s: float) -> Iterator[str]:
        """The groups to be refitted, in fair turns (`refit_fairness.py`).  Where none has used more
        time than another, those in greatest need come first: groups that have published nothing
        yet, then the others by how stale they are and how long they have waited."""
        self._held = {key: until for key, until in self._held.items() if until > now_s}
        need: dict[str, float] = {}
        for key in self._owing:
            if self._is_beside(key) or key in self._held:
                continue
            group = self._groups[key]
            times = self._waiting.get(key, NEVER)
            late = (now_s - times.first_s) / REFIT_AFTER_S
            if _is_new(group):
                need[key] = np.inf
            elif full or (
                now_s >= self._rest_until_s
                and (late >= 1.0 or now_s - times.last_s >= REFIT_AFTER_QUIET_S or group.due)
            ):
                need[key] = group.stale / DUE_PART + late
        neediest = sorted(need, key=lambda key: -need[key])
        return self._turns.order({key: self._groups[key] for key in neediest})

    # -- beside

    def _is_beside(self, key: str) -> bool:
        return self._beside is not None and self._beside.key == key

    def _start_beside(self, key: str, version: int) -> bool:
        work = self._groups[key].begin(version) if self._beside is None else None
        if work is None:
            return False
        self._beside = self._started(key, work, _beside_thread)
        return True

    def _from_beside(self, version: int, patience_s: float) -> Iterator[Result]:
        """The result of the refit on the other thread, if it has finished by then."""
        beside = self._beside
        if beside is None or beside.done is None:
            return
        done, _ = wait([beside.done], patience_s)
        if done:
            self._beside = None
            now_s = time.monotonic()
            self._rest_until_s = now_s + rest_s(now_s - beside.began_s, GROUPS_PART)
            yield from self._finish(beside, version)


def _is_new(group: GroupLearner) -> bool:
    """Whether the group has published nothing yet."""
    return group.stale >= 1.0


def start_threads() -> None:
    """Start all threads for refits now: a process has the same number of them at any time."""
    _beside_thread()
    _first_threads()


@cache
def _beside_thread() -> ThreadPoolExecutor:
    """One thread for all partitions of a process: two refits at once would leave folding and
    publishing too little of the interpreter."""
    return started_pool(1, "refit")


@cache
def _first_threads() -> ThreadPoolExecutor:
    """Threads for first refits; these spend most of their time in numpy and scipy, which release
    the interpreter's lock."""
    return started_pool(AT_ONCE, "first-refit")
