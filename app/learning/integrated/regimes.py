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

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from edgeloop.scope import canonical_text

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

METRICS = ("time_efficiency", "field_coherence", "recurrence", "support", "stability", "magnitude")
"""The quality metrics of a lesson, each in [0, 1]; NaN is unknown and counts as the average."""
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
OFFSET_SHARE = 0.6
"""The share of the level that is spent on the offset; the metrics have equal parts of the rest
(Bonferroni)."""
SOFT_BAR = 2.0
"""In a regime that passes, the other weights come in from this many standard errors up."""
RAMP = 0.5
"""Standard errors beyond a bar over which a weight comes in: gains do not jump."""
TAU_DAYS = 90.0
"""Forgetting: a cell this many days older than the newest weighs 1/e of it."""
OFFSET_SD, METRIC_SD = 0.75, 1.5
"""Prior sd of a regime's offset and of its slope per unit of a metric: how far regimes are from the
coarser one before any evidence."""
PRIOR_DOF = 12.0
"""Degrees of freedom of the prior belief that a regime does the same to all lessons, see
`_contrast`."""
MIN_LESSONS, MIN_DAYS = 3, 8
"""A regime is tested if it, and the remainder of the coarser one, have cells of this many lessons
and days."""
RECURRENCE_TAU_DAYS = 30.0
PSEUDO_SEGMENTS = 2.0
"""Segments' worth of the neutral value 0.5 in the field coherence."""
NOISE_FLOOR = 0.01
"""A trade's standard deviation is at least this share of the uplifts' root mean square: without any
noise it would have infinite weight."""
BASE_FLOOR, BASE_CEILING = 0.2, 3.0
"""A regime's base is within these multiples of the coarser one's: never of the other sign, never
far beyond what was observed."""


class Cell(NamedTuple):
    """One lesson on one day of the grid in one regime.

    Attributes
    ----------
    lesson
        Index of the lesson.
    day
        Days since the epoch.
    regime
        Values of the signature's dimensions; "" if unknown.
    predicted
        Uplift expected from the trades before the day.
    metrics
        Quality metrics (6,) from the trades before the day.
    n
        Trades of the slice on the day in that regime, at least 1.
    uplift
        Their mean uplift.
    """

    lesson: int
    day: int
    regime: tuple[str, ...]
    predicted: float
    metrics: tuple[float, ...]
    n: int
    uplift: float


class History(NamedTuple):
    """Cells as columns, in any order.

    Attributes
    ----------
    lesson, day, predicted, metrics, n, uplift
        As in `Cell` (N,).
    regime
        Place of each regime in `regimes` (N,).
    regimes
        The regimes.
    variance
        Variance of one trade's uplift (N,), above 0.
    """

    lesson: Ints
    day: Ints
    regime: Ints
    regimes: tuple[tuple[str, ...], ...]
    predicted: Floats
    metrics: Floats
    n: Ints
    uplift: Floats
    variance: Floats


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


class _Rows(NamedTuple):
    """Cells (N,) in canonical order: clusters `lesson` and `day` (from 0), `z` (N, 6) centred
    metrics, `weight` precision × forgetting."""

    lesson: Ints
    day: Ints
    base: Floats
    z: Floats
    weight: Floats
    uplift: Floats

    def part(self, rows: Bools) -> _Rows:
        lesson, day, base, z, weight, uplift = self
        return _Rows(lesson[rows], day[rows], base[rows], z[rows], weight[rows], uplift[rows])


class _Test(NamedTuple):
    """`t` (2, 7) statistics of offset and metrics by day and by lesson with their degrees of
    freedom; `spread` ≥ 1 the variance of the offset in multiples of what independent cells would
    have."""

    t: Floats
    dof: Floats
    spread: float


class _Regime(NamedTuple):
    """A regime before its weights are judged: its cells against the coarser base."""

    pairs: tuple[tuple[str, str], ...]
    rows: _Rows
    n_trades: int
    test: _Test | None
    estimate: Floats
    sd: Floats


