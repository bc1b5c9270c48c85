"""Figures in files that a mapping does not read, and that contradict what it reads: a question may
have been answered wrongly, or a mapping edited.

May touch: the files it is given (read only).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from app.errors import BadDataError
from app.sources.blocks import TEXT_LINES
from app.sources.drafting.compared import Compared
from app.sources.drafting.comparisons import contradictions
from app.sources.drafting.contents import Contents
from app.sources.drafting.outcomes import outcomes_of, sampled
from app.sources.mapping import ACCEPT, TableMapping
from app.sources.multiplier_check import CONTRADICTED
from app.sources.notes import Notes
from app.sources.read import kind_of, rows_of
from app.sources.tables import Row, blocks

COLUMNS_OF_FACTS = 3
"""Maximum number of columns of a table that describes the others: a name and a value."""
ROWS_OF_FACTS = 100
"""Rows of such a table that are looked at."""
_PLACES = 5
_TITLE = "Figures in the file contradict what is read:"
_ACCEPTED = "Figures in the file contradict what is read, which the mapping accepts:"


@dataclass(frozen=True)
class Contradicted:
    """What to check, as a sentence, how many rows speak against the mapping, and the first of them
    (`trades.csv:3`); none where it is about all of them."""

    sentence: str
    rows: int = 0
    places: tuple[str, ...] = ()

    def line(self) -> str:
        """The sentence with the first rows."""
        more = f" and {self.rows - len(self.places):,} more" if self.rows > len(self.places) else ""
        where = f"  Rows: {', '.join(self.places)}{more}." if self.places else ""
        return f"{self.sentence}{where}"


def contradicted(
    paths: Sequence[str], kind: str | None, mapping: TableMapping | None
) -> list[Contradicted]:
    """What figures of the tables among the files say against `mapping`; `kind` is that of all files
    (None: detected).  Of each file, the first 5 000 rows are compared (of all fills together, the
    earliest 5 000), so that memory is bounded.

    Raises as `app.sources.closes` does.
    """
    tables = [path for path in paths if (kind or kind_of(path)) == "table"]
    if mapping is None or not tables:
        return []
    groups = [tables] if mapping.rows == "fills" else [[path] for path in tables]
    return list(chain.from_iterable(_of_group(group, mapping) for group in groups))


def refuse(found: Sequence[Contradicted], mapping: TableMapping | None) -> None:
    """Raises `BadDataError` for contradictions that the mapping does not accept."""
    if found and mapping is not None and mapping.contradictions != ACCEPT:
        raise BadDataError(
            f"{_TITLE} {found[0].line()}",
            f'Correct {mapping.path}; or write contradictions = "{ACCEPT}" at its top, if it is'
            " right.",
        )


def lines(found: Sequence[Contradicted], mapping: TableMapping | None) -> Iterator[str]:
    """The contradictions as text; nothing if there are none."""
    if not found:
        return
    accepted = mapping is not None and mapping.contradictions == ACCEPT
    yield _ACCEPTED if accepted else _TITLE
    for one in found:
        yield f"  {one.line()}"


def _of_group(paths: Sequence[str], mapping: TableMapping) -> Iterator[Contradicted]:
    rows, whole = sampled(mapping, _placed(paths, mapping))
    if not rows:
        return
    whole = whole and len(paths) == 1
    contents = Contents(
        tuple(dict.fromkeys(column for row in rows for column in row.cells)),
        [*rows],
        texts=texts_of(paths[0], mapping) if whole else [],
    )
    contents.decimal, contents.triangle = mapping.decimal, mapping.triangle or ""
    contents.parts = {column.name for column in mapping.columns.values() if column.part}
    read = {
        name
        for column in mapping.columns.values()
        for name in (column.name, *column.more, column.option)
        if name is not None
    }
    notes = Notes()
    found = outcomes_of(mapping, rows, notes)
    compared = Compared(mapping.rows, contents, found, read, mapping.columns.keys(), whole)
    for said, against in contradictions(compared):
        first = tuple(rows[i].place for i in against[:_PLACES])
        yield Contradicted(said, len(against), first)
    for name in notes.names(CONTRADICTED):
        yield Contradicted(f"Whether the value of a contract is right: {name}.")


class _Placed(Row):
    """A row that knows its place: the file and the line."""

    place = ""


def _placed(paths: Sequence[str], mapping: TableMapping) -> Iterator[_Placed]:
    for path in paths:
        for row in rows_of(path, mapping, Notes()):
            placed = _Placed(*row)
            placed.place = f"{path}:{row.line}"
            yield placed


def texts_of(path: str, mapping: TableMapping) -> list[str]:
    """The lines of text in the file, and the rows of its small tables of names and values."""
    notes, facts = Notes(), []
    every = 0
    for block in blocks(path, mapping.delimiter, mapping.encoding, notes):
        found = list(islice(block.rows, ROWS_OF_FACTS))
        every += bool(found)
        if len(block.columns) <= COLUMNS_OF_FACTS:
            facts += [" ".join(str(cell) for cell in row.cells.values() if cell) for row in found]
        for _ in block.rows:
            pass
    return notes.names(TEXT_LINES) + (facts if every > 1 else [])
