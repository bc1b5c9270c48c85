"""The history of an effect, day by day: what the trades before each day predicted, and the outcome
of the day's own trades.

May touch: nothing but its arguments.

The grid is of event time (24 hours UTC), so the history does not depend on when it is computed.
Quality metrics, each from 0 to 1:

* time efficiency: mean of the trades' 1/(1 + days to payback, else held); 0.5 where none is known;
* field coherence and recurrence: see `app.learning.integrated.quality_metrics`;
* support: 1 − exp(−n/50); stability: 1/(1 + variance / noise variance), 0.5 for a slice as noisy as
  its group's residuals;
* magnitude: Φ(|mean uplift| / noise).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from app.learning.common.event_time import DAY_US, micros_from_text, text_from_micros
from app.learning.common.rounding import shortened
from app.learning.integrated.half_life import EdgeState
from app.learning.integrated.quality_metrics import edge_sign, field_coherence, recurrence
from schemas.lessons import (
    HISTORY_DAYS,
    CourseCell,
    EdgeHistory,
    HistoryCell,
    Lesson,
    LessonDecay,
    Metrics,
    RegimeCell,
)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[HistoryCell, ...]).decode

PRIOR_TRADES = 4.0
"""Number of trades that a mean of 0 counts as in the uplift that is predicted before a day."""
SUPPORT_TRADES = 50.0
"""Trades over which the metric `support` rises to 1 − 1/e."""
DAY_DIGEST_BYTES = 8
"""Bytes of the digest of a day; two of its versions have the same one in one case of 10¹⁹."""
MOST_ODDS = 1e9
"""Odds beyond which more would change nothing."""


def decay_of(state: EdgeState) -> LessonDecay:
    """The published form of an edge's state.

    Parameters
    ----------
    state
        State of an edge, as `half_life.edge_states` gives it.

    Returns
    -------
    Its half-life and interval in hours, and the odds of reversion, with the digits that are
    published.
    """
    interval = (
        None
        if state.interval is None
        else (shortened(state.interval[0]), shortened(state.interval[1]))
    )
    half_life = None if state.half_life_hours is None else shortened(state.half_life_hours)
    return LessonDecay(
        state=state.state,
        half_life_hours=half_life,
        interval=interval,
        odds=shortened(min(state.odds, MOST_ODDS)),
    )


class EffectTrades(NamedTuple):
    """The n trades of one effect, oldest first.

    Attributes
    ----------
    exit_us
        Exits (n,), in microseconds since the epoch.
    uplift
        Outcomes beyond all other effects (n,).
    time_efficiency
        See `Trade` (n,); NaN if unknown.
    segment
        Segment of each, as small integers (n,).
    regime
        Regime of each, as places in a list of texts (n,).
    noise_sd
        Standard deviation of one trade's noise.
    """

    exit_us: NDArray[np.int64]
    uplift: NDArray[np.float64]
    time_efficiency: NDArray[np.float64]
    segment: NDArray[np.int64]
    regime: NDArray[np.int64]
    noise_sd: float


def history(trades: EffectTrades, regimes: list[str]) -> tuple[tuple[HistoryCell, ...], Metrics]:
    """The predictions of an effect before each day, and the day's results.

    The prediction is the mean uplift before the day, shrunk by n/(n + 4): the expected edge after n
    trades where edges are usually half as large as the noise of a trade.

    Parameters
    ----------
    trades
        The trades of the effect, at least one, oldest first.
    regimes
        Texts of the regimes that `trades.regime` refers to.

    Returns
    -------
    One cell for each day with trades of the last `HISTORY_DAYS`, save the first day, before which
    nothing is known; and the metrics after the last trade.
    """
    day = trades.exit_us // DAY_US
    starts = np.flatnonzero(np.diff(day, prepend=-1))
    days = day[starts]
    n = len(day)

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
    predicted = sums / (count + PRIOR_TRADES)
    day_count = np.diff(count)
    day_mean = np.diff(sums) / np.maximum(day_count, 1.0)
    spread, sign = np.full(len(mean), noise2), np.sign(mean)
    n_segments = int(trades.segment.max(initial=0)) + 1
    by_segment = np.stack(
        [before(np.where(trades.segment == s, u, 0.0)) for s in range(n_segments)], axis=1
    )
    in_segment = np.stack(
        [before((trades.segment == s).astype(np.float64)) for s in range(n_segments)], axis=1
    )
    metrics = np.column_stack(
        (
            efficiency,
            field_coherence(by_segment / np.maximum(in_segment, 1.0), in_segment, spread, sign),
            recurrence(
                days,
                edge_sign(day_mean, day_count, np.full(len(days), noise2)),
                np.append(days, days[-1] + 1),
                sign,
            ),
            1.0 - np.exp(-count / SUPPORT_TRADES),
            1.0 / (1.0 + np.where(count > 1, variance, noise2) / noise2),
            ndtr(np.abs(mean) / np.sqrt(noise2)),
        )
    )
    parts = _by_regime(trades, regimes, starts)
    rows = [tuple(map(shortened, row)) for row in metrics.tolist()]
    cells = tuple(
        HistoryCell(*cell)  # type: ignore[arg-type]
        for cell in zip(
            days.tolist()[1:],
            map(shortened, predicted.tolist()[1:]),
            rows[1:],
            parts[1:],
            strict=False,
        )
        if cell[0] > days[-1] - HISTORY_DAYS
    )
    return cells, Metrics(*rows[-1])


COURSE_CELLS = 128
"""Cells of a course in a window, however long it is; none is shorter than a day."""


def course(
    exit_us: NDArray[np.int64], outcome: NDArray[np.float64], window_us: int
) -> tuple[CourseCell, ...]:
    """The course of a group's outcomes over the whole window, on a fixed grid of days.

    Parameters
    ----------
    exit_us
        Exits (T,) in µs since 1970, ascending; at least one.
    outcome
        Outcomes (T,).
    window_us
        Length of the window in µs.

    Returns
    -------
    Cells with trades, the oldest first; their means are in units of the outcome.

    >>> course(np.array([0, 1, 5]) * DAY_US, np.array([1.0, 3.0, 5.0]), 256 * DAY_US)
    (CourseCell(day=0, n=2, mean=2.0), CourseCell(day=4, n=1, mean=5.0))
    """
    days = course_days(window_us)
    cell = exit_us // (days * DAY_US)
    first = np.flatnonzero(np.diff(cell, prepend=cell[0] - 1))
    n = np.diff(np.append(first, len(cell)))
    means = np.add.reduceat(outcome, first) / n
    return tuple(
        CourseCell(int(day), int(count), shortened(float(mean)))
        for day, count, mean in zip(cell[first] * days, n, means, strict=True)
    )


def course_days(window_us: int) -> int:
    """The length of one cell of a course.

    Parameters
    ----------
    window_us
        Length of the window in µs.

    Returns
    -------
    Whole days, at least 1.
    """
    return int(max(-(-window_us // (COURSE_CELLS * DAY_US)), 1))


def _by_regime(
    trades: EffectTrades, regimes: list[str], starts: NDArray[np.int64]
) -> list[tuple[RegimeCell, ...]]:
    """For each cell, which begins at the trade `starts`, its regimes in the order of their
    texts."""
    rank = np.argsort(sorted(range(len(regimes)), key=regimes.__getitem__))
    cell = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(trades.uplift))))
    key = cell * len(regimes) + rank[trades.regime]
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    n = np.diff(np.append(first, len(key)))
    mean = np.add.reduceat(trades.uplift[order], first) / n
    parts: list[list[RegimeCell]] = [[] for _ in starts]
    place = order[first]
    for i, r, count, value in zip(
        cell[place].tolist(), trades.regime[place].tolist(), n.tolist(), mean.tolist(), strict=True
    ):
        parts[i].append(RegimeCell(regimes[r], count, shortened(value)))
    return list(map(tuple, parts))


def packed_history(cells: tuple[HistoryCell, ...]) -> bytes:
    """A history as one piece, for those that are held in numbers and seldom read.

    Parameters
    ----------
    cells
        The days.

    Returns
    -------
    The packed days; empty without any.

    >>> packed_history(()), unpacked_history(b"")
    (b'', ())
    """
    return _encode(cells) if cells else b""


def unpacked_history(packed: bytes) -> tuple[HistoryCell, ...]:
    """The days of a packed history.

    Parameters
    ----------
    packed
        What `packed_history` made.

    Returns
    -------
    The days.
    """
    return _decode(packed) if packed else ()


def day_digests(lesson: Lesson) -> dict[int, bytes]:
    """Digests that show which days of a lesson's history have changed.

    Parameters
    ----------
    lesson
        The lesson.

    Returns
    -------
    A digest of each day, by the days since the epoch.
    """
    return {
        cell.day: blake2b(_encode(cell), digest_size=DAY_DIGEST_BYTES).digest()
        for cell in lesson.history
    }


def history_records(lesson: Lesson, known: Mapping[int, bytes]) -> list[EdgeHistory]:
    """The days of a lesson's history that are new or have changed.

    Parameters
    ----------
    lesson
        The lesson.
    known
        `day_digests` of the lesson's previous version; empty if it is new.

    Returns
    -------
    The days.
    """
    if not known:
        return [_history_record(lesson, cell) for cell in lesson.history]
    now = day_digests(lesson)
    return [
        _history_record(lesson, cell)
        for cell in lesson.history
        if known.get(cell.day) != now[cell.day]
    ]


def withdrawn_days(lesson: Lesson, old: Iterable[int]) -> set[int]:
    """The days of a lesson's history that corrections have left without a trade.

    Days up to the lesson's oldest trade, and those that the history no longer covers, stay as they
    were published.

    Parameters
    ----------
    lesson
        The lesson.
    old
        Days, since the epoch, of the history of the lesson's previous version.

    Returns
    -------
    The days, since the epoch.
    """
    oldest, newest = (
        micros_from_text(text) // DAY_US
        for text in (lesson.evidence.from_ts, lesson.evidence.to_ts)
    )
    first = max(oldest, newest - HISTORY_DAYS)
    held = {cell.day for cell in lesson.history}
    return {day for day in old if day > first} - held


def day_text(day: int) -> str:
    """A day as records of the history name it.

    Parameters
    ----------
    day
        Days since the epoch.

    Returns
    -------
    The date.

    >>> day_text(19_784)
    '2024-03-02'
    """
    return text_from_micros(day * DAY_US)[:10]


def _history_record(lesson: Lesson, cell: HistoryCell) -> EdgeHistory:
    n = sum(part.n for part in cell.regimes)
    return EdgeHistory(
        learning=lesson.learning,
        lesson_id=lesson.lesson_id,
        module=lesson.module,
        pattern_key=lesson.pattern_key,
        action_category=lesson.action_category,
        day=day_text(cell.day),
        n=n,
        predicted=cell.predicted,
        uplift=shortened(sum(part.n * part.uplift for part in cell.regimes) / n),
        metrics=Metrics(*cell.metrics),
        regimes={
            part.regime: RegimeCell(part.regime, part.n, part.uplift) for part in cell.regimes
        },
        version=lesson.version,
    )
