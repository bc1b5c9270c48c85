"""Baselines: what a trade of the module earns on average, whatever its pattern.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from app.learning.incremental import segment_order
from schemas.identity import baseline_id
from schemas.lessons import Baseline, GroupSummary


def module_baseline(module: str, summaries: Iterable[GroupSummary], default: float, version: int) -> Baseline | None:
    """The mean outcome and sample variance of all home trades of a module, each trade once; None without any summary.

    Without home trades the mean is `default` and n is 0.  The sums of the groups' segments are added in a fixed order and rounded once,
    so that the result does not depend on the order of arrival.  `as_of` is the newest of the summaries'.  Units: the outcome's.

    >>> from schemas.lessons import SegmentSum
    >>> group = GroupSummary(
    ...     learning="classic", lesson_id="g", module="pm", pattern_key="pm.a", action_category="add", n=4, n_slices=1, version=1,
    ...     as_of="2024-01-01T00:00:00Z", segments=(SegmentSum("micro", "1h", 3, 2.0, 2.0), SegmentSum("mega", "1h", 1, 0.0, 0.0)))
    >>> baseline = module_baseline("pm", [group], default=0.0, version=1)
    >>> baseline.n, baseline.mean, baseline.variance
    (4, 0.5, 0.3333333333333333)
    """
    groups = sorted(summaries, key=lambda s: s.lesson_id)
    if not groups:
        return None
    parts = [s for group in groups for s in sorted(group.segments, key=lambda s: segment_order((s.bucket, s.timeframe)))]
    n = sum(part.n for part in parts)
    total = math.fsum(part.sum for part in parts)
    squares = math.fsum(part.sum_sq for part in parts)
    return Baseline(
        learning="classic",
        baseline_id=baseline_id(module),
        module=module,
        bucket=None,
        timeframe=None,
        n=n,
        mean=total / n if n else default,
        variance=max(0.0, squares - total * total / n) / (n - 1) if n > 1 else 0.0,
        as_of=max(group.as_of for group in groups),
        version=version,
    )


def same_baseline(one: Baseline, other: Baseline | None) -> bool:
    """Whether two baselines say the same, whatever their versions."""
    return other is not None and all(getattr(one, f) == getattr(other, f) for f in one.__struct_fields__ if f != "version")
