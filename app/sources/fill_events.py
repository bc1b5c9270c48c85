"""Positions made of fills, as events and as a trader sees them.

May touch: nothing.

Each trim and exit has in `realized_pnl` the profit of the lots that it closed, after fees on both
sides.  (The profit of a whole position does not depend on the order of its lots.)
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from app.sources import making
from app.sources.books import ZERO, Fill, Position, Step
from app.sources.cells import Cells
from app.sources.mapping import TableMapping
from app.sources.notes import Notes
from app.sources.pairs import coin_of_inverse
from app.sources.positions import ClosedTrade

_LABELS = ("chain", "timeframe", "bucket")


class FillEvents:
    """Makes the events of positions."""

    def __init__(self, mapping: TableMapping, module: str, notes: Notes) -> None:
        self._cells = Cells(mapping)
        self._mapping = mapping
        self._module = module
        self._notes = notes
        self._judged: tuple[Position | None, str] = (None, "")

    def event(self, position: Position) -> dict[str, Any]:
        """The `position_closed` event of a closed position."""
        cells, first = self._cells, position.steps[0].fill
        account, symbol, own = first.book
        trade_id = "/".join(filter(None, ("fills", account, symbol, own, first.own_id)))
        entered = [step for step in position.steps if step.realized is None]
        bought = sum((step.quantity for step in entered), ZERO)
        return making.without_nothing(
            {
                "event_id": making.closing_id(trade_id),
                "schema_version": 1,
                "module": self._module,
                "trade_id": trade_id,
                "position_id": "/".join(filter(None, (account, symbol))),
                "symbol": symbol,
                **{name: cells.text(first.row, name) for name in _LABELS},
                "entry_context": cells.scope(first.row, self._mapping.scope),
                "trade_summary": (
                    position.doubt
                    or self._two_currencies(position)
                    or self._summary(position, entered, bought)
                ),
                "actions": [self._action(step, bought) for step in position.steps],
            }
        )

    def _two_currencies(self, position: Position) -> str:
        """What is wrong with fills that are priced in several currencies, else nothing."""
        if self._judged[0] is not position:
            self._judged = position, self._mixed(position)
        return self._judged[1]

    def _mixed(self, position: Position) -> str:
        own = list(
            dict.fromkeys(self._currency(step.fill) for step in position.steps if step.price)
        )
        same = making.US_DOLLARS.issuperset(own)
        if len(own) < 2 or same:
            return ""
        return (
            f"The fills are priced in {' and '.join(own)}, as on two exchanges: profits cannot be"
            " computed without rates. Give each its own symbol, or convert the prices."
        )

    def _action(self, step: Step, bought: Decimal) -> dict[str, Any]:
        pattern = self._mapping.pattern
        fallback = (
            pattern.get("exit", pattern["entry"]) if step.realized is not None else pattern["entry"]
        )
        scope = (
            self._mapping.scope
            if step.realized is None
            else {**self._mapping.scope, **self._mapping.exit_scope}
        )
        size = step.quantity / (bought if step.realized is None else step.held_before)
        made = {
            "ts": step.fill.ts,
            "pattern_key": self._cells.pattern_key(
                step.fill.row, pattern.get(step.category, fallback), self._module
            ),
            "action_category": step.category,
            "scope": self._cells.scope(step.fill.row, scope),
            "size_frac": round(float(size), 6),
            "realized_pnl": None if step.realized is None else round(float(step.realized), 8),
        }
        return making.without_nothing(made)

    def _summary(self, position: Position, entered: list[Step], bought: Decimal) -> dict[str, Any]:
        first, last = position.steps[0].fill, position.steps[-1].fill
        pnl, fees = self._profit(position)
        stake = sum((step.quantity * abs(step.price) * step.multiplier for step in entered), ZERO)
        left = sum(
            (step.quantity * step.price for step in position.steps if step.realized is not None),
            ZERO,
        )
        currency = self._currency(first)
        inverse = self._mapping.is_inverse(str(first.book[1]))
        in_dollars = currency in making.US_DOLLARS
        if not in_dollars:
            self._notes.add(
                f"positions without pnl_usd, as their currency {currency} is not the US dollar"
            )
        return making.without_nothing(
            {
                "entry_timestamp": first.ts,
                "exit_timestamp": last.ts,
                "entry_price": _price(
                    sum((s.quantity * s.price for s in entered), ZERO) / bought, inverse
                ),
                "exit_price": _price(left / bought, inverse),
                "roi": round(float(pnl / stake), 10) if stake else None,
                "pnl_usd": round(float(pnl), 8) if in_dollars else None,
                "fees_usd": round(float(fees), 8) if in_dollars else None,
                "hold_time_days": making.days_between(first.ts, last.ts),
            }
        )

    def _currency(self, fill: Fill) -> str:
        if self._mapping.is_inverse(str(fill.book[1])):
            return coin_of_inverse(str(fill.book[1])) or "the coin"
        return self._cells.unit(fill.row, "price") or self._cells.currency(fill.row, fill.book[1])

    def _profit(self, position: Position) -> tuple[Decimal, Decimal]:
        """(profit after fees, fees): from the table's own column if the rows of a trade have one,
        else from prices."""
        made = sum((step.realized for step in position.steps if step.realized is not None), ZERO)
        fees = sum((step.fee for step in position.steps), ZERO)
        if self._cells.has("pnl_usd"):
            rows = {
                id(step.fill.row): step.fill.row
                for step in position.steps
                if step.realized is not None
            }
            said = [self._cells.exact(row, "pnl_usd") for row in rows.values()]
            if not any(
                profit is not None for profit in said
            ):  # Some programs put it beside the entry.
                said = [
                    self._cells.exact(step.fill.row, "pnl_usd")
                    for step in position.steps
                    if step.realized is None
                ]
            if None not in said:
                own = sum((profit for profit in said if profit is not None), ZERO)
                return own, fees + made - own
        return made, fees

    def told(self, position: Position) -> ClosedTrade | None:
        """The closed position as a summary shows it; None if its figures are in doubt."""
        if position.doubt or self._two_currencies(position):
            return None
        first, last = position.steps[0].fill, position.steps[-1].fill
        entered = [step for step in position.steps if step.realized is None]
        pnl, fees = self._profit(position)
        quantity = sum((step.quantity for step in entered), ZERO)
        return ClosedTrade(
            str(first.book[1]),
            "long" if position.direction > 0 else "short",
            first.ts,
            last.ts,
            float(quantity),
            float(pnl),
            float(fees),
            self._currency(first),
            True,
        )


def _price(value: Decimal, inverse: bool) -> float:
    """A price; those of inverse contracts are kept as -1 / price.  That of a spread may be below
    0."""
    return round(float(-1 / value if inverse and value else value), 10)
