"""Orders in several rows, of which each has what was filled so far, or one the total of the others.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from app.errors import BadDataError
from app.sources.cells import as_text
from app.sources.column_names import known_as
from app.sources.drafting.contents import Contents
from app.sources.drafting.kept_rows import Kept
from app.sources.drafting.spec import Fields
from app.sources.mapping import OPEN_QUESTION

_ORDER = re.compile(r"(^|_)(cl_?)?ord(er)?_?(id|no|nr|num|number)$|^order$")
_STATUS = re.compile("status|state|type|event|estado|stato|statut")
_ORDERED = frozenset(
    (
        "order_qty", "orderqty", "order_quantity", "ordered_qty", "orderedqty", "ordered_quantity",
        "orig_qty", "origqty", "original_qty", "original_quantity", "total_qty", "total_quantity",
        "order_amount", "order_size", "qty_ordered", "quantity_ordered",
    )
)  # fmt: skip
_LITTLE = 1e-9
_TOTAL_AND_TWO = 3
"""Rows of an order at least, in which one can be seen to be the total of the others."""


def without_progress(path: str, kept: Kept, fields: Fields, rows: str) -> None:
    """Leave out rows of orders that were filled further, where each row has what was filled so far:
    their sum is more than was ordered.

    Raises `BadDataError` if no status tells them from the last row.
    """
    contents, quantity = kept.contents, fields.get("quantity")
    if rows != "fills" or quantity is None or quantity.column == OPEN_QUESTION:
        return
    orders = next((c for c in contents.columns if _ORDER.search(known_as(c))), None)
    ordered = next(
        (c for c in contents.columns if known_as(c) in _ORDERED and c != quantity.column), None
    )
    if orders is None or ordered is None:
        return
    earlier = _earlier(contents, orders, ordered, quantity.column)
    if not earlier:
        return
    for column in contents.columns:
        words = {i: as_text(v) for i, v in enumerate(contents.cells(column)) if v is not None}
        gone = {words.get(i, "") for i in earlier}
        if (
            "" not in gone
            and len(set(words.values())) <= 10
            and _STATUS.search(known_as(column))
            and not any(word in gone for i, word in words.items() if i not in earlier)
        ):
            kept.drop(column, sorted(gone), f"{quantity.column} is what was filled so far")
            return
    raise BadDataError(
        f"{path} has orders in several rows, of which each has in {quantity.column} what was filled"
        " so far.",
        "Export the fills (executions, trades), or only the last row of each order.",
    )


def without_totals(kept: Kept, fields: Fields, rows: str) -> None:
    """Leave out the rows of orders beside those of their fills, of which they are the total."""
    contents, quantity = kept.contents, fields.get("quantity")
    if rows != "fills" or quantity is None or quantity.column == OPEN_QUESTION:
        return
    numbers = contents.numbers(quantity.column)
    traded = _traded(contents, fields)
    for orders in contents.columns:
        name = known_as(orders)
        if not _ORDER.search(name) and name not in ("trade_id", "parent_id", "deal_id"):
            continue
        groups: dict[str, list[int]] = {}
        for i, value in enumerate(contents.cells(orders)):
            groups.setdefault("" if value is None else as_text(value), []).append(i)
        if "" in groups or max(map(len, groups.values())) < _TOTAL_AND_TWO:
            continue
        if any(len({traded[i] for i in own}) > 1 for own in groups.values()):
            continue  # Purchases and sales, or several symbols, are no parts of one order.
        for column in contents.columns:
            words = ["" if v is None else as_text(v) for v in contents.cells(column)]
            once = [word for word, n in Counter(words).items() if n == len(groups)]
            if (
                column == orders
                or contents.time(column) is not None
                or max(Counter(words).values()) == 1
            ):
                continue
            told = next((word for word in once if _is_total(word, words, groups, numbers)), None)
            if told is not None:
                kept.drop(column, [told], "they are the totals of fills in rows of their own")
                return


def _traded(contents: Contents, fields: Fields) -> list[tuple[str, ...]]:
    """What was traded and which way, by row, as far as the file says."""
    columns = [
        column
        for name in ("side", "symbol")
        if name in fields and not fields[name].keys.keys() & {"cash", "paid"}
        for column in fields[name].columns
        if column in contents.columns
    ]
    rows = zip(*map(contents.cells, columns), strict=True) if columns else ()
    found = [tuple("" if v is None else as_text(v) for v in row) for row in rows]
    return found or [()] * contents.n_rows


def _is_total(
    word: str, words: list[str], groups: dict[str, list[int]], numbers: list[float | None]
) -> bool:
    """Whether the word stands in one row of each order, whose quantity is the sum of the others."""
    for own in groups.values():
        totals = [abs(numbers[i] or 0.0) for i in own if words[i] == word]
        parts = [abs(numbers[i] or 0.0) for i in own if words[i] != word]
        if len(totals) != 1 or not parts or abs(totals[0] - sum(parts)) > _LITTLE * totals[0]:
            return False
    return True


def _earlier(contents: Contents, orders: str, ordered: str, quantity: str) -> set[int]:
    """The rows of orders that were filled further; empty if rows have fills of their own."""
    groups: dict[str, list[int]] = {}
    filled, wanted = contents.numbers(quantity), contents.numbers(ordered)
    for i, value in enumerate(contents.cells(orders)):
        if value is not None and filled[i]:
            groups.setdefault(as_text(value), []).append(i)
    earlier: set[int] = set()
    for own in groups.values():
        sizes = [abs(filled[i] or 0.0) for i in own]
        most = max(abs(wanted[i] or 0.0) for i in own)
        steps = {a < b for a, b in pairwise(sizes)}
        if len(own) == 1:
            continue
        if (
            len({wanted[i] for i in own}) > 1
            or len(steps) > 1
            or len(set(sizes)) < len(sizes)
            or sum(sizes) <= most * (1 + _LITTLE)
        ):
            return set()
        earlier |= set(own) - {max(own, key=lambda i: abs(filled[i] or 0.0))}
    return earlier
