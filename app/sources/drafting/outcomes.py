"""What each row of a table makes under a mapping: profit, cash, fee, quantity, prices and times.

May touch: nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Generic, TypeVar

from app.sources.cells import Cells
from app.sources.drafting import simulate
from app.sources.making import is_time
from app.sources.mapping import TableMapping
from app.sources.notes import Notes
from app.sources.positions import Positions
from app.sources.tables import Row

R = TypeVar("R", bound=Row)

MOST_ROWS = 5_000
"""Rows that are compared at most."""
_IN_ORDER = 4
"""How many times more often times rise than fall, or the other way, if rows are in their order."""


@dataclass(slots=True)
class Outcome:
    """A row: what it earned after fees (of a fill: what it realised), what it paid or brought in,
    the fee that is taken off and the one that stands there, its currency and its quantity (of
    fills with a sign).  Of a position also its side (1, -1, or 0), the times and prices of its
    ends, and its return; `value` is what a point is worth, of a position if the mapping tells."""

    symbol: str = ""
    moment: str = ""
    earned: float | None = None
    cash: float = 0.0
    fee: float = 0.0
    cost: float = 0.0
    quantity: float = 0.0
    side: int = 0
    entered: str = ""
    entry: float | None = None
    exit: float | None = None
    ret: float | None = None
    value: float | None = None
    currency: str = ""


class Sample(Generic[R]):
    """Takes rows one after another and keeps those to compare: the first ones of many; of fills
    those of the earliest times, as what they close was opened before, and none where there is no
    order.  `takes` says whether further rows could still be kept."""

    def __init__(self, mapping: TableMapping, most: int = MOST_ROWS) -> None:
        self._mapping = mapping
        self._most = most
        self._kept: deque[R] = deque()
        self._whole = True
        self.takes = True

    def add(self, row: R) -> None:
        """The next row."""
        if not self.takes:
            return
        if self._whole and len(self._kept) == self._most:
            self._whole = False
            self.takes = self._mapping.rows == "fills" and self._falls()
            if not self.takes:
                return
            self._kept = deque(self._kept, self._most)
        self._kept.append(row)

    def rows(self) -> tuple[list[R], bool]:
        """(the rows, whether they are all)."""
        return [*self._kept], self._whole

    def _falls(self) -> bool:
        """Whether the newest fills come first; where there is no order, no row is kept."""
        cells = Cells(self._mapping)
        times = [
            t.removesuffix("Z") for row in self._kept if is_time(t := cells.time(row.cells, "time"))
        ]
        rises = sum(earlier < later for earlier, later in pairwise(times))
        falls = sum(earlier > later for earlier, later in pairwise(times))
        if falls * _IN_ORDER <= rises:
            return False
        if rises * _IN_ORDER <= falls:
            return True
        self._kept.clear()
        return False


def sampled(mapping: TableMapping, rows: Iterable[R]) -> tuple[list[R], bool]:
    """(the rows to compare, whether they are all)."""
    sample: Sample[R] = Sample(mapping)
    for row in rows:
        sample.add(row)
    return sample.rows()


def outcomes_of(
    mapping: TableMapping, rows: Sequence[Row], notes: Notes | None = None
) -> list[Outcome]:
    """Each row's outcome, in the order of the rows; an empty one for a row that makes nothing."""
    mapping, notes = replace(mapping, exit_scope={}, scope={}), notes or Notes()
    of_kind = _of_fills if mapping.rows == "fills" else _of_positions
    return of_kind(mapping, rows, notes)


def _of_positions(mapping: TableMapping, rows: Sequence[Row], notes: Notes) -> list[Outcome]:
    reader, found = Positions(mapping, "pm", notes), []
    for row in rows:
        event, told = reader.event(row) or ({}, None)
        if told is None:
            found.append(Outcome())
            continue
        summary: dict[str, Any] = event["trade_summary"]
        fee = told.fees or 0.0
        found.append(
            Outcome(
                told.symbol,
                told.exit,
                told.pnl,
                fee=fee if told.net else 0.0,
                cost=fee,
                quantity=told.quantity or 0.0,
                side={"long": 1, "short": -1}.get(told.side, 0),
                entered=told.entry,
                entry=_number(summary.get("entry_price")),
                exit=_number(summary.get("exit_price")),
                ret=_number(summary.get("roi")),
                value=reader.told_value(row.cells),
                currency=told.currency,
            )
        )
    reader.multiplier_check.note()
    return found


def _of_fills(mapping: TableMapping, rows: Sequence[Row], notes: Notes) -> list[Outcome]:
    found = [Outcome() for _ in rows]
    by_row = {id(row.cells): own for row, own in zip(rows, found, strict=True)}
    cells = Cells(mapping)
    tried = simulate.fills_of(mapping, rows, notes)
    for position in (*tried.closed, *tried.open):
        for step in position.steps:
            own = by_row.get(id(step.fill.row))
            if own is None:
                continue
            bought = 1 if step.fill.quantity > 0 else -1
            own.symbol, own.moment = str(step.fill.book[1]), step.fill.ts
            own.quantity = float(step.fill.quantity)
            own.entry, own.value = float(step.fill.price), float(step.multiplier)
            own.currency = cells.currency(step.fill.row, step.fill.book[1])
            own.fee += float(step.fee)
            own.cost = own.fee
            own.cash -= bought * float(step.quantity * step.price * step.multiplier)
            own.cash -= float(step.fee)
            if step.realized is not None:
                own.earned = (own.earned or 0.0) + float(step.realized)
    return found


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) else None
