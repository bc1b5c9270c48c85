"""Fills in order of time, as positions: from flat to flat, first in first out, with expiries and
splits.

May touch: nothing.

Quantities, prices and fees are decimals, so that flat is exactly flat.  A fill through zero closes
one position and opens the next; its fee is split by quantity.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from app.sources.mapping import Split

ZERO = Decimal(0)
_SAME_VALUE = Decimal("0.05")
"""By how much, as a share, two contract values may differ by the rounding of amounts."""
_REMOVED_AND_ADDED = 2
"""Rows of a split, if one has the units that are removed, and one those that are added."""
SPLITS = ("split", "reverse")
_JUMP = Decimal("1.5")
"""Minimum change of price, as a factor, for a sale of a multiple of the position to look like an
unreported split."""


class Fill(NamedTuple):
    """A fill: `quantity` is signed (bought above 0), `fee` above 0 is paid, `multiplier` is the
    contract's value per point (None: that of the position, else 1). `kind` is `fill`, `expiry`
    (all that is held ends at 0), `assignment` (`quantity` of it does), `split` (`quantity` units
    are added to what is held), `reverse` (so that fewer are left) or `closing` (a fill against
    what is held); `opens` is whether it says to open or to close; `has_id` whether `own_id` is its
    own, and not made of its row; `is_money` whether `quantity` is an amount of money at the entry's
    price."""

    ts: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    multiplier: Decimal | None
    row: Mapping[str, Any]
    book: tuple[Any, ...]
    own_id: str
    place: str
    position: int
    kind: str = "fill"
    opens: bool | None = None
    has_id: bool = True
    is_money: bool = False


@dataclass(slots=True)
class Lot:
    """The remaining part of a fill that opened or added to a position; `fee` is its fee per
    unit."""

    quantity: Decimal
    price: Decimal
    fee: Decimal
    multiplier: Decimal


@dataclass(slots=True)
class Step:
    """One action: its fill, how much of it, out of how much, at which price, and the profit that it
    realised."""

    category: str
    fill: Fill
    quantity: Decimal
    held_before: Decimal
    price: Decimal
    multiplier: Decimal
    fee: Decimal
    realized: Decimal | None = None


@dataclass(slots=True)
class Position:
    """A position: its direction (1 or -1), its lots from the oldest on, its steps so far, the
    quantity held (without sign), and why its figures cannot be trusted (empty: they can)."""

    direction: int
    lots: deque[Lot] = field(default_factory=deque)
    steps: list[Step] = field(default_factory=list)
    held: Decimal = ZERO
    doubt: str = ""

    def enter(self, fill: Fill, quantity: Decimal) -> None:
        """Open the position or add to it with `quantity` of `fill`."""
        value = (
            fill.multiplier
            if fill.multiplier is not None
            else (self.lots[0].multiplier if self.lots else Decimal(1))
        )
        if fill.is_money and fill.price:
            value = 1 / fill.price
        fee = fill.fee / abs(fill.quantity)
        self.steps.append(
            Step(
                "add" if self.steps else "entry",
                fill,
                quantity,
                self.held,
                fill.price,
                value,
                fee * quantity,
            )
        )
        self.lots.append(Lot(quantity, fill.price, fee, value))
        self.held += quantity

    def leave(self, fill: Fill, quantity: Decimal) -> None:
        """Close `quantity` of it (at most the quantity held) with `fill`, the oldest lots first."""
        held, rest, realized = self.held, quantity, ZERO
        fee = fill.fee / abs(fill.quantity)
        value = fill.multiplier if fill.multiplier is not None else self.lots[0].multiplier
        while rest > 0:
            lot = self.lots[0]
            part = min(rest, lot.quantity)
            own = lot.multiplier if fill.is_money else value
            realized += part * (
                self.direction * (fill.price * own - lot.price * lot.multiplier) - lot.fee - fee
            )
            rest -= part
            lot.quantity -= part
            if lot.quantity == 0:
                self.lots.popleft()
        self.held -= quantity
        category = "exit" if quantity == held else "trim"
        self.steps.append(
            Step(category, fill, quantity, held, fill.price, value, fee * quantity, realized)
        )

    def split(self, factor: Decimal) -> None:
        """From now on there are `factor` units for each one before."""
        for lot in self.lots:
            lot.quantity, lot.price, lot.fee = (
                lot.quantity * factor,
                lot.price / factor,
                lot.fee / factor,
            )
        for step in self.steps:
            step.quantity, step.held_before, step.price = (
                step.quantity * factor,
                step.held_before * factor,
                step.price / factor,
            )
        self.held *= factor


class Books:
    """All books while fills are applied.  `splits` are those in the mapping, by symbol; `doubted`
    are the symbols with rows that could not be read; `shorts` is `yes`, `no` or `said` (a sale of
    more than is held opens a short, never does, or does if it says so).

    `oversold` counts, by symbol, the units sold without being held, which were left out; `odd`
    counts other events that did not change a position."""

    def __init__(
        self,
        splits: Mapping[str, tuple[Split, ...]] | None = None,
        doubted: Collection[str] = (),
        shorts: str = "yes",
    ) -> None:
        self._splits = splits or {}
        self._doubted = doubted
        self._shorts = shorts
        self._open: dict[tuple[Any, ...], Position] = {}
        self._splitting: dict[tuple[Any, ...], list[Fill]] = {}
        self._doubt: dict[tuple[Any, ...], str] = {}
        self.oversold: dict[str, Decimal] = {}
        self.odd: list[tuple[str, Fill]] = []

    def closed(self, fill: Fill) -> Position | None:
        """Apply `fill` to its book; returns the position that it has closed, if any."""
        position = self._open.get(fill.book)
        if position is not None:
            self._split_by_mapping(position, fill)
        if fill.kind in SPLITS:
            self._splitting.setdefault(fill.book, []).append(fill)
            return None
        if rows := self._splitting.pop(fill.book, None):
            self._split_by_rows(position, rows)
        if fill.kind in ("expiry", "assignment"):
            return self._expire(position, fill)
        if fill.kind == "closing" and position is not None:
            fill = fill._replace(quantity=-position.direction * abs(fill.quantity))
        if position is not None:
            self._doubt_values(position, fill)
        rest, direction = abs(fill.quantity), 1 if fill.quantity > 0 else -1
        done = None
        if position is not None and position.direction != direction:
            part = min(rest, position.held)
            if part < rest:
                self._doubt_flip(position, fill)
            position.doubt = position.doubt or self._doubt.get(fill.book, "")
            position.leave(fill, part)
            rest -= part
            if position.held == 0:
                done, position = self._open.pop(fill.book), None
        if rest > 0 and (position is not None or self._may_open(fill, direction, rest)):
            if position is None:
                position = self._open[fill.book] = Position(
                    direction, doubt=self._doubt.get(fill.book, "")
                )
            position.enter(fill, rest)
        return done

    def still_open(self) -> Iterable[Position]:
        """The positions that are still open."""
        for book, rows in self._splitting.items():
            self._split_by_rows(self._open.get(book), rows)
        self._splitting.clear()
        return self._open.values()

    def _may_open(self, fill: Fill, direction: int, rest: Decimal) -> bool:
        if fill.opens is False or (
            direction < 0 and self._shorts != "yes" and not (self._shorts == "said" and fill.opens)
        ):
            symbol = str(fill.book[1])
            self.oversold[symbol] = self.oversold.get(symbol, ZERO) + rest
            return False
        return True

    def _split_by_mapping(self, position: Position, fill: Fill) -> None:
        since = position.steps[-1].fill.ts[:10]
        for split in self._splits.get(str(fill.book[1]), ()):
            if since < split.day <= fill.ts[:10]:
                position.split(split.factor)

    def _split_by_rows(self, position: Position | None, rows: list[Fill]) -> None:
        """Apply a split, for which some files have two rows: the units removed, and those added."""
        added = sum((fill.quantity for fill in rows), ZERO)
        first = rows[0]
        if position is None:
            self.odd.append(("splits of symbols not held, left out", first))
            return
        if len(rows) == 1 and first.kind == "split":
            added = abs(added) * position.direction
        elif len(rows) == _REMOVED_AND_ADDED and all(fill.quantity > 0 for fill in rows):
            removed = [fill.quantity for fill in rows if fill.quantity == position.held]
            added -= 2 * (removed[0] if removed else ZERO)
        held = position.held + position.direction * added
        if held <= 0 or (first.kind == "reverse" and held >= position.held):
            position.doubt = position.doubt or (
                f"A split of {first.book[1]} on {first.ts[:10]} does not say how many units are"
                " left: leave the row out, and name the split in [splits]."
            )
            return
        position.split(held / position.held)

    def _expire(self, position: Position | None, fill: Fill) -> Position | None:
        if position is None:
            self.odd.append(("expiries of symbols not held, left out", fill))
            return None
        position.doubt = position.doubt or self._doubt.get(fill.book, "")
        part = position.held
        if fill.kind == "assignment":
            part = min(part, fill.quantity)
        position.leave(fill._replace(quantity=-position.direction * part), part)
        return self._open.pop(fill.book) if position.held == 0 else None

    def _doubt_values(self, position: Position, fill: Fill) -> None:
        """Contract values that differ within a book: two instruments, such as a share and its
        option, share one symbol."""
        value, other = position.lots[0].multiplier, fill.multiplier
        if (
            other is not None
            and fill.price
            and abs(other - value) > _SAME_VALUE * value
            and fill.book not in self._doubt
        ):
            self._doubt[fill.book] = (
                f"{fill.book[1]} has the contract values {value.normalize():f} and"
                f" {other.normalize():f}: different instruments share one symbol. Name the columns"
                f" that distinguish them, as in symbol = {{columns = [...]}}."
            )

    def _doubt_flip(self, position: Position, fill: Fill) -> None:
        """Ask about a fill larger than the position if it may be an event that the file omits."""
        symbol = str(fill.book[1])
        held, price = position.held, position.lots[-1].price
        times = abs(fill.quantity) / held
        deed = "sold" if fill.quantity < 0 else "bought"
        what = (
            f"{abs(fill.quantity):f} {symbol} were {deed} on {fill.ts[:10]},"
            f" but only {held:f} were held"
        )
        if symbol in self._doubted:
            self._doubt[fill.book] = (
                f"{what}; a row of {symbol} could not be read. Fix it, or leave it out in"
                " [leave_out]."
            )
        elif (
            symbol not in self._splits
            and times == times.to_integral_value()
            and times >= 2
            and fill.price * _JUMP <= price
        ):
            self._doubt[fill.book] = (
                f"{what}, right after a price of {price:f}, at {fill.price:f}: that looks like a"
                " split that the file does not mention. "
                f'Name it in the mapping: [splits] "{symbol}" = ["{fill.ts[:10]} {times:f}"] (its'
                " own day and factor), or [] for none."
            )


def positions(fills: Iterable[Fill], books: Books | None = None) -> Iterator[tuple[Position, bool]]:
    """(position, True) for each one when it is closed, in the fills' order; then (position, False)
    for those that stay open."""
    books = books or Books()
    for fill in fills:
        if (done := books.closed(fill)) is not None:
            yield done, True
    for position in books.still_open():
        yield position, False
