"""The entry point: closed positions from files of any known kind, in the order of the files.

May touch: the files it is given (read only).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import orjson

from app.errors import UsageError
from app.sources import jsonl, making
from app.sources.adapters import freqtrade_database, freqtrade_results, nautilus
from app.sources.contradictions import Against, refuse
from app.sources.files import opened, plain_name, read_whole
from app.sources.fills import Fills
from app.sources.filters import rows_of
from app.sources.mapping import TableMapping
from app.sources.mapping_file import load
from app.sources.notes import Notes
from app.sources.positions import ClosedTrade, Positions
from app.sources.tables import Row, is_parquet, is_table, table
from edgeloop.integrations import nautilus_close
from schemas.events import DEFAULT_MODULE

if TYPE_CHECKING:
    from app.sources.comparing import Comparing

KINDS = ("jsonl", "freqtrade", "nautilus", "table")
"""What can be read: one JSON event per line; freqtrade's database or backtest result;
nautilus_trader's position events; CSV and Parquet with a mapping."""

_DATABASES = (".sqlite", ".sqlite3", ".db")
_LOOKED_AT_BYTES = 65_536
_ROWS_A_REPORT = 1_000


class Closed(NamedTuple):
    """One event: its bytes as a record of `position_closed` holds them, its key (the trade's id, if
    it is known), where it comes from (`closes.jsonl:17`), how many bytes of its file had been read
    by then, and for tables the close as a trader sees it."""

    value: bytes
    key: bytes | None
    place: str
    position: int
    told: ClosedTrade | None = None


def closes(
    paths: Sequence[str],
    kind: str | None = None,
    mapping: Path | None = None,
    *,
    module: str | None = None,
    notes: Notes | None = None,
    reading: Callable[[int], None] | None = None,
    against: Against | None = refuse,
) -> Iterator[Closed]:
    """The closes in the files.  `kind` is one of `KINDS` (None: detected from each file), `mapping`
    gives the meaning of columns, `module` is the module of the events (None: the mapping's, else
    `pm`; JSON lines have their own), and `notes` collects what was left out and why.  `reading` is
    called with the bytes read so far while fills are read; all of them are read before the first
    close.  `against` gets what figures in tables say against the mapping, of positions before the
    first close of their file, of fills before the first of all; by default it refuses what the
    mapping does not accept.  With None nothing is compared, as for files that were compared before.

    The same files give the same events, with the same ids.  Raises `UsageError` for a file that
    cannot be read or an unknown kind, `ConfigurationError` for a mapping that does not fit, and
    `BadDataError` for a damaged file.
    """
    notes = Notes() if notes is None else notes
    meaning = None if mapping is None else load(mapping)
    for found, group in groupby(paths, key=lambda path: kind or kind_of(path)):
        together = list(group)
        if found == "jsonl":
            yield from _jsonl(together, module)
        elif found == "freqtrade":
            yield from _freqtrade(together, module or DEFAULT_MODULE, notes)
        elif found == "nautilus":
            yield from _nautilus(together, module or DEFAULT_MODULE, notes)
        else:
            yield from _tables(together, meaning, module, notes, reading, against)


def kind_of(path: str) -> str:
    """The kind of a file, by its name or else its content.  Raises
    `UsageError`."""
    name = plain_name(path)
    if path.lower().endswith(_DATABASES):
        return "freqtrade" if freqtrade_database.is_one(path) else "table"
    if path.lower().endswith(".zip"):
        return "freqtrade"
    if is_parquet(path):
        return "nautilus" if _is_nautilus_parquet(path) else "table"
    if is_table(path):
        return "table"
    if path != "-" and name.endswith(".json"):
        return "freqtrade" if _is_result(path) else _kind_of_json(path)
    if path != "-" and name.endswith((".jsonl", ".ndjson")):
        return _kind_of_lines(path)
    if path == "-":
        return "jsonl"
    if name.endswith((".ods", ".numbers")):
        raise UsageError(
            f"{path} is a spreadsheet in a format that cannot be read.", "Save it as .xlsx or CSV."
        )
    raise UsageError(
        f"The kind of {path} is not clear from its name.",
        f"Name its kind with --from: {', '.join(KINDS)}.",
    )


def _kind_of_lines(path: str) -> str:
    with suppress(orjson.JSONDecodeError, StopIteration):
        if nautilus_close.kind_of(orjson.loads(next(jsonl.lines(path))[0])):
            return "nautilus"
    return "jsonl"


