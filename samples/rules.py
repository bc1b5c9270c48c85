"""The trading rules: when each one enters, adds and exits, with the publication it follows.

May touch: samples.market.

All are long only and decide on closes, since the source has nothing else: where a publication uses
the day's high and low, the closes stand in for them.  Signals are arrays of booleans over the days.
`fast` and `slow` are the two parameterisations of each rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from samples.market import (
    Bools,
    Ints,
    above_average,
    growth,
    highest,
    known,
    lowest,
    rsi,
    volatility,
    window_sum,
)


@dataclass(frozen=True)
class Signals:
    """What a rule says about one stock on each day."""

    entry: Bools
    exit: Bools
    add: Bools


@dataclass(frozen=True)
class Rule:
    """A rule with its parameters.  Distances are in daily standard deviations (20 days, taken at
    entry) of the stock."""

    curator: str
    family: str
    a_mode: str
    signals: Callable[[Ints, tuple[str, ...]], Signals]
    sizes: tuple[float, ...]
    """Size of the entry and of each add, as fractions of a full position; the last one is repeated
    up to `max_buys`."""
    max_buys: int
    add_step: float
    """How far above (negative: below) the last buy the close must be for an add."""
    add_wait_days: int
    stop: float
    max_days: int
    """Trading days after which the position is closed in any case."""
    overlapping: bool = False
    """Whether a new trade may open while an earlier one of the same rule and stock is open."""


def donchian(entry_days: int, exit_days: int) -> Callable[[Ints, tuple[str, ...]], Signals]:
    """Channel breakout (Donchian 1960; with the Turtles' numbers and their adds every half N, Faith
    2003): buy the highest close of 20 (55) days, leave at the lowest of 10 (20)."""

    def signals(close: Ints, days: tuple[str, ...]) -> Signals:
        return Signals(
            highest(close, entry_days), lowest(close, exit_days), np.ones(len(close), dtype=bool)
        )

    return signals


def squeeze(lookback: int) -> Callable[[Ints, tuple[str, ...]], Signals]:
    """Volatility contraction breakout (Bollinger 2001, "The Squeeze"): the 20-day volatility was
    the lowest of `lookback` days within the last five, and the close is above the upper band (mean
    + 2 standard deviations of the closes).  Leave below the 20-day mean."""

    def signals(close: Ints, days: tuple[str, ...]) -> Signals:
        sd = volatility(close, 20)
        calm = known(len(close), 20 + lookback)
        for lag in range(1, lookback):
            calm[lag:] &= sd[lag:] <= sd[:-lag]
        lately = calm.copy()
        for lag in range(1, 6):
            lately[lag:] |= calm[:-lag]
        total, squares = window_sum(close, 20), window_sum(close * close, 20)
        over = close * 20 - total
        broken = (over > 0) & (over * over > 4 * (20 * squares - total * total))
        below = known(len(close), 20) & ~above_average(close, 20)
        return Signals(lately & broken, below, highest(close, 10))

    return signals


def oversold(
    rsi_days: int, below: float, exit_above: float
) -> Callable[[Ints, tuple[str, ...]], Signals]:
    """Oversold bounce (Connors & Alvarez 2009): above the 200-day mean, buy an RSI(2) under 10
    (RSI(4) under 25), scale in 10/20/30/40 % on lower closes (their "TPS"), leave when the RSI is
    back above 70 (55)."""

    def signals(close: Ints, days: tuple[str, ...]) -> Signals:
        index = rsi(close, rsi_days)
        low = np.nan_to_num(index, nan=50.0) < below
        return Signals(
            low & above_average(close, 200), np.nan_to_num(index, nan=50.0) > exit_above, low
        )

    return signals


def pullback(average_days: int, trend_days: int) -> Callable[[Ints, tuple[str, ...]], Signals]:
    """Pull-back to a moving average (Connors & Raschke 1995, "Holy Grail", without its ADX): in an
    up-trend (average above the longer one) the close was under the average for up to five days and
    is above it again.  Leave three closes under it."""

    def signals(close: Ints, days: tuple[str, ...]) -> Signals:
        size = len(close)
        up = known(size, trend_days) & (
            window_sum(close, average_days) * trend_days
            > window_sum(close, trend_days) * average_days
        )
        above = above_average(close, average_days)
        under = known(size, average_days) & ~above
        entry, left = up & above, under.copy()
        entry[1:] &= under[:-1]
        entry[:1] = False
        recently = np.zeros(size, dtype=bool)
        for lag in range(2, 7):
            recently[lag:] |= above[:-lag]
        for lag in (1, 2):
            left[lag:] &= under[:-lag]
        return Signals(entry & recently, left, highest(close, 10))

    return signals


def average_cross(short: int, long: int) -> Callable[[Ints, tuple[str, ...]], Signals]:
    """Moving-average cross with a band of 1 % (Brock, Lakonishok & LeBaron 1992): buy when the
    short average rises above the long one by the band, leave when it is below; add at new 20-day
    highs, for as long as it lasts."""

    def signals(close: Ints, days: tuple[str, ...]) -> Signals:
        ready = known(len(close), long)
        a, b = window_sum(close, short) * long, window_sum(close, long) * short
        over = ready & (a * 100 > b * 101)
        entry = over.copy()
        entry[1:] &= ~over[:-1]
        entry[:1] = False
        entry[long - 1] = False
        return Signals(entry, ready & (a < b), highest(close, 20))

    return signals


def momentum(lookback: int, months: tuple[int, ...]) -> Callable[[Ints, tuple[str, ...]], Signals]:
    """Time-series momentum (Moskowitz, Ooi & Pedersen 2012) in overlapping tranches (Jegadeesh &
    Titman 1993): on the first day of each of the `months`, open a tranche if the price has risen
    over the look-back; leave on the first day of a month when it has not."""

    def signals(close: Ints, days: tuple[str, ...]) -> Signals:
        first = np.array([t > 0 and days[t][:7] != days[t - 1][:7] for t in range(len(days))])
        chosen = np.array([int(day[5:7]) in months for day in days])
        past = growth(close, lookback)
        return Signals(first & chosen & (past > 0), first & (past <= 0), highest(close, 20))

    return signals


_MONTHLY, _QUARTERLY = tuple(range(1, 13)), (1, 4, 7, 10)
_TPS = (0.1, 0.2, 0.3, 0.4)

RULES = (
    Rule("donchian", "breakout", "fast", donchian(20, 10), (0.25,), 4, 0.7, 1, 3.0, 250),
    Rule("donchian", "breakout", "slow", donchian(55, 20), (0.25,), 4, 0.7, 1, 4.0, 500),
    Rule("squeeze", "breakout", "fast", squeeze(40), (0.5, 0.25), 3, 1.0, 3, 3.0, 60),
    Rule("squeeze", "breakout", "slow", squeeze(125), (0.5, 0.25), 3, 1.5, 3, 4.0, 120),
    Rule("oversold", "dip", "fast", oversold(2, 10.0, 70.0), _TPS, 4, -0.5, 1, 6.0, 20),
    Rule("oversold", "dip", "slow", oversold(4, 25.0, 55.0), _TPS, 4, -0.5, 1, 6.0, 20),
    Rule("pullback", "dip", "fast", pullback(20, 50), (0.5, 0.25), 3, 2.0, 3, 3.0, 40),
    Rule("pullback", "dip", "slow", pullback(50, 200), (0.5, 0.25), 3, 3.0, 5, 4.0, 80),
    Rule("average_cross", "trend", "fast", average_cross(1, 50), (0.2, 0.05), 60, 0.5, 5, 5.0, 750),
    Rule(
        "average_cross", "trend", "slow", average_cross(5, 150), (0.2, 0.05), 60, 1.0, 5, 7.0, 1000
    ),
    Rule(
        "momentum",
        "trend",
        "fast",
        momentum(63, _MONTHLY),
        (0.2, 0.1),
        8,
        2.0,
        10,
        6.0,
        63,
        overlapping=True,
    ),
    Rule(
        "momentum",
        "trend",
        "slow",
        momentum(252, _QUARTERLY),
        (0.2, 0.1),
        12,
        3.0,
        10,
        8.0,
        189,
        overlapping=True,
    ),
)
