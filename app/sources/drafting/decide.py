"""Decide how to read a table: which rows count, positions or fills, which column is which field,
and what to ask the user.

May touch: nothing.
"""

from __future__ import annotations

import re
from copy import deepcopy

from app.errors import BadDataError
from app.sources.cells import as_text
from app.sources.column_names import NAMES, is_header_word, known_as
from app.sources.drafting import fill_values, position_values
from app.sources.drafting.answers import Answers
from app.sources.drafting.books import settle_books
from app.sources.drafting.clocks import settle_times
from app.sources.drafting.contents import Contents
from app.sources.drafting.cross_check import cross_check
from app.sources.drafting.cumulative import without_progress, without_totals
from app.sources.drafting.currency import settle_currency
from app.sources.drafting.decided import Decided
from app.sources.drafting.directions import settle_sides
from app.sources.drafting.fee_columns import name_unread
from app.sources.drafting.fill_fields import filled_of_total
from app.sources.drafting.kept_rows import Kept
from app.sources.drafting.mixed_rows import (
    refuse_lots_below,
    refuse_mixed_amounts,
    refuse_settlements,
)
from app.sources.drafting.position_times import find_entry
from app.sources.drafting.premiums import find_premiums
from app.sources.drafting.profit_columns import profits_by_short_names
from app.sources.drafting.quantities import (
    ask_quantity,
    refuse_filled_in_part,
    refuse_mixed_counts,
    refuse_mixed_units,
)
from app.sources.drafting.references import without_undone
from app.sources.drafting.refusals import (
    refuse_base_units,
    refuse_digits,
    refuse_holdings,
    refuse_open_positions,
    refuse_returns_of_days,
    refuse_statements,
    refuse_unnamed,
)
from app.sources.drafting.repeated import settle_repeated, without_copies
from app.sources.drafting.row_kinds import TAKEN, fields_of
from app.sources.drafting.rows import (
    by_side,
    incomplete,
    opening_rows,
    still_open,
    without_quote_legs,
    without_reversed,
    without_spreads,
)
from app.sources.drafting.shifted import refuse_shifted
from app.sources.drafting.spec import Fields, Spec
from app.sources.drafting.statuses import by_status
from app.sources.drafting.trade_ids import settle_trade_ids
from app.sources.drafting.twin_prices import settle_twin_prices
from app.sources.ends import end_of, is_price
from app.sources.figures import written
from app.sources.filters import filled_down
from app.sources.mapping import OPEN_QUESTION
from app.sources.sides import Side, read_side

__all__ = ["Decided", "decide"]

_TRADES = frozenset(
    (
        "trades", "no_of_trades", "number_of_trades", "num_trades", "trade_count", "total_trades",
        "n_trades", "trades_count", "nb_trades", "anzahl_trades", "operaciones",
    )
)  # fmt: skip
_RATES = frozenset(
    (
        "win_rate", "win_pct", "winrate", "win", "accuracy", "profit_factor", "avg_win", "avg_loss",
        "hit_rate", "batting_avg",
    )
)  # fmt: skip
"""Names of columns with how many trades a row has, and with what says how good they were."""
_NAME = re.compile(r"name|descr|bezeich|instrument|produ[ck]t|secur|contract|market|asset|isin")
"""Of columns that may say what was traded, too."""
_NUMBERS = ("price", "entry_price", "exit_price", "quantity", "gross", "net", "pnl_usd", "fee")
"""Fields whose columns have numbers."""
_LIKE_NUMBER = re.compile(r"[^\W\d_]{0,5}[^\w]*\d[\d.,' ]*[^\w]*[^\W\d_]{0,5}\W*")
"""Digits with a sign, a unit or a currency before or behind them."""
_MARKS = {".": "decimal points", ",": "decimal commas"}
_MANIFOLD = (
    (
        1_000,
        r"\b000s?|[x×] ?1[., ]?000\b|\bthousands?|\bTsd\.?|\bmiles|\bmilliers|тыс\.?|千|nghìn|ngàn"
        r"|\bribu|\btys|พัน|천 ?원|\bk\b",
        "thousands",
    ),
    (0.0001, "/ ?(1 ?[万萬만]|10[., ]?000)", "money per ten thousand units"),
    (10_000, "[万萬만]", "ten thousands"),
    (100_000, r"\blakhs?\b|\blacs?\b", "lakhs"),
    (10_000_000, r"\bcrores?\b", "crores"),
    (1_000_000, r"\bmio|\bmillions?|\bmln|млн|百万", "millions"),
)
"""What names of columns have in brackets whose numbers are in thousands (`Amount (000)`) and so
on."""
_COUNTS = (
    {"wins", "losses"},
    {"winners", "losers"},
    {"winning_trades", "losing_trades"},
)


