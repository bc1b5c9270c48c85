"""Which reading of closed positions makes the rows add up: contract values, profits before or after
fees, percent.

May touch: nothing.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

NICE = (
    1,
    2,
    5,
    10,
    20,
    25,
    50,
    100,
    125,
    200,
    250,
    500,
    1000,
    5000,
    10000,
    100000,
    0.5,
    0.2,
    0.1,
    0.05,
    0.01,
    0.001,
    0.0001,
    42000,
    12500,
    62500,
    125000,
    250000,
)
_SAME = 1e-9
MOST = 0.8
"""Share of rows that a reading has to explain to be taken."""
CENT = 0.011
"""Largest error of amounts that are rounded to cents."""


@dataclass
class Trade:
    """A row of a table of positions as numbers: `fees` are as they stand there, `name` is what
    contract values are told apart by."""

    name: str
    side: int
    entry: float
    exit: float
    quantity: float | None
    profit: float | None
    fees: float
    ret: float | None
    line: int = 0


@dataclass
class Reading:
    """What makes the rows add up: `profit` gross or net (None: not told), the sign of fees,
    contract values by name (`alone`: those of one row, which may be in another currency), whether
    returns are percent (None: not told), on a margin or on
    something else, the sides exchanged, the share of rows that add up exactly and how many they
    are, and the lines of those that do not."""

    profit: str | None = None
    fee_scale: int = 1
    values: dict[str, float] = field(default_factory=dict)
    percent: bool | None = None
    leverage: bool = False
    of_another: bool = False
    exchanged: bool = False
    inverse: bool = False
    alone: dict[str, float] = field(default_factory=dict)
    exact: float = 0.0
    n_exact: int = 0
    n_compared: int = 0
    n_against: int = 0
    off: list[int] = field(default_factory=list)


def nice(value: float) -> float | None:
    """The usual contract value next to `value`, None where there is none within a hundredth.

    >>> nice(49.98), nice(632.06), nice(1.0001), nice(0.498), nice(60_989.3)
    (50, None, 1, 0.5, None)
    """
    near = min(NICE, key=lambda n: abs(n - value) / n)
    if abs(near - value) / near <= 0.01:
        return near
    whole = round(value)
    near_whole = abs(whole - value) <= min(0.00002 * whole, 0.01)  # Large numbers all are near one.
    return whole if 1 <= whole <= 200_000 and near_whole else None


def half_unit(numbers: Sequence[float | None]) -> float:
    """Half of the last digit that the numbers have, so far they can be off by rounding; at most
    half of a hundredth.

    >>> half_unit([12.5, 3.25, None]), half_unit([0.02272727]), half_unit([100.0])
    (0.005, 5e-09, 0.005)
    """
    digits = [len(f"{n:.8f}".rstrip("0").partition(".")[2]) for n in numbers if n is not None]
    return 0.5 * 10.0 ** -max(2, *digits, 0)


def off_by(told_apart: Sequence[float | None], *others: Sequence[float | None]) -> float:
    """By how much sums may be off: a cent where amounts have no more digits, else less than would
    hide the amounts that have to be told apart.

    >>> off_by([0.62, 1.24]), round(off_by([0.0001, 0.00012], [0.00158]), 8)
    (0.011, 2.2e-05)
    """
    sizes = [abs(n) for n in told_apart if n]
    if not sizes:
        return CENT
    rounding = 4.4 * max(map(half_unit, (told_apart, *others)))
    return min(CENT, max(rounding, 0.2 * statistics.median(sizes)))


def read_positions(trades: Sequence[Trade]) -> Reading:
    """The reading of closed positions that explains most rows."""
    found = Reading()
    priced = [t for t in trades if t.profit is not None and t.entry > 0 and t.exit > 0]
    least = off_by([t.profit for t in priced])
    moved = [
        t for t in priced if t.exit != t.entry and abs(t.profit or 0) > abs(t.fees) * 1.05 + least
    ]
    against = [t for t in moved if ((t.profit or 0) > 0) != (t.side * (t.exit - t.entry) > 0)]
    found.n_compared, found.n_against = len(moved), len(against)
    if moved and len(against) > MOST * len(moved):
        found.exchanged = True
        trades = [
            Trade(t.name, -t.side, t.entry, t.exit, t.quantity, t.profit, t.fees, t.ret, t.line)
            for t in trades
        ]
        priced = [t for t in trades if t.profit is not None and t.entry > 0 and t.exit > 0]
        found.n_against = len(moved) - len(against)
    _read_profit(priced, found)
    _read_return(trades, found)
    return found


def _gain(trade: Trade, inverse: bool) -> float:
    """Profit per contract value and unit of quantity, by the prices."""
    size = abs(trade.quantity or 0)
    if inverse:
        return trade.side * (1 / trade.entry - 1 / trade.exit) * size
    return trade.side * (trade.exit - trade.entry) * size


def _read_profit(trades: Sequence[Trade], found: Reading) -> None:
    sized = [t for t in trades if t.quantity]
    if not sized:
        return
    has_fees = any(t.fees for t in sized)
    signs = (
        (1, -1)
        if sum(t.fees < 0 for t in sized) > len(sized) / 2 or any(t.fees < 0 for t in sized)
        else (1,)
    )
    best: _Explained | None = None
    hypotheses = [("gross", 1)]
    if has_fees:
        hypotheses = [(kind, sign) for kind in ("gross", "net") for sign in signs]
    for inverse in (False, True):
        for kind, sign in hypotheses:
            tried = _explained(sized, kind, sign, inverse)
            if best is None or tried.is_better(best):
                best = tried
                found.inverse, found.exact, found.n_exact = inverse, tried.exact, tried.n_exact
                found.alone = tried.alone
                found.values, found.off = tried.values, [sized[i].line for i in tried.off]
                found.profit, found.fee_scale = kind if has_fees else None, sign
        if best and best.exact >= MOST:
            break
    if found.inverse and _are_exit_prices(sized, found.values):
        found.exact = 0.0
    if found.exact < MOST:
        found.inverse = False
        found.values = {}
        found.profit = None
        found.fee_scale = (
            -1
            if has_fees and sum(t.fees < 0 for t in sized) > sum(t.fees > 0 for t in sized)
            else 1
        )
        _read_about(sized, found)
    elif has_fees and found.profit is not None:
        found.fee_scale = (
            -1 if sum(t.fees < 0 for t in sized) > sum(t.fees > 0 for t in sized) else 1
        )


def _are_exit_prices(trades: Sequence[Trade], values: dict[str, float]) -> bool:
    """Whether contract values with which profits are those of inverse contracts are but the prices
    of the exits: then quantities are amounts of money at the entry, and profits are in money."""
    own = [(values[trade.name], trade.exit) for trade in trades if trade.name in values]
    return bool(own) and all(abs(value / price - 1) < _SAME for value, price in own)


class _Explained(NamedTuple):
    """What a reading of profits explains: contract values by name, the share of rows that are exact
    and how many they are, the others' indices, the share of values that are usual ones, and by how
    much exact rows are off in total."""

    values: dict[str, float]
    exact: float
    n_exact: int
    off: list[int]
    usual: float
    rest: float
    alone: dict[str, float]

    def is_better(self, other: _Explained) -> bool:
        """Whether it explains more rows, or the same with more usual values, or much more
        closely."""
        if abs(self.exact - other.exact) > _SAME:
            return self.exact > other.exact
        if abs(self.usual - other.usual) > _SAME:
            return self.usual > other.usual
        return self.rest < other.rest / 2 - _SAME


def _explained(trades: Sequence[Trade], kind: str, sign: int, inverse: bool) -> _Explained:
    """What contract values explain to the cent, if profits are before or after fees."""
    by_name: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
    for i, trade in enumerate(trades):
        before = (trade.profit or 0) + (sign * trade.fees if kind == "net" else 0)
        by_name[trade.name].append((i, before, _gain(trade, inverse)))
    values: dict[str, float] = {}
    values_alone: dict[str, float] = {}
    good, alone, off, rest, with_fees = 0, 0, [], 0.0, 0
    rounding = half_unit([trade.profit for trade in trades])
    has_fees = any(trade.fees for trade in trades)
    for name, rows in by_name.items():
        ratios = [before / gain for _, before, gain in rows if gain and before]
        if not ratios:
            good += sum(abs(before) <= 0.011 for _, before, _ in rows)
            continue
        middle = statistics.median(ratios)
        # Equal rows say the same once.
        n_told = len({(before, gain) for _, before, gain in rows if gain and before})
        value = nice(middle) or (float(f"{middle:.6g}") if n_told >= 2 else None)
        if n_told == 1 and has_fees and value not in NICE:
            value = None  # Any profit is a whole number of something.
        if value is None or value <= 0:
            if n_told == 1 and middle > 0:
                # One row alone: its profit may be in another currency than its price.
                alone += len(rows)
                values_alone[name] = middle
            else:
                off += [i for i, _, _ in rows]
            continue
        explained = 0
        for i, before, gain in rows:
            if abs(before - value * gain) <= max(3 * rounding, abs(before) * 0.002):
                explained += 1
                rest += abs(before - value * gain)
                # One row may decide for all, so to the cent, and by a fee that was paid.
                paid = kind == "gross" or sign * trades[i].fees > 0
                is_exact = abs(before - value * gain) <= 3 * rounding
                with_fees += bool(trades[i].fees) and paid and is_exact
            else:
                off.append(i)
        good += explained
        if explained * 2 >= len(rows):
            values[name] = value
    usual = sum(value in NICE for value in values.values()) / max(1, len(values))
    # Of many symbols with one row each, those in another currency tell nothing.
    telling = alone * 2 < len(trades) or (with_fees > 0 and not off and usual == 1)
    share = good / max(1, len(trades) - (alone if telling else 0))
    return _Explained(values, share, good, off, usual, rest, values_alone)


def _read_about(trades: Sequence[Trade], found: Reading) -> None:
    """Profits that agree with the prices but for fees that no column has: the contract value by the
    largest moves."""
    weight = sum(_gain(t, False) * _gain(t, False) for t in trades)
    slope = sum((t.profit or 0) * _gain(t, False) for t in trades) / weight if weight else 0.0
    less = [
        t
        for t in trades
        if -1e-6
        <= _gain(t, False) - (t.profit or 0)
        <= 0.005 * abs(t.quantity or 0) * max(t.entry, t.exit) + 0.02
    ]
    if 0.9 <= slope <= 1.1 and len(less) >= 0.9 * len(trades):
        found.values = {"*": 1}
        found.profit = None if any(t.fees for t in trades) else "net"
        return
    by_name: dict[str, list[Trade]] = defaultdict(list)
    for trade in trades:
        by_name[trade.name].append(trade)
    near, values = 0, {}
    for name, own in by_name.items():
        weight = sum(_gain(t, False) * _gain(t, False) for t in own)
        if not weight:
            continue
        middle = sum((t.profit or 0) * _gain(t, False) for t in own) / weight
        value = min(NICE, key=lambda n: abs(n - middle) / n)
        if abs(value - middle) > 0.25 * value:
            continue
        close = [
            t
            for t in own
            if abs((t.profit or 0) - value * _gain(t, False))
            <= 0.005 * abs(t.quantity or 0) * max(t.entry, t.exit) * value
            + abs(t.fees) * 1.1
            + 0.02
        ]
        near += len(close)
        if len(close) * 2 >= len(own):
            values[name] = value
    if near >= MOST * len(trades):
        found.values = values
        n_less = sum(
            (t.profit or 0) < values.get(t.name, 1) * _gain(t, False) - 1e-9
            for t in trades
            if t.name in values
        )
        if not any(t.fees for t in trades) and n_less >= MOST * near:
            found.profit = "net"


def _read_return(trades: Sequence[Trade], found: Reading) -> None:
    """Whether returns are percent, from the prices."""
    ratios = []
    for t in trades:
        if t.ret is None or t.entry <= 0 or t.exit <= 0 or t.exit == t.entry:
            continue
        by_prices = t.side * (t.exit - t.entry) / t.entry
        if abs(by_prices) > 0.001:
            ratios.append(t.ret / by_prices)
    if not ratios:
        return
    middle = statistics.median(ratios)
    if 0.5 <= middle <= 1.5:
        found.percent = False
    elif 50 <= middle <= 150:
        found.percent = True
    elif middle > 150:
        found.percent, found.leverage = True, True
    elif 1.5 < middle < 50:
        found.leverage = True
    else:
        found.of_another = True
