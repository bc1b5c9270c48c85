"""Parse the documentation for the tests: fenced blocks with their markers, tables, links and
headings.

May touch: the documentation (read only).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "integrations").glob("*.md")),
)

_ELSEWHERE = re.compile(r"<!-- run elsewhere: (.+) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block.  `elsewhere` is the marker's reason if the tests here do not run it."""

    document: Path
    line: int
    language: str
    text: str
    elsewhere: str | None

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"


def blocks(document: Path) -> list[Block]:
    """The fenced blocks of `document`, in their order."""
    found: list[Block] = []
    lines = document.read_text().splitlines()
    start, language, marker = None, "", None
    for number, line in enumerate(lines, 1):
        fence = re.fullmatch(r"\s*```(\w*)", line)
        if fence and start is None:
            start, language = number, fence[1]
            above = _ELSEWHERE.fullmatch(lines[number - 2])
            marker = above[1] if above else None
        elif fence and start is not None:
            found.append(
                Block(document, start, language, "\n".join(lines[start : number - 1]), marker)
            )
            start = None
    assert start is None, f"{document.name}: the fence of line {start} is not closed"
    return found


def prose(document: Path) -> str:
    """The text of `document` without its fenced blocks."""
    return re.sub(r"^\s*```.*?^\s*```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def table(document: Path, *header: str) -> list[list[str]]:
    """The rows of the only table with the header `header`, as lists of cells without the white
    space around them."""
    found = tables(document, *header)
    assert len(found) == 1, f"{document.name} has {len(found)} tables with the header {header}"
    return found[0]


def tables(document: Path, *header: str) -> list[list[list[str]]]:
    """As `table`, for each table with the header `header`."""
    lines = document.read_text().splitlines()
    wanted = list(header)
    found = []
    for i, line in enumerate(lines):
        if line.startswith("|") and _cells(line) == wanted:
            rows = [
                _cells(row) for row in takewhile(lambda row: row.startswith("|"), lines[i + 2 :])
            ]
            assert all(len(row) == len(wanted) for row in rows), rows
            found.append(rows)
    return found


def _cells(line: str) -> list[str]:
    return [
        cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))
    ]


def names(cell: str) -> list[str]:
    """The texts in backticks in `cell`."""
    return re.findall(r"`([^`]*)`", cell)


def anchors(document: Path) -> set[str]:
    """The anchors that a renderer derives from the headings."""
    headings = re.findall(r"^#+ (.+)$", prose(document), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(document: Path) -> list[str]:
    """The targets of the links in the prose."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(document))
