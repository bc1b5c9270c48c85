"""What a judgement of a module changes: a difference for each kind of record.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from app.learning.common.outbox import Difference
from edgeloop.overrides import Override
from schemas.kinds import BASELINES, FACTORS, OVERRIDES, REGIME_WEIGHTS, VERDICTS
from schemas.lessons import Baseline, LatentFactor, LessonVerdict, RegimeWeight


@dataclass
class Changes:
    """What has to be published, and what to be retired, of each kind."""

    overrides: Difference[Override] = field(default_factory=Difference)
    verdicts: Difference[LessonVerdict] = field(default_factory=Difference)
    baselines: Difference[Baseline] = field(default_factory=Difference)
    regime_weights: Difference[RegimeWeight] = field(default_factory=Difference)
    factors: Difference[LatentFactor] = field(default_factory=Difference)

    def by_topic(self) -> Iterator[tuple[str, Difference[Any]]]:
        """(topic, difference); overrides first: a position manager waits for them."""
        yield OVERRIDES, self.overrides
        yield VERDICTS, self.verdicts
        yield BASELINES, self.baselines
        yield REGIME_WEIGHTS, self.regime_weights
        yield FACTORS, self.factors

    def __len__(self) -> int:
        return sum(len(difference) for _, difference in self.by_topic())
