"""Statistics of slices: moments of their trades' outcomes, and the slope over time.

May touch: nothing but its arguments.  Each slice's sums are computed from its own trades in
canonical order (exit, trade id) and from nothing else, so that they are identical to the last bit
however they are computed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.learning.classic.slices import Incidence, Words
from app.learning.common.event_time import HOUR_US

CHUNK_WORDS = 1 << 15
"""Words of bitsets processed at once; their bits, two megabytes as bytes, stay in the cache."""


class SliceStatistics(NamedTuple):
    """Statistics of K slices.

    Attributes
    ----------
    n
        Trades (K,).
    mean
        Mean outcome (K,).
    variance
        Sample variance of the outcome (K,); 0 if n = 1.
    slope
        Least-squares slope of the outcome per hour of exit (K,); 0 if all exits are equal.
    n_exits
        Distinct exits (K,).
    first_us, last_us
        Oldest and newest exit (K,), in microseconds since the epoch.
    """

    n: NDArray[np.int64]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    slope: NDArray[np.float64]
    n_exits: NDArray[np.int64]
    first_us: NDArray[np.int64]
    last_us: NDArray[np.int64]


def slice_statistics(
    incidence: Incidence, trades: Words, exit_us: NDArray[np.int64], outcome: NDArray[np.float64]
) -> SliceStatistics:
    """Statistics of K slices.

    Two passes: means first, then centred squares and products, so that nothing cancels.

    Parameters
    ----------
    incidence
        Incidence of the window that the slices come from.
    trades
        The slices as trade bitsets (K, W), each with at least one trade.
    exit_us
        Exits (T,) in µs since 1970, in canonical order.
    outcome
        Outcomes (T,), in the same order.

    Returns
    -------
    Arrays (K,), in units of the outcome; the slope is per hour.

    References
    ----------
    Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance", Am. Stat. 37.

    >>> from app.learning.common.trade import Trade

    >>> from app.learning.common.window import GroupWindow
    >>> window = GroupWindow(10**12, 100)
    >>> window.fold(
    ...     Trade(
    ...         str(h), (0, 1, h * HOUR_US, "e", "00"), h * HOUR_US, float(y), (None, None), True,
    ...         ({},),
    ...     )
    ...     for h, y in enumerate([1, 2, 3, 4, 6])
    ... )
    >>> shot = window.snapshot()
    >>> whole = next(Incidence(shot).mine(1, 0))
    >>> [
    ...     column.tolist()
    ...     for column in slice_statistics(
    ...         Incidence(shot), whole.trades, shot.exit_us, shot.outcome
    ...     )
    ... ]
    [[5], [3.2], [3.7], [1.2], [5], [0], [14400000000]]
    """
    step = max(1, CHUNK_WORDS // max(1, incidence.n_words))
    parts = [
        _statistics(incidence, trades[i : i + step], exit_us, outcome)
        for i in range(0, len(trades), step)
    ]
    return joined(parts)


def joined(parts: list[SliceStatistics]) -> SliceStatistics:
    """Several sets of slices, one after the other.

    Parameters
    ----------
    parts
        The sets.

    Returns
    -------
    One set.
    """
    if not parts:
        none, zero = np.zeros(0, np.int64), np.zeros(0, np.float64)
        return SliceStatistics(none, zero, zero, zero, none, none, none)
    if len(parts) == 1:
        return parts[0]
    return SliceStatistics(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _statistics(
    incidence: Incidence, trades: Words, exit_us: NDArray[np.int64], outcome: NDArray[np.float64]
) -> SliceStatistics:
    little = trades.astype("<u8", copy=False)
    bits = np.flatnonzero(
        np.unpackbits(little.view(np.uint8), axis=1, bitorder="little").view(np.bool_)
    )
    n = np.bitwise_count(trades).sum(axis=1, dtype=np.int64)
    starts = np.cumsum(n) - n
    bits -= np.repeat(np.arange(len(n)) * (incidence.n_words * 64), n)
    trade = incidence.trade_of_bit[bits]
    y = outcome[trade]
    exits = exit_us[trade]
    first, last = exits[starts], exits[starts + n - 1]
    mean = np.add.reduceat(y, starts) / n
    y -= np.repeat(mean, n)
    variance = np.add.reduceat(y * y, starts) / np.maximum(n - 1, 1)
    variance[n == 1] = 0.0
    steps = np.ones(len(exits), np.int64)
    steps[1:] = exits[1:] != exits[:-1]
    steps[starts] = 1
    n_exits = np.add.reduceat(steps, starts)
    hours = (exits - np.repeat(first, n)) / HOUR_US
    hours -= np.repeat(np.add.reduceat(hours, starts) / n, n)
    y *= hours
    covariance = np.add.reduceat(y, starts)
    hours *= hours
    spread = np.add.reduceat(hours, starts)
    slope = np.divide(covariance, spread, out=np.zeros(len(n)), where=n_exits > 1)
    return SliceStatistics(n, mean, variance, slope, n_exits, first, last)
