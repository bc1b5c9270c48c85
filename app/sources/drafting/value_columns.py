"""Which amounts, whatever their column is called, are price × quantity × contract value, and what
is asked of those whose name does not say that they are.

May touch: nothing.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence

from app.sources.drafting.adding_up import half_unit, nice
from app.sources.drafting.contracts import escaped
from app.sources.drafting.decided import Decided


def contract_values(
    numbers: Sequence[float | None], names: Sequence[str], sizes: Sequence[float | None]
) -> dict[str, float] | None:
    """The contract value by name, if the amounts are it times price × quantity (`sizes`) to the
    last digit in all rows, at several prices of each name; None if they are not.

    >>> contract_values([100.0, 210.0], ["A", "A"], [10.0, 21.0])
    {'A': 10}
    >>> contract_values([100.0, 211.0], ["A", "A"], [10.0, 21.0])
    """
    rows = [(abs(n), s, name) for n, s, name in zip(numbers, sizes, names, strict=True) if n and s]
    ratios: dict[str, dict[float, float]] = defaultdict(dict)
    for n, size, name in rows:
        ratios[name][size] = n / size
    values = {name: nice(statistics.median(own.values())) for name, own in ratios.items()}
    rounding = 1.2 * half_unit(numbers)
    if len(rows) < len(sizes) or len(rows) < 2 or not all(len(own) > 1 for own in ratios.values()):
        return None
    found = {name: value for name, value in values.items() if value is not None and value >= 1}
    if len(found) < len(values):
        return None
    return found if all(abs(n - found[name] * s) <= rounding for n, s, name in rows) else None


def ask_whether_value(decided: Decided, column: str, values: dict[str, float]) -> None:
    """Ask for contract values that an amount shows which may be a margin: no word of its name is
    known."""
    for name, value in values.items():
        decided.ask(
            escaped(name),
            f"What a point of {name} is worth per contract: {column} is {value:g} times price ×"
            " quantity, and its name does not say that it is the value and no margin.",
            f"money per point and contract; {value:g} if {column} is the value of the trade",
            section="multipliers",
        )
