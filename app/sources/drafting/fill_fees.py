"""Fills: which column has the fees, and whether they are in the amounts.

May touch: nothing.
"""

from __future__ import annotations

import math
import re
from itertools import combinations, permutations

from app.sources.cells import as_text
from app.sources.column_names import is_known, known_as
from app.sources.drafting.adding_up import half_unit
from app.sources.drafting.choose import LIMIT
from app.sources.drafting.decided import Decided
from app.sources.drafting.fee_columns import (
    are_negative,
    fee_numbers,
    say_fees,
    turn_cash,
)
from app.sources.drafting.fill_rows import profits_of, purchases
from app.sources.drafting.gain_taxes import LEVY, ask_for_tax
from app.sources.drafting.spec import Spec
from app.sources.drafting.symbol_columns import CURRENCIES
from app.sources.drafting.text import spec_text
from app.sources.drafting.unit_fees import find_rates
from app.sources.pairs import future_of, is_option, may_be_inverse
from app.sources.value_names import is_margin

_COSTS = re.compile(
    r"((trade|trading|transaction|total|execution)_)?costs?|taxas?|tasas?|opłat[ay]|poplatek|masraf"
)
_OF_FEE = re.compile("fee|comm")
"""Of a column that says itself that it has the currency of the fees."""
_ONE, _RATE = 0.02, 0.00006
"""By how much a rate of exchange differs from 1 at least, and what its last digit may be off."""
_MOST_COLUMNS = 10
"""In how many columns of numbers fees are looked for, at most."""
_FEWEST_OF_SHARE, _LARGEST_SHARE = 4, 0.01
"""In how many fills a column has to be the same share of the value, and how large a share, to be
asked about as a fee."""
SMALL = 0.03
"""What fees may be of the traded value, at most, if only their size shows that they are fees."""


def settle_fees(decided: Decided) -> None:
    """Which columns have the fees, and their sign."""
    spec = decided.fields.get("fee") or _small_costs(decided) or _fee_by_amounts(decided)
    if spec is None:
        if not _ask_for_share(decided):
            find_rates(decided)
        return
    _without_the_amount(decided, spec)
    _once_in_amounts(decided, spec)
    if ask_for_tax(decided, spec):
        return
    _with_other_costs(decided, spec)
    _own_currency(decided, spec)
    _settled_abroad(decided, spec)
    turn_cash(decided.kept.contents, spec)
    say_fees(decided, spec, are_negative(decided, spec))


def _without_the_amount(decided: Decided, spec: Spec) -> None:
    """Leave out costs that are the price of the whole fill, beside its fees."""
    contents, fields = decided.kept.contents, decided.fields
    if len(spec.columns) < 2 or not {"quantity", "price"} <= fields.keys():
        return
    quantity, price = (contents.numbers(fields[name].column) for name in ("quantity", "price"))
    for column in list(spec.columns):
        if LEVY.search(known_as(column)):
            continue
        rows = [
            abs(abs(cost) / abs(q * p) - 1) <= SMALL
            for cost, q, p in zip(contents.numbers(column), quantity, price, strict=True)
            if cost and q and p
        ]
        if rows and all(rows):
            spec.columns.remove(column)


def _ask_for_share(decided: Decided) -> bool:
    """Ask for a column of an unknown name whose numbers are the same small share of the value of
    each fill, as a commission is."""
    contents, fields = decided.kept.contents, decided.fields
    if not {"quantity", "price"} <= fields.keys() or fields["price"].keys.get("per_unit"):
        return False
    scale = float(fields["price"].keys.get("scale", 1))
    factors = (contents.numbers(fields[name].column) for name in ("quantity", "price"))
    sizes = [abs(q * p) * scale if q and p else None for q, p in zip(*factors, strict=True)]
    used = decided.used()
    for column in contents.columns:
        if (
            column in used
            or not contents.is_numeric(column)
            or contents.has_percent(column)
            or is_known(column)
            or is_margin(column)
            or LIMIT.search(known_as(column))
        ):
            continue
        numbers = contents.numbers(column)
        rows = [(abs(n or 0.0), size) for n, size in zip(numbers, sizes, strict=True) if size]
        if len(rows) < _FEWEST_OF_SHARE or len({round(n, 4) for n, _ in rows}) < 3:
            continue
        share = sum(n for n, _ in rows) / sum(size for _, size in rows)
        off = 1.2 * half_unit(numbers)
        if 0 < share <= _LARGEST_SHARE and all(
            abs(n - share * size) <= max(off, 0.01 * n) for n, size in rows
        ):
            decided.ask(
                "fee",
                f"Whether {column} is the fee: it is {100 * share:.3g} % of each fill's value.",
                f"{spec_text(Spec([column]))} if it is; remove this line if it is not",
                section="columns",
            )
            return True
    return False


