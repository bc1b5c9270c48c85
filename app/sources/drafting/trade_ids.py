"""Rows that belong to one trade: the column with the number that its entry and its exit share.

May touch: nothing.
"""

from __future__ import annotations

from typing import Any

from app.sources.cells import as_text
from app.sources.column_names import NAMES, known_as
from app.sources.drafting.decided import Decided
from app.sources.drafting.spec import Spec
from app.sources.drafting.time_readings import STILL_OPEN
from app.sources.mapping import OPEN_QUESTION
from app.sources.sides import Side, read_side


def settle_trade_ids(decided: Decided) -> None:
    """A number shared by the entry and the exit of a trade if each has a row of its own."""
    contents, side = decided.kept.contents, decided.fields.get("side")
    if side is None or side.column == OPEN_QUESTION or len(side.columns) > 1:
        return
    said = [read_side(as_text(v)) if v is not None else None for v in contents.cells(side.column)]
    if not any(isinstance(s, Side) and s.opens is not None for s in said):
        return
    spec = decided.fields.get("symbol")
    named = spec.columns if spec and {*spec.columns} <= {*contents.columns} else []
    symbols = [*zip(*map(contents.cells, named), strict=True)] or [()] * contents.n_rows
    for column in contents.columns:
        name = known_as(column)
        if (
            not {name, name.removesuffix("_no")} & set(NAMES["trade_id"])
            or contents.time(column) is not None
        ):
            continue
        groups: dict[str, list[tuple[Side, tuple[Any, ...]]]] = {}
        for value, one, symbol in zip(contents.cells(column), said, symbols, strict=True):
            if value is not None and isinstance(one, Side):
                groups.setdefault(as_text(value), []).append((one, symbol))
        if len(groups) > 1 and sum(map(_is_trade, groups.values())) >= 0.8 * len(groups):
            decided.fields["trade_id"] = Spec(
                [column], comment="rows with the same number are one trade"
            )
            for name in [
                name
                for name, spec in decided.fields.items()
                if name != "trade_id" and column in spec.columns
            ]:
                del decided.fields[name]
            decided.two_rows = True
            _leave_out_open(decided)
            decided.guessed.append(
                f"The entry and the exit of a trade are two rows with the same {column}."
            )
            return


def _is_trade(rows: list[tuple[Side, tuple[Any, ...]]]) -> bool:
    """Whether the rows with one number are an entry and an exit, and not legs of an order: of one
    symbol, where a cell names it in both."""
    sides = [side for side, _ in rows]
    if len({symbol for _, symbol in rows if symbol and None not in symbol}) > 1:
        return False
    return {side.opens for side in sides} >= {True, False} or (
        len(sides) == len({side.fill for side in sides}) == 2
        and any(side.opens is None for side in sides)
    )


def _leave_out_open(decided: Decided) -> None:
    """Exits that a program has put where a trade is still open: it says `Open` for the signal of
    the exit."""
    contents, side = decided.kept.contents, decided.fields["side"].column
    closes = [
        isinstance(s := read_side(as_text(v or "")), Side) and s.opens is False
        for v in contents.cells(side)
    ]
    for column in contents.columns:
        cells = ["" if v is None else as_text(v) for v in contents.cells(column)]
        words = {cell for cell in cells if cell.strip().lower() in STILL_OPEN}
        if (
            column != side
            and words
            and all(
                closing or cell not in words for closing, cell in zip(closes, cells, strict=True)
            )
        ):
            decided.kept.drop(column, sorted(words), "the trade is still open")
            decided.guessed.append(decided.kept.said[-1])
            return
