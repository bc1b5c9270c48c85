"""Option spreads: positions whose prices are the credit and the debit of their entry and exit.

May touch: nothing.
"""

from __future__ import annotations

import re

from app.sources.column_names import known_as
from app.sources.drafting.decided import Decided
from app.sources.drafting.spec import Spec

_CREDIT, _DEBIT = (
    re.compile(r"(^|_)credit(_|$)|premium_(received|collected)"),
    re.compile(r"(^|_)debit(_|$)|cost_to_close|closing_cost|premium_paid"),
)
_OPENS, _CLOSES = (
    re.compile(r"open|entry|initial|received|(^|_)in(_|$)"),
    re.compile(r"clos|exit|(^|_)out(_|$)"),
)
_MOST = 0.8
_OF_CREDITS = re.compile(
    r"\bcredit\b|iron (condor|butterfly|fly)|\bshort\b|naked|cash.secured|\b(bull put|bear call)\b"
    r"|jade lizard",
    re.IGNORECASE,
)
_OF_DEBITS = re.compile(
    r"\bdebit\b|\blong\b|\b(bull call|bear put)\b|calendar|diagonal", re.IGNORECASE
)


def find_premiums(decided: Decided) -> None:
    """Use a credit and a debit per unit as the two prices of a position, which is short if the
    credit came first.  The columns' names or the strategies show that; else the user is asked."""
    contents, fields = decided.kept.contents, decided.fields
    if decided.rows != "positions" or {"entry_price", "exit_price"} & fields.keys():
        return
    used = decided.used()
    found = [
        [
            c
            for c in contents.columns
            if p.search(known_as(c)) and c not in used and contents.is_numeric(c)
        ]
        for p in (_CREDIT, _DEBIT)
    ]
    if found[0] == found[1] and len(found[0]) == 2:
        _with_signs(decided, found[0])
        return
    if [len(columns) for columns in found] != [1, 1]:
        return
    (credit,), (debit,) = found
    short = _credit_is_first(decided, credit, debit)
    first, second = (debit, credit) if short is False else (credit, debit)
    form = {"per_unit": True} if _are_totals(decided, credit, debit) else {"absolute": True}
    fields["entry_price"] = Spec([first], dict(form), "at the entry")
    fields["exit_price"] = Spec([second], dict(form), "at the exit")
    if "side" in fields:
        return
    if short is None:
        decided.ask(
            "side",
            f"Whether the positions were opened with {credit} (short) or with {debit} (long).",
            f'"short" if they were opened with {credit}; "long" if with {debit}: then exchange the'
            " columns of entry_price and exit_price",
            section="constants",
        )
        return
    decided.sections.setdefault("constants", {})["side"] = (
        "short" if short else "long",
        f"opened with {first}",
    )
    decided.guessed.append(
        f"The positions are {'short' if short else 'long'}: they were opened with {first} and"
        f" closed with {second}."
    )


def _with_signs(decided: Decided, columns: list[str]) -> None:
    """Use two columns, each with credits and debits, as the prices of the entry and of the exit, if
    profits have the sign of their sum: what was paid is below 0."""
    contents, fields = decided.kept.contents, decided.fields
    opens = [c for c in columns if _OPENS.search(known_as(c)) and not _CLOSES.search(known_as(c))]
    if len(opens) != 1 or "pnl_usd" not in fields:
        return
    first = opens[0]
    second = next(column for column in columns if column != first)
    rows = [
        (a + b) * profit
        for a, b, profit in zip(
            *map(contents.numbers, (first, second, fields["pnl_usd"].column)), strict=True
        )
        if a is not None and b is not None and profit
    ]
    if not rows or sum(same > 0 for same in rows) < _MOST * len(rows):
        return
    fields["entry_price"] = Spec([first], {"absolute": True}, "at the entry")
    fields["exit_price"] = Spec([second], {"absolute": True}, "at the exit")
    if "side" not in fields:
        fields["side"] = Spec([first], {"cash": True}, "a debit opens a long position")
        decided.guessed.append(
            f"{first} is below 0 where a debit opened a long position; credits opened short ones."
        )


def _are_totals(decided: Decided, credit: str, debit: str) -> bool:
    """Whether profits are the credit minus the debit, whatever the quantity."""
    contents, fields = decided.kept.contents, decided.fields
    if not {"pnl_usd", "quantity"} <= fields.keys():
        return False
    columns = [credit, debit, *(fields[name].column for name in ("pnl_usd", "quantity"))]
    rows = [
        (abs(got) - abs(paid), profit, quantity)
        for got, paid, profit, quantity in zip(*map(contents.numbers, columns), strict=True)
        if got is not None and paid is not None and profit is not None and quantity
    ]
    return any(abs(quantity) != 1 for _, _, quantity in rows) and all(
        abs(rest - profit) <= 0.05 * abs(rest) + 0.02 for rest, profit, _ in rows
    )


def _credit_is_first(decided: Decided, credit: str, debit: str) -> bool | None:
    """Whether the positions were opened with the credit; None if nothing says so."""
    if _CLOSES.search(known_as(debit)) or _OPENS.search(known_as(credit)):
        return True
    if _CLOSES.search(known_as(credit)) or _OPENS.search(known_as(debit)):
        return False
    contents = decided.kept.contents
    for column in contents.columns:
        words = contents.words(column)
        if words and not contents.is_numeric(column):
            if all(_OF_CREDITS.search(word) for word in words):
                return True
            if all(_OF_DEBITS.search(word) for word in words):
                return False
    return None
