"""A mapping that was drafted from one export and reads the next: contracts that it lacks
are refused, not counted as one unit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.sources import closes
from app.sources.contradictions import Contradicted
from app.sources.mapping_file import load
from app.sources.multiplier_check import CONTRADICTED
from app.sources.notes import Notes
from tests.sources.making import read

FILLS = """
rows = "fills"
[columns]
time = "time"
symbol = "symbol"
side = "side"
quantity = "qty"
price = "price"
{more}
[pattern]
entry = "x"
"""


def written(folder: Path, mapping: str, rows: str) -> tuple[Path, Path]:
    table, toml = folder / "t.csv", folder / "m.toml"
    table.write_text(rows)
    toml.write_text(mapping)
    return table, toml


def test_a_contract_without_a_value_is_refused_beside_others_that_have_one(tmp_path: Path) -> None:
    rows = (
        "time,symbol,side,qty,price\n2024-01-15,ESH4,buy,1,4800\n2024-01-16,ESH4,sell,1,4810\n"
        "2024-01-15,NQH4,buy,1,17000\n2024-01-16,NQH4,sell,1,17010\n2024-01-15,SPY,buy,1,470\n"
        "2024-01-16,SPY,sell,1,471\n"
    )
    table, mapping = written(tmp_path, FILLS.format(more='[multipliers]\n"ES*" = 50'), rows)
    events, _ = read(table, mapping=mapping)
    refused = [event for event in events if isinstance(event["trade_summary"], str)]
    assert {
        event["symbol"]: event["trade_summary"]["pnl_usd"]
        for event in events
        if event not in refused
    } == {"ESH4": 500.0, "SPY": 1.0}
    assert {event["trade_summary"] for event in refused} == {
        "[multipliers] lacks NQH4, which looks like an option or a future."
    }


def test_amounts_tell_the_value_of_each_row(tmp_path: Path) -> None:
    rows = (
        "time,symbol,side,qty,price,amount,cash\n"
        "2024-01-15,SPY 19JAN24 470 C,buy,2,1.5,300.00,-301.30\n"
        "2024-01-16,SPY 19JAN24 470 C,sell,2,2.5,500.00,498.70\n"
        "2024-01-15,SPY,buy,1,470,470,-470\n"
        "2024-01-16,SPY,sell,1,471,471,471\n"
    )
    for more, profit in (('gross = "amount"', 200.0), ('net = "cash"', 197.4)):
        table, mapping = written(tmp_path, FILLS.format(more=more), rows)
        events, _ = read(table, mapping=mapping)
        assert [event["trade_summary"]["pnl_usd"] for event in events] == [profit, 1.0]


def test_splits_expiries_and_shorts_as_the_mapping_says(tmp_path: Path) -> None:
    rows = (
        "time,symbol,side,qty,price\n2024-01-02,A,buy,10,400\n2024-01-05,A,sell,40,110\n"
        "2024-01-02,B,sell,5,10\n"
        "2024-01-03,B,buy,5,9\n2024-01-04,B,sell,5,11\n2024-01-02,C,buy,1,3\n"
        "2024-01-19,C,abgelaufen,1,\n"
    )
    more = '[sides]\nexpiry = ["abgelaufen"]\n[splits]\nA = ["2024-01-03 4:1"]'
    table, mapping = written(tmp_path, 'shorts = "no"\n' + FILLS.format(more=more), rows)
    events, notes = read(table, mapping=mapping)
    assert {
        e["symbol"]: (e["trade_summary"]["entry_price"], e["trade_summary"]["pnl_usd"])
        for e in events
    } == {
        "A": (100.0, 400.0),
        "B": (9.0, 10.0),
        "C": (3.0, -3.0),
    }
    assert notes.names("symbols with more sold than was held; the rest was left out") == ["B 5"]


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ('shorts = "maybe"', "shorts is 'maybe'"),
        ('contradictions = "yes"', "contradictions is 'yes'; expected 'accept'"),
        ('profit = "all"', "profit is 'all'"),
        ('apostrophe = "x"', "apostrophe is 'x'"),
        ('bought_sold = "yes"', "bought_sold is 'yes'"),
        ('fill_down = "time"', "fill_down must be a list of strings"),
        ('[splits]\nA = ["soon 3"]', "[splits] A has 'soon 3'"),
        ('[multipliers]\nA = "?"', '[multipliers] A is still "?"'),
        ('[multipliers]\nA = 0', "[multipliers] A has 0"),
        ('[keep]\nstatus = "Filled"', "[keep] status must be a list of strings"),
        ('[leave_out]\nstate = ["x"]', "[leave_out] state names the column 'state', which"),
    ],
)  # fmt: skip
def test_a_wrong_answer_is_named(key: str, says: str, tmp_path: Path) -> None:
    text = FILLS.format(more=key) if key.startswith("[") else f"{key}\n{FILLS.format(more='')}"
    table, mapping = written(tmp_path, text, "time,symbol,side,qty,price\n2024-01-15,A,buy,1,2\n")
    with pytest.raises(ConfigurationError) as error:
        list(closes([str(table)], mapping=mapping))
    assert says in str(error.value)


def test_existing_questions_marks_in_other_sections_are_no_questions(tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(FILLS.format(more='[defaults]\nqty = "?"\n[leave_out]\nside = ["?"]'))
    assert load(mapping).defaults == {"qty": "?"}


def test_a_profit_against_its_prices_is_refused_with_the_reason(tmp_path: Path) -> None:
    table, mapping = written(
        tmp_path,
        '[columns]\nexit_timestamp = "t"\nside = "side"\nentry_price = "a"\nexit_price ='
        ' "b"\npnl_usd = "p"\n[pattern]\nentry = "x"\n',
        "t,side,a,b,p\n2024-01-15,Long,100,110,10\n2024-01-16,Long,100,100.5,-0.2\n"
        "2024-01-16,Long,110,100,9\n",
    )
    good, fees, wrong = (
        json.loads(closed.value) for closed in closes([str(table)], mapping=mapping)
    )
    assert good["trade_summary"]["roi"] == 0.1
    assert fees["trade_summary"]["roi"] == 0.005  # Fees that no column has may have eaten the gain.
    assert wrong["trade_summary"].startswith(
        "The profit is 9, and a long position from 110 to 100 gives the opposite sign"
    )


def test_two_instruments_under_one_symbol_are_refused(tmp_path: Path) -> None:
    rows = (
        "time,symbol,side,qty,price,amount\n2024-01-15,SPY,buy,100,470,47000\n"
        "2024-01-16,SPY,sell,1,2.5,250\n2024-01-17,SPY,sell,99,471,46629\n"
        "2024-01-15,KO,buy,1,60,60\n2024-01-16,KO,sell,1,61,61\n"
    )
    table, mapping = written(tmp_path, FILLS.format(more='gross = "amount"'), rows)
    good, wrong = sorted(
        (json.loads(closed.value) for closed in closes([str(table)], mapping=mapping)),
        key=lambda e: e["symbol"],
    )
    assert good["trade_summary"]["pnl_usd"] == 1.0
    assert wrong["trade_summary"].startswith(
        "SPY has the contract values 1 and 100: different instruments share one symbol."
    )


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (100, ["[multipliers] says 100 for VZQ, but Volume is 10 times price × quantity"]),
        (10, []),
    ],
)
def test_an_answer_that_amounts_contradict_is_noted(
    told: int, says: list[str], tmp_path: Path
) -> None:
    rows = (
        "time,symbol,side,qty,price,Volume,Margin\n2024-01-15,VZQ,buy,2,20.5,410.00,41.00\n"
        "2024-01-16,VZQ,sell,2,21.5,430.00,43.00\n"
    )
    table, mapping = written(tmp_path, FILLS.format(more=f"[multipliers]\nVZQ = {told}"), rows)
    notes = Notes()
    told_by_rows: list[Contradicted] = []
    list(
        closes(
            [str(table)],
            mapping=mapping,
            notes=notes,
            against=lambda some, _: told_by_rows.extend(some),
        )
    )
    assert notes.names(CONTRADICTED) == says
    assert [one.sentence for one in told_by_rows] == [
        f"Whether the value of a contract is right: {name}." for name in says
    ]


def test_an_answer_is_compared_with_the_amounts_of_positions_too(tmp_path: Path) -> None:
    rows = (
        "in,out,symbol,side,qty,bought at,sold at,value\n"
        "2024-01-15,2024-01-16,VZQ,long,2,20.5,21.5,410.00\n"
        "2024-01-17,2024-01-18,VZQ,long,1,22.5,21.5,225.00\n"
    )
    text = """
[columns]
entry_timestamp = "in"
exit_timestamp = "out"
symbol = "symbol"
side = "side"
quantity = "qty"
entry_price = "bought at"
exit_price = "sold at"
[multipliers]
VZQ = 1
[pattern]
entry = "x"
"""
    table, mapping = written(tmp_path, text, rows)
    notes = Notes()
    list(closes([str(table)], mapping=mapping, notes=notes, against=lambda some, _: None))
    assert notes.names(CONTRADICTED) == [
        "[multipliers] says 1 for VZQ, but value is 10 times price × quantity"
    ]
