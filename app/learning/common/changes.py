"""What is published of a module and how a judgement changes it: an outbox and a difference for each
record kind.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from app.learning.common.digests import LeanOutbox
from app.learning.common.outbox import Difference, Outbox
from edgeloop.overrides import Override
from schemas.kinds import BASELINES, FACTORS, OVERRIDES, REGIME_WEIGHTS, VERDICTS
from schemas.lessons import Baseline, LatentFactor, LessonVerdict, RegimeWeight


@dataclass
class Changes:
    """The records to publish and to retire, by kind.

    Attributes
    ----------
    overrides, verdicts, baselines, regime_weights, factors
        The differences of each kind.
    """

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

    def add(self, other: Changes) -> None:
        """Add other changes, of other records.

        Parameters
        ----------
        other
            The other changes.
        """
        for (_, own), (_, more) in zip(self.by_topic(), other.by_topic(), strict=True):
            own.add(more)

    def __len__(self) -> int:
        return sum(len(difference) for _, difference in self.by_topic())


class Outboxes:
    """The published records of a module, of all kinds.

    Parameters
    ----------
    urgent
        Whether a difference between two records is published at once.
    override_part, verdict_part
        The part of an override, or a verdict, whose change is published at once, where only digests
        of them are held.
    """

    def __init__(
        self,
        urgent: Callable[[Any, Any], bool],
        override_part: Callable[[Override], Any] | None = None,
        verdict_part: Callable[[LessonVerdict], Any] | None = None,
    ) -> None:
        self.overrides: Outbox[Override] = (
            Outbox(OVERRIDES, urgent)
            if override_part is None
            else LeanOutbox(OVERRIDES, override_part)
        )
        self.verdicts: Outbox[LessonVerdict] = (
            Outbox(VERDICTS, urgent) if verdict_part is None else LeanOutbox(VERDICTS, verdict_part)
        )
        self.baselines: Outbox[Baseline] = Outbox(BASELINES, urgent)
        self.regime_weights: Outbox[RegimeWeight] = Outbox(REGIME_WEIGHTS, urgent)
        self.factors: Outbox[LatentFactor] = Outbox(FACTORS, urgent)

    def adopt(self, published: Iterable[Any]) -> None:
        """Start from these records, of any kind, as the only published ones.

        Parameters
        ----------
        published
            The records.
        """
        by_kind: dict[type, list[Any]] = {}
        for record in published:
            by_kind.setdefault(type(record), []).append(record)
        self.overrides.adopt(by_kind.get(Override, ()))
        self.verdicts.adopt(by_kind.get(LessonVerdict, ()))
        self.baselines.adopt(by_kind.get(Baseline, ()))
        self.regime_weights.adopt(by_kind.get(RegimeWeight, ()))
        self.factors.adopt(by_kind.get(LatentFactor, ()))

    def waited(self, version: int) -> Iterator[Changes]:
        """What differs of the records that urgent calls left, and that depend on some lessons only.

        Parameters
        ----------
        version
            The version that changed records are marked with.

        Yields
        ------
        Some records at a time; see `Outbox.waited`.
        """
        yield from (Changes(overrides=some) for some in self.overrides.waited(version))
        yield from (Changes(verdicts=some) for some in self.verdicts.waited(version))
        yield from (Changes(factors=some) for some in self.factors.waited(version))
