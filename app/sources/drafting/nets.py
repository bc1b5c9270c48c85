"""Whether closed trades are possible at all: profits beside prices, prices of one symbol beside
each other, times beside clocks.

May touch: nothing.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from app.sources.books import SPLITS
from app.sources.cells import as_text
from app.sources.drafting.adding_up import MOST
from app.sources.drafting.compared import (
    EXACT,
    FAR,
    FEWEST,
    NEAR_TIMES,
    Compared,
    Contradiction,
    near,
)
from app.sources.making import US_DOLLARS
from app.sources.pairs import is_option, pair_of
from app.sources.sides import Event, read_side

_UNITS = (100.0, 1_000.0, 10_000.0)
"""By which factors prices differ that are in other units, or whose mark of thousands was read as
that of decimals."""
_OF_UNIT, _APART, _TOGETHER = 0.25, 20.0, 3.0
"""By what share such factors are off, as prices change, by which factor neighbours among the prices
of a symbol are apart at least, and by which those of one unit differ at most."""
_MOVED = 0.0005
"""Change of price, as a share, below which a profit says little about it."""
_MOVED_FAR = 0.002
"""Change of price, as a share, above which fees that no column has hardly matter."""
_PERCENT = 0.25
"""By what share a return in percent may differ from a hundred times that of the prices."""


def by_returns(compared: Compared) -> Iterator[Contradiction]:
    """Positions whose profit has another sign than their return."""
    rows = [
        (i, (own.earned > 0) != (own.ret > 0))
        for i, own in enumerate(compared.found)
        if own.earned and own.ret
    ]
    against = [i for i, other in rows if other]
    if len(against) > 1 and len(against) >= MOST * len(rows):
        yield Contradiction(
            "Whether profits and returns are read rightly: they have different signs in"
            f" {len(against):,} of {len(rows):,} rows.",
            tuple(against),
        )


def by_prices(compared: Compared) -> Iterator[Contradiction]:
    """Positions whose profit, or whose return, is not what their prices allow."""
    if compared.kind != "positions" or not {"entry_price", "exit_price"} <= compared.fields:
        return
    told: list[tuple[int, float]] = []
    returns: list[tuple[int, float]] = []
    for i, own in enumerate(compared.found):
        if not (own.side and own.entry and own.exit) or own.entry <= 0:
            continue
        move = own.side * (own.exit - own.entry)
        if abs(move) < _MOVED * own.entry:
            continue
        pair = pair_of(own.symbol)
        if own.value and own.quantity and own.earned and not (pair and pair[1] not in US_DOLLARS):
            told.append((i, (own.earned + own.fee) / (move * own.quantity * own.value)))
        if own.ret:
            returns.append((i, own.ret / (move / own.entry)))
    off = [i for i, ratio in told if not 1 / FAR < ratio < FAR]
    if not off:  # The value of another contract: the same small multiple in all rows?
        off = next(
            (
                [i for i, _ in told]
                for times in NEAR_TIMES
                if len(told) >= FEWEST and all(near(ratio, times, EXACT) for _, ratio in told)
            ),
            off,
        )
    if "pnl_usd" in compared.fields and len(off) > 1 and len(off) >= MOST * len(told):
        middle = statistics.median(ratio for _, ratio in told)
        yield Contradiction(
            "Whether quantities and what a point is worth ([multipliers]) are read rightly: the"
            f" profits are {middle:.4g} times what prices, quantities and that value make.",
            tuple(off),
        )
    if "roi" not in compared.fields or len(returns) < 2:
        return
    middle = statistics.median(ratio for _, ratio in returns)
    alike = [i for i, ratio in returns if near(ratio, middle, _PERCENT)]
    if len(alike) < MOST * len(returns):
        return
    if any(near(abs(middle), factor, _PERCENT) for factor in (100.0, 0.01)) or middle < 0:
        yield Contradiction(
            "Whether returns are read rightly, as percent or as fractions, and the sides and prices"
            f" too: the returns are {middle:.4g} times those of the prices.",
            tuple(alike),
        )


def by_symbol(compared: Compared) -> Iterator[Contradiction]:
    """Positions whose profits are no multiple of what prices and quantities make: of most rows they
    are far from that of their symbol, whatever a point is worth."""
    if compared.kind != "positions" or "pnl_usd" not in compared.fields:
        return
    symbols: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for i, own in enumerate(compared.found):
        if own.side and own.entry and own.exit and own.quantity and own.earned:
            move = own.side * (own.exit - own.entry)
            if abs(move) > _MOVED_FAR * abs(own.entry):
                symbols[own.symbol].append((i, (own.earned + own.fee) / (move * own.quantity)))
    rows = off = 0
    places: list[int] = []
    for found in symbols.values():
        if len(found) < FEWEST:
            continue
        middle = statistics.median(ratio for _, ratio in found)
        far = [i for i, r in found if not (middle and 1 / FAR < r / middle < FAR)]
        rows, off = rows + len(found), off + len(far)
        places += far
    if off * 2 > rows:
        yield Contradiction(
            "Whether entries, exits and quantities are those of the profits: in"
            f" {off:,} of {rows:,} rows, profits are far from any one multiple of what prices and"
            " quantities make.",
            tuple(sorted(places)),
        )


def _split_symbols(compared: Compared) -> set[str]:
    """What was traded, of the rows that say that it was split."""
    contents = compared.contents
    found: set[str] = set()
    for column in contents.columns:
        if contents.is_numeric(column) or contents.time(column) is not None:
            continue
        words = {
            word
            for word in contents.words(column)
            if isinstance(said := read_side(word), Event) and said.kind in SPLITS
        }
        if words:
            cells = zip(contents.cells(column), compared.found, strict=True)
            found |= {own.symbol for cell, own in cells if cell and as_text(cell) in words}
    return found


def by_units_of_prices(compared: Compared) -> Iterator[Contradiction]:
    """Symbols with prices that differ by a hundred or a thousand, and no prices between; a split
    explains that."""
    prices: dict[str, list[tuple[float, int]]] = defaultdict(list)
    split = _split_symbols(compared)
    for i, own in enumerate(compared.found):
        if own.symbol and own.symbol not in split and not is_option(own.symbol):
            prices[own.symbol] += [(p, i) for p in (own.entry, own.exit) if p is not None and p > 0]
    for symbol, found in prices.items():
        found.sort()
        gaps = [
            at + 1
            for at, ((low, _), (high, _)) in enumerate(pairwise(found))
            if high > _APART * low
        ]
        if len(gaps) != 1:
            continue
        low, high = found[: gaps[0]], found[gaps[0] :]
        middles = [statistics.median(price for price, _ in part) for part in (low, high)]
        if any(part[-1][0] > _TOGETHER * part[0][0] for part in (low, high)):
            continue
        factor = middles[1] / middles[0]
        if any(near(factor, unit, _OF_UNIT) for unit in _UNITS):
            few = low if len(low) < len(high) else high
            yield Contradiction(
                f"Whether all prices of {symbol} are in one unit: some are near {middles[0]:.6g},"
                f" others near {middles[1]:.6g}, as if cents stood beside dollars, or a mark of"
                " thousands had been read as that of decimals.",
                tuple(sorted({i for _, i in few})),
            )


def by_clock(compared: Compared) -> Iterator[Contradiction]:
    """Times that are bare days, where another column has times of day."""
    contents = compared.contents
    times = [
        column
        for column in contents.columns
        if column in compared.read and contents.time(column) is not None
    ]
    if not times or any(
        column in compared.read
        and (contents.is_clock(column) or ((r := contents.time(column)) and r.has_clock))
        for column in contents.columns
    ):
        return
    for column in compared.unread:
        reading = contents.time(column)
        if len(contents.values(column)) == contents.n_rows and (
            contents.is_clock(column) or (reading is not None and reading.has_clock)
        ):
            yield Contradiction(
                f"Whether {column} has the times of the trades: {' and '.join(times)} has bare"
                " days."
            )
