"""Whole groups: how far a group's level lies from the baseline, and how much of that remains now.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.learning.common.baselines import ERROR_STEPS, VARIANCE_STEPS, SegmentBaselines
from app.learning.common.config import LearningConfig
from app.learning.common.event_time import DAY_US, HOUR_US, micros_from_text
from app.learning.common.size_unit import spread_of_outcomes
from app.learning.integrated.effect_history import course_days, decay_of
from app.learning.integrated.group_path import GroupPath, explained
from app.learning.integrated.half_life import EdgeState, edge_states
from app.learning.integrated.held_lesson import AnyLesson
from app.learning.integrated.learner_weight import DISCOUNT, ODDS_POWER, Counts, WeightEvidence
from app.learning.integrated.net_of_segments import Effect, kept, moved, ramp_of, weight_of_movement
from app.learning.integrated.persistence import block_of, upper_places
from app.learning.integrated.track_record import LEAST_TRADES, STEPS
from schemas.lessons import BlockProducts, Fit, GroupSummary, LessonDecay

Floats = NDArray[np.float64]

PRIOR_LEVEL_SD2 = 0.02
"""Variance of a module's levels beyond chance, in units of size, before anything is seen."""
PRIOR_GROUPS = 2.0
"""Number of groups that this variance counts as."""
ROUNDING = 1e-9
"""Standard deviation of outcomes, in parts of their mean, up to which all count as equal."""
TAU_STEPS = 32
"""Steps of that variance to each factor of two."""


class Level(NamedTuple):
    """A group's level: how far all of it is from its baseline.

    Attributes
    ----------
    z
        |z| of the level beyond the chosen effects.
    net
        The level beyond the chosen effects, net of the baseline.
    sd
        Its standard error.
    baseline
        The baseline.
    mean
        Mean outcome of all trades, net of the baseline.
    mean_sd
        Its standard error.
    """

    z: float
    net: float
    sd: float
    baseline: float
    mean: float
    mean_sd: float


def share_of(group: GroupPath, passed: Fit) -> tuple[int, float]:
    """What one group contributes to `added_of`.

    Parameters
    ----------
    group
        A group and its path.
    passed
        The fit of its effects that passed.

    Returns
    -------
    Its home trades, and what these effects add to the average one of them, in units of the outcome.
    """
    n = sum([part.n for part in group.summary.segments])
    return n, group.path.fits[0].coefficients[0] - passed.coefficients[0]


def added_of(total: float, trades: float) -> float:
    """The contribution of the effects that passed to the average trade of a module.

    Parameters
    ----------
    total
        Sum over the groups of trades × addition, in units of the outcome.
    trades
        Home trades of all groups.

    Returns
    -------
    The mean addition, in units of the outcome.
    """
    return total / max(trades, 1.0)


def level_of(group: GroupPath, passed: Fit, baselines: SegmentBaselines, added: float) -> Level:
    """The level of one group.

    |z| is the smaller of that of all trades together and that beyond the chosen effects, 0 where
    their signs differ.  What the chosen effects add to the average trade of the module is not held
    against a group without any: beyond the effects, levels are compared with a baseline beyond
    them.

    Parameters
    ----------
    group
        A group and its path.
    passed
        The fit of its effects that passed.
    baselines
        Mean outcome of the module's segments.
    added
        What effects add to the average trade of the module, in units of the outcome.

    Returns
    -------
    The level, in units of the outcome.
    """
    path = group.path
    values = []
    for fit, beyond in ((path.fits[0], 0.0), (passed, added)):
        baseline, variance = explained(fit.loadings[0], path, baselines)
        baseline -= beyond
        sd = sqrt(fit.sds[0] ** 2 + variance)
        values.append((fit.coefficients[0] - baseline, sd, baseline))
    (alone, alone_sd, _), (net, sd, baseline) = values
    agrees = alone * net > 0 and sd > 0 and alone_sd > 0
    z = min(abs(alone) / alone_sd, abs(net) / sd) if agrees else 0.0
    return Level(z, net, sd, baseline, alone, alone_sd)


