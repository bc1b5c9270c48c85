"""Closed positions: find the reading of profit, fees, returns, sides and contract values under
which the rows add up, and ask about the rest.

May touch: nothing.
"""

from __future__ import annotations

import statistics
from itertools import permutations

from app.sources.cells import as_text
from app.sources.column_names import NAMES, known_as
from app.sources.drafting import simulate
from app.sources.drafting.adding_up import Reading, Trade, read_positions
from app.sources.drafting.contents import Contents
from app.sources.drafting.contracts import (
    ask_by_class,
    ask_contract_values,
    ask_for_lots,
    escaped,
    stems,
)
from app.sources.drafting.currency import doubt_dollars
from app.sources.drafting.decided import Decided
from app.sources.drafting.position_times import bought_and_sold, exchanged_times, side_of
from app.sources.drafting.spec import Spec
from app.sources.making import joined
from app.sources.mapping import OPEN_QUESTION
from app.sources.pairs import POINT_VALUES, future_of, may_be_inverse
from app.sources.positions import BOUGHT
from app.sources.sides import Side, read_side

_SIZES = frozenset(
    ["units", "contracts", "shares", "qty", "quantity", "lots", "size", "volume", "amount"]
)
_LARGEST_FRACTION = 0.3
"""What a return or an excursion that does not say percent may be, to be taken for a fraction."""
_SMALL_MOVE = 0.001
"""Change of price, as a fraction, below which profits say little about prices."""
_CENT = 0.011
"""What amounts that are rounded to cents may be off."""
_FRACTIONS = ("max_drawdown", "max_gain")


def settle(decided: Decided) -> None:
    """Decide what the rows show; ask about the rest."""
    contents, fields = decided.kept.contents, decided.fields
    if "stake" in fields and (
        "pnl_usd" not in fields or "roi" in fields or {"entry_price", "exit_price"} <= fields.keys()
    ):
        del fields["stake"]
    elif "stake" in fields:
        decided.guessed.append(
            f"The return is {fields['pnl_usd'].column} over {fields['stake'].column}."
        )
    exchanged_times(decided)
    bought_and_sold(decided)
    trades = _trades(decided)
    if "pnl_usd" in fields and _in_points(trades):
        decided.guessed.append(
            f"{fields['pnl_usd'].column} is not read: it is in points, the difference of the"
            " prices. The profit is computed from the prices."
        )
        del fields["pnl_usd"]
        trades = _trades(decided)
    reading = read_positions(trades) if trades else Reading()
    if trades and reading.exact < 0.8 and "pnl_usd" in fields and "quantity" in fields:
        trades, reading = _other_quantity(decided, trades, reading)
    if "pnl_usd" in fields and _of_another(trades):
        names = f"{fields['entry_price'].column} and {fields['exit_price'].column}"
        decided.guessed.append(
            f"{names} are not read: the profits do not follow from them, as if they were those of"
            " an underlying."
        )
        del fields["entry_price"], fields["exit_price"]
        decided.keys.pop("bought_sold", None)
        trades, reading = [], Reading()
    if reading.exchanged:
        _exchange_sides(decided, reading)
    elif reading.n_against and reading.n_against > 0.05 * reading.n_compared:
        _against(decided, reading)
    if "pnl_usd" in fields and {"entry_price", "exit_price", "quantity"} <= fields.keys():
        _profit(decided, reading, trades)
    elif {"entry_price", "exit_price"} <= fields.keys() and "pnl_usd" not in fields:
        _contracts(decided)
    _fees(decided)
    _returns(decided, reading)
    _fractions(contents, decided)
    _outcome(decided)
    if "symbol" not in fields:
        decided.left.append("What was traded: no column says.")


def _trades(decided: Decided) -> list[Trade]:
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


