"""A draft maps usual columns, fixes the edges of buckets, leaves out columns that were known only
afterwards, and works unchanged."""

from __future__ import annotations

import csv
import json
import random
import tomllib
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import BadDataError
from app.sources import Notes, closes
from app.sources.draft import draft
from app.sources.mapping_file import load
from tests.sources.making import facts, read

JOURNAL = Path(__file__).parents[2] / "samples" / "journal.csv.gz"


def table(path: Path, columns: str, rows: list[tuple[Any, ...]], **how: Any) -> str:
    with path.open("w", newline="") as file:
        csv.writer(file, **how).writerows([columns.split("|"), *rows])
    return str(path)


def drafted(path: str) -> dict[str, Any]:
    return tomllib.loads(draft(path, "t").text)


def test_the_sample_journal_goes_in_as_it_is_drafted(tmp_path: Path) -> None:
    made = draft(str(JOURNAL), JOURNAL.name)
    mapping = tmp_path / "m.toml"
    mapping.write_text(made.text)
    notes = Notes()
    found = list(islice(closes([str(JOURNAL)], mapping=mapping, notes=notes), 6_000))
    assert dict(notes) == {}
    scope = ("bucket", "speed", "plan", "volatility_pct", "trend_pct", "market_trend_pct")
    for closed in found[:300]:
        entry, exit_ = facts(closed, "rr", scope)
        assert set(entry.actions[0].scope) == set(scope)
        assert (entry.pattern_key[:3], exit_.action_category) == ("pm.", "exit")
    volatility = [json.loads(c.value)["entry_context"]["volatility_pct"] for c in found]
    assert all(0.2 < volatility.count(label) / len(found) < 0.5 for label in ("low", "mid", "high"))
    assert (
        made.left[0]
        == "The time zone of closed and opened: without an offset, they are read as UTC."
    )


def test_the_samples_own_mapping_is_the_draft_with_what_was_decided(tmp_path: Path) -> None:
    own = load(JOURNAL.with_name("journal.toml"))
    mapping = tmp_path / "m.toml"
    mapping.write_text(draft(str(JOURNAL), JOURNAL.name).text)
    guessed = load(mapping)
    assert (own.columns, own.pattern, own.buckets) == (
        guessed.columns,
        guessed.pattern,
        guessed.buckets,
    )
    assert dict(guessed.scope) == {"symbol": "symbol", **own.scope}


def test_edges_are_quantiles_fixed_in_the_text(tmp_path: Path) -> None:
    numbers = random.Random(3)
    values = [numbers.lognormvariate(3, 1) for _ in range(900)]
    path = table(
        tmp_path / "t.csv",
        "exit_time|roi|atr",
        [("2024-01-01T00:00:00Z", "0.1", f"{v:.4f}") for v in values],
    )
    made = drafted(path)
    edges = made["buckets"]["atr"]["edges"]
    assert edges == pytest.approx(np.quantile(values, [1 / 3, 2 / 3]).tolist(), rel=0.006)
    assert made["buckets"]["atr"]["labels"] == ["low", "mid", "high"]
    assert made["scope"] == {"atr": "atr"}


