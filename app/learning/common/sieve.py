"""Find the trades that are inside a group's window at the end of a log, without sliding the window
over all of it.

May touch: nothing but its arguments.

`GroupWindow` keeps arrays that are right after every batch, which a replay, or a worker that
catches up, does not need: here a trade costs two look-ups in dictionaries, and only those that are
inside in the end go into the window.  The result is the same function of the set of records:

1. Of each trade the greatest record is kept.
2. Trades outside the window so far are dropped now and then; their ranks stay, so that a later
   record with a lower rank has no effect.
3. In the end the window follows from all exits.  If a correction has moved it back over dropped
   trades, the log must be read again for them (`missing`).
"""

from __future__ import annotations

from collections.abc import Iterator

from app.learning.common.trade import EXIT, exit_of, packed_exit
from app.learning.common.trade_columns import TradeColumns, Trades, columns_of

SLACK = 4_096
"""Trades kept beyond twice the window's, before any is dropped."""


class Sieve:
    """The trades of one group of which only those inside the window are wanted.

    Parameters
    ----------
    window_us, window_trades
        As in `app.learning.common.window.GroupWindow`.

    >>> from app.learning.common.trade import Trade
    >>> def close(trade_id, exit_us, revision=0):
    ...     return Trade(
    ...         trade_id, (revision, 1, exit_us, "e", "00"), exit_us, 1.0, (None, None), True,
    ...         ({"chain": "sol"},),
    ...     )
    >>> sieve = Sieve(window_us=100, window_trades=10)
    >>> sieve.add([close("a", 899), close("b", 900), close("c", 1000), close("c", 1000)])
    >>> sorted(sieve.inside().trade_ids)
    ['b', 'c']
    """

    def __init__(self, window_us: int, window_trades: int) -> None:
        self._window_us = window_us
        self._window_trades = window_trades
        self._held = TradeColumns()
        self._place: dict[str, int] = {}  # in `_held`, of the record that counts
        self._gone: dict[str, bytes] = {}
        self._limit = SLACK

    def __len__(self) -> int:
        """Trades held."""
        return len(self._place)

    def add(self, trades: Trades) -> None:
        """Add trades.

        Parameters
        ----------
        trades
            Trades or corrections of them, in any order, repeated or not.
        """
        added = columns_of(trades)
        first = len(self._held)
        self._held.extend(added)
        ranks, places, gone = self._held.ranks, self._place, self._gone
        for place, trade_id in enumerate(added.trade_ids, first):
            old = places.get(trade_id)
            if old is not None:
                if ranks[place] <= ranks[old]:
                    continue
            elif trade_id in gone:
                if ranks[place] <= gone[trade_id]:
                    continue
                del gone[trade_id]
            places[trade_id] = place
        if len(self._held) > self._limit:
            self.let_go()

    def missing(self) -> set[str]:
        """The trades inside the window that were dropped.

        Returns
        -------
        Their ids; pass their records to `restore`.
        """
        return self._inside() & self._gone.keys()

    def restore(self, trades: Trades, missing: set[str]) -> None:
        """Add the highest-ranked records of missing trades.

        Parameters
        ----------
        trades
            Any trades; others are ignored.
        missing
            The ids from `missing`.
        """
        given = columns_of(trades)
        back = {
            trade_id: place
            for place, (trade_id, rank) in enumerate(zip(given.trade_ids, given.ranks, strict=True))
            if trade_id in missing and rank == self._gone.get(trade_id)
        }
        for trade_id in back:
            del self._gone[trade_id]
        self.add(given.take(list(back.values())))

    def inside(self) -> TradeColumns:
        """The trades inside the window, in any order."""
        inside = self._inside()
        return self._held.take(
            [place for trade_id, place in self._place.items() if trade_id in inside]
        )

    def outside(self) -> dict[str, bytes]:
        """The packed ranks of the trades that `inside` does not return."""
        inside = self._inside()
        held = {
            trade_id: self._held.ranks[place]
            for trade_id, place in self._place.items()
            if trade_id not in inside
        }
        return self._gone | held

    def _inside(self) -> set[str]:
        keys = list(self._keys())
        return self._window([*keys, *self._near(keys)])

    def _near(self, keys: list[tuple[int, str]]) -> list[tuple[int, str]]:
        """(exit, trade id) of the dropped trades that may be inside, beside those held: of the many
        others not even the exit is read."""
        if not self._gone:
            return []
        newest = max([rank[EXIT] for rank in self._gone.values()])
        newest_us = max([int.from_bytes(newest, "big"), *(exit_us for exit_us, _ in keys)])
        oldest_us = max(newest_us - self._window_us, 0)
        if len(keys) >= self._window_trades:
            # So many trades are newer than any before this one.
            oldest_us = max(oldest_us, sorted(keys, reverse=True)[self._window_trades - 1][0])
        since, gone = packed_exit(oldest_us), self._gone.items()
        return [(exit_of(rank), trade_id) for trade_id, rank in gone if rank[EXIT] >= since]

    def _keys(self) -> Iterator[tuple[int, str]]:
        exits = self._held.exit_us
        return ((exits[place], trade_id) for trade_id, place in self._place.items())

    def _window(self, keys: list[tuple[int, str]]) -> set[str]:
        """The trades inside, of (exit, trade id)."""
        if not keys:
            return set()
        bound = max(keys)[0] - self._window_us
        inside = [key for key in keys if key[0] >= bound]
        if len(inside) > self._window_trades:
            inside = sorted(inside, reverse=True)[: self._window_trades]
        return {trade_id for _, trade_id in inside}

    def let_go(self) -> int:
        """Drop the trades that are outside the window as far as it is known.

        Returns
        -------
        How many are still held.
        """
        inside = self._window(list(self._keys()))
        for trade_id in self._place.keys() - inside:
            self._gone[trade_id] = self._held.ranks[self._place.pop(trade_id)]
        self._held = self._held.take(list(self._place.values()))
        self._place = dict(zip(self._held.trade_ids, range(len(self._held)), strict=True))
        self._limit = 2 * len(self._held) + SLACK
        return len(self._held)
