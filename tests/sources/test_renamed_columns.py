"""Exports whose header was written anew, as by a script, a database or a data frame: they are read
as before, asked about or refused, and never read otherwise in silence.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import BadDataError, ConfigurationError
from app.sources.draft import draft
from tests.sources.test_exports import CASES, EXPORTS, answered, read

Rows = list[list[str]]
_UNIT = re.compile(r"\s*([(\[（［][^()\[\]（）［］]*[)\]）］]|[%$€£#¥])\s*$")
_SAMPLE = 48
"""Every so many of the exports are tried; all of them take minutes."""


def words_of(name: str) -> list[str]:
    """`Fill Price`, `fill_price` and `fillPrice` have the words `Fill` and `Price`."""
    gaps = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.replace("PnL", "Pnl"))
    return [word for word in re.split(r"[ _-]+", gaps) if word]


STYLES: dict[str, Callable[[list[str]], str]] = {
    "UPPER CASE": lambda words: " ".join(words).upper(),
    "snake_case": lambda words: "_".join(words).lower(),
    "camelCase": lambda words: words[0].lower() + "".join(w.capitalize() for w in words[1:]),
    "Title Case": lambda words: " ".join(w.capitalize() for w in words),
    "kebab-case": lambda words: "-".join(words).lower(),
    "GLUED": lambda words: "".join(words).upper(),
}


def renamed(name: str, style: str) -> str:
    """The name in this style, with its unit as it was."""
    unit = _UNIT.search(name)
    base = name[: unit.start()] if unit else name
    if not re.search("[A-Za-z]", base) or not words_of(base):
        return name
    return STYLES[style](words_of(base)) + name[len(base) :]


def rows_of(name: str) -> tuple[str, Rows] | None:
    """(the delimiter, the lines) of an export that is one plain table with different names."""
    raw = (EXPORTS / name).read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    if not name.endswith((".csv", ".txt", ".tsv")) or "\0" in text or not text.strip():
        return None
    first = text.strip().splitlines()[0]
    delimiter = max(",;\t|", key=first.count)
    rows = [
        row
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        if any(cell.strip() for cell in row)
    ]
    if first.count(delimiter) < 2 or len({*map(len, rows)}) > 1 or len(rows) < 2:
        return None
    return (delimiter, rows) if len({*rows[0]}) == len(rows[0]) else None


def sample() -> list[str]:
    return [name for name in list(CASES)[::_SAMPLE] if "closes" in CASES[name] and rows_of(name)]


def outcome(name: str, rows: Rows, delimiter: str, tmp_path: Path) -> str:
    """`read`, `asked` or `refused`.  Fails where what is read differs."""
    case = CASES[name]
    path = tmp_path / f"x{Path(name).suffix}"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    try:
        made = draft(str(path), name)
        if len(made.asked) > len(case.get("asked", [])):
            return "asked"
        answers = [answer for answer in case.get("answers", []) if answer[0] in made.text]
        found, refused, _ = read(path, answered(made, answers, tmp_path / "m.toml"))
    except (BadDataError, ConfigurationError):
        return "refused"
    if len(refused) > len(case.get("refused", [])):
        return "refused"
    assert found == case["closes"]
    return "read"


def restyled(name: str, style: str) -> tuple[Rows, str]:
    table = rows_of(name)
    assert table is not None
    delimiter, rows = table
    header = [renamed(column, style) for column in rows[0]]
    return [header if row == rows[0] else row for row in rows], delimiter


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", sample())
def test_no_style_of_names_changes_what_is_read(name: str, style: str, tmp_path: Path) -> None:
    outcome(name, *restyled(name, style), tmp_path)


@pytest.mark.parametrize(
    ("name", "style"),
    [
        ("hhmmss-int.csv", "UPPER CASE"),
        ("hhmmss-int.csv", "GLUED"),
        ("ig-transactions-api.csv", "UPPER CASE"),
        ("ig-transactions-api.csv", "GLUED"),
        ("ig-de.csv", "GLUED"),
        ("ig-pl-currency-mix.csv", "GLUED"),
        ("bisq-trades.csv", "UPPER CASE"),
        ("bisq-trades.csv", "snake_case"),
        ("bisq-trades.csv", "camelCase"),
        ("bitmex-usdt.csv", "GLUED"),
        ("collective2.csv", "Title Case"),
        ("collective2.csv", "camelCase"),
        ("hummingbot-executors.csv", "camelCase"),
        ("inverse-or-dollars.csv", "camelCase"),
        ("kalshi.csv", "camelCase"),
        ("kalshi.csv", "GLUED"),
        ("zone-in-small-letters.csv", "camelCase"),
        ("eastern-in-small-letters.csv", "GLUED"),
        ("offset-column.csv", "GLUED"),
        ("spread-co.csv", "snake_case"),
        ("ctrader-tr.csv", "UPPER CASE"),
    ],
)
def test_names_are_recognised_in_another_style(name: str, style: str, tmp_path: Path) -> None:
    assert outcome(name, *restyled(name, style), tmp_path) == "read"


SHAPES: dict[str, Callable[[Rows], Rows]] = {
    "numbered in front": lambda rows: [
        [str(n - 1) if n else "", *row] for n, row in enumerate(rows)
    ],
    "numbered at the end": lambda rows: [
        [*row, str(n - 1) if n else ""] for n, row in enumerate(rows)
    ],
    "numbered from 1 at the end": lambda rows: [
        [*row, str(n) if n else ""] for n, row in enumerate(rows)
    ],
    "numbered in front, below no name": lambda rows: [
        [str(n), *row] if n else row for n, row in enumerate(rows)
    ],
    "delimiters at the end": lambda rows: [[*row, "", ""] for row in rows],
    "an empty column": lambda rows: [[*row, "" if n else "Remark"] for n, row in enumerate(rows)],
    "a constant": lambda rows: [[*row, "1" if n else "Version"] for n, row in enumerate(rows)],
    "row numbers": lambda rows: [[*row, str(n) if n else "Row"] for n, row in enumerate(rows)],
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", sample()[::2])
def test_columns_that_say_nothing_change_nothing(name: str, shape: str, tmp_path: Path) -> None:
    table = rows_of(name)
    assert table is not None
    delimiter, rows = table
    found = outcome(name, SHAPES[shape](rows), delimiter, tmp_path)
    # A number that is alone, or stands beside whole numbers, may be cut off from another one.
    unsure = len(rows) < 5 if "at the end" in shape else shape.endswith("below no name")
    assert found == "read" or (unsure and "numbered" in shape)


def test_a_name_with_a_comma_is_no_column_of_row_numbers(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "#,Symbol,Name,Time,Side,Price,Qty\n"
        "1,AAPL,Apple, Inc.,2024-03-04 10:00,Buy,170,1\n"
        "2,MSFT,Microsoft, Corp.,2024-03-05 10:00,Sell,171,1\n"
    )
    with pytest.raises(BadDataError, match=r"Every row of .* has more cells than there are names"):
        draft(str(path), "t")


@pytest.mark.parametrize("last", ["5", "7"])
def test_rows_wider_than_the_header_are_refused_in_one_sentence(last: str, tmp_path: Path) -> None:
    """The last cells may be what a decimal comma has cut off."""
    path = tmp_path / "t.csv"
    path.write_text(
        "Time,Symbol,Side,Price,Qty,\n"
        f"2024-03-04 10:00,AAPL,Buy,170,1,{last}\n2024-03-05 10:00,AAPL,Sell,171,1,5\n"
    )
    with pytest.raises(BadDataError, match=r"Every row of .* has more cells than there are names"):
        draft(str(path), "t")


def test_row_numbers_below_no_name_are_read(tmp_path: Path) -> None:
    """As R writes them."""
    path = tmp_path / "t.csv"
    path.write_text(
        '"Time","Symbol","Side","Price","Qty"\n'
        '"1","2024-03-04 10:00","AAPL","Buy",170,1\n"2","2024-03-05 10:00","AAPL","Sell",171,1\n'
    )
    found, refused, _ = read(path, answered(draft(str(path), "t"), [], tmp_path / "m.toml"))
    assert ([row[0] for row in found], [row[5] for row in found], refused) == (["AAPL"], [1.0], [])
