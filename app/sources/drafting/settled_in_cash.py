"""Fills that end what is held for money, whatever side that takes: options and futures that are
settled in cash, bonds that are redeemed, shares that are bought in a merger.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from app.sources.cells import as_text
from app.sources.column_names import NAMES, known_as
from app.sources.drafting.decided import Decided
from app.sources.drafting.spec import Spec
from app.sources.mapping import OPEN_QUESTION
from app.sources.sides import Event, read_side

FOR_CASH = re.compile(
    r"\b(cash merger|merger|tender|buy-?out|takeover|redemption|redeemed|maturity|matured"
    r"|(final|cash)[ -]settle\w*|cash in lieu|auto-?deleverag\w*|adl|barausgleich|einlösung|tilgung"
    r"|rückzahlung|rimborso|reembolso|remboursement|amortización)\b",
    re.IGNORECASE,
)
"""What may end what is held for money; a row without a quantity or a price is no trade."""
_NEARLY = 0.03
"""By how much, as a share, an amount may differ from its factors, by fees."""
_VALUES = (1.0, 0.01, 100.0)
"""Contract values that no column has to tell: of shares, bonds and options."""


def settled_in_cash(decided: Decided, spec: Spec, unknown: Collection[str]) -> list[str]:
    """Let the words of expiries, and those of `unknown` that may end what is held, end it at their
    price, where an amount is that price × quantity; returns them."""
    contents, fields = decided.kept.contents, decided.fields
    if decided.rows != "fills" or not {"quantity", "price"} <= fields.keys():
        return []
    columns = [fields["quantity"].column, fields["price"].column]
    if OPEN_QUESTION in columns or len(spec.columns) > 1:
        return []
    words = [
        word
        for word in contents.words(spec.column)
        if (word in unknown and FOR_CASH.search(word))
        or (isinstance(event := read_side(word), Event) and event.kind == "expiry")
    ]
    paid = _paid(decided, spec.column, columns) if words else set()
    found = [word for word in words if word in paid]
    if found:
        decided.sections.setdefault("sides", {})["close"] = (
            [word.strip().lower() for word in found],
            "end what is held at their price",
        )
        decided.guessed.append(
            f"{', '.join(found[:4])} in {spec.column} ends what is held at {columns[1]}: money was"
            " paid."
        )
    return found


def _paid(decided: Decided, said: str, factors: list[str]) -> set[str]:
    """The words of rows in which an amount is price × quantity × contract value."""
    contents, fields = decided.kept.contents, decided.fields
    amounts = [
        contents.numbers(column)
        for column in contents.columns
        if known_as(column) in (*NAMES["gross"], *NAMES["net"])
        and column not in factors
        and contents.is_numeric(column)
    ]
    scale = float(fields["price"].keys.get("scale", 1))
    told = fields.get("multiplier")
    values = contents.numbers(told.column) if told else [None] * contents.n_rows
    quantities, prices = (contents.numbers(column) for column in factors)
    return {
        as_text(cell)
        for cell, n, price, value, *row in zip(
            contents.cells(said), quantities, prices, values, *amounts, strict=True
        )
        if cell is not None
        and n
        and price
        and any(
            abs(abs(amount) / (abs(n * price * scale) * own) - 1) <= _NEARLY
            for amount in row
            if amount
            for own in ([value] if value else _VALUES)
        )
    }
