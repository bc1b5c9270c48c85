"""The days of edge histories that differ from those sent before.

May touch: nothing but its arguments.

A lesson carries its own history, most of which stays from one refit to the next: the days that were
sent are known from the lesson that was sent, without a copy.  Days that have left the window, or
whose lesson is retired or no longer chosen, stay: they record what was known then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeGuard

import msgspec

from app.learning.integrated.history import day_text, history_records, withdrawn_days
from app.log.records import Outgoing, published, tombstone
from app.settings import Settings
from schemas.kinds import HISTORY
from schemas.lessons import GroupSummary, Lesson


class EdgeHistories:
    """The newest version of each lesson with a history, and the version whose days were sent."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._newest: dict[str, Lesson] = {}
        self._sent: dict[str, Lesson] = {}
        self._doubted: set[str] = set()  # lessons of which it is not sure that all days were sent

    def adopt(self, records: Iterable[Lesson | GroupSummary]) -> None:
        """Adopt the published lessons.

        A predecessor may not have sent all days, so they are sent again.
        """
        self._newest = {record.lesson_id: record for record in records if _has_history(record)}
        self._sent, self._doubted = dict(self._newest), set(self._newest)

    def note(self, lesson: Lesson) -> Iterator[Outgoing]:
        """Take in a lesson that is being sent; yields the tombstones that belong to it.

        They are for days that were sent and no longer exist: a successor knows only the days of
        published lessons.
        """
        known = self._newest.get(lesson.lesson_id)
        if known is not None and known.history is lesson.history:
            return  # sent between two refits, with the days of the last one
        yield from self._withdrawn(lesson)
        if _has_history(lesson):
            self._newest[lesson.lesson_id] = lesson
        else:
            self._newest.pop(lesson.lesson_id, None)

    def forget(self, lesson_id: str) -> None:
        """The lesson is retired."""
        self._newest.pop(lesson_id, None)

    def new_days(self) -> Iterator[Outgoing]:
        """The days that differ from those sent before, which then count as sent."""
        for lesson_id, lesson in self._newest.items():
            sent = None if lesson_id in self._doubted else self._sent.get(lesson_id)
            if lesson is not sent:
                for day in history_records(lesson, sent):
                    yield published(self._settings, HISTORY, day, lesson.version)
        self._sent, self._doubted = dict(self._newest), set()

    @property
    def settled(self) -> bool:
        """Whether there is no day to send."""
        return not self._doubted and self._newest == self._sent

    def _withdrawn(self, lesson: Lesson) -> Iterator[Outgoing]:
        sent = self._sent.get(lesson.lesson_id)
        if sent is None or not lesson.history:
            return
        days = withdrawn_days(lesson, sent)
        if days:
            left = tuple(cell for cell in sent.history if cell.day not in days)
            self._sent[lesson.lesson_id] = msgspec.structs.replace(sent, history=left)
        for day in sorted(days):
            key = f"{lesson.lesson_id}|{day_text(day)}"
            yield tombstone(self._settings, HISTORY, lesson.module, key, lesson.version)


def _has_history(record: Lesson | GroupSummary) -> TypeGuard[Lesson]:
    return isinstance(record, Lesson) and bool(record.history)
