"""Logs of other programs, generated with exactly the columns and keys of their releases.

The layouts are those of freqtrade's persistence models and of its backtest export, and of
nautilus_trader's `to_dict` and Arrow schemas.
"""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from app.closes import explode
from app.sources import Closed, Notes, closes
from schemas.facts import PatternTradeEvent

TRADES_2019 = (
    "id INTEGER PRIMARY KEY",
    "exchange VARCHAR",
    "pair VARCHAR",
    "is_open BOOLEAN",
    "fee_open FLOAT",
    "fee_close FLOAT",
    "open_rate FLOAT",
    "open_rate_requested FLOAT",
    "close_rate FLOAT",
    "close_rate_requested FLOAT",
    "close_profit FLOAT",
    "stake_amount FLOAT",
    "amount FLOAT",
    "open_date DATETIME",
    "close_date DATETIME",
    "open_order_id VARCHAR",
    "stop_loss FLOAT",
    "stop_loss_pct FLOAT",
    "initial_stop_loss FLOAT",
    "initial_stop_loss_pct FLOAT",
    "stoploss_order_id VARCHAR",
    "stoploss_last_update DATETIME",
    "max_rate FLOAT",
    "min_rate FLOAT",
    "sell_reason VARCHAR",
    "strategy VARCHAR",
    "ticker_interval INTEGER",
)
TRADES_2021 = (
    "id INTEGER PRIMARY KEY",
    "exchange VARCHAR(25)",
    "pair VARCHAR(25)",
    "is_open BOOLEAN",
    "fee_open FLOAT",
    "fee_open_cost FLOAT",
    "fee_open_currency VARCHAR(25)",
    "fee_close FLOAT",
    "fee_close_cost FLOAT",
    "fee_close_currency VARCHAR(25)",
    "open_rate FLOAT",
    "open_rate_requested FLOAT",
    "open_trade_value FLOAT",
    "close_rate FLOAT",
    "close_rate_requested FLOAT",
    "close_profit FLOAT",
    "close_profit_abs FLOAT",
    "stake_amount FLOAT",
    "amount FLOAT",
    "amount_requested FLOAT",
    "open_date DATETIME",
    "close_date DATETIME",
    "open_order_id VARCHAR(255)",
    "stop_loss FLOAT",
    "stop_loss_pct FLOAT",
    "initial_stop_loss FLOAT",
    "initial_stop_loss_pct FLOAT",
    "stoploss_order_id VARCHAR(255)",
    "stoploss_last_update DATETIME",
    "max_rate FLOAT",
    "min_rate FLOAT",
    "sell_reason VARCHAR(100)",
    "sell_order_status VARCHAR(100)",
    "strategy VARCHAR(100)",
    "buy_tag VARCHAR(100)",
    "timeframe INTEGER",
)
ORDERS_2021 = (
    "id INTEGER PRIMARY KEY",
    "ft_trade_id INTEGER",
    "ft_order_side VARCHAR(25)",
    "ft_pair VARCHAR(25)",
    "ft_is_open BOOLEAN",
    "order_id VARCHAR(255)",
    "status VARCHAR(255)",
    "symbol VARCHAR(25)",
    "order_type VARCHAR(50)",
    "side VARCHAR(25)",
    "price FLOAT",
    "average FLOAT",
    "amount FLOAT",
    "filled FLOAT",
    "remaining FLOAT",
    "cost FLOAT",
    "order_date DATETIME",
    "order_filled_date DATETIME",
    "order_update_date DATETIME",
)
TRADES_2025 = (
    "id INTEGER PRIMARY KEY",
    "exchange VARCHAR(25)",
    "pair VARCHAR(25)",
    "base_currency VARCHAR(25)",
    "stake_currency VARCHAR(25)",
    "is_open BOOLEAN",
    "fee_open FLOAT",
    "fee_open_cost FLOAT",
    "fee_open_currency VARCHAR(25)",
    "fee_close FLOAT",
    "fee_close_cost FLOAT",
    "fee_close_currency VARCHAR(25)",
    "open_rate FLOAT",
    "open_rate_requested FLOAT",
    "open_trade_value FLOAT",
    "close_rate FLOAT",
    "close_rate_requested FLOAT",
    "realized_profit FLOAT",
    "close_profit FLOAT",
    "close_profit_abs FLOAT",
    "stake_amount FLOAT",
    "max_stake_amount FLOAT",
    "amount FLOAT",
    "amount_requested FLOAT",
    "open_date DATETIME",
    "close_date DATETIME",
    "stop_loss FLOAT",
    "stop_loss_pct FLOAT",
    "initial_stop_loss FLOAT",
    "initial_stop_loss_pct FLOAT",
    "is_stop_loss_trailing BOOLEAN",
    "max_rate FLOAT",
    "min_rate FLOAT",
    "exit_reason VARCHAR(255)",
    "exit_order_status VARCHAR(100)",
    "strategy VARCHAR(100)",
    "enter_tag VARCHAR(255)",
    "timeframe INTEGER",
    "trading_mode VARCHAR(7)",
    "amount_precision FLOAT",
    "price_precision FLOAT",
    "precision_mode INTEGER",
    "precision_mode_price INTEGER",
    "contract_size FLOAT",
    "leverage FLOAT",
    "is_short BOOLEAN",
    "liquidation_price FLOAT",
    "interest_rate FLOAT",
    "funding_fees FLOAT",
    "funding_fee_running FLOAT",
    "record_version INTEGER",
)
ORDERS_2025 = (
    "id INTEGER PRIMARY KEY",
    "ft_trade_id INTEGER",
    "ft_order_side VARCHAR(25)",
    "ft_pair VARCHAR(25)",
    "ft_is_open BOOLEAN",
    "ft_amount FLOAT",
    "ft_price FLOAT",
    "ft_cancel_reason VARCHAR(255)",
    "order_id VARCHAR(255)",
    "status VARCHAR(255)",
    "symbol VARCHAR(25)",
    "order_type VARCHAR(50)",
    "side VARCHAR(25)",
    "price FLOAT",
    "average FLOAT",
    "amount FLOAT",
    "filled FLOAT",
    "remaining FLOAT",
    "cost FLOAT",
    "stop_price FLOAT",
    "order_date DATETIME",
    "order_filled_date DATETIME",
    "order_update_date DATETIME",
    "funding_fee FLOAT",
    "ft_fee_base FLOAT",
    "ft_order_tag VARCHAR(255)",
)


