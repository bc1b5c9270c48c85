"""Times of events: strict RFC 3339 in, one canonical text out.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from functools import lru_cache

from schemas.times import micros_since_epoch

_RFC3339 = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})T"
    r"(?P<minute>(?:[01][0-9]|2[0-3]):[0-5][0-9]):(?P<second>[0-5][0-9]|60)"
    r"(?:\.(?P<fraction>[0-9]+))?"
    r"(?:Z|(?P<sign>[+-])(?P<hours>[01][0-9]|2[0-3]):(?P<minutes>[0-5][0-9]))"
)
_CACHED_LENGTH = 40


def canonical_time(text: str) -> str:
    """The moment `text` in UTC with microseconds, `2026-01-31T09:30:00.000000Z`; such texts sort as
    the moments do.

    Digits beyond microseconds are cut.  A leap second (23:59:60 UTC on the last of June or
    December, as RFC 3339 has it) is the second after it, as in POSIX and PostgreSQL.  Raises
    ValueError for every other text: naive, date-only, without seconds, no such day, or outside of
    the years 1 to 9999 in UTC.

    >>> canonical_time("2026-01-31T10:30:00.1234567+01:00")
    '2026-01-31T09:30:00.123456Z'
    """
    # A close repeats a few times, so results are cached; long texts are not.
    return _cached(text) if len(text) <= _CACHED_LENGTH else _canonical(text)


def _canonical(text: str) -> str:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("The time is not RFC 3339 with T, seconds and Z or ±hh:mm.")
    day, minute, second, fraction, sign, hours, minutes = match.groups()
    _check_day(day)
    micros = "000000" if fraction is None else fraction[:6].ljust(6, "0")
    if second != "60" and (sign is None or hours == minutes == "00"):
        return f"{day}T{minute}:{second}.{micros}Z"
    leap = second == "60"
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        moment = datetime.fromisoformat(f"{day}T{minute}:{'59' if leap else second}.{micros}+00:00")
        moment = moment + offset if sign == "-" else moment - offset
        if leap:
            if (moment.month, moment.day, moment.hour, moment.minute) not in (
                (6, 30, 23, 59),
                (12, 31, 23, 59),
            ):
                raise ValueError("The time has a second 60 where there is no leap second.")
            moment += timedelta(seconds=1)
    except OverflowError:
        raise ValueError("The time is outside of the years 1 to 9999 in UTC.") from None
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


_cached = lru_cache(maxsize=4_096)(_canonical)


def epoch_us(canonical: str) -> int:
    """Microseconds since 1970 of a canonical time."""
    return micros_since_epoch(datetime.fromisoformat(canonical))


@lru_cache(maxsize=4_096)
def _check_day(day: str) -> None:
    try:
        date.fromisoformat(day)
    except ValueError as error:
        raise ValueError(f"The time's day {day} does not exist: {error}.") from None