class Spread(NamedTuple):
    """How much the levels of a module's groups vary.

    Attributes
    ----------
    tau2
        Their variance beyond chance.
    net_tau2
        The same beyond the chosen effects.
    clustering
        How many times the variance by which a mean is shrunk is that of independent outcomes, for
        the average trade of groups with enough blocks of time to tell.
    """

    tau2: float
    net_tau2: float
    clustering: float


def noise_of(
    summary: GroupSummary, level: Level, config: LearningConfig
) -> tuple[float, BlockProducts]:
    """The noise of a level as outcomes cluster in time.

    Parameters
    ----------
    summary
        The group's summary, with its course.
    level
        Its level.
    config
        Settings: the window.

    Returns
    -------
    The variance of the level, in squared units of the outcome; and the products of what it earned
    in each pair of blocks, in units of that of one trade.
    """
    n = np.array([cell.n for cell in summary.course], np.float64)
    mean = np.array([cell.mean for cell in summary.course])
    trades = float(n.sum())
    beyond = mean - float(n @ mean) / trades
    block = _blocks(summary, config)
    left = np.bincount(block - block[0], n * beyond)
    earned = left + np.bincount(block - block[0], n) * level.mean
    near = float(left @ left + 2.0 * (left[1:] @ left[:-1])) / trades**2
    # A level without noise would be beyond all numbers.
    unit = max(level.mean_sd**2 * trades, 1e-12 * float(earned @ earned), 1e-300)
    products = np.outer(earned, earned) / unit
    upper = tuple(products[upper_places(len(products))].tolist())
    return max(near, level.mean_sd**2), BlockProducts(int(block[0]), len(products), upper)


def net_noise2(level: Level, noise2: float) -> float:
    """The noise of a level beyond the chosen effects.

    Parameters
    ----------
    level
        The level.
    noise2
        Variance of its mean, in squared units of the outcome.

    Returns
    -------
    The variance of what is left beyond the chosen effects, in the same units.
    """
    return noise2 * (level.sd / level.mean_sd) ** 2 if level.mean_sd > 0 else noise2


def pooling_noise2(clustered: float, independent: float) -> float:
    """The noise of a level by which it is shrunk.

    How outcomes cluster is estimated from two dozen blocks of time, so it is uncertain itself: the
    estimate is shrunk half of the way, on a log scale, to what it would be if outcomes did not.

    Parameters
    ----------
    clustered
        Variance of the level as its outcomes cluster in time, in squared units of the outcome.
    independent
        The same if they were independent; 0 if nothing tells.

    Returns
    -------
    The variance, in the same units.

    >>> pooling_noise2(0.25, 0.04), pooling_noise2(0.25, 0.0)
    (0.1, 0.25)
    """
    return sqrt(clustered * independent) if independent > 0 else clustered


def varies(summary: GroupSummary, level: Level) -> bool:
    """Whether the outcomes behind a level differ by more than rounding.

    Parameters
    ----------
    summary
        The group's summary.
    level
        Its level.

    Returns
    -------
    False if all of them are equal: then nothing tells how certain the level is.
    """
    return sqrt(independent_noise2(summary) * summary.n) > ROUNDING * abs(level.mean)


def independent_noise2(summary: GroupSummary) -> float:
    """The variance of a group's mean if its outcomes were independent of each other.

    Parameters
    ----------
    summary
        The group's summary.

    Returns
    -------
    The variance, in squared units of the outcome; 0 without any spread.
    """
    squares, n = spread_of_outcomes(summary)
    return squares / n**2 if n else 0.0


def beyond_chance(levels: Floats, scale: float) -> float:
    """The variance of levels beyond that of their noise, with a prior of `PRIOR_GROUPS` groups.

    Parameters
    ----------
    levels
        Level and variance of its noise (G, 2), in units of the outcome and squared ones.
    scale
        Units of the outcome per unit of size.

    Returns
    -------
    The variance, not below 0, in squared units of the outcome.

    References
    ----------
    DerSimonian & Laird 1986, "Meta-analysis in clinical trials", Controlled Clinical Trials 7.
    """
    prior = PRIOR_LEVEL_SD2 * scale * scale
    net, variance = levels.T
    precision = 1.0 / np.maximum(variance + prior, 1e-300)
    excess = precision * (net * net - variance)
    beyond = fsum(excess.tolist()) / fsum(precision.tolist())
    return (len(levels) * max(beyond, 0.0) + PRIOR_GROUPS * prior) / (len(levels) + PRIOR_GROUPS)


