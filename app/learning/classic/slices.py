"""Exact mining of slices: which combinations of dimension values do enough trades share in one
action?

May touch: nothing but its arguments.

A bit stands for a distinct scope of a trade (a row).  The AND of the bitsets of a slice's values
gives the rows that have them all, so a trade is in the slice when *one* of its actions is.  The
rows of a trade are neighbours and never cross a word, so that "any row of the trade" is an
addition: below a trade's last bit, adding ones to whatever is set carries into the last bit.  Bits
are in canonical trade order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.learning.common.window import Snapshot

Words = NDArray[np.uint64]

CHUNK_WORDS = 1 << 16
"""Words of candidates processed at once: half a megabyte, which stays in the cache (a quarter of
that, or four times as much, is slower)."""
PAIR_TABLE_ITEMS = 4096
"""Up to this many items, a table of all pairs (16 MB) prunes candidates before they are counted."""


class Block(NamedTuple):
    """K slices of k values each.

    Attributes
    ----------
    items
        Items (K, k), by dimension.
    trades
        Bitset of the trades (K, W).
    n
        Number of trades (K,).
    """

    items: NDArray[np.uint32]
    trades: Words
    n: NDArray[np.int64]


class _Level(NamedTuple):
    """Frequent slices whose children are to be made.

    `local` (K, k) places of their items; `rows` (K, W) row bitsets; `group_end` (K,) end of the run
    of slices with the same prefix.
    """

    local: NDArray[np.int64]
    rows: Words
    group_end: NDArray[np.int64]


class Incidence:
    """The trade × item incidence of a window as bitsets.

    `trade_of_bit` (64 W,) is the trade (its place in the snapshot) of each bit of a trade bitset.

    Parameters
    ----------
    snapshot
        The trades in the window.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._codes = snapshot.codes
        self._item_dims = snapshot.item_dims
        counts = snapshot.row_counts
        starts, lasts, self._wide = _places(counts)
        n_words = (int(lasts[-1]) >> 6) + 1 if len(lasts) else 0
        self.n_words = n_words
        self._row_bits = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(
            counts.sum()
        )
        self.trade_of_bit = np.zeros(n_words * 64, np.int32)
        self.trade_of_bit[lasts] = np.arange(len(counts))
        for first_word, last_word in self._wide:
            self.trade_of_bit[first_word * 64 : last_word * 64] = self.trade_of_bit[
                last_word * 64 - 1
            ]
        top = np.zeros(n_words * 64, np.bool_)
        top[lasts] = True
        inside = np.zeros(n_words * 64, np.bool_)
        inside[self._row_bits] = True
        for first_word, last_word in self._wide:
            inside[first_word * 64 : last_word * 64] = True
            top[first_word * 64 + 63 : last_word * 64 : 64] = True
        self._one_row_each = bool((counts == 1).all())
        self._top = _pack(top)
        self._below = _pack(inside & ~top)
        self._all_rows = _pack(inside)
        fresh_rows = np.zeros(n_words * 64, np.bool_)
        fresh_rows[self._row_bits[np.repeat(snapshot.fresh, counts)]] = True
        fresh = _pack(fresh_rows)
        self._fresh_words = np.flatnonzero(fresh)
        self._fresh = fresh[self._fresh_words]

    def mine(self, n_min: int, max_dims: int, *, fresh: bool = False) -> Iterator[Block]:
        """Find all slices with enough trades, each once, `{}` first.

        Exact: Apriori prunes by trade counts, since a child's trades are a subset of its parent's.

        Parameters
        ----------
        n_min
            Trades that a slice needs, at least 1.
        max_dims
            Maximum number of dimensions of a slice; 0: any number.
        fresh
            Only slices with a fresh trade: all that became frequent, or changed, by new trades.

        Returns
        -------
        Blocks of slices with equally many dimensions.

        Raises
        ------
        ValueError
            If `n_min` is below 1.

        References
        ----------
        Agrawal & Srikant 1994, "Fast algorithms for mining association rules", VLDB.

        >>> from app.learning.common.trade import Trade

        >>> from app.learning.common.window import GroupWindow
        >>> window = GroupWindow(10**9, 100)
        >>> window.fold(
        ...     Trade(
        ...         str(i), (0, 2, i, "e", "00"), i, 1.0, (None, None), True,
        ...         ({"x": "1", "y": str(i % 2)}, {"x": "2"}),
        ...     )
        ...     for i in range(4)
        ... )
        >>> for items, trades, n in Incidence(window.snapshot()).mine(n_min=2, max_dims=2):
        ...     print([[window.pair(i) for i in row] for row in items.tolist()], n.tolist())
        [[]] [4]
        [[('x', '1')], [('x', '2')], [('y', '0')], [('y', '1')]] [4, 4, 2, 2]
        [[('x', '1'), ('y', '0')], [('x', '1'), ('y', '1')]] [2, 2]
        """
        if n_min < 1:
            raise ValueError(f"n_min is {n_min}; it must be at least 1.")
        if not self.n_words or (fresh and not self._fresh_words.size):
            return
        everything = self.trades_of(self._all_rows[None, :].copy())
        n = _count(everything)
        if n[0] < n_min:
            return
        yield Block(np.zeros((1, 0), np.uint32), everything, n)
        items, rows, block = self._singles(n_min, fresh)
        if not len(items):
            return
        yield block
        if max_dims == 1:
            return
        dims = self._item_dims[items]
        pairs = (
            np.zeros((len(items), len(items)), np.bool_) if len(items) <= PAIR_TABLE_ITEMS else None
        )
        singles = _Level(np.arange(len(items))[:, None], rows, np.full(len(items), len(items)))
        stack = [self._children(singles, rows, dims, pairs, n_min, fresh)]
        while stack:
            grown = next(stack[-1], None)
            if grown is None:
                stack.pop()
                continue
            level, trades, n = grown
            yield Block(items[level.local], trades, n)
            if max_dims == 0 or level.local.shape[1] < max_dims:
                stack.append(self._children(level, rows, dims, pairs, n_min, fresh))

    def slices(self, items: NDArray[np.uint32]) -> Block:
        """The trades of given slices.

        Parameters
        ----------
        items
            Items (K, k) of the slices, padded with 0.

        Returns
        -------
        The slices with their trades.
        """
        wanted, place = np.unique(items, return_inverse=True)
        bits = self._item_rows(wanted)
        bits[wanted == 0] = self._all_rows
        place = place.reshape(items.shape)
        blocks = []
        step = max(1, CHUNK_WORDS // max(1, self.n_words))
        for start in range(0, len(items), step):
            part = place[start : start + step]
            rows = np.broadcast_to(self._all_rows, (len(part), self.n_words)).copy()
            for column in part.T:
                rows &= bits[column]
            blocks.append(self.trades_of(rows))
        trades = np.concatenate(blocks) if blocks else np.zeros((0, self.n_words), np.uint64)
        return Block(items, trades, _count(trades))

    def trades_of(self, rows: Words) -> Words:
        """Trade bitsets from row bitsets: the last bit of each trade that has a row set.

        Parameters
        ----------
        rows
            Row bitsets (K, W); they may be overwritten.

        Returns
        -------
        Trade bitsets (K, W).
        """
        if self._one_row_each:
            return rows
        trades = rows & self._below
        trades += self._below
        trades |= rows
        trades &= self._top
        for first_word, last_word in self._wide:
            found = trades[:, first_word:last_word].any(axis=1)
            trades[:, first_word:last_word] = 0
            trades[:, last_word - 1] = found.astype(np.uint64) << np.uint64(63)
        return trades

    def _singles(self, n_min: int, fresh: bool) -> tuple[NDArray[np.uint32], Words, Block]:
        """Frequent single values, sorted by (dimension, item), with their row bitsets."""
        enough = np.bincount(self._codes.ravel(), minlength=len(self._item_dims)) >= n_min
        enough[0] = False
        items = np.flatnonzero(enough).astype(np.uint32)
        items = items[np.lexsort((items, self._item_dims[items]))]
        rows = self._item_rows(items)
        if fresh:
            hit = (rows[:, self._fresh_words] & self._fresh).any(axis=1)
            items, rows = items[hit], rows[hit]
        trades = self.trades_of(rows)
        n = _count(trades)
        keep = n >= n_min
        items, rows = items[keep], rows[keep]
        return items, rows, Block(items[:, None], trades[keep], n[keep])

    def _item_rows(self, items: NDArray[np.uint32]) -> Words:
        """Row bitsets (len(items), W) of items."""
        bits = np.zeros((len(items), self.n_words), np.uint64)
        local = np.full(len(self._item_dims), -1, np.int64)
        dims = self._item_dims[items]
        for dim in np.unique(dims[dims >= 0]).tolist():
            of_dim = np.flatnonzero(dims == dim)
            local[items[of_dim]] = np.arange(len(of_dim))
            column = local[self._codes[:, dim]]
            has = np.flatnonzero(column >= 0)
            step = max(1, (CHUNK_WORDS * 16) // max(1, self.n_words))
            for start in range(0, len(of_dim), step):
                part = of_dim[start : start + step]
                table = np.zeros((len(part), self.n_words * 64), np.bool_)
                mine = (
                    has
                    if len(part) == len(of_dim)
                    else has[(column[has] >= start) & (column[has] < start + step)]
                )
                table[column[mine] - start, self._row_bits[mine]] = True
                bits[part] = _pack(table)
            local[items[of_dim]] = -1
        return bits

    def _children(
        self,
        level: _Level,
        item_rows: Words,
        dims: NDArray[np.int32],
        pairs: NDArray[np.bool_] | None,
        n_min: int,
        fresh: bool,
    ) -> Iterator[tuple[_Level, Words, NDArray[np.int64]]]:
        """Join each slice with its later siblings (same prefix) of other dimensions; keep and
        yield, in chunks, what is frequent.

        Chunks go from the last slice to the first, so that every pair is known before a slice that
        could hold it is made.
        """
        local, rows, group_end = level
        k = local.shape[1]
        last = local[:, -1]
        index = np.arange(len(last))
        run_last = np.append(
            (dims[last[1:]] != dims[last[:-1]]) | (group_end[1:] != group_end[:-1]), True
        )
        run_end = np.flatnonzero(run_last)[np.searchsorted(np.flatnonzero(run_last), index)] + 1
        n_joins = group_end - run_end
        reach = np.cumsum(n_joins)
        budget = max(1, CHUNK_WORDS // self.n_words)
        stop = len(last)
        while stop:
            done = int(reach[stop - 1])
            start = min(
                stop - 1,
                int(np.searchsorted(reach, done - budget, side="left")) + 1 if done > budget else 0,
            )
            joins = n_joins[start:stop]
            left = np.repeat(index[start:stop], joins)
            right = np.arange(len(left)) + np.repeat(
                run_end[start:stop] - (np.cumsum(joins) - joins), joins
            )
            stop = start
            added = last[right]
            if k > 1 and pairs is not None:
                known = np.flatnonzero(pairs[last[left], added])
                left, added = left[known], added[known]
            if fresh:
                hit = np.take(rows, self._fresh_words, axis=1)[left]
                hit &= item_rows[:, self._fresh_words][added]
                hit &= self._fresh
                some = hit.any(axis=1)
                left, added = left[some], added[some]
            if not len(left):
                continue
            # which is faster than rows[left], the more the shorter they are
            grown = rows.take(left, axis=0)
            grown &= item_rows.take(added, axis=0)
            trades = self.trades_of(grown)
            n = _count(trades)
            keep = np.flatnonzero(n >= n_min)
            if not len(keep):
                continue
            left, added = left[keep], added[keep]
            if k == 1 and pairs is not None:
                pairs[last[left], added] = True
            ends = np.searchsorted(left, left, side="right")
            child = _Level(np.column_stack((local[left], added)), grown.take(keep, axis=0), ends)
            yield child, child.rows if trades is grown else trades.take(keep, axis=0), n[keep]


def _places(
    counts: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[tuple[int, int]]]:
    """First and last bit of each trade, none across a word; trades of more than 64 rows fill whole
    words (first, end), listed apart."""
    if (counts == 1).all():
        return np.arange(len(counts)), np.arange(len(counts)), []
    starts, lasts, wide = [], [], []
    bit = 0
    for count in counts.tolist():
        if count > 64:
            first = -(-bit // 64)
            end = first + -(-count // 64)
            starts.append(first * 64)
            bit = end * 64
            lasts.append(bit - 1)
            wide.append((first, end))
            continue
        if (bit & 63) + count > 64:
            bit = (bit | 63) + 1
        starts.append(bit)
        bit += count
        lasts.append(bit - 1)
    return np.array(starts, np.int64), np.array(lasts, np.int64), wide


def _pack(bits: NDArray[np.bool_]) -> Words:
    """Booleans (…, 64 W) → words (…, W), the lowest bit first."""
    return np.packbits(bits, axis=-1, bitorder="little").view("<u8").astype(np.uint64, copy=False)


def _count(trades: Words) -> NDArray[np.int64]:
    """Trades of each bitset (K, W) → (K,)."""
    # Whole numbers below 2^24 are exact as 32-bit floats, which add up in half the time.
    return np.asarray(
        np.einsum("ij->i", np.bitwise_count(trades).astype(np.float32)).astype(np.int64)
    )
