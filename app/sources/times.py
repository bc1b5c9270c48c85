"""Times as exports write them: a format is composed from a cell, and one order of day and month has
to read every cell of a column.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from app.sources.time_words import THAI_YEARS, from_persian, in_english, is_persian, month_of

OFFSETS = {
    "UTC": 0,
    "GMT": 0,
    "Z": 0,
    "EST": -300,
    "EDT": -240,
    "CST": -360,
    "CDT": -300,
    "MST": -420,
    "MDT": -360,
    "PST": -480,
    "PDT": -420,
    "CET": 60,
    "CEST": 120,
    "EET": 120,
    "EEST": 180,
    "JST": 540,
    "HKT": 480,
    "SGT": 480,
    "AEST": 600,
    "AEDT": 660,
    "BST": 60,
    "KST": 540,
    "WET": 0,
    "WEST": 60,
    "MSK": 180,
    "МСК": 180,
    "TRT": 180,
    "SAST": 120,
    "WIB": 420,
    "ICT": 420,
    "NZST": 720,
    "NZDT": 780,
    "BRT": -180,
    "ART": -180,
    "IST": 330,
}
"""Minutes east of UTC of the zones that cells name; `IST` is taken for India's, as in names of
columns."""

_DAY = (
    r"(?P<y>\d{4})(?P<s1>[-/.]) ?(?P<m>\d{1,2})(?P=s1) ?(?P<d>\d{1,2})\.?",
    r"(?P<a>\d{1,2})(?P<s1>[-/.]) ?(?P<b>\d{1,2})(?P=s1) ?(?P<y>\d{4}|\d{2})(?:(?<=\.\d{4})\.)?",
    (
        r"(?P<d>\d{1,2})(?P<s1>[-/. ])\s*(?P<mon>[^\W\d_]{3,12})\.?"
        r"(?P<s2>[-/ ,]\s*)(?P<y>\d{4}|\d{2})"
    ),
    r"(?P<mon>[^\W\d_]{3,12})\.?(?P<s1>[ -])(?P<d>\d{1,2})(?P<s2>,? ?-?)\s*(?P<y>\d{4})",
    r"(?P<y>\d{4})(?P<s1>[- ])(?P<mon>[a-z]{3})(?P=s1)(?P<d>\d{1,2})",
    r"(?P<y>(?:19|20)\d{2})(?P<m>\d{2})(?P<d>\d{2})",
    r"(?P<d>\d{1,2})(?P<s1>)(?P<mon>[a-z]{3})(?P<s2>)(?P<y>20\d{2})",
    r"(?P<roc>1\d{2})(?P<s1>[-/.])(?P<m>\d{2})(?P=s1)(?P<d>\d{2})",
)
_WHOLE = tuple(
    re.compile(
        rf"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+)?{day}"
        r"(?:(?P<gap>t|,\s*|;\s*|\s+-\s+|\s+at\s+|\s+|-|)"
        r"(?P<h>\d{1,2}):?(?P<min>\d{2})(?::?(?P<sec>\d{2})(?:(?:[.,]|:(?=\d{3}))(?P<frac>\d{1,9}))?)?"
        r"\s*(?P<ap>[ap]\.?m\.?)?)?,?\s*(?P<z>[+-]\d{2}:?\d{2}|[a-z]{1,4}(?:[+-]\d{1,2}(?::?\d{2})?)?|мск)?",
        re.IGNORECASE,
    )
    for day in _DAY
)
_CLOCK_FIRST = re.compile(
    r"(\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s*[ap]m)?),?\s+(\d{1,4}[-/.]\d{1,2}[-/.]\d{2,4})",
    re.IGNORECASE,
)
_EAST = (("香港", "Asia/Hong_Kong"), ("美東", "US/Eastern"), ("美东", "US/Eastern"))
"""Places whose clock a cell may name in brackets."""
_OFFSET_AND_NAME = re.compile(r"([+-]\d{2}:?\d{2}) [A-Z]{2,5}$")
_IN_BRACKETS = re.compile(r"\s*\(([A-Z]{2,4}(?:[+-]\d{1,2}(?::?\d{2})?)?)\)$")
_MARK = re.compile(r"(?<=\d) (BP|EP)$")
"""Of Sierra Chart's times of the first and the last fill of a position."""
_AS_OF = re.compile(r".*\bas of\s+", re.IGNORECASE)
_NAMED = re.compile(r"((?:GMT|UTC)[+-]\d{4}) \([^()]+\)$")
"""What browsers add to an offset."""
_ZONE = re.compile(r"[, ]\s*\(?([A-Z][A-Za-z]+/[A-Z][A-Za-z_/]+)\)?$")
"""A place in a cell, as zoneinfo calls it."""


