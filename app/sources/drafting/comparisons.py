"""Compare what a mapping reads with figures of the file that it does not read: positions after each
fill, totals, and words for wins and losses; `balances`, `durations` and `nets` have the others.

May touch: nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from app.sources.cells import as_text
from app.sources.column_names import known_as
from app.sources.drafting.adding_up import MOST, nice
from app.sources.drafting.allocations import by_allocations
from app.sources.drafting.balances import by_balance
from app.sources.drafting.compared import EXACT, FAR, FEWEST, Compared, Contradiction, near
from app.sources.drafting.contents import Contents
from app.sources.drafting.durations import by_duration
from app.sources.drafting.foreign_amounts import by_foreign_amounts
from app.sources.drafting.named_otherwise import by_fees, by_names
from app.sources.drafting.nets import by_clock, by_prices, by_returns, by_symbol, by_units_of_prices
from app.sources.drafting.outcomes import Outcome
from app.sources.drafting.repeated import copies
from app.sources.drafting.told_profits import by_amounts, by_proceeds, by_profits
from app.sources.figures import written
from app.sources.value_names import is_balance

_WINS = frozenset(
    (
        "win", "won", "winner", "winning", "w", "profit", "gain", "gewinn", "gewonnen", "gagné",
        "gagnant", "ganada", "ganadora", "ganancia", "vinta", "vincente", "ganho", "vitória",
        "wygrana", "profitable", "盈利", "盈", "勝", "勝ち", "赢", "прибыль",
    )
)  # fmt: skip
_LOSSES = frozenset(
    (
        "loss", "lost", "loser", "losing", "lose", "l", "verlust", "verloren", "perdu", "perdant",
        "perdida", "perdedora", "pérdida", "persa", "perdente", "perda", "derrota", "strata",
        "unprofitable", "亏损", "虧損", "亏", "負", "負け", "输", "убыток",
    )
)  # fmt: skip
_IS_WIN = re.compile(r"(is_)?(win|won|winner|winning|gewonnen|gagné|ganada)")
_FLAGS = {"true": "win", "yes": "win", "1": "win", "false": "loss", "no": "loss", "0": "loss"}
"""Of columns that say whether a trade won, and what stands in them."""
_BOOKED = {"cr": "gain", "credit": "gain", "dr": "loss", "debit": "loss"}
_EVEN = frozenset(("be", "breakeven", "break-even", "even", "scratch", "flat", "draw", "neutral"))
_TOTAL = re.compile(
    r"(?P<words>[^\d\n]*?"
    r"(profit|p ?[&/] ?l\b|pnl|\bgain|gewinn|ergebnis|résultat|resultado|lucro|損益|盈亏|盈虧)"
    r"[^\d\n]*?)(?P<amount>[-(]?\$?-?\d[\d,.']*\)?)(?!\s*%|[\d:/-])",
    re.IGNORECASE,
)
_UNDOING = re.compile(
    r"(trade[ _-]?)?(cancel|bust|busted|correct|correction|corrected|amend|amended|undo|void)"
)
_VOIDED = re.compile(
    r"\bvoid(ed)?\b|\bduplicated?\b|\bbusted\b|\b(do(es)? )?not count(ed)?\b|\bentered twice\b"
    r"|storniert|ungültig|doppelt erfasst|\bannul(é|ée|lato|lata|ado|ada)\b|\banulad[oa]\b|作废"
    r"|作廢|重复|重複|無効|аннулирован|дубликат",
    re.IGNORECASE,
)
"""Of texts that say that a row does not count."""
_MOVED = re.compile(
    r"\b(internal|inter-?account|own account|in[- ]specie|in[- ]kind|free of payment|acats?)\b"
    r"|\btransfer(red)? (to|from|between|in|out)\b|\bjournal(ed|led)?\b.*\b(to|from|shares)\b"
    r"|\b(umbuchung|depotübertrag|lagerstellenwechsel|umlagerung|virement interne|traspaso interno"
    r"|giroconto|overboeking tussen|intern överföring)\b",
    re.IGNORECASE,
)
"""Of texts that say that units were moved between accounts, and not traded."""
_STOPPED = re.compile(r"^sl\b|\bsl hit|\bstop[- ]?loss|\bstopped( out)?\b", re.IGNORECASE)
_MOST_WORDS = 10
_PART = re.compile(
    r"factor|average|avg|mean|largest|max|best|worst|per |/ ?trade|unreal|open|pct|percent|%"
    r"|trades|count|ratio|target|number",
    re.IGNORECASE,
)
"""Of figures in a line of text that are no total."""
_FEW_CONTRADICT = 0.05


def contradictions(compared: Compared) -> Iterator[Contradiction]:
    """What the columns that are not read, and the lines of text, say against the reading."""
    contents, found = compared.contents, compared.found
    yield from by_foreign_amounts(compared)
    yield from by_allocations(compared)
    yield from by_names(compared)
    yield from by_fees(compared)
    for column in compared.unread:
        yield from _by_words(contents, column, found, compared.kind)
        if compared.kind == "positions":
            yield from _by_stops(contents, column, found)
        if compared.kind == "fills":
            yield from _by_undoing(contents, column)
        yield from _by_voiding(contents, column, _VOIDED, "count, as others do")
        if compared.kind == "fills":
            yield from _by_voiding(contents, column, _MOVED, "are purchases and sales")
    for column in compared.unread_numbers():
        if compared.kind == "fills":
            yield from _by_position(contents, column, found)
        if is_balance(column):
            yield from by_balance(contents, column, found)
    if compared.whole:
        yield from _by_copies(contents)
        if "pnl_usd" not in compared.fields:
            yield from _by_total(contents, found)
    yield from by_profits(compared)
    yield from by_proceeds(compared)
    yield from by_amounts(compared)
    yield from by_returns(compared)
    yield from by_prices(compared)
    yield from by_symbol(compared)
    yield from by_units_of_prices(compared)
    yield from by_duration(compared)
    yield from by_clock(compared)


def _by_undoing(contents: Contents, column: str) -> Iterator[Contradiction]:
    """Fills that undo or correct others, which would count beside them."""
    words = {as_text(value).strip().lower() for value in contents.values(column)}
    undoing = sorted(word for word in words if _UNDOING.fullmatch(word))
    if undoing and len(undoing) < len(words) <= _MOST_WORDS:
        yield Contradiction(
            f"Whether the rows with {undoing[0]!r} in {column} undo or correct others: they are"
            " counted beside them.  Leave out those that do not count.",
            tuple(
                i
                for i, cell in enumerate(contents.cells(column))
                if cell is not None and as_text(cell).strip().lower() in undoing
            ),
        )


def _by_words(
    contents: Contents, column: str, found: Sequence[Outcome], kind: str
) -> Iterator[Contradiction]:
    """Rows whose word for a win or a loss contradicts the profit that is read."""
    cells = [
        None if value is None else as_text(value).strip().lower()
        for value in contents.cells(column)
    ]
    if _IS_WIN.fullmatch(known_as(column)):
        cells = [_FLAGS.get(cell, cell) if cell else cell for cell in cells]
    if kind == "positions":  # What a sale brought in is a credit, whatever it earned.
        cells = [_BOOKED.get(cell.strip("."), cell) if cell else cell for cell in cells]
    words = {cell for cell in cells if cell}
    if not words & (_WINS | _LOSSES) or not words <= _WINS | _LOSSES | _EVEN:
        return
    if words <= {"w", "l"} | _EVEN and len(words) < 2:
        return
    known = [
        (i, word, own.earned)
        for i, (word, own) in enumerate(zip(cells, found, strict=True))
        if word and word not in _EVEN and own.earned
    ]
    against = [(i, word) for i, word, earned in known if (word in _WINS) != (earned > 0)]
    if against and len(against) > _FEW_CONTRADICT * len(known):
        called = "a win" if against[0][1] in _WINS else "a loss"
        yield Contradiction(
            f"Whether the profits are read rightly: {column} calls {len(against)} of {len(known)}"
            f" rows {called} whose profit has the other sign.  Losses need a minus sign.",
            tuple(i for i, _ in against),
        )


def _by_stops(contents: Contents, column: str, found: Sequence[Outcome]) -> Iterator[Contradiction]:
    """Rows that ended by a stop loss, in a file without a single loss: losses may have lost their
    sign."""
    earned = [own.earned for own in found if own.earned is not None]
    rows = [
        i
        for i, (cell, own) in enumerate(zip(contents.cells(column), found, strict=True))
        if isinstance(cell, str) and _STOPPED.search(cell) and own.earned
    ]
    if rows and len(rows) < len(earned) and len(earned) > 2 and min(earned) >= 0:
        yield Contradiction(
            f"Whether the profits are read rightly: {column} says of {len(rows)} rows that they"
            " ended by a stop loss, and none has lost.  Losses need a minus sign.",
            tuple(rows),
        )


def _by_voiding(
    contents: Contents, column: str, words: re.Pattern[str], what: str
) -> Iterator[Contradiction]:
    """Rows of which a text says that they do not count, and others of which it does not."""
    rows = [
        (i, cell)
        for i, cell in enumerate(contents.cells(column))
        if isinstance(cell, str) and words.search(cell)
    ]
    if rows and len(rows) < contents.n_rows:
        yield Contradiction(
            f"Whether the rows with {rows[0][1]!r} in {column} {what}: leave out those that"
            f" {'are' if what.startswith('are') else 'do'} not.",
            tuple(i for i, _ in rows),
        )


def _by_position(
    contents: Contents, column: str, found: Sequence[Outcome]
) -> Iterator[Contradiction]:
    """Fills after (or before) which a position is told that moves against their sides."""
    fills = [
        (own, number)
        for own, number in zip(found, contents.numbers(column), strict=True)
        if own.quantity and number is not None
    ]
    if fills and fills[0][0].moment > fills[-1][0].moment:
        fills.reverse()
    by_symbol: dict[str, list[tuple[float, float]]] = {}
    for own, number in fills:
        by_symbol.setdefault(own.symbol, []).append((own.quantity, number))
    after = [
        (quantity, number - before)
        for rows in by_symbol.values()
        for (_, before), (quantity, number) in pairwise([(0.0, 0.0), *rows])
    ]
    before = [
        (quantity, later - number)
        for rows in by_symbol.values()
        for (quantity, number), (_, later) in pairwise(rows)
    ]
    if _moves(after, 1) or _moves(before, 1):
        return
    if _moves(after, -1) or _moves(before, -1):
        yield Contradiction(
            f"Whether purchases and sales are told apart rightly: by {column}, each fill moves the"
            " position the other way.",
            tuple(i for i, own in enumerate(found) if own.quantity),
        )


def _moves(moved: Sequence[tuple[float, float]], sign: int) -> bool:
    """Whether nearly all fills move the position by their quantity, or by its opposite."""
    same = sum(near(step, sign * quantity, EXACT) for quantity, step in moved)
    return len(moved) >= FEWEST and same >= MOST * len(moved)


def _by_copies(contents: Contents) -> Iterator[Contradiction]:
    """A second half of the rows that repeats the first, but for the numbers of rows."""
    rows, numbers = copies(contents)
    if rows and numbers:
        yield Contradiction(
            "Whether the second half of the rows are trades of their own: but for"
            f" {' and '.join(numbers)}, they repeat the first half.",
            tuple(rows),
        )


def _by_total(contents: Contents, found: Sequence[Outcome]) -> Iterator[Contradiction]:
    """A total of the profits, in a line of text, that is a multiple of what the rows make."""
    mark = "," if contents.decimal == "," else "."
    earned = sum(own.earned or 0.0 for own in found)
    fees = sum(own.fee for own in found)
    made = {earned, earned + fees}
    totals: dict[float, str] = {}
    for text in contents.texts:
        match = _TOTAL.search(text)
        if match is None or _PART.search(match["words"]):
            continue
        told = written(match["amount"], mark)
        if told is not None and float(told.text):
            totals[float(told.text)] = match["words"].strip(" ,;:")
    if any(near(total, own, EXACT) for total in totals for own in made):
        return
    for total, words in totals.items():
        for gross in (total, total + fees):
            ratio = gross / (earned + fees) if earned + fees else 0.0
            if not ratio or not math.isfinite(ratio):
                continue
            usual = nice(abs(ratio)) or nice(abs(1 / ratio))
            if usual and not 1 / FAR < abs(ratio) < FAR:
                yield Contradiction(
                    "Whether prices and quantities are read rightly: the file says"
                    f" {_label(words)} {total:,.2f}, and the rows make {earned:,.2f}."
                )
                return


def _label(words: str) -> str:
    return re.sub(r"^line\s*", "", words).strip()
