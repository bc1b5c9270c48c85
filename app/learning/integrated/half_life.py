"""The half-life and the current edge: how strong a selected effect is today, and how fast it
decays.

May touch: nothing but its arguments.

The trades' uplifts (`observed_uplifts.py`) are explained by a bank of models (`edge_models.py`),
which are weighted by prior × likelihood.  The current edge is the mean over all of them; a
half-life is claimed if the models that revert to neutral beat the constant.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.learning.integrated.edge_models import (
    WALK_HALF_LIFE,
    ModelCells,
    changes,
    curves,
    cycles,
    filters,
    half_life_quantiles,
)
from app.learning.integrated.observed_uplifts import MIN_TIMES, PARTS, observe

Floats = NDArray[np.float64]

CLAIM_ODDS = 3.0
"""A half-life is claimed when mean reversion beats the constant by these posterior odds."""
MIN_TRADES = 10
"""Trades below which an effect is `insufficient`."""
MIN_Z = 2.5
"""An effect is also `insufficient` unless the mean of an early part of the span, of a late part or
of all of it is this many standard errors from 0."""
CLEAR_Z = 1.645
"""Standard deviations by which a difference is clear: 95 %, one-sided."""


class EdgeState(NamedTuple):
    """The state of one effect.

    Attributes
    ----------
    state
        `insufficient` (see `MIN_TRADES`, `MIN_TIMES`, `MIN_Z`); `reversed` (an early part of the
        span significantly of one sign, now the other); `improving` (now clearly stronger than in
        the first half; but what began and now falls is `decaying`); `decaying` (mean reversion
        beats the constant at `CLAIM_ODDS`, and either explains the data best or the edge is clearly
        below its first half); else `stable`.
    half_life_hours, interval
        Half-life and its 10 to 90 % interval, in hours: always with `decaying`, never with `stable`
        and `insufficient`; with the other two only if mean reversion explains best how the edge
        moves (a seasonal edge, which will return). Else None.
    now, now_sd
        Posterior mean and standard deviation of the edge at the requested time, over all cells, in
        units of the outcome.
    level
        The mean of all trades: the estimate if the edge is constant.
    odds
        Posterior odds of mean reversion (decay, onset, Ornstein-Uhlenbeck, cycle) against the
        constant.
    """

    state: str
    half_life_hours: float | None
    interval: tuple[float, float] | None
    now: float
    now_sd: float
    level: float
    odds: float


class Models(NamedTuple):
    """All models of K effects after their last trades.

    Attributes
    ----------
    kinds
        The fitted cells: curves, changes, cycles, filters.
    weight
        Posterior weights (K, C) of all cells; each row sums to 1.
    last
        Hour of the last trade (K,).
    span
        Hours from the first trade to the last (K,), at least 1.
    n
        Trades (K,).
    noise_sd
        Standard deviation of one trade's noise (K,).
    pseudo_sd
        The same of a pseudo-value, see `robust_values` (K,).
    slope
        Mean slope of the score (K,); 0 where values were left alone.
    """

    kinds: tuple[ModelCells, ModelCells, ModelCells, ModelCells]
    weight: Floats
    last: Floats
    span: Floats
    n: NDArray[np.int64]
    noise_sd: Floats
    pseudo_sd: Floats
    slope: Floats


def edge_states(
    hours: Floats, uplift: Floats, starts: NDArray[np.int64], noise_sd: Floats, now_hours: float
) -> list[EdgeState]:
    """The state of K effects now, each estimated from its own trades.

    The edge now is continuous in the outcomes.  Time without trades moves it towards 0, never past
    it.

    Parameters
    ----------
    hours
        Times of the trades (N,), in hours on any clock: one effect after the other, ascending
        within each.
    uplift
        Outcomes (N,) less the level without the effect, in units of the outcome.
    starts
        Where each effect begins in N, and the end of the last (K + 1,).
    noise_sd
        Standard deviation of one trade's noise (K,), in units of the outcome; inflated for
        autocorrelation if there is some.
    now_hours
        The requested time, on the clock of `hours`; at the earliest an effect's last trade.

    Returns
    -------
    One state for each effect: half-lives in hours, edges in units of the outcome.

    Raises
    ------
    ValueError
        If an effect has no trades.

    References
    ----------
    West & Harrison 1997, "Bayesian Forecasting and Dynamic Models", ch. 12 (multi-process models).
    Kalman 1960, "A new approach to linear filtering and prediction problems".

    >>> t = np.arange(200) * 3.6
    >>> bumps = 0.3 * np.sin(2.4 * np.arange(200.0) ** 2)
    >>> going, staying = edge_states(
    ...     np.tile(t, 2), np.append(0.8 * np.exp2(-t / 72) + bumps, 0.8 + bumps),
    ...     np.array([0, 200, 400]), np.array([0.3, 0.3]), 720.0,
    ... )
    >>> (
    ...     going.state, round(going.half_life_hours), [round(h) for h in going.interval],
    ...     round(going.now, 2), round(going.now_sd, 2),
    ... )
    ('decaying', 70, [52, 94], 0.0, 0.01)
    >>> staying.state, staying.half_life_hours, round(staying.now, 2), round(staying.level, 2)
    ('stable', None, 0.8, 0.8)
    """
    return edges(hours, uplift, starts, noise_sd, now_hours)[0]


def edges(
    hours: Floats, uplift: Floats, starts: NDArray[np.int64], noise_sd: Floats, now_hours: float
) -> tuple[list[EdgeState], Models | None]:
    """`edge_states`, and the models behind them.

    Parameters
    ----------
    hours, uplift, starts, noise_sd, now_hours
        As in `edge_states`.

    Returns
    -------
    The states, and the models after the last trades; None without effects.

    Raises
    ------
    ValueError
        If an effect has no trades.
    """
    n = np.diff(starts)
    if not len(n):
        return [], None
    if n.min() < 1:
        raise ValueError("An effect has no trades.")
    first, last = hours[starts[:-1]], hours[starts[1:] - 1]
    span = np.maximum(last - first, 1.0)
    level = np.add.reduceat(uplift, starts[:-1]) / n
    rms = np.sqrt(np.add.reduceat(uplift * uplift, starts[:-1]) / n)
    noise = np.maximum(noise_sd, np.maximum(1e-6 * rms, 1e-12))
    seen, fine, pseudo_sd, slope, n_times = observe(
        hours, uplift, starts, noise, (first, span, np.maximum(now_hours - last, 0.0) / span)
    )
    kinds = curves(seen), changes(fine), cycles(seen), filters(seen)
    mean, spread, log_weight, half_life, stationary, falls, width = (
        np.concatenate(part, axis=-1) for part in zip(*kinds, strict=True)
    )

    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    fading = np.exp2(-seen.gap[:, None] / half_life)
    at_last = (weight * mean).sum(axis=1)
    mean *= fading
    spread = stationary + (spread - stationary) * fading**2
    forecast = (weight * mean).sum(axis=1)
    variance = (weight * (spread + (mean - forecast[:, None]) ** 2)).sum(axis=1)
    # Parts of different signs decay at different speeds; their sum must not cross zero or grow
    # without trades.
    now = np.clip(forecast, np.minimum(at_last, 0.0), np.maximum(at_last, 0.0))
    # The part removed from the tails was added to the level again, with its noise.
    now_sd = np.sqrt(variance + np.maximum(noise**2 - pseudo_sd**2, 0.0) / n)

    reverting = half_life < WALK_HALF_LIFE
    constant = np.maximum(weight[:, 0], 1e-300)
    p_reverting = weight[:, reverting].sum(axis=1)
    p_other = 1.0 - constant - p_reverting
    odds = p_reverting / constant
    moves = (1.0 - constant) / constant > CLAIM_ODDS

    sign = np.sign(now)
    clear = np.abs(now) > CLEAR_Z * now_sd
    early_z = seen.parts_z[:, : PARTS - 1] * sign[:, None]
    rise = (now - seen.early) / np.hypot(now_sd, seen.early_se)
    fall = np.abs(seen.early) - np.abs(now) > CLEAR_Z * np.hypot(now_sd, seen.early_se)
    enough = (
        (n >= MIN_TRADES) & (n_times >= MIN_TIMES) & (np.abs(seen.parts_z).max(axis=1) >= MIN_Z)
    )
    turned = moves & clear & (early_z.min(axis=1) <= -MIN_Z)
    better = moves & clear & (rise * sign > CLEAR_Z)
    claimed = (odds > CLAIM_ODDS) & (p_reverting > p_other)
    falling = claimed & (weight[:, falls].sum(axis=1) > 0.5 * p_reverting)
    fading_away = claimed | ((odds > CLAIM_ODDS) & fall)
    quantiles = np.zeros((len(n), 3))
    quantiles[fading_away] = (  # others show none
        half_life_quantiles(
            weight[fading_away][:, reverting], half_life[reverting], width[reverting]
        )
        * span[fading_away, None]
    )
    states = []
    for k in range(len(n)):
        if not enough[k]:
            state, shown = "insufficient", False
        elif turned[k]:
            state, shown = "reversed", bool(claimed[k])
        elif better[k] and not falling[k]:
            state, shown = "improving", bool(claimed[k])
        else:
            shown = bool(fading_away[k])
            state = "decaying" if shown else "stable"
        low, mid, high = quantiles[k].tolist()
        life, interval = (mid, (low, high)) if shown else (None, None)
        states.append(
            EdgeState(
                state,
                life,
                interval,
                float(now[k]),
                float(now_sd[k]),
                float(level[k]),
                float(odds[k]),
            )
        )
    return states, Models(kinds, weight, last, span, n, noise, pseudo_sd, slope)
