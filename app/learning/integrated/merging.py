"""Merging: effects of several groups that rest on the same trades are one piece of evidence, and
one of them represents it.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.learning.integrated.group_path import GroupPath
from app.learning.integrated.held_lesson import AnyLesson
from app.learning.integrated.latent_factors import Factor
from app.learning.integrated.net_of_segments import Effect
from schemas.lessons import GroupSummary

Group = tuple[str, str]
"""(pattern key, category)."""


def representatives(
    chosen: Mapping[str, AnyLesson], factor_of: Mapping[str, Factor]
) -> dict[str, str]:
    """Which effect represents each chosen effect that several groups share.

    A factor's first effect by trades, generality and id represents the others.  Within a group
    every chosen effect counts, so of each group only the one most like the representative (the
    first) is merged.

    Parameters
    ----------
    chosen
        Chosen effects' lessons, by id.
    factor_of
        The factor of each lesson that is in one.

    Returns
    -------
    Lesson id → lesson id of its representative, which may be itself; lessons in no factor are
    missing.
    """
    members: dict[str, list[AnyLesson]] = {}
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


def represented_by(effect: Effect, source: Effect) -> Effect:
    """An effect with the size of its representative.

    Parameters
    ----------
    effect
        The effect.
    source
        Its representative's.

    Returns
    -------
    `effect` with the size, errors and decay of `source`.
    """
    return effect._replace(
        raw=source.raw,
        sd=source.sd,
        effect=source.effect,
        effect_sd=source.effect_sd,
        decay=source.decay,
        as_of=source.as_of,
    )


class Leads:
    """The representatives of the chosen effects of a module, while groups and factors change."""

    def __init__(self) -> None:
        self._chosen: dict[str, tuple[Group, AnyLesson, float]] = {}
        self._of_group: dict[Group, tuple[str, ...]] = {}
        self._factor: dict[str, Factor] = {}  # of chosen effects that are in one
        self._members: dict[str, set[str]] = {}  # chosen effects by factor id
        self._lead: dict[str, str] = {}
        self._followers: dict[str, set[str]] = {}

    def lead(self, lesson_id: str) -> str:
        """The representative of a chosen effect; in most cases itself.

        Parameters
        ----------
        lesson_id
            Id of the effect.

        Returns
        -------
        Id of its representative.
        """
        return self._lead.get(lesson_id, lesson_id)

    def statistic(self, lesson_id: str) -> float:
        """|z| of the representative of a chosen effect.

        Parameters
        ----------
        lesson_id
            Id of the effect.

        Returns
        -------
        The statistic.
        """
        return self._chosen[self.lead(lesson_id)][2]

    def home(self, lesson_id: str) -> Group:
        """The group of a chosen effect.

        Parameters
        ----------
        lesson_id
            Id of the effect.

        Returns
        -------
        Pattern key and category.
        """
        return self._chosen[lesson_id][0]

    def followers(self, groups: Iterable[Group]) -> set[Group]:
        """The groups with an effect whose representative is in one of these groups.

        Parameters
        ----------
        groups
            The groups.

        Returns
        -------
        The groups that follow them.
        """
        return {
            self._chosen[follower][0]
            for group in groups
            for i in self._of_group.get(group, ())
            for follower in self._followers.get(i, ())
        }

    def update(
        self,
        paths: Mapping[Group, GroupPath | None],
        factor_of: Mapping[str, Factor],
        refactored: Iterable[str],
    ) -> set[Group]:
        """Apply what has changed.

        Parameters
        ----------
        paths
            Paths of the groups that have changed; None for a group that has none any more.
        factor_of
            Latent factors by lesson id.
        refactored
            Lessons whose factor has changed.

        Returns
        -------
        The groups in which a representative, or its |z|, may have changed.
        """
        stale: set[str] = set()
        for group, path in paths.items():
            for i in self._of_group.pop(group, ()):
                del self._chosen[i]
                self._assign(i, None, stale)
            if path is not None:
                self._of_group[group] = path.path.lesson_ids
                for i, z in zip(path.path.lesson_ids, path.path.statistics, strict=True):
                    self._chosen[i] = group, path.lessons[i], z
                    self._assign(i, factor_of.get(i), stale)
        for i in refactored:
            if i in self._chosen:
                self._assign(i, factor_of.get(i), stale)
        return {group for factor_id in stale for group in self._lead_anew(factor_id)}

    def _assign(self, lesson_id: str, factor: Factor | None, stale: set[str]) -> None:
        old = self._factor.pop(lesson_id, None)
        if old is not None:
            stale.add(old.factor_id)
            self._members[old.factor_id].discard(lesson_id)
            lead = self._lead.pop(lesson_id, lesson_id)
            self._followers.get(lead, set()).discard(lesson_id)
            self._followers.pop(lesson_id, None)
        if factor is not None:
            stale.add(factor.factor_id)
            self._factor[lesson_id] = factor
            self._members.setdefault(factor.factor_id, set()).add(lesson_id)

    def _lead_anew(self, factor_id: str) -> set[Group]:
        members = self._members.get(factor_id, set())
        if not members:
            self._members.pop(factor_id, None)
            return set()
        for i in members:
            self._lead.pop(i, None)
            self._followers.pop(i, None)
        chosen = {i: self._chosen[i][1] for i in members}
        for i, lead in representatives(chosen, self._factor).items():
            if lead != i:
                self._lead[i] = lead
                self._followers.setdefault(lead, set()).add(i)
        return {self._chosen[i][0] for i in members}


def group_of(lesson: AnyLesson | GroupSummary) -> Group:
    """The group of a lesson or a summary.

    Parameters
    ----------
    lesson
        The record.

    Returns
    -------
    Pattern key and category.
    """
    return lesson.pattern_key, lesson.action_category
