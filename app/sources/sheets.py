"""Files as sheets of lines: CSV in any usual form, HTML, spreadsheets, JSON, XML and SQLite, told
apart by what they hold.

May touch: the files it is given (read only).  HTML needs lxml and spreadsheets openpyxl, the extra
`files`.  Every reader is bounded: what is too large or too deep for a trade log is refused.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from app.errors import BadDataError, ConfigurationError, UsageError
from app.sources.files import MOST_BYTES, opened, read_whole

UTF_8 = "utf-8-sig"
"""UTF-8, with a byte order mark or without."""
MOST_COLUMNS = 2_000
MOST_CHARACTERS = 1_000_000
"""Of a line of CSV."""
MOST_LINES_OF_A_CELL = 100
_FORMULA = re.compile(r'''(?:^|(?<=[,;\t|]))(?:="([^"]*)"|"=""([^"]*)""")(?=[,;\t|\r\n]|$)''')
"""A text that spreadsheets must not take for a number, as some programs write it: `="0042"`."""
_DELIMITERS = ",;\t|"
_HEAD_LINES = 200
csv.field_size_limit(MOST_CHARACTERS)


class Line(NamedTuple):
    """Cells (texts, or typed values), the line of the file or row of the sheet, from 1, and the
    bytes of the file read by then."""

    cells: Sequence[Any]
    number: int
    position: int


class Sheet(NamedTuple):
    """Lines under a name (empty: the file is one sheet).  `columns` are known where the form says
    them, else they stand in a line."""

    name: str
    lines: Iterator[Line]
    columns: tuple[str, ...] | None = None


def form_of(path: str) -> str:
    """`csv`, `html`, `xml`, `json`, `sqlite`, `xlsx` or `zip`, by what the file holds.  Raises
    `UsageError` for what cannot be read."""
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
        return (
            "html"
            if re.match(r"<(!doctype html|html|table|head|body|meta|div|center|style)", text)
            or "<html" in text
            else "xml"
        )
    if text.startswith(("{", "[{", "[\n", "[\r", "[ ", "[]")):
        return "json"
    return "csv"


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
    """The sheets of the file, one after the other: the lines of each have to be read before the
    next one is asked for.  Without a `delimiter` it is the one with which a line has the `wanted`
    cells, else that which makes most lines equally wide.

    Raises `UsageError` for a file that cannot be opened, `BadDataError` for one that is damaged,
    too large or in another encoding, and `ConfigurationError` where a package is missing.
    """
    form = form_of(path)
    if form == "csv":
        with opened(path) as (stream, position):
            text = io.TextIOWrapper(stream, encoding=_encoding(stream, encoding), newline="")
            try:
                yield iter((Sheet("", _csv(path, text, position, delimiter, wanted)),))
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
        yield _html(path)
    elif form == "xlsx":
        yield _workbook(path)
    else:
        from app.sources import documents

        yield documents.sheets_of(path, form)


def _unwrapped(found: re.Match[str]) -> str:
    return f'"{found[1] if found[1] is not None else found[2]}"'


def _encoding(stream: IO[bytes], encoding: str) -> str:
    """UTF-16 tells itself by its mark, whatever the mapping says."""
    peek: Callable[[int], bytes] | None = getattr(stream, "peek", None)
    start = peek(4)[:4] if peek else b""
    return (
        "utf-16"
        if encoding == UTF_8 and start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        else encoding
    )


def _csv(
    path: str,
    text: io.TextIOWrapper,
    position: Callable[[], int],
    delimiter: str | None,
    wanted: Collection[str],
) -> Iterator[Line]:
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
    separator = delimiter or _delimiter(head, wanted)

    def chained() -> Iterator[str]:
        yield from head
        yield from lines

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
        yield Line(cells, begin, position())
        begin = reader.line_num + above + 1


def _delimiter(head: list[str], wanted: Collection[str]) -> str:
    """What separates the cells: with it most lines have the same number of cells, and more than
    one."""

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
        # The names of the columns stand in the first line of most files.
        first = 1.5 if widths[0] == common else 1.0
        return first * share * min(common, 4) + share * common / 1000, common

    return max(_DELIMITERS, key=score)


def _html(path: str) -> Iterator[Sheet]:
    try:
        import lxml.html
        from lxml import etree
    except ImportError as error:
        raise ConfigurationError(
            f"{path} is HTML; reading its tables needs the package lxml, which is not installed.",
            'Install it with: pip install "edgeloop[files]"; or save the table as CSV.',
        ) from error
    raw = read_whole(path)
    try:
        document = lxml.html.document_fromstring(_markup(raw))
    except (etree.ParserError, ValueError) as error:
        raise BadDataError(
            f"{path} cannot be read as HTML: {error}.",
            "Save the report again, or its table as CSV.",
        ) from error

    def lines() -> Iterator[Line]:
        before, number = None, 0
        for number, row in enumerate(document.iter("tr"), 1):
            cells = [cell for cell in row if cell.tag in ("td", "th")]
            if any(cell.find(".//table") is not None for cell in cells):
                continue  # A table for the layout.
            parent = next(row.iterancestors("table"), None)
            if before is not None and parent is not before:
                yield Line((), row.sourceline or number, 0)
            before = parent
            found: list[Any] = []
            for cell in cells:
                if "hidden" in (cell.get("class") or "").split():
                    continue
                span = cell.get("colspan") or "1"
                found += [
                    " ".join(cell.text_content().split()),
                    *([""] * (min(int(span), 100) - 1 if span.isdigit() else 0)),
                ]
            if len(found) > MOST_COLUMNS:
                raise BadDataError(
                    f"{path} has a row of {len(found):,} cells.",
                    f"A table of trades has at most {MOST_COLUMNS:,} columns.",
                )
            yield Line(found, number, 0)

    yield Sheet("", lines())


def _markup(raw: bytes) -> str | bytes:
    """HTML as text; where it names its own encoding that is left to the parser."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", errors="replace")
    if re.search(rb"charset|encoding=", raw[:4096], re.IGNORECASE):
        return raw
    try:
        return raw.decode(UTF_8)
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def _workbook(path: str) -> Iterator[Sheet]:
    try:
        import openpyxl
    except ImportError as error:
        raise ConfigurationError(
            f"{path} is a spreadsheet; reading it needs the package openpyxl, which is not"
            " installed.",
            'Install it with: pip install "edgeloop[files]"; or save it as CSV.',
        ) from error
    check_archive(path)
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise BadDataError(
            f"{path} cannot be read as a spreadsheet: {error}.", "Save it again, or as CSV."
        ) from error
    try:
        for sheet in book.worksheets:
            sheet.reset_dimensions()
            yield Sheet(sheet.title if len(book.worksheets) > 1 else "", _sheet_lines(path, sheet))
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadDataError(f"{path} is damaged: {error}.", "Save it again, or as CSV.") from error
    finally:
        book.close()


def _sheet_lines(path: str, sheet: Any) -> Iterator[Line]:
    for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
        last = next((i for i in range(len(cells) - 1, -1, -1) if cells[i] is not None), -1) + 1
        if last > MOST_COLUMNS:
            raise BadDataError(
                f"{path}, row {number} has {last:,} cells.",
                f"A table of trades has at most {MOST_COLUMNS:,} columns.",
            )
        yield Line(["" if cell is None else cell for cell in cells[:last]], number, 0)


def check_archive(path: str, most: int = MOST_BYTES) -> None:
    """Raises `BadDataError` for a damaged zip, and one whose members are over `most` bytes together
    or named to leave the folder."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror or error}.", "Name an existing file."
        ) from error
    except zipfile.BadZipFile as error:
        raise BadDataError(f"{path} is damaged: {error}.", "Get the file again.") from error
    if sum(member.file_size for member in members) > most or len(members) > 10_000:
        raise BadDataError(
            f"{path} unpacks to more than {most >> 20} MB.",
            "That is not an export of trades; get the file again.",
        )
    for member in members:
        if (
            member.filename.startswith(("/", "\\"))
            or ".." in Path(member.filename.replace("\\", "/")).parts
        ):
            raise BadDataError(
                f"{path} has the member {member.filename!r}, which is outside its folder.",
                "Get the file from its source again.",
            )
