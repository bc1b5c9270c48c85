"""Weighing: how much persists in the groups of a category, and each learner's weight there.

May touch: nothing but its arguments.  The evidence of groups is held in columns and summed at each
use, so that sums do not depend on the order of arrival.
"""

from __future__ import annotations

from collections import Counter
from math import fsum

import numpy as np

from app.learning.common.columns import Columns
from app.learning.common.config import LearningConfig
from app.learning.integrated.block_products import Products
from app.learning.integrated.learner_weight import (
    GROWTH,
    HALF_LIFE,
    LEVEL_HALF_LIFE,
    ODDS_POWER,
    Counts,
    HalfLives,
    WeightEvidence,
    among_clusters,
    half_life_evidence,
    in_steps,
    opened,
    shared_evidence,
    shared_prior,
    weight,
)
from app.learning.integrated.merging import Group
from app.learning.integrated.persistence import sign_flip_log_p
from app.learning.integrated.prior_share import (
    between,
    explained_by_chosen,
    share_estimate,
    shares_of,
)
from app.learning.integrated.whole_groups import (
    TAU_STEPS,
    Level,
    PooledLevel,
    Spread,
    beyond_chance,
    coarse_level,
    in_tau_steps,
    independent_noise2,
    net_noise2,
    noise_of,
    pooled_level,
    pooling_noise2,
    record_of_level,
)
from schemas.lessons import GroupSummary


