"""Rows of a long table after the first ones: what the draft could not see in them is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import BadDataError
from app.sources import closes
from app.sources.drafting.outcomes import MOST_ROWS
from app.sources.mapping_file import loads
from tests.sources.comparing import contradicted

POSITIONS = """rows = "positions"
drafted = true
currency = "USD"
[columns]
symbol = "Symbol"
side = "Side"
quantity = "Qty"
entry_timestamp = {column = "Opened", format = "%d/%m/%Y %H:%M"}
exit_timestamp = {column = "Closed", format = "%d/%m/%Y %H:%M"}
entry_price = "Entry"
exit_price = "Exit"
[leave_out]
Status = ["Cancelled"]
[pattern]
entry = "x"
"""
FILLS = """rows = "fills"
drafted = true
currency = "USD"
[columns]
time = "Time"
symbol = "Symbol"
side = "Side"
quantity = "Qty"
price = "Price"
[pattern]
entry = "x"
"""


def position(n: int) -> str:
    day = f"{n % 12 + 1:02}/{n // 12 % 12 + 1:02}/{2000 + n // 144}"
    status = "Cancelled" if n % 7 == 0 else "Filled"
    return f"AMD,Long,10,{day} 09:31,{day} 10:31,{100 + n % 5},{101 + n % 3}.50,{status}"


def fill(n: int) -> str:
    moment = f"{2000 + n // 336}-{n // 28 % 12 + 1:02}-{n % 28 + 1:02}"
    return f"{moment},AMD,{'Sell' if n % 2 else 'Buy'},10,{100 + n % 5},Executed"


ROWS: dict[str, tuple[str, str, Callable[[int], str]]] = {
    "positions": ("Symbol,Side,Qty,Opened,Closed,Entry,Exit,Status", POSITIONS, position),
    "fills": ("Time,Symbol,Side,Qty,Price,Status", FILLS, fill),
}
N = MOST_ROWS + 1_500


@pytest.mark.parametrize(
    ("kind", "old", "new", "says"),
    [
        ("positions", "", "", ""),
        ("fills", "", "", ""),
        ("positions", "Filled", "Rejected", "Whether later rows count that the draft would leave"),
        ("positions", "Long", "Deposit", "where Side is Deposit: no trades."),
        (
            "positions",
            "10/",
            "25/25/",
            "Whether the day or the month comes first: the mapping has it otherwise than a later"
            " row, where Opened has '25/25/",
        ),
        ("fills", "Executed", "Cancelled", "where Status is Executed"),
        ("fills", "AMD", "ESM4", "What a point of the future ES is worth per contract"),
    ],
)
def test_what_a_later_row_shows_is_named(
    kind: str, old: str, new: str, says: str, tmp_path: Path
) -> None:
    head, mapping, row = ROWS[kind]
    rows = [row(n) for n in range(N)]
    at = next(
        n
        for n in range(MOST_ROWS + 1_000, N)
        if old in rows[n] and not rows[n].endswith("Cancelled")
    )
    if says:
        rows[at] = rows[at].replace(old, new, 1)
    path = tmp_path / "t.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    found = contradicted([str(path)], loads(mapping, "m.toml"))
    assert [says in one.sentence for one in found] == [True] * bool(says)
    assert all(f"{path}:{at + 2}" in one.places for one in found)


def test_another_decimal_mark_is_refused_at_its_row(tmp_path: Path) -> None:
    head, mapping, row = ROWS["positions"]
    rows = [row(n) for n in range(N)]
    at = MOST_ROWS + 3
    before, _, after = rows[at].partition(".50")
    rows[at] = f'{before.rpartition(",")[0]},"101,50"{after}'
    path, told = tmp_path / "t.csv", tmp_path / "m.toml"
    path.write_text("\n".join([head, *rows]) + "\n")
    told.write_text(mapping)
    with pytest.raises(BadDataError) as refused:
        for _ in closes([str(path)], "table", told):
            pass
    assert "Whether '.' is the decimal mark: in a later row, Exit has '101,50'." in str(
        refused.value
    )
    assert f"Rows: {path}:{at + 2}." in str(refused.value)
