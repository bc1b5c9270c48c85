"""The effects of a module, group by group: the result of each step of the judgement, computed again
only where one of its inputs has changed.

May touch: nothing but its arguments.  What other groups contribute to a judgement (the bar,
baselines, weights, shares) is on grids.  Each step compares its result with the one before, so that
a change stops where it no longer matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.learning.common.baselines import SegmentBaselines, on_error_grid
from app.learning.common.columns import Columns
from app.learning.common.config import LearningConfig
from app.learning.integrated.category_weights import Weighing
from app.learning.integrated.chosen_and_shared import (
    SharedPart,
    shared_part,
    shared_weight,
    with_shared,
)
from app.learning.integrated.error_rate import entry_log_p, z_of_log_p
from app.learning.integrated.group_path import GroupPath, blended
from app.learning.integrated.held_lessons import HeldLessons
from app.learning.integrated.latent_factors import Factor
from app.learning.integrated.learner_weight import Counts, HalfLives
from app.learning.integrated.merging import Group, Leads, represented_by
from app.learning.integrated.net_of_segments import (
    RAMP_SDS,
    AnyEffect,
    Effect,
    netted,
    path_ramps,
)
from app.learning.integrated.whole_groups import (
    Level,
    added_of,
    level_of,
    share_of,
    varies,
    whole_effect,
)
from schemas.lessons import Fit

BAR_DIGITS = 3
"""Digits to which the number of hypotheses is rounded up: the bar does not move with each one."""


class JudgedGroup:
    """The judgement of one group, step by step.

    Parameters
    ----------
    key
        Pattern key and category.
    path
        Its path.
    """

    __slots__ = (
        "effects",
        "fit",
        "key",
        "level",
        "own",
        "part",
        "part_of",
        "path",
        "ramps",
        "statistics",
        "whole",
        "whole_of",
    )

    def __init__(self, key: Group, path: GroupPath) -> None:
        self.key = key
        self.path = path
        self.statistics: list[float] = []  # of the chosen effects, or of their representatives
        self.ramps: list[float] | None = None
        self.fit: Fit = path.path.fits[0]
        self.level: Level | None = None
        self.own: dict[str, Effect] = {}  # chosen effects that are phased in, before merging
        self.part_of: tuple[object, ...] = ()
        self.part = SharedPart({}, {}, 0.0)
        self.whole_of: tuple[object, ...] = ()
        self.whole: Effect | None = None
        self.effects: dict[str, AnyEffect] = {}


class JudgedGroups:
    """The effects of the groups of one module; `counts` by category, `shares` by group, `searched`
    and `bar` as in `judge.Standings`.

    Parameters
    ----------
    config
        The settings.
    """

    def __init__(self, config: LearningConfig) -> None:
        self.counts: dict[str, Counts] = {}
        self.searched, self.bar = 0, 0.0
        self._config = config
        self._judged: dict[Group, JudgedGroup] = {}
        self._leads = Leads()
        self._weighing: dict[str, Weighing] = {}
        self._totals: Columns[Group] = Columns(
            3
        )  # hypotheses, home trades, what effects add to all of them
        self._ground: tuple[object, ...] = ()
        self._scale = 0.0

    @property
    def shares(self) -> dict[Group, float]:
        """The persistent share of each group that has one."""
        return {g: share for w in self._weighing.values() for g, share in w.shares.items()}

    @property
    def half_lives(self) -> dict[Group, HalfLives]:
        """The weights of half-lives in each group."""
        return {group: self._weighing[group[1]].half_lives_of(group) for group in self._judged}

    def effects(self, group: Group) -> Mapping[str, AnyEffect]:
        """The effects of a group.

        Parameters
        ----------
        group
            Pattern key and category.

        Returns
        -------
        The effects, by lesson id.
        """
        judged = self._judged.get(group)
        return {} if judged is None else judged.effects

    def chosen(self, group: Group) -> Iterable[AnyEffect]:
        """The effects of the chosen slices of a group.

        Parameters
        ----------
        group
            Pattern key and category.

        Returns
        -------
        The effects.
        """
        judged = self._judged.get(group)
        if judged is None:
            return ()
        path = judged.path.path.lesson_ids
        return [judged.effects[i] for i in path if i in judged.effects]

    def all_effects(self) -> dict[str, AnyEffect]:
        """All effects of the module, by lesson id."""
        return {i: e for judged in self._judged.values() for i, e in judged.effects.items()}

    def update(
        self,
        held: HeldLessons,
        touched: set[Group],
        factor_of: Mapping[str, Factor],
        refactored: Iterable[str],
        baselines: SegmentBaselines,
        scale: float,
    ) -> set[Group]:
        """Apply what has changed.

        Parameters
        ----------
        held
            The lessons of the module.
        touched
            Groups of which a lesson or the summary has changed.
        factor_of
            Latent factors by lesson id.
        refactored
            Lessons whose factor has changed.
        baselines
            The baselines, on their grid.
        scale
            Units of the outcome per unit of size.

        Returns
        -------
        The groups whose effects have changed.
        """
        fresh = self._take(held, touched)
        paths = {g: self._judged[g].path if g in self._judged else None for g in fresh}
        met = self._leads.update(paths, factor_of, refactored) & self._judged.keys()
        fresh &= self._judged.keys()
        searched = rounded_up(round(self._totals.total(0)))
        rebarred, self.searched = searched != self.searched, searched
        self.bar = z_of_log_p(entry_log_p(self._config.alpha, searched))
        refitted = self._fit(self._judged.keys() if rebarred else fresh | met) | fresh
        added = added_of(self._totals.total(2), self._totals.total(1))
        added, _ = on_error_grid(added, baselines.elsewhere[1], scale)
        ground = (added, baselines.means, baselines.variances, baselines.elsewhere)
        moved, self._ground = ground != self._ground, ground
        stale = self._level(self._judged.keys() if moved else refitted, added, baselines)
        stale |= refitted
        late = set(stale)
        for category, weighing in sorted(self._weighing.items()):
            half_lives, spread = weighing.settle_levels(scale)
            stale |= half_lives & self._judged.keys()
            late.update([g for g in self._judged if g[1] == category] if spread else ())
        owned = self._net(self._judged.keys() if moved or rebarred else stale | met, baselines)
        late |= owned | self._leads.followers(owned) | (touched & self._judged.keys())
        late |= self._weigh()
        if scale != self._scale or rebarred:
            late = set(self._judged)
        self._scale = scale
        gone = touched - self._judged.keys()
        return {g for g in late if self._finish(self._judged[g], held, scale)} | gone

    def _take(self, held: HeldLessons, touched: set[Group]) -> set[Group]:
        """The groups whose path has changed, or that are gone."""
        fresh: set[Group] = set()
        for key in touched:
            group = held.groups.get(key)
            path = None if group is None else group.path
            judged = self._judged.get(key)
            if path is None:
                if judged is not None:
                    del self._judged[key]
                    self._totals.drop(key)
                    self._weighing[key[1]].drop(key)
                    if not len(self._weighing[key[1]]):
                        del self._weighing[key[1]]
                    fresh.add(key)
            elif judged is None or judged.path is not path:
                self._judged[key] = new = JudgedGroup(key, path)
                if judged is not None:
                    new.effects = judged.effects
                if key[1] not in self._weighing:
                    self._weighing[key[1]] = Weighing(self._config)
                self._weighing[key[1]].take(key, path.summary)
                self._totals.put(key, (path.path.hypotheses + 1, 0, 0))
                fresh.add(key)
        return fresh

    def _fit(self, groups: Iterable[Group]) -> set[Group]:
        """Blend the fits of groups by how far their effects are phased in; returns the groups of
        which either has changed."""
        changed: set[Group] = set()
        for key in groups:
            judged = self._judged[key]
            statistics = [self._leads.statistic(i) for i in judged.path.path.lesson_ids]
            ramps = path_ramps(statistics, self.bar)
            if statistics != judged.statistics:
                judged.statistics = statistics
                changed.add(key)
            if ramps == judged.ramps:
                continue
            judged.ramps = ramps
            judged.fit = blended(judged.path.path.fits, ramps)
            n, shift = share_of(judged.path, judged.fit)
            self._totals.put(key, (judged.path.path.hypotheses + 1, n, n * shift))
            changed.add(key)
        return changed

    def _level(
        self, groups: Iterable[Group], added: float, baselines: SegmentBaselines
    ) -> set[Group]:
        """Apply the levels of groups; returns the groups whose level has changed."""
        changed: set[Group] = set()
        for key in groups:
            judged = self._judged[key]
            level = level_of(judged.path, judged.fit, baselines, added)
            if level != judged.level:
                judged.level = level
                self._weighing[key[1]].take_level(key, level)
                changed.add(key)
        return changed

    def _net(self, groups: Iterable[Group], baselines: SegmentBaselines) -> set[Group]:
        """The chosen effects of groups, net of baselines; returns the groups of which any
        has changed."""
        changed: set[Group] = set()
        for key in groups:
            judged = self._judged[key]
            weighing, path = self._weighing[key[1]], judged.path
            own = {
                i: netted(
                    path.lessons[i],
                    path,
                    judged.fit,
                    j,
                    judged.statistics[j - 1],
                    self.bar,
                    baselines,
                    weighing.half_lives_of(key),
                )
                for j, i in enumerate(path.path.lesson_ids[: len(judged.ramps or ())], 1)
            }
            weighing.take_ramp(key, max([e.ramp for e in own.values()], default=0.0))
            if own != judged.own:
                judged.own = own
                changed.add(key)
        return changed

    def _weigh(self) -> set[Group]:
        """Weigh each learner; returns the groups for which its weight has changed."""
        changed: set[Group] = set()
        counts: dict[str, Counts] = {}
        for category, weighing in sorted(self._weighing.items()):
            changed |= weighing.settle_shares()
            counts[category] = weighing.counts(self.bar, RAMP_SDS, len(self._weighing))
        # One category that opens opens the module: its tests share the error rate.
        is_open = max((c.open for c in counts.values()), default=0.0)
        counts = {category: c._replace(open=is_open) for category, c in counts.items()}
        before, self.counts = self.counts, counts
        changed &= self._judged.keys()
        weighed = {c for c in counts if c not in before or before[c].whole() != counts[c].whole()}
        return changed | {g for g in self._judged if g[1] in weighed} if weighed else changed

    def _finish(self, judged: JudgedGroup, held: HeldLessons, scale: float) -> bool:
        """Collect all effects of a group; returns whether any has changed."""
        own = {i: self._represented(i, effect) for i, effect in judged.own.items()}
        found = {**own, **self._of_whole(judged, own, held, scale)}
        before = judged.effects
        for i, effect in found.items():
            old = before.get(i)
            if old is not None and old is not effect and old == effect:
                found[i] = old
        same = len(found) == len(before) and all(
            [before.get(i) is effect for i, effect in found.items()]
        )
        judged.effects = found
        return not same

    def _represented(self, lesson_id: str, effect: Effect) -> Effect:
        lead = self._leads.lead(lesson_id)
        if lead == lesson_id:
            return effect
        source = self._judged[self._leads.home(lead)].own.get(lead)
        return effect if source is None else represented_by(effect, source)

    def _of_whole(
        self, judged: JudgedGroup, found: Mapping[str, Effect], held: HeldLessons, scale: float
    ) -> Mapping[str, AnyEffect]:
        """The effects of the whole group and of what its slices share, and the chosen effects
        (`found`) minus the part that these take over."""
        key, path, level = judged.key, judged.path, judged.level
        group, weighing, counts = held.groups[key], self._weighing[key[1]], self.counts[key[1]]
        whole = group.lessons.get(group.whole_id)
        if whole is None or whole.n < self._config.n_min or level is None:
            return {}
        made: dict[str, Effect] = {}
        if level.z > self.bar:
            of = (whole, level, counts.level_half_life, self.bar)
            if judged.whole is None or judged.whole_of != of:
                judged.whole_of = of
                judged.whole = whole_effect(whole, path, level, counts, self.bar, self._config)
            made[group.whole_id] = judged.whole
        share = weighing.shares.get(key, 0.0)
        if not counts.open or not (share or varies(path.summary, level)):
            return made
        chosen = tuple([i for i in path.path.lesson_ids if i in found])
        # A group too young for a share has no shared effects to weigh the chosen ones against.
        count = shared_weight([found[i] for i in chosen], counts) if share else 0.0
        part_of = (chosen, count, share, scale)
        if judged.part_of != part_of:
            judged.part_of = part_of
            judged.part = shared_part(path, chosen, count, share, scale)
        pooled = weighing.pooled_level(key, level)
        return made | with_shared(
            path, whole, {**found, **made}, pooled, judged.part, count, counts.open, scale
        )


def rounded_up(hypotheses: int) -> int:
    """A number of hypotheses, rounded up, so that the error rate holds and the bar does not move
    with each slice.

    Parameters
    ----------
    hypotheses
        The number.

    Returns
    -------
    The rounded number, never less.

    >>> rounded_up(999), rounded_up(123_456), rounded_up(999_999)
    (999, 124000, 1000000)
    """
    step: int = 10 ** max(len(str(hypotheses)) - BAR_DIGITS, 0)
    return -(-hypotheses // step) * step
