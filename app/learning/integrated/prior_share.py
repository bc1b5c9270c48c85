"""The persistent share: the part of the variance of outcomes that lasts, over all groups of a
module.

May touch: nothing but its arguments.

Each group has its own estimate: the products of what its slices earned in separate blocks of time,
regressed on how alike the trades are (Haseman & Elston 1972). One group's estimate is worth little,
so the mean over groups, weighted by trades, is the mean of every group's prior (empirical Bayes;
Morris 1983).  Shares are taken to be exponential: most are small, a few are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from app.learning.integrated.persistence import LEAST_BLOCKS, far_pairs, symmetric
from schemas.lessons import GroupSummary

Floats = NDArray[np.float64]

SHARES = (0.0005, 0.002, 0.008, 0.032, 0.128, 0.512)
"""Shares for which effects are estimated.  On logs of real trades it was 0 to 3 % in most groups,
up to 30 % in a few."""
PRIOR_SHARE = 0.01
"""Mean persistent share of a module, before anything is seen."""
LEAST_SHARE = 1e-6
MOST_SHARE = 0.5
SHARE_STEPS = 32
"""Steps of the share to each factor of two, so that a trade in one group does not change every
group's effects."""
FAR_OUT = -30.0
"""Standard deviations below 0 beyond which the tail of a normal distribution is computed by its
asymptotic series."""


class ShareEstimate(NamedTuple):
    """A group's own estimate of its persistent share.

    Attributes
    ----------
    estimate
        The share.
    sd
        Its standard error.
    trades
        Trades of the group.
    """

    estimate: float
    sd: float
    trades: int


def share_estimate(summary: GroupSummary) -> ShareEstimate | None:
    """A group's own estimate of its persistent share.

    Parameters
    ----------
    summary
        The group's summary.

    Returns
    -------
    The estimate; None while the group is too young for one.
    """
    if summary.persistence is None or not summary.likeness > 0:
        return None
    products = symmetric(summary.persistence.upper)
    if np.count_nonzero(np.diag(products)) < LEAST_BLOCKS:
        return None
    return ShareEstimate(*estimated(products, summary.likeness), summary.n)


class Explained(NamedTuple):
    """How much of what persists in a group its chosen effects explain: sums over the far pairs of
    blocks, in units of the variance of an outcome.

    Attributes
    ----------
    total
        What persists.
    left
        What is left of it without the chosen effects.
    variance
        Variance of `total` if nothing persists.
    """

    total: float
    left: float
    variance: float


def explained_by_chosen(summary: GroupSummary, found: ShareEstimate) -> Explained | None:
    """How much of what persists in a group its chosen effects explain.

    Parameters
    ----------
    summary
        The group's summary.
    found
        Its persistent share, as `share_estimate` gives it.

    Returns
    -------
    The sums; None from versions that did not report them.
    """
    if summary.unexplained is None:
        return None
    return Explained(
        found.estimate * summary.likeness,
        summary.unexplained,
        (found.sd * summary.likeness) ** 2,
    )


def estimated(products: Floats, likeness: float) -> tuple[float, float]:
    """The persistent share by the far pairs of blocks.

    Parameters
    ----------
    products
        Products (B, B) of blocks, in units of the variance of an outcome.
    likeness
        Sum of the squared likeness of the far pairs of trades, above 0.

    Returns
    -------
    The share of the variance, and its standard error.

    References
    ----------
    Haseman & Elston 1972, "The investigation of linkage between a quantitative trait and a marker
    locus", Behavior Genetics 2.
    """
    far = products[far_pairs(len(products))]
    return float(far.sum()) / likeness, float(np.sqrt(2.0 * (far * far).sum())) / likeness


def persistent_shares(groups: Sequence[ShareEstimate]) -> list[float]:
    """The posterior mean of each group's persistent share, in steps.

    Parameters
    ----------
    groups
        The estimates of the groups.

    Returns
    -------
    Shares (G,) of the variance, in (0, `MOST_SHARE`].

    References
    ----------
    Morris 1983, "Parametric empirical Bayes inference", JASA 78.

    >>> small, large = ShareEstimate(0.001, 0.01, 500), ShareEstimate(0.05, 0.01, 500)
    >>> (
    ...     [round(x, 3) for x in persistent_shares([small])],
    ...     [round(x, 3) for x in persistent_shares([small, large])],
    ... )
    ([0.004], [0.007, 0.045])
    """
    if not groups:
        return []
    return list(shares_of(np.array(groups, np.float64)).tolist())


def shares_of(estimates: Floats) -> Floats:
    """`persistent_shares` of groups as an array.

    Parameters
    ----------
    estimates
        Rows (G, 3), each a `ShareEstimate`: estimate, standard error, trades.

    Returns
    -------
    Shares (G,) of the variance.
    """
    estimate, sd, trades = estimates.T
    part = trades / fsum(trades.tolist())
    mean = max(
        posterior_share(
            fsum((part * estimate).tolist()),
            float(np.sqrt(fsum((part * part * sd * sd).tolist()))),
            PRIOR_SHARE,
        ),
        LEAST_SHARE,
    )
    found = np.clip(_posterior_shares(estimate, sd, mean), LEAST_SHARE, MOST_SHARE)
    return np.asarray(np.exp2(np.round(np.log2(found) * SHARE_STEPS) / SHARE_STEPS))


def posterior_share(estimate: float, sd: float, prior: float) -> float:
    """The mean of a share given its estimate, where its prior is exponential.

    Parameters
    ----------
    estimate
        Estimate of the share, which may be below 0.
    sd
        Its standard error.
    prior
        Mean of the prior, above 0.

    Returns
    -------
    The posterior mean.

    >>> [round(posterior_share(x, 0.01, 0.003), 4) for x in (-0.02, 0.0, 0.02, 0.2)]
    [0.0018, 0.0026, 0.0046, 0.1667]
    """
    return float(_posterior_shares(np.array([estimate]), np.array([sd]), prior)[0])


def _posterior_shares(estimate: Floats, sd: Floats, prior: float) -> Floats:
    """`posterior_share` of many (G,)."""
    known = sd > 0
    safe = np.where(known, sd, 1.0)
    z = estimate / safe - safe / prior
    near = np.maximum(z, FAR_OUT)  # further out the sum would cancel
    inside = near + np.exp(-0.5 * near * near - 0.5 * np.log(2.0 * np.pi) - log_ndtr(near))
    far = np.minimum(z, FAR_OUT)
    beyond = (1.0 - 2.0 / (far * far)) / -far
    found = safe * np.where(z < FAR_OUT, beyond, inside)
    return np.asarray(np.where(known, found, np.maximum(estimate, 0.0)))


def between(share: float) -> Floats:
    """The weights by which the effects for each of `SHARES` make those for any other share.

    They are linear in the logarithm of the share, proportional to it below the first and constant
    above the last.

    Parameters
    ----------
    share
        The persistent share of the variance.

    Returns
    -------
    Weights (len(SHARES),).

    >>> between(0.004).round(2).tolist(), between(0.00025).tolist(), between(0.9).tolist()
    ([0.0, 0.5, 0.5, 0.0, 0.0, 0.0], [0.5, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    """
    weights = np.zeros(len(SHARES))
    if share <= SHARES[0]:
        weights[0] = share / SHARES[0]
        return weights
    at = np.interp(np.log(share), np.log(SHARES), np.arange(len(SHARES)))
    low = min(int(at), len(SHARES) - 2)
    weights[low : low + 2] = 1.0 - (at - low), at - low
    return weights
