"""lesson_builder: owns groups; folds facts into their windows and publishes lessons, the evidence of every slice.

May touch: reads `pattern_trade_events` and its own output; writes `learning_lessons` (key: lesson id) and `learning_edge_history` (key:
lesson id and day), both partitioned by module.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

import msgspec
import structlog

from app.broker import JSON_HEADERS, Outgoing
from app.faust_app import app, settings
from app.learning.common.window import Trade, trade_from_fact
from app.learning.engine import Learner, group_learner
from app.learning.integrated.history import day_text, history_records, withdrawn_days
from app.topics import FACTS, HISTORY, LESSONS, partition_of
from app.worker.metrics import UNREADABLE, WITHOUT_OUTCOME
from app.worker.owner import Owner
from schemas.facts import PatternTradeEvent, group_key
from schemas.lessons import GroupSummary, Lesson

log = structlog.get_logger(__name__)

RETENTION_US = round(settings.log_retention_days * 86_400_000_000)
PRUNE_EVERY = 200_000  # facts; until then the ranks of trades outside every window take some 50 MB
REFIT_S = 1.0  # a refit of a large group takes half of it

_decode_fact = msgspec.json.Decoder(PatternTradeEvent).decode
_decode_lesson = msgspec.json.Decoder(Lesson | GroupSummary).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


class Groups:
    """The groups of one partition of `pattern_trade_events`; the version of what they publish is the offset folded so far."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._groups: dict[str, Learner] = {}
        self._version = 0
        self._folded = 0
        # Edge histories: of each lesson that has one the newest, the one whose days were sent, and the ids where that is not sure.
        self._histories: dict[str, Lesson] = {}
        self._sent_histories: dict[str, Lesson] = {}
        self._doubted: set[str] = set()

    def fold(self, records: Sequence[Any], next_offset: int) -> None:
        """Decode and fold facts, group by group."""
        trades: dict[str, list[Trade]] = {}
        for record in records:
            try:
                fact = _decode_fact(record.value)
                trade = trade_from_fact(fact, settings.outcome)
            except (msgspec.MsgspecError, ValueError, TypeError) as error:
                # Only another program can have written this; ingest's facts can be read.
                UNREADABLE.labels("lesson_builder").inc()
                log.error("fact.unreadable", partition=self._partition, offset=record.offset, error=str(error))
                continue
            key = group_key(fact.pattern_key, fact.action_category)
            if key not in self._groups:
                self._groups[key] = _learner(fact)
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
        """Forget the ranks of trades that closed before what the log holds: no record of them can come again."""
        for group in self._groups.values():
            if len(group.window):
                group.window.prune(group.window.newest_us - RETENTION_US)

    def adopt(self, published: Mapping[bytes, Any]) -> None:
        """Hand what is published to the groups it belongs to; what belongs to no group any more is retired by the next changes."""
        by_group: dict[str, list[Lesson | GroupSummary]] = {}
        for record in published.values():
            if record.value is not None:
                lesson = _decode_lesson(record.value)
                key = group_key(lesson.pattern_key, lesson.action_category)
                by_group.setdefault(key, []).append(lesson)
                if key not in self._groups:
                    self._groups[key] = _learner(lesson)
        for key, group in self._groups.items():
            group.adopt(by_group.get(key, ()))
        self._histories = {lesson.lesson_id: lesson for records in by_group.values() for lesson in records if _has_history(lesson)}
        # Whether a predecessor came to send all days is not known: once more does no harm.
        self._sent_histories, self._doubted = dict(self._histories), set(self._histories)

    def changes(self, full: bool) -> list[Outgoing]:
        """Lessons, tombstones and summaries that differ from what is published; in a full call also what is new in edge histories.

        After REFIT_S the groups that are left wait for the next call, before those that had their turn: under a burst no group waits for
        the refits of all others before its lessons go out, and facts are taken in between.
        """
        records: list[Outgoing] = []
        until = time.monotonic() + REFIT_S
        for key in [key for key, group in self._groups.items() if group.dirty]:
            group = self._groups.pop(key)
            self._groups[key] = group  # at the end of the line
            records += self._outgoing(group)
            if time.monotonic() > until:
                break
        return records + list(self._new_history()) if full else records

    @property
    def settled(self) -> bool:
        """No group has anything to publish."""
        dirty = any(group.dirty for group in self._groups.values())
        return not dirty and not self._doubted and self._histories == self._sent_histories

    @property
    def needs_rebuild(self) -> bool:
        """A correction moved a window back over trades that had left it."""
        return any(group.needs_rebuild for group in self._groups.values())

    def _outgoing(self, group: Learner) -> Iterator[Outgoing]:
        refit = group.refit(self._version)
        topic, partition = settings.topic(LESSONS), partition_of(group.module, settings.partitions)
        headers = (("version", str(self._version).encode()), *JSON_HEADERS)
        for lesson in refit.lessons:
            yield from self._withdrawn(lesson)
            if _has_history(lesson):
                self._histories[lesson.lesson_id] = lesson
            else:
                self._histories.pop(lesson.lesson_id, None)
        for lesson_id in refit.retired:
            self._histories.pop(lesson_id, None)
        records: list[Lesson | GroupSummary] = [*refit.lessons]
        if refit.summary is not None:
            records.append(refit.summary)
        for record in records:
            yield Outgoing(topic, partition, record.lesson_id.encode(), _encode(record), headers)
        for lesson_id in refit.retired:
            yield Outgoing(topic, partition, lesson_id.encode(), None, headers)

    def _withdrawn(self, lesson: Lesson) -> Iterator[Outgoing]:
        """Tombstones of days that were sent and are no more; with the lesson, for a successor knows of the days of published lessons only.

        What is retired, or no longer chosen, keeps its days: they are what was known then.
        """
        sent = self._sent_histories.get(lesson.lesson_id)
        if sent is None or not lesson.history:
            return
        if days := withdrawn_days(lesson, sent):
            left = tuple(cell for cell in sent.history if cell.day not in days)
            self._sent_histories[lesson.lesson_id] = msgspec.structs.replace(sent, history=left)
        for day in sorted(days):
            yield _day_of(lesson, day_text(day), None)

    def _new_history(self) -> Iterator[Outgoing]:
        """The days of edge histories that say something else than what was sent of them."""
        for lesson_id, lesson in self._histories.items():
            sent = None if lesson_id in self._doubted else self._sent_histories.get(lesson_id)
            if lesson is not sent:
                for day in history_records(lesson, sent):
                    yield _day_of(lesson, day.day, _encode(day))
        self._sent_histories, self._doubted = dict(self._histories), set()


def _day_of(lesson: Lesson, day: str, value: bytes | None) -> Outgoing:
    headers = (("version", str(lesson.version).encode()), *JSON_HEADERS)
    partition = partition_of(lesson.module, settings.partitions)
    return Outgoing(settings.topic(HISTORY), partition, f"{lesson.lesson_id}|{day}".encode(), value, headers)


def _has_history(record: Lesson | GroupSummary) -> TypeGuard[Lesson]:
    return isinstance(record, Lesson) and bool(record.history)


def _learner(record: PatternTradeEvent | Lesson | GroupSummary) -> Learner:
    return group_learner(settings.learning_config, record.module, record.pattern_key, record.action_category)


def route(record: Any) -> int | None:
    """The partition of `pattern_trade_events` whose owner publishes this lesson; None if it is none."""
    try:
        lesson = _decode_lesson(record.value)
    except msgspec.MsgspecError:
        return None
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
