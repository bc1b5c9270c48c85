"""What differs from what is published: the records that a judge hands out, and the ids that it retires.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from schemas.lessons import Baseline, LatentFactor, LessonVerdict, RegimeWeight
from schemas.overrides import Override


@dataclass
class Changes:
    """Records to publish and ids to retire (a tombstone each), by topic."""

    verdicts: list[LessonVerdict] = field(default_factory=list)
    retired_verdicts: list[str] = field(default_factory=list)
    overrides: list[Override] = field(default_factory=list)
    retired_overrides: list[str] = field(default_factory=list)
    baselines: list[Baseline] = field(default_factory=list)
    retired_baselines: list[str] = field(default_factory=list)
    regime_weights: list[RegimeWeight] = field(default_factory=list)
    retired_regime_weights: list[str] = field(default_factory=list)
    factors: list[LatentFactor] = field(default_factory=list)
    retired_factors: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(records) for records in vars(self).values())


KINDS: dict[type, tuple[str, str]] = {
    LessonVerdict: ("verdicts", "lesson_id"),
    Override: ("overrides", "override_id"),
    Baseline: ("baselines", "baseline_id"),
    RegimeWeight: ("regime_weights", "regime_id"),
    LatentFactor: ("factors", "factor_id"),
}
"""What a module hands out: its name in `Changes`, and the field that is its key."""


def same(one: Any, other: Any) -> bool:
    """Whether two records say the same, whatever their versions and that of their lesson."""
    if other is None:
        return False
    for name in one.__struct_fields__:
        mine, theirs = getattr(one, name), getattr(other, name)
        if name == "evidence":
            mine, theirs = (mine.from_ts, mine.to_ts), (theirs.from_ts, theirs.to_ts)
        if name not in ("version", "lesson_version") and mine != theirs:
            return False
    return True
