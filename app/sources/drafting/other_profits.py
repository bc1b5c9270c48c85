"""Fills: compare the profits that the table has with those that the fills make.

May touch: nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from app.sources.column_names import NAMES, currency_in, known_as
from app.sources.drafting import simulate
from app.sources.drafting.adding_up import off_by
from app.sources.drafting.contracts import escaped
from app.sources.drafting.decided import Decided
from app.sources.drafting.smallest_units import BASE_UNIT
from app.sources.drafting.text import quoted
from app.sources.making import US_DOLLARS
from app.sources.mapping import OPEN_QUESTION
from app.sources.pairs import pair_of

_ROUNDED, _FAR, _SAME_SHARE = 4.5, 10, 0.3
"""How many times a rounded amount totals are off, by which factor they hardly differ unless
something else was read than prices and quantities, and by how much percentages differ."""
_MOST_PROFIT = 0.5
"""What profits may be of the value of a fill, at most, if they are so in all rows."""


def compare_profits(decided: Decided) -> None:
    """Report where the table's profits differ from those computed from the fills."""
    contents = decided.kept.contents
    columns = [
        c
        for c in contents.columns
        if c not in decided.used() and known_as(c) in NAMES["pnl_usd"] and contents.is_numeric(c)
    ]
    columns = [
        c
        for c in columns
        if any(contents.read_numbers(c))
        and not contents.has_percent(c)
        and not _is_cash(decided, c)
    ]
    if (
        not columns
        or decided.two_rows
        or decided.fields["price"].keys.get("scale") == BASE_UNIT
        or any(OPEN_QUESTION in spec.columns for spec in decided.fields.values())
    ):
        return
    made = _sums(decided, columns[0])
    least = _ROUNDED * off_by([own.told for own in made.values()], contents.numbers(columns[0]))
    off = {
        symbol: own
        for symbol, own in made.items()
        if abs(own.made - own.told)
        > 1.1 * own.fees + 0.02 * max(abs(own.made), abs(own.told)) + least
    }
    if any(own.is_far for own in off.values()) and _in_dollars(decided, columns[0]):
        _ask_what_a_point_is(decided, columns[0], off)
    elif off:
        shown = "; ".join(
            f"{symbol}: {own.told:,.2f}, and the fills make {own.made:,.2f}"
            for symbol, own in list(off.items())[:5]
        )
        decided.left.append(
            f"Why {columns[0]} differs from what the fills make: {shown}.  Profits are computed"
            " from the fills."
        )


@dataclass
class _Sums:
    """The profits that the fills of a symbol make, in money and in percent, those that the table
    has, and the fees."""

    made: float = 0.0
    percent: float = 0.0
    told: float = 0.0
    fees: float = 0.0

    @property
    def is_far(self) -> bool:
        """Whether something else than prices and quantities may have been read, as the table's
        profits are of another size, and are no percentages."""
        if self.made * self.told <= 0 or 1 / _FAR < self.made / self.told < _FAR:
            return False
        return abs(self.told - self.percent) > _SAME_SHARE * abs(self.percent)


def _sums(decided: Decided, column: str) -> dict[str, _Sums]:
    contents = decided.kept.contents
    numbers = {
        id(row.cells): n for row, n in zip(contents.rows, contents.numbers(column), strict=True)
    }
    found: dict[str, _Sums] = defaultdict(_Sums)
    made = simulate.fills(decided)
    opened = {id(s.fill) for p in made.closed for s in p.steps if s.realized is None}
    for position in made.closed:
        own = found[str(position.steps[0].fill.book[1])]
        entered = sum(
            float(abs(s.quantity * s.price)) for s in position.steps if s.realized is None
        )
        for step in position.steps:
            own.fees += float(abs(step.fee))
            if step.realized is None:
                continue
            own.made += float(step.realized)
            own.percent += 100 * float(step.realized) / entered if entered else 0.0
            # All that a fill through zero has made, it has made by what it closed.
            whole = id(step.fill) in opened
            share = 1.0 if whole else float(step.quantity / abs(step.fill.quantity))
            own.told += (numbers.get(id(step.fill.row)) or 0.0) * share
    return found


def _ask_what_a_point_is(decided: Decided, column: str, off: dict[str, _Sums]) -> None:
    quantity = decided.fields["quantity"].column
    for symbol, own in sorted(off.items()):
        if own.is_far:
            decided.ask(
                escaped(symbol),
                f"What a point of {symbol} is worth: {column} has {own.told:,.6g} where prices and"
                f" quantities make {own.made:,.6g}.",
                "money per point and unit; 1 if prices and quantities are right, or if the"
                f" quantity is money: {{column = {quoted(quantity)}, money = true}}",
                section="multipliers",
            )


def _in_dollars(decided: Decided, column: str) -> bool:
    """Whether what was traded is priced in dollars, profits are in no other currency by their name,
    and nothing else tells or asks what a point is worth."""
    told, spec = decided.keys.get("currency", ("", ""))[0], decided.fields.get("symbol")
    if (
        "inverse" in decided.keys
        or "currency" in decided.fields
        or spec is None
        or decided.sections.get("multipliers")
        or currency_in(column) not in (None, *US_DOLLARS)
    ):
        return False
    pairs = [pair_of(word) for word in decided.kept.contents.words(spec.column)]
    return told in US_DOLLARS or (told == "quote" and all(p and p[1] in US_DOLLARS for p in pairs))


def _is_cash(decided: Decided, column: str) -> bool:
    """Whether amounts are what was paid and received, and no profits."""
    contents, fields = decided.kept.contents, decided.fields
    if not {"quantity", "price"} <= fields.keys():
        return False
    columns = [column, fields["quantity"].column, fields["price"].column]
    if OPEN_QUESTION in columns:
        return False
    shares = [
        abs(amount / (quantity * price))
        for amount, quantity, price in zip(*map(contents.numbers, columns), strict=True)
        if amount is not None and quantity and price
    ]
    return bool(shares) and min(shares) > _MOST_PROFIT
