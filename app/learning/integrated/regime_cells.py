"""The histories from which regime weights are fitted: cells of one lesson, one day and one regime.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.learning.integrated.quality_metrics import METRICS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NOISE_FLOOR = 0.01
"""A trade's standard deviation is at least this share of the root mean square of the uplifts:
without noise a trade would have infinite weight."""
_LEAST_VARIANCE = 1e-300
"""A variance above 0 even where all uplifts are 0."""
_NEUTRAL_METRIC = 0.5
"""The middle of a metric's range: its average where no cell has it."""


class Cell(NamedTuple):
    """One lesson on one day of the grid in one regime.

    Attributes
    ----------
    lesson
        Index of the lesson.
    day
        Days since the epoch.
    regime
        Values of the signature's dimensions; "" if unknown.
    predicted
        Uplift expected from the trades before the day.
    metrics
        Quality metrics (6,) from the trades before the day.
    n
        Trades of the slice on the day in that regime, at least 1.
    uplift
        Their mean uplift.
    """

    lesson: int
    day: int
    regime: tuple[str, ...]
    predicted: float
    metrics: tuple[float, ...]
    n: int
    uplift: float


class History(NamedTuple):
    """Cells as columns, in any order.

    Attributes
    ----------
    lesson, day, predicted, metrics, n, uplift
        As in `Cell` (N,).
    regime
        Place of each regime in `regimes` (N,).
    regimes
        The regimes.
    variance
        Variance of one trade's uplift (N,), above 0.
    """

    lesson: Ints
    day: Ints
    regime: Ints
    regimes: tuple[tuple[str, ...], ...]
    predicted: Floats
    metrics: Floats
    n: Ints
    uplift: Floats
    variance: Floats


class Rows(NamedTuple):
    """Cells in canonical order, ready for a regression.

    Attributes
    ----------
    lesson, day
        Clusters of the cells (N,), counted from 0.
    base
        The uplift that is expected of each cell (N,), in units of the outcome.
    z
        Quality metrics around their average (N, 6).
    weight
        Precision × forgetting (N,).
    uplift
        Mean uplifts of the trades (N,), in units of the outcome.
    """

    lesson: Ints
    day: Ints
    base: Floats
    z: Floats
    weight: Floats
    uplift: Floats

    def part(self, rows: Bools) -> Rows:
        """Some of the cells.

        Parameters
        ----------
        rows
            Which ones (N,).

        Returns
        -------
        Those that are marked.
        """
        lesson, day, base, z, weight, uplift = self
        return Rows(lesson[rows], day[rows], base[rows], z[rows], weight[rows], uplift[rows])


def history(cells: Iterable[Cell], variance: ArrayLike) -> History:
    """The cells of all lessons as columns.

    Parameters
    ----------
    cells
        Cells of L lessons, in any order.
    variance
        Variance of one trade's uplift (L,), by lesson, in squared units of the outcome.

    Returns
    -------
    Columns (N,), in the order of `cells`; the regimes are sorted.

    >>> shot = history(
    ...     [
    ...         Cell(1, 20000, ("S1",), 0.5, (0.5,) * 6, 3, 0.4),
    ...         Cell(0, 20001, ("",), 0.2, (0.5,) * 6, 1, 0.1),
    ...     ],
    ...     [1.0, 2.0],
    ... )
    >>> shot.regimes, shot.regime.tolist(), shot.variance.tolist()
    ((('',), ('S1',)), [1, 0], [2.0, 1.0])
    """
    rows = list(cells)
    regimes = tuple(sorted({cell.regime for cell in rows}))
    place = {regime: i for i, regime in enumerate(regimes)}
    lesson = np.array([cell.lesson for cell in rows], np.int64)
    return History(
        lesson,
        np.array([cell.day for cell in rows], np.int64),
        np.array([place[cell.regime] for cell in rows], np.int64),
        regimes,
        np.array([cell.predicted for cell in rows], np.float64),
        np.array([cell.metrics for cell in rows], np.float64).reshape(len(rows), len(METRICS)),
        np.array([cell.n for cell in rows], np.int64),
        np.array([cell.uplift for cell in rows], np.float64),
        np.asarray(variance, np.float64)[lesson],
    )


def prepared(history: History, tau_days: float) -> tuple[Rows, Ints, Ints, Floats]:
    """The usable cells of a history: those with trades and finite numbers.

    Parameters
    ----------
    history
        Cells of a module's lessons.
    tau_days
        Days after which a cell weighs 1/e of a new one.

    Returns
    -------
    The N usable cells in canonical order, their places in `history.regimes` (N,), their trades
    (N,), and the average metrics (6,).
    """
    usable = (
        (history.n > 0)
        & np.isfinite(history.predicted)
        & np.isfinite(history.uplift)
        & (history.variance > 0)
    )
    kept = np.flatnonzero(usable)
    order = kept[np.lexsort((history.regime[kept], history.lesson[kept], history.day[kept]))]
    day, n, predicted, metrics = (
        history.day[order],
        history.n[order],
        history.predicted[order],
        history.metrics[order],
    )
    square = float(np.mean(predicted**2 + history.uplift[order] ** 2)) if len(order) else 0.0
    variance = np.maximum(history.variance[order], max(NOISE_FLOOR**2 * square, _LEAST_VARIANCE))
    weight = n / variance * np.exp((day - day.max(initial=0)) / tau_days)
    known = np.isfinite(metrics)
    share = np.where(known, (weight * predicted**2)[:, None], 0.0)
    total = share.sum(axis=0)
    some = total > 0
    sums = (share * np.where(known, metrics, 0.0)).sum(axis=0)
    centre = np.where(some, sums / np.where(some, total, 1.0), _NEUTRAL_METRIC)
    z = np.where(known, metrics - centre, 0.0)
    _, lessons = np.unique(history.lesson[order], return_inverse=True)
    _, days = np.unique(day, return_inverse=True)
    return (
        Rows(lessons, days, predicted, z, weight, history.uplift[order]),
        history.regime[order],
        n,
        centre,
    )
