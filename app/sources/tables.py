"""Rows of tables, each with the names of its columns and its place: CSV, HTML, spreadsheets and the
like, and Parquet.

May touch: the files it is given (read only).  Parquet needs pyarrow, the extra `files`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from app.errors import BadDataError, ConfigurationError, UsageError
from app.sources.blocks import TEXT_LINES, Block, Row, blocks_of
from app.sources.column_names import is_known
from app.sources.files import opened, plain_name
from app.sources.notes import Notes
from app.sources.sheets import UTF_8, form_of, sheets
from app.sources.unfolded import unfolded

__all__ = [
    "EVERY",
    "UTF_8",
    "Row",
    "Table",
    "blocks",
    "encoding_of",
    "goes_on",
    "is_parquet",
    "is_table",
    "pyarrow_parquet",
    "table",
]

EVERY = "*"
"""`table` of a mapping: all tables with the columns of the first one that has those wanted."""
_ENCODINGS = (
    "cp1252",
    "cp1250",
    "cp1251",
    "cp932",
    "gb18030",
    "big5",
    "euc_kr",
    "cp1253",
    "cp1254",
    "cp1255",
    "cp1256",
    "cp874",
    "cp866",
    "koi8_r",
)
"""Encodings besides Unicode that spreadsheets write in countries whose words are known."""
_CELLS_LOOKED_AT = 500
_BATCH_ROWS = 5_000
_CHUNK_BYTES = 1_048_576
_SUFFIXES = (".csv", ".tsv", ".txt", ".log", ".htm", ".html", ".xlsx", ".xlsm", ".xls", ".xml")


class Table(NamedTuple):
    """A table that is being read: its columns, in their order, and its rows."""

    columns: tuple[str, ...]
    rows: Iterator[Row]


def is_parquet(path: str) -> bool:
    """By the name."""
    return path.lower().endswith((".parquet", ".pq"))


@contextmanager
def table(
    path: str,
    delimiter: str | None = None,
    encoding: str = UTF_8,
    wanted: Collection[str] = (),
    which: str | None = None,
    notes: Notes | None = None,
) -> Iterator[Table]:
    """The first table in the file that has all the `wanted` columns, with the rows of all similar
    tables; `which` is its title or number (from 1).  A `delimiter` of None is inferred from the
    content. `notes` collects what else the file has.

    Raises `UsageError` if the file cannot be opened, `BadDataError` if it is damaged, has no table,
    or is in another encoding, and `ConfigurationError` where a package is missing.
    """
    if is_parquet(path):
        yield _parquet(path)
        return
    notes = Notes() if notes is None else notes
    with sheets(path, delimiter, encoding, wanted) as found:
        every = map(unfolded, blocks_of(found, frozenset(wanted), notes))
        nearest: Block | None = None
        number = 0
        for number, block in enumerate(every, 1):
            if (which is None or named(block, number, which)) and set(wanted) <= set(block.columns):
                yield Table(block.columns, _alike(block, every, number, which, notes))
                return
            if nearest is None or len(set(wanted) & set(block.columns)) > len(
                set(wanted) & set(nearest.columns)
            ):
                nearest = block
            for _ in block.rows:
                pass
        if nearest is None:
            raise BadDataError(f"{path} is empty.", "The first line must name the columns.")
        if which is not None and set(wanted) <= set(nearest.columns):
            raise BadDataError(
                f"{path} has no table {which!r} with the columns of the mapping.",
                "Name it by its title or its number.",
            )
        yield Table(nearest.columns, iter(()))


def named(block: Block, number: int, which: str) -> bool:
    """Whether `which` is the block's title, its number from 1, `line` and the number of the line of
    its header, or `*` for every table."""
    return which == EVERY or which.strip().casefold() in (
        block.title.casefold(),
        str(number),
        f"line {block.line}",
    )


Heading = tuple[str, tuple[str, ...]]
"""The title and the columns of a table."""


def goes_on(first: Heading, later: Heading, every: bool) -> bool:
    """Whether a later table of a file goes on with an earlier one: both have the same title and
    columns, or, if `every` table counts, the same columns in any order."""
    return first == later or (every and {*first[1]} == {*later[1]})


def _alike(
    first: Block, every: Iterator[Block], number: int, which: str | None, notes: Notes
) -> Iterator[Row]:
    """The rows of `first`, and of the blocks after it that have its title and columns; the others
    are counted."""
    yield from first.rows
    for later, block in enumerate(every, number + 1):
        if goes_on((first.title, first.columns), (block.title, block.columns), which == EVERY) or (
            which not in (None, EVERY) and named(block, later, which)
        ):
            yield from block.rows
            continue
        n_rows = sum(1 for _ in block.rows)
        if not n_rows and block.line:
            notes.add(TEXT_LINES, name=f"line {block.line} names of other columns")
        if n_rows:
            notes.add(
                "rows of other tables in the file, left out",
                n_rows,
                f"{block.title or 'table'} from line {block.line} on",
            )


def blocks(path: str, delimiter: str | None, encoding: str, notes: Notes) -> Iterator[Block]:
    """All tables in the file; the rows of each must be read before the next one is requested."""
    if is_parquet(path):
        found = _parquet(path)
        yield Block("", 0, found.columns, found.rows)
        return
    with sheets(path, delimiter, encoding) as every:
        yield from map(unfolded, blocks_of(every, frozenset(), notes))


def encoding_of(path: str) -> str:
    """The encoding of a CSV file: UTF-8, else one that spreadsheets write: UTF-16 (recognised by
    its mark), or that of a region in which the names of its columns are known, Windows' Western one
    first.
    """
    if is_parquet(path) or form_of(path) != "csv":
        return UTF_8
    decoder = codecs.getincrementaldecoder("utf-8")()
    with opened(path) as (stream, _):
        start = stream.read(_CHUNK_BYTES)
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        if b"\0" in start[:200]:
            return "utf-16-le" if start[1:2] == b"\0" else "utf-16-be"
        try:
            while start:
                decoder.decode(start)
                start = stream.read(_CHUNK_BYTES)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return _by_known_names(path)
    return UTF_8


def _by_known_names(path: str) -> str:
    """The encoding in which most cells at the beginning of the file are known names of columns."""
    with opened(path) as (stream, _):
        start = stream.read(_CHUNK_BYTES // 16)

    def names(encoding: str) -> int:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            text = decoder.decode(start)  # A character cut off at the end remains.
        except UnicodeDecodeError:
            return -1
        cells = re.split(r"[,;\t|\r\n]+", text)[:_CELLS_LOOKED_AT]
        return sum(is_known(cell.strip(' "')) for cell in cells if not cell.isascii())

    return max(_ENCODINGS, key=names)


def pyarrow_parquet() -> Any:
    """pyarrow's module for Parquet.  Raises `ConfigurationError` if it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigurationError(
            "Reading Parquet needs the package pyarrow, which is not installed.",
            'Install it with: pip install "edgeloop[files]"',
        ) from error
    return pyarrow.parquet


def _parquet(path: str) -> Table:
    parquet = pyarrow_parquet()
    if not Path(path).is_file():
        raise UsageError(f"{path} does not exist.", "Name an existing file.")
    try:
        file = parquet.ParquetFile(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are both.
        raise BadDataError(
            f"{path} cannot be read as Parquet: {error}.", "Get the file again."
        ) from error
    size, n_rows = Path(path).stat().st_size, max(1, file.metadata.num_rows)

    def rows() -> Iterator[Row]:
        line = 0
        try:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                for cells in batch.to_pylist():
                    line += 1
                    yield Row(cells, line, size * line // n_rows, [])
        except (OSError, ValueError) as error:
            raise BadDataError(
                f"{path} is damaged after row {line}: {error}.", "Get the file again."
            ) from error
        finally:
            file.close()

    return Table(tuple(file.schema_arrow.names), rows())


def is_table(path: str) -> bool:
    """By the name."""
    return is_parquet(path) or plain_name(path).endswith(_SUFFIXES)
