"""The lessons and summaries that a judge holds of its module, group by group.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.learning.common.refit import require_module
from app.learning.integrated.group_path import GroupPath, of_one_refit
from app.learning.integrated.held_lesson import Common, HeldLesson, held, held_summary
from app.learning.integrated.merging import Group, group_of
from edgeloop.identity import slice_id
from schemas.lessons import GroupSummary, Lesson


class HeldGroup:
    """One group: its `lessons` by id, its `summary`, and its `path`, the latest whose lessons all
    come from one refit; `whole_id` is the id of the lesson of the whole group.

    Parameters
    ----------
    module
        The module.
    key
        Pattern key and category.
    """

    __slots__ = ("common", "key", "lessons", "path", "summary", "whole_id")

    def __init__(self, module: str, key: Group) -> None:
        self.key = key
        self.lessons: dict[str, HeldLesson] = {}
        self.common: Common | None = None  # of the lesson that came last
        self.summary: GroupSummary | None = None
        self.path: GroupPath | None = None
        self.whole_id = slice_id(module, *key, {})

    def refresh_path(self) -> None:
        """Bring the path up to date, if the lessons of its refit have all arrived.

        A batch may split what was sent together; until the rest arrives, the previous refit counts.
        """
        summary = self.summary
        if summary is None:
            self.path = None
            return
        if summary.path is None:
            return
        chosen = {i: self.lessons[i] for i in summary.path.lesson_ids if i in self.lessons}
        shared = tuple(lesson for _, lesson in sorted(self.lessons.items()) if lesson.common.shares)
        if of_one_refit(summary, summary.path, chosen, shared):
            self.path = GroupPath(summary, summary.path, chosen, shared)


class HeldLessons:
    """The lessons of one module, by group.

    Parameters
    ----------
    module
        The module.
    """

    def __init__(self, module: str) -> None:
        self.groups: dict[Group, HeldGroup] = {}
        self._module = module
        self._home: dict[str, HeldGroup] = {}  # by id of a lesson or a summary
        # changed since `new_sketches` was last called; None for lessons that are gone
        self._sketches: dict[str, str | None] = {}
        self._touched: set[Group] = set()

    def __len__(self) -> int:
        return len(self._home) - sum(g.summary is not None for g in self.groups.values())

    def fold(self, records: Iterable[Lesson | GroupSummary], retired: Iterable[str] = ()) -> None:
        """Add lessons and group summaries, then drop those that were retired. A later record
        replaces an earlier one with the same id.

        Parameters
        ----------
        records
            Lessons and summaries.
        retired
            Ids of those that no longer hold.

        Raises
        ------
        ValueError
            If a record belongs to another module.
        """
        for record in records:
            require_module(record, self._module)
            key = group_of(record)
            group = self.groups.get(key)
            if group is None:
                group = self.groups[key] = HeldGroup(self._module, key)
            self._touched.add(group.key)
            self._home[record.lesson_id] = group
            if isinstance(record, GroupSummary):
                group.summary = held_summary(record)
            else:
                self._take(group, record)
        for lesson_id in retired:
            home = self._home.pop(lesson_id, None)
            if home is None:
                continue
            self._touched.add(home.key)
            if home.lessons.pop(lesson_id, None) is not None:
                self._sketches[lesson_id] = None
            else:
                home.summary = home.path = None

    def _take(self, group: HeldGroup, lesson: Lesson) -> None:
        old = group.lessons.get(lesson.lesson_id)
        new = group.lessons[lesson.lesson_id] = held(lesson, old, group.common)
        group.common = new.common
        if old is None or old.sketch != new.sketch or old.n != new.n:
            self._sketches[new.lesson_id] = lesson.sketch

    def lesson(self, lesson_id: str) -> HeldLesson:
        """One lesson.

        Parameters
        ----------
        lesson_id
            Its id.

        Returns
        -------
        The lesson as it is held.

        Raises
        ------
        KeyError
            If there is none.
        """
        return self._home[lesson_id].lessons[lesson_id]

    def home(self, lesson_id: str) -> Group | None:
        """The group of a lesson.

        Parameters
        ----------
        lesson_id
            Its id.

        Returns
        -------
        Pattern key and category; None if there is no such lesson.
        """
        group = self._home.get(lesson_id)
        return None if group is None else group.key

    def new_sketches(self) -> dict[str, str | None]:
        """What has changed since the last call.

        Returns
        -------
        Sketches of lessons whose trades have changed, by id; None for lessons that are gone.
        """
        new, self._sketches = self._sketches, {}
        return new

    def touched(self) -> set[Group]:
        """The groups that have changed since the last call; their paths are brought up to date, and
        a group that has nothing left is forgotten.

        Returns
        -------
        Pattern keys and categories.
        """
        touched, self._touched = self._touched, set()
        for key in touched:
            group = self.groups[key]
            group.refresh_path()
            if group.summary is None and not group.lessons:
                del self.groups[key]
        return touched
