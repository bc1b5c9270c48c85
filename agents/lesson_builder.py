"""lesson_builder: owns groups; folds facts into their windows and publishes lessons, the evidence of every slice.

May touch: reads `pattern_trade_events` and its own output; writes `learning_lessons` (key: lesson id; partition: module).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from app.broker import Outgoing
from app.core0.lessons import GroupLessons, LessonRules
from app.faust_app import app, raw_topic, settings
from app.topics import FACTS, LESSONS, partition_of
from app.worker.fatal import die
from app.worker.metrics import UNREADABLE, WITHOUT_OUTCOME
from app.worker.owner import Owner
from schemas.facts import PatternTradeEvent, group_key
from schemas.lessons import GroupSummary, Lesson

log = structlog.get_logger(__name__)

RULES = LessonRules(
    window_us=settings.window_us,
    window_trades=settings.window_trades,
    retention_us=round(settings.log_retention_days * 86_400_000_000),
    n_min=settings.n_min,
    max_dims=settings.max_dims,
    outcome=settings.outcome,
)
HEADERS = (("content-type", b"application/json"), ("schema-version", b"1"))

_decode_fact = msgspec.json.Decoder(PatternTradeEvent).decode
_decode_lesson = msgspec.json.Decoder(Lesson | GroupSummary).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


class Groups:
    """The groups of one partition of `pattern_trade_events`; the version of what they publish is the offset folded so far."""

    def __init__(self, partition: int, patient: bool) -> None:
        self._partition = partition
        self._groups: dict[str, GroupLessons] = {}
        self._patient = patient  # rebuilding: nothing leaves a window before everything was folded
        self._version = 0

    def fold(self, records: Sequence[Any], next_offset: int) -> None:
        """Decode and fold facts, group by group."""
        facts: dict[str, list[PatternTradeEvent]] = {}
        for record in records:
            try:
                fact = _decode_fact(record.value)
            except (msgspec.MsgspecError, TypeError) as error:
                # Only another program can have written this; the log keeps it, the door's dead letters do not.
                UNREADABLE.labels("lesson_builder").inc()
                log.error("fact.unreadable", partition=self._partition, offset=record.offset, error=str(error))
                continue
            facts.setdefault(group_key(fact.pattern_key, fact.action_category), []).append(fact)
        for key, batch in facts.items():
            group = self._groups.get(key)
            if group is None:
                first = batch[0]
                group = self._groups[key] = GroupLessons(first.module, first.pattern_key, first.action_category, RULES)
            WITHOUT_OUTCOME.inc(group.fold(batch, evict=not self._patient))
        self._version = next_offset

    def adopt(self, published: Mapping[bytes, Any], complete: bool) -> None:
        """Hand what is published to the groups it belongs to; what belongs to no group here any more is retired by the next changes."""
        lessons: dict[str, list[Lesson]] = {}
        summaries: dict[str, GroupSummary] = {}
        retired: list[str] = []
        for record in published.values():
            if record.value is None:
                if not complete:
                    retired.append(record.key.decode())
                continue
            lesson = _decode_lesson(record.value)
            key = group_key(lesson.pattern_key, lesson.action_category)
            if key not in self._groups:
                self._groups[key] = GroupLessons(lesson.module, lesson.pattern_key, lesson.action_category, RULES)
            if isinstance(lesson, GroupSummary):
                summaries[key] = lesson
            else:
                lessons.setdefault(key, []).append(lesson)
        for key, group in self._groups.items():
            if complete or retired or key in lessons or key in summaries:
                group.adopt(lessons.get(key, ()), retired, summaries.get(key), complete=complete)

    def changes(self, full: bool) -> list[Outgoing]:
        """Lessons, tombstones and summaries that differ from what is published."""
        self._end_patience()
        return [record for group in self._groups.values() if not group.settled for record in self._outgoing(group, full)]

    @property
    def settled(self) -> bool:
        """No group has anything to publish."""
        return not self._patient and all(group.settled for group in self._groups.values())

    @property
    def needs_rebuild(self) -> bool:
        """A correction moved a window back over trades that had left it."""
        return any(group.needs_rebuild for group in self._groups.values())

    def _end_patience(self) -> None:
        if self._patient:
            self._patient = False
            for group in self._groups.values():
                group.fold(())

    def _outgoing(self, group: GroupLessons, full: bool) -> Iterator[Outgoing]:
        changes = group.changes(self._version, full=full)
        topic, partition = settings.topic(LESSONS), partition_of(group.identity[0], settings.partitions)
        headers = (("version", str(self._version).encode()), *HEADERS)
        for lesson in changes.lessons:
            yield Outgoing(topic, partition, lesson.lesson_id.encode(), _encode(lesson), headers)
        for lesson_id in changes.retired:
            yield Outgoing(topic, partition, lesson_id.encode(), None, headers)
        if changes.summary is not None:
            yield Outgoing(topic, partition, group.summary_id.encode(), _encode(changes.summary), headers)
        elif changes.summary_retired:
            yield Outgoing(topic, partition, group.summary_id.encode(), None, headers)


def route(record: Any) -> int:
    """The partition of `pattern_trade_events` whose owner publishes this lesson."""
    lesson = _decode_lesson(record.value)
    return partition_of(group_key(lesson.pattern_key, lesson.action_category), settings.partitions)


owner = Owner(
    app,
    settings,
    "lesson_builder",
    topic=FACTS,
    outputs=[LESSONS],
    new_state=Groups,
    route=route,
    records_per_second=settings.lessons_per_second,
)


@app.agent(raw_topic(FACTS), concurrency=1, name="lesson_builder")
async def lesson_builder(stream: Any) -> AsyncIterator[None]:
    """Hand every batch to the owner of the partitions' state."""
    async for events in stream.take_events(500, within=0.02):
        try:
            await owner.receive([event.message for event in events])
        except Exception as error:
            die("lesson_builder", error)
        yield
