"""The half-life and the current edge: how strong a selected effect is today, and how fast it
decays.

May touch: nothing but its arguments.

The uplift of a slice is a state x(t) that each trade shows with noise, y = x(t) + noise.  A bank of
models (cells) is run over the trades and weighted by likelihood × prior (a class I multi-process
model; West & Harrison, Bayesian Forecasting and Dynamic Models, ch. 12):

* constant: x = a;
* decay: x = a · 2^(−(t − t0)/h), 48 half-lives h, and a third of them with Ornstein-Uhlenbeck noise
  of four strengths (Kalman filters);
* walk: the local level, a random walk (Kalman filters);
* growth: x rises to its last value, linearly from zero or by doubling;
* change: one level before a moment (or none), another from it on;
* onset: one level before a moment (or none), a decay from it on;
* cycle: x = a cos + b sin of a period.

Deterministic cells are Bayesian regressions in closed form, the others one vectorised Kalman filter
over effects × strengths × half-lives; all of them give a Gaussian for x now and a marginal
likelihood.  All amplitudes have proper priors of the data's own scale; the constant, the decays and
the walks have the same one for their first state, so that the comparison between them is fair.
Times are in units of the effect's span (first to last trade), in [0, 1].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_BINS = 128
"""More trades than this are gathered in so many bins of equal width over the span (each at its
trades' mean time)."""
FINE_BINS = 256
"""The same for changes and onsets: a moment that is missed by a bin loses the evidence of
the first trades after it."""
HALF_LIVES = np.geomspace(1 / 64, 4.0, 48)
"""Half-lives in spans.  Beyond four spans a decay cannot be distinguished from a constant."""
DECAY_SHARES = 1.0 / (1.0 + HALF_LIVES**2)
"""Prior over the half-lives: uniform in ln h up to one span; what takes longer hardly decays
within the data."""
COARSE = 3
"""Every so many half-lives is enough for cells that show less sharply (process noise), or of which
there are many (onsets)."""
COARSE_HALF_LIVES = HALF_LIVES[::COARSE]
OU_LEVELS = np.array([0.1, 0.3, 0.6, 1.0])
"""Stationary sd of the mean-reverting cells over the edge's rms (with the decays proper, 0, five
process noises)."""
WALK_LEVELS = np.array([0.5, 1.0, 2.0, 4.0])
"""Sd of the walks over one span, over the edge's rms; one for each of `OU_LEVELS`."""
WALK_HALF_LIFE = 64.0
"""A walk is a mean-reverting cell that takes so many spans to come back."""
GROWTHS = np.array([0.25, 0.5, 1.0])
"""Doubling times in spans."""
CHANGE_RANGE = (1 / 16, 15 / 16)
"""Where in the span changes and onsets may be, each time equally likely."""
CYCLES = np.arange(5, 25) / 4
"""Cycles in the span: at least one and a quarter, less than that is growth or decay."""
CYCLE_HALF_LIVES = 1.0 / (6.0 * CYCLES)
"""The autocorrelation of a cycle, cos, is down to one half after a sixth of its period."""
PRIOR = {
    "constant": 0.54,
    "decay": 0.25,
    "ou": 0.045,
    "walk": 0.025,
    "growth": 0.02,
    "change from nothing": 0.015,
    "change": 0.045,
    "onset from nothing": 0.04,
    "onset": 0.005,
    "cycle": 0.015,
}
"""Prior weight of each kind, shared equally among its cells (decays: by `DECAY_SHARES`; onsets: by
the like in units of the time left).

Weight on the constant is taken from the decays: doubling it brings the sd of constant edges now,
over that of their mean, from 1.08 to 1.05, and lowers the gain from decays that begin with their
slice (half-lives of 3 to 30 days in 15 to 50) from 84 to 81 %."""
CLAIM_ODDS = 3.0
"""A half-life is claimed when mean reversion beats the constant by these posterior odds."""
CLIP_SD = 1.5
"""Where the noise's tails begin to be drawn in, in standard deviations."""
PILOT_TRADES = 15
"""Width of the running median that residuals are taken from."""
MIN_TRADES = 10
MIN_TIMES = 5
MIN_Z = 2.5
"""`insufficient` with fewer trades, fewer times, or where no early or late part of the span, nor
all of it, is so many se from 0."""
CLEAR_Z = 1.645
"""Standard deviations from which on something is clearly below or above."""
BLOCKS = 8
"""Parts of the span in which the edge's rms is taken and early and late parts begin and end."""
LOG_EVERY = 8
"""Determinants are gathered as products for so many steps (far from overflow) before their
logarithm is taken."""


class EdgeState(NamedTuple):
    """The state of one effect.

    `state`: `insufficient` (see `MIN_TRADES`, `MIN_TIMES`, `MIN_Z`); `reversed` (an early part of
    the span significantly of one sign, now the other); `improving` (now clearly stronger than in
    the first half; but what began and now falls is `decaying`); `decaying` (mean reversion beats
    the constant at `CLAIM_ODDS`, and it is the best account or the edge is clearly below its first
    half); else `stable`. `half_life_hours` and its 80 % `interval`: always with `decaying`, never
    with `stable` and `insufficient`; with the other two when mean reversion is the best account of
    how the edge moves (a seasonal edge, which will come back), else None. `now`, `now_sd`:
    posterior mean and sd of the edge at the time asked for, over all cells.  `level`: the mean of
    all trades, which is the estimate if the edge is constant.  `odds`: posterior odds of mean
    reversion (decay, onset, Ornstein-Uhlenbeck, cycle) against the constant.
    """

    state: str
    half_life_hours: float | None
    interval: tuple[float, float] | None
    now: float
    now_sd: float
    level: float
    odds: float


class _Observations(NamedTuple):
    """Binned trades of K effects, padded to B bins: `time` (K, B) in spans; `value` (K, B) mean
    uplift; `precision` (K, B) 1/variance of the value (0: padding); `gap` (K,) spans from the last
    trade to now; `scale2` (K,) mean square of the edge; `first2` (K,) variance of the first state;
    `parts_z` (K, 2·BLOCKS−1) z of the mean of the early parts, the whole span and the late parts;
    `early`, `early_se` (K,) mean of the first half."""

    time: Floats
    value: Floats
    precision: Floats
    gap: Floats
    scale2: Floats
    first2: Floats
    parts_z: Floats
    early: Floats
    early_se: Floats


class _Cells(NamedTuple):
    """C models of one kind for K effects: `mean`, `variance` (K, C) of x at the last trade;
    `log_weight` (K, C) log prior + log marginal likelihood (relative to x = 0); `half_life` (C,) in
    spans of what x does afterwards (inf: stays); `stationary` (K, C) variance that it tends to
    meanwhile; `falls` (C,) whether x decays without process noise; `width` (C,) how many steps of
    `HALF_LIVES` its own one stands for."""

    mean: Floats
    variance: Floats
    log_weight: Floats
    half_life: Floats
    stationary: Floats
    falls: NDArray[np.bool_]
    width: NDArray[np.int64]


class Models(NamedTuple):
    """All models of K effects after their last trades: cells by kind, their posterior `weight` (K,
    C); of each effect (K,) the hour of its last trade, its span in hours, its trades, the noise sd
    of one, the same with its tails drawn in, and the slope of what draws them in (0: nothing)."""

    kinds: tuple[_Cells, _Cells, _Cells, _Cells]
    weight: Floats
    last: Floats
    span: Floats
    n: NDArray[np.int64]
    noise_sd: Floats
    shape_sd: Floats
    slope: Floats


def edge_states(
    hours: Floats, uplift: Floats, starts: NDArray[np.int64], noise_sd: Floats, now_hours: float
) -> list[EdgeState]:
    """The state of K effects now, each estimated from its own trades.

    The edge now is continuous in the outcomes.  Time without trades moves it towards 0, never past
    it.

    Parameters
    ----------
    hours
        Times of the trades (N,), in hours on any clock: one effect after the other, ascending
        within each.
    uplift
        Outcomes (N,) less the level without the effect, in units of the outcome.
    starts
        Where each effect begins in N, and the end of the last (K + 1,).
    noise_sd
        Standard deviation of one trade's noise (K,), in units of the outcome; inflated for
        autocorrelation if there is some.
    now_hours
        The time asked for, on the clock of `hours`; before an effect's last trade it means that
        trade.

    Returns
    -------
    One state for each effect: half-lives in hours, edges in units of the outcome.

    Raises
    ------
    ValueError
        If an effect has no trades.

    References
    ----------
    West & Harrison 1997, "Bayesian Forecasting and Dynamic Models", ch. 12 (multi-process models).
    Kalman 1960, "A new approach to linear filtering and prediction problems".

    >>> t = np.arange(200) * 3.6
    >>> bumps = 0.3 * np.sin(2.4 * np.arange(200.0) ** 2)
    >>> going, staying = edge_states(
    ...     np.tile(t, 2), np.append(0.8 * np.exp2(-t / 72) + bumps, 0.8 + bumps),
    ...     np.array([0, 200, 400]), np.array([0.3, 0.3]), 720.0,
    ... )
    >>> (
    ...     going.state, round(going.half_life_hours), [round(h) for h in going.interval],
    ...     round(going.now, 2), round(going.now_sd, 2),
    ... )
    ('decaying', 70, [52, 94], 0.0, 0.01)
    >>> staying.state, staying.half_life_hours, round(staying.now, 2), round(staying.level, 2)
    ('stable', None, 0.8, 0.8)
    """
    return edges(hours, uplift, starts, noise_sd, now_hours)[0]


def edges(
    hours: Floats, uplift: Floats, starts: NDArray[np.int64], noise_sd: Floats, now_hours: float
) -> tuple[list[EdgeState], Models | None]:
    """`edge_states`, and the models behind them.

    Parameters
    ----------
    hours, uplift, starts, noise_sd, now_hours
        As in `edge_states`.

    Returns
    -------
    The states, and the models after the last trades; None without effects.

    Raises
    ------
    ValueError
        If an effect has no trades.
    """
    n = np.diff(starts)
    if not len(n):
        return [], None
    if n.min() < 1:
        raise ValueError("An effect has no trades.")
    first, last = hours[starts[:-1]], hours[starts[1:] - 1]
    span = np.maximum(last - first, 1.0)
    level = np.add.reduceat(uplift, starts[:-1]) / n
    rms = np.sqrt(np.add.reduceat(uplift * uplift, starts[:-1]) / n)
    noise = np.maximum(noise_sd, np.maximum(1e-6 * rms, 1e-12))
    seen, fine, shape_sd, slope, n_times = _observe(
        hours, uplift, starts, noise, (first, span, np.maximum(now_hours - last, 0.0) / span)
    )
    kinds = _curves(seen), _changes(fine), _cycles(seen), _filters(seen)
    mean, spread, log_weight, half_life, stationary, falls, width = (
        np.concatenate(part, axis=-1) for part in zip(*kinds, strict=True)
    )

    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    fading = np.exp2(-seen.gap[:, None] / half_life)
    at_last = (weight * mean).sum(axis=1)
    mean *= fading
    spread = stationary + (spread - stationary) * fading**2
    forecast = (weight * mean).sum(axis=1)
    variance = (weight * (spread + (mean - forecast[:, None]) ** 2)).sum(axis=1)
    # Cells of different signs fade at different speeds; their sum may not pass zero or grow by
    # itself.
    now = np.clip(forecast, np.minimum(at_last, 0.0), np.maximum(at_last, 0.0))
    # What was cut off the tails went back into the level, with its noise.
    now_sd = np.sqrt(variance + np.maximum(noise**2 - shape_sd**2, 0.0) / n)

    reverting = half_life < WALK_HALF_LIFE
    constant = np.maximum(weight[:, 0], 1e-300)
    p_reverting = weight[:, reverting].sum(axis=1)
    p_other = 1.0 - constant - p_reverting
    odds = p_reverting / constant
    moves = (1.0 - constant) / constant > CLAIM_ODDS
    quantiles = (
        half_life_quantiles(weight[:, reverting], half_life[reverting], width[reverting])
        * span[:, None]
    )

    sign = np.sign(now)
    clear = np.abs(now) > CLEAR_Z * now_sd
    early_z = seen.parts_z[:, : BLOCKS - 1] * sign[:, None]
    rise = (now - seen.early) / np.hypot(now_sd, seen.early_se)
    fall = np.abs(seen.early) - np.abs(now) > CLEAR_Z * np.hypot(now_sd, seen.early_se)
    enough = (
        (n >= MIN_TRADES) & (n_times >= MIN_TIMES) & (np.abs(seen.parts_z).max(axis=1) >= MIN_Z)
    )
    turned = moves & clear & (early_z.min(axis=1) <= -MIN_Z)
    better = moves & clear & (rise * sign > CLEAR_Z)
    claimed = (odds > CLAIM_ODDS) & (p_reverting > p_other)
    falling = claimed & (weight[:, falls].sum(axis=1) > 0.5 * p_reverting)
    fading_away = claimed | ((odds > CLAIM_ODDS) & fall)
    states = []
    for k in range(len(n)):
        if not enough[k]:
            state, shown = "insufficient", False
        elif turned[k]:
            state, shown = "reversed", bool(claimed[k])
        elif better[k] and not falling[k]:
            state, shown = "improving", bool(claimed[k])
        else:
            shown = bool(fading_away[k])
            state = "decaying" if shown else "stable"
        low, mid, high = quantiles[k].tolist()
        life, interval = (mid, (low, high)) if shown else (None, None)
        states.append(
            EdgeState(
                state,
                life,
                interval,
                float(now[k]),
                float(now_sd[k]),
                float(level[k]),
                float(odds[k]),
            )
        )
    return states, Models(kinds, weight, last, span, n, noise, shape_sd, slope)


def _observe(
    hours: Floats,
    uplift: Floats,
    starts: NDArray[np.int64],
    noise: Floats,
    clock: tuple[Floats, Floats, Floats],
) -> tuple[_Observations, _Observations, Floats, Floats, NDArray[np.int64]]:
    """Observations in `MAX_BINS` and in `FINE_BINS`, a trade's noise sd in them (K,), the slope of
    what draws it in (K,), distinct times (K,).

    `clock`: first hour, span, gap from last to now (K,).
    """
    first, span, gap = clock
    columns: list[tuple[Floats, Floats, Floats]] = []
    fine_columns: list[tuple[Floats, Floats, Floats]] = []
    shape_sd, slope = np.zeros(len(noise)), np.zeros(len(noise))
    n_times = np.zeros(len(noise), np.int64)
    for k, (start, end) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)):
        time = (hours[start:end] - first[k]) / span[k]
        n_times[k] = 1 + np.count_nonzero(np.diff(time))
        value, shape_sd[k], slope[k] = _drawn_in(uplift[start:end], float(noise[k]))
        columns.append(_binned(time, value, MAX_BINS))
        fine_columns.append(_binned(time, value, FINE_BINS))
    time, value, weight = _padded(columns)

    block = (
        np.minimum((time * BLOCKS).astype(np.int64), BLOCKS - 1)
        + BLOCKS * np.arange(len(noise))[:, None]
    )
    grid = (len(noise), BLOCKS)
    counts = np.bincount(block.ravel(), weight.ravel(), len(noise) * BLOCKS).reshape(grid)
    sums = np.bincount(block.ravel(), (weight * value).ravel(), len(noise) * BLOCKS).reshape(grid)
    scale2 = (sums**2 / np.maximum(counts, 1.0)).sum(axis=1) / counts.sum(axis=1) + 1e-12 * noise**2
    # Parts: the first 1 … BLOCKS blocks, then all but the first 1 … BLOCKS − 1.
    part_counts, part_sums = np.cumsum(counts, axis=1), np.cumsum(sums, axis=1)
    part_counts = np.concatenate((part_counts, part_counts[:, -1:] - part_counts[:, :-1]), axis=1)
    part_sums = np.concatenate((part_sums, part_sums[:, -1:] - part_sums[:, :-1]), axis=1)
    parts_z = part_sums / (noise[:, None] * np.sqrt(np.maximum(part_counts, 1.0)))
    half = np.maximum(part_counts[:, BLOCKS // 2 - 1], 1.0)
    seen = _Observations(
        time,
        value,
        weight / shape_sd[:, None] ** 2,
        gap,
        scale2,
        4.0 * scale2 + noise**2,
        parts_z,
        part_sums[:, BLOCKS // 2 - 1] / half,
        noise / np.sqrt(half),
    )
    time, value, weight = _padded(fine_columns)
    return (
        seen,
        seen._replace(time=time, value=value, precision=weight / shape_sd[:, None] ** 2),
        shape_sd,
        slope,
        n_times,
    )


def _binned(time: Floats, value: Floats, bins: int) -> tuple[Floats, Floats, Floats]:
    """Mean times, mean values and numbers of trades of at most `bins` bins."""
    if len(time) <= bins:
        return time, value, np.ones(len(time))
    places = np.flatnonzero(
        np.diff(np.minimum((time * bins).astype(np.int64), bins - 1), prepend=-1)
    )
    weight = np.diff(np.append(places, len(time))).astype(np.float64)
    return np.add.reduceat(time, places) / weight, np.add.reduceat(value, places) / weight, weight


def _padded(columns: list[tuple[Floats, Floats, Floats]]) -> Floats:
    """Times, values and weights (3, K, B); the padding is at the last time and has no weight."""
    padded = np.zeros((3, len(columns), max(len(time) for time, _, _ in columns)))
    for k, column in enumerate(columns):
        filled = len(column[0])
        padded[:, k, :filled] = column
        padded[0, k, filled:] = column[0][-1]
    return padded


def _drawn_in(y: Floats, noise_sd: float) -> tuple[Floats, float, float]:
    """Pseudo-values with the tails of the noise drawn in, their noise sd, and the mean slope of the
    score (0 where nothing is drawn in): one step of an M-estimate about a running median.

    The score is r / √(1 + (r/c)²) (pseudo-Huber), over its mean slope, so that a pilot which is off
    is corrected to first order.  What it takes off goes back evenly: the mean of all trades is
    kept, as skewed noise would otherwise be taken for an edge.  Continuous in y.
    """
    n = len(y)
    if n < MIN_TIMES:
        return y, noise_sd, 0.0
    width = min(PILOT_TRADES, n - 1 + n % 2)
    middle = np.median(np.lib.stride_tricks.sliding_window_view(y, width), axis=1)
    pilot = np.concatenate(
        (np.full(width // 2, middle[0]), middle, np.full(width // 2, middle[-1]))
    )
    residual = y - pilot
    steep = 1.0 + (residual / (CLIP_SD * noise_sd)) ** 2
    score = residual / np.sqrt(steep)
    slope = float(np.mean(steep**-1.5))
    score /= slope
    power = float(np.mean(residual**2))
    ratio = min(float(np.mean(score**2)) / power, 1.0) if power > 0.0 else 1.0
    value = pilot + score
    value += np.mean(y) - np.mean(value)
    return value, noise_sd * float(np.sqrt(max(ratio, 1e-6))), slope


def _curves(seen: _Observations) -> _Cells:
    """x = a · f(t), a ~ N(0, first2): the constant (the first cell), decays, growths."""
    time = seen.time[:, None, :]
    size = len(time)
    shape = np.concatenate(
        (
            np.ones((size, 1, time.shape[2])),
            np.exp2(-time / HALF_LIVES[:, None]),
            np.exp2((time - 1.0) / GROWTHS[:, None]),
            time,
        ),
        axis=1,
    )
    end = np.concatenate((np.ones(1), np.exp2(-1.0 / HALF_LIVES), np.ones(len(GROWTHS) + 1)))
    precision = 1.0 / seen.first2[:, None] + _dot(shape * shape, seen.precision)
    amplitude = _dot(shape, seen.precision * seen.value) / precision
    log_likelihood = 0.5 * (amplitude**2 * precision - np.log(seen.first2[:, None] * precision))
    n_growths = len(GROWTHS) + 1
    prior = np.concatenate(
        (
            _prior("constant", 1),
            np.log(PRIOR["decay"] * DECAY_SHARES / DECAY_SHARES.sum()),
            _prior("growth", n_growths),
        )
    )
    half_life = np.concatenate((np.full(1, np.inf), HALF_LIVES, np.full(n_growths, np.inf)))
    falls = np.isfinite(half_life)
    log_weight = log_likelihood + prior
    return _Cells(
        amplitude * end,
        end**2 / precision,
        log_weight,
        half_life,
        np.zeros_like(amplitude),
        falls,
        np.ones(len(falls), np.int64),
    )


def _changes(seen: _Observations) -> _Cells:
    """x = a · 2^(−(t − c)/h) from a bin's time c on, with h = ∞ last; before it x = 0, or b ~ N(0,
    first2) as is a.

    What is before a moment and what is after it are independent, so the likelihood is a product;
    all moments come from cumulative sums.
    """
    half_life = np.append(COARSE_HALF_LIVES, np.inf)[:, None]
    prior_variance = seen.first2[:, None]
    weighted = seen.precision * seen.value
    precision = np.cumsum(seen.precision, axis=1) - seen.precision + 1.0 / prior_variance
    product = np.cumsum(weighted, axis=1) - weighted
    log_before = 0.5 * (product**2 / precision - np.log(prior_variance * precision))
    # A moment stands for the time since the bin before it.
    share = np.diff(seen.time, axis=1, prepend=0.0)
    share[(seen.time < CHANGE_RANGE[0]) | (seen.time > CHANGE_RANGE[1])] = 0.0
    with np.errstate(divide="ignore"):
        log_before_change, log_before_onset = (
            np.logaddexp(np.log(PRIOR[f"{kind} from nothing"]), np.log(PRIOR[kind]) + log_before)
            + np.log(share / np.maximum(share.sum(axis=1, keepdims=True), 1e-300))
            for kind in ("change", "onset")
        )
    left = 1.0 - np.minimum(seen.time, CHANGE_RANGE[1])[:, None, :]
    decay_share = 1.0 / (1.0 + (COARSE_HALF_LIVES[:, None] / left) ** 2)

    keep = np.exp2(-seen.time[:, None, :] / half_life)
    shape = keep * weighted[:, None, :]
    product = _sums_to_end(shape)
    product /= keep
    np.multiply(keep, keep, out=shape)
    precision = _sums_to_end(shape * seen.precision[:, None, :])
    precision /= shape
    precision += 1.0 / prior_variance[:, None]
    mean = product / precision
    log_weight = product
    log_weight *= mean
    log_weight -= np.log(precision * prior_variance[:, None])
    log_weight *= 0.5
    log_weight[:, :-1] += log_before_onset[:, None, :] + np.log(
        decay_share / decay_share.sum(axis=1, keepdims=True)
    )
    log_weight[:, -1] += log_before_change
    end = np.exp2(-1.0 / half_life) / keep
    mean *= end
    variance = end**2 / precision
    flat = (len(mean), -1)
    half_lives = np.repeat(half_life, mean.shape[2])
    return _Cells(
        mean.reshape(flat),
        variance.reshape(flat),
        log_weight.reshape(flat),
        half_lives,
        np.zeros((len(mean), len(half_lives))),
        np.isfinite(half_lives),
        np.full(len(half_lives), COARSE),
    )


def _sums_to_end(values: Floats) -> Floats:
    """Of each place of the last axis the sum from it on; added from the end, where they may be very
    small."""
    return np.cumsum(values[..., ::-1], axis=-1)[..., ::-1]


def _cycles(seen: _Observations) -> _Cells:
    """x = a cos + b sin of a whole or broken number of cycles in the span, a and b ~ N(0, 4
    scale2)."""
    turn = 2.0 * np.pi * CYCLES
    cos, sin = (
        np.cos(turn[:, None] * seen.time[:, None, :]),
        np.sin(turn[:, None] * seen.time[:, None, :]),
    )
    weighted = seen.precision * seen.value
    prior = 1.0 / (4.0 * seen.scale2[:, None])
    cc, ss, cs = (
        _dot(cos * cos, seen.precision) + prior,
        _dot(sin * sin, seen.precision) + prior,
        _dot(cos * sin, seen.precision),
    )
    cy, sy = _dot(cos, weighted), _dot(sin, weighted)
    determinant = cc * ss - cs * cs
    a, b = (ss * cy - cs * sy) / determinant, (cc * sy - cs * cy) / determinant
    log_likelihood = 0.5 * (a * cy + b * sy - np.log(determinant / prior**2))
    cos_end, sin_end = np.cos(turn), np.sin(turn)
    variance = (cos_end**2 * ss + sin_end**2 * cc - 2.0 * cos_end * sin_end * cs) / determinant
    n_cells = len(CYCLES)
    return _Cells(
        a * cos_end + b * sin_end,
        variance,
        log_likelihood + _prior("cycle", n_cells),
        CYCLE_HALF_LIVES,
        np.zeros_like(a),
        np.zeros(n_cells, np.bool_),
        np.ones(n_cells, np.int64),
    )


def _filters(seen: _Observations) -> _Cells:
    """Kalman filters of Ornstein-Uhlenbeck states (K, levels, half-lives) and, as the last
    half-life, of walks; one pass over the bins."""
    half_life = np.append(COARSE_HALF_LIVES, WALK_HALF_LIFE)
    walk = WALK_LEVELS**2 * WALK_HALF_LIFE / (2.0 * np.log(2.0))
    level = np.column_stack(
        (np.repeat(OU_LEVELS[:, None] ** 2, len(COARSE_HALF_LIVES), axis=1), walk)
    )
    stationary = seen.scale2[:, None, None] * level
    steps = np.diff(seen.time, axis=1, prepend=0.0)
    keep = np.exp2(-steps.T[:, :, None, None] / half_life)
    keep2 = keep * keep
    mean = np.zeros_like(stationary)
    variance = np.broadcast_to(seen.first2[:, None, None], mean.shape).copy()
    quadratic, log_det, det = np.zeros_like(mean), np.zeros_like(mean), np.ones_like(mean)
    gain, total, move = np.empty_like(mean), np.empty_like(mean), np.empty_like(mean)
    values, precisions = seen.value.T[:, :, None, None], seen.precision.T[:, :, None, None]
    for i, (value, precision) in enumerate(zip(values, precisions, strict=True)):
        mean *= keep[i]
        variance -= stationary
        variance *= keep2[i]
        variance += stationary
        np.multiply(variance, precision, out=gain)
        np.add(gain, 1.0, out=total)
        variance /= total
        gain /= total
        det *= total
        innovation = np.subtract(value, mean, out=total)
        np.multiply(gain, innovation, out=move)
        mean += move
        # Minus the innovation squared over its variance, −v²(1 − gain)·precision.
        move -= innovation
        move *= innovation
        move *= precision
        quadratic += move
        if i % LOG_EVERY == LOG_EVERY - 1:
            log_det += np.log(det)
            det.fill(1.0)
    log_det += np.log(det)
    # Relative to no state at all, as the closed forms are.
    quadratic += (seen.precision * seen.value**2).sum(axis=1)[:, None, None]
    prior = np.full(level.shape, PRIOR["ou"] / (len(OU_LEVELS) * len(COARSE_HALF_LIVES)))
    prior[:, -1] = PRIOR["walk"] / len(OU_LEVELS)
    log_weight = 0.5 * (quadratic - log_det) + np.log(prior)
    flat = (len(mean), -1)
    half_lives = np.tile(half_life, len(OU_LEVELS))
    return _Cells(
        mean.reshape(flat),
        variance.reshape(flat),
        log_weight.reshape(flat),
        half_lives,
        stationary.reshape(flat),
        np.zeros(len(half_lives), np.bool_),
        np.full(len(half_lives), COARSE),
    )


def half_life_quantiles(weight: Floats, half_life: Floats, cell_width: NDArray[np.int64]) -> Floats:
    """The 10, 50 and 90 % quantiles of each half-life; within its cell, ln h is spread evenly.

    Parameters
    ----------
    weight
        Posterior weights (K, C) of the C cells that revert; they need not sum to 1.
    half_life
        Half-lives (C,) of the cells, in spans of the effect.
    cell_width
        How many steps of `HALF_LIVES` each cell stands for (C,).

    Returns
    -------
    Quantiles (K, 3), in spans; 1 for an effect without any weight.
    """
    width = np.log(HALF_LIVES[1] / HALF_LIVES[0])
    place = np.clip(
        np.rint(np.log(half_life / HALF_LIVES[0]) / width).astype(np.int64), 0, len(HALF_LIVES) - 1
    )
    edges = np.log(HALF_LIVES[0]) + width * (np.arange(len(HALF_LIVES) + 1) - 0.5)
    own = cell_width == 1
    quantiles = np.empty((len(weight), 3))
    for k, row in enumerate(weight):
        mass = np.bincount(place[own], row[own], len(HALF_LIVES))
        mass += np.convolve(
            np.bincount(place[~own], row[~own], len(HALF_LIVES)),
            np.full(COARSE, 1.0 / COARSE),
            "same",
        )
        below = np.append(0.0, np.cumsum(mass))
        quantiles[k] = (
            np.exp(np.interp((0.1, 0.5, 0.9), below / below[-1], edges)) if below[-1] > 0.0 else 1.0
        )
    return quantiles


def _dot(shape: Floats, weight: Floats) -> Floats:
    """(K, F, B), (K, B) → (K, F)."""
    product: Floats = (shape @ weight[:, :, None])[:, :, 0]
    return product


def _prior(kind: str, cells: int) -> Floats:
    """Log prior of each cell of a kind."""
    return np.full(cells, np.log(PRIOR[kind] / cells))
