"""Whether a sale of more than is held opens a short position: inferred from the rows, else asked.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict

from app.sources.cells import as_text
from app.sources.column_names import NAMES, known_as
from app.sources.drafting import simulate
from app.sources.drafting.decided import Decided
from app.sources.drafting.fill_rows import purchases, symbol_of
from app.sources.drafting.simulate import Tried
from app.sources.pairs import future_of, is_option, may_be_inverse, pair_of
from app.sources.sides import Event, Side, read_side

_NO_SHORTS_NEEDED = re.compile(
    r"perp|swap|future|margin|fut\b|linear|inverse|cfd|forex|(fut|opt)(idx|stk|com|cur)",
    re.IGNORECASE,
)


_INTRADAY = re.compile(
    r"mis|intraday|intra|day ?trade|margin intraday.*|現股當沖|当沖|當沖|일중", re.IGNORECASE
)
"""Products that are sold first and bought back on the same day."""
_MOST_PRODUCTS = 6
_MIDNIGHT = "T00:00:00"
_OF_CONTRACT = re.compile(r"exp|strike|matur|right|call|put")
"""Of columns that name a contract together with its underlying."""


def settle_shorts(decided: Decided) -> None:
    """Ask whether a sale of more than is held opens a short, if that occurs and nothing answers
    it."""
    if decided.two_rows or "shorts" in decided.keys:
        return
    if "open_close" in decided.fields:
        if _reverses(decided):
            effect = decided.fields.pop("open_close").column
            decided.guessed.append(
                f"{effect} is not read: some closes are of more than was held, and open the rest."
            )
            return
        decided.keys["shorts"] = ("said", "only where a sale is marked as opening")
        return
    contents, fields = decided.kept.contents, decided.fields
    tried = simulate.fills(decided, "no")
    if not tried.oversold:
        return
    turned = not simulate.fills(decided, "no", newest_first=True).oversold
    if all(_sold_first(symbol) for symbol in tried.oversold):
        if turned and len(simulate.fills(decided).closed) > 1 and _is_one_day(decided):
            _ask_order(decided)
        return
    if not _rise(decided) and turned:
        decided.keys["newest_first"] = (
            True,
            "fills of one time are in reverse order, so that no more is sold than is held",
        )
        decided.guessed.append(
            "The rows have the newest fill first: only then is nothing sold before it was bought."
        )
        return
    side = fields.get("side")
    said = []
    if side is not None:
        for i in range(contents.n_rows):
            said.append(
                read_side(
                    " ".join(
                        as_text(v) for c in side.columns if (v := contents.cells(c)[i]) is not None
                    )
                )
            )
    if any(isinstance(s, Event) and s.kind == "closing" for s in said):
        return  # Closes have a word of their own, so a sale opens.
    opening_shorts = any(isinstance(s, Side) and s.fill < 0 and s.opens for s in said)
    short_word = (
        any(
            isinstance(s, Side)
            and s == Side(-1, -1)
            and "short" in as_text(contents.cells(side.column)[i] or "").lower()
            for i, s in enumerate(said)
        )
        if side
        else False
    )
    sides = [s for s in said if isinstance(s, Side)]
    if sides and all(s.opens is not None for s in sides):
        return
    names = ", ".join(
        f"{symbol} ({rest.normalize():f})" for symbol, rest in list(tried.oversold.items())[:6]
    )
    if opening_shorts:
        again = simulate.fills(decided, "said")
        if not again.oversold:
            decided.keys["shorts"] = ("said", "only where the side says so")
            return
        names = ", ".join(
            f"{symbol} ({rest.normalize():f})" for symbol, rest in list(again.oversold.items())[:6]
        )
        decided.keys["shorts"] = (
            "said",
            "only where the side says so; other sales of more than is held are left out",
        )
        decided.guessed.append(
            f"More was sold than was held, and not as a short: {names}. The rest is left out, as it"
            " was bought before the file begins."
        )
        return
    if short_word or _derivatives(decided) or _bought_with_profit(decided):
        return
    if (told := _of_one_day(decided, tried)) is not None:
        decided.keys["shorts"] = ("yes", f"{told} says that what was sold first was not held")
        decided.guessed.append(
            f"What was sold first is a short: {told} says that it was bought and sold within a day."
        )
        return
    _ask_shorts(decided, names, turned and not _has_clock(decided))


def _reverses(decided: Decided) -> bool:
    """Whether closes of more than is held are those of what can be sold first, and open the rest:
    then all ends flat."""
    values = decided.sections.get("multipliers", {})
    decided.sections["multipliers"] = {"*": (1, "any, as they are asked for")}
    tried = simulate.fills(decided, "said")
    effect = decided.fields.pop("open_close")
    again = simulate.fills(decided, "yes")
    decided.fields["open_close"] = effect
    decided.sections["multipliers"] = values
    return (
        bool(tried.oversold)
        and all(map(_sold_first, tried.oversold))
        and not (again.oversold or again.open or again.unread)
    )


def _rise(decided: Decided) -> bool:
    """Whether the days of each symbol rise from row to row: then so do fills of one day."""
    symbol = decided.fields.get("symbol")
    found = simulate.moments(decided, "time")
    names = decided.kept.contents.cells(symbol.column) if symbol else [None] * len(found)
    last: dict[object, str] = {}
    steps = 0
    for name, moment in zip(names, found, strict=True):
        if moment is None:
            continue
        before = last.get(name, moment)
        steps += (moment > before) - (moment < before)
        last[name] = moment
    return steps > 0


def _sold_first(symbol: str) -> bool:
    """Whether the instruments can be sold first anyway: options, futures, perpetuals."""
    return bool(
        is_option(symbol)
        or future_of(symbol)
        or may_be_inverse(symbol)
        or _NO_SHORTS_NEEDED.search(symbol)
    )


def _bought_with_profit(decided: Decided) -> bool:
    """Whether the table says of purchases that they have made a profit or a loss: they closed
    shorts."""
    contents = decided.kept.contents
    columns = [
        c for c in contents.columns if known_as(c) in NAMES["pnl_usd"] and contents.is_numeric(c)
    ]
    return any(
        buy and n
        for c in columns
        for buy, n in zip(purchases(decided), contents.numbers(c), strict=True)
    )


def _derivatives(decided: Decided) -> bool:
    """Whether the instruments can be sold first: futures, options, perpetuals, currencies."""
    contents, spec = decided.kept.contents, decided.fields.get("symbol")
    if spec is None:
        return True
    words = contents.words(spec.column)
    contract = any(_OF_CONTRACT.search(known_as(column)) for column in spec.columns[1:])
    if contract or all(_sold_first(word) for word in words):
        return True
    fiat = [pair_of(w) for w in words]
    if (
        fiat
        and all(
            p and len(p[0]) == 3 and len(p[1]) == 3 and p[1] not in ("BTC", "ETH", "BNB")
            for p in fiat
        )
        and not any(p and p[0] in ("BTC", "ETH", "SOL", "XRP") for p in fiat)
    ):
        return True
    return any(
        _NO_SHORTS_NEEDED.search(word)
        for c in contents.columns
        if len(contents.words(c)) <= 4
        for word in contents.words(c)
    )


def _of_one_day(decided: Decided, tried: Tried) -> str | None:
    """The column by which all that was sold first is no part of what is held, but bought back on
    the same day: each day's purchases and sales are alike."""
    contents, fields = decided.kept.contents, decided.fields
    times = simulate.moments(decided, "time")
    quantities = contents.numbers(fields["quantity"].column)
    for column in contents.columns:
        words = {word for word in contents.words(column) if _INTRADAY.fullmatch(word.strip())}
        if not words or len(contents.words(column)) > _MOST_PRODUCTS:
            continue
        rest: dict[tuple[str, str], float] = defaultdict(float)
        others = False
        for i, (cell, time, quantity, buy) in enumerate(
            zip(contents.cells(column), times, quantities, purchases(decided), strict=True)
        ):
            if (name := symbol_of(decided, i)) not in tried.oversold:
                continue
            others = others or cell is None or as_text(cell) not in words
            if time is None or quantity is None or buy is None:
                return None
            rest[name, time[:10]] += abs(quantity) if buy else -abs(quantity)
        if not others and rest and not any(rest.values()):
            return column
    return None


def _has_clock(decided: Decided) -> bool:
    """Whether the fills have times of day."""
    return any(moment and moment[10:] != _MIDNIGHT for moment in simulate.moments(decided, "time"))


def _is_one_day(decided: Decided) -> bool:
    """Whether all fills have the same bare day, which shows no order."""
    moments = {moment for moment in simulate.moments(decided, "time") if moment}
    return len(moments) == 1 and not _has_clock(decided)


def _ask_order(decided: Decided) -> None:
    decided.ask(
        "newest_first",
        "Whether the first row is the first fill: all have the same day without a time, and in one"
        " order each position is a long one, in the other a short one.",
        "true if the last row is the first fill, false if the first row is",
    )


def _ask_shorts(decided: Decided, names: str, turned: bool) -> None:
    other = (
        "; or instead of this newest_first = true, if rows of one day are in reverse order: then"
        " nothing is sold before it was bought"
    )
    decided.ask(
        "shorts",
        f"Whether a sale of more than is held opens a short position: {names}. If not, they were"
        " bought before the file begins.",
        '"yes" if it opens a short, "no" if it was bought before the file begins'
        + (other if turned else ""),
    )
