"""Rows of CSV (plain, `.gz`, `.zst` or standard input) and Parquet, each with the names of its columns and its place.

May touch: the files it is given (read only).  Parquet needs pyarrow, the extra `files`.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from app.errors import BadDataError, ConfigurationError, UsageError
from app.sources.files import opened, plain_name

UTF_8 = "utf-8-sig"
"""UTF-8, with a byte order mark or without."""

_DELIMITERS = ",;\t|"
_BATCH_ROWS = 5_000
_CHUNK_BYTES = 1_048_576
csv.field_size_limit(1_000_000)


class Row(NamedTuple):
    """`cells` by column (texts, from Parquet typed values, None where there is nothing), `line` of the file (for Parquet the row, from 1),
    `position` in bytes, and what there was `beyond` the columns."""

    cells: dict[str, Any]
    line: int
    position: int
    beyond: list[str]


class Table(NamedTuple):
    """A table that is being read: its columns, in their order, and its rows."""

    columns: tuple[str, ...]
    rows: Iterator[Row]


def is_parquet(path: str) -> bool:
    """By the name."""
    return path.lower().endswith((".parquet", ".pq"))


@contextmanager
def table(path: str, delimiter: str | None = None, encoding: str = UTF_8) -> Iterator[Table]:
    """The table in the file.  `delimiter` None is told from the header.

    Raises `UsageError` if it cannot be opened, `BadDataError` if it is damaged, has no header, or is in another encoding, and
    `ConfigurationError` for Parquet without pyarrow.
    """
    if is_parquet(path):
        yield _parquet(path)
        return
    with opened(path) as (stream, position):
        text = io.TextIOWrapper(stream, encoding=encoding, newline="")
        try:
            yield _csv(path, text, position, delimiter)
        except UnicodeDecodeError as error:
            raise BadDataError(
                f"{path} is not in the encoding {encoding}: {error.reason} near byte {error.start}.",
                'Name its encoding in the mapping, such as encoding = "cp1252".',
            ) from error
        except csv.Error as error:
            raise BadDataError(f"{path} cannot be read as CSV: {error}.", "Save it as CSV in UTF-8 with a header.") from error
        finally:
            text.detach()  # The stream is not ours to close.


def _csv(path: str, text: io.TextIOWrapper, position: Any, delimiter: str | None) -> Table:
    header, above = text.readline(), 1
    while header and not header.strip():
        header, above = text.readline(), above + 1
    if not header:
        raise BadDataError(f"{path} is empty.", "The first line has to name the columns.")
    delimiter = delimiter or max(_DELIMITERS, key=header.count)
    columns = tuple(name.strip() for name in next(csv.reader([header], delimiter=delimiter)))
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise BadDataError(f"{path} has two columns with the name {twice[0]!r}.", "Give each column a name of its own.")

    def rows() -> Iterator[Row]:
        reader = csv.reader(text, delimiter=delimiter)
        n_columns = len(columns)
        for cells in reader:
            if any(cells):
                yield Row(dict(zip(columns, cells, strict=False)), reader.line_num + above, position(), cells[n_columns:])

    return Table(columns, rows())


def encoding_of(path: str) -> str:
    """The encoding of a CSV file: UTF-8, or else what spreadsheets write, UTF-16 (told by its mark) or Windows' Western one."""
    if is_parquet(path):
        return UTF_8
    decoder = codecs.getincrementaldecoder("utf-8")()
    with opened(path) as (stream, _):
        start = stream.read(_CHUNK_BYTES)
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        try:
            while start:
                decoder.decode(start)
                start = stream.read(_CHUNK_BYTES)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return UTF_8


def pyarrow_parquet() -> Any:
    """pyarrow's module for Parquet.  Raises `ConfigurationError` where it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigurationError(
            "Reading Parquet needs the package pyarrow, which is not installed.", 'Install it with: pip install "edgeloop[files]"'
        ) from error
    return pyarrow.parquet


def _parquet(path: str) -> Table:
    parquet = pyarrow_parquet()
    if not Path(path).is_file():
        raise UsageError(f"{path} cannot be read: there is no such file.", "Name a file that is there.")
    try:
        file = parquet.ParquetFile(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are both.
        raise BadDataError(f"{path} cannot be read as Parquet: {error}.", "Get the file again.") from error
    size, n_rows = Path(path).stat().st_size, max(1, file.metadata.num_rows)

    def rows() -> Iterator[Row]:
        line = 0
        try:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                for cells in batch.to_pylist():
                    line += 1
                    yield Row(cells, line, size * line // n_rows, [])
        except (OSError, ValueError) as error:
            raise BadDataError(f"{path} is damaged after row {line}: {error}.", "Get the file again.") from error
        finally:
            file.close()

    return Table(tuple(file.schema_arrow.names), rows())


def is_table(path: str) -> bool:
    """By the name."""
    return is_parquet(path) or plain_name(path).endswith((".csv", ".tsv"))
