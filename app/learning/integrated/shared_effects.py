"""Shared effects: the posterior mean of all slices of a group together, instead of a verdict on
each.

May touch: nothing but its arguments.

Many slices that are too weak to be chosen one by one are together worth as much as the few that
are.  Every slice s of one or two dimensions has an effect b_s ~ N(0, τ² w_s) around the group's
level, and a trade earns the sum of those that hold it (random effects; Robinson 1991, "That BLUP is
a good thing").  Slices of one dimension have half of the variance, those of two the other half.  So
a parent and its child, or two near clones, share their evidence and never repeat it.

How large τ² is comes from what *persists*: products of outcomes of trades at least two blocks of
time apart (`persistence.py`), regressed on how alike the trades are (Haseman & Elston 1972).  One
group alone holds little evidence of it, so the module estimates it (`prior_share.py`): here the
effects are computed for each of a few shares of the variance that may persist, and the judge
interpolates between them.  What is correlated only within a block is noise of each slice, and its
evidence counts for less.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array

from app.learning.integrated.candidates import SHARED_DIMS, Candidates
from app.learning.integrated.persistence import APART, LEAST_BLOCKS, far_pairs
from app.learning.integrated.prior_share import (
    LEAST_SHARE,
    PRIOR_SHARE,
    SHARES,
    estimated,
    posterior_share,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHARED_PART = 3
"""A slice shares its evidence with this part of the trades that it needs to be judged by itself."""
SHARED_ROOM = 0.8
"""Part of a group's lessons that may be published for their shared effects."""
MAIN_PART = 0.5
"""Part of the persistent variance that belongs to slices of one dimension."""
TRANSIENT_PART = 1.0
"""Share of the movement within a block that any two trades of a slice have in common."""
PAIRED_TRADES = 512
"""Trades, evenly spaced, from which the likeness of pairs is taken; sums of outcomes use all of
them."""
SEGMENT_TRADES = 30.0
"""Maximum number of trades that the group's mean counts as in a segment's mean in the group. It is
fewer in a group whose segments differ clearly: otherwise the rest of their differences would count
as persistent."""
DIRECT = 1024
"""Up to this many slices are solved directly, from the number of trades that each pair of them
shares; if there are more, those with the strongest evidence are first found by conjugate
gradients."""
TOLERANCE = 1e-10
"""Relative error at which conjugate gradients stop: they only rank."""
RANKED_DECIMALS = 6
"""Decimals by which the evidence of slices is ranked: rounding errors do not decide."""
GRID = 1e-6
"""Effects are rounded to this many standard deviations of an outcome, so that the last bits of
linear algebra do not show."""
MOST_STEPS = 400


class SharedFit(NamedTuple):
    """The shared effects of a group.

    Attributes
    ----------
    slices
        Places (K,) of the candidates with the strongest evidence.
    effects
        Effects (K, len(SHARES)) around the group's level, for each assumed share.
    precision
        1 / variance of each slice's mean (K,).
    prior
        Prior variance of each effect per share (K,).
    likeness
        Sum of squared likenesses of trades that are far apart in time: the denominator of the
        share.
    products
        Products (B, B) of what slices earned in each pair of blocks of time beyond the group's
        segments, in units of the variance of an outcome.
    unexplained
        Sum of the same products over the far pairs of blocks, of what the chosen effects leave.
    """

    slices: Ints
    effects: Floats
    precision: Floats
    prior: Floats
    likeness: float
    products: Floats
    unexplained: float


