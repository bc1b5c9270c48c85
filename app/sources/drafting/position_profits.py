"""Closed positions: what profits say of fees, contract values and currencies, and what is asked
where they say nothing.

May touch: nothing.
"""

from __future__ import annotations

import re
import statistics
from itertools import combinations

from app.sources.column_names import NAMES, currency_in, known_as
from app.sources.currencies import FIAT
from app.sources.drafting.adding_up import MOST, NICE, Reading, Trade, off_by
from app.sources.drafting.before_or_after import by_prices, by_two_profits, without_prices
from app.sources.drafting.contracts import (
    ask_by_class,
    ask_by_code,
    ask_contract_values,
    ask_for_lots,
    ask_inverse,
    escaped,
    stems,
    symbols_of,
)
from app.sources.drafting.decided import Decided
from app.sources.drafting.dollars import UNSAID, doubt_dollars
from app.sources.drafting.fee_columns import are_negative, fee_numbers, say_fees, without_amounts
from app.sources.drafting.fill_rows import symbol_of
from app.sources.drafting.spec import Spec
from app.sources.drafting.text import spec_text
from app.sources.drafting.value_columns import ask_whether_value, contract_values
from app.sources.making import joined
from app.sources.pairs import may_be_inverse, settled_in
from app.sources.value_names import is_margin, is_of_order, may_be_value, says_value

_RECEIVED = re.compile("proceeds|erlös|produit|ricavo|ingresos|売却|賣出|卖出|매도")
"""Of what something was sold for, which is no profit."""
_TOTAL = re.compile(r"(^|_)(total|net|nett|netto|neto|líquido|liquido)(_|$)|受渡金額|精算金額")
_NO_COST = re.compile(
    r"price|quantity|size|balance|equity|(^|_)(id|ref|no)(_|$)|成本|取得|原価|매입|einstand|basis|invest"
)
_MOST_COSTS, _MOST_COLUMNS = 4, 10
"""How many columns costs may be in, and among how many columns they are looked for."""
_LOSS = re.compile(
    r"(^|_)(loss|losses|verlust|verluste|perte|pertes|moins_value|pérdida|pérdidas|perdita|perdite"
    r"|minusvalenza|prejuízo|perda|verlies|tab|förlust|tap|tappio|strata|ztráta|убыток|zarar)(_|$)"
    r"|損失|亏损|虧損|손실"
)
"""Of columns with losses alone."""
_GAIN = re.compile(
    r"(^|_)(profits?|gains?|gewinne?|gain|bénéfices?|plus_value|ganancias?|beneficios?|guadagn[oi]"
    r"|plusvalenza|lucros?|ganhos?|winst|vinst|gevinst|voitto|zysk|zisk|прибыль|kar|kâr)(_|$)"
    r"|利益|盈利|獲利|이익"
)
_FUNDING = re.compile(r"(^|_)(funding|financing|overnight|rollover)(_|$)")
_PAID = re.compile(r"(^|_)(paid|cost|costs|charge|charges)(_|$)")


def gains_and_losses(decided: Decided) -> None:
    """Put a column of gains and one of losses together, where each row has only one of them."""
    contents, fields = decided.kept.contents, decided.fields
    spec = fields.get("pnl_usd")
    if spec is None or len(spec.columns) > 1 or min(contents.read_numbers(spec.column)) < 0:
        return
    gains = _GAIN.sub("", known_as(spec.column))
    for column in contents.columns:
        words = _LOSS.sub("", known_as(column))
        if column in decided.used() or words == known_as(column) or words != gains:
            continue
        losses = contents.numbers(column)
        pairs = list(zip(contents.numbers(spec.column), losses, strict=True))
        signs = {n > 0 for n in losses if n}
        if len(signs) != 1 or any(gain and loss for gain, loss in pairs) or (None, None) in pairs:
            continue
        fields["pnl_usd"] = Spec(
            [spec.column, column], {**spec.keys, **({"minus": [column]} if True in signs else {})}
        )
        decided.guessed.append(f"Gains are in {spec.column}, losses in {column}.")
        return


