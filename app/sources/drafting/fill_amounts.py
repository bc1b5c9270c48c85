"""Find the column with the fills' amounts, and infer contract values, fees, the sign of prices and
inverse contracts from it.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.sources.cells import HUNDREDTHS, WHOLE
from app.sources.column_names import NAMES, currency_in, known_as
from app.sources.currencies import FIAT, NAMES_OF_CURRENCIES
from app.sources.drafting.adding_amounts import Amount, read_amounts
from app.sources.drafting.adding_up import half_unit, nice
from app.sources.drafting.contents import Contents
from app.sources.drafting.decided import Decided
from app.sources.drafting.fill_rows import fee_amounts, purchases, symbol_of
from app.sources.drafting.spec import Spec
from app.sources.drafting.value_columns import ask_whether_value, contract_values
from app.sources.pairs import may_be_inverse, pair_of
from app.sources.value_names import is_margin, is_of_order, may_be_value, says_value

_TAX = re.compile(
    r"steuer|(^|_)kest|kapest|kap_?st|(^|_)soli?_?z|(^|_)kist(_|$)|retenci|ritenuta|stopaj|소득세|solidarit|"
    r"(^|_)tax(es)?(_|$)|withholding|impost|impôt|skatt|税|稅|세금"
)
_SMALL_COST = 0.05
"""What fees may be of the value of a fill, at most, if only the cash tells them."""
_CENTS = 0.004
"""Half of the last digit of amounts that are rounded to cents."""
_MONEY = (
    ("debit", "credit"),
    ("paid_out", "paid_in"),
    ("money_out", "money_in"),
    ("withdrawal", "deposit"),
    ("withdrawals", "deposits"),
    ("débit", "crédit"),
    ("soll", "haben"),
    ("debe", "haber"),
    ("addebito", "accredito"),
)


def read_amount(decided: Decided) -> Amount | None:
    """The column that is price × quantity × contract value, with or without fees."""
    contents, fields = decided.kept.contents, decided.fields
    quantity, price = (
        contents.numbers(fields["quantity"].column),
        contents.numbers(fields["price"].column),
    )
    sizes = sizes_of(decided)
    columns = amounts_of(decided)
    pair = money_columns(contents) or ()
    if pair and not columns:
        columns = [(pair[0], _added(contents, pair))]
    converted = converted_amounts(decided)
    columns = [one for one in columns if one[0] not in converted]
    symbols = [symbol_of(decided, i) for i in range(contents.n_rows)]
    if not columns:
        columns = _unnamed(decided, symbols, sizes)
    if not columns:
        return None
    _negative_prices(decided)
    fees = [0.0] * contents.n_rows if "fee_currency" in fields else fee_amounts(decided)
    found = read_amounts(columns, symbols, sizes, fees, purchases(decided))
    if found is not None and not found.plain and is_of_order(known_as(found.column)):
        # What was ordered may be more than what was filled.
        columns = [one for one in columns if not is_of_order(known_as(one[0]))]
        found = read_amounts(columns, symbols, sizes, fees, purchases(decided))
    if found is None:
        return _inverse_amount(decided, columns, symbols, quantity, price)
    if found.plain and found.kind == "gross" and not fields.get("fee", Spec([])).keys.get("scale"):
        rest = [
            (column, numbers)
            for column, numbers in columns
            if column != found.column and known_as(column) in NAMES["net"]
        ]
        cash = (
            read_amounts(rest, symbols, sizes, [0.0] * len(fees), purchases(decided))
            if rest
            else None
        )
        if (
            cash is not None
            and cash.kind == "net"
            and cash.plain
            and _loses(decided, sizes, rest)
            and "fee_currency" not in fields
            and not _is_tax(decided, found, rest, sizes, fees)
        ):
            _take_for_fees(decided, cash.column, found)
            return found
    if found.kind == "gross" and not any(fees) and _has_fees(decided, found, columns, sizes):
        found.kind = "net"
    if found.kind == "net" and any(fees) and _costs_more(decided, found, columns, sizes, fees):
        columns_of_fees = " and ".join(fields.pop("fee").columns)
        decided.guessed.append(
            f"The fee is the difference between {found.column} and price × quantity, which is more"
            f" than {columns_of_fees}."
        )
        fees = [0.0] * contents.n_rows
    if found.plain and (found.kind == "gross" or any(fees)):
        decided.guessed.append(
            f"No contract size applies: price × quantity is {found.column} in the"
            f" rows{' (fees taken off)' if found.kind == 'net' else ''}."
        )
        return found
    if found.kind == "gross":
        fields["gross"] = Spec(
            [found.column],
            comment="price × quantity × contract value: shows the contract value of each row",
        )
        _fees_by_net(decided, found, columns, sizes, fees)
    else:
        fields["net"] = Spec(
            list(pair) if found.column in pair else [found.column],
            comment=(
                "cash paid or received after fees: shows the contract value and the fee of each row"
            ),
        )
    if not found.plain:
        _in_whole_units(decided, found)
        shown = ", ".join(
            f"{name} {value:g}"
            for name, value in sorted(found.values.items(), key=lambda item: item[1] == 1)[:6]
        )
        decided.guessed.append(f"Contract values follow from {found.column}: {shown}.")
    return found


def sizes_of(decided: Decided) -> list[float | None]:
    """Price × quantity of each row, without a sign."""
    contents, fields = decided.kept.contents, decided.fields
    scale = float(fields["price"].keys.get("scale", 1))
    factors = (contents.numbers(fields[name].column) for name in ("quantity", "price"))
    return [abs(q * p * scale) if q and p else None for q, p in zip(*factors, strict=True)]


def amounts_of(decided: Decided) -> list[tuple[str, list[float | None]]]:
    """The columns that are called amounts, the likeliest first, with their numbers."""
    contents = decided.kept.contents
    side = decided.fields.get("side")
    used = decided.used() - set(side.columns if side and side.keys.get("cash") else ())
    names = [*NAMES["gross"], *NAMES["net"]]
    ranks = {
        column: min(names.index(word) for word in words if word in names)
        for column in contents.columns
        if column not in used
        and contents.is_numeric(column)
        and (words := {known_as(column), known_as(column).removeprefix("quote_")}) & {*names}
    }
    return [(column, contents.numbers(column)) for column in sorted(ranks, key=ranks.__getitem__)]


def converted_amounts(decided: Decided) -> list[str]:
    """The amounts that are price × quantity at a rate of exchange in another column, as in the
    currency of an account: they tell no contract values."""
    contents, sizes = decided.kept.contents, sizes_of(decided)
    amounts = amounts_of(decided)
    used = {*decided.used(), *(column for column, _ in amounts)}
    rates = [
        contents.numbers(column)
        for column in contents.columns
        if column not in used and contents.is_numeric(column)
    ]
    return [
        column for column, own in amounts if any(are_at_rates(own, sizes, rate) for rate in rates)
    ]


def are_at_rates(
    amounts: list[float | None], sizes: list[float | None], rates: list[float | None]
) -> bool:
    """Whether amounts are nearly the sizes times (or over) the rates, which are no usual contract
    values."""
    told = [
        (abs(a) / size, rate)
        for a, size, rate in zip(amounts, sizes, rates, strict=True)
        if a and size
    ]
    return (
        bool(told)
        and all(rate and rate > 0 for _, rate in told)
        and any(abs((rate or 0.0) - 1) > _SMALL_COST and not nice(rate or 0.0) for _, rate in told)
        and any(
            all(abs(ratio * (rate or 0.0) ** power - 1) <= _SMALL_COST for ratio, rate in told)
            for power in (-1, 1)
        )
    )


def _in_whole_units(decided: Decided, found: Amount) -> None:
    """Use the currency of the amounts if they are in pounds and the prices in pence."""
    contents, fields = decided.kept.contents, decided.fields
    own = fields.get("currency")
    if own is None or {*found.values.values()} != {0.01}:
        return
    hundredths = {_code(word) for word in contents.words(own.column)}
    if not hundredths <= HUNDREDTHS.keys():
        return
    whole = [
        column
        for column in contents.columns
        if contents.words(column)
        and all(word.strip() in FIAT for word in contents.words(column))
        and len(contents.words(column)) == 1
        and len(contents.values(column)) == contents.n_rows
    ]
    named = [column for column in whole if found.column.lower() in column.lower()] or whole
    if named:
        fields["currency"] = Spec([named[0]], comment=f"that of {found.column}")
        decided.guessed.append(
            f"Profits are in the currency of {found.column}, prices in hundredths of it."
        )
    elif len(wholes := {WHOLE[HUNDREDTHS[code]] for code in hundredths}) == 1:
        del fields["currency"]
        why = f"prices are in hundredths of it, by {own.column}"
        decided.keys["currency"] = (wholes.pop(), why)
        decided.guessed.append(f"{found.column} is in whole units, prices in hundredths of them.")


def _code(word: str) -> str:
    """The code of a currency that a cell has by its code or its name."""
    return NAMES_OF_CURRENCIES.get(word.strip().lower(), word.strip())


def _fees_by_net(
    decided: Decided,
    found: Amount,
    columns: list[tuple[str, list[float | None]]],
    sizes: list[float | None],
    fees: list[float],
) -> None:
    """Take what the cash differs by from the value for the fees, where that is more than the
    columns of fees have, in no row less."""
    fields = decided.fields
    if "fee_currency" in fields or fields.get("fee", Spec([])).keys.get("scale"):
        return
    for column, numbers in columns:
        if column == found.column or known_as(column) not in NAMES["net"]:
            continue
        costs = _costs(decided, found, numbers, sizes)
        rounding = 1.2 * half_unit(numbers)
        more = [cost - abs(fee) for cost, fee in zip(costs, fees, strict=True) if cost is not None]
        small = all(
            cost is None or size is None or cost <= _SMALL_COST * size * found.values.get(name, 1.0)
            for cost, size, name in zip(
                costs,
                sizes,
                (symbol_of(decided, i) for i in range(len(costs))),
                strict=True,
            )
        )
        if small and len(more) > 1 and min(more) >= -rounding and max(more) > rounding:
            _take_for_fees(decided, column, found)
            return


def _take_for_fees(decided: Decided, cash: str, found: Amount) -> None:
    """Take what the cash differs by from the value for the fees, whatever has been read as fees."""
    decided.fields.pop("fee", None)
    decided.fields["net"] = Spec([cash], comment="cash paid or received, after fees")
    decided.guessed.append(f"Fees are what {cash} and {found.column} differ by.")


def _unnamed(
    decided: Decided, symbols: list[str], sizes: list[float | None]
) -> list[tuple[str, list[float | None]]]:
    """The column whose name is that of no amount, and whose numbers are price × quantity × contract
    value to the last digit, at several prices: it shows that there are contracts."""
    contents = decided.kept.contents
    for column in contents.columns:
        if column in decided.used() or not contents.is_numeric(column):
            continue
        margin = is_margin(column)
        if not margin and not may_be_value(column, NAMES["quantity"]):
            continue
        numbers = contents.numbers(column)
        values = contract_values(numbers, symbols, sizes)
        if values is None or all(value == 1 for value in values.values()):
            continue
        if not margin and says_value(column, ()):
            return [(column, numbers)]
        ask_whether_value(decided, column, values)
        return []
    return []


def money_columns(contents: Contents) -> tuple[str, str] | None:
    """The columns with what was paid and with what was received, of which each row has one."""
    by_name = {known_as(column): column for column in contents.columns}
    for paid, received in _MONEY:
        if not {paid, received} <= by_name.keys():
            continue
        columns = by_name[paid], by_name[received]
        both = zip(*(contents.numbers(column) for column in columns), strict=True)
        if all(bool(a) != bool(b) for a, b in both):
            return columns
    return None


def _added(contents: Contents, columns: Sequence[str]) -> list[float | None]:
    return [
        sum(n for n in numbers if n is not None)
        for numbers in zip(*(contents.numbers(column) for column in columns), strict=True)
    ]


def _has_fees(
    decided: Decided,
    found: Amount,
    columns: list[tuple[str, list[float | None]]],
    sizes: list[float | None],
) -> bool:
    """Whether the amounts are more than the value of what was bought and less than that of what was
    sold, by more than rounding: fees that no column has are in them."""
    numbers = dict(columns)[found.column]
    paid = [cost for cost in _costs(decided, found, numbers, sizes) if cost is not None]
    rounding = 1.2 * half_unit(numbers)
    return (
        half_unit(numbers) >= _CENTS
        and all(fee >= -rounding for fee in paid)
        and len(paid) > 1
        and any(fee > rounding for fee in paid)
    )


def _costs(
    decided: Decided,
    found: Amount,
    numbers: list[float | None],
    sizes: list[float | None],
) -> list[float | None]:
    """What was paid beyond the value of a purchase, or not received of that of a sale, by row."""
    costs: list[float | None] = []
    for i, (n, size, buy) in enumerate(zip(numbers, sizes, purchases(decided), strict=True)):
        value = found.values.get(symbol_of(decided, i), 1.0)
        known = n and size and buy is not None
        costs.append(
            (1 if buy else -1) * (abs(n or 0.0) - value * (size or 0.0)) if known else None
        )
    return costs


def _costs_more(
    decided: Decided,
    found: Amount,
    columns: list[tuple[str, list[float | None]]],
    sizes: list[float | None],
    fees: list[float],
) -> bool:
    """Whether more than the fees is missing in the amounts, in no row less, and it is no tax on
    gains."""
    numbers = dict(columns)[found.column]
    rounding = 1.2 * half_unit(numbers)
    rest = _rest(_costs(decided, found, numbers, sizes), fees, _unread_taxes(decided))
    return (
        half_unit(numbers) >= _CENTS
        and all(more >= -rounding for more in rest)
        and any(more > rounding for more in rest)
    )


def _is_tax(
    decided: Decided,
    found: Amount,
    columns: list[tuple[str, list[float | None]]],
    sizes: list[float | None],
    fees: list[float],
) -> bool:
    """Whether what the cash lacks besides the fees is a tax that no purchase bore: one on gains."""
    buys = purchases(decided)
    taxes = [
        tax
        for tax in _unread_taxes(decided)
        if any(tax) and not any(n and buy for n, buy in zip(tax, buys, strict=True))
    ]
    return bool(taxes) and any(
        all(
            abs(more) <= 2.4 * half_unit(numbers)
            for more in _rest(_costs(decided, found, numbers, sizes), fees, taxes)
        )
        for _, numbers in columns
    )


def _unread_taxes(decided: Decided) -> list[list[float | None]]:
    contents = decided.kept.contents
    return [
        contents.numbers(column)
        for column in contents.columns
        if _TAX.search(known_as(column)) and column not in decided.used()
    ]


def _rest(
    costs: list[float | None], fees: list[float], taxes: list[list[float | None]]
) -> list[float]:
    """What is left of the known costs of each row beyond its fees and taxes."""
    return [
        cost - abs(fee) - sum(abs(tax[i] or 0.0) for tax in taxes)
        for i, (cost, fee) in enumerate(zip(costs, fees, strict=True))
        if cost is not None
    ]


def _loses(
    decided: Decided,
    sizes: list[float | None],
    columns: list[tuple[str, list[float | None]]],
) -> bool:
    """Whether all that is paid is more than the purchases' value, and received less than the
    sales'."""
    return all(
        n is None or size is None or buy is None or (abs(n) >= size - 0.01 if buy else n <= size)
        for _, numbers in columns
        for n, size, buy in zip(numbers, sizes, purchases(decided), strict=True)
    )


