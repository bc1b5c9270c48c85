"""Fills: interest on bonds that is paid and received with the price, and whether an amount has it.

May touch: nothing.
"""

from __future__ import annotations

import re

from app.sources.column_names import NAMES, known_as
from app.sources.drafting.adding_up import CENT
from app.sources.drafting.decided import Decided
from app.sources.drafting.fill_rows import fee_amounts, purchases
from app.sources.drafting.spec import Spec

_ACCRUED = re.compile(
    r"accrued|stückzins|rateo|intérêts_courus|cup[oó]n_corrido|нкд|経過利子|경과이자|应计利息|應計利息"
)
"""Of interest on bonds that the buyer pays to the seller."""


def name_accrued(decided: Decided) -> None:
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
