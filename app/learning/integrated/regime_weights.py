"""Regime weights: in which market regimes do a module's edges persist, and which quality metrics
predict that?

May touch: nothing but its arguments.

Each selected lesson has a history on a grid of 24 h cells of event time: what it predicted from the
trades before a cell, its quality metrics then, and the outcome of the trades of the cell, regime by
regime.  Within a regime

    realised uplift = base · (1 + δ₀ + Σₖ δₖ · (metricₖ − centreₖ)) + noise,

where the base is what the next coarser regime expects.  The coarsest, `()`, only calibrates the
predictions: they are averages over the regimes, from fewer trades than today's effect, and their
lessons were selected.  Such a bias is the same in all regimes and must not look like a
property of one of them.  So δ is a regime's difference from the blend, and the bracket is the gain
that turns a blended effect into the regime's own.  A gain for `()` itself is never given: it would
correct today's effects by the errors of predictions from less data (in worlds without regimes it
made sizes worse, at any strength of shrinkage).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from app.learning.integrated.quality_metrics import METRICS
from app.learning.integrated.regime_cells import Bools, Floats, History, Rows, prepared
from app.learning.integrated.regime_contrast import Test, contrast, p_values, ramps
from edgeloop.scope import canonical_text

__all__ = [
    "GAIN_GRID",
    "MAX_GAIN",
    "METRICS",
    "History",
    "RegimeWeights",
    "fit",
    "gains",
]

MAX_GAIN = 2.5
"""Gains are within [0, MAX_GAIN].  An edge that holds a third of the time is blended down to a
third of itself, but so small a blend is too near to noise to be tripled; and a gain never reverses
a sign."""
GAIN_GRID = 0.01
"""Gains are rounded to it, so that not every trade of the module changes all of its overrides."""
LEVEL = 0.05
"""A regime's gain differs from 1 only if neutrality is rejected at LEVEL / regimes tested.  The
weights are shrunk in any case; the test keeps gains at exactly 1 where regimes make no difference,
even if the trades of a week share a shock (at 0.1 not always)."""
TAU_DAYS = 90.0
"""Forgetting: a cell this many days older than the newest weighs 1/e of it."""
OFFSET_SD, METRIC_SD = 0.75, 1.5
"""Prior sd of a regime's offset and of its slope per unit of a metric: how far regimes are from the
coarser one before any evidence."""
BASE_FLOOR, BASE_CEILING = 0.2, 3.0
"""A regime's base is within these multiples of the coarser one's: never of the other sign, never
far beyond what was observed."""


class RegimeWeights(NamedTuple):
    """The gain of effects in a regime, relative to the coarser regimes: 1 + weights[0] + Σₖ
    weights[1 + k] · (metricₖ − centre[k]).

    Attributes
    ----------
    regime
        (dimension, value) pairs, a prefix of the signature; () is all regimes.
    n_cells, n_trades
        Cells and trades of its history.
    weights
        Weights in force (7,); all 0 unless `active`.
    sd
        Standard errors of `estimate` (7,).
    p_value
        p-value of "as in the coarser regime", of all seven weights together; 1 if it cannot be
        tested.
    active
        Whether the test passed.
    estimate
        The shrunk weights (7,), whether or not they pass.
    centre
        The module's mean metrics (6,).
    """

    regime: tuple[tuple[str, str], ...]
    n_cells: int
    n_trades: int
    weights: Floats
    sd: Floats
    p_value: float
    active: bool
    estimate: Floats
    centre: Floats


class _Regime(NamedTuple):
    """A regime before its weights are judged: its cells against the coarser base."""

    pairs: tuple[tuple[str, str], ...]
    rows: Rows
    n_trades: int
    test: Test | None
    estimate: Floats
    sd: Floats


def fit(
    history: History,
    signature: tuple[str, ...],
    *,
    tau_days: float = TAU_DAYS,
    level: float = LEVEL,
) -> list[RegimeWeights]:
    """The weights of `()` and of every regime of the history: values of the first, the first two, …
    dimensions of `signature`.

    A cell counts in every regime that it is in; one with an unknown value only in those that do
    without it.  Weights are precision (trades / variance) × exp(−age in days / `tau_days`).  A
    regime is `active` if its difference from the coarser one passes by days as well as by lessons.
    The order of the cells does not matter.

    Parameters
    ----------
    history
        Cells of the module's lessons.
    signature
        Names of the regimes' dimensions, the coarsest first.
    tau_days
        Time constant of forgetting, in days.
    level
        Error rate of all regimes together; each has its part, `level` / regimes tested.

    Returns
    -------
    The weights, `()` first, then by depth and value.

    Raises
    ------
    ValueError
        If a regime does not have as many values as the signature.

    References
    ----------
    Hoerl & Kennard 1970, "Ridge regression", Technometrics 12.
    MacKinnon & White 1985, "Some heteroskedasticity-consistent covariance matrix estimators with
    improved finite sample properties", Journal of Econometrics 29 (jackknife, here by cluster).
    Smyth 2004, "Linear models and empirical Bayes methods for assessing differential expression in
    microarray experiments", SAGMB 3 (moderated variances).

    Four lessons, of whose edges all is earned in S1 and nothing in S3:

    >>> from app.learning.integrated.regime_cells import Cell, history
    >>> noise = [0.3, -0.2, 0.1, -0.4, 0.2]
    >>> cells = [
    ...     Cell(
    ...         lesson, 20000 + day, (regime,), 0.4, (0.5,) * 6, 4,
    ...         uplift + noise[(3 * day + lesson) % 5],
    ...     )
    ...     for lesson in range(4)
    ...     for day in range(40)
    ...     for regime, uplift in (("S1", 0.8), ("S3", 0.0))
    ... ]
    >>> weights = fit(history(cells, [0.5] * 4), ("btc_macro",))
    >>> [
    ...     (w.regime, w.n_cells, w.n_trades, w.weights.round(2).tolist(), w.active)
    ...     for w in weights[1:]
    ... ]
    [((('btc_macro', 'S1'),), 160, 640, [0.99, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], True), \
((('btc_macro', 'S3'),), 160, 640, [-0.99, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], True)]
    >>> gains(weights, (0.5,) * 6, {"chain": "sol"})
    {'btc_macro=S1': 1.99, 'btc_macro=S3': 0.01}
    """
    if any(len(regime) != len(signature) for regime in history.regimes):
        raise ValueError(f"A regime must have a value for each of {signature}.")
    rows, code, n, centre = prepared(history, tau_days)
    nothing = np.zeros(1 + len(METRICS))
    overall = contrast(rows, None)
    spread = overall.spread if overall else 1.0
    estimate, sd = _ridge(rows, spread)
    p_value = float(p_values(overall).min()) if overall else 1.0
    result = [
        RegimeWeights(
            (), len(code), int(n.sum()), nothing, sd, min(1.0, p_value), False, estimate, centre
        )
    ]
    base = _calibrated(rows, estimate)

    regimes: list[_Regime] = []
    families: dict[tuple[str, ...], Bools] = {(): np.ones(len(code), np.bool_)}
    for depth in range(1, len(signature) + 1):
        finer = base.copy()
        for name in sorted({regime[:depth] for regime in history.regimes if all(regime[:depth])}):
            inside = np.array([regime[:depth] == name for regime in history.regimes])[code]
            if not inside.any():
                continue
            family = families[name[:-1]]
            mine, others = (
                rows._replace(base=base).part(inside),
                rows._replace(base=base).part(family & ~inside),
            )
            test = contrast(mine, others)
            estimate, sd = _ridge(mine, test.spread if test else 1.0)
            finer[inside] = _calibrated(mine, estimate)
            families[name] = inside
            pairs = tuple(zip(signature[:depth], name, strict=True))
            regimes.append(_Regime(pairs, mine, int(n[inside].sum()), test, estimate, sd))
        base = finer

    tested = sum(regime.test is not None for regime in regimes)
    for pairs, mine, n_trades, test, estimate, sd in regimes:
        weights, p_value = nothing, 1.0
        if test is not None:
            p_value = min(1.0, float(p_values(test).min()))
            let_in = ramps(test, level / tested)
            if let_in.any():
                weights, _ = _ridge(mine, test.spread, let_in)
        active = bool(weights.any())
        result.append(
            RegimeWeights(
                pairs, len(mine.base), n_trades, weights, sd, p_value, active, estimate, centre
            )
        )
    return result


def gains(
    weights: Sequence[RegimeWeights], metrics: ArrayLike, own_scope: Mapping[str, str]
) -> dict[str, float]:
    """The gains of one effect, by regime.

    Read them as the most specific match, 1 if there is none: a regime whose gain is that of the
    coarser one has no entry.  Nor has any regime along a dimension of the effect's own scope: such
    an effect was learned within its regime, and is no blend.

    Parameters
    ----------
    weights
        Weights of all regimes of the module, in any order.
    metrics
        Quality metrics (6,) of the effect's lesson, in the order of `METRICS`; NaN is unknown.
    own_scope
        The scope of the effect's lesson.

    Returns
    -------
    Canonical text of a regime → gain, a factor of the effect in [0, 2.5].

    >>> centre = np.full(6, 0.5)
    >>> def regime(w0, w1, *pairs):
    ...     weights = np.array([w0, w1, 0, 0, 0, 0, 0])
    ...     return RegimeWeights(
    ...         pairs, 90, 400, weights, np.ones(7), 0.001, bool(weights.any()), weights, centre
    ...     )
    >>> macro, other, meso = ("btc_macro", "S1"), ("btc_macro", "S2"), ("btc_meso", "S3")
    >>> both = [
    ...     regime(0.0, 0.0), regime(0.25, 1.0, macro), regime(0.0, 0.0, other),
    ...     regime(-0.6, 0.0, macro, meso),
    ... ]
    >>> gains(both, (0.75, 0.5, 0.5, 0.5, 0.5, 0.5), {})
    {'btc_macro=S1': 1.5, 'btc_macro=S1|btc_meso=S3': 0.6}
    >>> gains(both, (0.75, 0.5, 0.5, 0.5, 0.5, 0.5), {"btc_meso": "S3"})
    {'btc_macro=S1': 1.5}
    """
    values = np.asarray(metrics, np.float64)
    factors: dict[tuple[tuple[str, str], ...], float] = {}
    result: dict[str, float] = {}
    for w in sorted(weights, key=lambda w: (len(w.regime), w.regime)):
        coarser = factors.get(w.regime[:-1], 1.0) if w.regime else 1.0
        factor = coarser
        if w.active:
            z = np.where(np.isfinite(values), values - w.centre, 0.0)
            factor *= max(0.0, 1.0 + float(w.weights[0] + (w.weights[1:] * z).sum()))
        factors[w.regime] = factor
        gain = _on_grid(factor)
        if gain != _on_grid(coarser) and not any(
            dimension in own_scope for dimension, _ in w.regime
        ):
            result[canonical_text(dict(w.regime))] = gain
    return result


def _on_grid(factor: float) -> float:
    return round(round(min(factor, MAX_GAIN) / GAIN_GRID) * GAIN_GRID, 10)


def _calibrated(rows: Rows, estimate: Floats) -> Floats:
    """What a regime with these weights expects, (N,): the base of the finer ones."""
    base: Floats = rows.base * np.clip(
        1.0 + estimate[0] + rows.z @ estimate[1:], BASE_FLOOR, BASE_CEILING
    )
    return base


def _ridge(rows: Rows, spread: float, let_in: Floats | None = None) -> tuple[Floats, Floats]:
    """Weights (7,) and their sd: regression of uplift − base on base · (1, z), each weight shrunk
    to 0 by its prior.

    `let_in` (7,) in [0, 1] takes part of a weight in: its penalty grows such that, were it alone,
    it would be that part of itself.
    """
    k = rows.z.shape[1]
    prior_sd = np.append(OFFSET_SD, np.full(k, METRIC_SD))
    x = np.column_stack((rows.base, rows.base[:, None] * rows.z)) * prior_sd
    wx = x * (rows.weight / spread)[:, None]
    part = np.sqrt(let_in) if let_in is not None else np.ones(1 + k)
    information = np.einsum("ni,nj->ij", wx, x)
    precision = information * np.outer(part, part)
    np.fill_diagonal(precision, np.diag(information) + 1.0)
    # its squares add up to variances, which are thus never negative
    root = np.linalg.inv(np.linalg.cholesky(precision))
    covariance = root.T @ root
    scale = prior_sd * part
    estimate = scale * (covariance @ (part * np.einsum("ni,n->i", wx, rows.uplift - rows.base)))
    return estimate + 0.0, scale * np.sqrt(np.diag(covariance))  # + 0.0: no −0.0
