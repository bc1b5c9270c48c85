"""What a row of a table is, a closed position or a fill, and which columns are its fields; tables
of something else are refused.

May touch: nothing.
"""

from __future__ import annotations

import re

from app.errors import BadDataError
from app.sources.cells import as_text
from app.sources.column_names import NAMES, known_as
from app.sources.drafting.choose import FILLS, POSITIONS, Chooser
from app.sources.drafting.contents import Contents
from app.sources.drafting.fill_fields import (
    by_coin,
    by_content,
    filled_of_total,
    named_price,
    one_sided,
    price_per_unit,
)
from app.sources.drafting.fill_rows import profits_of
from app.sources.drafting.refusals import (
    refuse_amounts,
    refuse_half_exchanged,
    refuse_ledger,
    refuse_postings,
    refuse_scaled,
    refuse_sentences,
    refuse_without_year,
)
from app.sources.drafting.spec import Fields, Spec
from app.sources.drafting.time_readings import TimeReading
from app.sources.ends import end_of, is_price
from app.sources.mapping import OPEN_QUESTION, REQUIRED
from app.sources.sides import Side, opens_or_closes, read_side
from app.sources.times import parsed

_CERTAIN_EXITS = frozenset(NAMES["exit_timestamp"]) - {
    "update_time",
    "updated_time",
    "updated_at",
    "trade_time",
    "settlement_time",
    "exit",
    "sold",
    "end_time",
    "end_date",
}
_ORDERED = re.compile("limit|market|stop", re.IGNORECASE)
"""Words of kinds of orders."""
_MANY = 0.25
"""Share of rows without a profit that suggests that they open positions."""
TAKEN = "Which column is the time of the close: "

_COSTS = 0.06
"""By which share an amount after fees may differ from price × quantity."""


