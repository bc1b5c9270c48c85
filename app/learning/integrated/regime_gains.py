"""Regime gains: from the histories of a module's effects the weights of its regimes, and from these
the gains of an override.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.learning.integrated import regimes
from app.learning.integrated.netting import Effect
from edgeloop.scope import pairs_of
from schemas.lessons import Lesson


def weights_of(
    effects: Iterable[Effect], signature: tuple[str, ...]
) -> list[regimes.RegimeWeights]:
    """How far, in each regime, the quality metrics tell which of these effects persist."""
    cells: list[regimes.Cell] = []
    variance: list[float] = []
    regime_of: dict[str, tuple[str, ...]] = {}
    tracked = [effect for effect in effects if effect.lesson.history]
    for effect in sorted(tracked, key=lambda e: e.lesson.lesson_id):
        lesson = effect.lesson
        # A slice within one regime says nothing of how regimes differ.
        if (
            lesson.marginal is None
            or not lesson.scope
            or any(name in lesson.scope for name in signature)
        ):
            continue
        number = len(variance)
        # What has hardly passed hardly counts, so that nothing jumps when it does.
        variance.append(max(lesson.marginal.noise_sd**2, 1e-300) / max(effect.ramp, 1e-6))
        for cell in lesson.history:
            for part in cell.regimes:
                regime = regime_of.get(part.regime)
                if regime is None:
                    values = dict(pairs_of(part.regime))
                    regime = regime_of[part.regime] = tuple(
                        values.get(name, "") for name in signature
                    )
                cells.append(
                    regimes.Cell(
                        number, cell.day, regime, cell.predicted, cell.metrics, part.n, part.uplift
                    )
                )
    return regimes.fit(regimes.history(cells, variance), signature) if cells else []


def gains_of(lesson: Lesson, weights: Sequence[regimes.RegimeWeights]) -> dict[str, float]:
    """The gains of a lesson's override, by regime; a whole group has none."""
    metrics = lesson.metrics
    if metrics is None or not lesson.scope or not any(w.active for w in weights):
        return {}
    return regimes.gains(
        weights, tuple(getattr(metrics, name) for name in regimes.METRICS), lesson.scope
    )
