"""How sure a figure is: a block bootstrap over weeks.

May touch: nothing but its arguments.

Decisions that are near in time share a market, and those after one cut the overrides that sized them.  So it is not decisions that are
drawn again but stretches of consecutive weeks, with the ends of history joined (the circular block bootstrap; Politis & Romano 1992).  A
figure is any function of weekly sums.  With B blocks the spread of the draws is what B independent observations have: it is widened by
√(B/(B − 1)) and by Student's t of B − 1 degrees of freedom over the normal quantile, or few weeks would look too sure.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

Floats = NDArray[np.float64]

WEEK_US = 7 * 86_400_000_000
BLOCK_WEEKS = 5
"""At least so many weeks a block: a cut answers for 30 days."""
DRAWS = 1_000
CONFIDENCE = 0.9


class Estimate(msgspec.Struct, frozen=True):
    """A figure and its 90 % interval, which is endless (null in JSON) where there is too little to tell."""

    value: float
    low: float
    high: float


UNKNOWN = Estimate(0.0, float("-inf"), float("inf"))


class Resampler:
    """Draws of the weeks of N moments `at_us` (N,), in µs since 1970; the same for the same moments and seed.

    >>> weeks = Resampler(np.arange(40) * WEEK_US, seed=1)
    >>> found = weeks.mean(np.tile([1.0, 2.0, 3.0, 4.0], 10))
    >>> found.value, found.low < 2.5 < found.high
    (2.5, True)
    >>> Resampler(np.zeros(5, np.int64), seed=1).mean(np.ones(5))
    Estimate(value=1.0, low=-inf, high=inf)
    """

    def __init__(self, at_us: NDArray[np.int64], seed: int, draws: int = DRAWS) -> None:
        self.weeks, self._place = np.unique(at_us // WEEK_US, return_inverse=True)
        n = len(self.weeks)
        self.block = max(1, min(max(BLOCK_WEEKS, round(n ** (1 / 3))), n // 2))
        blocks = n / self.block
        self._enough = blocks >= 2
        self._widen = 1.0
        if self._enough:
            tail = 0.5 + CONFIDENCE / 2
            self._widen = float(np.sqrt(blocks / (blocks - 1)) * stdtrit(blocks - 1, tail) / ndtri(tail))
        rng = np.random.default_rng(seed)
        starts = rng.integers(0, max(n, 1), (draws, -(-n // self.block) if n else 0))
        self.drawn = ((starts[:, :, None] + np.arange(self.block)) % max(n, 1)).reshape(draws, -1)[:, :n]
        """(draws, weeks) which week stands in each place."""
        self._counts = np.zeros((draws, n))
        np.add.at(self._counts, (np.arange(draws)[:, None], self.drawn), 1.0)

    def weekly(self, values: Floats) -> Floats:
        """(weeks,) sums of `values` (N,)."""
        return np.bincount(self._place, values, len(self.weeks)).astype(np.float64)

    def sums(self, *columns: Floats) -> Floats:
        """Sums (1 + draws, K) of K columns (N,): as they are, then of each draw."""
        weekly = np.column_stack([self.weekly(c) for c in columns]) if columns else np.zeros((len(self.weeks), 0))
        return np.vstack((weekly.sum(axis=0), self._counts @ weekly))

    def estimate(self, figures: Floats) -> Estimate:
        """`figures` (1 + draws,), as `sums` has them, with the interval."""
        value = float(figures[0])
        drawn = figures[1:][np.isfinite(figures[1:])]
        if not self._enough or len(drawn) < len(figures) / 2:
            return Estimate(value if np.isfinite(value) else 0.0, float("-inf"), float("inf"))
        low, high = np.quantile(drawn, (0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2)).tolist()
        return Estimate(value, value - max(value - low, 0.0) * self._widen, value + max(high - value, 0.0) * self._widen)

    def share(self, inside: NDArray[np.bool_], among: NDArray[np.bool_]) -> Estimate:
        """How many of those `among` (N,) are `inside` (N,) as well."""
        found = self.mean((inside & among).astype(np.float64), among.astype(np.float64))
        return found if np.isinf(found.low) else Estimate(found.value, max(found.low, 0.0), min(found.high, 1.0))

    def mean(self, values: Floats, among: Floats | None = None) -> Estimate:
        """Of `values` (N,); or their sum over the sum of `among` (N,)."""
        sums = self.sums(values, np.ones(len(values)) if among is None else among)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.estimate(sums[:, 0] / sums[:, 1])

    def band(self, values: Floats) -> tuple[Floats, Floats, Floats]:
        """The sum of `values` (N,) so far, week by week, and how far it could as well be: sum, low, high (weeks,)."""
        weekly = self.weekly(values)
        total = np.cumsum(weekly)
        if not self._enough:
            return total, total, total
        paths = np.cumsum(weekly[self.drawn] - weekly.mean(), axis=1)
        low, high = np.quantile(paths, (0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2), axis=0) * self._widen
        return total, total + low, total + high
