"""Daily closes and what can be known from them at each close: moving averages, volatility, trend
states, ranks.

May touch: the installed data files of the package `skfolio`, numpy.

Every array is aligned with the days; position t depends only on the closes up to and including day
t.  Prices are integers (thousandths), so sums over windows are exact, and everything else is
computed in a fixed order, so that the figures are the same on every machine.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, distribution
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from app.errors import ConfigurationError

PACKAGE = "skfolio"
PRICE_FILES = (
    "skfolio/datasets/data/sp500_dataset.csv.gz",
    "skfolio/datasets/data/sp500_index.csv.gz",
)
SCALE = 1000

SECTORS = {
    "AAPL": "technology", "AMD": "technology", "MSFT": "technology",
    "BAC": "financials", "JPM": "financials",
    "BBY": "retail", "HD": "retail", "WMT": "retail",
    "KO": "staples", "PEP": "staples", "PG": "staples",
    "CVX": "energy", "RRC": "energy", "XOM": "energy",
    "JNJ": "health", "LLY": "health", "MRK": "health", "PFE": "health", "UNH": "health",
    "GE": "industrials",
}  # fmt: skip
HORIZONS = {"macro": (200, 20), "meso": (50, 10), "micro": (10, 5)}
"""Trend states: days of the moving average, and the days over which its slope is taken."""
MOMENTUM_DAYS = 126
UNKNOWN = 4

Bools = np.ndarray[Any, np.dtype[np.bool_]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Prices:
    """Daily closes: `close` has shape (days, symbols), `index` has shape (days,), both in
    thousandths."""

    days: tuple[str, ...]
    symbols: tuple[str, ...]
    close: Ints
    index: Ints


def load_prices() -> tuple[Prices, dict[str, Any]]:
    """The closes, and their source (package, version, licence, SHA-256 of each file read).

    The files are found through the package's metadata and read directly: importing `skfolio` would
    need its dependencies. Raises `ConfigurationError` if it is not installed.
    """
    try:
        package = distribution(PACKAGE)
    except PackageNotFoundError as error:
        raise ConfigurationError(
            "The prices come from the Python package skfolio, which is not installed.",
            "Install its data with: python -m pip install --no-deps skfolio",
        ) from error
    raw = {name: Path(str(package.locate_file(name))).read_bytes() for name in PRICE_FILES}
    days, symbols, close = _read_csv(raw[PRICE_FILES[0]])
    index_days, _, index = _read_csv(raw[PRICE_FILES[1]])
    if days != index_days:
        raise ConfigurationError(
            "The stocks and the index cover different days.", "Install another version of skfolio."
        )
    source = {
        "package": PACKAGE,
        "package_version": package.version,
        "licence": "BSD-3-Clause",
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in raw.items()},
    }
    return Prices(days, symbols, close, index[:, 0]), source


def _read_csv(data: bytes) -> tuple[tuple[str, ...], tuple[str, ...], Ints]:
    header, *rows = csv.reader(gzip.decompress(data).decode().splitlines())
    values = np.array(
        [[round(float(text) * SCALE) for text in row[1:]] for row in rows], dtype=np.int64
    )
    return tuple(row[0] for row in rows), tuple(header[1:]), values


def window_sum(values: Ints, n: int) -> Ints:
    """Sum of the last n values (exact); 0 until there are n."""
    total = np.concatenate([[0], np.cumsum(values)])
    out = np.zeros_like(values)
    out[n - 1 :] = total[n:] - total[:-n]
    return out


def known(size: int, n: int) -> Bools:
    """True from the day on which n values have been seen."""
    return np.arange(size) >= n - 1


def above_average(close: Ints, n: int) -> Bools:
    """Close above its n-day simple moving average."""
    return known(len(close), n) & (close * n > window_sum(close, n))


def highest(close: Ints, n: int) -> Bools:
    """Close above each of the n closes before it."""
    out = known(len(close), n + 1)
    for lag in range(1, n + 1):
        out[lag:] &= close[lag:] > close[:-lag]
    return out


def lowest(close: Ints, n: int) -> Bools:
    """Close below each of the n closes before it."""
    return highest(-close, n)


def growth(close: Ints, n: int) -> Floats:
    """Close divided by the close n days before, minus one; NaN until there is one."""
    out = np.full(len(close), np.nan)
    out[n:] = close[n:] / close[:-n] - 1.0
    return out


def volatility(close: Ints, n: int) -> Floats:
    """Standard deviation of the last n daily returns (a fraction); NaN until there are n."""
    returns = growth(close, 1)[1:]
    sums = np.concatenate([[0.0], np.cumsum(returns)])
    squares = np.concatenate([[0.0], np.cumsum(returns * returns)])
    mean = (sums[n:] - sums[:-n]) / n
    out = np.full(len(close), np.nan)
    out[n:] = np.sqrt(np.maximum((squares[n:] - squares[:-n]) / n - mean * mean, 0.0))
    return out


def rsi(close: Ints, n: int) -> Floats:
    """Relative strength index over n days with Wilder's smoothing (Wilder 1978), 0..100; 50 while
    nothing has moved, NaN until there are n changes."""
    out = np.full(len(close), np.nan)
    moves = [int(b) - int(a) for a, b in pairwise(close.tolist())]
    if len(moves) < n:
        return out
    up = sum(max(m, 0) for m in moves[:n]) / n
    down = sum(max(-m, 0) for m in moves[:n]) / n
    for t in range(n, len(close)):
        if t > n:
            up += (max(moves[t - 1], 0) - up) / n
            down += (max(-moves[t - 1], 0) - down) / n
        out[t] = 100.0 * up / (up + down) if up + down > 0 else 50.0
    return out


def trend_state(level: Ints, average_days: int, slope_days: int) -> Ints:
    """0 below a falling average, 1 above a falling one, 2 below a rising one, 3 above a rising one,
    4 not known yet."""
    sums = window_sum(level, average_days)
    out = np.full(len(level), UNKNOWN)
    start = average_days - 1 + slope_days
    above = level[start:] * average_days > sums[start:]
    rising = sums[start:] > sums[average_days - 1 : len(sums) - slope_days]
    out[start:] = above + 2 * rising
    return out


def states(level: Ints) -> dict[str, Ints]:
    """The trend state on each horizon."""
    return {name: trend_state(level, *days) for name, days in HORIZONS.items()}


class Market:
    """Everything that is known at each close, for all symbols.  `sectors` maps a symbol to its
    sector."""

    def __init__(self, prices: Prices, sectors: dict[str, str] = SECTORS) -> None:
        self.prices = prices
        self.sector = {symbol: sectors[symbol] for symbol in prices.symbols}
        self.close = {
            symbol: np.ascontiguousarray(prices.close[:, i])
            for i, symbol in enumerate(prices.symbols)
        }
        self._scopes: dict[tuple[str, int], dict[str, Any]] = {}

    @cached_property
    def volatility_quarter(self) -> dict[str, Floats]:
        """63-day volatility per symbol, a fraction per day."""
        return {symbol: volatility(close, 63) for symbol, close in self.close.items()}

    @cached_property
    def index_states(self) -> dict[str, Ints]:
        return states(self.prices.index)

    @cached_property
    def stock_states(self) -> dict[str, dict[str, Ints]]:
        return {symbol: states(close) for symbol, close in self.close.items()}

    @cached_property
    def sector_states(self) -> dict[str, dict[str, Ints]]:
        """The trend states of each sector's equally weighted index, rebalanced daily (in
        millionths, from 1 000)."""
        out = {}
        for sector in sorted(set(self.sector.values())):
            members = [
                growth(self.close[s], 1)[1:]
                for s in self.prices.symbols
                if self.sector[s] == sector
            ]
            total = members[0]
            for returns in members[1:]:
                total = total + returns
            level = np.concatenate([[1000.0], 1000.0 * np.cumprod(1.0 + total / len(members))])
            out[sector] = states(np.rint(level * 1e6).astype(np.int64))
        return out

    @cached_property
    def momentum(self) -> Floats:
        """126-day growth, shape (days, symbols)."""
        return np.stack([growth(self.close[s], MOMENTUM_DAYS) for s in self.prices.symbols], axis=1)

    def scope(self, symbol: str, t: int) -> dict[str, Any]:
        """The context of a decision on `symbol` at the close of day t.  What is not known yet is
        left out (S4 for the sector)."""
        if (symbol, t) not in self._scopes:
            self._scopes[symbol, t] = self._scope(symbol, t)
        return self._scopes[symbol, t]

    def market_states(self, symbol: str, t: int) -> dict[str, Any]:
        """Trend states of the index and of the symbol's sector."""
        out = {f"index_{h}": f"S{s[t]}" for h, s in self.index_states.items() if s[t] != UNKNOWN}
        return out | {
            f"bucket_{h}": f"S{s[t]}" for h, s in self.sector_states[self.sector[symbol]].items()
        }

    def _scope(self, symbol: str, t: int) -> dict[str, Any]:
        scope = self.market_states(symbol, t)
        scope |= {
            f"stock_{h}": f"S{s[t]}"
            for h, s in self.stock_states[symbol].items()
            if s[t] != UNKNOWN
        }
        yearly_variance = self.volatility_quarter[symbol][t] ** 2 * 252
        if yearly_variance == yearly_variance:
            scope["vol_bucket"] = (
                "low"
                if yearly_variance < 0.2**2
                else "mid"
                if yearly_variance < 0.35**2
                else "high"
            )
        row, at = self.momentum[t], self.prices.symbols.index(symbol)
        if row[at] == row[at]:
            rank = sum(1 for i, m in enumerate(row) if m > row[at] or (m == row[at] and i < at))
            scope["bucket_rank_position"] = ("top", "middle", "bottom")[rank * 3 // len(row)]
            peers = [
                m
                for s, m in zip(self.prices.symbols, row, strict=True)
                if self.sector[s] == self.sector[symbol]
            ]
            if len(peers) > 1:
                scope["bucket_leader"] = bool(row[at] >= max(peers))
        return scope
