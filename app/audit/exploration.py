"""What sizing is worth, from decisions that explored: off-policy estimates.

May touch: nothing but its arguments.

Walk-forward scores sizes by the outcomes of the trades that were taken, as if the outcome of one
unit did not depend on how many were taken.  Where it does (slippage, fills, what the position
manager does with a larger position), only decisions that were sized differently, with a known
probability, can show it.  Each decision drew its multiplier m with the propensity p; u is what a
unit made beyond the baseline, and r = m · u.  A policy (a multiple of the learned distance from
neutral) would have chosen m*:

    w     = 1 / p where m = m*, else 0
    IPS   = mean of w · r                       Horvitz & Thompson 1952
    SNIPS = Σ w · r / Σ w                       Hájek 1971; Swaminathan & Joachims 2015
    DR    = mean of q(m*) + w · (r − q(m))      Robins et al. 1994; Dudík et al. 2011

q is a ridge regression of u on the learned multiplier, the one taken and their product, fitted to
the other folds (stretches of days).  A policy's worth is its estimate minus that of neutral sizes.
All three are consistent for any q, since the propensities are known; a good q makes DR narrower.
Intervals treat days as independent (`mean_interval`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.audit.bootstrap import Estimate
from app.audit.document import Exploration, Policy
from app.audit.trades import Decision
from app.explain.effect import mean_interval
from app.learning.common.event_time import DAY_US
from app.learning.common.trade import SegmentKey
from edgeloop.explore import scaled, valid

Floats = NDArray[np.float64]

POLICIES = {"half of what is learned": 0.5, "as learned": 1.0, "one and a half times": 1.5}
FOLDS = 5
RIDGE = 1e-3
"""The ridge penalty, as a part of the columns' mean square; it keeps the fit defined where no
decision explored."""


class Drawn(NamedTuple):
    """N decisions, each array (N,): the `day`, the `learned` multiplier, the one `taken` and its
    propensity `p`, and `u`, what a unit made beyond the baseline, in units of size."""

    day: NDArray[np.int64]
    learned: Floats
    taken: Floats
    p: Floats
    u: Floats


def drawn(
    decisions: Iterable[Decision],
    expected: Callable[[SegmentKey], float],
    unit: float,
    outcome: str,
) -> tuple[Drawn, int, float]:
    """The decisions whose draw is logged, the number of inconsistent ones, and the mean share that
    explores.  `outcome` names the decisions' outcome: a profit (`pnl`) grows with the size, the
    others are per unit."""
    rows, unusable, shares = [], 0, []
    for d in decisions:
        if (s := d.sizing) is None:
            continue
        if not valid(msgspec.structs.asdict(s)):
            unusable += 1
            continue
        made = d.outcome / s.multiplier if outcome == "pnl" else d.outcome
        u = (made - expected(d.segment)) / unit
        rows.append((d.at_us // DAY_US, s.learned, s.multiplier, s.propensity, u))
        shares.append(s.explore)
    table = np.array(rows, np.float64).reshape(-1, 5)
    found = Drawn(table[:, 0].astype(np.int64), *table[:, 1:].T)
    return found, unusable, float(np.mean(shares)) if shares else 0.0


def joined(parts: Sequence[Drawn]) -> Drawn:
    """Several modules as one."""
    return Drawn(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def exploration(found: Drawn, unusable: int, share: float) -> Exploration | None:
    """The value of each policy; None if no decision logged a draw."""
    if not len(found.u):
        return None
    chosen = found.taken == found.learned
    return Exploration(
        decisions=len(found.u),
        explored=int((~chosen).sum()),
        unusable=unusable,
        share=share,
        on_chosen_sizes=_mean((found.learned - 1.0)[chosen] * found.u[chosen], found.day[chosen]),
        policies=tuple(_policy(name, scale, found) for name, scale in POLICIES.items()),
    )


def _policy(name: str, scale: float, found: Drawn) -> Policy:
    wanted = np.array([scaled(m, scale) if scale != 1.0 else m for m in found.learned.tolist()])
    neutral = np.ones(len(wanted))
    w, w0 = weights(wanted, found), weights(neutral, found)
    r, q = found.taken * found.u, _model(found)
    at, at_wanted, at_neutral = q(found.taken), q(wanted), q(neutral)
    return Policy(
        name=name,
        scale=scale,
        decisions=int((w > 0).sum()),
        effective=float(w.sum() ** 2 / max(float((w * w).sum()), 1e-12)),
        effective_neutral=float(w0.sum() ** 2 / max(float((w0 * w0).sum()), 1e-12)),
        ips=_mean((w - w0) * r, found.day),
        snips=_self_normalised(w, w0, r, found.day),
        dr=_mean(at_wanted - at_neutral + (w - w0) * (r - at), found.day),
    )


def weights(wanted: Floats, found: Drawn) -> Floats:
    """The weights (N,): inverse propensities of the decisions that were sized as `wanted` (N,),
    else 0."""
    return np.where(found.taken == wanted, 1.0 / found.p, 0.0)


def _model(found: Drawn) -> Callable[[Floats], Floats]:
    """The function q: multipliers (N,) → the expected outcome of each decision, from the other
    folds."""
    days = np.unique(found.day)
    fold = np.searchsorted(days, found.day) * FOLDS // max(len(days), 1)
    coefficients = np.zeros((len(found.u), 4))
    columns = _columns(found.learned, found.taken)
    for k in range(FOLDS):
        held = fold == k
        if held.any() and (~held).any():
            x, u = columns[~held], found.u[~held]
            gram = x.T @ x + RIDGE * len(u) * np.diag(np.mean(x * x, axis=0) + 1e-12)
            coefficients[held] = np.linalg.solve(gram, x.T @ u)

    def expected(multiplier: Floats) -> Floats:
        unit = np.sum(_columns(found.learned, multiplier) * coefficients, axis=1)
        return np.asarray(multiplier * unit)

    return expected


def _columns(learned: Floats, taken: Floats) -> Floats:
    p, m = learned - 1.0, taken - 1.0
    return np.column_stack([np.ones(len(p)), p, m, p * m])


def _self_normalised(w: Floats, w0: Floats, r: Floats, day: NDArray[np.int64]) -> Estimate:
    """The difference of two ratios; the interval comes from its influence function (delta
    method)."""
    total, total0 = float(w.sum()), float(w0.sum())
    if total <= 0.0 or total0 <= 0.0:
        return Estimate(0.0, float("-inf"), float("inf"))
    value, value0 = float(w @ r) / total, float(w0 @ r) / total0
    n = len(r)
    influence = n * (w * (r - value) / total - w0 * (r - value0) / total0)
    return _mean(influence + (value - value0), day)


def _mean(values: Floats, day: NDArray[np.int64]) -> Estimate:
    if not len(values):
        return Estimate(0.0, float("-inf"), float("inf"))
    low, high = mean_interval(values, day.tolist()) or (float("-inf"), float("inf"))
    return Estimate(float(values.mean()), low, high)
