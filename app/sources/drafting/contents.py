"""The columns of a table with what stands in them: numbers, times, words, and how each is to be
read.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from app.sources import times
from app.sources.cells import DASHES, NOTHING, as_text, parse_number
from app.sources.column_names import known_as
from app.sources.drafting.time_readings import (
    MOST,
    TimeReading,
    read_texts,
    read_times,
    time_text,
    zone_of_name,
)
from app.sources.figures import (
    filled_part,
    has_share,
    marks,
    thirty_seconds,
    without_triangle,
    written,
)
from app.sources.lines import Money
from app.sources.making import DAYS
from app.sources.mapping import OPEN_QUESTION
from app.sources.tables import Row

_NO_THOUSANDS = re.compile(r"\d{2,3}['’]\d\d\+?|\d{2,4}['’]\d|\d{2,3}-\d\d[0257+]?")
_SPAN = re.compile(r"\s*(?:[-–—→>]+|to|bis)\s*")
_CLOCK = re.compile(
    r"\d{1,2}:\d{2}(:\d{2}([.,]\d{1,7})?)?\s*([ap]\.?m\.?)?(\s*[A-Z]{2,4})?|\d{1,2} ?h ?\d{2}",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"([01]?\d|2[0-3])[0-5]\d([0-5]\d(\.\d+)?)?")
_NO_CLOCK = re.compile("hold|held|durat|elapsed|in_|_in|per_|min|sec")
_OF_TIMES = re.compile(
    r"(^|_)(time|uhrzeit|heure|hora|ora|tijd|saat|tmd)(_|$)|시간|시각|時間|时间|時刻"
)
"""Times of day without colons, which only the column's name tells from other numbers."""
_EXACT = 6
"""Characters that parts of a day have more of than other numbers below 1."""
_EAST = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
"""Letters of Thailand, Japan, China and Korea."""
_SHARE = re.compile(r"%|\d ?bps?$", re.IGNORECASE)
_TRIANGLE = re.compile(r"[▲△▼▽]\s?\d")
_JAPANESE = re.compile("[\u3040-\u30ff]|損益|約定|銘柄|数量|決済")
_DOTTED_DAY = re.compile(r"\d{1,2}\.\d{1,2}\.\d{2,4}(?!\d)")
_SIGN = re.compile(r"[$€£]")
_UTC = ZoneInfo("UTC")
_MANY, _SPREAD = 5_000, 1_000
"""Of columns with more cells than that, so many from the first to the last show whether any is a
number."""


