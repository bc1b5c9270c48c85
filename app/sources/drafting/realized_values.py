"""Fills: contract values by the profits that the table has for its closing fills, and questions
about the others.

May touch: nothing.
"""

from __future__ import annotations

import statistics
from collections import defaultdict

from app.sources.cells import HUNDREDTHS, Cells, as_text
from app.sources.column_names import NAMES, currency_in, is_in_points, known_as
from app.sources.drafting import simulate
from app.sources.drafting.adding_amounts import Amount
from app.sources.drafting.adding_up import NICE, nice
from app.sources.drafting.contracts import (
    ask_by_class,
    ask_by_code,
    ask_contract_values,
    ask_for_lots,
    escaped,
)
from app.sources.drafting.decided import Decided
from app.sources.drafting.fill_amounts import converted_amounts
from app.sources.drafting.spec import Spec
from app.sources.drafting.symbol_columns import OUTCOMES
from app.sources.making import US_DOLLARS
from app.sources.pairs import is_crypto, pair_of

_ALIKE = 1.1
"""By which factor amounts after fees may differ, as multiples of price × quantity."""


def settle_realized_values(decided: Decided, amount: Amount | None) -> None:
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
        values = values_by_profits(decided, columns[0])
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
    values = values_by_profits(decided, column)
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


def values_by_profits(decided: Decided, column: str) -> dict[str, float] | None:
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
