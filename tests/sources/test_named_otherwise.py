"""Columns that are read as something else than their names say, and fees that are none, are named
with the mapping; the rows of a manager beside those of the accounts are, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.sources.drafting.time_readings import read_texts, standing_for_all
from tests.sources.test_contradictions import MAPPED, OF_FILLS, POSITIONS, said

FILLS = (
    "No,Time,Symbol,Side,Qty,Price,Fee\n"
    "1,2024-05-06 09:31,AMD,B,100,190,1.0\n"
    "2,2024-05-06 10:31,AMD,S,100,191,1.1\n"
    "3,2024-05-07 09:31,MSFT,S,50,415,1.2\n"
    "4,2024-05-07 11:31,MSFT,B,50,413,1.3\n"
)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            'price = "Price"',
            'price = "Qty"',
            "Whether Qty is the price and the quantity: it is read as both.",
        ),
        ('fee = "Fee"', 'fee = "Qty"', "Whether Qty is the quantity and the fee: it is read"),
        ('fee = "Fee"', 'fee = "No"', "Whether No is the fee: by its name and its numbers"),
        ('price = "Price"', 'price = "No"', "Whether No is the price: by its name"),
        (
            'fee = "Fee"',
            'fee = {column = "Price", scale = 50}',
            "Whether Price is the price and the fee",
        ),
        ('fee = "Fee"\n', "", "Whether the fees are read rightly: Fee is called so, and is not"),
        (
            'fee = "Fee"',
            'fee = {column = "Fee", scale = -1}',
            "Whether the sign of Fee is read rightly: the fees of all rows were received, and none"
            " was paid.  Rows: line 2, line 3, line 4, line 5.",
        ),
        (
            'fee = "Fee"',
            'fee = {column = "Fee", scale = 10000}',
            "Whether Fee has the fees: in 4 of 4 rows they are more than 30% of what was traded.",
        ),
    ],
)
def test_a_wrong_column_of_fills_is_named(old: str, new: str, says: str, tmp_path: Path) -> None:
    assert said(FILLS, OF_FILLS, tmp_path) == []
    assert old in OF_FILLS
    (first, *_) = said(FILLS, OF_FILLS.replace(old, new), tmp_path)
    assert says in first


def test_a_number_of_the_row_as_the_fee_of_positions_is_named(tmp_path: Path) -> None:
    head, *rows = POSITIONS.splitlines()
    content = "\n".join([f"Ticket,{head}", *(f"{i},{row}" for i, row in enumerate(rows, 1))])
    (first, *_) = said(
        content + "\n", MAPPED.replace('fees_usd = "Fee"', 'fees_usd = "Ticket"'), tmp_path
    )
    assert "Whether Ticket is the fee: by its name and its numbers, it numbers the rows." in first


def test_fees_in_another_currency_and_prices_after_fees_need_none(tmp_path: Path) -> None:
    mapping = OF_FILLS.replace('fee = "Fee"\n', "")
    assert said(FILLS.replace("Fee", "Commission EUR"), mapping, tmp_path) == []
    of_net = mapping.replace('price = "Price"', 'price = "Net price"')
    assert said(FILLS.replace("Price", "Net price"), of_net, tmp_path) == []


def test_the_rows_of_a_manager_beside_those_of_accounts_are_named(tmp_path: Path) -> None:
    shared = [("MASTER", 300), ("A", 100), ("B", 200)]
    rows = [
        f"2024-05-0{day} 09:31,AMD,{side},{quantity},{price},0.1,{account}"
        for day, side, price in ((6, "B", 190), (7, "S", 191))
        for account, quantity in shared
    ]
    content = "\n".join(["Time,Symbol,Side,Qty,Price,Fee,Account", *rows]) + "\n"
    (only,) = said(content, OF_FILLS, tmp_path)
    assert "Whether the rows with 'MASTER' in Account count beside the others" in only
    assert only.endswith("Rows: line 2, line 5.")
    alone = "\n".join(line for line in content.splitlines() if "MASTER" not in line) + "\n"
    assert said(alone, OF_FILLS, tmp_path) == []


def test_many_times_are_read_by_those_that_stand_for_all() -> None:
    texts = [
        f"{day:02d}/{month:02d}/2024 {hour:02d}:{minute:02d}"
        for month in range(1, 13)
        for day in range(1, 29)
        for hour in range(9, 16)
        for minute in (0, 15, 30)
    ]
    standing = standing_for_all(texts)
    assert len(standing) < 100 < len(texts) == standing.total()
    reading = read_texts("Time", texts)
    assert reading is not None
    assert reading.keys == {"format": "%d/%m/%Y %H:%M"}
    # A month that does not exist, anywhere, is found.
    other = standing_for_all([*texts, "13/13/2024 10:00"])
    assert other["13/13/2024 10:00"] == 1
