"""Amounts of fills that may be in another currency than their prices.

May touch: nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence

from app.sources.column_names import NAMES, currency_in, known_as
from app.sources.drafting.adding_up import MOST
from app.sources.drafting.compared import EXACT, Compared, Contradiction, near
from app.sources.drafting.fill_amounts import are_at_rates
from app.sources.drafting.outcomes import Outcome
from app.sources.pairs import pair_of
from app.sources.value_names import is_balance

_NAMES = frozenset((*NAMES["gross"], *NAMES["net"]))
_DAILY, _SAME_RATE = 0.03, 0.0005
"""By which share rates of exchange of several days differ at most, and contract values do not."""
_OTHERWISE = frozenset(("per_unit", "money", "part", "inverse"))
"""Keys of a mapping by which amounts are no plain products of prices and quantities."""


def by_foreign_amounts(compared: Compared) -> Iterator[Contradiction]:
    """Amounts that are always about the same multiple of price × quantity, and nothing says why."""
    found = compared.found
    if (
        compared.kind != "fills"
        or {"gross", "net", "multiplier"} & compared.fields
        or _OTHERWISE & compared.keys
        or any(own.value not in (None, 1.0) for own in found)
        or all(pair_of(own.symbol) for own in found if own.symbol)
    ):
        return
    sizes = [abs(own.quantity * own.entry) if own.entry else None for own in found]
    columns = {column: compared.contents.numbers(column) for column in compared.unread_numbers()}
    if any(_confirms(numbers, sizes) for numbers in columns.values()):
        return
    amounts = {
        column: numbers
        for column, numbers in columns.items()
        if {known_as(column), known_as(column).removeprefix("quote_")} & _NAMES
    }
    yield from _in_other_units(columns, amounts.keys(), found)
    rates = [numbers for column, numbers in columns.items() if column not in amounts]
    currencies = {own.currency for own in found if own.symbol}
    for column, numbers in amounts.items():
        rows = [
            (i, abs(n) / s, s)
            for i, (n, s) in enumerate(zip(numbers, sizes, strict=True))
            if n and s
        ]
        if (
            any(are_at_rates(numbers, sizes, rate) for rate in rates)
            or is_balance(column)
            or len(rows) < 2
            or {currency_in(column) or ""} - {"", *currencies}
            or len({round(size, 4) for *_, size in rows}) < 2
        ):
            continue
        ratios = [ratio for _, ratio, _ in rows]
        middle = statistics.median(ratios)
        alike = all(abs(ratio / middle - 1) <= _DAILY for ratio in ratios)
        if alike and abs(middle - 1) > _DAILY and max(ratios) - min(ratios) > _SAME_RATE * middle:
            yield Contradiction(
                f"Whether prices are in the currency of {column}: it is about {middle:.4g} times"
                " price × quantity.",
                tuple(i for i, *_ in rows),
            )
            return


def _in_other_units(
    columns: Mapping[str, Sequence[float | None]], but: Collection[str], found: Sequence[Outcome]
) -> Iterator[Contradiction]:
    """Amounts, whatever their column is called, that are a power of ten times price × quantity, but
    for costs, and have the sign of what was paid or received: prices are in hundredths, or
    quantities in contracts."""
    for column, numbers in columns.items():
        rows = [
            (i, n / (-own.quantity * own.entry))
            for i, (n, own) in enumerate(zip(numbers, found, strict=True))
            if n and own.quantity and own.entry
        ]
        if (
            column in but
            or len(rows) < max(2, sum(bool(own.quantity) for own in found))
            or is_balance(column)
            or known_as(column) in NAMES["pnl_usd"]
        ):
            continue
        power = round(math.log10(abs(rows[0][1])))
        if power and all(ratio > 0 and near(ratio, 10.0**power, _DAILY) for _, ratio in rows):
            yield Contradiction(
                f"Whether prices, and what a unit is worth, are read rightly: {column} is about"
                f" {10.0**power:g} times price × quantity.  If prices are in hundredths, give their"
                " column a scale; if a contract has several units, name them in [multipliers].",
                tuple(i for i, _ in rows),
            )
            return


def _confirms(numbers: Sequence[float | None], sizes: Sequence[float | None]) -> bool:
    """Whether nearly all rows have an amount that is price × quantity."""
    known = [(n, size) for n, size in zip(numbers, sizes, strict=True) if size]
    same = sum(n is not None and near(abs(n), size or 0.0, EXACT) for n, size in known)
    return same >= max(1, MOST * len(known))
