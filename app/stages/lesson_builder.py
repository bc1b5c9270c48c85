"""lesson_builder: folds facts into the windows of their groups and makes lessons of them.

May touch: nothing but its arguments, and the monotonic clock.  A lesson is the evidence of a slice.

What comes is told twice: at once and cheaply by `provisional`, from what the last refit of its
group chose; and exactly by a refit, when the group has been quiet, when its outcome can have
changed, or after some time.  The clock decides when, never what: once nothing is owed, what is
published is a function of the facts.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import structlog

from app.learning.common.event_time import DAY_US
from app.learning.common.refit import Refit
from app.learning.common.window import Trade, trade_from_fact
from app.learning.engine import Learner, group_learner
from app.learning.integrated.between import DUE_PART
from app.log.records import Outgoing, partition_of, published, tombstone
from app.metrics import UNREADABLE, WITHOUT_OUTCOME
from app.settings import Settings
from app.stages.edge_history import EdgeHistories
from schemas.facts import PatternTradeEvent, group_key
from schemas.kinds import FACTS, LESSONS
from schemas.lessons import GroupSummary, Lesson

log = structlog.get_logger(__name__)

PRUNE_EVERY = 200_000
"""Facts.  Until then the ranks of trades outside every window take some 50 MB."""
REFIT_S = 1.0
"""Refits of one call, while nothing comes."""
BUSY_S = 0.1
"""Refits of one call, while facts come: as long as they last nothing else is told."""
REST = 3.0
"""While facts come, refits rest so many times as long as they took."""
QUIET_S = 0.5
"""A group that got nothing for so long is refitted."""
LATEST_S = 10.0
"""So is a group that has waited for so long, however much it gets."""

_decode_fact = msgspec.json.Decoder(PatternTradeEvent).decode
_decode_lesson = msgspec.json.Decoder(Lesson | GroupSummary).decode


class Wait(NamedTuple):
    """When the first and the last came of what a group was not refitted with (monotonic clock)."""

    first_s: float
    last_s: float


UNKNOWN = Wait(0.0, 0.0)


class LessonBuilder:
    """The stage as `app.ownership` runs it."""

    role = "lesson_builder"
    source = FACTS
    outputs = (LESSONS,)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def new_store(self, partition: int) -> GroupStore:
        """An empty store of one partition of facts."""
        return GroupStore(self._settings, partition)

    def route(self, record: Any) -> int | None:
        """The partition of facts whose owner publishes this lesson; None if it cannot be read."""
        try:
            lesson = _decode_lesson(record.value)
        except msgspec.MsgspecError:
            return None
        group = group_key(lesson.pattern_key, lesson.action_category)
        return partition_of(group, self._settings.partitions)


class GroupStore:
    """The groups of one partition of facts.

    The version of what they publish is the offset folded so far.
    """

    def __init__(self, settings: Settings, partition: int) -> None:
        self._settings = settings
        self._partition = partition
        self._retention_us = round(settings.log_retention_days * DAY_US)
        self._groups: dict[str, Learner] = {}
        self._waiting: dict[str, Wait] = {}
        self._touched: dict[str, None] = {}
        self._rest_until_s = 0.0
        self._version = 0
        self._folded = 0
        self._histories = EdgeHistories(settings)

    def fold(self, records: Sequence[Any], next_offset: int) -> None:
        """Decode and fold facts, group by group."""
        trades: dict[str, list[Trade]] = {}
        for record in records:
            try:
                fact = _decode_fact(record.value)
                trade = trade_from_fact(fact, self._settings.outcome)
            except (msgspec.MsgspecError, ValueError, TypeError) as error:
                # Only another program can have written this; ingest's facts can be read.
                UNREADABLE.labels(LessonBuilder.role).inc()
                log.error(
                    "fact.unreadable",
                    partition=self._partition,
                    offset=record.offset,
                    error=str(error),
                )
                continue
            key = group_key(fact.pattern_key, fact.action_category)
            if key not in self._groups:
                self._groups[key] = self._learner(fact)
            if trade is None:
                WITHOUT_OUTCOME.inc()
            else:
                trades.setdefault(key, []).append(trade)
        now_s = time.monotonic()
        for key, batch in trades.items():
            self._groups[key].fold(batch)
            self._touched[key] = None
            first = self._waiting[key].first_s if key in self._waiting else now_s
            self._waiting[key] = Wait(first, now_s)
        self._version = next_offset
        self._folded += len(records)
        if self._folded >= PRUNE_EVERY:
            self._folded = 0
            self._prune()

    def _prune(self) -> None:
        """Forget the ranks of trades that the log no longer holds: no record of them can come."""
        for group in self._groups.values():
            if len(group.window):
                group.window.prune(group.window.newest_us - self._retention_us)

    def adopt(self, published: Iterable[Any]) -> None:
        """Take what is published as said.

        What belongs to no group any more is retired by the next changes.
        """
        by_group: dict[str, list[Lesson | GroupSummary]] = {}
        for record in published:
            lesson = _decode_lesson(record.value)
            key = group_key(lesson.pattern_key, lesson.action_category)
            by_group.setdefault(key, []).append(lesson)
            if key not in self._groups:
                self._groups[key] = self._learner(lesson)
        for key, group in self._groups.items():
            group.adopt(by_group.get(key, ()))
        self._histories.adopt(lesson for lessons in by_group.values() for lesson in lessons)

    def changes(self, full: bool) -> list[Outgoing]:
        """Lessons, tombstones and summaries that differ from what is published.

        In a full call also the days of edge histories.  First what came is told provisionally.
        Then groups are refitted: in a full call all that owe one, else those in need (`_line`).
        Those left after some time wait for the next call.
        """
        records: list[Outgoing] = []
        busy, self._touched = self._touched, {}
        for key in busy:
            group = self._groups[key]
            if group.touched:
                records += self._said(group, group.provisional(self._version))
        began_s = time.monotonic()
        until_s = began_s + (BUSY_S if busy else REFIT_S)
        for key in self._line(full, began_s):
            records += self._refit(key)
            ended_s = time.monotonic()
            if not full:
                self._rest_until_s = ended_s + REST * (ended_s - began_s)
            if ended_s > until_s:
                break
        if full:
            records += self._histories.new_days()
        return records

    def _line(self, full: bool, now_s: float) -> list[str]:
        """The groups to be refitted, in the order of their need.

        Those first that have told nothing yet; then by how stale they are, and how long they have
        waited.
        """
        need: dict[str, float] = {}
        for key, group in self._groups.items():
            if not group.dirty:
                continue
            wait = self._waiting.get(key, UNKNOWN)
            late = (now_s - wait.first_s) / LATEST_S
            if group.stale >= 1.0:
                need[key] = np.inf
            elif full or (
                now_s >= self._rest_until_s
                and (group.due or late >= 1.0 or now_s - wait.last_s >= QUIET_S)
            ):
                need[key] = group.stale / DUE_PART + late
        return sorted(need, key=lambda key: -need[key])

    @property
    def settled(self) -> bool:
        """No group has anything to publish."""
        dirty = any(group.dirty for group in self._groups.values())
        return not dirty and self._histories.settled

    @property
    def needs_rebuild(self) -> bool:
        """A correction moved a window back over trades that had left it."""
        return any(group.needs_rebuild for group in self._groups.values())

    def _refit(self, key: str) -> Iterator[Outgoing]:
        group = self._groups[key]
        self._waiting.pop(key, None)
        refit = group.refit(self._version)
        for lesson in refit.lessons:
            yield from self._histories.note(lesson)
        for lesson_id in refit.retired:
            self._histories.forget(lesson_id)
        yield from self._said(group, refit)

    def _said(self, group: Learner, refit: Refit) -> Iterator[Outgoing]:
        said: list[Lesson | GroupSummary] = [*refit.lessons]
        if refit.summary is not None:
            said.append(refit.summary)
        for record in said:
            yield published(self._settings, LESSONS, record, self._version)
        for lesson_id in refit.retired:
            yield tombstone(self._settings, LESSONS, group.module, lesson_id, self._version)

    def _learner(self, record: PatternTradeEvent | Lesson | GroupSummary) -> Learner:
        return group_learner(
            self._settings.learning_config,
            record.module,
            record.pattern_key,
            record.action_category,
            between=True,
        )
