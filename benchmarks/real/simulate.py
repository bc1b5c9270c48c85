"""Simulate a rule on a panel: fills, costs, stops, adds, trims, and each trade's path to its
result.

May touch: nothing but its arguments.

A decision is made at a close from what is known then, and filled at the next close.  There is one
decision per bar and trade: exit (stop, rule, time), else trim, else add.  The entry takes the part
`ENTRY` of a full position, each add `ADD`; a short gains the fraction of its entry price that the
price falls.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.real.prices import Panel
from benchmarks.real.rules import Rule, known

ENTRY, ADD, TRIM = 0.5, 0.25, 1.0 / 3.0
STALE = 1e-5
"""There is no entry below this standard deviation of a bar, at which the quotes do not move."""


class Action(NamedTuple):
    """A decision at bar t: its name, its category, and its size (a fraction of a full position for
    buys, of the position held for sales)."""

    t: int
    motif: str
    category: str
    size: float


@dataclass
class Trade:
    """A closed position.  Its results are fractions of all the money put in; `sd` is the standard
    deviation of a bar at the entry."""

    rule: Rule
    asset: int
    side: int
    sd: float
    actions: list[Action] = field(default_factory=list)
    entered: int = 0
    left: int = 0
    roi: float = 0.0
    max_drawdown: float = 0.0
    max_gain: float = 0.0
    payback: int | None = None
    """The first bar in profit."""


def simulate(panel: Panel, rule: Rule, cost: float) -> Iterator[Trade]:
    """The closed trades of a rule by asset and entry; `cost` is a fraction of the traded amount,
    per side."""
    signals, sd = rule.signals(panel), known(panel)
    for asset in range(len(panel.assets)):
        prices, leave = panel.close[:, asset].tolist(), signals.leave[:, asset].tolist()
        busy = -1
        for t in signals.entry[:, asset].nonzero()[0].tolist():
            if not sd[t, asset] >= STALE or (t <= busy and not rule.overlapping):
                continue
            trade = Trade(rule, asset, int(signals.entry[t, asset]), float(sd[t, asset]))
            if not _run(trade, t, prices, leave, cost):
                busy = len(prices)
                continue
            busy = trade.left
            yield trade


def _run(trade: Trade, start: int, prices: list[float], leave: list[int], cost: float) -> bool:
    """Carry the trade to its end; False if the prices end first."""
    rule, side = trade.rule, trade.side
    trade.actions.append(Action(start, "entry", "entry", ENTRY))
    pending: Action | None = trade.actions[0]
    held = paid = put = cash = peak = worst = last = 0.0
    buys, level = 0, rule.target
    for t in range(start + 1, len(prices)):
        price = prices[t]
        if pending is not None:
            if pending.category in ("entry", "add"):
                held += pending.size / price
                paid += pending.size
                put += pending.size
                cash -= pending.size * cost
                last, buys = price, buys + 1
            else:
                sold = held * pending.size
                cash += side * (sold * price - paid * pending.size) - sold * price * cost
                held -= sold
                paid -= paid * pending.size
        closed = pending is not None and pending.category == "exit"
        profit = cash if closed else cash + side * (held * price - paid)
        peak = max(peak, profit)
        worst = max(worst, peak - profit)
        if trade.payback is None and profit > 0:
            trade.payback = t
        if closed:
            trade.entered, trade.left = start + 1, t
            trade.roi, trade.max_drawdown, trade.max_gain = profit / put, worst / put, peak / put
            return True
        gain = side * (price * held / paid - 1.0) / trade.sd
        since = side * (price / last - 1.0) / trade.sd
        pending = None
        if gain <= -rule.stop:
            pending = Action(t, "stop", "exit", 1.0)
        elif leave[t] in (side, 2):
            pending = Action(t, "rule", "exit", 1.0)
        elif t - start >= rule.most:
            pending = Action(t, "time", "exit", 1.0)
        elif level and gain >= level:
            pending, level = Action(t, "take_profit", "trim", TRIM), 2.0 * level
        elif buys <= rule.adds and (since >= rule.add if rule.add > 0 else since <= rule.add):
            pending = Action(t, "pyramid" if rule.add > 0 else "scale_in", "add", ADD)
        if pending is not None:
            trade.actions.append(pending)
    return False
