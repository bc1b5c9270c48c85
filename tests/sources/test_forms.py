"""One table in many forms gives the same closes: separators, encodings, titles and footers, the
order of rows, names in capitals, sheets, HTML."""

from __future__ import annotations

import csv
import html
import io
from pathlib import Path

import openpyxl
import pytest

from app.sources.draft import draft
from tests.sources.test_exports import CASES, EXPORTS, answered, read

NAMES = (
    "binance-spot-trade-history.csv",
    "topstepx-trades.csv",
    "bybit-closing-side.csv",
    "tradovate-performance.csv",
    "mt5-positions-section.csv",
    "backtestingpy-trades.csv",
    "tradingview-new.csv",
    "percent-or-fraction.csv",
    "broker-de.csv",
    "webull-options.csv",
)


def separated(path: Path, rows: list[list[str]], delimiter: str, encoding: str = "utf-8") -> None:
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


def forms(rows: list[list[str]], folder: Path) -> list[Path]:
    """Files with the rows in other forms."""
    separated(folder / "semicolons.csv", rows, ";")
    separated(folder / "tabs.txt", rows, "\t", "utf-16")
    separated(folder / "titled.csv", [["My statement"], [], *rows, [], ["End of the report"]], ",")
    separated(folder / "turned.csv", [rows[0], *rows[:0:-1]], ",")
    separated(folder / "capitals.csv", [[name.upper() for name in rows[0]], *rows[1:]], ",")
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)  # type: ignore[union-attr]
    book.save(folder / "sheet.xlsx")
    cells = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    (folder / "report.csv").write_text(
        f"<html><body><table>{cells}</table></body></html>", encoding="utf-8"
    )
    return sorted(folder.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_one_table_in_many_forms_says_the_same(name: str, tmp_path: Path) -> None:
    text = (EXPORTS / name).read_text(encoding="utf-8-sig")
    delimiter = max(",;\t", key=text.splitlines()[0].count)
    paths = forms(list(csv.reader(io.StringIO(text), delimiter=delimiter)), tmp_path)
    assert len(paths) == 7
    for path in paths:
        found, refused, _ = read(
            path,
            answered(
                draft(str(path), path.name),
                CASES[name].get("answers", []),
                tmp_path / f"{path.name}.toml",
            ),
        )
        assert sorted(map(str, found)) == sorted(map(str, CASES[name]["closes"])), path.name
        assert refused == [], path.name