def shared_fit(
    outcome: Floats,
    blocks: Ints,
    found: Candidates,
    segments: Floats,
    most: int,
    residuals: Floats | None = None,
) -> SharedFit:
    """The posterior means of the effects of the slices of one or two dimensions.

    What persists is estimated from all slices but carried by the `most` alone: otherwise the
    evidence of the others would be lost.

    Parameters
    ----------
    outcome
        Clipped outcomes (T,).
    blocks
        Block of time of each trade (T,), counted from 0.
    found
        The candidates of the group.
    segments
        Indicators (T, S) of the segments.
    most
        How many slices to keep: those with the strongest evidence.
    residuals
        What the chosen effects leave of the outcomes (T,); None if nobody asks for `unexplained`.

    Returns
    -------
    The fit, in units of the outcome; without slices or variance, or with too few blocks, it has no
    slices.

    References
    ----------
    Robinson 1991, "That BLUP is a good thing", Statistical Science 6.
    Haseman & Elston 1972, "The investigation of linkage between a quantitative trait and a marker
    locus", Behavior Genetics 2.
    """
    t = len(outcome)
    slices = np.flatnonzero(found.n_dims <= SHARED_DIMS)
    b = int(blocks.max(initial=0)) + 1
    y = beyond_segments(outcome, segments)
    variance = float(y @ y) / max(t, 1)
    none = np.zeros(0)
    nothing = SharedFit(
        slices[:0], np.zeros((0, len(SHARES))), none, none, 0.0, np.zeros((b, b)), 0.0
    )
    if not len(slices) or not variance > 0:
        return nothing
    held, n_dims = found.members_of(slices), found.n_dims[slices]
    n = np.diff(held.indptr).astype(np.float64)
    frequency = n / t
    weight = _weights(n_dims, frequency)
    place = np.repeat(np.arange(len(slices)), np.diff(held.indptr)) * b + blocks[held.indices]
    counts = np.bincount(place, minlength=len(slices) * b).reshape(-1, b).astype(np.float64)
    products = _by_block(held, y, place, blocks, frequency, weight)
    unexplained = 0.0
    if residuals is not None:
        left = residuals - residuals.mean()
        left_products = _by_block(held, left, place, blocks, frequency, weight)
        unexplained = float(left_products[far_pairs(b)].sum()) / variance
    like_far, like_near, own = _likeness(held, weight, frequency, blocks, t)
    if not like_far > 0 or np.count_nonzero(np.bincount(blocks, minlength=b)) < LEAST_BLOCKS:
        return nothing._replace(products=products / variance, unexplained=unexplained)
    estimate, sd = estimated(products / variance, like_far)
    near = float(products[~far_pairs(b)].sum()) - float(own @ (y * y))
    transient = max(near / max(like_near, 1e-9) / variance - max(estimate, 0.0), 0.0)
    noisier = 1.0 + transient * TRANSIENT_PART * np.maximum(
        (counts * counts).sum(axis=1) / n - 1.0, 0.0
    )
    size = n * (1.0 - frequency)
    together = _together(held) if len(slices) <= max(DIRECT, most) else None
    right = np.asarray(held @ y)
    if len(slices) > most:
        share = max(posterior_share(estimate, sd, PRIOR_SHARE), LEAST_SHARE)
        penalty = noisier / (share * weight)
        strength = np.abs(
            _approached(held, right, penalty, size)
            if together is None
            else _solved(together, right, penalty)
        )
        evidence = np.round(strength * np.sqrt(n) / float(np.sqrt(variance)), RANKED_DECIMALS)
        first = np.sort(np.lexsort((found.order[slices], -evidence))[:most])
        together = _together(held[first]) if together is None else together[np.ix_(first, first)]
        slices, right, noisier, size = slices[first], right[first], noisier[first], size[first]
        weight = _weights(n_dims[first], frequency[first])
    assert together is not None
    effects = np.column_stack(
        [_solved(together, right, noisier / (weight * share)) for share in SHARES]
    )
    unit = GRID * float(np.sqrt(variance))
    return SharedFit(
        slices,
        np.round(effects / unit) * unit,
        size / noisier / variance,
        weight * variance,
        like_far,
        products / variance,
        unexplained,
    )


def most_shared(lessons_per_group: int) -> int:
    """How many slices of a group publish shared effects; the rest of the room is for the strongest
    that were not chosen.

    Parameters
    ----------
    lessons_per_group
        Most lessons of a group.

    Returns
    -------
    A number of slices.

    >>> most_shared(200)
    160
    """
    return int(SHARED_ROOM * lessons_per_group)