_PLACE_BEHIND = re.compile(r"(?<=[Z\d])\[[\w/+:-]+\]$")
"""What Java adds to an offset: `+01:00[Europe/Berlin]`."""
_ORDINAL = re.compile(r"(?<=\d)(st|nd|rd|th)\b", re.IGNORECASE)
_DOTTED_CLOCK = re.compile(r"(\d{1,2}-[a-z]{3}-\d{2,4} \d{1,2})\.(\d\d)\.(\d\d)", re.IGNORECASE)
"""Of databases: `13-MAR-25 02.31.02.000000 PM`."""
_SINCE_1970 = re.compile(r"\\?/Date\((\d{12,13})([+-]\d{4})?\)\\?/")
"""Of .NET: milliseconds."""
_MIDNIGHT = (24, 0, 0)
"""The end of a day, as a time of day."""


@dataclass(frozen=True, slots=True)
class Read:
    """One reading of a cell: year, month and day (`order` is `?` where they may be the other way
    round, else empty), the time of day (None: a bare day), the offset in minutes (None: not said)
    and the place whose clock it is (empty: not said)."""

    year: int
    first: int
    second: int
    order: str
    clock: tuple[int, int, int, int] | None
    offset: int | None
    place: str = field(default="", repr=False)

    @property
    def has_zone(self) -> bool:
        return self.offset is not None or bool(self.place)


@lru_cache(maxsize=65_536)
def parsed(text: str) -> Read | None:
    """The cell's parts, None where it is no time.  Where day and month can change places, `order`
    is `?`.

    >>> parsed("1/9/2022, 9:14:22 PM")
    Read(year=2022, first=1, second=9, order='?', clock=(21, 14, 22, 0), offset=None)
    >>> (
    ...     parsed("07/30/2024 as of 07/29/2024").second, parsed("2024-01-05T10:00:00Z").offset,
    ...     parsed("5. März 2024").first,
    ... )
    (29, 0, 3)
    >>> parsed("2024/3/4 下午 01:15").clock, parsed("4/3/2024 9:05:00 p. m.").clock
    ((13, 15, 0, 0), (21, 5, 0, 0))
    >>> persian = parsed("۱۴۰۲/۱۲/۱۴")
    >>> persian.year, persian.first, persian.second
    (2024, 3, 4)
    >>> parsed("113/03/04").year, parsed("04/03/2567").year, parsed("4 มี.ค. 67").year
    (2024, 2024, 2024)
    """
    cell, place = _NAMED.sub(r"\1", _MARK.sub("", _AS_OF.sub("", _plain(text.strip())))), ""
    cell = _IN_BRACKETS.sub(r" \1", _OFFSET_AND_NAME.sub(r"\1", cell))
    cell = in_english(cell)
    for word, zone in _EAST:
        if cell.endswith((f"({word})", f"（{word}）")):
            cell, place = cell[: -len(word) - 2].rstrip(), zone
    if (named := _ZONE.search(cell)) and named[1] in available_timezones():
        cell, place = cell[: named.start()], named[1]
    if clock_first := _CLOCK_FIRST.fullmatch(cell):
        cell = f"{clock_first[2]} {clock_first[1]}"
    if not any(c.isdigit() for c in cell) or len(cell) > 60:
        return None
    match = next((m for m in (pattern.fullmatch(cell) for pattern in _WHOLE) if m), None)
    if match is None:
        return None
    part = match.groupdict()
    year = _year(part)
    if part.get("mon"):
        first, second, order = month_of(part["mon"]), int(part["d"]), ""
    elif part.get("m"):
        first, second, order = int(part["m"]), int(part["d"]), ""
        if is_persian(year):
            year, first, second = from_persian(year, first, second)
    else:
        a, b = int(part["a"]), int(part["b"])
        order = "dm" if part["s1"] == "." else "?"
        if order == "dm":
            first, second, order = b, a, ""
        else:
            first, second = a, b
    clock = _clock(part)
    offset, known = _offset(part.get("z"))
    if not known or clock is ... or not _possible(year, first, second, order):
        return None
    return Read(year, first, second, order, clock, offset, place)  # type: ignore[arg-type]


