"""Rows into a file: CSV or Parquet, whole or not at all.

May touch: the file, and a temporary one beside it.
"""

from __future__ import annotations

import csv
import io
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Protocol

from app.errors import ConfigurationError, UsageError
from app.export.columns import Column

FORMATS = ("parquet", "csv")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
BATCH = 10_000
"""Number of rows that are held before they are written; also the size of Parquet's row groups."""


def format_of(out: str, chosen: str | None) -> str:
    """The format of `out`: the chosen one, else by the ending of its name.  Raises `UsageError`.

    >>> format_of("lessons.parquet", None), format_of("-", None)
    ('parquet', 'csv')
    """
    if out == "-":
        if chosen == "parquet":
            raise UsageError(
                "Parquet cannot be written to standard output.", "Name a file, or use --format csv."
            )
        return "csv"
    if chosen is not None:
        return chosen
    ending = Path(out).suffix.lstrip(".").lower()
    if ending not in FORMATS:
        raise UsageError(
            f"The format of {out} is not clear from its name.",
            "Use a .parquet or .csv file name, or set --format.",
        )
    return ending


async def write(
    rows: AsyncIterator[Any],
    columns: Sequence[Column],
    out: str,
    kind: str,
    *,
    force: bool = False,
    progress: Callable[[int], None] = lambda n: None,
) -> int:
    """Write the cells that `columns` read from `rows` to `out` (`-`: standard output); returns the
    number of rows.

    The file appears whole, under its name, when all is written, and not at all if anything fails.
    Raises `UsageError` if it is there already, unless `force`, and `ConfigurationError` if it
    cannot be written or pyarrow is missing.
    """
    count = 0
    with _opened(out, force) as stream:
        writer: _Writer = _Csv(stream, columns) if kind == "csv" else _Parquet(stream, columns)
        batch: list[list[Any]] = []
        try:
            async for row in rows:
                batch.append([column.read(row) for column in columns])
                if len(batch) == BATCH:
                    writer.write(batch)
                    count += len(batch)
                    progress(len(batch))
                    batch = []
            writer.write(batch)
        finally:
            writer.close()
        progress(len(batch))
    return count + len(batch)


@contextmanager
def _opened(out: str, force: bool) -> Iterator[IO[bytes]]:
    """A temporary file that replaces `out` at the end, unless an exception occurs."""
    if out == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(out)
    if target.exists() and not force:
        raise UsageError(
            f"{out} exists already.", "Name another file, or add --force to replace it."
        )
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{target.name}.", suffix=".part", dir=target.parent
        )
    except OSError as error:
        raise ConfigurationError(
            f"Cannot write {out}: {error.strerror}.", "Name a file in a writable folder."
        ) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o666 & ~_umask())  # only its owner may read a temporary file
        os.replace(name, target)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot write {out}: {error.strerror or error}.", "Check whether the disk is full."
        ) from error
    finally:
        Path(name).unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


class _Writer(Protocol):
    def write(self, rows: list[list[Any]]) -> None: ...
    def close(self) -> None: ...


class _Csv:
    """RFC 4180, UTF-8, with a header; null is an empty cell, flags are true and false, times RFC
    3339 in UTC.  No text is a formula (see `inert`)."""

    def __init__(self, stream: IO[bytes], columns: Sequence[Column]) -> None:
        self._text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=False)
        self._writer = csv.writer(self._text)
        self._writer.writerow([inert(column.name) for column in columns])

    def write(self, rows: list[list[Any]]) -> None:
        self._writer.writerows([_csv_cell(cell) for cell in row] for row in rows)

    def close(self) -> None:
        self._text.flush()
        self._text.detach()  # whoever opened the stream closes it


def _csv_cell(cell: Any) -> Any:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return inert(cell) if isinstance(cell, str) else cell


def inert(text: str) -> str:
    """`text`, with an apostrophe before it where a spreadsheet would take it for a formula: it
    begins with = + - @, a tab or a carriage return, and is not a number.

    >>> inert("=1+1"), inert("-3"), inert("sol")
    ("'=1+1", '-3', 'sol')
    """
    return text if not text.startswith(_FORMULA) or _NUMBER.fullmatch(text) else f"'{text}"


class _Parquet:
    """Write zstd-compressed Parquet, one row group per batch; times are microseconds in UTC; each
    column's meaning is in the metadata of its field."""

    def __init__(self, stream: IO[bytes], columns: Sequence[Column]) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise ConfigurationError(
                "Writing Parquet requires pyarrow, which is not installed.",
                "Install edgeloop[files], or write a .csv file.",
            ) from error
        self._arrow = pyarrow
        types = {
            "text": pyarrow.string(),
            "json": pyarrow.string(),
            "integer": pyarrow.int64(),
            "number": pyarrow.float64(),
            "flag": pyarrow.bool_(),
            "time": pyarrow.timestamp("us", tz="UTC"),
        }
        self._columns = columns
        self._schema = pyarrow.schema(
            [pyarrow.field(c.name, types[c.kind], metadata={"meaning": c.meaning}) for c in columns]
        )
        self._writer = pyarrow.parquet.ParquetWriter(stream, self._schema, compression="zstd")

    def write(self, rows: list[list[Any]]) -> None:
        if not rows:
            return
        arrays = [
            self._arrow.array(
                [_moment(cell) if c.kind == "time" else cell for cell in cells], field.type
            )
            for c, field, cells in zip(
                self._columns, self._schema, zip(*rows, strict=True), strict=True
            )
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
