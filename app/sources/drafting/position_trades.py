"""Closed positions as numbers: the trades of the rows, with the columns that belong to them.

May touch: nothing.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations, product

from app.sources.cells import as_text
from app.sources.column_names import NAMES, currency_in, folded, known_as
from app.sources.drafting import simulate
from app.sources.drafting.adding_up import NICE, Reading, Trade, nice, read_positions
from app.sources.drafting.decided import Decided
from app.sources.drafting.fee_columns import fee_numbers
from app.sources.drafting.position_times import side_of
from app.sources.drafting.spec import Spec
from app.sources.ends import end_of
from app.sources.mapping import OPEN_QUESTION
from app.sources.pairs import POINT_VALUES, future_of
from app.sources.positions import BOUGHT

_SIZES = frozenset(
    ["units", "contracts", "shares", "qty", "quantity", "lots", "size", "volume", "amount"]
)
_COUNTED = re.compile("qty|quant|shares|units|contracts|lots|pieces|stück|menge|cantidad|anzahl")
"""Words of what is counted."""
_MOST_SIGNS = 4
_OTHER_COSTS = re.compile(
    r"(^|_)(funding|rebate)(_|$)|(profit|performance|leader|master|trader)_(share|sharing)"
)
"""Of what the profits may be after, beside fees."""
_RECEIVED = (
    "proceeds", "gross_proceeds", "net_proceeds", "sales_price", "sale_price", "sales_proceeds",
    "sale_proceeds", "sell_value", "sale_value", "sell_amount", "sold_amount",
)  # fmt: skip
"""Names of amounts for which something was sold."""
_MOST_EXACT = 0.8
_LARGEST_RATE = 0.005
"""What fees are of the value at one end, at most, if they are told by the profits alone."""
_SMALL_MOVE = 0.001
"""Change of price, as a fraction, below which profits say little about prices."""


def trades_of(decided: Decided) -> list[Trade]:
    """The rows with a side and two prices, as numbers."""
    contents, fields = decided.kept.contents, decided.fields
    if not {"entry_price", "exit_price"} <= fields.keys():
        return []

    def numbers(name: str) -> list[float | None]:
        if name not in fields:
            return [None] * contents.n_rows
        told = fields[name].keys.get("scale", 1)
        scale = 1.0 if told == OPEN_QUESTION else float(told)
        found = contents.numbers(fields[name].column)
        if name == "pnl_usd" and len(fields[name].columns) > 1:
            each = zip(*fee_numbers(contents, fields[name]), strict=True)
            found = [sum(n or 0.0 for n in cells) for cells in each]
        return [None if n is None else n * scale for n in found]

    def fees() -> list[float]:
        columns = fee_numbers(contents, fields["fees_usd"]) if "fees_usd" in fields else []
        scale = float(fields["fees_usd"].keys.get("scale", 1)) if "fees_usd" in fields else 1.0
        return [scale * sum(column[i] or 0.0 for column in columns) for i in range(contents.n_rows)]

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
            if found.exact >= 0.8 and all(nice(v) in NICE for v in found.values.values()):
                decided.guessed.append(
                    f"The quantity is {column}, not {first.column}: with it the profits agree with"
                    " the prices."
                )
                return again, found
    decided.fields["quantity"] = first
    return trades, reading


def what_was_closed(decided: Decided) -> None:
    """Use the column with what was closed as the quantity, not the one with the whole position, of
    which a row may close a part."""
    contents, spec = decided.kept.contents, decided.fields.get("quantity")
    if spec is None or len(spec.columns) > 1 or end_of(known_as(spec.column)) == "exit":
        return
    whole = contents.numbers(spec.column)
    for column in contents.columns:
        name = folded(column)
        if (
            column in decided.used()
            or end_of(name) != "exit"
            or not (_COUNTED.search(name) or set(name.split("_")) & _SIZES)
            or not contents.is_numeric(column)
        ):
            continue
        parts = contents.numbers(column)
        pairs = [(abs(a), abs(b)) for a, b in zip(parts, whole, strict=True) if a and b]
        if (
            len(pairs) == contents.n_rows
            and all(a <= b for a, b in pairs)
            and any(a < b for a, b in pairs)
        ):
            decided.fields["quantity"] = Spec([column], dict(spec.keys))
            decided.guessed.append(
                f"The quantity is {column}; {spec.column} is that of the whole position."
            )
            return


def not_the_stake(decided: Decided) -> None:
    """Use another column as the quantity, if the first is that times the price of the entry."""
    contents, fields = decided.kept.contents, decided.fields
    if not {"quantity", "entry_price"} <= fields.keys() or fields["entry_price"].keys.get(
        "per_unit"
    ):
        return
    amounts, prices = (contents.numbers(fields[n].column) for n in ("quantity", "entry_price"))
    for column in contents.columns:
        if (
            column in decided.used()
            or not _COUNTED.search(known_as(column))
            or not contents.is_numeric(column)
        ):
            continue
        rows = [
            (abs(a), abs(n * p))
            for a, n, p in zip(amounts, contents.numbers(column), prices, strict=True)
            if a and n and p
        ]
        if len({a for a, _ in rows}) > 1 and all(abs(a - b) <= 0.001 * a for a, b in rows):
            decided.guessed.append(
                f"The quantity is {column}: {fields['quantity'].column} is that times"
                f" {fields['entry_price'].column}."
            )
            fields["quantity"] = Spec([column])
            return


def proceeds_less_cost(decided: Decided) -> None:
    """The profit as what something was sold for less what it cost, if nothing else tells it."""
    contents, fields = decided.kept.contents, decided.fields
    if fields.keys() & {"pnl_usd", "roi", "rr", "exit_price"} or "stake" not in fields:
        return
    cost = fields["stake"].column
    for column in contents.columns:
        if (
            known_as(column) in _RECEIVED
            and column not in decided.used()
            and contents.is_numeric(column)
            and all(n >= 0 for n in (*contents.read_numbers(column), *contents.read_numbers(cost)))
        ):
            fields["pnl_usd"] = Spec([column, cost], {"minus": [cost]})
            decided.guessed.append(f"The profit is {column} less {cost}.")
            return


def drop_leverage(decided: Decided, reading: Reading) -> None:
    """A column of multipliers that profits do not have in them is no contract value, but a
    leverage."""
    spec = decided.fields.get("multiplier")
    if (
        spec is None
        or reading.exact < _MOST_EXACT
        or not reading.values
        or any(value != 1 for value in reading.values.values())
        or all(n == 1 for n in decided.kept.contents.read_numbers(spec.column))
    ):
        return
    del decided.fields["multiplier"]
    decided.guessed.append(
        f"{spec.column} is not used: profits are what prices and quantities make without it."
    )


def counts_both_sides(decided: Decided, reading: Reading) -> bool:
    """Halve quantities that count the entry and the exit: with them, all contract values would be
    half of the usual ones."""
    spec = decided.fields.get("quantity")
    if spec is None or "multiplier" in decided.fields or reading.exact < _MOST_EXACT:
        return False
    if not reading.values or any(
        value != POINT_VALUES.get(name, 1) / 2 for name, value in reading.values.items()
    ):
        return False
    spec.keys["scale"] = float(spec.keys.get("scale", 1)) / 2
    spec.comment = "counts the entry and the exit"
    decided.guessed.append(
        f"{spec.column} counts what was bought and what was sold: half of it is the quantity."
    )
    return True


def with_funding(
    decided: Decided, trades: list[Trade], reading: Reading
) -> tuple[list[Trade], Reading]:
    """Funding, or a share of the profit, among the fees, where only with it the rows add up."""
    contents, fees = decided.kept.contents, decided.fields["fees_usd"]
    for column in contents.columns:
        if (
            _OTHER_COSTS.search(known_as(column))
            and column not in decided.used()
            and contents.is_numeric(column)
        ):
            fees.columns.append(column)
            before = fees.keys.get("minus", [])
            for minus in (before, [*before, column]):
                fees.keys["minus"] = minus
                again = trades_of(decided)
                found = read_positions(again)
                if found.exact >= 0.8 and not found.alone:
                    if not minus:
                        del fees.keys["minus"]
                    return again, found
            fees.columns.remove(column)
            fees.keys.pop("minus")
            if before:
                fees.keys["minus"] = before
    return trades, reading


def fees_of_two_signs(
    decided: Decided, trades: list[Trade], reading: Reading
) -> tuple[list[Trade], Reading]:
    """Profits after fees of which some are shown as paid, and others with the sign of the cash, or
    are a part of others, by what adds up."""
    contents, fees = decided.kept.contents, decided.fields["fees_usd"]
    columns = [contents.numbers(column) for column in fees.columns]
    if not 2 <= len(columns) <= _MOST_SIGNS:
        return trades, reading
    lines = {row.line: i for i, row in enumerate(contents.rows)}
    for signs in product((1, -1, 0), repeat=len(columns)):
        again = [
            replace(
                t,
                fees=sum(
                    sign * (numbers[lines[t.line]] or 0.0)
                    for sign, numbers in zip(signs, columns, strict=True)
                ),
            )
            for t in trades
        ]
        found = read_positions(again)
        if len(set(signs)) > 1 and found.exact >= 0.8 and found.profit == "net":
            if 0 in signs:
                _without_parts(decided, fees, signs)
                return again, found
            fees.keys["minus"] = [c for c, s in zip(fees.columns, signs, strict=True) if s < 0]
            decided.guessed.append(
                f"Fees ({', '.join(fees.columns)}) have different signs:"
                f" {decided.fields['pnl_usd'].column} is after them."
            )
            return again, found
    return trades, reading


def _without_parts(decided: Decided, fees: Spec, signs: Sequence[int]) -> None:
    """Leave out the fees with a sign of 0: others have them in them."""
    parts = [c for c, sign in zip(fees.columns, signs, strict=True) if not sign]
    minus = [c for c, sign in zip(fees.columns, signs, strict=True) if sign < 0]
    fees.columns = [c for c in fees.columns if c not in parts]
    fees.keys.pop("minus", None)
    if minus:
        fees.keys["minus"] = minus
    decided.guessed.append(
        f"Fees are {' and '.join(fees.columns)}, which {decided.fields['pnl_usd'].column} is after:"
        f" {' and '.join(parts)} is in them, or in no profit."
    )


def _name(decided: Decided, i: int) -> str:
    spec = decided.fields.get("symbol")
    if spec is None:
        return "*"
    value = decided.kept.contents.cells(spec.column)[i]
    text = "" if value is None else as_text(value)
    return future_of(text) or text


def profit_in_the_currency_of_prices(decided: Decided) -> None:
    """Of two columns with the same profits in two currencies, take the one that prices and
    quantities make."""
    contents, spec = decided.kept.contents, decided.fields.get("pnl_usd")
    if spec is None or len(spec.columns) > 1 or currency_in(spec.column) is None:
        return
    others = [
        column
        for column in contents.columns
        if column != spec.column
        and known_as(column) == known_as(spec.column)
        and currency_in(column) not in (None, currency_in(spec.column))
        and contents.is_numeric(column)
    ]
    trades = trades_of(decided)
    if not others or not trades or not all(t.quantity for t in trades):
        return

    def follows(column: str) -> bool:
        return all(
            profit is None
            or abs(t.side * (t.exit - t.entry) * abs(t.quantity or 0) - profit)
            <= abs(t.fees) + max(0.011, 0.002 * abs(profit))
            for t, profit in zip(trades, contents.numbers(column), strict=True)
        )

    if len(trades) == contents.n_rows and not follows(spec.column):
        for column in filter(follows, others):
            decided.guessed.append(
                f"The profits are those in {column}, which follow from prices and quantities."
            )
            said = currency_in(column)
            decided.fields["pnl_usd"] = Spec([column], spec.keys)
            decided.keys["currency"] = (said, f"of {column}")
            return


def is_return(trades: list[Trade], in_money: bool = False) -> bool:
    """Whether the profits are changes of the price in percent, and not what the quantities make of
    them, or without quantities, not told to be money."""
    known = [t for t in trades if t.profit is not None and t.entry > 0]
    unsized = not in_money and len(known) > 1 and not any(t.quantity for t in known)
    return (
        any(t.profit for t in known)
        and all(
            abs((t.profit or 0.0) - 100 * t.side * (t.exit / t.entry - 1))
            <= max(0.006, 0.005 * abs(t.profit or 0.0))
            for t in known
        )
        and (
            unsized
            or any(
                t.profit
                and abs(abs(t.quantity) * t.side * (t.exit - t.entry) - t.profit)
                > 0.02 * abs(t.profit)
                for t in known
                if t.quantity
            )
        )
    )


def prices_of_amounts(decided: Decided) -> None:
    """Take what was paid and what was received for the prices, over the quantity, where there is
    no profit and no price: so do statements for the tax office."""
    contents, fields = decided.kept.contents, decided.fields
    if {"pnl_usd", "roi", "rr", "entry_price", "exit_price"} & fields.keys():
        return
    if not {"stake", "quantity"} <= fields.keys():
        return
    received = [
        column
        for column in contents.columns
        if known_as(column) in _RECEIVED
        and column not in decided.used()
        and contents.is_numeric(column)
    ]
    if len(received) != 1:
        return
    paid = fields.pop("stake").column
    fields["entry_price"] = Spec([paid], {"per_unit": True}, "over the quantity")
    fields["exit_price"] = Spec(received, {"per_unit": True}, "over the quantity")
    decided.guessed.append(
        f"The profit is the difference of {received[0]} and {paid}: fees are taken to be in them."
    )


def find_prices(decided: Decided) -> bool:
    """Take the two prices, whatever they are called, whose change in percent the profits are."""
    contents, fields = decided.kept.contents, decided.fields
    if {"entry_price", "exit_price"} & fields.keys():
        return False
    profits = contents.numbers(fields["pnl_usd"].column)
    prices = [
        column
        for column in contents.columns
        if "price" in known_as(column)
        and column not in decided.used()
        and contents.is_numeric(column)
    ]
    for entered, left in permutations(prices, 2):
        rows = [
            abs(100 * (b / a - 1) - profit) <= max(0.006, 0.005 * abs(profit))
            for a, b, profit in zip(
                contents.numbers(entered), contents.numbers(left), profits, strict=True
            )
            if a and b and profit
        ]
        if rows and all(rows):
            fields["entry_price"], fields["exit_price"] = Spec([entered]), Spec([left])
            return True
    return False


def _after_unseen_fees(trades: list[Trade]) -> bool:
    """Whether profits are what the prices make less one share of the values at both ends, as if
    fees that no column has were deducted."""
    rates = [
        (abs(t.quantity) * t.side * (t.exit - t.entry) - t.profit)
        / (abs(t.quantity) * (t.entry + t.exit))
        for t in trades
        if t.quantity and t.profit is not None and t.entry + t.exit and not t.fees
    ]
    return (
        len(rates) > 2
        and min(rates) > 0
        and max(rates) <= _LARGEST_RATE
        and max(rates) - min(rates) <= 0.1 * max(rates)
    )


def of_another(trades: list[Trade], profit: str | None) -> bool:
    """Whether profit per unit and point is a different one in most rows of each symbol, far beyond
    fees: the prices are not those of what was traded.  `profit` is what profits are known to be,
    before fees (`gross`) or after them (`net`)."""
    if _after_unseen_fees(trades):
        return False
    if profit is not None:
        trades = [
            replace(
                t,
                profit=(t.profit or 0.0) + (abs(t.fees) if profit == "net" else 0.0),
                fees=0.0,
            )
            for t in trades
        ]
    shares: dict[str, list[tuple[float, float]]] = {}
    for t in trades:
        gain = abs(t.quantity or 0.0) * t.side * (t.exit - t.entry)
        if t.profit and gain and t.entry and abs(t.exit / t.entry - 1) > _SMALL_MOVE:
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
