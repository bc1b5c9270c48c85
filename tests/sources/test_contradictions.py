"""Figures of a file that a mapping does not read, and that contradict it: wrong answers and wrong
edits are named with their rows, and right mappings are not.  The exports have the right ones."""

from __future__ import annotations

import csv
import re
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import BadDataError, EdgeloopError
from app.sources.contradictions import lines, refuse
from app.sources.draft import draft
from app.sources.drafting.durations import readings
from app.sources.drafting.outcomes import MOST_ROWS
from app.sources.mapping_file import loads
from tests.sources.comparing import contradicted
from tests.sources.test_never_raises import ODD

POSITIONS = (
    "Symbol,Side,Qty,Opened,Closed,Entry,Exit,Profit,Fee,Result,Duration,Net,Balance\n"
    "AMD,Long,100,2024-05-06 09:31,2024-05-06 10:31,190,191,100,2,win,1h 0m,98,10098\n"
    "MSFT,Short,50,2024-05-07 09:40,2024-05-07 11:40,415,413,100,3,win,2h 0m,97,10195\n"
    "SPY,Long,10,2024-05-08 09:55,2024-05-08 13:55,512,511,-10,2,loss,4h 0m,-12,10183\n"
    "QQQ,Long,20,2024-05-09 09:31,2024-05-09 10:31,440,441,20,4,win,1h 0m,16,10199\n"
)
MAPPED = """
rows = "positions"
profit = "gross"
[columns]
symbol = "Symbol"
side = "Side"
quantity = "Qty"
entry_timestamp = "Opened"
exit_timestamp = "Closed"
entry_price = "Entry"
exit_price = "Exit"
pnl_usd = "Profit"
fees_usd = "Fee"
[pattern]
entry = "x"
"""
FILLS = (
    "Time,Symbol,Side,Qty,Price,Fee,Net,Position,Realized PnL\n"
    "2024-05-06 09:31,AMD,B,100,190,1,19001,100,0\n"
    "2024-05-06 10:31,AMD,S,100,191,1,19099,0,98\n"
    "2024-05-07 09:31,MSFT,S,50,415,1,20749,-50,0\n"
    "2024-05-07 11:31,MSFT,B,50,413,1,20651,0,98\n"
)
OF_FILLS = """
rows = "fills"
[columns]
time = "Time"
symbol = "Symbol"
side = "Side"
quantity = "Qty"
price = "Price"
fee = "Fee"
[pattern]
entry = "x"
"""


def said(content: str, mapping: str, folder: Path) -> list[str]:
    """What contradicts the mapping, without the file's path."""
    path = folder / "t.csv"
    path.write_text(content)
    found = contradicted([str(path)], loads(mapping, "m.toml"))
    return [one.line().replace(f"{path}:", "line ") for one in found]


def without(content: str, *columns: str) -> str:
    """The table without some columns."""
    rows = [line.split(",") for line in content.splitlines()]
    kept = [at for at, name in enumerate(rows[0]) if name not in columns]
    return "\n".join(",".join(row[at] for at in kept) for row in rows) + "\n"


def test_right_mappings_are_contradicted_by_nothing(tmp_path: Path) -> None:
    assert said(POSITIONS, MAPPED, tmp_path) == []
    assert said(FILLS, OF_FILLS, tmp_path) == []


@pytest.mark.parametrize(
    ("left_out", "old", "new", "says"),
    [
        (
            ("Net", "Balance"),
            'entry_price = "Entry"\nexit_price = "Exit"\npnl_usd = "Profit"',
            'pnl_usd = {column = "Profit", scale = -1}',
            "Result calls 4 of 4 rows a win whose profit has the other sign.  Losses need a minus"
            " sign.  Rows: line 2, line 3, line 4, line 5.",
        ),
        (
            ("Result", "Balance"),
            'profit = "gross"',
            'profit = "net"',
            "the profits in Net are after the fees, and those read are not.  `profit` says which"
            " they are.  Rows: line 2, line 3, line 4, line 5.",
        ),
        (
            ("Result", "Net"),
            'profit = "gross"',
            'profit = "net"',
            "Balance changes by the profits after fees, and the rows make others.  `profit` says"
            " which they are.  Rows: line 3, line 4, line 5.",
        ),
        (
            ("Result", "Net", "Balance"),
            'exit_timestamp = "Closed"',
            'exit_timestamp = "Opened"',
            "Duration has 1 hours where they are 0 seconds apart, and the like in 4 of 4 rows.",
        ),
        (
            ("Result", "Net", "Balance"),
            "[pattern]",
            '[multipliers]\n"*" = 100\n[pattern]',
            "the profits are 0.01 times what prices, quantities and that value make.",
        ),
    ],
)
def test_a_wrong_mapping_of_positions_is_contradicted(
    left_out: tuple[str, ...], old: str, new: str, says: str, tmp_path: Path
) -> None:
    assert old in MAPPED
    mapping = MAPPED.replace(old, new)
    (first, *_) = said(without(POSITIONS, *left_out), mapping, tmp_path)
    assert says in first


