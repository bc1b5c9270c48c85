"""A mixed model: random effects of the groups, and of slices of one and two dimensions within each
group, with noise that is shared in time.

May touch: nothing but its arguments.

The variances are estimated from products of the outcomes of two trades that are at least two blocks
of time apart, so that they share no noise.  The more dimensions two trades share, the further the
mean product is above zero; this increase is the variance of those dimensions' effects (Haseman &
Elston 1972, for relatives).  The same products within a block give the shared noise.  The effects
are then the best linear predictions (Henderson 1975), with the noise of each block as one more
effect.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import linalg, optimize, sparse

from benchmarks.real.peers.table import Floats, Ints, Lesson, Slices, slices
from schemas.times import DAY_US

BLOCK_US = 30 * DAY_US
APART = 2
"""Number of blocks between two trades that share no noise."""
PAIRS = 200_000
"""Number of pairs from which the design of the variances is estimated."""


class Variances(NamedTuple):
    """The variances of each dimension's effects (D,), of all pairs of dimensions together, of the
    groups' means, of the noise that a block shares, and of the rest."""

    single: Floats
    double: float
    group: float
    shared: float
    rest: float


def mixed(lesson: Lesson) -> Floats:
    """The sum of the groups' and the slices' effects."""
    n, centre = len(lesson.uplift), float(lesson.uplift.mean()) if len(lesson.uplift) else 0.0
    if n < 400:
        return np.zeros(len(lesson.asked_group))
    y = lesson.uplift - centre
    block = (lesson.exit_us - lesson.exit_us.min()) // BLOCK_US
    found = _variances(lesson, y, block)
    out = np.full(len(lesson.asked_group), centre)
    for group in np.unique(lesson.group).tolist():
        mine, theirs = lesson.group == group, lesson.asked_group == group
        if theirs.any():
            columns = slices(lesson.seen[mine], lesson.asked[theirs])
            out[theirs] += _predicted(columns, y[mine], block[mine], found)
    return out


def _far_sums(x: sparse.csr_matrix, y: Floats, block: Ints, blocks: int) -> Floats:
    """For each column, the sum of products of outcomes over pairs of its trades that are far apart,
    and the same sum with all outcomes 1."""
    rows = sparse.csr_matrix((y, (block, np.arange(len(y)))), (blocks, len(y)))
    sums = np.asarray((rows @ x).todense())
    total = sums.sum(axis=0) ** 2
    near = (sums * sums).sum(axis=0)
    for gap in range(1, APART):
        near = near + 2.0 * (sums[gap:] * sums[:-gap]).sum(axis=0)
    return np.asarray(total - near)


def _variances(lesson: Lesson, y: Floats, block: Ints) -> Variances:
    """The variances by non-negative least squares, over all far pairs within a group."""
    d, blocks = lesson.seen.shape[1], int(block.max()) + 1
    rng = np.random.default_rng(1)
    left, right = rng.integers(0, len(y), (2, 20 * PAIRS))
    good = (lesson.group[left] == lesson.group[right]) & (
        np.abs(block[left] - block[right]) >= APART
    )
    left, right = left[good][:PAIRS], right[good][:PAIRS]
    variance = float(y @ y / len(y))
    if len(left) < 1000:
        return Variances(np.zeros(d), 0.0, 0.0, 0.0, variance)
    same = ((lesson.seen[left] == lesson.seen[right]) & (lesson.seen[left] > 0)).astype(np.float64)
    matches = same.sum(axis=1)
    doubles = matches * (matches - 1.0) / 2.0
    design = np.column_stack((same, doubles, np.ones(len(same))))
    normal = design.T @ design / len(design)
    wanted = _products(lesson, y, block, blocks)
    scale = np.sqrt(np.diag(normal)) + 1e-12
    # The root of the sums of squares, since non-negative least squares needs the design, not its
    # products.
    root = linalg.cholesky(normal / np.outer(scale, scale) + 1e-6 * np.eye(d + 2))
    solved = (
        optimize.nnls(root, linalg.solve_triangular(root, wanted / scale, trans="T"))[0] / scale
    )
    effects = float(same.mean(axis=0) @ solved[:d] + doubles.mean() * solved[d] + solved[d + 1])
    total = float(solved[:d].sum() + solved[d] * d * (d - 1) / 2 + solved[d + 1])
    shared = max(0.0, _within_block(lesson, y, block) - effects)
    return Variances(
        solved[:d],
        float(solved[d]),
        float(solved[d + 1]),
        shared,
        max(variance - total - shared, 0.1 * variance),
    )


def _products(lesson: Lesson, y: Floats, block: Ints, blocks: int) -> Floats:
    """The exact mean of product times design over far pairs within a group, from block sums."""
    d = lesson.seen.shape[1]
    out, pairs = np.zeros(d + 2), 0.0
    for group in np.unique(lesson.group).tolist():
        mine = lesson.group == group
        codes, outcomes, at = lesson.seen[mine], y[mine], block[mine]
        everything = sparse.csr_matrix(np.ones((len(outcomes), 1)))
        out[d + 1] += _far_sums(everything, outcomes, at, blocks)[0]
        pairs += _far_sums(everything, np.ones(len(outcomes)), at, blocks)[0]
        for a in range(d):
            out[a] += _far_sums(_columns(codes[:, a], codes[:, a] > 0), outcomes, at, blocks).sum()
            for b in range(a + 1, d):
                both = (codes[:, a] > 0) & (codes[:, b] > 0)
                out[d] += _far_sums(
                    _columns(codes[:, a] * 10_000 + codes[:, b], both), outcomes, at, blocks
                ).sum()
    return out / max(pairs, 1.0)


def _columns(codes: Ints, valid: Ints) -> sparse.csr_matrix:
    """A column of ones for each code."""
    rows = valid.nonzero()[0]
    values, at = np.unique(codes[rows], return_inverse=True)
    return sparse.csr_matrix((np.ones(len(rows)), (rows, at)), (len(codes), max(len(values), 1)))


def _within_block(lesson: Lesson, y: Floats, block: Ints) -> float:
    """The mean product of two trades of a group in the same block."""
    _, cell = np.unique(np.stack((lesson.group, block)), axis=1, return_inverse=True)
    n, sums, squares = np.bincount(cell), np.bincount(cell, y), np.bincount(cell, y * y)
    return float((sums**2 - squares).sum() / max((n * (n - 1.0)).sum(), 1.0))


def _predicted(columns: Slices, y: Floats, block: Ints, v: Variances) -> Floats:
    """The group's mean and its slices' effects, for the decisions of `columns`."""
    prior = np.append(v.single, v.double)[columns.dimension]
    used = prior > 1e-9
    moments = [columns.seen[:, used], sparse.csr_matrix(np.ones((len(y), 1)))]
    priors = [prior[used], np.array([max(v.group, 1e-9)])]
    if v.shared > 1e-9:
        shared = _columns(block, np.ones(len(y), np.bool_))
        moments.append(shared)
        priors.append(np.full(shared.shape[1], v.shared))
    x = sparse.hstack(moments).tocsr()
    left = (x.T @ x).toarray() / v.rest
    left[np.diag_indices(len(left))] += 1.0 / np.concatenate(priors)
    effects = linalg.solve(left, x.T @ y / v.rest, assume_a="pos", check_finite=False)
    k = int(used.sum())
    return np.asarray(columns.asked[:, used] @ effects[:k] + effects[k])
