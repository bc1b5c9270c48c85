"""Rows that are fills, as closed positions: from flat to flat, first in first out.

May touch: nothing.

Quantities, prices and fees are decimals, so that flat is exactly flat.  A fill through zero closes one position and opens the next; its
fee is shared out by quantity.  Each trim and exit says in `realized_pnl` what the lots that it closed have made, their fees on both sides
taken off.  (A whole position makes the same by any order of its lots.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

from app.sources import making
from app.sources.cells import Cells
from app.sources.mapping import TableMapping
from app.sources.notes import Notes
from app.sources.positions import row_id
from app.sources.tables import Row

ZERO = Decimal(0)
_LABELS = ("symbol", "chain", "timeframe", "bucket")


class Fill(NamedTuple):
    """A fill: `quantity` is signed (bought above 0), `fee` above 0 is paid, `value` is the contract's multiplier."""

    ts: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    multiplier: Decimal
    row: Mapping[str, Any]
    book: tuple[Any, Any]
    own_id: str
    place: str
    position: int


class Closing(NamedTuple):
    """A position that a fill has closed, or a row that is no fill, with its place."""

    event: dict[str, Any]
    place: str
    position: int


@dataclass(slots=True)
class Lot:
    """What is left of a fill that opened or added: `fee` is its fee per unit."""

    quantity: Decimal
    price: Decimal
    fee: Decimal


@dataclass(slots=True)
class Step:
    """One action: which fill, how much of it, of how much, and what it realised."""

    category: str
    fill: Fill
    quantity: Decimal
    held_before: Decimal
    realized: Decimal | None = None


@dataclass(slots=True)
class Position:
    """An open position: its direction (1 or -1), its lots from the oldest on, what was done so far, and what is held, without sign."""

    direction: int
    lots: deque[Lot] = field(default_factory=deque)
    steps: list[Step] = field(default_factory=list)
    held: Decimal = ZERO

    def enter(self, fill: Fill, quantity: Decimal) -> None:
        """Open or add to it by `quantity` of `fill`."""
        self.steps.append(Step("add" if self.steps else "entry", fill, quantity, self.held))
        self.lots.append(Lot(quantity, fill.price, fill.fee / abs(fill.quantity)))
        self.held += quantity

    def leave(self, fill: Fill, quantity: Decimal) -> None:
        """Close `quantity` of it (at most what is held) by `fill`, the oldest lots first."""
        held, rest, realized = self.held, quantity, ZERO
        fee = fill.fee / abs(fill.quantity)
        while rest > 0:
            lot = self.lots[0]
            part = min(rest, lot.quantity)
            realized += part * (self.direction * (fill.price - lot.price) * fill.multiplier - lot.fee - fee)
            rest -= part
            lot.quantity -= part
            if lot.quantity == 0:
                self.lots.popleft()
        self.held -= quantity
        self.steps.append(Step("exit" if quantity == held else "trim", fill, quantity, held, realized))


def positions(fills: Iterable[Fill]) -> Iterator[tuple[Position, bool]]:
    """(position, True) for each one when it is closed, in the fills' order; then (position, False) for those that stay open."""
    open_: dict[tuple[Any, Any], Position] = {}
    for fill in fills:
        rest, direction = abs(fill.quantity), 1 if fill.quantity > 0 else -1
        position = open_.get(fill.book)
        if position is not None and position.direction != direction:
            part = min(rest, position.held)
            position.leave(fill, part)
            rest -= part
            if position.held == 0:
                yield open_.pop(fill.book), True
                position = None
        if rest > 0:
            if position is None:
                position = open_[fill.book] = Position(direction)
            position.enter(fill, rest)
    for position in open_.values():
        yield position, False


