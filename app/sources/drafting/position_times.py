"""Closed positions: which time and price is the entry's, and which the exit's.

May touch: nothing.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from datetime import date, datetime

from app.errors import BadDataError
from app.sources.cells import as_text
from app.sources.column_names import NAMES, known_as
from app.sources.drafting import simulate
from app.sources.drafting.decided import Decided
from app.sources.drafting.spec import Fields, Spec
from app.sources.mapping import OPEN_QUESTION
from app.sources.positions import BOUGHT, SOLD
from app.sources.sides import Side, read_side

_YEAR = 365
_LOOKED_AT = 20_000
"""Of more rows, so many from the first to the last show whether entries and exits are exchanged."""
_MIDNIGHT = "T00:00:00"
"""The end of a day without a time of day."""
_MOMENT = ("ts", "timestamp")
_RECEIVED = re.compile(r"(date_)?received(_at|_date|_on)?|received_time")
"""What the time of a position's entry is called, too; the second beside that of a sale."""
_CREATED = re.compile(r"created(_(at|on|time|date|ts|timestamp))?|create_(time|date)|creation_time")
"""What it is called beside the time of a close, if positions last longer than an order."""
_DISPOSED = re.compile("dispos|veräußer")
"""Of a sale in a list for taxes, where what was bought later may count as what was sold."""
_ANY_CHANGE = re.compile("updat|^utime$|trade|settle|^(date|time|timestamp)$")
"""Of the time of a close that may be that of anything else."""
_LASTS_S = 60
_NO_ENTRY = re.compile(r"^ctime$|settle|expir|valu|process|updat|creat|clos|exit|sold|sell|end")


def find_entry(decided: Decided) -> None:
    """Use the only other time as the entry's, if it is before the exit's in all rows."""
    contents, fields = decided.kept.contents, decided.fields
    if decided.rows != "positions" or "exit_timestamp" not in fields or "entry_timestamp" in fields:
        return
    used = decided.used()
    sold = SOLD.search(fields["exit_timestamp"].column)
    both_prices = {"entry_price", "exit_price"} <= fields.keys()
    closed = not _ANY_CHANGE.search(known_as(fields["exit_timestamp"].column))
    found = [
        column
        for column in contents.time_columns
        if column not in used
        and (
            (known_as(column) in NAMES["time"] and not _NO_ENTRY.search(known_as(column)))
            or (both_prices and known_as(column) in _MOMENT)
            or (closed and _CREATED.fullmatch(known_as(column)))
            or (sold and _RECEIVED.fullmatch(known_as(column)))
        )
    ]
    reading = contents.time(found[0]) if len(found) == 1 else None
    if reading is None or reading.keys.get("format") == OPEN_QUESTION:
        return
    fields["entry_timestamp"] = Spec(found, dict(reading.keys))
    entries, exits = (
        simulate.moments(decided, "entry_timestamp"),
        simulate.moments(decided, "exit_timestamp"),
    )
    both = [(a, b) for a, b in zip(entries, exits, strict=True) if a and b]
    if (
        len(both) < sum(b is not None for b in exits)  # Those without are open.
        or any(a > b for a, b in both)
        or not any(a < b if reading.has_clock else a[:10] < b[:10] for a, b in both)
        or (_CREATED.fullmatch(known_as(found[0])) and not _last(both))
    ):
        del fields["entry_timestamp"]
        return
    decided.guessed.append(
        f"{found[0]} is the time of the entry: it is never after {fields['exit_timestamp'].column}."
    )


def _last(both: Sequence[tuple[str, str]]) -> bool:
    """Whether most positions last longer than the order of a close takes."""
    lasted = [
        (datetime.fromisoformat(b) - datetime.fromisoformat(a)).total_seconds() for a, b in both
    ]
    return statistics.median(lasted) > _LASTS_S


def _refuse_one_day(decided: Decided) -> None:
    """Raises where both times are times of one day: an exit before its entry was on another day,
    and no column says which."""
    entry, left = (decided.fields[name] for name in ("entry_timestamp", "exit_timestamp"))
    if entry.column == left.column and len(entry.columns) > 1:
        raise BadDataError(
            f"The file has one day, {entry.column}, for entries and exits, and the times of exits"
            " are before those of their entries: trades were held overnight.",
            "Give the day of the exit in a column of its own.",
        )


