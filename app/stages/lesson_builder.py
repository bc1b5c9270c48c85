"""lesson_builder: fold facts into the windows of their groups, and learn lessons from them.

May touch: nothing but its arguments, the metrics, and what `refit_schedule` may; `read_facts` also
the broker (read only).  A lesson is the evidence of a slice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import structlog

from app.kafka.bulk_reader import read_part
from app.kafka.records import (
    KEY_CHARACTERS,
    UNREADABLE,
    Outgoing,
    partition_of,
    published,
    tombstone,
)
from app.kafka.trace import Newest
from app.learning.common.event_time import DAY_US
from app.learning.common.fact_trades import Group, trades_by_group
from app.learning.common.refit import Refit
from app.learning.common.sieve import Sieve
from app.learning.common.trade_columns import TradeColumns
from app.learning.common.window import GroupWindow
from app.learning.methods import GroupLearner, group_learner
from app.metrics import (
    REWRITTEN,
    SEARCHES_CUT,
    UNREADABLE_RECORDS,
    WITHOUT_OUTCOME,
)
from app.settings import Settings
from app.stages.edge_history import EdgeHistories
from app.stages.gauges import GroupGauges
from app.stages.owned import OwnedStage, Part, StateStore
from app.stages.refit_schedule import RefitSchedule, start_threads
from app.stages.rewrites import RewriteWatch, written_ms
from app.worker.logs import configure
from app.worker.memory import is_full
from schemas.facts import group_key
from schemas.kinds import FACTS, KINDS, LESSONS
from schemas.lessons import GroupSummary, Lesson, decode_lesson

log = structlog.get_logger(__name__)

SIFTED_TRADES = 50_000
"""Maximum number of sifted trades of one partition while its log is read for the first time: some
50 MB."""
PRUNE_AFTER = 2_000
"""Facts, at least, between two prunings.  Further ones wait for as many facts as there are ranks,
so their cost per fact is bounded, and at most twice as many ranks as needed are remembered."""


class Folded(NamedTuple):
    """What folding the facts of a partition has left, for another process: the window of each
    group, the newest trace contexts, recent rewrites, the offset after the last fact, and how many
    facts were unreadable or misplaced, and how many lacked the outcome."""

    windows: dict[Group, GroupWindow]
    traces: Newest
    rewrites: RewriteWatch
    version: int
    unreadable: int
    without: int


class LessonBuilder(OwnedStage):
    """The stage as `app.ownership` runs it."""

    role = "lesson_builder"
    source = FACTS
    outputs = (LESSONS,)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def read_apart(self) -> Callable[[Part], Folded]:
        """Folds facts in another process."""
        return read_facts

    def new_store(self, partition: int) -> GroupStore:
        """An empty store of one partition of facts."""
        start_threads()
        return GroupStore(self._settings, partition)

    def route(self, record: Any) -> int | None:
        """The partition of facts whose owner publishes this lesson; None if it cannot be read."""
        try:
            lesson = KINDS[LESSONS].checked(decode_lesson(record.value), record.key)
        except UNREADABLE:
            return None
        group = group_key(lesson.pattern_key, lesson.action_category)
        return partition_of(group, self._settings.partitions)


class GroupStore(StateStore):
    """The groups of one partition of facts.

    The version of what they publish is the offset folded so far.  While the log is read for the
    first time, trades are sifted, so that those which no window holds in the end cost little.
    """

    def __init__(self, settings: Settings, partition: int) -> None:
        self._settings = settings
        self._partition = partition
        self._retention_us = round(settings.log_retention_days * DAY_US)
        self._groups: dict[str, GroupLearner] = {}
        self._least = max(1, settings.n_min // 3)
        self._schedule = RefitSchedule(self._groups, self._least)
        self._rewrites = RewriteWatch(settings, partition)
        self._gauges = GroupGauges(partition)
        self._sieves: dict[str, Sieve] | None = {}  # None once the log has been read to its end
        self._sifted = 0
        self._gaps = False  # whether a window may lack trades
        self._version = 0
        self._folded = 0  # since the last pruning
        self._prune_after = PRUNE_AFTER
        self._histories = EdgeHistories(settings)
        self._traces = Newest()
        self._unreadable = self._without = 0

    def fold(self, records: Sequence[Any], next_offset: int) -> None:
        """Decode and fold facts, group by group."""

        def unreadable(place: int, error: Exception) -> None:
            # Only another program can have written this: ingest's facts are readable.
            self._count(1, 0)
            log.error(
                "fact.unreadable",
                topic=self._settings.topic(FACTS),
                partition=self._partition,
                offset=records[place].offset,
                error=str(error),
            )

        self._traces.note_all(records)
        values = [record.value for record in records]
        found, without = trades_by_group(values, self._settings.outcome, unreadable)
        self._count(0, without)
        for (module, pattern_key, category), trades in found.items():
            key = group_key(pattern_key, category)
            if key not in self._groups:
                if partition_of(key, self._settings.partitions) != self._partition:
                    self._misplaced(key, len(trades), next_offset)
                    continue
                self._groups[key] = self._learner(module, pattern_key, category)
                self._schedule.note(key)
            if not trades:
                continue
            if self._sieves is not None:
                self._sift(self._sieves, key, trades)
            else:
                self._fold_group(key, trades, records[-1])
        self._version = next_offset
        self._folded += len(records)
        if self._folded >= self._prune_after:
            self._prune()

    def _misplaced(self, key: str, count: int, next_offset: int) -> None:
        """Count and log facts of a group of another partition, whose owner would publish the same
        group: another program has written them."""
        self._count(max(1, count), 0)
        log.error(
            "fact.misplaced",
            topic=self._settings.topic(FACTS),
            partition=self._partition,
            before=next_offset,
            records=count,
            group=key[:KEY_CHARACTERS],
        )

    def _count(self, unreadable: int, without: int) -> None:
        self._unreadable += unreadable
        self._without += without
        UNREADABLE_RECORDS.labels(LessonBuilder.role).inc(unreadable)
        WITHOUT_OUTCOME.inc(without)

    def hand_over(self) -> Folded:
        """What folding has left, for `take_over` of an empty store in another process."""
        self._end_sifting()
        windows = {
            (group.module, group.pattern_key, group.action_category): group.window
            for group in self._groups.values()
        }
        return Folded(
            windows,
            self._traces,
            self._rewrites,
            self._version,
            self._unreadable,
            self._without,
        )

    def take_over(self, folded: Folded) -> None:
        """Go on, while the log is read for the first time, from what another process has folded."""
        self._sieves = None
        for (module, pattern_key, category), window in folded.windows.items():
            key = group_key(pattern_key, category)
            group = self._groups[key] = self._learner(module, pattern_key, category)
            group.window = window
            self._gaps = self._gaps or group.needs_rebuild
            self._schedule.note(key)
            self._schedule.touch(key, 0)
        self._traces, self._version = folded.traces, folded.version
        self._rewrites = folded.rewrites
        REWRITTEN.inc(self._rewrites.trades)
        self._count(folded.unreadable, folded.without)

    def _fold_group(self, key: str, trades: TradeColumns, last: Any) -> None:
        group = self._groups[key]
        before = group.window.rewritten
        group.fold(trades)
        self._gaps = self._gaps or group.needs_rebuild
        self._schedule.touch(key, self._version)
        if rewritten := group.window.rewritten - before:
            now_ms = time.time_ns() // 1_000_000
            self._rewrites.note(group.module, rewritten, written_ms(last), now_ms, last.offset)

    def _sift(self, sieves: dict[str, Sieve], key: str, trades: TradeColumns) -> None:
        config = self._settings.learning_config
        if key not in sieves:
            sieves[key] = Sieve(config.window_us, config.window_trades)
        sieves[key].add(trades)
        self._sifted += len(trades)
        if self._sifted > SIFTED_TRADES:
            self._sifted = sum(sieve.let_go() for sieve in sieves.values())
            if (
                self._sifted > SIFTED_TRADES // 2
            ):  # most are inside a window, whose arrays need less memory
                self._end_sifting()

    def _end_sifting(self) -> None:
        """Put the sifted trades into windows, which from then on are up to date after every
        batch."""
        if self._sieves is None:
            return
        sieves, self._sieves = self._sieves, None
        while sieves:
            key, sieve = sieves.popitem()
            group = self._groups[key]
            group.fold(sieve.inside())
            group.window.remember(sieve.outside())
            self._gaps = self._gaps or group.needs_rebuild
            self._schedule.touch(key, 0)

    def _prune(self) -> None:
        """Forget the ranks of trades that the log no longer has, since no record of them can
        come."""
        for group in self._groups.values():
            if len(group.window):
                group.window.prune(group.window.newest_us - self._retention_us)
        remembered = sum(group.window.remembered for group in self._groups.values())
        self._folded, self._prune_after = 0, max(PRUNE_AFTER, remembered)

    def adopt(self, published: Iterable[Any]) -> None:
        """Start from the published records as the current output.

        Records that belong to no group are retired by the next changes.
        """
        self._end_sifting()
        by_group: dict[str, list[Lesson | GroupSummary]] = {}
        for record in published:
            lesson = decode_lesson(record.value)
            key = group_key(lesson.pattern_key, lesson.action_category)
            by_group.setdefault(key, []).append(lesson)
            if key not in self._groups:
                self._groups[key] = self._learner(
                    lesson.module, lesson.pattern_key, lesson.action_category
                )
        for key, group in self._groups.items():
            group.adopt(by_group.get(key, ()))
            self._schedule.note(key)
        self._histories.adopt(lesson for lessons in by_group.values() for lesson in lessons)

    def changes(self, full: bool) -> list[Outgoing]:
        """Lessons, tombstones and summaries that differ from what is published, of the groups whose
        turn it is (`refit_schedule`); in a full call, also the days of edge histories.
        """
        self._end_sifting()
        records: list[Outgoing] = []
        for group, refit in self._schedule.turn(full, self._version):
            records += self._said(group, refit)
        if full:
            records += self._histories.new_days()
        records += self._rewrites.alerts()
        self._gauges.show(self._groups.values(), self._schedule.owing, self._schedule.held)
        return records

    @property
    def settled(self) -> bool:
        """Whether no group has anything to publish."""
        self._end_sifting()
        return not any(self._schedule.owing) and self._histories.settled and self._rewrites.settled

    @property
    def unfinished(self) -> bool:
        """Whether groups wait for their turn, or for a refit under way."""
        return self._schedule.unfinished

    @property
    def progress(self) -> int | None:
        """The offset before which no group owes a refit.  While facts keep coming, there may always
        be a group that does."""
        return self._schedule.exact_to(self._version) if self._histories.settled else None

    @property
    def needs_rebuild(self) -> bool:
        """Whether a correction moved a window back over trades that had left it."""
        self._end_sifting()
        # Later trades may have moved the window forward again; then nothing is missing.
        self._gaps = self._gaps and any(g.needs_rebuild for g in self._groups.values())
        return self._gaps

    def _said(self, group: GroupLearner, refit: Refit) -> Iterator[Outgoing]:
        SEARCHES_CUT.inc(group.search_cut)
        trace = self._traces.of(group_key(group.pattern_key, group.action_category).encode())
        for lesson in refit.lessons:
            yield from self._histories.note(lesson)
        for lesson_id in refit.retired:
            self._histories.forget(lesson_id)
        outgoing: list[Lesson | GroupSummary] = [*refit.lessons]
        if refit.summary is not None:
            outgoing.append(refit.summary)
        for record in outgoing:
            yield published(self._settings, LESSONS, record, self._version, trace)
        for lesson_id in refit.retired:
            yield tombstone(self._settings, LESSONS, group.module, lesson_id, self._version, trace)

    def _learner(self, module: str, pattern_key: str, category: str) -> GroupLearner:
        config = self._settings.learning_config
        return group_learner(config, module, pattern_key, category, between=True)


def read_facts(part: Part) -> Folded:
    """What folding these facts has left, for the `take_over` of an empty store.

    Runs in a helper process (`app/worker/helpers.py`).  Raises `UnreachableError`, and
    `MemoryError` near the limit of memory.
    """
    configure(part.settings)
    store = GroupStore(part.settings, part.partition)
    asyncio.run(_read(part, store))
    return store.hand_over()


async def _read(part: Part, store: GroupStore) -> None:
    reading = read_part(part.settings, FACTS, part.partition, part.start, part.end)
    async for records, next_offset in reading:
        if is_full():
            raise MemoryError
        await asyncio.to_thread(store.fold, records, next_offset)