def fields_of(
    path: str, contents: Contents, asked_for: str | None
) -> tuple[Fields, str, list[str]]:
    """(the fields, what a row is, what was said about it)."""
    chooser = Chooser(contents)
    as_positions, as_fills = chooser.match(POSITIONS), chooser.match(FILLS)
    there = as_positions.keys()
    refuse_without_year(path, contents, _times(as_positions, as_fills))
    refuse_half_exchanged(path, contents)
    refuse_scaled(path, contents, as_fills)
    refuse_postings(path, contents)
    if asked_for is not None:
        return _as_asked(path, as_positions, as_fills, asked_for)
    if (sided := one_sided(contents, {**as_fills, **as_positions})) is not None:
        return sided
    if "price" not in as_fills and (named := named_price(contents, as_fills)) is not None:
        as_fills["price"] = Spec([named])
    if "quantity" not in as_fills and (of_total := filled_of_total(contents)) is not None:
        as_fills["quantity"] = of_total
    for lacking, known in (("quantity", "price"), ("price", "quantity")):
        if {"time", known} <= as_fills.keys() and lacking not in as_fills:
            found = by_content(contents, as_fills, known)
            if found is not None:
                as_fills[lacking] = found
    if (
        {"exit_timestamp", "exit_price"} <= there
        and "entry_price" not in as_positions
        and {"time", "price"} <= as_fills.keys()
        and as_fills["price"].columns != as_positions["exit_price"].columns
        and as_fills["time"].columns != as_positions["exit_timestamp"].columns
    ):
        # The entry's columns have no word that says so, beside those of the exit.
        as_positions["entry_price"] = as_fills["price"]
        as_positions.setdefault("entry_timestamp", as_fills["time"])
    if _are_orders(contents, as_positions, as_fills):
        as_fills["time"] = as_positions["exit_timestamp"]
    pair_of_prices = {"entry_price", "exit_price"} <= there
    pair_of_times = {"entry_timestamp", "exit_timestamp"} <= there
    fills = {"time", "quantity", "price"} <= as_fills.keys() and (
        bool(as_fills.keys() & {"symbol", "side"})
        or _has_both_signs(contents, as_fills["quantity"])
    )
    certain_exit = (
        "exit_timestamp" in as_positions
        and known_as(as_positions["exit_timestamp"].column) in _CERTAIN_EXITS
    )
    outcome = bool(there & {"pnl_usd", "roi", "rr"})
    if pair_of_prices or (pair_of_times and not (fills and not outcome)):
        why = "an entry and an exit are in one row" if pair_of_times or pair_of_prices else ""
        if (
            "exit_timestamp" not in as_positions
            and "time" in as_fills
            and (
                "entry_timestamp" not in as_positions
                or as_fills["time"].columns != as_positions["entry_timestamp"].columns
            )
        ):
            as_positions = {"exit_timestamp": as_fills["time"], **as_positions}
        if "exit_timestamp" in as_positions:
            return as_positions, "positions", [f"Each row is a closed position: {why}."]
    if certain_exit and not (fills and not outcome):
        return (
            as_positions,
            "positions",
            ["Each row is a closed position: it has the time of the close."],
        )
    if fills and _are_closed(contents, as_positions, as_fills):
        closed = {"exit_timestamp": as_fills["time"], **as_positions}
        if "entry_price" in closed:
            closed.setdefault("exit_price", as_fills["price"])
        return (
            closed,
            "positions",
            [
                "Each row is a closed position: it has the time of the entry, and a profit."
                if "entry_timestamp" in closed
                else "Each row is a closed position: it has a profit, and no side of a fill."
            ],
        )
    if fills:
        _refuse_all_earned(path, contents, as_positions, as_fills)
        return as_fills, "fills", ["Each row is a fill: it has one time, one price and a quantity."]
    if "price" not in as_fills and not outcome and price_per_unit(contents, as_fills):
        return (
            as_fills,
            "fills",
            ["Each row is a fill: it has one time, and a quantity and an amount give the price."],
        )
    refuse_ledger(path, contents, as_fills, outcome)
    if not outcome and "price" not in as_fills:
        refuse_sentences(path, contents)
    if (
        {"time", "side"} <= as_fills.keys()
        and ("price" in as_fills or not outcome)
        and len(_directions(contents, as_fills["side"])) == 2
    ):
        if not {"price", "quantity"} & as_fills.keys():
            as_fills.update(by_coin(contents, as_fills))
        for lacking, known in (("price", "quantity"), ("quantity", "price")):
            if lacking not in as_fills:
                as_fills[lacking] = (
                    by_content(contents, as_fills, known) if known in as_fills else None
                ) or Spec([OPEN_QUESTION], comment=f"the column with the {lacking} of the fill")
        return as_fills, "fills", ["Each row is a fill: it has one time and a side."]
    time = as_positions.get("exit_timestamp") or as_fills.get("time")
    if outcome and time is not None:
        if _are_fills(contents, as_positions, as_fills):
            as_fills["price"] = by_content(contents, as_fills, "quantity") or Spec(
                [OPEN_QUESTION], comment="the column with the price of the fill"
            )
            return as_fills, "fills", ["Each row is a fill: many rows have no profit."]
        refuse_amounts(path, contents, as_positions)
        return (
            {
                "exit_timestamp": time,
                **{f: s for f, s in as_positions.items() if s.column not in time.columns},
            },
            "positions",
            [
                "Each row is assumed to be a closed position, as it has an outcome and no price of"
                " a fill."
            ],
        )
    if not contents.time_columns:
        mixed = next((column for column in contents.columns if contents.is_mixed(column)), None)
        if mixed is not None:
            raise BadDataError(
                f"In {mixed} of {path} some dates have the day first, and some the month first.",
                "Export the file with one date format.",
            )
        if clocks := [column for column in contents.columns if contents.is_clock(column)]:
            raise BadDataError(
                f"No column of {path} looks like the time of a close: {clocks[0]} has times of day"
                " without a date.",
                "Export the trades with their dates.",
            )
        raise BadDataError(
            f"No column of {path} looks like the time of a close: its columns are"
            f" {', '.join(contents.columns)}.",
            "Export the trades with the times, or days, at which they were closed. If a column has"
            " them, write the mapping by hand; docs/adapters.md has an example to start from.",
        )
    if "exit_timestamp" in as_positions:
        return (
            as_positions,
            "positions",
            ["Each row is assumed to be a closed position, as it has the time of a close."],
        )
    entered = as_positions["entry_timestamp"].columns if "entry_timestamp" in there else []
    likely = [
        name
        for name in contents.time_columns
        if not re.search("exp|settle|matur", known_as(name)) and name not in entered
    ]
    column = (likely or contents.time_columns)[-1]
    taken = {c for spec in as_positions.values() for c in spec.columns}
    if (known_as(column) in NAMES["entry_timestamp"] or column in entered) and (
        exits := [
            c
            for c in contents.columns
            if (known_as(c) in _CERTAIN_EXITS and not _has_times(contents, c))
            or (
                end_of(known_as(c)) == "exit"
                and not is_price(known_as(c))
                and c not in taken
                and contents.is_numeric(c)
            )
        ]
    ):
        raise BadDataError(
            f"{path} has the times of entries in {column}, and those in {exits[0]} cannot be read.",
            "Export the file with dates and times, or mend that column.",
        )
    if end_of(known_as(column)) == "entry" or (
        known_as(column) in NAMES["entry_timestamp"] and column in entered
    ):
        others = {f: s for f, s in as_positions.items() if s.column != column}
        open_question = Spec([OPEN_QUESTION], comment="the column with the time of the close")
        return (
            {"exit_timestamp": open_question, **others},
            "positions",
            [f"{TAKEN}{column} is that of the entry, and no other column has times."],
        )
    if len(likely) > 1:
        form = next(iter((contents.time(column) or TimeReading({}, False, False)).keys.items()), ())
        keys = f', {form[0]} = "{form[1]}"' if form else ""
        spec = Spec(
            [OPEN_QUESTION],
            comment=f'the column with the time of the close: {{column = "{column}"{keys}}}',
        )
        others = {f: s for f, s in as_positions.items() if s.column not in likely}
        several = " or ".join(likely)
        return {"exit_timestamp": spec, **others}, "positions", [f"{TAKEN}{several}."]
    spec = chooser.time_of(column) or Spec([column])
    others = {f: s for f, s in as_positions.items() if s.column != column}
    return {"exit_timestamp": spec, **others}, "positions", [f"{TAKEN}{column} was taken."]


