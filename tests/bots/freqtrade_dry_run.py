"""A dry run of freqtrade without a network, in freqtrade's own environment: `python
freqtrade_dry_run.py PRICE ROUNDS` in a folder with config.json.  On this exchange, every pair costs
PRICE; everything else is the real freqtrade, with its database.

May touch: the folder that it is started in.
"""

from __future__ import annotations

import sys
import time

import ccxt
import ccxt.async_support
from freqtrade.configuration import Configuration
from freqtrade.enums import RunMode
from freqtrade.freqtradebot import FreqtradeBot
from freqtrade_offline import PAIRS, fetch_currencies, fetch_markets

HOUR_MS = 3_600_000


def exchange_at(price: float) -> dict:
    """The requests that a dry run makes to an exchange."""

    def ohlcv(self, symbol, timeframe="1h", since=None, limit=None, params=None):
        last = int(time.time() * 1000) // HOUR_MS * HOUR_MS
        return [[last - i * HOUR_MS, price, price, price, price, 10.0] for i in range(99, -1, -1)]

    def ticker(self, symbol, params=None):
        return {"symbol": symbol, "last": price, "bid": price, "ask": price, "baseVolume": 1e6}

    def tickers(self, symbols=None, params=None):
        return {pair: ticker(self, pair) for pair in PAIRS}

    def book(self, symbol, limit=None, params=None):
        return {"symbol": symbol, "bids": [[price, 1e6]], "asks": [[price, 1e6]]}

    return {
        "fetch_ohlcv": ohlcv,
        "fetch_ticker": ticker,
        "fetch_tickers": tickers,
        "fetch_bids_asks": tickers,
        "fetch_order_book": book,
        "fetch_l2_order_book": book,
    }


def as_coroutine(function):
    async def call(*args, **kwargs):
        return function(*args, **kwargs)

    return call


if __name__ == "__main__":
    price, rounds = float(sys.argv[1]), int(sys.argv[2])
    ccxt.async_support.binance.fetch_markets = fetch_markets
    ccxt.async_support.binance.fetch_currencies = fetch_currencies
    for name, function in exchange_at(price).items():
        setattr(ccxt.binance, name, function)
        setattr(ccxt.async_support.binance, name, as_coroutine(function))
    arguments = {"config": ["config.json"], "user_data_dir": "user_data"}
    bot = FreqtradeBot(Configuration(arguments, RunMode.DRY_RUN).get_config())
    bot.startup()
    for _ in range(rounds):
        bot.process()
    bot.cleanup()
