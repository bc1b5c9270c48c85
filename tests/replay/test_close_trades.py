"""A replay makes the same trades of closes, in whatever form, as ingest does through facts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.replay.close_trades import CloseTrades
from edgeloop.scope import DEFAULT_DIMENSIONS
from tests.closes.events import ABSENT, NEW, OLDER, TIMESTAMP_MS, assert_replayed_alike, broken

TIMES = [
    "2026-01-08T12:00:00.5Z",
    "2026-01-08T12:00:00.123456789Z",
    "2026-01-08T12:00:00+05:30",
    "2026-01-08T12:00:00-23:59",
    "2026-01-08T12:00:00,5Z",
    "2026-01-08t12:00:00z",
    "2026-01-08 12:00:00Z",
    "2026-01-08T12:00Z",
    "2026-01-08T24:00:00Z",
    "2026-01-08T12:00:00",
    "2026-01-08T12:00:00+0100",
    "2026-01-08T12:00:00+01:00:00",
    "2026-W02-4T12:00:00Z",
    "2025-02-29T12:00:00Z",
    "2016-12-31T23:59:60Z",
    "2016-12-31T23:58:60Z",
    "1969-12-31T23:59:59Z",
    "1970-01-01T00:00:00+01:00",
    "1999-12-31T23:59:59Z",
    "2999-01-01T00:00:00Z",
    "\u0662026-01-08T12:00:00Z",
]
OTHERS: list[tuple[str, Any]] = [
    ("actions.1.action_id", "a-0"),
    ("actions.1.action_id", "t-1/2"),
    ("actions.0.scope.btc_macro", 1),
    ("actions.0.scope.chain", " sol "),
    (
        "actions.0.applied_overrides",
        [{"multiplier": 1, "learned": 1, "propensity": 1, "explore": 1}],
    ),
    ("actions.0.applied_overrides", []),
    ("actions.0.pattern_key", "module=other|pattern_key=a"),
    ("entry_context", ABSENT),
    ("entry_context.chain", "\u00a0ether "),
    ("entry_context.chain", []),
    ("module", None),
    ("module", "a b"),
    ("bucket", "unknown"),
    ("revision", None),
    ("trade_summary.rr", ABSENT),
    ("trade_summary.rr", -1e9),
    ("trade_summary.time_to_payback_days", -1),
]


@pytest.mark.parametrize("text", TIMES)
@pytest.mark.parametrize(
    "path", ["trade_summary.exit_timestamp", "trade_summary.entry_timestamp", "actions.2.ts"]
)
def test_times(path: str, text: str) -> None:
    assert_replayed_alike(broken(NEW, path, text))


@pytest.mark.parametrize(("path", "value"), OTHERS)
def test_other_fields(path: str, value: Any) -> None:
    assert_replayed_alike(broken(NEW, path, value))


def test_forms_of_a_value() -> None:
    text = json.dumps(NEW)
    for value in (
        text,
        json.dumps(OLDER),
        text.replace('"event_id"', '"trade_id": "first", "event_id"'),
        text.replace("sol", "\\u0073ol"),
        text.replace("sol", "\\u0000"),
        text.replace(": 2,", ": 2.0,"),
    ):
        assert_replayed_alike(value.encode())
    assert_replayed_alike(None)
    assert_replayed_alike(b"\xef\xbb\xbf" + text.encode())


def test_a_usual_close_needs_no_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("app.replay.close_trades.check")
    exit_us, trades = CloseTrades(DEFAULT_DIMENSIONS, "rr").of(
        json.dumps(NEW).encode(), TIMESTAMP_MS
    )
    assert exit_us == 1_767_960_000_000_000
    assert len(trades) == 3
