"""The rows of fills, as read so far.

May touch: nothing.
"""

from __future__ import annotations

from app.sources.cells import as_text
from app.sources.column_names import NAMES, known_as
from app.sources.drafting.contents import Contents
from app.sources.drafting.decided import Decided
from app.sources.drafting.fee_columns import fee_numbers
from app.sources.mapping import OPEN_QUESTION
from app.sources.sides import Side, read_side


def profits_of(contents: Contents) -> list[str]:
    """The columns with profits, by their names, the likeliest first."""
    found = [
        column
        for column in contents.columns
        if known_as(column) in NAMES["pnl_usd"] and contents.is_numeric(column)
    ]
    return sorted(found, key=lambda column: NAMES["pnl_usd"].index(known_as(column)))


def fee_amounts(decided: Decided) -> list[float]:
    """The fee of each row as an amount, 0 where it has none."""
    contents, spec = decided.kept.contents, decided.fields.get("fee")
    if spec is None or spec.keys.get("rate"):
        return [0.0] * contents.n_rows
    scale = float(spec.keys.get("scale", 1))
    columns = fee_numbers(contents, spec)
    sizes = [1.0] * contents.n_rows
    if spec.keys.get("per_unit"):
        sizes = [abs(n or 0.0) for n in contents.numbers(decided.fields["quantity"].column)]
    return [
        scale * size * sum(column[i] or 0.0 for column in columns) for i, size in enumerate(sizes)
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
    own = {
        word: kind == "buy"
        for kind, (words, _) in decided.sections.get("sides", {}).items()
        if kind in ("buy", "sell")
        for word in words
    }
    found: list[bool | None] = []
    for i in range(contents.n_rows):
        if own and (cell := contents.cells(spec.column)[i]) is not None:
            word = as_text(cell).strip().lower()
            if word in own:
                found.append(own[word])
                continue
        side = read_side(
            " ".join(
                as_text(v)
                for column in spec.columns
                if (v := contents.cells(column)[i]) is not None
            )
        )
        found.append(side.fill > 0 if isinstance(side, Side) else None)
    return found
