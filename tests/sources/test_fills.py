"""Fills to positions: first in first out against a reference that knows units only, shorts, flips,
fees, files, what cannot be read."""

from __future__ import annotations

import csv
import json
from collections import deque
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.closes import RefusedCloseError
from app.sources import Notes, closes, spool
from app.sources.draft import draft
from app.sources.fills import Fill, positions
from tests.sources.making import facts, read, steps

MAPPING = """
rows = "fills"
[columns]
time = "time"
symbol = "symbol"
side = "side"
quantity = "qty"
price = "price"
fee = "fee"
{more}
[pattern]
entry = "{{tag}}.entry"
add = "{{tag}}.add"
trim = "{{tag}}.trim"
exit = "{{tag}}.exit"
[scope]
hour = "hour"
"""
COLUMNS = ("time", "symbol", "side", "qty", "price", "fee", "tag", "hour")


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "fills.toml"
    path.write_text(MAPPING.format(more=""))
    return path


def table(path: Path, *rows: tuple[Any, ...], columns: tuple[str, ...] = COLUMNS) -> str:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return str(path)


def fill(
    minute: int,
    side: str,
    qty: object,
    price: object,
    fee: object = "0",
    symbol: str = "X",
    tag: str = "t",
) -> tuple[Any, ...]:
    return (f"2024-03-01T10:{minute:02}:00Z", symbol, side, qty, price, fee, tag, 9 + minute % 3)


class Reference(NamedTuple):
    """What a book of single units makes of the fills: for each position the realised profit of each
    closing step, and its steps."""

    realized: list[list[Decimal]]
    steps: list[list[str]]
    left: int


def reference(fills: list[tuple[int, int, int]], fee: Decimal) -> Reference:
    """`fills` are (signed units, price, fee in hundredths); every unit is a lot of its own, in a
    queue."""
    units: deque[tuple[int, Decimal]] = deque()  # (price, fee of the unit)
    direction, done, applied = 0, [], []
    realized: list[Decimal] = []
    names: list[str] = []
    for signed, price, paid in fills:
        sign, per_unit = (1 if signed > 0 else -1), Decimal(paid) * fee / abs(signed)
        closing = Decimal(0)
        closed = entered = False
        for _ in range(abs(signed)):
            if units and direction != sign:
                bought_at, bought_fee = units.popleft()
                closing += direction * (price - bought_at) - bought_fee - per_unit
                closed = True
                if not units:
                    realized.append(closing)
                    names.append("exit")
                    done.append(realized)
                    applied.append(names)
                    realized, names, closed = [], [], False
            else:
                if not units:
                    direction = sign
                if not entered:
                    names.append("add" if units else "entry")
                    entered = True
                units.append((price, per_unit))
        if closed:
            realized.append(closing)
            names.append("trim")
    return Reference(done, applied, len(units) * direction)


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.integers(-7, 7).filter(bool), st.integers(1, 50), st.integers(0, 30)),
        min_size=1,
        max_size=25,
    )
)
def test_first_in_first_out_as_with_single_units(fills: list[tuple[int, int, int]]) -> None:
    tenth, hundredth = Decimal("0.1"), Decimal("0.01")
    made = [
        Fill(
            f"{i:04}",
            q * tenth,
            Decimal(price),
            paid * hundredth,
            Decimal(10),
            {},
            (None, "X"),
            str(i),
            "",
            0,
        )
        for i, (q, price, paid) in enumerate(fills)
    ]
    expected = reference(fills, hundredth)
    found = list(positions(made))
    closed = [position for position, is_closed in found if is_closed]
    assert [[step.category for step in p.steps] for p in closed] == expected.steps
    for position, realized in zip(closed, expected.realized, strict=True):
        steps_realized = [step.realized for step in position.steps if step.realized is not None]
        assert all(
            abs(a - b) < Decimal("1e-20") for a, b in zip(steps_realized, realized, strict=True)
        )
    still = [position for position, is_closed in found if not is_closed]
    assert sum(p.held * p.direction for p in still) == expected.left * tenth