def exchanged_times(decided: Decided) -> None:
    """Handle entries after their exits: shorts that a purchase closed, or two swapped columns."""
    fields = decided.fields
    if not {"entry_timestamp", "exit_timestamp"} <= fields.keys():
        return
    ends = ("entry_timestamp", "exit_timestamp")
    some = decided.kept.contents.rows
    if len(some) > _LOOKED_AT:
        some = some[:: len(some) // _LOOKED_AT]
        before, after = (simulate.moments(decided, name, some) for name in ends)
        if not any(a and b and a > b for a, b in zip(before, after, strict=True)):
            return
    entries, exits = (simulate.moments(decided, name) for name in ends)
    both = [
        (a, b)
        for a, b in zip(entries, exits, strict=True)
        if a and b and not (b.endswith(_MIDNIGHT) and a.startswith(b.removesuffix(_MIDNIGHT)))
    ]
    late = sum(a > b for a, b in both)
    if not late:
        return
    names = [fields[name].column for name in ("entry_timestamp", "exit_timestamp")]
    if BOUGHT.search(names[0]) and SOLD.search(names[1]):
        decided.keys["bought_sold"] = (
            True,
            "the entry's columns are the purchase's: a position sold first is short",
        )
        decided.guessed.append(
            f"{late:,} rows were sold before they were bought: they are short positions, whose"
            " entry is the sale."
        )
        fields.pop("side", None)
    elif late > 0.8 * len(both) and not _DISPOSED.search(known_as(names[1])):
        _refuse_one_day(decided)
        fields["entry_timestamp"], fields["exit_timestamp"] = (
            fields["exit_timestamp"],
            fields["entry_timestamp"],
        )
        if _are_twins(fields, "_timestamp") and _are_twins(fields, "_price"):
            fields["entry_price"], fields["exit_price"] = (
                fields["exit_price"],
                fields["entry_price"],
            )
        decided.guessed.append(
            "The two times were swapped: by their columns' names, nearly all exits would precede"
            " their entries."
        )
    elif "side" in fields and all(
        (a > b) == (side_of(decided, i, None) == -1)
        for i, (a, b) in enumerate(zip(entries, exits, strict=True))
        if a and b and a != b
    ):
        decided.keys["bought_sold"] = (
            True,
            "the first time is the purchase's: a short was sold first",
        )
        decided.guessed.append(
            "In short positions the two times are those of the purchase and the sale, so they are"
            " swapped."
        )
    else:
        decided.left.append(
            f"Why {late:,} rows have their exit before their entry: they will be refused."
        )


def _are_twins(fields: Fields, end: str) -> bool:
    """Whether the columns of the entry and of the exit have one name, and only their order says
    which is which."""
    names = [fields[name].column for name in (f"entry{end}", f"exit{end}") if name in fields]
    return len(names) == 2 and names[1] == f"{names[0]} (2)"


def not_the_term(decided: Decided) -> None:
    """Do not use a column of long and short as the side if it says how long each position was held,
    as in tax reports."""
    fields, contents = decided.fields, decided.kept.contents
    if not {"side", "entry_timestamp", "exit_timestamp"} <= fields.keys():
        return
    spec = fields["side"]
    words = {word.strip().lower() for word in contents.words(spec.column)}
    if len(spec.columns) > 1 or not words <= {"short", "long"}:
        return
    entries = simulate.moments(decided, "entry_timestamp")
    exits = simulate.moments(decided, "exit_timestamp")
    held = [
        (date.fromisoformat(b[:10]) - date.fromisoformat(a[:10])).days if a and b else None
        for a, b in zip(entries, exits, strict=True)
    ]
    cells = [
        as_text(v).strip().lower() if v is not None else "" for v in contents.cells(spec.column)
    ]
    long = [days for days, cell in zip(held, cells, strict=True) if cell == "long"]
    short = [days for days, cell in zip(held, cells, strict=True) if cell == "short"]
    told = not {"entry_price", "exit_price"} <= fields.keys() and (
        BOUGHT.search(fields["entry_timestamp"].column)
        and SOLD.search(fields["exit_timestamp"].column)
    )
    if (
        (long or (told and any(days for days in short)))
        and all(days is not None and days >= _YEAR for days in long)
        and all(days is not None and days <= _YEAR for days in short)
    ):
        del fields["side"]
        decided.guessed.append(
            f"{spec.column} is no side: it says whether a position was held for over a year."
        )


def sold_what_was_bought(decided: Decided) -> None:
    """Do not use a column as the side in which all rows are sales, if the dates of purchases come
    before those of sales: it says how positions were closed."""
    fields = decided.fields
    if not {"side", "entry_timestamp", "exit_timestamp"} <= fields.keys():
        return
    ends = [fields[name].column for name in ("entry_timestamp", "exit_timestamp")]
    if {"entry_price", "exit_price"} & fields.keys() or not (
        BOUGHT.search(ends[0]) and (SOLD.search(ends[1]) or _DISPOSED.search(known_as(ends[1])))
    ):
        return
    both = zip(
        simulate.moments(decided, "entry_timestamp"),
        simulate.moments(decided, "exit_timestamp"),
        strict=True,
    )
    if all(a and b and a < b for a, b in both) and {
        side_of(decided, i, None) for i in range(decided.kept.contents.n_rows)
    } == {-1}:
        decided.guessed.append(
            f"{fields['side'].column} is no side: what was bought before was sold in all rows."
        )
        del fields["side"]


def bought_and_sold(decided: Decided) -> None:
    """Handle prices of the purchase and the sale beside a side: for shorts, the sale is the
    entry."""
    fields = decided.fields
    if "bought_sold" in decided.keys or not {"side", "entry_price", "exit_price"} <= fields.keys():
        return
    names = [fields[name].column for name in ("entry_price", "exit_price")]
    if not (BOUGHT.search(names[0]) and SOLD.search(names[1])):
        return
    sides = {side_of(decided, i, None) for i in range(decided.kept.contents.n_rows)}
    if -1 in sides:
        decided.keys["bought_sold"] = (True, "the sale's price is the entry's of a short")
        decided.guessed.append("The prices are those of the purchase and the sale.")


def side_of(decided: Decided, i: int, quantity: float | None) -> int | None:
    """1 if the position of the row is long, -1 if it is short, None if nothing says which."""
    spec, contents = decided.fields.get("side"), decided.kept.contents
    told, _ = decided.sections.get("constants", {}).get("side", ("", ""))
    if spec is None and told:
        return {"long": 1, "short": -1}.get(told)
    if spec is None:
        return -1 if quantity is not None and quantity < 0 else 1
    text = " ".join(
        as_text(v) for column in spec.columns if (v := contents.cells(column)[i]) is not None
    )
    own = decided.sections.get("sides", {})
    for name, side in (("buy", 1), ("sell", -1)):
        if name in own and text.strip().lower() in own[name][0]:
            return side
    found = read_side(text)
    return found.position if isinstance(found, Side) else None
