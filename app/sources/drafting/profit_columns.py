"""Closed positions: which column has the profit, where its name alone does not say so.

May touch: nothing.
"""

from __future__ import annotations

import re

from app.sources.column_names import NAMES, currency_in, is_in_points, known_as
from app.sources.drafting.decided import Decided
from app.sources.drafting.spec import Spec

_SHORT_NAMES = ("neto", "netto", "net", "bruto", "brutto", "brut", "gross")
"""What profits are called in short, those after costs first."""
_SO_FAR = frozenset(("cum", "cumulative", "total", "running", "unrealized", "open"))
_PROFITS = frozenset(("pnl", "profit", "gain", "result", "gewinn", "ergebnis", "résultat"))
_AFTER_COSTS = frozenset(("net", "netto", "neto", "nett"))
_RELIEF = re.compile(r"(^|_)(discount|relief|indexation|exempt(ion)?|allowance|taper)(_|$)")
"""Of what is taken off a gain before it is taxed."""
_MOST_COSTS = 1.0
"""What costs may be of the profits before and after them together, at most."""


def profits_by_short_names(decided: Decided) -> None:
    """Take what is called but net or gross for the profit of positions with two prices, where no
    other column has it; of fills it is an amount."""
    contents, fields = decided.kept.contents, decided.fields
    if decided.rows != "positions" or "pnl_usd" in fields:
        return
    if not {"entry_price", "exit_price"} <= fields.keys():
        return
    for name in _SHORT_NAMES:
        for column in contents.columns:
            if (
                known_as(column) == name
                and column not in decided.used()
                and contents.is_numeric(column)
                and not contents.has_percent(column)
            ):
                fields["pnl_usd"] = Spec([column])
                return


def profits_after_costs(decided: Decided) -> None:
    """Of two columns of profits, take the one that is after costs by its name, where no column has
    the costs by which they differ."""
    contents, fields = decided.kept.contents, decided.fields
    spec = fields.get("pnl_usd")
    if spec is None or len(spec.columns) > 1 or "fees_usd" in fields or "profit" in decided.keys:
        return
    if _AFTER_COSTS & {*known_as(spec.column).split("_")}:
        return
    if any(_RELIEF.search(known_as(column)) for column in contents.columns):
        return  # What differs is not taxed, and no cost.
    own = contents.numbers(spec.column)
    for column in contents.columns:
        words = {*known_as(column).split("_")}
        if words & _SO_FAR:
            continue
        if (
            column in decided.used()
            or not words & _AFTER_COSTS
            or not (known_as(column) in NAMES["pnl_usd"] or words & _PROFITS)
            or not contents.is_numeric(column)
            or contents.has_percent(column)
            or is_in_points(column)
            or currency_in(column) not in (None, currency_in(spec.column))
        ):
            continue
        both = list(zip(own, contents.numbers(column), strict=True))
        if (
            all((before is None) == (after is None) for before, after in both)
            and any(before != after for before, after in both)
            and all(
                before is None
                or after is None
                or abs(before - after) <= _MOST_COSTS * (abs(before) + abs(after))
                for before, after in both
            )
        ):
            fields["pnl_usd"] = Spec([column], dict(spec.keys))
            decided.guessed.append(
                f"The profit is {column}, which is after costs, and not {spec.column}."
            )
            return