def _has_times(contents: Contents, column: str) -> bool:
    """Whether most cells are times; the others may be those of sums."""
    read = sum(parsed(as_text(v)) is not None for v in contents.values(column))
    return 2 * read > len(contents.values(column))


def _are_orders(contents: Contents, as_positions: Fields, as_fills: Fields) -> bool:
    """Whether rows that were opened and closed are orders: they have one price, no outcome, and
    purchases and sales."""
    return (
        {"entry_timestamp", "exit_timestamp"} <= as_positions.keys()
        and not as_positions.keys() & {"pnl_usd", "roi", "rr", "exit_price"}
        and "time" not in as_fills
        and {"quantity", "price", "side"} <= as_fills.keys()
        and any(re.search(_ORDERED, word) for word in contents.words(as_fills["side"].column))
        and len(_directions(contents, as_fills["side"])) == 2
    )


def _times(*found: Fields) -> list[str]:
    """The columns of days that were found."""
    return [
        spec.column
        for fields in found
        for name, spec in fields.items()
        if name in ("time", "entry_timestamp", "exit_timestamp")
    ]


def _directions(contents: Contents, spec: Spec) -> set[int]:
    said = (read_side(word) for word in contents.words(spec.column))
    return {side.fill for side in said if isinstance(side, Side)}


def _are_fills(contents: Contents, as_positions: Fields, as_fills: Fields) -> bool:
    """Whether rows with an outcome are probably fills of which no price is known: quantities have
    both signs, or sides say to open and to close, and many profits are 0, as those of fills that
    open."""
    quantity, profit = as_positions.get("quantity"), as_positions.get("pnl_usd")
    if quantity is None or profit is None or not {"time", "quantity"} <= as_fills.keys():
        return False
    profits = contents.numbers(profit.column)
    if sum(not n for n in profits) < _MANY * len(profits):
        return False
    if (effect := as_fills.get("open_close")) is not None and {
        opens_or_closes(word) for word in contents.words(effect.column)
    } >= {True, False}:
        return True
    if (side := as_positions.get("side")) is not None:
        said = [read_side(word) for word in contents.words(side.column)]
        opens = {s.opens for s in said if isinstance(s, Side)}
        return opens >= {True, False} or _balances(contents, as_fills, side, quantity)
    quantities = contents.read_numbers(quantity.column)
    return min(quantities) < 0 < max(quantities)


