"""Rows that are closed positions: fields, times, numbers, buckets, computed fields, ids, and
unreadable cells; CSV and Parquet."""

from __future__ import annotations

import csv
import gzip
import io
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from app.closes import RefusedCloseError
from app.errors import BadDataError, ConfigurationError, UsageError
from app.sources import closes
from tests.sources.making import facts, read, steps

MAPPING = """
timezone = "America/New_York"
[columns]
trade_id = "no"
entry_timestamp = "in"
exit_timestamp = {column = "out", format = "%d.%m.%Y %H:%M", timezone = "Europe/Berlin"}
symbol = "ticker"
roi = {column = "ret", scale = 0.01}
max_drawdown = {column = "dd", scale = 0.01}
pnl_usd = "pnl"
[constants]
timeframe = "1d"
[pattern]
entry = "{setup}.in"
exit = "{setup}.{why}"
[scope]
setup = "setup"
vol = "volatility"
n = "n"
[exit_scope]
why = "why"
[buckets]
volatility = {edges = [10, 20.5], labels = ["low", "mid", "high"]}
[defaults]
setup = "none"
"""
COLUMNS = ("no", "in", "out", "ticker", "ret", "dd", "pnl", "setup", "why", "volatility", "n")
ROW = (
    "7",
    "2024-03-01 09:30",
    "02.03.2024 16:00",
    "SPY",
    "1.50",
    "-0.75",
    "$1,250.00",
    "Gap & Go",
    "target",
    "20.5",
    "3",
)


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "m.toml"
    path.write_text(MAPPING)
    return path


def table(
    path: Path, *rows: tuple[Any, ...], columns: tuple[str, ...] = COLUMNS, **how: Any
) -> str:
    with path.open("w", newline="") as file:
        csv.writer(file, **how).writerows([columns, *rows])
    return str(path)


def row(**changes: str) -> tuple[str, ...]:
    return tuple({**dict(zip(COLUMNS, ROW, strict=True)), **changes}.values())


def test_a_row_in_whole(mapping: Path, tmp_path: Path) -> None:
    (event,), notes = read(table(tmp_path / "t.csv", ROW), mapping=mapping)
    scope = {"setup": "Gap & Go", "vol": "high", "n": "3"}
    assert event == {
        "event_id": "7/closed",
        "schema_version": 1,
        "module": "pm",
        "trade_id": "7",
        "symbol": "SPY",
        "timeframe": "1d",
        "entry_context": scope,
        "trade_summary": {
            "entry_timestamp": "2024-03-01T14:30:00Z",
            "exit_timestamp": "2024-03-02T15:00:00Z",
            "roi": 0.015,
            "max_drawdown": 0.0075,
            "rr": 2.0,
            "pnl_usd": 1250.0,
            "hold_time_days": 1.020833,
        },
        "actions": [
            {
                "ts": "2024-03-01T14:30:00Z",
                "pattern_key": "pm.Gap_&_Go.in",
                "action_category": "entry",
                "scope": scope,
            },
            {
                "ts": "2024-03-02T15:00:00Z",
                "pattern_key": "pm.Gap_&_Go.target",
                "action_category": "exit",
                "scope": {"why": "target"},
            },
        ],
    }
    assert dict(notes) == {}
    entry, exit_ = facts(event, "rr", ("vol", "why"))
    assert (entry.actions[0].scope, exit_.actions[0].scope) == (
        {"vol": "high"},
        {"vol": "high", "why": "target"},
    )


@pytest.mark.parametrize(
    ("volatility", "label"),
    [("9.99", "low"), ("10", "mid"), ("20.49", "mid"), ("1e3", "high"), ("-5", "low"), ("", None)],
)
def test_edges_belong_to_the_bucket_above(
    volatility: str, label: str | None, mapping: Path, tmp_path: Path
) -> None:
    (event,), _ = read(table(tmp_path / "t.csv", row(volatility=volatility)), mapping=mapping)
    assert event["entry_context"].get("vol") == label


