"""Runs freqtrade without a network, in freqtrade's own environment: `python freqtrade_offline.py
FOLDER ARGUMENTS…`.  The exchange's markets are fixed, and candles are generated and stored in
freqtrade's own format; everything else is the real freqtrade.

May touch: FOLDER/user_data.
"""

from __future__ import annotations

import sys
from pathlib import Path

import ccxt.async_support
import numpy as np
import pandas as pd
from freqtrade.data.history import get_datahandler
from freqtrade.enums import CandleType
from freqtrade.main import main

PAIRS = ("BTC/USDT", "ETH/USDT")
HOURS = 24 * 60
START = "2026-01-01"


def market(pair: str) -> dict:
    base, quote = pair.split("/")
    return {
        "id": base + quote,
        "symbol": pair,
        "base": base,
        "quote": quote,
        "type": "spot",
        "spot": True,
        "margin": False,
        "swap": False,
        "future": False,
        "option": False,
        "active": True,
        "contract": False,
        "taker": 0.001,
        "maker": 0.001,
        "precision": {"amount": 1e-6, "price": 0.01},
        "limits": {
            "amount": {"min": 1e-6, "max": 1e6},
            "price": {"min": 0.01, "max": 1e7},
            "cost": {"min": 5.0, "max": 1e7},
        },
        "info": {},
    }


async def fetch_markets(self, params=None):
    return [market(pair) for pair in PAIRS]


async def fetch_currencies(self, params=None):
    return {}


def candles(seed: int) -> pd.DataFrame:
    """Hourly candles that swing around a level."""
    rng = np.random.default_rng(seed)
    swing = 0.06 * np.sin(np.arange(HOURS) / 9.0 + seed)
    close = 100 * (1 + seed) * np.exp(swing + np.cumsum(rng.normal(0, 0.003, HOURS)))
    opened = np.concatenate(([close[0]], close[:-1]))
    wick = 1 + np.abs(rng.normal(0, 0.002, HOURS))
    return pd.DataFrame(
        {
            "date": pd.date_range(START, periods=HOURS, freq="1h", tz="UTC"),
            "open": opened,
            "high": np.maximum(opened, close) * wick,
            "low": np.minimum(opened, close) / wick,
            "close": close,
            "volume": 1_000.0,
        }
    )


if __name__ == "__main__":
    ccxt.async_support.binance.fetch_markets = fetch_markets
    ccxt.async_support.binance.fetch_currencies = fetch_currencies
    folder = Path(sys.argv[1]) / "user_data" / "data" / "binance"
    folder.mkdir(parents=True, exist_ok=True)
    handler = get_datahandler(folder, "feather")
    for number, pair in enumerate(PAIRS):
        handler.ohlcv_store(pair, "1h", candles(number), CandleType.SPOT)
    sys.exit(main(sys.argv[2:]))
