"""What a row of a table is, a closed position or a fill, and which columns are its fields; tables
of something else are refused.

May touch: nothing.
"""

from __future__ import annotations

import re
from itertools import permutations

from app.errors import BadDataError
from app.sources.cells import as_text
from app.sources.column_names import NAMES, known_as
from app.sources.drafting.choose import FILLS, POSITIONS, Chooser
from app.sources.drafting.contents import Contents, TimeReading
from app.sources.drafting.spec import Fields, Spec
from app.sources.mapping import OPEN_QUESTION, REQUIRED
from app.sources.sides import Side, read_side

_CERTAIN_EXITS = frozenset(NAMES["exit_timestamp"]) - {
    "update_time",
    "trade_time",
    "settlement_time",
    "exit",
    "sold",
    "end_time",
    "end_date",
}
_GIVEN_AND_TAKEN = (
    {"sent_amount", "received_amount"},
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
_MANY = 0.25
"""Share of rows without a profit that suggests that they open positions."""
_PRICES = ("price", "rate", "avg_price", "average_price", "avg")
_NEARLY = 0.001
"""By how much price × quantity may differ from an amount, by rounding."""
TAKEN = "Which column is the time of the close: "


def fields_of(
    path: str, contents: Contents, asked_for: str | None
) -> tuple[Fields, str, list[str]]:
    """(the fields, what a row is, what was said about it)."""
    chooser = Chooser(contents)
    as_positions, as_fills = chooser.match(POSITIONS), chooser.match(FILLS)
    there = as_positions.keys()
    if asked_for is not None:
        return _as_asked(path, as_positions, as_fills, asked_for)
    if (one_sided := _one_sided(contents, {**as_fills, **as_positions})) is not None:
        return one_sided
    for lacking, known in (("quantity", "price"), ("price", "quantity")):
        if {"time", known} <= as_fills.keys() and lacking not in as_fills:
            by_content = _by_content(contents, as_fills, known)
            if by_content is not None:
                as_fills[lacking] = by_content
    if (
        {"exit_timestamp", "exit_price"} <= there
        and "entry_price" not in as_positions
        and {"time", "price"} <= as_fills.keys()
    ):
        # The entry's columns have no word that says so, beside those of the exit.
        as_positions["entry_price"] = as_fills["price"]
        as_positions.setdefault("entry_timestamp", as_fills["time"])
    pair_of_prices = {"entry_price", "exit_price"} <= there
    pair_of_times = {"entry_timestamp", "exit_timestamp"} <= there
    fills = {"time", "quantity", "price"} <= as_fills.keys() and bool(
        as_fills.keys() & {"symbol", "side"}
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
    if fills:
        return as_fills, "fills", ["Each row is a fill: it has one time, one price and a quantity."]
    if "price" not in as_fills and not outcome and _price_per_unit(contents, as_fills):
        return (
            as_fills,
            "fills",
            ["Each row is a fill: it has one time, and a quantity and an amount give the price."],
        )
    _refuse_ledger(path, contents, as_fills, outcome)
    if not outcome and "price" not in as_fills:
        _refuse_sentences(path, contents)
    if {"time", "price", "side"} <= as_fills.keys() and len(
        _directions(contents, as_fills["side"])
    ) == 2:
        as_fills["quantity"] = _by_content(contents, as_fills, "price") or Spec(
            [OPEN_QUESTION], comment="the column with the quantity of the fill"
        )
        return as_fills, "fills", ["Each row is a fill: it has one time, one price and a side."]
    time = as_positions.get("exit_timestamp") or as_fills.get("time")
    if outcome and time is not None:
        if _are_fills(contents, as_positions, as_fills):
            as_fills["price"] = _by_content(contents, as_fills, "quantity") or Spec(
                [OPEN_QUESTION], comment="the column with the price of the fill"
            )
            return as_fills, "fills", ["Each row is a fill: many rows have no profit."]
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
            "Write the mapping by hand; docs/adapters.md has an example to start from.",
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
    if known_as(column) in NAMES["entry_timestamp"] and (
        exits := [c for c in contents.columns if known_as(c) in _CERTAIN_EXITS]
    ):
        raise BadDataError(
            f"{path} has the times of entries in {column}, and those in {exits[0]} cannot be read.",
            "Export the file with dates and times, or mend that column.",
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
    reading = contents.time(column)
    spec = Spec([column], dict(reading.keys) if reading else {})
    others = {f: s for f, s in as_positions.items() if s.column != column}
    return {"exit_timestamp": spec, **others}, "positions", [f"{TAKEN}{column} was taken."]


def _one_sided(contents: Contents, known: Fields) -> tuple[Fields, str, list[str]] | None:
    """Fills whose purchases and sales have columns of their own: each row has amounts in one of
    them."""
    by_name = {known_as(column): column for column in contents.columns}
    for bought, sold in (("buy", "sell"), ("bought", "sold"), ("purchase", "sale")):
        found: Fields = {}
        for name, words in (("quantity", ("qty", "quantity", "units")), ("price", _PRICES)):
            pairs = [
                (by_name[f"{bought}_{word}"], by_name[f"{sold}_{word}"])
                for word in words
                if {f"{bought}_{word}", f"{sold}_{word}"} <= by_name.keys()
            ]
            if pairs and _either(contents, pairs[0]):
                found[name] = Spec(list(pairs[0]), comment="of the purchase or of the sale")
        time = known.get("exit_timestamp") or known.get("time")
        if len(found) == 2 and time is not None:
            column = found["quantity"].column
            others = ("symbol", "chain", "currency", "bucket", "timeframe")
            fields = {
                "time": time,
                **{f: known[f] for f in others if f in known},
                "side": Spec([column], {"paid": True}, "bought where there is a quantity"),
                **found,
            }
            if "fees_usd" in known:
                fields["fee"] = known["fees_usd"]
            return fields, "fills", ["Each row is a fill: a purchase or a sale."]
    return None


def _either(contents: Contents, columns: tuple[str, str]) -> bool:
    return contents.n_rows > 1 and all(
        bool(a) != bool(b)
        for a, b in zip(*(contents.numbers(column) for column in columns), strict=True)
    )


def _by_content(contents: Contents, as_fills: Fields, known: str) -> Spec | None:
    """The column, whatever it is called, that makes another one when multiplied by the known
    field."""
    used = {column for spec in as_fills.values() for column in spec.columns}
    factors = contents.numbers(as_fills[known].column)
    columns = [c for c in contents.columns if c not in used and contents.is_numeric(c)]
    for found, amount in permutations(columns, 2):
        rows = [
            abs(abs(a) - abs(n * f)) <= _NEARLY * abs(a)
            for n, f, a in zip(
                contents.numbers(found), factors, contents.numbers(amount), strict=True
            )
            if n and f and a
        ]
        if len(rows) >= max(2, contents.n_rows // 2) and all(rows):
            return Spec([found], comment=f"times {as_fills[known].column} it is {amount}")
    return None


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
    if (side := as_positions.get("side")) is not None:
        said = [read_side(word) for word in contents.words(side.column)]
        return {s.opens for s in said if isinstance(s, Side)} >= {True, False}
    quantities = contents.read_numbers(quantity.column)
    return min(quantities) < 0 < max(quantities)


def _price_per_unit(contents: Contents, as_fills: Fields) -> bool:
    """Take the amount over the quantity for the price, where there is none."""
    if not {"time", "quantity", "side", "symbol"} <= as_fills.keys():
        return False
    used = {column for spec in as_fills.values() for column in spec.columns}
    sided = [
        isinstance(read_side(as_text(v)), Side) if v is not None else False
        for v in contents.cells(as_fills["side"].column)
    ]
    quantities = contents.numbers(as_fills["quantity"].column)
    for name in dict.fromkeys((*NAMES["net"], *NAMES["gross"])):
        for column in contents.columns:
            if known_as(column) != name or column in used or not contents.is_numeric(column):
                continue
            amounts = contents.numbers(column)
            if all(a and q for a, q, s in zip(amounts, quantities, sided, strict=True) if s):
                as_fills["price"] = Spec(
                    [column], {"per_unit": True}, "the amount over the quantity"
                )
                return True
    return False


def _refuse_sentences(path: str, contents: Contents) -> None:
    """Raises for an account statement whose text names side, quantity and price."""
    for column in contents.columns:
        if any(_TRADE_IN_WORDS.search(word) for word in contents.words(column)):
            raise BadDataError(
                f"{path} names quantities and prices within the text of {column}: an account"
                " statement, not a list of trades.",
                "Export the trades or transactions, with a column each for quantity and price.",
            )


def _refuse_ledger(path: str, contents: Contents, as_fills: Fields, outcome: bool) -> None:
    """Raises for a ledger, which has payments and receipts in separate rows."""
    names = {known_as(column) for column in contents.columns}
    if "price" not in as_fills and any(pair <= names for pair in _GIVEN_AND_TAKEN):
        raise BadDataError(
            f"{path} has what was given and what was taken in each row, without a price.",
            "Export the trades (or trade history, fills) of the exchange itself instead.",
        )
    moved = names & {"amount", "change", "amount_change", "quantity"} and names & {
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
