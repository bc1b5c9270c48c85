"""nautilus_trader's position events as closes: JSON lines of `to_dict`, or the Parquet files of its
catalog.

May touch: the files it is given (read only).

A close is a `PositionClosed`.  If the files also hold the position's `PositionOpened` and
`PositionChanged` events, in any file and order, these become its entry, adds and trims; alone, a
`PositionClosed` is an entry at `ts_opened` and an exit at `ts_closed`. All files are read before
the first close is given, since the events of one position may be anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from app.sources import making
from app.sources.jsonl import lines
from app.sources.notes import Notes
from app.sources.tables import is_parquet, table
from edgeloop.integrations.nautilus_close import close, kind_of, position_of


class Read(NamedTuple):
    """One close, or an unchanged line that is not an event of nautilus_trader, with its place."""

    event: dict[str, Any] | bytes
    place: str
    position: int


class _Found(NamedTuple):
    event: Mapping[str, Any]
    place: str
    position: int


def read(paths: Sequence[str], module: str, notes: Notes) -> Iterator[Read]:
    """The closes in the files, in their order.  Lines that are not position events are passed on
    unchanged.  Raises `UsageError` and `BadDataError` as the readers of lines and tables do.
    """
    closed: list[_Found | Read] = []
    steps: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    ended: set[tuple[str, ...]] = set()
    for path in paths:
        for event, raw, place, position in _events(path):
            kind = kind_of(event)
            if kind == "PositionClosed":
                closed.append(_Found(event, place, position))
                ended.add(position_of(event))
            elif kind is not None:
                steps.setdefault(position_of(event), []).append(event)
            elif (
                isinstance(event, dict)
                and str(event.get("type", "")).isidentifier()
                and "event_id" in event
            ):
                notes.add(
                    f"events of the type {event['type']}, which is not a position event, left out"
                )
            else:
                closed.append(Read(raw, place, position))
    still_open = len(steps.keys() - ended)
    if still_open:
        notes.add("positions that are still open, left out", still_open)
    for found in closed:
        if isinstance(found, Read):
            yield found
        else:
            own = steps.get(position_of(found.event), ())
            yield Read(close(found.event, own, module, notes.add), found.place, found.position)


def _events(path: str) -> Iterator[tuple[Any, bytes, str, int]]:
    """(event, its line as it is, place, position)."""
    if is_parquet(path):
        with table(path) as found:
            for row in found.rows:
                yield row.cells, making.encode(row.cells), f"{path}:{row.line}", row.position
        return
    for line, line_number, position in lines(path):
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            event = None
        yield event, line, f"{path}:{line_number}", position
