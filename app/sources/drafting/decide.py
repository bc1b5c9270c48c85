"""How a table is to be read: which rows count, positions or fills, which column is which field, and what the user has to be asked.

May touch: nothing.
"""

from __future__ import annotations

import re

from app.errors import BadDataError
from app.sources.cells import as_text
from app.sources.column_names import NAMES, currency_in, known_as
from app.sources.drafting import fill_values, position_values
from app.sources.drafting.choose import FILLS, POSITIONS, TIMES, Chooser, Fields, Spec
from app.sources.drafting.contents import Contents, zone_of_name
from app.sources.drafting.decided import Decided
from app.sources.drafting.rows import Kept, by_side, by_status, incomplete
from app.sources.filters import filled_down
from app.sources.mapping import OPEN_QUESTION, REQUIRED
from app.sources.pairs import is_crypto, pair_of
from app.sources.sides import Event, Side, read_side

__all__ = ["Decided", "decide"]

_CERTAIN_EXITS = frozenset(NAMES["exit_timestamp"]) - {
    "update_time",
    "trade_time",
    "settlement_time",
    "exit",
    "sold",
    "end_time",
    "end_date",
}
_ABROAD = re.compile(
    r"[A-Z0-9&-]{1,12}\.(L|LON|DE|F|PA|AS|MI|MC|BR|LS|SW|VX|ST|OL|CO|HE|TO|V|AX|HK|NS|BO|T|KS|SI|SA|WA|IR|VI)|(LSE|XETR|EURONEXT|NSE|BSE|TSX|ASX|HKEX|TSE):.+"
)
_STILL_OPEN = frozenset(
    ["open", "offen", "ouvert", "ouverte", "abierto", "abierta", "aperto", "未平倉", "未平仓", "持倉中", "持仓中", "進行中"]
)
_TAKEN = "Which column is the time of the close: "
_RUPEES = re.compile(r"NSE|BSE|NFO|MCX|BFO|CDS")


def decide(path: str, contents: Contents, rows: str | None = None) -> Decided:
    """How the table is read; `rows` is what a row is, where the user says it.

    Raises `BadDataError` if no column could be the time of a close or of a fill.
    """
    filled = next((c for c in contents.columns if re.match(r"filled|executed|exec_q|fill_q", known_as(c)) and contents.is_numeric(c)), None)
    kept = by_status(contents, filled)
    asked_for = rows
    fields, rows, said = _fields(path, kept.contents, asked_for)
    legs = _fill_down(kept, fields, rows)
    unknown = by_side(kept, fields, rows)
    incomplete(kept, fields, rows)
    fields = _again(path, kept.contents, fields, rows, asked_for)
    taken = [sentence for sentence in said if sentence.startswith(_TAKEN)]
    decided = Decided(rows, fields, kept, guessed=[*(s for s in said if s not in taken), *kept.said], left=taken)
    if legs:
        decided.keys["fill_down"] = (legs, "an empty cell is as the one above it: further legs of one order")
        decided.guessed.append(f"Empty cells of {' and '.join(legs)} are as those above them: further legs of one order.")
    _decimal(decided)
    _times(decided)
    _sides(decided, unknown)
    if any(spec.columns == [OPEN_QUESTION] for name, spec in fields.items() if name == "quantity"):
        decided.asked.append("Which column has the quantities: times, prices and sides are there as fills have them, and no quantity.")
    if rows == "fills":
        _trade_ids(decided)
        _hedged(decided)
    _currency(decided)
    if rows == "positions":
        position_values.settle(decided)
    else:
        fill_values.settle(decided)
    return decided


