"""How long positions were held, by a column that says so, beside the times that are read.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from app.sources.cells import as_text
from app.sources.column_names import folded, known_as
from app.sources.drafting.adding_up import MOST
from app.sources.drafting.compared import FAR, Compared, Contradiction
from app.sources.figures import written
from app.sources.making import is_time

_NAMED = re.compile(
    r"durat|(^|_)hold|(^|_)held|time_in_(trade|position|market)|elapsed|haltedauer|haltezeit|dauer"
    r"|durée|duración|durata|duração|looptijd|保有時間|持仓时间|持倉時間|보유"
)
_NOT_TIME = re.compile(r"bars|candle|kerzen|velas|barras|avg|average|max|min_|(^|_)to(_|$)")
_UNIT_IN_NAME = (
    (re.compile(r"(^|_)(ms|millis\w*|milliseconds?)(_|$)"), 0.001),
    (re.compile(r"(^|_)(s|secs?|seconds?|sekunden)(_|$)"), 1.0),
    (re.compile(r"(^|_)(m|mins?|minutes?|minuten|minutos)(_|$)"), 60.0),
    (re.compile(r"(^|_)(h|hrs?|hours?|stunden|horas|heures)(_|$)"), 3_600.0),
    (re.compile(r"(^|_)(d|days?|tage|días|dias|jours|giorni|dagen)(_|$)"), 86_400.0),
)
_PARTS = (
    (r"d|days?|tage?n?|jours?|días?|dias?|giorn[oi]|dagen", 86_400.0),
    (r"h|hrs?|hours?|std|stunden?|heures?|horas?|ore|uur", 3_600.0),
    (r"m|mins?|minutes?|minuten?|minutos?", 60.0),
    (r"s|secs?|seconds?|sek|sekunden?|segundos?", 1.0),
)
_PART = re.compile(r"(\d+(?:[.,]\d+)?)\s*([^\W\d_]+)\.?,?\s*(?:and|und|et|y)?\s*", re.IGNORECASE)
_CLOCK = re.compile(
    r"(?:(\d+)\s*(?:d|days?|tage?)?[ .,]+)?(\d{1,4}):(\d\d)(?::(\d\d)(?:\.\d+)?)?", re.IGNORECASE
)
_DAY = 86_400.0
_Told = tuple[float, float]
"""(a duration, the unit in which it is told), in seconds."""


def by_duration(compared: Compared) -> Iterator[Contradiction]:
    """Columns with how long positions were held, of which nearly all differ by far from the times
    that are read."""
    if compared.kind != "positions" or not {"entry_timestamp", "exit_timestamp"} <= compared.fields:
        return
    held = [_held(own.entered, own.moment) for own in compared.found]
    clocks = {at[10:] for own in compared.found for at in (own.entered, own.moment) if at}
    bare = _DAY if len(clocks) <= 1 else 60.0
    for column in compared.contents.columns:
        if not _NAMED.search(known_as(column)) or _NOT_TIME.search(known_as(column)):
            continue
        rows = [
            (i, told, made)
            for i, (cell, made) in enumerate(
                zip(compared.contents.cells(column), held, strict=True)
            )
            if made is not None and (told := readings(column, cell))
        ]
        against = [(i, told, made) for i, told, made in rows if _far(told, made, bare)]
        if len(against) > 1 and len(against) >= MOST * len(rows):
            _, told, made = against[0]
            yield Contradiction(
                f"Whether the times of entries and exits are read rightly: {column} has"
                f" {_words(min(told)[0])} where they are {_words(made)} apart, and the like in"
                f" {len(against):,} of {len(rows):,} rows.",
                tuple(i for i, _, _ in against),
            )


def readings(column: str, cell: Any) -> tuple[_Told, ...]:
    """What a cell may mean; nothing where its unit is not told.

    >>> readings("Duration", "1h 30m"), readings("Hold (min)", "90"), readings("Duration", "90")
    (((5400.0, 60.0),), ((5400.0, 60.0),), ())
    >>> readings("Duration", "01:30"), readings("Time in trade", "2 days 01:00:00")
    (((90.0, 1.0), (5400.0, 60.0)), ((176400.0, 1.0),))
    """
    if cell is None:
        return ()
    text = as_text(cell).strip()
    if clock := _CLOCK.fullmatch(text):
        days, first, second, third = (int(part or 0) for part in clock.groups())
        whole = days * _DAY + first * 3_600.0 + second * 60.0 + third
        if clock[4] or clock[1]:
            return ((whole, 1.0 if clock[4] else 60.0),)
        return (first * 60.0 + second, 1.0), (whole, 60.0)
    number = written(text)
    if number is not None and not number.unit:
        name = folded(column)
        unit = next((size for pattern, size in _UNIT_IN_NAME if pattern.search(name)), None)
        return () if unit is None else ((float(number.text) * unit, unit),)
    parts, least, end = 0.0, _DAY, 0
    for part in _PART.finditer(text):
        size = next(
            (size for names, size in _PARTS if re.fullmatch(names, part[2], re.IGNORECASE)), None
        )
        if size is None or part.start() != end:
            return ()
        parts += float(part[1].replace(",", ".")) * size
        least, end = min(least, size), part.end()
    return ((parts, least),) if end == len(text) > 0 else ()


def _held(entered: str, left: str) -> float | None:
    if not (is_time(entered) and is_time(left)):
        return None
    first, last = map(datetime.fromisoformat, (entered, left))
    return (last - first).total_seconds()


def _far(told: tuple[_Told, ...], made: float, off: float) -> bool:
    """Whether none of the readings is near what the times make, which may be `off`: bare days are
    a day, minutes a minute.  So may a duration be one of its unit, as the first day may count."""
    return all(
        made < -off
        or seconds > FAR * (max(made, 0.0) + max(off, unit))
        or made - off > FAR * (seconds + max(off, unit))
        for seconds, unit in told
    )


def _words(seconds: float) -> str:
    for size, name in ((_DAY, "days"), (3_600.0, "hours"), (60.0, "minutes")):
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.3g} seconds"
