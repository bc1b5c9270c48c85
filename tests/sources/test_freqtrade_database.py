"""freqtrade's database: all layouts, orders as actions, shorts, open and unreadable trades."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.closes import RefusedCloseError
from app.errors import BadDataError, UsageError
from app.sources import closes
from tests.sources.making import (
    ORDERS_2021,
    ORDERS_2025,
    TRADES_2019,
    TRADES_2021,
    TRADES_2025,
    database,
    facts,
    read,
    steps,
    stored_order,
    stored_trade,
)

NEWEST = (TRADES_2025, ORDERS_2025)


def only(columns: tuple[str, ...], row: dict[str, Any], **renamed: str) -> dict[str, Any]:
    """The row in an older layout: with other names, and without newer columns."""
    known = {column.split()[0] for column in columns}
    row = {renamed.get(name, name): value for name, value in row.items()}
    return {name: value for name, value in row.items() if name in known}


def test_a_trade_with_its_orders(tmp_path: Path) -> None:
    orders = [
        stored_order(
            1,
            "buy",
            1.0,
            100.0,
            "2024-03-01 09:59:58.000000",
            order_filled_date="2024-03-01 10:00:00.250000",
        ),
        stored_order(2, "sell", 1.0, 110.0, "2024-03-02 22:00:00.000000", ft_order_tag="roi"),
    ]
    events, notes = read(database(tmp_path / "tradesv3.sqlite", NEWEST, [stored_trade()], orders))
    assert events == [
        {
            "event_id": "freqtrade/Trend/BTC/USDT/2024-03-01T10:00:00.250000Z/1/closed",
            "schema_version": 1,
            "module": "pm",
            "trade_id": "freqtrade/Trend/BTC/USDT/2024-03-01T10:00:00.250000Z/1",
            "symbol": "BTC/USDT",
            "chain": "binance",
            "timeframe": "1h",
            "entry_context": {
                "symbol": "BTC/USDT",
                "timeframe": "1h",
                "exchange": "binance",
                "is_short": False,
                "leverage": 1.0,
            },
            "trade_summary": {
                "entry_timestamp": "2024-03-01T10:00:00.250000Z",
                "exit_timestamp": "2024-03-02T22:00:00Z",
                "entry_price": 100.0,
                "exit_price": 110.0,
                "roi": 0.0978022,
                "pnl_usd": 9.79,
                # 0.0978022 over what 96 would have lost: 96 · 0.999 / (100 · 1.001) - 1 =
                # -0.04191808
                "rr": 2.333175,
                "max_drawdown": 0.04191808,
                "max_gain": 0.11776224,
                "fees_usd": 0.21,
                "hold_time_days": 1.499997,
            },
            "actions": [
                {
                    "ts": "2024-03-01T09:59:58Z",
                    "pattern_key": "pm.Trend.rsi_low",
                    "action_category": "entry",
                    "size_frac": 1.0,
                    "scope": {},
                },
                {
                    "ts": "2024-03-02T22:00:00Z",
                    "pattern_key": "pm.Trend.roi",
                    "action_category": "exit",
                    "size_frac": 1.0,
                    "scope": {"enter_tag": "rsi_low"},
                },
            ],
        }
    ]
    assert dict(notes) == {}
    entry, exit_ = facts(events[0])
    assert entry.home
    assert entry.actions[0].scope == {"symbol": "BTC/USDT", "is_short": "false"}
    assert exit_.actions[0].scope == entry.actions[0].scope


@pytest.mark.parametrize(
    ("layout", "renamed"),
    [
        ((TRADES_2019, None), {"exit_reason": "sell_reason", "timeframe": "ticker_interval"}),
        ((TRADES_2021, ORDERS_2021), {"exit_reason": "sell_reason", "enter_tag": "buy_tag"}),
        (NEWEST, {}),
        ((TRADES_2025, None), {}),
    ],
    ids=["2019", "2021", "2025", "without orders"],
)
def test_every_layout_tells_the_same_trade(
    layout: tuple[Any, Any], renamed: dict[str, str], tmp_path: Path
) -> None:
    orders = [
        stored_order(1, "buy", 1.0, 100.0, "2024-03-01 10:00:00"),
        stored_order(2, "sell", 1.0, 110.0, "2024-03-02 22:00:00"),
    ]
    path = database(
        tmp_path / "trades.db",
        layout,
        [only(layout[0], stored_trade(), **renamed)],
        [only(layout[1], order) for order in orders] if layout[1] else [],
    )
    (event,), _ = read(path)
    knows_tags = layout[0] is not TRADES_2019
    assert steps(event) == [
        ("entry", "pm.Trend.rsi_low" if knows_tags else "pm.Trend.entry"),
        ("exit", "pm.Trend.roi"),
    ]
    summary = event["trade_summary"]
    assert (event["timeframe"], summary["roi"], summary["rr"]) == ("1h", 0.0978022, 2.333175)
    # Newer releases added the profit in coins.
    assert summary.get("pnl_usd") == (9.79 if knows_tags else None)
    assert summary["fees_usd"] == 0.21
    assert len(facts(event, "rr")) == 2


def test_position_adjustments_and_partial_exits_are_actions(tmp_path: Path) -> None:
    orders = [
        stored_order(1, "buy", 1.0, 100.0, "2024-03-01 10:00:00"),
        stored_order(2, "buy", 2.0, 95.0, "2024-03-01 11:00:00", ft_order_tag="dip 2"),
        # It was never filled.
        stored_order(3, "sell", 0.5, 99.0, "2024-03-01 11:30:00", status="canceled", filled=0.0),
        stored_order(4, "sell", 1.5, 105.0, "2024-03-01 12:00:00.500000", ft_order_tag="take.half"),
        stored_order(5, "buy", 1.0, 90.0, "2024-03-01 12:00:00"),
        stored_order(
            6, "stoploss", 9.0, 80.0, "2024-03-01 13:00:00", ft_is_open=1, status="open", filled=0.0
        ),
        stored_order(7, "sell", 2.5, 110.0, "2024-03-02 22:00:00"),
        # It belongs to a trade that does not exist.
        stored_order(8, "sell", 9.0, 110.0, "2024-03-02 23:00:00", ft_trade_id=2),
    ]
    (event,), _ = read(
        database(
            tmp_path / "t.sqlite", NEWEST, [stored_trade(exit_reason="trailing_stop_loss")], orders
        )
    )
    assert steps(event) == [
        ("entry", "pm.Trend.rsi_low"),
        ("add", "pm.Trend.dip_2"),
        ("add", "pm.Trend.rsi_low"),
        ("trim", "pm.Trend.take_half"),
        ("exit", "pm.Trend.trailing_stop_loss"),
    ]
    assert [a["size_frac"] for a in event["actions"]] == [0.25, 0.5, 0.25, 0.375, 1.0]
    assert [a["scope"].get("n_entry") for a in event["actions"]] == [None, 2, 3, None, None]
    assert event["trade_summary"]["fees_usd"] == pytest.approx(
        0.001 * (100 + 190 + 90 + 157.5 + 275)
    )
    assert len(facts(event)) == 5


def test_a_stop_on_the_exchange_is_the_exit(tmp_path: Path) -> None:
    orders = [
        stored_order(1, "buy", 1.0, 100.0, "2024-03-01 10:00:00"),
        stored_order(2, "stoploss", 1.0, 95.0, "2024-03-02 22:00:00"),
    ]
    (event,), _ = read(
        database(
            tmp_path / "t.sqlite",
            NEWEST,
            [stored_trade(exit_reason="stoploss_on_exchange")],
            orders,
        )
    )
    assert steps(event)[-1] == ("exit", "pm.Trend.stoploss_on_exchange")


def test_a_short_has_its_worst_at_the_highest_rate(tmp_path: Path) -> None:
    trade = stored_trade(
        is_short=1,
        leverage=3.0,
        open_rate=100.0,
        min_rate=90.0,
        max_rate=104.0,
        close_rate=92.0,
        close_profit=0.2348,
    )
    orders = [
        stored_order(1, "sell", 1.0, 100.0, "2024-03-01 10:00:00"),
        stored_order(2, "buy", 1.0, 92.0, "2024-03-02 22:00:00"),
    ]
    (event,), _ = read(database(tmp_path / "t.sqlite", NEWEST, [trade], orders))
    assert [category for category, _ in steps(event)] == ["entry", "exit"]
    summary = event["trade_summary"]
    worst = 3 * (104 * 1.001 / (100 * 0.999) - 1)
    assert summary["max_drawdown"] == pytest.approx(worst)
    assert summary["max_gain"] == pytest.approx(3 * (1 - 90 * 1.001 / (100 * 0.999)))
    assert summary["rr"] == pytest.approx(0.2348 / worst, abs=1e-6)
    assert facts(event)[0].actions[0].scope["is_short"] == "true"


def test_what_was_not_measured_gives_no_rr(tmp_path: Path) -> None:
    rows = [stored_trade(id=1, min_rate=None), stored_trade(id=2, max_rate=0.0)]
    events, _ = read(database(tmp_path / "t.sqlite", NEWEST, rows))
    assert all(
        "rr" not in e["trade_summary"] and "max_drawdown" not in e["trade_summary"] for e in events
    )


def test_open_trades_are_counted_and_not_sent(tmp_path: Path) -> None:
    rows = [
        stored_trade(id=1),
        stored_trade(id=2, is_open=1, close_date=None),
        stored_trade(id=3, is_open=1, close_date=None),
    ]
    events, notes = read(database(tmp_path / "t.sqlite", NEWEST, rows))
    assert len(events) == 1
    assert dict(notes) == {"trades that are still open, left out": 2}


def test_a_profit_in_another_currency_is_no_pnl_usd(tmp_path: Path) -> None:
    rows = [
        stored_trade(id=1, stake_currency="BTC", pair="ETH/BTC"),
        stored_trade(id=2, stake_currency=None, pair="ETH/EUR"),
    ]
    events, notes = read(database(tmp_path / "t.sqlite", NEWEST, rows))
    assert all(
        "pnl_usd" not in e["trade_summary"] and "fees_usd" not in e["trade_summary"] for e in events
    )
    assert [what.split("currency ")[1].split()[0] for what, _ in notes] == ["BTC", "EUR"]


def test_what_cannot_be_read_is_passed_on_for_the_door_to_refuse(tmp_path: Path) -> None:
    rows = [
        stored_trade(id=1, close_profit="lots"),
        stored_trade(id=2, close_date="soon"),
        stored_trade(id=3, close_date=None),
        stored_trade(id=4, close_date="2024-02-01 10:00:00"),
        stored_trade(id=5, strategy=None, enter_tag=" | ", exit_reason=None),
    ]
    found = list(closes([database(tmp_path / "t.sqlite", NEWEST, rows)]))
    refused = []
    for closed in found[:4]:
        with pytest.raises(RefusedCloseError) as error:
            facts(closed)
        refused.append((error.value.reason, error.value.path))
    assert refused == [
        ("wrong_type", "$.trade_summary.roi"),
        ("bad_time", "$.trade_summary.exit_timestamp"),
        ("missing_field", "$.trade_summary.exit_timestamp"),
        ("exit_before_entry", "$.trade_summary.exit_timestamp"),
    ]
    assert found[0].place == f"{tmp_path}/t.sqlite:trades/1"
    assert [f.pattern_key for f in facts(found[4])] == ["pm.no_strategy._", "pm.no_strategy.exit"]


def test_reading_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    path = database(tmp_path / "t.sqlite", NEWEST, [stored_trade(id=i) for i in range(1, 20)])
    assert list(closes([path])) == list(closes([path]))


def test_a_database_that_a_bot_is_writing_to(tmp_path: Path) -> None:
    path = database(tmp_path / "t.sqlite", NEWEST, [stored_trade()])
    with closing(sqlite3.connect(path)) as bot:
        bot.execute("PRAGMA journal_mode=wal")
        bot.execute("UPDATE trades SET strategy = 'Other'")
        bot.commit()
        bot.execute("UPDATE trades SET strategy = 'Not yet'")  # Not committed.
        (event,), _ = read(path)
        assert steps(event)[0][1] == "pm.Other.rsi_low"


def test_what_is_no_database_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.sqlite").write_text("not a database, however long it may be " * 100)
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE things (id INTEGER)")
        other.commit()
    for name, kind, says in (
        ("text.sqlite", BadDataError, "as an SQLite database"),
        ("other.db", UsageError, "its columns need a mapping"),
        ("missing.db", UsageError, "does not exist"),
    ):
        with pytest.raises(kind, match=says):
            list(closes([str(tmp_path / name)]))