def decide(
    path: str, contents: Contents, rows: str | None = None, given: Answers | None = None
) -> Decided:
    """Decide how the table is read; `rows` is what a row is, if the user has chosen it, and `given`
    what else is known.

    Raises `BadDataError` if no column could be the time of a close or of a fill.
    """
    contents = without_copies(contents)
    if {"open", "high", "low", "close"} <= {known_as(c) for c in contents.columns}:
        raise BadDataError(
            f"{path} has the prices of bars (open, high, low, close), not trades.",
            "Export the trades or transactions.",
        )
    if any(
        known_as(c).rpartition(".")[2].replace("_", "") == "moneydigits" for c in contents.columns
    ):
        raise BadDataError(
            f"{path} counts money in fractions of a currency, as moneyDigits says, and volumes in"
            " hundredths of units.",
            "Export the history of the platform as CSV or HTML.",
        )
    refuse_statements(path, contents)
    refuse_unnamed(path, contents)
    refuse_open_positions(path, contents)
    refuse_digits(path, contents)
    refuse_shifted(path, contents)
    if any(pair <= {known_as(c) for c in contents.columns} for pair in _COUNTS):
        raise BadDataError(
            f"{path} has totals of several trades in each row (wins and losses), not trades.",
            "Export the trades themselves.",
        )
    known = {known_as(c) for c in contents.columns}
    if any(
        known_as(c) in _TRADES and any(n > 1 for n in contents.read_numbers(c))
        for c in contents.columns
    ) and (
        known & _RATES or not known & {*NAMES["symbol"]} or not any(map(_tells_of_a_trade, known))
    ):
        raise BadDataError(
            f"{path} has totals of several trades in each row (how many there were), not trades.",
            "Export the trades themselves.",
        )
    filled_of_total(contents)
    filled = next(
        (
            c
            for c in contents.columns
            if re.match(
                r"filled|executed|(cum_)?exec_q|fill_q|(qty|quantity|size|volume)_(filled|exec)",
                known_as(c),
            )
            and not re.search(r"price|value|fee|_at$", known_as(c))
            and contents.is_numeric(c)
        ),
        None,
    )
    kept = by_status(contents, filled)
    asked_for = rows
    fields, rows, said = fields_of(path, kept.contents, asked_for)
    first, found = kept.contents, deepcopy(fields)
    if given is not None:
        given.impose(fields)
    refuse_lots_below(path, kept.contents, fields)
    legs = _fill_down(kept, fields, rows)
    unnamed = _unnamed(kept, fields, rows)
    still_open(kept, fields)
    lost = without_quote_legs(kept, fields) if rows == "fills" else []
    without_spreads(kept, fields, rows)
    unknown = by_side(kept, fields, rows)
    opening_rows(kept, fields, rows)
    incomplete(kept, fields, rows)
    without_totals(kept, fields, rows)
    without_progress(path, kept, fields, rows)
    without_undone(contents, kept, fields, rows)
    reversals = without_reversed(kept, fields, rows)
    if kept.contents is not first:
        found = _again(path, kept.contents, rows, asked_for)
    fields = _together(fields, found)
    if given is not None:
        given.impose(fields)
    taken = [sentence for sentence in said if sentence.startswith(TAKEN)]
    open_time = OPEN_QUESTION in fields.get("exit_timestamp", Spec([])).columns
    if rows == "positions" and asked_for is None:
        refuse_base_units(path, kept.contents)
        refuse_holdings(path, kept.contents, fields)
        refuse_returns_of_days(path, kept.contents, fields)
    decided = Decided(
        rows, fields, kept, guessed=[*(s for s in said if s not in taken), *kept.said]
    )
    if given is not None:
        given.begin(decided)
    (decided.asked if open_time else decided.left).extend(taken)
    decided.left += [*lost, *reversals]
    if unnamed:
        decided.ask(
            "fill_down",
            f"What was traded in {unnamed[1]:,} rows without {unnamed[0]}: in all else they look"
            " like fills, as in a spreadsheet whose cells are merged.",
            f'["{unnamed[0]}"] if an empty cell repeats the one above it; else name what was traded'
            " in the file",
        )
    elif legs:
        decided.keys["fill_down"] = (
            legs,
            "an empty cell repeats the one above it: further legs of one order",
        )
        decided.guessed.append(
            f"Empty cells of {' and '.join(legs)} repeat those above them: further legs of one"
            " order."
        )
    refuse_mixed_amounts(path, decided)
    _decimal(decided)
    _in_thousands(decided)
    find_entry(decided)
    profits_by_short_names(decided)
    settle_times(decided)
    settle_sides(decided, unknown)
    refuse_settlements(path, contents, decided)
    if any(spec.columns == [OPEN_QUESTION] for name, spec in fields.items() if name == "quantity"):
        ask_quantity(decided)
    if "price" in fields and fields["price"].columns == [OPEN_QUESTION]:
        decided.asked.append(
            "Which column has the prices: times, quantities and sides look like fills, but no price"
            " was found.  If each row is a closed position, draft again with --rows positions."
        )
    settle_twin_prices(decided)
    refuse_mixed_counts(path, decided)
    if rows == "fills":
        refuse_filled_in_part(path, decided)
        refuse_mixed_units(path, decided)
        settle_trade_ids(decided)
        settle_books(decided)
    settle_currency(decided)
    settle_repeated(path, decided)
    _numbered(decided)
    if rows == "positions":
        find_premiums(decided)
        position_values.settle(decided)
    else:
        fill_values.settle(decided)
    _unknown_numbers(decided)
    _unread_numbers(path, decided)
    name_unread(decided)
    if given is not None:
        given.end(decided)
        return decided
    cross_check(decided)
    return decided


