"""Events for the tests of input validation: a plain valid close in each envelope, and a function
that breaks one value of it."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.closes import RefusedCloseError, explode
from app.learning.common.trade import packed, trade_from_fact
from app.replay.close_trades import CloseTrades
from edgeloop.scope import DEFAULT_DIMENSIONS
from schemas.facts import PatternTradeEvent

TIMESTAMP_MS = round(datetime(2026, 1, 10, tzinfo=UTC).timestamp() * 1000)
ABSENT = object()

NEW: dict[str, Any] = {
    "event_id": "e-1",
    "schema_version": 1,
    "revision": 2,
    "module": "pm",
    "trade_id": "t-1",
    "position_id": "p-1",
    "symbol": "ABC",
    "chain": "sol",
    "timeframe": "1h",
    "bucket": "micro",
    "entry_context": {"chain": "sol", "curator": "c1", "btc_macro": "S0", "intent": "unknown"},
    "regime_context": {"btc_macro": "S3"},
    "trade_summary": {
        "exit_timestamp": "2026-01-09T12:00:00Z",
        "entry_timestamp": "2026-01-07T12:00:00Z",
        "rr": 1.5,
        "roi": 0.25,
        "pnl_usd": 120,
        "entry_price": 1.0,
        "exit_price": 1.25,
        "hold_time_days": 2,
        "time_to_payback_days": 1.0,
        "max_drawdown": 0.1,
        "max_gain": 0.3,
        "fees_usd": 0.5,
    },
    "actions": [
        {
            "action_id": "a-0",
            "ts": "2026-01-07T12:00:00Z",
            "pattern_key": "pm.uptrend.S1.entry",
            "action_category": "entry",
            "scope": {"btc_macro": "S1", "bucket_rank_position": 1.0},
            "size_frac": 0.5,
            "applied_overrides": ["o-1", "o-2"],
        },
        {
            "action_id": "a-1",
            "ts": "2026-01-08T12:00:00Z",
            "pattern_key": "uptrend.S1.add",
            "action_category": "add",
            "scope": {"chain": "eth", "btc_macro": "S4"},
        },
        {
            "ts": "2026-01-08T13:00:00+01:00",
            "pattern_key": "module=pm|pattern_key=uptrend.S1.add",
            "action_category": "add",
        },
        {
            "action_id": "a-3",
            "ts": "2026-01-09T12:00:00Z",
            "pattern_key": "uptrend.S1.exit",
            "action_category": "exit",
            "scope": None,
        },
    ],
}

OLDER: dict[str, Any] = {
    "id": "e-1",
    "kind": "position_closed",
    "module": "pm",
    "symbol": "ABC",
    "content": {
        "trade_id": "t-1",
        "position_id": "p-1",
        "chain": "sol",
        "timeframe": "1h",
        "bucket": "micro",
        "entry_context": NEW["entry_context"],
        "trade_summary": {
            "exit_timestamp": "2026-01-09T12:00:00Z",
            "rr": 1.5,
            "rpnl_pct": 25,
            "max_gain": None,
        },
        "completed_trades": [
            {"trade_id": "t-0", "actions": "ignored"},
            {"trade_id": "t-1", "actions": [], "summary": {"rr": "ignored"}},
            {
                "trade_id": "t-1",
                "summary": {
                    "rr": -9,
                    "rpnl_usd": 120,
                    "max_gain": 0.3,
                    "entry_timestamp": "2026-01-07T12:00:00Z",
                },
                "actions": [
                    {"strand_id" if k == "action_id" else k: v for k, v in action.items()}
                    for action in NEW["actions"]
                ],
            },
            5,
            {"trade_id": "t-2"},
            {"trade_id": 1},
        ],
    },
}


def broken(event: dict[str, Any], path: str, value: Any) -> bytes:
    """`event` as JSON with `value` at `path` (`actions.1.scope.chain`), or without that member
    where it is ABSENT."""
    tree = copy.deepcopy(event)
    node: Any = tree
    *steps, last = [int(s) if s.isdigit() else s for s in path.split(".")]
    for step in steps:
        node = node[step]
    if value is ABSENT:
        del node[last]
    else:
        node[last] = value
    return json.dumps(tree).encode()


def facts(value: bytes | None, **changed: Any) -> tuple[PatternTradeEvent, ...]:
    """`explode` with the settings' defaults."""
    arguments = {
        "timestamp_ms": TIMESTAMP_MS,
        "dimensions": DEFAULT_DIMENSIONS,
        "outcome": "rr",
    } | changed
    return explode(value, arguments.pop("timestamp_ms"), **arguments)


def assert_replayed_alike(value: bytes | None) -> None:
    """A replay makes of it the trades of its facts, or refuses it for the same reason."""
    wanted: object
    found: object
    try:
        trades = [trade_from_fact(fact, "rr") for fact in facts(value)]
        wanted = [trade._replace(rank=packed(trade.rank)) for trade in trades if trade]
    except RefusedCloseError as error:
        wanted = str(error)
    try:
        _, rows = CloseTrades(DEFAULT_DIMENSIONS, "rr").of(value, TIMESTAMP_MS)
        found = [row for _, row in rows]
        assert [group for group, _ in rows] == [
            (fact.module, fact.pattern_key, fact.action_category) for fact in facts(value)
        ]
    except RefusedCloseError as error:
        found = str(error)
    assert found == wanted


def refused(value: bytes | None, **changed: Any) -> tuple[str, str]:
    """Reason and path of the dead letter of `value`."""
    with pytest.raises(RefusedCloseError) as caught:
        facts(value, **changed)
    error = caught.value
    # Headers must be encodable and short.
    assert max(len(text.encode()) for text in (error.reason, error.path, error.exception)) < 3_000
    assert ": " in error.exception
    return error.reason, error.path
