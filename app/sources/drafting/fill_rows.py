"""The rows of fills, as read so far.

May touch: nothing.
"""

from __future__ import annotations

import re

from app.sources.cells import as_text
from app.sources.column_names import NAMES, known_as
from app.sources.drafting.decided import Decided
from app.sources.mapping import OPEN_QUESTION
from app.sources.sides import Side, read_side


def say_rates(decided: Decided) -> None:
    """Name the columns in which fees are rates, if no other has their amounts."""
    contents = decided.kept.contents
    texts = [
        column
        for column in contents.columns
        if known_as(column) in NAMES["fee"]
        and contents.values(column)
        and not contents.is_numeric(column)
        and any(re.search(r"\d", word) for word in contents.words(column))
    ]
    if texts:
        decided.left.append(
            f"The fees: {', '.join(texts)} cannot be read as amounts, so profits are before fees."
        )
    rates = [
        column
        for column in contents.columns
        if known_as(column) in NAMES["fee"] and contents.has_percent(column)
    ]
    if rates:
        decided.left.append(
            f"The fees: {', '.join(rates)} has rates and no column amounts, so profits are before"
            " fees."
        )


def symbol_of(decided: Decided, i: int) -> str:
    spec, contents = decided.fields.get("symbol"), decided.kept.contents
    if spec is None:
        return ""
    columns = [*spec.columns, *([spec.keys["option"]] if "option" in spec.keys else [])]
    return " ".join(
        as_text(v) for column in columns if (v := contents.cells(column)[i]) is not None
    )


def purchases(decided: Decided) -> list[bool | None]:
    contents, spec = decided.kept.contents, decided.fields.get("side")
    if spec is None:
        return [
            None if q is None else q > 0
            for q in contents.numbers(decided.fields["quantity"].column)
        ]
    if spec.column == OPEN_QUESTION:
        return [None] * contents.n_rows
    if spec.keys.get("paid"):
        return [bool(n) for n in contents.numbers(spec.column)]
    if spec.keys.get("cash"):
        return [None if not n else n < 0 for n in contents.numbers(spec.column)]
    found: list[bool | None] = []
    for i in range(contents.n_rows):
        side = read_side(
            " ".join(
                as_text(v)
                for column in spec.columns
                if (v := contents.cells(column)[i]) is not None
            )
        )
        found.append(side.fill > 0 if isinstance(side, Side) else None)
    return found
