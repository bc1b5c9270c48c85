"""Compare what a draft reads with figures of the file that it does not read: balances, positions
after each fill, totals, and words for wins and losses.  What contradicts the reading is a question.

May touch: nothing.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Sequence
from itertools import pairwise

from app.sources.cells import as_text
from app.sources.column_names import currency_in, known_as
from app.sources.drafting.adding_up import MOST, nice
from app.sources.drafting.contents import Contents
from app.sources.drafting.conversions import ask_conversion
from app.sources.drafting.decided import Decided
from app.sources.drafting.fill_amounts import amounts_of, converted_amounts, sizes_of
from app.sources.drafting.outcomes import Outcome, outcomes_of
from app.sources.figures import written
from app.sources.mapping import OPEN_QUESTION
from app.sources.pairs import pair_of
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
_EVEN = frozenset(("be", "breakeven", "break-even", "even", "scratch", "flat", "draw", "neutral"))
_TOTAL = re.compile(
    r"(?P<words>[^\d\n]*?"
    r"(profit|p ?[&/] ?l\b|pnl|\bgain|gewinn|ergebnis|résultat|resultado|lucro|損益|盈亏|盈虧)"
    r"[^\d\n]*?)(?P<amount>[-(]?\$?-?\d[\d,.']*\)?)(?!\s*%|[\d:/-])",
    re.IGNORECASE,
)
_POINT_VALUE = re.compile(
    r"(^|_)(pt|point|tick|contract|lot|unit)s?_(val|value|worth|sz|size|amt|mult|multiplier)$|^mult(iplier)?$"
    r"|^(shares|units)_per_(contract|lot)$"
)
_UNDOING = re.compile(
    r"(trade[ _-]?)?(cancel|bust|busted|correct|correction|corrected|amend|amended|undo|void)"
)
_MOST_WORDS = 10
_PART = re.compile(
    r"factor|average|avg|mean|largest|max|best|worst|per |/ ?trade|unreal|open|pct|percent|%"
    r"|trades|count|ratio|target|number",
    re.IGNORECASE,
)
"""Of figures in a line of text that are no total."""
_ALIKE, _FAR, _EXACT = 0.1, 5, 0.005
"""Within which share ratios are the same, by which factor amounts differ if something else was read
than what the file means, and what an exact figure may be off."""
_FEWEST, _FEW_CONTRADICT = 3, 0.05
_DAILY, _SAME_RATE = 0.03, 0.0005
"""By which share rates of exchange of several days differ at most, and contract values do not."""


def cross_check(decided: Decided) -> None:
    """Ask where unread figures contradict the reading.  A draft with open questions is not
    compared, but for that of the currency: its reading is not known yet."""
    ask_conversion(decided)
    open_keys = [key for key, (value, _) in decided.keys.items() if value == OPEN_QUESTION]
    if len(decided.asked) > open_keys.count("currency") or any(
        OPEN_QUESTION in spec.columns for spec in decided.fields.values()
    ):
        return
    found = outcomes_of(decided)
    if found is None:
        return
    said = next(_contradictions(decided, found), None)
    if said is None:
        _ask_point_value(decided)
    else:
        decided.ask(
            "contradictions",
            said,
            '"accept" if the columns are read rightly nevertheless; else correct them, the side or'
            " [multipliers]",
        )


def _contradictions(decided: Decided, found: Sequence[Outcome]) -> Iterator[str]:
    contents, used = decided.kept.contents, decided.used()
    if decided.rows == "fills":
        yield from _by_amounts(decided)
    unread = [column for column in contents.columns if column not in used]
    for column in unread:
        yield from _by_words(contents, column, found)
        if decided.rows == "fills":
            yield from _by_undoing(contents, column)
    for column in unread:
        if not contents.is_numeric(column) or contents.time(column) is not None:
            continue
        if decided.rows == "fills":
            yield from _by_position(contents, column, found)
        if is_balance(column):
            yield from _by_balance(contents, column, found)
    if "pnl_usd" not in decided.fields:
        yield from _by_total(contents, found)


def _ask_point_value(decided: Decided) -> None:
    """Ask what a point is worth, if a column may say it, is not read, and profits are made of
    prices and quantities."""
    contents, fields = decided.kept.contents, decided.fields
    if (
        "quantity" not in fields
        or {"multiplier", "gross", "net", "pnl_usd", "roi"} & fields.keys()
        or decided.sections.get("multipliers")
        or fields.get("price", fields.get("entry_price")) is None
    ):
        return
    said = " ".join(decided.guessed)
    columns = [
        column
        for column in contents.columns
        if column not in decided.used()
        and column not in said
        and _POINT_VALUE.search(known_as(column))
        and any(n not in (0, 1) for n in contents.read_numbers(column))
    ]
    if columns and not _is_confirmed(decided):
        decided.ask(
            "*",
            f"What a point is worth: {' and '.join(columns)} may say it, and no profit is read.",
            "money per point and unit; 1 if they say nothing of the kind",
            section="multipliers",
        )


def _is_confirmed(decided: Decided) -> bool:
    """Whether an amount is price times quantity as they stand."""
    contents, fields = decided.kept.contents, decided.fields
    price = fields.get("price") or fields["entry_price"]
    if OPEN_QUESTION in (price.column, fields["quantity"].column):
        return False
    values = [
        abs(a * b) if a and b else None
        for a, b in zip(
            contents.numbers(price.column), contents.numbers(fields["quantity"].column), strict=True
        )
    ]
    known = sum(value is not None for value in values)
    return any(
        sum(
            n is not None and value is not None and _near(abs(n), value, _EXACT)
            for n, value in zip(contents.numbers(column), values, strict=True)
        )
        >= max(1, MOST * known)
        for column in contents.columns
        if column not in decided.used() and contents.is_numeric(column)
    )


def _by_undoing(contents: Contents, column: str) -> Iterator[str]:
    """Fills that undo or correct others, which would count beside them."""
    words = {as_text(value).strip().lower() for value in contents.values(column)}
    undoing = sorted(word for word in words if _UNDOING.fullmatch(word))
    if undoing and len(undoing) < len(words) <= _MOST_WORDS:
        yield (
            f"Whether the rows with {undoing[0]!r} in {column} undo or correct others: they are"
            " counted beside them.  Leave out those that do not count."
        )


def _by_amounts(decided: Decided) -> Iterator[str]:
    """Amounts that are always about the same multiple of price × quantity, and nothing says why:
    they may be in another currency than the prices."""
    fields = decided.fields
    known = {"gross", "net", "multiplier"} & fields.keys() or "inverse" in decided.keys
    if known or decided.sections.get("multipliers") or not {"price", "quantity"} <= fields.keys():
        return
    keys = fields["price"].keys.keys() | fields["quantity"].keys.keys()
    symbols = decided.kept.contents.words(fields["symbol"].column) if "symbol" in fields else {}
    pairs = bool(symbols) and all(map(pair_of, symbols))
    if keys & {"per_unit", "money", "part"} or pairs or _is_confirmed(decided):
        return
    told, _ = decided.keys.get("currency", ("", ""))
    converted = converted_amounts(decided)
    for column, numbers in amounts_of(decided):
        own = currency_in(column)
        rows = [
            (abs(n) / size, size)
            for n, size in zip(numbers, sizes_of(decided), strict=True)
            if n and size
        ]
        if (
            column in converted
            or is_balance(column)
            or len(rows) < 2
            or own not in (None, told)
            or len({round(size, 4) for _, size in rows}) < 2
        ):
            continue
        ratios = [ratio for ratio, _ in rows]
        middle = statistics.median(ratios)
        near = all(abs(ratio / middle - 1) <= _DAILY for ratio in ratios)
        if near and abs(middle - 1) > _DAILY and max(ratios) - min(ratios) > _SAME_RATE * middle:
            yield (
                f"Whether prices are in the currency of {column}: it is about {middle:.4g} times"
                " price × quantity."
            )
            return


def _by_words(contents: Contents, column: str, found: Sequence[Outcome]) -> Iterator[str]:
    """Rows whose word for a win or a loss contradicts the profit that is read."""
    cells = [
        None if value is None else as_text(value).strip().lower()
        for value in contents.cells(column)
    ]
    if _IS_WIN.fullmatch(known_as(column)):
        cells = [_FLAGS.get(cell, cell) if cell else cell for cell in cells]
    words = {cell for cell in cells if cell}
    if not words & (_WINS | _LOSSES) or not words <= _WINS | _LOSSES | _EVEN:
        return
    if words <= {"w", "l"} | _EVEN and len(words) < 2:
        return
    told = [(word, own.earned) for word, own in zip(cells, found, strict=True) if word]
    known = [(word, earned) for word, earned in told if earned and word not in _EVEN]
    against = [word for word, earned in known if (word in _WINS) != (earned > 0)]
    if against and len(against) > _FEW_CONTRADICT * len(known):
        called = "a win" if against[0] in _WINS else "a loss"
        yield (
            f"Whether the profits are read rightly: {column} calls {len(against)} of {len(known)}"
            f" rows {called} whose profit has the other sign.  Losses need a minus sign."
        )


def _by_position(contents: Contents, column: str, found: Sequence[Outcome]) -> Iterator[str]:
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
        yield (
            f"Whether purchases and sales are told apart rightly: by {column}, each fill moves the"
            " position the other way."
        )


def _moves(moved: Sequence[tuple[float, float]], sign: int) -> bool:
    """Whether nearly all fills move the position by their quantity, or by its opposite."""
    same = sum(_near(step, sign * quantity, _EXACT) for quantity, step in moved)
    return len(moved) >= _FEWEST and same >= MOST * len(moved)


def _by_balance(contents: Contents, column: str, found: Sequence[Outcome]) -> Iterator[str]:
    """Balances that change by another multiple of what the rows earn, or the other way."""
    numbers = contents.numbers(column)
    worst: float | None = None
    unsigned = 0
    for order in (
        list(range(len(found))),
        list(range(len(found)))[::-1],
        sorted(range(len(found)), key=lambda i: found[i].moment),
    ):
        steps = [
            (number - before, found[i])
            for before, number, i in zip(
                [numbers[i] for i in order],
                [numbers[i] for i in order[1:]],
                order[1:],
                strict=False,
            )
            if before is not None and number is not None
        ]
        same = sum(_near(step, own.earned or 0.0, _EXACT) for step, own in steps if own.earned)
        turned = sum(_near(step, -own.earned, _EXACT) for step, own in steps if own.earned)
        n = sum(bool(own.earned) for _, own in steps)
        if n and same >= MOST * n:
            return
        if n >= _FEWEST and turned and same and same + turned >= MOST * n:
            unsigned = turned
        for kind in ("earned", "cash"):
            pairs = [(step, own) for step, own in steps if step and getattr(own, kind)]
            ratio = _multiple([(step, getattr(own, kind)) for step, own in pairs])
            if ratio is None:
                continue
            if abs(ratio - 1) <= _ALIKE:
                return
            if ratio < 0 or not 1 / _FAR < ratio < _FAR:
                worst = ratio if worst is None else worst
    if unsigned:
        yield (
            f"Whether the profits are read rightly: {column} moves the other way in {unsigned:,}"
            " rows.  Losses need a minus sign."
        )
    elif worst is not None:
        yield (
            f"Whether prices, quantities and sides are read rightly: {column} changes by"
            f" {worst:.4g} times what the rows make."
        )


def _multiple(pairs: Sequence[tuple[float, float]]) -> float | None:
    """The ratio that nearly all pairs have; None if there are too few, or there is none."""
    ratios = [told / made for told, made in pairs]
    if len({round(made, 6) for _, made in pairs}) < _FEWEST:
        return None
    middle = statistics.median(ratios)
    close = sum(_near(ratio, middle, _ALIKE) for ratio in ratios)
    return middle if close >= MOST * len(ratios) else None


def _by_total(contents: Contents, found: Sequence[Outcome]) -> Iterator[str]:
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
    if any(_near(total, own, _EXACT) for total in totals for own in made):
        return
    for total, words in totals.items():
        for gross in (total, total + fees):
            ratio = gross / (earned + fees) if earned + fees else 0.0
            usual = nice(abs(ratio)) or nice(abs(1 / ratio) if ratio else 0.5)
            if ratio and usual and not 1 / _FAR < abs(ratio) < _FAR:
                yield (
                    "Whether prices and quantities are read rightly: the file says"
                    f" {_label(words)} {total:,.2f}, and the rows make {earned:,.2f}."
                )
                return


def _label(words: str) -> str:
    return re.sub(r"^line\s*", "", words).strip()


def _near(one: float, other: float, share: float) -> bool:
    return abs(one - other) <= share * max(abs(one), abs(other)) + 1e-9