@dataclass
class Contents:
    """The kept rows of a table, by column, and the lines of text around it."""

    columns: tuple[str, ...]
    rows: list[Row]
    decimal: str = ""
    triangle: str = ""
    """What `▲` means in numbers, as in a mapping; empty where nothing shows it."""
    texts: list[str] = field(default_factory=list)
    parts: set[str] = field(default_factory=set)
    """Columns of quantities in which what was filled and what was ordered stand: `50/100`."""
    orders: dict[str, str] = field(default_factory=dict)
    """Whether the day or the month comes first (`dm`, `md`), where that is known by column."""
    _cache: dict[tuple[str, str], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.decimal:
            self.triangle = self._of_triangles()
            self.decimal = self._decimal_mark()

    @property
    def n_rows(self) -> int:
        return len(self.rows)

    def with_rows(self, rows: list[Row]) -> Contents:
        """The same columns with fewer rows."""
        return Contents(
            self.columns, rows, self.decimal, self.triangle, self.texts, self.parts, self.orders
        )

    def cells(self, column: str) -> list[Any]:
        """What stands in each row, trimmed; None where there is nothing."""

        def cells() -> list[Any]:
            found = [_cell(row.cells.get(column)) for row in self.rows]
            if all(v is None or v == "+" or v in DASHES for v in found if isinstance(v, str)):
                return found  # A column of `+` and `-` alone has sides.
            return [None if isinstance(v, str) and v in DASHES else v for v in found]

        return self._cached("cells", column, cells)  # type: ignore[no-any-return]

    def values(self, column: str) -> list[Any]:
        """What stands in the column where something does."""
        found = self._cached(
            "values", column, lambda: [v for v in self.cells(column) if v is not None]
        )
        return found  # type: ignore[no-any-return]

    def words(self, column: str) -> Counter[str]:
        """How often each text stands in the column."""
        found = self._cached(
            "words",
            column,
            lambda: Counter(v if type(v) is str else as_text(v) for v in self.values(column)),
        )
        return found  # type: ignore[no-any-return]

    def numbers(self, column: str) -> list[float | None]:
        """The number in each row, None where there is none."""
        found = self._cached(
            "numbers",
            column,
            lambda: (
                [_in_32nds(v) for v in self.cells(column)]
                if self.is_in_32nds(column)
                else [_filled(v) for v in self.cells(column)]
                if column in self.parts
                else self._numbers_of(self.cells(column))
            ),
        )
        return found  # type: ignore[no-any-return]

    def is_in_32nds(self, column: str) -> bool:
        """Whether prices such as `119'08` stand there, which cannot be thousands."""

        def are() -> bool:
            texts = [v for v in self.values(column) if isinstance(v, str)]
            return any(_NO_THOUSANDS.fullmatch(text) for text in texts) and all(
                thirty_seconds(text) is not None for text in texts
            )

        return self._cached("32nds", column, are)  # type: ignore[no-any-return]

    def read_numbers(self, column: str) -> list[float]:
        return [n for n in self.numbers(column) if n is not None]

    def _numbers_of(self, cells: list[Any]) -> list[float | None]:
        """The number in each cell; equal texts are read once."""
        read = {v: self._number(v) for v in {v for v in cells if isinstance(v, str)}}
        return [read[v] if isinstance(v, str) else self._number(v) for v in cells]

    def _number(self, value: Any) -> float | None:
        if isinstance(value, (bool, datetime, date, time)):
            return None
        if self.triangle and isinstance(value, str):
            value = without_triangle(value, self.triangle)
        found = parse_number(value, self.decimal if self.decimal != OPEN_QUESTION else ".")
        return float(found) if type(found) in (int, float) else None

    def forget(self, column: str) -> None:
        """Read the numbers of a column again, as it turned out to be another kind."""
        self._cache.pop(("numbers", column), None)

    def _cached(self, what: str, column: str, make: Any) -> Any:
        key = (what, column)
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    def is_numeric(self, column: str) -> bool:
        values = self.values(column)
        if len(values) > _MANY and column not in self.parts and not self.is_in_32nds(column):
            spread = values[:: len(values) // _SPREAD]
            if not any(n is not None for n in self._numbers_of(spread)):
                return False
        return bool(values) and len(self.read_numbers(column)) >= MOST * len(values)

    def signs(self, column: str) -> Counter[str]:
        """The currencies and units that stand with the numbers of the column."""

        def units() -> Counter[str]:
            mark = self.decimal if self.decimal != OPEN_QUESTION else "."
            found: Counter[str] = Counter()
            for value in self.values(column):
                if isinstance(value, Money):
                    found[value.unit] += 1
            for text, n in Counter(v for v in self.values(column) if isinstance(v, str)).items():
                told = written(text, mark)
                if told is not None and told.unit:
                    found[told.unit] += n
            return found

        return self._cached("signs", column, units)  # type: ignore[no-any-return]

    def has_percent(self, column: str) -> bool:
        """Whether percent signs, or those of basis points, stand in the cells."""
        return any(
            isinstance(v, str) and _SHARE.search(v) and not has_share(v)
            for v in self.values(column)[:50]
        )

    def _of_triangles(self) -> str:
        marked = [
            {value[0] for value in self.values(column) if isinstance(value, str)}
            for column in self.columns
            if any(
                isinstance(v, str) and not v.isascii() and _TRIANGLE.match(v)
                for v in self.values(column)
            )
        ]
        marks = set().union(*marked)
        if not marks & {"▲", "△"}:
            return ""
        if marks & {"▼", "▽"}:
            return "plus"
        japanese = any(_JAPANESE.search(column) for column in self.columns)
        return "minus" if japanese and "-" not in marks else ""

    def _decimal_mark(self) -> str:
        """`,` where numbers are written `1.234,5`; `?` where both marks could be meant and nothing
        decides."""
        seen: Counter[str] = Counter()
        in_money = False
        for column in self.columns:
            texts = [v for v in self.values(column)[:400] if isinstance(v, str)]
            if not texts or sum(
                written(t) is not None or written(t, ",") is not None for t in texts
            ) < MOST * len(texts):
                continue
            seen.update(marks(t) for t in texts)
            in_money |= any(marks(t) == "?." and _SIGN.search(t) for t in texts)
        if seen[","] or seen["."]:
            return "," if seen[","] > seen["."] else "."
        if any(_EAST.search(column) for column in self.columns):
            return "."  # As everywhere from Thailand to Japan.
        if seen["?."] and (in_money or any(map(self._has_dotted_days, self.columns))):
            return OPEN_QUESTION  # Neither amounts nor such writers have a thousandth by habit.
        return OPEN_QUESTION if seen["?,"] else "."

    def _has_dotted_days(self, column: str) -> bool:
        return any(isinstance(v, str) and _DOTTED_DAY.match(v) for v in self.values(column)[:20])

    # --- times
    # ----------------------------------------------------------------------------------------------

    def time(self, column: str) -> TimeReading | None:
        """How to read the column as times, None if it holds none."""
        return self._cached(  # type: ignore[no-any-return]
            "time", column, lambda: self._in_order(column, read_times(column, self.values(column)))
        )

    def _in_order(self, day: str, reading: TimeReading | None) -> TimeReading | None:
        """The reading with the order of day and month that is known, where the cells allow any."""
        if reading is None or day not in self.orders or reading.keys.get("format") != OPEN_QUESTION:
            return reading
        return replace(reading, keys={**reading.keys, "format": self.orders[day]}, ambiguous="")

    def is_mixed(self, column: str) -> bool:
        """Whether the column has times of which some need the day first and some the month."""
        read = [text for v in self.values(column) if times.parsed(text := time_text(v)) is not None]
        return len(read) >= MOST * max(1, len(self.values(column))) and not times.orders(read)[0]

    def is_clock(self, column: str) -> bool:
        """Whether the column holds times of day without a day."""
        values = self.values(column)
        if bool(values) and all(
            isinstance(v, time) or (isinstance(v, str) and _CLOCK.fullmatch(v)) for v in values
        ):
            return True
        if self.is_part_of_day(column):
            return True
        name, digits = known_as(column), [str(v) for v in values if isinstance(v, (str, int))]
        return (
            bool(_OF_TIMES.search(name))
            and not _NO_CLOCK.search(name)
            and len(digits) == len(values)
            and all(_DIGITS.fullmatch(v) for v in digits)
            and len({len(v.partition(".")[0]) > 4 for v in digits}) == 1
        )

    def is_span(self, column: str) -> bool:
        """Whether two times of day stand in each cell: `09:35-09:47`."""
        values = self.values(column)
        return bool(values) and all(
            isinstance(v, str)
            and len(ends := _SPAN.split(v.strip())) == 2
            and all(map(_CLOCK.fullmatch, ends))
            for v in values
        )

    def is_part_of_day(self, column: str) -> bool:
        """Whether the column is called a time and holds parts of a day, as spreadsheets store times
        of day."""
        numbers = self.numbers(column)
        return (
            bool(_OF_TIMES.search(known_as(column)))
            and not _NO_CLOCK.search(known_as(column))
            and all(n is not None and 0 <= n < 1 for n in numbers)
            and any(len(repr(n)) > _EXACT for n in numbers)
        )

    def is_half(self, column: str) -> bool:
        """Whether AM and PM stand in the column, and nothing else."""
        words = {word.strip().lower() for word in self.words(column)}
        return bool(words) and words <= {"am", "pm", "a.m.", "p.m."}

    def joined(self, day: str, *clocks: str) -> TimeReading | None:
        """How to read a day and a time of day in several columns, with spaces between."""
        own = self.time(day)
        if own is not None and own.keys.get("unit") == DAYS:
            both = len(clocks) == 1 and self.is_part_of_day(clocks[0])
            return TimeReading({"unit": DAYS}, True, False) if both else None
        cells = [
            " ".join(time_text(part) for part in (a, *rest) if part is not None)
            for a, *rest in zip(self.cells(day), *map(self.cells, clocks), strict=True)
            if a
        ]
        found = self._in_order(day, read_texts(day, cells))
        zone = next(filter(None, map(zone_of_name, clocks)), None)
        return replace(found, zone=zone) if found is not None and not found.zone else found

    @cached_property
    def time_columns(self) -> list[str]:
        return [column for column in self.columns if self.time(column) is not None]


def _filled(value: Any) -> float | None:
    found = filled_part(str(value)) if value is not None else None
    return None if found is None else float(found)


def _in_32nds(value: Any) -> float | None:
    found = thirty_seconds(value) if isinstance(value, str) else None
    return None if found is None else float(found)


def _cell(value: Any) -> Any:
    value = value.strip() if isinstance(value, str) else value
    return None if isinstance(value, str) and (not value or value.lower() in NOTHING) else value


def alike(columns: Sequence[str], words: str) -> list[str]:
    """The columns in whose names one of the words stands."""
    pattern = re.compile(words)
    return [column for column in columns if pattern.search(known_as(column))]
