"""freqtrade's trades database: the tables `trades` and `orders` of its SQLite file, as written by
any of its releases.

May touch: the file, opened for reading only; a bot may be writing to it meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from app.errors import BadDataError, UsageError
from app.sources import making
from app.sources.notes import Notes
from edgeloop.integrations.freqtrade_close import Order, Trade, close

OPEN = "trades that are still open, left out"
_FILLED = frozenset({"closed", None})
"""The states of an order that is known to be filled, although the filled amount is missing: then
all of it was filled."""


class Read(NamedTuple):
    """One trade: its event, the id of its row, and how many of `of` rows have been read."""

    event: dict[str, Any]
    row: Any
    done: int
    of: int


def read(path: str, module: str, notes: Notes) -> Iterator[Read]:
    """The closed trades in the database, by id.  Raises `UsageError` if it cannot be opened, and
    `BadDataError` if it is another kind of database."""
    if not Path(path).is_file():
        raise UsageError(
            f"{path} does not exist.",
            "Name freqtrade's database, such as tradesv3.sqlite.",
        )
    try:
        with closing(_open(path)) as database:
            names = {
                row[0]
                for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
            if "trades" not in names:
                raise BadDataError(
                    f"{path} has no table `trades`.",
                    "Name freqtrade's database, such as tradesv3.sqlite.",
                )
            yield from _trades(database, "orders" in names, module, notes)
    except sqlite3.Error as error:
        raise BadDataError(
            f"{path} cannot be read as an SQLite database: {error}.", "Name freqtrade's database."
        ) from error


def is_one(path: str) -> bool:
    """Whether the file is freqtrade's database, also if it cannot be read as a database at all:
    `read` then refuses it."""
    try:
        with closing(
            sqlite3.connect(f"file:{quote(str(Path(path).resolve()))}?mode=ro", uri=True)
        ) as database:
            columns = {row[1] for row in database.execute("PRAGMA table_info(trades)")}
            names = {
                row[0]
                for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
    except sqlite3.Error:
        return True
    return not names or bool(columns & {"open_rate", "ft_trade_id", "fee_open", "pair"})


def _open(path: str) -> sqlite3.Connection:
    uri = f"file:{quote(str(Path(path).resolve()))}?mode=ro"
    database = sqlite3.connect(uri, uri=True)
    try:
        database.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        # A database with a write-ahead log in a read-only folder: nobody writes there, so it will
        # not change.
        database.close()
        database = sqlite3.connect(f"{uri}&immutable=1", uri=True)
    database.row_factory = sqlite3.Row
    database.text_factory = lambda raw: raw.decode(errors="replace")
    return database


def _trades(
    database: sqlite3.Connection, has_orders: bool, module: str, notes: Notes
) -> Iterator[Read]:
    (of,) = database.execute("SELECT count(*) FROM trades").fetchone()
    orders = _Orders(database) if has_orders else None
    for done, stored in enumerate(database.execute("SELECT * FROM trades ORDER BY id"), 1):
        row = dict(stored)
        own = orders.of(row["id"]) if orders else []
        if row.get("is_open"):
            notes.add(OPEN)
            continue
        yield Read(close(_trade(row, own), module, notes.add), row["id"], done, of)


def _trade(row: Mapping[str, Any], orders: list[Mapping[str, Any]]) -> Trade:
    opened, strategy = making.from_utc(row.get("open_date")), row.get("strategy")
    is_short = bool(row.get("is_short"))
    pair = str(row.get("pair"))
    return Trade(
        trade_id=f"freqtrade/{strategy or '-'}/{pair}/{opened}/{row['id']}",
        strategy=strategy,
        pair=row.get("pair"),
        stake_currency=row.get("stake_currency") or quote_currency(pair),
        exchange=row.get("exchange"),
        timeframe=timeframe(row.get("timeframe", row.get("ticker_interval"))),
        enter_tag=row.get("enter_tag", row.get("buy_tag")),
        exit_reason=row.get("exit_reason", row.get("sell_reason")),
        opened=opened,
        closed=making.from_utc(row.get("close_date")),
        open_rate=row.get("open_rate"),
        close_rate=row.get("close_rate"),
        amount=row.get("amount"),
        fee_open=row.get("fee_open", row.get("fee")),
        fee_close=row.get("fee_close", row.get("fee")),
        profit_ratio=row.get("close_profit"),
        profit_abs=row.get("close_profit_abs"),
        min_rate=row.get("min_rate"),
        max_rate=row.get("max_rate"),
        is_short=is_short,
        leverage=row.get("leverage"),
        orders=[
            order for stored in orders if (order := _order(stored, "sell" if is_short else "buy"))
        ],
    )


def _order(row: Mapping[str, Any], entry_side: str) -> Order | None:
    """None for an order that was not filled at all."""
    filled = row.get("filled")
    amount = making.real(row.get("amount") if filled is None else filled)
    if (
        row.get("ft_is_open")
        or not amount
        or amount <= 0
        or (filled is None and row.get("status") not in _FILLED)
    ):
        return None
    when = next(
        (
            row[name]
            for name in ("order_filled_date", "order_update_date", "order_date")
            if row.get(name)
        ),
        None,
    )
    placed = making.from_utc(row.get("order_date") or when)
    return Order(
        is_entry=row.get("ft_order_side", row.get("side")) == entry_side,
        amount=amount,
        price=making.real(row.get("average") or row.get("price") or row.get("ft_price")),
        placed=placed,
        filled=making.from_utc(when),
        tag=row.get("ft_order_tag"),
    )


class _Orders:
    """The orders of each trade, read in step with the trades, so that they need not fit into
    memory."""

    def __init__(self, database: sqlite3.Connection) -> None:
        columns = {row[1] for row in database.execute("PRAGMA table_info(orders)")}
        query = (
            "SELECT * FROM orders WHERE typeof(ft_trade_id) = 'integer' ORDER BY ft_trade_id, id"
        )
        rows: Iterable[sqlite3.Row] = (
            database.execute(query) if {"ft_trade_id", "id"} <= columns else ()
        )
        self._groups = groupby(rows, key=lambda row: row["ft_trade_id"])
        self._next = next(self._groups, None)

    def of(self, trade_id: int) -> list[Mapping[str, Any]]:
        """The orders of the trade `trade_id`; ids must be passed in ascending order."""
        while self._next is not None and self._next[0] < trade_id:
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != trade_id:
            return []
        found: list[Mapping[str, Any]] = [dict(row) for row in self._next[1]]
        self._next = next(self._groups, None)
        return found


def timeframe(minutes: Any) -> str | None:
    """freqtrade's timeframe, which its database stores in minutes, in the usual notation.

    >>> (
    ...     timeframe(5), timeframe(60), timeframe(1440), timeframe(10080), timeframe("4h"),
    ...     timeframe(None),
    ... )
    ('5m', '1h', '1d', '1w', '4h', None)
    """
    if isinstance(minutes, int) and minutes > 0:
        for size, letter in ((10_080, "w"), (1_440, "d"), (60, "h")):
            if minutes % size == 0:
                return f"{minutes // size}{letter}"
        return f"{minutes}m"
    return None if minutes is None else str(minutes)


def quote_currency(pair: str) -> str:
    """The currency in which a pair is quoted: `BTC/USDT:USDT` is quoted in USDT.

    >>> quote_currency("BTC/USDT:USDT"), quote_currency("odd")
    ('USDT', '')
    """
    return pair.partition("/")[2].partition(":")[0]
