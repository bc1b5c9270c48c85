"""Read the table with the draft so far, to check whether the result is plausible.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from app.errors import ConfigurationError
from app.sources import making
from app.sources.books import Position
from app.sources.cells import Cells
from app.sources.drafting.decided import Decided
from app.sources.drafting.text import mapping_only
from app.sources.fills import Closing, Fills
from app.sources.mapping import OPEN_QUESTION, TableMapping
from app.sources.mapping_file import loads
from app.sources.notes import Notes
from app.sources.tables import Row

_MOST_ROWS = 20_000


@dataclass
class Tried:
    """The result of the fills: closed positions, open ones, sales of positions not held, and rows
    that are not fills."""

    closed: list[Position] = field(default_factory=list)
    open: list[Position] = field(default_factory=list)
    oversold: dict[str, Decimal] = field(default_factory=dict)
    unread: int = 0


def mapping_of(decided: Decided, order: str = "md") -> TableMapping | None:
    """The draft so far as a mapping; None if it is not complete enough.  `order` is that of day and
    month, where it is asked for."""
    try:
        return loads(mapping_only(decided, order=order), "draft")
    except ConfigurationError:
        return None


def moments(decided: Decided, name: str, rows: Sequence[Row] | None = None) -> list[str | None]:
    """A time field in each row (or in each of `rows`), as text that sorts in the order of time;
    None if it is not a time."""
    mapping = mapping_of(decided)
    rows = decided.kept.contents.rows if rows is None else rows
    if mapping is None:
        return [None] * len(rows)
    cells = Cells(mapping)
    found: list[Any] = [cells.time(row.cells, name) for row in rows]
    return [time.removesuffix("Z") if making.is_time(time) else None for time in found]


def fills(decided: Decided, shorts: str = "yes", newest_first: bool | None = None) -> Tried:
    """The positions that result from the fills; `shorts` and `newest_first` as in a mapping.  Where
    the order of day and month is asked for, what is oversold in either counts."""
    tried = _fills(decided, shorts, newest_first, "md")
    time = decided.fields.get("time")
    if time is not None and time.keys.get("format") == OPEN_QUESTION:
        tried.oversold |= _fills(decided, shorts, newest_first, "dm").oversold
    return tried


def _fills(decided: Decided, shorts: str, newest_first: bool | None, order: str) -> Tried:
    mapping = mapping_of(decided, order)
    if mapping is None:
        return Tried()
    read = replace(mapping, shorts=shorts, newest_first=newest_first)
    return fills_of(read, decided.kept.contents.rows[:_MOST_ROWS])


def fills_of(mapping: TableMapping, rows: Sequence[Row], notes: Notes | None = None) -> Tried:
    """The positions that result from rows of fills, as the mapping reads them."""
    tried = Tried()
    reader = Fills(mapping, "pm", notes or Notes())
    for found in reader.positions([("", rows)]):
        if isinstance(found, Closing):
            tried.unread += 1
        elif found.held == 0:
            tried.closed.append(found)
        else:
            tried.open.append(found)
    tried.oversold = reader.oversold
    return tried
