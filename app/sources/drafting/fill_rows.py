"""The rows of fills, as read so far.

May touch: nothing.
"""

from __future__ import annotations

import re

from app.sources.cells import as_text
from app.sources.column_names import NAMES, known_as
from app.sources.drafting.contents import Contents
from app.sources.drafting.decided import Decided
from app.sources.drafting.spec import Spec
from app.sources.fee_cells import fee_cell
from app.sources.mapping import OPEN_QUESTION
from app.sources.sides import Side, read_side


def find_rates(decided: Decided) -> None:
    """Fees that are rates, if no column has their amounts; what cannot be read is named."""
    contents = decided.kept.contents
    texts = [
        column
        for column in contents.columns
        if known_as(column) in NAMES["fee"]
        and contents.values(column)
        and not contents.is_numeric(column)
        and any(re.search(r"\d", word) for word in contents.words(column))
    ]
    rates = [
        column
        for column in contents.columns
        if known_as(column) in NAMES["fee"] and contents.has_percent(column)
    ]
    for column in (*rates, *texts):
        said = [fee_cell(word) for word in contents.words(column)]
        if column not in decided.used() and all(said):
            decided.fields["fee"] = Spec([column], {"rate": True}, "a share of the fill's value")
            decided.guessed.append(f"{column} is the fee, as a share of the value of the fill.")
            return
    named = [
        column
        for column in contents.columns
        if re.search(r"fee|commission|\bcomm\b", column, re.IGNORECASE)
        and re.search(r"\brate\b|\bper\b", column, re.IGNORECASE)
        and contents.is_numeric(column)
        and any(contents.read_numbers(column))
    ]
    if named:
        decided.left.append(
            f"The fees: {', '.join(named)} has rates and no column amounts, so profits are before"
            " fees."
        )
    if texts:
        decided.left.append(
            f"The fees: {', '.join(texts)} cannot be read as amounts, so profits are before fees."
        )


def profits_of(contents: Contents) -> list[str]:
    """The columns with profits, by their names."""
    return [
        column
        for column in contents.columns
        if known_as(column) in NAMES["pnl_usd"] and contents.is_numeric(column)
    ]


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
