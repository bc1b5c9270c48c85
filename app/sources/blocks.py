"""Finds the tables among the lines of a sheet: titles, headers (also repeated ones), rows, totals,
footers, sections of a statement.

May touch: nothing.  Lines that are not table rows are counted with their place; none is skipped
silently.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import chain, takewhile
from typing import Any, NamedTuple

from app.sources.column_names import NAMES, is_header_word, known_as
from app.sources.figures import written
from app.sources.lines import Line, Sheet
from app.sources.notes import Notes
from app.sources.times import parsed

TEXT_LINES = "lines that are not table rows (titles, totals, footers), left out"
_LOOKED_AT = 80
"""Lines among which the first header is looked for."""
UNNAMED = re.compile(r"column \d+")
"""Of columns that have a number for a name."""
_VALUES_OF_A_ROW = 2
"""Numbers and times that a line has at least, for it to be a row."""
_ROWS_NUMBERED = 20
"""Rows by which a last column without a name is known to count them."""
_TIMES = frozenset(
    name for field in ("time", "entry_timestamp", "exit_timestamp") for name in NAMES[field]
) - {*NAMES["trade_id"]}
_SYMBOLS = frozenset(NAMES["symbol"]) - {*NAMES["trade_id"]}
"""Names of columns whose cells are not the numbers of rows."""
_SECTION_KINDS = frozenset({"header", "data", "subtotal", "total", "notes"})
_PAGE = re.compile(r"(page|seite|página|pagina|p\.)\s*\d+", re.IGNORECASE)
_TOTAL = re.compile(
    r"(sub|grand )?totals?\b.*|.*\b(sub)?totals?:?|summe|gesamt\w*|sum", re.IGNORECASE
)

_SUM = re.compile(
    r"((sub|grand )?total(s|e|en|es)?|totaal|totaux|summe|summa|gesamt(summe)?|suma|razem|итого"
    r"|всего|разом|toplam|celkem|összesen|yhteensä|jumlah|tổng( cộng)?|σύνολο|סה\"כ"
    r"|المجموع|الإجمالي"
    r"|合計|合计|小計|小计|总计|總計|합계|소계|총계|รวม)\W*",
    re.IGNORECASE,
)
"""What stands before sums and nothing else."""


class Row(NamedTuple):
    """`cells` by column (text, or values from typed files; None where there is nothing), the `line`
    of the file (else the row, from 1), the `position` in bytes, and the cells `beyond` the columns.
    """

    cells: dict[str, Any]
    line: int
    position: int
    beyond: list[Any]


class Block(NamedTuple):
    """A table: its title (empty if none), the line of its header, its columns and its rows."""

    title: str
    line: int
    columns: tuple[str, ...]
    rows: Iterator[Row]


def blocks_of(sheets: Iterator[Sheet], wanted: frozenset[str], notes: Notes) -> Iterator[Block]:
    """The tables of all sheets.  A line with all the `wanted` names is always a header."""
    for sheet in sheets:
        if sheet.columns is not None:
            names = _names(sheet.columns)
            yield Block(sheet.name, 0, names, (_row(names, line) for line in sheet.lines))
            continue
        head = [line for _, line in zip(range(_LOOKED_AT), sheet.lines, strict=False)]
        lines = chain(head, sheet.lines)
        if _has_sections(head):
            yield from _sections(lines, notes)
        else:
            yield from _Finder(sheet.name, head, lines, wanted, notes).blocks()


def _is_number(text: str) -> bool:
    bare = text[1:-1] if text[:1] == "(" and text[-1:] == ")" else text
    return any(written(form, mark) for form in (text, bare, bare.replace(" ", "")) for mark in ".,")


def _texts(cells: Sequence[Any]) -> list[str]:
    return [
        cell.strip() if isinstance(cell, str) else ("" if cell is None else str(cell))
        for cell in cells
    ]


def _names(cells: Sequence[Any]) -> tuple[str, ...]:
    """A name for each column: a second `Time` is `Time (2)`, one without a name is `column 3`;
    nameless ones at the end do not count."""
    texts = [text.lstrip("\ufeff").strip() for text in _texts(cells)]
    while texts and not texts[-1]:
        texts.pop()
    times: dict[str, int] = {}
    names = []
    for number, text in enumerate(texts, 1):
        times[text] = times.get(text, 0) + 1
        names.append(
            f"column {number}"
            if not text
            else (text if times[text] == 1 else f"{text} ({times[text]})")
        )
    return tuple(names)


def _are_numbered(rows: list[list[str]], at: int, beside: int) -> bool:
    """Whether the cells `at` this place count the rows, from 0 or 1, and are no parts of the
    numbers `beside` them.

    >>> _are_numbered([["0", "AAPL"], ["1", "MSFT"]], 0, 1)
    True
    >>> _are_numbered([["1", "5"], ["2", "5"]], 0, 1), _are_numbered([["0", "AAPL"]], 0, 1)
    (False, False)
    """
    numbers = [row[at] for row in rows]
    whole = any(row[beside].lstrip("+-").isdecimal() for row in rows)
    return len(rows) >= (4 if whole else 2) and any(
        numbers == [str(first + n) for n in range(len(rows))] for first in (0, 1)
    )


def _are_words(rows: list[list[str]]) -> bool:
    """Whether words stand in the last cells, such as currencies, and no parts of numbers."""
    return all(row[-1].isalpha() for row in rows)


def _row(names: tuple[str, ...], line: Line) -> Row:
    beyond = [
        cell for cell in line.cells[len(names) :] if cell not in (None, "") and str(cell).strip()
    ]
    return Row(dict(zip(names, line.cells, strict=False)), line.number, line.position, beyond)


def _is_plain_row(cells: Sequence[Any], n_columns: int) -> bool:
    """Whether the line is a row at first sight: as wide as the table, more than half full, and with
    a number or a time in it."""
    if (
        len(cells) != n_columns
        or sum(1 for cell in cells if cell) * 2 <= n_columns
        or n_columns < 2
    ):
        return False
    first = cells[0]
    if isinstance(first, str) and first.rstrip().endswith(":"):
        return False
    if ("" in cells or None in cells) and any(
        isinstance(cell, str) and _SUM.fullmatch(cell.strip()) for cell in cells[:3]
    ):
        return False
    return any(type(cell) is not str or cell[:1].isdigit() for cell in cells if cell)


def is_value(cell: Any) -> bool:
    """Whether the cell is a number or a time, which are not names of columns."""
    if not isinstance(cell, str):
        return isinstance(cell, (int, float, datetime, date))
    text = cell.strip()
    return (
        bool(text)
        and (text[0].isdigit() or text[0] in "-+($€£.'")
        and (written(text) is not None or parsed(text) is not None)
    )


def are_rows(lines: Sequence[Sequence[Any]]) -> bool:
    """Whether the first line of a table is a row, and no header: numbers and times stand in it
    where they stand in the next ones, and its words are no names of columns, or stand below too.

    >>> are_rows([["2024-01-05", "AAPL", "10"], ["2024-01-06", "MSFT", "5"]])
    True
    >>> are_rows([["7", "buy", "10"], ["8", "sell", "5"], ["9", "buy", "3"]])
    True
    >>> are_rows([["Date", "2023", "2024"], ["Profit", "10", "5"]])
    False
    """
    if len(lines) < 2:
        return False
    first, *others = lines
    values = [{at for at, cell in enumerate(cells) if is_value(cell)} for cells in lines[:3]]
    if len(set.intersection(*values)) < _VALUES_OF_A_ROW:
        return False
    texts = [(at, cell) for at, cell in enumerate(first) if at not in values[0] and cell]
    return not any(is_header_word(str(cell).strip()) for _, cell in texts) or any(
        cell == line[at] for at, cell in texts for line in others if at < len(line)
    )


def looks_like_header(cells: Sequence[Any]) -> bool:
    """Whether the cells are known names of columns: at least two, with no number or time among
    them."""
    filled = [cell for cell in cells if cell not in (None, "") and str(cell).strip()]
    if len(filled) < 2 or any(
        is_value(cell) or re.search(r":\s|:$", str(cell).strip()) for cell in filled
    ):
        return False
    known = sum(is_header_word(str(cell).strip()) for cell in filled)
    return known >= 2 and known * 2 >= len(filled)


def _has_sections(head: list[Line]) -> bool:
    """Statements in which each line begins with its section and its kind: `Trades,Data,…`."""
    kinds = [str(line.cells[1]).strip().lower() for line in head[:20] if len(line.cells) > 2]
    return len(kinds) >= 2 and "header" in kinds and all(kind in _SECTION_KINDS for kind in kinds)


def _sections(lines: Iterator[Line], notes: Notes) -> Iterator[Block]:
    state: list[Line | None] = [next(lines, None)]

    def rows(section: str, names: tuple[str, ...], header: Sequence[Any]) -> Iterator[Row]:
        while (line := state[0]) is not None:
            texts = _texts(line.cells)
            kind = texts[1].lower() if len(texts) > 1 else ""
            if texts and texts[0] != section:
                return
            if kind == "header" and list(line.cells) != list(header):
                return
            state[0] = next(lines, None)
            if kind == "data":
                yield _row(names, Line(line.cells[2:], line.number, line.position))
            elif kind in ("subtotal", "total"):
                notes.add(TEXT_LINES, name=f"line {line.number} {texts[0]} {texts[1]}")

    while (line := state[0]) is not None:
        texts = _texts(line.cells)
        if len(texts) > 2 and texts[1].lower() == "header":
            state[0] = next(lines, None)
            names = _names(line.cells[2:])
            found = rows(texts[0], names, line.cells)
            yield Block(texts[0], line.number, names, found)
            for _ in found:
                pass
        else:
            notes.add(TEXT_LINES, name=f"line {line.number}")
            state[0] = next(lines, None)


class _Finder:
    """Reads the lines once; `_pending` is a header that has ended the table before it."""

    def __init__(
        self,
        name: str,
        head: list[Line],
        lines: Iterator[Line],
        wanted: frozenset[str],
        notes: Notes,
    ) -> None:
        self._source, self._wanted, self._notes = lines, wanted, notes
        self._ahead: deque[Line] = deque()
        self._lines = self._all_lines()
        self._title = name
        self._pending: Line | None = None
        self._unnamed = 0
        self._first = self._first_header(head)

    def blocks(self) -> Iterator[Block]:
        while (header := self._next_header()) is not None:
            names = self._columns(header.cells)
            rows = self._rows(names, tuple(header.cells))
            yield Block(self._title, header.number, names, rows)
            for _ in rows:
                pass

    def _all_lines(self) -> Iterator[Line]:
        while True:
            line = self._ahead.popleft() if self._ahead else next(self._source, None)
            if line is None:
                return
            yield line

    def _columns(self, header: Sequence[Any]) -> tuple[str, ...]:
        """The names of the columns.  A last one without a name, or a first one that the header
        lacks, counts only where it numbers the rows: what stands in others may be a part of a
        number that a decimal comma has cut."""
        names = _names(header)
        while len(self._ahead) < _ROWS_NUMBERED and (line := next(self._source, None)):
            self._ahead.append(line)
        rows = [texts for line in self._ahead if any(texts := _texts(line.cells))]
        wide = list(takewhile(lambda texts: len(texts) == len(names) + 1, rows))
        if len(header) == len(names) + 1 and (
            _are_numbered(wide, -1, -2) or (len(wide) == len(rows) > 0 and _are_words(wide))
        ):
            return (*names, f"column {len(header)}")
        # Without a cell in the last column, the rows may as well end with a delimiter.
        first = known_as(names[0]) if names else ""
        unnumbered = first in _TIMES or (first in _SYMBOLS and any(texts[-1] for texts in wide))
        if len(header) == len(names) > 2 and unnumbered and _are_numbered(wide, 0, 1):
            return ("column 1", *names)
        return names

    def _first_header(self, head: list[Line]) -> int | None:
        """The line of the first header: one with the wanted names, else one that looks like a
        header, else the first line as wide as most."""
        filled = [line for line in head if any(_texts(line.cells))]
        if not filled:
            return None
        for line in filled:
            if self._is_wanted(line.cells):
                return line.number
        for at, line in enumerate(filled):
            if looks_like_header(line.cells) and at + 1 <= len(filled):
                return line.number
        widths = [sum(bool(text) for text in _texts(line.cells)) for line in filled]
        common = max(set(widths), key=lambda width: (widths.count(width) * (width > 1), width))
        wide = [line for line, width in zip(filled, widths, strict=True) if width >= min(common, 2)]
        texts = [line for line in wide if not any(is_value(cell) for cell in line.cells)]
        if not texts and are_rows([line.cells for line in wide]):
            self._unnamed = max(len(line.cells) for line in wide)
        return (texts or wide or filled)[0].number

    def _is_wanted(self, cells: Sequence[Any]) -> bool:
        return bool(self._wanted) and self._wanted <= set(_names(cells))

    def _next_header(self) -> Line | None:
        if self._pending is not None:
            header, self._pending = self._pending, None
            return header
        for line in self._lines:
            texts = _texts(line.cells)
            if not any(texts):
                continue
            if (
                line.number == self._first
                or self._is_wanted(line.cells)
                or (self._first is None and looks_like_header(line.cells))
            ):
                self._first = None
                if not self._unnamed:
                    return line
                # The first line is a row already: the columns have numbers for names.
                self._ahead.appendleft(line)
                names = [f"column {n}" for n in range(1, self._unnamed + 1)]
                self._unnamed = 0
                return Line(names, line.number, line.position)
            self._text_line(line, texts)
        return None

    def _text_line(self, line: Line, texts: list[str]) -> None:
        filled = [text for text in texts if text]
        if len(filled) == 1:
            self._title = filled[0].strip(" :")[:80]
        self._notes.add(TEXT_LINES, name=f"line {line.number} {' '.join(filled)[:90]}".strip())

    def _rows(self, names: tuple[str, ...], header: tuple[Any, ...]) -> Iterator[Row]:
        for line in self._lines:
            if _is_plain_row(line.cells, len(names)):
                self._title_since = False
                yield Row(
                    dict(zip(names, line.cells, strict=False)), line.number, line.position, []
                )
                continue
            texts = _texts(line.cells)
            if not any(texts):
                if any(line.cells) and len(names) < 4:
                    yield _row(names, line)
                continue
            if tuple(line.cells) == header or _names(line.cells) == names:
                if self._title_since:
                    self._pending = line
                    return
                continue  # The header once more, as at the top of each page.
            if self._is_wanted(line.cells) or (
                looks_like_header(line.cells) and not self._is_row(texts, names)
            ):
                self._pending = line
                return
            if self._is_text(texts, names):
                if (
                    sum(bool(text) for text in texts) == 1
                    and texts[0]
                    and len(names) > 3
                    and not _PAGE.match(texts[0])
                ):
                    self._title_since = True
                self._text_line(line, texts)
                continue
            if texts[0].endswith(":") and len(names) > 3:
                self._text_line(line, texts)
                self._skip()
                return
            self._title_since = False
            yield _row(names, line)

    _title_since = False
    """Whether a line of text has stood since the last row: what follows may be another table."""

    def _is_row(self, texts: list[str], names: tuple[str, ...]) -> bool:
        return sum(bool(text) for text in texts) < max(2, len(names) // 2)

    def _is_text(self, texts: list[str], names: tuple[str, ...]) -> bool:
        """A title, a total or a footer: one cell in a table of many, or a total whose row is half
        empty."""
        filled = [text for text in texts[: len(names)] if text]
        if not filled and any(texts):
            return True
        if len(names) > 2 and len(filled) == 1 and (len(names) > 3 or not is_value(filled[0])):
            return True
        if len(names) <= 3 or len(filled) == len(names):
            return False
        if self._is_sum(filled, behind=len(filled) < len(names) - 1):
            return True  # A trade has a day, a side or a symbol.
        return bool(len(filled) * 2 <= len(names) and _TOTAL.fullmatch(filled[0]))

    @staticmethod
    def _is_sum(filled: list[str], behind: bool) -> bool:
        """Whether a word for a sum stands first (or `behind` what it is the sum of), and then there
        are numbers alone."""
        first = filled[: 3 if behind else 1]
        at = next((i for i, text in enumerate(first) if _SUM.fullmatch(text)), None)
        numbers = filled[at + 1 :] if at is not None else []
        return bool(numbers or at == 0) and all(map(_is_number, numbers))

    def _skip(self) -> None:
        """Lines with labels end a table: the lines up to the next header are not rows of it."""
        for line in self._lines:
            texts = _texts(line.cells)
            if any(texts):
                if looks_like_header(line.cells) or self._is_wanted(line.cells):
                    self._pending = line
                    return
                self._text_line(line, texts)
