"""Fills: which column has the quantities, and what is refused or asked where none has them.

May touch: nothing.
"""

from __future__ import annotations

import re
from typing import Any

from app.errors import BadDataError
from app.sources.cells import as_text
from app.sources.column_names import NAMES, is_known, known_as
from app.sources.drafting import simulate
from app.sources.drafting.choose import LIMIT
from app.sources.drafting.contents import Contents
from app.sources.drafting.decided import Decided
from app.sources.drafting.fill_fees import SMALL
from app.sources.drafting.fill_rows import purchases, symbol_of
from app.sources.drafting.spec import Spec
from app.sources.mapping import OPEN_QUESTION
from app.sources.pairs import future_of, is_coin, may_be_inverse, pair_of

_WORDS = {
    "quantity": {"amount", "qty", "quantity", "size", "volume", "units", "menge", "cantidad"},
    "price": {"price", "rate", "preis", "prix", "precio", "prezzo", "cena", "kurs"},
}
"""Words of quantities and of prices, among others."""
_FILLED = re.compile(r"filled|fill_|exec|done|traded|matched|last_?qty")
_IN_MONEY = re.compile(r"(size|amount|quantity|qty)_in_(quote|usd|money|cash|fiat)")
_PARTLY = re.compile(r"part(ly|ial|ially)?[ _-]?(filled|executed|complete|fill)")
_OF_UNITS = re.compile(r"(amount|quantity|qty|size|volume)_(currency|ccy|unit|units|coin|asset)")
_COUNTED_IN = {
    "lots": {"lot", "lots", "standard lot", "standard lots", "std lots"},
    "mini lots": {"mini lot", "mini lots", "minilot", "minilots"},
    "micro lots": {"micro lot", "micro lots", "microlot", "microlots"},
    "contracts": {"contract", "contracts", "conts", "cont"},
    "units": {"unit", "units", "shares", "share", "stk", "stück", "pcs", "pieces", "ounces", "oz"},
}
"""Words of what quantities are counted in: in a column of their own, or behind the numbers."""
_NUMBER_AND_UNIT = 2
"""Words in a cell such as `0.5 ETH`."""
_BEHIND_NUMBER = re.compile(r"^\s*[-+]?[\d.,' ]*\d\s*")
_SHARE_FILLED = re.compile(
    r"(pct|percent)_(filled|executed|complete)|(fill(ed)?|exec(uted)?|completion|executed_qty)_(pct|percent|ratio|rate)"
)
_SO_FAR = ("cum_qty", "cumqty", "cumulative_qty", "cum_quantity", "total_filled")
_UNFILLED = (
    "quantity_remaining", "remaining_quantity", "remaining_qty", "qty_remaining", "remaining_size",
    "unfilled", "unfilled_qty", "unfilled_quantity", "leaves_qty", "leavesqty", "qty_left",
    "remaining",
)  # fmt: skip
"""Names of columns with the unfilled part of an order."""


def ask_quantity(decided: Decided) -> None:
    """Ask for the quantity.  Positions whose sizes are money at the price of their entry, as
    perpetuals on some exchanges, are closed by the amount that was opened."""
    contents, fields = decided.kept.contents, decided.fields
    money = [
        column
        for column in contents.columns
        if known_as(column) in NAMES["quantity"]
        and column not in decided.used()
        and contents.is_numeric(column)
    ]
    plausible = []
    for column in money:
        if _counted_in_dollars(decided, column):
            fields["quantity"] = Spec([column], {"absolute": True}, "in dollars, as its cells say")
            decided.guessed.append(
                f"{column} is in dollars where contracts may be inverse, which are counted in them."
            )
            return
        fields["quantity"] = Spec(
            [column], {"money": True, "absolute": True}, "money, at the price of the entry"
        )
        tried = simulate.fills(decided, "said")
        if tried.closed and not tried.oversold and not tried.open and not tried.unread:
            decided.guessed.append(
                f"{column} is an amount of money at the price of the entry: closes are of the"
                " amounts that were opened."
            )
            return
        if tried.closed and not tried.oversold:
            plausible.append(column)
    hint = ""
    if plausible:
        hint = (
            f'; {{column = "{plausible[0]}", money = true}} if it is money at the price of the'
            " entry"
        )
    elif money:
        hint = (
            f"; if {money[0]} is money at the price of each fill, add a column to the file in which"
            " it is divided by the price"
        )
    if earned := _earned_at_closes(contents):
        hint += f"; if there is none, draft again with --rows positions: {earned} has the profits"
    fields["quantity"] = Spec(
        [OPEN_QUESTION], comment=f"the column with the quantity of the fill{hint}"
    )
    decided.asked.append(
        "Which column has the quantities: times, prices and sides look like fills, but no quantity"
        " was found.  An amount of money is none, unless it is the size of the position at the"
        " price of its entry."
    )


