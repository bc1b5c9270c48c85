"""Compares the rows of a table with a mapping while they are read: figures that it does not read
may contradict what it reads.

May touch: the files it is given (read only).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from app.sources.blocks import TEXT_LINES
from app.sources.contradictions import Against, Contradicted
from app.sources.drafting.compared import Compared, keys_of
from app.sources.drafting.comparisons import contradictions
from app.sources.drafting.contents import Contents
from app.sources.drafting.follow_ups import MOST_ROWS as MOST_DECIDED
from app.sources.drafting.follow_ups import follow_ups
from app.sources.drafting.outcomes import MOST_ROWS, Sample, outcomes_of
from app.sources.later_rows import LaterRows
from app.sources.mapping import TableMapping
from app.sources.multiplier_check import CONTRADICTED
from app.sources.notes import Notes
from app.sources.tables import Row, blocks

_COLUMNS_OF_FACTS = 3
"""Maximum number of columns of a table that describes the others: a name and a value."""
_ROWS_OF_FACTS = 100
"""Rows of such a table that are looked at."""
_PLACES = 5


class _Placed(Row):
    """A row that knows its place: the file and the line."""

    place = ""


def _placed(path: str, row: Row) -> _Placed:
    placed = _Placed(*row)
    placed.place = f"{path}:{row.line}"
    return placed


class Comparing:
    """Compares rows with `mapping` while they are read, and calls `against` with what contradicts
    it.  Of each file, the first 5 000 rows are compared (of all fills together, the earliest
    5 000), so that memory is bounded."""

    def __init__(self, mapping: TableMapping, against: Against) -> None:
        self._mapping = mapping
        self._against = against
        self._all: Sample[_Placed] = Sample(mapping, MOST_DECIDED)
        self._later: LaterRows | None = None

    def watched(self, path: str, rows: Iterator[Row]) -> Iterator[Row]:
        """The rows of a file, among them those that the mapping leaves out."""
        if self._mapping.rows == "positions":
            self._all, self._later = Sample(self._mapping, MOST_DECIDED), None
        first: list[_Placed] = []
        for row in rows:
            if self._all.takes:
                self._all.add(_placed(path, row))
            if self._later is not None:
                self._later.see(path, row)
            elif len(first) < MOST_ROWS:
                first.append(_placed(path, row))
            else:
                self._later = LaterRows(self._mapping, first)
                self._later.see(path, row)
            yield row

    def _of_later_rows(self, path: str) -> list[Contradicted]:
        """What rows after the first ones contradict."""
        return [
            Contradicted(said, n, places[:_PLACES])
            for said, n, places in (self._later.found(path) if self._later is not None else ())
        ]

    def positions(self, path: str, rows: Iterator[Row]) -> Iterator[Row]:
        """The rows of a file; the first ones are compared before any comes, later ones after the
        last."""
        head = list(islice(rows, MOST_ROWS))
        beyond = list(islice(rows, 1))
        self._compare([path], [_placed(path, row) for row in head], whole=not beyond)
        yield from head
        yield from beyond
        yield from rows
        if found := self._of_later_rows(path):
            self._against(found, self._mapping)

    def fills(
        self, files: Iterable[tuple[str, Iterator[Row]]]
    ) -> Iterator[tuple[str, Iterator[Row]]]:
        """(path, its rows); they are compared when all of them have been read."""
        sample: Sample[_Placed] = Sample(self._mapping)
        paths = []

        def seen(path: str, rows: Iterator[Row]) -> Iterator[Row]:
            for row in rows:
                if sample.takes:
                    sample.add(_placed(path, row))
                yield row

        for path, rows in files:
            paths.append(path)
            yield path, seen(path, rows)
        self._compare(paths, *sample.rows())

    def _compare(self, paths: Sequence[str], rows: Sequence[_Placed], whole: bool) -> None:
        if not rows and self._later is None:
            return
        texts = texts_of(paths[0], self._mapping) if whole and len(paths) == 1 else []
        one = whole and len(paths) == 1
        found = list(self._by_figures(rows, texts, one)) if rows else []
        if self._mapping.rows == "fills":
            found += self._of_later_rows(paths[0])
        if not found and self._mapping.drafted:
            found = list(self._by_answers(paths[0], texts))
        if found:
            self._against(found, self._mapping)

    def _by_answers(self, path: str, texts: list[str]) -> Iterator[Contradicted]:
        rows, _ = self._all.rows()
        for said, against in follow_ups(path, _contents(rows, texts), self._mapping):
            first = tuple(rows[i].place for i in against[:_PLACES])
            yield Contradicted(said, len(against), first)

    def _by_figures(
        self, rows: Sequence[_Placed], texts: list[str], whole: bool
    ) -> Iterator[Contradicted]:
        mapping, notes = self._mapping, Notes()
        contents = _contents(rows, texts)
        contents.decimal, contents.triangle = mapping.decimal, mapping.triangle or ""
        contents.parts = {column.name for column in mapping.columns.values() if column.part}
        found = outcomes_of(mapping, rows, notes)
        compared = Compared(
            mapping.rows,
            contents,
            found,
            _read_by(mapping),
            mapping.columns.keys(),
            whole,
            keys_of(mapping),
            mapping.columns,
        )
        for said, against in contradictions(compared):
            first = tuple(rows[i].place for i in against[:_PLACES])
            yield Contradicted(said, len(against), first)
        for name in notes.names(CONTRADICTED):
            yield Contradicted(f"Whether the value of a contract is right: {name}.")


def _contents(rows: Sequence[Row], texts: list[str]) -> Contents:
    columns = tuple(dict.fromkeys(column for row in rows for column in row.cells))
    return Contents(columns, [*rows], texts=texts)


def _read_by(mapping: TableMapping) -> set[str]:
    """The columns that fields are read from."""
    return {
        name
        for column in mapping.columns.values()
        for name in (column.name, *column.more, column.option)
        if name is not None
    }


def texts_of(path: str, mapping: TableMapping) -> list[str]:
    """The lines of text in the file, and the rows of its small tables of names and values; none of
    standard input, which cannot be read twice."""
    if path == "-":
        return []
    notes, facts = Notes(), []
    every = 0
    for block in blocks(path, mapping.delimiter, mapping.encoding, notes):
        found = list(islice(block.rows, _ROWS_OF_FACTS))
        every += bool(found)
        facts += facts_of(block.columns, found)
        for _ in block.rows:
            pass
    return notes.names(TEXT_LINES) + (facts if every > 1 else [])


def facts_of(columns: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """The first rows of a table of names and values as text; none of a wider table."""
    if len(columns) > _COLUMNS_OF_FACTS:
        return []
    return [
        " ".join(str(cell) for cell in row.cells.values() if cell) for row in rows[:_ROWS_OF_FACTS]
    ]
