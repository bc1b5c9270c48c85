"""Rows that are equal in every cell: fills of their own, or the same ones once more, as in files
that were put together.  Columns that are there twice.

May touch: nothing.
"""

from __future__ import annotations

import re

from app.errors import BadDataError
from app.sources.column_names import known_as
from app.sources.drafting.contents import Contents
from app.sources.drafting.decided import Decided
from app.sources.drafting.spec import Spec

_NUMBERED = re.compile(
    r"(^|_)(refs?|reference|referenz|referencia|référence|id|uid|uuid|no|nr|num|number|ticket|hash|beleg\w*"
    r"|folio|comprobante)(_|$)|番号|編號|编号|번호"
)
"""Words of columns that number rows."""
_OF_ORDER = re.compile(
    r"order|orden|ordre|auftrag|pedido|parent|account|conto|konto|委託|委托|注文|주문"
)
"""Of numbers that several fills have, which may be equal."""

_HALF, _HALF_OF_DAYS = 2, 3
"""Rows at least that are no trades of their own if they are there again in the same order: with a
time of day, and with bare days."""
_AGAIN = re.compile(r"(.+) (\(\d+\))")
"""What a column is called whose name another one has already."""


def without_copies(contents: Contents) -> Contents:
    """Without columns that repeat the name and all cells of another one.  As long as one of the
    columns that share a name differs, as with the days and prices of both ends, all of them
    count."""
    copies: dict[str, bool] = {}
    for column in contents.columns:
        if (named := _AGAIN.fullmatch(column)) and named[1] in contents.columns:
            copies[column] = contents.cells(column) == contents.cells(named[1])
    if not copies or not all(copies.values()) or contents.n_rows < 2:
        return contents
    kept = tuple(column for column in contents.columns if column not in copies)
    return Contents(kept, contents.rows, texts=contents.texts)


def is_number_of_rows(column: str) -> bool:
    """Whether a column's name says that it numbers rows, and not orders."""
    name = known_as(column)
    return bool(_NUMBERED.search(name)) and not _OF_ORDER.search(name)


def identifies(contents: Contents, column: str) -> bool:
    """Whether each value belongs to one row, or to rows that are equal in every cell."""
    rows = contents.rows
    if len(contents.values(column)) < len(rows):
        return False
    found: dict[str, dict[str, object]] = {}
    for row in rows:
        first = found.setdefault(str(row.cells.get(column)), row.cells)
        if first is not row.cells and first != row.cells:
            return False
    return len(found) > 1 or len(rows) == 1


def _has_clock(contents: Contents) -> bool:
    readings = map(contents.time, contents.columns)
    return any(reading is not None and reading.has_clock for reading in readings)


def settle_repeated(path: str, decided: Decided) -> None:
    """Leave equal rows out if a column numbers the rows; else say that all of them count.

    Raises `BadDataError` if the second half of the rows repeats the first.
    """
    contents = decided.kept.contents
    name = "fill_id" if decided.rows == "fills" else "trade_id"
    rows = [tuple(map(str, row.cells.values())) for row in contents.rows]
    n_repeated = len(rows) - len(set(rows))
    if not n_repeated:
        _name_copies(decided)
        return
    own = decided.fields.get(name)
    if own is None:
        column = next(
            (
                c
                for c in contents.columns
                if c not in decided.used()
                and is_number_of_rows(c)
                and contents.time(c) is None
                and identifies(contents, c)
            ),
            None,
        )
        if column is None and _is_twice(contents, rows):
            raise BadDataError(
                f"{path} has all its rows twice: the second half repeats the first.",
                "Remove one half; the file may have been put together with itself.",
            )
        if column is None:
            decided.left.append(
                f"Whether {n_repeated:,} rows that are equal to others in every cell are trades of"
                " their own: they are counted. If the file was put together from overlapping ones,"
                " remove them."
            )
            return
        own = decided.fields[name] = Spec([column], comment="numbers the rows")
    decided.guessed.append(
        f"{n_repeated:,} rows are there before, with the same {own.column}: they are left out."
    )


def _is_twice(contents: Contents, rows: list[tuple[str, ...]]) -> bool:
    """Whether the second half of the rows repeats the first, and they are enough of them."""
    half = len(rows) // 2
    has_clock = any(map(contents.is_clock, contents.columns)) or _has_clock(contents)
    least = _HALF if has_clock else _HALF_OF_DAYS
    return half >= least and len({*rows}) == half and rows[:half] == rows[half:]


def _without_numbers(contents: Contents) -> tuple[list[tuple[str, ...]], list[str]]:
    """(the rows without the columns that number them, those columns)."""
    numbers = [
        column
        for column in contents.columns
        if is_number_of_rows(column) and contents.time(column) is None
    ]
    others = [column for column in contents.columns if column not in numbers]
    return [tuple(str(row.cells.get(c)) for c in others) for row in contents.rows], numbers


def copies(contents: Contents) -> tuple[list[int], list[str]]:
    """(the rows of the second half, if but for the columns that number rows it repeats the first;
    those columns)."""
    rows, numbers = _without_numbers(contents)
    return ([*range(len(rows) // 2, len(rows))] if _is_twice(contents, rows) else []), numbers


def _name_copies(decided: Decided) -> None:
    """Name closed positions that differ from others in the number of the row alone."""
    rows, numbers = _without_numbers(decided.kept.contents)
    n_repeated = len(rows) - len({*rows})
    if decided.rows == "positions" and numbers and n_repeated:
        decided.left.append(
            f"Whether {n_repeated:,} rows that differ from others in {' and '.join(numbers)} alone"
            " are trades of their own: they are counted."
        )
