"""Jaccards of many pairs of points at once.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.integrated.distinct_sketches import OWNER, Points
from app.learning.integrated.sketches import HASH_BITS, SKETCH_SIZE, Floats, Ints, index_of

ROUNDING = 1e-9
"""Tolerance for the rounding of a mean of Jaccard indices that is exactly at the threshold."""
SMALL_BLOCK = 24
"""The pairs of all smaller components are counted together; those of a larger one are a matrix
product.
"""
CHUNK_PAIRS = 1 << 11
CHUNK_COLUMNS = 1 << 10
"""Pairs, and hashes of a large block, that are counted at a time."""


OWNER_BITS = int(OWNER).bit_length()
"""Bits of the number of a point or an entry: room for 16 million."""


def pair_codes(a: Ints, b: Ints) -> Ints:
    """One number for each pair.

    Parameters
    ----------
    a, b
        Points, or entries (N,).

    Returns
    -------
    Codes (N,): the smaller one in the high bits, the larger one in the low ones.

    >>> pair_codes(np.array([7, 2]), np.array([3, 5])).tolist() == [(3 << 24) + 7, (2 << 24) + 5]
    True
    """
    return (np.minimum(a, b) << OWNER_BITS) | np.maximum(a, b)


def pairs_of_codes(codes: Ints) -> tuple[Ints, Ints]:
    """The pairs that `pair_codes` has numbered.

    Parameters
    ----------
    codes
        Codes (N,).

    Returns
    -------
    The smaller and the larger one of each pair (N,), (N,).

    >>> [side.tolist() for side in pairs_of_codes(np.array([(3 << 24) + 7]))]
    [[3], [7]]
    """
    return codes >> OWNER_BITS, codes & int(OWNER)


class KnownPairs(NamedTuple):
    """Jaccard indices of pairs of points.

    Attributes
    ----------
    code
        Code of each pair, ascending.
    jaccard
        Its Jaccard index, 0 to 1.
    """

    code: Ints
    jaccard: Floats


def jaccards(points: Points, a: Ints, b: Ints) -> Floats:
    """The Jaccard index of each of P pairs of points.

    Parameters
    ----------
    points
        All points.
    a, b
        Places of the points of each pair (P,).

    Returns
    -------
    Indices (P,).
    """
    if not len(a):
        return np.zeros(0, np.float64)
    used, at = np.unique(np.concatenate([a, b]), return_inverse=True)
    hashes = points.hashes(used.tolist()).astype(np.int64)
    length = points.length[used]
    start = np.cumsum(length) - length
    left, right = at[: len(a)], at[len(a) :]
    common = np.concatenate(
        [
            _common(hashes, start, length, left[i : i + CHUNK_PAIRS], right[i : i + CHUNK_PAIRS])
            for i in range(0, len(left), CHUNK_PAIRS)
        ]
    )
    n = points.n[used]
    end = np.where(n > SKETCH_SIZE, hashes[start + length - 1], np.iinfo(np.int64).max)
    n_left, n_right = length[left], length[right]
    uneven = end[left] != end[right]
    if uneven.any():
        # Only the parts of both up to the earlier end count; a search in the concatenated sketches
        # gives their lengths.
        place = np.arange(len(used)) << HASH_BITS
        whole = hashes + np.repeat(place, length)
        for count, side, other in ((n_left, left, right), (n_right, right, left)):
            cut = np.flatnonzero(end[side] > end[other])
            count[cut] = (
                np.searchsorted(whole, place[side[cut]] + end[other[cut]], side="right")
                - start[side[cut]]
            )
    return index_of(common, n_left, n_right, n[left], n[right])


def similarities(points: Points, blocks: list[list[int]], known: KnownPairs) -> Iterator[Floats]:
    """The Jaccard indices within each block.

    Parameters
    ----------
    points
        All points.
    blocks
        Places of the points of each block.
    known
        Indices that were computed before.

    Returns
    -------
    For each block, in order, the indices (m, m) of its m points.
    """
    small = [block for block in blocks if len(block) <= SMALL_BLOCK]
    point = np.array([p for block in small for p in block], np.int64)
    size = np.array([len(block) for block in small], np.int64)
    area = size * size
    size_of, place = (
        np.repeat(size, area),
        np.arange(area.sum()) - np.repeat(np.cumsum(area) - area, area),
    )
    first = np.repeat(np.cumsum(size) - size, area)
    left, right = point[first + place // size_of], point[first + place % size_of]
    code = pair_codes(left, right)
    wanted, at = np.unique(code[left != right], return_inverse=True)
    unknown = ~among(wanted, known.code)
    found = np.zeros(len(wanted), np.float64)
    if len(known.code):
        found[~unknown] = known.jaccard[np.searchsorted(known.code, wanted[~unknown])]
    found[unknown] = jaccards(points, *pairs_of_codes(wanted[unknown]))
    flat = np.ones(len(code), np.float64)
    flat[left != right] = found[at]
    start = 0
    for block in blocks:
        m = len(block)
        if m > SMALL_BLOCK:
            yield _all_pairs(points, np.array(block, np.int64))
        else:
            yield flat[start : start + m * m].reshape(m, m)
            start += m * m


def _all_pairs(points: Points, block: Ints) -> Floats:
    """Jaccards (m, m) of a large block: its incidence of sketches × hashes times itself, some
    columns at a time."""
    m = len(block)
    length, n = points.length[block], points.n[block]
    hashes = points.hashes(block.tolist())
    tagged = np.sort(
        (hashes << np.uint64(64 - HASH_BITS)) | np.repeat(np.arange(m, dtype=np.uint64), length)
    )
    row = (tagged & np.uint64((1 << (64 - HASH_BITS)) - 1)).astype(np.int64)
    tagged >>= np.uint64(64 - HASH_BITS)
    new = np.append(True, tagged[1:] != tagged[:-1])
    column = np.cumsum(new) - 1
    n_columns = int(column[-1]) + 1
    last = np.where(
        n > SKETCH_SIZE, np.searchsorted(tagged[new], hashes[np.cumsum(length) - 1]), n_columns
    )
    common = np.zeros((m, m), np.float32)
    within = np.repeat(length[:, None], m, axis=1).astype(np.int32)
    """(i, j): how many hashes of i lie up to the end of j."""
    before = np.zeros(m, np.int32)
    for start in range(0, n_columns, CHUNK_COLUMNS):
        stop = min(start + CHUNK_COLUMNS, n_columns)
        a, b = np.searchsorted(column, [start, stop])
        part = np.zeros((m, stop - start), np.float32)
        part[row[a:b], column[a:b] - start] = 1
        common += part @ part.T
        ending = np.flatnonzero((last >= start) & (last < stop))
        if len(ending):
            so_far = np.cumsum(part, axis=1, dtype=np.int32)
            within[:, ending] = before[:, None] + so_far[:, last[ending] - start]
        before += part.sum(axis=1).astype(np.int32)
    return index_of(common.astype(np.int32), within, within.T, n[:, None], n[None, :])


def among(code: Ints, known: Ints) -> NDArray[np.bool_]:
    """Which codes of pairs are known.

    Parameters
    ----------
    code
        Codes (P,).
    known
        Codes of the known pairs, ascending.

    Returns
    -------
    A mask (P,).
    """
    if not len(known):
        return np.zeros(len(code), np.bool_)
    at = np.minimum(np.searchsorted(known, code), len(known) - 1)
    found: NDArray[np.bool_] = known[at] == code
    return found


def _common(hashes: Ints, start: Ints, length: Ints, left: Ints, right: Ints) -> Ints:
    """How many hashes each pair of sketches has in common: a merge of two sorted lists each, in
    compiled code."""
    rows = []
    for side in (left, right):
        n = length[side]
        ends = np.cumsum(n)
        columns = hashes[np.arange(ends[-1]) + np.repeat(start[side] - (ends - n), n)]
        matrix = csr_array(
            (np.ones(len(columns), np.bool_), columns, np.append(0, ends)),
            shape=(len(side), 1 << HASH_BITS),
        )
        matrix.has_canonical_format = True
        rows.append(matrix)
    counts: Ints = np.diff(rows[0].multiply(rows[1]).indptr).astype(np.int64)
    return counts
