"""Tables that are refused, as they have no trades in their rows: ledgers and account statements.

May touch: nothing.
"""

from __future__ import annotations

import re

from app.errors import BadDataError
from app.sources.column_names import known_as
from app.sources.drafting.contents import Contents
from app.sources.drafting.spec import Fields

_GIVEN_AND_TAKEN = (
    {"sent_amount", "received_amount"},
    {"amount", "to_amount"},
    {"sent_quantity", "received_quantity"},
    {"buy_amount", "sell_amount"},
    {"from_amount", "to_amount"},
    {"origin_amount", "destination_amount"},
)
_TRADE_IN_WORDS = re.compile(
    r"\b(buy|sell|bought|sold|kauf|verkauf|koop|verkoop|achat|vente|compra|venta|vendita)\b"
    r".*\d.*(@|\bat\b)\s*[^\d\s]{0,3}\s?\d",
    re.IGNORECASE,
)
_MOVED = {"amount", "change", "amount_change", "quantity", "balance_delta", "delta"}
"""What a ledger calls its payments and receipts."""


def refuse_sentences(path: str, contents: Contents) -> None:
    """Raises for an account statement whose text names side, quantity and price."""
    for column in contents.columns:
        if any(_TRADE_IN_WORDS.search(word) for word in contents.words(column)):
            raise BadDataError(
                f"{path} names quantities and prices within the text of {column}: an account"
                " statement, not a list of trades.",
                "Export the trades or transactions, with a column each for quantity and price.",
            )


def refuse_ledger(path: str, contents: Contents, as_fills: Fields, outcome: bool) -> None:
    """Raises for a ledger, which has payments and receipts in separate rows."""
    names = {known_as(column) for column in contents.columns}
    given = any(pair <= names for pair in _GIVEN_AND_TAKEN) or (
        {"buy", "sell"} <= names
        and all(contents.signs(c) for c in contents.columns if known_as(c) in ("buy", "sell"))
    )
    if "price" not in as_fills and given:
        raise BadDataError(
            f"{path} has what was given and what was taken in each row, without a price.",
            "Export the trades (or trade history, fills) of the exchange itself instead.",
        )
    moved = names & _MOVED and names & {
        "asset",
        "coin",
        "currency",
    }
    units = any(name.endswith("_unit") for name in names) and {"amount", "balance"} <= names
    if (
        (moved or units)
        and names & {"refid", "operation", "reference", "transfer_id", "type", "account"}
        and "price" not in as_fills
        and not outcome
    ):
        raise BadDataError(
            f"{path} looks like a ledger: payments and receipts are in separate rows, without a"
            " price.",
            "Export the trades (or trade history, fills) of the same period instead.",
        )