def in_tau_steps(tau2: float, scale: float) -> float:
    """A variance of levels in steps, so that a trade in one group does not change every level.

    Parameters
    ----------
    tau2
        The variance, in squared units of the outcome.
    scale
        Units of the outcome per unit of size.

    Returns
    -------
    The nearest step, in the units of `tau2`; 0 for none.

    >>> in_tau_steps(0.02, 1.0), in_tau_steps(0.0, 1.0)
    (0.01982892120612083, 0.0)
    """
    if not tau2 > 0:
        return 0.0
    steps = np.round(np.log2(tau2 / (scale * scale)) * TAU_STEPS)
    return scale * scale * float(np.exp2(steps / TAU_STEPS))


def whole_effect(
    lesson: AnyLesson,
    group: GroupPath,
    level: Level,
    counts: Counts,
    bar: float,
    config: LearningConfig,
) -> Effect:
    """The edge of a whole group now, from its level and its movement over time.

    Parameters
    ----------
    lesson
        The whole group's lesson.
    group
        The group and its path.
    level
        Its level, in units of the outcome.
    counts
        How far learners count in the module.
    bar
        |z| that a level has to pass.
    config
        Settings: the window.

    Returns
    -------
    The effect, in units of the outcome.
    """
    ramp = ramp_of(level.z, bar)
    now, now_sd, decay = level.net, level.sd, LessonDecay(state="stable")
    if ramp and counts.level_half_life and len(group.summary.course) > 1:
        state = _state(group.summary, level, micros_from_text(lesson.as_of), config)
        decay = decay_of(state)
        # The noise of levels already includes correlation in time.
        weight = weight_of_movement(counts.level_half_life, decay, ODDS_POWER)
        now, now_sd, decay = moved(
            now, now_sd, state.now, state.now_sd, decay, weight, growth=weight
        )
    size = now * ramp * kept(now, now_sd**2)
    return Effect(
        lesson,
        level.z,
        ramp,
        level.net,
        level.sd,
        size,
        now_sd,
        decay,
        level.baseline,
        lesson.as_of,
    )


class PooledLevel(NamedTuple):
    """Posterior means of a group's level, shrunk by how much levels vary in the module.

    Attributes
    ----------
    mean
        The level of all its trades.
    net
        The level beyond the chosen effects.
    added
        What the chosen effects add to the mean, as measured.
    """

    mean: float
    net: float
    added: float


def pooled_level(level: Level, noise2: float, spread: Spread) -> PooledLevel:
    """Both levels shrunk toward the baseline.

    Parameters
    ----------
    level
        A group's level, in units of the outcome.
    noise2
        Variance of its mean, in squared units.
    spread
        How levels of the module's groups differ.

    Returns
    -------
    The posterior means, in units of the outcome.

    References
    ----------
    James & Stein 1961, "Estimation with quadratic loss".
    """
    net_noise = net_noise2(level, noise2)
    return PooledLevel(
        level.mean * spread.tau2 / max(spread.tau2 + noise2, 1e-300),
        level.net * spread.net_tau2 / max(spread.net_tau2 + net_noise, 1e-300),
        level.mean - level.net,
    )


def coarse_level(level: Level, noise2: float) -> tuple[float, float]:
    """A level on a grid: another group's next trade moves the baseline a little, and this group's
    record need not be computed again for it.

    Parameters
    ----------
    level
        A group's level, in units of the outcome.
    noise2
        Variance of its mean, in squared units.

    Returns
    -------
    The mean and the variance of its noise, on the grid, in the same units.
    """
    log2 = np.log2(max(noise2, 1e-300))
    noise2 = float(np.exp2(np.round(VARIANCE_STEPS * log2) / VARIANCE_STEPS))
    step = float(np.sqrt(noise2)) / ERROR_STEPS
    return round(level.mean / step) * step, noise2


