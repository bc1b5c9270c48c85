"""When each group of a partition publishes what it has learned: provisionally, after a refit, or
not yet.

May touch: the monotonic clock, and threads and helper processes for refits.  The clock affects when
something is published, never what: once no group owes a refit, the published records are a function
of the facts.

New trades of a group are published provisionally at once.  The group is refitted when the outcome
can have changed (`GroupLearner.due`), when nothing has come for half a second, or when it has
waited for ten seconds.  Refits of large groups run on another thread while folding continues, and
the first refits after the log has been read on several, or in helper processes
(`app/worker/helpers.py`) where there are enough of them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from typing import Any, NamedTuple

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
from app.worker.helpers import HELPERS, MOST, START_S, Lost
from app.worker.threads import started_pool

log = structlog.get_logger(__name__)

LARGE_TRADES = 1_000
"""A group of this many trades is refitted on the other thread, once it has published something."""
SEVERAL_TRADES = 100
"""The first refits of groups of this many trades run on several threads."""
AT_ONCE = MOST
"""First refits that run at once."""
AHEAD = 2
"""First refits that wait for a helper, so that none is idle while results are published."""
REFIT_S, REFIT_TRADE_S = 0.05, 2e-5
"""What a refit costs, roughly, in seconds of CPU: at least, and for each trade."""
WORTH_HELP_S = 4.0 * START_S
"""First refits that cost this much are worth helpers."""
HELP_BYTES = 350 << 20
"""Memory that a helper may need for the search of a group."""


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

    `work` runs on another thread, or in a helper, until `done`; if both are None, it is still to be
    run.
    """

    key: str
    work: Work | None
    done: Future[Any] | None
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
        self._first: deque[Started] = deque()  # in the order of their results
        self._helped = False
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
        """Whether the last turn left groups waiting, or a refit runs elsewhere."""
        under_way = self._beside is not None or bool(self._first)
        return self._cut or under_way or bool(self._touched)

    def exact_to(self, version: int) -> int:
        """The offset, at most `version`, before which everything published is the result of
        refits."""
        under_way = self._under_way()
        for key in self._owing:
            waited = under_way[key].waited if key in under_way else self._waiting.get(key, NEVER)
            version = min(version, waited.since)
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
        self._helped = self._get_help()
        for key in self._line(full, began_s):
            group = self._groups[key]
            if len(group.window) >= LARGE_TRADES and not _is_new(group):
                if self._start_beside(key, version) and quiet:
                    yield from self._from_beside(version, GROUPS_TURN_BUSY_S)
                continue
            self._first.append(self._start(key, version))
            yield from self._results(version)
            ended_s = time.monotonic()
            if not full:
                self._rest_until_s = ended_s + rest_s(ended_s - began_s, GROUPS_PART)
            if ended_s > until_s:
                self._cut = True
                break
        while self._first and self._is_time_for(self._first[0]):
            yield from self._finish(self._first.popleft(), version)

    def _get_help(self) -> bool:
        """Whether first refits go to helpers, which are started where it pays.  After the log has
        been read there may be hundreds of first refits."""
        groups = (self._groups[key] for key in self._owing)
        sizes = [len(group.window) for group in groups if group.apart and _is_new(group)]
        cost_s = sum(REFIT_S + n * REFIT_TRADE_S for n in sizes if n >= SEVERAL_TRADES)
        if cost_s > WORTH_HELP_S:
            return HELPERS.start(more_bytes=HELP_BYTES)
        return bool(sizes) and HELPERS.number > 0

    def _start(self, key: str, version: int) -> Started:
        """Start the refit of a group, elsewhere if it is the first one of many trades."""
        group = self._groups[key]
        work = None
        if AT_ONCE > 1 and _is_new(group) and len(group.window) >= SEVERAL_TRADES:
            work = group.begin(version)
        if work is not None and self._helped:
            done = HELPERS.submit(*work.apart())
            return Started(key, work, done, time.monotonic(), self._waiting.pop(key, NEVER))
        return self._started(key, work, _first_threads)

    def _started(
        self, key: str, work: Work | None, threads: Callable[[], ThreadPoolExecutor]
    ) -> Started:
        done = None if work is None else threads().submit(work.run)
        return Started(key, work, done, time.monotonic(), self._waiting.pop(key, NEVER))

    def _results(self, version: int) -> Iterator[Result]:
        """The results of the refits that were started first, until few enough are under way; to
        keep the order, of all if the last one runs here."""
        least = 0 if self._first[-1].done is None else self._ahead
        while len(self._first) > least:
            yield from self._finish(self._first.popleft(), version)

    @property
    def _ahead(self) -> int:
        """First refits under way while the next one is looked for."""
        return AT_ONCE + AHEAD if self._helped else AT_ONCE - 1

    def _is_time_for(self, started: Started) -> bool:
        """Whether the turn waits for a first refit.  It does not wait long for helpers, which go on
        meanwhile."""
        if not self._helped or started.done is None:
            return True
        return bool(wait([started.done], GROUPS_TURN_BUSY_S).done)

    def _finish(self, started: Started, version: int) -> Iterator[Result]:
        """The result of a refit; none if it runs out of memory, which lets its group wait."""
        group, work = self._groups[started.key], started.work
        try:
            if work is None or started.done is None:
                refit = group.refit(version)
            else:
                try:
                    found = started.done.result()  # raises the refit's exception
                except Lost:
                    found = work.run()
                refit = group.finish(work, found, version)
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
        under_way = self._under_way()
        for key in self._owing:
            if key in under_way or key in self._held:
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

    def _under_way(self) -> dict[str, Started]:
        """The refits that run elsewhere, by group."""
        found = {started.key: started for started in self._first}
        if self._beside is not None:
            found[self._beside.key] = self._beside
        return found

    # -- beside

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