def database(
    path: Path,
    layout: tuple[Sequence[str], Sequence[str] | None],
    trades: Sequence[Mapping[str, Any]],
    orders: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Write freqtrade's database in a layout, with only its columns; returns its path."""
    with closing(sqlite3.connect(path)) as connection:
        for name, columns, rows in (("trades", layout[0], trades), ("orders", layout[1], orders)):
            if columns is None:
                continue
            known = {column.split()[0] for column in columns}
            connection.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
            for row in rows:
                assert row.keys() <= known, row.keys() - known
                marks = ", ".join("?" for _ in row)
                connection.execute(
                    f"INSERT INTO {name} ({', '.join(row)}) VALUES ({marks})", tuple(row.values())
                )
        connection.execute(
            "CREATE TABLE pairlocks (id INTEGER PRIMARY KEY, pair VARCHAR(25), reason VARCHAR(255))"
        )
        connection.commit()
    return str(path)


def stored_trade(**changes: Any) -> dict[str, Any]:
    """A closed trade in the newest layout: bought at 100, sold at 110, with a fee of 0.1 % per
    side."""
    return {
        "id": 1,
        "exchange": "binance",
        "pair": "BTC/USDT",
        "base_currency": "BTC",
        "stake_currency": "USDT",
        "is_open": 0,
        "fee_open": 0.001,
        "fee_close": 0.001,
        "open_rate": 100.0,
        "close_rate": 110.0,
        "close_profit": 0.0978022,
        "close_profit_abs": 9.79,
        "stake_amount": 100.0,
        "amount": 1.0,
        "open_date": "2024-03-01 10:00:00.250000",
        "close_date": "2024-03-02 22:00:00.000000",
        "max_rate": 112.0,
        "min_rate": 96.0,
        "exit_reason": "roi",
        "strategy": "Trend",
        "enter_tag": "rsi low",
        "timeframe": 60,
        "trading_mode": "SPOT",
        "leverage": 1.0,
        "is_short": 0,
        "record_version": 2,
        **changes,
    }


def stored_order(
    number: int, side: str, amount: float, price: float, when: str, **changes: Any
) -> dict[str, Any]:
    """A filled order in the newest layout."""
    return {
        "id": number,
        "ft_trade_id": 1,
        "ft_order_side": side,
        "ft_pair": "BTC/USDT",
        "ft_is_open": 0,
        "ft_amount": amount,
        "ft_price": price,
        "order_id": f"o{number}",
        "status": "closed",
        "symbol": "BTC/USDT",
        "order_type": "limit",
        "side": side,
        "price": price,
        "average": price,
        "amount": amount,
        "filled": amount,
        "remaining": 0.0,
        "cost": amount * price,
        "order_date": when,
        "order_filled_date": when,
        **changes,
    }


def backtest_trade(**changes: Any) -> dict[str, Any]:
    """A trade of a backtest result as the newest releases export it."""
    return {
        "pair": "BTC/USDT:USDT",
        "stake_amount": 100.0,
        "max_stake_amount": 100.0,
        "amount": 1.0,
        "open_date": "2024-03-01 10:00:00+00:00",
        "close_date": "2024-03-01 16:00:00+00:00",
        "open_rate": 100.0,
        "close_rate": 95.0,
        "fee_open": 0.0005,
        "fee_close": 0.0005,
        "trade_duration": 360,
        "profit_ratio": 0.0489,
        "profit_abs": 4.9,
        "exit_reason": "exit_signal",
        "initial_stop_loss_abs": 110.0,
        "initial_stop_loss_ratio": -0.1,
        "stop_loss_abs": 110.0,
        "stop_loss_ratio": -0.1,
        "min_rate": 94.0,
        "max_rate": 102.0,
        "is_open": False,
        "enter_tag": "",
        "leverage": 2.0,
        "is_short": True,
        "open_timestamp": 1709287200000,
        "close_timestamp": 1709308800000,
        "orders": [
            {
                "amount": 1.0,
                "safe_price": 100.0,
                "ft_order_side": "sell",
                "order_filled_timestamp": 1709287200000,
                "ft_is_entry": True,
                "ft_order_tag": "",
                "cost": 100.0,
            },
            {
                "amount": 1.0,
                "safe_price": 95.0,
                "ft_order_side": "buy",
                "order_filled_timestamp": 1709308800000,
                "ft_is_entry": False,
                "ft_order_tag": "exit_signal",
                "cost": 95.0,
            },
        ],
        "funding_fees": 0.0,
        **changes,
    }


def result(**strategies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A backtest result with these strategies' trades."""
    made = {
        name: {
            "trades": list(trades),
            "stake_currency": "USDT",
            "timeframe": "5m",
            "strategy_name": name,
            "profit_factor": 1.5,
        }
        for name, trades in strategies.items()
    }
    return {"strategy": made, "metadata": {}, "strategy_comparison": []}


def zipped(path: Path, document: Mapping[str, Any]) -> str:
    """The zip that newer releases write: the result, with a configuration, a strategy's source and
    parameters, and a market change."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            f"{path.stem}_config.json",
            json.dumps({"strategy": "Trend", "stake_currency": "USDT", "trades": []}),
        )
        archive.writestr(f"{path.stem}_Trend.py", "class Trend: ...")
        archive.writestr(
            f"{path.stem}_Trend.json", json.dumps({"strategy_name": "Trend", "params": {}})
        )
        archive.writestr(f"{path.stem}.json", json.dumps(document))
        archive.writestr(f"{path.stem}_market_change.feather", b"\x00\x01")
    return str(path)


def position_closed(**changes: Any) -> dict[str, Any]:
    """nautilus_trader's `PositionClosed.to_dict`."""
    return {
        "type": "PositionClosed",
        "trader_id": "TRADER-001",
        "strategy_id": "EMACross-000",
        "instrument_id": "ETHUSDT-PERP.BINANCE",
        "position_id": "P-1",
        "account_id": "BINANCE-001",
        "opening_order_id": "O-1",
        "closing_order_id": "O-9",
        "entry": "SELL",
        "side": "FLAT",
        "signed_qty": 0.0,
        "quantity": "0.000",
        "peak_qty": "3.000",
        "last_qty": "2.000",
        "last_px": "1900.00",
        "currency": "USDT",
        "avg_px_open": 2000.0,
        "avg_px_close": 1900.0,
        "realized_return": 0.05,
        "realized_pnl": "296.10 USDT",
        "event_id": "2d89666b-1a1e-4a75-b193-4eb3b454c757",
        "ts_opened": 1_700_000_000_000_000_001,
        "ts_closed": 1_700_086_400_000_000_001,
        "duration_ns": 86_400_000_000_000,
        "ts_init": 1_700_086_400_000_000_002,
        **changes,
    }


def position_opened(**changes: Any) -> dict[str, Any]:
    """nautilus_trader's `PositionOpened.to_dict`."""
    return {
        "type": "PositionOpened",
        "trader_id": "TRADER-001",
        "strategy_id": "EMACross-000",
        "instrument_id": "ETHUSDT-PERP.BINANCE",
        "position_id": "P-1",
        "account_id": "BINANCE-001",
        "opening_order_id": "O-1",
        "entry": "SELL",
        "side": "SHORT",
        "signed_qty": -1.0,
        "quantity": "1.000",
        "peak_qty": "1.000",
        "last_qty": "1.000",
        "last_px": "2000.00",
        "currency": "USDT",
        "avg_px_open": 2000.0,
        "realized_pnl": "-0.80 USDT",
        "duration_ns": 0,
        "event_id": "a",
        "ts_event": 1_700_000_000_000_000_001,
        "ts_init": 1_700_000_000_000_000_002,
        **changes,
    }


def position_changed(**changes: Any) -> dict[str, Any]:
    """nautilus_trader's `PositionChanged.to_dict`."""
    return {
        "type": "PositionChanged",
        "trader_id": "TRADER-001",
        "strategy_id": "EMACross-000",
        "instrument_id": "ETHUSDT-PERP.BINANCE",
        "position_id": "P-1",
        "account_id": "BINANCE-001",
        "opening_order_id": "O-1",
        "entry": "SELL",
        "side": "SHORT",
        "signed_qty": -3.0,
        "quantity": "3.000",
        "peak_qty": "3.000",
        "last_qty": "2.000",
        "last_px": "2000.00",
        "currency": "USDT",
        "avg_px_open": 2000.0,
        "avg_px_close": 0.0,
        "realized_return": 0.0,
        "realized_pnl": "-2.40 USDT",
        "unrealized_pnl": "0.00 USDT",
        "event_id": "b",
        "ts_opened": 1_700_000_000_000_000_001,
        "ts_event": 1_700_000_060_000_000_000,
        "ts_init": 1_700_000_060_000_000_001,
        **changes,
    }


def read(
    *paths: str | Path,
    kind: str | None = None,
    mapping: Path | None = None,
    module: str | None = None,
) -> tuple[list[dict[str, Any]], Notes]:
    """(the events, the notes) of the files; every value is JSON and every key the trade's id."""
    notes = Notes()
    found = list(closes([str(path) for path in paths], kind, mapping, module=module, notes=notes))
    events = [json.loads(closed.value) for closed in found]
    assert [closed.key for closed in found] == [event["trade_id"].encode() for event in events]
    return events, notes


def facts(
    closed: Closed | dict[str, Any],
    outcome: str = "roi",
    dimensions: tuple[str, ...] = ("symbol", "is_short"),
) -> tuple[PatternTradeEvent, ...]:
    """The facts of an event that is received in 2100."""
    value = closed.value if isinstance(closed, Closed) else json.dumps(closed).encode()
    return explode(value, 4_102_444_800_000, dimensions=dimensions, outcome=outcome)


def steps(event: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(category, pattern key) of each action."""
    return [(action["action_category"], action["pattern_key"]) for action in event["actions"]]