def least_shared(n_min: int) -> int:
    """Trades that a slice needs to share its evidence.

    Parameters
    ----------
    n_min
        Trades that a slice needs to be judged by itself.

    Returns
    -------
    A number of trades, at least 1.

    >>> least_shared(33), least_shared(2)
    (11, 1)
    """
    return max(n_min // SHARED_PART, 1)


def _by_block(
    held: csr_array, y: Floats, place: Ints, blocks: Ints, frequency: Floats, weight: Floats
) -> Floats:
    """Products (B, B) of what slices earned in each pair of blocks; `place` is that of each of
    `held`'s indices in a table of slices and blocks."""
    of_block = np.bincount(blocks, y)
    b = len(of_block)
    earned: Floats = (
        np.bincount(place, y[held.indices], held.shape[0] * b).reshape(-1, b).astype(np.float64)
    )
    earned -= frequency[:, None] * of_block
    return np.asarray((earned * weight[:, None]).T @ earned)


def _weights(n_dims: Ints, frequency: Floats) -> Floats:
    """Prior variance (K,) of each slice's effect, such that the outcomes' variance from all of them
    is 1.

    >>> _weights(np.array([1, 1, 2]), np.array([0.5, 0.5, 0.25])).round(3).tolist()
    [1.0, 1.0, 2.667]
    """
    spread = frequency * (1.0 - frequency)
    weight = np.zeros(len(n_dims))
    parts = {
        depth: MAIN_PART if depth == 1 else 1.0 - MAIN_PART for depth in np.unique(n_dims).tolist()
    }
    for depth, part in parts.items():
        of_depth = n_dims == depth
        weight[of_depth] = part / sum(parts.values()) / max(float(spread[of_depth].sum()), 1e-12)
    return weight


def _likeness(
    held: csr_array, weight: Floats, frequency: Floats, blocks: Ints, t: int
) -> tuple[float, float, Floats]:
    """Sum of the squared likeness of all far pairs of trades, that of the near pairs, and each
    trade's likeness with itself (T,)."""
    centre = float((weight * frequency * frequency).sum())
    own = np.asarray(held.T @ (weight * (1.0 - 2.0 * frequency))).ravel() + centre
    some = np.unique(np.linspace(0, t - 1, min(t, PAIRED_TRADES)).astype(np.int64))
    dense = held[:, some].toarray() - frequency[:, None]
    dense *= np.sqrt(weight)[:, None]
    likeness = dense.T @ dense  # of one array: BLAS computes one half
    far = np.abs(blocks[some][:, None] - blocks[some]) >= APART
    squares = likeness * likeness
    scale = (t / len(some)) ** 2
    within = squares[~far].sum() - np.trace(squares)
    return float(squares[far].sum()) * scale, float(within) * scale, own


def earned_by_segments(centred: Floats, segments: Floats) -> Floats:
    """The mean outcome of each segment, shrunk to 0 by how little segments differ beyond chance.

    Parameters
    ----------
    centred
        Outcomes (T,) less their mean.
    segments
        Indicators (T, S) of the segments.

    Returns
    -------
    Shrunk means (S,), in units of the outcome.

    References
    ----------
    Searle, Casella & McCulloch 1992, "Variance Components", for the variance between segments.
    Morris 1983, "Parametric empirical Bayes inference", JASA 78.

    >>> two = np.repeat(np.eye(2), 10, axis=0)
    >>> alike = np.tile([1.0, -1.0], 10)
    >>> apart = alike + np.repeat([3.0, -3.0], 10)
    >>> earned_by_segments(apart, two).round(1).tolist(), earned_by_segments(alike, two).tolist()
    ([3.0, -3.0], [0.0, 0.0])
    """
    t, n, sums = len(centred), segments.sum(axis=0), segments.T @ centred
    parts = int(np.count_nonzero(n))
    between = float((sums * sums / np.maximum(n, 1.0)).sum())
    noise = max(float(centred @ centred) - between, 0.0) / max(t - parts, 1)
    spread = max(between - (parts - 1) * noise, 0.0) / max(t - float(n @ n) / max(t, 1), 1.0)
    prior = min(noise / spread, SEGMENT_TRADES) if spread > 0 else SEGMENT_TRADES
    return np.asarray(sums / np.maximum(n + prior, 1.0))


def beyond_segments(outcome: Floats, segments: Floats) -> Floats:
    """Outcomes minus the means of their segments, which are shrunk to the overall mean.

    Parameters
    ----------
    outcome
        Outcomes (T,).
    segments
        Indicators (T, S) of the segments.

    Returns
    -------
    Residuals (T,) with mean 0, in units of the outcome.

    >>> beyond_segments(np.array([0.0, 1.0, 4.0, 5.0]), np.repeat(np.eye(2), 2, axis=0)).tolist()
    [-0.5625, 0.4375, -0.4375, 0.5625]
    """
    y = outcome - outcome.mean()
    if segments.shape[1] < 2:
        return np.asarray(y)
    y = y - segments @ earned_by_segments(y, segments)
    return np.asarray(y - y.mean())


def _together(held: csr_array) -> Floats:
    """Sums (K, K) of products of the centred indicators of each pair of slices (K, T).

    How many trades two slices share is counted in bits, 64 trades a word: exact, whatever the
    order.
    """
    k, t = held.shape
    n = np.diff(held.indptr)
    bits = np.zeros((k, -(-t // 64) * 64), np.bool_)
    bits[np.repeat(np.arange(k), n), held.indices] = True
    words = np.packbits(bits, axis=1, bitorder="little").view(np.uint64)
    common = np.zeros((k, k))
    for i in range(k):
        common[i, i:] = np.bitwise_count(words[i:] & words[i]).sum(axis=1, dtype=np.uint32)
    common += np.triu(common, 1).T
    return np.asarray(common - np.outer(n, n / t))


def _solved(together: Floats, right: Floats, penalty: Floats) -> Floats:
    """Effects (K,) that minimise |outcome − their sum|² + Σ penalty · effect² for centred outcomes,
    whose sums in the slices are `right` (K,)."""
    curved = together.copy()
    curved[np.diag_indices_from(curved)] += penalty
    factor = cho_factor(curved, lower=True, overwrite_a=True, check_finite=False)
    return np.asarray(cho_solve(factor, right, check_finite=False))


def _approached(held: csr_array, right: Floats, penalty: Floats, size: Floats) -> Floats:
    """`_solved` for many slices (K, T), by conjugate gradients, scaled by each slice's own
    curvature."""
    across = held.T.tocsr()
    frequency = np.diff(held.indptr) / held.shape[1]
    scale = size + penalty
    effects = np.zeros_like(right)
    left = right.copy()
    z = left / scale
    direction = z.copy()
    power = float(left @ z)
    enough = TOLERANCE**2 * power
    for _ in range(MOST_STEPS):
        if power <= enough:
            break
        fitted = across @ direction
        fitted -= frequency @ direction
        curved = np.asarray(held @ fitted) + penalty * direction
        step = power / max(float(direction @ curved), 1e-300)
        effects += step * direction
        left -= step * curved
        z = left / scale
        before, power = power, float(left @ z)
        direction = z + power / before * direction
    return effects