def _negative_prices(decided: Decided) -> None:
    """Prices with the sign of the cash: below 0 in all purchases and above in all sales."""
    numbers = decided.kept.contents.numbers(decided.fields["price"].column)
    signs = {
        (buy, n < 0)
        for buy, n in zip(purchases(decided), numbers, strict=True)
        if n and buy is not None
    }
    if signs == {(True, True), (False, False)} or signs == {(True, True)}:
        decided.fields["price"].keys["absolute"] = True
        decided.fields["price"].comment = "negative where it is paid: the sign is that of the cash"


def drop_doubled_multiplier(decided: Decided, amount: Amount) -> None:
    """A column of multipliers that is in the price already, by the amounts."""
    contents, fields = decided.kept.contents, decided.fields
    fields.pop("gross", None)
    if amount.kind != "net" or "fee" in fields:
        fields.pop("net", None)
    column = fields["multiplier"].column
    numbers = {symbol_of(decided, i): n for i, n in enumerate(contents.numbers(column)) if n}
    if any(abs(amount.values.get(name, n) - n) > 0.01 * n for name, n in numbers.items()):
        del fields["multiplier"]
        decided.guessed.append(
            f"{column} is not used: {amount.column} is price × quantity without it, so the price"
            " includes it."
        )


def _inverse_amount(
    decided: Decided,
    columns: list[tuple[str, list[float | None]]],
    symbols: list[str],
    quantity: list[float | None],
    price: list[float | None],
) -> Amount | None:
    """Amounts that are quantity / price × contract value: the contracts are counted in dollars and
    settled in their coin."""
    if not all(may_be_inverse(symbol) for symbol in symbols):
        bases = {pair[0] if (pair := pair_of(symbol)) else "" for symbol in symbols}
        columns = [one for one in columns if bases == {currency_in(one[0])}]
    sizes = [abs(q / p) if q and p else None for q, p in zip(quantity, price, strict=True)]
    found = read_amounts(columns, symbols, sizes, [0.0] * len(sizes), purchases(decided))
    if found is None or found.kind != "gross":
        return None
    decided.fields["gross"] = Spec(
        [found.column], comment="in the coin: shows the contract value of each row"
    )
    decided.keys["inverse"] = (
        sorted(set(symbols)),
        f"counted in dollars and settled in the coin: {found.column} is quantity / price",
    )
    decided.guessed.append(
        f"The contracts are inverse, settled in their coin: {found.column} is quantity / price."
        " There is no pnl_usd."
    )
    return found
