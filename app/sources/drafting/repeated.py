"""Rows that are equal in every cell: fills of their own, or the same ones once more, as in files
that were put together.

May touch: nothing.
"""

from __future__ import annotations

import re

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


def settle_repeated(decided: Decided) -> None:
    """Leave equal rows out if a column numbers the rows; else say that all of them count."""
    contents = decided.kept.contents
    name = "fill_id" if decided.rows == "fills" else "trade_id"
    rows = [tuple(map(str, row.cells.values())) for row in contents.rows]
    n_repeated = len(rows) - len(set(rows))
    if not n_repeated:
        return
    own = decided.fields.get(name)
    if own is None:
        column = next(
            (
                c
                for c in contents.columns
                if c not in decided.used()
                and _NUMBERED.search(known_as(c))
                and not _OF_ORDER.search(known_as(c))
                and contents.time(c) is None
                and identifies(contents, c)
            ),
            None,
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