@pytest.mark.parametrize(
    ("columns", "row", "expected"),
    [
        (
            "Trade #|Open Date|Close Date|Pair|Direction|Strategy|Profit %",
            ("1", "2024-03-01 10:00", "2024-03-02 11:00", "BTC/USDT", "long", "x", "3.5%"),
            {
                "entry_timestamp": "Open Date", "exit_timestamp": "Close Date", "symbol": "Pair",
                "side": "Direction", "roi": "Profit %",
            },
        ),
        (
            "entryTime|exitTime|Ticker|P&L|R|qty|entryPrice|exitPrice|Commission",
            ("1709287200", "1709290800", "SPY", "$12.50", "1.5", "10", "100", "101.25", "1"),
            {
                "entry_timestamp": {"column": "entryTime", "unit": "s"},
                "exit_timestamp": {"column": "exitTime", "unit": "s"},
                "symbol": "Ticker", "pnl_usd": "P&L", "rr": "R", "quantity": "qty",
                "entry_price": "entryPrice", "exit_price": "exitPrice", "fees_usd": "Commission",
            },
        ),
        (
            "opened_at|closed_at|instrument|return",
            ("13/02/2024 10:00", "14/02/2024 10:00", "EURUSD", "0.02"),
            {
                "entry_timestamp": {"column": "opened_at", "format": "%d/%m/%Y %H:%M"},
                "exit_timestamp": {"column": "closed_at", "format": "%d/%m/%Y %H:%M"},
                "symbol": "instrument", "roi": "return",
            },
        ),
        (
            "Closed|Profit|Result",
            ("2024-01-01", "2.5%", "125"),
            {"exit_timestamp": "Closed", "roi": "Profit", "pnl_usd": "Result"},
        ),
        (
            "close_time|pnl_pct|mae_pct",
            ("1709287200123", "2.5", "-1.2"),
            {
                "exit_timestamp": {"column": "close_time", "unit": "ms"},
                "roi": {"column": "pnl_pct", "scale": 0.01},
                "max_drawdown": {"column": "mae_pct", "scale": 0.01},
            },
        ),
    ],
)  # fmt: skip
def test_the_columns_that_people_have(
    columns: str, row: tuple[str, ...], expected: dict[str, Any], tmp_path: Path
) -> None:
    path = table(tmp_path / "t.csv", columns, [row] * 3)
    made = drafted(path)
    assert made["rows"] == "positions"
    assert made["columns"] == expected
    mapping = tmp_path / "m.toml"
    mapping.write_text(draft(path, "t").text)
    events, _ = read(path, mapping=mapping)
    outcome = "roi" if "roi" in events[0]["trade_summary"] else "pnl"
    assert all(facts(event, outcome) for event in events)


def test_what_was_known_only_afterwards_is_left_out_with_the_reason(tmp_path: Path) -> None:
    rows = [
        (
            "2024-01-01",
            "0.1",
            f"{i % 7}",
            "stop" if i % 2 else "target",
            i % 3,
            f"text {i}",
            "same",
            f"{i * 1.5}",
            "",
        )
        for i in range(60)
    ]
    columns = "exit_date|roi|hold_hours|exit_reason|stars|remark|desk|atr|nothing"
    made = draft(table(tmp_path / "t.csv", columns, rows), "t")
    document = tomllib.loads(made.text)
    assert document["scope"] == {"stars": "stars", "atr": "atr"}
    assert document["pattern"] == {"entry": "trades.entry", "exit": "trades.{exit_reason}"}
    for line in (
        '# hold_hours = "hold_hours"  # left out: its name suggests that it is known only after the'
        " entry",
        '# remark = "remark"  # left out: it has 60 different values',
        '# desk = "desk"  # left out: it is constant',
        '# nothing = "nothing"  # left out: it is empty',
    ):
        assert line in made.text.splitlines()
    assert any("which column has the kind of trade" in sentence.lower() for sentence in made.left)


def test_fills_are_recognised_and_go_in(tmp_path: Path) -> None:
    rows = [
        (
            f"2024-01-0{i + 1} 10:00:00",
            "AAPL",
            ("BOT", "SLD")[i % 2],
            "10",
            f"{100 + i}",
            "-1.0",
            f"E{i}",
            "U1",
        )
        for i in range(4)
    ]
    path = table(
        tmp_path / "t.csv", "Date/Time|Symbol|Side|Quantity|Price|Commission|ExecID|Account", rows
    )
    made = drafted(path)
    assert made["rows"] == "fills"
    assert made["columns"] == {
        "time": "Date/Time",
        "symbol": "Symbol",
        "side": "Side",
        "quantity": "Quantity",
        "price": "Price",
        "fee": {"column": "Commission", "scale": -1},
        "fill_id": "ExecID",
        "account": "Account",
    }
    mapping = tmp_path / "m.toml"
    mapping.write_text(draft(path, "t").text)
    events, _ = read(path, mapping=mapping)
    assert [event["trade_summary"]["pnl_usd"] for event in events] == [8.0, 8.0]


def test_an_entry_and_an_exit_in_two_rows_are_fills_of_one_symbol(tmp_path: Path) -> None:
    rows = [
        ("2", "Exit short", "stop", "2024-01-03 11:00", "98", "2"),
        ("2", "Entry short", "fade", "2024-01-03 10:00", "100", "2"),
        ("1", "Exit long", "target", "2024-01-02 11:00", "105", "2"),
        ("1", "Entry long", "gap", "2024-01-02 10:00", "100", "2"),
    ]
    path = table(tmp_path / "t.csv", "Trade #|Type|Signal|Date/Time|Price|Contracts", rows)
    made = drafted(path)
    assert (made["rows"], made["constants"]) == ("fills", {"symbol": "none"})
    mapping = tmp_path / "m.toml"
    mapping.write_text(draft(path, "t").text)
    events, _ = read(path, mapping=mapping)
    assert [event["trade_summary"]["pnl_usd"] for event in events] == [10.0, 4.0]
    assert [a["pattern_key"] for a in events[0]["actions"]] == ["pm.gap.entry", "pm.target.exit"]


