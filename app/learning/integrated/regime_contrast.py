"""Whether a regime differs from the coarser one, and how far each of its weights is phased in.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from app.learning.integrated.regime_cells import Floats, Ints, Rows

OFFSET_SHARE = 0.6
"""The share of the level that is spent on the offset; the metrics have equal parts of the rest
(Bonferroni)."""
SOFT_BAR = 2.0
"""In a regime that passes, the other weights are phased in from this many standard errors up."""
RAMP = 0.5
"""Standard errors beyond a bar over which a weight is phased in: gains do not jump."""
PRIOR_DOF = 12.0
"""Degrees of freedom of the prior belief that a regime does the same to all lessons, see
`contrast`."""
MIN_LESSONS, MIN_DAYS = 3, 8
"""A regime is tested if it, and the remainder of the coarser one, have cells of this many lessons
and days."""
_OF_OFFSET, _OF_METRIC = 1.0, 2.0
"""Coefficients that a test estimates, and that its degrees of freedom lose: the slope; for a metric
the slope and its change."""
_LEAST_SPREAD = 1e-9
"""A metric varies if its variance, weighted as the cells are, exceeds this: less is rounding."""


class Test(NamedTuple):
    """The test of one regime.

    Attributes
    ----------
    t
        Statistics of the offset and the six metrics (2, 7), by day and by lesson.
    dof
        Their degrees of freedom (2, 7).
    spread
        Variance of the offset, in multiples of what independent cells would have; at least 1.
    """

    t: Floats
    dof: Floats
    spread: float


def contrast(mine: Rows, others: Rows | None) -> Test | None:
    """Test whether a regime differs from the coarser one that it is a part of.

    The slope of uplift on base is tested, and its change along each metric by itself.  Variances
    are those of the jackknife that leaves out a cluster (CR3; conservative where clusters are few
    or unequal), once by day, once by lesson.  Degrees of freedom count the clusters by weight.  A
    few lessons hold little information on how much lessons differ.  Their variance is therefore
    moderated by the one by day, which would hold if a regime had the same effect on all lessons:
    with a handful of lessons a difference can still be detected, and with many their own variance
    dominates.

    Parameters
    ----------
    mine
        Cells of the regime.
    others
        The other cells of the coarser regime; None: test whether `mine` differs from its base.

    Returns
    -------
    The test; None if there are too few days or lessons.

    References
    ----------
    Smyth 2004, "Linear models and empirical Bayes methods for assessing differential expression",
    Statistical Applications in Genetics and Molecular Biology 3.
    """
    tests: list[tuple[Floats, Floats, Floats]] = []
    k = mine.z.shape[1]
    expected = np.append(1.0, np.zeros(k))
    mine_all = others_all = np.zeros(0)
    for clusters in ("day", "lesson"):
        own: Ints = getattr(mine, clusters)
        rest: Ints = getattr(others, clusters) if others is not None else own[:0]
        size = int(max(own.max(initial=0), rest.max(initial=0))) + 1
        a = _sums(mine, own, size)
        o = _sums(others, rest, size) if others is not None else np.zeros_like(a)
        least = MIN_DAYS if clusters == "day" else MIN_LESSONS
        if (
            min(int((part[:, 0] > 0).sum()) for part in ((a, o) if others is not None else (a,)))
            < least
        ):
            return None
        used = (a[:, 0] > 0) | (o[:, 0] > 0)
        a, o = a[used], o[used]
        mine_all, others_all = a.sum(axis=0), o.sum(axis=0)
        without_a, without_o = mine_all - a, others_all - o
        if others is None:
            full, left = _slopes(mine_all[None])[0] - expected, _slopes(without_a) - expected
        else:
            full = (_slopes(mine_all[None]) - _slopes((mine_all + others_all)[None]))[0]
            left = _slopes(without_a) - _slopes(without_a + without_o)
        variance = (len(a) - 1) / len(a) * ((left - full) ** 2).sum(axis=0)
        many = min(
            float(part[:, 0].sum() ** 2 / (part[:, 0] ** 2).sum())
            for part in (a, o)
            if part[:, 0].any()
        )
        dof = np.maximum(many - np.append(_OF_OFFSET, np.full(k, _OF_METRIC)), 1.0)
        if tests:
            _, by_day, _ = tests[0]
            variance = (PRIOR_DOF * by_day + dof * variance) / (PRIOR_DOF + dof)
            dof = PRIOR_DOF + dof
        some = variance > 0
        tests.append(
            (np.where(some, full / np.sqrt(np.where(some, variance, 1.0)), 0.0), variance, dof)
        )
    independent = 1.0 / mine_all[0] - (
        1.0 / (mine_all + others_all)[0] if others is not None else 0.0
    )
    largest = max(float(variance[0]) for _, variance, _ in tests)
    spread = max(1.0, largest / independent) if independent > 0 else 1.0
    return Test(np.array([t for t, _, _ in tests]), np.array([dof for _, _, dof in tests]), spread)


def _sums(rows: Rows, cluster: Ints, size: int) -> Floats:
    """Per cluster (size, 2 + 3·6): Σ b², Σ by, Σ b²z, Σ b²z², Σ byz, all weighted."""
    bb, by = rows.weight * rows.base**2, rows.weight * rows.base * rows.uplift
    columns = (
        bb,
        by,
        *(bb * z for z in rows.z.T),
        *(bb * z**2 for z in rows.z.T),
        *(by * z for z in rows.z.T),
    )
    return np.column_stack([np.bincount(cluster, column, size) for column in columns])


def _slopes(sums: Floats) -> Floats:
    """Sums (G, 20) → (G, 7): the slope of uplift on base, and its change per unit of each metric (0
    where that does not vary)."""
    k = (sums.shape[1] - 2) // 3
    bb, by, bbz, bbzz, byz = np.split(sums, [1, 2, 2 + k, 2 + 2 * k], axis=1)
    bb, by = np.where(bb > 0, bb, 1.0), np.where(bb > 0, by, 0.0)
    spread = bbzz - bbz**2 / bb
    varies = spread > _LEAST_SPREAD * bb
    return np.column_stack(
        (by / bb, np.where(varies, (byz - bbz * by / bb) / np.where(varies, spread, 1.0), 0.0))
    )


def spending(k: int) -> Floats:
    """How the level of a regime's test is divided between the offset and `k` metrics.

    Parameters
    ----------
    k
        Number of metrics, at least one.

    Returns
    -------
    Shares (1 + k,) that sum to 1, the offset first.
    """
    return np.append(OFFSET_SHARE, np.full(k, (1.0 - OFFSET_SHARE) / k))


def p_values(test: Test) -> Floats:
    """The p-values of a regime's weights, corrected for their number.

    Parameters
    ----------
    test
        The test of the regime.

    Returns
    -------
    Two-sided p-values (7,), the larger of days and lessons, divided by their shares of the level:
    the regime's is the least of them.
    """
    p: Floats = (2.0 * stdtr(test.dof, -np.abs(test.t))).max(axis=0) / spending(test.t.shape[1] - 1)
    return p


def ramps(test: Test, level: float) -> Floats:
    """How far each of the seven weights is phased in: by its own bar and, once one of them is, the
    others by the softer bar.

    Parameters
    ----------
    test
        The test of the regime.
    level
        Level of the test.

    Returns
    -------
    From 0 to 1 (7,), the offset first.
    """
    bar = -stdtrit(test.dof, level * spending(test.t.shape[1] - 1) / 2.0)
    own = np.clip((np.abs(test.t) - bar).min(axis=0) / RAMP, 0.0, 1.0)
    soft = np.clip((np.abs(test.t).min(axis=0) - SOFT_BAR) / RAMP, 0.0, 1.0)
    found: Floats = np.maximum(own, own.max() * soft)
    return found
