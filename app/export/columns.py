"""Columns of an exported table: name, kind, meaning, and how a cell is computed from a record.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

KINDS = ("text", "integer", "number", "flag", "time", "json")
"""What cells hold: str, int, float, bool, an RFC 3339 text that a file holds as a time in UTC, or a
JSON text."""


class Column(NamedTuple):
    """`read` gives the cell of a record; None for an empty one."""

    name: str
    kind: str
    meaning: str
    read: Callable[[Any], Any]


def column(
    name: str, kind: str, meaning: str, path: str | Callable[[Any], Any] | None = None
) -> Column:
    """A column that reads `path` (dotted attributes of the record; by default the column's name),
    or calls it.

    If a record on the path is None, so is the cell.
    """
    if callable(path):
        return Column(name, kind, meaning, path)
    steps = [attrgetter(step) for step in (path or name).split(".")]

    def read(record: Any) -> Any:
        for step in steps:
            if record is None:
                return None
            record = step(record)
        return record

    return Column(name, kind, meaning, read)


def json_text(value: Any) -> str | None:
    """`value` as compact JSON with sorted keys.

    >>> json_text({"b": 1, "a": "é"})
    '{"a":"é","b":1}'
    """
    return (
        None
        if value is None
        else json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    )


def json_column(name: str, meaning: str, path: str | None = None) -> Column:
    """A column that holds what is at `path` as JSON text."""
    inner = column(name, "json", meaning, path)
    return inner._replace(read=lambda record: json_text(inner.read(record)))


def wide(
    columns: Iterable[Column],
    dimensions: Iterable[str],
    scope: Callable[[Any], Mapping[str, str] | None],
) -> list[Column]:
    """The columns, and one more per dimension, `scope.chain`, that holds the value of the record's
    scope."""

    def of(dimension: str) -> Column:
        return Column(
            f"scope.{dimension}",
            "text",
            f"Value of {dimension} in the scope.",
            lambda record: (scope(record) or {}).get(dimension),
        )

    return [*columns, *map(of, dimensions)]
