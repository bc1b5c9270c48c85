"""Regime gains: from the histories of a module's effects the weights of its regimes, and from these
the gains of an override.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from app.learning.integrated.merging import Group
from app.learning.integrated.netting import Effect
from app.learning.integrated.quality_metrics import METRICS
from app.learning.integrated.regime_cells import History
from app.learning.integrated.regimes import RegimeWeights, fit
from app.learning.integrated.sketches import Floats, Ints
from edgeloop.scope import canonical_text, pairs_of
from schemas.lessons import Lesson, Metrics

MAX_GAIN = 2.5
"""Gains are within [0, MAX_GAIN].  An edge that holds a third of the time is blended down to a
third of itself, but so small a blend is too near to noise to be tripled; and a gain never reverses
a sign."""
GAIN_GRID = 0.01
"""Gains are rounded to it, so that not every trade of the module changes all of its overrides."""


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
        self._of_group: dict[Group, dict[str, tuple[Lesson, float, Cells]]] = {}
        self._cells_held = 0

    def __len__(self) -> int:
        return self._cells_held

    def take(self, group: Group, effects: Iterable[Effect]) -> None:
        """Take in the effects of a group.

        Parameters
        ----------
        group
            Pattern key and category.
        effects
            Its effects.
        """
        before = self._of_group.get(group, {})
        held: dict[str, tuple[Lesson, float, Cells]] = {}
        for effect in effects:
            lesson = effect.lesson
            # A slice within one regime says nothing of how regimes differ.
            if (
                not lesson.history
                or lesson.marginal is None
                or not lesson.scope
                or any([name in lesson.scope for name in self._signature])
            ):
                continue
            # What has hardly passed hardly counts, so that nothing jumps when it does.
            variance = max(lesson.marginal.noise_sd**2, 1e-300) / max(effect.ramp, 1e-6)
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
        # The regimes in the order of their values, whatever came first.
        ordered = sorted(set(self._regimes))
        place = np.array([ordered.index(regime) for regime in self._regimes], np.int64)
        length = [len(cells.day) for _, _, cells in by_id]
        columns = [np.concatenate(column) for column in zip(*(c for *_, c in by_id), strict=True)]
        day, regime, predicted, metrics, n, uplift = columns
        used, regime = np.unique(place[regime], return_inverse=True)
        history = History(
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
        self.weights = fit(history, self._signature)

    def _cells(self, lesson: Lesson) -> Cells:
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


def gains(
    weights: Sequence[RegimeWeights], metrics: ArrayLike, own_scope: Mapping[str, str]
) -> dict[str, float]:
    """The gains of one effect, by regime.

    Read them as the most specific match, 1 if there is none: a regime whose gain is that of the
    coarser one has no entry.  Nor has any regime along a dimension of the effect's own scope: such
    an effect was learned within its regime, and is no blend.

    Parameters
    ----------
    weights
        Of all regimes of the module, in any order.
    metrics
        Quality metrics (6,) of the effect's lesson, in the order of `METRICS`; NaN is unknown.
    own_scope
        The scope of the effect's lesson.

    Returns
    -------
    Canonical text of a regime → gain, a factor of the effect in [0, 2.5].

    >>> centre = np.full(6, 0.5)
    >>> def regime(w0, w1, *pairs):
    ...     weights = np.array([w0, w1, 0, 0, 0, 0, 0])
    ...     return RegimeWeights(
    ...         pairs, 90, 400, weights, np.ones(7), 0.001, bool(weights.any()), weights, centre
    ...     )
    >>> macro, other, meso = ("btc_macro", "S1"), ("btc_macro", "S2"), ("btc_meso", "S3")
    >>> both = [
    ...     regime(0.0, 0.0), regime(0.25, 1.0, macro), regime(0.0, 0.0, other),
    ...     regime(-0.6, 0.0, macro, meso),
    ... ]
    >>> gains(both, (0.75, 0.5, 0.5, 0.5, 0.5, 0.5), {})
    {'btc_macro=S1': 1.5, 'btc_macro=S1|btc_meso=S3': 0.6}
    >>> gains(both, (0.75, 0.5, 0.5, 0.5, 0.5, 0.5), {"btc_meso": "S3"})
    {'btc_macro=S1': 1.5}
    """
    values = np.asarray(metrics, np.float64)
    factors: dict[tuple[tuple[str, str], ...], float] = {}
    result: dict[str, float] = {}
    for w in sorted(weights, key=lambda w: (len(w.regime), w.regime)):
        coarser = factors.get(w.regime[:-1], 1.0) if w.regime else 1.0
        factor = coarser
        if w.active:
            z = np.where(np.isfinite(values), values - w.centre, 0.0)
            factor *= max(0.0, 1.0 + float(w.weights[0] + (w.weights[1:] * z).sum()))
        factors[w.regime] = factor
        gain = _on_grid(factor)
        if gain != _on_grid(coarser) and not any(
            dimension in own_scope for dimension, _ in w.regime
        ):
            result[canonical_text(dict(w.regime))] = gain
    return result


def _on_grid(factor: float) -> float:
    return round(round(min(factor, MAX_GAIN) / GAIN_GRID) * GAIN_GRID, 10)


def gains_of(lesson: Lesson, weights: Sequence[RegimeWeights]) -> dict[str, float]:
    """The gains of a lesson's override, by regime.

    Parameters
    ----------
    lesson
        The lesson.
    weights
        Of the module's regimes.

    Returns
    -------
    Canonical text of a regime → gain, as `gains`; empty for a whole group.
    """
    metrics = lesson.metrics
    if metrics is None or not lesson.scope or not any(w.active for w in weights):
        return {}
    return gains(weights, tuple(getattr(metrics, name) for name in METRICS), lesson.scope)


def steps_of(metrics: Sequence[Metrics], weights: Sequence[RegimeWeights]) -> list[bytes]:
    """The gains of many lessons, in a form to compare.

    Parameters
    ----------
    metrics
        Quality metrics of L lessons.
    weights
        Of the module's regimes.

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