def _fields(path: str, contents: Contents, asked_for: str | None) -> tuple[Fields, str, list[str]]:
    """(the fields, what a row is, what was said about it)."""
    chooser = Chooser(contents)
    as_positions, as_fills = chooser.match(POSITIONS), chooser.match(FILLS)
    there = as_positions.keys()
    if asked_for is not None:
        return _as_asked(path, as_positions, as_fills, asked_for)
    pair_of_prices = {"entry_price", "exit_price"} <= there
    pair_of_times = {"entry_timestamp", "exit_timestamp"} <= there
    fills = {"time", "quantity", "price"} <= as_fills.keys() and bool(as_fills.keys() & {"symbol", "side"})
    certain_exit = "exit_timestamp" in as_positions and known_as(as_positions["exit_timestamp"].column) in _CERTAIN_EXITS
    outcome = bool(there & {"pnl_usd", "roi", "rr"})
    if pair_of_prices or (pair_of_times and not (fills and not outcome)):
        why = "an entry and an exit stand in one row" if pair_of_times or pair_of_prices else ""
        if "exit_timestamp" not in as_positions and "entry_timestamp" not in as_positions and "time" in as_fills:
            as_positions = {"exit_timestamp": as_fills["time"], **as_positions}
        if "exit_timestamp" in as_positions:
            return as_positions, "positions", [f"Each row is a closed position: {why}."]
    if certain_exit and not (fills and not outcome):
        return as_positions, "positions", ["Each row is a closed position: it has the time of the close."]
    if fills:
        return as_fills, "fills", ["Each row is a fill: it has one time, one price and a quantity."]
    _refuse_ledger(path, contents, as_fills, outcome)
    if {"time", "price", "side"} <= as_fills.keys() and len(_directions(contents, as_fills["side"])) == 2:
        as_fills["quantity"] = Spec([OPEN_QUESTION], comment="the column with the quantity of the fill")
        return as_fills, "fills", ["Each row is a fill: it has one time, one price and a side."]
    time = as_positions.get("exit_timestamp") or as_fills.get("time")
    if outcome and time is not None:
        return (
            {"exit_timestamp": time, **{f: s for f, s in as_positions.items() if s.column not in time.columns}},
            "positions",
            ["Each row is taken for a closed position, as it has an outcome and no price of a fill."],
        )
    if not contents.time_columns:
        raise BadDataError(
            f"No column of {path} looks like the time of a close: its columns are {', '.join(contents.columns)}.",
            "Write the mapping by hand; docs/adapters.md has one to begin with.",
        )
    if "exit_timestamp" in as_positions:
        return as_positions, "positions", ["Each row is taken for a closed position, as it has the time of a close."]
    column = contents.time_columns[-1]
    reading = contents.time(column)
    spec = Spec([column], dict(reading.keys) if reading else {})
    others = {f: s for f, s in as_positions.items() if s.column != column}
    return {"exit_timestamp": spec, **others}, "positions", [f"{_TAKEN}{column} was taken."]


def _directions(contents: Contents, spec: Spec) -> set[int]:
    said = (read_side(word) for word in contents.words(spec.column))
    return {side.fill for side in said if isinstance(side, Side)}


def _refuse_ledger(path: str, contents: Contents, as_fills: Fields, outcome: bool) -> None:
    """Raises for a ledger, in which what was given and what was got are rows of their own."""
    names = {known_as(column) for column in contents.columns}
    moved = names & {"amount", "change", "amount_change", "quantity"} and names & {"asset", "coin", "currency"}
    if moved and names & {"refid", "operation", "reference", "transfer_id", "type", "account"} and "price" not in as_fills and not outcome:
        raise BadDataError(
            f"{path} looks like a ledger: what was paid and what was got stand in rows of their own, without a price.",
            "Export the trades (or trade history, fills) of the same time instead.",
        )


def _as_asked(path: str, as_positions: Fields, as_fills: Fields, rows: str) -> tuple[Fields, str, list[str]]:
    """The fields of what the user says that a row is."""
    if rows == "positions" and "exit_timestamp" not in as_positions and "time" in as_fills:
        as_positions = {"exit_timestamp": as_fills["time"], **as_positions}
    fields = as_positions if rows == "positions" else as_fills
    lacking = [name for name in REQUIRED[rows] if name not in fields and name != "symbol"]
    if lacking:
        raise BadDataError(
            f"{path} has no column that could be {' or '.join(lacking)}, which rows = {rows!r} needs.",
            "Leave out --rows, or write the mapping by hand; docs/adapters.md has one to begin with.",
        )
    return fields, rows, []


