"""What each row of a table makes under the draft so far: profit, cash, fee and quantity.

May touch: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.sources.drafting import simulate
from app.sources.drafting.decided import Decided
from app.sources.mapping import TableMapping
from app.sources.notes import Notes
from app.sources.positions import Positions

_MOST_ROWS = 5_000


@dataclass
class Outcome:
    """A row: what it earned after fees (of a fill: what it realised), what it paid or brought in,
    its fee, and for fills the signed quantity."""

    symbol: str = ""
    moment: str = ""
    earned: float | None = None
    cash: float = 0.0
    fee: float = 0.0
    quantity: float = 0.0


def outcomes_of(decided: Decided) -> list[Outcome] | None:
    """Each row's outcome, in the order of the rows; None if the draft is incomplete or the table
    is too long to be compared as a whole."""
    mapping = simulate.mapping_of(decided)
    if mapping is None or decided.kept.contents.n_rows > _MOST_ROWS:
        return None
    return _of_fills(decided) if decided.rows == "fills" else _of_positions(decided, mapping)


def _of_positions(decided: Decided, mapping: TableMapping) -> list[Outcome]:
    reader, found = Positions(mapping, "pm", Notes()), []
    for row in decided.kept.contents.rows:
        made = reader.event(row)
        told = made[1] if made is not None else None
        if told is None:
            found.append(Outcome())
            continue
        fee = told.fees or 0.0
        found.append(Outcome(told.symbol, told.exit, told.pnl, fee=fee if told.net else 0.0))
    return found


def _of_fills(decided: Decided) -> list[Outcome]:
    rows = decided.kept.contents.rows
    found = [Outcome() for _ in rows]
    by_row = {id(row.cells): own for row, own in zip(rows, found, strict=True)}
    tried = simulate.fills(decided)
    for position in (*tried.closed, *tried.open):
        for step in position.steps:
            own = by_row.get(id(step.fill.row))
            if own is None:
                continue
            bought = 1 if step.fill.quantity > 0 else -1
            own.symbol, own.moment = str(step.fill.book[1]), step.fill.ts
            own.quantity = float(step.fill.quantity)
            own.fee += float(step.fee)
            own.cash -= bought * float(step.quantity * step.price * step.multiplier)
            own.cash -= float(step.fee)
            if step.realized is not None:
                own.earned = (own.earned or 0.0) + float(step.realized)
    return found
