"""Fills: infer contract values and fees from amounts and realised profits, whether a sale of more
than is held is a short, and questions.

May touch: nothing.
"""

from __future__ import annotations

import re
import statistics
from collections import defaultdict

from app.sources.cells import HUNDREDTHS, Cells, as_text
from app.sources.column_names import NAMES, currency_in, is_in_points, known_as
from app.sources.drafting import simulate
from app.sources.drafting.adding_amounts import Amount
from app.sources.drafting.adding_up import CENT, NICE, nice
from app.sources.drafting.contracts import (
    ask_by_class,
    ask_by_code,
    ask_contract_values,
    ask_for_lots,
    ask_inverse,
    escaped,
)
from app.sources.drafting.decided import Decided
from app.sources.drafting.dollars import ASSUMED
from app.sources.drafting.fee_coins import name_fees_abroad, settle_fee_coins
from app.sources.drafting.fee_columns import drop_fees_abroad
from app.sources.drafting.fill_amounts import (
    converted_amounts,
    drop_doubled_multiplier,
    read_amount,
)
from app.sources.drafting.fill_fees import (
    all_in,
    fees_of_another_unit,
    settle_fees,
)
from app.sources.drafting.fill_rows import fee_amounts, purchases
from app.sources.drafting.net_prices import settle_net_prices
from app.sources.drafting.other_profits import compare_profits
from app.sources.drafting.quantities import coin_of_amounts, not_the_amount, quantity_in_coins
from app.sources.drafting.shorts import settle_shorts
from app.sources.drafting.smallest_units import in_base_units, in_smallest_units
from app.sources.drafting.spec import Spec
from app.sources.drafting.split_rows import settle_splits
from app.sources.drafting.symbol_columns import OUTCOMES
from app.sources.glued_names import spaced
from app.sources.making import US_DOLLARS
from app.sources.mapping import OPEN_QUESTION
from app.sources.pairs import is_crypto, may_be_inverse, pair_of, settled_in

_ALIKE = 1.1
"""By which factor amounts after fees may differ, as multiples of price × quantity."""
_ACCRUED = re.compile(
    r"accrued|stückzins|rateo|intérêts_courus|cup[oó]n_corrido|нкд|経過利子|경과이자|应计利息|應計利息"
)
"""Of interest on bonds that the buyer pays to the seller."""
_CENTS = re.compile(r"(?i:(^|[^a-z])(us)?cents?\)?$)|\([¢c]\)|¢$")
_RANDS = re.compile(r"(value|cost|amount|net|gross|brokerage|charges|proceeds|fees?)\W*\(R\)", re.I)
"""Of an amount in South African rands, and no multiple of a risk."""
_PENCE = re.compile(r"\((p|pence|gbx)\)|gbx", re.IGNORECASE)
_PROFIT = re.compile("profit|pnl|gain|result")
_SYMBOL_LINE = re.compile(
    r"\b(?:symbol|instrument|ticker)\s*(?:[:;,= ]\s*(\S+)$|[:=]\s*([A-Z0-9@#/!._-]+)[,;\s])",
    re.IGNORECASE,
)


def settle(decided: Decided) -> None:
    """Decide what the rows show; ask about the rest."""
    contents, fields = decided.kept.contents, decided.fields
    quantity_in_coins(decided)
    coin_of_amounts(decided)
    in_base_units(decided)
    _in_pounds(decided)
    _in_percent(decided)
    not_the_amount(decided, "quantity", "price")
    not_the_amount(decided, "price", "quantity")
    named = [m[1] or m[2] for text in contents.texts if (m := _SYMBOL_LINE.search(text))]
    if "symbol" not in fields and len(named) == 1:
        decided.sections.setdefault("constants", {})["symbol"] = (named[0], "by a line of the file")
        decided.guessed.append(f"What was traded is {named[0]}, by a line of the file.")
    elif "symbol" not in fields and decided.two_rows:
        decided.sections.setdefault("constants", {})["symbol"] = (
            "none",
            "no column says what was traded",
        )
        decided.left.append("What was traded: no column says, so all fills belong to one symbol.")
        _ask_for_points(decided)
    elif "symbol" not in fields:
        question = (
            "What was traded: no column says, and fills of several instruments would be merged."
        )
        decided.ask(
            "symbol",
            question,
            "the name of the only instrument; or name the column in [columns].  Futures and options"
            " need [multipliers] too",
            section="constants",
        )
    drop_fees_abroad(decided, "fee")
    settle_fees(decided)
    if not in_smallest_units(decided):
        _settle_amounts(decided)
        settle_fee_coins(decided)
        name_fees_abroad(decided)
    settle_net_prices(decided)
    _name_accrued(decided)
    settle_splits(decided)
    compare_profits(decided)
    if fields.get("side", Spec([""])).column != OPEN_QUESTION:
        settle_shorts(decided)


