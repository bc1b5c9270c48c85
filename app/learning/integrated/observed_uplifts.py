"""What is observed of effects: the uplifts of their trades in bins over the span, with heavy tails
of the noise downweighted.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_BINS = 128
"""More trades than this are gathered in this many bins of equal width over the span (each at its
trades' mean time)."""
FINE_BINS = 256
"""The same for changes and onsets: a moment that is missed by a bin loses the evidence of
the first trades after it."""
CLIP_SD = 1.5
"""Residual, in standard deviations of the noise, from which its score grows more slowly."""
PILOT_TRADES = 15
"""Width of the running median that residuals are taken from."""
MIN_TIMES = 5
"""Distinct times that an effect needs for a half-life; with fewer trades, tails are left alone."""
PARTS = 8
"""Parts of the span in which the edge's rms is taken and early and late parts begin and end."""
AMPLITUDE_VARIANCE = 4.0
"""Prior variance of an edge's amplitude, in mean squares of the edge: wide, but of its scale."""


class Observations(NamedTuple):
    """Binned trades of K effects, padded to B bins.

    Attributes
    ----------
    time
        Times (K, B), in spans of each effect, 0 to 1.
    value
        Mean uplifts (K, B), in units of the outcome.
    precision
        1 / variance of the values (K, B); 0 marks padding.
    gap
        Spans from the last trade to now (K,).
    scale2
        Mean square of the edge (K,).
    first2
        Prior variance of the first state (K,).
    parts_z
        z of the mean (K, 2 · PARTS − 1) of the early parts, the whole span and the late parts.
    early, early_se
        Mean of the first half and its standard error (K,).
    """

    time: Floats
    value: Floats
    precision: Floats
    gap: Floats
    scale2: Floats
    first2: Floats
    parts_z: Floats
    early: Floats
    early_se: Floats


def observe(
    hours: Floats,
    uplift: Floats,
    starts: NDArray[np.int64],
    noise: Floats,
    clock: tuple[Floats, Floats, Floats],
) -> tuple[Observations, Observations, Floats, Floats, NDArray[np.int64]]:
    """The observations of K effects.

    Parameters
    ----------
    hours, uplift, starts
        As in `app.learning.integrated.half_life.edge_states`.
    noise
        Standard deviation of one trade's noise (K,), in units of the outcome; above 0.
    clock
        First hour, span in hours, and spans from the last trade to now, each (K,).

    Returns
    -------
    Observations in at most `MAX_BINS` bins, the same in at most `FINE_BINS`; the noise sd of one
    pseudo-value (K,), the mean slope of the score (K,), and the number of distinct times (K,).
    """
    first, span, gap = clock
    columns: list[tuple[Floats, Floats, Floats]] = []
    fine_columns: list[tuple[Floats, Floats, Floats]] = []
    pseudo_sd, slope = np.zeros(len(noise)), np.zeros(len(noise))
    n_times = np.zeros(len(noise), np.int64)
    for k, (start, end) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)):
        time = (hours[start:end] - first[k]) / span[k]
        n_times[k] = 1 + np.count_nonzero(np.diff(time))
        value, pseudo_sd[k], slope[k] = robust_values(uplift[start:end], float(noise[k]))
        columns.append(_binned(time, value, MAX_BINS))
        fine_columns.append(_binned(time, value, FINE_BINS))
    time, value, weight = _padded(columns)

    block = (
        np.minimum((time * PARTS).astype(np.int64), PARTS - 1)
        + PARTS * np.arange(len(noise))[:, None]
    )
    grid = (len(noise), PARTS)
    counts = np.bincount(block.ravel(), weight.ravel(), len(noise) * PARTS).reshape(grid)
    sums = np.bincount(block.ravel(), (weight * value).ravel(), len(noise) * PARTS).reshape(grid)
    scale2 = (sums**2 / np.maximum(counts, 1.0)).sum(axis=1) / counts.sum(axis=1) + 1e-12 * noise**2
    # Parts: the first 1 … PARTS blocks, then all but the first 1 … PARTS − 1.
    part_counts, part_sums = np.cumsum(counts, axis=1), np.cumsum(sums, axis=1)
    part_counts = np.concatenate((part_counts, part_counts[:, -1:] - part_counts[:, :-1]), axis=1)
    part_sums = np.concatenate((part_sums, part_sums[:, -1:] - part_sums[:, :-1]), axis=1)
    parts_z = part_sums / (noise[:, None] * np.sqrt(np.maximum(part_counts, 1.0)))
    half = np.maximum(part_counts[:, PARTS // 2 - 1], 1.0)
    seen = Observations(
        time,
        value,
        weight / pseudo_sd[:, None] ** 2,
        gap,
        scale2,
        AMPLITUDE_VARIANCE * scale2 + noise**2,
        parts_z,
        part_sums[:, PARTS // 2 - 1] / half,
        noise / np.sqrt(half),
    )
    time, value, weight = _padded(fine_columns)
    return (
        seen,
        seen._replace(time=time, value=value, precision=weight / pseudo_sd[:, None] ** 2),
        pseudo_sd,
        slope,
        n_times,
    )


def robust_values(y: Floats, noise_sd: float) -> tuple[Floats, float, float]:
    """Pseudo-values of one effect, with heavy tails of the noise downweighted: one step of an
    M-estimate about a running median.

    The score is r / √(1 + (r/c)²) (pseudo-Huber), divided by its mean slope, so that an error of
    the running median is corrected to first order.  The amount that the score removes is added back
    evenly, so that the mean of all trades is kept: otherwise skewed noise would look like an edge.
    Continuous in y.

    Parameters
    ----------
    y
        Uplifts of the trades in order of time (n,).
    noise_sd
        Standard deviation of one trade's noise.

    Returns
    -------
    Pseudo-values (n,), the noise sd of one, and the mean slope of the score; with fewer than
    `MIN_TIMES` trades the values themselves, and slope 0.

    References
    ----------
    Huber & Ronchetti 2009, "Robust Statistics", ch. 4 and 6 (one-step M-estimates, pseudo-values).

    >>> value, sd, slope = robust_values(np.array([0.1, -0.1, 0.0, 9.0, 0.1, -0.1]), 0.1)
    >>> round(float(value.mean()), 2), round(float(value.max()), 2)
    (1.5, 1.77)
    """
    n = len(y)
    if n < MIN_TIMES:
        return y, noise_sd, 0.0
    width = min(PILOT_TRADES, n - 1 + n % 2)
    windows = np.lib.stride_tricks.sliding_window_view(y, width)
    middle = np.partition(windows, width // 2, axis=1)[:, width // 2]  # the median: width is odd
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
