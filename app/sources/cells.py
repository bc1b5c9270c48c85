"""One cell of a table as what a mapping makes of it: a text, a number, an exact number, a time, a bucket, a side, a pattern key.

May touch: nothing.  A cell that cannot be read stays the text that stands there, for the door to refuse; an empty one is None.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from app.sources import making
from app.sources.mapping import Column, TableMapping, Template

_DECORATION = re.compile(r"[\s$€£¥'_]+")


class Cells:
    """Reads the cells of rows as `mapping` says; `row` is a dict by column throughout."""

    def __init__(self, mapping: TableMapping) -> None:
        self.mapping = mapping
        self._defaults = mapping.defaults
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
        """What stands in the field's column, or its constant."""
        column = self._columns.get(name)
        return self.mapping.constants.get(name) if column is None else self.raw(row, column)

    def text(self, row: Mapping[str, Any], name: str) -> Any:
        """The field as a text."""
        value = self.field(row, name)
        return None if value is None else as_text(value)

    def number(self, row: Mapping[str, Any], name: str) -> Any:
        """The field as a finite number, scaled; its text where it is none."""
        value, column = self.field(row, name), self.mapping.columns.get(name)
        return parse_number(value, self.mapping.decimal, column.scale if column else None)

    def exact(self, row: Mapping[str, Any], name: str) -> Decimal | None:
        """The field as a decimal number, scaled, digit by digit as it stands there; None where it is none."""
        value, column = self.field(row, name), self.mapping.columns.get(name)
        try:
            found = value if isinstance(value, Decimal) else Decimal(_plain(as_text(value), self.mapping.decimal)[0])
        except (InvalidOperation, ValueError):
            return None
        if not found.is_finite():
            return None
        return found if column is None or column.scale is None else found * Decimal(repr(column.scale))

    def time(self, row: Mapping[str, Any], name: str) -> Any:
        """The field as RFC 3339; its text where it is no time."""
        column = self.mapping.columns.get(name)
        return None if column is None else parse_time(self.raw(row, column.name), column, self.mapping.timezone)

    def side(self, row: Mapping[str, Any]) -> int | None:
        """1 for a buy or a long position, -1 for a sell or a short one, None where it cannot be told."""
        value = self.field(row, "side")
        word = None if value is None else as_text(value).lower()
        found = self.mapping.sides.get(word or "") or self.mapping.sides.get((word or "").partition(" ")[0])
        return {"buy": 1, "sell": -1}.get(found or "")

    def scope(self, row: Mapping[str, Any], dimensions: Mapping[str, str]) -> dict[str, Any]:
        """The dimensions that have a value."""
        return {name: value for name, column in dimensions.items() if (value := self.dimension(row, column)) is not None}

    def dimension(self, row: Mapping[str, Any], column: str) -> Any:
        """A scope value: the bucket's label where the column has buckets.  What is in no bucket because it is no number becomes a list,
        which no door takes for a scope value."""
        value, buckets = self.raw(row, column), self.mapping.buckets.get(column)
        if value is None:
            return None
        if buckets is None:
            return value if isinstance(value, (str, int, float, bool)) else as_text(value)
        number = parse_number(value, self.mapping.decimal)
        return [number] if isinstance(number, str) else buckets.labels[bisect_right(buckets.edges, number)]

    def pattern_key(self, row: Mapping[str, Any], template: Template, module: str) -> str:
        """The template with each column as a segment, the module in front."""
        parts = [template.texts[0]]
        for column, text in zip(template.columns, template.texts[1:], strict=True):
            parts += (making.segment(self.dimension(row, column)), text)
        key = "".join(parts)
        return key if key.partition(".")[0] == module else f"{module}.{key}"

    def in_dollars(self, row: Mapping[str, Any]) -> tuple[bool, str]:
        """(whether the profit is in US dollars, its currency)."""
        currency = str(self.text(row, "currency") or self.mapping.currency).upper()
        return currency in making.US_DOLLARS, currency


def as_text(value: Any) -> str:
    """The cell as a person would write it: whole floats without their `.0`, times in ISO form."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def _plain(text: str, decimal: str = ".") -> tuple[str, bool]:
    """(the number's text as Python reads it, whether it was a percentage).  Thousands, currency signs and accountants' brackets go.

    >>> _plain("$1,234.50"), _plain("(12,5 %)", ","), _plain("1.234,5", ","), _plain("-3")
    (('1234.50', False), ('-12.5', True), ('1234.5', False), ('-3', False))
    """
    text = _DECORATION.sub("", text)
    percent = text.endswith(("%", "%)"))
    text = text.replace("%", "")
    if text.startswith("(") and text.endswith(")"):
        text = f"-{text[1:-1]}"
    text = text.replace(".", "").replace(",", ".") if decimal == "," else text.replace(",", "")
    return text, percent


def parse_number(value: Any, decimal: str = ".", scale: float | None = None) -> Any:
    """A finite number, None for nothing, else the text.  A percent sign divides by 100; `scale` is for numbers without one.

    >>> parse_number("12.3%"), parse_number("12.3", scale=0.01), parse_number("n/a"), parse_number("nan"), parse_number("1,200")
    (0.123, 0.123, 'n/a', 'nan', 1200.0)
    """
    if value is None:
        return None
    percent = False
    if isinstance(value, str):
        try:
            number: Any = float(value) if decimal == "." else math.nan
            if not math.isfinite(number):
                raise ValueError
        except ValueError:
            plain, percent = _plain(value, decimal)
            try:
                number = float(plain)
            except ValueError:
                return value
            if not math.isfinite(number):
                return value
    else:
        number = making.number(value)
        if isinstance(number, str):
            return number
    factor = 0.01 if percent else scale
    return number if factor is None else round(number * factor, 12)


def parse_time(value: Any, column: Column, timezone: ZoneInfo) -> Any:
    """RFC 3339 in UTC, None for nothing, else the text.  Without an offset it is in the column's time zone, or in `timezone`; a day without
    a time is its midnight.

    >>> berlin = ZoneInfo("Europe/Berlin")
    >>> parse_time("31.01.2024 09:30", Column("t", format="%d.%m.%Y %H:%M"), berlin), parse_time("2024-07-01", Column("t"), berlin)
    ('2024-01-31T08:30:00Z', '2024-06-30T22:00:00Z')
    >>> parse_time("1706693400", Column("t", unit="s"), berlin), parse_time("soon", Column("t"), berlin)
    ('2024-01-31T09:30:00Z', 'soon')
    """
    if value is None:
        return None
    if column.unit is not None and not isinstance(value, (datetime, date)):
        return making.from_epoch(value, column.unit)
    zone = column.timezone or timezone
    if isinstance(value, datetime):
        return _in_utc(value, zone)
    if isinstance(value, date):
        return _in_utc(datetime.combine(value, time()), zone)
    return _parsed_time(str(value), column.format, zone)


def _in_utc(moment: datetime, zone: ZoneInfo) -> str:
    try:
        return making.rfc3339(moment if moment.tzinfo else moment.replace(tzinfo=zone))
    except OverflowError:
        return moment.isoformat()


@lru_cache(maxsize=16_384)
def _parsed_time(text: str, form: str | None, zone: ZoneInfo) -> str:
    try:
        moment = datetime.fromisoformat(text) if form is None else datetime.strptime(text, form)  # noqa: DTZ007 (the zone comes below)
    except ValueError:
        return text
    return _in_utc(moment, zone)
