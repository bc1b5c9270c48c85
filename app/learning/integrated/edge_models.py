"""A bank of models of how an effect moves over time, each fitted to its observations.

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

from app.learning.integrated.observed_uplifts import AMPLITUDE_VARIANCE, Observations

Floats = NDArray[np.float64]

HALF_LIVES = np.geomspace(1 / 64, 4.0, 48)
"""Half-lives in spans.  Beyond four spans a decay cannot be distinguished from a constant."""
DECAY_SHARES = 1.0 / (1.0 + HALF_LIVES**2)
"""Prior over the half-lives: uniform in ln h up to one span; what takes longer hardly decays
within the data."""
COARSE = 3
"""Every third half-life is enough for cells that are less sharp (process noise) or numerous
(onsets)."""
COARSE_HALF_LIVES = HALF_LIVES[::COARSE]
OU_LEVELS = np.array([0.1, 0.3, 0.6, 1.0])
"""Stationary sd of the mean-reverting cells over the edge's rms (with the decays proper, 0, five
process noises)."""
WALK_LEVELS = np.array([0.5, 1.0, 2.0, 4.0])
"""Sd of the walks over one span, over the edge's rms; one for each of `OU_LEVELS`."""
WALK_HALF_LIFE = 64.0
"""Half-life of a walk, in spans: a mean-reverting cell that practically never reverts."""
GROWTHS = np.array([0.25, 0.5, 1.0])
"""Doubling times in spans."""
CHANGE_RANGE = (1 / 16, 15 / 16)
"""Part of the span in which a change or an onset may be; each time is equally likely."""
CYCLES = np.arange(5, 25) / 4
"""Cycles in the span, from one and a quarter: fewer cannot be distinguished from growth or
decay."""
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
LOG_EVERY = 8
"""Steps for which determinants are multiplied (far from overflow) before taking the logarithm."""


class ModelCells(NamedTuple):
    """C models of one kind, fitted to K effects.

    Attributes
    ----------
    mean, variance
        Posterior mean and variance of x at the last trade (K, C).
    log_weight
        Log prior + log marginal likelihood (K, C), relative to x = 0.
    half_life
        Half-life of x after the last trade (C,), in spans; inf: x stays as it is.
    stationary
        Variance that x tends to after the last trade (K, C).
    falls
        Whether x decays without process noise (C,).
    width
        How many steps of `HALF_LIVES` each half-life represents (C,).
    """

    mean: Floats
    variance: Floats
    log_weight: Floats
    half_life: Floats
    stationary: Floats
    falls: NDArray[np.bool_]
    width: NDArray[np.int64]


def curves(seen: Observations) -> ModelCells:
    """The constant (the first cell), decays and growths: x = a · f(t), a ~ N(0, first2).

    Parameters
    ----------
    seen
        Observations of K effects in `MAX_BINS`.

    Returns
    -------
    The fitted cells.
    """
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
    return ModelCells(
        amplitude * end,
        end**2 / precision,
        log_weight,
        half_life,
        np.zeros_like(amplitude),
        falls,
        np.ones(len(falls), np.int64),
    )


def changes(seen: Observations) -> ModelCells:
    """Changes and onsets: x = a · 2^(−(t − c)/h) from a bin's time c on, with h = ∞ last; before c
    x = 0 or x = b; a, b ~ N(0, first2).

    Before and after a change point the state is independent, so the likelihood is a product; all
    change points come from cumulative sums.

    Parameters
    ----------
    seen
        Observations of K effects in `FINE_BINS`.

    Returns
    -------
    The fitted cells: for each half-life, a cell for each bin.

    References
    ----------
    Smith 1975, "A Bayesian approach to inference about a change-point in a sequence of random
    variables".
    """
    half_life = np.append(COARSE_HALF_LIVES, np.inf)[:, None]
    prior_variance = seen.first2[:, None]
    weighted = seen.precision * seen.value
    precision = np.cumsum(seen.precision, axis=1) - seen.precision + 1.0 / prior_variance
    product = np.cumsum(weighted, axis=1) - weighted
    log_before = 0.5 * (product**2 / precision - np.log(prior_variance * precision))
    # A change point represents the time since the previous bin.
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
    return ModelCells(
        mean.reshape(flat),
        variance.reshape(flat),
        log_weight.reshape(flat),
        half_lives,
        np.zeros((len(mean), len(half_lives))),
        np.isfinite(half_lives),
        np.full(len(half_lives), COARSE),
    )


def cycles(seen: Observations) -> ModelCells:
    """Cycles: x = a cos + b sin with each of `CYCLES` in the span, a, b ~ N(0, 4 · scale2).

    Parameters
    ----------
    seen
        Observations of K effects in `MAX_BINS`.

    Returns
    -------
    The fitted cells.
    """
    turn = 2.0 * np.pi * CYCLES
    cos, sin = (
        np.cos(turn[:, None] * seen.time[:, None, :]),
        np.sin(turn[:, None] * seen.time[:, None, :]),
    )
    weighted = seen.precision * seen.value
    prior = 1.0 / (AMPLITUDE_VARIANCE * seen.scale2[:, None])
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
    return ModelCells(
        a * cos_end + b * sin_end,
        variance,
        log_likelihood + _prior("cycle", n_cells),
        CYCLE_HALF_LIVES,
        np.zeros_like(a),
        np.zeros(n_cells, np.bool_),
        np.ones(n_cells, np.int64),
    )


def filters(seen: Observations) -> ModelCells:
    """Kalman filters of Ornstein-Uhlenbeck states (K, levels, half-lives) and, as the last
    half-life, of random walks; one pass over the bins.

    Parameters
    ----------
    seen
        Observations of K effects in `MAX_BINS`.

    Returns
    -------
    The fitted cells, by level and then by half-life.

    References
    ----------
    Kalman 1960, "A new approach to linear filtering and prediction problems".
    """
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
    return ModelCells(
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
        How many steps of `HALF_LIVES` each cell represents (C,).

    Returns
    -------
    Quantiles (K, 3), in spans; 1 for an effect without any weight.

    >>> half_life_quantiles(np.ones((1, 48)), HALF_LIVES, np.ones(48, np.int64)).round(2)
    array([[0.03, 0.25, 2.41]])
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


def _sums_to_end(values: Floats) -> Floats:
    """The sum from each place of the last axis to its end; added from the end, where the values may
    be very small."""
    return np.cumsum(values[..., ::-1], axis=-1)[..., ::-1]


def _dot(shape: Floats, weight: Floats) -> Floats:
    """(K, F, B), (K, B) → (K, F)."""
    product: Floats = (shape @ weight[:, :, None])[:, :, 0]
    return product


def _prior(kind: str, cells: int) -> Floats:
    """Log prior of each cell of a kind."""
    return np.full(cells, np.log(PRIOR[kind] / cells))
