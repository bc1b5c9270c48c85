"""Fills with two columns of prices of one name, such as that of the limit and that of the fill.

May touch: nothing.
"""

from __future__ import annotations

from app.sources.drafting.contents import Contents
from app.sources.drafting.decided import Decided
from app.sources.drafting.spec import Spec
from app.sources.drafting.text import quoted
from app.sources.mapping import OPEN_QUESTION

_APART = 2.0
"""By which factor two prices of one fill differ, at most."""
_NEARLY = 0.002
"""By how much, as a share, an amount may differ from price × quantity, by rounding and fees."""


def settle_twin_prices(decided: Decided) -> None:
    """Take the one of two prices with which an amount is price × quantity; else ask."""
    contents, fields = decided.kept.contents, decided.fields
    if decided.rows != "fills" or not {"price", "quantity"} <= fields.keys():
        return
    price, quantity = fields["price"], fields["quantity"]
    twin = f"{price.column} (2)"
    if (
        len(price.columns) > 1
        or OPEN_QUESTION in (price.column, quantity.column)
        or twin not in contents.columns
        or not contents.is_numeric(twin)
        or twin in decided.used()
        or contents.numbers(twin) == contents.numbers(price.column)
        or not _are_near(contents, price.column, twin)
    ):
        return
    both = [price.column, twin]
    found = [column for column in both if _makes_an_amount(contents, column, quantity.column)]
    if len(found) == 1:
        fields["price"] = Spec(found, dict(price.keys))
        return
    shown = " or ".join(map(quoted, both))
    fields["price"] = Spec([OPEN_QUESTION], comment=f"the price of the fill: {shown}")
    decided.asked.append(
        f"Which column has the price of the fill: {both[0]} and {both[1]} differ, and no amount"
        " shows it."
    )


def _are_near(contents: Contents, price: str, twin: str) -> bool:
    """Whether both may be prices: the other one may be a rate of exchange."""
    rows = zip(contents.numbers(price), contents.numbers(twin), strict=True)
    return all(1 / _APART < b / a < _APART for a, b in rows if a and b)


def _makes_an_amount(contents: Contents, price: str, quantity: str) -> bool:
    made = [
        abs(p * q) if p and q else None
        for p, q in zip(contents.numbers(price), contents.numbers(quantity), strict=True)
    ]
    return any(
        all(
            size is not None and told and abs(abs(told) - size) <= _NEARLY * size
            for size, told in zip(made, contents.numbers(column), strict=True)
        )
        for column in contents.columns
        if column not in (price, quantity) and contents.is_numeric(column)
    )
