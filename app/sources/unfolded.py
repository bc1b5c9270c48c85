"""Tables that have in a sentence, in a span of time, or in two lines, what others have in the
columns of one row: they are read with these columns added.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.sources.blocks import Block, Row
from app.sources.cells import parse_number
from app.sources.column_names import known_as
from app.sources.spans import with_ends
from app.sources.two_in_one import split

_BALANCES = {"balance_before", "balance_after", "action"}
_CLOSED = re.compile(
    r"Close (?P<Side>long|short) position for symbol (?P<Symbol>\S+) at price (?P<exit>[\d.,]*\d)"
    r" for (?P<Quantity>[\d.,]*\d) units?\. Position AVG Price was (?P<entry>[\d.,]*\d)"
    r"(?:, currency: (?P<currency>\w+), rate: (?P<rate>[\d.]+), point value: (?P<point>[\d.]+))?"
)
_OF_SENTENCES = {
    "Side": "Side",
    "Symbol": "Symbol",
    "Quantity": "Quantity",
    "Entry price": "entry",
    "Exit price": "exit",
    "Point value": "point",
}
_ACTIVITY = {"type", "details", "amount", "units", "position_id", "realized_equity_change"}
_OF_ACTIVITY = ("Symbol", "Side", "Open time", "Close time", "Invested", "Profit")
_LEGS = {"trading_unit", "fee", "fee_unit", "amount", "symbol"}
_OF_ORDER = ("order_id", "order_no", "time", "symbol", "filled_price")
_OF_TWO_LINES = ("Side", "Open time", "Close time", "Open price", "Close price")


def unfolded(block: Block) -> Block:
    """The block, with the columns that its sentences or second lines fill."""
    block = with_ends(block)
    names = {known_as(column): column for column in block.columns}
    if names.keys() >= _BALANCES:
        columns = tuple(name for name in _OF_SENTENCES if name not in block.columns)
        return block._replace(
            columns=(*block.columns, *columns),
            rows=_of_sentences(block.rows, names["action"], columns),
        )
    if names.keys() >= {*_ACTIVITY, "date"}:
        return block._replace(
            columns=(*block.columns, *_OF_ACTIVITY), rows=_of_activity(block.rows, names)
        )
    if names.keys() >= _LEGS:
        return block._replace(rows=_of_two_legs(block.rows, names))
    number = next((names[n] for n in ("ticket", "ticket_no") if n in names), None)
    day = next((names[n] for n in ("date", "time", "date_time") if n in names), None)
    if number and day and {"sold", "bought"} <= names.keys():
        return block._replace(
            columns=(*block.columns, *_OF_TWO_LINES),
            rows=_of_two_lines(block.rows, number, day, names["bought"], names["sold"]),
        )
    return split(block)


def _of_sentences(rows: Iterator[Row], action: str, columns: tuple[str, ...]) -> Iterator[Row]:
    """Read the balance history of TradingView's paper trading."""
    for row in rows:
        said = _CLOSED.match(str(row.cells.get(action) or ""))
        found = {name: said[_OF_SENTENCES[name]] if said else None for name in columns}
        cells = {**row.cells, action: None} if said else row.cells
        yield row._replace(cells={**cells, **found})


def _of_activity(rows: Iterator[Row], names: dict[str, str]) -> Iterator[Row]:
    """Read eToro's account activity: one line opens a position and another, not next to it, closes
    it; neither says whether it was long or short."""
    kind, number, day = names["type"], names["position_id"], names["date"]
    waiting: dict[tuple[str, str], Row] = {}
    for row in rows:
        said = str(row.cells.get(kind) or "").strip().lower()
        if said not in ("open position", "position closed"):
            yield row
            continue
        own = str(row.cells.get(number) or "")
        other = waiting.pop((own, "position closed" if said[0] == "o" else "open position"), None)
        if other is None:
            waiting[own, said] = row
            continue
        opened, closed = (row, other) if said[0] == "o" else (other, row)
        found = {
            "Symbol": closed.cells.get(names["details"]),
            "Side": "not said",
            "Open time": opened.cells.get(day),
            "Close time": closed.cells.get(day),
            "Invested": opened.cells.get(names["amount"]),
            "Profit": closed.cells.get(names["realized_equity_change"]),
        }
        yield closed._replace(cells={**closed.cells, names["amount"]: None, **found})
    yield from waiting.values()


def _of_two_legs(rows: Iterator[Row], names: dict[str, str]) -> Iterator[Row]:
    """Read OKX's trades on the spot market: a fill has a row in each of its two coins, next to each
    other, and its fee is in either.  The first row gets the fee."""
    same = [names[name] for name in _OF_ORDER if name in names]
    unit, fee, coin = names["trading_unit"], names["fee"], names["fee_unit"]
    first: Row | None = None
    for row in rows:
        if (
            first is not None
            and first.cells.get(unit) != row.cells.get(unit)
            and all(first.cells.get(column) == row.cells.get(column) for column in same)
        ):
            if not parse_number(first.cells.get(fee)) and parse_number(row.cells.get(fee)):
                moved = {column: row.cells.get(column) for column in (fee, coin)}
                first = first._replace(cells={**first.cells, **moved})
                row = row._replace(cells={**row.cells, fee: "0"})
            yield first
            yield row
            first = None
            continue
        if first is not None:
            yield first
        first = row
    if first is not None:
        yield first


def _of_two_lines(
    rows: Iterator[Row], number: str, day: str, bought: str, sold: str
) -> Iterator[Row]:
    """Read FXCM's statements: the line of the entry has the number of the trade and its profit, the
    one below it only the time and the price of the exit."""
    first: Row | None = None
    for row in rows:
        if _has(row, number):
            if first is not None:
                yield first
            first = row
            continue
        if first is None or not _has(row, day) or _has(first, bought) == _has(row, bought):
            yield row
            continue
        long = _has(first, bought)
        opened, closed = (bought, sold) if long else (sold, bought)
        found = {
            "Side": "long" if long else "short",
            "Open time": first.cells.get(day),
            "Close time": row.cells.get(day),
            "Open price": first.cells.get(opened),
            "Close price": row.cells.get(closed),
        }
        yield first._replace(cells={**first.cells, day: None, bought: None, sold: None, **found})
        first = None
    if first is not None:
        yield first


def _has(row: Row, column: str) -> bool:
    return bool(str(row.cells.get(column) or "").strip())