def _earned_at_closes(contents: Contents) -> str | None:
    """A column with profits of some rows, as of those that close positions."""
    return next(
        (
            column
            for column in contents.columns
            if known_as(column) in NAMES["pnl_usd"]
            and contents.is_numeric(column)
            and 0 < sum(map(bool, contents.numbers(column))) < contents.n_rows
        ),
        None,
    )


def _counted_in_dollars(decided: Decided, column: str) -> bool:
    """Whether all quantities that are in dollars, by their cells, are those of contracts that may
    be inverse."""
    contents, spec = decided.kept.contents, decided.fields.get("symbol")
    if spec is None or len(spec.columns) > 1:
        return False
    symbols = [
        as_text(symbol or "")
        for symbol, cell in zip(contents.cells(spec.column), contents.cells(column), strict=True)
        if cell is not None and re.search(r"\bUSD\b", as_text(cell))
    ]
    return bool(symbols) and all(map(may_be_inverse, symbols))


def refuse_filled_in_part(path: str, decided: Decided) -> None:
    """Raise for orders that were filled in part, if no column says how much was filled."""
    contents, spec = decided.kept.contents, decided.fields.get("quantity")
    if spec is None or spec.column == OPEN_QUESTION or _is_filled(known_as(spec.column)):
        return
    if any(known_as(column) in _SO_FAR for column in contents.columns):
        return  # Each row is a fill, beside what was filled before.
    for says in (_is_status_of_parts, _is_share_filled):
        column = next((c for c in contents.columns if says(contents, c)), None)
        if column is not None:
            raise BadDataError(
                f"{path} has orders that were filled in part, as {column} says, and no column says"
                " how much was filled.",
                "Export the fills (executions, trades), or add a column with the filled quantity.",
            )
    ordered = contents.numbers(spec.column)
    for column in contents.columns:
        if known_as(column) not in _UNFILLED or not contents.is_numeric(column):
            continue
        rest = contents.numbers(column)
        rows = [(abs(q), abs(n)) for q, n in zip(ordered, rest, strict=True) if q and n]
        if (
            rows
            and all(n <= q for q, n in rows)
            and not _is_what_was_filled(decided, ordered, rest)
        ):
            raise BadDataError(
                f"{path} has orders that were filled in part: {column} is above 0, and no column"
                " says how much was filled.",
                "Export the fills (executions, trades), or add a column with the filled quantity.",
            )


def _is_share_filled(contents: Contents, column: str) -> bool:
    """Whether a column has shares of orders that were filled, of which some are less than all."""
    if not _SHARE_FILLED.fullmatch(known_as(column)) or not contents.is_numeric(column):
        return False
    shares = contents.read_numbers(column)
    return any(0 < n < max(shares) for n in shares)


def _is_filled(name: str) -> bool:
    return bool(_FILLED.search(name)) and "unfilled" not in name


def _is_status_of_parts(contents: Contents, column: str) -> bool:
    """Whether a column with a status says of some orders that they were filled in part, and of
    others that they were filled."""
    words = [word.strip().lower() for word in contents.words(column)]
    return (
        "status" in known_as(column)
        and any(_PARTLY.match(word) for word in words)
        and any(re.match("filled|executed|complete", word) for word in words)
    )


