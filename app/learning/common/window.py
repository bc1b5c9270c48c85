"""The sliding window of one group: the recent trades, each with the close that counts.

May touch: nothing but its arguments.  The state is a function of the *set* of records folded,
whatever their order, batching and repetition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.learning.common.item_names import ItemNames
from app.learning.common.packed_list import PackedList
from app.learning.common.trade import Scope, SegmentKey, exit_of
from app.learning.common.trade_columns import TradeColumns, Trades, columns_of

FIRST_ROOM = 16
"""Places of a new window; they are doubled as needed."""
LEAST_GAPS = 64
"""Fewer places of removed trades are not worth compacting."""
UNREAD_GAPS = 2.0
"""Factor by which more gaps are allowed while `moves` has not been called."""
RECODE_ITEMS = 1024
"""With fewer items, unused ones are kept."""


_SLOT_ARRAYS = (
    "_exit",
    "_outcome",
    "_segment",
    "_home",
    "_efficiency",
    "_alive",
    "_row_start",
    "_row_count",
)


@dataclass(frozen=True)
class Snapshot:
    """The T trades inside the window, sorted by exit and trade id, with their R scope rows, grouped
    by trade in the same order.

    Attributes
    ----------
    trade_ids
        Ids (T).
    exit_us
        Exits (T,), in microseconds since the epoch.
    outcome
        Outcomes (T,), in their own unit.
    segment
        Place of each trade's segment in `segments` (T,).
    segments
        Buckets and timeframes.
    home
        Whether this is the trade's home group (T,).
    fresh
        Whether the trade came since the last `GroupWindow.settle` (T,).
    time_efficiency
        See `Trade` (T,); NaN if unknown.
    row_counts
        Scope rows of each trade (T,).
    codes
        Item of each dimension (R, D); 0 if missing.
    item_dims
        The dimension (column) of each item (items,).
    dims
        Names of the dimensions (D).
    """

    trade_ids: list[str]
    exit_us: NDArray[np.int64]
    outcome: NDArray[np.float64]
    segment: NDArray[np.int32]
    segments: list[SegmentKey]
    home: NDArray[np.bool_]
    fresh: NDArray[np.bool_]
    time_efficiency: NDArray[np.float32]
    row_counts: NDArray[np.int64]
    codes: NDArray[np.unsignedinteger]
    item_dims: NDArray[np.int32]
    dims: list[str]


@dataclass(frozen=True)
class Moves:
    """Trades that came into a window or left it, in no order.

    Attributes
    ----------
    exit_us, outcome, segment, home, row_counts, codes
        As in `Snapshot`.
    """

    exit_us: NDArray[np.int64]
    outcome: NDArray[np.float64]
    segment: NDArray[np.int32]
    home: NDArray[np.bool_]
    row_counts: NDArray[np.int64]
    codes: NDArray[np.unsignedinteger]


class GroupWindow:
    """The recent trades of one group.

    Each trade has the data of its highest-ranked record.  Of a trade outside the window only the
    rank is remembered, so that a redelivered record with a lower rank has no effect.

    A correction can move the newest exit back, or free a place, so that trades outside belong
    inside again.  Their data is gone: then `needs_rebuild` is true until they have been folded
    again, from the log into this same window, in any order and batching.  (A new window that slides
    over the log in batches may drop the same trades again.)

    Parameters
    ----------
    window_us
        Length of the window in µs before the newest exit; a trade exactly that old is inside.
    window_trades
        Maximum number of trades; of too many, the greatest (exit, trade id) stay.

    >>> from app.learning.common.trade import Trade
    >>> def close(trade_id, exit_us, revision=0):
    ...     return Trade(
    ...         trade_id, (revision, 1, exit_us, "e", "00"), exit_us, 1.0, (None, None), True,
    ...         ({"chain": "sol"},),
    ...     )
    >>> window = GroupWindow(window_us=100, window_trades=10)
    >>> window.fold([close("a", 899), close("b", 900), close("c", 1000), close("c", 1000)])
    >>> window.snapshot().trade_ids
    ['b', 'c']
    >>> window.fold([close("c", 950, revision=1)])
    >>> window.needs_rebuild
    True
    >>> window.fold([close("a", 899), close("c", 1000)])
    >>> window.needs_rebuild, window.snapshot().trade_ids
    (False, ['a', 'b', 'c'])
    """

    def __init__(self, window_us: int, window_trades: int) -> None:
        self.window_us = window_us
        self.window_trades = window_trades
        self._slot_of: dict[str, int] = {}
        self._outside: dict[str, bytes] = {}
        self._outside_top: tuple[int, str] | None = None
        self._outside_top_known = True
        self._missing = 0
        self._trade_ids: list[str] = []
        self._ranks = PackedList()
        self._exit = np.zeros(FIRST_ROOM, np.int64)
        self._outcome = np.zeros(FIRST_ROOM, np.float64)
        self._segment = np.zeros(FIRST_ROOM, np.int32)
        self._home = np.zeros(FIRST_ROOM, np.bool_)
        self._efficiency = np.zeros(FIRST_ROOM, np.float32)
        self._alive = np.zeros(FIRST_ROOM, np.bool_)
        self._row_start = np.zeros(FIRST_ROOM, np.int32)
        self._row_count = np.zeros(FIRST_ROOM, np.int32)
        self._size = 0
        self._codes: NDArray[np.unsignedinteger] = np.zeros((FIRST_ROOM, 0), np.uint16)
        self._rows = 0
        self._segments: dict[SegmentKey, int] = {}
        self._dims: dict[str, int] = {}
        self._item_ids: dict[str, dict[str, int]] = {}
        self._items: list[tuple[str, str]] = [("", "")]
        self._newest = self._oldest = 0
        self._fresh: set[int] = set()
        self._removed: list[NDArray[np.unsignedinteger]] = []
        self._came: set[int] | None = None
        self._gone: list[int] = []
        self.rewritten = 0
        """Closes folded that replaced another of their trade, where this group is its home."""

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: the arrays without their spare room, and what cannot be derived."""
        state = self.__dict__ | {name: getattr(self, name)[: self._size] for name in _SLOT_ARRAYS}
        del state["_slot_of"]
        return state | {"_codes": self._codes[: self._rows], "_fresh": sorted(self._fresh)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        slots = _numbered(0, self._size)
        alive = self._alive.tolist()
        self._slot_of = {self._trade_ids[slot]: slot for slot in slots if alive[slot]}
        self._fresh = set(map(slots.__getitem__, self._fresh))

    def __len__(self) -> int:
        """Trades inside the window."""
        return len(self._slot_of)

    @property
    def remembered(self) -> int:
        """Trades outside the window whose ranks are remembered."""
        return len(self._outside)

    @property
    def needs_rebuild(self) -> bool:
        """True while trades belong inside whose data is gone; fold the log again."""
        return self._missing > 0

    @property
    def newest_us(self) -> int:
        """The newest exit, in µs since 1970.  Raises `ValueError` if the window is empty."""
        if not self._slot_of:
            raise ValueError("The window is empty, so it has no newest exit.")
        return self._newest

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays (the ids and ranks, which Python holds, come on top)."""
        return int(self._codes.nbytes + sum(getattr(self, name).nbytes for name in _SLOT_ARRAYS))

    def pair(self, item: int) -> tuple[str, str]:
        """The meaning of an item.

        Parameters
        ----------
        item
            Its number.

        Returns
        -------
        Dimension and value.
        """
        return self._items[item]

    def names(self) -> ItemNames:
        """A copy of the meanings of all items."""
        return ItemNames(self._items)

    @property
    def segments(self) -> list[SegmentKey]:
        """The segments, by the numbers that trades have of them."""
        return list(self._segments)

    @property
    def n_items(self) -> int:
        """Items known, the missing one (0) included."""
        return len(self._items)

    def fold(self, trades: Trades) -> None:
        """Add trades, then move the window. A record has no effect if a greater one of its
        trade is known.

        Parameters
        ----------
        trades
            Trades or corrections of them, in any order, repeated or not.
        """
        held = columns_of(trades)
        corrected = False
        if self._are_new(held.trade_ids):  # the usual case
            self._add(held)
        else:
            corrected = self._fold_one_by_one(held)
        if self._slot_of or self._missing:
            self._slide(corrected or self._missing > 0)
        # `moves` reads the places of trades that left: they are kept longer while it is unread.
        if self._gaps > (UNREAD_GAPS if self._unread else 1.0):
            self._compact()

    def _are_new(self, trade_ids: Sequence[str]) -> bool:
        """Whether these ids are distinct, and none of them is known."""
        return (
            len(set(trade_ids)) == len(trade_ids)
            and self._slot_of.keys().isdisjoint(trade_ids)
            and self._outside.keys().isdisjoint(trade_ids)
        )

    def _fold_one_by_one(self, trades: TradeColumns) -> bool:
        """Add those trades that count; return whether one replaced a trade inside."""
        corrected = False
        counting: dict[str, int] = {}  # places
        for place, (trade_id, rank) in enumerate(zip(trades.trade_ids, trades.ranks, strict=True)):
            if (before := counting.get(trade_id)) is not None:
                if rank <= trades.ranks[before]:
                    continue
                self.rewritten += trades.homes[place]
            elif (slot := self._slot_of.get(trade_id)) is not None:
                if rank <= self._ranks[slot]:
                    continue
                self._remove(slot)
                corrected = True
                self.rewritten += trades.homes[place]
            elif (outside := self._outside.get(trade_id)) is not None:
                if rank < outside:
                    continue
                self._forget_outside(trade_id)
            counting[trade_id] = place
        self._add(trades.take(list(counting.values())))
        return corrected

    def remember(self, outside: Mapping[str, bytes]) -> None:
        """Note trades that are known to be outside the window, or to be missing: these must be
        folded from the log again.

        Parameters
        ----------
        outside
            Packed ranks by trade id.
        """
        if outside:
            self._outside.update(outside)
            self._outside_top_known = False
            self._slide(True)

    def prune(self, before_us: int) -> None:
        """Forget the ranks of old trades outside the window.

        Only correct once no record of these trades can come again, neither from the log nor from a
        producer.

        Parameters
        ----------
        before_us
            Trades with an exit before this time are forgotten, in microseconds since the epoch.
        """
        if any(exit_of(rank) < before_us for rank in self._outside.values()):
            self._outside = {
                i: rank for i, rank in self._outside.items() if exit_of(rank) >= before_us
            }
            self._outside_top_known = False
            self._slide(True)

    def settle(self) -> None:
        """Start `Snapshot.fresh` and `removed_rows` again from here."""
        self._fresh.clear()
        self._removed.clear()

    @property
    def changed(self) -> bool:
        """Whether a trade came or left since the last `settle`."""
        return bool(self._fresh or self._removed)

    @property
    def n_fresh(self) -> int:
        """Trades inside that came, or were replaced, since the last `settle`."""
        return len(self._fresh)

    def removed_rows(self) -> list[NDArray[np.unsignedinteger]]:
        """The trades that left, or were replaced, since the last `settle`.

        Returns
        -------
        For each its scope rows (rows, D); columns of later dimensions may be missing.
        """
        return self._removed

    def follow(self) -> None:
        """Start to record for `moves` which trades come and leave."""
        self._came, self._gone = set(), []

    def moves(self) -> tuple[Moves, Moves] | None:
        """The trades that came and those that left since `follow` or the last call.

        Returns
        -------
        Both; None where that is not known, as their places were used again.
        """
        if self._came is None:
            return None
        slots = sorted(self._came), self._gone
        came, gone = (self._at(np.array(places, np.int64)) for places in slots)
        self.follow()
        if self._gaps > 1.0:
            self._compact()
        return came, gone

    @property
    def moved(self) -> bool:
        """Whether `moves` would return any trade, or None."""
        return self._came is None or self._unread

    @property
    def _unread(self) -> bool:
        return bool(self._came) or bool(self._gone)

    def _at(self, slots: NDArray[np.int64]) -> Moves:
        counts = self._row_count[slots].astype(np.int64)
        return Moves(
            self._exit[slots],
            self._outcome[slots],
            self._segment[slots],
            self._home[slots],
            counts,
            self._codes[self._rows_at(slots, counts)],
        )

    def _rows_at(self, slots: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places of the rows of these slots, one slot after the other."""
        starts = self._row_start[slots] - (np.cumsum(counts) - counts)
        return np.asarray(np.repeat(starts, counts) + np.arange(counts.sum()))

    def snapshot(self, *, ids: bool = True) -> Snapshot:
        """The window as arrays.

        Parameters
        ----------
        ids
            Whether the ids of the trades are wanted: listing them takes an eighth of a refit of
            `classic`, which needs none.

        Returns
        -------
        See `Snapshot`; its `trade_ids` are empty if they are not wanted.
        """
        slots = np.flatnonzero(self._alive[: self._size])
        slots = slots[np.argsort(self._exit[slots], kind="stable")]
        exits = self._exit[slots]
        ties = np.flatnonzero(exits[1:] == exits[:-1])
        if ties.size:
            order = slots.tolist()
            starts = ties[np.concatenate(([True], np.diff(ties) > 1))]
            ends = ties[np.concatenate((np.diff(ties) > 1, [True]))] + 2
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
                order[start:end] = sorted(order[start:end], key=self._trade_ids.__getitem__)
            slots = np.array(order, np.int64)
        fresh = np.zeros(self._size, np.bool_)
        fresh[list(self._fresh)] = True
        counts = self._row_count[slots].astype(np.int64)
        return Snapshot(
            trade_ids=[self._trade_ids[s] for s in slots.tolist()] if ids else [],
            exit_us=exits,
            outcome=self._outcome[slots],
            segment=self._segment[slots],
            segments=list(self._segments),
            home=self._home[slots],
            fresh=fresh[slots],
            time_efficiency=self._efficiency[slots],
            row_counts=counts,
            codes=self._codes[self._rows_at(slots, counts)],
            item_dims=np.array([-1, *(self._dims[d] for d, _ in self._items[1:])], np.int32),
            dims=list(self._dims),
        )

    def recode(self) -> NDArray[np.int64] | None:
        """Drop items that no trade inside has, if they are the majority. Call it only right after
        `settle`: removed rows keep the old numbers.

        Returns
        -------
        The new number of each old item (0 = dropped); None if nothing was dropped.
        """
        used = np.zeros(len(self._items), np.bool_)
        used[self._codes[: self._rows].ravel()] = True
        used[0] = True
        if len(self._items) < RECODE_ITEMS or 2 * int(used.sum()) > len(self._items):
            return None
        renumbered = np.where(used, np.cumsum(used) - 1, 0)
        self._items = [pair for pair, keep in zip(self._items, used.tolist(), strict=True) if keep]
        self._item_ids = {dimension: {} for dimension in self._item_ids}
        for item, (dimension, value) in enumerate(self._items[1:], 1):
            self._item_ids[dimension][value] = item
        self._codes = renumbered[self._codes].astype(_code_type(len(self._items)))
        return renumbered

    # -- records in and out

    def _add(self, trades: TradeColumns) -> None:
        """Add trades that are neither inside nor known to be outside."""
        if not trades:
            return
        first, end = self._size, self._size + len(trades)
        if end > len(self._exit):
            for name in _SLOT_ARRAYS:
                setattr(self, name, _grown(getattr(self, name), end))
        exits = trades.exit_us
        if not self._slot_of:
            self._newest = self._oldest = exits[0]
        self._newest = max(self._newest, *exits)
        self._oldest = min(self._oldest, *exits)
        slots = _numbered(first, end)
        self._slot_of.update(zip(trades.trade_ids, slots, strict=True))
        self._ranks.extend(trades.ranks)
        self._size = end
        self._trade_ids += trades.trade_ids
        numbers = self._segments
        self._exit[first:end] = exits
        self._outcome[first:end] = trades.outcomes
        for segment in dict.fromkeys(trades.segments):
            numbers.setdefault(segment, len(numbers))
        self._segment[first:end] = list(map(numbers.__getitem__, trades.segments))
        self._home[first:end] = trades.homes
        self._efficiency[first:end] = [np.nan if x is None else x for x in trades.efficiencies]
        self._alive[first:end] = True
        counts = list(map(len, trades.scopes))
        self._row_count[first:end] = counts
        self._row_start[first:end] = list(accumulate(counts[:-1], initial=self._rows))
        self._fresh.update(slots)
        if self._came is not None:
            self._came.update(slots)
        self._add_rows([scope for held in trades.scopes for scope in held])

    def _add_rows(self, scopes: Sequence[Scope]) -> None:
        """Write the codes of new rows; the matrix grows in rows, columns and, with many items, in
        width."""
        if not scopes:
            return
        first, end = self._rows, self._rows + len(scopes)
        self._rows = end
        names = list(scopes[0])
        if all([list(scope) == names for scope in scopes]):  # the usual case: column by column
            columns = zip(*[scope.values() for scope in scopes], strict=True)
            coded = [self._coded(name, column) for name, column in zip(names, columns, strict=True)]
            self._widen()
            for name, codes in zip(names, coded, strict=True):
                self._codes[first:end, self._dims[name]] = codes
            return
        items: list[int] = []
        for scope in scopes:
            for name, value in scope.items():
                items += self._coded(name, (value,))
        self._widen()
        dims, pairs = self._dims, self._items
        places = np.array([dims[pairs[item][0]] for item in items], np.int64)
        rows = np.repeat(np.arange(first, end), [len(scope) for scope in scopes])
        self._codes[rows, places] = items

    def _coded(self, dimension: str, values: Sequence[str]) -> list[int]:
        """The items of these values of a dimension."""
        known = self._item_ids.get(dimension)
        if known is None:
            known = self._item_ids[dimension] = {}
            self._dims.setdefault(dimension, len(self._dims))
        try:
            return list(map(known.__getitem__, values))
        except KeyError:
            for value in values:
                if value not in known:
                    known[value] = len(self._items)
                    self._items.append((dimension, value))
            return [known[value] for value in values]

    def _widen(self) -> None:
        """Make room in the matrix for all rows, dimensions and items."""
        rows, columns = self._codes.shape
        if len(self._dims) > columns:
            wider = np.zeros((rows, len(self._dims)), self._codes.dtype)
            wider[:, :columns] = self._codes
            self._codes = wider
        if len(self._items) > np.iinfo(self._codes.dtype).max:
            self._codes = self._codes.astype(_code_type(len(self._items)))
        if self._rows > rows:
            self._codes = _grown(self._codes, self._rows)

    def _remove(self, slot: int) -> None:
        del self._slot_of[self._trade_ids[slot]]
        self._alive[slot] = False
        if slot in self._fresh:
            self._fresh.discard(slot)
        else:
            start = self._row_start[slot]
            self._removed.append(self._codes[start : start + self._row_count[slot]].copy())
        if self._came is not None:
            if slot in self._came:
                self._came.discard(slot)
            else:
                self._gone.append(slot)

    @property
    def _gaps(self) -> float:
        """Places of removed trades, relative to the number from which they are compacted."""
        held = len(self._slot_of)
        return (self._size - held) / max(LEAST_GAPS, held // 2)

    def _compact(self) -> None:
        """Close the gaps that removed trades left."""
        if self._unread:
            self._came, self._gone = None, []
        keep = np.flatnonzero(self._alive[: self._size])
        counts = self._row_count[keep].astype(np.int64)
        starts = np.cumsum(counts) - counts
        rows = np.repeat(self._row_start[keep] - starts, counts) + np.arange(counts.sum())
        renumbered = dict(zip(keep.tolist(), range(len(keep)), strict=True))
        self._fresh = {renumbered[s] for s in self._fresh}
        self._trade_ids = [self._trade_ids[s] for s in keep.tolist()]
        self._ranks.keep(keep.tolist())
        self._slot_of = dict(zip(self._trade_ids, _numbered(0, len(self._trade_ids)), strict=True))
        self._codes = self._codes[rows]
        for name in _SLOT_ARRAYS:
            setattr(self, name, getattr(self, name)[keep])
        self._row_start = starts.astype(np.int32)
        self._size, self._rows = len(keep), len(rows)

    # -- what is inside

    def _slide(self, corrected: bool) -> None:
        if corrected:
            if self._slot_of:
                exits = self._exit[: self._size][self._alive[: self._size]]
                self._newest, self._oldest = int(exits.max()), int(exits.min())
            self._missing = 0
            top = self._top_outside()
            if top is not None and self._belongs(top):
                self._slide_with_missing()
                return
        bound = self._newest - self.window_us
        if self._oldest >= bound and len(self._slot_of) <= self.window_trades:
            return
        slots = np.flatnonzero(self._alive[: self._size])
        exits = self._exit[slots]
        leave = exits < bound
        surplus = len(slots) - int(leave.sum()) - self.window_trades
        if surplus > 0:
            inside = exits[~leave]
            last_out = np.partition(inside, surplus - 1)[surplus - 1]
            leave |= exits < last_out
            ties = np.flatnonzero(exits == last_out)
            n_ties_out = len(ties) - (self.window_trades - int((exits > last_out).sum()))
            ties = np.array(
                sorted(ties.tolist(), key=lambda t: self._trade_ids[slots[t]])[:n_ties_out],
                np.int64,
            )
            leave[ties] = True
        self._evict(slots[leave])
        self._oldest = int(exits[~leave].min())

    def _belongs(self, key: tuple[int, str]) -> bool:
        """Whether an (exit, trade id) of no trade held would be inside."""
        if self._slot_of and key[0] < self._newest - self.window_us:
            return False
        exits = self._exit[: self._size]
        alive = self._alive[: self._size]
        greater = int(((exits > key[0]) & alive).sum())
        ties = np.flatnonzero((exits == key[0]) & alive)
        return (
            greater + sum(self._trade_ids[s] > key[1] for s in ties.tolist()) < self.window_trades
        )

    def _slide_with_missing(self) -> None:
        """As `_slide`, among all trades known, for the rare case that some which belong inside are
        not held."""
        held = [(int(self._exit[s]), trade_id) for trade_id, s in self._slot_of.items()]
        outside = [(exit_of(rank), trade_id) for trade_id, rank in self._outside.items()]
        inside = sorted(held + outside, reverse=True)[: self.window_trades]
        bound = inside[0][0] - self.window_us
        lowest = min(key for key in inside if key[0] >= bound)
        self._missing = sum(key >= lowest for key in outside)
        self._evict(np.array([self._slot_of[key[1]] for key in held if key < lowest], np.int64))

    def _evict(self, slots: NDArray[np.int64]) -> None:
        for slot in slots.tolist():
            trade_id, rank = self._trade_ids[slot], self._ranks[slot]
            self._remove(slot)
            self._outside[trade_id] = rank
            if self._outside_top_known:
                key = (int(self._exit[slot]), trade_id)
                self._outside_top = (
                    key if self._outside_top is None else max(self._outside_top, key)
                )

    def _forget_outside(self, trade_id: str) -> None:
        del self._outside[trade_id]
        if self._outside_top is not None and self._outside_top[1] == trade_id:
            self._outside_top_known = False

    def _top_outside(self) -> tuple[int, str] | None:
        """The greatest (exit, trade id) outside."""
        if not self._outside_top_known:
            self._outside_top = max(
                ((exit_of(rank), i) for i, rank in self._outside.items()), default=None
            )
            self._outside_top_known = True
        return self._outside_top


_numbers: list[int] = []


def _numbered(first: int, end: int) -> list[int]:
    """The numbers from `first` to before `end`: one object for equal numbers of all windows."""
    _numbers.extend(range(len(_numbers), end))
    return _numbers[first:end]


def _code_type(n_items: int) -> type[np.unsignedinteger]:
    return np.uint16 if n_items <= np.iinfo(np.uint16).max else np.uint32


def _grown(array: NDArray[Any], needed: int) -> NDArray[Any]:
    """The array with room for at least `needed` rows; doubling makes repeated growth cheap."""
    grown = np.zeros((max(needed, 2 * len(array)), *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown
