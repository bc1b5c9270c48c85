"""Slices: which trades of a group match which subsets of context, found exactly, by bitset Apriori.

May touch: nothing.

A trade is in a slice when *one* of its actions has all of the slice's values.  So the trades are laid out in layers: layer k holds the
k-th distinct scope of every trade that has more than k, the trades with the most scopes first, which makes each layer a prefix of the
one before.  A slice's trades are the OR over the layers of the AND of its items' bits.
Apriori: Agrawal & Srikant, "Fast Algorithms for Mining Association Rules", VLDB 1994.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.core0.window import Items, ItemTable, Trade

Bits = npt.NDArray[np.uint64]

_CHUNK_WORDS = 4_000_000  # candidates are counted in chunks of so many words (32 MB)


@dataclass(frozen=True)
class Incidence:
    """The trades of a group in canonical order, and per layer the bits of every item.

    `outcome` float64 (n,), `exit_us` int64 (n,); `layers[k]` uint64 (items, words of layer k), bit i is trade i; `dimension` int (items,).
    The order (more scopes first, then exit, then trade id) is a function of the set of trades, so sums over a slice are, to the last bit.
    """

    outcome: npt.NDArray[np.float64]
    exit_us: npt.NDArray[np.int64]
    layers: tuple[Bits, ...]
    dimension: npt.NDArray[np.int64]

    @property
    def n(self) -> int:
        """Number of trades."""
        return len(self.outcome)


def incidence(trades: Iterable[Trade], table: ItemTable) -> Incidence:
    """Lay the trades out (see the module's text)."""
    ordered = sorted(trades, key=lambda t: (-len(t.scopes), t.exit_us, t.trade_id))
    n_items = 0
    rows: list[list[Items]] = []
    for position, trade in enumerate(ordered):
        for layer, scope in enumerate(trade.scopes):
            if layer == len(rows):
                rows.append([])
            assert len(rows[layer]) == position
            rows[layer].append(scope)
    n_items = len(table.pairs)
    layers = tuple(_pack(layer, n_items) for layer in rows)
    numbers: dict[str, int] = {}
    dimension = np.array([numbers.setdefault(name, len(numbers)) for name, _ in table.pairs], dtype=np.int64)
    outcome = np.fromiter((t.outcome for t in ordered), np.float64, len(ordered))
    exit_us = np.fromiter((t.exit_us for t in ordered), np.int64, len(ordered))
    return Incidence(outcome, exit_us, layers, dimension)


def _pack(rows: Sequence[Items], n_items: int) -> Bits:
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    flat = np.fromiter((item for row in rows for item in row), np.int64, int(lengths.sum()))
    words = -(-len(rows) // 64)
    dense = np.zeros((n_items, words * 64), dtype=bool)
    dense[flat, np.repeat(np.arange(len(rows)), lengths)] = True
    return np.packbits(dense, axis=1, bitorder="little").view(np.uint64)


@dataclass(frozen=True)
class Members:
    """Slices and their trades: slice i is `items[i]`; its trades, as positions ascending, are `trades[starts[i]:starts[i + 1]]`."""

    items: list[Items]
    starts: npt.NDArray[np.int64]
    trades: npt.NDArray[np.int64]

    @property
    def n(self) -> npt.NDArray[np.int64]:
        """Trades per slice, int64 (slices,)."""
        return np.diff(self.starts)


def members_of(known: Sequence[Items], data: Incidence) -> Members:
    """The trades of given slices."""
    if not known or not data.n:
        return Members([], np.zeros(1, np.int64), np.zeros(0, np.int64))
    found: list[Bits] = []
    for items in known:
        union: Bits | None = None
        for layer in data.layers:
            both = np.bitwise_and.reduce(layer[list(items)], axis=0) if items else _ones(data.n)
            if union is None:
                union = both.copy()
            else:
                union[: len(both)] |= both
            if not items:
                break
        found.append(union if union is not None else np.zeros(0, np.uint64))
    return _unpack(list(known), np.array(found, dtype=np.uint64).reshape(len(known), -1), data.n)


def mine(data: Incidence, n_min: int, max_dims: int) -> Members:
    """Every slice with at least `n_min` trades and at most `max_dims` dimensions (the whole group, `()`, among them), exactly."""
    if data.n < max(n_min, 1):
        return Members([], np.zeros(1, np.int64), np.zeros(0, np.int64))
    items: list[Items] = [()]
    unions: list[Bits] = [_ones(data.n)[None, :]]
    if max_dims and data.layers:
        singles = np.arange(len(data.dimension))
        level = np.flatnonzero(_counts(_union(data.layers)) >= n_min)
        sets = singles[level][:, None]
        bits = tuple(layer[level] for layer in data.layers)
        while len(sets):
            items.extend(map(tuple, sets.tolist()))
            unions.append(_union(bits))
            if sets.shape[1] == max_dims:
                break
            sets, bits = _next_level(sets, bits, data, n_min)
    return _unpack(items, np.concatenate(unions), data.n)


def _next_level(
    sets: npt.NDArray[np.int64], bits: tuple[Bits, ...], data: Incidence, n_min: int
) -> tuple[npt.NDArray[np.int64], tuple[Bits, ...]]:
    """Join the frequent sets (rows sorted) that share all but their last item, of different dimensions, and keep the frequent ones."""
    left, right = _joins(sets)
    last_left, last_right = sets[left, -1], sets[right, -1]
    differ = data.dimension[last_left] != data.dimension[last_right]
    left, last_right = left[differ], last_right[differ]
    words = sum(layer.shape[1] for layer in bits)
    step = max(1, _CHUNK_WORDS // max(words, 1))
    kept_sets: list[npt.NDArray[np.int64]] = []
    kept_bits: list[tuple[Bits, ...]] = []
    for start in range(0, len(left), step):
        at, item = left[start : start + step], last_right[start : start + step]
        both = tuple(layer[at] & single[item] for layer, single in zip(bits, data.layers, strict=True))
        frequent = np.flatnonzero(_counts(_union(both)) >= n_min)
        kept_sets.append(np.column_stack([sets[at[frequent]], item[frequent]]))
        kept_bits.append(tuple(layer[frequent] for layer in both))
    if not kept_sets:
        return np.zeros((0, sets.shape[1] + 1), np.int64), bits
    return np.concatenate(kept_sets), tuple(np.concatenate(parts) for parts in zip(*kept_bits, strict=True))


def _joins(sets: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row pairs i < j of lexicographically sorted `sets` that are equal but for the last column."""
    m = len(sets)
    new = np.ones(m, bool)
    if sets.shape[1] > 1:
        new[1:] = (sets[1:, :-1] != sets[:-1, :-1]).any(axis=1)
    else:
        new[1:] = False
    starts = np.flatnonzero(new)
    ends = np.repeat(np.append(starts[1:], m), np.diff(np.append(starts, m)))
    followers = ends - np.arange(m) - 1  # later rows of the same prefix
    left = np.repeat(np.arange(m), followers)
    first = np.repeat(np.cumsum(followers) - followers, followers)
    right = left + 1 + np.arange(len(left)) - first
    return left, right


def _union(layers: Sequence[Bits]) -> Bits:
    union = layers[0].copy()
    for layer in layers[1:]:
        union[:, : layer.shape[1]] |= layer
    return union


def _counts(bits: Bits) -> npt.NDArray[np.int64]:
    return np.bitwise_count(bits).sum(axis=1, dtype=np.int64)


def _ones(n: int) -> Bits:
    dense = np.zeros(-(-n // 64) * 64, dtype=bool)
    dense[:n] = True
    return np.packbits(dense, bitorder="little").view(np.uint64)


def _unpack(items: list[Items], bits: Bits, n: int) -> Members:
    """Positions of the set bits per row, ascending."""
    starts = np.concatenate([[0], np.cumsum(_counts(bits))]).astype(np.int64)
    trades = np.empty(int(starts[-1]), np.int64)
    step = max(1, _CHUNK_WORDS // max(bits.shape[1], 1) // 8)
    for row in range(0, len(items), step):
        chunk = bits[row : row + step]
        dense = np.unpackbits(chunk.view(np.uint8), axis=1, bitorder="little", count=n)
        trades[starts[row] : starts[min(row + step, len(items))]] = np.flatnonzero(dense) % n
    return Members(items, starts, trades)