def _ask_for_points(decided: Decided) -> None:
    """Ask what a point is worth where profits are in points, and nothing says what was traded."""
    contents = decided.kept.contents
    profits = [
        column
        for column in contents.columns
        if is_in_points(column)
        and contents.is_numeric(column)
        and ({known_as(column)} & {*NAMES["pnl_usd"]} or _PROFIT.search(known_as(column)))
    ]
    if profits:
        decided.ask(
            "*",
            f"What a point is worth: {profits[0]} is in points, and no column says what was"
            " traded.",
            "money per point and unit; 1 for shares",
            section="multipliers",
        )


def _settle_amounts(decided: Decided) -> None:
    """Contract values and fees by the amounts and the profits of the fills."""
    contents, fields = decided.kept.contents, decided.fields
    if "price" in fields and fields["price"].keys.get("per_unit"):
        all_in(decided)
    elif {"quantity", "price"} <= fields.keys():
        amount = read_amount(decided)
        if (
            amount is not None
            and "multiplier" in fields
            and any(n != 1 for n in contents.read_numbers(fields["multiplier"].column))
        ):
            drop_doubled_multiplier(decided, amount)
        coins = _paid_in_coins(decided) if "inverse" not in decided.keys else []
        if not coins or not _inverse_profits(decided, coins):
            if "multiplier" not in fields:
                _realized_values(decided, amount)
            _inverse(decided, coins)
        if "fee" in fields:
            fees_of_another_unit(decided, fields["fee"])


def _name_accrued(decided: Decided) -> None:
    """Name interest on bonds that is in no amount that is read."""
    contents = decided.kept.contents
    columns = [
        column
        for column in contents.columns
        if _ACCRUED.search(known_as(column))
        and column not in decided.used()
        and any(contents.read_numbers(column))
    ]
    unread = "net" not in decided.fields or "fee" in decided.fields
    if columns and unread and not _paid_with(decided, columns) and "net" not in decided.fields:
        decided.left.append(
            f"{' and '.join(columns)}: interest that was paid and received with the price of a bond"
            " is not counted."
        )


def _paid_with(decided: Decided, accrued: list[str]) -> bool:
    """Whether another column is the value with the interest, and after fees: then that is read."""
    contents, fields = decided.kept.contents, decided.fields
    if not {"quantity", "price"} <= fields.keys() or "fee_currency" in fields:
        return False
    scale = float(fields["price"].keys.get("scale", 1))
    sizes = [
        q * p * scale if q and p else None
        for q, p in zip(
            contents.numbers(fields["quantity"].column),
            contents.numbers(fields["price"].column),
            strict=True,
        )
    ]
    values = contents.numbers(fields["gross"].column) if "gross" in fields else sizes
    interest = [
        sum(abs(n or 0.0) for n in row) for row in zip(*map(contents.numbers, accrued), strict=True)
    ]
    costs = zip(fee_amounts(decided), purchases(decided), strict=True)
    rows_of_costs = list(costs)
    for share in (1.0, 0.01):  # Prices of bonds are in percent.
        expected = [
            abs(value) * share + own + (abs(fee) if buy else -abs(fee)) if value else None
            for value, own, (fee, buy) in zip(values, interest, rows_of_costs, strict=True)
        ]
        if _read_with(decided, accrued, expected):
            return True
    return False


def _read_with(decided: Decided, accrued: list[str], expected: list[float | None]) -> bool:
    """Read the amounts that are as expected: with the interest and after fees."""
    contents, fields = decided.kept.contents, decided.fields
    for column in contents.columns:
        if known_as(column) not in (*NAMES["net"], *NAMES["gross"]) or column in accrued:
            continue
        rows = list(zip(contents.numbers(column), expected, strict=True))
        if all(n and e and abs(abs(n) - e) <= CENT for n, e in rows):
            fields.pop("fee", None)
            fields["net"] = Spec([column], comment="cash, with the interest and after fees")
            decided.guessed.append(
                f"{column} is read: it has the interest ({' and '.join(accrued)}), too."
            )
            return True
    return False


