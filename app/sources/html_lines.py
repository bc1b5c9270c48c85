"""The tables of HTML as a sheet of lines.

May touch: the file it is given (read only).  Needs lxml, the extra `files`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Any

from app.errors import BadDataError, ConfigurationError
from app.sources.files import read_whole
from app.sources.lines import MOST_COLUMNS, Line, Sheet


def html_sheet(path: str) -> Iterator[Sheet]:
    """The tables of an HTML file as one sheet.  Raises `ConfigurationError` without lxml, and
    `BadDataError` for a file that is not HTML."""
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
                continue  # A table that is only layout.
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
    """HTML as text; if it names its own encoding, the parser handles that."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", errors="replace")
    if re.search(rb"charset|encoding=", raw[:4096], re.IGNORECASE):
        return raw
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")
