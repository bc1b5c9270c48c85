"""Which column keeps positions of one symbol apart, such as that of a strategy: the fills of each
of its values end flat by themselves, while positions without it are made of several.

May touch: nothing.
"""

from __future__ import annotations

from dataclasses import replace

from app.sources.cells import as_text
from app.sources.drafting import simulate
from app.sources.drafting.decided import Decided
from app.sources.drafting.spec import Spec
from app.sources.value_names import is_balance

_MOST_BOOKS = 50


def column_of_books(decided: Decided) -> str | None:
    """The column, None if there is none.  Each value needs fills of its own that close positions,
    and there are fewer values than positions could be numbered by."""
    contents = decided.kept.contents
    candidates = [
        column
        for column in contents.columns
        if column not in decided.used()
        and 1 < len(contents.words(column)) <= min(_MOST_BOOKS, contents.n_rows // 2)
        and None not in contents.cells(column)
        and contents.time(column) is None
        and _may_name(decided, column)
    ]
    if not candidates:
        return None
    tried = simulate.fills(decided)
    positions = [
        {id(step.fill.row) for step in position.steps} for position in (*tried.closed, *tried.open)
    ]
    for column in candidates:
        words = {
            id(row.cells): as_text(cell)
            for row, cell in zip(contents.rows, contents.cells(column), strict=True)
        }
        mixed = any(len({words.get(row) for row in rows}) > 1 for rows in positions)
        if mixed and _end_flat(decided, column):
            return column
    return None


def _may_name(decided: Decided, column: str) -> bool:
    """Whether the cells are words or whole numbers, and no amounts."""
    contents = decided.kept.contents
    return not is_balance(column) and (
        not any(contents.read_numbers(column))
        or all(n.is_integer() and n > 0 for n in contents.read_numbers(column))
    )


def _end_flat(decided: Decided, column: str) -> bool:
    """Whether all positions are closed, and nothing else is sold, if the column keeps them
    apart."""
    fields = {**decided.fields, "account": Spec([column])}
    apart = simulate.fills(replace(decided, fields=fields))
    return bool(apart.closed) and not (apart.open or apart.oversold)
