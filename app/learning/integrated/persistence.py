"""Persistence: does what slices earned in one stretch of time predict what they earn in another,
beyond chance?

May touch: nothing but its arguments.

Outcomes of trades that were open at the same time share moves of the market, so their products are
no evidence of an edge.  Time is cut into blocks on a fixed grid (24 a window), and only pairs of
trades at least two blocks apart count.  With A (B, B) the products of what slices earned in each
two blocks, Q is the sum over the far pairs.  Without an edge the sign of each block is a coin toss
(the blocks are independent and as likely to be good as bad), which gives Q's mean, variance and
third moment exactly; the tail is that of the gamma distribution with these three (a Pearson type
III approximation to the permutation distribution; Mielke & Berry 2007).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc, log_ndtr, ndtr

from app.learning.common.rounding import shortened
from app.learning.integrated.saddlepoint import LEAST_P
from schemas.lessons import BlockProducts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BLOCKS = 24
"""Blocks a window: enough for a test, few enough that a block is longer than most trades are open.
"""
APART = 2
"""Blocks between two trades whose outcomes are independent."""
LEAST_BLOCKS = 8
"""With fewer there is no test."""
LEAST_SKEWNESS = 0.05
"""Skewness of the statistic below which a normal distribution is used instead of a gamma one."""


def block_of(exit_us: Ints, window_us: int) -> Ints:
    """The block of time of each exit.

    Parameters
    ----------
    exit_us
        Exits (T,) in µs since 1970.
    window_us
        Length of the window in µs; it has `BLOCKS` blocks.

    Returns
    -------
    Block numbers (T,), counted from 1970.

    >>> block_of(np.array([0, 23, 24, 49]), 24 * 24).tolist()
    [0, 0, 1, 2]
    """
    return np.asarray(exit_us // max(window_us // BLOCKS, 1))


def far_pairs(blocks: int) -> NDArray[np.bool_]:
    """Which blocks are at least `APART` apart.

    Parameters
    ----------
    blocks
        How many blocks there are, B.

    Returns
    -------
    A mask (B, B).
    """
    place = np.arange(blocks)
    return np.asarray(np.abs(place[:, None] - place) >= APART)


def packed(products: Floats, first: int) -> BlockProducts:
    """Products of blocks as they are published.

    Parameters
    ----------
    products
        Symmetric products (B, B).
    first
        Number of the first block.

    Returns
    -------
    The upper half, with the digits that are published.
    """
    return BlockProducts(first, len(products), upper_half(products))


def upper_half(products: Floats) -> tuple[float, ...]:
    """The upper half of a symmetric matrix, with the digits that are published.

    Parameters
    ----------
    products
        A symmetric matrix (n, n).

    Returns
    -------
    n (n + 1) / 2 values, row by row.
    """
    return tuple(map(shortened, products[upper_places(len(products))].tolist()))


@lru_cache(maxsize=256)
def upper_places(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The places of the upper half of a matrix (n, n), row by row.

    Parameters
    ----------
    n
        Rows of the matrix.

    Returns
    -------
    Rows and columns, which are not to be changed.
    """
    rows, columns = np.triu_indices(n)
    return rows, columns


def symmetric(upper: Sequence[float]) -> Floats:
    """The symmetric matrix of an upper half.

    Parameters
    ----------
    upper
        n (n + 1) / 2 values, row by row.

    Returns
    -------
    The matrix (n, n).

    >>> symmetric((1.0, 2.0, 3.0)).tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    n = int(np.sqrt(2 * len(upper)))  # of n (n + 1) / 2 values
    products = np.empty((n, n))
    rows, columns = upper_places(n)
    products[rows, columns] = products[columns, rows] = upper
    return products


def sign_flip_log_p(products: Floats) -> float:
    """Test whether what was earned in one block predicts what is earned in blocks far from it.

    Under the null hypothesis the sign of each block is a toss of a coin.

    Parameters
    ----------
    products
        Products (B, B) of what slices earned in each pair of blocks, in any unit.

    Returns
    -------
    ln of the one-sided p-value; 0.0 (p = 1) with fewer than `LEAST_BLOCKS` blocks in use.

    References
    ----------
    Mielke & Berry 2007, "Permutation Methods: A Distance Function Approach".

    >>> earned = np.array([1.0, 0.8, 1.2, 0.9, 1.1, 1.0, 0.7, 1.3, 1.0, 0.9])
    >>> held, tossed = np.outer(earned, earned), np.outer(earned, earned) * (-1.0) ** np.arange(10)
    >>> bool(sign_flip_log_p(held) < np.log(0.01) < sign_flip_log_p(tossed))
    True
    """
    used = np.flatnonzero(np.diag(products) > 0)
    if len(used) < LEAST_BLOCKS:
        return 0.0
    far = np.where(far_pairs(len(products)), products, 0.0)[np.ix_(used, used)]
    variance = 2.0 * float((far * far).sum())
    if not variance > 0:
        return 0.0
    z = float(far.sum()) / np.sqrt(variance)
    skewness = 8.0 * float(np.trace(far @ far @ far)) / variance**1.5
    if skewness < LEAST_SKEWNESS:
        return float(log_ndtr(-z))
    shape = 4.0 / (skewness * skewness)
    tail = float(gammaincc(shape, max(shape + z * np.sqrt(shape), 0.0)))
    # Far out the gamma tail underflows; there the normal one is a sufficient bound.
    return float(np.log(tail)) if tail > LEAST_P else float(np.log(max(float(ndtr(-z)), LEAST_P)))
