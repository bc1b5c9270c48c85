"""Spreadsheets as sheets of lines.

May touch: the file it is given (read only).  Needs openpyxl, the extra `files`.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.errors import BadDataError, ConfigurationError, UsageError
from app.sources.currencies import BESIDE_NUMBERS, FIAT, SIGNS
from app.sources.files import MOST_BYTES
from app.sources.lines import MOST_COLUMNS, Line, Money, Sheet, Since1904

_IN_FORMAT = re.compile(r'\[\$([^\]-]*)(-?[^\]]*)\]|"([^"]*)"')


def workbook_sheets(path: str) -> Iterator[Sheet]:
    """The sheets of a spreadsheet.  Raises `ConfigurationError` without openpyxl, `BadDataError`
    for a file that cannot be read."""
    try:
        import openpyxl
        from openpyxl.utils.datetime import CALENDAR_MAC_1904
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
        since_1904 = book.epoch == CALENDAR_MAC_1904
        for sheet in book.worksheets:
            sheet.reset_dimensions()
            yield Sheet(
                sheet.title if len(book.worksheets) > 1 else "",
                _sheet_lines(path, sheet, since_1904),
            )
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadDataError(f"{path} is damaged: {error}.", "Save it again, or as CSV.") from error
    finally:
        book.close()


def _sheet_lines(path: str, sheet: Any, since_1904: bool) -> Iterator[Line]:
    for number, found in enumerate(sheet.iter_rows(), 1):
        cells = [_value(cell, since_1904) for cell in found]
        last = next((i for i in range(len(cells) - 1, -1, -1) if cells[i] is not None), -1) + 1
        if last > MOST_COLUMNS:
            raise BadDataError(
                f"{path}, row {number} has {last:,} cells.",
                f"A table of trades has at most {MOST_COLUMNS:,} columns.",
            )
        yield Line(["" if cell is None else cell for cell in cells[:last]], number, 0)


def _value(cell: Any, since_1904: bool) -> Any:
    """The cell's value, with the currency that its format shows, and what its days count from."""
    value = cell.value
    if type(value) not in (int, float):
        return value
    if unit := _currency_of(cell.number_format):
        return Money(value, unit)
    return Since1904(value) if since_1904 else value


@lru_cache(maxsize=1_024)
def _currency_of(form: str) -> str | None:
    """The currency in the format of a spreadsheet's number; a plain `$` is that of any dollar.

    >>> [
    ...     _currency_of(form)
    ...     for form in ("#,##0.00 [$€-407]", '"¥"#,##0', "[$¥-804]#,##0", "[$CHF] 0.00", "$0.00")
    ... ]
    ['EUR', 'JPY', 'CNY', 'CHF', None]
    """
    for sign, place, quoted in _IN_FORMAT.findall(form):
        text = (sign or quoted).strip()
        if text == "¥" and place.endswith("804"):
            return "CNY"
        if unit := SIGNS.get(text, text if text in FIAT else BESIDE_NUMBERS.get(text.lower())):
            return unit
    return next((unit for sign, unit in SIGNS.items() if sign in form), None)


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
