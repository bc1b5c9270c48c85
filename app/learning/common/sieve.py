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

from collections.abc import Iterable

from app.learning.common.trade import Trade, exit_of, packed

SLACK = 4_096
"""Trades kept beyond twice the window's, before any is dropped."""


class Sieve:
    """The trades of one group of which only those inside the window are wanted.

    Parameters
    ----------
    window_us, window_trades
        As in `app.learning.common.window.GroupWindow`.

    >>> def close(trade_id, exit_us, revision=0):
    ...     return Trade(
    ...         trade_id, (revision, 1, exit_us, "e", "00"), exit_us, 1.0, (None, None), True,
    ...         ({"chain": "sol"},),
    ...     )
    >>> sieve = Sieve(window_us=100, window_trades=10)
    >>> sieve.add([close("a", 899), close("b", 900), close("c", 1000), close("c", 1000)])
    >>> sorted(trade.trade_id for trade in sieve.inside())
    ['b', 'c']
    """

    def __init__(self, window_us: int, window_trades: int) -> None:
        self._window_us = window_us
        self._window_trades = window_trades
        self._best: dict[str, Trade] = {}
        self._gone: dict[str, bytes] = {}
        self._limit = SLACK

    def add(self, trades: Iterable[Trade]) -> None:
        """Add trades.

        Parameters
        ----------
        trades
            Trades or corrections of them, in any order, repeated or not.
        """
        best, gone = self._best, self._gone
        for trade in trades:
            trade_id = trade.trade_id
            old = best.get(trade_id)
            if old is not None:
                if trade.rank > old.rank:
                    best[trade_id] = trade
            elif trade_id not in gone:
                best[trade_id] = trade
            elif packed(trade.rank) > gone[trade_id]:
                del gone[trade_id]
                best[trade_id] = trade
        if len(best) > self._limit:
            self.let_go()

    def missing(self) -> set[str]:
        """The trades inside the window that were dropped.

        Returns
        -------
        Their ids; pass their records to `restore`.
        """
        return self._inside() & self._gone.keys()

    def restore(self, trades: Iterable[Trade], missing: set[str]) -> None:
        """Add the highest-ranked records of missing trades.

        Parameters
        ----------
        trades
            Any trades; others are ignored.
        missing
            The ids from `missing`.
        """
        for trade in trades:
            if trade.trade_id in missing and packed(trade.rank) == self._gone.get(trade.trade_id):
                del self._gone[trade.trade_id]
                self._best[trade.trade_id] = trade

    def inside(self) -> list[Trade]:
        """The trades inside the window, in any order."""
        inside = self._inside()
        return [trade for trade_id, trade in self._best.items() if trade_id in inside]

    def outside(self) -> dict[str, bytes]:
        """The packed ranks of the trades that `inside` does not return."""
        inside = self._inside()
        held = {
            trade_id: packed(trade.rank)
            for trade_id, trade in self._best.items()
            if trade_id not in inside
        }
        return self._gone | held

    def _inside(self) -> set[str]:
        held = [(trade.exit_us, trade_id) for trade_id, trade in self._best.items()]
        return self._window(
            [*held, *((exit_of(rank), trade_id) for trade_id, rank in self._gone.items())]
        )

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
        inside = self._window([(trade.exit_us, trade_id) for trade_id, trade in self._best.items()])
        for trade_id in self._best.keys() - inside:
            self._gone[trade_id] = packed(self._best.pop(trade_id).rank)
        self._limit = 2 * len(self._best) + SLACK
        return len(self._best)
