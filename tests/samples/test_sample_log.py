"""The committed log matches its metadata; every event is complete, finite and in order; the
settings beside it can learn from it.

May touch: samples/us_equities.*.
"""

from __future__ import annotations

import hashlib
import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import zstandard

from app.settings import Settings

HERE = Path(__file__).parents[2] / "samples"
NUMBERS = (
    "rr",
    "roi",
    "pnl_usd",
    "entry_price",
    "exit_price",
    "hold_time_days",
    "max_drawdown",
    "max_gain",
    "fees_usd",
)
STATES = {
    f"{of}_{horizon}"
    for of in ("index", "stock", "bucket")
    for horizon in ("macro", "meso", "micro")
}
SCOPE = STATES | {"vol_bucket", "bucket_rank_position", "bucket_leader"}
FIXED = {"curator", "A_mode", "E_mode", "bucket", "timeframe"}


def _no_constants(name: str) -> float:
    raise AssertionError(f"{name} in the log")


@pytest.fixture(scope="module")
def packed() -> bytes:
    return (HERE / "us_equities.jsonl.zst").read_bytes()


@pytest.fixture(scope="module")
def jsonl(packed: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(packed, max_output_size=1 << 30)


@pytest.fixture(scope="module")
def events(jsonl: bytes) -> list[dict[str, Any]]:
    return [json.loads(line, parse_constant=_no_constants) for line in jsonl.splitlines()]


@pytest.fixture(scope="module")
def metadata() -> dict[str, Any]:
    return json.loads((HERE / "us_equities.json").read_bytes())


def test_metadata_is_true(
    packed: bytes, jsonl: bytes, events: list[dict[str, Any]], metadata: dict[str, Any]
) -> None:
    assert hashlib.sha256(packed).hexdigest() == metadata["sha256"]
    assert hashlib.sha256(jsonl).hexdigest() == metadata["jsonl_sha256"]
    assert (len(packed), len(jsonl)) == (metadata["bytes"], metadata["jsonl_bytes"])
    assert len(events) == metadata["events"] == sum(metadata["events_by_rule"].values())
    assert sum(len(e["actions"]) for e in events) == metadata["actions"]
    assert metadata["first_exit"] == events[0]["trade_summary"]["exit_timestamp"]
    assert metadata["last_exit"] == events[-1]["trade_summary"]["exit_timestamp"]
    assert metadata["source"]["licence"] == "BSD-3-Clause"


def test_size(packed: bytes, events: list[dict[str, Any]]) -> None:
    assert len(packed) <= 5_000_000
    assert 20_000 <= len(events) <= 40_000
    assert max(len(e["actions"]) for e in events) > 30


def test_events_are_complete_and_finite(events: list[dict[str, Any]]) -> None:
    for e in events:
        assert e["schema_version"] == 1
        assert all(
            e[name]
            for name in (
                "event_id",
                "trade_id",
                "position_id",
                "symbol",
                "chain",
                "timeframe",
                "bucket",
            )
        )
        summary, context = e["trade_summary"], e["entry_context"]
        assert all(
            type(summary[name]) in (int, float) and math.isfinite(summary[name]) for name in NUMBERS
        )
        assert summary["entry_price"] > 0
        assert summary["max_drawdown"] >= 0
        assert summary["max_gain"] >= max(0, summary["roi"])
        drawdown = max(summary["max_drawdown"], 0.01)
        # roi and drawdown are given to 5 digits, rr to 4
        rounding = (1 + abs(summary["rr"])) * 0.5e-5 / drawdown + 1e-4
        assert abs(summary["rr"] - summary["roi"] / drawdown) <= rounding
        assert (
            summary["time_to_payback_days"] is None
            or 0 <= summary["time_to_payback_days"] <= summary["hold_time_days"]
        )
        assert set(context) <= SCOPE | FIXED
        assert set(context) >= FIXED
        for a in e["actions"]:
            assert a["pattern_key"].startswith("pm.")
            assert 0 < a["size_frac"] <= 1
            assert set(a["scope"]) <= SCOPE
            assert all(
                a["scope"][name] in ("S0", "S1", "S2", "S3", "S4")
                for name in STATES & set(a["scope"])
            )


def test_actions_tell_a_trade(events: list[dict[str, Any]]) -> None:
    for e in events:
        categories = [a["action_category"] for a in e["actions"]]
        assert categories[0] == "entry"
        assert categories[-1] == "exit"
        assert set(categories[1:-1]) <= {"add", "trim"}
        times = [a["ts"] for a in e["actions"]]
        assert times == sorted(set(times))
        summary = e["trade_summary"]
        assert times[0] < summary["entry_timestamp"] <= times[-1] < summary["exit_timestamp"]
        first, context = e["actions"][0]["scope"], e["entry_context"]
        assert first == {name: context[name] for name in first}


def test_order_and_identity(events: list[dict[str, Any]]) -> None:
    order = [(e["trade_summary"]["exit_timestamp"], e["event_id"]) for e in events]
    assert order == sorted(order)
    assert (
        len({e["trade_id"] for e in events}) == len({e["event_id"] for e in events}) == len(events)
    )
    assert len({a["action_id"] for e in events for a in e["actions"]}) == sum(
        len(e["actions"]) for e in events
    )


def test_trades_overlap_lose_and_gap(events: list[dict[str, Any]]) -> None:
    spans = sorted(
        (e["trade_summary"]["entry_timestamp"], e["trade_summary"]["exit_timestamp"])
        for e in events
        if e["symbol"] == "KO"
    )
    assert sum(a[1] > b[0] for a, b in pairwise(spans)) > len(spans) / 2
    streak = longest = 0
    for e in events:
        streak = streak + 1 if e["trade_summary"]["roi"] < 0 else 0
        longest = max(longest, streak)
    assert longest > 20
    assert min(e["trade_summary"]["roi"] for e in events) < -0.3


def test_settings_beside_it_are_valid_and_fit(events: list[dict[str, Any]]) -> None:
    lines = (HERE / "us_equities.env").read_text().splitlines()
    settings = Settings.from_environment(
        dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    )
    assert settings.window_days > 365
    for dimension in settings.dimensions:
        values = {str(e["entry_context"].get(dimension)) for e in events} - {"None"}
        assert 2 <= len(values) <= 7, dimension