def _once_in_amounts(decided: Decided, spec: Spec) -> None:
    """Leave out fees that are in another column of fees already, such as a tax on them, where an
    amount differs from the value of the fills by the others alone."""
    contents, fields = decided.kept.contents, decided.fields
    if len(spec.columns) < 2 or spec.keys or not {"quantity", "price"} <= fields.keys():
        return
    scale = float(fields["price"].keys.get("scale", 1))
    factors = (contents.numbers(fields[name].column) for name in ("quantity", "price"))
    sizes = [abs(q * p) * scale if q and p else None for q, p in zip(*factors, strict=True)]
    buys = purchases(decided)
    numbers = [contents.numbers(column) for column in spec.columns]
    used = decided.used()
    for paid in contents.columns:
        if paid in used or not contents.is_numeric(paid):
            continue
        amounts = contents.numbers(paid)
        costs = [
            (i, (abs(amount) - size) * (1 if buy else -1))
            for i, (amount, size, buy) in enumerate(zip(amounts, sizes, buys, strict=True))
            if amount and size and buy is not None
        ]
        rounding = 2.4 * half_unit(amounts)
        if len(costs) < 2 or not any(cost > rounding for _, cost in costs):
            continue
        for n in range(len(numbers), 0, -1):
            for chosen in combinations(range(len(numbers)), n):
                if all(
                    abs(cost - sum(abs(numbers[k][i] or 0.0) for k in chosen)) <= rounding
                    for i, cost in costs
                ):
                    spec.columns[:] = [spec.columns[k] for k in chosen]
                    return


def _with_other_costs(decided: Decided, spec: Spec) -> None:
    """Add the columns that with the fees make what an amount is more than the value of purchases,
    and less than that of sales: duties on trades.  A tax on gains has nothing for any purchase."""
    if spec.keys or "fee_currency" in decided.fields:
        return
    contents, buys = decided.kept.contents, purchases(decided)
    known = [
        sum(abs(n or 0.0) for n in row)
        for row in zip(*(contents.numbers(column) for column in spec.columns), strict=True)
    ]
    if (found := _costs_of_amounts(decided, known)) is None:
        return
    chosen, paid = found
    amounts = contents.numbers(paid)
    rows = [list(zip(contents.numbers(column), amounts, buys, strict=True)) for column in chosen]
    if all(
        any(n and buy for n, _, buy in own)
        and all(abs(n or 0.0) <= SMALL * abs(amount or 0.0) for n, amount, _ in own)
        for own in rows
    ):
        spec.columns += chosen
        decided.guessed.append(
            f"{' and '.join(chosen)} is a cost, too: with it {paid} is price × quantity."
        )


def _own_currency(decided: Decided, spec: Spec) -> None:
    """Take the currency behind the fees for theirs, where it is another one than that of the
    prices."""
    contents, fields = decided.kept.contents, decided.fields
    columns = list(contents.columns)
    behind = columns[columns.index(spec.columns[-1]) + 1 :][:1]
    if "fee_currency" in fields or "currency" not in fields or not behind:
        return
    words = {word.strip() for word in contents.words(behind[0])}
    own = {word.strip() for word in contents.words(fields["currency"].column)}
    if words and words <= CURRENCIES and behind[0] not in decided.used() and words != own:
        fields["fee_currency"] = Spec(behind, comment="behind the fees")