def history(cells: Iterable[Cell], variance: ArrayLike) -> History:
    """The cells of all lessons as columns.

    Parameters
    ----------
    cells
        Cells of L lessons, in any order.
    variance
        Variance of one trade's uplift (L,), by lesson, in squared units of the outcome.

    Returns
    -------
    Columns (N,), in the order of `cells`; the regimes are sorted.

    >>> shot = history(
    ...     [
    ...         Cell(1, 20000, ("S1",), 0.5, (0.5,) * 6, 3, 0.4),
    ...         Cell(0, 20001, ("",), 0.2, (0.5,) * 6, 1, 0.1),
    ...     ],
    ...     [1.0, 2.0],
    ... )
    >>> shot.regimes, shot.regime.tolist(), shot.variance.tolist()
    ((('',), ('S1',)), [1, 0], [2.0, 1.0])
    """
    rows = list(cells)
    regimes = tuple(sorted({cell.regime for cell in rows}))
    place = {regime: i for i, regime in enumerate(regimes)}
    lesson = np.array([cell.lesson for cell in rows], np.int64)
    return History(
        lesson,
        np.array([cell.day for cell in rows], np.int64),
        np.array([place[cell.regime] for cell in rows], np.int64),
        regimes,
        np.array([cell.predicted for cell in rows], np.float64),
        np.array([cell.metrics for cell in rows], np.float64).reshape(len(rows), len(METRICS)),
        np.array([cell.n for cell in rows], np.int64),
        np.array([cell.uplift for cell in rows], np.float64),
        np.asarray(variance, np.float64)[lesson],
    )


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
    rows, code, n, centre = _prepare(history, tau_days)
    nothing = np.zeros(1 + len(METRICS))
    overall = _contrast(rows, None)
    spread = overall.spread if overall else 1.0
    estimate, sd = _ridge(rows, spread)
    p_value = float(_p_values(overall).min()) if overall else 1.0
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
            test = _contrast(mine, others)
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
            p_value = min(1.0, float(_p_values(test).min()))
            let_in = _ramps(test, level / tested)
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
        Of all regimes of the module, in any order.
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


def edge_sign(uplift: ArrayLike, n: ArrayLike, variance: ArrayLike) -> Floats:
    """The sign of a mean uplift, in proportion to it within half a standard error of 0.

    Parameters
    ----------
    uplift
        Mean uplifts, in units of the outcome.
    n
        Trades of each mean, of the same shape.
    variance
        Variance of one trade's uplift; any shape that broadcasts.

    Returns
    -------
    Signs in [−1, 1], in the broadcast shape.

    >>> edge_sign([0.8, 0.1, -0.05, 0.3], [4, 4, 25, 0], 1.0).tolist()
    [1.0, 0.4, -0.5, 0.0]
    """
    errors = np.asarray(uplift, np.float64) * np.sqrt(
        np.asarray(n) / np.asarray(variance, np.float64)
    )
    signs: Floats = np.clip(errors / RAMP, -1.0, 1.0)
    return signs


def recurrence(days: ArrayLike, signs: ArrayLike, at: ArrayLike, edge: ArrayLike) -> Floats:
    """How regularly an edge came back before each of M days.

    The share of earlier cells whose sign agrees, weighted by exp(−age / 30 days), with half a cell
    for and half a cell against from the start.  A cell of the same day is not yet known.

    Parameters
    ----------
    days
        Days of the cells since 1970 (N,), ascending.
    signs
        Signs of the realised uplift (N,), as `edge_sign` gives them.
    at
        Days asked for (M,), since 1970.
    edge
        Sign of the edge on each of them (M,).

    Returns
    -------
    Shares (M,) in [0, 1]; 0.5 if nothing is known.

    >>> recurrence(
    ...     [20000, 20001, 20030], [1.0, 1.0, -1.0], [20000, 20002, 20031], [1.0, 1.0, 1.0]
    ... ).round(3).tolist()
    [0.5, 0.828, 0.455]
    """
    when, then = np.asarray(days, np.float64), np.asarray(at, np.float64)
    newest = when.max(initial=0.0)
    weight = np.exp((when - newest) / RECURRENCE_TAU_DAYS)
    before = np.searchsorted(when, then, side="left")
    fading = np.exp((newest - then) / RECURRENCE_TAU_DAYS)
    total = np.append(0.0, np.cumsum(weight))[before] * fading
    balance = np.append(0.0, np.cumsum(weight * np.asarray(signs, np.float64)))[before] * fading
    share: Floats = (1.0 + np.asarray(edge, np.float64) * balance / (1.0 + total)) / 2.0
    return share


def field_coherence(
    uplift: ArrayLike, counts: ArrayLike, variance: ArrayLike, edge: ArrayLike
) -> Floats:
    """The share of a slice's segments whose uplift has the sign of its edge, shrunk toward 0.5 by
    two segments' worth.

    Parameters
    ----------
    uplift
        Mean uplift of each segment (…, S), in units of the outcome.
    counts
        Trades of each segment (…, S); a segment without trades does not count.
    variance
        Variance of one trade's uplift (…).
    edge
        Sign of the slice's effect (…).

    Returns
    -------
    Shares (…) in (0, 1).

    >>> field_coherence(
    ...     [[0.9, 0.7, 0.8, 0.0], [0.9, 0.7, -0.8, -0.9]], [[9, 9, 9, 0], [9, 9, 9, 9]],
    ...     [1.0, 1.0], [1.0, -1.0],
    ... ).tolist()
    [0.8, 0.5]
    """
    n = np.asarray(counts, np.float64)
    signs = edge_sign(uplift, n, np.asarray(variance, np.float64)[..., None])
    agree = (1.0 + np.asarray(edge, np.float64)[..., None] * signs) / 2.0
    segments = (n > 0).sum(axis=-1)
    share: Floats = (PSEUDO_SEGMENTS / 2.0 + np.where(n > 0, agree, 0.0).sum(axis=-1)) / (
        PSEUDO_SEGMENTS + segments
    )
    return share


