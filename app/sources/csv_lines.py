"""CSV in any usual form, as a sheet of lines.

May touch: nothing.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from itertools import chain

from app.errors import BadDataError
from app.sources.aligned import aligned
from app.sources.lines import MOST_COLUMNS, Line
from app.sources.log_pairs import log_pairs

MOST_CHARACTERS = 1_000_000
"""Maximum number of characters in a line of CSV."""
MOST_LINES_OF_A_CELL = 100
_FORMULA = re.compile(r'''(?:^|(?<=[,;\t|]))(?:="([^"]*)"|"=""([^"]*)""")(?=[,;\t|\r\n]|$)''')
"""A text that spreadsheets must not take for a number, as some programs write it: `="0042"`."""
_DELIMITERS = ",;\t|"
_HEAD_LINES = 200
csv.field_size_limit(MOST_CHARACTERS)


def csv_lines(
    path: str,
    text: io.TextIOWrapper,
    position: Callable[[], int],
    delimiter: str | None,
    wanted: Collection[str],
) -> Iterator[Line]:
    """The lines of `text`; `path` names the file in errors, `position` gives the bytes read.
    Without a `delimiter`, it is inferred from the lines.  Raises `BadDataError` and `csv.Error`."""

    def physical() -> Iterator[str]:
        while line := text.readline(MOST_CHARACTERS + 1):
            if len(line) > MOST_CHARACTERS:
                raise BadDataError(
                    f"{path} has a line of over {MOST_CHARACTERS:,} characters.",
                    "That is not a table of trades; export it again.",
                )
            yield _FORMULA.sub(_unwrapped, line) if '="' in line else line

    lines = physical()
    head = [line for _, line in zip(range(_HEAD_LINES), lines, strict=False)]
    above = 0
    if head and (named := re.fullmatch(r"\ufeff?\"?sep=(.)\"?\s*", head[0], re.IGNORECASE)):
        delimiter = delimiter or named[1]
        head, above = head[1:], 1
    quoted = _are_quoted(head)
    if quoted:
        head = list(map(_unquoted, head))
    if delimiter is None and (columns := aligned(head)) is not None:
        for number, line in enumerate(chain(head, lines), above + 1):
            cells = columns.cells(line.strip("\ufeff"))
            if not _is_rule(cells):
                yield Line(cells, number, position())
        return
    if delimiter is None and (pairs := log_pairs(head)) is not None:
        yield Line(pairs.header(), 0, 0)
        for number, line in enumerate(chain(head, lines), above + 1):
            yield Line(pairs.cells(line), number, position())
        return
    separator = delimiter or _delimiter(head, wanted)

    def chained() -> Iterator[str]:
        yield from head
        yield from map(_unquoted, lines) if quoted else lines

    spaced = any(re.search(rf'{re.escape(separator)} +"', line) for line in head[:20])
    reader = csv.reader(chained(), delimiter=separator, skipinitialspace=spaced)
    begin = above + 1
    for cells in reader:
        if len(cells) > MOST_COLUMNS:
            raise BadDataError(
                f"{path}, line {begin} has {len(cells):,} cells.",
                f"A table of trades has at most {MOST_COLUMNS:,} columns.",
            )
        if reader.line_num + above - begin > MOST_LINES_OF_A_CELL:
            raise BadDataError(
                f"{path}: a quotation mark in line {begin} is never closed.",
                "Correct the line, or export the file again.",
            )
        if not _is_rule(cells):
            yield Line(cells, begin, position())
        begin = reader.line_num + above + 1


def _are_quoted(head: list[str]) -> bool:
    """Whether each line is one quoted cell, in which the cells are."""
    whole = [line for line in head if line.strip()]
    return (
        len(whole) > 1
        and all(_WHOLE.fullmatch(line.strip("\ufeff\r\n ")) for line in whole)
        and all(any(mark in line for mark in _DELIMITERS) for line in whole)
    )


def _unquoted(line: str) -> str:
    found = _WHOLE.fullmatch(line.strip("\ufeff\r\n "))
    return f"{found[1]}\n".replace('""', '"') if found else line


_WHOLE = re.compile(r'"((?:[^"]|"")*)"')
_RULE = re.compile(r":?[-=]{3,}:?")
"""A cell of a drawn line, such as the one below the names of columns in Markdown."""


def _is_rule(cells: list[str]) -> bool:
    return any(cells) and all(_RULE.fullmatch(cell.strip()) for cell in cells if cell)


def _delimiter(head: list[str], wanted: Collection[str]) -> str:
    """The separator with which most lines have the same number of cells, and more than one."""

    if wanted:
        for mark in _DELIMITERS:
            with suppress(csv.Error):
                if any(
                    set(wanted) <= {cell.strip() for cell in cells}
                    for cells in csv.reader(head, delimiter=mark)
                ):
                    return mark

    def score(mark: str) -> tuple[float, int]:
        try:
            widths = [len(cells) for cells in csv.reader(head, delimiter=mark) if any(cells)]
        except csv.Error:
            return 0.0, 0
        wide = [width for width in widths if width > 1]
        if not wide:
            return 0.0, 0
        common = max(set(wide), key=lambda width: (wide.count(width), width))
        share = sum(width >= common - (common > 2) for width in widths) / len(widths)
        # In most files, the first line has the names of the columns.
        first = 1.5 if widths[0] == common else 1.0
        return first * share * min(common, 4) + share * common / 1000, common

    return max(_DELIMITERS, key=score)


def _unwrapped(found: re.Match[str]) -> str:
    return f'"{found[1] if found[1] is not None else found[2]}"'
