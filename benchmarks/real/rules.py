"""The trading rules: when each enters and exits, long or short, on a whole panel.

May touch: nothing but its arguments.

A signal is an array (T, N) of 1 (buy), −1 (sell short) and 0, decided at the close of each bar from
what is known then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from benchmarks.real.prices import Floats, Panel
from benchmarks.real.states import growth, highest, in_sds, lagged, lowest, mean, rank, volatility

Signs = np.ndarray[Any, np.dtype[np.int8]]


class Signals(NamedTuple):
    """`entry` (T, N); `leave` (T, N): 1 closes longs, −1 shorts, 2 both."""

    entry: Signs
    leave: Signs


@dataclass(frozen=True)
class Rule:
    """A rule with its parameters.  Distances are in standard deviations of one bar, taken at the
    entry; times in bars."""

    curator: str
    family: str
    signals: Callable[[Panel], Signals]
    stop: float
    most: int
    """Bars after which a trade is closed in any case."""
    add: float = 0.0
    """The gain since the last buy (negative: the loss) at which an add is made; 0: no adds."""
    adds: int = 0
    target: float = 0.0
    """A third is sold at this gain, again at twice the gain, and so on; 0: never."""
    timeframe: str = "1d"
    overlapping: bool = False
    """Whether a trade may open while another of the same rule and asset is open."""


def _signs(long: Any, short: Any) -> Signs:
    return np.asarray(np.asarray(long, np.int8) - np.asarray(short, np.int8))


def _never(panel: Panel) -> Signs:
    return np.zeros(panel.close.shape, np.int8)


def _on(panel: Panel, every: int, phase: int = 0) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(T, 1) one bar of `every`."""
    return np.asarray(np.arange(len(panel.times)) % every == phase)[:, None]


