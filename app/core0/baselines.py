"""Baselines: what a trade earns on average, whatever its pattern.

May touch: nothing.  Sums are `math.fsum`: exactly rounded, so they do not depend on the order of what is summed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.core0.window import Trade
from schemas.lessons import SegmentSum


def segment_sums(trades: Iterable[Trade]) -> tuple[SegmentSum, ...]:
    """Count, sum and sum of squares of the outcomes per segment, of the trades that are at home in this group; sorted."""
    outcomes: dict[tuple[str | None, str | None], list[float]] = {}
    for trade in trades:
        if trade.home:
            outcomes.setdefault(trade.segment, []).append(trade.outcome)
    order = sorted(outcomes, key=lambda segment: tuple((part is not None, part or "") for part in segment))
    return tuple(
        SegmentSum(bucket, timeframe, len(y := outcomes[bucket, timeframe]), math.fsum(y), math.fsum(v * v for v in y))
        for bucket, timeframe in order
    )


@dataclass(frozen=True)
class ModuleBaseline:
    """Mean and sample variance (0 if n < 2) of the outcome over all trades of a module, each once, through its home group."""

    n: int
    mean: float
    variance: float


def module_baseline(groups: Mapping[str, tuple[SegmentSum, ...]], default: float) -> ModuleBaseline:
    """Add up the groups' segment sums; `default` is the mean where there is no trade at all.

    >>> module_baseline({"a": (SegmentSum(None, None, 2, 3.0, 5.0),), "b": (SegmentSum("x", "1h", 1, 3.0, 9.0),)}, 0.0)
    ModuleBaseline(n=3, mean=2.0, variance=1.0)
    >>> module_baseline({}, 0.25)
    ModuleBaseline(n=0, mean=0.25, variance=0.0)
    """
    sums = [segment for segments in groups.values() for segment in segments]
    n = sum(segment.n for segment in sums)
    if not n:
        return ModuleBaseline(0, default, 0.0)
    total = math.fsum(segment.sum for segment in sums)
    squares = math.fsum([*(segment.sum_sq for segment in sums), -total * total / n])
    return ModuleBaseline(n, total / n, max(0.0, squares) / (n - 1) if n > 1 else 0.0)
