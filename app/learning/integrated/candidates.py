"""The slices that a search examines: mined, slices of equal trade sets collapsed into the most
general one, as a sparse incidence.

May touch: nothing but its arguments.

Mined by occurrence deliver (Uno et al. 2004, LCM): each slice has the list of its rows, and one
pass over it, dimension by dimension, counts all its children and makes their lists.  Where the
lists are wanted anyway this is faster than the bitsets of `classic`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.common.item_names import Names
from app.learning.common.window import Snapshot

CHUNK_ROWS = 1 << 16
"""Rows of slices processed at once."""
MAX_CELLS = 8_000_000
"""Maximum number of rows of all slices together that a search holds; each takes some forty bytes at
the peak.  A depth that would exceed it is left out, as are all deeper ones: its slices overlap so
much that the module's bar, which rises with each, would let few of them pass."""
SHARED_DIMS = 2
"""Maximum number of dimensions of slices that share evidence. Deeper ones have too few trades each
to show what they add; those that stand out are chosen one by one."""

Ints = NDArray[np.int64]


class Candidates(NamedTuple):
    """m slices with different sets of trades; `{}` is not among them.

    Attributes
    ----------
    members
        Incidence of trades (m, T).
    items
        Items (m, width), padded with 0.
    n_dims
        Dimensions of each (m,).
    order
        Rank of each by its canonical text (m,), which does not depend on the order of arrival.
    aliases
        By place, the item rows of slices with the same trades.
    whole
        Item rows of slices that all trades have.
    judged
        Places (J,) of those with enough trades to be judged alone.
    n_slices
        How many slices have enough trades, before equal ones were merged, `{}` included.
    cut
        Whether deeper slices were left out, see `MAX_CELLS`.
    """

    members: csr_array
    items: NDArray[np.uint32]
    n_dims: NDArray[np.int64]
    order: NDArray[np.int64]
    aliases: dict[int, NDArray[np.uint32]]
    whole: NDArray[np.uint32]
    judged: Ints
    n_slices: int
    cut: bool = False

    def members_of(self, places: Ints) -> csr_array:
        """The incidence of some candidates: itself where these are all, which saves a copy.

        Parameters
        ----------
        places
            Their places (K,), ascending.

        Returns
        -------
        Incidence of trades (K, T), not to be changed.
        """
        return self.members if len(places) == len(self.n_dims) else self.members[places]


class _Run(NamedTuple):
    """K slices whose last dimension is the same one.

    `items` (K, k) by dimension; `n_rows` (K,) and their `rows`, one slice after the other,
    ascending; `n` (K,), `trades` likewise; `digest` (K,) of the trades.
    """

    items: NDArray[np.uint32]
    n_rows: Ints
    rows: NDArray[np.int32]
    n: Ints
    trades: NDArray[np.int32]
    digest: NDArray[np.uint64]


