"""freqtrade's backtest results: JSON and zip, several strategies, the older tags, orders in
milliseconds, other members of the zip."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from app.errors import BadDataError, UsageError
from app.sources import closes
from app.sources.read import kind_of
from tests.sources.making import backtest_trade, facts, read, result, steps, zipped


def written(path: Path, document: object) -> str:
    path.write_text(json.dumps(document))
    return str(path)


def test_json_and_zip_hold_the_same_trades(tmp_path: Path) -> None:
    document = result(
        Trend=[backtest_trade()],
        Dip=[backtest_trade(enter_tag="rsi<30"), backtest_trade(pair="ETH/USDT:USDT")],
    )
    plain, _ = read(written(tmp_path / "backtest-result-2024-03-02_10-00-00.json", document))
    packed, notes = read(zipped(tmp_path / "backtest-result-2024-03-02_10-00-00.zip", document))
    assert plain == packed
    assert dict(notes) == {}
    assert [event["actions"][0]["pattern_key"] for event in packed] == [
        "pm.Trend.entry",
        "pm.Dip.rsi<30",
        "pm.Dip.entry",
    ]
    assert all(
        len(facts(event, outcome)) == 2 for event in packed for outcome in ("rr", "roi", "pnl")
    )


def test_a_leveraged_short(tmp_path: Path) -> None:
    (event,), _ = read(
        written(tmp_path / "r.json", result(Trend=[backtest_trade()])), module="backtest"
    )
    assert (
        event["trade_id"]
        == "backtest/Trend/BTC/USDT:USDT/2024-03-01T10:00:00Z/2024-03-01T16:00:00Z"
    )
    assert event["entry_context"] == {
        "symbol": "BTC/USDT:USDT",
        "timeframe": "5m",
        "is_short": True,
        "leverage": 2.0,
    }
    summary = event["trade_summary"]
    worst = 2 * (102 * 1.0005 / (100 * 0.9995) - 1)
    assert summary["max_drawdown"] == pytest.approx(worst)
    assert summary["rr"] == pytest.approx(0.0489 / worst, abs=1e-6)
    assert (summary["roi"], summary["pnl_usd"], summary["hold_time_days"]) == (0.0489, 4.9, 0.25)
    assert summary["fees_usd"] == pytest.approx(0.0005 * 195)
    assert steps(event) == [
        ("entry", "backtest.Trend.entry"),
        ("exit", "backtest.Trend.exit_signal"),
    ]


def test_the_older_layout_with_buy_tags_and_without_orders(tmp_path: Path) -> None:
    older = {
        "pair": "ADA/USDT",
        "stake_amount": 10.0,
        "amount": 20.0,
        "open_date": "2018-01-10 07:15:00+00:00",
        "close_date": "2018-01-10 07:30:00+00:00",
        "open_rate": 0.5,
        "close_rate": 0.52,
        "fee_open": 0.0025,
        "fee_close": 0.0025,
        "trade_duration": 15,
        "profit_ratio": 0.0347,
        "profit_abs": 0.3483,
        "sell_reason": "roi",
        "initial_stop_loss_abs": 0.45,
        "initial_stop_loss_ratio": 0.1,
        "stop_loss_abs": 0.45,
        "stop_loss_ratio": 0.1,
        "min_rate": 0.5,
        "max_rate": 0.52,
        "is_open": False,
        "buy_tag": "buy_signal",
        "open_timestamp": 1515568500000.0,
        "close_timestamp": 1515569400000.0,
    }
    oldest = {
        name: value
        for name, value in older.items()
        if name not in ("buy_tag", "open_timestamp", "close_timestamp", "profit_ratio")
    }
    events, _ = read(
        written(tmp_path / "r.json", result(Old=[older, {**oldest, "profit_percent": 0.0347}]))
    )
    assert steps(events[0]) == [("entry", "pm.Old.buy_signal"), ("exit", "pm.Old.roi")]
    assert steps(events[1]) == [("entry", "pm.Old.entry"), ("exit", "pm.Old.roi")]
    first, second = (event["trade_summary"] for event in events)
    assert first == second
    assert first["exit_timestamp"] == "2018-01-10T07:30:00Z"
    # It never fell, so its drawdown is the fees.
    assert first["rr"] == pytest.approx(0.0347 / (1 - 0.9975 / 1.0025), abs=1e-4)
    assert (
        events[0]["trade_id"]
        == f"backtest/Old/ADA/USDT/{first['entry_timestamp']}/{first['exit_timestamp']}"
    )
    assert events[1]["trade_id"] == f"{events[0]['trade_id']}/2"
    assert all("is_short" in event["entry_context"] for event in events)


def test_adjustments_and_partial_exits(tmp_path: Path) -> None:
    def order(
        is_entry: bool, amount: float, minute: int | None, tag: str | None = None
    ) -> dict[str, object]:
        ts = None if minute is None else 1709287200000 + minute * 60_000
        side = "sell" if is_entry else "buy"  # The trade is short.
        return {
            "amount": amount,
            "safe_price": 100.0,
            "ft_order_side": side,
            "order_filled_timestamp": ts,
            "ft_is_entry": is_entry,
            "ft_order_tag": tag,
            "cost": amount * 100,
        }

    orders = [
        order(True, 1, 0),
        order(True, 3, 5, "increase"),
        order(False, 2, 9, "half"),
        order(True, 4, None),
        order(False, 2, 360),
    ]
    (event,), _ = read(
        written(tmp_path / "r.json", result(Trend=[backtest_trade(orders=orders, enter_tag="x")]))
    )
    assert [
        (a["action_category"], a["pattern_key"], a["ts"], a["size_frac"]) for a in event["actions"]
    ] == [
        ("entry", "pm.Trend.x", "2024-03-01T10:00:00Z", 0.25),
        ("add", "pm.Trend.increase", "2024-03-01T10:05:00Z", 0.75),
        ("trim", "pm.Trend.half", "2024-03-01T10:09:00Z", 0.5),
        ("exit", "pm.Trend.exit_signal", "2024-03-01T16:00:00Z", 1.0),
    ]


def test_what_is_open_or_broken(tmp_path: Path) -> None:
    trades = [
        backtest_trade(is_open=True),
        backtest_trade(profit_ratio="?"),
        backtest_trade(orders=["?"], pair="A/B"),
    ]
    events, notes = read(written(tmp_path / "r.json", result(Trend=trades)))
    assert [event["trade_summary"]["roi"] for event in events] == ["?", 0.0489]
    assert dict(notes) == {"trades that are still open, left out": 1}


def test_ratios_without_a_divisor_are_no_obstacle(tmp_path: Path) -> None:
    document = result(Trend=[backtest_trade()])
    document["strategy"]["Trend"]["profit_factor"] = float("inf")
    (event,), _ = read(written(tmp_path / "r.json", document))
    assert event["trade_summary"]["roi"] == 0.0489


def test_kinds_are_told_by_what_a_file_holds(tmp_path: Path) -> None:
    assert kind_of(written(tmp_path / "result.json", result(Trend=[]))) == "freqtrade"
    assert (
        kind_of(written(tmp_path / "config.json", {"strategy": "Trend", "trades": []})) == "table"
    )
    assert (
        kind_of(written(tmp_path / "close.json", {"schema_version": 1, "strategy": {"name": "x"}}))
        == "jsonl"
    )
    assert (
        kind_of(written(tmp_path / "late.json", {"comment": "-" * 100_000, **result(Trend=[])}))
        == "table"
    )
    assert kind_of("backtest.zip") == kind_of("tradesv3.sqlite") == kind_of("bot.db") == "freqtrade"


def test_what_is_no_result_is_said_in_a_sentence(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("config.json", json.dumps({"strategy": "Trend"}))
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "broken.json").write_text('{"strategy": {')
    for name, kind, says in (
        ("empty.zip", BadDataError, "no backtest result"),
        ("broken.zip", BadDataError, "damaged"),
        ("broken.json", BadDataError, "not JSON"),
        ("missing.zip", UsageError, "cannot be read"),
    ):
        with pytest.raises(kind, match=says):
            list(closes([str(tmp_path / name)], "freqtrade"))
    oldest = written(
        tmp_path / "oldest.json", {"strategy": {"Old": {"trades": [["ADA/BTC", 0.1]]}}}
    )
    with pytest.raises(BadDataError, match=r"trades\[0\] is not an object"):
        list(closes([oldest]))
