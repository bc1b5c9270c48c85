"""Quality metrics of an effect, from its history: how regularly, and in how many segments, its
uplift has the sign of the whole.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

METRICS = ("time_efficiency", "field_coherence", "recurrence", "support", "stability", "magnitude")
"""The quality metrics of a lesson, each in [0, 1]; NaN is unknown and counts as the average."""
SIGN_RAMP = 0.5
"""Standard errors from 0 over which the sign of an uplift moves from 0 to ±1, so that it does not
jump."""
RECURRENCE_TAU_DAYS = 30.0
"""Days after which a day counts 1/e in the recurrence."""
PSEUDO_SEGMENTS = 2.0
"""Number of segments that the neutral value 0.5 counts as in the field coherence."""


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
    signs: Floats = np.clip(errors / SIGN_RAMP, -1.0, 1.0)
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