def refuse_mixed_counts(path: str, decided: Decided) -> None:
    """Raises for quantities of one symbol that are counted in lots in some rows and in units in
    others, by a column or by words behind the numbers, unless the profits are read."""
    contents, fields = decided.kept.contents, decided.fields
    spec = fields.get("quantity")
    if spec is None or spec.column == OPEN_QUESTION or "pnl_usd" in fields:
        return
    symbol = fields.get("symbol")
    symbols = (
        contents.cells(symbol.column)
        if symbol is not None and symbol.column in contents.columns
        else [None] * contents.n_rows
    )
    for column in contents.columns:
        if column != spec.column and column in decided.used():
            continue
        counts: dict[str, set[str]] = {}
        units = [_counted_in(cell, column == spec.column) for cell in contents.cells(column)]
        for own, unit in zip(symbols, units, strict=True):
            if unit is not None:
                counts.setdefault(as_text(own), set()).add(unit)
        mixed = next((own for own in counts.values() if len(own) > 1), None)
        if mixed and sum(unit is not None for unit in units) == len(contents.values(column)):
            raise BadDataError(
                f"{path} has quantities of one symbol in {' and in '.join(sorted(mixed))}, as"
                f" {column} says.",
                "Export or convert all quantities of a symbol in one unit.",
            )


def _counted_in(cell: Any, is_quantity: bool) -> str | None:
    """What a quantity is counted in, by its own cell or that of another column."""
    if not isinstance(cell, str):
        return None
    word = _BEHIND_NUMBER.sub("", cell) if is_quantity else cell
    said = word.strip().lower()
    return next((unit for unit, words in _COUNTED_IN.items() if said in words), None)


def refuse_mixed_units(path: str, decided: Decided) -> None:
    """Raises for amounts that are in what was traded in some rows, and in money in others."""
    contents, fields = decided.kept.contents, decided.fields
    for column in contents.columns:
        said = {word.strip().lower() for word in contents.words(column)}
        if _IN_MONEY.fullmatch(known_as(column)) and said & {"true", "yes", "1"}:
            raise BadDataError(
                f"{path} has quantities that are amounts of money, as {column} says.",
                "Export the fills (trades), with all quantities in what was traded.",
            )
        if (
            "symbol" in fields
            and _OF_UNITS.fullmatch(known_as(column))
            and not contents.read_numbers(column)
        ):
            units: dict[str, set[str]] = {}
            symbols = contents.cells(fields["symbol"].column)
            for symbol, unit in zip(symbols, contents.cells(column), strict=True):
                if symbol is not None and unit is not None:
                    units.setdefault(as_text(symbol), set()).add(as_text(unit).strip().upper())
            mixed = next((own for own in units.values() if len(own) > 1), None)
            if mixed:
                raise BadDataError(
                    f"{path} has quantities of one symbol in {' and in '.join(sorted(mixed))}, as"
                    f" {column} says.",
                    "Export the fills (trades), with all quantities in what was traded.",
                )
    if not {"symbol", "currency", "quantity"} <= fields.keys():
        return
    rows = [
        (as_text(coin).strip().upper(), as_text(unit).strip().upper())
        for coin, unit in zip(
            contents.cells(fields["symbol"].column),
            contents.cells(fields["currency"].column),
            strict=True,
        )
        if coin is not None and unit is not None
    ]
    own = {unit for coin, unit in rows if coin == unit and is_coin(coin)}
    other = {unit for coin, unit in rows if coin != unit}
    if own and other:
        raise BadDataError(
            f"{path} has amounts in {', '.join(sorted(own))} in some rows and in"
            f" {', '.join(sorted(other))} in others, by {fields['currency'].column}.",
            "Export the fills (trades), with all quantities in what was traded.",
        )


def _is_what_was_filled(
    decided: Decided, ordered: list[float | None], rest: list[float | None]
) -> bool:
    """Whether an amount is the price times the whole quantity, where a part is said to be left."""
    contents, price = decided.kept.contents, decided.fields.get("price")
    if price is None or price.column == OPEN_QUESTION:
        return False
    prices = contents.numbers(price.column)
    for column in contents.columns:
        if known_as(column) in (*NAMES["gross"], *NAMES["net"]) and contents.is_numeric(column):
            rows = [
                abs(abs(a) / abs(q * p) - 1) <= SMALL
                for a, q, p, n in zip(contents.numbers(column), ordered, prices, rest, strict=True)
                if a and q and p and n
            ]
            if rows and all(rows):
                return True
    return False


