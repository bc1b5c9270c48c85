"""Leave out rows that are not trades, judged by their sides, their empty cells and other rows.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from app.sources.cells import as_text
from app.sources.column_names import NAMES, joined_words, known_as
from app.sources.drafting.contents import Contents
from app.sources.drafting.kept_rows import Kept
from app.sources.drafting.repeated import is_number_of_rows
from app.sources.drafting.settled_in_cash import FOR_CASH
from app.sources.drafting.spec import Fields, Spec
from app.sources.drafting.statuses import CANCELLED, are_confirmations
from app.sources.drafting.time_readings import STILL_OPEN
from app.sources.mapping import OPEN_QUESTION
from app.sources.pairs import pair_of
from app.sources.sides import Event, Side, is_no_trade, opens_or_closes, read_side

_REVERSED = re.compile(
    r"\bstorn(o|iert)\b|\breversal\b|\bbust(ed)?\b|\bannullat|\bannulé"
    r"|\(ca\.?\)|\btrade ?cancel(led|lation)?\b",
    re.IGNORECASE,
)
_FEES = re.compile(r"\bfees?\b|commission|\bswap\b|gebühr|provision", re.IGNORECASE)
_NO_DAY = re.compile(
    r"(1970|0001|1900|9999|0000)[-./]?\d\d[-./]?\d\d(?!\d)|\d\d[-./]\d\d[-./](1970|0001|1900|9999|0000)"
)
"""Days that programs write where there is none yet."""
_NUMBERED = re.compile(r"(^|_)(id|no|nr|ref|reference|number|num)$")
"""Of columns with the number of an order or of a trade."""
_TOTAL = re.compile(
    r"((sub|grand )?totals?|summe|gesamt|totale|suma|summa|razem|итого|合計|合计|小計|小计):?",
    re.IGNORECASE,
)
_TOTALLED = re.compile(
    r"(buys?|bought|purchases?|sells?|sales?|sold|long|short|net)[ -]?(sub)?totals?"
    r"|(sub)?totals? (buys?|bought|purchases?|sells?|sales?|sold)",
    re.IGNORECASE,
)
"""Words for the totals of purchases or sales; a `Rachat total` sells all."""
_MONEY = {name for field in ("gross", "net", "price", "fee", "pnl_usd") for name in NAMES[field]}
_PENDING = re.compile(r"(op[ _])?(buy|sell)[ _]?(limit|stop)([ _]?limit)?")


def without_quote_legs(kept: Kept, fields: Fields) -> list[str]:
    """Leave out the rows in the quote currency of fills that occur twice, once in each coin;
    returns sentences on what is lost with them."""
    if "symbol" not in fields:
        return []
    lost = []
    pairs = [pair_of(word) for word in kept.contents.words(fields["symbol"].column)]
    bases, quotes = {p[0] for p in pairs if p}, {p[1] for p in pairs if p}
    for column in kept.contents.columns:
        if known_as(column) in (
            "trading_unit",
            "amount_unit",
            "quantity_unit",
            "size_unit",
            "unit",
        ):
            words = kept.contents.words(column)
            gone = [word for word in words if word in quotes and word not in bases]
            if gone and words.keys() & bases and all(pairs):
                paid = sum(bool(n) for n in _numbers_of(kept.contents, fields.get("fee")))
                kept.drop(column, gone, "the same fills, counted in the other currency")
                if paid > sum(bool(n) for n in _numbers_of(kept.contents, fields.get("fee"))):
                    lost.append(
                        f"Fees in the rows that are left out by {column}: they do not count."
                    )
    return lost


def without_spreads(kept: Kept, fields: Fields, rows: str) -> None:
    """Leave out fills of spreads (`CLJ4-CLK4`) whose legs are fills of their own, at the same
    times."""
    if rows != "fills" or not {"time", "symbol"} <= fields.keys():
        return
    if len(fields["symbol"].columns) > 1 or OPEN_QUESTION in fields["time"].columns:
        return
    contents, column = kept.contents, fields["symbol"].column
    times = list(zip(*map(contents.cells, fields["time"].columns), strict=True))
    found: dict[str, set[Any]] = {}
    for symbol, when in zip(contents.cells(column), times, strict=True):
        found.setdefault(as_text(symbol) if symbol is not None else "", set()).add(when)
    gone = [
        symbol
        for symbol, own in found.items()
        for legs in [re.split(r"\s*[-/:]\s*", symbol)]
        if len(legs) == 2
        and legs[0] != legs[1]
        and all(leg in found and own <= found[leg] for leg in legs)
    ]
    if gone:
        kept.drop(column, gone, "the legs of these spreads are in rows of their own")


def _numbers_of(contents: Contents, spec: Spec | None) -> list[float | None]:
    return contents.numbers(spec.column) if spec is not None else []


def still_open(kept: Kept, fields: Fields) -> None:
    """Leave out positions with `Open` instead of the time of the exit."""
    spec = fields.get("exit_timestamp")
    for column in spec.columns if spec else []:
        words = [
            w
            for w in kept.contents.words(column)
            if w.strip().lower() in STILL_OPEN or _NO_DAY.match(w.strip())
        ]
        if words:
            kept.drop(column, words, "the trade is still open")


def by_side(kept: Kept, fields: Fields, rows: str) -> list[str]:
    """Leave out rows whose side says that they are not trades; returns the unknown words whose rows
    have a quantity and a price."""
    spec = fields.get("side")
    unknown: list[str] = []
    if spec is not None and len(spec.columns) == 1 and not spec.keys.keys() & {"cash", "paid"}:
        contents, column = kept.contents, spec.column
        words = contents.words(column)
        pending = (
            [w for w in words if _PENDING.fullmatch(w.strip().lower())]
            if {"buy", "sell"} & {w.strip().lower().removeprefix("op_") for w in words}
            else []
        )
        gone = []
        said = {w: s for w in words if isinstance(s := read_side(w), Side)}
        if totals := [w for w in said if _TOTALLED.fullmatch(w.strip())]:
            kept.drop(column, totals, "totals of other rows")
            contents = kept.contents
        if rows == "positions" and any(s.opens is None for s in said.values()):
            still = [
                w
                for w, s in said.items()
                if s.opens
                and (
                    not _complete(contents, fields, column, w, rows)
                    or ("open" in w.lower() and not re.search("open|entry", known_as(column)))
                )
            ]
            if still:
                kept.drop(column, still, "the trade is still open")
        for word in words:
            if "reinvest" in word.lower() and not _complete(contents, fields, column, word, rows):
                gone.append(word)
                continue
            if word in pending or read_side(word) is not None:
                continue
            for_cash = rows == "fills" and bool(FOR_CASH.search(word))
            if _is_number(word) or (
                (for_cash or not is_no_trade(word))
                and (
                    _complete(contents, fields, column, word, rows)
                    or (
                        rows == "fills"
                        and not is_no_trade(word)
                        and _moves_units(contents, fields, column, word)
                    )
                )
            ):
                unknown.append(word)
            else:
                gone.append(word)
        if pending:
            kept.drop(column, pending, "orders that were never filled")
        if gone:
            kept.drop(column, gone, "no trades")
            if fees := [word for word in gone if _FEES.search(word)]:
                kept.said.append(_fees_apart(fees))
        if any(value is None for value in kept.contents.cells(column)) and not _complete(
            kept.contents, fields, column, "", rows
        ):
            texts = {
                as_text(own)
                for other in kept.contents.columns
                for own, side in zip(
                    kept.contents.cells(other), kept.contents.cells(column), strict=True
                )
                if side is None and isinstance(own, str) and _FEES.search(own)
            }
            kept.drop(column, [""], "no trades")
            if texts:
                kept.said.append(_fees_apart(sorted(texts)))
    return unknown


def opening_rows(kept: Kept, fields: Fields, rows: str) -> None:
    """Leave out what opens positions, by a column beside that of the sides, where only what closes
    them has profits."""
    spec = fields.get("side")
    if spec is not None and rows == "positions" and len(spec.columns) == 1:
        _openings_beside_closings(kept, spec.column)
    for column in spec.columns[1:] if spec is not None and rows == "positions" else ():
        words = kept.contents.words(column)
        opens = [
            word
            for word in words
            if opens_or_closes(word) and not _complete(kept.contents, fields, column, word, rows)
        ]
        if opens and any(opens_or_closes(word) is False for word in words):
            kept.drop(column, opens, "they open positions, and those that close have the profits")


def _openings_beside_closings(kept: Kept, column: str) -> None:
    """Leave out the rows that open positions, where each shares a number with one that closes it,
    as in the lists of strategy testers."""
    contents = kept.contents
    opens = [
        side.opens if isinstance(side := read_side(as_text(v or "")), Side) else None
        for v in contents.cells(column)
    ]
    if None in opens or sum(map(bool, opens)) * 2 != len(opens):
        return
    for number in contents.columns:
        groups: dict[str, list[bool | None]] = {}
        for value, end in zip(contents.cells(number), opens, strict=True):
            groups.setdefault("" if value is None else as_text(value), []).append(end)
        if len(groups) * 2 == len(opens) and all(
            {*own} == {True, False} for own in groups.values()
        ):
            words = [w for w in contents.words(column) if getattr(read_side(w), "opens", None)]
            kept.drop(column, words, "they open positions, and those that close have the profits")
            return


def _fees_apart(words: list[str]) -> str:
    return (
        f"Fees in rows of their own ({', '.join(words[:4])}) are not counted: profits are before"
        " them."
    )


def incomplete(kept: Kept, fields: Fields, rows: str) -> None:
    """Leave out fills without a quantity, and those without a symbol if most have one; and rows of
    positions that are payments or totals."""
    if rows != "fills":
        _without_payments(kept, fields)
        return
    quantity, symbol = fields.get("quantity"), fields.get("symbol")
    side = fields.get("side")
    if quantity is not None and len(quantity.columns) == 1:
        zero = sorted(
            {
                as_text(v)
                for v, n in zip(
                    kept.contents.cells(quantity.column),
                    kept.contents.numbers(quantity.column),
                    strict=True,
                )
                if n == 0
            }
        )
        if zero:
            kept.drop(quantity.column, zero, "nothing was filled")
        _without_amounts(kept, quantity, fields)
    if symbol is not None and any(v is None for v in kept.contents.cells(symbol.column)):
        events = side is not None and any(
            isinstance(read_side(as_text(v)), Event)
            for v, s in zip(
                kept.contents.cells(side.column), kept.contents.cells(symbol.column), strict=True
            )
            if s is None and v is not None
        )
        if not events:
            kept.drop(symbol.column, [""], "no cell says what was traded")


def _without_payments(kept: Kept, fields: Fields) -> None:
    """Leave out rows of positions without a symbol, a quantity and prices, as those of deposits
    among trades, and totals at no time."""
    contents, symbol = kept.contents, fields.get("symbol")
    if symbol is None or len(symbol.columns) > 1:
        return
    symbols = contents.cells(symbol.column)
    amounts = [
        contents.numbers(fields[name].column)
        for name in ("quantity", "entry_price", "exit_price")
        if name in fields and len(fields[name].columns) == 1
    ]
    empty = [i for i, cell in enumerate(symbols) if cell is None]
    paid = any(numbers[i] for numbers in amounts for i in empty)
    if 0 < len(empty) < len(symbols) and amounts and not paid:
        kept.drop(symbol.column, [""], "nothing was traded")
    time = fields.get("exit_timestamp")
    totals = {as_text(cell) for cell in symbols if cell and _TOTAL.fullmatch(as_text(cell))}
    if totals and time is not None and time.column in contents.columns:
        times = contents.cells(time.column)
        if not any(t for t, s in zip(times, symbols, strict=True) if s and as_text(s) in totals):
            kept.drop(symbol.column, sorted(totals), "totals")


def _without_amounts(kept: Kept, quantity: Spec, fields: Fields) -> None:
    """Leave out rows without a quantity, a price and a side, as those of dividends and fees."""
    if len(quantity.columns) > 1 or "price" not in fields or "side" in fields:
        return
    cells = kept.contents.cells(quantity.column)
    prices = kept.contents.cells(fields["price"].column)
    empty = [price for cell, price in zip(cells, prices, strict=True) if cell is None]
    if empty and all(price is None for price in empty):
        nothing = {
            str(row.cells.get(quantity.column) or "").strip()
            for row, cell in zip(kept.contents.rows, cells, strict=True)
            if cell is None
        }
        kept.drop(quantity.column, ["", *sorted(nothing - {""})], "no trades")


def without_reversed(kept: Kept, fields: Fields, rows: str) -> list[str]:
    """Leave out fills that were reversed later, and their reversals; returns sentences on those
    that were not found."""
    if rows != "fills" or not {"symbol", "quantity", "price"} <= fields.keys():
        return []
    contents = kept.contents
    symbols, quantities, prices = (
        contents.cells(fields["symbol"].column),
        contents.numbers(fields["quantity"].column),
        contents.numbers(fields["price"].column),
    )
    said = next(
        (
            c
            for c in contents.columns
            if any(map(_REVERSED.search, contents.words(c))) or are_confirmations(contents.words(c))
        ),
        None,
    )
    if said is None:
        return []
    is_reversal = [
        bool(v and (_REVERSED.search(as_text(v)) or CANCELLED.fullmatch(joined_words(as_text(v)))))
        for v in contents.cells(said)
    ]
    gone: list[int] = []
    lost = 0
    for i, value in enumerate(is_reversal):
        if not value:
            continue
        twin = next(
            (
                j
                for j in range(contents.n_rows)
                if not is_reversal[j]
                and j not in gone
                and (symbols[j], prices[j]) == (symbols[i], prices[i])
                and abs(quantities[j] or 0) == abs(quantities[i] or 0)
            ),
            None,
        )
        gone += [i] if twin is None else [i, twin]
        lost += twin is None
    ids = next(
        (
            c
            for c in sorted(contents.columns, key=lambda c: -len(contents.words(c)))
            if (
                len(contents.words(c)) == contents.n_rows
                or is_number_of_rows(c)
                or _NUMBERED.search(known_as(c))
            )
            and contents.time(c) is None
            and _tells(contents.cells(c), gone)
        ),
        None,
    )
    if ids is None:
        return [f"Whether {said} names rows that undo others: leave both out, as they are counted."]
    kept.drop(
        ids,
        [*dict.fromkeys(as_text(contents.cells(ids)[i]) for i in sorted(gone))],
        f"{said} says they were undone",
    )
    return [f"Which fills {lost:,} reversals in {said} undo: they are not found."] if lost else []


def _tells(cells: Sequence[Any], chosen: Sequence[int]) -> bool:
    """Whether the cells tell the chosen rows from all others."""
    own = {cells[i] for i in chosen}
    return None not in own and not any(
        value in own for i, value in enumerate(cells) if i not in chosen
    )


def _is_number(word: str) -> bool:
    return bool(re.fullmatch(r"[-+]?\d+(\.\d+)?", word.strip()))


def _moves_units(contents: Contents, fields: Fields, column: str, word: str) -> bool:
    """Whether rows with the word have a quantity of what was also bought or sold, and no money, as
    those of what expired, was split or moved."""
    if not {"quantity", "symbol"} <= fields.keys() or fields["quantity"].column == OPEN_QUESTION:
        return False
    symbols = contents.cells(fields["symbol"].column)
    words = ["" if value is None else as_text(value) for value in contents.cells(column)]
    traded = {
        symbol
        for symbol, said in zip(symbols, words, strict=True)
        if symbol is not None and isinstance(read_side(said), Side)
    }
    money = [
        contents.numbers(other)
        for other in contents.columns
        if known_as(other) in _MONEY and contents.is_numeric(other)
    ]
    sizes = contents.numbers(fields["quantity"].column)
    return any(
        said == word and sizes[i] and symbols[i] in traded and not any(own[i] for own in money)
        for i, said in enumerate(words)
    )


def _complete(contents: Contents, fields: Fields, column: str, word: str, rows: str) -> bool:
    """Whether a row with the word has the cells of a trade."""
    names = ("quantity", "price") if rows == "fills" else ("exit_price", "pnl_usd", "roi")
    there: list[list[Any]] = [
        contents.numbers(fields[name].column)
        for name in names
        if name in fields and fields[name].column != OPEN_QUESTION
    ]
    symbols = contents.cells(fields["symbol"].column) if "symbol" in fields else None
    enough = len(there) if rows == "fills" else 1
    for i, value in enumerate(contents.cells(column)):
        if (
            ("" if value is None else as_text(value)) == word
            and there
            and (symbols is None or symbols[i] is not None)
            and sum(bool(numbers[i]) for numbers in there) >= max(1, enough)
        ):
            return True
    return False
