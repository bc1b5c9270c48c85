"""Trades as columns: how facts become trades, and how trades reach their windows, in bulk.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

import msgspec

from app.learning.common.trade import Scope, SegmentKey, Trade, packed


class TradeColumns(msgspec.Struct, array_like=True, gc=False):
    """Trades by place; the columns are those of `Trade`, with packed ranks.

    Attributes
    ----------
    trade_ids, ranks, exit_us, outcomes, segments, homes, scopes, efficiencies
        A list for each field of `Trade`, all of the same length.

    >>> columns = columns_of(
    ...     Trade(
    ...         trade_id, (0, 1, exit_us, "e", "00"), exit_us, 1.0, (None, None), True,
    ...         ({"chain": "sol"},),
    ...     )
    ...     for exit_us, trade_id in enumerate("abc")
    ... )
    >>> len(columns), columns.take([2, 0]).trade_ids
    (3, ['c', 'a'])
    >>> columns.extend(columns.take([1]))
    >>> columns.exit_us
    [0, 1, 2, 1]
    """

    trade_ids: list[str] = []
    ranks: list[bytes] = []
    exit_us: list[int] = []
    outcomes: list[float] = []
    segments: list[SegmentKey] = []
    homes: list[bool] = []
    scopes: list[tuple[Scope, ...]] = []
    efficiencies: list[float | None] = []

    def __len__(self) -> int:
        return len(self.trade_ids)

    def append(
        self,
        trade_id: str,
        rank: bytes,
        exit_us: int,
        outcome: float,
        segment: SegmentKey,
        home: bool,
        scopes: tuple[Scope, ...],
        efficiency: float | None,
    ) -> None:
        """Add a trade at the end.

        Parameters
        ----------
        trade_id, rank, exit_us, outcome, segment, home, scopes, efficiency
            As in `Trade`, with a packed rank.
        """
        self.trade_ids.append(trade_id)
        self.ranks.append(rank)
        self.exit_us.append(exit_us)
        self.outcomes.append(outcome)
        self.segments.append(segment)
        self.homes.append(home)
        self.scopes.append(scopes)
        self.efficiencies.append(efficiency)

    def take(self, places: Sequence[int]) -> TradeColumns:
        """The trades at some places.

        Parameters
        ----------
        places
            The places.

        Returns
        -------
        Their columns, in this order.
        """
        if len(places) < 2:  # for which itemgetter has another result, or none
            return TradeColumns(*([column[i] for i in places] for column in self._columns()))
        chosen = itemgetter(*places)
        return TradeColumns(*(list(chosen(column)) for column in self._columns()))

    def extend(self, others: TradeColumns) -> None:
        """Add trades at the end.

        Parameters
        ----------
        others
            The trades.
        """
        for column, more in zip(self._columns(), others._columns(), strict=True):
            column += more

    def _columns(self) -> tuple[list[Any], ...]:
        return msgspec.structs.astuple(self)


Trades: TypeAlias = TradeColumns | Iterable[Trade]


def columns_of(trades: Trades) -> TradeColumns:
    """Trades as columns.

    Parameters
    ----------
    trades
        The trades, in either form.

    Returns
    -------
    Their columns: `trades` itself if that is what it is.
    """
    if isinstance(trades, TradeColumns):
        return trades
    columns = [list(column) for column in zip(*trades, strict=True)]
    if not columns:
        return TradeColumns()
    ids, ranks, *others = columns
    return TradeColumns(ids, [packed(rank) for rank in ranks], *others)
