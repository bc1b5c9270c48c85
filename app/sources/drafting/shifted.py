"""Rows whose cells have slipped by one column: another cell stands before the first one, or the
first one is missing.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.errors import BadDataError
from app.sources.cells import as_text, parse_number
from app.sources.column_names import NAMES, known_as
from app.sources.drafting.contents import Contents
from app.sources.drafting.time_readings import time_text
from app.sources.making import joined
from app.sources.sides import Event, Side, read_side
from app.sources.times import parsed

_KINDS = {
    "time": ("time", "entry_timestamp", "exit_timestamp"),
    "number": ("price", "entry_price", "exit_price", "quantity", "pnl_usd", "fee", "gross", "net"),
    "side": ("side",),
}
_FEWEST = 2
"""Columns at least whose cells are of another kind than the name says, if rows have slipped."""
_FIRST_DAY = 10_000
"""What numbers that are times, as days or seconds, are more than."""
_LOOKED_AT = 5_000


def refuse_shifted(path: str, contents: Contents) -> None:
    """Raises `BadDataError` for rows in which at least two cells are not what the names of their
    columns say (times, numbers, sides), and all of them are what the names beside say."""
    kinds = [
        next((kind for kind, fields in _KINDS.items() if _is_named(column, fields)), None)
        for column in contents.columns
    ]
    if sum(kind is not None for kind in kinds) <= _FEWEST:
        return
    slipped: list[int] = []
    side = ""
    for row in contents.rows[:_LOOKED_AT]:
        cells = [row.cells.get(column) for column in contents.columns]
        if row.beyond or _count(cells, kinds, fit=False) < _FEWEST:
            continue
        moved = {"right": [*cells[1:], None]}
        if not _filled(cells[-1]):
            moved["left"] = [None, *cells[:-1]]
        for where, others in moved.items():
            if not _count(others, kinds, fit=False) and _count(others, kinds, fit=True) > _FEWEST:
                slipped.append(row.line)
                side = side or where
                break
    if slipped:
        lines = joined([f"line {line}" for line in slipped], 5)
        raise BadDataError(
            f"{path} has rows whose cells stand one column to the {side} of their names: {lines}.",
            "Name the column that the header lacks, or remove the cell that is too many.",
        )


def _is_named(column: str, fields: Sequence[str]) -> bool:
    name = known_as(column)
    return any(name in NAMES[field] for field in fields)


def _filled(cell: Any) -> bool:
    return cell is not None and bool(as_text(cell).strip())


def _count(cells: Sequence[Any], kinds: Sequence[str | None], *, fit: bool) -> int:
    """How many cells are (or are not) what the names of their columns say."""
    return sum(
        kind is not None and _filled(cell) and _is(kind, cell) == fit
        for cell, kind in zip(cells, kinds, strict=True)
    )


def _is(kind: str, cell: Any) -> bool:
    """Whether a cell may be of the kind; a number may be a time, and anything but a time a side
    that is written in numbers."""
    if kind == "time" and parsed(time_text(cell)) is not None:
        return True
    text = as_text(cell).strip()
    if kind == "side" and isinstance(read_side(text), (Side, Event)):
        return True
    numbers = (n for mark in ".," if type(n := parse_number(cell, mark)) in (int, float))
    if kind == "time":
        return any(n > _FIRST_DAY for n in numbers)
    return next(numbers, None) is not None or (kind == "number" and len(text) <= 1)
