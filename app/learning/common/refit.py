"""The result of a group's refit: the records that differ from the previous output.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.lessons import GroupSummary, Lesson


class Refit(NamedTuple):
    """What changed since the last refit: lessons to publish, ids to retire, and the group's summary
    if it changed."""

    lessons: list[Lesson]
    retired: list[str]
    summary: GroupSummary | None


class RebuildNeeded(RuntimeError):
    """The window lacks trades that belong inside; fold the log again before learning from it."""
