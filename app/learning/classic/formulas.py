"""The formulas of `classic`: the batch jobs' "6-D" edge, kept to the digit as a reference.

May touch: nothing but its arguments.  All functions take scalars or arrays (K,) of slices and
return arrays of that shape.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, expm1

DECAY_EXITS = 5
"""Distinct exit times that a slope needs."""
DECAY_SLOPE = 0.001
"""Outcome per hour beyond which an edge counts as decaying or improving."""
DECAY_PER_SLOPE = 100.0
"""Change of the decay multiplier per outcome and hour."""
DECAY_MOST = 0.5
"""Largest change of the decay multiplier: it is from 0.5 to 1.5."""
SUPPORT_TRADES = 50.0
"""Trades over which the support rises to 1 − 1/e."""
RELIABILITY_TRADES = 0.25
"""Weight of 1/n in the reliability: four trades count as much as a variance of 1/16."""
DECAY_STATES = ("insufficient", "decaying", "stable", "improving")


def decay(slope: ArrayLike, n_exits: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """State and decay multiplier of an edge, from the slope of its outcomes over time.

    With slope b: decaying below −0.001, max(0.5, 1 − min(100|b|, 0.5)); improving above 0.001,
    min(1.5, 1 + min(100|b|, 0.5)); else, and with fewer than 5 exits, 1.

    Parameters
    ----------
    slope
        Outcome per hour of exit (K,).
    n_exits
        Distinct exits (K,).

    Returns
    -------
    The states (K,), as positions in `DECAY_STATES`, and the multipliers (K,).

    >>> state, multiplier = decay([-0.002, 0.0, 0.002, 0.1, 0.1], [9, 9, 9, 9, 4])
    >>> [DECAY_STATES[s] for s in state], multiplier.tolist()
    (['decaying', 'stable', 'improving', 'improving', 'insufficient'], [0.8, 1.0, 1.2, 1.5, 1.0])
    """
    b = np.asarray(slope, np.float64)
    enough = np.asarray(n_exits) >= DECAY_EXITS
    change = np.minimum(DECAY_PER_SLOPE * np.abs(b), DECAY_MOST)
    falling, rising = enough & (b < -DECAY_SLOPE), enough & (b > DECAY_SLOPE)
    state = np.where(falling, 1, np.where(rising, 3, np.where(enough, 2, 0)))
    multiplier = np.where(falling, 1.0 - change, np.where(rising, 1.0 + change, 1.0))
    return state, multiplier


def reliability(n: ArrayLike, variance: ArrayLike) -> NDArray[np.float64]:
    """How far a slice's mean can be relied on: 1/(1 + var + 0.25/n).

    Parameters
    ----------
    n
        Trades (K,), at least one.
    variance
        Sample variance of the outcome (K,).

    Returns
    -------
    Reliability (K,), in (0, 1).

    >>> round(float(reliability(40, 0.33 / 3.9)), 6)
    0.916703
    """
    return np.asarray(
        1.0
        / (1.0 + np.asarray(variance, np.float64) + RELIABILITY_TRADES / np.asarray(n, np.float64))
    )


def support(n: ArrayLike) -> NDArray[np.float64]:
    """The weight of the number of trades: 1 − exp(−n/50).

    Parameters
    ----------
    n
        Trades (K,).

    Returns
    -------
    Support (K,), in [0, 1).

    >>> round(float(support(40)), 6)
    0.550671
    """
    # scipy's expm1 takes one number at a time; numpy's may round differently with the place in the
    # array.
    return np.asarray(-expm1(-np.asarray(n, np.float64) / SUPPORT_TRADES))


def edge_raw(
    n: ArrayLike,
    mean: ArrayLike,
    variance: ArrayLike,
    decay_multiplier: ArrayLike,
    baseline: ArrayLike,
) -> NDArray[np.float64]:
    """The edge: (mean − baseline) · reliability · (support + magnitude + time + stability) · decay.

    magnitude = sigmoid(mean), stability = 1/(1 + var), time = 1.

    Parameters
    ----------
    n
        Trades (K,).
    mean, variance
        Mean and variance of the outcome (K,).
    decay_multiplier
        As `decay` returns it (K,).
    baseline
        Mean outcome of the module, a scalar or (K,).

    Returns
    -------
    Edges (K,), in units of the outcome.

    >>> edge_raw(40, 0.95, 0.33 / 3.9, 1.0, [0.5, 0.8, 1.5]).round(6).tolist()
    [1.317484, 0.439161, -1.610258]
    """
    mean, variance = np.asarray(mean, np.float64), np.asarray(variance, np.float64)
    dimensions = support(n) + expit(mean) + 1.0 + 1.0 / (1.0 + variance)
    return np.asarray((mean - baseline) * reliability(n, variance) * dimensions * decay_multiplier)


def confidence(n: ArrayLike, variance: ArrayLike) -> NDArray[np.float64]:
    """The confidence of an override: support · reliability.

    Parameters
    ----------
    n
        Trades (K,).
    variance
        Sample variance of the outcome (K,).

    Returns
    -------
    Confidence (K,), in [0, 1].

    >>> round(float(confidence(40, 0.33 / 3.9)), 6)
    0.504802
    """
    return support(n) * reliability(n, variance)


def is_override(n: ArrayLike, edge: ArrayLike, n_min: int, edge_min: float) -> NDArray[np.bool_]:
    """Whether slices become overrides: n ≥ n_min and |edge| ≥ edge_min.

    Parameters
    ----------
    n
        Trades (K,).
    edge
        In units of size (K,).
    n_min, edge_min
        The settings EDGELOOP_N_MIN and EDGELOOP_EDGE_MIN.

    Returns
    -------
    Booleans (K,).

    >>> is_override([33, 32, 33], [0.05, 1.0, -0.049], 33, 0.05).tolist()
    [True, False, False]
    """
    return np.asarray((np.asarray(n) >= n_min) & (np.abs(np.asarray(edge, np.float64)) >= edge_min))
