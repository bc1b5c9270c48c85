"""What can be known at each close: averages, volatility, ranks, and the scope of a decision from
them.

May touch: nothing but its arguments.

Arrays are aligned with the panel's times, and position t depends only on the closes up to and
including t; what is not known yet is NaN, or left out of the scope.  Horizons are in bars; their
names are those of the dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.real.prices import Floats, Panel

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SESSIONS = (("asia", 7), ("europe", 13), ("america", 20), ("late", 24))
"""The sessions, each with the hour (UTC) at which it ends."""
THIRDS = ("low", "mid", "high")


def lagged(x: Floats, n: int) -> Floats:
    """The value of n bars before."""
    out = np.full(x.shape, np.nan)
    out[n:] = x[: len(x) - n]
    return out


def mean(x: Floats, n: int) -> Floats:
    """Mean of the last n values."""
    total = np.cumsum(x, axis=0)
    out = np.full(x.shape, np.nan)
    out[n - 1 :] = total[n - 1 :]
    out[n:] -= total[: len(x) - n]
    return out / n


def growth(x: Floats, n: int) -> Floats:
    """Gain over n bars, as a fraction."""
    return x / lagged(x, n) - 1.0


def volatility(x: Floats, n: int) -> Floats:
    """Standard deviation of the last n gains of one bar."""
    gains = np.nan_to_num(growth(x, 1))
    out = np.sqrt(np.maximum(mean(gains * gains, n) - mean(gains, n) ** 2, 0.0))
    out[:n] = np.nan
    return out


def in_sds(x: Floats, n: int, over: int) -> Floats:
    """Gain over n bars in standard deviations of such a gain, by the last `over` bars; NaN where
    nothing moved."""
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = growth(x, n) / (volatility(x, over) * np.sqrt(n))
    return np.where(np.isfinite(moved), moved, np.nan)


def highest(x: Floats, n: int) -> Floats:
    """Highest of the n values before this one."""
    out = np.full(x.shape, np.nan)
    if len(x) > n:
        out[n:] = np.lib.stride_tricks.sliding_window_view(x, n, axis=0)[:-1].max(axis=-1)
    return out


def lowest(x: Floats, n: int) -> Floats:
    """Lowest of the n values before this one."""
    return -highest(-x, n)


def rank(x: Floats) -> Floats:
    """The rank of each asset among those whose value is known, from 0 (lowest) to 1; NaN where
    fewer than three are known."""
    known = np.isfinite(x)
    order = np.argsort(
        np.argsort(np.where(known, x, np.inf), axis=1, kind="stable"), axis=1, kind="stable"
    )
    n = known.sum(axis=1, keepdims=True)
    return np.where(known & (n > 2), order / np.maximum(n - 1, 1), np.nan)


def trailing_rank(x: Floats, n: int) -> Floats:
    """The share of the last n values that each value is not below; NaN where fewer than a quarter
    of them are known."""
    out = np.full(x.shape, np.nan)
    for t in range(len(x)):
        past = x[max(0, t - n + 1) : t + 1]
        seen = np.isfinite(past).sum(axis=0)
        with np.errstate(invalid="ignore"):
            out[t] = np.where(
                seen >= n // 4, (past <= x[t]).sum(axis=0) / np.maximum(seen, 1), np.nan
            )
    return np.where(np.isfinite(x), out, np.nan)


def trend(x: Floats, average: int, slope: int) -> Floats:
    """Below or above a falling moving average: 0, 1; below or above a rising one: 2, 3."""
    level = mean(x, average)
    before = lagged(level, slope)
    return np.where(np.isfinite(before), (x > level) + 2.0 * (level > before), np.nan)


@dataclass(frozen=True)
class Horizons:
    """The bars of the averages of the three trends and of their slopes, and of the gains by which
    assets are ranked."""

    macro: tuple[int, int] = (200, 20)
    meso: tuple[int, int] = (50, 10)
    micro: tuple[int, int] = (10, 5)
    volatility: int = 63
    momentum: int = 126
    reversal: int = 5
    range: int = 252
    memory: int = 504
    """Number of bars within which a volatility is called low or high."""


def _labels(x: Floats, names: tuple[str, ...]) -> list[list[str | None]]:
    """The name of each code (T, N), None for NaN."""
    return [[None if c != c else names[int(c)] for c in row] for row in x.tolist()]


def _third(x: Floats) -> Floats:
    """0, 1 or 2 for a share from 0 to 1."""
    return np.minimum(np.floor(x * 3.0), 2.0)


class Context:
    """The scopes of decisions in a panel."""

    def __init__(self, panel: Panel, horizons: Horizons) -> None:
        self.panel, self.horizons = panel, horizons

    @cached_property
    def _columns(self) -> dict[str, list[list[str | None]]]:
        """The codes of each dimension of prices (T, N), or (T, 1) for a dimension of the market."""
        p, h = self.panel, self.horizons
        market, states = p.market[:, None], ("S0", "S1", "S2", "S3")
        sd = volatility(p.close, h.volatility)
        moved = in_sds(p.close, 1, 20)
        top, bottom = (
            np.fmax(highest(p.close, h.range), p.close),
            np.fmin(lowest(p.close, h.range), p.close),
        )
        reach = np.where(
            np.isfinite(highest(p.close, h.range)),
            (p.close - bottom) / np.maximum(top - bottom, 1e-12),
            np.nan,
        )
        out = {}
        for name in ("macro", "meso", "micro"):
            out[f"mkt_{name}"] = _labels(trend(market, *getattr(h, name)), states)
            out[f"asset_{name}"] = _labels(trend(p.close, *getattr(h, name)), states)
        out["mkt_vol"] = _labels(
            _third(trailing_rank(volatility(market, 21), h.memory)), ("calm", "usual", "wild")
        )
        out["vol_bucket"] = _labels(_third(trailing_rank(sd, h.memory)), THIRDS)
        out["range_pos"] = _labels(_third(reach), THIRDS)
        out["last_bar"] = _labels(
            np.where(np.isfinite(moved), 1.0 + (moved > 0.75) - (moved < -0.75), np.nan),
            ("down", "flat", "up"),
        )
        if len(p.assets) > 2:
            out["vol_rank"] = _labels(_third(rank(sd)), THIRDS)
            out["mom_rank"] = _labels(_third(rank(growth(p.close, h.momentum))), THIRDS)
            out["rev_rank"] = _labels(_third(rank(growth(p.close, h.reversal))), THIRDS)
            spread = np.std(np.nan_to_num(growth(p.close, h.reversal)), axis=1)[:, None]
            spread[: h.reversal] = np.nan
            out["dispersion"] = _labels(_third(trailing_rank(spread, h.memory)), THIRDS)
        return out

    @cached_property
    def _calendar(self) -> list[dict[str, str]]:
        days = self.panel.times.astype("datetime64[D]").astype(int)
        hours = (self.panel.times.astype("datetime64[h]").astype(int) % 24).tolist()
        months = (self.panel.times.astype("datetime64[M]").astype(int) % 12).tolist()
        found = [
            {"dow": DAYS[(d + 3) % 7], "quarter": f"q{m // 3 + 1}"}
            for d, m in zip(days.tolist(), months, strict=True)
        ]
        if self.panel.per_day > 1:
            for each, hour in zip(found, hours, strict=True):
                each |= {
                    "hour": f"h{hour:02d}",
                    "session": next(name for name, end in SESSIONS if hour < end),
                }
        return found

    def scope(self, t: int, asset: int, wanted: tuple[str, ...]) -> dict[str, str]:
        """The values of the dimensions `wanted` that are known for this asset at bar t."""
        out = {"asset": self.panel.assets[asset]} | self._calendar[t]
        for name, column in self._columns.items():
            row = column[t]
            if (label := row[asset if len(row) > 1 else 0]) is not None:
                out[name] = label
        return {name: out[name] for name in wanted if name in out}