def _on_grid(factor: float) -> float:
    return round(round(min(factor, MAX_GAIN) / GAIN_GRID) * GAIN_GRID, 10)


def _prepare(history: History, tau_days: float) -> tuple[_Rows, Ints, Ints, Floats]:
    """The usable cells in canonical order, their places in `history.regimes`, their trades, and the
    average metrics (6,)."""
    usable = (
        (history.n > 0)
        & np.isfinite(history.predicted)
        & np.isfinite(history.uplift)
        & (history.variance > 0)
    )
    kept = np.flatnonzero(usable)
    order = kept[np.lexsort((history.regime[kept], history.lesson[kept], history.day[kept]))]
    day, n, predicted, metrics = (
        history.day[order],
        history.n[order],
        history.predicted[order],
        history.metrics[order],
    )
    square = float(np.mean(predicted**2 + history.uplift[order] ** 2)) if len(order) else 0.0
    variance = np.maximum(history.variance[order], max(NOISE_FLOOR**2 * square, 1e-300))
    weight = n / variance * np.exp((day - day.max(initial=0)) / tau_days)
    known = np.isfinite(metrics)
    share = np.where(known, (weight * predicted**2)[:, None], 0.0)
    total = share.sum(axis=0)
    some = total > 0
    centre = np.where(
        some, (share * np.where(known, metrics, 0.0)).sum(axis=0) / np.where(some, total, 1.0), 0.5
    )
    z = np.where(known, metrics - centre, 0.0)
    _, lessons = np.unique(history.lesson[order], return_inverse=True)
    _, days = np.unique(day, return_inverse=True)
    return (
        _Rows(lessons, days, predicted, z, weight, history.uplift[order]),
        history.regime[order],
        n,
        centre,
    )


def _calibrated(rows: _Rows, estimate: Floats) -> Floats:
    """What a regime with these weights expects, (N,): the base of the finer ones."""
    base: Floats = rows.base * np.clip(
        1.0 + estimate[0] + rows.z @ estimate[1:], BASE_FLOOR, BASE_CEILING
    )
    return base


def _ridge(rows: _Rows, spread: float, let_in: Floats | None = None) -> tuple[Floats, Floats]:
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


def _contrast(mine: _Rows, others: _Rows | None) -> _Test | None:
    """Does `mine` differ from the family that it makes with `others`?  Without others: does it
    differ from its base?

    It tests the slope of uplift on base, and its change along each metric by itself.  Variances are
    those of the jackknife that leaves out a cluster (CR3; conservative where clusters are few or
    unequal), once by day, once by lesson.  Degrees of freedom count the clusters by weight.  A few
    lessons hold little information on how much lessons differ.  Their variance is therefore
    moderated (as by Smyth 2004) by the one by day, which would hold if a regime had the same effect
    on all lessons: with a handful of lessons a difference can still be detected, and with many
    their own variance dominates.  None if there is too little of either.
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
        dof = np.maximum(many - np.append(1.0, np.full(k, 2.0)), 1.0)
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
    return _Test(np.array([t for t, _, _ in tests]), np.array([dof for _, _, dof in tests]), spread)


def _sums(rows: _Rows, cluster: Ints, size: int) -> Floats:
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
    varies = spread > 1e-9 * bb
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


def _p_values(test: _Test) -> Floats:
    """Two-sided p-values (7,), of days or lessons the larger, divided by their shares: the regime's
    is the least of them."""
    p: Floats = (2.0 * stdtr(test.dof, -np.abs(test.t))).max(axis=0) / spending(test.t.shape[1] - 1)
    return p


def _ramps(test: _Test, level: float) -> Floats:
    """How far each of the seven weights comes in, [0, 1]: by its own bar, and once one of them is
    in, the others by the soft one."""
    bar = -stdtrit(test.dof, level * spending(test.t.shape[1] - 1) / 2.0)
    own = np.clip((np.abs(test.t) - bar).min(axis=0) / RAMP, 0.0, 1.0)
    soft = np.clip((np.abs(test.t).min(axis=0) - SOFT_BAR) / RAMP, 0.0, 1.0)
    ramps: Floats = np.maximum(own, own.max() * soft)
    return ramps