def _fill_down(kept: Kept, fields: Fields, rows: str) -> list[str]:
    """The time columns of fills that stand in the first leg of an order alone: the cells of its other legs are filled from above."""
    if rows != "fills" or not {"time", "quantity", "price", "side"} <= fields.keys():
        return []
    contents = kept.contents
    quantity, price = contents.numbers(fields["quantity"].column), contents.numbers(fields["price"].column)
    found = []
    for column in fields["time"].columns:
        cells = contents.cells(column)
        legs = [i for i, cell in enumerate(cells) if cell is None and quantity[i] and price[i] is not None]
        if legs and legs[0] > 0:
            found.append(column)
    if found:
        kept.contents = contents.with_rows(list(filled_down(contents.rows, found)))
    return found


def _again(path: str, contents: Contents, fields: Fields, rows: str, asked_for: str | None) -> Fields:
    """The fields chosen once more, now that only rows of trades are left: their ids are unique, and all of their numbers can be read."""
    try:
        found, kind, _ = _fields(path, contents, asked_for)
    except BadDataError:
        return fields
    return found if kind == rows and fields.keys() <= found.keys() else {**found, **fields} if kind == rows else fields


def _decimal(decided: Decided) -> None:
    if decided.kept.contents.decimal == OPEN_QUESTION:
        decided.ask(
            "decimal",
            "Whether 1,234 is a thousand or 1.234: no number in the file tells which mark comes before the fraction.",
            '"." if 1,234 is a thousand, "," if it is a little more than one',
        )
    elif decided.kept.contents.decimal == ",":
        decided.keys["decimal"] = (",", "")
    contents = decided.kept.contents
    for name in ("price", "entry_price", "exit_price"):
        spec = decided.fields.get(name)
        cells = [str(v) for v in contents.values(spec.column)] if spec else []
        if cells and all(re.fullmatch(r"\d{2,3}['’]\d{2,3}", cell) for cell in cells) and "apostrophe" not in decided.keys:
            decided.ask(
                "apostrophe",
                f"Whether prices such as {cells[0]} are in 32nds of a point, as those of bonds, or have an apostrophe between thousands.",
                '"32nds" or "thousands"',
            )


def _times(decided: Decided) -> None:
    contents = decided.kept.contents
    naive: list[str] = []
    zones: set[str] = set()
    open_orders: list[str] = []
    example = ""
    day_only = []
    for name, spec in decided.fields.items():
        if name not in TIMES:
            continue
        reading = contents.time(spec.column) if len(spec.columns) == 1 else contents.joined(*spec.columns)
        if reading is None:
            continue
        if reading.ambiguous:
            order = _order_of_others(decided, reading.ambiguous)
            if order:
                spec.keys["format"] = order
            else:
                spec.comment = f'"md" if {reading.ambiguous} begins with the month, "dm" if with the day; or a format such as "%y/%m/%d"'
                open_orders.append(spec.column)
                example = example or reading.ambiguous
        elif reading.told:
            decided.guessed.append(reading.told)
        if reading.has_offset or ("unit" in reading.keys and reading.keys["unit"] != "days"):
            continue
        if reading.zone:
            spec.keys["timezone"] = reading.zone
            zones.add(reading.zone)
        else:
            naive.append(spec.column)
        if not reading.has_clock:
            day_only.append(spec.column)
    if open_orders:
        columns = " and ".join(open_orders)
        decided.asked.append(f"Whether the day or the month comes first in {columns}: {example} and all others can be both.")
    zone, line = _zone_of_texts(contents.texts) if naive else (None, "")
    if zone:
        decided.guessed.append(f"The time zone of {' and '.join(naive)} is {zone}, by the {line}.")
        decided.keys["timezone"] = (zone, f"by the {line[:60]}")
        return
    if naive:
        decided.left.append(f"The time zone of {' and '.join(naive)}: they have no offset and are read as UTC.")
    decided.keys["timezone"] = ("UTC", f"of times without an offset{', such as those of ' + ' and '.join(naive) if naive else ''}")
    if day_only and decided.rows == "fills":
        decided.guessed.append(f"{' and '.join(day_only)} has days without a time: fills of one day are taken in the order of the rows.")


