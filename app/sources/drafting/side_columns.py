"""Which column says the side, and whether another one that says `open` or `close` belongs to it.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from app.sources.cells import as_text
from app.sources.column_names import NAMES, known_as
from app.sources.drafting.contents import Contents
from app.sources.drafting.spec import Names, Spec
from app.sources.side_words import LETTERS
from app.sources.sides import Event, Side, is_no_trade, opens_or_closes, read_side

_OF_TAX = re.compile(r"(^|_)term(_|$)|holding|gain_type")
"""How long something was held: `Short` there is no side."""
_OF_ANYONE = re.compile(r"(^|_)(taker|maker|aggressor|initiator|counter_?party|opposite)(_|$)")
"""The side of whoever took the price, which need not be that of the account."""
_REASON = re.compile(r"(^|_)(reason|cause|grund|motivo|motif|причина)(_|$)")
"""Why a trade was opened or closed: `Sell Price` there ends a long one."""
_COST_BASIS = re.compile(r"cost_ba(sis|se)|anschaffungskosten|acquisition_cost")
_PROCEEDS = re.compile(r"proceeds|veräußerungserlös")
"""Of lists of what was disposed of: a sale there closes what was bought."""
_LITTLE = 1e-6
"""By which share of a fill less may be held than it closes."""
_MOST_WORDS = 12
"""How many different texts a column has at most, for it to say only what opens and what closes."""
_EFFECT = frozenset(
    [
        "open",
        "close",
        "opening",
        "closing",
        "to_open",
        "to_close",
        "o",
        "c",
        "offset",
        "opened",
        "closed",
        "entry",
        "exit",
        "increase",
        "decrease",
        "increased",
        "decreased",
        "reduce",
        "add",
        "liquidate",
        "liquidated",
        "liquidation",
    ]
)


def side_column(contents: Contents, names: Names, used: set[str]) -> str | None:
    """The column in which most cells say a side (or an expiry, a split), by what stands in
    them; of equals the better name."""
    best: tuple[float, int, str] | None = None
    for column in contents.columns:
        name = names[column]
        rank = NAMES["side"].index(name) if name in NAMES["side"] else None
        if column in used or contents.is_numeric(column) or contents.time(column) is not None:
            continue
        if says_no_side(name):
            continue
        words = contents.words(column)
        if says_disposals(contents, column):
            continue
        if words.keys() <= {"BTC"}:
            continue  # A coin, and no `buy to close`.
        if words.keys() <= {"-", "+"} and len(words) == 1:
            continue  # An empty cell, as some write it.
        if not words or (rank is None and len(words) > 40):
            continue
        said = {word: read_side(word) for word in words}
        sides = sum(n for word, n in words.items() if isinstance(said[word], Side))
        extra = sum(n for word, n in words.items() if isinstance(said[word], Event))
        plain = sum(
            n
            for word, n in words.items()
            if not isinstance(said[word], Side) and not is_no_trade(word)
        )
        gone = sum(n for word, n in words.items() if said[word] is None and is_no_trade(word))
        if (
            not sides
            or sides < 0.2 * contents.n_rows
            or (rank is None and sides + extra + gone < 0.9 * sum(words.values()))
        ):
            continue
        if name == "description" and sides < 0.5 * contents.n_rows:
            continue
        letters = {word.strip().lower() for word in words}
        both = len({s.fill for s in said.values() if isinstance(s, Side)}) == 2
        if not both and (letters & LETTERS or (rank is None and all(map(_is_letter, letters)))):
            continue  # A strategy `S` is no sale.
        # `LONG` in all rows, beside `BUY` and `SELL`, is the position's.
        score = (sides + extra - plain * 0.5) / contents.n_rows + both
        key = (round(score, 6), -(rank if rank is not None else 500), column)
        if best is None or key[:2] > best[:2]:
            best = key
    return best[2] if best else None


def says_no_side(name: str) -> bool:
    """Whether a column's name says that its words are not the sides of the account's trades."""
    return any(pattern.search(name) for pattern in (_OF_TAX, _OF_ANYONE, _REASON))


def says_disposals(contents: Contents, column: str) -> bool:
    """Whether the column says how what had been bought was disposed of, in a list of costs and
    proceeds."""
    names = [known_as(other) for other in contents.columns]
    return lists_disposals(names) and all(map(_is_disposal, contents.words(column)))


def lists_disposals(names: Collection[str]) -> bool:
    """Whether the names, as names are compared, are those of a list of costs and proceeds."""
    return any(map(_COST_BASIS.search, names)) and any(map(_PROCEEDS.search, names))


def _is_disposal(word: str) -> bool:
    """Whether the word says how something was disposed of, and not that it was bought."""
    side = read_side(word)
    if isinstance(side, Side):
        return side.fill < 0 and side.opens is None and "short" not in word.lower()
    return side is None


def with_effect(contents: Contents, column: str, used: set[str]) -> Spec:
    """With the column that says whether it opens or closes, where the side's is the position's:
    a long one is bought and sold."""
    if any(
        isinstance(s := read_side(word), Side) and s.opens is not None
        for word in contents.words(column)
    ):
        return Spec([column])
    if not all(re.search(r"long|short", word, re.IGNORECASE) for word in contents.words(column)):
        return Spec([column])
    for other in contents.columns:
        if len(contents.words(other)) > _MOST_WORDS:
            continue
        words = {re.sub(r"\W+", "_", word.strip().lower()) for word in contents.words(other)}
        if other not in used and other != column and words and words <= _EFFECT and len(words) <= 4:
            both = {f"{a} {b}" for a in contents.words(column) for b in contents.words(other)}
            if all(isinstance(read_side(text), Side) for text in both):
                of_fills = _is_of_fills(contents, column, other)
                return Spec([column] if of_fills else [column, other])
    return Spec([column])


def _is_of_fills(contents: Contents, column: str, effect: str) -> bool:
    """Whether `long` means that something is bought, also where that closes a short: only so do
    closes come after opens."""
    sides = {word: read_side(word) for word in contents.words(column)}
    effects = {word: opens_or_closes(word) for word in contents.words(effect)}
    rows = [
        (side.position, opens)
        for a, b in zip(contents.cells(column), contents.cells(effect), strict=True)
        if a is not None
        and b is not None
        and isinstance(side := sides[as_text(a)], Side)
        and (opens := effects[as_text(b)]) is not None
    ]

    def without_open(of_fills: bool) -> int:
        return min(closes_first(rows, of_fills), closes_first(rows[::-1], of_fills))

    return without_open(True) < without_open(False)


def closes_first(
    rows: Sequence[tuple[int, bool]], of_fills: bool, sizes: Sequence[float] = ()
) -> int:
    """How many of the (direction, whether it opens) close what was not opened before; of fills with
    `sizes`, by how much was."""
    held = {1: 0.0, -1: 0.0}
    wrong = 0
    for (direction, opens), size in zip(rows, sizes or [1.0] * len(rows), strict=True):
        position = direction if opens or not of_fills else -direction
        held[position] += size if opens else -size
        if held[position] < -_LITTLE * size:
            wrong += 1
            held[position] = 0.0
    return wrong


def _is_letter(word: str) -> bool:
    return len(word) == 1
