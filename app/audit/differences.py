"""Compare two sets of overrides, context by context.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from app.audit.variants import published, variants
from app.learning.common.config import LearningConfig
from app.learning.common.trade import Trade
from app.learning.engine import Engine
from edgeloop.overrides import Override
from schemas.lessons import LessonVerdict


class Difference(NamedTuple):
    """One context: the override of each side (None if it has none), and the first side's reason, if
    any."""

    ours: Override | None
    theirs: Override | None
    reason: str

    @property
    def of(self) -> Override:
        """The override of either side."""
        found = self.ours or self.theirs
        if found is None:
            raise ValueError("A difference needs at least one side.")
        return found

    @property
    def size(self) -> float:
        """The distance between the two multipliers, including regime gains."""
        return max(abs(one - other) for one in _range(self.ours) for other in _range(self.theirs))


def _range(override: Override | None) -> tuple[float, ...]:
    if override is None:
        return (1.0,)
    return (
        override.multiplier,
        *(1.0 + gain * override.effect for gain in override.regime_gains.values()),
    )


def differences(
    ours: Iterable[Override], theirs: Iterable[Override], verdicts: Iterable[LessonVerdict]
) -> list[Difference]:
    """The contexts in which a reader would get a different multiplier, half-life or gains, the
    largest difference first."""
    mine, other = {o.override_id: o for o in ours}, {o.override_id: o for o in theirs}
    reasons = {v.lesson_id: v.reason for v in verdicts}
    found = [
        Difference(
            mine.get(i),
            other.get(i),
            reasons.get(i, "Not among the strongest slices of its group."),
        )
        for i in mine.keys() | other.keys()
        if _compared(mine.get(i)) != _compared(other.get(i))
    ]
    return sorted(found, key=lambda d: (-d.size, d.of.override_id))


def _compared(override: Override | None) -> tuple[object, ...] | None:
    if override is None:
        return None
    half_life = override.decay.half_life_hours if override.learning == "integrated" else None
    return override.multiplier, half_life, tuple(sorted(override.regime_gains.items()))


class Sides(NamedTuple):
    """The current overrides by variant, and the verdicts of `integrated`."""

    overrides: dict[str, list[Override]]
    verdicts: list[LessonVerdict]

    def learner(self, name: str) -> list[Difference]:
        """What the learner `name` (of `LEARNERS`) changes."""
        return differences(
            self.overrides["integrated"], self.overrides[f"no {name}"], self.verdicts
        )


def sides(
    name: str, trades: Mapping[tuple[str, str], Iterable[Trade]], config: LearningConfig
) -> Sides:
    """Each variant's overrides of module `name` after these trades."""
    configs = variants(config)
    integrated, classic = Engine(configs["integrated"], name), Engine(configs["classic"], name)
    integrated.fold(trades)
    classic.fold(trades)
    return Sides(published(integrated, classic, configs), integrated.verdicts())
