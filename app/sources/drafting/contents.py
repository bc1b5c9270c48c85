"""The columns of a table with what stands in them: numbers, times, words, and how each is to be
read.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from functools import cached_property
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from app.sources import times
from app.sources.cells import DASHES, NOTHING, as_text, parse_number, parse_time
from app.sources.column_names import known_as
from app.sources.figures import filled_part, marks, thirty_seconds, written
from app.sources.making import DAYS, UNITS, is_time
from app.sources.mapping import OPEN_QUESTION, Column
from app.sources.tables import Row

MOST = 0.75
"""Share of a column's cells that have to be readable as what it is taken for; the others will be
dead letters with their line."""
_NO_THOUSANDS = re.compile(r"\d{2,3}['’]\d\d|\d{2,4}['’]\d")
_EPOCH = re.compile(r"\d{10}(\.\d+)?|\d{13}(\.\d+)?|\d{16}|\d{19}")
_CLOCK = re.compile(
    r"\d{1,2}:\d{2}(:\d{2}([.,]\d{1,7})?)?\s*([ap]\.?m\.?)?(\s*[A-Z]{2,4})?", re.IGNORECASE
)
_ID_WORDS = frozenset(
    [
        "id",
        "ids",
        "no",
        "nr",
        "number",
        "ticket",
        "order",
        "orderid",
        "tradeid",
        "ref",
        "reference",
        "txid",
        "hash",
        "uid",
        "key",
        "symbol",
        "conid",
        "isin",
        "cusip",
        "position",
        "deal",
    ]
)
_TIME_WORDS = frozenset(
    [
        "time",
        "date",
        "timestamp",
        "ts",
        "at",
        "day",
        "datetime",
        "opened",
        "closed",
        "entered",
        "exited",
        "zeit",
        "datum",
        "heure",
        "fecha",
        "hora",
        "data",
        "ora",
        "created",
        "updated",
        "時間",
        "日期",
        "时间",
        "open",
        "close",
    ]
)

STILL_OPEN = frozenset(
    [
        "open",
        "offen",
        "ouvert",
        "ouverte",
        "abierto",
        "abierta",
        "aperto",
        "未平倉",
        "未平仓",
        "持倉中",
        "持仓中",
        "進行中",
    ]
)
"""Words for a trade that has no exit yet."""
_EAST_TIMES = re.compile("日期|時間|时间|日時|約定日")
_EAST = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
"""Letters of Thailand, Japan, China and Korea."""
_UTC = ZoneInfo("UTC")
_ZONES = {
    **dict.fromkeys(("ET", "EST", "EDT", "NY"), "America/New_York"),
    **dict.fromkeys(("CT", "CST", "CDT"), "America/Chicago"),
    **dict.fromkeys(("PT", "PST", "PDT"), "America/Los_Angeles"),
    **dict.fromkeys(("CET", "CEST", "MEZ", "MESZ"), "Europe/Berlin"),
    **dict.fromkeys(("AEST", "AEDT"), "Australia/Sydney"),
    "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo",
    "KST": "Asia/Seoul",
    "HKT": "Asia/Hong_Kong",
    "SGT": "Asia/Singapore",
}
"""Places whose zone the name of a column may say."""


@dataclass(frozen=True)
class TimeReading:
    """How a column is read as times: `keys` are those of its entry in a mapping; whether it has a
    time of day; whether all cells have an offset; the zone that its name or its cells say; and,
    where day and month can change places, an example."""

    keys: dict[str, Any]
    has_clock: bool
    has_offset: bool
    zone: str | None = None
    ambiguous: str = ""
    told: str = ""


@dataclass
class Contents:
    """The kept rows of a table, by column, and the lines of text around it."""

    columns: tuple[str, ...]
    rows: list[Row]
    decimal: str = "."
    texts: list[str] = field(default_factory=list)
    parts: set[str] = field(default_factory=set)
    """Columns of quantities in which what was filled and what was ordered stand: `50/100`."""
    _cache: dict[tuple[str, str], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.decimal = self._decimal_mark()

    @property
    def n_rows(self) -> int:
        return len(self.rows)

    def with_rows(self, rows: list[Row]) -> Contents:
        """The same columns with fewer rows."""
        found = Contents(self.columns, rows)
        found.decimal, found.texts, found.parts = self.decimal, self.texts, self.parts
        return found

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
            "words", column, lambda: Counter(as_text(v) for v in self.values(column))
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
                else [self._number(v) for v in self.cells(column)]
            ),
        )
        return found  # type: ignore[no-any-return]

    def is_in_32nds(self, column: str) -> bool:
        """Whether prices such as `119'08` stand there, which cannot be thousands."""
        texts = [v for v in self.values(column) if isinstance(v, str)]
        return any(_NO_THOUSANDS.fullmatch(text) for text in texts) and all(
            thirty_seconds(text) is not None for text in texts
        )

    def read_numbers(self, column: str) -> list[float]:
        return [n for n in self.numbers(column) if n is not None]

    def _number(self, value: Any) -> float | None:
        if isinstance(value, (bool, datetime, date, time)):
            return None
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
        return bool(values) and len(self.read_numbers(column)) >= MOST * len(values)

    def signs(self, column: str) -> Counter[str]:
        """The currencies and units that stand with the numbers of the column."""

        def units() -> Counter[str]:
            mark = self.decimal if self.decimal != OPEN_QUESTION else "."
            told = (written(v, mark) for v in self.values(column) if isinstance(v, str))
            return Counter(w.unit for w in told if w is not None and w.unit)

        return self._cached("signs", column, units)  # type: ignore[no-any-return]

    def has_percent(self, column: str) -> bool:
        """Whether percent signs stand in the cells."""
        return any(isinstance(v, str) and "%" in v for v in self.values(column)[:50])

    def _decimal_mark(self) -> str:
        """`,` where numbers are written `1.234,5`; `?` where both marks could be meant and nothing
        decides."""
        seen: Counter[str] = Counter()
        for column in self.columns:
            texts = [v for v in self.values(column)[:400] if isinstance(v, str)]
            if not texts or sum(
                written(t) is not None or written(t, ",") is not None for t in texts
            ) < MOST * len(texts):
                continue
            seen.update(marks(t) for t in texts)
        if seen[","] or seen["."]:
            return "," if seen[","] > seen["."] else "."
        if any(_EAST.search(column) for column in self.columns):
            return "."  # As everywhere from Thailand to Japan.
        return OPEN_QUESTION if seen["?,"] else "."

    # --- times
    # ----------------------------------------------------------------------------------------------

    def time(self, column: str) -> TimeReading | None:
        """How to read the column as times, None if it holds none."""
        return self._cached("time", column, lambda: self._time(column))  # type: ignore[no-any-return]

    def is_mixed(self, column: str) -> bool:
        """Whether the column has times of which some need the day first and some the month."""
        read = [text for v in self.values(column) if times.parsed(text := _text(v)) is not None]
        return len(read) >= MOST * max(1, len(self.values(column))) and not times.orders(read)[0]

    def is_clock(self, column: str) -> bool:
        """Whether the column holds times of day without a day."""
        values = self.values(column)
        return bool(values) and all(
            isinstance(v, time) or (isinstance(v, str) and _CLOCK.fullmatch(v)) for v in values
        )

    def joined(self, day: str, clock: str) -> TimeReading | None:
        """How to read a day and a time of day in two columns, with a space between."""
        cells = [
            f"{_text(a)} {_text(b)}" if b is not None else _text(a)
            for a, b in zip(self.cells(day), self.cells(clock), strict=True)
            if a
        ]
        return self._read_texts(day, cells)

    def _time(self, column: str) -> TimeReading | None:
        values = [v for v in self.values(column) if str(v).lower() not in STILL_OPEN]
        words = set(known_as(column).split("_"))
        if _EAST_TIMES.search(column):
            words |= {"time"}
        if not values:
            return None
        if all(isinstance(v, (datetime, date)) for v in values):
            clock = any(
                isinstance(v, datetime) and (v.hour or v.minute or v.second) for v in values
            )
            return TimeReading(
                {}, clock, all(isinstance(v, datetime) and v.tzinfo is not None for v in values)
            )
        texts = [_text(v) for v in values]
        if words & _ID_WORDS and not words & _TIME_WORDS:
            return None
        if all(_EPOCH.fullmatch(text) for text in texts):
            middle = sorted(float(text) for text in texts)[len(texts) // 2]
            # 1979 to 2096
            units = [unit for unit, us in UNITS.items() if 3e14 < middle * us < 4e15]
            return TimeReading({"unit": units[0]}, True, True) if units else None
        if words & _TIME_WORDS and (serial := self._serial(texts)) is not None:
            return serial
        if all(
            re.fullmatch(r"[\d.,]+", t) and (len(t) not in (8, 14) or not words & _TIME_WORDS)
            for t in texts
        ) and not all(re.fullmatch(r"\d{1,2}\.\d{1,2}\.\d{4}", t) for t in texts):
            return None
        return self._read_texts(column, texts)

    def _serial(self, texts: list[str]) -> TimeReading | None:
        """Days since 1899, as spreadsheets store them."""
        if not all(re.fullmatch(r"\d{5}([.,]\d+)?", text) for text in texts):
            return None
        days = [float(text.replace(",", ".")) for text in texts]
        if not all(20_000 < day < 60_000 for day in days):
            return None
        return TimeReading({"unit": DAYS}, any(day % 1 for day in days), False)

    def _read_texts(self, column: str, texts: list[str]) -> TimeReading | None:
        if not texts:
            return None
        zone = zone_of_name(column)
        iso = sum(
            is_time(parse_time(t, Column(column), _UTC))
            for t in texts
            if not re.fullmatch(r"\d+", t)
        )
        read = [times.parsed(t) for t in texts]
        n_read = sum(r is not None for r in read)
        clock = any(r is not None and r.clock is not None for r in read)
        if iso == len(texts) or (iso >= MOST * len(texts) and iso >= n_read):
            offset = all(re.search(r"(Z|[+-]\d\d:?\d\d)$", t) for t in texts if ":" in t) and clock
            return TimeReading({}, clock, bool(offset), zone)
        if n_read < MOST * len(texts):
            return None
        good = [t for t, r in zip(texts, read, strict=True) if r is not None]
        possible, _ = times.orders(good)
        if not possible:
            return None
        cells_zone = (
            "America/New_York" if any(t.rstrip().upper().endswith(" ET") for t in good) else None
        )
        offset = all(r.has_zone for r in read if r is not None)
        order, ambiguous, told = next(iter(possible)), "", ""
        if _year_may_be_first(good):
            return TimeReading(
                {"format": OPEN_QUESTION}, clock, offset, zone or cells_zone, good[0]
            )
        if len(possible) == 2:
            order, told = self._order_from_rows(good)
            ambiguous = "" if order != OPEN_QUESTION else good[0]
        elif order:
            first = "the day before the month" if order == "dm" else "the month before the day"
            told = f"{column} has {first}: every cell can be read only this way."
        if order == OPEN_QUESTION:
            return TimeReading(
                {"format": OPEN_QUESTION}, clock, offset, zone or cells_zone, ambiguous
            )
        sample = sorted(set(good), key=lambda t: (len(t), t))
        form = times.strptime_format([*sample[:200], *sample[-200:]], order)
        if form and not all(times._reads(form, t, order) for t in good):
            form = None
        return TimeReading(
            {"format": form or (order or "any")}, clock, offset, zone or cells_zone, "", told
        )

    def _order_from_rows(self, texts: list[str]) -> tuple[str, str]:
        """The order of day and month with which alone the rows are in order of time; `?` where that
        tells nothing."""
        rising: dict[str, bool] = {}
        for order in ("dm", "md"):
            found = [
                m[0].replace(tzinfo=None)
                for t in texts
                if (m := times.moment(t, order)) is not None
            ]
            steps = list(pairwise(found))
            rising[order] = all(a <= b for a, b in steps) or all(a >= b for a, b in steps)
        days = {text.split(" ")[0] for text in texts}
        if len(days) >= 4 and rising["dm"] != rising["md"]:
            order = "dm" if rising["dm"] else "md"
            return (
                order,
                (
                    f"The {'day' if order == 'dm' else 'month'} comes first in times: only this way"
                    " are the rows in order of time."
                ),
            )
        return OPEN_QUESTION, ""

    @cached_property
    def time_columns(self) -> list[str]:
        return [column for column in self.columns if self.time(column) is not None]


def _year_may_be_first(texts: list[str]) -> bool:
    """Whether days are written with two digits three times, and the first ones could be those of a
    year: they hardly change."""
    found = [
        match.groups()
        for text in texts
        if (match := re.match(r"(\d\d)[/.-](\d\d)[/.-](\d\d)(?!\d)", text))
    ]
    if len(found) < len(texts):
        return False
    years, days = {int(a) for a, _, _ in found}, {int(c) for _, _, c in found}
    return (
        all(10 <= year <= 40 for year in years)
        and len(years) <= 2
        and (len(days) > len(years) or max(days) > 31 or min(days) < 10)
    )


def _filled(value: Any) -> float | None:
    found = filled_part(str(value)) if value is not None else None
    return None if found is None else float(found)


def _in_32nds(value: Any) -> float | None:
    found = thirty_seconds(value) if isinstance(value, str) else None
    return None if found is None else float(found)


def _cell(value: Any) -> Any:
    value = value.strip() if isinstance(value, str) else value
    return None if isinstance(value, str) and (not value or value.lower() in NOTHING) else value


def _text(value: Any) -> str:
    if isinstance(value, datetime) and not (value.hour or value.minute or value.second):
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, time) else as_text(value)


def zone_of_name(column: str) -> str | None:
    """The zone in a column's name, as zoneinfo calls it.

    >>> [
    ...     zone_of_name(name)
    ...     for name in ("Date(UTC)", "Time (UTC+8)", "Trade Time(UTC+0)", "Opened", "Date (EST)")
    ... ]
    ['UTC', 'Etc/GMT-8', 'UTC', None, 'America/New_York']
    >>> zone_of_name("Transaction Time (CET)"), zone_of_name("Price (USD)")
    ('Europe/Berlin', None)
    >>> zone_of_name("Trade Time (New York)"), zone_of_name("Price (Local)")
    ('America/New_York', None)
    """
    if found := re.search(r"\b(?:UTC|GMT)\s*([+-]\d{1,2})(?::?00)?\b", column, re.IGNORECASE):
        hours = int(found[1])
        return "UTC" if hours == 0 else f"Etc/GMT{-hours:+d}"
    if re.search(r"(?<![A-Za-z])(UTC|GMT)(?![A-Za-z])", column, re.IGNORECASE):
        return "UTC"
    if city := re.search(r"\(([A-Z][a-z]+(?: [A-Z][a-z]+)?)\)$", column):
        name = "/" + city[1].replace(" ", "_")
        return next((zone for zone in sorted(available_timezones()) if zone.endswith(name)), None)
    found = re.search(r"[(\s_]([A-Z]{2,4})\)?$", column)
    return _ZONES.get(found[1]) if found else None


def alike(columns: Sequence[str], words: str) -> list[str]:
    """The columns in whose names one of the words stands."""
    pattern = re.compile(words)
    return [column for column in columns if pattern.search(known_as(column))]
