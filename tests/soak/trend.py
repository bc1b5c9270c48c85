"""Whether a series of samples grows, judged by all samples together.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from scipy.stats import kendalltau, theilslopes

WARM_UP = 0.4
"""Share of the samples at the beginning that do not count, while windows and caches fill."""
LEAST_SAMPLES = 8
CERTAIN = 0.001
"""Probability that a series without a trend looks as if it had one."""


class Trend(NamedTuple):
    """The trend of a quantity after the warm-up."""

    first: float
    """Median of the first quarter."""
    last: float
    """Median of the last quarter."""
    growth: float
    """Theil and Sen's slope, times the duration that counts."""
    p_value: float
    """The p-value of Mann and Kendall's test."""

    def grows(self, allowed: float) -> bool:
        """Whether the growth is more than allowed, and not due to chance."""
        return self.growth > allowed and self.p_value < CERTAIN


def trend(times: Sequence[float], values: Sequence[float]) -> Trend:
    """The trend of the samples after the warm-up; raises `ValueError` if these are too few."""
    skipped = round(len(times) * WARM_UP)
    times, values = times[skipped:], values[skipped:]
    if len(values) < LEAST_SAMPLES:
        raise ValueError(f"{len(values)} samples are too few to tell a trend.")
    part = max(2, len(values) // 4)
    first, last = _median(values[:part]), _median(values[-part:])
    if len(set(values)) == 1:
        return Trend(first, last, 0.0, 1.0)
    slope = float(theilslopes(values, times).slope)
    found = kendalltau(times, values)
    return Trend(first, last, slope * (times[-1] - times[0]), float(found.pvalue))


def _median(values: Sequence[float]) -> float:
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
