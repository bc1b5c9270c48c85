"""Which column of amounts of fills adds up: price × quantity × contract value, less fees or not.

May touch: nothing.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.sources.drafting.adding_up import MOST, half_unit, nice

_TELLING = 0.1
"""What the rounding of an amount may be of it, at most, for it to tell anything."""
_FLAT_FEE = 25
"""What a fee may be that is the same for small trades as for large ones."""
_SMALL_FEE, _PART_OF_SMALL = 2.5, 0.25
"""What is missing in an amount or beyond it may be, of either sign, and as a share of the value."""
_MOST_COST, _MOST_ROUNDING, _MOST_OF_CONTRACT = 0.05, 0.015, 0.002
"""Which share of the value costs (or the interest of bonds) are at most, and by what share less may
be paid because prices are rounded, and where they are those of contracts: more would be a rate of
exchange."""


@dataclass
class Amount:
    """Which column has the amount of fills, whether fees are taken off it (`net`), whether it is
    what price times quantity gives (then every contract value is 1), and what else the rows say."""

    column: str = ""
    kind: str = ""
    plain: bool = False
    values: dict[str, float] = field(default_factory=dict)


def read_amounts(
    columns: Sequence[tuple[str, Sequence[float | None]]],
    names: Sequence[str],
    sizes: Sequence[float | None],
    fees: Sequence[float],
    buys: Sequence[bool | None],
) -> Amount | None:
    """The column that is price × quantity × contract value, before or after fees; `sizes` are price
    × quantity, without sign.

    None where no column is one.
    """
    best: tuple[float, int, Amount] | None = None
    for rank, (column, numbers) in enumerate(columns):
        for kind in ("gross", "net"):
            if kind == "net" and not any(fees):
                continue
            share, values = _amount_share(numbers, names, sizes, fees, buys, kind)
            if share >= MOST and (best is None or share > best[0] + 1e-9):
                best = (
                    share,
                    rank,
                    Amount(column, kind, all(v == 1 for v in values.values()), values),
                )
    if best is not None:
        return best[2]
    for column, numbers in columns:
        share, values = _nearly(numbers, names, sizes, buys)
        if share >= MOST:
            return Amount(column, "net", all(v == 1 for v in values.values()), values)
    return None


def _amount_share(
    numbers: Sequence[float | None],
    names: Sequence[str],
    sizes: Sequence[float | None],
    fees: Sequence[float],
    buys: Sequence[bool | None],
    kind: str,
) -> tuple[float, dict[str, float]]:
    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    rounding = half_unit(numbers)
    for number, name, size, fee, buy in zip(numbers, names, sizes, fees, buys, strict=True):
        if number is None or not size or not number:
            continue
        paid = abs(number)
        if rounding > _TELLING * paid:
            continue
        if kind == "net":
            paid += -abs(fee) if buy else abs(fee)
        rows[name].append((paid, size))
    n = sum(len(own) for own in rows.values())
    good, values = 0, {}
    for name, own in rows.items():
        middle = statistics.median(paid / size for paid, size in own)
        value = nice(middle) or float(f"{middle:.5g}")
        close = sum(
            abs(paid - value * size) <= max(1.2 * rounding, paid * 1e-4) for paid, size in own
        )
        # One row explains itself with any value, so only a usual one counts; and no contract has
        # nearly one unit: that is a rate of exchange.
        if nice(middle) is None and (len(set(own)) == 1 or 0.2 < middle < 5):
            close = 0
        good += close
        values[name] = value
    return (good / n if n else 0.0), values


def _nearly(
    numbers: Sequence[float | None],
    names: Sequence[str],
    sizes: Sequence[float | None],
    buys: Sequence[bool | None],
) -> tuple[float, dict[str, float]]:
    """Amounts from which small fees that no column has are taken off."""
    rows = [
        (abs(a), name, s, buy)
        for a, name, s, buy in zip(numbers, names, sizes, buys, strict=True)
        if a and s
    ]
    good = 0
    values: dict[str, float] = {}
    for paid, name, size, buy in rows:
        value = min((0.01, 0.1, 1, 10, 100, 1000), key=lambda v: abs(v * size - paid) / (v * size))
        cost = (paid - value * size) * (1 if buy else -1)
        small = _PART_OF_SMALL * value * size
        usual = buy is not None and 0 <= cost <= min(_FLAT_FEE, small)
        most = _MOST_COST if cost > 0 or value < 1 else _MOST_ROUNDING
        if cost < 0 and value > 1:
            most = _MOST_OF_CONTRACT
        if usual or abs(cost) <= max(most * value * size, min(_SMALL_FEE, small)):
            good += 1
            # Several of one name, as of a share and its option, are told row by row.
            values[name] = max(value, values.get(name, 0.0))
    return (good / len(rows) if rows else 0.0), values
