"""How certain a figure is: a block bootstrap over cuts.

May touch: nothing but its arguments.

The decisions of one cut are correlated, since they share overrides and weeks of market; and markets
change slowly, so cuts that are close in time are similar, too.  So the bootstrap draws not single
decisions but blocks of consecutive cuts of some 60 days, with the ends of history joined (the
circular block bootstrap; Politis & Romano 1992).  A figure is any function of sums by cut.  With B
blocks, the spread of the draws is that of B independent observations.  It is widened by √(B/(B −
1)) and by the ratio of Student's t of B − 1 degrees of freedom to the normal quantile; otherwise
few cuts would look too certain.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from schemas.times import DAY_US

Floats = NDArray[np.float64]

BLOCK_US = 60 * DAY_US
"""Length of a block: longer than a cut's horizon, to capture some of the slow change of markets;
docs/audit.md says how well the intervals cover."""
LEAST_BLOCKS = 4
DRAWS = 1_000
CONFIDENCE = 0.9


class Estimate(msgspec.Struct, frozen=True):
    """A figure and its 90 % interval, whose ends are infinite (null in JSON) where there is too
    little data."""

    value: float
    low: float
    high: float


UNKNOWN = Estimate(0.0, float("-inf"), float("inf"))


class Resampler:
    """Draws of the cuts that N observations belong to: `cut_us` (N,), in µs since 1970; the same
    for the same cuts and seed.

    >>> draws = Resampler(np.arange(40) * BLOCK_US, seed=1)
    >>> found = draws.mean(np.tile([1.0, 2.0, 3.0, 4.0], 10))
    >>> found.value, found.low < 2.5 < found.high
    (2.5, True)
    >>> Resampler(np.zeros(5, np.int64), seed=1).mean(np.ones(5))
    Estimate(value=1.0, low=-inf, high=inf)
    """

    def __init__(self, cut_us: NDArray[np.int64], seed: int, draws: int = DRAWS) -> None:
        self.cuts, self._place = np.unique(cut_us, return_inverse=True)
        n = len(self.cuts)
        self._enough = n >= 2
        gap = float(np.median(np.diff(self.cuts))) if self._enough else 1.0
        self.block = int(np.clip(round(BLOCK_US / gap), 1, max(1, n // LEAST_BLOCKS)))
        self._widen = 1.0
        if self._enough:
            blocks, tail = n / self.block, 0.5 + CONFIDENCE / 2
            self._widen = float(
                np.sqrt(blocks / (blocks - 1)) * stdtrit(blocks - 1, tail) / ndtri(tail)
            )
        rng = np.random.default_rng(seed)
        starts = rng.integers(0, max(n, 1), (draws, -(-n // self.block)))
        self._drawn = ((starts[:, :, None] + np.arange(self.block)) % max(n, 1)).reshape(draws, -1)[
            :, :n
        ]
        self._counts = np.zeros((draws, n))
        np.add.at(self._counts, (np.arange(draws)[:, None], self._drawn), 1.0)

    def by_cut(self, values: Floats) -> Floats:
        """(cuts,) sums of `values` (N,)."""
        return np.bincount(self._place, values, len(self.cuts)).astype(np.float64)

    def sums(self, *columns: Floats) -> Floats:
        """Sums (1 + draws, K) of K columns (N,): of the data, then of each draw."""
        by_cut = np.column_stack([self.by_cut(c) for c in columns])
        return np.vstack((by_cut.sum(axis=0), self._counts @ by_cut))

    def estimate(self, figures: Floats) -> Estimate:
        """The first of `figures` (1 + draws,), with the interval of the others, the draws."""
        value = float(figures[0])
        drawn = figures[1:][np.isfinite(figures[1:])]
        if not self._enough or len(drawn) < len(figures) / 2:
            return Estimate(value if np.isfinite(value) else 0.0, float("-inf"), float("inf"))
        low, high = np.quantile(drawn, (0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2)).tolist()
        return Estimate(
            value,
            value - max(value - low, 0.0) * self._widen,
            value + max(high - value, 0.0) * self._widen,
        )

    def share(self, part: Floats, whole: Floats) -> Estimate:
        """The sum of `part` (N,) as a share of the sum of `whole` (N,), from 0 to 1."""
        found = self.mean(part, whole)
        return (
            found
            if np.isinf(found.low)
            else Estimate(found.value, max(found.low, 0.0), min(found.high, 1.0))
        )

    def mean(self, values: Floats, among: Floats | None = None) -> Estimate:
        """The mean of `values` (N,); with `among` (N,), their sum divided by its sum."""
        sums = self.sums(values, np.ones(len(values)) if among is None else among)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.estimate(sums[:, 0] / sums[:, 1])

    def band(self, values: Floats) -> tuple[Floats, Floats, Floats]:
        """The cumulative sum of `values` (N,) by cut, with its band: sum, low, high (cuts,)."""
        by_cut = self.by_cut(values)
        total = np.cumsum(by_cut)
        if not self._enough:
            return total, total, total
        paths = np.cumsum(by_cut[self._drawn] - by_cut.mean(), axis=1)
        low, high = (
            np.quantile(paths, (0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2), axis=0) * self._widen
        )
        return total, total + low, total + high
