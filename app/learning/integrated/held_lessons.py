"""The lessons and summaries that a judge holds of its module, and the groups whose lessons are all
of one refit.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from sys import intern

from msgspec import structs

from app.learning.integrated.merging import Group, group_of
from app.learning.integrated.paths import GroupPath, of_one_refit
from schemas.lessons import GroupSummary, Lesson


class HeldLessons:
    """The lessons of one module, `lessons` and `summaries` by id."""

    def __init__(self, module: str) -> None:
        self.lessons: dict[str, Lesson] = {}
        self.summaries: dict[str, GroupSummary] = {}
        self._module = module
        # sketches that were not yet asked for, None of lessons that are gone
        self._sketches: dict[str, str | None] = {}
        # groups of which something has come or gone, and lessons with a shared effect by group
        self._touched: set[Group] = set()
        self._sharers: dict[Group, dict[str, Lesson]] = {}
        # the last of each group whose lessons were all of one refit
        self._paths: dict[str, GroupPath] = {}

    def fold(self, records: Iterable[Lesson | GroupSummary], retired: Iterable[str] = ()) -> None:
        """Take in lessons and group summaries, then the ids of those that were retired.  A later
        record replaces an earlier one of its id.

        Raises `ValueError` if a record is another module's.
        """
        for record in records:
            if record.module != self._module:
                raise ValueError(
                    f"The record {record.lesson_id} is of module {record.module!r}, not of"
                    f" {self._module!r}."
                )
            self._touched.add(group_of(record))
            if isinstance(record, GroupSummary):
                self.summaries[record.lesson_id] = record
            else:
                self._take(record)
        for lesson_id in retired:
            gone = self.lessons.pop(lesson_id, None)
            if gone is not None:
                self._sketches[lesson_id] = None
                self._touched.add(group_of(gone))
                self._sharers.get(group_of(gone), {}).pop(lesson_id, None)
            self.summaries.pop(lesson_id, None)

    def _take(self, lesson: Lesson) -> None:
        old = self.lessons.get(lesson.lesson_id)
        held = self.lessons[lesson.lesson_id] = _compact(lesson)
        if old is None or old.sketch != held.sketch or old.n != held.n:
            self._sketches[lesson.lesson_id] = lesson.sketch
        sharers = self._sharers.setdefault(group_of(held), {})
        if held.marginal is not None and held.marginal.shared:
            sharers[held.lesson_id] = held
        else:
            sharers.pop(held.lesson_id, None)

    def new_sketches(self) -> dict[str, str | None]:
        """The sketches of lessons whose trades have changed since the last call, None of lessons
        that are gone."""
        new, self._sketches = self._sketches, {}
        return new

    def whole_groups(self) -> list[GroupPath]:
        """Each group's path with its lessons, all of one refit: a batch may part what was sent
        together.

        Until the rest has arrived the refit before counts.
        """
        for key, summary in self.summaries.items():
            if group_of(summary) not in self._touched:
                continue
            path = summary.path
            lessons = (
                {}
                if path is None
                else {i: self.lessons[i] for i in path.lesson_ids if i in self.lessons}
            )
            sharers = self._sharers.get(group_of(summary), {})
            shared = tuple(lesson for _, lesson in sorted(sharers.items()))
            if path is not None and of_one_refit(summary, path, lessons, shared):
                self._paths[key] = GroupPath(summary, path, lessons, shared)
        self._touched = set()
        self._paths = {
            key: whole for key, whole in sorted(self._paths.items()) if key in self.summaries
        }
        return list(self._paths.values())


def _compact(lesson: Lesson) -> Lesson:
    """The lesson as it is held: a module has very many, and their texts are mostly the same.  A
    digest of its sketch tells whether it is another.
    """
    sketch = lesson.sketch and blake2b(lesson.sketch.encode(), digest_size=8).hexdigest()
    return structs.replace(
        lesson,
        sketch=sketch,
        learning=intern(lesson.learning),
        module=intern(lesson.module),
        pattern_key=intern(lesson.pattern_key),
        action_category=intern(lesson.action_category),
        scope={intern(name): intern(value) for name, value in lesson.scope.items()},
        as_of=intern(lesson.as_of),
        evidence=structs.replace(
            lesson.evidence,
            from_ts=intern(lesson.evidence.from_ts),
            to_ts=intern(lesson.evidence.to_ts),
        ),
    )
