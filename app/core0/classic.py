"""The classic edge ("6-D"): the formulas of the batch jobs that Edgeloop replaces, without any meta-learning.

May touch: nothing.  Golden numbers pin it; it is the reference that everything else is compared with.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SLOPE_LIMIT = 0.001
"""Outcome per hour of exit, beyond which an edge counts as decaying or improving."""
MIN_DISTINCT_EXITS = 5
MULTIPLIER_RANGE = (0.3, 3.0)
GRID = 100
"""Multipliers are rounded to 1/100."""
STATES = ("insufficient", "decaying", "stable", "improving")


def decay(slope: npt.ArrayLike, distinct_exits: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], Floats]:
    """State (index into `STATES`) and multiplier of the edge, from the slope of the outcome per hour; arrays of one shape.

    >>> states, multipliers = decay([-0.002, 0.0, 0.1, -9.0], [9, 9, 9, 4])
    >>> [STATES[s] for s in states], multipliers.tolist()
    (['decaying', 'stable', 'improving', 'insufficient'], [0.8, 1.0, 1.5, 1.0])
    """
    b = np.asarray(slope, dtype=np.float64)
    enough = np.asarray(distinct_exits) >= MIN_DISTINCT_EXITS
    size = np.minimum(100 * np.abs(b), 0.5)
    decaying, improving = enough & (b < -SLOPE_LIMIT), enough & (b > SLOPE_LIMIT)
    state = np.select([~enough, decaying, improving], [0, 1, 3], 2).astype(np.int64)
    multiplier = np.select([decaying, improving], [np.maximum(0.5, 1 - size), np.minimum(1.5, 1 + size)], 1.0)
    return state, multiplier


def reliability(n: npt.ArrayLike, variance: npt.ArrayLike) -> Floats:
    """1 / (1 + variance + 0.25 / n).

    >>> round(float(reliability(40, 0.0825 * 40 / 39)), 6)
    0.916703
    """
    return np.asarray(1 / (1 + np.asarray(variance, np.float64) + 0.25 / np.asarray(n, np.float64)))


def support(n: npt.ArrayLike) -> Floats:
    """1 - exp(-n / 50).

    >>> round(float(support(40)), 6)
    0.550671
    """
    return np.asarray(-np.expm1(-np.asarray(n, np.float64) / 50))


def edge(
    n: npt.ArrayLike, mean: npt.ArrayLike, variance: npt.ArrayLike, baseline: npt.ArrayLike, decay_multiplier: npt.ArrayLike
) -> Floats:
    """The raw edge of slices against `baseline`; arrays of one shape (or scalars).

    delta · reliability · (support + magnitude + time + stability) · decay multiplier, with delta = mean − baseline, magnitude the sigmoid
    of the mean, time = 1 and stability = 1 / (1 + variance).

    >>> [round(float(edge(40, 0.95, 0.0825 * 40 / 39, b, 1.0)), 6) for b in (0.5, 0.8, 1.5)]
    [1.317484, 0.439161, -1.610258]
    """
    m, v = np.asarray(mean, np.float64), np.asarray(variance, np.float64)
    magnitude = 0.5 * (1 + np.tanh(0.5 * m))  # the sigmoid, without overflow
    dimensions = support(n) + magnitude + 1.0 + 1 / (1 + v)
    return np.asarray((m - np.asarray(baseline, np.float64)) * reliability(n, v) * dimensions * np.asarray(decay_multiplier, np.float64))


def confidence(n: npt.ArrayLike, variance: npt.ArrayLike) -> Floats:
    """support · reliability: the weight in the position manager's blend."""
    return support(n) * reliability(n, variance)


def multiplier(edge_raw: npt.ArrayLike) -> Floats:
    """Size multiplier: 1 + edge, clamped to [0.3, 3.0], on a grid of 0.01.

    >>> multiplier([1.317484, 0.439161, -1.610258]).tolist()
    [2.32, 1.44, 0.3]
    """
    return np.asarray(np.rint(np.clip(1 + np.asarray(edge_raw, np.float64), *MULTIPLIER_RANGE) * GRID) / GRID)