def _plain(cell: str) -> str:
    """The cell without what libraries and people add to a time.

    >>> _plain("13th March 2025"), _plain("2025-03-13T15:31:02+01:00[Europe/Berlin]")
    ('13 March 2025', '2025-03-13T15:31:02+01:00')
    >>> _plain("13-MAR-25 02.31.02.000000 PM"), _plain("/Date(1741876262000)/")
    ('13-MAR-25 02:31:02.000000 PM', '2025-03-13 14:31:02.000Z')
    """
    if since := _SINCE_1970.fullmatch(cell):
        moment = datetime.fromtimestamp(int(since[1]) / 1000, UTC)
        return f"{moment:%Y-%m-%d %H:%M:%S}.{since[1][-3:]}Z"
    if cell.endswith("]"):
        cell = _PLACE_BEHIND.sub("", cell)
    if cell.isascii() and not cell.isdecimal():
        cell = _DOTTED_CLOCK.sub(r"\1:\2:\3", _ORDINAL.sub("", cell))
    return cell


def _year(part: dict[str, str | None]) -> int:
    """The year, also where it is counted as in Taiwan (from 1912 on) or in Thailand."""
    if part.get("roc"):
        return int(part["roc"] or 0) + 1911
    year = int(part["y"] or 0)
    if year > 2500 or year in THAI_YEARS:
        return year - 543 + (0 if year > 99 else 2500)
    return year + (0 if year > 99 else (2000 if year < 70 else 1900))


def _clock(part: dict[str, str | None]) -> object:
    """(hour, minute, second, microsecond), None without a time of day, ... where it is none."""
    if part.get("h") is None:
        return None
    hour, minute, second = int(part["h"] or 0), int(part["min"] or 0), int(part["sec"] or 0)
    if part.get("ap"):
        if not 1 <= hour <= 12:
            return ...
        hour = hour % 12 + (12 if (part["ap"] or "").lower().startswith("p") else 0)
    if (hour > 23 and (hour, minute, second) != _MIDNIGHT) or minute > 59 or second > 59:
        return ...
    return hour, minute, second, int((part.get("frac") or "0")[:6].ljust(6, "0"))


def _offset(zone: str | None) -> tuple[int | None, bool]:
    """(minutes east of UTC or None, whether the zone is known)."""
    if not zone:
        return None, True
    if number := re.fullmatch(r"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d{2})?", zone, re.IGNORECASE):
        minutes = int(number[2]) * 60 + int(number[3] or 0)
        return (-minutes if number[1] == "-" else minutes), minutes < 24 * 60
    return OFFSETS.get(zone.upper()), zone.upper() in OFFSETS or zone.upper() == "ET"


def _possible(year: int, first: int, second: int, order: str) -> bool:
    def valid(month: int, day: int) -> bool:
        return 1 <= month <= 12 and 1 <= day <= 31

    return 1970 <= year <= 2100 and (
        valid(first, second) or (order == "?" and valid(second, first))
    )


