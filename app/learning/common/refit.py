"""The result of a group's refit: the records that differ from the previous output.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from schemas.lessons import GroupSummary, Lesson


class Refit(NamedTuple):
    """What a refit has changed.

    Attributes
    ----------
    lessons
        Lessons to publish.
    retired
        Ids to retire.
    summary
        The group's summary, if it has changed.
    """

    lessons: list[Lesson]
    retired: list[str]
    summary: GroupSummary | None


class RebuildNeeded(RuntimeError):
    """The window lacks trades that belong inside; fold the log again before learning from it."""


class Work(Protocol):
    """A refit that was begun: `run` may be called on any thread, while the group folds on."""

    def run(self) -> None: ...