def record_of_level(
    summary: GroupSummary, mean: float, noise2: float, config: LearningConfig
) -> WeightEvidence:
    """How well a whole group's half-life predicted at past times, beyond its mean (see
    `track_record.py`).

    Parameters
    ----------
    summary
        The group's summary, with its course.
    mean
        Mean of all its trades net of the baseline, in units of the outcome.
    noise2
        Variance of `mean`, in squared units.
    config
        Settings: window and `n_min`.

    Returns
    -------
    Sums over the trades after the past times, in units of the variance of an outcome.

    References
    ----------
    Dawid 1984, "The prequential approach", JRSS A 147.
    """
    step = max(config.window_us // STEPS, 1)
    half = step * STEPS // 2
    newest = micros_from_text(summary.as_of)
    length = course_days(config.window_us) * DAY_US
    starts = np.array([cell.day * DAY_US for cell in summary.course])
    n = np.array([cell.n for cell in summary.course], np.float64)
    beyond = np.array([cell.mean for cell in summary.course])
    beyond += mean - float(n @ beyond) / float(n.sum())
    noise = max(noise2 * float(n.sum()), 1e-300)
    unit = DISCOUNT / noise  # the noise of levels already includes correlation in time
    past: list[tuple[int, NDArray[np.bool_], NDArray[np.bool_]]] = []
    for cut in range((newest - half) // step * step + step, newest, step):
        known = (starts + length <= cut) & (starts >= cut - half)
        after = (starts >= cut) & (starts < cut + step)
        if n[known].sum() >= LEAST_TRADES * config.n_min and known.sum() > 1 and after.any():
            past.append((cut, known, after))
    middle = starts + length / 2
    states = _edge_states(
        [(middle[known] - cut, n[known], beyond[known]) for cut, known, _ in past],
        float(np.sqrt(noise)),
    )
    found = WeightEvidence()
    for (cut, known, after), state in zip(past, states, strict=True):
        before = float(n[known] @ beyond[known] / n[known].sum())
        age = (middle[after] - cut) / HOUR_US
        moving = state.now * np.exp2(-age / (state.half_life_hours or np.inf)) - before
        found = found.plus(
            WeightEvidence(
                unit * float(n[after] @ (moving * moving)),
                unit * float(n[after] @ (moving * (beyond[after] - before))),
                int(n[after].sum()),
            )
        )
    return found


def _state(summary: GroupSummary, level: Level, now_us: int, config: LearningConfig) -> EdgeState:
    """How much of a level remains now, from its course over the whole window."""
    cells = summary.course
    n = np.array([cell.n for cell in cells], np.float64)
    mean = np.array([cell.mean for cell in cells])
    shift = level.net - float(n @ mean) / float(n.sum())
    at_us = (
        np.array([cell.day for cell in cells]) * DAY_US + course_days(config.window_us) * DAY_US / 2
    )
    # A cell at the window's end is not full yet: its trades closed by now.
    course = (np.minimum(at_us, now_us) - now_us, n, mean + shift)
    return _edge_states([course], level.sd * float(np.sqrt(n.sum())))[0]


def _edge_states(
    parts: Sequence[tuple[Floats, Floats, Floats]], noise_sd: float
) -> list[EdgeState]:
    """The state of each of these courses at its own time 0: times in µs, trades and means of its
    cells.  A cell's mean of n trades counts as n observations."""
    if not parts:
        return []
    counts = [n.astype(np.int64) for _, n, _ in parts]
    return edge_states(
        np.concatenate(
            [np.repeat(at_us / HOUR_US, c) for (at_us, *_), c in zip(parts, counts, strict=True)]
        ),
        np.concatenate([np.repeat(mean, c) for (*_, mean), c in zip(parts, counts, strict=True)]),
        np.cumsum([0, *(int(c.sum()) for c in counts)]),
        np.full(len(parts), max(noise_sd, 1e-12)),
        0.0,
    )


def _blocks(summary: GroupSummary, config: LearningConfig) -> NDArray[np.int64]:
    middle = (
        np.array([cell.day for cell in summary.course], np.int64) * DAY_US
        + course_days(config.window_us) * DAY_US // 2
    )
    return block_of(middle, config.window_us)