def _first(x: np.ndarray[Any, np.dtype[np.bool_]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """The bars at which a condition becomes true."""
    before = np.zeros_like(x)
    before[1:] = x[:-1]
    return x & ~before


def momentum(back: int, skip: int, every: int, share: float) -> Callable[[Panel], Signals]:
    """Buy winners among the assets, sell losers, by the gain from `back` to `skip` bars ago
    (Jegadeesh & Titman 1993)."""

    def signals(panel: Panel) -> Signals:
        place = rank(lagged(panel.close, skip) / lagged(panel.close, back) - 1.0)
        due = _on(panel, every)
        return Signals(_signs(due & (place >= 1.0 - share), due & (place <= share)), _never(panel))

    return signals


def reversal(back: int, every: int, share: float, phase: int = 0) -> Callable[[Panel], Signals]:
    """Buy the losers of the last bars, sell the winners (Lehmann 1990)."""

    def signals(panel: Panel) -> Signals:
        place = rank(growth(panel.close, back))
        due = _on(panel, every, phase)
        return Signals(_signs(due & (place <= share), due & (place >= 1.0 - share)), _never(panel))

    return signals


def nearness(back: int, every: int, share: float) -> Callable[[Panel], Signals]:
    """Buy assets near their one-year high, sell those far below it (George & Hwang 2004)."""

    def signals(panel: Panel) -> Signals:
        place = rank(panel.close / np.fmax(highest(panel.close, back), panel.close))
        place = np.where(np.isfinite(highest(panel.close, back)), place, np.nan)
        due = _on(panel, every)
        return Signals(_signs(due & (place >= 1.0 - share), due & (place <= share)), _never(panel))

    return signals


def calm(back: int, every: int, share: float) -> Callable[[Panel], Signals]:
    """Buy the least volatile assets, sell the most volatile (Blitz & van Vliet 2007)."""

    def signals(panel: Panel) -> Signals:
        place = rank(volatility(panel.close, back))
        due = _on(panel, every)
        return Signals(_signs(due & (place <= share), due & (place >= 1.0 - share)), _never(panel))

    return signals


def breakout(into: int, out: int) -> Callable[[Panel], Signals]:
    """Buy a new high of `into` bars, sell a new low; exit at the opposite end of `out` bars
    (Donchian 1960)."""

    def signals(panel: Panel) -> Signals:
        c = panel.close
        leave = (c < lowest(c, out)).astype(np.int8) - (c > highest(c, out)).astype(np.int8)
        return Signals(_signs(_first(c > highest(c, into)), _first(c < lowest(c, into))), leave)

    return signals


def cross(short: int, long: int) -> Callable[[Panel], Signals]:
    """Trade when the short average crosses the long one; exit when it crosses back (Brock,
    Lakonishok & LeBaron 1992)."""

    def signals(panel: Panel) -> Signals:
        fast, slow = mean(panel.close, short), mean(panel.close, long)
        up, down = fast > slow, fast < slow
        known = np.isfinite(lagged(slow, 1))
        return Signals(
            _signs(_first(up) & known, _first(down) & known),
            down.astype(np.int8) - up.astype(np.int8),
        )

    return signals


def own_momentum(back: int, every: int, phase: int = 0) -> Callable[[Panel], Signals]:
    """Buy assets that rose over `back` bars, sell those that fell; exit when the sign turns
    (Moskowitz, Ooi & Pedersen 2012)."""

    def signals(panel: Panel) -> Signals:
        gain = growth(panel.close, back)
        due = _on(panel, every, phase)
        return Signals(
            _signs(due & (gain > 0), due & (gain < 0)), _signs(due & (gain < 0), due & (gain > 0))
        )

    return signals


def fade(back: int, far: float, home: int) -> Callable[[Panel], Signals]:
    """Trade against a move of more than `far` standard deviations over `back` bars; exit at the
    mean of `home` bars."""

    def signals(panel: Panel) -> Signals:
        moved = in_sds(panel.close, back, 60)
        centre = mean(panel.close, home)
        leave = (panel.close > centre).astype(np.int8) - (panel.close < centre).astype(np.int8)
        return Signals(_signs(_first(moved < -far), _first(moved > far)), leave)

    return signals


def follow(back: int, far: float) -> Callable[[Panel], Signals]:
    """Trade with a move of more than `far` standard deviations over `back` bars."""

    def signals(panel: Panel) -> Signals:
        moved = in_sds(panel.close, back, 60)
        return Signals(_signs(_first(moved > far), _first(moved < -far)), _never(panel))

    return signals


def streak(n: int) -> Callable[[Panel], Signals]:
    """Trade against n gains or n losses in a row; exit after a bar in the trade's direction."""

    def signals(panel: Panel) -> Signals:
        gain = np.nan_to_num(growth(panel.close, 1))
        down, up = gain < 0, gain > 0
        lost, won = down.copy(), up.copy()
        for lag in range(1, n):
            lost[lag:] &= down[:-lag]
            won[lag:] &= up[:-lag]
        lost[: n - 1] = won[: n - 1] = False
        return Signals(_signs(_first(lost), _first(won)), up.astype(np.int8) - down.astype(np.int8))

    return signals


def spread(back: int, far: float, near: float) -> Callable[[Panel], Signals]:
    """Trade the return to its mean of a ratio of two prices that is `far` standard deviations away
    from it (Gatev, Goetzmann & Rouwenhorst 2006)."""

    def signals(panel: Panel) -> Signals:
        ratio = np.log(panel.close)
        centre = mean(ratio, back)
        width = np.sqrt(np.maximum(mean(ratio * ratio, back) - centre**2, 1e-12))
        z = (ratio - centre) / width
        leave = (z > -near).astype(np.int8) - (z < near).astype(np.int8)
        leave[(z > -near) & (z < near)] = 2
        return Signals(_signs(_first(z < -far), _first(z > far)), leave)

    return signals


def month_turn(before: int, after: int) -> Callable[[Panel], Signals]:
    """Buy for the last weekdays of a month and the first of the next (Ariel 1987)."""

    def signals(panel: Panel) -> Signals:
        days = panel.times.astype("datetime64[D]")
        ends = np.busday_offset(days.astype("datetime64[M]") + 1, -before, roll="forward").astype(
            "datetime64[D]"
        )
        due = _first((days >= ends)[:, None])
        return Signals(
            _signs(np.broadcast_to(due, panel.close.shape), np.zeros(panel.close.shape)),
            _never(panel),
        )

    return signals


def weekday(day: int, sign: int) -> Callable[[Panel], Signals]:
    """Buy (1) or sell (−1) at the close of a day of the week (0: Monday): the weekend effect
    (French 1980)."""

    def signals(panel: Panel) -> Signals:
        due = ((panel.times.astype("datetime64[D]").astype(int) + 3) % 7 == day)[:, None]
        due = np.broadcast_to(due, panel.close.shape)
        return Signals(_signs(due & (sign > 0), due & (sign < 0)), _never(panel))

    return signals


def clock(hour: int, back: int, sign: int) -> Callable[[Panel], Signals]:
    """Trade at an hour of the day with (1) or against (−1) the move of the last bars."""

    def signals(panel: Panel) -> Signals:
        due = (panel.times.astype("datetime64[h]").astype(int) % 24 == hour)[:, None]
        gain = growth(panel.close, back) * sign
        return Signals(_signs(due & (gain > 0), due & (gain < 0)), _never(panel))

    return signals


def session_break(begins: int, ends: int, until: int, sign: int) -> Callable[[Panel], Signals]:
    """Trade with (1) or against (−1) the first close of the day, between the hours `ends` and
    `until`, that is outside the range of the hours from `begins` to `ends`."""

    def signals(panel: Panel) -> Signals:
        hours = panel.times.astype("datetime64[h]").astype(int) % 24
        days = panel.times.astype("datetime64[D]")
        entry = np.zeros(panel.close.shape, np.int8)
        for i in range(panel.close.shape[1]):
            high = low = np.nan
            today, fired = days[0], True
            for t in range(len(days)):
                price: float = panel.close[t, i]
                if days[t] != today:
                    today, fired, high, low = days[t], False, np.nan, np.nan
                if begins <= hours[t] < ends:
                    high, low = np.fmax(high, price), np.fmin(low, price)
                elif ends <= hours[t] < until and not fired and (price > high or price < low):
                    entry[t, i], fired = (sign if price > high else -sign), True
        return Signals(entry, _never(panel))

    return signals


def known(panel: Panel, back: int = 60) -> Floats:
    """The standard deviation of one bar at each close, the unit of distances."""
    return volatility(panel.close, back)
