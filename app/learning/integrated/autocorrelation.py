"""Autocorrelation: how alike outcomes are by their distance in time, and how that changes the
variance of a sum.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LAGS = 8
"""Distances in time, each twice the one before, by which pairs of outcomes are distinguished."""
SPAN_PARTS = 4
"""Lags end at this part of the span: few pairs are further apart, and they share its trend."""
CERTAIN_Z2 = 4.0
"""Squared standard errors from 0 within which an autocorrelation counts as 0."""


class LagPairs:
    """Pairs of trades by their distance in time, without listing them.

    Lag 0 holds the pairs up to half the typical gap apart; each further lag reaches twice as far as
    the one before.

    Parameters
    ----------
    hours
        Times of the trades (T,) in hours, ascending.
    """

    def __init__(self, hours: Floats) -> None:
        n = len(hours)
        gaps = np.diff(hours)
        span = float(hours[-1] - hours[0]) if n else 0.0
        typical = span / max(n - 1, 1)
        edges = 0.5 * typical * 2.0 ** np.arange(LAGS)
        edges = edges[edges < span / SPAN_PARTS] if gaps.size else edges[:0]
        index = np.arange(n)
        self._lo: list[NDArray[np.int64]] = []
        self._hi: list[NDArray[np.int64]] = []
        lower = index + 1
        for edge in edges.tolist():
            upper = np.maximum(np.searchsorted(hours, hours + edge, side="right"), lower)
            self._lo.append(lower)
            self._hi.append(upper)
            lower = upper
        self.n_pairs = np.array(
            [float((hi - lo).sum()) for lo, hi in zip(self._lo, self._hi, strict=True)]
        )

    def products(self, x: Floats) -> Floats:
        """Σ x_i x_k over the pairs of each lag.

        Parameters
        ----------
        x
            K series of one value for each trade (T, K).

        Returns
        -------
        Sums (lags, K), in squared units of `x`.
        """
        sums = self._cumulated(x)
        rows = [
            np.einsum("ij,ij->j", x, sums[hi] - sums[lo])
            for lo, hi in zip(self._lo, self._hi, strict=True)
        ]
        return np.array(rows) if rows else np.zeros((0, x.shape[1]))

    def weighted(self, rho: Floats, x: Floats) -> Floats:
        """`rho @ products(x)`, without computing lags of no weight.

        Parameters
        ----------
        rho
            Weight of each lag (lags,).
        x
            K series of one value for each trade (T, K).

        Returns
        -------
        Sums (K,), in squared units of `x`.
        """
        sums = self._cumulated(x)
        near = np.zeros_like(x)
        for weight, lo, hi in zip(rho.tolist(), self._lo, self._hi, strict=True):
            if weight:
                near += weight * (sums[hi] - sums[lo])
        return np.asarray(np.einsum("ij,ij->j", x, near))

    @staticmethod
    def _cumulated(x: Floats) -> Floats:
        sums = np.zeros((len(x) + 1, x.shape[1]))
        np.cumsum(x, axis=0, out=sums[1:])
        return sums

    def autocorrelation(self, residuals: Floats) -> Floats:
        """The autocorrelation of the residuals at each lag.

        A value within twice its standard error of 0 counts as 0; beyond that, it is phased in
        continuously.

        Parameters
        ----------
        residuals
            Residuals (T,), in any unit.

        Returns
        -------
        Correlations (lags,), 0 or more.
        """
        variance = float(residuals @ residuals) / max(len(residuals), 1)
        if not variance > 0 or not self.n_pairs.size:
            return np.zeros(len(self.n_pairs))
        pairs = np.maximum(self.n_pairs, 1.0)
        rho = self.products(residuals[:, None])[:, 0] / (pairs * variance)
        certain = np.maximum(0.0, 1.0 - CERTAIN_Z2 / (pairs * np.maximum(rho, 1e-12) ** 2))
        return np.asarray(np.maximum(rho, 0.0) * certain)
