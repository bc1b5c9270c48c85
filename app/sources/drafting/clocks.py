"""The times of a table: the order of day and month, time zones, and questions.

May touch: nothing.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from zoneinfo import ZoneInfo, available_timezones

from app.sources import times
from app.sources.cell_times import parse_time
from app.sources.cells import as_text
from app.sources.column_names import known_as
from app.sources.drafting.choose import TIMES
from app.sources.drafting.contents import Contents
from app.sources.drafting.decided import Decided
from app.sources.drafting.time_readings import TimeReading, has_unsigned_offset, zone_of_name
from app.sources.making import DAYS, LOCAL_UNITS, is_time
from app.sources.mapping import OPEN_QUESTION, Column

_ZONES_BY_NAME = {
    "eastern": "America/New_York",
    "new york": "America/New_York",
    "central": "America/Chicago",
    "chicago": "America/Chicago",
    "mountain": "America/Denver",
    "pacific": "America/Los_Angeles",
    "london": "Europe/London",
}
_NAMED_ZONE = re.compile(
    rf"\b({'|'.join(_ZONES_BY_NAME)})( standard| daylight)? time\b",
    re.IGNORECASE,
)
"""Zones as sentences name them."""
_OF_ZONES = (
    "timezone", "time_zone", "tz", "zone", "utc_offset", "gmt_offset", "offset", "tz_offset",
)  # fmt: skip
"""Names of columns with the time zones of rows."""
_UTC = ZoneInfo("UTC")
_QUARTER, _FARTHEST, _CLOCKS_OF_A_YEAR = 900, 56, 2
"""Seconds of the steps in which time zones differ, how many of them at most, and how many different
offsets a zone has."""
_DAYS_APART = 4
"""Maximum number of days between two times of one fill, such as its trade and its settlement."""


def settle_times(decided: Decided) -> None:
    """Decide the formats and the time zone of the columns of times, or ask for them."""
    contents = decided.kept.contents
    _with_offsets(decided)
    naive: list[str] = []
    zones: set[str] = set()
    open_orders: list[str] = []
    example = ""
    day_only = []
    for name, spec in decided.fields.items():
        if name not in TIMES:
            continue
        reading = (
            contents.time(spec.column) if len(spec.columns) == 1 else contents.joined(*spec.columns)
        )
        if reading is None:
            continue
        if reading.ambiguous:
            order = _order_of_others(decided, reading.ambiguous) or _order_by_days(
                decided, spec.column
            )
            if order:
                spec.keys["format"] = order
            else:
                spec.comment = (
                    f'"md" if {reading.ambiguous} begins with the month, "dm" if with the day; or a'
                    ' format such as "%y/%m/%d"'
                )
                open_orders.append(spec.column)
                example = example or reading.ambiguous
        elif reading.told:
            decided.guessed.append(reading.told)
        if reading.has_offset or reading.keys.get("unit", DAYS) not in LOCAL_UNITS:
            continue
        zone = reading.zone or next(filter(None, map(zone_of_name, spec.columns)), None)
        if zone:
            spec.keys["timezone"] = zone
            zones.add(zone)
        else:
            naive.append(spec.column)
        if not reading.has_clock:
            day_only.append(spec.column)
    if open_orders:
        columns = " and ".join(open_orders)
        decided.asked.append(
            f"Whether the day or the month comes first in {columns}: {example} and all others can"
            " be either."
        )
    if naive and _zones_of_rows(decided, naive):
        naive = []
    if naive and (named := _zone_of_column(decided)):
        decided.guessed.append(f"The time zone is {named[0]}, by {named[1]}.")
        decided.keys["timezone"] = (named[0], f"by {named[1]}")
        return
    zone, line = _zone_of_texts(contents.texts) if naive else (None, "")
    if zone:
        decided.guessed.append(f"The time zone of {' and '.join(naive)} is {zone}, by the {line}.")
        decided.keys["timezone"] = (zone, f"by the {line[:60]}")
        return
    if naive and len(zones) == 1:
        (same,) = zones
        decided.guessed.append(
            f"The time zone of {' and '.join(naive)} is {same}, as that of the other time."
        )
        decided.keys["timezone"] = (same, "that of the other time, which is in its column's name")
        return
    if naive and (unsigned := list(filter(has_unsigned_offset, naive))):
        decided.ask(
            "timezone",
            f"The time zone of {' and '.join(unsigned)}: the name has an offset, and not whether it"
            " is east or west of UTC.",
            'such as "Europe/Berlin", or "Etc/GMT-3" for three hours east of UTC',
        )
        return
    if naive:
        decided.left.append(
            f"The time zone of {' and '.join(naive)}: without an offset, they are read as UTC."
        )
    decided.keys["timezone"] = (
        "UTC",
        f"of times without an offset{', such as those of ' + ' and '.join(naive) if naive else ''}",
    )
    clocks = [
        c
        for c in contents.columns
        if (contents.is_clock(c) or contents.is_span(c)) and c not in decided.used()
    ]
    if day_only and clocks:
        decided.left.append(
            f"{' and '.join(clocks)} has times of day that are not read: {' and '.join(day_only)}"
            " has days alone."
        )
    if day_only and decided.rows == "fills":
        decided.guessed.append(
            f"{' and '.join(day_only)} has days without a time: fills of one day keep the order of"
            " the rows."
        )


def _with_offsets(decided: Decided) -> None:
    """Read another column with the same times, if it has offsets, or seconds since 1970, where the
    first has times of some zone: both differ by as many hours in all rows."""
    contents = decided.kept.contents
    for name, spec in decided.fields.items():
        reading = contents.time(spec.column) if name in TIMES and len(spec.columns) == 1 else None
        if reading is None or reading.ambiguous or _is_told(reading) or reading.zone:
            continue
        own: list[datetime | None] = []
        for column in contents.time_columns:
            other = contents.time(column)
            if column in decided.used() or other is None or not _is_told(other):
                continue
            own = own or _moments(contents, spec.column, reading)
            apart = {
                None if a is None or b is None else round((a - b).total_seconds() / _QUARTER, 2)
                for a, b in zip(own, _moments(contents, column, other), strict=True)
            }
            hours = {n for n in apart if n is not None and n == int(n) and 0 < abs(n) <= _FARTHEST}
            if hours == apart and len(hours) <= _CLOCKS_OF_A_YEAR:
                decided.guessed.append(
                    f"{column} is read, and not {spec.column}: it has the same times, with their"
                    " offsets."
                )
                spec.columns, spec.keys = [column], dict(other.keys)
                break


def _is_told(reading: TimeReading) -> bool:
    return reading.has_offset or reading.keys.get("unit", DAYS) not in LOCAL_UNITS


def _moments(contents: Contents, column: str, reading: TimeReading) -> list[datetime | None]:
    """The time in each row, as if it was UTC where it has no offset."""
    read = Column(column, format=reading.keys.get("format"), unit=reading.keys.get("unit"))
    found = [parse_time(v, read, _UTC) for v in contents.cells(column)]
    return [
        datetime.fromisoformat(one) if isinstance(one, str) and is_time(one) else None
        for one in found
    ]


def _zones_of_rows(decided: Decided, naive: list[str]) -> bool:
    """Read times together with the column that has the zone or the offset of each row, if it names
    several or offsets; whether that was done."""
    contents = decided.kept.contents
    for column in contents.columns:
        words = list(contents.words(column))
        if (
            known_as(column) not in _OF_ZONES
            or column in decided.used()
            or len(contents.values(column)) < contents.n_rows
            or (len(words) == 1 and words[0] in available_timezones())
        ):
            continue
        specs = [
            spec
            for name, spec in decided.fields.items()
            if name in TIMES and spec.column in naive and "unit" not in spec.keys
        ]
        read = [
            times.parsed(" ".join(as_text(c) for c in cells))
            for spec in specs
            for cells in zip(
                *(contents.cells(own) for own in (*spec.columns, column)),
                strict=True,
            )
            if None not in cells
        ]
        if not specs or not all(found is not None and found.has_zone for found in read):
            continue
        for spec in specs:
            spec.columns.append(column)
            order = str(spec.keys.get("format", "any"))
            if order != OPEN_QUESTION:
                is_day_first = order == "dm" or order.startswith("%d")
                spec.keys["format"] = "dm" if is_day_first else "any"
        decided.guessed.append(f"{column} has the time zone of each row.")
        return True
    return False


def _zone_of_column(decided: Decided) -> tuple[str, str] | None:
    """(the time zone that a column names in all rows, the column)."""
    contents = decided.kept.contents
    for column in contents.columns:
        words = list(contents.words(column))
        if known_as(column) in ("timezone", "time_zone", "tz") and len(words) == 1:
            return (words[0], column) if words[0] in available_timezones() else None
    return None


def _zone_of_texts(texts: list[str]) -> tuple[str | None, str]:
    """(the time zone that a line of text around the table names, the line)."""
    for text in texts:
        told = re.search(
            r"\d{1,2}:\d{2}(?::\d{2})?\s*(?:[AP]M)?\s*\(?((?:UTC|GMT)(?:\s*[+-]\d{1,2})?"
            r"|E[SD]?T)\b",
            text,
            re.IGNORECASE,
        )
        said = re.search(r"time ?zone|all times|times? (?:are|is|in)\b", text, re.IGNORECASE)
        zone = zone_of_name(f"({told[1]})" if told else text.rstrip(". ")) if told or said else None
        if zone is None and said and (named := _NAMED_ZONE.search(text)):
            zone = _ZONES_BY_NAME[named[1].lower()]
        if zone:
            return zone, text
    return None, ""


def _order_by_days(decided: Decided, column: str) -> str:
    """The only order in which nearly all of the column's days equal those of another column that
    can be read in one way only."""
    contents = decided.kept.contents
    own = [as_text(v) if v is not None else "" for v in contents.cells(column)]
    for other in contents.time_columns:
        reading = contents.time(other)
        if other == column or reading is None or reading.keys.get("format") == OPEN_QUESTION:
            continue
        read = Column(other, format=reading.keys.get("format"), unit=reading.keys.get("unit"))
        days = [str(parse_time(v, read, _UTC))[:10] for v in contents.cells(other)]
        if not all(re.fullmatch(r"\d{4}-\d\d-\d\d", day) for day in days):
            continue
        fits = [
            order
            for order in ("dm", "md")
            if all(
                (found := times.moment(text, order))
                and abs((found[0].date() - date.fromisoformat(day)).days) <= _DAYS_APART
                for text, day in zip(own, days, strict=True)
            )
        ]
        if len(fits) == 1:
            decided.guessed.append(
                f"The {'day' if fits[0] == 'dm' else 'month'} comes first in {column}: only this"
                f" way its days are those in {other}."
            )
            return fits[0]
    return ""


def _order_of_others(decided: Decided, text: str) -> str:
    """The order of day and month of another column with the same form, if that is certain."""
    contents = decided.kept.contents
    form = re.sub(r"\d+", "9", text.split(" ")[0])
    for column in contents.time_columns:
        reading = contents.time(column)
        keys = str(reading.keys.get("format", "")) if reading else ""
        first = as_text(contents.values(column)[0])
        if re.sub(r"\d+", "9", first.split(" ")[0]) == form and keys not in ("", OPEN_QUESTION):
            if keys == "dm" or keys.startswith("%d"):
                return "dm"
            if keys == "md" or keys.startswith("%m"):
                return "md"
    return ""
