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
from app.learning.integrated.error_rate import entry_log_p, z_of_log_p
from app.learning.integrated.factors import Factor
from app.learning.integrated.held_lessons import HeldLessons
from app.learning.integrated.learner_weight import Counts
from app.learning.integrated.merging import Group, Leads, represented_by
from app.learning.integrated.netting import RAMP_SDS, Effect, netted, path_ramps
from app.learning.integrated.paths import GroupPath, blended
from app.learning.integrated.sharing import (
    SharedEffects,
    SharedPart,
    shared_effects,
    shared_part,
    shared_weight,
    with_shared,
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


class Account:
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
        "shared",
        "statistics",
        "whole",
        "whole_of",
    )

    def __init__(self, key: Group, path: GroupPath) -> None:
        self.key = key
        self.path = path
        self.statistics: list[float] = []  # of the chosen effects, or of those that speak for them
        self.ramps: list[float] | None = None
        self.fit: Fit = path.path.fits[0]
        self.level: Level | None = None
        self.own: dict[str, Effect] = {}  # chosen effects that are phased in, before merging
        self.shared: SharedEffects | None = None
        self.part_of: tuple[object, ...] = ()
        self.part = SharedPart({}, {}, 0.0)
        self.whole_of: tuple[object, ...] = ()
        self.whole: Effect | None = None
        self.effects: dict[str, Effect] = {}


