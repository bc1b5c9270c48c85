"""Regime gains: from the histories of a module's effects the weights of its regimes, and from these
the gains of an override.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from app.learning.integrated import regime_weights
from app.learning.integrated.held_lesson import AnyLesson, has_history
from app.learning.integrated.merging import Group
from app.learning.integrated.net_of_segments import AnyEffect
from app.learning.integrated.quality_metrics import METRICS
from app.learning.integrated.regime_weights import GAIN_GRID, MAX_GAIN, RegimeWeights
from app.learning.integrated.sketches import Floats, Ints
from edgeloop.scope import pairs_of
from schemas.lessons import Metrics


class Cells(NamedTuple):
    """The history of one lesson as columns.

    Attributes
    ----------
    day
        Days since the epoch (N,).
    regime
        Places of the regimes in `RegimeHistories` (N,).
    predicted
        Predicted uplifts (N,).
    metrics
        Quality metrics before the day (N, 6).
    n
        Trades (N,).
    uplift
        Mean uplifts (N,).
    """

    day: Ints
    regime: Ints
    predicted: Floats
    metrics: Floats
    n: Ints
    uplift: Floats


class RegimeHistories:
    """The histories of a module's effects, and, by regime, how well the quality metrics predict
    which effects persist.

    Parameters
    ----------
    signature
        Dimensions that define regimes, the coarsest first.
    """

    def __init__(self, signature: tuple[str, ...]) -> None:
        self.weights: list[RegimeWeights] = []
        self.stale = False
        """Whether `fit` may find other weights."""
        self._signature = signature
        self._place: dict[str, int] = {}
        self._regimes: list[tuple[str, ...]] = []
        self._of_group: dict[Group, dict[str, tuple[AnyLesson, float, Cells]]] = {}
        self._cells_held = 0

    def __len__(self) -> int:
        return self._cells_held

    def take(self, group: Group, effects: Iterable[AnyEffect]) -> None:
        """Add or replace the effects of a group.

        Parameters
        ----------
        group
            Pattern key and category.
        effects
            Its effects.
        """
        before = self._of_group.get(group, {})
        held: dict[str, tuple[AnyLesson, float, Cells]] = {}
        for effect in effects:
            lesson = effect.lesson
            # A slice within one regime has no information on how regimes differ.
            if (
                not lesson.scope
                or not has_history(lesson)
                or (marginal := lesson.marginal) is None
                or any([name in lesson.scope for name in self._signature])
            ):
                continue
            # An effect that has only just passed hardly counts, so that nothing jumps.
            variance = max(marginal.noise_sd**2, 1e-300) / max(effect.ramp, 1e-6)
            old = before.get(lesson.lesson_id)
            if old is not None and old[0] is lesson:
                held[lesson.lesson_id] = (lesson, variance, old[2])
            else:
                held[lesson.lesson_id] = (lesson, variance, self._cells(lesson))
        if held.keys() != before.keys() or any([h[:2] != before[i][:2] for i, h in held.items()]):
            self.stale = True
        self._cells_held += sum([len(cells.day) for *_, cells in held.values()])
        self._cells_held -= sum([len(cells.day) for *_, cells in before.values()])
        if held:
            self._of_group[group] = held
        else:
            self._of_group.pop(group, None)

    def fit(self) -> None:
        """Find the weights again."""
        self.stale = False
        by_id = sorted(
            (i, variance, cells)
            for held in self._of_group.values()
            for i, (_, variance, cells) in held.items()
        )
        if not self._cells_held:
            self.weights = []
            return
        # The regimes in the order of their values, for any order of arrival.
        ordered = sorted(set(self._regimes))
        place = np.array([ordered.index(regime) for regime in self._regimes], np.int64)
        length = [len(cells.day) for _, _, cells in by_id]
        columns = [np.concatenate(column) for column in zip(*(c for *_, c in by_id), strict=True)]
        day, regime, predicted, metrics, n, uplift = columns
        used, regime = np.unique(place[regime], return_inverse=True)
        history = regime_weights.History(
            np.repeat(np.arange(len(by_id)), length),
            day,
            regime,
            tuple(ordered[k] for k in used.tolist()),
            predicted,
            metrics,
            n,
            uplift,
            np.repeat([variance for _, variance, _ in by_id], length),
        )
        self.weights = regime_weights.fit(history, self._signature)

    def _cells(self, lesson: AnyLesson) -> Cells:
        parts = [(cell, part) for cell in lesson.history for part in cell.regimes]
        return Cells(
            np.array([cell.day for cell, _ in parts], np.int64),
            np.array([self._number(part.regime) for _, part in parts], np.int64),
            np.array([cell.predicted for cell, _ in parts], np.float64),
            np.array([cell.metrics for cell, _ in parts], np.float64).reshape(
                len(parts), len(METRICS)
            ),
            np.array([part.n for _, part in parts], np.int64),
            np.array([part.uplift for _, part in parts], np.float64),
        )

    def _number(self, text: str) -> int:
        number = self._place.get(text)
        if number is None:
            number = self._place[text] = len(self._regimes)
            values = dict(pairs_of(text))
            self._regimes.append(tuple(values.get(name, "") for name in self._signature))
        return number


def gains_of(lesson: AnyLesson, weights: Sequence[RegimeWeights]) -> dict[str, float]:
    """The gains of a lesson's override, by regime.

    Parameters
    ----------
    lesson
        The lesson.
    weights
        Weights of the module's regimes.

    Returns
    -------
    Canonical text of a regime → gain, as `regime_weights.gains`; empty for a whole group.
    """
    metrics = lesson.metrics
    if metrics is None or not lesson.scope or not any(w.active for w in weights):
        return {}
    return regime_weights.gains(
        weights, tuple(getattr(metrics, name) for name in METRICS), lesson.scope
    )


def steps_of(metrics: Sequence[Metrics], weights: Sequence[RegimeWeights]) -> list[bytes]:
    """The gains of many lessons, in a form to compare.

    Parameters
    ----------
    metrics
        Quality metrics of L lessons.
    weights
        Weights of the module's regimes.

    Returns
    -------
    Bytes for each lesson (L,): equal ones have equal gains in every regime.
    """
    if not metrics or not any(w.active for w in weights):
        return [b""] * len(metrics)
    values = np.array([[getattr(m, name) for name in METRICS] for m in metrics])
    factors: dict[tuple[tuple[str, str], ...], Floats] = {}
    columns = []
    for w in sorted(weights, key=lambda w: (len(w.regime), w.regime)):
        one = np.ones(len(metrics))
        factor = factors.get(w.regime[:-1], one) if w.regime else one
        if w.active:
            z = np.where(np.isfinite(values), values - w.centre, 0.0)
            bracket = 1.0 + (w.weights[0] + (w.weights[1:] * z).sum(axis=1))
            factor = factor * np.maximum(bracket, 0.0)
        factors[w.regime] = factor
        columns.append(np.rint(np.minimum(factor, MAX_GAIN) / GAIN_GRID))
    # Regimes, too: they may come and go.
    names = repr([w.regime for w in weights]).encode()
    return [row.tobytes() + names for row in np.column_stack(columns)]
