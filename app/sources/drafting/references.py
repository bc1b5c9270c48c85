"""Leave out fills that another row, which names them by their number, cancels or corrects.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.sources.cells import as_text
from app.sources.drafting.contents import Contents
from app.sources.drafting.kept_rows import Kept
from app.sources.drafting.repeated import is_number_of_rows
from app.sources.drafting.spec import Fields

_CANCELS = r"cancel|revers|storn|annul|anul|void|bust|undo|取消|撤销|撤銷"
_CORRECTS = r"correct|amend|rebook|korrig|berichtig|corrig|replac"
_UNDOES = re.compile(rf"{_CANCELS}|{_CORRECTS}", re.IGNORECASE)
_CANCELLING = re.compile(_CANCELS, re.IGNORECASE)
_BY = re.compile(r"(ed|t|é|e|do|to)[ _](by|durch|par|por|da)(?![^\W_])", re.IGNORECASE)
"""Of a row that is undone by the one that it names."""
_ID = re.compile(r"[\w-]+")
_SHORTEST = 3
"""Characters of a number that may stand within a text."""


def without_undone(contents: Contents, kept: Kept, fields: Fields, rows: str) -> None:
    """Leave out the fills that other rows of `contents`, also of those that are not kept, undo by
    their number, and cancellations; corrections count instead of what they correct."""
    if rows != "fills" or not {"symbol", "quantity"} <= fields.keys():
        return
    if not {fields["symbol"].column, fields["quantity"].column} <= {*contents.columns}:
        return
    symbols = contents.cells(fields["symbol"].column)
    quantities = contents.numbers(fields["quantity"].column)
    for ids in (c for c in contents.columns if is_number_of_rows(c) or "note" in c.lower()):
        cells = contents.cells(ids)
        if None in cells or len({*map(as_text, cells)}) < contents.n_rows:
            continue
        rows_of = {as_text(cell): i for i, cell in enumerate(cells)}
        for said in contents.columns:
            if said == ids:
                continue
            gone = [
                i
                for later, earlier, cancels in _undone(contents, said, rows_of)
                if symbols[later] == symbols[earlier]
                and (not cancels or abs(quantities[later] or 0) == abs(quantities[earlier] or 0))
                for i in ([earlier, later] if cancels else [earlier])
            ]
            if gone:
                kept.drop(ids, [as_text(cells[i]) for i in sorted({*gone})], f"{said} undoes them")
                return


def _undone(
    contents: Contents, said: str, rows_of: dict[str, int]
) -> Iterator[tuple[int, int, bool]]:
    """(the row that undoes, the row that is undone, whether it cancels it) for each row that names
    another one in the column."""
    if not _UNDOES.search(said) and not any(map(_UNDOES.search, contents.words(said))):
        return
    for i, cell in enumerate(contents.cells(said)):
        text = "" if cell is None else as_text(cell)
        what = text if _UNDOES.search(text) else said
        if not _UNDOES.search(what):
            continue
        named = [text] if text in rows_of else _ID.findall(text)
        for other in named:
            j = rows_of.get(other)
            if j is not None and j != i and (other == text or len(other) >= _SHORTEST):
                pair = (j, i) if _BY.search(what) else (i, j)
                yield *pair, bool(_CANCELLING.search(what))
