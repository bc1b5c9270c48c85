"""Tables that are refused, as some of their cells or rows are of another kind than the others.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.errors import BadDataError
from app.sources.cells import as_text
from app.sources.drafting.contents import Contents
from app.sources.drafting.decided import Decided
from app.sources.drafting.spec import Fields
from app.sources.figures import has_share
from app.sources.mapping import OPEN_QUESTION
from app.sources.sides import Side, read_side

_CREDIT = re.compile(r"\d\s*cr\.?$", re.IGNORECASE)
_DEBIT = re.compile(r"\d\s*\(?dr\.?\)?$|^\(?dr\b", re.IGNORECASE)
_BOOKED = re.compile(r"\d\s*\(?(cr|dr|db|credit|debit)\b|^(cr|dr|db|credit|debit)\b", re.IGNORECASE)
_NOT_ZERO = re.compile("[1-9]")
_SETTLED = re.compile(
    r"\b(settle(d|ment)?|resolved?|resolution|redeem(ed)?|redemption|payout|paid out|claim(ed)?)\b",
    re.IGNORECASE,
)
"""What rows say that end contracts on events."""
_NOTHING = 1e-9


def refuse_mixed_amounts(path: str, decided: Decided) -> None:
    """Raises where amounts that are read may be credits or crores, or are money and percentages."""
    _refuse_paid_prices(path, decided)
    _refuse_credits(path, decided)
    _refuse_half_percent(path, decided)


def _refuse_paid_prices(path: str, decided: Decided) -> None:
    """Raises where prices say that they were paid or received, which is no sign of a price."""
    for name in ("price", "entry_price", "exit_price"):
        spec = decided.fields.get(name)
        for column in spec.columns if spec and not spec.keys.get("per_unit") else ():
            told = next(filter(_BOOKED.search, decided.kept.contents.words(column)), None)
            if told:
                raise BadDataError(
                    f"{path} has prices with a word for a credit or a debit, such as {told!r} in"
                    f" {column}.",
                    "Write the prices as plain numbers, and whether each row is a purchase or a"
                    " sale (of positions: long or short) into a column of its own.",
                )


def _refuse_credits(path: str, decided: Decided) -> None:
    """Raises where `Cr` behind amounts that are read may mean credits, or crores, that is tens of
    millions: no amount of the table has `Dr`."""
    contents = decided.kept.contents
    if any(_DEBIT.search(word) for c in contents.columns for word in contents.words(c)):
        return
    for column in contents.columns:
        credit = next(filter(_CREDIT.search, contents.words(column)), None)
        if column in decided.used() and credit and contents.is_numeric(column):
            raise BadDataError(
                f"{path} has amounts such as {credit!r} in {column}, and none with Dr: Cr may mean"
                " a credit, or crores (ten millions).",
                "Write the amounts without Cr, in full if they are crores, and draft again.",
            )


def _refuse_half_percent(path: str, decided: Decided) -> None:
    """Raises where some profits are percentages and others are none."""
    contents = decided.kept.contents
    for name in ("roi", "pnl_usd"):
        spec = decided.fields.get(name)
        for column in spec.columns if spec else ():
            words = contents.words(column)
            shares = [word for word in words if "%" in word]
            others = [word for word in words if "%" not in word and _NOT_ZERO.search(word)]
            if shares and others and not any(map(has_share, shares)):
                raise BadDataError(
                    f"{path} has percentages in {column}, such as {shares[0]}, and numbers without"
                    f" a percent sign, such as {others[0]}.",
                    "Put the amounts of money and the percentages into two columns.",
                )


def refuse_lots_below(path: str, contents: Contents, fields: Fields) -> None:
    """Raises where rows without a time, a symbol and a side say in columns of their own what the
    row of a sale above them lacks, as lots of shares that an employer granted do."""
    own = [c for n in ("time", "symbol", "side") if n in fields for c in fields[n].columns]
    if not {"time", "symbol", "side"} <= fields.keys() or not {*own} <= {*contents.columns}:
        return
    cells = [*zip(*map(contents.cells, own), strict=True)]
    below = [i for i, row in enumerate(cells) if row == (None,) * len(own)]
    if not below or below[0] == 0:
        return
    found = [
        column
        for column in contents.columns
        if contents.is_numeric(column)
        and all((contents.cells(column)[i] is not None) == (i in below) for i in range(len(cells)))
    ]
    if len(found) > 1:
        raise BadDataError(
            f"{path} has rows below those of sales, which say in {' and '.join(found[:3])} what"
            " lots were sold.",
            "Export realized gains and losses, with the date and the price of each purchase; or"
            " give each lot a row of its own with both dates, both prices and the quantity.",
        )


def refuse_settlements(path: str, contents: Contents, decided: Decided) -> None:
    """Raises where rows that are left out end what the fills leave open, as those of contracts on
    events that are settled at 0 or 1."""
    kept, fields = decided.kept.contents, decided.fields
    needed = ("time", "symbol", "side", "quantity")
    columns = [column for name in needed if name in fields for column in fields[name].columns]
    if decided.rows != "fills" or not {*needed} <= fields.keys() or OPEN_QUESTION in columns:
        return
    if not {*columns} <= {*contents.columns}:
        return
    counted, held = {id(row) for row in kept.rows}, dict[tuple[object, ...], float]()
    names = [*zip(*map(contents.cells, fields["symbol"].columns), strict=True)]
    sizes = contents.numbers(fields["quantity"].column)
    sides = [*zip(*map(contents.cells, fields["side"].columns), strict=True)]
    for row, name, size, said in zip(contents.rows, names, sizes, sides, strict=True):
        side = read_side(" ".join(as_text(part) for part in said if part is not None))
        if id(row) in counted and size and isinstance(side, Side):
            held[name] = held.get(name, 0.0) + side.fill * abs(size)
    ends = [
        (i, word)
        for i, (row, name, size) in enumerate(zip(contents.rows, names, sizes, strict=True))
        if id(row) not in counted and size and abs(abs(held.get(name, 0.0)) - abs(size)) < _NOTHING
        for word in [_settled(row.cells.values())]
        if word
    ]
    if ends:
        raise BadDataError(
            f"{path} has rows such as {ends[0][1]!r} (line {contents.rows[ends[0][0]].line}), which"
            " end what is held, but not as a purchase or a sale.",
            f"Write them as trades, as in other rows: sell in {fields['side'].column} (or buy, if"
            " they end a short position), with the price at which they were settled: 0, or what a"
            " winning contract paid. Then draft again.",
        )


def _settled(cells: Iterable[object]) -> str:
    """What cells say of a settlement, empty if nothing."""
    return next((c for c in cells if isinstance(c, str) and _SETTLED.search(c)), "")
