"""JSON, XML and SQLite files of other programs as sheets: one for each list of records, kind of
element or table.

May touch: the files it is given (read only).
"""

from __future__ import annotations

import codecs
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import orjson

from app.errors import BadDataError
from app.sources.column_names import folded, is_known
from app.sources.files import read_whole
from app.sources.lines import MOST_COLUMNS, Line, Sheet, Since1904

_DEEPEST = 40
_OFFICE = "{urn:schemas-microsoft-com:office:spreadsheet}"
_DATE_1904 = "{urn:schemas-microsoft-com:office:excel}Date1904"
_LEAST_FIELDS = 3
_INSTRUMENT = frozenset(("symbol", "ticker", "instrument", "pair", "market"))
_SIDES = frozenset(("side", "action", "direction"))
_ACCOUNT = frozenset(
    (
        *("currency", "account_currency", "deposit_currency", "login", "account", "account_id"),
        *_INSTRUMENT,
    )
)
"""What an object says of the account, or of the instrument, whose trades are in a list inside of
it."""
_FEES = re.compile("fee|commission|charge", re.IGNORECASE)
"""Of lists with one object, whose fields are those of the row."""
_FIXED_POINT = {"TradeFill": ("price", "amount", "trade_fee_in_quote")}
"""Columns that Hummingbot stores in millionths, by table."""


_TYPES = frozenset(
    ("$date", "$numberDecimal", "$numberDouble", "$numberInt", "$numberLong", "$oid")
)
"""What MongoDB's exports call the types of values."""


def sheets_of(path: str, form: str) -> Iterator[Sheet]:
    """The sheets of a file that is `json`, `xml`, `sqlite` or `zip`.  Raises `BadDataError` for one
    without records."""
    if form == "sqlite":
        yield from _tables(path)
        return
    if form == "zip":
        raise BadDataError(
            f"{path} is a zip file, but not a freqtrade result.",
            "Unpack it and name the file in it.",
        )
    found = list(_of_json(path) if form == "json" else _of_xml(path))
    if not found:
        raise BadDataError(
            f"{path} holds no list of trades: no"
            f" {'list of objects' if form == 'json' else 'elements with attributes'} that share"
            " fields.",
            "Supported .json: one event per line, freqtrade results and lists of trades. Supported"
            " .xml: Interactive Brokers reports.",
        )
    yield from found


def _sheet(name: str, records: Iterable[Mapping[str, Any]]) -> Sheet | None:
    rows = list(records)
    columns = tuple(dict.fromkeys(key for row in rows for key in row))
    if len(columns) < _LEAST_FIELDS or len(columns) > MOST_COLUMNS:
        return None
    lines = (
        Line([_cell(row.get(name)) for name in columns], number, 0)
        for number, row in enumerate(rows, 1)
    )
    return Sheet(name, lines, columns)


def _cell(value: Any) -> Any:
    return "" if value is None else (str(value).lower() if isinstance(value, bool) else value)


def _of_json(path: str) -> Iterator[Sheet]:
    raw = read_whole(path)
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            document = _by_line(raw) or json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise BadDataError(
                f"{path} is not JSON: {error}.",
                "Get the file again; each event needs its own line.",
            ) from error
    yield from _lists(document, "", 0)


def _by_line(raw: bytes) -> list[Any] | None:
    """The objects of a file that has one in each line; None for another file."""
    lines = [line for line in raw.removeprefix(codecs.BOM_UTF8).splitlines() if line.strip()]
    try:
        found = [orjson.loads(line) for line in lines]
    except orjson.JSONDecodeError:
        return None
    return found if len(found) > 1 and all(isinstance(one, dict) for one in found) else None


def _lists(value: Any, name: str, depth: int) -> Iterator[Sheet]:
    """A sheet for each list of objects, and for each object whose values are all objects (the keys
    are their ids)."""
    if depth > _DEEPEST:
        return
    if isinstance(value, list) and value and all(map(_is_row, value)):
        lines = (Line([_cell(cell) for cell in row], n, 0) for n, row in enumerate(value, 1))
        yield Sheet(name, lines, None)
    elif isinstance(value, list):
        objects = [item for item in value if isinstance(item, dict)]
        if (
            objects
            and len(objects) == len(value)
            and (
                sheet := _sheet(
                    name, (dict(_flat(part, "")) for item in objects for part in _parts(item))
                )
            )
        ):
            yield sheet
        for item in objects[:50]:
            for key, inner in item.items():
                if isinstance(inner, list) and not name.endswith("symbols"):
                    own = _of_account(item, inner)
                    yield from _lists(own, f"{name}.{key}".strip("."), depth + 1)
    elif isinstance(value, dict):
        if (records := _turned(value)) and (sheet := _sheet(name, records)):
            yield sheet
            return
        inner_objects = [item for item in value.values() if isinstance(item, dict)]
        if len(inner_objects) >= 2 and len(inner_objects) == len(value) and _alike(inner_objects):
            if sheet := _sheet(
                name, ({"id": key, **dict(_flat(item, ""))} for key, item in value.items())
            ):
                yield sheet
            return
        for key, inner in value.items():
            own = _of_account(value, inner) if isinstance(inner, list) else inner
            yield from _lists(own, f"{name}.{key}".strip("."), depth + 1)