def _zone_of_texts(texts: list[str]) -> tuple[str | None, str]:
    """(the time zone that a line of text around the table names, the line)."""
    for text in texts:
        told = re.search(r"\d{1,2}:\d{2}(?::\d{2})?\s*(?:[AP]M)?\s*\(?((?:UTC|GMT)(?:\s*[+-]\d{1,2})?|E[SD]?T)\b", text, re.IGNORECASE)
        said = re.search(r"time ?zone|all times|times? (?:are|is|in)\b", text, re.IGNORECASE)
        zone = zone_of_name(f"({told[1]})" if told else text) if told or said else None
        if zone:
            return zone, text
    return None, ""


def _order_of_others(decided: Decided, text: str) -> str:
    """The order of day and month that another column of the same form has for certain."""
    contents = decided.kept.contents
    form = re.sub(r"\d+", "9", text.split(" ")[0])
    for column in contents.time_columns:
        reading = contents.time(column)
        keys = str(reading.keys.get("format", "")) if reading else ""
        first = as_text(contents.values(column)[0])
        if re.sub(r"\d+", "9", first.split(" ")[0]) == form and keys not in ("", OPEN_QUESTION):
            if keys == "dm" or keys.startswith("%d"):
                return "dm"
            if keys == "md" or keys.startswith("%m"):
                return "md"
    return ""


def _sides(decided: Decided, unknown: list[str]) -> None:
    contents, spec = decided.kept.contents, decided.fields.get("side")
    if spec is None:
        _no_side(decided)
        return
    words = contents.words(spec.column)
    events = [word for word in words if isinstance(read_side(word), Event) and len(spec.columns) == 1]
    if events and decided.rows == "fills":
        decided.guessed.append(
            f"{', '.join(events[:4])} in {spec.column} is an expiry (what is held ends at 0) or a split (units are added)."
        )
    closing = [word for word in words if isinstance(s := read_side(word), Side) and s.opens is False]
    if closing and decided.rows == "positions":
        decided.guessed.append(
            f"{', '.join(closing[:4])} in {spec.column} says how the position was closed: the side is that of the position."
        )
    if unknown:
        shown = ", ".join(repr(word) for word in unknown[:6])
        decided.sections.setdefault("sides", {})["buy"] = (
            [OPEN_QUESTION],
            f"which of {shown} is a purchase or a long position; the others as sell",
        )
        decided.asked.append(f"Which side {shown} in {spec.column} is: name the words in [sides], as buy, sell, expiry or split.")


def _no_side(decided: Decided) -> None:
    contents, fields = decided.kept.contents, decided.fields
    quantity = fields.get("quantity")
    negative = quantity is not None and any(n < 0 for n in contents.read_numbers(quantity.column))
    flags = [
        c
        for c in contents.columns
        if known_as(c) in ("is_short", "isshort", "short", "is_buyer", "isbuyer", "is_long", "islong", "long", "direction", "side", "type")
    ]
    for column in flags:
        words = {word.strip().lower() for word in contents.words(column)}
        if words and words <= {"true", "false"}:
            fields["side"] = Spec([column])
            buy = "true" if re.search("buyer|long", known_as(column)) else "false"
            decided.sections["sides"] = {"buy": ([buy], ""), "sell": (["false" if buy == "true" else "true"], "")}
            return
        if words and words <= {"0", "1"} and {"entry_price", "exit_price", "pnl_usd"} <= fields.keys():
            fields["side"] = Spec([column])
            decided.sections["sides"] = {"buy": (["0"], ""), "sell": (["1"], "")}
            return
        if words and words <= {"1", "-1"}:
            fields["side"] = Spec([column])
            decided.sections["sides"] = {"buy": (["1"], ""), "sell": (["-1"], "")}
            return
    if _unknown_words(decided):
        return
    if decided.rows == "fills":
        if negative:
            decided.guessed.append("A quantity below 0 is a sale.")
            return
        fields["side"] = Spec([OPEN_QUESTION], comment="the column that says buy or sell")
        decided.asked.append("Which fills are purchases and which are sales: no column says it, and no quantity is below 0.")
    elif negative:
        decided.guessed.append("A quantity below 0 is a short position.")