def _kind_of_json(path: str) -> str:
    """One event per line, or a document of another program with lists of trades."""
    with opened(path) as (stream, _):
        first = stream.readline(_LOOKED_AT_BYTES).strip()
    try:
        event = orjson.loads(first)
    except orjson.JSONDecodeError:
        return "table"
    if isinstance(event, dict) and (
        event.keys() & {"trade_id", "trade_summary", "schema_version", "event_id", "kind"}
        or nautilus_close.kind_of(event)
    ):
        return _kind_of_lines(path)
    values = event.values() if isinstance(event, dict) else ()
    is_document = isinstance(event, list) or any(isinstance(v, (list, dict)) for v in values)
    return "table" if is_document else "jsonl"


def _is_result(path: str) -> bool:
    with opened(path) as (stream, _):
        start = stream.read(_LOOKED_AT_BYTES)
        if b'"strategy"' not in start:
            return False
    try:
        return freqtrade_results.is_result(freqtrade_results.parse(read_whole(path)))
    except ValueError:
        return False


def _is_nautilus_parquet(path: str) -> bool:
    with table(path) as found:
        return nautilus_close.COLUMNS.issubset(found.columns)


def _jsonl(paths: Sequence[str], module: str | None) -> Iterator[Closed]:
    if module is not None:
        raise UsageError(
            "Events in JSON lines carry their own module.",
            "Leave out --module, or change the field in the file.",
        )
    for path in paths:
        for line, number, position in jsonl.lines(path):
            yield Closed(line, jsonl.key_of(line), f"{path}:{number}", position)


def _freqtrade(paths: Sequence[str], module: str, notes: Notes) -> Iterator[Closed]:
    for path in paths:
        size = Path(path).stat().st_size if Path(path).exists() else 0
        if path.lower().endswith(_DATABASES) or _is_sqlite(path):
            for found in freqtrade_database.read(path, module, notes):
                place = f"{path}:trades/{found.row}"
                yield Closed(
                    making.encode(found.event),
                    making.key(found.event),
                    place,
                    size * found.done // found.of,
                )
        else:
            for result in freqtrade_results.read(path, module, notes):
                place = f"{path}:{result.place}"
                yield Closed(
                    making.encode(result.event),
                    making.key(result.event),
                    place,
                    size * result.done // result.of,
                )


def _is_sqlite(path: str) -> bool:
    try:
        with Path(path).open("rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except OSError:
        return False


def _nautilus(paths: Sequence[str], module: str, notes: Notes) -> Iterator[Closed]:
    for found in nautilus.read(paths, module, notes):
        if isinstance(found.event, bytes):
            yield Closed(found.event, None, found.place, found.position)
        else:
            yield Closed(
                making.encode(found.event), making.key(found.event), found.place, found.position
            )


def _tables(
    paths: Sequence[str],
    mapping: TableMapping | None,
    module: str | None,
    notes: Notes,
    reading: Callable[[int], None] | None,
    against: Against | None,
) -> Iterator[Closed]:
    if mapping is None:
        raise UsageError(
            f"{paths[0]} is a table, and its columns need a mapping.",
            f"Draft a mapping with: faust -A app import {paths[0]} --draft mapping.toml; then name"
            " it with --mapping mapping.toml.",
        )
    comparing = None if against is None else _comparing(mapping, against)
    module = module or mapping.module or DEFAULT_MODULE
    if mapping.rows == "fills":
        files = _reported(paths, mapping, notes, reading, comparing)
        if comparing is not None:
            files = comparing.fills(files)
        for closing in Fills(mapping, module, notes).closings(files):
            yield Closed(
                making.encode(closing.event),
                making.key(closing.event),
                closing.place,
                closing.position,
                closing.told,
            )
        return
    positions = Positions(mapping, module, notes)
    for path in paths:
        rows = rows_of(path, mapping, notes, None if comparing is None else comparing.watched)
        for row in rows if comparing is None else comparing.positions(path, rows):
            if (made := positions.event(row)) is not None:
                event, told = made
                yield Closed(
                    making.encode(event),
                    making.key(event),
                    f"{path}:{row.line}",
                    row.position,
                    told,
                )
    positions.multiplier_check.note()


def _comparing(mapping: TableMapping, against: Against) -> Comparing:
    """Imported here: it takes longer than all else here together, and most who import this module
    read no table."""
    from app.sources.comparing import Comparing

    return Comparing(mapping, against)


def _reported(
    paths: Sequence[str],
    mapping: TableMapping,
    notes: Notes,
    reading: Callable[[int], None] | None,
    comparing: Comparing | None,
) -> Iterator[tuple[str, Iterator[Row]]]:
    """(path, its rows); reports the bytes read at regular intervals."""
    before = 0
    watched = None if comparing is None else comparing.watched

    def told(path: str) -> Iterator[Row]:
        nonlocal before
        position = 0
        for number, row in enumerate(rows_of(path, mapping, notes, watched)):
            position = row.position
            if reading is not None and number % _ROWS_A_REPORT == 0:
                reading(before + position)
            yield row
        before += position

    for path in paths:
        yield path, told(path)