def test_profits_that_do_not_follow_from_the_prices_are_named(tmp_path: Path) -> None:
    """As those of a strategy in several legs, beside the price of the underlying."""
    rows = [
        f"SPY,Long,1,2024-05-{n:02} 09:31,2024-05-{n:02} 10:31,500,{500 + 5 * n},{profit},0,win,,,"
        for n, profit in enumerate((12, 900, 3, 4000, 150), 1)
    ]
    content = "\n".join([POSITIONS.splitlines()[0], *rows])
    (only,) = said(content, MAPPED, tmp_path)
    assert "profits are far from any one multiple of what prices and quantities make." in only
    assert only.startswith("Whether entries, exits and quantities are those of the profits: in 3")
    alike = content.replace(",12,0", ",250,0").replace(",3,0", ",700,0").replace(",900,0", ",499,0")
    alike = alike.replace(",4000,0", ",990,0").replace(",150,0", ",1249,0")
    assert said(alike, MAPPED, tmp_path) == []


@pytest.mark.parametrize(
    ("left_out", "says"),
    [
        (("Net", "Realized PnL"), "by Position, each fill moves the position the other way."),
        (
            ("Net", "Position"),
            "Realized PnL has the other sign in 2 of 2 rows.  Rows: line 3, line 5",
        ),
        (
            ("Position", "Realized PnL"),
            "by Net, what is read as a purchase cost less than its value, and what is read as a"
            " sale brought more.  Rows: line 2, line 3, line 4, line 5.",
        ),
    ],
)
def test_exchanged_sides_of_fills_are_contradicted(
    left_out: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    exchanged = OF_FILLS.replace("[pattern]", '[sides]\nbuy = ["s"]\nsell = ["b"]\n[pattern]')
    content = without(FILLS, *left_out)
    assert says in said(content, exchanged, tmp_path)[0]
    assert said(content, OF_FILLS, tmp_path) == []


@pytest.mark.parametrize(
    ("content", "mapping"),
    [
        # A day counts from the first one on.
        (
            "Symbol,Opened,Closed,Days held,Profit\n"
            "AMD,2024-05-06 09:31,2024-05-06 10:31,1,98\n"
            "MSFT,2024-05-07 09:40,2024-05-07 11:40,1,97\n",
            MAPPED,
        ),
        # Points of shorts are those of the prices.
        (
            "Symbol,Side,Opened,Closed,Entry,Exit,Qty,Points,Profit,Fee\n"
            "AMD,Short,2024-05-06 09:31,2024-05-06 10:31,191,190,100,-1,100,0\n"
            "MSFT,Short,2024-05-07 09:40,2024-05-07 11:40,415,413,50,-2,100,0\n",
            MAPPED,
        ),
        # Rebates make purchases cheaper, and sales bring more.
        (
            "Time,Symbol,Side,Qty,Price,Fee,Net\n"
            "2024-05-06 09:31,AMD,B,100,190,-1,18999\n"
            "2024-05-06 10:31,AMD,S,100,191,-1,19101\n",
            OF_FILLS,
        ),
    ],
)
def test_what_only_looks_like_a_contradiction_is_none(
    content: str, mapping: str, tmp_path: Path
) -> None:
    head = content.partition("\n")[0].split(",")
    for column in ("Symbol", "Side", "Qty", "Entry", "Exit", "Fee"):
        if column not in head:
            mapping = re.sub(f'.* = "{column}"\n', "", mapping)
    assert said(content, mapping, tmp_path) == []


def test_what_a_point_is_worth_is_compared_with_profits(tmp_path: Path) -> None:
    mapping = OF_FILLS.replace("[pattern]", "[multipliers]\nAMD = 10\nMSFT = 1\n[pattern]")
    content = without(FILLS.replace("0,98\n2024-05-07", "0,100\n2024-05-07"), "Net", "Position")
    assert said(content, mapping, tmp_path) == [
        "Whether prices, quantities and what a point of AMD is worth are read rightly: Realized PnL"
        " has 100, and the rows make 998.  Rows: line 3."
    ]


@pytest.mark.parametrize("times", [2, 2.5, 4, 0.5, 0.25])
def test_values_of_a_point_that_are_a_little_off_are_named(times: float, tmp_path: Path) -> None:
    """By less than a factor of five, where profits are exact multiples."""
    rows = [
        f"2024-05-{n:02} 09:31,ESM4,B,1,{5000 + n},0\n"
        f"2024-05-{n:02} 10:31,ESM4,S,1,{5003 + 2 * n},{50 * (3 + n):g}\n"
        for n in range(1, 5)
    ]
    fills = "Time,Symbol,Side,Qty,Price,Realized PnL\n" + "".join(rows)
    mapping = OF_FILLS.replace('fee = "Fee"\n', "")
    told = mapping.replace("[pattern]", "[multipliers]\nESM4 = {:g}\n[pattern]")
    assert said(fills, told.format(50), tmp_path) == []
    (only,) = said(fills, told.format(50 / times), tmp_path)
    assert "what a point of ESM4 is worth" in only
    positions = MAPPED.replace("[pattern]", "[multipliers]\n'*' = {:g}\n[pattern]")
    content = without(POSITIONS, "Result", "Net", "Balance")
    assert said(content, positions.format(1), tmp_path) == []
    (only,) = said(content, positions.format(1 / times), tmp_path)
    assert f"the profits are {times:.4g} times what prices, quantities and that value make" in only


def test_amounts_in_another_currency_are_named_of_a_mapping_too(tmp_path: Path) -> None:
    rows = [
        f"2024-05-{n:02} 09:31,SAP,B,{n},{150 + n},{n * (150 + n) * (1.07 + n / 1000):.2f}\n"
        for n in range(1, 6)
    ]
    content = "Time,Symbol,Side,Qty,Price,Amount\n" + "".join(rows)
    mapping = OF_FILLS.replace('fee = "Fee"\n', "")
    (only,) = said(content, mapping, tmp_path)
    assert only.startswith(
        "Whether prices are in the currency of Amount: it is about 1.073 times price × quantity."
    )


def test_prices_in_two_units_are_named(tmp_path: Path) -> None:
    rows = [
        "Symbol,Opened,Closed,Entry,Exit",
        "VOD,2024-05-06,2024-05-07,68.5,69.1",
        "VOD,2024-05-08,2024-05-09,0.686,0.692",
        "BP,2024-05-08,2024-05-09,4.91,4.95",
    ]
    mapping = MAPPED
    for field in ("side", "quantity", "pnl_usd", "fees_usd"):
        mapping = re.sub(f"{field} = .*\n", "", mapping)
    assert said("\n".join(rows), mapping, tmp_path) == [
        "Whether all prices of VOD are in one unit: some are near 0.689, others near 68.8, as if"
        " cents stood beside dollars, or a mark of thousands had been read as that of decimals. "
        " Rows: line 2."
    ]
    # A price that has risen a hundredfold, with prices between, is none of this.
    rows[1:3] = [f"VOD,2024-05-{n:02},2024-05-{n:02},{3**n},{3**n}" for n in range(1, 8)]
    assert said("\n".join(rows), mapping, tmp_path) == []


def test_long_files_are_compared_by_their_earliest_fills(tmp_path: Path) -> None:
    """Of a file with the newest first those are the last ones, and memory stays bounded."""
    rows = [
        f"{2000 + n // 336}-{n // 28 % 12 + 1:02}-{n % 28 + 1:02},AMD,{fill}"
        for n in range(MOST_ROWS // 2)
        for fill in ("B,10,190,10", "B,5,191,15", f"S,15,{188 + n % 5},0")
    ]
    header = "Time,Symbol,Side,Qty,Price,Position"
    mapping = OF_FILLS.replace('fee = "Fee"\n', "")
    exchanged = mapping.replace("[pattern]", '[sides]\nbuy = ["s"]\nsell = ["b"]\n[pattern]')
    for ordered in (rows, rows[::-1]):
        content = "\n".join([header, *ordered])
        assert said(content, mapping, tmp_path) == []
        (only,) = said(content, exchanged, tmp_path)
        assert "the position the other way.  Rows: line" in only
        assert f"and {MOST_ROWS - 5:,} more." in only
    shuffled = "\n".join([header, *(rows[::3] + rows[1::3] + rows[2::3])[::-1][::7], *rows])
    assert said(shuffled, mapping, tmp_path) == []


def test_fills_of_several_files_are_compared_together(tmp_path: Path) -> None:
    head, *rows = FILLS.splitlines()
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path, part in zip(paths, (rows[:1], rows[1:]), strict=True):
        path.write_text("\n".join([head, *part]))
    exchanged = OF_FILLS.replace("[pattern]", '[sides]\nbuy = ["s"]\nsell = ["b"]\n[pattern]')
    files = [*map(str, paths)]
    assert contradicted(files, loads(OF_FILLS, "m.toml")) == []
    (first, *_) = contradicted(files, loads(exchanged, "m.toml"))
    assert first.places == (f"{paths[0]}:2", *(f"{paths[1]}:{line}" for line in (2, 3, 4)))


def test_contradictions_are_refused_unless_the_mapping_accepts_them(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(without(POSITIONS, "Result", "Balance"))
    wrong = MAPPED.replace("gross", "net")
    found = contradicted([str(path)], loads(wrong, "m.toml"))
    with pytest.raises(
        BadDataError, match=r"The file contradicts the mapping.*open: Whether fees are taken off"
    ):
        refuse(found, loads(wrong, "m.toml"))
    accepted = loads('contradictions = "accept"\n' + wrong, "m.toml")
    refuse(found, accepted)
    assert next(lines(found, accepted)).endswith("which the mapping accepts:")
    refuse([], loads(wrong, "m.toml"))


def test_times_of_day_beside_bare_days_are_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "Close date,Symbol,Side,Qty,Entry price,Exit price,P&L,Executed at\n"
        "2024-05-06,AMD,Long,100,190,191,100,09:31:02\n"
        "2024-05-07,MSFT,Short,50,415,413,100,11:40:17\n"
    )
    assert draft(str(path), "t").asked == [
        "Whether Executed at has the times of the trades: Close date has bare days."
    ]


@pytest.mark.parametrize(
    ("column", "cell", "seconds"),
    [
        ("Duration", "3d 4h 5m", ((273_900.0, 60.0),)),
        ("Haltedauer", "2 Tage", ((172_800.0, 86_400.0),)),
        ("Hold time (hours)", 1.5, ((5_400.0, 3_600.0),)),
        ("Duration", "26:00:10", ((93_610.0, 1.0),)),
        ("Duration", "soon", ()),
        ("Duration", "3 apples", ()),
        ("Duration", None, ()),
    ],
)
def test_durations_are_read(
    column: str, cell: object, seconds: tuple[tuple[float, float], ...]
) -> None:
    assert readings(column, cell) == seconds


CELLS = st.sampled_from(
    [
        *(*ODD, "AMD", "ESM4", "buy", "S", "win", "1h", "01:30", "12.5", "-3", "1e300", "1e-300"),
        *("2024-05-06 09:31", "2024-05-07", "void", "inf", "2024-13-01 10:00", "0001-01-01T00:00"),
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_in_the_cells_is_compared_without_an_error(data: st.DataObject) -> None:
    mapping, head = data.draw(
        st.sampled_from(
            (
                (MAPPED, POSITIONS.splitlines()[0] + ",Proceeds,Cost basis,Return,Points"),
                (OF_FILLS, FILLS.splitlines()[0] + ",Balance,Status"),
            )
        )
    )
    n = head.count(",") + 1
    rows = data.draw(st.lists(st.lists(CELLS, min_size=n, max_size=n), max_size=8))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([head.split(","), *rows])
        with suppress(EdgeloopError):
            for one in contradicted([str(path)], loads(mapping, "m.toml")):
                assert one.line()
