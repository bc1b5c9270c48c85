"""Rows of a long table after the first ones: what they have that no row before had, and that the
draft of the mapping could not see.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.errors import BadDataError
from app.sources.drafting.answers import answers_of
from app.sources.drafting.compared import Contradiction
from app.sources.drafting.contents import Contents
from app.sources.drafting.decide import decide
from app.sources.figures import written
from app.sources.filters import kept
from app.sources.mapping import OPEN_QUESTION, TableMapping
from app.sources.notes import Notes
from app.sources.pairs import future_of, is_option
from app.sources.tables import Row

MOST_WORDS = 40
"""Different texts in a column of words, at most."""
_DECIDED = 1_000
"""Of the first rows, those that are decided again together with new ones."""
_MOST_NEW, _MOST_ROWS, _MOST_SYMBOLS = 20, 200, 50_000
"""New texts of a column, rows with them, and symbols that are remembered."""
_TWO = re.compile(r"\s*(\d{1,2})[-./](\d{1,2})[-./]\d")
"""A day and a month, in either order."""
_MONTHS, _PLACES = 12, 5
_DIGITS = {ord(digit): None for digit in "0123456789"}
_NUMBERS = frozenset(
    (
        *("quantity", "price", "fee", "gross", "net", "pnl_usd", "multiplier", "stake", "rr"),
        *("roi", "entry_price", "exit_price", "max_drawdown", "max_gain", "fees_usd"),
    )
)
"""Fields whose columns have numbers."""


@dataclass
class _Against:
    """Rows that contradict the mapping, the first of them with its cell."""

    first: str = ""
    places: list[str] = field(default_factory=list)
    n: int = 0

    def add(self, path: str, row: Row, said: str) -> None:
        """A row, and what it has."""
        self.n += 1
        self.first = self.first or said
        if len(self.places) < _PLACES:
            self.places.append(f"{path}:{row.line}")


class LaterRows:
    """Looks at the rows of one table after the `first` ones, in bounded memory."""

    def __init__(self, mapping: TableMapping, first: Sequence[Row]) -> None:
        self._mapping = mapping
        self._first = [*first[:_DECIDED]]
        self.new: list[Row] = []
        self._places: list[str] = []
        columns = tuple(dict.fromkeys(column for row in first for column in row.cells))
        contents = Contents(columns, self._first)
        fields = mapping.columns
        self._orders = [
            (spec.name, order)
            for spec in fields.values()
            if spec.format and (order := _day_first(spec.format)) is not None
        ]
        numbers = dict.fromkeys(
            column
            for name, spec in fields.items()
            if name in _NUMBERS
            for column in (spec.name, *spec.more)
        )
        seen = {column: {row.cells.get(column) for row in first} for column in columns}
        self._numbers = [
            (column, {word.translate(_DIGITS) for word in seen[column] if isinstance(word, str)})
            for column in numbers
            if column in seen
        ]
        self._words = {
            column: words
            for column, words in seen.items()
            if len(words) <= MOST_WORDS and column not in numbers and contents.time(column) is None
        }
        self._n_new = dict.fromkeys(self._words, 0)
        symbol = fields.get("symbol")
        self._symbol = symbol.name if symbol is not None else None
        self._symbols = seen.get(self._symbol or "", set())
        self._kinds = {_kind(symbol) for symbol in self._symbols}
        self._swapped, self._marked = _Against(), _Against()

    def see(self, path: str, row: Row) -> None:
        """The next row."""
        cells = row.cells
        for column, day_first in self._orders:
            cell = cells.get(column)
            two = _TWO.match(cell) if isinstance(cell, str) else None
            if two is not None and int(two[2 if day_first else 1]) > _MONTHS:
                self._swapped.add(path, row, f"{column} has {cell!r}")
        for column, known in self._numbers:
            cell = cells.get(column)
            if isinstance(cell, str) and (marks := cell.translate(_DIGITS)) not in known:
                decimal = self._mapping.decimal
                other = "," if decimal == "." else "."
                if written(cell, decimal) is None and written(cell, other) is not None:
                    self._marked.add(path, row, f"{column} has {cell!r}")
                else:
                    known.add(marks)
        for column, words in self._words.items():
            cell = cells.get(column)
            if cell not in words:
                words.add(cell)
                self._n_new[column] += 1
                self._keep(path, row)
                if self._n_new[column] > _MOST_NEW:
                    self._words = {c: w for c, w in self._words.items() if c != column}
                    return
        if self._symbol is not None and (cell := cells.get(self._symbol)) not in self._symbols:
            if len(self._symbols) < _MOST_SYMBOLS:
                self._symbols.add(cell)
            if (kind := _kind(cell)) not in self._kinds:
                self._kinds.add(kind)
                self._keep(path, row)

    def _keep(self, path: str, row: Row) -> None:
        if len(self.new) < _MOST_ROWS:
            self.new.append(row)
            self._places.append(f"{path}:{row.line}")

    def found(self, path: str) -> Iterator[tuple[str, int, tuple[str, ...]]]:
        """(what speaks against the mapping, in how many rows, the places of the first)."""
        if self._swapped.n:
            yield (
                "Whether the day or the month comes first: the mapping has it otherwise than a"
                f" later row, where {self._swapped.first}.",
                self._swapped.n,
                tuple(self._swapped.places),
            )
        if self._marked.n:
            yield (
                f"Whether {self._mapping.decimal!r} is the decimal mark: in a later row,"
                f" {self._marked.first}.",
                self._marked.n,
                tuple(self._marked.places),
            )
        if self.new and self._mapping.drafted:
            for said in self._decided(path):
                yield said.said, len(said.rows), tuple(self._places[i] for i in said.rows)

    def _decided(self, path: str) -> Iterator[Contradiction]:
        """What the draft would leave out or ask about, if it saw the new rows."""
        rows = [row._replace(line=i) for i, row in enumerate((*self.new, *self._first))]
        columns = tuple(dict.fromkeys(column for row in rows for column in row.cells))
        kept_rows = list(kept(rows, self._mapping, Notes()))
        try:
            drafted = decide(path, Contents(columns, rows), self._mapping.rows)
        except BadDataError as error:
            yield Contradiction(f"What later rows show: {error}", tuple(range(len(self.new))))
            return
        counted = {row.line for row in drafted.kept.contents.rows}
        gone = [
            row.line
            for row in kept_rows
            if row.line < len(self.new) and row.line not in counted and not row.beyond
        ]
        if gone:
            yield Contradiction(
                "Whether later rows count that the draft would leave out:"
                f" {' '.join(drafted.kept.said[:3])}",
                tuple(gone),
            )
        given = answers_of(self._mapping, drafted, False)
        for key, (value, _) in drafted.sections.get("multipliers", {}).items():
            if value == OPEN_QUESTION and not given.settle("multipliers", key):
                asked = [said for said in drafted.asked if drafted.key_of.get(said) == key]
                yield Contradiction(
                    f"What follows from later rows: {' '.join(asked)}",
                    tuple(range(len(self.new))),
                )


def _day_first(form: str) -> bool | None:
    """Whether a format of times has the day before the month as numbers (False: after it); None if
    it has not both."""
    if form in ("dm", "md"):
        return form == "dm"
    day, month = form.find("%d"), form.find("%m")
    return None if min(day, month) != 0 else day < month


def _kind(symbol: Any) -> str:
    text = str(symbol or "")
    return future_of(text) or ("option" if is_option(text) else "")