def test_a_long_position_with_an_add_and_a_trim(mapping: Path, tmp_path: Path) -> None:
    path = table(
        tmp_path / "f.csv",
        fill(0, "buy", "1.5", "100", "0.3", tag="a b"),
        fill(1, "Buy", "0.5", "90", "0.1", tag="dip"),
        fill(2, "SELL", "1", "110", "0.2", tag="half"),
        fill(3, "sell", "1.0", "95", "0.2", tag="stop"),
    )
    (event,), notes = read(path, mapping=mapping)
    assert steps(event) == [
        ("entry", "pm.a_b.entry"),
        ("add", "pm.dip.add"),
        ("trim", "pm.half.trim"),
        ("exit", "pm.stop.exit"),
    ]
    assert [a["size_frac"] for a in event["actions"]] == [0.75, 0.25, 0.5, 1.0]
    assert [a["scope"] for a in event["actions"]] == [
        {"hour": "9"},
        {"hour": "10"},
        {"hour": "11"},
        {"hour": "9"},
    ]
    # The trim closes 1 of the 1.5 bought at 100, the exit the other 0.5 and the 0.5 bought at 90;
    # 0.2 a unit for each fee.
    assert [a.get("realized_pnl") for a in event["actions"]] == [None, None, 9.6, -0.4]
    summary = event["trade_summary"]
    assert summary["pnl_usd"] == pytest.approx(9.2)
    assert summary["roi"] == pytest.approx(9.2 / 195)
    assert (summary["entry_price"], summary["exit_price"], summary["fees_usd"]) == (
        97.5,
        102.5,
        0.8,
    )
    assert summary["entry_timestamp"] == "2024-03-01T10:00:00Z"
    assert len(facts(event, "pnl", ("hour",))) == 4
    assert dict(notes) == {}


def test_a_flip_through_zero_closes_one_and_opens_the_next(mapping: Path, tmp_path: Path) -> None:
    path = table(
        tmp_path / "f.csv",
        fill(0, "sell", "3", "100", "0.3"),
        fill(1, "buy", "5", "90", "1.0"),
        fill(2, "sell", "2", "94", "0.2"),
        fill(3, "buy", "1", "94", "0.2"),
    )
    (short, long_), notes = read(path, mapping=mapping)
    assert short["trade_summary"]["pnl_usd"] == pytest.approx(3 * 10 - 0.3 - 0.6)
    assert long_["trade_summary"]["pnl_usd"] == pytest.approx(2 * 4 - 0.4 - 0.2)
    assert short["trade_summary"]["exit_timestamp"] == long_["trade_summary"]["entry_timestamp"]
    assert short["trade_id"] != long_["trade_id"]
    assert dict(notes) == {"positions that are still open, left out": 1}


def test_flat_is_exactly_flat(mapping: Path, tmp_path: Path) -> None:
    buys = [fill(i, "buy", "0.1", "10") for i in range(3)]
    events, notes = read(
        table(tmp_path / "f.csv", *buys, fill(9, "sell", "0.3", "11")), mapping=mapping
    )
    assert len(events) == 1
    assert dict(notes) == {}


def test_symbols_are_books_of_their_own_and_files_one_log(mapping: Path, tmp_path: Path) -> None:
    january = table(
        tmp_path / "1.csv", fill(0, "buy", 1, 10, symbol="A"), fill(1, "sell", 1, 10, symbol="B")
    )
    february = table(
        tmp_path / "2.csv", fill(2, "buy", 1, 9, symbol="B"), fill(3, "sell", 1, 12, symbol="A")
    )
    events, notes = read(january, february, mapping=mapping)
    assert [(e["symbol"], e["trade_summary"]["pnl_usd"]) for e in events] == [
        ("B", 1.0),
        ("A", 2.0),
    ]
    assert dict(notes) == {}
    found = list(closes([january, february], mapping=mapping))
    assert [closed.place for closed in found] == [f"{february}:2", f"{february}:3"]


def test_the_newest_first_is_turned_round_with_equal_times(mapping: Path, tmp_path: Path) -> None:
    rows = [
        fill(0, "buy", 1, 10),
        fill(0, "sell", 1, 11),
        fill(0, "sell", 1, 20),
        fill(0, "buy", 1, 15),
        fill(5, "buy", 1, 3),
    ]
    forward, _ = read(table(tmp_path / "a.csv", *rows), mapping=mapping)
    backward, _ = read(table(tmp_path / "b.csv", *rows[::-1]), mapping=mapping)
    assert [e["trade_summary"] for e in forward] == [e["trade_summary"] for e in backward]
    assert [e["trade_summary"]["pnl_usd"] for e in forward] == [1.0, 5.0]


def test_ids_do_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(MAPPING.format(more='fill_id = "id"\naccount = "acct"'))
    columns = (*COLUMNS, "id", "acct")
    rows = [
        (*fill(i, side, 1, 10 + i), f"F{i}", "main")
        for i, side in enumerate(["buy", "sell", "sell", "buy"])
    ]
    forward, _ = read(table(tmp_path / "a.csv", *rows, columns=columns), mapping=mapping)
    shuffled, notes = read(
        table(tmp_path / "b.csv", *(rows[i] for i in (2, 0, 3, 1, 1)), columns=columns),
        mapping=mapping,
    )
    assert forward == shuffled
    assert [event["trade_id"] for event in forward] == ["fills/main/X/F0", "fills/main/X/F2"]
    assert dict(notes) == {"fills with an id that occurred before, left out": 1}