def candidates(
    names: Names, snapshot: Snapshot, n_min: int, max_dims: int, least: int | None = None
) -> Candidates:
    """The slices of a window that have enough trades.

    Parameters
    ----------
    names
        The window, or a copy of the names of its items.
    snapshot
        Its T trades.
    n_min
        Trades that a slice needs to be judged by itself, at least 1.
    max_dims
        Most dimensions of a slice; 0 for any number.
    least
        Trades that slices of one or two dimensions need to share evidence; None: `n_min`.  Those
        below `n_min` are not `judged`.

    Returns
    -------
    Slices of different trade sets, the most general first.

    Raises
    ------
    ValueError
        If `n_min` or `least` is below 1.

    References
    ----------
    Uno, Asai, Uchida & Arimura 2004, "An efficient algorithm for enumerating closed patterns in
    transaction databases" (LCM).

    >>> from app.learning.common.trade import Trade
    >>> from app.learning.common.window import GroupWindow
    >>> window = GroupWindow(10**9, 100)
    >>> window.fold(
    ...     Trade(
    ...         str(i), (0, 2, i, "e", "00"), i, 1.0, (None, None), True,
    ...         ({"x": "1", "y": str(i % 2), "z": str(i % 2)},),
    ...     )
    ...     for i in range(4)
    ... )
    >>> found = candidates(window, window.snapshot(), 2, 2)
    >>> [[window.pair(i) for i in row if i] for row in found.items.tolist()], found.n_slices
    ([[('y', '0')], [('y', '1')]], 12)
    >>> found.members.toarray().tolist()
    [[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]
    """
    n_trades = len(snapshot.exit_us)
    runs, cut = _mined(snapshot, n_min, max_dims, n_min if least is None else min(least, n_min))
    width = max((run.items.shape[1] for run in runs), default=0) or 1
    n_slices = sum(len(run.n) for run in runs)
    items = np.zeros((n_slices, width), np.uint32)
    start = 0
    for run in runs:
        items[start : start + len(run.n), : run.items.shape[1]] = run.items
        start += len(run.n)
    n = np.concatenate([run.n for run in runs]) if runs else np.zeros(0, np.int64)
    places = np.concatenate([run.trades for run in runs]) if runs else np.zeros(0, np.int32)
    digest = np.concatenate([run.digest for run in runs]) if runs else np.zeros(0, np.uint64)
    n_dims = (items > 0).sum(axis=1)
    ranks = _item_ranks(names)[items]
    # missing ones have the lowest rank, so of a slice and a part of it the part comes first
    ranks.sort(axis=1)
    # The most general first, then by canonical text, also within equal sets of trades, which the
    # first one represents.
    text_order = np.lexsort((*ranks.T[::-1], n_dims))
    by_set = text_order[np.argsort(digest[text_order], kind="stable")]
    head = np.ones(n_slices, np.bool_)
    head[by_set[1:]] = (digest[by_set[1:]] != digest[by_set[:-1]]) | (
        n[by_set[1:]] != n[by_set[:-1]]
    )
    everything = n == n_trades
    kept = text_order[(head & ~everything)[text_order]]
    place = np.full(n_slices, -1, np.int64)
    place[kept] = np.arange(len(kept))
    of_head = place[by_set[head[by_set]]][np.cumsum(head[by_set]) - 1]
    alias = np.flatnonzero(~head[by_set] & (of_head >= 0))
    alias = alias[np.argsort(of_head[alias], kind="stable")]
    starts = np.flatnonzero(np.diff(of_head[alias], prepend=-1))
    pointers = np.concatenate(([0], np.cumsum(n))).astype(
        np.int64 if len(places) > 2**31 - 1 else np.int32
    )
    mined = csr_array(
        (np.ones(len(places), np.bool_), places, pointers), shape=(n_slices, n_trades)
    )[kept]
    return Candidates(
        csr_array((np.ones(mined.nnz), mined.indices, mined.indptr), shape=mined.shape),
        items[kept],
        n_dims[kept],
        np.arange(len(kept)),
        (
            dict(
                zip(
                    of_head[alias[starts]].tolist(),
                    np.split(items[by_set[alias]], starts[1:]),
                    strict=True,
                )
            )
            if len(alias)
            else {}
        ),
        items[text_order[everything[text_order]]],
        np.flatnonzero(n[kept] >= n_min),
        int(np.count_nonzero(n >= n_min)) + (n_trades >= n_min),
        cut,
    )


def with_dims(found: Candidates, snapshot: Snapshot, names: Iterable[str]) -> NDArray[np.bool_]:
    """Which candidates have one of some dimensions.

    Parameters
    ----------
    found
        m candidates.
    snapshot
        The trades that they were mined from.
    names
        Names of dimensions; unknown ones are ignored.

    Returns
    -------
    A mask (m,).
    """
    columns = [snapshot.dims.index(name) for name in names if name in snapshot.dims]
    return np.asarray(np.isin(snapshot.item_dims, columns)[found.items].any(axis=1))


def _item_ranks(names: Names) -> NDArray[np.unsignedinteger]:
    """Place of each item among all (dimension, value) pairs in order; 0 for none."""
    # narrow ones are sorted several times faster
    n_items = names.n_items  # a window that folds on meanwhile gets more
    ranks = np.zeros(n_items, np.min_scalar_type(n_items))
    for rank, item in enumerate(sorted(range(1, n_items), key=names.pair), 1):
        ranks[item] = rank
    return ranks


