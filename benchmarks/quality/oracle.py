"""The best that can be known: sizing by the truth, a mixed model that is given its variances, a
test that is given the slice, and the precision that a half-life can have.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from benchmarks.quality.truth import Planted, World
from edgeloop.overrides import MAX_MULTIPLIER, MIN_MULTIPLIER

LOWEST, HIGHEST = MIN_MULTIPLIER - 1.0, MAX_MULTIPLIER - 1.0
"""The bounds of a multiplier, minus 1."""


def knowing(uplift: NDArray[np.float64]) -> NDArray[np.float64]:
    """The best p = multiplier − 1: it maximises Σ(pu − p²/2)."""
    return np.clip(uplift, LOWEST, HIGHEST)


def regime_blind(world: World, window: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The best p (R,) if every effect is known at every time, but of its regimes only their mix
    among the slice's trades in `window`.

    `window` (T,) marks the trades to take the mix from.
    """
    total = np.zeros(len(world.codes))
    for planted in world.planted:
        effect = world.row_effect(planted)
        if planted.gains:
            inside = world.row_inside(planted)
            gain = world.row_gain(planted)
            mean = gain[inside & window[world.row_trade]].mean()
            effect = np.where(
                inside,
                planted.size * planted.profile(world.action_day[world.row_trade]) * mean,
                0.0,
            )
        total += effect
    return knowing(total + world.dense_effect())


class Posterior(NamedTuple):
    """`mean` and `variance` of the true uplift, given the window: the best estimate, and how far
    off it may be.

    Where all effects move together, `variance` is that of the effects alone, without the
    uncertainty of the path after the cut.
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]


def mixed_model(
    world: World, window: NDArray[np.bool_], decided: NDArray[np.int64], day: float
) -> Posterior:
    """The predictions of a mixed model that learns from the rows of `window` (R,), for the rows
    `decided` (D,) of a world of many small effects.

    It is given the distribution from which each effect is drawn, the size of the noise, which
    trades share a shock and how large shocks are, and, where all effects move together, their path
    up to `day` and how fast it reverts.  It is not given the level, the effects and the shocks.

    The outcome is y = level + X·b + shock + noise, with b ~ N(0, S) and V the covariance of shock
    and noise; then the precision of (level, b) is [1 X]ᵀV⁻¹[1 X] + diag(0, S⁻¹) (Henderson 1975).
    V⁻¹ = (I − Z·diag(τ²/(σ² + n·τ²))·Zᵀ)/σ², where n trades share a shock of variance τ².
    """
    dense = world.dense
    if dense is None:
        raise ValueError("The world has no distribution of effects.")
    row_day = world.action_day[world.row_trade]
    design = dense.design()
    if dense.movement is not None:
        design *= dense.movement.seen_at(row_day, day)[:, None]
    rows = np.flatnonzero(window)
    known = np.column_stack((np.ones(len(rows)), design[rows]))
    outcome = world.outcome[world.row_trade[rows]]
    precision, moments = known.T @ known, known.T @ outcome
    if dense.shock is not None:
        _, number, n = np.unique(
            dense.shock[world.row_trade[rows]], return_inverse=True, return_counts=True
        )
        order = np.argsort(number, kind="stable")
        starts = np.r_[0, np.cumsum(n)[:-1]]
        of_shock, outcome_of = (
            np.add.reduceat(known[order], starts),
            np.add.reduceat(outcome[order], starts),
        )
        weight = dense.shock_sd**2 / (dense.noise_sd**2 + n * dense.shock_sd**2)
        precision -= of_shock.T @ (weight[:, None] * of_shock)
        moments -= of_shock.T @ (weight * outcome_of)
    prior = np.r_[0.0, dense.sd**-2.0]
    covariance = np.linalg.inv(precision / dense.noise_sd**2 + np.diag(prior))
    mean = (covariance @ moments / dense.noise_sd**2)[1:]
    asked = design[decided]
    return Posterior(asked @ mean, np.einsum("dk,dk->d", asked @ covariance[1:, 1:], asked))


def t_test_p(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float:
    """Two-sided p-value of Welch's t-test between the outcomes of a slice and those of the rest of
    its group.

    >>> round(t_test_p(np.array([2.0, 3.0, 4.0]), np.array([0.0, 1.0, 0.0, 1.0])), 4)
    0.0305
    """
    a, b = inside.var(ddof=1) / len(inside), outside.var(ddof=1) / len(outside)
    t = (inside.mean() - outside.mean()) / np.sqrt(a + b)
    df = (a + b) ** 2 / (a**2 / (len(inside) - 1) + b**2 / (len(outside) - 1))
    return float(2.0 * special.stdtr(df, -abs(t)))


def half_life_sd(planted: Planted, days: NDArray[np.float64], noise_sd: float) -> float:
    """Cramér-Rao bound on the standard deviation of ln(half-life) when the amplitude is unknown,
    too, from trades at `days` with noise `noise_sd`.

    y = s·2^(−Δ/h): ∂y/∂s = 2^(−Δ/h), ∂y/∂ln h = s·2^(−Δ/h)·ln 2·Δ/h; the bound comes from
    (JᵀJ/σ²)⁻¹.  Infinite with fewer than two trades.
    """
    h = planted.half_life_days
    if h is None:
        return np.inf
    age = days[days >= planted.start_day] - planted.start_day
    level = np.exp2(-age / h)
    jacobian = np.column_stack((level, planted.size * level * np.log(2.0) * age / h))
    information = jacobian.T @ jacobian / noise_sd**2
    determinant = np.linalg.det(information)
    if len(age) < 2 or determinant <= 0:
        return np.inf
    return float(np.sqrt(information[0, 0] / determinant))