def test_signed_quantities_and_contracts_without_a_side(tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        'rows = "fills"\ncurrency = "EUR"\n[columns]\ntime = {column = "t", unit = "ms"}\nsymbol ='
        ' "s"\nquantity = "q"\nprice = "p"\nfee = {column = "f", scale ='
        ' -1}\n[constants]\nmultiplier = 50\n[pattern]\nentry = "es"\n'
    )
    path = table(
        tmp_path / "f.csv",
        (1709287200000, "ES", "-2", "5,000.25", "-4"),
        (1709287260000, "ES", "2", "4999.75", "-4"),
        columns=("t", "s", "q", "p", "f"),
    )
    (event,), notes = read(path, mapping=mapping)
    assert event["trade_summary"]["roi"] == pytest.approx((0.5 * 2 * 50 - 8) / (2 * 5000.25 * 50))
    assert "pnl_usd" not in event["trade_summary"]
    assert steps(event) == [("entry", "pm.es"), ("exit", "pm.es")]
    assert dict(notes) == {
        "positions without pnl_usd, as their currency EUR is not the US dollar": 1
    }


@pytest.mark.parametrize(
    ("row", "reason", "path"),
    [
        (fill(0, "hold", 1, 10), "unknown_category", "$.actions[0].action_category"),
        (fill(0, "buy", "some", 10), "wrong_type", "$.actions[0].size_frac"),
        (fill(0, "buy", 0, 10), "wrong_type", "$.actions[0].size_frac"),
        (fill(0, "buy", "", 10), "wrong_type", "$.actions[0].size_frac"),
        (fill(0, "buy", 1, "NaN"), "wrong_type", "$.trade_summary.entry_price"),
        (fill(0, "buy", 1, 10, "free"), "wrong_type", "$.trade_summary.fees_usd"),
        (fill(0, "buy", 1, 10, symbol=""), "wrong_type", "$.symbol"),
        (("soon", *fill(0, "buy", 1, 10)[1:]), "bad_time", "$.trade_summary.exit_timestamp"),
        ((*fill(0, "buy", 1, 10), "more", "cells"), "wrong_type", "$.trade_summary"),
    ],
)
def test_what_is_no_fill_is_refused_at_its_cell(
    row: tuple[Any, ...], reason: str, path: str, mapping: Path, tmp_path: Path
) -> None:
    file = table(tmp_path / "f.csv", fill(1, "buy", 1, 10), row, fill(2, "sell", 1, 11))
    notes = Notes()
    bad, good = closes([file], mapping=mapping, notes=notes)
    with pytest.raises(RefusedCloseError) as error:
        facts(bad)
    assert (error.value.reason, error.value.path, bad.place) == (reason, path, f"{file}:3")
    assert json.loads(good.value)["trade_summary"]["pnl_usd"] == 1.0
    assert dict(notes) == {
        "rows that cannot be read as fills; positions of their symbols may be wrong": 1
    }


def test_long_files_say_how_far_they_have_been_read(tmp_path: Path) -> None:
    names = []
    for name in ("a.csv", "b.csv"):
        path = tmp_path / name
        row = "2024-01-05T10:00:00Z,X,buy,1,10\n"
        path.write_text("Time,Symbol,Side,Qty,Price\n" + row * 2_500)
        names.append(str(path))
    mapping = tmp_path / "m.toml"
    mapping.write_text(draft(names[0], "a").text)
    offsets: list[int] = []
    assert not list(closes(names, "table", mapping, reading=offsets.append))
    assert offsets == sorted(offsets)
    assert len(offsets) == 6
    assert 0.7 * 2 * path.stat().st_size < offsets[-1] <= 2 * path.stat().st_size


@pytest.mark.parametrize("order", ["oldest first", "newest first", "any"])
def test_fills_that_wait_on_disk_come_as_those_in_memory_do(
    order: str, mapping: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        fill(i // 6, "sell" if i // 5 % 2 else "buy", 1, 100 + i % 9, symbol=f"S{i % 5}")
        for i in range(300)
    ]
    if order == "newest first":
        rows.reverse()
    elif order == "any":
        rows = [rows[i * 37 % 300] for i in range(300)]
    first, second = (
        table(tmp_path / f"{name}.csv", *part)
        for name, part in (("a", rows[:200]), ("b", rows[200:]))
    )
    in_memory = [c.value for c in closes([first, second], mapping=mapping)]
    monkeypatch.setattr(spool, "RUN", 7)
    monkeypatch.setattr(spool, "_CHUNK", 2)
    assert [c.value for c in closes([first, second], mapping=mapping)] == in_memory
    assert len(in_memory) >= 10