def _is_row(value: Any) -> bool:
    """Whether it is a list of values, as a row without names."""
    return (
        isinstance(value, list)
        and len(value) >= _LEAST_FIELDS
        and not any(isinstance(cell, (list, dict)) for cell in value)
    )


def _of_account(value: Mapping[str, Any], rows: list[Any]) -> list[Any]:
    """The rows of a list with the account, its currency and the instrument that the object around
    it has, where they have none of their own.

    >>> _of_account({"login": 7, "currency": "EUR", "n": 1}, [{"profit": 5}])
    [{'profit': 5, 'login': 7, 'currency': 'EUR'}]
    """
    named = {folded(key) for row in rows if isinstance(row, dict) for key in row}
    told = {
        key: own
        for key, own in value.items()
        if folded(key) in _ACCOUNT
        and not (folded(key) in _INSTRUMENT and (named & _INSTRUMENT or not named & _SIDES))
        and isinstance(own, (str, int))
        and not isinstance(own, bool)
    }
    if not told or not all(isinstance(row, dict) for row in rows):
        return rows
    return [{**row, **{key: own for key, own in told.items() if key not in row}} for row in rows]


def _turned(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of an object that has a list, or an object by the number of the row, for each
    column, or its columns and its data apart, as pandas writes them; empty for another one."""
    names, data = value.get("columns"), value.get("data")
    if isinstance(names, list) and isinstance(data, list) and names:
        lists = [row for row in data if isinstance(row, list) and len(row) == len(names)]
        return [dict(zip(map(str, names), row, strict=True)) for row in lists]
    columns = list(value.values())
    if len(columns) < _LEAST_FIELDS or sum(map(is_known, value)) < _LEAST_FIELDS:
        return []
    if all(isinstance(column, dict) for column in columns):
        rows = columns[0].keys()
        if all(row.isdecimal() for row in rows) and all(c.keys() == rows for c in columns):
            return [{name: value[name][row] for name in value} for row in rows]
    if all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns):
        return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
    return []


def _alike(objects: list[dict[str, Any]]) -> bool:
    return len(objects[0]) >= _LEAST_FIELDS and all(
        obj.keys() == objects[0].keys() for obj in objects
    )


def _moment(value: Mapping[str, Any]) -> str | None:
    """The time of an object with the parts of a time, as Java programs write them; None if it is
    not one.

    >>> _moment({"date": {"year": 2021, "month": 3, "day": 4}, "time": {"hour": 9, "minute": 5}})
    '2021-03-04 09:05:00'
    >>> _moment({"date": 1})
    """
    day = value.get("date", value)
    clock = value.get("time", {})
    if not isinstance(day, dict) or not isinstance(clock, dict):
        return None
    parts = [
        *(day.get(name) for name in ("year", "month", "day")),
        *(clock.get(name, 0) for name in ("hour", "minute", "second")),
    ]
    if not all(type(part) is int for part in parts):
        return None
    return "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*parts)


def _plain(value: Any) -> Any:
    """The value of an object that names its type, as MongoDB exports it.

    >>> _plain({"$date": {"$numberLong": "1709546400000"}}), _plain({"$gt": 1, "$lt": 2})
    ('1709546400000', {'$gt': 1, '$lt': 2})
    """
    while isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _TYPES:
        (value,) = value.values()
    return value


def _parts(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The object; where a list in it has what was traded, at a price, beside what was paid for
    that, an object for each priced part, with its fields, and with `fees` in the first.

    >>> paid = {"amount": 0, "cost": -1.3, "feeType": "COMMISSION"}
    >>> list(_parts({"id": 7, "items": [paid, {"amount": 2, "cost": -820.0, "price": 4.1}]}))
    [{'id': 7, 'amount': 2, 'cost': -820.0, 'price': 4.1, 'fees': 1.3}]
    """
    for key, inner in item.items():
        parts = inner if isinstance(inner, list) and len(inner) > 1 else []
        if not all(isinstance(part, dict) and "cost" in part for part in parts):
            continue
        traded = [part for part in parts if part.get("price")]
        costs = [part["cost"] for part in parts if not part.get("price")]
        if traded and costs and all(isinstance(cost, (int, float)) for cost in costs):
            outer = {name: value for name, value in item.items() if name != key}
            for i, part in enumerate(traded):
                fees = 0.0 if i else -round(sum(costs), 8)
                yield {**outer, **part, "fees": fees}
            return
    yield item


def _flat(item: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """The fields of an object; those of objects inside it are named with a dot.  An object with a
    `value` (or a `cost` and a `currency`) is one field."""
    for key, value in item.items():
        name = f"{prefix}{key}"
        value = _plain(value)
        if isinstance(value, dict):
            inner = next((value[own] for own in ("value", "Value") if own in value), value)
            inner = inner if inner is not value else _moment(value) or value
            if not isinstance(inner, (dict, list)):
                yield name, inner
            elif prefix.count(".") < 2:
                yield from _flat(value, f"{name}.")
        elif not isinstance(value, list):
            yield name, value
        elif len(value) == 1 and isinstance(value[0], dict) and "value" in value[0]:
            yield name, value[0]["value"]
        elif len(value) == 1 and isinstance(value[0], dict) and _FEES.search(key):
            yield from _flat(value[0], f"{name}.")


def _of_xml(path: str) -> Iterator[Sheet]:
    raw = read_whole(path)
    if b"<!DOCTYPE" in raw[:65_536] or b"<!ENTITY" in raw[:65_536]:
        raise BadDataError(
            f"{path} defines XML entities, which broker reports never do.",
            "Get the file from its source again.",
        )
    by_tag: dict[str, list[Mapping[str, str]]] = {}
    try:
        root = ElementTree.fromstring(raw)
        if root.tag == f"{_OFFICE}Workbook":
            yield from _worksheets(path, root)
            return
        for element in root.iter():
            if len(element.attrib) >= _LEAST_FIELDS:
                by_tag.setdefault(str(element.tag), []).append(element.attrib)
            elif len(element) >= _LEAST_FIELDS and all(not len(child) for child in element):
                by_tag.setdefault(str(element.tag), []).append(
                    {str(child.tag): (child.text or "").strip() for child in element}
                )
    except (ElementTree.ParseError, ValueError) as error:
        raise BadDataError(
            f"{path} cannot be read as XML: {error}.", "Get the file again."
        ) from error
    for tag, records in by_tag.items():
        if sheet := _sheet(tag, records):
            yield sheet


def _worksheets(path: str, root: ElementTree.Element) -> Iterator[Sheet]:
    """The sheets of a spreadsheet that was saved as XML."""
    since_1904 = next(root.iter(_DATE_1904), None) is not None
    for sheet in root.iter(f"{_OFFICE}Worksheet"):
        lines = []
        for number, row in enumerate(sheet.iter(f"{_OFFICE}Row"), 1):
            cells: list[Any] = []
            for cell in row.iter(f"{_OFFICE}Cell"):
                at = int(cell.get(f"{_OFFICE}Index", len(cells) + 1))
                width = 1 + int(cell.get(f"{_OFFICE}MergeAcross", 0))
                if max(at, len(cells)) + width > MOST_COLUMNS:
                    raise BadDataError(
                        f"{path}, row {number} has over {MOST_COLUMNS:,} cells.",
                        f"A table of trades has at most {MOST_COLUMNS:,} columns.",
                    )
                data = cell.find(f"{_OFFICE}Data")
                cells += [""] * (at - 1 - len(cells))
                text = "" if data is None else "".join(data.itertext()).strip()
                is_number = data is not None and data.get(f"{_OFFICE}Type") == "Number"
                cells += [Since1904(text) if since_1904 and is_number and text else text]
                cells += [""] * (width - 1)
            lines.append(Line(cells, number, 0))
        yield Sheet(sheet.get(f"{_OFFICE}Name", ""), iter(lines))


def _tables(path: str) -> Iterator[Sheet]:
    try:
        with closing(
            sqlite3.connect(f"file:{quote(str(Path(path).resolve()))}?mode=ro", uri=True)
        ) as database:
            database.text_factory = lambda raw: raw.decode(errors="replace")
            names = [
                row[0]
                for row in database.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE"
                    " 'sqlite_%'"
                )
            ]
            for name in names:
                cursor = database.execute(f'SELECT * FROM "{name.replace(chr(34), chr(34) * 2)}"')
                columns = tuple(column[0] for column in cursor.description)
                if _LEAST_FIELDS <= len(columns) <= MOST_COLUMNS:
                    yield Sheet(
                        name, _database_lines(cursor, columns, _FIXED_POINT.get(name, ())), columns
                    )
    except sqlite3.Error as error:
        raise BadDataError(
            f"{path} cannot be read as an SQLite database: {error}.",
            "Name an existing, intact database.",
        ) from error


def _database_lines(
    cursor: sqlite3.Cursor, columns: tuple[str, ...], millionths: tuple[str, ...]
) -> Iterator[Line]:
    scaled = [name in millionths for name in columns]
    for number, row in enumerate(cursor, 1):
        yield Line(
            [_scaled(value) if of else _cell(value) for value, of in zip(row, scaled, strict=True)],
            number,
            0,
        )


def _scaled(value: Any) -> Any:
    return f"{value / 1_000_000:.6f}" if isinstance(value, int) else _cell(value)
