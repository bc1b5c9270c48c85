"""Fills: whether the rows of splits have the number of added units, or the units for each one
before.

May touch: nothing.
"""

from __future__ import annotations

import math
from itertools import accumulate

from app.sources.cells import as_text
from app.sources.drafting import simulate
from app.sources.drafting.decided import Decided
from app.sources.drafting.fill_rows import purchases, symbol_of
from app.sources.sides import Event, read_side

_NOTHING = 1e-9
_KINDS = ("split", "reverse")


def settle_splits(decided: Decided) -> None:
    """Name splits in the mapping where their quantity is a factor: only then does it agree with the
    fills before and after."""
    contents, fields = decided.kept.contents, decided.fields
    side = fields.get("side")
    if side is None or not {"time", "quantity", "price", "symbol"} <= fields.keys():
        return
    words = [
        word
        for word in contents.words(side.column)
        if isinstance(event := read_side(word), Event) and event.kind in _KINDS
    ]
    if not words:
        return
    quantities = contents.numbers(fields["quantity"].column)
    cells = contents.cells(side.column)
    times = simulate.moments(decided, "time")
    splits: dict[str, list[str]] = {}
    for i, cell in enumerate(cells):
        if cell is None or as_text(cell) not in words:
            continue
        symbol, factor, when = symbol_of(decided, i), quantities[i], times[i]
        if not factor or factor < 0 or not when or not _is_factor(decided, i, factor, times):
            return
        splits.setdefault(symbol, []).append(f"{when[:10]} {factor:g}")
    told = decided.sections.setdefault("splits", {})
    told.update({symbol: (days, "") for symbol, days in splits.items()})
    decided.kept.drop(side.column, words, "splits, which are named in [splits]")
    decided.guessed.append(
        f"The quantities of {', '.join(words)} are units for each one before, by the fills:"
        f" {'; '.join(f'{symbol} {joined}' for symbol, days in splits.items() for joined in days)}."
    )


def _is_factor(decided: Decided, i: int, factor: float, times: list[str | None]) -> bool:
    """Whether only the factor explains the later rows: no more is sold than is held, or the price
    falls by the factor."""
    contents, fields = decided.kept.contents, decided.fields
    symbol, when = symbol_of(decided, i), times[i] or ""
    prices = contents.numbers(fields["price"].column)
    quantities = contents.numbers(fields["quantity"].column)
    fills = sorted(
        (time, price, (1 if buy else -1) * abs(quantity))
        for j, (time, price, quantity, buy) in enumerate(
            zip(times, prices, quantities, purchases(decided), strict=True)
        )
        if time and price and quantity and buy is not None and symbol_of(decided, j) == symbol
    )
    before = [fill for fill in fills if fill[0] < when]
    after = [fill for fill in fills if fill[0] >= when]
    held = sum(quantity for _, _, quantity in before)
    if not before or not after or held <= 0:
        return False
    oversold = [
        min(accumulate((quantity for _, _, quantity in after), initial=start)) < -_NOTHING
        for start in (held * factor, held + factor)
    ]
    if oversold[0] != oversold[1]:
        return oversold[1]
    fell = before[-1][1] / after[0][1]
    added = (held + factor) / held
    return abs(math.log(fell / factor)) < abs(math.log(fell / added))
