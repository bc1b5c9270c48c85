"""Lines of cells, and sheets of lines: the form in which all files are read.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

MOST_COLUMNS = 2_000


class Money(float):
    """A number that a spreadsheet shows with a currency: `unit`."""

    unit: str

    def __new__(cls, value: float, unit: str) -> Money:
        made = super().__new__(cls, value)
        made.unit = unit
        return made

    def __reduce__(self) -> tuple[type[Money], tuple[float, str]]:
        return Money, (float(self), self.unit)


class Since1904(float):
    """A number of a spreadsheet that counts days from 1904, where it is a day."""


class Line(NamedTuple):
    """Cells (texts, or typed values), the line of the file or row of the sheet, from 1, and the
    bytes of the file read by then."""

    cells: Sequence[Any]
    number: int
    position: int


class Sheet(NamedTuple):
    """Lines under a name (empty: the file is one sheet).  `columns` are set if the format has them,
    else they are in a line."""

    name: str
    lines: Iterator[Line]
    columns: tuple[str, ...] | None = None