def _tells_of_a_trade(name: str) -> bool:
    """Whether a column is about one end of a trade, or has its price or side."""
    return bool(end_of(name)) or is_price(name) or name in ("side", "direction", "type", "action")


def _in_thousands(decided: Decided) -> None:
    """Scale columns whose names say that they are in thousands or the like."""
    for name in (*_NUMBERS, "fees_usd", "stake"):
        spec = decided.fields.get(name)
        if spec is None:
            continue
        if name == "quantity" and "pnl_usd" in decided.fields:
            continue  # What a unit is worth follows from the profits.
        for factor, words, what in _MANIFOLD:
            pattern = re.compile(rf"[(\[（][^)\]）]*({words})[^)\]）]*[)\]）]", re.IGNORECASE)
            if all(map(pattern.search, spec.columns)):
                spec.keys["scale"], spec.comment = factor, what
                decided.guessed.append(f"{' and '.join(spec.columns)} is in {what}.")
                break


def _are_ids(numbers: list[float]) -> bool:
    """Whether the numbers are whole ones that do not recur, or all the same."""
    return len({*numbers}) == 1 or (
        len({*numbers}) == len(numbers) and all(n.is_integer() for n in numbers)
    )


def _unknown_numbers(decided: Decided) -> None:
    """Name columns of numbers in whose names no word is known: they may be fees or profits."""
    contents = decided.kept.contents
    abroad = decided.keys.get("currency", ("",))[0] == OPEN_QUESTION
    found = [
        column
        for column in contents.columns
        if column not in decided.used()
        and (abroad or not column.isascii())
        and not is_header_word(column)
        and contents.is_numeric(column)
        and contents.time(column) is None
        and not _are_ids(contents.read_numbers(column))
    ]
    if found:
        decided.left.append(
            f"What {', '.join(found[:6])} means: no word of the name is known, so the numbers are"
            " not read. If they are fees or profits, name them in [columns]."
        )


