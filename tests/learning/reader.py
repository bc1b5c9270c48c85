"""A reader of what a group's learner publishes, for either learning method."""

from __future__ import annotations

from app.learning.common.outbox import same
from app.learning.common.refit import Refit
from schemas.lessons import GroupSummary, Lesson


class PublishedReader:
    """Keeps the published records, and checks that none is published or retired twice."""

    def __init__(self) -> None:
        self.lessons: dict[str, Lesson] = {}
        self.summary: GroupSummary | None = None

    def read(self, refit: Refit) -> None:
        for lesson in refit.lessons:
            assert not same(lesson, self.lessons.get(lesson.lesson_id)), (
                "an unchanged lesson is not published again"
            )
            self.lessons[lesson.lesson_id] = lesson
        for lesson_id in refit.retired:
            if self.lessons.pop(lesson_id, None) is None:
                assert self.summary is not None
                assert lesson_id == self.summary.lesson_id
                self.summary = None
        if refit.summary is not None:
            assert not same(refit.summary, self.summary)
            self.summary = refit.summary

    def published(self) -> list[Lesson | GroupSummary]:
        return [*self.lessons.values(), *([self.summary] if self.summary else [])]