class Weighing:
    """The evidence of the groups of one category of a module, and the weights that follow from it.

    `shares` are the persistent shares of the groups that are old enough to have one; `spread` the
    variation of levels, on a grid.

    Parameters
    ----------
    config
        The settings of the learning.

    References
    ----------
    Haseman & Elston 1972, "The investigation of linkage between a quantitative trait and a marker
    locus" (shares from products of pairs).
    """

    def __init__(self, config: LearningConfig) -> None:
        self.shares: dict[Group, float] = {}
        self.spread = Spread(0.0, 0.0, 1.0)
        self._config = config
        self._summaries: dict[Group, GroupSummary] = {}
        self._noise2: dict[Group, float] = {}
        self._levels: Columns[Group] = Columns(5)  # mean, its noise, net, its noise, |z|
        self._clustering: Columns[Group] = Columns(2)  # trades, and trades × `Spread.clustering`
        self._beside: dict[Group, float] = {}  # clustering of each one's other groups, in steps
        self._half_lives_among: dict[float, HalfLives] = {}  # by clustering
        self._coarse: dict[Group, tuple[float, float]] = {}
        self._earned, self._slopes = Products(), Products()
        self._share_estimates: Columns[Group] = Columns(3)
        self._half_lives: Columns[Group] = Columns(3)
        self._level_half_lives: Columns[Group] = Columns(3)
        self._explained: Columns[Group] = Columns(3)
        self._shared: Columns[Group] = Columns(3)
        self._unshared: set[Group] = set()  # groups whose evidence of shared effects is due
        self._ramps: Columns[Group] = Columns(1)  # of each group's most certain effect
        self._reshare = False
        self._slope_log_p: float | None = None
        self._level_log_p: float | None = None

    def __len__(self) -> int:
        return len(self._summaries)

    def drop(self, group: Group) -> None:
        """Forget a group.

        Parameters
        ----------
        group
            The group.
        """
        self._summaries.pop(group, None)
        self._coarse.pop(group, None)
        self._unshared.discard(group)
        self._noise2.pop(group, None)
        for columns in (
            self._levels, self._clustering, self._share_estimates, self._half_lives,
            self._level_half_lives, self._explained, self._shared, self._ramps,
        ):  # fmt: skip
            columns.drop(group)
        self._earned.put(group, None)
        self._slopes.put(group, None)
        self._reshare, self._slope_log_p, self._level_log_p = True, None, None

    def take(self, group: Group, summary: GroupSummary) -> None:
        """Add or replace a group's summary.

        Parameters
        ----------
        group
            The group.
        summary
            Its summary.
        """
        self._summaries[group] = summary
        self._coarse.pop(group, None)
        self._unshared.add(group)
        self._slopes.put(group, summary.persistence)
        self._slope_log_p = None
        found = share_estimate(summary)
        if found is None:
            self._share_estimates.drop(group)
        else:
            self._share_estimates.put(group, found)
        explained = None if found is None else explained_by_chosen(summary, found)
        if explained is None:
            self._explained.drop(group)
        else:
            self._explained.put(group, explained)
        self._reshare = True
        if self._config.half_life is None:
            self._half_lives.put(group, half_life_evidence(summary.record))

    def take_level(self, group: Group, level: Level) -> None:
        """Add the level of a group whose summary was added before.

        Parameters
        ----------
        group
            The group.
        level
            Its level, in units of the outcome.
        """
        summary = self._summaries[group]
        noise2, earned = noise_of(summary, level, self._config)
        independent = independent_noise2(summary)
        pooling2 = pooling_noise2(noise2, independent)
        self._noise2[group] = pooling2
        row = (level.mean, pooling2, level.net, net_noise2(level, pooling2), level.z)
        self._levels.put(group, row)
        if group in self._share_estimates and independent > 0:
            self._clustering.put(group, (summary.n, summary.n * pooling2 / independent))
        else:
            self._clustering.drop(group)
        self._earned.put(group, earned)
        self._level_log_p = None
        coarse = coarse_level(level, noise2)
        if self._config.half_life is None and self._coarse.get(group) != coarse:
            self._coarse[group] = coarse
            self._level_half_lives.put(group, record_of_level(summary, *coarse, self._config))

    def pooled_level(self, group: Group, level: Level) -> PooledLevel:
        """The posterior means of a group's level.

        Parameters
        ----------
        group
            The group.
        level
            Its level, in units of the outcome.

        Returns
        -------
        The posterior means, in the same units.
        """
        noise2 = self._noise2[group]
        if group not in self.shares:  # too few blocks of time to tell how its outcomes cluster
            independent = independent_noise2(self._summaries[group])
            noise2 = max(noise2, independent * self.spread.clustering)
        return pooled_level(level, noise2, self.spread)

    def take_ramp(self, group: Group, ramp: float) -> None:
        """Set the ramp of a group's most certain effect.

        Parameters
        ----------
        group
            The group.
        ramp
            How far the effect is phased in, 0 to 1.
        """
        self._ramps.put(group, (ramp,))

    def settle_levels(self, scale: float) -> tuple[set[Group], bool]:
        """Weigh the half-lives, and estimate how much levels vary.

        Parameters
        ----------
        scale
            Units of the outcome per unit of size.

        Returns
        -------
        The groups in which the weights of half-lives have changed, and whether the variation has.
        """
        values = self._levels.values()
        trades = self._clustering.total(0)
        spread = self.spread._replace(
            tau2=in_tau_steps(beyond_chance(values[:, 0:2], scale), scale),
            net_tau2=in_tau_steps(beyond_chance(values[:, 2:4], scale), scale),
            clustering=in_tau_steps(self._clustering.total(1) / trades, 1.0) if trades else 1.0,
        )
        before, self.spread = self.spread, spread
        return self._settle_half_lives(before.clustering), before != spread

    def _settle_half_lives(self, clustering_before: float) -> set[Group]:
        """Weigh the half-lives in each group; returns those for which a weight has changed."""
        record = self._evidence(self._half_lives)
        level = weight(
            self._evidence(self._level_half_lives), LEVEL_HALF_LIFE, self._config.half_life
        )
        switch = self._config.half_life

        def among(clustering: float) -> HalfLives:
            half_life, growth = (
                weight(record, of, switch, discount)
                for of, discount in (among_clusters(p, clustering) for p in (HALF_LIFE, GROWTH))
            )
            return HalfLives(half_life, growth, level, ODDS_POWER / max(clustering, 1.0))

        beside = self._clustering_beside()
        made = {c: among(c) for c in {self.spread.clustering, *beside.values()}}
        beside_before, made_before = self._beside, self._half_lives_among
        self._beside, self._half_lives_among = beside, made
        if beside == beside_before and made == made_before:
            return set()
        changed = {
            group
            for group in self._summaries
            if self.half_lives_of(group)
            != made_before.get(beside_before.get(group, clustering_before))
        }
        self._unshared |= changed
        return changed

    def _clustering_beside(self) -> dict[Group, float]:
        """How the outcomes of the groups beside each one cluster, in steps, for each that is old
        enough to tell how its own do."""
        groups, values = self._clustering.groups(), self._clustering.values()
        trades = self._clustering.total(0) - values[:, 0]
        clustering = (self._clustering.total(1) - values[:, 1]) / np.maximum(trades, 1.0)
        steps = np.round(np.log2(np.where(trades > 0, clustering, 1.0)) * TAU_STEPS)
        return dict(zip(groups, np.exp2(steps / TAU_STEPS).tolist(), strict=True))

    def half_lives_of(self, group: Group) -> HalfLives:
        """The weights of half-lives in a group.

        Parameters
        ----------
        group
            A group whose half-lives have been weighed.

        Returns
        -------
        The weights, 0 to 1.
        """
        return self._half_lives_among[self._beside.get(group, self.spread.clustering)]

    def settle_shares(self) -> set[Group]:
        """Estimate how much persists.

        Returns
        -------
        The groups whose share has changed.
        """
        if not self._reshare:
            return set()
        self._reshare = False
        groups = self._share_estimates.groups()
        found = shares_of(self._share_estimates.values()).tolist() if groups else []
        before, self.shares = self.shares, dict(zip(groups, found, strict=True))
        changed = {group for group, _ in before.items() ^ self.shares.items()}
        self._unshared |= changed & self._summaries.keys()
        return changed

    def counts(self, bar: float, ramp_sds: float, categories: int) -> Counts:
        """The weight of each learner in this category.

        Parameters
        ----------
        bar
            |z| that an effect needs.
        ramp_sds
            Length of the ramp, in standard errors.
        categories
            Number of categories of the module.

        Returns
        -------
        The weights, 0 to 1.
        """
        config = self._config
        if config.shared_effects is None:
            for group in self._unshared:
                summary = self._summaries[group]
                shares = between(self.shares.get(group, 0.0))
                half_life = self.half_lives_of(group).half_life
                self._shared.put(group, shared_evidence(summary.record, shares, half_life))
            self._unshared = set()
        prior = shared_prior(*(self._explained.total(i) for i in range(3)))
        shared = weight(self._evidence(self._shared), prior, config.shared_effects)
        if self._slope_log_p is None:
            self._slope_log_p = sign_flip_log_p(self._slopes.total())
        if self._level_log_p is None:
            self._level_log_p = sign_flip_log_p(self._earned.total())
        log_p = min(self._slope_log_p, self._level_log_p) + float(np.log(2.0 * categories))
        level = float((self._levels.values()[:, 4].max(initial=0.0) - bar) / ramp_sds)
        ramp = float(self._ramps.values().max(initial=0.0))
        ramp = max(min(max(level, 0.0), 1.0), ramp)
        is_open = opened(log_p, config.alpha, ramp) if config.shared_effects is not False else 0.0
        return Counts(*self._mean_half_lives(), shared, in_steps(is_open))

    def _mean_half_lives(self) -> tuple[float, float, float]:
        """The mean weights of half-lives and of growth over the groups, by trades, and the weight
        of the half-lives of whole groups, which is the same in all."""
        trades: Counter[HalfLives] = Counter()
        for group, summary in self._summaries.items():
            trades[self.half_lives_of(group)] += summary.n
        half_life, growth = (
            in_steps(fsum(n * of[i] for of, n in trades.items()) / trades.total()) for i in (0, 1)
        )
        return half_life, growth, next(iter(trades)).level_half_life

    @staticmethod
    def _evidence(columns: Columns[Group]) -> WeightEvidence:
        if not len(columns):
            return WeightEvidence()
        return WeightEvidence(columns.total(0), columns.total(1), round(columns.total(2)))
