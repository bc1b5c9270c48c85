"""Weighing: how much persists in the groups of a category, and how far each learner counts there.

May touch: nothing but its arguments.  What is told of a group is kept while it is the same.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from functools import partial

import numpy as np

from app.learning.common.config import LearningConfig
from app.learning.integrated.paths import GroupPath
from app.learning.integrated.persistence import sign_flip_log_p, total
from app.learning.integrated.prior_share import Told, between, persistent_shares, told
from app.learning.integrated.remembered import Remembered
from app.learning.integrated.weights import (
    HALF_LIFE,
    LEVEL_HALF_LIFE,
    SHARED,
    Counts,
    Evidence,
    half_life_evidence,
    opened,
    shared_evidence,
    weight,
)
from app.learning.integrated.whole_groups import (
    Level,
    Spread,
    coarse_level,
    record_of_level,
    whole_id,
)


class Weighing:
    """The evidence of the groups of one module, by the ids of their summaries."""

    def __init__(self, config: LearningConfig) -> None:
        self._config = config
        self._told: Remembered[Told | None] = Remembered()
        self._half_lives: Remembered[Evidence] = Remembered()
        self._level_half_lives: Remembered[Evidence] = Remembered()
        self._shared: Remembered[Evidence] = Remembered()

    def keep(self, groups: Container[str]) -> None:
        """Forget all other groups."""
        for remembered in (self._told, self._half_lives, self._level_half_lives, self._shared):
            remembered.keep(groups)

    def shares(self, groups: Sequence[GroupPath]) -> dict[str, float]:
        """The persistent share of each group that is old enough to have one."""
        known = {
            summary.lesson_id: self._told.get(summary.lesson_id, (summary,), partial(told, summary))
            for summary in (group.summary for group in groups)
        }
        old_enough = {i: found for i, found in known.items() if found is not None}
        return dict(zip(old_enough, persistent_shares(list(old_enough.values())), strict=True))

    def half_lives(
        self, groups: Sequence[GroupPath], found: Mapping[str, Level], spread: Spread
    ) -> tuple[float, float]:
        """How far half-lives of slices and of whole groups count; `found` are their levels."""
        config = self._config
        slices, of_levels = Evidence(), Evidence()
        for summary in (group.summary for group in groups) if config.half_life is None else ():
            key, i = summary.lesson_id, whole_id(summary)
            record = partial(half_life_evidence, summary.record)
            slices = slices.plus(self._half_lives.get(key, (summary,), record))
            mean, noise2 = coarse_level(found[i], spread.noise2[i])
            record = partial(record_of_level, summary, mean, noise2, config)
            of_levels = of_levels.plus(
                self._level_half_lives.get(key, (summary, mean, noise2), record)
            )
        return weight(slices, HALF_LIFE, config.half_life), weight(
            of_levels, LEVEL_HALF_LIFE, config.half_life
        )

    def counts(
        self,
        groups: Sequence[GroupPath],
        half_lives: tuple[float, float],
        spread: Spread,
        sure: float,
        categories: int,
        shares: Mapping[str, float],
    ) -> Counts:
        """How far each learner counts in the groups of one of so many categories, of whose effects
        the surest has come in by `sure`."""
        config = self._config
        came = Evidence()
        for summary in (g.summary for g in groups) if config.shared_effects is None else ():
            share = shares.get(summary.lesson_id, 0.0)
            record = partial(shared_evidence, summary.record, between(share), half_lives[0])
            came = came.plus(
                self._shared.get(summary.lesson_id, (summary, share, half_lives[0]), record)
            )
        shared = weight(came, SHARED, config.shared_effects)
        slopes = total(g.summary.persistence for g in groups if g.summary.persistence is not None)
        log_p = min(sign_flip_log_p(slopes), sign_flip_log_p(spread.products)) + np.log(
            2.0 * categories
        )
        is_open = opened(log_p, config.alpha, sure) if config.shared_effects is not False else 0.0
        return Counts(*half_lives, shared, is_open)
