"""The records that a module's judge hands out: verdicts, overrides, baselines, regime weights and
latent factors.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np
from scipy.special import ndtr

from app.learning.common.digits import shortened
from app.learning.common.event_time import DAY_US, micros_from_text, text_from_micros
from app.learning.integrated import regimes
from app.learning.integrated.factors import Factor
from app.learning.integrated.netting import Effect
from edgeloop.identity import regime_id
from edgeloop.overrides import Override, OverrideDecay
from edgeloop.scope import canonical_text
from schemas.lessons import Baseline, LatentFactor, Lesson, LessonVerdict, RegimeWeight

LIFETIME_US = 30 * DAY_US
"""An override expires so long after its group's newest trade, or the last line of `ALIVE_US` that
the module's newest trade has passed."""
ALIVE_US = 7 * DAY_US
"""A group that trades once a month is as alive as its module: its overrides are renewed on this
grid while others trade."""


class Rejection(NamedTuple):
    """Why a lesson has no effect of its own: the override that speaks for its trades (`cover`), the
    factor that it is in, whether it is on its group's path; `baseline` is what its verdict names.
    """

    cover: str | None
    factor_id: str | None
    baseline: float
    on_path: bool


def override_record(
    e: Effect,
    size: float,
    times: float,
    covers: tuple[str, ...],
    factor: Factor | None,
    gains: dict[str, float],
    scale: float,
    newest_us: int,
    version: int,
) -> Override:
    """The override of an effect of `size` now, whose multiplier is `times`.

    `scale` units of the outcome are one of size; `newest_us` is the newest exit of the module.
    """
    lesson = e.lesson
    alive_us = max(micros_from_text(e.as_of), newest_us // ALIVE_US * ALIVE_US)
    return Override(
        override_id=lesson.lesson_id,
        learning="integrated",
        module=lesson.module,
        pattern_key=lesson.pattern_key,
        action_category=lesson.action_category,
        scope=lesson.scope,
        effect=shortened(size),
        effect_sd=shortened(e.effect_sd / scale),
        multiplier=times,
        confidence=_confidence(e),
        n_trades=lesson.n,
        baseline=shortened(e.baseline),
        decay=OverrideDecay(
            state=e.decay.state, half_life_hours=e.decay.half_life_hours, interval=e.decay.interval
        ),
        latent_factor_id=factor.factor_id if factor else None,
        covers=covers,
        regime_gains=gains,
        evidence=lesson.evidence,
        as_of=e.as_of,
        expires_at=text_from_micros(alive_us + LIFETIME_US),
        version=version,
        part=e.part,
    )


def verdict_record(
    e: Effect, size: float, times: float, factor: Factor | None, scale: float, version: int
) -> LessonVerdict:
    """The verdict on a lesson whose effect passed; arguments as those of `override_record`."""
    lesson = e.lesson
    if e.part == "shared":
        reason = (
            f"Shared effect of {size:+.4f}: too weak on its own, it counts as part of the posterior"
            " mean over all slices of its group."
        )
    elif times != 1.0:
        reason = (
            f"Current edge {size:+.4f} ({e.raw / scale:+.4f} over the window), {e.statistic:.2f}"
            " standard errors from zero."
        )
    elif abs(e.effect) < abs(e.raw) * 0.01:
        reason = (
            f"The edge of {e.raw / scale:+.4f} over the window has faded, or its trades' segments"
            " explain it."
        )
    else:
        reason = f"The remaining edge of {size:+.4f} is smaller than one step of the multiplier."
    return LessonVerdict(
        learning="integrated",
        lesson_id=lesson.lesson_id,
        module=lesson.module,
        pattern_key=lesson.pattern_key,
        action_category=lesson.action_category,
        scope=lesson.scope,
        n=lesson.n,
        edge=shortened(size),
        baseline=shortened(e.baseline),
        multiplier=times,
        confidence=_confidence(e),
        decision="neutral" if times == 1.0 else "override",
        reason=reason,
        override_id=None if times == 1.0 else lesson.lesson_id,
        latent_factor_id=factor.factor_id if factor else None,
        lesson_version=lesson.version,
        as_of=lesson.as_of,
        version=version,
        edge_raw=shortened(e.raw / scale),
        effect_sd=shortened(e.effect_sd / scale),
    )


def rejected_record(lesson: Lesson, why: Rejection, n_min: int, version: int) -> LessonVerdict:
    """The verdict on a lesson that has no effect of its own."""
    if why.cover is not None:
        decision, reason = "covered", f"Override {why.cover} covers its trades."
    elif lesson.n < n_min:
        decision, reason = (
            "insufficient",
            f"The {lesson.n} trades are below the minimum of {n_min}.",
        )
    elif why.on_path and lesson.marginal is not None:
        decision = "neutral"
        reason = (
            f"Its statistic of {lesson.marginal.statistic:.2f} passes within its group, but not"
            " across all slices of the module."
        )
    else:
        decision = "neutral"
        reason = (
            lesson.marginal.reason if lesson.marginal is not None else "Learned by another learner."
        )
    return LessonVerdict(
        learning=lesson.learning,
        lesson_id=lesson.lesson_id,
        module=lesson.module,
        pattern_key=lesson.pattern_key,
        action_category=lesson.action_category,
        scope=lesson.scope,
        n=lesson.n,
        edge=0.0,
        baseline=why.baseline,
        multiplier=1.0,
        confidence=0.0,
        decision=decision,
        reason=reason,
        override_id=why.cover,
        latent_factor_id=why.factor_id,
        lesson_version=lesson.version,
        as_of=lesson.as_of,
        version=version,
        edge_raw=lesson.marginal.effect if lesson.marginal is not None else None,
        effect_sd=lesson.marginal.effect_sd if lesson.marginal is not None else None,
    )


def coarse(baseline: float, scale: float) -> float:
    """A baseline to a hundredth of the scale's power of ten, so that rejected lessons do not get a
    new verdict with each trade.

    >>> coarse(0.12345, 2.0), coarse(0.12345, 30.0)
    (0.12, 0.1)
    """
    tick = 10.0 ** np.floor(np.log10(scale)) * 1e-2 if scale > 0 else 1e-2
    return float(np.round(baseline / tick) * tick)


def baseline_record(record: Baseline) -> Baseline:
    """A baseline with the digits that are published."""
    return msgspec.structs.replace(
        record, mean=shortened(record.mean), variance=shortened(record.variance)
    )


def weight_record(w: regimes.RegimeWeights, module: str, as_of: str, version: int) -> RegimeWeight:
    """What is published of a regime's weights."""
    text = canonical_text(dict(w.regime))
    names = ("offset", *regimes.METRICS)
    return RegimeWeight(
        learning="integrated",
        regime_id=regime_id(module, text),
        module=module,
        regime=text,
        n_cells=w.n_cells,
        n_trades=w.n_trades,
        weights=dict(zip(names, map(shortened, w.weights.tolist()), strict=True)),
        sds=dict(zip(names, map(shortened, w.sd.tolist()), strict=True)),
        centres=dict(zip(regimes.METRICS, map(shortened, w.centre.tolist()), strict=True)),
        p_value=shortened(w.p_value),
        active=w.active,
        as_of=as_of,
        version=version,
    )


def factor_record(factor: Factor, module: str, as_of: str, version: int) -> LatentFactor:
    """What is published of a latent factor; `as_of` is the newest of its members'."""
    return LatentFactor(
        learning="integrated",
        factor_id=factor.factor_id,
        module=module,
        representative=factor.representative,
        members=factor.members,
        cohesion=shortened(factor.cohesion),
        as_of=as_of,
        version=version,
    )


def urgent(record: Any, old: Any) -> bool:
    """Whether a position manager should know of the difference at once."""
    if isinstance(record, Override):
        return (
            record.multiplier,
            record.decay.state,
            record.regime_gains,
            record.latent_factor_id,
        ) != (
            old.multiplier,
            old.decay.state,
            old.regime_gains,
            old.latent_factor_id,
        )
    return False


def urgent_part(verdict: LessonVerdict) -> tuple[str, float, int]:
    """What of a verdict is to be known at once."""
    return verdict.decision, verdict.multiplier, verdict.n


def _confidence(e: Effect) -> float:
    """Probability that the edge has this sign now."""
    return shortened(float(ndtr(abs(e.effect) / e.effect_sd))) if e.effect_sd > 0 else 0.5
