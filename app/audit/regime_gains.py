"""Do edges hold in one market regime and not in another?  Realised against predicted outcomes, by
regime.

May touch: nothing but its arguments.  This does not use the learner's own test, and uses only
decisions after the cuts.

Let c be what effects learned over all regimes predict for a decision, and e its outcome beyond all
other predictions.  The gain of a regime is the slope of e on c over all of its decisions, including
those that no effect matches; so a regime that is good or bad for every trade has no influence. If
every regime's gain were known, sizing by it would be worth

    ½ Σ_r n_r var_r(c) (gain_r − gain)² / N        more per decision,

where `gain` is the gain over all regimes.  Measured gains differ by chance alone, which makes this
too large; the part due to chance is subtracted.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from app.audit.bootstrap import UNKNOWN, Estimate, Resampler
from app.audit.walk_forward import MODEL, Judgements

MIN_DECISIONS = 30
"""Regimes with fewer decisions matched by a blended effect are merged."""
REST = "(rest)"


class RegimeGain(msgspec.Struct, frozen=True):
    """One regime: the number of decisions matched by an effect learned over all regimes, the mean
    absolute prediction for them, and the gain, which is the part of the prediction that was
    realised."""

    regime: str
    decisions: int
    promised: float
    gain: Estimate


class Gains(NamedTuple):
    """By regime and overall, and the value per decision of knowing them."""

    regimes: list[RegimeGain]
    overall: Estimate
    attainable: Estimate


def gains(judged: Judgements, draws: Resampler) -> Gains:
    """The gains of the regimes in `judged`, relative to the predictions of `MODEL`."""
    c = judged.blend
    used = c != 0.0
    if not used.any():
        # If every effect names its regime, there is nothing left for gains to add; if there are no
        # effects, the gains are unknown.
        return Gains([], UNKNOWN, Estimate(0.0, 0.0, 0.0) if (judged.own != 0.0).any() else UNKNOWN)
    e = judged.uplift - (judged.multipliers[MODEL] - 1.0 - c)
    names, count = np.unique(judged.regime[used], return_counts=True)
    kept = [
        str(name)
        for name, n in zip(names, count.tolist(), strict=True)
        if n >= MIN_DECISIONS and name
    ]
    regime = np.where(np.isin(judged.regime, kept), judged.regime, REST)
    inside = {name: regime == name for name in [*kept, REST] if (used & (regime == name)).any()}
    columns = (np.ones(len(c)), c, e, c * c, c * e)
    n, sc, se, scc, sce = (
        draws.sums(*(np.where(rows, x, 0.0) for rows in inside.values())) for x in columns
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        power, product = scc - sc * sc / n, sce - sc * se / n
        gain = product / power
        overall = np.nansum(product, axis=1) / np.nansum(power, axis=1)
        worth = 0.5 * np.nansum(power * (gain - overall[:, None]) ** 2, axis=1) / len(c)
    if len(inside) < 2:
        worth[:] = np.nan  # one regime has nothing to differ from
    by_chance = float(np.mean(worth[1:]) - worth[0])
    # The measured value includes the part due to chance once; a bootstrap draw, which varies about
    # the measured value, includes it twice.
    attainable = draws.estimate(np.append(worth[0] - by_chance, worth[1:] - 2.0 * by_chance))
    found = [
        RegimeGain(
            name,
            int((rows & used).sum()),
            float(np.abs(c[rows & used]).mean()),
            draws.estimate(gain[:, k]),
        )
        for k, (name, rows) in enumerate(inside.items())
    ]
    return Gains(found, draws.estimate(overall), attainable)
