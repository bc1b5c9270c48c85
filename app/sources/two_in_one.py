"""Tables whose cells have two values, as `100 @ 170.50` and `5600.25 / 5610.50`, and those whose
trades have two lines: they are read with columns for each value.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import chain, islice
from typing import Any

from app.sources.blocks import Block, Row, is_value
from app.sources.cells import parse_number
from app.sources.column_names import NAMES, known_as
from app.sources.ends import end_of

_LOOKED_AT = 20
"""Rows whose cells show whether they have two values."""
_AT = re.compile(r"\s*([+-]?[^@]*\d[^@]*?)\s*@\s*([^@]*\d[^@]*?)\s*")
_TWO = re.compile(r"\s*(\S.*?)\s*(?: / | - | – | — | → | -> |\|| to |\n)\s*(\S.*?)\s*")
_BETWEEN = re.compile(r"\s*(?:→|->)\s*|\s+[-–/&|]\s+|\s*[/|&@\n]\s*|\s+and\s+")
_TWO_NAMES = re.compile(r"(\S.*?)\s+-\s+(\S.*)")
"""Of a column that has one value in the first line of a trade, and another one in the second."""
_QUANTITIES = frozenset(NAMES["quantity"])
_PRICES = frozenset(NAMES["price"])
_NUMBERS = frozenset(("no", *NAMES["trade_id"]))
_OF_LINES = ("Entry time", "Exit time", "Entry price", "Exit price")


def split(block: Block) -> Block:
    """The block, with a column for each value of its cells that have two, and one row for each
    trade that has two lines."""
    if len(block.columns) < 2:
        return block
    first = list(islice(block.rows, _LOOKED_AT))
    block = block._replace(rows=chain(first, block.rows))
    known = {*map(known_as, block.columns)}
    parts = {
        column: found
        for column in block.columns
        if (found := _parts(column, [row.cells.get(column) for row in first])) is not None
        and not {*map(known_as, found[1])} & known
        and not (found[0] is _AT and known & _QUANTITIES and known & _PRICES)
    }
    if parts:
        added = tuple(name for _, names in parts.values() for name in names)
        return block._replace(columns=(*block.columns, *added), rows=_split(block.rows, parts))
    lines = _lines(block.columns, first)
    return block if lines is None else _joined(block, lines)


def _parts(column: str, cells: Sequence[Any]) -> tuple[re.Pattern[str], tuple[str, str]] | None:
    """(what divides the cells, the names of their two values), None if they are not two."""
    texts = [cell for cell in cells if isinstance(cell, str) and cell.strip()]
    if not texts or any(cell for cell in cells if not isinstance(cell, str)):
        return None
    for pattern in (_AT, _TWO):
        found = [pattern.fullmatch(text) for text in texts]
        if not all(one and is_value(one[1]) and is_value(one[2]) for one in found):
            continue
        names = _names_at(column) if pattern is _AT else _two_names(column)
        if names is not None:
            return pattern, names
    return None


def _names_at(column: str) -> tuple[str, str] | None:
    """Of a quantity `@` a price: `Entry` has an `Entry quantity` and an `Entry price`."""
    names = _BETWEEN.split(column)
    if len(names) == 2 and known_as(names[0]) in _QUANTITIES and known_as(names[1]) in _PRICES:
        return names[0], names[1]
    end = end_of(known_as(column))
    if end is None:
        return None
    return (f"{end.title()} quantity", f"{end.title()} price")


def _two_names(column: str) -> tuple[str, str] | None:
    """`Entry/Exit price` is `Entry price` and `Exit price`."""
    names = _BETWEEN.split(column)
    if len(names) != 2:
        return None
    noun = names[1].split()[1:]
    first = names[0] if len(names[0].split()) > 1 else " ".join((names[0], *noun))
    if {end_of(known_as(first)), end_of(known_as(names[1]))} != {"entry", "exit"}:
        return None
    return first, names[1]


def _split(
    rows: Iterator[Row], parts: dict[str, tuple[re.Pattern[str], tuple[str, str]]]
) -> Iterator[Row]:
    for row in rows:
        cells = dict(row.cells)
        for column, (pattern, names) in parts.items():
            found = pattern.fullmatch(str(cells.get(column) or ""))
            # A cell that has not two values stays what it is, where a value was expected.
            values = (found[1], found[2]) if found else (cells.get(column),) * 2
            cells.update(zip(names, values, strict=True))
        yield row._replace(cells=cells)


class _Lines:
    """The columns of a table whose trades have two lines: the `number` that only the first has, the
    `time` and `price` of both, and those `two` that have one value in the first and another one
    in the second, with the names of both."""

    def __init__(self, number: str, time: str, price: str, two: dict[str, tuple[str, str]]) -> None:
        self.number, self.time, self.price, self.two = number, time, price, two


def _lines(columns: Sequence[str], first: Sequence[Row]) -> _Lines | None:
    """How trades of two lines are written, None if a row is a trade or a fill: the number stands
    in every other row, and so does the quantity, or two values are in one column."""
    known = {known_as(column): column for column in columns}
    number = next((c for name, c in known.items() if name in _NUMBERS), None)
    time = next((known[name] for name in NAMES["time"] if name in known), None)
    price = next((known[name] for name in NAMES["price"] if name in known), None)
    if number is None or time is None or price is None or len(first) < 2:
        return None
    two = {
        column: (found[1], found[2])
        for column in columns
        if (found := _TWO_NAMES.fullmatch(column))
        and all(known_as(found[at]) in _KNOWN for at in (1, 2))
    }
    quantity = next((c for name, c in known.items() if name in _QUANTITIES), None)
    pairs = [*zip(first[::2], first[1::2], strict=False)]
    filled = [number, *([quantity] if quantity else [])]
    if not (two or quantity) or not all(
        all(_has(one, column) and not _has(other, column) for column in filled)
        and all(_has(row, column) for row in (one, other) for column in (time, price))
        for one, other in pairs
    ):
        return None
    return _Lines(number, time, price, two)


_KNOWN = frozenset(
    name for field in ("quantity", "pnl_usd", "roi", "fee", "price") for name in NAMES[field]
) | {"cum_net_profit", "cum_profit", "profit_loss", "drawdown", "run_up"}


def _joined(block: Block, lines: _Lines) -> Block:
    added = tuple(name for pair in lines.two.values() for name in pair)
    return block._replace(
        columns=(*block.columns, *_OF_LINES, *(n for n in added if n not in block.columns)),
        rows=_of_lines(block.rows, lines),
    )


def _of_lines(rows: Iterator[Row], lines: _Lines) -> Iterator[Row]:
    """One row for each trade; a line that has no other, as that of an open trade, stays as it
    is."""
    opened: Row | None = None
    for row in rows:
        if _has(row, lines.number) or opened is None:
            if opened is not None:
                yield opened
            opened = row
            continue
        found: dict[str, Any] = {
            "Entry time": opened.cells.get(lines.time),
            "Exit time": row.cells.get(lines.time),
            "Entry price": opened.cells.get(lines.price),
            "Exit price": row.cells.get(lines.price),
        }
        for column, (one, other) in lines.two.items():
            found |= {one: opened.cells.get(column), other: row.cells.get(column), column: None}
        others = {c: v for c, v in row.cells.items() if not _has(opened, c)}
        paid = {c: _sum(opened.cells[c], row.cells.get(c)) for c in opened.cells if _is_fee(c)}
        cells = {**opened.cells, **others, **paid, lines.time: None, lines.price: None, **found}
        yield opened._replace(cells=cells)
        opened = None
    if opened is not None:
        yield opened


def _is_fee(column: str) -> bool:
    return known_as(column) in NAMES["fee"]


def _sum(first: Any, second: Any) -> Any:
    """The fees of both lines; the first where the second has none."""
    numbers = [parse_number(cell) for cell in (first, second)]
    marks = any("," in str(cell) for cell in (first, second))  # Perhaps decimal ones.
    if marks or not all(isinstance(number, float) for number in numbers):
        return first if first not in (None, "") else second
    return str(sum(Decimal(repr(number)) for number in numbers))


def _has(row: Row, column: str) -> bool:
    return bool(str(row.cells.get(column) or "").strip())
