"""A cell of a table as a time: text in the mapping's format, a number since an epoch, a
spreadsheet's day, or a date and time.

May touch: nothing.  A cell that is not a time stays text, which input validation rejects.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from app.sources import making, times
from app.sources.lines import Since1904
from app.sources.mapping import COMPOSED, Column
from schemas.times import DAY_S

_FIRST_SERIAL_DAY = datetime(1899, 12, 30)  # noqa: DTZ001 (the table's own zone comes later)
_DAY_IN_1904 = datetime(1904, 1, 1)  # noqa: DTZ001
_FIRST_TICK = datetime(1, 1, 1)  # noqa: DTZ001


def parse_time(value: Any, column: Column, timezone: ZoneInfo) -> Any:
    """RFC 3339 in UTC, None for nothing, else the text.  Without an offset it is in the column's
    time zone, or in `timezone`; a day without a time is its midnight.

    >>> berlin = ZoneInfo("Europe/Berlin")
    >>> (
    ...     parse_time("31.01.2024 09:30", Column("t", format="%d.%m.%Y %H:%M"), berlin),
    ...     parse_time("2024-07-01", Column("t"), berlin),
    ... )
    ('2024-01-31T08:30:00Z', '2024-06-30T22:00:00Z')
    >>> (
    ...     parse_time("1706693400", Column("t", unit="s"), berlin),
    ...     parse_time("soon", Column("t"), berlin),
    ... )
    ('2024-01-31T09:30:00Z', 'soon')
    >>> parse_time("638451504000000000", Column("t", unit="ticks"), berlin)
    '2024-03-04T11:00:00Z'
    """
    if value is None:
        return None
    zone = column.timezone or timezone
    if column.unit == making.DAYS and not isinstance(value, (datetime, date)):
        return _serial_day(value, zone)
    if column.unit == making.TICKS:
        return _ticks(value, zone)
    if column.unit is not None and not isinstance(value, (datetime, date)):
        return making.from_epoch(value, column.unit)
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


def _serial_day(value: Any, zone: ZoneInfo) -> Any:
    first = _DAY_IN_1904 if isinstance(value, Since1904) else _FIRST_SERIAL_DAY
    try:
        days = (
            sum(float(part) for part in value.replace(",", ".").split())
            if isinstance(value, str)
            else float(value)
        )
        return _in_utc(first + timedelta(microseconds=round(days * DAY_S) * 1_000_000), zone)
    except (ValueError, OverflowError, TypeError):
        return str(value)


def _ticks(value: Any, zone: ZoneInfo) -> Any:
    try:
        return _in_utc(_FIRST_TICK + timedelta(microseconds=int(value) // 10), zone)
    except (ValueError, OverflowError, TypeError):
        return str(value)


@lru_cache(maxsize=16_384)
def _parsed_time(text: str, form: str | None, zone: ZoneInfo) -> str:
    if form in COMPOSED:
        found = times.moment(text, "dm" if form == "dm" else "md")
        return _in_utc(found[0], zone) if found else text
    try:
        # The zone comes below.
        read = datetime.strptime(text, form) if form else datetime.fromisoformat(text)  # noqa: DTZ007
    except ValueError:
        return text
    return _in_utc(read, zone)
