"""nautilus_trader's events: alone, with openings and changes in any order, netted positions,
Parquet, other events, broken lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.sources import Notes, closes
from app.sources.read import kind_of
from tests.sources.making import (
    facts,
    position_changed,
    position_closed,
    position_opened,
    read,
    steps,
)


def lines(path: Path, *events: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return str(path)


def test_a_close_alone_is_an_entry_and_an_exit(tmp_path: Path) -> None:
    path = lines(tmp_path / "events.jsonl", position_closed())
    assert kind_of(path) == "nautilus"
    (event,), notes = read(path)
    assert event == {
        "event_id": "2d89666b-1a1e-4a75-b193-4eb3b454c757",
        "schema_version": 1,
        "module": "pm",
        "trade_id": "TRADER-001/P-1/1700000000000000001",
        "position_id": "P-1",
        "symbol": "ETHUSDT-PERP",
        "chain": "BINANCE",
        "entry_context": {"symbol": "ETHUSDT-PERP", "venue": "BINANCE", "is_short": True},
        "trade_summary": {
            "entry_timestamp": "2023-11-14T22:13:20Z",
            "exit_timestamp": "2023-11-15T22:13:20Z",
            "entry_price": 2000.0,
            "exit_price": 1900.0,
            "roi": 0.05,
            "pnl_usd": 296.1,
            "hold_time_days": 1.0,
        },
        "actions": [
            {
                "ts": "2023-11-14T22:13:20Z",
                "pattern_key": "pm.EMACross-000.entry",
                "action_category": "entry",
            },
            {
                "ts": "2023-11-15T22:13:20Z",
                "pattern_key": "pm.EMACross-000.exit",
                "action_category": "exit",
                "size_frac": 1.0,
            },
        ],
    }
    assert dict(notes) == {}
    entry, _ = facts(event)
    assert entry.actions[0].scope == {"symbol": "ETHUSDT-PERP", "is_short": "true"}
    assert len(facts(event, "pnl")) == 2


def test_openings_and_changes_become_adds_and_trims_wherever_they_are(tmp_path: Path) -> None:
    later = {"ts_event": 1_700_000_120_000_000_000, "event_id": "c"}
    trimmed = position_changed(quantity="2.000", signed_qty=-2.0, last_qty="1.000", **later)
    one = lines(tmp_path / "a.jsonl", position_closed(), trimmed)
    other = lines(
        tmp_path / "b.jsonl",
        position_opened(),
        position_changed(),
        position_opened(position_id="P-2"),
    )
    (event,), notes = read(one, other)
    assert [(a["action_category"], a["ts"], a["size_frac"]) for a in event["actions"]] == [
        ("entry", "2023-11-14T22:13:20Z", 0.333333),
        ("add", "2023-11-14T22:14:20Z", 0.666667),
        ("trim", "2023-11-14T22:15:20Z", 0.333333),
        ("exit", "2023-11-15T22:13:20Z", 1.0),
    ]
    assert dict(notes) == {"positions that are still open, left out": 1}
    # Without the opening, the part below the peak was trimmed.
    (event,), _ = read(lines(tmp_path / "c.jsonl", position_changed(), trimmed, position_closed()))
    assert [category for category, _ in steps(event)] == ["entry", "add", "trim", "exit"]


def test_netted_positions_share_an_id_and_are_told_apart_by_their_opening(tmp_path: Path) -> None:
    again = {
        "ts_opened": 1_700_100_000_000_000_000,
        "ts_closed": 1_700_200_000_000_000_000,
        "event_id": "z",
    }
    change = position_changed(ts_opened=again["ts_opened"], ts_event=again["ts_opened"] + 5)
    events, _ = read(
        lines(tmp_path / "n.jsonl", position_closed(), change, position_closed(**again))
    )
    assert [len(event["actions"]) for event in events] == [2, 3]
    assert len({event["trade_id"] for event in events}) == 2


def test_the_parquet_of_its_catalog(tmp_path: Path) -> None:
    text = {"trader_id", "strategy_id", "instrument_id", "account_id"}
    whole = {"ts_opened", "ts_closed", "ts_event", "ts_init", "duration_ns"}
    number = {
        "signed_qty",
        "quantity",
        "peak_qty",
        "last_qty",
        "last_px",
        "avg_px_open",
        "avg_px_close",
        "realized_return",
        "realized_pnl",
    }

    def written(name: str, event: dict[str, Any]) -> str:
        event.pop("type")
        fields = []
        for column, value in event.items():
            if column in number | {"unrealized_pnl"}:
                event[column] = float(str(value).split()[0])
                fields.append(pa.field(column, pa.float64()))
            elif column in text:
                fields.append(pa.field(column, pa.dictionary(pa.int16(), pa.string())))
            else:
                fields.append(pa.field(column, pa.uint64() if column in whole else pa.string()))
        pq.write_table(pa.Table.from_pylist([event], schema=pa.schema(fields)), tmp_path / name)
        return str(tmp_path / name)

    paths = [
        written("position_closed.parquet", position_closed()),
        written("position_changed.parquet", position_changed()),
        written("position_opened.parquet", position_opened()),
    ]
    assert [kind_of(path) for path in paths] == ["nautilus"] * 3
    from_parquet, _ = read(*paths)
    from_lines, _ = read(
        lines(tmp_path / "same.jsonl", position_closed(), position_changed(), position_opened())
    )
    assert from_parquet == from_lines


def test_other_events_are_counted_and_broken_lines_passed_on(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "mixed.jsonl",
        position_closed(),
        {"type": "OrderFilled", "event_id": "f"},
        {"what": "?"},
    )
    with Path(path).open("a") as file:
        file.write("{not json\n")
    notes = Notes()
    found = list(closes([path], notes=notes))
    assert [closed.value for closed in found[1:]] == [b'{"what": "?"}', b"{not json"]
    assert [closed.place for closed in found] == [f"{path}:1", f"{path}:3", f"{path}:4"]
    assert dict(notes) == {
        "events of the type OrderFilled, which is not a position event, left out": 1
    }


@pytest.mark.parametrize(
    ("changes", "outcomes"),
    [
        ({"realized_pnl": "0.5 BTC"}, {"roi": 0.05}),
        ({"realized_pnl": "-1_234.50 USD"}, {"roi": 0.05, "pnl_usd": -1234.5}),
        ({"realized_pnl": 12, "currency": "USDC"}, {"roi": 0.05, "pnl_usd": 12}),
        ({"realized_pnl": "much USD"}, {"roi": 0.05, "pnl_usd": "much USD"}),
        ({"realized_return": None}, {"pnl_usd": 296.1}),
    ],
)
def test_money(changes: dict[str, Any], outcomes: dict[str, Any], tmp_path: Path) -> None:
    (event,), _ = read(lines(tmp_path / "m.jsonl", position_closed(**changes)))
    summary = event["trade_summary"]
    assert {name: summary[name] for name in ("roi", "pnl_usd") if name in summary} == outcomes