def _unknown_words(decided: Decided) -> bool:
    """A column that is called as sides are, with words that nobody knows: which is which is asked."""
    for column in decided.kept.contents.columns:
        words = list(decided.kept.contents.words(column))
        if known_as(column) in NAMES["side"][:20] and 1 < len(words) <= 4 and column not in decided.used():
            decided.fields["side"] = Spec([column])
            shown = ", ".join(words)
            for side, kind in (("buy", "purchases or long positions"), ("sell", "sales or short positions")):
                decided.sections.setdefault("sides", {})[side] = ([OPEN_QUESTION], f"which of {shown} are {kind}")
            decided.asked.append(f"Which of {shown} in {column} is a purchase and which a sale: name them in [sides].")
            return True
    return False


def _trade_ids(decided: Decided) -> None:
    """A number that the entry and the exit of a trade share, where each stands in a row of its own."""
    contents, side = decided.kept.contents, decided.fields.get("side")
    if side is None or side.column == OPEN_QUESTION or len(side.columns) > 1:
        return
    said = [read_side(as_text(v)) if v is not None else None for v in contents.cells(side.column)]
    if not any(isinstance(s, Side) and s.opens is not None for s in said):
        return
    for column in contents.columns:
        name = known_as(column)
        if not {name, name.removesuffix("_no")} & set(NAMES["trade_id"]) or contents.time(column) is not None:
            continue
        groups: dict[str, set[bool | None]] = {}
        for value, one in zip(contents.cells(column), said, strict=True):
            if value is not None and isinstance(one, Side):
                groups.setdefault(as_text(value), set()).add(one.opens)
        if len(groups) > 1 and sum(opens >= {True, False} for opens in groups.values()) >= 0.8 * len(groups):
            decided.fields["trade_id"] = Spec([column], comment="rows with one number are one trade")
            for name in [name for name, spec in decided.fields.items() if name != "trade_id" and column in spec.columns]:
                del decided.fields[name]
            decided.two_rows = True
            _leave_out_open(decided)
            decided.guessed.append(f"The entry and the exit of a trade are two rows with one {column}.")
            return


def _leave_out_open(decided: Decided) -> None:
    """Exits that a program has put where a trade is still open: it says `Open` for the signal of the exit."""
    contents, side = decided.kept.contents, decided.fields["side"].column
    closes = [isinstance(s := read_side(as_text(v or "")), Side) and s.opens is False for v in contents.cells(side)]
    for column in contents.columns:
        cells = ["" if v is None else as_text(v) for v in contents.cells(column)]
        words = {cell for cell in cells if cell.strip().lower() in _STILL_OPEN}
        if column != side and words and all(closing or cell not in words for closing, cell in zip(closes, cells, strict=True)):
            decided.kept.drop(column, sorted(words), "the trade is still open")
            decided.guessed.append(decided.kept.said[-1])
            return


def _hedged(decided: Decided) -> None:
    """Long and short positions that are held side by side are books of their own."""
    contents, fields = decided.kept.contents, decided.fields
    for column in contents.columns:
        words = {word.strip().lower() for word in contents.words(column)}
        if (
            column not in decided.used()
            and known_as(column) in ("position_side", "positionside", "pos_side", "posside")
            and {"long", "short"} <= words
        ):
            account = fields.get("account")
            fields["account"] = Spec(
                [*(account.columns if account else []), column], comment="long and short positions are books of their own"
            )
            decided.guessed.append(f"Long and short positions of one symbol are kept apart, by {column}.")
            return


