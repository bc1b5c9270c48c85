"""A topic whose key has one row of a table, or one half of a row.

May touch: PostgreSQL, through a connection that is passed to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import msgspec
from aiokafka import ConsumerRecord

from app.storage.projection import (
    LOCK_TABLE,
    BadRecord,
    Record,
    Row,
    fill_stage,
    json_text,
    newest,
    parsed,
    selected,
)
from schemas import kinds


@dataclass(frozen=True)
class Column:
    """A column of a keyed table: name, type in the staging table, and how to read it from the
    record's value."""

    name: str
    kind: str
    read: Callable[[Any], Any]

    @property
    def is_json(self) -> bool:
        """Whether the staging column holds JSON."""
        return self.kind == "json"


def _day(text: str) -> date:
    found = date.fromisoformat(text)
    if found.isoformat() != text:
        raise ValueError(f"{text!r} is not a day written YYYY-MM-DD.")
    return found


class Keyed:
    """A topic whose key has one row, or one half of a row.

    `shared` columns belong to the key itself and are written by either half; `own` ones are this
    topic's.  `halves` names the version columns of all topics which write the table: a row is
    deleted when all of them are null.  Where the kind's key is an id and a day, so is the table's,
    and each batch ends by deleting all but the newest `days`.
    """

    def __init__(
        self,
        topic: str,
        table: str,
        own: Sequence[Column],
        *,
        shared: Sequence[Column] = (),
        version: str = "version",
        halves: Sequence[str] = ("version",),
        rowless: type | tuple[()] = (),
        history: str | None = None,
        days: int = 0,
    ) -> None:
        self.topic = topic
        self.table = table
        kind = kinds.KINDS[topic]
        key, daily = kind.key[0], kind.key[1:] == ("day",)
        self._decoder = msgspec.json.Decoder(kind.struct)
        self._kind = kind
        self._rowless = rowless
        self._columns = (*shared, *own)
        self._key = key
        self._history = history
        self._daily = daily
        newest_day = f"(SELECT max(day) FROM {table})"
        self._prune = f"DELETE FROM {table} WHERE day < {newest_day} - {days};" if daily else ""
        keys = (key, "day") if daily else (key,)
        record_key = f"s.{key} || '|' || to_char(s.day, 'YYYY-MM-DD')" if daily else f"s.{key}"
        same_row = " AND ".join(f"t.{c} = s.{c}" for c in keys)
        self._stage = f"stage_{topic}"
        self._stage_columns = (
            *((c, "date" if c == "day" else "text") for c in keys),
            (version, "bigint"),
            ("retired", "boolean"),
            *((c.name, "text" if c.is_json else c.kind) for c in self._columns),
        )
        at = self._key_and_version = len(keys) + 1
        self._retired_cells = (None,) * len(self._columns)
        names = (*keys, version, *(c.name for c in self._columns))
        json_columns = frozenset(c.name for c in self._columns if c.is_json)
        updates = ", ".join(f"{c} = excluded.{c}" for c in names[len(keys) :])
        whole = len(halves) == 1
        emptied = ", ".join(f"{name} = NULL" for name in (version, *(c.name for c in own)))
        nothing_left = " AND ".join(f"t.{name} IS NULL" for name in halves)
        self._upsert = f"""{LOCK_TABLE.format(table=table)}
            DELETE FROM {self._stage} s USING projection_tombstones m
                WHERE m.topic = '{topic}' AND m.key = {record_key} AND m.version > s.{version};
            DELETE FROM projection_tombstones m USING {self._stage} s
                WHERE m.topic = '{topic}' AND m.key = {record_key} AND NOT s.retired;
            INSERT INTO {table} AS t ({", ".join(names)})
                SELECT {selected(names, json_columns)} FROM {self._stage} WHERE NOT retired
                ON CONFLICT ({", ".join(keys)}) DO UPDATE SET {updates}
                    WHERE excluded.{version} >= coalesce(t.{version}, -1);"""
        self._retire = f"""
            DELETE FROM {self._stage} s USING {table} t
                WHERE s.retired AND {same_row} AND t.{version} > s.{version};
            INSERT INTO projection_tombstones AS m (topic, key, version)
                SELECT '{topic}', {record_key}, {version} FROM {self._stage} s WHERE retired
                ON CONFLICT (topic, key) DO UPDATE SET version = excluded.version
                    WHERE excluded.version >= m.version;
            """ + (
            f"DELETE FROM {table} t USING {self._stage} s WHERE s.retired AND {same_row};"
            if whole
            else f"""UPDATE {table} t SET {emptied} FROM {self._stage} s
                WHERE s.retired AND {same_row};
            DELETE FROM {table} t USING {self._stage} s
                WHERE s.retired AND {same_row} AND {nothing_left};"""
        )

        kept = f"AND s.day >= coalesce({newest_day} - {days}, '-infinity')" if daily else ""
        columns = [f"${n}::{kind}[]" for n, (_, kind) in enumerate(self._stage_columns[:at], 1)]
        self._missing = f"""
            SELECT count(*) FROM unnest({", ".join(columns)}) AS s ({", ".join((*keys, "version"))})
            WHERE NOT EXISTS (
                SELECT FROM {table} t WHERE {same_row} AND t.{version} >= s.version)
            AND NOT EXISTS (
                SELECT FROM projection_tombstones m
                WHERE m.topic = '{topic}' AND m.key = {record_key} AND m.version >= s.version)
            {kept}"""

    def decode(self, record: ConsumerRecord) -> Record | None:
        """See `Projection`."""
        key, version, value = parsed(record, self._decoder)
        change = None
        if self._history:
            published = datetime.fromtimestamp(record.timestamp / 1000, UTC)
            change = (
                key,
                version,
                published,
                value is None,
                None if value is None else json_text(value),
            )
        if isinstance(value, self._rowless):
            return None
        try:
            if value is not None:
                self._kind.checked(value, record.key)
            head = (*self._cells(key), version, value is None)
            cells = (
                self._retired_cells
                if value is None
                else tuple(c.read(value) for c in self._columns)
            )
        except ValueError as error:  # another record's key, or not a valid time
            raise BadRecord(str(error)) from error
        return Record(key, version, [(*head, *cells)], value is None, change)

    def _cells(self, key: str) -> Row:
        """The record's key as the table's key columns."""
        if not self._daily:
            return (key,)
        own, _, day = key.rpartition("|")
        return own, _day(day)

    async def write(self, connection: asyncpg.Connection, batch: Sequence[Record]) -> int:
        """See `Projection`."""
        current = newest(batch)
        retiring = any(record.retired for record in current)
        async with connection.transaction():
            await fill_stage(
                connection,
                self._stage,
                self._stage_columns,
                [row for record in current for row in record.rows],
            )
            await connection.execute(
                self._upsert + (self._retire if retiring else "") + self._prune
            )
            if self._history:
                await self._write_history(
                    connection, [record.change for record in batch if record.change]
                )
        return len(current)

    async def missing(self, connection: asyncpg.Connection, written: Sequence[Record]) -> int:
        """See `Projection`."""
        rows = [
            row[: self._key_and_version] for r in newest(written) if not r.retired for row in r.rows
        ]
        if not rows:
            return 0
        return int(await connection.fetchval(self._missing, *zip(*rows, strict=True)))

    async def _write_history(self, connection: asyncpg.Connection, changes: Sequence[Row]) -> None:
        columns = (
            (self._key, "text"),
            ("version", "bigint"),
            ("published_at", "timestamptz"),
            ("retired", "boolean"),
            ("record", "text"),
        )
        await fill_stage(connection, f"stage_{self._history}", columns, changes)
        names = [name for name, _ in columns]
        await connection.execute(
            f"INSERT INTO {self._history} ({', '.join(names)}) SELECT"
            f" {selected(names, frozenset({'record'}))} FROM stage_{self._history} ON CONFLICT DO"
            " NOTHING"
        )