class Accounts:
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
        self._accounts: dict[Group, Account] = {}
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

    def effects(self, group: Group) -> Mapping[str, Effect]:
        """The effects of a group.

        Parameters
        ----------
        group
            Pattern key and category.

        Returns
        -------
        The effects, by lesson id.
        """
        account = self._accounts.get(group)
        return {} if account is None else account.effects

    def chosen(self, group: Group) -> Iterable[Effect]:
        """The effects of the chosen slices of a group.

        Parameters
        ----------
        group
            Pattern key and category.

        Returns
        -------
        The effects.
        """
        account = self._accounts.get(group)
        if account is None:
            return ()
        path = account.path.path.lesson_ids
        return [account.effects[i] for i in path if i in account.effects]

    def all_effects(self) -> dict[str, Effect]:
        """All effects of the module, by lesson id."""
        return {i: e for account in self._accounts.values() for i, e in account.effects.items()}

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
        paths = {g: self._accounts[g].path if g in self._accounts else None for g in fresh}
        met = self._leads.update(paths, factor_of, refactored) & self._accounts.keys()
        fresh &= self._accounts.keys()
        searched = rounded_up(round(self._totals.total(0)))
        rebarred, self.searched = searched != self.searched, searched
        self.bar = z_of_log_p(entry_log_p(self._config.alpha, searched))
        refitted = self._fit(self._accounts.keys() if rebarred else fresh | met) | fresh
        added = added_of(self._totals.total(2), self._totals.total(1))
        added, _ = on_error_grid(added, baselines.elsewhere[1], scale)
        ground = (added, baselines.means, baselines.variances, baselines.elsewhere)
        moved, self._ground = ground != self._ground, ground
        stale = self._level(self._accounts.keys() if moved else refitted, added, baselines)
        stale |= refitted
        late = set(stale)
        for category, weighing in sorted(self._weighing.items()):
            half_lives, spread = weighing.settle_levels(scale)
            alike = [g for g in self._accounts if g[1] == category] if half_lives or spread else []
            stale.update(alike if half_lives else ())
            late.update(alike if spread else ())
        owned = self._net(self._accounts.keys() if moved or rebarred else stale | met, baselines)
        late |= owned | self._leads.followers(owned) | (touched & self._accounts.keys())
        late |= self._weigh()
        if scale != self._scale or rebarred:
            late = set(self._accounts)
        self._scale = scale
        gone = touched - self._accounts.keys()
        return {g for g in late if self._finish(self._accounts[g], held, scale)} | gone

    def _take(self, held: HeldLessons, touched: set[Group]) -> set[Group]:
        """The groups whose path has changed, or that are gone."""
        fresh: set[Group] = set()
        for key in touched:
            group = held.groups.get(key)
            path = None if group is None else group.path
            account = self._accounts.get(key)
            if path is None:
                if account is not None:
                    del self._accounts[key]
                    self._totals.drop(key)
                    self._weighing[key[1]].drop(key)
                    if not len(self._weighing[key[1]]):
                        del self._weighing[key[1]]
                    fresh.add(key)
            elif account is None or account.path is not path:
                self._accounts[key] = new = Account(key, path)
                if account is not None:
                    new.effects = account.effects
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
            account = self._accounts[key]
            statistics = [self._leads.statistic(i) for i in account.path.path.lesson_ids]
            ramps = path_ramps(statistics, self.bar)
            if statistics != account.statistics:
                account.statistics = statistics
                changed.add(key)
            if ramps == account.ramps:
                continue
            account.ramps = ramps
            account.fit = blended(account.path.path.fits, ramps)
            n, shift = share_of(account.path, account.fit)
            self._totals.put(key, (account.path.path.hypotheses + 1, n, n * shift))
            changed.add(key)
        return changed

    def _level(
        self, groups: Iterable[Group], added: float, baselines: SegmentBaselines
    ) -> set[Group]:
        """Apply the levels of groups; returns the groups whose level has changed."""
        changed: set[Group] = set()
        for key in groups:
            account = self._accounts[key]
            level = level_of(account.path, account.fit, baselines, added)
            if level != account.level:
                account.level = level
                self._weighing[key[1]].take_level(key, level)
                changed.add(key)
        return changed

    def _net(self, groups: Iterable[Group], baselines: SegmentBaselines) -> set[Group]:
        """The chosen effects of groups, net of baselines; returns the groups of which any
        has changed."""
        changed: set[Group] = set()
        for key in groups:
            account = self._accounts[key]
            weighing, path = self._weighing[key[1]], account.path
            own = {
                i: netted(
                    path.lessons[i],
                    path,
                    account.fit,
                    j,
                    account.statistics[j - 1],
                    self.bar,
                    baselines,
                    weighing.half_lives.half_life,
                    weighing.half_lives.growth,
                )
                for j, i in enumerate(path.path.lesson_ids[: len(account.ramps or ())], 1)
            }
            weighing.take_ramp(key, max([e.ramp for e in own.values()], default=0.0))
            if own != account.own:
                account.own = own
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
        changed &= self._accounts.keys()
        if before == counts:
            return changed
        return changed | {g for g in self._accounts if before.get(g[1]) != counts[g[1]]}

    def _finish(self, account: Account, held: HeldLessons, scale: float) -> bool:
        """Collect all effects of a group; returns whether any has changed."""
        found = {i: self._represented(i, effect) for i, effect in account.own.items()}
        found |= self._of_whole(account, found, held, scale)
        before = account.effects
        for i, effect in found.items():
            old = before.get(i)
            if old is not None and old is not effect and old == effect:
                found[i] = old
        same = len(found) == len(before) and all(
            [before.get(i) is effect for i, effect in found.items()]
        )
        account.effects = found
        return not same

    def _represented(self, lesson_id: str, effect: Effect) -> Effect:
        lead = self._leads.lead(lesson_id)
        if lead == lesson_id:
            return effect
        source = self._accounts[self._leads.home(lead)].own.get(lead)
        return effect if source is None else represented_by(effect, source)

    def _of_whole(
        self, account: Account, found: Mapping[str, Effect], held: HeldLessons, scale: float
    ) -> dict[str, Effect]:
        """The effects of the whole group and of what its slices share, and the chosen effects
        (`found`) minus the part that these take over."""
        key, path, level = account.key, account.path, account.level
        group, weighing, counts = held.groups[key], self._weighing[key[1]], self.counts[key[1]]
        whole = group.lessons.get(group.whole_id)
        if whole is None or whole.n < self._config.n_min or level is None:
            return {}
        made: dict[str, Effect] = {}
        if level.z > self.bar:
            of = (whole, level, counts.level_half_life, self.bar)
            if account.whole is None or account.whole_of != of:
                account.whole_of = of
                account.whole = whole_effect(whole, path, level, counts, self.bar, self._config)
            made[group.whole_id] = account.whole
        share = weighing.shares.get(key, 0.0)
        if not counts.open or not (share or varies(path.summary, level)):
            return made
        chosen = tuple([i for i in path.path.lesson_ids if i in found])
        # A group too young for a share has no shared effects to weigh the chosen ones against.
        count = shared_weight([found[i] for i in chosen], counts) if share else 0.0
        part_of = (chosen, count, share, scale)
        if account.shared is None:
            account.shared = shared_effects(path)
        if account.part_of != part_of:
            account.part_of = part_of
            account.part = shared_part(path, chosen, count, share, scale, account.shared)
        pooled = weighing.pooled_level(key, level)
        return made | with_shared(
            path, whole, {**found, **made}, pooled, account.part, count, counts.open, scale
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
