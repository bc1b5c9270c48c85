"""Contract values that a mapping gives, compared with the amounts in the file: an answer to a
draft's question may be wrong.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.sources.cells import as_text
from app.sources.column_names import NAMES
from app.sources.figures import written
from app.sources.mapping import TableMapping
from app.sources.notes import Notes
from app.sources.value_names import is_margin, may_be_value, says_value

CONTRADICTED = "contract values in [multipliers] that amounts in the file contradict"
_AMOUNTS = (*NAMES["gross"], *NAMES["net"], *NAMES["stake"], *NAMES["quantity"])
_MOST_ROWS = 5_000
_ROUNDING, _SMALL, _EXACT = 0.006, 0.0005, 1e-6
"""What an amount may be off by rounding, in units and at most as a share of it, and what it may be
off at least, as a share."""
_OTHER = 0.01
"""By which share contract values differ that are not the same."""


class MultiplierCheck:
    """Notes the symbols whose amounts, in a column that the mapping does not read, are another
    multiple of price × quantity in all rows."""

    def __init__(self, mapping: TableMapping, notes: Notes) -> None:
        self._decimal = mapping.decimal
        self._notes = notes
        self._read = {
            name for column in mapping.columns.values() for name in (column.name, *column.more)
        }
        self._rows = _MOST_ROWS if mapping.multipliers else 0
        self._columns: list[str] | None = None
        self._found: dict[tuple[str, str, int], dict[float, tuple[float, float]] | None] = {}
        self._values: dict[str, float] = {}

    def add(
        self, row: Mapping[str, Any], symbol: Any, value: Any, quantity: Any, *prices: Any
    ) -> None:
        """A row whose contract value is told, with its quantity and its prices."""
        if not self._rows or value is None:
            return
        self._rows -= 1
        if self._columns is None:
            self._columns = [
                column
                for column in row
                if column not in self._read
                and not is_margin(column)
                and may_be_value(column, _AMOUNTS)
                and says_value(column, _AMOUNTS)
            ]
        self._values[str(symbol)] = float(value)
        for column in self._columns:
            cell = row.get(column)
            told = written(as_text(cell), self._decimal) if cell is not None else None
            amount = abs(float(told.text)) if told and not told.percent else 0.0
            for which, price in enumerate(prices):
                size = abs(float(quantity) * float(price))
                key = (str(symbol), column, which)
                rows = self._found.setdefault(key, {})
                if rows is None:
                    continue
                if not amount or not size:
                    self._found[key] = None
                else:
                    rows[size] = amount, abs(float(quantity))

    def note(self) -> None:
        """Note what the rows contradict."""
        for (symbol, column, _), rows in self._found.items():
            if not rows or len(rows) < 2:
                continue
            size, (amount, quantity) = max(rows.items())
            ratio = float(f"{amount / size:.6g}")
            if abs(ratio / self._values[symbol] - 1) > _OTHER and all(
                _is(n, ratio * s) for s, (n, _) in rows.items()
            ):
                if all(_is(n, amount / quantity * q) for n, q in rows.values()):
                    continue  # It is a quantity, and the prices are all the same.
                self._notes.add(
                    CONTRADICTED,
                    name=(
                        f"[multipliers] says {self._values[symbol]:g} for {symbol}, but {column} is"
                        f" {ratio:g} times price × quantity"
                    ),
                )
        self._found.clear()


def _is(amount: float, made: float) -> bool:
    """Whether both are the same, but for rounding."""
    return abs(amount - made) <= max(min(_ROUNDING, _SMALL * amount), _EXACT * amount)