def _currency(decided: Decided) -> None:
    """The currency of profits: its own column, signs in the cells, the columns' names, the pairs, else a question."""
    contents, fields = decided.kept.contents, decided.fields
    if "currency" in fields:
        words = contents.words(fields["currency"].column)
        decided.guessed.append(f"Currencies are in {fields['currency'].column}: {', '.join(list(words)[:6])}.")
        return
    money = [fields[name].column for name in ("pnl_usd", "price", "entry_price", "exit_price", "fees_usd", "fee") if name in fields]
    money += [
        column
        for column in contents.columns
        if known_as(column) in (*NAMES["gross"], *NAMES["net"], *NAMES["pnl_usd"]) and column not in money
    ]
    symbols = list(contents.words(fields["symbol"].column)) if "symbol" in fields and len(fields["symbol"].columns) == 1 else []
    pairs = bool(symbols) and all(pair_of(symbol) for symbol in symbols)
    profit = [fields["pnl_usd"].column] if "pnl_usd" in fields else []
    signs: dict[str, int] = {}
    for column in profit or money:
        for unit, n in contents.signs(column).items():
            if len(unit) == 3 or unit in ("USDT", "USDC"):
                signs[unit] = signs.get(unit, 0) + n
    if signs and not (pairs and decided.rows == "fills"):
        likeliest = max(signs, key=lambda unit: signs[unit])
        decided.keys["currency"] = (likeliest, "the sign that stands with most amounts")
        several = (
            f"; {', '.join(unit for unit in signs if unit != likeliest)} stands with some, and is kept apart" if len(signs) > 1 else ""
        )
        decided.guessed.append(f"The currency is {likeliest}, by the signs in the cells{several}.")
        return
    named = next((code for column in (*profit, *money) if (code := currency_in(column))), None)
    if named and not (decided.rows == "fills" and pairs and len({pair_of(s)[1] for s in symbols if pair_of(s)}) > 1):  # type: ignore[index]
        decided.keys["currency"] = (named, "by the name of a column")
        decided.guessed.append(f"The currency is {named}, by the name of a column.")
        return
    if pairs and (decided.rows == "fills" or "pnl_usd" not in fields or all(is_crypto(symbol) for symbol in symbols)):
        decided.keys["currency"] = ("quote", "that in which each pair is priced")
        decided.guessed.append("The currency is that in which each pair is priced.")
        return
    chain = fields.get("chain")
    if any(word.startswith("INE") for c in contents.columns if known_as(c) == "isin" for word in contents.words(c)) or (
        chain is not None and all(_RUPEES.fullmatch(word) for word in contents.words(chain.column))
    ):
        decided.keys["currency"] = ("INR", "by the exchange")
        decided.guessed.append("The currency is INR, by the exchange.")
        return
    for text in contents.texts:
        told = re.search(r"\b(USD|EUR|GBP|CHF|JPY|AUD|CAD|NZD|SEK|NOK|PLN|INR|SGD|HKD|ZAR|USDT)\b", text)
        if told and re.search(r"account|currency|konto|balance|compte|cuenta", text, re.IGNORECASE):
            decided.keys["currency"] = (told[1], f"by the line: {text[:40]}")
            decided.guessed.append(f"The currency is {told[1]}, by the {text}.")
            return
    foreign = [symbol for symbol in symbols if _ABROAD.fullmatch(symbol.strip())]
    if foreign:
        decided.ask(
            "currency", f"In which currency the profits are: {', '.join(foreign[:4])} are not traded in dollars, and nothing says it.",
            'such as "EUR"; pnl_usd is for dollars only',
        )  # fmt: skip
        return
    if "pnl_usd" in fields or decided.rows == "fills" or {"entry_price", "exit_price"} <= fields.keys():
        decided.keys["currency"] = ("USD", "nothing says it; pnl_usd is for dollars only")
        decided.left.append("In which currency the profits are: nothing says it, and they are read as US dollars (currency).")
