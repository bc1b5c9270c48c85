"""The provisional results of a group between two refits: the effects that the last refit chose,
estimated again from sums that each added or removed trade updates.

May touch: nothing but its arguments.  The cost of one more trade depends on the slices
that hold it, not on the window.

A refit searches, weights its tests and computes histories; between refits none of that changes.
Least squares of the outcomes on the chosen slices needs sums of products alone, and the models of
an effect now (`provisional_edges.py`) take one step each.  Standard errors and statistics change
with the sums; outcomes are clipped at the bounds of the refit. Shared effects, histories, sketches,
and the evidence of slices that were not chosen wait for the next refit.

It also watches whether that refit could choose otherwise: see `ProvisionalEstimates.due`.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from app.learning.common.event_time import (
    DAY_US,
    HOUR_US,
    micros_from_text,
    text_from_micros,
)
from app.learning.common.refit import DUE_PART
from app.learning.common.rounding import shortened
from app.learning.common.segments import segment_order
from app.learning.common.trade import SegmentKey
from app.learning.common.window import Moves
from app.learning.integrated.effect_history import course_days
from app.learning.integrated.provisional_edges import Bank, edge_of, later
from schemas.lessons import (
    CourseCell,
    Fit,
    GroupSummary,
    Lesson,
    LessonDecay,
    Marginal,
    Path,
    SegmentSum,
)

Floats = NDArray[np.float64]


MOST_PART = 0.25
"""Beyond this part the sums of the last refit no longer describe the group."""
DUE_Z = 0.25
"""It is also due when a slice has crossed the bar, in or out, and moved this far since the last
one."""
_FAST = 1
"""Level of compression: higher ones save little, and take longer."""
BIN_PART = 1 / 128
"""Trades that are nearer in time than this part of an effect's span are one step of its models."""


class Start(NamedTuple):
    """The results of a refit that later estimates start from, for k chosen slices and S segments.

    Attributes
    ----------
    lessons
        The lessons of `{}` and of the chosen slices, in the order of the path.
    summary
        The group's summary.
    path
        Its path.
    items
        Items (k, width) of the chosen slices.
    banks
        Their models.
    bounds
        Bounds that outcomes are clipped at.
    gram
        Sums of products of the level and the chosen indicators with each other (k + 1, k + 1).
    cross
        The same with the outcomes (k + 1,).
    loads
        The same with the segments' indicators (k + 1, S).
    noise_sd
        Standard deviation of a residual.
    watched
        Items (J, width) of the strongest slices that were not chosen.
    standing
        Their z given the chosen slices (J,).
    held
        Their trades (J,).
    bar
        |z| that a slice needs to be chosen.
    n_min
        Trades that it needs.
    """

    lessons: Sequence[Lesson]
    summary: GroupSummary
    path: Path
    items: NDArray[np.uint32]
    banks: Sequence[Bank]
    bounds: tuple[float, float]
    gram: Floats
    cross: Floats
    loads: Floats
    noise_sd: float
    watched: NDArray[np.uint32]
    standing: Floats
    held: NDArray[np.int64]
    bar: float
    n_min: int


class ProvisionalEstimates:
    """The provisional estimates of a group from one refit to the next.

    Most groups publish nothing before their next refit.  Until a group does, what the refit left is
    packed, in a tenth of the memory.

    Parameters
    ----------
    start
        What the refit left.
    item_dims
        The dimension (column) of each item (items,).
    window_us
        Length of the window, in microseconds.
    """

    def __init__(self, start: Start, item_dims: NDArray[np.int32], window_us: int) -> None:
        self._packed = zlib.compress(pickle.dumps((start, item_dims, window_us)), _FAST)
        self._estimates: Estimates | None = None
        self._fails = _inverses(start.gram) is None

    @property
    def stale(self) -> float:
        """Part of the trades that came or went since the refit."""
        return 0.0 if self._estimates is None else self._estimates.stale

    @property
    def due(self) -> bool:
        """Whether a refit could choose otherwise: see `Estimates.due`."""
        return self._fails if self._estimates is None else self._estimates.due

    def take(
        self, came: Moves, gone: Moves, segments: Sequence[SegmentKey], version: int
    ) -> tuple[list[Lesson], GroupSummary] | None:
        """Apply the trades that have moved.

        Parameters
        ----------
        came, gone, segments, version
            As in `Estimates.take`.

        Returns
        -------
        As `Estimates.take`.
        """
        if self._estimates is None:
            self._estimates = Estimates(*pickle.loads(zlib.decompress(self._packed)))
            self._packed = b""
        return self._estimates.take(came, gone, segments, version)