def _in_pounds(decided: Decided) -> None:
    """Prices that are in pence, and amounts that are in cents, by their columns' names."""
    contents = decided.kept.contents
    for name in ("price", "fee"):
        own = decided.fields.get(name)
        if own is not None and all(_CENTS.search(spaced(column)) for column in own.columns):
            own.keys["scale"], own.comment = 0.01, "cents"
            decided.guessed.append(f"{' and '.join(own.columns)} is in cents.")
            rands = name == "price" and any(map(_RANDS.search, contents.columns))
            if rands and ASSUMED in decided.left:
                decided.left.remove(ASSUMED)
                decided.keys["currency"] = ("ZAR", "prices are in cents, amounts in rands (R)")
                decided.guessed.append("The currency is ZAR, as amounts are in R.")
    spec = decided.fields.get("price")
    if spec is not None and _PENCE.search(spaced(spec.column)):
        spec.keys["scale"], spec.comment = 0.01, "pence"
        decided.keys["currency"] = ("GBP", "prices are in pence")
        decided.guessed.append(f"{spec.column} is in pence: the currency is GBP.")


def _in_percent(decided: Decided) -> None:
    """Prices that are in percent of the nominal value by their column's name, as those of bonds."""
    spec = decided.fields.get("price")
    if spec is not None and known_as(spec.column).endswith("_pct"):
        spec.keys["scale"], spec.comment = 0.01, "percent of the nominal value"
        decided.guessed.append(f"{spec.column} is in percent of the nominal value.")


def _realized_values(decided: Decided, amount: Amount | None) -> None:
    """Contract values by the profits that the table says its closing fills have made; options and
    futures of which neither they nor the amounts tell any are asked about."""
    contents, fields = decided.kept.contents, decided.fields
    columns = [
        c
        for c in contents.columns
        if c not in decided.used()
        and known_as(c) in NAMES["pnl_usd"]
        and contents.is_numeric(c)
        and any(contents.read_numbers(c))
        and not is_in_points(c)
        and not _in_another_currency(decided, c)
        and not _are_amounts(decided, c)
    ]
    columns.sort(key=lambda column: not _gives_usual_values(decided, column))
    if columns and converted_amounts(decided):
        columns = []  # Profits are in the currency of the amounts, at rates of exchange.
    if columns and not contents.has_percent(columns[0]):
        values = _by_profits(decided, columns[0])
        if values is not None and not any(_is_rate(*one) for one in values.items()):
            told = amount.values if amount else {}
            values = _in_pence(decided, values)
            values = {name: value for name, value in values.items() if name not in told}
            if decided.two_rows:
                fields["pnl_usd"] = Spec(
                    [columns[0]],
                    comment="from the exit's row; fees without a column are deducted from it",
                )
                decided.guessed.append(f"The profit of a trade is {columns[0]} in its exit's row.")
            if any(value != 1 for value in values.values()):
                for name, value in values.items():
                    key = "*" if len(set(values.values())) == 1 and not told else escaped(name)
                    decided.sections.setdefault("multipliers", {})[key] = (
                        value,
                        f"so that {columns[0]} agrees with the prices",
                    )
                decided.guessed.append(
                    f"Contract values follow from {columns[0]}:"
                    f" {', '.join(f'{n} {v:g}' for n, v in list(values.items())[:6])}."
                )
            elif not told:
                decided.guessed.append(
                    f"No contract size applies: {columns[0]} is what prices and quantities give."
                )
            _ask_the_rest(decided, {*told, *values})
            return
    _ask_the_rest(decided, set(amount.values) if amount else set())


def _gives_usual_values(decided: Decided, column: str) -> bool:
    """Whether contract values that follow from these profits are usual ones, and not such as result
    where costs are in the profits."""
    values = _by_profits(decided, column)
    return values is not None and all(nice(value) in NICE for value in values.values())


