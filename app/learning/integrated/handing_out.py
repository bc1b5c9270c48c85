"""Handing out: the verdict on every lesson of a module, and the overrides.

May touch: nothing but its arguments.  What was made of an effect or of a lesson without one is kept
while it is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from app.learning.common.baselines import SegmentBaselines
from app.learning.common.config import LearningConfig
from app.learning.common.event_time import micros_from_text
from app.learning.common.multiplier import multiplier, on_grid
from app.learning.integrated.factors import Factor
from app.learning.integrated.held_lessons import HeldLessons
from app.learning.integrated.merging import group_of, silent_members
from app.learning.integrated.netting import Effect
from app.learning.integrated.records import (
    ALIVE_US,
    Rejection,
    coarse,
    override_record,
    rejected_record,
    verdict_record,
)
from app.learning.integrated.regime_gains import gains_of
from app.learning.integrated.regimes import RegimeWeights
from app.learning.integrated.remembered import Remembered
from edgeloop.overrides import Override
from schemas.lessons import LessonVerdict


class HandingOut:
    """The verdicts and overrides of one module."""

    def __init__(self, config: LearningConfig) -> None:
        self._config = config
        self._made: Remembered[tuple[LessonVerdict, Override | None]] = Remembered()
        self._rejected: Remembered[LessonVerdict] = Remembered()

    def records(
        self,
        held: HeldLessons,
        effects: Mapping[str, Effect],
        factor_of: Mapping[str, Factor],
        weights: Sequence[RegimeWeights],
        scale: float,
        baselines: SegmentBaselines,
        version: int,
    ) -> tuple[list[LessonVerdict], list[Override]]:
        """All verdicts and overrides that are right, those made now marked with `version`.

        `effects` are by lesson id, as is the factor of each lesson that is in one; `scale` units of
        the outcome are one unit of size.
        """
        silent = silent_members(
            {f.factor_id: f for f in factor_of.values()}.values(), effects, held.lessons
        )
        newest = max((s.as_of for s in held.summaries.values()), default="")
        newest_us = micros_from_text(newest) // ALIVE_US * ALIVE_US if newest else 0
        ordered = sorted(effects.items())
        sizes = np.array([effect.effect for _, effect in ordered]) / scale
        multipliers = on_grid(multiplier(sizes)).tolist()
        has_gains = any(w.active for w in weights)
        verdicts: dict[str, LessonVerdict] = {}
        overrides: list[Override] = []
        covered: dict[str, str] = {}
        for (i, effect), size, times in zip(ordered, sizes.tolist(), multipliers, strict=True):
            factor = factor_of.get(i)
            members: tuple[str, ...] = ()
            if times != 1.0 and factor is not None:
                members = tuple(
                    m
                    for m in silent.get((factor.factor_id, group_of(effect.lesson)), ())
                    if m not in covered
                )
                covered.update(dict.fromkeys(members, i))
            gains = gains_of(effect.lesson, weights) if has_gains and times != 1.0 else {}
            made_of = (
                effect,
                members,
                factor and factor.factor_id,
                tuple(gains.items()),
                scale,
                newest_us,
            )
            make = partial(
                _records, effect, size, times, members, factor, gains, scale, newest_us, version
            )
            verdicts[i], override = self._made.get(i, made_of, make)
            if override is not None:
                overrides.append(override)
        self._made.keep(effects)
        self._reject(held, verdicts, covered, factor_of, scale, baselines, version)
        return list(verdicts.values()), overrides

    def _reject(
        self,
        held: HeldLessons,
        verdicts: dict[str, LessonVerdict],
        covered: Mapping[str, str],
        factor_of: Mapping[str, Factor],
        scale: float,
        baselines: SegmentBaselines,
        version: int,
    ) -> None:
        """Add the verdicts on lessons without an effect."""
        centre = coarse(
            baselines.records[0].mean if baselines.records else self._config.baseline_default, scale
        )
        on_path = {
            i for s in held.summaries.values() if s.path is not None for i in s.path.lesson_ids
        }
        for i, lesson in held.lessons.items():
            if i not in verdicts:
                factor = factor_of.get(i)
                why = Rejection(covered.get(i), factor and factor.factor_id, centre, i in on_path)
                make = partial(rejected_record, lesson, why, self._config.n_min, version)
                verdicts[i] = self._rejected.get(i, (lesson, *why), make)
        self._rejected.keep(held.lessons)


def _records(
    effect: Effect,
    size: float,
    times: float,
    members: tuple[str, ...],
    factor: Factor | None,
    gains: dict[str, float],
    scale: float,
    newest_us: int,
    version: int,
) -> tuple[LessonVerdict, Override | None]:
    """The verdict on an effect, and its override where it has one."""
    verdict = verdict_record(effect, size, times, factor, scale, version)
    if times == 1.0:
        return verdict, None
    return verdict, override_record(
        effect, size, times, members, factor, gains, scale, newest_us, version
    )