class Estimates:
    """The estimates of a group that has published since its refit.

    Parameters
    ----------
    start
        What the refit left.
    item_dims
        The dimension (column) of each item (items,).
    window_us
        Length of the window, in microseconds.
    """

    def __init__(self, start: Start, item_dims: NDArray[np.int32], window_us: int) -> None:
        self._start = start
        self._gram, self._cross = start.gram.copy(), start.cross.copy()
        self._loads = start.loads.copy()
        self._before = [np.diag(inverse) for inverse in _inverses(start.gram) or ()]
        self._banks = list(start.banks)
        self._slices = Slices(start.items, item_dims)
        self._watched = Slices(start.watched, item_dims)
        self._drift = np.zeros(len(start.standing))
        self._newest = [lesson.as_of for lesson in start.lessons]
        self._as_of = start.summary.as_of
        self._segment = {key: place for place, key in enumerate(start.path.segments)}
        self._sums = {(part.bucket, part.timeframe): part for part in start.summary.segments}
        self._cell_us = course_days(window_us) * DAY_US
        self._course = {c.day * DAY_US // self._cell_us: c for c in start.summary.course}
        self._n, self._moved = start.summary.n, 0
        self._statistics = start.path.statistics
        self._fails, self._crossed = not self._before, False

    @property
    def stale(self) -> float:
        """Part of the trades that came or went since the refit."""
        return min(self._moved / max(self._n, 1), 1.0)

    @property
    def due(self) -> bool:
        """Whether a refit could choose otherwise: because too many trades have come or
        gone, because a segment is new, or because a slice is on the other side of the bar."""
        return self._fails or self._crossed or self.stale > DUE_PART

    def take(
        self, came: Moves, gone: Moves, segments: Sequence[SegmentKey], version: int
    ) -> tuple[list[Lesson], GroupSummary] | None:
        """Apply the trades that have moved.

        Parameters
        ----------
        came, gone
            Trades that came into the window, and that left it.
        segments
            The segments, by the numbers that the trades have of them.
        version
            The version that records are marked with.

        Returns
        -------
        The lessons and the summary as they are now; None where only a refit can find them.
        """
        parts = [
            (sign, self._count(sign, moves, segments)) for sign, moves in ((1, came), (-1, gone))
        ]
        inverses = _inverses(self._gram)
        if self._fails or inverses is None or self.stale > MOST_PART:
            self._fails = True
            return None
        fits = self._fits(inverses)
        coefficients = np.array(fits[-1].coefficients)
        for (sign, (x, y, watched)), moves in zip(parts, (came, gone), strict=True):
            residuals = y - x @ coefficients
            self._watch(sign * (residuals @ watched), sign * float(residuals.sum()))
            if sign > 0 and len(y):
                self._observe(moves, x, residuals, coefficients)
        results = self._results(fits, version)
        self._crossed = self._has_crossed()
        return results

    # -- taking in

    def _count(
        self, sign: int, moves: Moves, segments: Sequence[SegmentKey]
    ) -> tuple[Floats, Floats, Floats]:
        """Add trades to the sums, or take them off; returns their indicators (m, k + 1), outcomes
        (m,), and those of the slices that are watched (m, J)."""
        m = len(moves.exit_us)
        y = np.clip(moves.outcome, *self._start.bounds)
        x = np.ones((m, len(self._gram)))
        x[:, 1:] = self._slices.matches(moves)
        self._gram += sign * (x.T @ x)
        self._cross += sign * (x.T @ y)
        self._n += sign * m
        self._moved += m
        keys = [segments[place] for place in moves.segment.tolist()]
        for key, row in zip(keys, x, strict=True):
            place = self._segment.get(key)
            if place is None:
                self._fails = True
            else:
                self._loads[:, place] += sign * row
        values = y.tolist()
        for key, home, value in zip(keys, moves.home.tolist(), values, strict=True):
            if home:
                self._add_to_sums(key, sign, value)
        for exit_us, value in zip(moves.exit_us.tolist(), values, strict=True):
            self._add_to_course(exit_us, sign, value)
        return x, y, self._watched.matches(moves)

    def _add_to_sums(self, key: SegmentKey, sign: int, value: float) -> None:
        old = self._sums.get(key) or SegmentSum(*key, 0, 0.0, 0.0)
        if old.n + sign:
            self._sums[key] = SegmentSum(
                *key, old.n + sign, old.sum + sign * value, old.sum_sq + sign * value * value
            )
        else:
            self._sums.pop(key, None)

    def _add_to_course(self, exit_us: int, sign: int, value: float) -> None:
        cell = exit_us // self._cell_us
        old = self._course.get(cell) or CourseCell(cell * self._cell_us // DAY_US, 0, 0.0)
        n = old.n + sign
        if n:
            mean = (old.n * old.mean + sign * value) / n
            self._course[cell] = CourseCell(old.day, n, shortened(mean))
        else:
            self._course.pop(cell, None)

    def _watch(self, sums: Floats, total: float) -> None:
        """Move what is watched by sums (J,) of residuals inside, of `total` together."""
        held, part = self._start.held, self._start.held / max(self._n, 1)
        noise = self._start.noise_sd * np.sqrt(held * np.maximum(1.0 - part, 1e-9))
        self._drift += (sums - part * total) / np.maximum(noise, 1e-300)

    def _observe(self, came: Moves, x: Floats, residuals: Floats, coefficients: Floats) -> None:
        """One step of the models of each effect for its new trades; trades near in time share a
        step."""
        order = np.argsort(came.exit_us, kind="stable")
        hours = came.exit_us[order] / HOUR_US
        self._as_of = max(self._as_of, text_from_micros(int(came.exit_us[order[-1]])))
        self._newest[0] = max(self._newest[0], self._as_of)
        for k, bank in enumerate(self._banks, 1):
            mine = np.flatnonzero(x[order, k])
            if not len(mine):
                continue
            newest = text_from_micros(int(came.exit_us[order[mine[-1]]]))
            self._newest[k] = max(self._newest[k], newest)
            at, uplift = hours[mine], residuals[order[mine]] + coefficients[k]
            step = ((at - at[0]) / (BIN_PART * bank.span)).astype(np.int64)
            for places in np.split(np.arange(len(at)), np.flatnonzero(np.diff(step)) + 1):
                bank = later(bank, float(at[places].mean()), uplift[places])
            self._banks[k - 1] = bank

    def _has_crossed(self) -> bool:
        """Whether a refit could choose another slice by now, or drop a chosen one."""
        start = self._start
        z = np.abs(start.standing + self._drift)
        entered = (z > start.bar) & (z > np.abs(start.standing) + DUE_Z)
        left = any(
            now < start.bar and now < then - DUE_Z
            for now, then in zip(self._statistics, start.path.statistics, strict=True)
        )
        return bool(left or entered.any() or (np.diag(self._gram)[1:] < start.n_min).any())

    # -- saying

    def _fits(self, inverses: Sequence[Floats]) -> list[Fit]:
        fits = []
        for size, (inverse, before, old) in enumerate(
            zip(inverses, self._before, self._start.path.fits, strict=True), 1
        ):
            sds = np.array(old.sds) * np.sqrt(np.diag(inverse) / before)
            fits.append(
                Fit(
                    tuple(map(shortened, (inverse @ self._cross[:size]).tolist())),
                    tuple(map(shortened, sds.tolist())),
                    tuple(
                        tuple(map(shortened, row))
                        for row in (inverse @ self._loads[:size]).tolist()
                    ),
                )
            )
        return fits

    def _results(self, fits: list[Fit], version: int) -> tuple[list[Lesson], GroupSummary]:
        path = self._start.path
        last, first = fits[-1], path.fits[-1]
        least, statistics = np.inf, []
        for k, statistic in enumerate(path.statistics, 1):
            then = max(abs(first.coefficients[k]), 1e-300) / max(first.sds[k], 1e-300)
            now = abs(last.coefficients[k]) / max(last.sds[k], 1e-300)
            least = min(least, statistic * now / then)
            statistics.append(shortened(least))
        self._statistics = tuple(statistics)
        lessons = [self._level(last, version)]
        hours = micros_from_text(self._as_of) / HOUR_US
        for k, (lesson, bank) in enumerate(
            zip(self._start.lessons[1:], self._banks, strict=True), 1
        ):
            now, now_sd, half_life = edge_of(bank, hours)
            decay = lesson.decay
            if half_life is not None:
                life, low, high = map(shortened, half_life)
                decay = msgspec.structs.replace(decay, half_life_hours=life, interval=(low, high))
            assert lesson.marginal is not None
            marginal = msgspec.structs.replace(
                lesson.marginal,
                statistic=statistics[k - 1],
                conditional=statistics[k - 1],
                p_value=shortened(float(np.exp(log_ndtr(-statistics[k - 1]) + np.log(2.0)))),
                effect=last.coefficients[k],
                effect_sd=last.sds[k],
                now=shortened(now),
                now_sd=shortened(now_sd),
            )
            lessons.append(self._dated(lesson, k, marginal, decay, version))
        summary = msgspec.structs.replace(
            self._start.summary,
            n=self._n,
            segments=tuple(self._sums[key] for key in sorted(self._sums, key=segment_order)),
            as_of=self._as_of,
            version=version,
            path=msgspec.structs.replace(path, statistics=self._statistics, fits=tuple(fits)),
            course=tuple(self._course[cell] for cell in sorted(self._course)),
        )
        return lessons, summary

    def _level(self, fit: Fit, version: int) -> Lesson:
        whole = self._start.lessons[0]
        assert whole.marginal is not None
        level, sd = fit.coefficients[0], fit.sds[0]
        marginal = msgspec.structs.replace(
            whole.marginal, effect=level, effect_sd=sd, now=level, now_sd=sd
        )
        return self._dated(whole, 0, marginal, whole.decay, version)

    def _dated(
        self, lesson: Lesson, place: int, marginal: Marginal, decay: LessonDecay, version: int
    ) -> Lesson:
        as_of = self._newest[place]
        return msgspec.structs.replace(
            lesson,
            as_of=as_of,
            evidence=msgspec.structs.replace(lesson.evidence, to_ts=as_of, lesson_version=version),
            marginal=marginal,
            decay=decay,
            version=version,
        )


class Slices:
    """Slices to which trades are matched.

    Parameters
    ----------
    items
        Items of each slice (K, width), padded with 0.
    item_dims
        The dimension (column) of each item (items,).
    """

    def __init__(self, items: NDArray[np.uint32], item_dims: NDArray[np.int32]) -> None:
        self._items = items
        self._columns = item_dims[items]

    def matches(self, trades: Moves) -> Floats:
        """Which trades match which slices.

        Parameters
        ----------
        trades
            m trades.

        Returns
        -------
        1 where one action of the trade has all items of the slice, else 0 (m, K).
        """
        m, k = len(trades.row_counts), len(self._items)
        if not m or not k:
            return np.zeros((m, k))
        has = trades.codes[:, self._columns] == self._items
        rows = (has | (self._items == 0)).all(axis=2)
        starts = np.cumsum(trades.row_counts) - trades.row_counts
        return np.logical_or.reduceat(rows, starts, axis=0).astype(np.float64)


def _inverses(gram: Floats) -> list[Floats] | None:
    """The inverses of the leading parts of sums of products (k + 1, k + 1), the smallest first;
    None where a slice no longer differs from the others."""
    try:
        inverses = [
            np.asarray(np.linalg.inv(gram[:size, :size]), np.float64)
            for size in range(1, len(gram) + 1)
        ]
    except np.linalg.LinAlgError:
        return None
    return inverses if all((np.diag(inverse) > 0).all() for inverse in inverses) else None
