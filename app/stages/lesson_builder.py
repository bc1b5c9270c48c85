"""lesson_builder: folds facts into the windows of their groups and makes lessons of them.

May touch: nothing but its arguments.  A lesson is the evidence of a slice.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import structlog

from app.learning.common.event_time import DAY_US
from app.learning.common.window import Trade, trade_from_fact
from app.learning.engine import Learner, group_learner
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
"""A refit of a large group takes half of it."""

_decode_fact = msgspec.json.Decoder(PatternTradeEvent).decode
_decode_lesson = msgspec.json.Decoder(Lesson | GroupSummary).decode


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
        for key, batch in trades.items():
            self._groups[key].fold(batch)
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
        """Adopt what is published as the current output.

        Records that belong to no group are retired by the next changes.
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

        In a full call also the days of edge histories.  After `REFIT_S` the groups that are left
        wait for the next call, before those that had their turn: under a burst no group waits for
        the refits of all others before its lessons go out, and facts are taken in between.
        """
        records: list[Outgoing] = []
        until = time.monotonic() + REFIT_S
        for key in [key for key, group in self._groups.items() if group.dirty]:
            group = self._groups.pop(key)
            self._groups[key] = group  # at the end of the line
            records += self._refit(group)
            if time.monotonic() > until:
                break
        if full:
            records += self._histories.new_days()
        return records

    @property
    def settled(self) -> bool:
        """No group has anything to publish."""
        dirty = any(group.dirty for group in self._groups.values())
        return not dirty and self._histories.settled

    @property
    def needs_rebuild(self) -> bool:
        """A correction moved a window back over trades that had left it."""
        return any(group.needs_rebuild for group in self._groups.values())

    def _refit(self, group: Learner) -> Iterator[Outgoing]:
        refit = group.refit(self._version)
        for lesson in refit.lessons:
            yield from self._histories.note(lesson)
        for lesson_id in refit.retired:
            self._histories.forget(lesson_id)
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
        )
