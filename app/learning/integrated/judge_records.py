"""The records that a module's judge publishes: verdicts, overrides, baselines, regime weights and
latent factors.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from scipy.special import ndtr

from app.learning.common.multiplier import GRID
from app.learning.common.rounding import shortened
from app.learning.integrated.expiry import expires_at
from app.learning.integrated.held_lesson import AnyLesson
from app.learning.integrated.latent_factors import Factor
from app.learning.integrated.net_of_segments import AnyEffect, Floats
from app.learning.integrated.quality_metrics import METRICS
from app.learning.integrated.regime_weights import RegimeWeights
from edgeloop.identity import regime_id
from edgeloop.overrides import Override, OverrideDecay
from edgeloop.scope import canonical_text
from schemas.lessons import Baseline, LatentFactor, LessonVerdict, RegimeWeight

FADED = 0.01
"""Part of an effect's mean over the window below which its verdict calls it faded."""
BASELINE_STEP = 0.01
"""Step of the baselines of rejected lessons, relative to the scale's power of ten."""


class Rejection(NamedTuple):
    """Why a lesson has no effect of its own.

    Attributes
    ----------
    cover
        Id of the override that accounts for its trades; None if there is none.
    factor_id
        The latent factor that it belongs to, if any.
    baseline
        The baseline that its verdict shows.
    on_path
        Whether it is on its group's path.
    """

    cover: str | None
    factor_id: str | None
    baseline: float
    on_path: bool


