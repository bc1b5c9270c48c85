"""What the words in the column of sides mean: purchases and sales, or sides of positions; else
questions.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict

from app.sources.cells import as_text
from app.sources.column_names import known_as
from app.sources.drafting.decided import Decided
from app.sources.drafting.fill_rows import symbol_of
from app.sources.drafting.first_letters import first_letters, take_letters
from app.sources.drafting.settled_in_cash import settled_in_cash
from app.sources.drafting.side_columns import closes_first
from app.sources.drafting.spec import Spec
from app.sources.drafting.without_sides import settle_without_sides
from app.sources.ends import end_of
from app.sources.mapping import OPEN_QUESTION
from app.sources.positions import BOUGHT, SOLD
from app.sources.sides import CLOSED_SIDE, Event, Side, opens_or_closes, read_side

_REDUCES = re.compile(r"(is_?)?(reduce_?only|closing|close(_only|_position)?)")
"""Of columns that say by yes and no whether a fill closes."""
_YES, _NO = frozenset(("true", "yes", "y", "1")), frozenset(("false", "no", "n", "0"))
_OPEN_BUY = re.compile(r"(open|close)\W*(buy|sell)|(buy|sell)\W*(open|close)", re.IGNORECASE)
"""Texts that may have the side of the position, or of the fill."""


def settle_sides(decided: Decided, unknown: list[str]) -> None:
    """Decide how sides are read; ask which side the `unknown` words are."""
    contents, spec = decided.kept.contents, decided.fields.get("side")
    if spec is None:
        settle_without_sides(decided)
        return
    if spec.keys.keys() & {"cash", "paid"}:
        return
    words = contents.words(spec.column)
    if len(spec.columns) == 1 and (letters := first_letters(spec.column, list(words))):
        take_letters(decided, spec.column, letters)
        return
    if _are_only_sales(decided, spec):
        del decided.fields["side"]
        decided.guessed.append(
            f"{spec.column} is the side of the sale: what was sold was acquired before."
        )
        return
    _of_exits(decided, spec)
    said = {word: s for word in words if isinstance(s := read_side(word), Event)}
    if reducing := [word for word, s in said.items() if s.kind == "closing"]:
        decided.guessed.append(f"{', '.join(reducing)} in {spec.column} reduces what is held.")
    settled = settled_in_cash(decided, spec, unknown)
    unknown = [word for word in unknown if word not in settled]
    events = [
        word
        for word, s in said.items()
        if s.kind != "closing" and len(spec.columns) == 1 and word not in settled
    ]
    if events and decided.rows == "fills":
        decided.guessed.append(
            f"{', '.join(events[:4])} in {spec.column} is an expiry (the position ends at 0), an"
            " assignment (so does the option, and its shares are in other rows) or a split (units"
            " are added)."
        )
    closing = [
        word for word in words if isinstance(s := read_side(word), Side) and s.opens is False
    ]
    if closing and decided.rows == "positions":
        decided.guessed.append(
            f"{', '.join(closing[:4])} in {spec.column} shows how the position was closed: the side"
            " is that of the position."
        )
    if not unknown:
        _of_positions(decided, spec)
    if unknown and not _by_order(decided, spec.column, unknown):
        shown = ", ".join(repr(word) for word in unknown[:6])
        decided.sections.setdefault("sides", {})["buy"] = (
            [OPEN_QUESTION],
            f"those of {shown} that are purchases or long positions; list the others as sell, or as"
            " close if they end what is held at their price",
        )
        decided.asked.append(
            f"Which side {shown} in {spec.column} is: name the words in [sides], as buy, sell,"
            " expiry or split."
        )


def _of_exits(decided: Decided, spec: Spec) -> None:
    """Read the sides of positions the other way round, if their column is that of the exit, and no
    profit shows what they are."""
    fields, words = decided.fields, decided.kept.contents.words(spec.column)
    said = {word: read_side(word) for word in words}
    if (
        decided.rows == "positions"
        and len(spec.columns) == 1
        and not {"pnl_usd", "roi"} & fields.keys()
        and end_of(known_as(spec.column)) == "exit"
        and all(isinstance(s, Side) and s.opens is None for s in said.values())
    ):
        decided.sections["sides"] = {
            name: ([w for w, s in said.items() if isinstance(s, Side) and s.fill == fill], "")
            for name, fill in (("buy", -1), ("sell", 1))
        }
        decided.guessed.append(f"{spec.column} is the side of the exit, and not of the position.")


def _by_order(decided: Decided, column: str, unknown: list[str]) -> bool:
    """Whether words that name the position which they end, or the fill that ends it, can be read in
    one way alone: only in that one nothing is closed before it was opened."""
    verbs = {word: found["verb"] for word in unknown if (found := CLOSED_SIDE.fullmatch(word))}
    if len(verbs) < len(unknown) or decided.rows != "fills":
        return False
    rows: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    for i, value in enumerate(decided.kept.contents.cells(column)):
        word = "" if value is None else as_text(value)
        side = read_side(verbs.get(word, word))
        if isinstance(side, Side) and side.opens is None:
            rows[symbol_of(decided, i)].append((side.position, word not in verbs))
    by_fills, by_positions = (
        min(sum(closes_first(own[::turn], of_fills) for own in rows.values()) for turn in (1, -1))
        for of_fills in (True, False)
    )
    if by_fills == by_positions:
        return False
    of_fills = by_fills < by_positions
    for word, verb in verbs.items():
        buys = (read_side(verb) == Side(1, 1)) == of_fills
        own = decided.sections.setdefault("sides", {}).setdefault(
            "buy" if buys else "sell", ([], "")
        )
        own[0].append(word)
    decided.keys["shorts"] = ("yes", "what ends a position has words of its own")
    what = "the fill that ends a position" if of_fills else "the position that is ended"
    decided.guessed.append(
        f"{', '.join(verbs)} in {column} name {what}: only so is nothing closed before it was"
        " opened."
    )
    return True


def _are_only_sales(decided: Decided, spec: Spec) -> bool:
    """Whether positions have the days on which they were acquired and sold, and all sides are plain
    sales: none says that it was sold short."""
    fields = decided.fields
    if decided.rows != "positions" or not fields.keys() >= {"entry_timestamp", "exit_timestamp"}:
        return False
    if not BOUGHT.search(fields["entry_timestamp"].column) or not SOLD.search(
        fields["exit_timestamp"].column
    ):
        return False
    sides = {word: read_side(word) for word in decided.kept.contents.words(spec.column)}
    return all(
        isinstance(s, Side) and s.fill < 0 and not re.search("short|open|cover", word.lower())
        for word, s in sides.items()
    )


def _of_positions(decided: Decided, spec: Spec) -> None:
    """Read `buy` beside `close` as a sale if it is the side of the position, as some exchanges have
    it for hedged positions: only so does each close follow what it closes."""
    contents = decided.kept.contents
    effect = decided.fields.get("open_close") or _reducing(decided) or spec
    if decided.rows != "fills" or len(spec.columns) > 1:
        return
    rows: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    sizes: dict[str, list[float]] = defaultdict(list)
    quantity = decided.fields.get("quantity")
    known = quantity is not None and quantity.column in contents.columns
    amounts = contents.numbers(quantity.column) if quantity is not None and known else ()
    n_closes = 0
    closing: dict[str, str] = {}
    cells = zip(contents.cells(spec.column), contents.cells(effect.column), strict=True)
    for i, (value, word) in enumerate(cells):
        side = read_side(as_text(value or ""))
        opens = _opens(as_text("" if word is None else word))
        if not isinstance(side, Side) or opens is None:
            return
        if side.opens is not None and not _OPEN_BUY.fullmatch(as_text(value).strip()):
            return
        rows[symbol_of(decided, i)].append((side.fill, opens))
        sizes[symbol_of(decided, i)].append(abs((amounts[i] if amounts else None) or 1.0))
        if not opens:
            n_closes += 1
            both = (value,) if effect is spec else (value, word)
            text = " ".join(map(as_text, both)).strip().lower()
            closing[text] = "sell" if side.fill > 0 else "buy"

    def wrong(of_fills: bool) -> int:
        return min(
            sum(closes_first(own[::t], of_fills, sizes[name][::t]) for name, own in rows.items())
            for t in (1, -1)
        )

    if n_closes < 2 or not wrong(of_fills=True) or wrong(of_fills=False):
        return
    if effect is not spec:
        spec.columns = [spec.column, effect.column]
    for text, side_of_fill in closing.items():
        own = decided.sections.setdefault("sides", {}).setdefault(side_of_fill, ([], ""))
        own[0].append(text)
    decided.guessed.append(
        f"{spec.column} is the side of the position, also in fills that close it: only so is"
        " nothing closed before it was opened."
    )


def _reducing(decided: Decided) -> Spec | None:
    """The column that says by yes and no, in different rows, whether a fill closes."""
    contents = decided.kept.contents
    for column in contents.columns:
        words = {word.strip().lower() for word in contents.words(column)}
        if (
            column not in decided.used()
            and _REDUCES.fullmatch(known_as(column))
            and words & _YES
            and words & _NO
            and words <= _YES | _NO
        ):
            return Spec([column])
    return None


def _opens(word: str) -> bool | None:
    """Whether a fill opens or closes, by a word or by yes and no."""
    said = word.strip().lower()
    if said in _YES or said in _NO:
        return said in _NO
    return opens_or_closes(word)