def not_the_amount(decided: Decided, name: str, other: str) -> None:
    """Use another column as the quantity (or the price), if that one times the price (or the
    quantity) gives the first, which is then an amount."""
    contents, fields = decided.kept.contents, decided.fields
    if not {name, other} <= fields.keys() or fields["price"].keys.get("per_unit"):
        return
    amounts, factors = (contents.numbers(fields[field].column) for field in (name, other))
    scale = float(fields["price"].keys.get("scale", 1)) if name == "quantity" else 1.0
    for column in contents.columns:
        if (
            column in decided.used()
            or (name == "price" and LIMIT.search(known_as(column)))
            or not (
                known_as(column) in NAMES[name]
                or _WORDS[name] & {*known_as(column).split("_")}
                or (name == "quantity" and not is_known(column))
            )
            or not contents.is_numeric(column)
            or (name == "quantity" and _ends_flat_alone(decided, fields[name].column, column))
        ):
            continue
        numbers = contents.numbers(column)
        rows = [
            (abs(a) / abs(n * factor * scale), abs(factor * scale))
            for i, (a, n, factor) in enumerate(zip(amounts, numbers, factors, strict=True))
            if a and n and factor and future_of(symbol_of(decided, i)) is None
        ]
        # As many units in all rows are no amounts at prices that differ.
        made = {abs(n * f) for n, f in zip(numbers, factors, strict=True) if n and f}
        made |= {0.0 for n, f in zip(numbers, factors, strict=True) if n == 0 and f}
        same = len({abs(a) for a in amounts if a}) == 1 < len(made)
        if (
            rows
            and not same
            and all(abs(ratio - 1) <= SMALL for ratio, _ in rows)
            and any(abs(factor - 1) > 2 * SMALL for _, factor in rows)
        ):
            decided.guessed.append(
                f"The {name} is {column}: {fields[name].column} is that times"
                f" {fields[other].column}."
            )
            fields[name] = Spec([column])
            return


def _ends_flat_alone(decided: Decided, column: str, other: str) -> bool:
    """Whether as much of each contract that may be inverse was bought as was sold by one column,
    and not by the other: then the first is what is counted, in dollars."""
    contents = decided.kept.contents
    symbols = [symbol_of(decided, i) for i in range(contents.n_rows)]
    if not all(map(may_be_inverse, symbols)):
        return False
    flat = []
    for each in (column, other):
        rest: dict[str, float] = {}
        for symbol, n, buy in zip(symbols, contents.numbers(each), purchases(decided), strict=True):
            if n is None or buy is None:
                return False
            rest[symbol] = rest.get(symbol, 0.0) + (abs(n) if buy else -abs(n))
        flat.append(not any(abs(n) > 1e-9 for n in rest.values()))
    return flat == [True, False]


def quantity_in_coins(decided: Decided) -> None:
    """Of several quantities (in contracts, in the coin, in dollars), use the one in the coin
    traded."""
    contents, fields = decided.kept.contents, decided.fields
    if not {"symbol", "quantity"} <= fields.keys():
        return
    pairs = [pair_of(word) for word in contents.words(fields["symbol"].column)]
    bases = {pair[0] for pair in pairs if pair}
    if contents.signs(fields["quantity"].column) or not bases or not all(pairs):
        return
    for column in contents.columns:
        units = contents.signs(column)
        if (
            column not in decided.used()
            and known_as(column) in NAMES["quantity"]
            and units
            and set(units) <= bases
        ):
            decided.guessed.append(
                f"The quantity is {column}, in coins, not {fields['quantity'].column}."
            )
            fields["quantity"] = Spec([column])
            return


def coin_of_amounts(decided: Decided) -> None:
    """Use the unit of the quantities as the symbol, if no column has it."""
    contents, quantity = decided.kept.contents, decided.fields.get("quantity")
    if "symbol" in decided.fields:
        return
    if quantity is None:  # `0.5 ETH` describes what was sold.
        quantity = next(
            (
                Spec([column])
                for column in contents.columns
                if column not in decided.used()
                and known_as(column) in NAMES["symbol"]
                and contents.is_numeric(column)
                and all(len(word.split()) == _NUMBER_AND_UNIT for word in contents.words(column))
            ),
            None,
        )
    if quantity is None or quantity.column == OPEN_QUESTION:
        return
    units = contents.signs(quantity.column)
    if units and sum(units.values()) == len(contents.values(quantity.column)):
        decided.fields["quantity"] = quantity
        decided.fields["symbol"] = Spec(
            [quantity.column], {"coin": True}, "the unit of the quantity"
        )
        decided.guessed.append(
            f"What was traded is the unit in {quantity.column}: {', '.join(list(units)[:6])}."
        )