@pytest.mark.parametrize(
    ("encoding", "written"),
    [("cp1252", "cp1252"), ("utf-16", "utf-16"), ("utf-8-sig", None), ("utf-8", None)],
)
def test_the_encodings_that_spreadsheets_write(
    encoding: str, written: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(
        "exit_date;roi;Größe\n2024-01-01;0,5 %;groß\n2024-01-02;0,5 %;klein\n".encode(encoding)
    )
    made = drafted(str(path))
    assert made.get("encoding") == written
    mapping = tmp_path / "m.toml"
    mapping.write_text(draft(str(path), "t").text, encoding="utf-8")
    events, _ = read(path, mapping=mapping)
    assert [event["entry_context"] for event in events] == [{"größe": "groß"}, {"größe": "klein"}]


def test_what_follows_the_profit_is_left_out_of_the_scope(tmp_path: Path) -> None:
    profits = [5.0, -3.0, 8.0, -2.0, 1.0, -6.0, 4.0, 2.0, -1.0, -4.0]
    rows = [
        (f"2024-01-{i + 10}", profit, 100 + profit * 1.1, "gut" if profit > 0 else "nicht", i % 2)
        for i, profit in enumerate(profits)
    ]
    columns = "exit_date|roi_pct|kasse|ampel|stufe"
    made = draft(table(tmp_path / "t.csv", columns, rows), "t")
    assert tomllib.loads(made.text)["scope"] == {"stufe": "stufe"}
    for column in ("kasse", "ampel"):
        assert any(f"{column}, it follows the profit" in sentence for sentence in made.guessed)


def test_decimal_commas_defaults_and_odd_names(tmp_path: Path) -> None:
    rows = [
        (f"0{i + 1}.03.2024", "2,5", "" if i % 2 else "Lücke", f"{i},25", 'say "x"')
        for i in range(9)
    ]
    path = table(
        tmp_path / "t.csv", 'exit_date|roi %|Setup|Stärke, heute|say "it"', rows, delimiter=";"
    )
    document = drafted(path)
    assert document["decimal"] == ","
    assert document["defaults"] == {"Setup": "none"}
    assert document["scope"] == {"stärke_heute": "Stärke, heute"}
    assert set(document["buckets"]) == {"Stärke, heute"}
    mapping = tmp_path / "m.toml"
    mapping.write_text(draft(path, "t").text, encoding="utf-8")
    events, _ = read(path, mapping=mapping)
    assert [e["entry_context"]["stärke_heute"] for e in events] == ["low"] * 3 + ["mid"] * 3 + [
        "high"
    ] * 3
    assert events[0]["trade_summary"]["roi"] == 0.025


def test_nothing_to_guess_from(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match="has no row"):
        draft(table(tmp_path / "a.csv", "exit_time|roi", []), "a")
    with pytest.raises(
        BadDataError, match="looks like the time of a close: its columns are colour, shape"
    ):
        draft(table(tmp_path / "b.csv", "colour|shape", [("red", "round")]), "b")
    (made,) = [draft(table(tmp_path / "c.csv", "day|colour", [("2024-01-01", "red")]), "c")]
    assert made.left[0] == "Which column is the time of the close: day was taken."
    assert any("without one nothing can be learned" in sentence for sentence in made.asked)


@pytest.mark.parametrize(
    "columns",
    ["Opened|Closed|Symbol|Entry|Exit", "Opened|Closed|Symbol|Entry|Exit|Side|Qty|P&L"],
)
def test_prices_may_be_0(columns: str, tmp_path: Path) -> None:
    rows: list[tuple[Any, ...]] = [
        ("2024-03-04", "2024-03-05", "XYZ", 0, 5, "Long", 10, 50),
        ("2024-03-06", "2024-03-07", "XYZ", 4, 0, "Long", 3, -12),
        ("2024-03-08", "2024-03-09", "XYZ", 0, 2, "Long", 3, 6),
    ]
    n = len(columns.split("|"))
    assert drafted(table(tmp_path / "t.csv", columns, [row[:n] for row in rows]))["columns"]
