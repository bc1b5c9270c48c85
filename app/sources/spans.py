"""Spans of time, such as `09:35-09:47` or `24/02/2025 - 27/02/2025`: a column in which each cell
has the times of the entry and of the exit is read as two.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, islice

from app.sources.blocks import Block, Row
from app.sources.column_names import NAMES, known_as

OPENED, CLOSED = "Open time", "Close time"
"""What the columns of the two times are called."""
_DAY = r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2})?(?:\s?[AaPp]\.?[Mm]\.?)?"
_SPAN = re.compile(
    rf"(?P<day>{_DAY}(?:,?\s+|T))?(?P<clock>{_CLOCK})"
    rf"(?:\s*(?:[–—~→]|to|bis)\s*|\s+-\s+)(?P<until>(?P<next>{_DAY}(?:,?\s+|T))?{_CLOCK})"
    r"|(?P<from>\d{1,2}:\d{2})-(?P<to>\d{1,2}:\d{2}(?:\s?[AaPp]\.?[Mm]\.?)?)"
    rf"|(?P<first>{_DAY})\s*(?:[–—~→]|\s-\s|to|bis)\s*(?P<last>{_DAY})"
)
_TIME = re.compile(rf"{_DAY}.*|{_CLOCK}")
_OF_ENDS = {*NAMES["entry_timestamp"], *NAMES["exit_timestamp"]}
_NO_TRADE = re.compile("session|hours|valid|period")
"""Of spans in which others trade too."""
_LOOKED_AT = 50


def with_ends(block: Block) -> Block:
    """The block, with a column for each end of the spans in it, if it has no other times of
    entries and exits, and the spans differ."""
    first = list(islice(block.rows, _LOOKED_AT))
    rows = chain(first, block.rows)
    told = any(
        known_as(column) in _OF_ENDS
        and any(_TIME.fullmatch(str(row.cells.get(column) or "").strip()) for row in first)
        for column in block.columns
    )
    for column in () if told else block.columns:
        cells = [str(row.cells.get(column) or "").strip() for row in first]
        filled = [cell for cell in cells if cell]
        if (
            filled
            and all(map(_SPAN.fullmatch, filled))
            and (len({*filled}) > 1 or len(filled) == 1)
            and not _NO_TRADE.search(known_as(column))
        ):
            return block._replace(
                columns=(*block.columns, OPENED, CLOSED), rows=_parted(rows, column)
            )
    return block._replace(rows=rows)


def _parted(rows: Iterator[Row], column: str) -> Iterator[Row]:
    """The rows with both ends in columns of their own.  An exit at an earlier time of day than the
    entry, without a day, stays a time of day: which day it was is not said."""
    for row in rows:
        found = _SPAN.fullmatch(str(row.cells.get(column) or "").strip())
        if found is None:
            yield row._replace(cells={**row.cells, OPENED: row.cells.get(column), CLOSED: None})
            continue
        opened, closed = ends_of(found)
        yield row._replace(cells={**row.cells, column: None, OPENED: opened, CLOSED: closed})


def ends_of(span: re.Match[str]) -> tuple[str, str]:
    """(the entry's time, the exit's), with the day of the first one where the second has none.

    >>> ends_of(_SPAN.fullmatch("24.03.2025 09:35 – 09:47"))
    ('24.03.2025 09:35', '24.03.2025 09:47')
    >>> ends_of(_SPAN.fullmatch("9:35-9:47 AM"))
    ('9:35 AM', '9:47 AM')
    >>> ends_of(_SPAN.fullmatch("2025-03-24 22:10 - 01:05"))
    ('2025-03-24 22:10', '01:05')
    """
    if span["first"]:
        return span["first"], span["last"]
    clock, until = span["clock"] or span["from"], span["until"] or span["to"]
    half = re.compile(r"\s?[AaPp]\.?[Mm]\.?$")
    if (behind := half.search(until)) and not half.search(clock):
        clock += behind[0]
    day = span["day"] or ""
    late = not behind and until.rjust(len(clock), "0") < clock.rjust(len(until), "0")
    return f"{day}{clock}", until if span["next"] or (day and late) else f"{day}{until}"
