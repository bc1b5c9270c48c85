"""A row of a table as a fill: its signed quantity, its price, its fee and the contract's value, as
all columns together say.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from app.sources import making
from app.sources.amounts import contract_value, from_net, is_rounding
from app.sources.books import SPLITS, ZERO, Fill
from app.sources.cells import WHOLE
from app.sources.currencies import SMALLEST
from app.sources.fee_cells import FeeCell, fee_cell
from app.sources.mapping import BASE, TRADED, TableMapping
from app.sources.multiplier_check import MultiplierCheck
from app.sources.notes import Notes
from app.sources.pairs import coin_of_inverse, pair_in
from app.sources.positions import ClosedTrade, row_id
from app.sources.row_reader import RowReader
from app.sources.sides import Event, Side, opens_or_closes
from app.sources.tables import Row

UNREADABLE = "rows that cannot be read as fills; positions of their symbols may be wrong"
_BITCOIN = ("XBT", "BTC")


class Closing(NamedTuple):
    """A position that a fill has closed, or a row that is no fill, with its place and what it says
    to a trader."""

    event: dict[str, Any]
    place: str
    position: int
    told: ClosedTrade | None = None


class FillReader(RowReader):
    """Reads rows as `mapping` says; it remembers the ids of fills, to leave out repeated ones."""

    def __init__(self, mapping: TableMapping, module: str, notes: Notes) -> None:
        super().__init__(mapping, module, notes)
        self._by_amount = self._cells.has("gross") or self._cells.has("net")
        self._per_unit = mapping.columns["price"].per_unit
        self._is_money = mapping.columns["quantity"].money
        self._is_rate = "fee" in mapping.columns and mapping.columns["fee"].rate
        scale = mapping.columns["fee"].scale if self._is_rate else None
        self._rate_scale = None if scale is None else Decimal(repr(scale))
        self._fee_per_unit = "fee" in mapping.columns and mapping.columns["fee"].per_unit
        self._in_smallest = "fee" in mapping.columns and mapping.columns["fee"].smallest
        self._seen: set[bytes] = set()
        self.multiplier_check = MultiplierCheck(mapping, notes)

    def read(self, path: str, row: Row) -> Fill | Closing | None:
        """The fill of the row, a close for input validation to refuse, or None for a fill that was
        there before."""
        cells, place = self._cells, f"{path}:{row.line}"
        ts, symbol = cells.time(row.cells, "time"), cells.symbol(row.cells)
        has_side = cells.has("side")
        side = cells.side(row.cells) if has_side else Side(1, 1)
        closing = isinstance(side, Event) and side.kind == "closing"
        if closing:
            side = Side(-1, 1, False)  # What is held decides.
        if isinstance(side, Event):
            return self._event_of_row(side, ts, symbol, row, place)
        quantity, price = cells.exact(row.cells, "quantity"), cells.exact(row.cells, "price")
        if self._per_unit and quantity and price is not None:
            price = abs(price / quantity)
        fee, no_fee = cells.exact(row.cells, "fee"), cells.is_empty(row.cells, "fee")
        if self._fee_per_unit and fee is not None and quantity:
            fee *= abs(quantity)
        share = None
        if self._is_rate and not no_fee:
            told = cells.field(row.cells, "fee")
            share = fee_cell(told, self._mapping.decimal)
            if share is not None and self._rate_scale is not None and "%" not in str(told):
                share = share._replace(rate=share.rate * self._rate_scale)
            fee, no_fee = None, share is not None
        value, no_value = self._multiplier(row.cells, symbol)
        if quantity and price is not None and not self._is_money:
            self.multiplier_check.add(
                row.cells, symbol, self._value_by_name(symbol), quantity, price
            )
        against = (
            side is not None and has_side and quantity is not None and quantity < 0 < side.fill
        )
        readable = (
            making.is_time(ts)
            and symbol
            and quantity
            and price is not None
            and side is not None
            and not row.beyond
            and not against
        )
        told = (
            self._amounts(row.cells, quantity, price, side, fee, value, has_side)
            if readable
            else None
        )
        if told is not None and share is not None:
            told = self._with_share(row.cells, share, *told)
        wrong = ""
        if row.beyond:
            wrong = f"The row has {len(row.beyond)} more cells than there are columns."
        elif against:
            wrong = "The side is a purchase, but the quantity is negative."
        elif readable and told is None:
            wrong = "The amount is not price × quantity for any usual contract value and fee."
        elif (
            told is not None
            and told[3] is None
            and not self._by_amount
            and self._lacks_value(symbol)
        ):
            wrong = f"[multipliers] lacks {symbol}, which looks like an option or a future."
        if (
            wrong
            or not readable
            or told is None
            or (fee is None and not no_fee)
            or (value is None and not no_value)
        ):
            self._notes.add(UNREADABLE)
            return Closing(self.unreadable(row, side is None, wrong), place, row.position)
        assert quantity is not None
        assert price is not None
        assert side is not None
        signed, price, fee, value = told
        opens = side.opens if has_side else None
        if opens is None and (effect := cells.text(row.cells, "open_close")) is not None:
            opens = opens_or_closes(effect)
        own = cells.text(row.cells, "trade_id")
        if self._mapping.hedged and opens is not None:
            own = "/".join(filter(None, (own, "long" if (signed > 0) == opens else "short")))
        book: tuple[Any, ...] = (cells.text(row.cells, "account"), symbol, own)
        fill_id = cells.text(row.cells, "fill_id")
        if fill_id is not None:
            if (seen := making.short_digest(repr(book), fill_id)) in self._seen:
                self._notes.add("fills with an id that occurred before, left out")
                return None
            self._seen.add(seen)
        own_id = fill_id or f"{ts}/{row_id(row.cells)[4:20]}"
        return Fill(
            ts,
            signed,
            price,
            fee,
            value,
            row.cells,
            book,
            own_id,
            place,
            row.position,
            "closing" if closing else "fill",
            opens=opens,
            has_id=fill_id is not None,
            is_money=self._is_money,
        )

    def _event_of_row(
        self, event: Event, ts: Any, symbol: Any, row: Row, place: str
    ) -> Fill | Closing:
        """An expiry, an assignment or a split."""
        cells = self._cells
        quantity = cells.exact(row.cells, "quantity") or (
            Decimal(1) if event.kind == "expiry" else None
        )
        if not making.is_time(ts) or not symbol or quantity is None or row.beyond:
            self._notes.add(UNREADABLE)
            return Closing(self.unreadable(row, True), place, row.position)
        book = (cells.text(row.cells, "account"), symbol, cells.text(row.cells, "trade_id"))
        own_id = f"{ts}/{row_id(row.cells)[4:20]}"
        applied = {
            "expiry": "expiries that close the position at 0",
            "assignment": "assignments and exercises, whose shares are rows of their own",
        }
        self._notes.add(
            applied.get(event.kind, "splits that were applied"),
            name=str(symbol),
        )
        return Fill(
            ts,
            quantity if event.kind in SPLITS else abs(quantity),
            ZERO,
            ZERO,
            None,
            row.cells,
            book,
            own_id,
            place,
            row.position,
            event.kind,
        )

    def _multiplier(self, row: Mapping[str, Any], symbol: Any) -> tuple[Decimal | None, bool]:
        """(the contract's value by its column or the mapping, whether nothing says one)."""
        named = self._value_by_name(symbol)
        if named is not None:
            return Decimal(repr(named)), False
        found = self._cells.exact(row, "multiplier")
        return (found or None), self._cells.is_empty(row, "multiplier")

    def _amounts(
        self,
        row: Mapping[str, Any],
        quantity: Decimal | None,
        price: Decimal | None,
        side: Side | None,
        fee: Decimal | None,
        value: Decimal | None,
        has_side: bool,
    ) -> tuple[Decimal, Decimal, Decimal, Decimal | None] | None:
        """(signed quantity, price, fee, contract value) as all columns together say, None where
        they contradict one another."""
        assert quantity is not None
        assert price is not None
        assert side is not None
        signed = side.fill * abs(quantity) if has_side else quantity
        if self._mapping.is_inverse(str(self._cells.symbol(row))):
            # Counted in dollars and settled in the coin: what is held gains as 1 / price falls.
            price = -1 / price if price else price
        if (gross := self._cells.exact(row, "gross")) is not None and value is None:
            value = contract_value(signed, price, gross)
        if (net := self._cells.exact(row, "net")) is not None:
            told = from_net(signed, price, net, fee, value)
            if told is None and value is None:
                return None
            if told is not None:
                value = told.multiplier if value is None else value
                if fee is None and told.fee is not None:
                    fee = (
                        ZERO
                        if is_rounding(told.fee, signed, price, value or Decimal(1))
                        else told.fee
                    )
        coin = self._cells.text(row, "fee_currency") or self._cells.unit(row, "fee")
        if fee and self._in_smallest and (unit := SMALLEST.get(str(coin).strip())):
            coin, fee = unit[0], fee.scaleb(-unit[1])
        if fee and coin:
            signed, price, fee = self._fee_in(str(coin).strip().upper(), row, signed, price, fee)
        return signed, price, fee or ZERO, value

    def _with_share(
        self,
        row: Mapping[str, Any],
        share: FeeCell,
        signed: Decimal,
        price: Decimal,
        fee: Decimal,
        value: Decimal | None,
    ) -> tuple[Decimal, Decimal, Decimal, Decimal | None]:
        """What `_amounts` gives, with a fee that is a share of the value and amounts in coins."""
        size = abs(signed) if self._is_money else abs(signed * price) * (value or 1)
        fee += share.rate * size
        for amount, coin in share.amounts:
            signed, price, more = self._fee_in(coin.strip().upper(), row, signed, price, amount)
            fee += more
        return signed, price, fee, value

    def _fee_in(
        self, coin: str, row: Mapping[str, Any], signed: Decimal, price: Decimal, fee: Decimal
    ) -> tuple[Decimal, Decimal, Decimal]:
        """(signed quantity, price, fee) with a fee in `coin`: in the coin that is traded it is a
        part of the quantity, in another than the quote it cannot be counted."""
        symbol = str(self._cells.symbol(row))
        currency = self._cells.unit(row, "price") or self._cells.currency(row)
        pair = pair_in(symbol, currency)
        if coin == BASE.upper():
            traded, paid = pair or (symbol, currency)
            coin = traded if signed > 0 else paid
        if coin == TRADED.upper() and pair is not None:
            coin = pair[0]
        own = coin_of_inverse(symbol) if self._mapping.is_inverse(symbol) else None
        if own is not None and coin in (own, *(_BITCOIN if own in _BITCOIN else ())):
            satoshis = not self._in_smallest and self._cells.text(row, "fee_currency") == "XBt"
            return signed, price, fee / 100_000_000 if satoshis else fee
        quote = pair[1] if pair else currency
        if quote in WHOLE and WHOLE[quote] == coin:
            return signed, price, fee * 100
        if coin in (quote, currency) or (coin in making.US_DOLLARS and quote in making.US_DOLLARS):
            return signed, price, fee
        if coin == (pair[0] if pair else symbol) and abs(signed) > fee:
            moved = signed - fee  # Less arrives where it was bought, more leaves where it was sold.
            return moved, price * signed / moved, ZERO
        self._notes.add(f"fees in {coin}, which is not the trade's currency, left out")
        return signed, price, ZERO

    def unreadable(self, row: Row, no_side: bool, wrong: str = "") -> dict[str, Any]:
        """An event with the row's values: input validation rejects it at the unreadable cell."""
        cells, columns = self._cells, self._mapping.columns
        fill_id = cells.text(row.cells, "fill_id") or self._twins.unique(row_id(row.cells))
        ts = cells.time(row.cells, "time")
        action = {
            "ts": ts,
            "pattern_key": cells.pattern_key(
                row.cells, self._mapping.pattern["entry"], self._module
            ),
            "action_category": str(cells.field(row.cells, "side") or "") if no_side else "entry",
            "size_frac": (
                None
                if cells.exact(row.cells, "quantity")
                else str(row.cells.get(columns["quantity"].name) or "")
            ),
        }
        summary = {
            "exit_timestamp": ts,
            "entry_price": (
                None
                if cells.exact(row.cells, "price") is not None
                else str(row.cells.get(columns["price"].name) or "")
            ),
            "fees_usd": (
                None if cells.exact(row.cells, "fee") is not None else cells.field(row.cells, "fee")
            ),
            "pnl_usd": (
                None
                if cells.exact(row.cells, "multiplier")
                else cells.field(row.cells, "multiplier")
            ),
        }
        trade_id = f"fill/{fill_id}"
        return {
            "event_id": making.closing_id(trade_id),
            "schema_version": 1,
            "module": self._module,
            "trade_id": trade_id,
            "symbol": cells.symbol(row.cells) or [],  # No door takes a list for a text.
            "trade_summary": wrong or making.without_nothing(summary),
            "actions": [making.without_nothing(action)],
        }
