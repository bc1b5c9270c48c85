"""Statistics of slices: count, mean, variance and trend of the outcome, each from the slice's own trades in canonical order.

May touch: nothing.

Every sum runs over one slice's trades alone (`np.add.reduceat`), in an order that is a function of the set of trades.  So a slice's
figures are the same to the last bit whether it was computed alone, with others, incrementally or in one batch; a matrix product, whose
rounding depends on its shape, would not give that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.core0.slices import Incidence, Members

US_PER_HOUR = 3_600_000_000
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SliceStatistics:
    """Arrays over slices.  `mean` and sample `variance` (0 for one trade) of the outcome; `slope` is its least-squares slope on the hours
    of exit (0 where all exits are at one time); `distinct_exits` counts different exit times; `first_us`, `last_us` are exits."""

    n: npt.NDArray[np.int64]
    mean: Floats
    variance: Floats
    slope: Floats
    distinct_exits: npt.NDArray[np.int64]
    first_us: npt.NDArray[np.int64]
    last_us: npt.NDArray[np.int64]


def statistics(members: Members, data: Incidence) -> SliceStatistics:
    """Statistics of every slice of `members`, each of which has at least one trade; shape (slices,)."""
    n = members.n
    at, starts = members.trades, members.starts[:-1]
    if len(n) == 0:
        none, whole = np.zeros(0), np.zeros(0, np.int64)
        return SliceStatistics(whole, none, none, none, whole, whole, whole)
    outcome, exits = data.outcome[at], data.exit_us[at]
    mean = np.add.reduceat(outcome, starts) / n
    residual = outcome - np.repeat(mean, n)
    squares = np.add.reduceat(residual * residual, starts)
    variance = np.divide(squares, n - 1, out=np.zeros(len(n)), where=n > 1)
    first, last = np.minimum.reduceat(exits, starts), np.maximum.reduceat(exits, starts)
    hours = (exits - np.repeat(first, n)) / US_PER_HOUR
    hours -= np.repeat(np.add.reduceat(hours, starts) / n, n)
    spread = np.add.reduceat(hours * hours, starts)
    slope = np.divide(np.add.reduceat(hours * residual, starts), spread, out=np.zeros(len(n)), where=spread > 0)
    return SliceStatistics(n, mean, variance, slope, _distinct(exits, starts, n), first, last)


def _distinct(exits: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], n: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number of different values per slice."""
    row = np.repeat(np.arange(len(n)), n)
    order = np.lexsort((exits, row))
    ordered = exits[order]
    new = np.ones(len(ordered), np.int64)
    new[1:] = (ordered[1:] != ordered[:-1]) | (row[1:] != row[:-1])
    return np.add.reduceat(new, starts)
