"""Contracts whose amounts are in the smallest unit of the currency that they are settled in: the
amounts tell which of them are inverse, and what a unit of the others is worth.

May touch: nothing.
"""

from __future__ import annotations

import math
import statistics

from app.sources.cells import as_text
from app.sources.column_names import currency_in, known_as
from app.sources.currencies import SMALLEST
from app.sources.drafting.contracts import escaped
from app.sources.drafting.decided import Decided
from app.sources.drafting.fill_rows import symbol_of
from app.sources.drafting.spec import Spec

_COST = "exec_cost"
_SETTLED = ("settl_currency", "settle_currency", "settlement_currency")
_SATOSHIS = "XBt"
"""What amounts are in where no column says it."""
_NEARLY = 1e-6
BASE_UNIT = 1e-18
_HUGE = 1e12
"""What is no price or quantity in whole units."""
_SAID = ("Currencies are in ", "The currency is ")
"""What was said of the currency before."""


def in_smallest_units(decided: Decided) -> bool:
    """Write the contract values, which contracts are inverse, and the currencies, where all amounts
    show them."""
    contents, fields = decided.kept.contents, decided.fields
    by_name = {known_as(column): column for column in reversed(contents.columns)}
    if _COST not in by_name or not {"symbol", "quantity", "price"} <= fields.keys():
        return False
    settled = next((by_name[name] for name in _SETTLED if name in by_name), None)
    units = [
        _SATOSHIS if cell is None else as_text(cell)
        for cell in (contents.cells(settled) if settled else [None] * contents.n_rows)
    ]
    rows: dict[str, list[tuple[float, float, float]]] = {}
    columns = [contents.numbers(c) for c in (by_name[_COST], fields["quantity"].column)]
    for i, (cost, quantity, price, unit) in enumerate(
        zip(*columns, contents.numbers(fields["price"].column), units, strict=True)
    ):
        if cost and quantity and price:
            if unit not in SMALLEST or not cost.is_integer():
                return False
            paid = abs(cost) / 10 ** SMALLEST[unit][1]
            own = (paid / abs(quantity), abs(price), 1 / abs(cost))
            rows.setdefault(symbol_of(decided, i), []).append(own)
    values: dict[str, tuple[float, bool]] = {}
    for symbol, amounts in rows.items():
        linear = _round_value([(paid / price, off) for paid, price, off in amounts])
        inverse = _round_value([(paid * price, off) for paid, price, off in amounts])
        if (linear is None) == (inverse is None):
            return False
        values[symbol] = (linear or inverse or 0.0, inverse is not None)
    if not values:
        return False
    _write(decided, values, by_name[_COST], settled)
    return True


def _round_value(ratios: list[tuple[float, float]]) -> float | None:
    """1, 2 or 5 times a power of ten that all the ratios are, but for what each may be off."""
    middle = statistics.median(ratio for ratio, _ in ratios)
    power = 10.0 ** math.floor(math.log10(middle))
    value = min((power * n for n in (1, 2, 5, 10)), key=lambda n: abs(n - middle))
    if all(abs(ratio / value - 1) <= _NEARLY + 1.5 * off for ratio, off in ratios):
        return float(f"{value:.6g}")
    return None


def _write(
    decided: Decided, values: dict[str, tuple[float, bool]], cost: str, settled: str | None
) -> None:
    fields = decided.fields
    inverse = sorted(symbol for symbol, (_, is_inverse) in values.items() if is_inverse)
    why = f"by {cost}, which is in the smallest unit of what they are settled in"
    decided.keys["inverse"] = (inverse, why)
    section = decided.sections.setdefault("multipliers", {})
    for symbol, (value, is_inverse) in values.items():
        section[escaped(symbol)] = (value, "dollars per contract" if is_inverse else "")
    if settled is None:
        decided.keys["currency"] = (SMALLEST[_SATOSHIS][0], why)
    else:
        fields["currency"] = Spec([settled], comment="what the contracts are settled in")
        decided.keys.pop("currency", None)
    fee = fields.get("fee")
    if fee is not None:
        fee.keys["smallest"] = True
        fee.comment = "in the smallest unit of its currency"
        if settled is None:
            decided.sections.setdefault("constants", {})["fee_currency"] = (_SATOSHIS, "")
        else:
            fields["fee_currency"] = Spec([settled])
    decided.guessed[:] = [said for said in decided.guessed if not said.startswith(_SAID)]
    shown = ", ".join(f"{symbol} {value:g}" for symbol, (value, _) in list(values.items())[:6])
    decided.guessed.append(
        f"Contract values follow from {cost}: {shown}"
        + (f"; {', '.join(inverse[:6])} inverse, settled in the coin." if inverse else ".")
    )


def in_base_units(decided: Decided) -> None:
    """Scale prices, quantities and fees that are whole numbers of 10^-18, as blockchains keep
    them."""
    contents, fields = decided.kept.contents, decided.fields
    huge = [
        name
        for name in ("price", "quantity", "fee")
        if name in fields
        and (
            numbers := [abs(n) for c in fields[name].columns for n in contents.read_numbers(c) if n]
        )
        and all(n.is_integer() for n in numbers)
        and statistics.median(numbers) >= _HUGE
    ]
    if {"price", "quantity"} <= {*huge}:
        for name in huge:
            fields[name].keys["scale"] = BASE_UNIT
            fields[name].comment = "whole numbers of 10^-18"
        columns = " and ".join(fields[name].column for name in huge)
        decided.guessed.append(f"{columns} are whole numbers of 10^-18, as blockchains keep them.")


def profits_in_satoshis(decided: Decided) -> None:
    """Profits and fees of positions that are in satoshis by their column's name are read in
    bitcoins."""
    spec = decided.fields.get("pnl_usd")
    if spec is None:
        return
    if _SATOSHIS not in spec.column and not (currency_in(spec.column) or "").startswith("SAT"):
        return
    unit, decimals = SMALLEST[_SATOSHIS]
    for name in ("pnl_usd", "fees_usd"):
        if name in decided.fields:
            own = decided.fields[name]
            own.keys["scale"], own.comment = 10.0**-decimals, "satoshis"
    decided.keys["currency"] = (unit, "profits are in satoshis")
    decided.guessed.append(f"{spec.column} is in satoshis: the currency is {unit}.")
