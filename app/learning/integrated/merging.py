"""Merging: effects of several groups that the same trades made are one piece of evidence, and one
of them speaks for it.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from app.learning.integrated.factors import Factor
from app.learning.integrated.netting import Effect
from schemas.lessons import GroupSummary, Lesson

Group = tuple[str, str]
"""(pattern key, category)."""


def representatives(
    chosen: Mapping[str, Lesson], factor_of: Mapping[str, Factor]
) -> dict[str, str]:
    """Chosen effect → the effect of another group that is the same evidence, or itself: a factor's
    first by trades, generality, id.

    Within a group every chosen effect counts, so of each group only the one most like the
    representative (the first) is merged.
    """
    members: dict[str, list[Lesson]] = {}
    for i, lesson in chosen.items():
        if i in factor_of:
            members.setdefault(factor_of[i].factor_id, []).append(lesson)
    lead: dict[str, str] = {}
    for lessons in members.values():
        lessons.sort(key=lambda x: (-x.n, len(x.scope), x.lesson_id))
        seen: set[Group] = set()
        for lesson in lessons:
            group = group_of(lesson)
            if group not in seen:
                lead[lesson.lesson_id] = lessons[0].lesson_id
                seen.add(group)
    return lead


def merged(effects: Mapping[str, Effect], lead: Mapping[str, str]) -> dict[str, Effect]:
    """The effects, each with the size that its representative has."""
    found = dict(effects)
    for i, representative in lead.items():
        if i != representative and i in found and representative in found:
            source = found[representative]
            found[i] = found[i]._replace(
                raw=source.raw,
                sd=source.sd,
                effect=source.effect,
                effect_sd=source.effect_sd,
                decay=source.decay,
                as_of=source.as_of,
            )
    return found


def silent_members(
    factors: Iterable[Factor], effects: Container[str], lessons: Mapping[str, Lesson]
) -> dict[tuple[str, Group], list[str]]:
    """Lessons of each factor (by its id) and group that have no effect themselves: an override of
    both speaks for their trades."""
    silent: dict[tuple[str, Group], list[str]] = {}
    for factor in factors:
        for i in factor.members:
            if i not in effects:
                silent.setdefault((factor.factor_id, group_of(lessons[i])), []).append(i)
    return silent


def group_of(lesson: Lesson | GroupSummary) -> Group:
    """The group that a lesson or a summary is of."""
    return lesson.pattern_key, lesson.action_category
