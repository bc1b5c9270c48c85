"""Files as sheets of lines: CSV in any usual form, HTML, spreadsheets, JSON, XML and SQLite,
distinguished by their content.

May touch: the files it is given (read only).  Every reader is bounded: input that is too large or
too deep for a trade log is refused.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import zipfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import IO

from app.errors import BadDataError, UsageError
from app.sources.csv_lines import csv_lines
from app.sources.documents import sheets_of
from app.sources.files import opened
from app.sources.html_lines import html_sheet
from app.sources.lines import Sheet
from app.sources.workbooks import workbook_sheets

UTF_8 = "utf-8-sig"
"""UTF-8, with a byte order mark or without."""

_HTML = re.compile(
    r"<(!doctype html|html|table|head|body|meta|div|center|style|h[1-6]|p|span|font|b|br|section)\b"
)
"""What files of HTML begin with, in small letters."""


_ARRAYS = re.compile(r"\[\s*\[\s*[\"\d-]")
"""Of JSON with an array for each row."""


def form_of(path: str) -> str:
    """`csv`, `html`, `xml`, `json`, `sqlite`, `xlsx` or `zip`, by the file's content.  Raises
    `UsageError` for formats that cannot be read."""
    if path == "-":
        return "csv"
    with opened(path) as (stream, _):
        start = stream.read(4096)
    if start.startswith(b"SQLite format 3\0"):
        return "sqlite"
    if start.startswith(b"PK\x03\x04"):
        return "xlsx" if _is_workbook(path) else "zip"
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise UsageError(
            f"{path} is a spreadsheet in the format used before 2007.", "Save it as .xlsx or CSV."
        )
    if start.startswith(b"%PDF"):
        raise UsageError(
            f"{path} is a PDF.",
            "Export the same trades as CSV, XML or a spreadsheet.",
        )
    text = _decoded(start).lstrip("\ufeff \t\r\n").lower()
    if text.startswith("<"):
        return "html" if _HTML.match(text) or "<html" in text else "xml"
    if text.startswith(("{", "[{", "[\n", "[\r", "[ ", "[]")):
        return "json"
    return "json" if _ARRAYS.match(text) else "csv"


def _decoded(start: bytes) -> str:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return start[: len(start) // 2 * 2].decode("utf-16", errors="replace")
    return start.decode("utf-8", errors="replace")


def _is_workbook(path: str) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "[Content_Types].xml" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


@contextmanager
def sheets(
    path: str, delimiter: str | None = None, encoding: str = UTF_8, wanted: Collection[str] = ()
) -> Iterator[Iterator[Sheet]]:
    """The sheets of the file, one after the other: the lines of each must be read before the next
    one is requested.  Without a `delimiter`, it is the one with which a line has the `wanted`
    cells, else the one that makes most lines equally wide.

    Raises `UsageError` for a file that cannot be opened, `BadDataError` for one that is damaged,
    too large or in another encoding, and `ConfigurationError` if a package is missing.
    """
    form = form_of(path)
    if form == "csv":
        with opened(path) as (stream, position):
            text = io.TextIOWrapper(stream, encoding=_encoding(stream, encoding), newline="")
            try:
                yield iter((Sheet("", csv_lines(path, text, position, delimiter, wanted)),))
            except UnicodeDecodeError as error:
                raise BadDataError(
                    f"{path} is not in the encoding {encoding}: {error.reason} near byte"
                    f" {error.start}.",
                    'Name its encoding in the mapping, such as encoding = "cp1252".',
                ) from error
            except csv.Error as error:
                raise BadDataError(
                    f"{path} cannot be read as CSV: {error}.",
                    "Save it as CSV in UTF-8 with a header.",
                ) from error
            finally:
                text.detach()  # The stream is not ours to close.
        return
    if form == "html":
        yield html_sheet(path)
    elif form == "xlsx":
        yield workbook_sheets(path)
    else:
        yield sheets_of(path, form)


def _encoding(stream: IO[bytes], encoding: str) -> str:
    """UTF-16 is recognised by its byte order mark, whatever the mapping says."""
    peek: Callable[[int], bytes] | None = getattr(stream, "peek", None)
    start = peek(4)[:4] if peek else b""
    return (
        "utf-16"
        if encoding == UTF_8 and start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        else encoding
    )
