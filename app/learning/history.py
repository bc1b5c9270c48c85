"""How an effect fared day by day: what its trades had promised before each day, and what the day's own trades then did.

May touch: nothing but its arguments.

The grid is of event time (24 hours UTC), so the history does not depend on when anybody looked.  Quality metrics, each from 0 to 1:

* time efficiency: mean of the trades' 1/(1 + days to payback, else held); 0.5 where none tells;
* field coherence and recurrence: see the functions;
* support: 1 − exp(−n/50); stability: 1/(1 + variance / noise variance), 0.5 for a slice as noisy as its group's residuals;
* magnitude: Φ(|mean uplift| / noise).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from app.learning.event_time import text_from_micros
from schemas.lessons import EdgeHistory, HistoryCell, Lesson, Metrics, RegimeCell

DAY_US = 86_400_000_000
RECURRENCE_DAYS = 30.0
DIGITS = 9
"""Significant digits of published numbers: the same on every machine, whatever the last bits of its linear algebra."""


def shortened(x: float) -> float:
    """`x` to nine significant digits.

    >>> shortened(1 / 3), shortened(-0.0)
    (0.333333333, 0.0)
    """
    return float(f"{x:.{DIGITS}g}") + 0.0


class EffectTrades(NamedTuple):
    """The n trades of one effect, oldest first.

    `exit_us` (n,); `uplift` (n,) what each made beyond all other effects; `time_efficiency` (n,) or NaN; `segment` (n,) small integers;
    `regime` (n,) places in a list of texts; `effect` the mean that was fitted, `noise_sd` per trade.
    """

    exit_us: NDArray[np.int64]
    uplift: NDArray[np.float64]
    time_efficiency: NDArray[np.float64]
    segment: NDArray[np.int64]
    regime: NDArray[np.int64]
    effect: float
    noise_sd: float


def history(trades: EffectTrades, regimes: list[str]) -> tuple[tuple[HistoryCell, ...], Metrics]:
    """One cell per day with trades (save the first, before which nothing is known), and the metrics after the last trade.

    The prediction is the mean uplift before the day, shrunk by n/(n + κ) with κ = noise²/effect²: the mean of an edge of this size given
    so many trades.
    """
    day = trades.exit_us // DAY_US
    starts = np.flatnonzero(np.diff(day, prepend=-1))
    days = day[starts]
    n = len(day)
    ends = np.append(starts[1:], n)

    def before(values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums of the trades before each cell, and after the last."""
        return np.asarray(np.concatenate(([0.0], np.cumsum(values)))[np.append(starts, n)])

    u, noise2 = trades.uplift, max(trades.noise_sd**2, 1e-300)
    count = np.append(starts, n).astype(np.float64)
    sums, squares = before(u), before(u * u)
    safe = np.maximum(count, 1.0)
    mean = sums / safe
    variance = np.maximum(squares - count * mean * mean, 0.0) / np.maximum(count - 1.0, 1.0)
    known = ~np.isnan(trades.time_efficiency)
    n_known = before(known.astype(np.float64))
    efficiency = (before(np.where(known, trades.time_efficiency, 0.0)) + 0.5) / (n_known + 1.0)
    kappa = noise2 / max(trades.effect**2, noise2 / n)
    predicted = sums / (count + kappa)
    day_mean = (np.diff(sums)) / np.maximum(np.diff(count), 1.0)
    n_segments = int(trades.segment.max(initial=0)) + 1
    by_segment = np.stack([before(np.where(trades.segment == s, u, 0.0)) for s in range(n_segments)], axis=1)
    in_segment = np.stack([before((trades.segment == s).astype(np.float64)) for s in range(n_segments)], axis=1)
    metrics = np.column_stack(
        (
            efficiency,
            field_coherence(by_segment / np.maximum(in_segment, 1.0), in_segment, mean),
            recurrence(days, day_mean),
            1.0 - np.exp(-count / 50.0),
            1.0 / (1.0 + np.where(count > 1, variance, noise2) / noise2),
            ndtr(np.abs(mean) / np.sqrt(noise2)),
        )
    )
    cells = []
    rows = [tuple(map(shortened, row)) for row in metrics.tolist()]
    for i in range(1, len(days)):
        mine, values = trades.regime[starts[i] : ends[i]], u[starts[i] : ends[i]]
        parts = tuple(
            RegimeCell(regimes[r], int((mine == r).sum()), shortened(float(values[mine == r].mean())))
            for r in sorted(set(mine.tolist()), key=regimes.__getitem__)
        )
        cells.append(HistoryCell(int(days[i]), shortened(float(predicted[i])), rows[i], parts))  # type: ignore[arg-type]
    return tuple(cells), Metrics(*rows[-1])


def field_coherence(uplift: NDArray[np.float64], n: NDArray[np.float64], edge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the segments where the uplift has the edge's sign: `uplift` and `n` (C, S), `edge` (C,) → (C,).

    Segments count by √n, and two trades' worth of doubt pull it to 0.5.

    >>> field_coherence(np.array([[1.0, 2.0]]), np.array([[4.0, 4.0]]), np.array([1.0])).round(3).tolist()
    [0.833]
    """
    weight = np.sqrt(n)
    agrees = (uplift * edge[:, None] > 0) * weight
    return np.asarray((agrees.sum(axis=1) + 1.0) / (weight.sum(axis=1) + 2.0))


def recurrence(day: NDArray[np.int64], uplift: NDArray[np.float64]) -> NDArray[np.float64]:
    """How steadily days agree in sign with what they follow: `day`, mean `uplift` (D,) → (D + 1,) before each day and after the last.

    An exponentially weighted mean, with a time constant of 30 days, of "the day has the sign of all days before together".

    >>> recurrence(np.array([0, 1, 2]), np.array([1.0, 1.0, -1.0])).round(3).tolist()
    [0.5, 0.5, 0.516, 0.499]
    """
    out = np.empty(len(day) + 1)
    value, total, last = 0.5, 0.0, 0
    out[0] = value
    for i, (d, u) in enumerate(zip(day.tolist(), uplift.tolist(), strict=True)):
        if i:
            keep = math.exp(-(d - last) / RECURRENCE_DAYS)
            value = keep * value + (1.0 - keep) * (1.0 if u * total > 0 else 0.0)
        total += u
        last = d
        out[i + 1] = value
    return out


def history_records(lesson: Lesson, old: Lesson | None) -> list[EdgeHistory]:
    """The days of a lesson's history that are new or say something else than before."""
    known = {} if old is None else {cell.day: cell for cell in old.history}
    return [_history_record(lesson, cell) for cell in lesson.history if known.get(cell.day) != cell]


def _history_record(lesson: Lesson, cell: HistoryCell) -> EdgeHistory:
    n = sum(part.n for part in cell.regimes)
    return EdgeHistory(
        learning=lesson.learning,
        lesson_id=lesson.lesson_id,
        module=lesson.module,
        pattern_key=lesson.pattern_key,
        action_category=lesson.action_category,
        day=text_from_micros(cell.day * DAY_US)[:10],
        n=n,
        predicted=cell.predicted,
        uplift=shortened(sum(part.n * part.uplift for part in cell.regimes) / n),
        metrics=Metrics(*cell.metrics),
        regimes={part.regime: RegimeCell(part.regime, part.n, part.uplift) for part in cell.regimes},
        version=lesson.version,
    )
