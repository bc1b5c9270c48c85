"""One cell of a table as what a mapping makes of it: a text, a number, an exact number, a time, a
bucket, a side, a pattern key.

May touch: nothing.  A cell that cannot be read stays text, which input validation rejects; an empty
one is None.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from app.sources import making
from app.sources.cell_times import parse_time
from app.sources.currencies import NAMES_OF_CURRENCIES, SMALLEST
from app.sources.figures import filled_part, thirty_seconds, without_triangle, written
from app.sources.lines import Money, Since1904
from app.sources.mapping import Column, TableMapping, Template
from app.sources.pairs import coin_of_inverse, pair_of, settled_in
from app.sources.sides import Event, Side, read_side
from app.sources.symbol_texts import named, option_contract

QUOTE = "QUOTE"
"""`currency = "quote"` of a mapping: each pair's own quote currency."""
COIN = "COIN"
"""`currency = "coin"` of a mapping: the coin that each inverse contract is settled in."""
UNKNOWN = "unknown"
NOTHING = frozenset({"--", "---", "—", "n/a", "null", "none", "various"})
"""Texts that programs write for "no number", and tax forms for several days of purchase."""
DASHES = frozenset("-–")
"""The same, but for columns of sides."""
_NOTHING_BEGINS = frozenset(text[0] for one in NOTHING for text in (one, one.upper()))
_OTHER_DOLLARS = frozenset(("AUD", "CAD", "NZD", "SGD", "HKD", "TWD", "MXN", "ARS", "CLP", "COP"))
"""Currencies whose amounts have a plain `$` in their own country."""
HUNDREDTHS = {
    "GBp": "GBX",
    "GBx": "GBX",
    "GBX": "GBX",
    "ZAc": "ZAC",
    "ZAC": "ZAC",
    "ILA": "ILA",
}
"""Codes of hundredths of a currency: some differ from its own only by small letters."""
WHOLE = {"GBX": "GBP", "ZAC": "ZAR", "ILA": "ILS"}
"""The currencies of which these are hundredths."""
OWN_SIDES: dict[str, Side | Event] = {
    "buy": Side(1, 1),
    "sell": Side(-1, -1),
    "close": Event("closing"),
    "expiry": Event("expiry"),
    "split": Event("split"),
}
"""What the words in `[sides]` of a mapping mean."""


def _is_nothing(value: Any) -> bool:
    """Whether a cell has a text that means "no number", or "no time"."""
    return isinstance(value, str) and (
        value in DASHES or (value[:1] in _NOTHING_BEGINS and value.lower() in NOTHING)
    )