def _are_amounts(decided: Decided, column: str) -> bool:
    """Whether each fill has a number, always about the same multiple of price × quantity: what was
    paid and received, whatever it is called."""
    contents, fields = decided.kept.contents, decided.fields
    columns = [column, fields["quantity"].column, fields["price"].column]
    rows = list(zip(*map(contents.numbers, columns), strict=True))
    shares = [abs(amount / (q * p)) for amount, q, p in rows if amount and q and p]
    return (
        len(rows) > 1
        and len(shares) == len(rows)
        and min(shares) > 0.5
        and max(shares) < _ALIKE * min(shares)
    )


def _in_another_currency(decided: Decided, column: str) -> bool:
    """Whether profits are in another currency than the pairs are priced in, by the column's
    name."""
    spec, named = decided.fields.get("symbol"), currency_in(column)
    if spec is None or named is None or len(spec.columns) > 1:
        return False
    pairs = [pair_of(word) for word in decided.kept.contents.words(spec.column)]
    same = US_DOLLARS if named in US_DOLLARS else frozenset({named})
    return bool(pairs) and all(pair and not same & {*pair} for pair in pairs)


def _is_rate(symbol: str, value: float) -> bool:
    """Whether what a pair of coins would be worth is no contract's value, but a rate between
    currencies."""
    return is_crypto(symbol) and nice(value) not in NICE


def _in_pence(decided: Decided, values: dict[str, float]) -> dict[str, float]:
    """The values, 1 where a hundredth only turns pence into pounds: profits stay in pence."""
    contents, fields = decided.kept.contents, decided.fields
    if "currency" not in fields or "symbol" not in fields:
        return values
    pence = {
        as_text(symbol)
        for symbol, currency in zip(
            contents.cells(fields["symbol"].column),
            contents.cells(fields["currency"].column),
            strict=True,
        )
        if symbol is not None and currency is not None and as_text(currency) in HUNDREDTHS
    }
    return {name: 1 if name in pence and v == 0.01 else v for name, v in values.items()}


def _ask_the_rest(decided: Decided, told: set[str]) -> None:
    """Ask for the contract values of options and futures that are not among those told."""
    contents, fields = decided.kept.contents, decided.fields
    if "symbol" not in fields or "none" in told:
        return
    names = [
        name
        for name in contents.words(fields["symbol"].column)
        if not any(name in one for one in told)
    ]
    if not names or (told and len(fields["symbol"].columns) > 1):
        return
    if "symbol" in fields and (
        len(fields["symbol"].columns) > 1 or "option" in fields["symbol"].keys
    ):
        mapping = simulate.mapping_of(decided)
        if mapping is not None:
            names = sorted({str(Cells(mapping).symbol(row.cells)) for row in contents.rows})
            names = [
                name for name in names if not any(one in name or name in one for one in told if one)
            ]
    last = {word.strip().lower() for word in contents.words(fields["symbol"].columns[-1])}
    parts = len(fields["symbol"].columns) > 1 and not any(last <= {*pair} for pair in OUTCOMES)
    ask_contract_values(decided, names)
    ask_by_code(decided, names)
    ask_by_class(decided, names)
    ask_for_lots(decided, told)
    if parts and not told and not decided.sections.get("multipliers"):
        _ask_for_futures(decided, names)
        decided.ask(
            "* *",
            "How many units an option contract covers (most cover 100 shares): the file does not"
            " say.",
            "units per contract; 100 for most options on shares",
            section="multipliers",
        )


def _ask_for_futures(decided: Decided, names: list[str]) -> None:
    """Ask for what futures are worth that are among options of several columns: they have fewer
    parts, as they have no strike."""
    spec = decided.fields["symbol"]
    contents = decided.kept.contents
    parts = [contents.cells(column) for column in spec.columns]
    whole = {as_text(row[0]) for row in zip(*parts, strict=True) if row[0] and None not in row}
    fewer = {as_text(row[0]) for row in zip(*parts, strict=True) if row[0] and None in row[1:]}
    for root in sorted(fewer - whole) if whole else ():
        if any(name.startswith(f"{root} ") for name in names):
            decided.ask(
                f"{escaped(root)} *",
                f"What a point of {root} is worth per contract: the file does not say.",
                "money per point and contract; 1 if quantities are units",
                section="multipliers",
            )


