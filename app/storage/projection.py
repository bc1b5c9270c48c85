"""What a projection is: records as rows, and batches of them, written so that the newest version
of a key wins.

May touch: PostgreSQL, through a connection that is passed to it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import asyncpg
import msgspec
import orjson
from aiokafka import ConsumerRecord

from app.kafka.records import UNREADABLE, version_of
from edgeloop.versions import Latest


class BadRecord(ValueError):
    """A record that is invalid for its derived topic."""


Row = tuple[Any, ...]


class Record(NamedTuple):
    """One record as rows.  Among records with the same `key`, the one with the greatest `rank`
    counts; if ranks are equal, the later one.  `place` is its partition and offset."""

    key: Hashable
    rank: Any
    rows: Sequence[Row]
    retired: bool = False
    change: Row | None = None
    place: tuple[int, int] | None = None


class Projection(Protocol):
    """The projector's interface to a topic."""

    @property
    def topic(self) -> str:
        """The topic's name without prefix."""

    def decode(self, record: ConsumerRecord) -> Record | None:
        """The record as rows, or None if it has none.  Pure.  Raises `BadRecord`."""

    async def write(self, connection: asyncpg.Connection, batch: Sequence[Record]) -> int:
        """Write a batch, in log order, in one transaction; returns the number of rows.  Writing it
        twice changes nothing."""

    async def missing(self, connection: asyncpg.Connection, written: Sequence[Record]) -> int:
        """How many of these records, all of which were written once, have left no trace: neither
        themselves nor a later record of their key."""


time_of = datetime.fromisoformat


def optional_time(text: str | None) -> datetime | None:
    """The time of an ISO text; None for None."""
    return None if text is None else time_of(text)


def json_text(value: Any) -> str:
    """A value as JSON, as `jsonb` columns take it."""
    return msgspec.json.encode(value).decode()


def scope_text(scope: dict[str, str]) -> str:
    """A scope as JSON."""
    return orjson.dumps(scope).decode()


def parsed(record: ConsumerRecord, decoder: msgspec.json.Decoder[Any]) -> tuple[str, int, Any]:
    """Key, version and value (None: a tombstone).  Raises `BadRecord`."""
    version = version_of(record)
    if version < 0:
        raise BadRecord("The header `version` is missing or is not a whole number.")
    if record.key is None:
        raise BadRecord("The key is missing.")
    try:
        return (
            record.key.decode(),
            version,
            None if record.value is None else decoder.decode(record.value),
        )
    except UNREADABLE as error:
        raise BadRecord(str(error)) from error


def newest(batch: Sequence[Record]) -> list[Record]:
    """The record of each key that counts."""
    latest: Latest[Hashable, Record] = Latest()
    for record in batch:
        latest.put(record.key, record.rank, record)
    return [record for _, record in latest.items()]


# Statements see rows that were committed before the lock was granted, so two workers that overlap
# during a rebalance cannot interleave.  Without statistics for the staging table the planner may
# read the whole of a large table for a hash join.
LOCK_TABLE = """
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.{table}', 0));
"""


async def fill_stage(
    connection: asyncpg.Connection,
    name: str,
    columns: Sequence[tuple[str, str]],
    rows: Sequence[Row],
) -> None:
    """Fill the connection's own staging table `name`, which empties itself at commit."""
    declared = ", ".join(f"{column} {kind}" for column, kind in columns)
    await connection.execute(
        f"CREATE TEMP TABLE IF NOT EXISTS {name} ({declared}) ON COMMIT DELETE ROWS"
    )
    await connection.copy_records_to_table(
        name, records=rows, columns=[column for column, _ in columns], schema_name="pg_temp"
    )


def selected(columns: Iterable[str], json_columns: frozenset[str]) -> str:
    """A list of columns for SELECT; JSON travels as text, since COPY is binary and PostgreSQL
    parses JSON faster than we could encode it."""
    return ", ".join(f"{c}::jsonb" if c in json_columns else c for c in columns)
