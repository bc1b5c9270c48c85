"""What sizing was worth: the score of the decisions that were sized.

May touch: nothing but its arguments.

The worth of sizing per decision, where u is what the decision's trade made beyond the baseline, in
units of size, and p = multiplier − 1:

    outcome added   cov(p, u)               what sizing one trade more than another has earned
    value           cov(p, u) − var(p)/2    the same, less the cost of the added risk

Means do not count: sizing everything up, or down, is not a skill.  The outcome added grows with any
exaggeration that is right on average.  The value is greatest where differences of p equal the
expected differences of u, which is what a multiplier should be (the quadratic score; Brier 1950,
Gneiting & Raftery 2007); settings are compared by it.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.audit.bootstrap import UNKNOWN, Estimate, Resampler
from app.audit.walk_forward import Judgements

Floats = NDArray[np.float64]


class Score(msgspec.Struct, frozen=True):
    """What sizing was worth per decision: `value` and outcome `added`, in units of size; `sized` is
    the share of decisions that were not left at 1, `spread` the multiplier's standard deviation.
    """

    value: Estimate
    added: Estimate
    sized: float
    spread: float


def values(multiplier: Floats, judged: Judgements) -> Floats:
    """What sizing by `multiplier` (N,) was worth, decision by decision (N,); the mean is the
    value."""
    p, u = multiplier - multiplier.mean(), judged.uplift - judged.uplift.mean()
    return np.asarray(p * u - 0.5 * p * p)


def worths(multiplier: Floats, judged: Judgements, draws: Resampler) -> tuple[Floats, Floats]:
    """Value and outcome added (1 + draws,) of these multipliers (N,)."""
    p, u = multiplier - 1.0, judged.uplift
    n, sp, su, spp, spu = draws.sums(np.ones(len(p)), p, u, p * p, p * u).T
    added = spu / n - sp * su / (n * n)
    return added - 0.5 * (spp / n - (sp / n) ** 2), added


def score(multiplier: Floats, judged: Judgements, draws: Resampler) -> Score:
    """What these multipliers (N,) were worth."""
    if not len(multiplier):
        return Score(UNKNOWN, UNKNOWN, 0.0, 0.0)
    value, added = worths(multiplier, judged, draws)
    return Score(
        draws.estimate(value),
        draws.estimate(added),
        float((multiplier != 1.0).mean()),
        float(multiplier.std()),
    )


def compared(one: Floats, other: Floats, judged: Judgements, draws: Resampler) -> Score:
    """What sizing by `one` (N,) was worth beyond sizing by `other` (N,); `sized` is the share of
    decisions that they size differently."""
    if not len(one):
        return Score(UNKNOWN, UNKNOWN, 0.0, 0.0)
    value, added = (
        a - b for a, b in zip(worths(one, judged, draws), worths(other, judged, draws), strict=True)
    )
    different = one != other
    return Score(
        draws.estimate(value),
        draws.estimate(added),
        float(different.mean()),
        float((one - other).std()),
    )
