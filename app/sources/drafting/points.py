"""Closed positions: whether profits are differences of prices, in points, pips or ticks.

May touch: nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from app.sources.drafting.adding_up import Trade, half_unit
from app.sources.pairs import POINT_VALUES, future_of, is_crypto, pair_of

_PIPS, _PIPS_FROM = (10, 100, 1_000, 10_000, 100_000), 100
"""How many pips or fractions of them a point of the price may have, and from which number on it is
rounded."""
_NEARLY_WHOLE = 1e-4
_LEAST_WORTH = 0.99
"""Money per point and unit that profits of pairs in dollars have at least."""


def in_points(trades: list[Trade]) -> bool:
    """Whether the profits are differences of prices, whatever the quantity, or those of futures
    for which a point is worth something else than 1; or the same in pips or ticks."""
    known = [t for t in trades if t.profit is not None and t.quantity]
    if not any(t.profit for t in known):
        return False
    if all(abs((t.profit or 0.0) - t.side * (t.exit - t.entry)) <= 1e-6 * t.entry for t in known):
        return any(abs(t.quantity or 1) != 1 for t in known) or all(
            POINT_VALUES.get(t.name, 1) != 1 for t in known
        )
    by_name: dict[str, list[Trade]] = {}
    for t in known:
        by_name.setdefault(t.name, []).append(t)
    told = [_in_steps(name, own) for name, own in by_name.items()]
    return None not in told and any(told)


def in_points_of_futures(trades: list[Trade], symbols: Iterable[str]) -> bool:
    """Whether the profits are differences of prices times the quantity, and all symbols are those
    of futures for which a point is worth something else than 1."""
    known = [t for t in trades if t.profit and t.quantity]
    roots = [future_of(symbol) for symbol in symbols]
    return (
        bool(known)
        and bool(roots)
        and all(root is not None and POINT_VALUES.get(root, 1) != 1 for root in roots)
        and all(
            abs((t.profit or 0.0) - abs(t.quantity or 0.0) * t.side * (t.exit - t.entry))
            <= 1e-6 * t.entry
            for t in known
        )
    )


def _in_steps(name: str, trades: list[Trade]) -> bool | None:
    """Whether profits are numbers of pips or ticks: those for a point are a power of ten, or a
    fraction of a point that all prices are multiples of.  None if they are not, False if they may
    also be money, as all quantities are equal."""
    moves = [t.side * (t.exit - t.entry) for t in trades]
    shares = [t.profit / move for t, move in zip(trades, moves, strict=True) if t.profit and move]
    if not shares:
        return False
    middle = statistics.median(shares)
    if middle < 2:
        return None
    rate = float(f"{middle:.3g}") if middle >= _PIPS_FROM else round(middle)
    off = 1.2 * half_unit([t.profit for t in trades])
    steps = [price * rate for t in trades for price in (t.entry, t.exit)]
    rows = [(t.profit or 0.0, move) for t, move in zip(trades, moves, strict=True)]
    if any(abs(profit - rate * move) > off for profit, move in rows) or (
        rate not in _PIPS and any(abs(n - round(n)) > _NEARLY_WHOLE for n in steps)
    ):
        return None
    if len({*rows}) < 2:
        return False
    if len({abs(t.quantity or 0.0) for t in trades}) > 1:
        return True
    worth = rate / abs(trades[0].quantity or 1.0)
    if name in POINT_VALUES:
        return abs(trades[0].quantity or 0) == 1 and worth != POINT_VALUES[name] and rate < _PIPS[0]
    pair = pair_of(name)
    dollars = pair is not None and pair[1] == "USD" and not is_crypto(name)
    return dollars and worth < _LEAST_WORTH
