"""The tables of HTML as a sheet of lines.

May touch: the file it is given (read only).  Needs lxml, the extra `files`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Any

from app.errors import BadDataError, ConfigurationError
from app.sources.figures import written
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
        spans: dict[int, tuple[int, str]] = {}
        for number, row in enumerate(document.iter("tr"), 1):
            cells = [cell for cell in row if cell.tag in ("td", "th")]
            if any(cell.find(".//table") is not None for cell in cells):
                continue  # A table that is only layout.
            parent = next(row.iterancestors("table"), None)
            if parent is not before:
                spans = {}
            if before is not None and parent is not before:
                yield Line((), row.sourceline or number, 0)
            before = parent
            found: list[Any] = []
            for cell in cells:
                if "hidden" in (cell.get("class") or "").split():
                    continue
                _fill_from_above(found, spans)
                text, width = " ".join(cell.text_content().split()), _span(cell, "colspan")
                if (height := _span(cell, "rowspan")) > 1:
                    again = "" if written(text) else text  # A sum counts once.
                    spans[len(found)] = (height - 1, again)
                    spans.update({len(found) + i: (height - 1, "") for i in range(1, width)})
                found += [text, *([""] * (width - 1))]
            _fill_from_above(found, spans)
            if len(found) > MOST_COLUMNS:
                raise BadDataError(
                    f"{path} has a row of {len(found):,} cells.",
                    f"A table of trades has at most {MOST_COLUMNS:,} columns.",
                )
            yield Line(found, number, 0)

    yield Sheet("", lines())


def _span(cell: Any, name: str) -> int:
    text = cell.get(name) or "1"
    return max(1, min(int(text), 100)) if text.isdecimal() else 1


def _fill_from_above(found: list[Any], spans: dict[int, tuple[int, str]]) -> None:
    """Append the cells of earlier rows that reach down to where the next cell would stand."""
    while (at := len(found)) in spans:
        rows, text = spans.pop(at)
        found.append(text)
        if rows > 1:
            spans[at] = (rows - 1, text)


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
