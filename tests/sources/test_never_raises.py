"""Whatever is in a readable file, each row becomes a close or a dead letter, and none is lost."""

from __future__ import annotations

import csv
import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.closes import RefusedCloseError
from app.sources import Closed, Notes, closes
from tests.sources.making import (
    ORDERS_2025,
    TRADES_2025,
    backtest_trade,
    database,
    facts,
    position_closed,
    result,
    stored_order,
    stored_trade,
)

ODD = (
    "",
    " ",
    "0",
    "-1",
    "1e999",
    "nan",
    "1,5",
    "(3)",
    "%",
    "-",
    "9" * 400,
    "2024-01-01",
    "0001-01-01",
    "9999-12-31 23:59",
    "\0",
    "a|b=c",
)
TEXTS = st.one_of(
    st.sampled_from(ODD), st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    TEXTS,
    st.lists(TEXTS, max_size=2),
)
SOME = settings(max_examples=40)
POSITIONS = """
[columns]
trade_id = "a"
entry_timestamp = {column = "b", unit = "ms"}
exit_timestamp = "c"
symbol = "d"
side = "e"
roi = {column = "f", scale = 0.01}
max_drawdown = "g"
entry_price = "h"
exit_price = "i"
quantity = "j"
revision = "k"
[pattern]
entry = "{l}.{d}"
exit = "{e}"
[scope]
vol = "g"
l = "l"
[buckets]
g = {edges = [0, 1]}
"""
FILLS = """
rows = "fills"
[columns]
time = "c"
symbol = "d"
side = "e"
quantity = "f"
price = "g"
fee = "h"
account = "a"
fill_id = "b"
[pattern]
entry = "{l}"
[scope]
l = "l"
"""


def judged(found: list[Closed]) -> None:
    """Check that input validation accepts or refuses each; nothing else happens."""
    for closed in found:
        with suppress(RefusedCloseError):
            assert facts(closed, dimensions=("vol", "l", "symbol", "leverage"))


def rows_read(mapping: str, rows: list[list[str]]) -> tuple[list[Closed], Notes]:
    with tempfile.TemporaryDirectory() as folder:
        table, toml = Path(folder, "t.csv"), Path(folder, "m.toml")
        with table.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([list("abcdefghijkl"), *rows])
        toml.write_text(mapping)
        notes = Notes()
        return list(closes([str(table)], mapping=toml, notes=notes)), notes


@SOME
@given(st.lists(st.lists(TEXTS, min_size=1, max_size=13), max_size=5))
def test_positions(rows: list[list[str]]) -> None:
    found, notes = rows_read(POSITIONS, rows)
    left_out = sum(count for what, count in notes if what.endswith("left out"))
    assert len(found) + left_out == sum(any(cell.strip() for cell in row) for row in rows)
    judged(found)


@SOME
@given(st.lists(st.lists(TEXTS, min_size=1, max_size=13), max_size=5))
def test_fills(rows: list[list[str]]) -> None:
    found, notes = rows_read(FILLS, rows)
    judged(found)
    unreadable = sum(count for what, count in notes if "cannot be read as fills" in what)
    last = [json.loads(closed.value)["actions"][-1] for closed in found]
    assert (
        sum("realized_pnl" not in action for action in last)
        == unreadable
        <= sum(any(row) for row in rows)
    )


@SOME
@given(
    st.dictionaries(
        st.sampled_from(sorted({*stored_trade(), "max_rate", "close_rate"} - {"id", "is_open"})),
        VALUES,
        max_size=6,
    ),
    st.dictionaries(
        st.sampled_from(sorted({*stored_order(1, "buy", 1, 1, "")} - {"id"})), VALUES, max_size=4
    ),
)
def test_databases(trade: dict[str, Any], order: dict[str, Any]) -> None:
    def storable(row: dict[str, Any]) -> dict[str, Any]:
        return {
            k: str(v) if isinstance(v, list) or (type(v) is int and abs(v) >= 2**63) else v
            for k, v in row.items()
        }

    with tempfile.TemporaryDirectory() as folder:
        rows = [stored_trade(**storable(trade)), stored_trade(id=2)]
        path = database(
            Path(folder, "t.sqlite"),
            (TRADES_2025, ORDERS_2025),
            rows,
            [{**stored_order(1, "buy", 1, 1, ""), **storable(order)}],
        )
        found = list(closes([path]))
    assert len(found) == 2
    judged(found)


@SOME
@given(
    st.dictionaries(
        st.sampled_from(sorted(set(backtest_trade()) - {"is_open"})), VALUES, max_size=6
    )
)
def test_results(changes: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.json")
        path.write_text(json.dumps(result(Trend=[backtest_trade(**changes)])))
        found = list(closes([str(path)]))
    assert len(found) == 1
    judged(found)


@SOME
@given(
    st.dictionaries(st.sampled_from(sorted(set(position_closed()) - {"type"})), VALUES, max_size=6)
)
def test_positions_of_nautilus_trader(changes: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "p.jsonl")
        path.write_text(json.dumps(position_closed(**changes)))
        found = list(closes([str(path)], "nautilus"))
    assert len(found) == 1
    judged(found)
