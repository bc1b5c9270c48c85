"""Trades as columns: how facts become trades, and how trades reach their windows, in bulk.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias, TypeVar

import msgspec

from app.learning.common.trade import Scope, SegmentKey, Trade, packed

Key = TypeVar("Key")


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


Row: TypeAlias = tuple[str, bytes, int, float, SegmentKey, bool, tuple[Scope, ...], float | None]
"""The fields of a trade, with a packed rank."""


def by_group(rows: Mapping[Key, Sequence[Row]]) -> dict[Key, TradeColumns]:
    """Trades as columns, which takes less time at once than one trade after the other.

    Parameters
    ----------
    rows
        The trades of each group; some may have none.

    Returns
    -------
    Their columns, in the same order.

    >>> scopes = ({"chain": "sol"},)
    >>> row = ("a", b"rank", 5, 1.0, (None, None), True, scopes, None)
    >>> found = by_group({"one": [row, row], "none": []})
    >>> found["one"].exit_us, len(found["none"])
    ([5, 5], 0)
    """
    return {
        group: TradeColumns(*map(list, zip(*held, strict=True))) if held else TradeColumns()
        for group, held in rows.items()
    }


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
