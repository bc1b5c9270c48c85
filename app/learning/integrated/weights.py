"""Weights: how far each learner counts, from the record of the module.

May touch: nothing but its arguments.

What a learner adds to the account without it, times its weight, should be what came beyond that account.  The weight is the
coefficient of that regression over all records of the module, shrunk to a prior that says what works where nothing is known yet, and
kept between 0 and 1 (stacking; Wolpert 1992, Breiman 1996).  A learner that is switched on has weight 1, one that is off 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from schemas.lessons import RecordCell


class Counts(NamedTuple):
    """How far learners count in a module, each from 0 to 1.

    `half_life` of slices and `level_half_life` of whole groups; `shared` effects beside the chosen ones; `open` how far the module has
    shown that there is anything at all to size by; `shared_moves` the part of a chosen effect's movement that stays where shared
    effects take over.
    """

    half_life: float
    level_half_life: float
    shared: float
    open: float
    shared_moves: float = 0.0


class Prior(NamedTuple):
    """Weight before any record, and its standard deviation."""

    mean: float
    sd: float


OPEN_PART = 0.5
"""Part of a module's error rate for the test that opens it; with the other part, the bar of single effects, it makes the whole."""
OPEN_OVER = 10.0
"""Factor of the p-value over which a module opens."""
HALF_LIFE = Prior(0.85, 0.5)
LEVEL_HALF_LIFE = Prior(0.25, 0.3)
"""Levels of whole groups move with the market as much as with the edge: on real prices their movement did not last."""
SHARED = Prior(0.5, 0.45)
NO_MOVEMENT = Prior(0.0, 0.5)
"""The shared account takes edges for constant until the record says otherwise."""
DISCOUNT = 2.0
"""Trades of a record that are worth one: outcomes that lie near in time hang together."""


class Evidence(NamedTuple):
    """Sums over trades of a record, in units of the outcomes' variance: of squares of what a learner `said`, and of its products with what
    `came`; `trades` that the record has."""

    said: float = 0.0
    came: float = 0.0
    trades: int = 0

    def plus(self, other: Evidence) -> Evidence:
        """Both together."""
        return Evidence(self.said + other.said, self.came + other.came, self.trades + other.trades)


def weight(evidence: Evidence, prior: Prior, switch: bool | None) -> float:
    """The weight of a learner, from 0 to 1; `switch`: True for on, False for off, None for as its record says.

    >>> weight(Evidence(), SHARED, None), weight(Evidence(), SHARED, False)
    (0.5, 0.0)
    >>> round(weight(Evidence(300.0, 0.0, 900), SHARED, None), 2), round(weight(Evidence(300.0, 300.0, 900), SHARED, None), 2)
    (0.02, 0.98)
    """
    if switch is not None:
        return float(switch)
    sure = 1.0 / prior.sd**2
    found = (prior.mean * sure + evidence.came / DISCOUNT) / (sure + evidence.said / DISCOUNT)
    return min(max(found, 0.0), 1.0)


def half_life_evidence(cells: Iterable[RecordCell]) -> Evidence:
    """Of half-lives: what moving effects say beyond constant ones, and what came."""
    total = Evidence()
    for cell in cells:
        if cell.beyond > 0:
            unit = cell.n / cell.beyond
            total = total.plus(Evidence(cell.moving * unit, cell.moving_came * unit, cell.n))
    return total


def shared_evidence(cells: Iterable[RecordCell], half_life: float) -> Evidence:
    """Of shared effects: what they say beyond the chosen ones, and what came beyond these with their half-life by weight `half_life`."""
    total = Evidence()
    for c in cells:
        if c.beyond > 0:
            unit = c.n / c.beyond
            total = total.plus(Evidence(c.shared * unit, (c.shared_came - half_life * c.moving_shared) * unit, c.n))
    return total


def opened(log_p: float, alpha: float, sure: float) -> float:
    """How far a module has shown that there is anything to size by: 0 with nothing, 1 from a tenth of its share of the error rate on.

    `log_p` is that of the module's test, `sure` how far the surest of its effects has come in by itself.

    >>> [round(opened(np.log(p), 0.03, 0.0), 2) for p in (0.02, 0.01, 0.001)], opened(0.0, 0.03, 1.0)
    ([0.0, 0.18, 1.0], 1.0)
    """
    bar = np.log(OPEN_PART * alpha)
    return float(max(min(max((bar - log_p) / np.log(OPEN_OVER), 0.0), 1.0), sure))
