"""The error rate: the p-value that one of many hypotheses needs, and its division among the tests
of a slice and the depths of slices.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtri_exp

Floats = NDArray[np.float64]

WINDOW_SHARES = (0.75, 0.2, 0.05)
"""Shares of the error rate: of the plain mean, of edges that show in recent trades only, and of
edges that showed in the earliest only.  The latter have ended, but they must not be mistaken for
other effects."""
DEPTH_SHARES = (0.35, 0.3)
"""Shares of the error rate for slices of one and of two dimensions; all deeper ones, most of those
searched, have the rest.  So a general slice needs less evidence than one of thousands of specific
ones (weighted Bonferroni: Holm 1979, Genovese et al. 2006)."""

REGIME_PRICE = 5.0
"""Factor of the p-value of a slice of a regime and something else: most such differences between
regimes are common to a module's edges, and its regime gains learn them from all edges together."""


NO_EVIDENCE = float(np.log(0.999999))
"""ln p from which there is no evidence at all: z is 0."""


def entry_log_p(alpha: float, hypotheses: int) -> float:
    """The p-value that one of many hypotheses needs (Bonferroni).

    Parameters
    ----------
    alpha
        Error rate of all hypotheses together.
    hypotheses
        How many there are.

    Returns
    -------
    ln p.
    """
    return float(np.log(alpha / max(hypotheses, 1)))


def z_of_log_p(log_p: float) -> float:
    """|z| of a two-sided p-value.

    Parameters
    ----------
    log_p
        ln of the p-value, at most 0.

    Returns
    -------
    |z|, 0 or more.

    >>> round(z_of_log_p(float(np.log(0.05))), 6)
    1.959964
    """
    return float(-ndtri_exp(min(log_p, -1e-12) - np.log(2.0))) if log_p < NO_EVIDENCE else 0.0


def log_price(n_dims: NDArray[np.int64], of_regime: NDArray[np.bool_]) -> Floats:
    """The factor of each candidate's p-value with which the depths share the error rate as in
    `DEPTH_SHARES`.

    Parameters
    ----------
    n_dims
        Dimensions of each candidate (m,), at least 1.
    of_regime
        Whether it has a dimension of the regimes' signature (m,); those that have another
        dimension, too, cost `REGIME_PRICE` times as much, and the others less.

    Returns
    -------
    ln of the factors (m,).

    References
    ----------
    Holm 1979, "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6.
    Genovese, Roeder & Wasserman 2006, "False discovery control with p-value weighting", Biometrika
    93.

    >>> depths = np.array([1, 1, 2, 2, 2, 2, 3, 3, 3, 3])
    >>> log_price(depths, np.zeros(10, np.bool_)).round(2).tolist()
    [-0.56, -0.56, 0.29, 0.29, 0.29, 0.29, 0.13, 0.13, 0.13, 0.13]
    >>> log_price(depths, np.arange(10) % 5 == 0).round(2).tolist()
    [-0.62, -0.62, 0.23, 0.23, 0.23, 1.84, 0.07, 0.07, 0.07, 0.07]
    """
    depth = np.minimum(n_dims, len(DEPTH_SHARES) + 1) - 1
    counts = np.bincount(depth, minlength=len(DEPTH_SHARES) + 1)
    shares = np.array([*DEPTH_SHARES, 1.0 - sum(DEPTH_SHARES)]) * (counts > 0)
    shares /= max(float(shares.sum()), 1e-300)
    weight = shares[depth] / counts[depth]
    weight = np.where(of_regime & (n_dims > 1), weight / REGIME_PRICE, weight)
    weight /= max(float(weight.sum()), 1e-300)
    return np.asarray(-np.log(weight * len(n_dims)))


def combined(z: Floats, log_price: Floats) -> Floats:
    """One z for the three tests of each slice, which share the error rate as in `WINDOW_SHARES`:
    that of the smallest p / share, times its price.

    Parameters
    ----------
    z
        Signed z (kinds, K): of the plain mean, of recent and of early edges.
    log_price
        ln of the factor of each slice's p-value (K,).

    Returns
    -------
    Signed z (K,).
    """
    log_p = log_ndtr(-np.abs(z)) - np.log(WINDOW_SHARES)[:, None]
    which = log_p.argmin(axis=0)
    columns = np.arange(z.shape[1])
    better = log_p[which, columns] + log_price
    sign = np.sign(z[which, columns])
    return np.asarray(sign * np.maximum(-ndtri_exp(np.minimum(better, np.log(0.5))), 0.0))