def _mined(snapshot: Snapshot, n_min: int, max_dims: int, least: int) -> tuple[list[_Run], bool]:
    """All candidates, level by level: `{}` makes the slices of one value, each of these those of
    two, and so on; and whether a level was left out for `MAX_CELLS`.

    Up to `SHARED_DIMS` dimensions they need `least` trades, above `n_min`.
    """
    if least < 1:
        raise ValueError(f"n_min is {least}; it must be at least 1.")
    n_rows, n_columns = snapshot.codes.shape
    trade_of = (
        None
        if n_rows == len(snapshot.exit_us)
        else np.repeat(np.arange(len(snapshot.exit_us)), snapshot.row_counts)
    )
    mixed = _mixed(len(snapshot.exit_us))
    columns: list[Ints] = []
    values: list[NDArray[np.uint32]] = []
    for column in snapshot.codes.T:
        enough = np.bincount(column, minlength=len(snapshot.item_dims)) >= least
        enough[0] = False
        value = np.flatnonzero(enough)
        local = np.zeros(len(enough), np.int64)  # 0 for what too few rows have
        local[value] = np.arange(1, len(value) + 1)
        columns.append(local.take(column))
        values.append(value.astype(np.uint32))
    whole = np.arange(n_rows, dtype=np.int32)
    level = {
        -1: _Run(
            np.zeros((1, 0), np.uint32),
            np.array([n_rows]),
            whole,
            np.zeros(1, np.int64),
            whole,
            np.zeros(1, np.uint64),
        )
    }
    depth = cells = 0
    found: list[_Run] = []
    while level and (not max_dims or depth < max_dims):
        depth += 1
        bar = least if depth <= SHARED_DIMS else n_min
        grown: dict[int, list[_Run]] = {}
        for last, run in level.items():
            for items, n_rows_of, rows in _chunks(run):
                slice_of = np.repeat(np.arange(len(items)), n_rows_of)
                for dim in range(last + 1, n_columns):
                    child = _children(
                        items, slice_of, rows, columns[dim], values[dim], bar, trade_of, mixed
                    )
                    if child is not None:
                        cells += len(child.rows)
                        if cells > MAX_CELLS:
                            return found, True
                        grown.setdefault(dim, []).append(child)
        level = {
            dim: _Run(*map(np.concatenate, zip(*runs, strict=True))) for dim, runs in grown.items()
        }
        found += level.values()
    return found, False


def _chunks(run: _Run) -> Iterator[tuple[NDArray[np.uint32], Ints, Ints]]:
    """Items, numbers of rows, and rows of some slices at a time."""
    ends = np.cumsum(run.n_rows)
    start = first = 0
    while start < len(ends):
        stop = max(start + 1, int(np.searchsorted(ends, first + CHUNK_ROWS, side="right")))
        last = int(ends[stop - 1])
        yield run.items[start:stop], run.n_rows[start:stop], run.rows[first:last].astype(np.int64)
        start, first = stop, last


def _children(
    items: NDArray[np.uint32],
    slice_of: Ints,
    rows: Ints,
    column: Ints,
    values: NDArray[np.uint32],
    n_min: int,
    trade_of: Ints | None,
    mixed: NDArray[np.uint64],
) -> _Run | None:
    """Slices (K, k) with one more value, of the dimension whose `column` (R,) tells each row's
    place in `values`, from 1 on."""
    width = len(values) + 1
    key = slice_of * width
    key += column.take(rows)
    count = np.bincount(key, minlength=len(items) * width)
    count[::width] = 0
    frequent = np.flatnonzero(count >= n_min)
    if not len(frequent):
        return None
    # narrow ones are sorted several times faster
    child = np.zeros(len(count), np.min_scalar_type(len(frequent)))
    child[frequent] = np.arange(1, len(frequent) + 1)
    child_of = child.take(key)
    mine = np.flatnonzero(child_of != 0)
    mine = mine.take(np.argsort(child_of.take(mine), kind="stable"))
    rows = trades = rows.take(mine)
    n = n_rows = count[frequent]
    if trade_of is not None:
        # A trade counts once, by the first of its rows.
        trades = trade_of.take(rows)
        new = np.diff(trades, prepend=-1) != 0
        new[np.cumsum(n_rows) - n_rows] = True
        n = np.add.reduceat(new, np.cumsum(n_rows) - n_rows, dtype=np.int64)
        enough = n >= n_min
        if not enough.any():
            return None
        trades, rows = trades[new & np.repeat(enough, n_rows)], rows[np.repeat(enough, n_rows)]
        frequent, n_rows, n = frequent[enough], n_rows[enough], n[enough]
    parent, value = np.divmod(frequent, width)
    digest = np.add.reduceat(mixed.take(trades), np.cumsum(n) - n)
    kept = rows.astype(np.int32)
    return _Run(
        np.column_stack((items[parent], values[value - 1])),
        n_rows,
        kept,
        n,
        kept if trade_of is None else trades.astype(np.int32),
        digest,
    )


def _mixed(n: int) -> NDArray[np.uint64]:
    """A number of 64 bits for each of n trades (SplitMix64): sets of trades are distinguished by n
    and the sum; two in 10¹⁹ are not."""
    word = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))
