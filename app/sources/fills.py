"""Rows that are fills, as closed positions: from flat to flat, first in first out.

May touch: nothing.

Each trim and exit says in `realized_pnl` what the lots that it closed have made, their fees on both
sides taken off.  (A whole position makes the same by any order of its lots.)
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

from app.sources import making
from app.sources.amounts import contract_value, from_net, is_cent_rounding
from app.sources.books import ZERO, Books, Fill, Position, Step, positions
from app.sources.cells import Cells
from app.sources.deliveries import UNDELIVERED, is_delivered
from app.sources.mapping import BASE, TRADED, TableMapping
from app.sources.notes import Notes
from app.sources.pairs import future_of, is_option, pair_of
from app.sources.positions import ClosedTrade, row_id
from app.sources.sides import Event, Side, opens_or_closes
from app.sources.tables import Row

__all__ = ["Closing", "Fill", "Fills", "positions"]

UNREADABLE = "rows that cannot be read as fills; positions of their symbols may be wrong"
STILL_OPEN = "positions that are still open, left out"
OVERSOLD = "symbols with more sold than was held; the rest was left out"
_BITCOIN = ("XBT", "BTC")
_LABELS = ("chain", "timeframe", "bucket")


class Closing(NamedTuple):
    """A position that a fill has closed, or a row that is no fill, with its place and what it says
    to a trader."""

    event: dict[str, Any]
    place: str
    position: int
    told: ClosedTrade | None = None


class Fills:
    """Makes events of the rows of all files together: a position may be opened in one file and
    closed in the next."""

    def __init__(self, mapping: TableMapping, module: str, notes: Notes) -> None:
        self._cells = Cells(mapping)
        self._mapping = mapping
        self._module = module
        self._notes = notes
        self._twins = making.Occurrences()
        self._per_unit = mapping.columns["price"].per_unit
        self._seen: set[tuple[Any, ...]] = set()
        self.oversold: dict[str, Decimal] = {}

    def closings(self, files: Iterable[tuple[str, Iterable[Row]]]) -> Iterator[Closing]:
        """The closes in the (path, rows) of each file: first the rows that are no fills, for the
        door to refuse, then by time."""
        for found in self.positions(files):
            if isinstance(found, Closing):
                yield found
            elif found.held == 0:
                last = found.steps[-1].fill
                yield Closing(self._event(found), last.place, last.position, self._told(found))
            else:
                symbol, held = str(found.steps[0].fill.book[1]), found.direction * found.held
                self._notes.add(STILL_OPEN, name=f"{symbol} {held.normalize():f}")

    def positions(self, files: Iterable[tuple[str, Iterable[Row]]]) -> Iterator[Closing | Position]:
        """The rows that are no fills, then each position when it is closed, then those that stay
        open."""
        every: list[Fill] = []
        unread: list[Row] = []
        for path, rows in files:
            fills: list[Fill] = []
            for row in rows:
                found = self._fill(path, row)
                if isinstance(found, Closing):
                    unread.append(row)
                    yield found
                elif found is not None:
                    fills.append(found)
            moments = [_moment(fill) for fill in fills]
            falls = sum(a > b for a, b in pairwise(moments)) > sum(
                a < b for a, b in pairwise(moments)
            )
            if falls if self._mapping.newest_first is None else self._mapping.newest_first:
                # The newest first, as many exports are: of equal times, too, the last is the first.
                fills.reverse()
            every += fills
        alone = [f for f in every if f.kind == "assignment" and not is_delivered(f, every)]
        for fill in alone:
            every.remove(fill)
            row = Row(dict(fill.row), int(fill.place.rpartition(":")[2]), fill.position, [])
            unread.append(row)
            self._notes.add(UNREADABLE)
            wrong = UNDELIVERED.format(symbol=fill.book[1])
            yield Closing(self._unreadable(row, True, wrong), fill.place, fill.position)
        every.sort(key=_order)
        books = Books(self._mapping.splits, self._doubted(unread, every), self._mapping.shorts)
        for position, _ in positions(self._with_values(every), books):
            yield position
        self.oversold = dict(books.oversold)
        for symbol, rest in books.oversold.items():
            self._notes.add(OVERSOLD, name=f"{symbol} {rest.normalize():f}")
        for what, fill in books.odd:
            self._notes.add(what, name=str(fill.book[1]))

    def _doubted(self, unread: Iterable[Row], fills: Iterable[Fill]) -> set[str]:
        """The symbols that stand anywhere in rows that could not be read."""
        cells = {str(cell).strip() for row in unread for cell in (*row.cells.values(), *row.beyond)}
        found = {str(fill.book[1]) for fill in fills} & cells
        for symbol in sorted(found):
            self._notes.add(UNREADABLE, 0, symbol)
        return found

    def _with_values(self, fills: Iterable[Fill]) -> Iterator[Fill]:
        """The fills, those that tell no contract value with the one that others of their symbol
        have told."""
        known: dict[Any, Decimal] = {}
        told = list(fills)
        for fill in told:
            if fill.multiplier is not None:
                known.setdefault(fill.book[1], fill.multiplier)
        for fill in told:
            value = fill.multiplier if fill.multiplier is not None else known.get(fill.book[1])
            yield fill._replace(multiplier=None if fill.kind in ("expiry", "assignment") else value)

    def _fill(self, path: str, row: Row) -> Fill | Closing | None:
        """None for a fill that was there before."""
        cells, place = self._cells, f"{path}:{row.line}"
        ts, symbol = cells.time(row.cells, "time"), cells.symbol(row.cells)
        has_side = cells.has("side")
        side = cells.side(row.cells) if has_side else Side(1, 1)
        if isinstance(side, Event):
            return self._event_of_row(side, ts, symbol, row, place)
        quantity, price = cells.exact(row.cells, "quantity"), cells.exact(row.cells, "price")
        if self._per_unit and quantity and price is not None:
            price = abs(price / quantity)
        fee, no_fee = cells.exact(row.cells, "fee"), cells.is_empty(row.cells, "fee")
        value, no_value = self._multiplier(row.cells, symbol)
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
        wrong = ""
        if row.beyond:
            wrong = f"The row has {len(row.beyond)} more cells than there are columns."
        elif against:
            wrong = "The side is a purchase, but the quantity is negative."
        elif readable and told is None:
            wrong = "The amount is not price × quantity for any usual contract value and fee."
        elif told is not None and told[3] is None and self._lacks_value(str(symbol)):
            wrong = f"[multipliers] lacks {symbol}, which looks like an option or a future."
        if (
            wrong
            or not readable
            or told is None
            or (fee is None and not no_fee)
            or (value is None and not no_value)
        ):
            self._notes.add(UNREADABLE)
            return Closing(self._unreadable(row, side is None, wrong), place, row.position)
        assert quantity is not None
        assert price is not None
        assert side is not None
        signed, price, fee, value = told
        book: tuple[Any, ...] = (
            cells.text(row.cells, "account"),
            symbol,
            cells.text(row.cells, "trade_id"),
        )
        fill_id = cells.text(row.cells, "fill_id")
        if fill_id is not None:
            if (book, fill_id) in self._seen:
                self._notes.add("fills with an id that occurred before, left out")
                return None
            self._seen.add((book, fill_id))
        own_id = fill_id or self._twins.unique(f"{ts}/{row_id(row.cells)[4:20]}")
        opens = side.opens if has_side else None
        if opens is None and (effect := cells.text(row.cells, "open_close")) is not None:
            opens = opens_or_closes(effect)
        return Fill(
            ts, signed, price, fee, value, row.cells, book, own_id, place, row.position, opens=opens
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
            return Closing(self._unreadable(row, True), place, row.position)
        book = (cells.text(row.cells, "account"), symbol, cells.text(row.cells, "trade_id"))
        own_id = self._twins.unique(f"{ts}/{row_id(row.cells)[4:20]}")
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
            abs(quantity),
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
        for pattern, value in self._mapping.multipliers.items():
            if fnmatch.fnmatchcase(str(symbol), pattern):
                return Decimal(repr(value)), False
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
        if self._is_inverse(str(self._cells.symbol(row))):
            # Counted in dollars and settled in the coin: what is held gains as 1 / price falls.
            price = -1 / price if price else price
        if (gross := self._cells.exact(row, "gross")) is not None and value is None:
            value = contract_value(signed, price, gross)
        if (net := self._cells.exact(row, "net")) is not None:
            told = from_net(signed, price, net, fee)
            if told is None and value is None:
                return None
            if told is not None:
                value = told.multiplier if value is None else value
                if fee is None and told.fee is not None:
                    fee = (
                        ZERO
                        if is_cent_rounding(told.fee, abs(signed) * price * (value or 1))
                        else told.fee
                    )
        coin = self._cells.text(row, "fee_currency") or self._cells.unit(row, "fee")
        if fee and coin:
            signed, price, fee = self._fee_in(str(coin).strip().upper(), row, signed, price, fee)
        return signed, price, fee or ZERO, value

    def _fee_in(
        self, coin: str, row: Mapping[str, Any], signed: Decimal, price: Decimal, fee: Decimal
    ) -> tuple[Decimal, Decimal, Decimal]:
        """(signed quantity, price, fee) with a fee in `coin`: in the coin that is traded it is a
        part of the quantity, in another than the quote it cannot be counted."""
        symbol = str(self._cells.symbol(row))
        pair, currency = (
            pair_of(symbol),
            self._cells.unit(row, "price") or self._cells.currency(row),
        )
        if coin == BASE.upper() and pair is not None:
            coin = pair[0] if signed > 0 else pair[1]
        if coin == TRADED.upper() and pair is not None:
            coin = pair[0]
        if (
            self._is_inverse(symbol)
            and pair is not None
            and coin in (pair[0], *(_BITCOIN if pair[0] in _BITCOIN else ()))
        ):
            satoshis = self._cells.text(row, "fee_currency") == "XBt"
            return signed, price, fee / 100_000_000 if satoshis else fee
        quote = pair[1] if pair else currency
        if coin in (quote, currency) or (coin in making.US_DOLLARS and quote in making.US_DOLLARS):
            return signed, price, fee
        if pair is not None and coin == pair[0] and abs(signed) > fee:
            moved = signed - fee  # Less arrives where it was bought, more leaves where it was sold.
            return moved, price * signed / moved, ZERO
        self._notes.add(f"fees in {coin}, which is not the trade's currency, left out")
        return signed, price, ZERO

    def _lacks_value(self, symbol: str) -> bool:
        """Whether the mapping tells contract values of others, and by amounts none, of what looks
        like a contract."""
        by_amount = self._cells.has("gross") or self._cells.has("net")
        return (
            bool(self._mapping.multipliers)
            and not by_amount
            and (is_option(symbol) or future_of(symbol) is not None)
        )

    def _unreadable(self, row: Row, no_side: bool, wrong: str = "") -> dict[str, Any]:
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

    def _event(self, position: Position) -> dict[str, Any]:
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
                "trade_summary": position.doubt or self._summary(position, entered, bought),
                "actions": [self._action(step, bought) for step in position.steps],
            }
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
        in_dollars = currency in making.US_DOLLARS
        if not in_dollars:
            self._notes.add(
                f"positions without pnl_usd, as their currency {currency} is not the US dollar"
            )
        return making.without_nothing(
            {
                "entry_timestamp": first.ts,
                "exit_timestamp": last.ts,
                "entry_price": _price(sum((s.quantity * s.price for s in entered), ZERO) / bought),
                "exit_price": _price(left / bought),
                "roi": round(float(pnl / stake), 10) if stake else None,
                "pnl_usd": round(float(pnl), 8) if in_dollars else None,
                "fees_usd": round(float(fees), 8) if in_dollars else None,
                "hold_time_days": making.days_between(first.ts, last.ts),
            }
        )

    def _is_inverse(self, symbol: str) -> bool:
        return any(fnmatch.fnmatchcase(symbol, pattern) for pattern in self._mapping.inverse)

    def _currency(self, fill: Fill) -> str:
        if self._is_inverse(str(fill.book[1])):
            pair = pair_of(str(fill.book[1]))
            return pair[0] if pair else "the coin"
        return self._cells.unit(fill.row, "price") or self._cells.currency(fill.row, fill.book[1])

    def _profit(self, position: Position) -> tuple[Decimal, Decimal]:
        """(profit after fees, fees): by the table's own column where the rows of a trade have one,
        else by prices."""
        made = sum((step.realized for step in position.steps if step.realized is not None), ZERO)
        fees = sum((step.fee for step in position.steps), ZERO)
        if self._cells.has("pnl_usd"):
            rows = {
                id(step.fill.row): step.fill.row
                for step in position.steps
                if step.realized is not None
            }
            said = [self._cells.exact(row, "pnl_usd") for row in rows.values()]
            if not any(profit is not None for profit in said):  # Some put it beside the entry.
                said = [
                    self._cells.exact(step.fill.row, "pnl_usd")
                    for step in position.steps
                    if step.realized is None
                ]
            if None not in said:
                own = sum((profit for profit in said if profit is not None), ZERO)
                return own, fees + made - own
        return made, fees

    def _told(self, position: Position) -> ClosedTrade | None:
        if position.doubt:
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


def _price(value: Decimal) -> float:
    """A price; those of inverse contracts are kept as -1 / price."""
    return round(float(value if value >= 0 else -1 / value), 10)


def _moment(fill: Fill) -> str:
    """The time of a fill as a text that sorts as the times do."""
    return fill.ts.removesuffix("Z")


def _order(fill: Fill) -> tuple[str, bool]:
    """By time; of one trade's rows at one time those that open come first."""
    return _moment(fill), fill.book[2] is not None and fill.opens is False