@pytest.mark.parametrize(
    ("changes", "reason", "path"),
    [
        ({"out": "yesterday"}, "bad_time", "$.trade_summary.exit_timestamp"),
        ({"out": ""}, "missing_field", "$.trade_summary.exit_timestamp"),
        ({"in": "2024-13-01"}, "bad_time", "$.trade_summary.entry_timestamp"),
        ({"in": "2024-03-05"}, "exit_before_entry", "$.trade_summary.exit_timestamp"),
        ({"ret": "much"}, "wrong_type", "$.trade_summary.roi"),
        ({"ret": "inf"}, "wrong_type", "$.trade_summary.roi"),
        ({"ret": ""}, "missing_outcome", "$.trade_summary.roi"),
        ({"pnl": "12.3.4"}, "wrong_type", "$.trade_summary.pnl_usd"),
        ({"volatility": "calm"}, "wrong_type", "$.entry_context.vol"),
        ({"why": ""}, "bad_pattern_key", "$.actions[1].pattern_key"),
        ({"no": "x" * 201}, "too_long", "$.event_id"),
        ({"ticker": "a\0b"}, "bad_text", "$.symbol"),
    ],
)
def test_what_cannot_be_mapped_is_refused_at_its_cell(
    changes: dict[str, str], reason: str, path: str, mapping: Path, tmp_path: Path
) -> None:
    file = table(
        tmp_path / "t.csv", ROW, row(no="8", **changes) if "no" not in changes else row(**changes)
    )
    good, bad = closes([file], mapping=mapping)
    assert len(facts(good)) == 2
    with pytest.raises(RefusedCloseError) as error:
        facts(bad, dimensions=("vol",))
    assert (error.value.reason, error.value.path, bad.place) == (reason, path, f"{file}:3")


def test_rows_whose_columns_have_slipped(mapping: Path, tmp_path: Path) -> None:
    long_, short = closes(
        [table(tmp_path / "t.csv", (*ROW, "and", "more"), ROW[:3])], mapping=mapping
    )
    with pytest.raises(RefusedCloseError, match=r"wrong_type at \$\.trade_summary"):
        facts(long_)
    with pytest.raises(RefusedCloseError, match=r"missing_outcome at \$\.trade_summary\.roi"):
        facts(short)


def test_an_empty_cell_takes_the_default(mapping: Path, tmp_path: Path) -> None:
    (event,), _ = read(table(tmp_path / "t.csv", row(setup=" ")), mapping=mapping)
    assert steps(event)[0] == ("entry", "pm.none.in")


