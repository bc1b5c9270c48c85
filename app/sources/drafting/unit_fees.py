"""Fees that a file gives for each unit of the quantity, or as a rate, and not as amounts.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from app.sources.column_names import NAMES, is_in_basis_points, known_as
from app.sources.drafting.adding_up import Trade, read_positions
from app.sources.drafting.contents import Contents
from app.sources.drafting.decided import Decided
from app.sources.drafting.fee_columns import is_per_unit
from app.sources.drafting.spec import Spec
from app.sources.drafting.text import quoted
from app.sources.fee_cells import fee_cell
from app.sources.glued_names import spaced

_RATE = re.compile(
    r"(fee|commission|\bcomm)\b.*\brate\b|\brate\b.*(fee|commission)"
    r"|\b(fee|comm|geb|frais|provision|courtage|charge).*(‰|\bbps\b|\bpro ?mille\b)",
    re.IGNORECASE,
)
_PERCENT = re.compile(
    r"\b(fee|comm|commission|geb|gebühr|frais|provision|courtage)\b\W*(%|pct|percent)",
    re.IGNORECASE,
)
_FILL_RATE = "commission_fill_rate"
"""What Rithmic calls the commission of a contract."""
_SHARE = 0.002
"""What a rate is at most, if it is taken for a share of the value without asking."""
_MOST_EXACT = 0.8


def find_rates(decided: Decided) -> None:
    """Fees of fills that are rates, if no column has their amounts; what cannot be read is
    named."""
    contents = decided.kept.contents
    texts = [
        column
        for column in contents.columns
        if known_as(column) in NAMES["fee"]
        and contents.values(column)
        and not contents.is_numeric(column)
        and any(re.search(r"\d", word) for word in contents.words(column))
    ]
    rates = [
        column
        for column in contents.columns
        if known_as(column) in NAMES["fee"] and contents.has_percent(column)
    ]
    for column in (*rates, *texts):
        said = [fee_cell(word, contents.decimal) for word in contents.words(column)]
        if column not in decided.used() and all(said):
            _take_rate(decided, column)
            return
    if by_unit := unit_fees(contents):
        decided.fields["fee"] = Spec(by_unit, {"per_unit": True}, "for each unit of the quantity")
        decided.guessed.append(f"{' and '.join(by_unit)} is the fee of one unit of the quantity.")
        return
    for column in _told(contents, _PERCENT):
        if column not in decided.used():
            _take_rate(decided, column)
            decided.fields["fee"].keys["scale"] = 0.01
            return
    for column in _told(contents, _RATE):
        if column in decided.used():
            continue
        numbers = [abs(n) for n in contents.read_numbers(column)]
        if is_in_basis_points(column) and not contents.has_percent(column):
            _take_rate(decided, column)
            decided.fields["fee"].keys["scale"] = 0.0001
        elif max(numbers) <= _SHARE:
            _take_rate(decided, column)
        else:
            decided.ask(
                "fee",
                f"What {column} is a rate of: nothing in the file shows it.",
                f"{{column = {quoted(column)}, per_unit = true}} if it is the fee of one unit;"
                f" {{column = {quoted(column)}, rate = true}} if it is a share of the value, with"
                " scale = 0.01 if in percent, 0.001 in per mille; remove this line if fees do not"
                " count",
                section="columns",
            )
        return
    if texts:
        decided.left.append(
            f"The fees: {', '.join(texts)} cannot be read as amounts, so profits are before fees."
        )


def _take_rate(decided: Decided, column: str) -> None:
    decided.fields["fee"] = Spec([column], {"rate": True}, "a share of the fill's value")
    decided.guessed.append(f"{column} is the fee, as a share of the value of the fill.")


def unit_fees(contents: Contents) -> list[str]:
    """The columns with fees for each unit of the quantity."""
    named = [column for column in contents.columns if known_as(column) == _FILL_RATE]
    found = [column for column in contents.columns if is_per_unit(contents, column)]
    return [
        *_with_numbers(contents, found),
        *(c for c in named if any(contents.read_numbers(c))),
    ]


def _told(contents: Contents, pattern: re.Pattern[str]) -> list[str]:
    named = [
        column
        for column in contents.columns
        if any(pattern.search(name) for name in (spaced(column), spaced(known_as(column))))
    ]
    return _with_numbers(contents, named)


def _with_numbers(contents: Contents, columns: Iterable[str]) -> list[str]:
    return [
        column
        for column in columns
        if known_as(column) != _FILL_RATE
        and contents.is_numeric(column)
        and any(contents.read_numbers(column))
    ]


def settle_unit_fees(decided: Decided, trades: list[Trade]) -> None:
    """Fees of positions for each unit of the quantity: whether profits are after them, by the
    prices, else a question."""
    contents, fields = decided.kept.contents, decided.fields
    columns = unit_fees(contents)
    if "fees_usd" in fields or "quantity" not in fields or not columns:
        return
    numbers = {
        row.line: sum(contents.numbers(column)[i] or 0.0 for column in columns)
        for i, row in enumerate(contents.rows)
    }
    names = " and ".join(columns)
    for sides in (1, 2) if "pnl_usd" in fields else ():
        again = [replace(t, fees=sides * numbers[t.line] * abs(t.quantity or 0.0)) for t in trades]
        found = read_positions(again) if again else None
        if found and found.exact >= _MOST_EXACT and found.profit == "net":
            decided.guessed.append(f"{fields['pnl_usd'].column} is after fees ({names}).")
            return
    decided.ask(
        "fees_usd",
        f"Whether {names}, the fee of one unit, is still to be taken off, and whether it is that of"
        " the entry and the exit together.",
        f"{{columns = [{', '.join(map(quoted, columns))}], per_unit = true}} if it is for both"
        " together, with scale = 2 if it is for each of them; remove this line if profits are"
        " after fees",
        section="columns",
    )
    if "pnl_usd" in fields:
        decided.keys["profit"] = ("gross", "fees of one unit are deducted, if fees_usd has them")
