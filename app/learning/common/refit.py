"""What a refit of a group says: the records that differ from what was said before.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.lessons import GroupSummary, Lesson


class Refit(NamedTuple):
    """What changed since the last refit: lessons to publish, ids to retire, and the group's summary if it changed."""

    lessons: list[Lesson]
    retired: list[str]
    summary: GroupSummary | None


class RebuildNeeded(RuntimeError):
    """The window lacks trades that belong inside; fold the log again before learning from it."""


def same_lesson(one: Lesson, other: Lesson | None) -> bool:
    """Whether two lessons say the same, whatever their versions."""
    return (
        other is not None
        and one.n == other.n
        and one.mean == other.mean
        and one.variance == other.variance
        and one.as_of == other.as_of
        and one.evidence.from_ts == other.evidence.from_ts
        and one.evidence.to_ts == other.evidence.to_ts
        and one.decay == other.decay
        and one.scope == other.scope
        and (one.marginal, one.metrics, one.history, one.sketch) == (other.marginal, other.metrics, other.history, other.sketch)
        and (one.learning, one.module, one.pattern_key, one.action_category, one.lesson_id, one.schema_version)
        == (other.learning, other.module, other.pattern_key, other.action_category, other.lesson_id, other.schema_version)
    )


def same_summary(one: GroupSummary, other: GroupSummary | None) -> bool:
    """Whether two summaries say the same, whatever their versions."""
    return other is not None and all(getattr(one, f) == getattr(other, f) for f in one.__struct_fields__ if f != "version")