def test_ids_come_from_the_column_or_from_what_a_row_holds(tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(MAPPING.replace('trade_id = "no"\n', ""))
    rows = [row(ticker=t) for t in ("A", "B", "B", "C")]
    first, _ = read(table(tmp_path / "a.csv", *rows), mapping=mapping)
    order = (3, 2, 0, 1)
    other, _ = read(table(tmp_path / "b.csv", *(rows[i] for i in order)), mapping=mapping)
    assert sorted(e["trade_id"] for e in first) == sorted(e["trade_id"] for e in other)
    assert len({e["trade_id"] for e in first}) == 4
    assert first[2]["trade_id"] == f"{first[1]['trade_id']}/2"
    again, _ = read(tmp_path / "a.csv", mapping=mapping)
    assert first == again


PRICES = """
[columns]
exit_timestamp = "t"
entry_price = "a"
exit_price = "b"
side = "side"
quantity = "q"
fees_usd = "fee"
[pattern]
entry = "x"
"""


@pytest.mark.parametrize(
    ("side", "outcomes"),
    [
        ("Long", {"pnl_usd": 18.0, "roi": 0.09}),
        ("SHORT", {"pnl_usd": -22.0, "roi": -0.11}),
        ("sell short", {"pnl_usd": -22.0, "roi": -0.11}),
        ("sideways", {}),
    ],
)
def test_profit_and_return_are_worked_out_from_prices(
    side: str, outcomes: dict[str, float], tmp_path: Path
) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(PRICES)
    file = table(
        tmp_path / "t.csv",
        ("2024-01-01", "100", "110", side, "-2", "2"),
        columns=("t", "a", "b", "side", "q", "fee"),
    )
    (event,), _ = read(file, mapping=mapping)
    summary = event["trade_summary"]
    assert {name: summary[name] for name in ("pnl_usd", "roi", "rr") if name in summary} == outcomes
    assert [a["action_category"] for a in event["actions"]] == ["entry"]
    assert event["actions"][0]["ts"] == "2024-01-01T00:00:00Z"


def test_another_currency_is_no_pnl_usd(tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text('currency = "EUR"\n' + PRICES)
    file = table(
        tmp_path / "t.csv",
        ("2024-01-01", "100", "110", "long", "2", "2"),
        columns=("t", "a", "b", "side", "q", "fee"),
    )
    (event,), notes = read(file, mapping=mapping)
    assert event["trade_summary"]["roi"] == 0.09
    assert "pnl_usd" not in event["trade_summary"]
    assert dict(notes) == {"rows without pnl_usd, as their currency EUR is not the US dollar": 1}


def test_every_form_of_csv(mapping: Path, tmp_path: Path) -> None:
    plain = Path(table(tmp_path / "t.csv", ROW)).read_bytes()
    (expected,), _ = read(tmp_path / "t.csv", mapping=mapping)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(plain))
    (tmp_path / "t.csv.zst").write_bytes(
        zstandard.compress(plain[:40]) + zstandard.compress(plain[40:])
    )
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbf\n" + plain)
    table(tmp_path / "semicolon.csv", ROW, delimiter=";")
    table(tmp_path / "tab.tsv", ROW, delimiter="\t")
    for name in ("t.csv.gz", "t.csv.zst", "bom.csv", "semicolon.csv", "tab.tsv"):
        assert read(tmp_path / name, mapping=mapping)[0] == [expected], name


def test_standard_input(mapping: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(Path(table(tmp_path / "t.csv", ROW)).read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    (found,) = closes(["-"], "table", mapping)
    assert (found.place, found.position) == ("-:2", 0)
    assert len(facts(found)) == 2
    assert not stdin.buffer.closed


def test_decimal_commas_and_encodings(tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text('decimal = ","\nencoding = "cp1252"\n' + MAPPING)
    path = tmp_path / "t.csv"
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows(
        [COLUMNS, row(ret="1.234,5 %", pnl="-1.250,00 €", setup="Lücke", volatility="10,5")]
    )
    path.write_bytes(out.getvalue().encode("cp1252"))
    (event,), notes = read(path, mapping=mapping)
    # The percent sign decides, so the scale is not used.
    assert event["trade_summary"]["roi"] == 12.345
    # The sign in the cell means euros, whatever the mapping's currency.
    assert "pnl_usd" not in event["trade_summary"]
    assert dict(notes) == {"rows without pnl_usd, as their currency EUR is not the US dollar": 1}
    assert event["entry_context"]["vol"] == "mid"
    assert steps(event)[0][1] == "pm.Lücke.in"
    mapping.write_text(MAPPING)
    with pytest.raises(BadDataError, match="not in the encoding utf-8-sig"):
        read(path, mapping=mapping)


def test_parquet_gives_what_csv_gives(tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        MAPPING.replace(', format = "%d.%m.%Y %H:%M", timezone = "Europe/Berlin"', "")
    )
    typed = {
        "no": [7],
        "in": [datetime(2024, 3, 1, 9, 30)],  # noqa: DTZ001
        "out": [datetime(2024, 3, 2, 15, 0, tzinfo=UTC)],
        "ticker": ["SPY"],
        "ret": [1.5],
        "dd": [-0.75],
        "pnl": [Decimal("1250.00")],
        "setup": ["Gap & Go"],
        "why": ["target"],
        "volatility": [20.5],
        "n": [3.0],
    }
    pq.write_table(pa.table(typed), tmp_path / "t.parquet")
    (event,), _ = read(tmp_path / "t.parquet", mapping=mapping)
    texts = row(out="2024-03-02 10:00")
    (expected,), _ = read(table(tmp_path / "t.csv", texts), mapping=mapping)
    assert event["entry_context"].pop("n") == 3.0
    assert event["actions"][0]["scope"].pop("n") == 3.0
    assert expected["entry_context"].pop("n") == expected["actions"][0]["scope"].pop("n") == "3"
    assert event == expected
    assert (
        next(closes([str(tmp_path / "t.parquet")], mapping=mapping)).place
        == f"{tmp_path}/t.parquet:1"
    )


def test_parquet_without_its_package_names_the_extra(
    tmp_path: Path, mapping: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigurationError, match=r"edgeloop\[files\]"):
        list(closes([str(tmp_path / "t.parquet")], mapping=mapping))


def test_damage_is_said_in_a_sentence(tmp_path: Path, mapping: Path) -> None:
    packed = gzip.compress(Path(table(tmp_path / "t.csv", *[ROW] * 500)).read_bytes())
    (tmp_path / "cut.csv.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "empty.csv").write_text("\n")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    for name, kind, says in (
        ("cut.csv.gz", BadDataError, "damaged"),
        ("empty.csv", BadDataError, "is empty"),
        ("bad.parquet", BadDataError, "as Parquet"),
        ("missing.csv", UsageError, "cannot be read"),
        ("missing.parquet", UsageError, "does not exist"),
    ):
        with pytest.raises(kind, match=says):
            list(closes([str(tmp_path / name)], "table", mapping))
    with pytest.raises(UsageError, match=r"--draft mapping\.toml"):
        list(closes([str(tmp_path / "t.csv")]))