def _has_both_signs(contents: Contents, quantity: Spec) -> bool:
    numbers = contents.read_numbers(quantity.column)
    return min(numbers, default=0) < 0 < max(numbers, default=0)


def _balances(contents: Contents, as_fills: Fields, side: Spec, quantity: Spec) -> bool:
    """Whether as much of each symbol was bought as was sold."""
    symbol = as_fills.get("symbol")
    rest: dict[str, float] = {}
    for i, (cell, n) in enumerate(
        zip(contents.cells(side.column), contents.numbers(quantity.column), strict=True)
    ):
        said = read_side(as_text(cell or ""))
        name = as_text(contents.cells(symbol.column)[i] or "") if symbol else ""
        if not isinstance(said, Side) or n is None:
            return False
        rest[name] = rest.get(name, 0.0) + said.fill * abs(n)
    return len(_directions(contents, side)) == 2 and not any(abs(n) > 1e-9 for n in rest.values())


def _are_closed(contents: Contents, as_positions: Fields, as_fills: Fields) -> bool:
    """Whether what looks like fills are closed positions: all have a profit, and the time of an
    entry beside their own."""
    entered, profit = as_positions.get("entry_timestamp"), as_positions.get("pnl_usd")
    if entered is None and profit is not None and "side" not in as_fills:
        # What has no side, but a profit in each row, was closed there.
        quantities = contents.read_numbers(as_fills["quantity"].column)
        profits = profits_of(contents) or profit.columns
        if any(_is_amount(contents, as_fills, column) for column in profits):
            return False
        n_open = max(sum(not n for n in contents.numbers(c)) for c in profits)
        return min(quantities, default=-1.0) > 0 and n_open == 0
    return (
        entered is not None
        and profit is not None
        and entered.columns != as_fills["time"].columns
        and all(contents.numbers(profit.column))
    )


def _is_amount(contents: Contents, as_fills: Fields, column: str) -> bool:
    """Whether what is called a profit is price × quantity in all rows, but for costs: what was paid
    and received."""
    if not {"quantity", "price"} <= as_fills.keys() or contents.n_rows < 2:
        return False
    columns = (column, as_fills["quantity"].column, as_fills["price"].column)
    shares = [
        abs(amount / (quantity * price))
        for amount, quantity, price in zip(*map(contents.numbers, columns), strict=True)
        if amount and quantity and price
    ]
    return len(shares) == contents.n_rows and all(abs(share - 1) <= _COSTS for share in shares)


def _refuse_all_earned(
    path: str, contents: Contents, as_positions: Fields, as_fills: Fields
) -> None:
    """Raise if every row has a profit, as closed positions have, and a second time beside that of
    what looks like a fill."""
    profit = as_positions.get("pnl_usd")
    if profit is None or contents.n_rows < 2 or not all(contents.numbers(profit.column)):
        return
    if _is_amount(contents, as_fills, profit.column):
        return
    others = [column for column in contents.time_columns if column not in as_fills["time"].columns]
    if others and not any(re.search("settl|valu|exp|matur", known_as(c)) for c in others):
        raise BadDataError(
            f"Each row of {path} has one price and one quantity, as a fill, but also a profit in"
            f" {profit.column} and a second time in {others[0]}, as a closed position.",
            "Say what a row is with --rows positions or --rows fills.",
        )


def _as_asked(
    path: str, as_positions: Fields, as_fills: Fields, rows: str
) -> tuple[Fields, str, list[str]]:
    """The fields of the kind of row that the user chose."""
    if rows == "positions" and "exit_timestamp" not in as_positions and "time" in as_fills:
        as_positions = {"exit_timestamp": as_fills["time"], **as_positions}
    fields = as_positions if rows == "positions" else as_fills
    lacking = [name for name in REQUIRED[rows] if name not in fields and name != "symbol"]
    if lacking:
        raise BadDataError(
            f"{path} has no column that could be {' or '.join(lacking)}, which rows = {rows!r}"
            " needs.",
            "Leave out --rows, or write the mapping by hand; docs/adapters.md has an example to"
            " start from.",
        )
    return fields, rows, []
