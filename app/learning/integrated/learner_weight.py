"""Weights: how far each learner counts, from the record of the module.

May touch: nothing but its arguments.

A learner adds something to the prediction without it.  Its weight is the coefficient with which
what it adds best predicts what the outcomes had beyond that prediction, over all records of the
module.  The coefficient is shrunk to a prior for modules without a record, and kept between 0 and 1
(stacking; Wolpert 1992, Breiman 1996).  A learner that is switched on has weight 1, one that is off
0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.learning.integrated.persistence import symmetric
from schemas.lessons import RecordCell

Floats = NDArray[np.float64]


class HalfLives(NamedTuple):
    """The weights of half-lives in a category of a module, each from 0 to 1.

    Attributes
    ----------
    half_life, growth, level_half_life
        As in `Counts`.
    odds_power
        The power to which an effect's own odds that it moves are taken.
    """

    half_life: float
    growth: float
    level_half_life: float
    odds_power: float


class Counts(NamedTuple):
    """The weights of the learners in a category of a module, each from 0 to 1.

    Attributes
    ----------
    half_life
        The weight of the half-lives of slices.
    growth
        The weight of an effect's growth beyond its mean.
    level_half_life
        The weight of the half-lives of whole groups.
    shared
        The weight of shared effects beside the chosen ones.
    open
        How far the module has shown that its slices' results persist.
    """

    half_life: float
    growth: float
    level_half_life: float
    shared: float
    open: float

    def whole(self) -> tuple[float, float, float]:
        """The weights that are those of all groups alike; half-lives of slices and growth are means
        of what each group has."""
        return self.level_half_life, self.shared, self.open


class Prior(NamedTuple):
    """A learner's weight before there is any record.

    Attributes
    ----------
    mean
        The weight.
    sd
        Its standard deviation.
    """

    mean: float
    sd: float


OPEN_PART = 0.5
"""Part of a module's error rate for the test that opens it; with the other part, the bar of single
effects, it makes the whole."""
OPEN_OVER = 10.0
"""Factor of the p-value over which a module opens."""
HALF_LIFE = Prior(0.85, 0.5)
GROWTH = Prior(0.3, 0.3)
"""An effect that is larger now than its mean is often a move of the market that its trades shared:
on real prices growth did not persist, unlike the fading of effects."""
LEVEL_HALF_LIFE = Prior(0.25, 0.3)
"""Levels of whole groups move with the market as much as with the edge: on real prices their
movement did not persist."""
SHARED = Prior(0.5, 0.7)
"""Where nothing is known of what persists; else see `shared_prior`."""
STEPS = 100
"""Steps of a weight between 0 and 1, so that a trade in one group does not change every group's
effects."""
DISCOUNT = 2.0
"""Trades of a record that are worth one: outcomes that lie near in time are correlated."""
ODDS_POWER = 1.0 / DISCOUNT
"""Power of the odds that an effect moves: its trades count as fewer, too."""
CLUSTERED = 1.5
"""Clustering of the outcomes of other groups in time at which half-lives count by half before there
is a record.  In worlds of independent outcomes it is 1 to 1.3, on real prices 1.3 to 5."""
STEEPNESS = 6.0
"""Power of the clustering by which they lose their weight."""
DISCOUNT_POWER = 3.0
"""Power of the clustering by which trades of a record count as fewer."""


class WeightEvidence(NamedTuple):
    """Sums over the trades of a record, which the regression of outcomes on predictions needs.

    Attributes
    ----------
    squares
        Sum of squared predictions of a learner, in units of the outcomes' variance.
    products
        Sum of products of predictions and outcomes, in the same units.
    trades
        Trades of the record.
    """

    squares: float = 0.0
    products: float = 0.0
    trades: int = 0

    def plus(self, other: WeightEvidence) -> WeightEvidence:
        """The evidence of both together.

        Parameters
        ----------
        other
            Of other trades.

        Returns
        -------
        The sums of both.
        """
        return WeightEvidence(
            self.squares + other.squares, self.products + other.products, self.trades + other.trades
        )


def weight(
    evidence: WeightEvidence, prior: Prior, switch: bool | None, discount: float = DISCOUNT
) -> float:
    """The weight of a learner.

    Parameters
    ----------
    evidence
        What its record shows.
    prior
        Weight before any record.
    switch
        True for on, False for off, None to let the record decide.
    discount
        Trades of the record that are worth one.

    Returns
    -------
    The weight, from 0 to 1, in steps.

    References
    ----------
    Wolpert 1992, "Stacked generalization", Neural Networks 5.
    Breiman 1996, "Stacked regressions", Machine Learning 24.

    >>> weight(WeightEvidence(), SHARED, None), weight(WeightEvidence(), SHARED, False)
    (0.5, 0.0)
    >>> (
    ...     round(weight(WeightEvidence(300.0, 0.0, 900), SHARED, None), 2),
    ...     round(weight(WeightEvidence(300.0, 300.0, 900), SHARED, None), 2),
    ... )
    (0.01, 0.99)
    """
    if switch is not None:
        return float(switch)
    precision = 1.0 / prior.sd**2
    found = (prior.mean * precision + evidence.products / discount) / (
        precision + evidence.squares / discount
    )
    return in_steps(min(max(found, 0.0), 1.0))


def shared_prior(total: float, left: float, variance: float) -> Prior:
    """The prior of the weight of shared effects beside the chosen ones: the part of what persists
    that the chosen effects leave.

    If they leave nothing, shared effects only repeat them with less of their size; if they leave
    most of it, they are the largest of many.

    Parameters
    ----------
    total, left, variance
        Sums over the groups of a module, as in `prior_share.Explained`.

    Returns
    -------
    The prior; its mean is that of `SHARED` where `total` is no more than chance.

    >>> [
    ...     round(shared_prior(total, left, 4.0).mean, 2)
    ...     for total, left in ((0.0, 0.0), (20.0, 0.0), (20.0, 18.0), (20.0, 30.0))
    ... ]
    [0.5, 0.05, 0.86, 1.0]
    """
    sd = float(np.sqrt(variance))
    if not sd > 0:
        return SHARED
    part = (max(left, 0.0) + SHARED.mean * sd) / (max(total, 0.0) + sd)
    return SHARED._replace(mean=min(part, 1.0))


def among_clusters(prior: Prior, clustering: float) -> tuple[Prior, float]:
    """The prior of half-lives in a group, and the discount of their record, by how the outcomes of
    the other groups cluster in time.

    Trades that share a move of the market look like an effect that moves, in the record as well,
    but such moves do not persist.  An effect that moves makes the outcomes of its own group
    cluster, too, so only the other groups tell.

    Parameters
    ----------
    prior
        The prior where outcomes are independent.
    clustering
        Clustering of the outcomes of other groups, 1 for independent ones, see
        `whole_groups.Spread`.

    Returns
    -------
    The prior, and the trades of a record that are worth one.

    >>> for clustering in (1.0, 1.5, 3.0):
    ...     prior, discount = among_clusters(HALF_LIFE, clustering)
    ...     print(round(prior.mean, 2), discount)
    0.78 2.0
    0.42 6.75
    0.01 54.0
    """
    told = 1.0 / (1.0 + (clustering / CLUSTERED) ** STEEPNESS)
    discount = DISCOUNT * max(clustering, 1.0) ** DISCOUNT_POWER
    return prior._replace(mean=prior.mean * told), discount


def in_steps(weight: float) -> float:
    """The nearest of the weights that are used.

    Parameters
    ----------
    weight
        A weight from 0 to 1.

    Returns
    -------
    The weight rounded to 1 / `STEPS`.

    >>> in_steps(0.333)
    0.33
    """
    return round(weight * STEPS) / STEPS


def half_life_evidence(cells: Iterable[RecordCell]) -> WeightEvidence:
    """The evidence for half-lives: how well moving effects predict beyond constant ones.

    Parameters
    ----------
    cells
        The records of the module's groups.

    Returns
    -------
    Sums over all trades of the records.
    """
    total = WeightEvidence()
    for cell in cells:
        products = symmetric(cell.products)
        total = total.plus(
            _evidence(cell.n, products, _moved(len(products)), _beyond_constant(len(products)))
        )
    return total


def shared_evidence(
    cells: Iterable[RecordCell], shares: Floats, half_life: float
) -> WeightEvidence:
    """The evidence for shared effects: how well they predict beyond the chosen ones.

    A past time at which nothing had been chosen does not show which predictor is the better one: it
    would count only what is lost until something is chosen.

    Parameters
    ----------
    cells
        The records of the module's groups.
    shares
        Weights (len(SHARES),) of the shares for which effects were estimated, see
        `prior_share.between`.
    half_life
        Weight of half-lives, by which the chosen effects move.

    Returns
    -------
    Sums over all trades of the records.
    """
    total = WeightEvidence()
    for cell in cells:
        products = symmetric(cell.products)
        if not products[0, 0] > 0:
            continue
        shared = np.concatenate(([-1.0, 0.0], shares, [0.0]))
        beyond = _beyond_constant(len(products)) - half_life * _moved(len(products))
        total = total.plus(_evidence(cell.n, products, shared, beyond))
    return total


def _moved(columns: int) -> Floats:
    """Moving less constant effects, by the columns of a record."""
    return np.asarray(np.eye(columns)[1] - np.eye(columns)[0])


def _beyond_constant(columns: int) -> Floats:
    """Outcomes minus constant effects."""
    return np.asarray(np.eye(columns)[-1] - np.eye(columns)[0])


def _evidence(n: int, products: Floats, predicted: Floats, outcome: Floats) -> WeightEvidence:
    variance = (
        float(_beyond_constant(len(products)) @ products @ _beyond_constant(len(products))) / n
    )
    if not variance > 0:
        return WeightEvidence()
    return WeightEvidence(
        float(predicted @ products @ predicted) / variance,
        float(predicted @ products @ outcome) / variance,
        n,
    )


def opened(log_p: float, alpha: float, ramp: float) -> float:
    """The degree to which a module has shown that there is anything to size by.

    Parameters
    ----------
    log_p
        Natural logarithm of the p-value of the module's test.
    alpha
        Error rate of the module.
    ramp
        How far the most certain of its effects is phased in by itself, from 0 to 1.

    Returns
    -------
    0 with nothing; 1 once the p-value is a tenth of the test's share of the error rate.

    >>> (
    ...     [round(opened(np.log(p), 0.03, 0.0), 2) for p in (0.02, 0.01, 0.001)],
    ...     opened(0.0, 0.03, 1.0),
    ... )
    ([0.0, 0.18, 1.0], 1.0)
    """
    bar = np.log(OPEN_PART * alpha)
    return float(max(min(max((bar - log_p) / np.log(OPEN_OVER), 0.0), 1.0), ramp))
