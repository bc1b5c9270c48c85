"""How the cells of a column are to be read as times.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from app.sources import times
from app.sources.cell_times import parse_time
from app.sources.cells import as_text
from app.sources.column_names import NAMES, known_as
from app.sources.ends import end_of, is_price
from app.sources.glued_names import spaced
from app.sources.making import DAYS, TICKS, UNITS, is_time
from app.sources.mapping import OPEN_QUESTION, Column

MOST = 0.75
"""Share of a column's cells that have to be readable as what it is taken for; the others will be
dead letters with their line."""
_OUR_YEAR = re.compile(r"19[7-9]|20")
_DOTTED_DAY = re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}\.?|(19|20)\d\d\.\d{1,2}\.\d{1,2}\.?")
_EPOCH = re.compile(r"\d{10}(\.\d+)?|\d{13}(\.\d+)?|\d{16}|\d{19}")
_TICKS = re.compile(r"6[2-6]\d{16}")
"""Of the years 1965 to 2123."""
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
_TIME_NAMES = {
    name for field in ("time", "entry_timestamp", "exit_timestamp") for name in NAMES[field]
}
_FEW_TEXTS = 2_000
"""Different texts of which each is read."""
_AS_ZERO = str.maketrans("123456789", "0" * 9)
_PAIR = re.compile("00?")
_LOOKED_AT = 5_000
"""Cells of a long table that show whether a column may have times."""
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
        "start",
        "end",
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
_EAST_TIMES = re.compile("日期|時間|时间|日時|約定日|일자|일시|시간|시각|거래일|날짜")
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
    "GST": "Asia/Dubai",
    **dict.fromkeys(("MSK", "МСК"), "Europe/Moscow"),
    "TRT": "Europe/Istanbul",
    "PKT": "Asia/Karachi",
    "WIB": "Asia/Jakarta",
    "MYT": "Asia/Kuala_Lumpur",
    "ICT": "Asia/Bangkok",
    "AWST": "Australia/Perth",
    "SAST": "Africa/Johannesburg",
    "BRT": "America/Sao_Paulo",
    **dict.fromkeys(("MST", "MDT"), "America/Denver"),
    **dict.fromkeys(("WET", "WEST"), "Europe/Lisbon"),
    **dict.fromkeys(("EET", "EEST"), "Europe/Athens"),
    **dict.fromkeys(("NZST", "NZDT", "NZT"), "Pacific/Auckland"),
    "BST": "Europe/London",
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


def half_exchanged(values: Sequence[Any]) -> str:
    """A day that a spreadsheet may have read with day and month exchanged, empty if there is none:
    it leaves `14/03/2024` a text where it expects the month first, and takes `04/03/2024` for a
    day in April."""
    texts = {time_text(v) for v in values}
    taken = [t for t in texts if t[4:5] == "-" and re.match(r"\d{4}-\d\d-\d\d", t)]
    if not taken or len(taken) == len(texts):
        return ""
    left = [t for t in texts if re.match(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{4}", t)]
    exchangeable = [t for t in taken if int(t[8:10]) <= 12]
    beyond = [t for t in left if max(int(n) for n in re.split(r"[/.-]", t)[:2]) > 12]
    if left and taken and len(exchangeable) == len(taken) and len(beyond) == len(left):
        return min(exchangeable)
    return ""


def read_times(column: str, values: Sequence[Any]) -> TimeReading | None:
    """How to read the column with these cells as times, None if it holds none."""
    values = [v for v in values if str(v).lower() not in STILL_OPEN]
    words = set(known_as(column).split("_"))
    if _EAST_TIMES.search(column):
        words |= {"time"}
    if not values:
        return None
    if all(isinstance(v, (datetime, date)) for v in values):
        clock = any(isinstance(v, datetime) and (v.hour or v.minute or v.second) for v in values)
        return TimeReading(
            {}, clock, all(isinstance(v, datetime) and v.tzinfo is not None for v in values)
        )
    texts = [time_text(v) for v in values]
    if words & _ID_WORDS and not words & _TIME_WORDS:
        return None
    if all(_EPOCH.fullmatch(text) for text in texts):
        numbers = sorted(float(text) for text in texts)
        if numbers[-1] > 100 * numbers[0]:
            return None  # Some are in another unit.
        middle = numbers[len(texts) // 2]
        # 1979 to 2096
        units = [unit for unit, us in UNITS.items() if 3e14 < middle * us < 4e15]
        return TimeReading({"unit": units[0]}, True, True) if units else None
    called_time = bool(words & _TIME_WORDS) or known_as(column) in _TIME_NAMES
    if called_time and all(_TICKS.fullmatch(text) for text in texts):
        return TimeReading({"unit": TICKS}, True, False)
    if (serial := _serial(texts)) is not None and (
        called_time
        or (end_of(known_as(column)) and not is_price(known_as(column)) and _are_exact(texts))
    ):
        return serial
    if all(
        re.fullmatch(r"[\d.,]+", t) and not (called_time and len(t) in (8, 12, 14)) for t in texts
    ) and not all(_DOTTED_DAY.fullmatch(t) for t in texts):
        return None
    return read_texts(column, texts)


def standing_for_all(texts: Sequence[str]) -> Counter[str]:
    """Texts of a column, and for how many cells each of them stands.  Of many that differ in their
    digits alone, those stand for the others that have every pair of digits which occurs in its
    place, if all of them are times: whether such a text is one depends on its parts.

    >>> standing_for_all(["2024-03-01", "2024-03-02", "2024-03-01"])
    Counter({'2024-03-01': 2, '2024-03-02': 1})
    """
    each = Counter(texts)
    if len(each) <= _FEW_TEXTS:
        return each
    looks: dict[str, list[str]] = defaultdict(list)
    for text in each:
        looks[text.translate(_AS_ZERO)].append(text)
    standing: Counter[str] = Counter()
    for look, alike in looks.items():
        pairs = [found.span() for found in _PAIR.finditer(look)]
        seen: set[tuple[int, str]] = set()
        chosen: list[str] = []
        for text in alike:
            parts = [(start, text[start:end]) for start, end in pairs]
            if not seen.issuperset(parts):
                seen.update(parts)
                chosen.append(text)
        if any(times.parsed(text) is None for text in chosen):
            chosen = alike
        for text in chosen:
            standing[text] = each[text]
        standing[chosen[0]] += sum(each[text] for text in alike) - sum(each[t] for t in chosen)
    return standing


def _are_exact(texts: list[str]) -> bool:
    """Whether most numbers have as many decimals as hardly any price, but days with a time."""
    return 2 * sum(bool(re.search(r"[.,]\d{5,}$", text)) for text in texts) >= len(texts)


def _serial(texts: list[str]) -> TimeReading | None:
    """Days since 1899, as spreadsheets store them."""
    if not all(re.fullmatch(r"\d{5}([.,]\d+)?", text) for text in texts):
        return None
    days = [float(text.replace(",", ".")) for text in texts]
    if not all(20_000 < day < 60_000 for day in days):
        return None
    return TimeReading({"unit": DAYS}, any(day % 1 for day in days), False)


def read_texts(column: str, texts: Sequence[str]) -> TimeReading | None:
    if not texts:
        return None
    begin = texts[:_LOOKED_AT]
    if len(begin) < len(texts) and 2 * sum(times.parsed(t) is not None for t in begin) < len(begin):
        return None
    zone = zone_of_name(column)
    each = standing_for_all(texts)
    iso = sum(
        n
        for t, n in each.items()
        if not t.isdecimal() and _OUR_YEAR.match(t) and is_time(parse_time(t, Column(column), _UTC))
    )
    parsed = {t: times.parsed(t) for t in each}
    read = list(parsed.values())
    n_read = sum(n for t, n in each.items() if parsed[t] is not None)
    clock = any(r is not None and r.clock is not None for r in read)
    if iso == len(texts) or (iso >= MOST * len(texts) and iso >= n_read):
        timed = [t for t in each if ":" in t or re.match(r"\d{4}-?\d\d-?\d\d[T ]\d{4}", t)]
        offset = bool(timed) and all(re.search(r"(Z|[+-]\d\d:?\d\d)$", t) for t in timed)
        return TimeReading({}, clock, offset and clock, zone)
    if n_read < MOST * len(texts):
        return None
    good = [t for t in each if parsed[t] is not None]
    possible, _ = times.orders(good)
    if not possible:
        return None
    cells_zone = (
        "America/New_York" if any(t.rstrip().upper().endswith(" ET") for t in good) else None
    )
    offset = all(r.has_zone for r in read if r is not None)
    order, ambiguous, told = next(iter(possible)), "", ""
    if _year_may_be_first(good):
        return TimeReading({"format": OPEN_QUESTION}, clock, offset, zone or cells_zone, good[0])
    if len(possible) == 2:
        order, told = _order_from_rows([t for t in texts if times.parsed(t) is not None])
        ambiguous = "" if order != OPEN_QUESTION else good[0]
    elif order:
        first = "the day before the month" if order == "dm" else "the month before the day"
        told = f"{column} has {first}: every cell can be read only this way."
    if order == OPEN_QUESTION:
        return TimeReading({"format": OPEN_QUESTION}, clock, offset, zone or cells_zone, ambiguous)
    sample = sorted(good, key=lambda t: (len(t), t))
    form = times.strptime_format([*sample[:200], *sample[-200:]], order)
    if form and not all(times.reads(form, t, order) for t in good):
        form = None
    return TimeReading(
        {"format": form or (order or "any")}, clock, offset, zone or cells_zone, "", told
    )


def _order_from_rows(texts: list[str]) -> tuple[str, str]:
    """The order of day and month with which alone the rows are in order of time; `?` where that
    tells nothing."""
    rising: dict[str, bool] = {}
    for order in ("dm", "md"):
        found = [
            m[0].replace(tzinfo=None) for t in texts if (m := times.moment(t, order)) is not None
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


def time_text(value: Any) -> str:
    if type(value) is str:
        return value
    if isinstance(value, datetime) and not (value.hour or value.minute or value.second):
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, time) else as_text(value)


_UNSIGNED = re.compile(r"(?:utc|gmt) ?0*(\d{1,2})(?:_?\d\d)?$", re.IGNORECASE)


def has_unsigned_offset(column: str) -> bool:
    """Whether a column's name has an offset that has lost its sign, as names of small letters have.

    >>> [has_unsigned_offset(name) for name in ("time_utc_3", "time_utc_0", "time_utc", "UTC+3")]
    [True, False, False, False]
    >>> has_unsigned_offset("timeUtc3")
    True
    """
    found = _UNSIGNED.search(spaced(column))
    return found is not None and int(found[1]) > 0


def zone_of_name(column: str) -> str | None:
    """The zone in a column's name, as zoneinfo calls it.

    >>> [
    ...     zone_of_name(name)
    ...     for name in ("Date(UTC)", "Time (UTC+8)", "Trade Time(UTC+0)", "Opened", "Date (EST)")
    ... ]
    ['UTC', 'Etc/GMT-8', 'UTC', None, 'America/New_York']
    >>> zone_of_name("Transaction Time (CET)"), zone_of_name("Price (USD)")
    ('Europe/Berlin', None)
    >>> zone_of_name("tradeTimeEst"), zone_of_name("Date Et"), zone_of_name("DateUtc")
    ('America/New_York', 'America/New_York', 'UTC')
    >>> zone_of_name("Trade Time (New York)"), zone_of_name("Price (Local)")
    ('America/New_York', None)
    """
    if has_unsigned_offset(column):
        return None
    if found := re.search(r"\b(?:UTC|GMT)\s*([+-]\d{1,2})(?::?00)?\b", column, re.IGNORECASE):
        hours = int(found[1])
        return "UTC" if hours == 0 else f"Etc/GMT{-hours:+d}"
    if re.search(r"(?<![A-Za-z])(UTC|GMT)(?![A-Za-z])", spaced(column), re.IGNORECASE):
        return "UTC"
    if city := re.search(r"\(([A-Z][a-z]+(?: [A-Z][a-z]+)?)\)$", column):
        name = "/" + city[1].replace(" ", "_")
        return next((zone for zone in sorted(available_timezones()) if zone.endswith(name)), None)
    words = spaced(column)
    found = re.search(r"[(\s_]([A-ZА-Я]{2,4})\)?$", words)
    if found is None:
        found = re.search(r"(?:time|date|timestamp|at) (et|[a-z]{3,4})$", words, re.IGNORECASE)
    return _ZONES.get(found[1].upper()) if found else None
