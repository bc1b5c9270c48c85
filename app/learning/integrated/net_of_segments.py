"""Netting: what an effect is beyond what the segments of its trades explain, and how far it counts.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.learning.common.baselines import SegmentBaselines
from app.learning.integrated.group_path import GroupPath, explained
from app.learning.integrated.held_lesson import AnyLesson
from app.learning.integrated.learner_weight import HalfLives
from schemas.lessons import Fit, LessonDecay

Floats = NDArray[np.float64]

RAMP_SDS = 0.5
"""Standard errors beyond the bar over which an effect is phased in."""
SHRINK = 0.5
"""Share of the James–Stein shrinkage that is applied. The filters shrink by themselves, but without
this an edge of nearly 0 was published as a hundredth or two of the wrong sign half of the time
(void overrides: 3.9 %; full shrinkage: 2.1 %, at the cost of half a point of the gain)."""

PUBLISHED_WEIGHT = 0.5
"""A half-life is published from this weight on."""


class Effect(NamedTuple):
    """A chosen or shared effect, in units of the outcome.

    Attributes
    ----------
    lesson
        Its lesson.
    statistic
        |z| of the effect.
    ramp
        How far it is phased in beyond the bar, 0 to 1.
    raw
        Effect over the window, net of the baseline.
    sd
        Standard error of `raw`.
    effect
        Effect that is in force at `as_of`.
    effect_sd
        Its standard error.
    decay
        Its decay.
    baseline
        The baseline of its trades.
    as_of
        Time at which `effect` holds.
    part
        `selected` or `shared`.
    """

    lesson: AnyLesson
    statistic: float
    ramp: float
    raw: float
    sd: float
    effect: float
    effect_sd: float
    decay: LessonDecay
    baseline: float
    as_of: str
    part: str = "selected"

    def resized(self, effect: float) -> Effect:
        """The same with another effect in force.

        Parameters
        ----------
        effect
            The effect, in units of the outcome.

        Returns
        -------
        A copy.
        """
        return self._replace(effect=effect)


_SHARED = struct.Struct("=3d")
_unpack_shared: Callable[[bytes], tuple[float, float, float]] = _SHARED.unpack


class SharedEffect(msgspec.Struct, frozen=True, gc=False):
    """A shared effect with the names of `Effect`, in two fifths of its memory: a module has very
    many.

    Attributes
    ----------
    lesson, as_of
        As in `Effect`.
    numbers
        `raw`, its standard error, and `effect` as doubles; see `packed_shared`.

    >>> numbers = packed_shared([0.5], [0.25], [0.125])[0]
    >>> shared = SharedEffect(None, "", numbers).resized(1.0)
    >>> shared.statistic, shared.raw, shared.sd, shared.effect, shared.effect_sd
    (2.0, 0.5, 0.25, 1.0, 0.25)
    """

    ramp: ClassVar[float] = 1.0
    decay: ClassVar[LessonDecay] = LessonDecay(state="stable")
    baseline: ClassVar[float] = 0.0
    part: ClassVar[str] = "shared"

    lesson: AnyLesson
    as_of: str
    numbers: bytes

    @property
    def statistic(self) -> float:
        """|z| of the effect."""
        raw, sd, _ = _unpack_shared(self.numbers)
        return abs(raw) / max(sd, 1e-300)

    @property
    def raw(self) -> float:
        """Posterior mean, before its weight."""
        return _unpack_shared(self.numbers)[0]

    @property
    def sd(self) -> float:
        """Standard error of `raw`."""
        return _unpack_shared(self.numbers)[1]

    @property
    def effect(self) -> float:
        """Effect that is in force."""
        return _unpack_shared(self.numbers)[2]

    @property
    def effect_sd(self) -> float:
        """Its standard error."""
        return _unpack_shared(self.numbers)[1]

    def resized(self, effect: float) -> SharedEffect:
        """The same with another effect in force.

        Parameters
        ----------
        effect
            The effect, in units of the outcome.

        Returns
        -------
        A copy.
        """
        raw, sd, _ = _unpack_shared(self.numbers)
        return SharedEffect(self.lesson, self.as_of, _SHARED.pack(raw, sd, effect))


AnyEffect: TypeAlias = Effect | SharedEffect
"""An effect of either kind."""


def packed_shared(
    raw: Sequence[float] | Floats, sd: Sequence[float] | Floats, effect: Sequence[float] | Floats
) -> list[bytes]:
    """The numbers of shared effects, as `SharedEffect` has them.

    Parameters
    ----------
    raw, sd, effect
        Of each of N effects (N,), in units of the outcome.

    Returns
    -------
    Bytes of each.
    """
    packed, size = np.column_stack((raw, sd, effect)).tobytes(), _SHARED.size
    return [packed[at : at + size] for at in range(0, len(packed), size)]


def ramp_of(z: float, bar: float) -> float:
    """How far an effect is phased in beyond the bar.

    Parameters
    ----------
    z
        |z| of the effect.
    bar
        |z| that it has to pass.

    Returns
    -------
    From 0 to 1.

    >>> ramp_of(4.0, 4.5), ramp_of(4.75, 4.5), ramp_of(6.0, 4.5)
    (0.0, 0.5, 1.0)
    """
    return min(max((z - bar) / RAMP_SDS, 0.0), 1.0)


def path_ramps(statistics: Iterable[float], bar: float) -> list[float]:
    """How far each of the first effects of a path is phased in, up to the first that has not.

    Parameters
    ----------
    statistics
        |z| of the effects of a path, in order.
    bar
        |z| that each has to pass.

    Returns
    -------
    From 0 to 1 for each; none is higher than the one before it.

    >>> path_ramps([6.0, 4.75, 5.0, 4.5, 7.0], 4.5)
    [1.0, 0.5, 0.5]
    """
    ramps: list[float] = []
    for z in statistics:
        ramp = min((z - bar) / RAMP_SDS, *ramps[-1:], 1.0)
        if ramp <= 0:
            break
        ramps.append(ramp)
    return ramps


def netted(
    lesson: AnyLesson,
    group: GroupPath,
    fit: Fit,
    j: int,
    statistic: float,
    bar: float,
    baselines: SegmentBaselines,
    half_lives: HalfLives,
) -> Effect:
    """One effect of a fit, beyond what the segments of its trades explain.

    Parameters
    ----------
    lesson
        The lesson of the effect.
    group
        Its group and path.
    fit
        The fit of the group's effects that passed.
    j
        Place of the effect in the fit; 0 is the level.
    statistic
        |z| of the effect on the path.
    bar
        |z| that it has to pass.
    baselines
        Mean outcome of the module's segments.
    half_lives
        The weights of half-lives in its group.

    Returns
    -------
    The effect, in units of the outcome.

    Raises
    ------
    ValueError
        If the lesson has no marginal effect.
    """
    marginal = lesson.marginal
    if marginal is None:
        raise ValueError(
            f"The lesson {lesson.lesson_id} is on its group's path without having been chosen."
        )
    by_segments, variance = explained(fit.loadings[j], group.path, baselines)
    level, _ = explained(fit.loadings[0], group.path, baselines)
    fitted, sd = fit.coefficients[j], fit.sds[j]
    now, now_sd, decay = moved(
        marginal.effect,
        marginal.effect_sd,
        marginal.now,
        marginal.now_sd,
        lesson.decay,
        weight_of_movement(half_lives.half_life, lesson.decay, half_lives.odds_power),
        half_lives.growth,
    )
    now += fitted - marginal.effect
    share = (
        max(_share(fitted, by_segments), _share(now, by_segments))
        * sd
        / max(np.sqrt(sd * sd + variance), 1e-300)
    )
    ramp = ramp_of(min(statistic, statistic * share), bar)
    left = (now - by_segments) * ramp * kept(now - by_segments, now_sd**2 + variance)
    return Effect(
        lesson,
        statistic,
        ramp,
        fitted - by_segments,
        float(np.sqrt(sd * sd + variance)),
        left,
        float(np.sqrt(now_sd**2 + variance)),
        decay,
        level + by_segments,
        group.summary.as_of,
    )


def moved(
    constant: float,
    constant_sd: float,
    now: float,
    now_sd: float,
    decay: LessonDecay,
    weight: float,
    growth: float,
) -> tuple[float, float, LessonDecay]:
    """An edge between its mean and what its half-life leaves of it now.

    The reader can only decay the whole edge, not part of it, so a half-life is published only where
    it has most of the weight.

    Parameters
    ----------
    constant, constant_sd
        Mean of the edge and its standard error, in units of the outcome.
    now, now_sd
        The edge now and its standard error, in the same units.
    decay
        State and half-life of the edge, and the odds that it moves.
    weight
        Weight of the movement, from 0 to 1, see `weight_of_movement`.
    growth
        Weight of what is beyond the mean, of either sign, from 0 to 1.

    Returns
    -------
    Edge, standard error, and the decay that is published.

    >>> decay = LessonDecay("decaying", half_life_hours=24.0)
    >>> [round(moved(0.4, 0.1, now, 0.1, decay, 0.5, 0.2)[0], 2) for now in (0.2, 0.9, -0.9)]
    [0.3, 0.5, -0.1]
    """
    within = min(max(now, -abs(constant)), abs(constant))
    size = weight * (within - constant) + growth * (now - within)
    if now != constant:
        weight = size / (now - constant)
    published = decay if weight >= PUBLISHED_WEIGHT else LessonDecay(state="stable")
    return (
        constant + size,
        constant_sd + weight * (now_sd - constant_sd),
        published,
    )


def weight_of_movement(weight: float, decay: LessonDecay, odds_power: float) -> float:
    """How far the movement of one effect counts.

    The estimate of an effect now is already a mean over moving and constant models.  The module's
    weight multiplies the prior odds of the moving ones, and the effect's own odds follow from its
    trades: where they leave no doubt, the module's weight does not matter, unless it is 0.  The
    odds are taken to a power, since outcomes that lie near in time are correlated.

    Parameters
    ----------
    weight
        Weight of movement in the module, from 0 to 1.
    decay
        The effect's decay, with the odds that it moves.
    odds_power
        Power of these odds, from 0 to 1, see `learner_weight.HalfLives`.

    Returns
    -------
    A weight from `weight` to 1; 0 if `weight` is 0.

    >>> [
    ...     round(weight_of_movement(0.5, LessonDecay("decaying", odds=odds), 0.5), 2)
    ...     for odds in (0.0, 4.0, 10_000.0)
    ... ]
    [0.5, 0.75, 0.99]
    """
    odds: float = (decay.odds or 0.0) ** odds_power
    return weight * (1.0 + odds) / (1.0 + weight * odds)


def kept(now: float, variance: float, shrink: float = SHRINK) -> float:
    """How much of an edge is published: 1 − `shrink` · variance / edge², not below 0.

    Parameters
    ----------
    now
        The edge now.
    variance
        Its variance, in squared units of it.
    shrink
        Share of the James–Stein shrinkage that applies.

    Returns
    -------
    A factor from 0 to 1.

    References
    ----------
    James & Stein 1961, "Estimation with quadratic loss".

    >>> round(kept(0.4, 0.01), 3), kept(0.05, 0.01)
    (0.969, 0.0)
    """
    return max(0.0, 1.0 - shrink * variance / max(now * now, 1e-300))


def _share(value: float, by_segments: float) -> float:
    return abs(value - by_segments) / abs(value) if value else 1.0
