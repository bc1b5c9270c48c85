"""Rows that are closed positions, as events: each row is one close, with an entry and an exit.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.sources import making
from app.sources.cells import Cells, as_text
from app.sources.mapping import SUMMARY_NUMBERS, TableMapping
from app.sources.notes import Notes
from app.sources.tables import Row

_LABELS = ("position_id", "symbol", "chain", "timeframe", "bucket")


class Positions:
    """Makes an event of each row; it remembers the rows without an id, to tell equal ones apart."""

    def __init__(self, mapping: TableMapping, module: str, notes: Notes) -> None:
        self._cells = Cells(mapping)
        self._mapping = mapping
        self._module = module
        self._notes = notes
        self._twins = making.Occurrences()
        self._numbers = [name for name in SUMMARY_NUMBERS if self._cells.has(name)]
        self._labels = [name for name in _LABELS if self._cells.has(name)]
        self._prices = self._cells.has("entry_price") and self._cells.has("exit_price")

    def event(self, row: Row) -> dict[str, Any]:
        """The `position_closed` event of `row`."""
        cells, mapping = self._cells, self._mapping
        trade_id = cells.text(row.cells, "trade_id") or self._twins.unique(row_id(row.cells))
        scope = cells.scope(row.cells, mapping.scope)
        summary = self._summary(row.cells)
        entry_ts = summary.get("entry_timestamp", summary.get("exit_timestamp"))
        actions = [self._action(row.cells, "entry", entry_ts, scope)]
        if "exit" in mapping.pattern:
            actions.append(self._action(row.cells, "exit", summary.get("exit_timestamp"), cells.scope(row.cells, mapping.exit_scope)))
        if row.beyond:
            # The columns have slipped: no cell of this row can be trusted.
            summary = f"The row has {len(row.beyond)} cells more than there are columns."  # type: ignore[assignment]
        revision = cells.number(row.cells, "revision") if cells.has("revision") else None
        return making.without_nothing(
            {
                "event_id": making.closing_id(trade_id),
                "schema_version": 1,
                "revision": int(revision) if isinstance(revision, float) and revision.is_integer() else revision,
                "module": self._module,
                "trade_id": trade_id,
                **{name: cells.text(row.cells, name) for name in self._labels},
                "entry_context": scope,
                "trade_summary": summary,
                "actions": actions,
            }
        )

    def _action(self, cells: Mapping[str, Any], category: str, ts: Any, scope: dict[str, Any]) -> dict[str, Any]:
        key = self._cells.pattern_key(cells, self._mapping.pattern[category], self._module)
        return making.without_nothing({"ts": ts, "pattern_key": key, "action_category": category, "scope": scope})

    def _summary(self, row: Mapping[str, Any]) -> dict[str, Any]:
        cells = self._cells
        summary: dict[str, Any] = {name: cells.number(row, name) for name in self._numbers}
        summary["entry_timestamp"] = cells.time(row, "entry_timestamp")
        summary["exit_timestamp"] = cells.time(row, "exit_timestamp")
        if _numbers(summary.get("max_drawdown")):
            summary["max_drawdown"] = abs(summary["max_drawdown"])
        self._complete(row, summary)
        in_dollars, currency = cells.in_dollars(row)
        if not in_dollars and summary.get("pnl_usd") is not None:
            summary["pnl_usd"] = summary["fees_usd"] = None
            self._notes.add(f"rows without pnl_usd, as their currency {currency} is no US dollar")
        return making.without_nothing(summary)

    def _complete(self, row: Mapping[str, Any], summary: dict[str, Any]) -> None:
        """Work out what the table does not have and what it has allows: profit and return from prices, `rr` from return and drawdown."""
        if self._prices:
            self._from_prices(row, summary)
        if summary.get("rr") is None and _numbers(summary.get("roi"), summary.get("max_drawdown")):
            summary["rr"] = making.return_to_drawdown(summary["roi"], summary["max_drawdown"], self._mapping.drawdown_floor)
        if summary.get("hold_time_days") is None:
            summary["hold_time_days"] = making.days_between(summary["entry_timestamp"], summary["exit_timestamp"])

    def _from_prices(self, row: Mapping[str, Any], summary: dict[str, Any]) -> None:
        entered, left = summary["entry_price"], summary["exit_price"]
        side = self._cells.side(row) if self._cells.has("side") else 1
        if side is None or not _numbers(entered, left) or entered <= 0:
            return
        quantity, multiplier, fees = self._cells.number(row, "quantity"), self._cells.number(row, "multiplier"), summary.get("fees_usd")
        size = abs(quantity) * (multiplier if _numbers(multiplier) else 1) if _numbers(quantity) else None
        paid = fees if _numbers(fees) else 0.0
        gross = side * (left - entered)
        if summary.get("pnl_usd") is None and size:
            summary["pnl_usd"] = round(gross * size - paid, 8)
        if summary.get("roi") is None:
            summary["roi"] = round((gross - (paid / size if size else 0.0)) / entered, 8)


def _numbers(*values: Any) -> bool:
    return all(type(value) in (int, float) for value in values)


def row_id(cells: Mapping[str, Any]) -> str:
    """The id of a row that has none of its own: from all that stands in it, whatever the order of its columns."""
    return f"row-{making.digest(*sorted(f'{name}={as_text(value)}' for name, value in cells.items() if value not in (None, '')))}"
