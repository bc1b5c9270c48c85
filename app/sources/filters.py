"""Which rows of a table count: those whose cells are as `[keep]` and `[leave_out]` of a mapping
say; the others are counted.

May touch: the tables it is given (read only).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from app.sources.cells import DASHES, NOTHING, as_text
from app.sources.figures import written
from app.sources.mapping import TableMapping
from app.sources.notes import Notes
from app.sources.tables import Row, table

Watched = Callable[[str, Iterator[Row]], Iterator[Row]]


def rows_of(
    path: str, mapping: TableMapping, notes: Notes, watched: Watched | None = None
) -> Iterator[Row]:
    """The rows of a table that the mapping keeps; `watched` gets the path and all rows, and passes
    them on."""
    with table(
        path, mapping.delimiter, mapping.encoding, mapping.names(), mapping.table, notes
    ) as found:
        mapping.check_columns(found.columns, path)
        rows = found.rows if watched is None else watched(path, found.rows)
        yield from kept(rows, mapping, notes)


def kept(rows: Iterable[Row], mapping: TableMapping, notes: Notes) -> Iterator[Row]:
    """The rows that are kept.  A row with more cells than there are columns is kept, for input
    validation to refuse: its cells have slipped."""
    if mapping.fill_down:
        rows = filled_down(rows, mapping.fill_down)
    if not mapping.keep and not mapping.leave_out:
        yield from rows
        return
    for row in rows:
        column = None if row.beyond else _against(row.cells, mapping)
        if column is None:
            yield row
            continue
        value = _text(row.cells.get(column)) or "(empty)"
        notes.add(f"rows left out by the mapping, by their {column}", name=value)


def filled_down(rows: Iterable[Row], columns: Collection[str]) -> Iterator[Row]:
    """The rows, with what stands above in empty cells of the columns."""
    above: dict[str, Any] = {}
    for row in rows:
        empty = {
            column: above[column]
            for column in columns
            if not _text(row.cells.get(column)) and column in above
        }
        above.update(
            {column: row.cells[column] for column in columns if _text(row.cells.get(column))}
        )
        yield row._replace(cells={**row.cells, **empty}) if empty else row


def _against(cells: Mapping[str, Any], mapping: TableMapping) -> str | None:
    """The column for which the row is left out, None for a row that is kept."""
    for column, values in mapping.keep.items():
        if not _among(cells.get(column), values):
            return column
    side = mapping.columns.get("side")
    for column, values in mapping.leave_out.items():
        nothing = NOTHING if side is not None and column == side.name else NOTHING | DASHES
        if _among(cells.get(column), values, nothing):
            return column
    return None


def _text(value: Any) -> str:
    return "" if value is None else as_text(value).strip()


def _among(value: Any, values: Iterable[str], nothing: frozenset[str] = NOTHING) -> bool:
    """By the text in small letters; a number also by its value, so that `0` is `0.00` too, and
    texts for `nothing` as an empty cell."""
    text = _text(value).lower()
    text = "" if text in nothing else text
    told = written(text)
    number = float(told.text) if told else None
    return any(
        text == one
        or (
            number is not None
            and (other := written(one)) is not None
            and float(other.text) == number
        )
        for one in values
    )
