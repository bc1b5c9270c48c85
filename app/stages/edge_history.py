"""The days of edge histories that differ from those sent before.

May touch: nothing but its arguments.

A lesson carries its own history, most of which does not change from one refit to the next, so
digests of the days that were sent are kept.  Days that have left the window, or whose lesson is
retired or no longer chosen, stay: they record what was known then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from app.kafka.records import Outgoing, published, tombstone
from app.learning.integrated.effect_history import (
    DAY_DIGEST_BYTES,
    day_digests,
    day_text,
    history_records,
    withdrawn_days,
)
from app.settings import Settings
from schemas.kinds import HISTORY
from schemas.lessons import GroupSummary, HistoryCell, Lesson

_DAY_BYTES = 4
_CELL_BYTES = _DAY_BYTES + DAY_DIGEST_BYTES


class EdgeHistories:
    """The days that were sent of each lesson with a history, and the lessons whose days are due."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sent: dict[str, bytes] = {}  # packed digests of days, by lesson id
        self._due: dict[str, Lesson] = {}
        self._retired: set[str] = set()  # since days were last sent
        self._doubted: set[str] = set()  # lessons of which it is not sure that all days were sent
        self._seen: dict[str, tuple[HistoryCell, ...]] = {}  # the latest history

    def adopt(self, records: Iterable[Lesson | GroupSummary]) -> None:
        """Adopt the published lessons.

        A predecessor may not have sent all days, so they are sent again.
        """
        self._due = {r.lesson_id: r for r in records if isinstance(r, Lesson) and r.history}
        self._sent = {i: _packed(day_digests(lesson)) for i, lesson in self._due.items()}
        self._doubted, self._retired, self._seen = set(self._due), set(), {}

    def note(self, lesson: Lesson) -> Iterator[Outgoing]:
        """Take in a lesson that is being sent; yields the tombstones that belong to it.

        They are for days that were sent and no longer exist: a successor knows only the days of
        published lessons.
        """
        i = lesson.lesson_id
        if not lesson.history:
            self.forget(i)
            return
        if self._seen.get(i) is lesson.history:
            return  # sent between two refits, with the days of the last one
        self._seen[i] = lesson.history
        self._retired.discard(i)
        sent = self._sent.get(i)
        if sent is not None:
            now, known = day_digests(lesson), _unpacked(sent)
            if now == known and i not in self._due:
                return
            yield from self._withdrawn(lesson, known)
        self._due[i] = lesson

    def forget(self, lesson_id: str) -> None:
        """The lesson is retired, or has no history any more."""
        self._due.pop(lesson_id, None)
        self._seen.pop(lesson_id, None)
        if lesson_id in self._sent:
            self._retired.add(lesson_id)

    def new_days(self) -> Iterator[Outgoing]:
        """The days that differ from those sent before, which then count as sent."""
        for i, lesson in self._due.items():
            sent = None if i in self._doubted else self._sent.get(i)
            for day in history_records(lesson, {} if sent is None else _unpacked(sent)):
                yield published(self._settings, HISTORY, day, lesson.version)
            self._sent[i] = _packed(day_digests(lesson))
        for i in self._retired:
            del self._sent[i]
        self._due, self._retired, self._doubted, self._seen = {}, set(), set(), {}

    @property
    def settled(self) -> bool:
        """Whether there is no day to send."""
        return not (self._due or self._retired)

    def _withdrawn(self, lesson: Lesson, known: dict[int, bytes]) -> Iterator[Outgoing]:
        days = withdrawn_days(lesson, known)
        if days:
            left = {day: digest for day, digest in known.items() if day not in days}
            self._sent[lesson.lesson_id] = _packed(left)
        for day in sorted(days):
            key = f"{lesson.lesson_id}|{day_text(day)}"
            yield tombstone(self._settings, HISTORY, lesson.module, key, lesson.version)


def _packed(digests: dict[int, bytes]) -> bytes:
    return b"".join([day.to_bytes(_DAY_BYTES, "big") + digest for day, digest in digests.items()])


def _unpacked(packed: bytes) -> dict[int, bytes]:
    return {
        int.from_bytes(packed[at : at + _DAY_BYTES], "big"): packed[
            at + _DAY_BYTES : at + _CELL_BYTES
        ]
        for at in range(0, len(packed), _CELL_BYTES)
    }
