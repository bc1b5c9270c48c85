"""Closed positions as numbers: the trades of the rows, with the columns that belong to them.

May touch: nothing.
"""

from __future__ import annotations

import statistics

from app.sources.cells import as_text
from app.sources.column_names import NAMES, known_as
from app.sources.drafting import simulate
from app.sources.drafting.adding_up import Reading, Trade, read_positions
from app.sources.drafting.decided import Decided
from app.sources.drafting.position_times import side_of
from app.sources.drafting.spec import Spec
from app.sources.pairs import POINT_VALUES, future_of
from app.sources.positions import BOUGHT

_SIZES = frozenset(
    ["units", "contracts", "shares", "qty", "quantity", "lots", "size", "volume", "amount"]
)
_SMALL_MOVE = 0.001
"""Change of price, as a fraction, below which profits say little about prices."""


def trades_of(decided: Decided) -> list[Trade]:
    """The rows with a side and two prices, as numbers."""
    contents, fields = decided.kept.contents, decided.fields
    if not {"entry_price", "exit_price"} <= fields.keys():
        return []

    def numbers(name: str) -> list[float | None]:
        return contents.numbers(fields[name].column) if name in fields else [None] * contents.n_rows

    def fees() -> list[float]:
        columns = (
            [contents.numbers(column) for column in fields["fees_usd"].columns]
            if "fees_usd" in fields
            else []
        )
        return [sum(column[i] or 0.0 for column in columns) for i in range(contents.n_rows)]

    quantities = numbers("quantity")
    sides = [side_of(decided, i, quantities[i]) for i in range(contents.n_rows)]
    names = [_name(decided, i) for i in range(contents.n_rows)]
    entries, exits = numbers("entry_price"), numbers("exit_price")
    if "bought_sold" in decided.keys:
        bought, sold = (
            simulate.moments(decided, "entry_timestamp"),
            simulate.moments(decided, "exit_timestamp"),
        )
        for i, (a, b) in enumerate(zip(bought, sold, strict=True)):
            if "side" not in fields or (a and b and a > b):
                sides[i] = -1 if a and b and a > b else 1
            if sides[i] == -1 and BOUGHT.search(fields["entry_price"].column):
                entries[i], exits[i] = exits[i], entries[i]
    return [
        Trade(name, side, entry, left, quantity, profit, fee, ret, row.line)
        for name, side, entry, left, quantity, profit, fee, ret, row in zip(
            names,
            sides,
            entries,
            exits,
            quantities,
            numbers("pnl_usd"),
            fees(),
            numbers("roi"),
            contents.rows,
            strict=True,
        )
        if side is not None and entry is not None and left is not None
    ]


def other_quantity(
    decided: Decided, trades: list[Trade], reading: Reading
) -> tuple[list[Trade], Reading]:
    """Another column as the quantity, where only with it the rows add up."""
    first = decided.fields["quantity"]
    for column in decided.kept.contents.columns:
        words = set(known_as(column).split("_"))
        if (
            (known_as(column) in NAMES["quantity"] or words & _SIZES)
            and column not in decided.used()
            and decided.kept.contents.is_numeric(column)
        ):
            decided.fields["quantity"] = Spec([column])
            again = trades_of(decided)
            found = read_positions(again)
            if found.exact >= 0.8:
                decided.guessed.append(
                    f"The quantity is {column}, not {first.column}: with it the profits agree with"
                    " the prices."
                )
                return again, found
    decided.fields["quantity"] = first
    return trades, reading


def _name(decided: Decided, i: int) -> str:
    spec = decided.fields.get("symbol")
    if spec is None:
        return "*"
    value = decided.kept.contents.cells(spec.column)[i]
    text = "" if value is None else as_text(value)
    return future_of(text) or text


def in_points(trades: list[Trade]) -> bool:
    """Whether the profits are differences of prices, whatever the quantity, or those of futures
    for which a point is worth something else than 1."""
    known = [t for t in trades if t.profit is not None and t.quantity]
    if not any(t.profit for t in known) or not all(
        abs((t.profit or 0.0) - t.side * (t.exit - t.entry)) <= 1e-6 * t.entry for t in known
    ):
        return False
    return any(abs(t.quantity or 1) != 1 for t in known) or all(
        POINT_VALUES.get(t.name, 1) != 1 for t in known
    )


def of_another(trades: list[Trade]) -> bool:
    """Whether profit per unit and point is a different one in most rows of each symbol, far beyond
    fees: the prices are not those of what was traded."""
    shares: dict[str, list[tuple[float, float]]] = {}
    for t in trades:
        gain = abs(t.quantity or 0.0) * t.side * (t.exit - t.entry)
        if t.profit and gain and abs(t.exit / t.entry - 1) > _SMALL_MOVE:
            shares.setdefault(t.name, []).append(
                (t.profit / gain, abs(t.fees / gain) + 0.011 / abs(gain))
            )
    known = [own for own in shares.values() if len(own) > 2]
    if not known:
        return False
    alike = 0
    for own in known:
        middle = statistics.median(share for share, _ in own)
        alike += sum(abs(s - middle) <= 0.1 * abs(middle) + 1.1 * fees for s, fees in own) - 1
    return alike < 0.5 * sum(len(own) - 1 for own in known)