def _other_quantity(
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
            again = _trades(decided)
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


def _in_points(trades: list[Trade]) -> bool:
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


def _of_another(trades: list[Trade]) -> bool:
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


def _exchange_sides(decided: Decided, reading: Reading) -> None:
    spec = decided.fields.get("side")
    if spec is None:
        decided.ask(
            "side",
            "Whether the positions are shorts: their profits contradict their prices, and no column"
            " has a side.",
            "the column that says long or short; if all are shorts, instead of this: [constants]"
            ' side = "short"',
            section="columns",
        )
        return
    words = decided.kept.contents.words(spec.column)
    buy = sorted(
        {w.strip().lower() for w in words if isinstance(s := read_side(w), Side) and s.position < 0}
    )
    sell = sorted(
        {w.strip().lower() for w in words if isinstance(s := read_side(w), Side) and s.position > 0}
    )
    decided.sections["sides"] = {
        "buy": (
            buy,
            "the side is that of the closing order: only then do profits agree with prices",
        ),
        "sell": (sell, ""),
    }
    decided.guessed.append(
        f"{spec.column} is the side of the closing order: only then do profits agree with prices."
    )


def _against(decided: Decided, reading: Reading) -> None:
    if "side" in decided.fields:
        decided.left.append(
            f"Why {reading.n_against:,} of {reading.n_compared:,} profits contradict their prices"
            " and side: they are refused."
        )
        return
    decided.fields["side"] = Spec([OPEN_QUESTION], comment="the column that says long or short")
    decided.asked.append(
        f"Which rows are shorts: no column says, and {reading.n_against:,} of"
        f" {reading.n_compared:,} profits contradict their prices."
    )


def _is_nearly_inverse(decided: Decided, trades: list[Trade]) -> bool:
    """Whether profits of possibly inverse contracts are, but for fees, those in the coin."""
    if "symbol" not in decided.fields:
        return False
    shares = [
        abs(t.profit) / (abs(t.quantity) * abs(1 / t.entry - 1 / t.exit))
        for t in trades
        if t.profit and t.quantity and t.entry and t.exit and t.entry != t.exit
    ]
    symbols = decided.kept.contents.words(decided.fields["symbol"].column)
    return (
        bool(shares)
        and 0.5 <= statistics.median(shares) <= 2
        and all(may_be_inverse(symbol) for symbol in symbols)
    )


def _profit(decided: Decided, reading: Reading, trades: list[Trade]) -> None:
    n_sized = sum(t.profit is not None for t in trades)
    has_fees = "fees_usd" in decided.fields
    if (reading.inverse and reading.exact >= 0.8) or _is_nearly_inverse(decided, trades):
        decided.keys["inverse"] = (["*"], "profits are 1 / entry - 1 / exit: settled in the coin")
        decided.keys["currency"] = ("COIN", "the coin that the contracts are settled in")
        decided.guessed.append(
            "The contracts are inverse: only then do profits agree with prices. There is no"
            " pnl_usd."
        )
    if reading.profit is not None:
        said = "before" if reading.profit == "gross" else "after"
        decided.keys["profit"] = (
            reading.profit,
            (
                f"{decided.fields['pnl_usd'].column} is {said} fees, as the prices show"
                if has_fees
                else "after fees that are in no column"
            ),
        )
        share = (
            f"{round(reading.exact * n_sized):,} of {n_sized:,} rows add up"
            if reading.exact >= 0.8
            else "by the prices, approximately"
        )
        decided.guessed.append(f"{decided.fields['pnl_usd'].column} is {said} fees ({share}).")
        if reading.profit == "gross" and has_fees:
            decided.guessed.append("Fees are deducted: pnl_usd and roi are net of fees.")
        if reading.profit == "gross" and has_fees:
            decided.left.append(
                f"Whether fees are to be deducted from {decided.fields['pnl_usd'].column}: they"
                ' are; profit = "shown" leaves it unchanged.'
            )
    elif has_fees and reading.exact < 0.8 and not reading.values:
        decided.ask(
            "profit",
            f"Whether {decided.fields['pnl_usd'].column} is before or after fees: the rows add up"
            " neither way.",
            '"gross" if fees are still to be deducted, "net" if they already are',
        )
    elif not has_fees and reading.exact >= 0.8:
        decided.keys["profit"] = ("net", "there are no fees")
        decided.guessed.append(
            f"Profits agree with the prices in {round(reading.exact * n_sized):,} of"
            f" {n_sized:,} rows."
        )
    if reading.values and any(value != 1 for value in reading.values.values()):
        shown = ", ".join(f"{name} {value:g}" for name, value in list(reading.values.items())[:8])
        decided.guessed.append(f"Contract values with which profits agree with prices: {shown}.")
    if (
        reading.values
        and (not has_fees or any(value != 1 for value in reading.values.values()))
        and not reading.inverse
    ):
        _write_values(decided, reading.values, {trade.name for trade in trades})
        doubt_dollars(decided, reading.values)
    if reading.off and reading.exact >= 0.8:
        decided.left.append(
            f"Why rows do not add up ({joined([f'line {n}' for n in reading.off], 6)}): their"
            " profit does not follow from quantity and prices."
        )


def _write_values(decided: Decided, values: dict[str, float], names: set[str]) -> None:
    """Write the contract values, as one where they are the same for all `names`."""
    section = decided.sections.setdefault("multipliers", {})
    same = len(set(values.values())) == 1 and ("*" in values or names <= values.keys())
    if (same and 1 in values.values()) or "symbol" not in decided.fields:
        if set(values.values()) != {1} or "fees_usd" not in decided.fields:
            section["*"] = (
                next(iter(values.values())),
                "money per point and unit, from the profits",
            )
        return
    symbols = (
        decided.kept.contents.words(decided.fields["symbol"].column)
        if "symbol" in decided.fields
        else {}
    )
    for name, value in values.items():
        for key in [escaped(name)] if name in symbols else stems(name, symbols):
            section[key] = (value, "")


def _contracts(decided: Decided) -> None:
    """Options and futures whose profit has to be worked out from prices: what a point is worth has
    to be known."""
    if (
        "quantity" not in decided.fields
        or "symbol" not in decided.fields
        or "multiplier" in decided.fields
    ):
        return
    names = list(decided.kept.contents.words(decided.fields["symbol"].column))
    ask_contract_values(decided, names)
    ask_by_class(decided, names)
    ask_for_lots(decided, names, set())
    inverse = [
        s for s in decided.kept.contents.words(decided.fields["symbol"].column) if may_be_inverse(s)
    ]
    if inverse:
        decided.left.append(
            f"Whether {', '.join(inverse[:4])} are inverse contracts, settled in their coin: if so,"
            " name them in inverse = [...]."
        )


def _fees(decided: Decided) -> None:
    spec = decided.fields.get("fees_usd")
    if spec is None:
        return
    numbers = [
        n for column in spec.columns for n in decided.kept.contents.read_numbers(column) if n
    ]
    told = _sign_by_profits(decided, spec)
    if told == -1 or (not told and numbers and sum(n < 0 for n in numbers) > len(numbers) / 2):
        spec.keys["scale"], spec.comment = -1, "amounts paid are negative in this table"
    if len(spec.columns) > 1:
        decided.guessed.append(f"Fees are {' and '.join(spec.columns)} together.")


def _sign_by_profits(decided: Decided, spec: Spec) -> int:
    """1 where fees as they stand are what profits before are more than profits after them, -1 where
    that is so of the opposite, and 0 where the table has not both profits."""
    contents = decided.kept.contents
    columns = [contents.numbers(column) for column in spec.columns]
    fees = [sum(column[i] or 0.0 for column in columns) for i in range(contents.n_rows)]
    profits = [
        contents.numbers(column)
        for column in contents.columns
        if known_as(column) in NAMES["pnl_usd"] and contents.is_numeric(column)
    ]
    for gross, net in permutations(profits, 2):
        less = [
            (before - after, fee)
            for before, after, fee in zip(gross, net, fees, strict=True)
            if before is not None and after is not None and fee
        ]
        if not less or sum(cost for cost, _ in less) <= 0:
            continue
        for sign in (1, -1):
            if all(abs(cost - sign * fee) <= _CENT for cost, fee in less):
                return sign
    return 0


def _returns(decided: Decided, reading: Reading) -> None:
    spec = decided.fields.get("roi")
    if spec is not None and (reading.of_another or reading.leverage):
        del decided.fields["roi"]
        what = (
            "on margin, as it is larger than the prices give"
            if reading.leverage
            else "not on the purchase value"
        )
        decided.guessed.append(
            f"{spec.column} is not read: it is a return {what}. The return is computed from the"
            " prices."
        )
        return
    levers = [c for c in decided.kept.contents.columns if known_as(c) == "leverage"]
    if spec is not None and reading.percent is None and levers:
        decided.left.append(
            f"Whether {spec.column} is on what was traded or on the margin: {levers[0]} suggests"
            " the latter."
        )
    if spec is None or decided.kept.contents.has_percent(spec.column):
        return
    if reading.percent is not None:
        if reading.percent:
            spec.keys["scale"], spec.comment = 0.01, "percent, which agrees with the prices"
        decided.guessed.append(
            f"{spec.column} is {'percent' if reading.percent else 'a fraction'}, since so it agrees"
            " with the prices."
        )
        return
    _by_size(decided, spec)


def _fractions(contents: Contents, decided: Decided) -> None:
    """Greatest losses and gains of a trade: fractions of the stake or percent, or amounts of money,
    which are not read."""
    specs = {name: decided.fields[name] for name in _FRACTIONS if name in decided.fields}
    named = [
        spec
        for spec in specs.values()
        if _named_percent(spec.column) and not contents.has_percent(spec.column)
    ]
    percent = any(abs(n) > 1 for spec in named for n in contents.read_numbers(spec.column))
    for name, spec in specs.items():
        largest = max(map(abs, contents.read_numbers(spec.column)), default=0.0)
        if contents.has_percent(spec.column):
            continue
        if spec in named and percent:
            spec.keys["scale"], spec.comment = (
                0.01,
                "assumed to be percent: remove the scale if 0.05 means five percent",
            )
            decided.left.append(
                f"Whether {spec.column} is in percent: assumed, since its numbers are that large."
            )
        elif contents.signs(spec.column) or spec in named or largest > _LARGEST_FRACTION:
            del decided.fields[name]
            decided.guessed.append(
                f"{spec.column} is not read: nothing shows that it is a fraction of the stake."
            )
        elif largest:
            decided.left.append(f"Whether {spec.column} is a fraction of the stake: assumed.")


def _named_percent(column: str) -> bool:
    return any(word in column.lower() for word in ("pct", "percent", "%"))


def _by_size(decided: Decided, spec: Spec) -> None:
    """Percent or fraction where no prices tell: by the name and the size of the numbers, and asked
    where both are possible."""
    numbers = [abs(n) for n in decided.kept.contents.read_numbers(spec.column)]
    largest = max(numbers, default=0.0)
    named = _named_percent(spec.column)
    if named and largest > 1.5 and statistics.median(numbers) > 0.1:
        spec.keys["scale"], spec.comment = (
            0.01,
            "assumed to be percent: remove the scale if 0.05 means five percent",
        )
        decided.left.append(
            f"Whether {spec.column} is in percent: assumed, since its numbers are that large."
        )
    elif largest and (named or largest > _LARGEST_FRACTION):
        spec.keys["scale"], spec.comment = (
            OPEN_QUESTION,
            f"0.01 if {largest:g} is {largest:g} percent, 1 if it is a fraction",
        )
        decided.asked.append(
            f"Whether {spec.column} is in percent or a fraction: its largest number is {largest:g},"
            " and there are no prices to compare."
        )
    elif largest:
        decided.left.append(
            f"Whether {spec.column} is a fraction: assumed, since its largest number is"
            f" {largest:g}."
        )


def _outcome(decided: Decided) -> None:
    fields = decided.fields
    has_prices = {"entry_price", "exit_price"} <= fields.keys()
    outcomes = [name for name in ("rr", "roi", "pnl_usd") if name in fields]
    if not outcomes and not has_prices:
        decided.ask(
            "pnl_usd",
            "What the trades earned: no column looks like a return, a profit or two prices, and"
            " without one nothing can be learned.",
            "the column with the profit; if each row is a purchase or a sale, draft again with"
            " --rows fills, or export the fills with their prices",
            section="columns",
        )
    elif not outcomes:
        decided.guessed.append("The return is computed from the two prices.")
    if "rr" not in fields and "max_drawdown" in fields and ("roi" in fields or has_prices):
        decided.guessed.append("rr is the return divided by the drawdown.")