def _settled_abroad(decided: Decided, spec: Spec) -> None:
    """Fees in the currency in which a trade was settled, where that is another one than its price
    is in: they are not multiplied by the rate of exchange to make the amount.  Fees that are
    multiplied by it are in the currency of the price."""
    contents, fields = decided.kept.contents, decided.fields
    if not {"currency", "quantity", "price"} <= fields.keys():
        return
    told = fields.get("fee_currency")
    if told is not None and _OF_FEE.search(known_as(told.column)):
        return
    own = contents.cells(fields["currency"].column)
    fees = [
        sum(abs(n or 0.0) for n in row) for row in zip(*fee_numbers(contents, spec), strict=True)
    ]
    factors = zip(
        *(contents.numbers(fields[name].column) for name in ("quantity", "price")),
        purchases(decided),
        strict=True,
    )
    sizes = [(abs(q * p), 1 if buy else -1) if q and p else (0.0, 0) for q, p, buy in factors]
    free = [c for c in contents.columns if c not in decided.used()]
    numeric = [c for c in free if contents.is_numeric(c)][:_MOST_COLUMNS]
    for column in [told.column] if told is not None else free:
        words = {word.strip() for word in contents.words(column)}
        settled = contents.cells(column)
        abroad = [
            i
            for i, (a, b) in enumerate(zip(own, settled, strict=True))
            if a and b and as_text(a).strip() != as_text(b).strip() and fees[i] and sizes[i][0]
        ]
        if not abroad or not words <= CURRENCIES:
            continue
        for rate, paid in permutations(numeric, 2):
            rates, amounts = contents.numbers(rate), contents.numbers(paid)
            if told is not None and all(
                _is_paid(amounts[i], rates[i], sizes[i], fees[i], converted=True) for i in abroad
            ):
                del fields["fee_currency"]
                decided.guessed.append(
                    f"The fees are in the currency of the price: {paid} has them at the {rate}."
                )
                return
            if told is None and all(
                _is_paid(amounts[i], rates[i], sizes[i], fees[i]) for i in abroad
            ):
                fields["fee_currency"] = Spec([column], comment=f"that of {paid}")
                decided.left.append(
                    f"The fees: they are in the currency in {column}, as {paid} shows, so those of"
                    " trades that are priced in another one are left out."
                )
                return


def _is_paid(
    amount: float | None,
    rate: float | None,
    signed_size: tuple[float, int],
    fee: float,
    converted: bool = False,
) -> bool:
    """Whether the amount is the value at the rate and the fee, and the fee is not at that rate; or
    is, if it is `converted`."""
    if not amount or not rate or abs(rate - 1) < _ONE:
        return False
    size, sign = signed_size
    rounding = _RATE * size + 0.011
    rest = abs(amount) - size * rate
    plain, at_rate = abs(rest - sign * fee), abs(rest - sign * fee * rate)
    return at_rate <= rounding < plain if converted else plain <= rounding < at_rate


def _small_costs(decided: Decided) -> Spec | None:
    """A column of costs that are a small part of what was traded in all rows: fees."""
    contents, fields = decided.kept.contents, decided.fields
    if not {"quantity", "price"} <= fields.keys() or fields["price"].keys.get("per_unit"):
        return None
    factors = [contents.numbers(fields[name].column) for name in ("quantity", "price")]
    if "multiplier" in fields:
        factors.append(contents.numbers(fields["multiplier"].column))
    for column in contents.columns:
        if (
            column in decided.used()
            or not _COSTS.fullmatch(known_as(column))
            or not contents.is_numeric(column)
        ):
            continue
        rows = [
            (abs(cost), abs(math.prod(factor for factor in row)))
            for cost, *row in zip(contents.numbers(column), *factors, strict=True)
            if cost is not None and all(row)
        ]
        one_rate = "cost" not in known_as(column) and len({cost for cost, _ in rows}) == 1
        if (
            not one_rate
            and any(cost for cost, _ in rows)
            and all(cost <= SMALL * size for cost, size in rows)
        ):
            fields["fee"] = Spec([column])
            decided.guessed.append(f"{column} is the fee: a small part of what was traded.")
            return fields["fee"]
    return None


