"""Columns that are read as something else than their names say, and amounts that cannot be what
they are read as.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations

from app.sources.column_names import NAMES, currency_in, known_as
from app.sources.drafting.adding_up import CENT, MOST
from app.sources.drafting.compared import FEWEST, Compared, Contradiction
from app.sources.drafting.repeated import is_number_of_rows
from app.sources.mapping import Column

_AMOUNTS = ("price", "entry_price", "exit_price", "quantity", "fee", "fees_usd", "pnl_usd")
"""Fields with numbers, of which no two are the same."""
_WORDS = {"fee": "fee", "fees_usd": "fee", "pnl_usd": "profit"}
_FEES = frozenset((*NAMES["fee"], *NAMES["fees_usd"]))
_NET = re.compile(r"(^|_)net(_|$)|after_(fees|costs|commission)")
"""Of prices from which fees are taken off."""
_MAKER = re.compile("maker|m|post_?only|add(ed)?|limit(_maker)?", re.IGNORECASE)
_FEWEST = 2
"""Rows at least that show what fees are."""
_LARGE_FEE = 0.3
"""Share of the traded value above which hardly any fee is."""


def by_names(compared: Compared) -> Iterator[Contradiction]:
    """One column that is read as two amounts, and one that numbers the rows."""
    plain = [
        (name, own.name)
        for name in _AMOUNTS
        if (own := compared.columns.get(name)) is not None and _is_plain(own)
    ]
    for (one, column), (other, same) in combinations(plain, 2):
        if column == same and {one, other} != {"entry_price", "exit_price"}:
            yield Contradiction(
                f"Whether {column} is the {_said(one)} and the {_said(other)}: it is read as both."
            )
            return
    for name, column in plain:
        numbers = compared.contents.read_numbers(column)
        if (
            is_number_of_rows(column)
            and len(numbers) >= FEWEST
            and len({*numbers}) == len(numbers)
            and all(n.is_integer() for n in numbers)
        ):
            yield Contradiction(
                f"Whether {column} is the {_said(name)}: by its name and its numbers, it numbers"
                " the rows."
            )
            return


def by_fees(compared: Compared) -> Iterator[Contradiction]:
    """Fees that are as large as what was traded, that all were received, or that are not read."""
    name = "fee" if compared.kind == "fills" else "fees_usd"
    column = compared.columns.get(name)
    rows = [
        (i, own.cost, abs(own.cash) or abs((own.entry or 0.0) * own.quantity * (own.value or 1.0)))
        for i, own in enumerate(compared.found)
        if abs(own.cost) > CENT
    ]
    if column is None:
        yield from _not_read(compared)
        return
    large = [i for i, cost, value in rows if value and abs(cost) > _LARGE_FEE * value]
    if len(large) >= FEWEST and len(large) >= MOST * len(rows):
        yield Contradiction(
            f"Whether {column.name} has the fees: in {len(large):,} of {len(rows):,} rows they are"
            f" more than {_LARGE_FEE:.0%} of what was traded.",
            tuple(large),
        )
    elif (
        len(rows) >= _FEWEST
        and (compared.kind == "fills" or "gross" in compared.keys)
        and known_as(column.name) in _FEES
        and all(cost < 0 for _, cost, _ in rows)
        and not _of_makers(compared)
        and not _are_received(compared)
    ):
        yield Contradiction(
            f"Whether the sign of {column.name} is read rightly: the fees of all rows were"
            " received, and none was paid.",
            tuple(i for i, *_ in rows),
        )
    elif known_as(column.name) not in _FEES and not column.more:
        yield from _not_read(compared)


def _are_received(compared: Compared) -> bool:
    """Whether a column has what the fills paid or brought in with these fees."""
    paid = [abs(own.cash) for own in compared.found]
    return all(paid) and any(
        len(numbers) == len(paid)
        and all(abs(abs(n) - cash) < CENT for n, cash in zip(numbers, paid, strict=True))
        for numbers in map(compared.contents.read_numbers, compared.unread_numbers())
    )


def _of_makers(compared: Compared) -> bool:
    """Whether a column says that fills were a maker's, or of limits: they may be paid for."""
    contents = compared.contents
    return any(
        _MAKER.fullmatch(word.strip())
        for column in compared.unread
        if not contents.is_numeric(column)
        for word in contents.words(column)
    )


def _not_read(compared: Compared) -> Iterator[Contradiction]:
    """Amounts in a column that is called a fee, and that profits made of prices leave out."""
    price = compared.columns.get("price")
    told = {"net", "roi"} if "gross" in compared.keys else {"net", "pnl_usd", "roi"}
    if told & compared.fields or (price and (price.per_unit or _NET.search(known_as(price.name)))):
        return
    own = {found.currency for found in compared.found if found.currency}
    for column in compared.unread_numbers():
        numbers = compared.contents.read_numbers(column)
        if currency_in(column) not in (None, *own):
            continue  # Fees in another currency than the profits cannot be taken off.
        if known_as(column) in _FEES and sum(abs(n) > CENT for n in numbers) >= _FEWEST:
            yield Contradiction(
                f"Whether the fees are read rightly: {column} is called so, and is not read."
            )
            return


def _is_plain(column: Column) -> bool:
    """Whether the numbers of one column are read as they stand."""
    return not (
        column.more or column.per_unit or column.rate or column.money or column.part or column.minus
    )


def _said(name: str) -> str:
    return _WORDS.get(name, name.replace("_", " "))