def _unread_numbers(path: str, decided: Decided) -> None:
    """Name columns that are called prices, quantities or amounts, and whose cells are not read as
    numbers: another column may have been taken for them.

    Raises `BadDataError` if they can be read with the other decimal mark.
    """
    contents = decided.kept.contents
    known = {name for field in _NUMBERS for name in NAMES[field]}
    for column in contents.columns:
        words = list(contents.words(column))
        if (
            column not in decided.used()
            and known_as(column) in known
            and words
            and not contents.is_numeric(column)
            and contents.time(column) is None
            and all(map(_LIKE_NUMBER.fullmatch, words))
        ):
            other = "," if contents.decimal == "." else "."
            unread = [word for word in words if written(word, contents.decimal) is None]
            readable = [word for word in unread if written(word, other)]
            if (
                contents.decimal in _MARKS
                and readable
                and (all(written(word, other) for word in words) or not decided.asked)
            ):
                raise BadDataError(
                    f"{path} has numbers with {_MARKS[contents.decimal]} and, in {column}, with"
                    f" {_MARKS[other]}, such as {readable[0]}.",
                    "Export the file with one way of writing numbers.",
                )
            decided.left.append(
                f"Why {column} is not read: not all of its cells are numbers, such as {words[0]!r}."
            )


def _fill_down(kept: Kept, fields: Fields, rows: str) -> list[str]:
    """The time columns of fills that only the first leg of an order has: the cells of its other
    legs are filled from above."""
    if rows != "fills" or not {"time", "quantity", "price", "side"} <= fields.keys():
        return []
    contents = kept.contents
    quantity, price = (
        contents.numbers(fields["quantity"].column),
        contents.numbers(fields["price"].column),
    )
    found = []
    for column in fields["time"].columns:
        cells = contents.cells(column)
        legs = [
            i
            for i, cell in enumerate(cells)
            if cell is None and quantity[i] and price[i] is not None
        ]
        if legs and legs[0] > 0:
            found.append(column)
    named = [
        column
        for name in ("side", "symbol")
        if name in fields and fields[name].column in contents.columns
        for column in fields[name].columns
    ]
    empty = [
        i
        for i in range(1, contents.n_rows)
        if quantity[i]
        and price[i] is not None
        and all(contents.cells(column)[i] is None for column in named)
        and contents.cells(fields["time"].column)[i] is not None
    ]
    if empty and len(named) > 1 and contents.cells(named[0])[0] is not None:
        found += named
    if not found and (number := _number_above(contents, fields["side"])):
        found = [number]
    if found:
        kept.contents = contents.with_rows(list(filled_down(contents.rows, found)))
    return found


def _number_above(contents: Contents, side: Spec) -> str | None:
    """The column with the number of a trade in the row that opens it, and nothing in those below
    that close it."""
    opens = [
        s.opens if isinstance(s := read_side(as_text(v or "")), Side) else None
        for v in contents.cells(side.column)
    ]
    for column in contents.columns:
        name = known_as(column)
        there = [value is not None for value in contents.cells(column)]
        if {name, name.removesuffix("_no")} & {*NAMES["trade_id"]} and there == opens:
            return column
    return None