def settle_profit(decided: Decided, reading: Reading, trades: list[Trade]) -> None:
    """Whether profits are before or after fees, contract values, and inverse contracts."""
    n_sized = sum(t.profit is not None for t in trades)
    has_fees = "fees_usd" in decided.fields
    told, why = decided.keys.get("currency", ("", ""))
    named = currency_in(decided.fields["pnl_usd"].column)
    if reading.inverse and (
        named in FIAT
        or (told in FIAT and why not in UNSAID)
        or any(value not in NICE for value in reading.values.values())
    ):
        # No contract that is settled in its coin has profits in such a currency, or such a value.
        reading.inverse, reading.exact, reading.values, reading.profit = False, 0.0, {}, None
    if (reading.inverse and reading.exact >= MOST) or _is_nearly_inverse(decided, trades):
        decided.keys["inverse"] = (["*"], "profits are 1 / entry - 1 / exit: settled in the coin")
        decided.keys["currency"] = ("COIN", "the coin that the contracts are settled in")
        decided.guessed.append(
            "The contracts are inverse: only then do profits agree with prices. There is no"
            " pnl_usd."
        )
    by_prices(decided, reading, n_sized)
    if reading.values and any(value != 1 for value in reading.values.values()):
        shown = ", ".join(f"{name} {value:g}" for name, value in list(reading.values.items())[:8])
        decided.guessed.append(f"Contract values with which profits agree with prices: {shown}.")
    if (
        reading.values
        and (not has_fees or any(value != 1 for value in reading.values.values()))
        and not reading.inverse
    ):
        _write_values(decided, reading.values, {trade.name for trade in trades})
        doubt_dollars(decided, {**reading.values, **reading.alone})
    elif reading.alone and reading.exact >= MOST:
        doubt_dollars(decided, reading.alone)
    if reading.off and reading.exact >= MOST:
        decided.left.append(
            f"Why rows do not add up ({joined([f'line {n}' for n in reading.off], 6)}): their"
            " profit does not follow from quantity and prices."
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
    symbols = decided.kept.contents.words(decided.fields["symbol"].column)
    if len(decided.fields["symbol"].columns) > 1:
        for name, value in values.items():
            section[f"{escaped(name)} *"] = (value, "")
        return
    for name, value in values.items():
        for key in [escaped(name)] if name in symbols else stems(name, symbols):
            section[key] = (value, "")


def settle_contracts(decided: Decided, may_have_profits: bool) -> None:
    """Options, futures and lots whose profit has to be worked out from prices: what a point is
    worth has to be known; of lots, unless a column of an unknown name may have the profits."""
    if (
        "quantity" not in decided.fields
        or "symbol" not in decided.fields
        or "multiplier" in decided.fields
    ):
        return
    names = symbols_of(decided)
    told = _values_by_amounts(decided)
    rest = [name for name in names if name not in told]
    ask_contract_values(decided, rest)
    ask_by_code(decided, rest)
    ask_by_class(decided, rest)
    if not may_have_profits:
        ask_for_lots(decided, told)
    inverse = [name for name in names if may_be_inverse(name)]
    sizes = decided.kept.contents.read_numbers(decided.fields["quantity"].column)
    counted = all(map(settled_in, inverse)) or all(n.is_integer() for n in sizes)
    if inverse and counted and "inverse" not in decided.keys:
        ask_inverse(decided, inverse)


def _values_by_amounts(decided: Decided) -> set[str]:
    """The names whose contract values an amount tells: it is that times the quantity and one of the
    two prices."""
    contents, fields = decided.kept.contents, decided.fields
    quantities = contents.numbers(fields["quantity"].column)
    names = [symbol_of(decided, i) for i in range(contents.n_rows)]
    known = (*NAMES["gross"], *NAMES["net"], *NAMES["stake"])
    for column in contents.columns:
        if (
            column in {c for name, spec in fields.items() if name != "stake" for c in spec.columns}
            or not contents.is_numeric(column)
            or not (is_margin(column) or may_be_value(column, known))
        ):
            continue
        for price in ("entry_price", "exit_price"):
            prices = contents.numbers(fields[price].column)
            scale = float(fields[price].keys.get("scale", 1))
            sizes = [
                abs(q * p * scale) if q and p else None
                for q, p in zip(quantities, prices, strict=True)
            ]
            values = contract_values(contents.numbers(column), names, sizes)
            if values is None:
                continue
            if is_margin(column) or not says_value(column, known):
                if any(value != 1 for value in values.values()):
                    ask_whether_value(decided, column, values)
                continue
            if any(value != 1 for value in values.values()):
                if is_of_order(known_as(column)):
                    continue  # What was ordered may be more than what was filled.
                _write_values(decided, values, {*names})
            shown = ", ".join(f"{name} {value:g}" for name, value in list(values.items())[:6])
            decided.guessed.append(f"Contract values follow from {column}: {shown}.")
            return {*values}
    return set()


def settle_cents(decided: Decided) -> None:
    """Profits and fees of accounts that are kept in cents are read in dollars."""
    spec = decided.fields.get("pnl_usd")
    if spec is None or currency_in(spec.column) != "USC":
        return
    for name in ("pnl_usd", "fees_usd"):
        if name in decided.fields:
            own = decided.fields[name]
            own.keys["scale"], own.comment = 0.01, "US cents"
    decided.keys["currency"] = ("USD", "profits are in cents")
    decided.guessed.append(f"{spec.column} is in cents: the currency is USD.")


def fees_by_total(decided: Decided) -> None:
    """Costs, whatever they are called, that lie between the profits and their total after costs:
    amounts with the sign of the cash, or several that were paid, as a share of the profit beside
    a fee."""
    contents, fields = decided.kept.contents, decided.fields
    if "pnl_usd" not in fields:
        return
    profits = contents.numbers(fields["pnl_usd"].column)
    used = decided.used() - set(fields["fees_usd"].columns if "fees_usd" in fields else [])
    columns = {
        column: numbers
        for column in contents.columns
        if column not in used
        and contents.is_numeric(column)
        and contents.time(column) is None
        and any(numbers := contents.numbers(column))
    }
    totals = [
        c for c in columns if _TOTAL.search(known_as(c)) and not _RECEIVED.search(known_as(c))
    ]
    others = [c for c in columns if c not in totals and not _NO_COST.search(known_as(c))]
    for total in totals:
        costs = [
            None if a is None or b is None else a - b
            for a, b in zip(columns[total], profits, strict=True)
        ]
        if not any(costs):
            continue
        off = off_by(costs, profits)
        for n in range(1, min(len(others), _MOST_COSTS) + 1):
            for chosen in combinations(others[:_MOST_COLUMNS], n):
                sums = [
                    sum(columns[column][i] or 0.0 for column in chosen)
                    for i in range(contents.n_rows)
                ]
                for sign in (1, -1) if n > 1 else (1,):
                    if all(
                        cost is None or abs(cost - sign * paid) <= off
                        for cost, paid in zip(costs, sums, strict=True)
                    ):
                        fields["fees_usd"] = Spec(
                            list(chosen),
                            {"scale": -1} if sign > 0 else {},
                            f"they make {total} of the profit",
                        )
                        decided.keys["profit"] = ("gross", f"{total} is after fees")
                        return


def fees_by_prices(decided: Decided, trades: list[Trade]) -> bool:
    """Take columns for the fees, whatever they are called, that are what the profits are less than
    prices and quantities make, to the cent, in all rows."""
    contents, fields = decided.kept.contents, decided.fields
    known = {"pnl_usd", "entry_price", "exit_price", "quantity"} <= fields.keys()
    if not known or "fees_usd" in fields or len(trades) != contents.n_rows:
        return False
    costs = [
        trade.side * (trade.exit - trade.entry) * abs(trade.quantity or 0.0) - (trade.profit or 0.0)
        for trade in trades
    ]
    off = off_by(costs, [trade.profit for trade in trades])
    if len(costs) < 2 or min(costs) < -off or not any(cost > 2 * off for cost in costs):
        return False
    used = decided.used()
    columns = {
        column: contents.numbers(column)
        for column in contents.columns
        if column not in used
        and contents.is_numeric(column)
        and contents.time(column) is None
        and not contents.has_percent(column)
        and any(contents.read_numbers(column))
    }
    for n in range(1, 4):
        for chosen in combinations([*columns][:_MOST_COLUMNS], n):
            if all(
                abs(cost - sum(abs(columns[column][i] or 0.0) for column in chosen)) <= off
                for i, cost in enumerate(costs)
            ):
                fields["fees_usd"] = Spec(list(chosen), comment="by the prices")
                decided.guessed.append(
                    f"Fees are {' and '.join(chosen)}: the profits are so much less than prices"
                    " and quantities make."
                )
                return True
    return False


def find_funding(decided: Decided, reading: Reading) -> None:
    """Funding that is in no profit, as the prices show: it is a fee where a total shows its sign,
    or other fees have the sign of the cash too; else the draft asks."""
    contents, fields = decided.kept.contents, decided.fields
    if reading.profit == "gross" and reading.exact >= MOST:
        _apart_from_fees(decided)
    columns = [
        column
        for column in contents.columns
        if _FUNDING.search(known_as(column))
        and column not in decided.used()
        and contents.is_numeric(column)
        and any(contents.read_numbers(column))
    ]
    if not columns or "pnl_usd" not in fields:
        return
    named = " and ".join(columns)
    if reading.exact < MOST:
        decided.left.append(
            f"Whether {named} is in {fields['pnl_usd'].column}: nothing in the file"
            " shows it, so it is not counted."
        )
        return
    spec = fields.get("fees_usd")
    if spec is not None and reading.profit != "gross":
        decided.left.append(f"{named}: it is in no profit, as the prices show, and is not counted.")
        return
    negative = spec is None or are_negative(decided, spec)
    received = True if negative and not _is_called_paid(decided, columns) else None
    received = _received_by_total(decided, spec, columns, received)
    if received is None or (spec is None and not received):
        _ask_for_funding(decided, spec, columns)
        return
    decided.keys["profit"] = ("gross", f"{named} is in no profit")
    if spec is None:
        fields["fees_usd"] = Spec(columns, {"scale": -1})
        return
    spec.columns += columns
    if received != negative:
        spec.keys["minus"] = [*spec.keys.get("minus", ()), *columns]


def _apart_from_fees(decided: Decided) -> None:
    """Take funding of both signs out of fees that were all paid: its sign is not theirs."""
    contents, spec = decided.kept.contents, decided.fields.get("fees_usd")
    if spec is None or spec.keys.get("minus"):
        return
    funding = [c for c in spec.columns if _FUNDING.search(known_as(c))]
    others = [c for c in spec.columns if c not in funding]
    signs = {n > 0 for column in funding for n in contents.read_numbers(column) if n}
    paid = {n > 0 for column in others for n in contents.read_numbers(column) if n}
    if signs == {True, False} and paid == {True}:
        spec.columns = others


def _is_called_paid(decided: Decided, columns: list[str]) -> bool:
    """Whether the names say that funding was paid, and some of it is above 0."""
    contents = decided.kept.contents
    return any(
        _PAID.search(known_as(column)) and any(n > 0 for n in contents.read_numbers(column))
        for column in columns
    )


def _received_by_total(
    decided: Decided, fees: Spec | None, columns: list[str], otherwise: bool | None
) -> bool | None:
    """Whether funding above 0 was received, by a total of the profits after fees and funding;
    `otherwise` where there is none."""
    contents = decided.kept.contents
    fee_columns = fee_numbers(contents, fees) if fees is not None else []
    sign = -1 if fees is not None and are_negative(decided, fees) else 1
    moved = [contents.numbers(column) for column in columns]
    rows = [
        (i, profit - sign * sum(numbers[i] or 0.0 for numbers in fee_columns), cash)
        for i, profit in enumerate(contents.numbers(decided.fields["pnl_usd"].column))
        if profit is not None and (cash := sum(numbers[i] or 0.0 for numbers in moved))
    ]
    for column in contents.columns:
        if column in decided.used() or column in columns or not contents.is_numeric(column):
            continue
        totals = contents.numbers(column)
        off = off_by([cash for _, _, cash in rows], totals)
        for received in (True, False):
            if all(
                abs((totals[i] or 0.0) - less - (cash if received else -cash)) <= off
                for i, less, cash in rows
            ):
                return received
    return otherwise


def _ask_for_funding(decided: Decided, fees: Spec | None, columns: list[str]) -> None:
    """Ask for the sign of funding that is in no profit."""
    named = " and ".join(columns)
    every = [*(fees.columns if fees else ()), *columns]
    keys = dict(fees.keys) if fees else {}
    received = {**keys, "minus": [*keys.get("minus", ()), *columns]}
    decided.fields.pop("fees_usd", None)
    decided.keys["profit"] = ("gross", f"{named} is in no profit")
    decided.ask(
        "fees_usd",
        f"Whether {named} above 0 was received or paid: it is in no profit, as the prices show.",
        f"{spec_text(Spec(every, received))} if it was received, {spec_text(Spec(every, keys))} if"
        " it was paid",
        section="columns",
    )


def settle_fees(decided: Decided) -> None:
    """The sign of fees, by two columns of profits or by the numbers themselves."""
    spec = decided.fields.get("fees_usd")
    asked = "fees_usd" in decided.sections.get("columns", {})
    if not asked and (columns := without_amounts(decided.kept.contents, decided.used())):
        decided.left.append(f"{' and '.join(columns)}: fees in points or percent are not counted.")
    if spec is None:
        return
    if float(spec.keys.get("scale", 1)) < 0:
        say_fees(decided, spec, negative=False)
        return
    sign, gross, net = by_two_profits(decided, spec)
    say_fees(decided, spec, sign == -1 or (not sign and are_negative(decided, spec)))
    without_prices(decided, spec, gross, net)