class Cells:
    """Reads the cells of rows as `mapping` says; `row` is a dict by column throughout."""

    def __init__(self, mapping: TableMapping) -> None:
        self.mapping = mapping
        self._defaults = mapping.defaults
        side = mapping.columns.get("side")
        self._side_is_cash = side is not None and side.cash
        self._side_is_paid = side is not None and side.paid
        self._triangle = mapping.triangle
        self._in_32nds = mapping.apostrophe == "32nds"
        self._columns = {name: column.name for name, column in mapping.columns.items()}

    def has(self, name: str) -> bool:
        """Whether the field has a column or a constant."""
        return name in self._columns or name in self.mapping.constants

    def raw(self, row: Mapping[str, Any], column: str) -> Any:
        """What stands in the column: trimmed, the column's default where it is empty, else None."""
        value = row.get(column)
        if isinstance(value, str):
            value = value.strip()
        if value is None or value == "":
            return self._defaults.get(column) if self._defaults else None
        return value

    def field(self, row: Mapping[str, Any], name: str) -> Any:
        """What stands in the field's column (in several: what stands in them, with spaces between),
        or its constant."""
        column = self._columns.get(name)
        if column is None:
            return self.mapping.constants.get(name)
        if more := self.mapping.columns[name].more:
            parts = [
                value for each in (column, *more) if (value := self.raw(row, each)) is not None
            ]
            return (
                " ".join(_joined(part) for part in parts)
                if len(parts) > 1
                else (parts[0] if parts else None)
            )
        return self.raw(row, column)

    def text(self, row: Mapping[str, Any], name: str) -> Any:
        """The field as a text."""
        value = self.field(row, name)
        return None if value is None else as_text(value)

    def symbol(self, row: Mapping[str, Any]) -> Any:
        """What was traded: the contract of an option where one is named in the column for that,
        else the field."""
        column = self.mapping.columns.get("symbol")
        if column is not None and column.coin:
            return self.unit(row, "symbol")
        if (
            column is not None
            and column.option is not None
            and (contract := option_contract(str(self.raw(row, column.option) or "")))
        ):
            return contract
        return named(self.text(row, "symbol"))

    def number(self, row: Mapping[str, Any], name: str) -> Any:
        """The field as a finite number, scaled; several columns are added.  Its text where it is
        none."""
        column = self.mapping.columns.get(name)
        if column is None or not column.more:
            found = parse_number(
                self._plain(self.field(row, name)),
                self.mapping.decimal,
                column.scale if column else None,
            )
            return (
                abs(found)
                if column is not None and column.absolute and type(found) in (int, float)
                else found
            )
        parts = [
            self._signed(
                parse_number(self._plain(self.raw(row, each)), self.mapping.decimal, column.scale),
                each in column.minus,
            )
            for each in (column.name, *column.more)
        ]
        known = [part for part in parts if part is not None]
        if unread := [part for part in known if isinstance(part, str)]:
            return unread[0]
        return round(sum(known), 12) if known else None

    @staticmethod
    def _signed(number: Any, minus: bool) -> Any:
        return -number if minus and isinstance(number, (int, float, Decimal)) else number

    def is_empty(self, row: Mapping[str, Any], name: str) -> bool:
        """Whether the field has no number: nothing, or what stands for nothing."""
        return self._plain(self.field(row, name)) is None

    def _plain(self, value: Any) -> Any:
        """None for texts that mean "nothing"; a price in 32nds of a point as a number, where the
        mapping says that apostrophes mean that."""
        if _is_nothing(value):
            return None
        if self._triangle is not None and isinstance(value, str):
            value = without_triangle(value, self._triangle)
        if self._in_32nds and isinstance(value, str):
            found = thirty_seconds(value)
            return value if found is None else str(found)
        return value

    def exact(self, row: Mapping[str, Any], name: str) -> Decimal | None:
        """The field as a decimal number, scaled, exactly as written; None if it is not a number."""
        column = self.mapping.columns.get(name)
        if column is None or not column.more:
            return self._exact(self.field(row, name), column)
        values = [
            (value, each in column.minus)
            for each in (column.name, *column.more)
            if (value := self._plain(self.raw(row, each))) is not None
        ]
        found = [self._signed(self._exact(value, column), minus) for value, minus in values]
        known = [number for number in found if number is not None]
        return sum(known, Decimal(0)) if known and len(known) == len(found) else None

    def _exact(self, value: Any, column: Column | None) -> Decimal | None:
        value = self._plain(value)
        if column is not None and column.part and isinstance(value, str):
            return filled_part(value)
        if isinstance(value, bool) or value is None:
            return None
        try:
            if isinstance(value, Decimal):
                found = value
            elif isinstance(value, str) and value.isdecimal():
                found = Decimal(value)
            else:
                told = written(as_text(value), self.mapping.decimal)
                found = Decimal(told.text if told else "?")
        except InvalidOperation:
            return None
        if not found.is_finite():
            return None
        found = abs(found) if column is not None and column.absolute else found
        return (
            found if column is None or column.scale is None else found * Decimal(repr(column.scale))
        )

    def unit(self, row: Mapping[str, Any], name: str) -> str | None:
        """The currency or unit that stands in the field's cell: `ETH` of `0.0002ETH`."""
        value = self.field(row, name)
        if isinstance(value, Money):
            return value.unit
        told = written(value, self.mapping.decimal) if isinstance(value, str) else None
        if told is None or told.unit != "USD" or name == "symbol":
            return told.unit if told else None
        plain = "$" in value and "US" not in value
        return "USD" if not plain or self.currency(row) not in _OTHER_DOLLARS else None

    def time(self, row: Mapping[str, Any], name: str) -> Any:
        """The field as RFC 3339; its text if it is not a time."""
        column = self.mapping.columns.get(name)
        if column is None:
            return None
        value = self.field(row, name) if column.more else self.raw(row, column.name)
        if _is_nothing(value):
            return None
        if column.unit == making.DAYS and column.more:
            parts = [self.raw(row, each) for each in (column.name, *column.more)]
            if all(isinstance(part, Since1904) for part in parts):
                value = Since1904(sum(parts))
        return parse_time(value, column, self.mapping.timezone)

    def side(self, row: Mapping[str, Any]) -> Side | Event | None:
        """What the row's side means, by the mapping's own words first; None if unknown."""
        value = self.field(row, "side")
        if self._side_is_paid:
            paid = self.exact(row, "side")
            unread = paid is None and not self.is_empty(row, "side")
            return None if unread else Side(1, 1) if paid else Side(-1, -1)
        if value is None:
            return None
        if self._side_is_cash:
            paid = self.exact(row, "side")
            return None if not paid else Side(1, 1) if paid < 0 else Side(-1, -1)
        text = as_text(value)
        word = text.strip().lower()
        own = self.mapping.sides.get(word) or self.mapping.sides.get(word.partition(" ")[0])
        if own is not None:
            return OWN_SIDES[own]
        return read_side(text)

    def scope(self, row: Mapping[str, Any], dimensions: Mapping[str, str]) -> dict[str, Any]:
        """The dimensions that have a value."""
        return {
            name: value
            for name, column in dimensions.items()
            if (value := self.dimension(row, column)) is not None
        }

    def dimension(self, row: Mapping[str, Any], column: str) -> Any:
        """A scope value: the bucket's label where the column has buckets.  A value that is not a
        number becomes a list, which input validation rejects as a scope value."""
        value, buckets = self.raw(row, column), self.mapping.buckets.get(column)
        if value is None:
            return None
        if buckets is None:
            value = float(value) if isinstance(value, float) else value
            return value if isinstance(value, (str, int, float, bool)) else as_text(value)
        number = parse_number(value, self.mapping.decimal)
        return (
            [number]
            if isinstance(number, str)
            else buckets.labels[bisect_right(buckets.edges, number)]
        )

    def pattern_key(self, row: Mapping[str, Any], template: Template, module: str) -> str:
        """The template with each column as a segment, preceded by the module."""
        parts = [template.texts[0]]
        for column, text in zip(template.columns, template.texts[1:], strict=True):
            parts += (making.segment(self.dimension(row, column)), text)
        key = "".join(parts)
        return key if key.partition(".")[0] == module else f"{module}.{key}"

    def currency(self, row: Mapping[str, Any], symbol: Any = None) -> str:
        """The currency of the row's profit: its column's, with `currency = "quote"` that in which
        the pair `symbol` is priced."""
        own = str(self.text(row, "currency") or "").strip()
        own = HUNDREDTHS.get(own, SMALLEST.get(own, (own.upper(),))[0])
        own = NAMES_OF_CURRENCIES.get(own.lower(), own)
        if not own and (self.mapping.inverse or self.mapping.currency == COIN):
            name = str(symbol if symbol is not None else self.symbol(row) or "")
            if self.mapping.currency == COIN or self.mapping.is_inverse(name):
                return coin_of_inverse(name) or COIN
        if not own and self.mapping.currency == QUOTE:
            text = str(symbol if symbol is not None else self.symbol(row) or "")
            pair = pair_of(text)
            return settled_in(text) or (pair[1] if pair else UNKNOWN)
        return own or self.mapping.currency

    def in_dollars(self, row: Mapping[str, Any]) -> tuple[bool, str]:
        """(whether the profit is in US dollars, its currency).  A sign in the cell of the profit,
        or of the price that it is computed from, goes before what the mapping says."""
        currency = self.unit(row, "pnl_usd")
        if currency is None and not self._columns.keys() & {"pnl_usd", "currency"}:
            currency = self.unit(row, "exit_price")
        currency = currency or self.currency(row)
        return currency in making.US_DOLLARS, currency


def _joined(part: Any) -> str:
    if isinstance(part, datetime) and not (part.hour or part.minute or part.second):
        return part.date().isoformat()
    return as_text(part)


def as_text(value: Any) -> str:
    """The cell as a person would write it: whole floats without their `.0`, times in ISO form."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def parse_number(value: Any, decimal: str = ".", scale: float | None = None) -> Any:
    """A finite number, None for nothing, else the text.  A percent sign divides by 100; `scale` is
    for numbers without one.

    >>> (
    ...     parse_number("12.3%"), parse_number("12.3", scale=0.01), parse_number("n/a"),
    ...     parse_number("nan"), parse_number("1,200"),
    ... )
    (0.123, 0.123, 'n/a', 'nan', 1200.0)
    """
    if value is None:
        return None
    percent = False
    if isinstance(value, str):
        try:
            number: Any = float(value) if decimal == "." else math.nan
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            told = written(value, decimal)
            number, percent = (float(told.text), told.percent) if told else (math.nan, False)
        if not math.isfinite(number):
            return value
    else:
        number = making.number(float(value) if isinstance(value, float) else value)
        if isinstance(number, str):
            return number
    factor = 0.01 if percent else scale
    return number if factor is None else round(number * factor, 12)
