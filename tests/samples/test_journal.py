"""The committed journal has the sample's trades in the form of a spreadsheet, and is imported
without a single dead letter."""

from __future__ import annotations

import csv
import gzip
from collections import deque
from pathlib import Path

import orjson
import pytest

from app.settings import Settings
from app.sources import closes, jsonl
from app.sources.survey import survey
from samples.journal import COLUMNS, JOURNAL, ROWS, SAMPLE, SETUPS

HERE = Path(__file__).parents[2] / "samples"


def settings() -> Settings:
    """The settings beside the journal."""
    lines = (
        line
        for line in (HERE / "journal.env").read_text().splitlines()
        if line.startswith("EDGELOOP_")
    )
    return Settings.from_environment(dict(line.split("=", 1) for line in lines))


def test_the_rows_are_the_last_trades_of_the_sample() -> None:
    assert JOURNAL.stat().st_size < 400_000
    with gzip.open(JOURNAL, "rt", newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == COLUMNS
    events = [orjson.loads(line) for line, _, _ in deque(jsonl.lines(str(SAMPLE)), ROWS)]
    assert len(rows) == len(events) == ROWS
    for number, (row, event) in enumerate(zip(rows, events, strict=True), 1):
        cells, summary = dict(zip(header, row, strict=True)), event["trade_summary"]
        assert cells["no"] == str(number)
        assert (
            cells["closed"]
            == summary["exit_timestamp"][:10]
            > cells["opened"]
            == summary["entry_timestamp"][:10]
        )
        assert (cells["symbol"], cells["setup"]) == (
            event["symbol"],
            SETUPS[event["entry_context"]["curator"]],
        )
        assert float(cells["return_pct"]) == pytest.approx(summary["roi"] * 100, abs=0.0051)
        low, high = {"low": (0, 20), "mid": (20, 35), "high": (35, 1000)}[
            event["entry_context"]["vol_bucket"]
        ]
        assert low - 0.051 <= float(cells["volatility_pct"]) <= high + 0.051
        trend = event["actions"][0]["scope"]["stock_macro"]
        assert (
            (float(cells["trend_pct"]) > -0.051)
            if trend in ("S1", "S3")
            else (float(cells["trend_pct"]) < 0.051)
        )


def test_it_goes_in_with_the_mapping_and_the_settings_beside_it() -> None:
    found = survey(
        settings(), closes([str(JOURNAL)], mapping=HERE / "journal.toml"), 1_700_000_000_000
    )
    assert (found.closes, found.dead_letters, found.unconfigured) == (ROWS, 0, [])
    assert found.outcomes["rr"] == ROWS
    assert set(found.dimensions) == set(settings().dimensions)
    assert {group.partition("|")[2] for group in found.groups} == {"entry", "exit"}