def _unnamed(kept: Kept, fields: Fields, rows: str) -> tuple[str, int] | None:
    """(the column that says what was traded, in how many rows it is empty) if the first row has it
    and those rows are fills in all other ways; they are filled from above."""
    names = ("time", "side", "quantity", "price", "symbol")
    if rows != "fills" or not {*names} <= fields.keys():
        return None
    contents = kept.contents
    columns = [fields[name].column for name in names]
    if len(fields["symbol"].columns) > 1 or not {*columns} <= {*contents.columns}:
        return None
    *others, symbols = map(contents.cells, columns)
    empty = [i for i, symbol in enumerate(symbols) if symbol is None]
    if (
        not empty
        or empty[0] == 0
        or any(cells[i] is None for cells in others for i in empty)
        or any(
            _NAME.search(known_as(column)) and any(contents.cells(column)[i] for i in empty)
            for column in contents.columns
        )
        or not all(isinstance(read_side(as_text(others[1][i])), Side) for i in empty)
        or not all(contents.numbers(column)[i] for column in columns[2:4] for i in empty)
    ):
        return None
    kept.contents = contents.with_rows(list(filled_down(contents.rows, [columns[-1]])))
    return columns[-1], len(empty)


def _again(path: str, contents: Contents, rows: str, asked_for: str | None) -> Fields:
    """Choose the fields again, now that only rows of trades are left: their ids are unique, and all
    of their numbers can be read.  None of them if they look like other rows now."""
    try:
        found, kind, _ = fields_of(path, contents, asked_for)
    except BadDataError:
        return {}
    return found if kind == rows else {}


def _together(fields: Fields, found: Fields) -> Fields:
    """The fields that were found in the end, and those that were only found before."""
    if not found:
        return fields
    if fields.keys() <= found.keys():
        return found
    known = {name: spec for name, spec in fields.items() if spec.columns != [OPEN_QUESTION]}
    return {**fields, **found, **known}


def _numbered(decided: Decided) -> None:
    """Warn that ids that number the rows of this file recur in the next file."""
    spec = (
        decided.fields.get("trade_id")
        if decided.rows == "positions"
        else decided.fields.get("fill_id")
    )
    if spec is None:
        return
    numbers = sorted(n for n in decided.kept.contents.read_numbers(spec.column))
    if (
        len(numbers) > 1
        and numbers[0] in (0, 1)
        and numbers == [numbers[0] + i for i in range(len(numbers))]
    ):
        decided.left.append(
            f"Whether {spec.column} continues from file to file: another file that begins with"
            f" {numbers[0]:g} needs its own --module."
        )


def _decimal(decided: Decided) -> None:
    if triangle := decided.kept.contents.triangle:
        what = "below" if triangle == "minus" else "above"
        decided.keys["triangle"] = (triangle, f"numbers with ▲ are {what} 0")
        decided.guessed.append(f"Numbers with ▲ are {what} 0.")
    if decided.kept.contents.decimal == OPEN_QUESTION:
        decided.ask(
            "decimal",
            "Whether 1,234 is a thousand or 1.234: no number in the file shows which mark is the"
            " decimal one.",
            '"." if 1,234 is a thousand and 1.234 a little more than one, "," the other way round',
        )
    elif decided.kept.contents.decimal == ",":
        decided.keys["decimal"] = (",", "")
    contents = decided.kept.contents
    for name in ("price", "entry_price", "exit_price"):
        spec = decided.fields.get(name)
        if spec and contents.is_in_32nds(spec.column):
            decided.keys["apostrophe"] = ("32nds", "119'08 cannot be thousands")
            decided.guessed.append(
                f"{spec.column} is in 32nds of a point, with one digit in eighths."
            )
            return
        cells = [str(v) for v in contents.values(spec.column)] if spec else []
        if (
            cells
            and all(re.fullmatch(r"\d{2,3}['’]\d{2,3}", cell) for cell in cells)
            and "apostrophe" not in decided.keys
        ):
            decided.ask(
                "apostrophe",
                f"Whether prices such as {cells[0]} are in 32nds of a point, as those of bonds, or"
                " have an apostrophe between thousands.",
                '"32nds" or "thousands"',
            )
