"""Closed positions: profits that were converted into another currency than that of the prices.

May touch: nothing.
"""

from __future__ import annotations

import statistics

from app.sources.drafting.adding_up import nice
from app.sources.drafting.decided import Decided
from app.sources.drafting.dollars import ASSUMED
from app.sources.drafting.position_trades import trades_of

_FEWEST = 3
_MOST_RATE, _LEAST_OFF = 5, 0.04
"""What a rate of exchange is at most (or one over it), to be told from contract values, and by how
much it differs from 1 to be told from fees."""
_DAILY, _SAME = 0.03, 0.0005
"""By which share rates of several days differ at most, and contract values."""


def ask_conversion(decided: Decided) -> None:
    """Ask for the currency, if it was assumed to be the dollar, and gains and losses alike are
    nearly the same share of what prices and quantities make: a rate of exchange, as it changes from
    day to day."""
    if ASSUMED not in decided.left or "pnl_usd" not in decided.fields:
        return
    rates = []
    for trade in trades_of(decided):
        made = trade.side * (trade.exit - trade.entry) * abs(trade.quantity or 0.0)
        if trade.profit and made:
            rates.append((trade.profit / made, trade.profit > 0))
    if len(rates) < _FEWEST or len({gain for _, gain in rates}) == 1:
        return
    middle = statistics.median(rate for rate, _ in rates)
    if not 1 / _MOST_RATE < middle < _MOST_RATE or abs(middle - 1) < _LEAST_OFF or nice(middle):
        return
    apart = max(abs(rate / middle - 1) for rate, _ in rates)
    if _SAME < apart <= _DAILY:
        decided.left.remove(ASSUMED)
        decided.ask(
            "currency",
            f"The currency of the profits: {decided.fields['pnl_usd'].column} is about {middle:.3g}"
            " times what prices and quantities make, as if it had been converted.",
            'such as "EUR"; pnl_usd is for dollars only',
        )
