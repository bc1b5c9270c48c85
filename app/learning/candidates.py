"""The slices that a search looks at: mined, slices of equal trade sets collapsed into the most general one, as a sparse incidence.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.slices import Incidence, Words
from app.learning.window import GroupWindow, Snapshot

CHUNK_BYTES = 1 << 22
"""Bits unpacked in one go, as bytes."""


class Candidates(NamedTuple):
    """m slices of different trade sets, `{}` not among them.

    `members` (m, T) incidence; `items` (m, width) padded with 0; `n_dims` (m,); `order` (m,) their rank by canonical text, which depends
    on nothing but what they are; `aliases` item rows of slices with the same trades, by place; `whole` those of slices that
    all trades have; `n_slices` before equal ones were collapsed, `{}` included.
    """

    members: csr_array
    items: NDArray[np.uint32]
    n_dims: NDArray[np.int64]
    order: NDArray[np.int64]
    aliases: dict[int, NDArray[np.uint32]]
    whole: NDArray[np.uint32]
    n_slices: int


def candidates(window: GroupWindow, snapshot: Snapshot, n_min: int, max_dims: int) -> Candidates:
    """All slices of the window with at least `n_min` trades and at most `max_dims` dimensions (0: any number).

    >>> from app.learning.window import Trade
    >>> window = GroupWindow(10**9, 100)
    >>> window.fold(
    ...     Trade(str(i), (0, 2, i, "e", "00"), i, 1.0, (None, None), True, ({"x": "1", "y": str(i % 2), "z": str(i % 2)},))
    ...     for i in range(4)
    ... )
    >>> found = candidates(window, window.snapshot(), 2, 2)
    >>> [[window.pair(i) for i in row if i] for row in found.items.tolist()], found.n_slices
    ([[('y', '0')], [('y', '1')]], 12)
    >>> found.members.toarray().tolist()
    [[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]
    """
    incidence = Incidence(snapshot)
    blocks = list(incidence.mine(n_min, max_dims))
    width = max((block.items.shape[1] for block in blocks), default=0) or 1
    n_slices = sum(len(block.n) for block in blocks)
    items = np.zeros((n_slices, width), np.uint32)
    start = 0
    for block in blocks:
        items[start : start + len(block.n), : block.items.shape[1]] = block.items
        start += len(block.n)
    words = np.concatenate([block.trades for block in blocks]) if blocks else np.zeros((0, 1), np.uint64)
    n = np.concatenate([block.n for block in blocks]) if blocks else np.zeros(0, np.int64)
    n_dims = (items > 0).sum(axis=1)
    ranks = _item_ranks(window)[items]
    ranks.sort(axis=1)  # missing ones have the lowest rank, so of a slice and a part of it the part comes first
    # Within equal trade sets the most general first, then by canonical text.
    keys = _digests(words)
    by_set = np.lexsort((*ranks.T[::-1], n_dims, keys[1], keys[0]))
    new = np.ones(n_slices, np.bool_)
    new[1:] = (keys[0][by_set][1:] != keys[0][by_set][:-1]) | (keys[1][by_set][1:] != keys[1][by_set][:-1])
    heads = by_set[new]
    of_head = np.cumsum(new) - 1
    everything = n == len(snapshot.exit_us)
    kept = heads[~everything[heads]]
    text_order = np.lexsort((*ranks[kept].T[::-1], n_dims[kept]))
    kept = kept[text_order]
    place = np.full(n_slices, -1, np.int64)
    place[kept] = np.arange(len(kept))
    aliases: dict[int, list[int]] = {}
    for row, head in zip(by_set[~new].tolist(), heads[of_head[~new]].tolist(), strict=True):
        if place[head] >= 0:
            aliases.setdefault(int(place[head]), []).append(row)
    return Candidates(
        _members(incidence, words[kept], n[kept], len(snapshot.exit_us)),
        items[kept],
        n_dims[kept],
        np.arange(len(kept)),
        {j: items[rows] for j, rows in aliases.items()},
        items[by_set[(everything & (n_dims > 0))[by_set]]],
        n_slices,
    )


def _item_ranks(window: GroupWindow) -> NDArray[np.int64]:
    """Place of each item among all (dimension, value) pairs in order; 0 for none."""
    ranks = np.zeros(window.n_items, np.int64)
    for rank, item in enumerate(sorted(range(1, window.n_items), key=window.pair), 1):
        ranks[item] = rank
    return ranks


def _digests(words: Words) -> tuple[Words, Words]:
    """Two independent 64-bit digests of each bitset (K, W): equal sets have equal ones, different ones practically never."""
    k = np.arange(1, words.shape[1] + 1, dtype=np.uint64)
    digests = []
    for seed in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F):
        mixed = k * np.uint64(seed)
        mixed ^= mixed >> np.uint64(29)
        mixed = mixed * np.uint64(0xBF58476D1CE4E5B9) | np.uint64(1)
        total = np.zeros(len(words), np.uint64)
        for column, factor in zip(words.T, mixed.tolist(), strict=True):
            spread = column * np.uint64(factor)
            spread ^= spread >> np.uint64(31)
            total += spread * np.uint64(0x94D049BB133111EB)
        digests.append(total)
    return digests[0], digests[1]


def _members(incidence: Incidence, words: Words, n: NDArray[np.int64], n_trades: int) -> csr_array:
    parts = []
    step = max(1, CHUNK_BYTES // max(1, incidence.n_words * 64))
    for start in range(0, len(words), step):
        little = words[start : start + step].astype("<u8", copy=False)
        bits = np.flatnonzero(np.unpackbits(little.view(np.uint8), axis=1, bitorder="little").view(np.bool_))
        bits %= incidence.n_words * 64
        parts.append(incidence.trade_of_bit[bits])
    places = np.concatenate(parts) if parts else np.zeros(0, np.int32)
    pointers = np.concatenate(([0], np.cumsum(n))).astype(np.int64 if len(places) > 2**31 - 1 else np.int32)
    return csr_array((np.ones(len(places)), places, pointers), shape=(len(words), n_trades))