def fees_of_another_unit(decided: Decided, spec: Spec) -> None:
    """Fees that are larger than what was traded are no fees in its currency, unless there are
    contracts, which are worth more."""
    contents, fields = decided.kept.contents, decided.fields
    if (
        not {"quantity", "price"} <= fields.keys()
        or {"fee_currency", "gross", "net", "multiplier"} & fields.keys()
        or contents.signs(spec.column)
        or len(fields.get("symbol", Spec([""])).columns) > 1
    ):
        return
    quantity, price = (
        contents.numbers(fields["quantity"].column),
        contents.numbers(fields["price"].column),
    )
    scale = float(fields["price"].keys.get("scale", 1))
    sizes = scale * sum(abs(q * p) for q, p in zip(quantity, price, strict=True) if q and p)
    numbers = [abs(n) for column in spec.columns for n in contents.read_numbers(column)]
    paid = abs(float(spec.keys.get("scale", 1))) * sum(numbers)
    symbols = contents.words(fields["symbol"].column) if "symbol" in fields else {}
    in_coin = sum(abs(q / p) for q, p in zip(quantity, price, strict=True) if q and p)
    if symbols and all(may_be_inverse(s) for s in symbols):
        whole = all(n.is_integer() for c in spec.columns for n in contents.read_numbers(c))
        if whole and paid > in_coin:
            spec.keys["scale"] = float(spec.keys.get("scale", 1)) * 1e-8
            spec.comment = "in hundred-millionths of the coin: whole numbers above what was traded"
            decided.guessed.append(f"{' and '.join(spec.columns)} is in satoshis.")
        return
    if (
        sizes
        and not decided.sections.get("multipliers")
        and paid > sizes
        and not any(is_option(s) or future_of(s) or may_be_inverse(s) for s in symbols)
    ):
        decided.left.append(
            f"What {' and '.join(spec.columns)} is: it exceeds the traded value, so it is not read"
            " as fees."
        )
        del fields["fee"]


def all_in(decided: Decided) -> None:
    """Prices that are amounts over quantities: contract values are in them, and fees may be."""
    fee, amount = decided.fields.pop("fee", None), decided.fields["price"].column
    if fee is None or not any(decided.kept.contents.read_numbers(fee.column)):
        decided.left.append(f"Fees: they are taken to be in {amount}.")
        return
    decided.ask(
        "fee",
        f"Whether {' and '.join(fee.columns)} {'is' if len(fee.columns) == 1 else 'are'} in"
        f" {amount} already.",
        f"{spec_text(fee)} if it is still to be taken off {amount}; remove this line if it is in"
        " it",
        section="columns",
    )


def _fee_by_amounts(decided: Decided) -> Spec | None:
    """Fees, whatever they are called, that an amount and the value of the fills differ by."""
    found = _costs_of_amounts(decided, [0.0] * decided.kept.contents.n_rows)
    if found is None:
        return None
    chosen, paid = found
    decided.fields["fee"] = Spec(chosen)
    decided.guessed.append(
        f"Fees are {' and '.join(chosen)}: with them {paid} is price × quantity."
    )
    return decided.fields["fee"]


def _costs_of_amounts(decided: Decided, known: list[float]) -> tuple[list[str], str] | None:
    """(the columns, whatever they are called, that together with the `known` costs are what another
    one is more than the value of all purchases, and less than that of all sales; that other
    one)."""
    contents, fields = decided.kept.contents, decided.fields
    if not {"quantity", "price"} <= fields.keys() or fields["price"].keys.get("per_unit"):
        return None
    scale = float(fields["price"].keys.get("scale", 1))
    sizes = [
        abs(q * p) * scale if q and p else None
        for q, p in zip(
            contents.numbers(fields["quantity"].column),
            contents.numbers(fields["price"].column),
            strict=True,
        )
    ]
    buys = purchases(decided)
    used = decided.used()
    columns = [
        column
        for column in contents.columns
        if column not in used
        and contents.is_numeric(column)
        and not LIMIT.search(known_as(column))
        and contents.time(column) is None
    ]
    numbers = {column: contents.numbers(column) for column in columns[:_MOST_COLUMNS]}
    profits = profits_of(contents) if any(known) else []
    for paid in numbers:
        rounding = 2.4 * half_unit(numbers[paid])
        costs = [
            (i, (abs(amount) - size) * (1 if buy else -1) - known[i])
            for i, (amount, size, buy) in enumerate(zip(numbers[paid], sizes, buys, strict=True))
            if amount and size and buy is not None
        ]
        if len(costs) < 2 or sum(cost > rounding for _, cost in costs) * 2 < len(costs):
            continue
        others = [column for column in numbers if column != paid and column not in profits]
        for n in (1, 2, 3):
            for chosen in combinations(others, n):
                if all(any(numbers[column]) for column in chosen) and all(
                    abs(cost - sum(abs(numbers[column][i] or 0.0) for column in chosen)) <= rounding
                    for i, cost in costs
                ):
                    return list(chosen), paid
    return None