def moment(text: str, order: str) -> tuple[datetime, bool] | None:
    """(the moment, whether it has an offset of its own) of a cell; `order` is `dm` or `md`.  None
    where that order does not read it.

    >>> moment("Mon Mar 04 2024 10:00:00 GMT+0100 (Central European Time)", "md")[0].isoformat()
    '2024-03-04T10:00:00+01:00'
    >>> moment("2024-03-04 10:15:20, US/Eastern", "md")[0].utcoffset().total_seconds() / 3600
    -5.0
    >>> moment("2024-02-29 24:00:00", "md")[0].isoformat()
    '2024-03-01T00:00:00'
    >>> when, has_offset = moment("05/03/2024 09:30 EDT", "md")
    >>> when.isoformat(), has_offset, moment("13/04/2026", "md")
    ('2024-05-03T09:30:00-04:00', True, None)
    """
    found = parsed(text)
    if found is None:
        return None
    month, day = (
        (found.second, found.first)
        if found.order == "?" and order == "dm"
        else (found.first, found.second)
    )
    hour, minute, second, micro = found.clock or (0, 0, 0, 0)
    try:
        # the zone comes below or from the mapping
        made = datetime(found.year, month, day, hour % 24, minute, second, micro)  # noqa: DTZ001
        made += timedelta(days=hour // 24)
    except (ValueError, OverflowError):
        return None
    if found.offset is None and found.place:
        return made.replace(tzinfo=ZoneInfo(found.place)), True
    if found.offset is None:
        return made, False
    return (
        made.replace(tzinfo=timezone(timedelta(minutes=found.offset)) if found.offset else UTC),
        True,
    )


_NO_YEAR = re.compile(
    r"(?:(?P<a>\d{1,2})(?:[/.-](?P<b>\d{1,2})\.?|\.? ?(?P<mon>[^\W\d_]{3,12})\.?)"
    r"|(?P<name>[^\W\d_]{3,12})\.? (?P<day>\d{1,2}),?)"
    r"(?:[T, ]+\d{1,2}:\d{2}(?::\d{2})?(?:\.\d+)?(?: ?[ap]\.?m\.?)?)?",
    re.IGNORECASE,
)


def lacks_year(text: str) -> bool:
    """Whether the cell is a day, with or without a time of day, that has no year.

    >>> [lacks_year(t) for t in ("03/14 09:31", "14.03.", "14 Mar 09:31", "3/14/24", "1.5")]
    [True, True, True, False, False]
    """
    found = _NO_YEAR.fullmatch(in_english(text.strip()))
    if found is None:
        return False
    if name := (found["mon"] or found["name"]):
        return month_of(name) > 0
    a, b = int(found["a"]), int(found["b"])
    return (
        min(a, b) in range(1, 13)
        and max(a, b) <= 31
        and not re.fullmatch(r"\d\.\d{1,2}|\d{1,2}\.\d", text.strip())
    )


def orders(cells: Iterable[str]) -> tuple[set[str], int]:
    """(the orders of day and month that read every cell that is a time, how many cells are no time
    at all).

    >>> (
    ...     orders(["03/02/2026 09:30", "17/03/2026 09:30"]),
    ...     orders(["03/02/2026"])[0] == {"dm", "md"}, orders(["2024-01-02"])[0],
    ... )
    (({'dm'}, 0), True, {''})
    """
    possible, unread, certain = {"dm", "md"}, 0, True
    for cell in cells:
        found = parsed(cell)
        if found is None:
            unread += 1
        elif found.order == "?":
            certain = False
            possible &= {order for order in ("dm", "md") if moment(cell, order) is not None}
    return ({""} if certain else possible), unread


def strptime_format(cells: Sequence[str], order: str) -> str | None:
    """One format as `datetime.strptime` takes it that reads all `cells` as `order` does, None where
    there is no single one.

    >>> strptime_format(["1/9/2022, 9:14:22 PM"], "md"), strptime_format(["13.04.2026 15:34"], "")
    ('%m/%d/%Y, %I:%M:%S %p', '%d.%m.%Y %H:%M')
    """
    for form in _formats(cells[0], order):
        if all(reads(form, cell, order) for cell in cells):
            return form
    return None


def reads(form: str, cell: str, order: str) -> bool:
    """Whether the format reads the cell as the order of day and month does."""
    if not _shape(form).fullmatch(cell.strip()):
        return False
    expected = moment(cell, order)
    try:
        # compared with what has the same offset or none
        found = datetime.strptime(cell.strip(), form)  # noqa: DTZ007
    except ValueError:
        return False
    return expected is not None and found == expected[0]


_SHAPES = {"Y": r"\d{4}", "y": r"\d\d", "f": r"\d{1,6}"} | dict.fromkeys("mdHIMS", r"[ \d]?\d")


@lru_cache(maxsize=4096)
def _shape(form: str) -> re.Pattern[str]:
    """What every text that the format reads looks like, and others.  `strptime` keeps the patterns
    of five formats; with more it spends nine tenths of its time on making them again.

    >>> bool(_shape("%d.%m.%Y").fullmatch("1.2.2024")), _shape("%d.%m.%Y").fullmatch("1/2/2024")
    (True, None)
    """
    parts = re.split(r"%(.)|(\s+)", form)
    texts = [re.escape(text) for text in parts[::3]]
    between = [
        r"\s*" if directive is None else _SHAPES.get(directive, r".*?") for directive in parts[1::3]
    ]
    whole = "".join(a + b for a, b in zip(texts, [*between, ""], strict=True))
    return re.compile(whole, re.IGNORECASE | re.DOTALL)


def _formats(cell: str, order: str) -> Iterable[str]:
    days = {
        "": (
            "%d.%m.%Y",
            "%Y.%m.%d",
            "%Y/%m/%d",
            "%Y-%m-%d",
            "%d %b %Y",
            "%b %d, %Y",
            "%b %d %Y",
            "%d-%b-%Y",
            "%d-%b-%y",
            "%d%b%Y",
            "%d.%m.%y",
            "%Y%m%d",
        ),
        "md": ("%m/%d/%Y", "%m/%d/%y", "%m-%d-%Y", "%m-%d-%y"),
        "dm": ("%d/%m/%Y", "%d/%m/%y", "%d-%m-%Y", "%d-%m-%y"),
    }[order]
    clocks = (
        "%H:%M:%S",
        "%H:%M",
        "%I:%M:%S %p",
        "%I:%M %p",
        "%H:%M:%S.%f",
        "%I:%M:%S.%f %p",
        "%H%M%S",
        "%I:%M:%S%p",
        "%I:%M%p",
    )
    for day in days:
        yield day
        for gap in (" ", ", ", ";", "T"):
            for clock in clocks:
                yield f"{day}{gap}{clock}"
                yield f"{day}{gap}{clock} %z"