class Fills:
    """Makes events of the rows of all files together: a position may be opened in one file and closed in the next."""

    def __init__(self, mapping: TableMapping, module: str, notes: Notes) -> None:
        self._cells = Cells(mapping)
        self._mapping = mapping
        self._module = module
        self._notes = notes
        self._twins = making.Occurrences()
        self._seen: set[tuple[Any, ...]] = set()

    def closings(self, files: Iterable[tuple[str, Iterable[Row]]]) -> Iterator[Closing]:
        """The closes in the (path, rows) of each file: first the rows that are no fills, for the door to refuse, then by time."""
        every: list[Fill] = []
        for path, rows in files:
            fills: list[Fill] = []
            for row in rows:
                found = self._fill(path, row)
                if isinstance(found, Closing):
                    yield found
                elif found is not None:
                    fills.append(found)
            if fills and fills[0].ts > fills[-1].ts and all(_moment(a) >= _moment(b) for a, b in pairwise(fills)):
                fills.reverse()  # The newest first, as many exports are: of equal times, too, the last is the first.
            every += fills
        every.sort(key=_moment)
        for position, closed in positions(every):
            if closed:
                last = position.steps[-1].fill
                yield Closing(self._event(position), last.place, last.position)
            else:
                self._notes.add("positions that are still open and no closes, left out")

    def _fill(self, path: str, row: Row) -> Fill | Closing | None:
        """None for a fill that was there before."""
        cells, place = self._cells, f"{path}:{row.line}"
        ts, quantity, price = cells.time(row.cells, "time"), cells.exact(row.cells, "quantity"), cells.exact(row.cells, "price")
        fee, multiplier = cells.exact(row.cells, "fee"), cells.exact(row.cells, "multiplier")
        no_fee, no_multiplier = cells.field(row.cells, "fee") is None, cells.field(row.cells, "multiplier") is None
        has_side = cells.has("side")
        side = cells.side(row.cells) if has_side else 1
        symbol = cells.text(row.cells, "symbol")
        readable = making.is_time(ts) and symbol and quantity and price is not None and side is not None and not row.beyond
        if not readable or (fee is None and not no_fee) or (not multiplier and not no_multiplier):
            self._notes.add("rows that cannot be read as fills; positions of their symbols may be wrong")
            return Closing(self._unreadable(row, side is None), place, row.position)
        assert quantity is not None
        assert price is not None
        book, fill_id = (cells.text(row.cells, "account"), symbol), cells.text(row.cells, "fill_id")
        if fill_id is not None:
            if (book, fill_id) in self._seen:
                self._notes.add("fills whose id was there before, left out")
                return None
            self._seen.add((book, fill_id))
        signed = side * abs(quantity) if has_side and side is not None else quantity
        own_id = fill_id or self._twins.unique(f"{ts}/{row_id(row.cells)[4:20]}")
        return Fill(ts, signed, price, fee or ZERO, multiplier or Decimal(1), row.cells, book, own_id, place, row.position)

    def _unreadable(self, row: Row, no_side: bool) -> dict[str, Any]:
        """An event with what the row has: the door refuses it at the cell that cannot be read."""
        cells, columns = self._cells, self._mapping.columns
        fill_id = cells.text(row.cells, "fill_id") or self._twins.unique(row_id(row.cells))
        ts = cells.time(row.cells, "time")
        action = {
            "ts": ts,
            "pattern_key": cells.pattern_key(row.cells, self._mapping.pattern["entry"], self._module),
            "action_category": str(cells.field(row.cells, "side") or "") if no_side else "entry",
            "size_frac": None if cells.exact(row.cells, "quantity") else str(row.cells.get(columns["quantity"].name) or ""),
        }
        summary = {
            "exit_timestamp": ts,
            "entry_price": None if cells.exact(row.cells, "price") is not None else str(row.cells.get(columns["price"].name) or ""),
            "fees_usd": None if cells.exact(row.cells, "fee") is not None else cells.field(row.cells, "fee"),
            "pnl_usd": None if cells.exact(row.cells, "multiplier") else cells.field(row.cells, "multiplier"),
        }
        slipped = f"The row has {len(row.beyond)} cells more than there are columns."
        trade_id = f"fill/{fill_id}"
        return {
            "event_id": making.closing_id(trade_id),
            "schema_version": 1,
            "module": self._module,
            "trade_id": trade_id,
            "symbol": cells.text(row.cells, "symbol") or [],  # No door takes a list for a text.
            "trade_summary": slipped if row.beyond else making.without_nothing(summary),
            "actions": [making.without_nothing(action)],
        }

    def _event(self, position: Position) -> dict[str, Any]:
        cells, first = self._cells, position.steps[0].fill
        account, symbol = first.book
        trade_id = "/".join(filter(None, ("fills", account, symbol, first.own_id)))
        entered = [step for step in position.steps if step.realized is None]
        bought = sum((step.quantity for step in entered), ZERO)
        return making.without_nothing(
            {
                "event_id": making.closing_id(trade_id),
                "schema_version": 1,
                "module": self._module,
                "trade_id": trade_id,
                "position_id": "/".join(filter(None, (account, symbol))),
                **{name: cells.text(first.row, name) for name in _LABELS},
                "entry_context": cells.scope(first.row, self._mapping.scope),
                "trade_summary": self._summary(position, entered, bought),
                "actions": [self._action(step, bought) for step in position.steps],
            }
        )

    def _action(self, step: Step, bought: Decimal) -> dict[str, Any]:
        pattern = self._mapping.pattern
        fallback = pattern.get("exit", pattern["entry"]) if step.realized is not None else pattern["entry"]
        scope = self._mapping.scope if step.realized is None else {**self._mapping.scope, **self._mapping.exit_scope}
        size = step.quantity / (bought if step.realized is None else step.held_before)
        made = {
            "ts": step.fill.ts,
            "pattern_key": self._cells.pattern_key(step.fill.row, pattern.get(step.category, fallback), self._module),
            "action_category": step.category,
            "scope": self._cells.scope(step.fill.row, scope),
            "size_frac": round(float(size), 6),
            "realized_pnl": None if step.realized is None else round(float(step.realized), 8),
        }
        return making.without_nothing(made)

    def _summary(self, position: Position, entered: list[Step], bought: Decimal) -> dict[str, Any]:
        first, last = position.steps[0].fill, position.steps[-1].fill
        pnl = sum((step.realized for step in position.steps if step.realized is not None), ZERO)
        stake = sum((step.quantity * abs(step.fill.price) * step.fill.multiplier for step in entered), ZERO)
        left = sum((step.quantity * step.fill.price for step in position.steps if step.realized is not None), ZERO)
        fees = sum((step.fill.fee * step.quantity / abs(step.fill.quantity) for step in position.steps), ZERO)
        in_dollars, currency = self._cells.in_dollars(first.row)
        if not in_dollars:
            self._notes.add(f"positions without pnl_usd, as their currency {currency} is no US dollar")
        return making.without_nothing(
            {
                "entry_timestamp": first.ts,
                "exit_timestamp": last.ts,
                "entry_price": round(float(sum((s.quantity * s.fill.price for s in entered), ZERO) / bought), 10),
                "exit_price": round(float(left / bought), 10),
                "roi": round(float(pnl / stake), 10) if stake else None,
                "pnl_usd": round(float(pnl), 8) if in_dollars else None,
                "fees_usd": round(float(fees), 8) if in_dollars else None,
                "hold_time_days": making.days_between(first.ts, last.ts),
            }
        )


def _moment(fill: Fill) -> str:
    """The time of a fill as a text that sorts as the times do."""
    return fill.ts.removesuffix("Z")
