"""Fills: compare the profits that the table has with those that the fills make.

May touch: nothing.
"""

from __future__ import annotations

from collections import defaultdict

from app.sources.column_names import NAMES, known_as
from app.sources.drafting import simulate
from app.sources.drafting.decided import Decided
from app.sources.drafting.smallest_units import BASE_UNIT
from app.sources.mapping import OPEN_QUESTION

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
    numbers = {
        id(row.cells): n for row, n in zip(contents.rows, contents.numbers(columns[0]), strict=True)
    }
    made: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for position in simulate.fills(decided).closed:
        sums = made[str(position.steps[0].fill.book[1])]
        for step in position.steps:
            sums[0] += float(step.realized or 0)
            sums[1] += (
                (numbers.get(id(step.fill.row)) or 0.0)
                * float(step.quantity / abs(step.fill.quantity))
                if step.realized is not None
                else 0.0
            )
            sums[2] += float(abs(step.fee))
    off = {
        s: (a, b)
        for s, (a, b, fees) in made.items()
        if abs(a - b) > 1.1 * fees + 0.02 * max(abs(a), abs(b)) + 0.05
    }
    if off:
        shown = "; ".join(
            f"{symbol}: {b:,.2f}, and the fills make {a:,.2f}"
            for symbol, (a, b) in list(off.items())[:5]
        )
        decided.left.append(
            f"Why {columns[0]} differs from what the fills make: {shown}.  Profits are computed"
            " from the fills."
        )


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
