"""Rows that are closed positions, as events: each row is one close, with an entry and an exit.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, time
from typing import Any, NamedTuple

from app.sources import making
from app.sources.cells import as_text
from app.sources.mapping import SUMMARY_NUMBERS, TableMapping
from app.sources.multiplier_check import MultiplierCheck
from app.sources.notes import Notes
from app.sources.row_reader import RowReader
from app.sources.sides import Side
from app.sources.tables import Row

_LABELS = ("position_id", "chain", "timeframe", "bucket")
_ROUNDING = 0.011
"""What a profit may be off by its rounding to cents, before it speaks against the prices."""
_WRONG = "wrong"
"""Where a summary keeps why it cannot be right."""
BOUGHT = re.compile(
    r"buy|bought|acquired|compra|(?<!ver)kauf|achat|acquist|köp|køb|kjøp|osto|aankoop|zakup|nákup|alış",
    re.IGNORECASE,
)
SOLD = re.compile(
    r"sell|sold|venda|venta|vendita|verkauf|vente|sälj|salg|myynti|verkoop|sprzeda|prodej|satış",
    re.IGNORECASE,
)
"""Of columns whose price is that of the purchase, and of the sale."""
_EATEN = 0.01
"""Gain, as a fraction of the price, that fees may have turned into a loss."""
_OTHER_VALUE = 1.5
"""What a profit is more or less than prices and quantity give, at least, if contracts are worth
something else than 1."""
REPEATED = "rows that are equal to one before in every cell, with its id, left out"
DISAGREE = "rows whose profit contradicts their prices and side"


class ClosedTrade(NamedTuple):
    """A close as a trader sees it: `pnl` and `fees` in `currency`, `net` whether the fees are taken
    off, times in RFC 3339."""

    symbol: str
    side: str
    entry: str
    exit: str
    quantity: float | None
    pnl: float | None
    fees: float | None
    currency: str
    net: bool


class Positions(RowReader):
    """Makes an event of each row."""

    def __init__(self, mapping: TableMapping, module: str, notes: Notes) -> None:
        super().__init__(mapping, module, notes)
        self._numbers = [name for name in SUMMARY_NUMBERS if self._cells.has(name)]
        self._labels = [name for name in _LABELS if self._cells.has(name)]
        self._per_unit = [
            name
            for name in ("entry_price", "exit_price")
            if name in mapping.columns and mapping.columns[name].per_unit
        ]
        fees = mapping.columns.get("fees_usd")
        self._fee_per_unit = fees is not None and fees.per_unit
        self._fee_is_rate = fees is not None and fees.rate
        self.multiplier_check = MultiplierCheck(mapping, notes)
        self._seen: set[bytes] = set()
        self._prices = self._cells.has("entry_price") and self._cells.has("exit_price")

    def event(self, row: Row) -> tuple[dict[str, Any], ClosedTrade | None] | None:
        """The `position_closed` event of `row` and what it says to a trader; None for a trade that
        is still open."""
        cells, mapping = self._cells, self._mapping
        if all(
            cells.field(row.cells, name) is None
            for name in ("exit_timestamp", "entry_timestamp", "symbol")
        ) and cells.has("symbol"):
            self._notes.add(
                "rows without a time and a symbol, such as totals, left out",
                name=f"line {row.line}",
            )
            return None
        if self._is_open(row.cells):
            self._notes.add(
                "rows without an exit (open trades), left out",
                name=str(cells.symbol(row.cells) or row.line),
            )
            return None
        trade_id = cells.text(row.cells, "trade_id")
        if trade_id is not None and self._is_repeated(trade_id, row.cells):
            self._notes.add(REPEATED, name=f"line {row.line}")
            return None
        trade_id = trade_id or self._twins.unique(row_id(row.cells))
        scope = cells.scope(row.cells, mapping.scope)
        summary, told = self._summary(row.cells)
        wrong = summary.pop(_WRONG, "")
        entry_ts = summary.get("entry_timestamp", summary.get("exit_timestamp"))
        actions = [self._action(row.cells, "entry", entry_ts, scope)]
        if "exit" in mapping.pattern:
            actions.append(
                self._action(
                    row.cells,
                    "exit",
                    summary.get("exit_timestamp"),
                    cells.scope(row.cells, mapping.exit_scope),
                )
            )
        if row.beyond:
            # The columns have slipped: no cell of this row can be trusted.
            wrong = f"The row has {len(row.beyond)} more cells than there are columns."
        revision = cells.number(row.cells, "revision") if cells.has("revision") else None
        event = making.without_nothing(
            {
                "event_id": making.closing_id(trade_id),
                "schema_version": 1,
                "revision": (
                    int(revision)
                    if isinstance(revision, float) and revision.is_integer()
                    else revision
                ),
                "module": self._module,
                "trade_id": trade_id,
                "symbol": cells.symbol(row.cells),
                **{name: cells.text(row.cells, name) for name in self._labels},
                "entry_context": scope,
                "trade_summary": wrong or summary,
                "actions": actions,
            }
        )
        return event, None if wrong else told

    def _is_repeated(self, trade_id: str, cells: Mapping[str, Any]) -> bool:
        """Whether a row with the same id was equal in every cell."""
        digest = making.short_digest(trade_id, row_id(cells))
        repeated = digest in self._seen
        self._seen.add(digest)
        return repeated

    def _is_open(self, row: Mapping[str, Any]) -> bool:
        """Neither an exit's time nor, where there are such columns, its price and a profit."""
        cells = self._cells
        return (
            cells.field(row, "exit_timestamp") is None
            and cells.has("exit_price")
            and (cells.number(row, "exit_price") or 0) == 0
            and cells.has("entry_timestamp")
            and cells.field(row, "entry_timestamp") is not None
        )

    def _action(
        self, cells: Mapping[str, Any], category: str, ts: Any, scope: dict[str, Any]
    ) -> dict[str, Any]:
        key = self._cells.pattern_key(cells, self._mapping.pattern[category], self._module)
        return making.without_nothing(
            {"ts": ts, "pattern_key": key, "action_category": category, "scope": scope}
        )

    def _summary(self, row: Mapping[str, Any]) -> tuple[dict[str, Any], ClosedTrade]:
        cells = self._cells
        summary: dict[str, Any] = {name: cells.number(row, name) for name in self._numbers}
        summary["entry_timestamp"] = cells.time(row, "entry_timestamp")
        summary["exit_timestamp"] = cells.time(row, "exit_timestamp")
        if self._is_day_of_entry(summary):
            summary["exit_timestamp"] = summary["entry_timestamp"]
        if _numbers(summary.get("max_drawdown")):
            summary["max_drawdown"] = abs(summary["max_drawdown"])
        if self._fee_per_unit and _numbers(fee := summary.get("fees_usd")):
            quantity = cells.number(row, "quantity")
            summary["fees_usd"] = round(fee * abs(quantity), 8) if _numbers(quantity) else fee
        for name in self._per_unit:
            summary[name] = self._over_quantity(row, summary[name])
        direction = self._direction(row)
        if self._turned(summary):
            direction = -1
        elif direction == -1 and self._mapping.bought_sold and cells.has("side"):
            self._exchange_prices(summary)
        if self._fee_is_rate:
            summary["fees_usd"] = self._fee_of_rate(row, summary)
        profit_given = _numbers(summary.get("pnl_usd"))
        self._complete(row, summary, direction)
        if profit_given and self._mapping.profit == "gross" and _numbers(summary.get("fees_usd")):
            summary["pnl_usd"] = round(summary["pnl_usd"] - summary["fees_usd"], 8)
        in_dollars, currency = cells.in_dollars(row)
        pnl, fees = summary.get("pnl_usd"), summary.get("fees_usd")
        quantity = cells.number(row, "quantity")
        told = ClosedTrade(
            str(cells.symbol(row) or "(none)"),
            {1: "long", -1: "short"}.get(direction or 0, "unknown"),
            str(summary.get("entry_timestamp") or ""),
            str(summary.get("exit_timestamp") or ""),
            abs(quantity) if _numbers(quantity) else None,
            pnl if _numbers(pnl) else None,
            fees if _numbers(fees) else None,
            currency,
            not profit_given or self._mapping.profit in ("net", "gross"),
        )
        if not in_dollars and pnl is not None:
            summary["pnl_usd"] = summary["fees_usd"] = None
            self._notes.add(
                f"rows without pnl_usd, as their currency {currency} is not the US dollar"
            )
        return making.without_nothing(summary), told

    def _is_day_of_entry(self, summary: Mapping[str, Any]) -> bool:
        """Whether the exit is the bare day of an entry with a time of day, which is later than the
        beginning of the day."""
        entered, left = summary["entry_timestamp"], summary["exit_timestamp"]
        if not (making.is_time(entered) and making.is_time(left)):
            return False
        if left.removesuffix("Z") >= entered.removesuffix("Z"):
            return False
        zone = self._mapping.columns["exit_timestamp"].timezone or self._mapping.timezone
        first, last = (datetime.fromisoformat(ts).astimezone(zone) for ts in (entered, left))
        return last < first and last.time() == time() and first.date() == last.date()

    def _fee_of_rate(self, row: Mapping[str, Any], summary: Mapping[str, Any]) -> Any:
        """The fee that is a share of the values at both ends; the cell where it is no number."""
        rate: Any = summary.get("fees_usd")
        quantity: Any = self._cells.number(row, "quantity")
        entered: Any = summary.get("entry_price")
        left: Any = summary.get("exit_price")
        if not _numbers(rate):
            return rate
        if not _numbers(quantity, entered, left):
            return None
        value = self.told_value(row)
        return round(rate * abs(quantity) * (1.0 if value is None else value) * (entered + left), 8)

    def _over_quantity(self, row: Mapping[str, Any], amount: Any) -> Any:
        """The price that an amount of money is, by the quantity."""
        quantity = self._cells.number(row, "quantity")
        if not _numbers(amount, quantity) or not quantity:
            return amount
        return round(abs(amount / quantity), 10)

    def _turned(self, summary: dict[str, Any]) -> bool:
        """Where the columns are those of the purchase and the sale: whether the sale came first,
        and then entry and exit change places."""
        bought, sold = summary["entry_timestamp"], summary["exit_timestamp"]
        if not (self._mapping.bought_sold and making.is_time(bought) and making.is_time(sold)):
            return False
        if bought.removesuffix("Z") <= sold.removesuffix("Z"):
            return False
        summary["entry_timestamp"], summary["exit_timestamp"] = sold, bought
        self._exchange_prices(summary)
        return True

    def _exchange_prices(self, summary: dict[str, Any]) -> None:
        """Of a short, the price of the sale is the entry's."""
        if self._prices and (
            BOUGHT.search(self._mapping.columns["entry_price"].name)
            or "entry_price" in self._per_unit
        ):
            summary["entry_price"], summary["exit_price"] = (
                summary["exit_price"],
                summary["entry_price"],
            )

    def _direction(self, row: Mapping[str, Any]) -> int | None:
        """1 for a long position, -1 for a short one, None where it cannot be told."""
        cells = self._cells
        if cells.has("side"):
            side = cells.side(row)
            return side.position if isinstance(side, Side) else None
        quantity = cells.number(row, "quantity")
        return -1 if _numbers(quantity) and quantity < 0 else 1

    def _complete(
        self, row: Mapping[str, Any], summary: dict[str, Any], direction: int | None
    ) -> None:
        """Work out what the table does not have and what it has allows: profit and return from
        prices, `rr` from return and drawdown."""
        pnl = summary.get("pnl_usd")
        nothing = summary.get("roi") == 0 and _numbers(pnl) and pnl != 0
        if nothing:
            summary["roi"] = None  # A return of 0 beside a profit is rounded, or was not known.
        if self._prices and direction is not None:
            self._from_prices(row, summary, direction)
        by_stake = self._cells.has("stake") and not self._cells.has("roi")
        if (summary.get("roi") is None or by_stake) and _numbers(summary.get("pnl_usd")):
            self._from_stake(row, summary, direction)
        if nothing and summary.get("roi") is None:
            summary["roi"] = 0.0
        if summary.get("rr") is None and _numbers(summary.get("roi"), summary.get("max_drawdown")):
            summary["rr"] = making.return_to_drawdown(
                summary["roi"], summary["max_drawdown"], self._mapping.drawdown_floor
            )
        if summary.get("hold_time_days") is None:
            summary["hold_time_days"] = making.days_between(
                summary["entry_timestamp"], summary["exit_timestamp"]
            )

    def _from_stake(
        self, row: Mapping[str, Any], summary: dict[str, Any], direction: int | None
    ) -> None:
        """The return of a profit on what was put in, where there are no prices.  What a short was
        bought back for is not what it was sold for: the profit is between them."""
        stake, fees = self._cells.number(row, "stake"), summary.get("fees_usd")
        if direction == -1 and self._mapping.bought_sold and _numbers(stake):
            stake = abs(stake) + summary["pnl_usd"]
        if _numbers(stake) and stake:
            paid = fees if self._mapping.profit == "gross" and _numbers(fees) else 0.0
            summary["roi"] = round((summary["pnl_usd"] - paid) / abs(stake), 8)

    def _from_prices(self, row: Mapping[str, Any], summary: dict[str, Any], side: int) -> None:
        entered, left = summary["entry_price"], summary["exit_price"]
        if not _numbers(entered, left) or entered <= 0:
            return
        quantity: Any = self._cells.number(row, "quantity")
        fees: Any = summary.get("fees_usd")
        pnl: Any = summary.get("pnl_usd")
        told = self.told_value(row)
        value = told if told is not None or self._lacks_value(self._cells.symbol(row)) else 1.0
        if value is None and not (_numbers(pnl) and _numbers(fees) and self._mapping.profit):
            symbol = self._cells.symbol(row)
            summary[_WRONG] = (
                f"[multipliers] lacks {symbol}, which looks like an option or a future."
            )
            return
        if _numbers(quantity, left):
            self.multiplier_check.add(
                row,
                self._cells.symbol(row),
                self._value_by_name(self._cells.symbol(row)),
                quantity,
                entered,
                left,
            )
        size = abs(quantity) * value if _numbers(quantity) and value is not None else None
        paid: float = fees if _numbers(fees) else 0.0
        gross = side * (left - entered)
        inverse = self._mapping.is_inverse(str(self._cells.symbol(row)))
        if inverse and left > 0:
            gross = side * (left - entered) * entered / left
        if pnl is None and size:
            profit = (
                size * side * (1 / entered - 1 / left) if inverse and left > 0 else gross * size
            )
            summary["pnl_usd"] = round(profit - paid, 8)
        if (
            summary.get("roi") is None
            and _numbers(pnl)
            and self._contradict(pnl, paid, gross, entered)
        ):
            self._notes.add(DISAGREE, name=str(self._cells.symbol(row) or ""))
            summary[_WRONG] = (
                f"The profit is {pnl:g}, and a {'long' if side > 0 else 'short'} position from"
                f" {entered:g} to {left:g} gives the opposite sign: the side, the prices or the"
                " profit's sign are misread."
            )
        if summary.get("roi") is None:
            stake = entered * size if size and not inverse else None
            if stake and told is None and _numbers(pnl) and gross:
                stake *= _implied(pnl / (gross * abs(quantity)))
            is_told = told is not None and not _numbers(fees)
            summary["roi"] = self._return(pnl, paid, gross, entered, stake, is_told)

    def _return(
        self,
        pnl: Any,
        paid: float,
        gross: float,
        entered: float,
        stake: float | None,
        is_told: bool,
    ) -> float:
        """Profit after fees over what was bought (for shorts: sold) to open: `stake`, which counts
        before the prices where its contract value `is_told`."""
        profit = self._mapping.profit
        if profit == "shown":
            return round(gross / entered, 8)
        if not (profit and _numbers(pnl)):
            return round(gross / entered - (paid / stake if stake else 0.0), 8)
        before: float = pnl if profit == "gross" else pnl + paid
        after: float = pnl - paid if profit == "gross" else pnl
        if is_told and stake:
            return round(after / stake, 8)
        if before and gross and (before > 0) == (gross > 0):
            # By the ratio, so that neither the contract's value nor the currency of the profit
            # matters.
            return round(gross / entered * after / before, 8)
        return round(after / stake if stake else gross / entered, 8)

    def _contradict(self, pnl: float, paid: float, gross: float, entered: float) -> bool:
        """Whether profit and prices have different signs, fees and rounding apart."""
        # A cent more than the fees, whichever side of them the profit is.
        allowed = _ROUNDING + abs(paid) * 1.01
        if abs(pnl) <= allowed or gross == 0 or (pnl > 0) == (gross > 0):
            return False
        # Fees that no column has can eat a small gain.
        return not (pnl < 0 < gross and not paid and gross <= _EATEN * entered)

    def told_value(self, row: Mapping[str, Any]) -> float | None:
        """Money per point and unit, by the mapping's pattern or the row's column."""
        named = self._value_by_name(self._cells.symbol(row))
        if named is not None:
            return named
        own: Any = self._cells.number(row, "multiplier")
        return float(own) if _numbers(own) else None


def _implied(value: float) -> float:
    """The contract value that a profit shows where the mapping tells none: 1 for what differs by
    fees alone."""
    return value if value > 0 and not 1 / _OTHER_VALUE < value < _OTHER_VALUE else 1.0


def _numbers(*values: Any) -> bool:
    return all(type(value) in (int, float) for value in values)


def row_id(cells: Mapping[str, Any]) -> str:
    """The id of a row that has none of its own: a digest of its cells, in any column order."""
    filled = sorted(f"{n}={as_text(v)}" for n, v in cells.items() if v not in (None, ""))
    return f"row-{making.digest(*filled)}"