def _by_profits(decided: Decided, column: str) -> dict[str, float] | None:
    """Contract value by symbol, None where the profits are explained by none."""
    tried = simulate.fills(decided, "yes")
    numbers = {
        id(row.cells): n
        for row, n in zip(
            decided.kept.contents.rows, decided.kept.contents.numbers(column), strict=True
        )
    }
    ratios: dict[str, list[float]] = defaultdict(list)
    for position in tried.closed:
        steps = {id(step.fill.row): step for step in position.steps if step.realized is not None}
        said = [numbers.get(key) for key in steps]
        if decided.two_rows and not any(n is not None for n in said):
            said = [
                numbers.get(id(step.fill.row)) for step in position.steps if step.realized is None
            ]
        made = float(
            sum(step.realized + step.fee for step in steps.values() if step.realized is not None)
        )
        made += float(sum(step.fee for step in position.steps if step.realized is None))
        if None not in said and made and any(said):
            ratios[str(position.steps[0].fill.book[1])].append(
                sum(n for n in said if n is not None) / made
            )
    if not ratios:
        return None
    values = {}
    for name, own in ratios.items():
        middle = statistics.median(own)
        value = nice(middle) or (
            min((1, 100, 10, 50, 20, 5, 2, 0.5, 1000, 0.1, 0.01), key=lambda v: abs(v - middle) / v)
            if middle > 0
            else None
        )
        if (
            value is None
            or abs(value - middle) > 0.2 * value
            or sum(abs(r - middle) <= 0.25 * middle for r in own) * 2 < len(own)
        ):
            return None
        values[name] = value
    return values


def _paid_in_coins(decided: Decided) -> list[str]:
    """The pairs whose fees are in the coin of the pair for purchases and sales alike, if quantities
    are whole: contracts that are settled in their coin."""
    contents, fields = decided.kept.contents, decided.fields
    if not {"symbol", "fee", "fee_currency"} <= fields.keys() or len(fields["symbol"].columns) > 1:
        return []
    whole = all(n.is_integer() for n in contents.read_numbers(fields["quantity"].column))
    sides: set[bool | None] = set()
    for symbol, coin, buy in zip(
        contents.cells(fields["symbol"].column),
        contents.cells(fields["fee_currency"].column),
        purchases(decided),
        strict=True,
    ):
        pair = pair_of(as_text(symbol or ""))
        if pair is None or pair[1] != "USD" or as_text(coin or "").upper() != pair[0]:
            return []
        sides.add(buy)
    return sorted(contents.words(fields["symbol"].column)) if whole and len(sides) > 1 else []


def _inverse(decided: Decided, coins: list[str]) -> None:
    spec = decided.fields.get("symbol")
    if spec is None or "inverse" in decided.keys:
        return
    if decided.fields["quantity"].column == OPEN_QUESTION:
        return
    found = [
        symbol
        for symbol in decided.kept.contents.words(spec.column)
        if symbol in coins or may_be_inverse(symbol)
    ]
    if not found:
        return
    contents = decided.kept.contents
    whole = all(
        float(n).is_integer() for n in contents.read_numbers(decided.fields["quantity"].column)
    )
    if not whole and not all(map(settled_in, found)):
        return  # Contracts of dollars are whole ones.
    if _inverse_profits(decided, found):
        return
    ask_inverse(decided, found)


def _inverse_profits(decided: Decided, symbols: list[str]) -> bool:
    """Whether the table's profits are those of inverse contracts: then there is nothing to ask."""
    columns = [
        c
        for c in decided.kept.contents.columns
        if known_as(c) in NAMES["pnl_usd"] and decided.kept.contents.is_numeric(c)
    ]
    for column in columns:
        decided.keys["inverse"] = (
            sorted(symbols),
            (
                f"counted in dollars and settled in the coin, so that {column} agrees with the"
                " prices"
            ),
        )
        values = _by_profits(decided, column)
        if (
            values
            and set(symbols) <= values.keys()
            and all(nice(value) for value in values.values())
        ):
            for symbol in symbols:
                decided.sections.setdefault("multipliers", {})[symbol] = (
                    values[symbol],
                    "dollars per contract",
                )
            decided.guessed.append(
                f"The contracts are inverse, settled in their coin: only then does {column} agree"
                " with the prices."
            )
            if len(symbols) == len(values):
                decided.left[:] = [said for said in decided.left if said != ASSUMED]
            return True
        del decided.keys["inverse"]
    return False