def verdict_record(
    e: AnyEffect,
    size: float,
    times: float,
    confidence: float,
    factor: Factor | None,
    scale: float,
    version: int,
) -> LessonVerdict:
    """The verdict on a lesson whose effect passed.

    Parameters
    ----------
    e
        The effect.
    size
        Its effect now, in units of size.
    times
        Its multiplier, on the grid.
    confidence
        Probability that its edge now has its estimated sign.
    factor
        Its latent factor, if any.
    scale
        Units of the outcome per unit of size.
    version
        The version that the record is marked with.

    Returns
    -------
    The record, with the digits that are published; `override` if its multiplier differs from 1,
    else `neutral`.
    """
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
    elif abs(e.effect) < abs(e.raw) * FADED:
        reason = (
            f"The edge of {e.raw / scale:+.4f} over the window has faded, or the segments of its"
            " trades explain it."
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
        confidence=confidence,
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


def override_record(
    e: AnyEffect,
    verdict: LessonVerdict,
    covers: tuple[str, ...],
    gains: dict[str, float],
    newest_us: int,
) -> Override:
    """The override of an effect.

    Parameters
    ----------
    e
        The effect.
    verdict
        The verdict on its lesson, as `verdict_record` makes it.
    covers
        Ids of the lessons whose trades it accounts for.
    gains
        Gains by regime; only those that differ from 1.
    newest_us
        Newest exit of the module, in microseconds since the epoch.

    Returns
    -------
    The record, with the digits and the version of the verdict.
    """
    lesson = e.lesson
    return Override(
        override_id=lesson.lesson_id,
        learning="integrated",
        module=lesson.module,
        pattern_key=lesson.pattern_key,
        action_category=lesson.action_category,
        scope=lesson.scope,
        effect=verdict.edge,
        effect_sd=verdict.effect_sd or 0.0,
        multiplier=verdict.multiplier,
        confidence=verdict.confidence,
        n_trades=lesson.n,
        baseline=verdict.baseline,
        decay=OverrideDecay(
            state=e.decay.state, half_life_hours=e.decay.half_life_hours, interval=e.decay.interval
        ),
        latent_factor_id=verdict.latent_factor_id,
        covers=covers,
        regime_gains=gains,
        evidence=lesson.evidence,
        as_of=e.as_of,
        expires_at=expires_at(e.as_of, newest_us),
        version=verdict.version,
        part=e.part,
    )


def rejected_record(lesson: AnyLesson, why: Rejection, n_min: int, version: int) -> LessonVerdict:
    """The verdict on a lesson that has no effect of its own.

    Parameters
    ----------
    lesson
        The lesson.
    why
        Why it has none.
    n_min
        Trades that a slice needs to be judged.
    version
        The version that the record is marked with.

    Returns
    -------
    The record: `covered`, `insufficient` or `neutral`.
    """
    marginal = lesson.marginal
    if why.cover is not None:
        decision, reason = "covered", f"Override {why.cover} covers its trades."
    elif lesson.n < n_min:
        decision, reason = (
            "insufficient",
            f"The {lesson.n} trades are below the minimum of {n_min}.",
        )
    elif why.on_path and marginal is not None:
        decision = "neutral"
        reason = (
            f"Its statistic of {marginal.statistic:.2f} passes within its group, but not"
            " across all slices of the module."
        )
    else:
        decision = "neutral"
        reason = (
            marginal.reason if marginal is not None else "Learned by the other learning method."
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
        edge_raw=None if marginal is None else marginal.effect,
        effect_sd=None if marginal is None else marginal.effect_sd,
    )


def coarse(baseline: float, scale: float) -> float:
    """A baseline rounded to a hundredth of the scale's power of ten, so that rejected lessons do
    not get a new verdict with each trade.

    Parameters
    ----------
    baseline
        The baseline, in units of the outcome.
    scale
        The module's standard deviation of outcomes.

    Returns
    -------
    The rounded baseline.

    >>> coarse(0.12345, 2.0), coarse(0.12345, 30.0)
    (0.12, 0.1)
    """
    step = 10.0 ** np.floor(np.log10(scale)) * BASELINE_STEP if scale > 0 else BASELINE_STEP
    return float(np.round(baseline / step) * step)


def baseline_record(record: Baseline) -> Baseline:
    """A baseline with the digits that are published.

    Parameters
    ----------
    record
        The baseline.

    Returns
    -------
    The record.
    """
    return msgspec.structs.replace(
        record, mean=shortened(record.mean), variance=shortened(record.variance)
    )


def weight_record(w: RegimeWeights, module: str, as_of: str, version: int) -> RegimeWeight:
    """The record of a regime's weights.

    Parameters
    ----------
    w
        The weights.
    module
        Their module.
    as_of
        Newest exit of the module.
    version
        The version that the record is marked with.

    Returns
    -------
    The record, with the digits that are published.
    """
    text = canonical_text(dict(w.regime))
    names = ("offset", *METRICS)
    return RegimeWeight(
        learning="integrated",
        regime_id=regime_id(module, text),
        module=module,
        regime=text,
        n_cells=w.n_cells,
        n_trades=w.n_trades,
        weights=dict(zip(names, map(shortened, w.weights.tolist()), strict=True)),
        sds=dict(zip(names, map(shortened, w.sd.tolist()), strict=True)),
        centres=dict(zip(METRICS, map(shortened, w.centre.tolist()), strict=True)),
        p_value=shortened(w.p_value),
        active=w.active,
        as_of=as_of,
        version=version,
    )


def factor_record(factor: Factor, module: str, as_of: str, version: int) -> LatentFactor:
    """The record of a latent factor.

    Parameters
    ----------
    factor
        The factor.
    module
        Its module.
    as_of
        Newest exit of its members.
    version
        The version that the record is marked with.

    Returns
    -------
    The record, with the digits that are published.
    """
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


def override_part(override: Override) -> tuple[int, str, dict[str, float], str | None]:
    """The part of an override whose change is published at once, because it changes a size.

    Parameters
    ----------
    override
        The override.

    Returns
    -------
    Its multiplier in steps of the coarse grid, decay state, gains and factor.
    """
    return (
        round(override.multiplier * GRID),
        override.decay.state,
        override.regime_gains,
        override.latent_factor_id,
    )


def verdict_part(verdict: LessonVerdict) -> tuple[str, int, int]:
    """The part of a verdict whose change is published at once.

    Parameters
    ----------
    verdict
        The verdict.

    Returns
    -------
    Its decision, multiplier in steps of the coarse grid, and number of trades.
    """
    return verdict.decision, round(verdict.multiplier * GRID), verdict.n


def confidences(effect: Floats, sd: Floats) -> list[float]:
    """The probability that each edge now has its estimated sign.

    Parameters
    ----------
    effect, sd
        Effects in force and their standard errors (N,), in units of the outcome.

    Returns
    -------
    For each a probability, with the digits that are published; 0.5 without a standard error.
    """
    known = sd > 0
    found = ndtr(np.abs(effect) / np.where(known, sd, 1.0))
    return [shortened(p) for p in np.where(known, found, 0.5).tolist()]
