"""The shadow: what a replay learned, in a PostgreSQL schema of its own, beside the live one.

May touch: PostgreSQL, schemas `<EDGELOOP_DATABASE_SCHEMA>_shadow_<name>` only.

1. The same migrations create the schema as the live one, and the same projections fill its tables:
   every query that is written for the live tables works on it.  (Closed trades are not
   copied: `pattern_trade_events` and, with it, the tombstones stay empty.)
2. `replay_records` has the exact records that a worker would publish, by topic and key: the
   shadow's key space.
3. `replay_state` has one row: the settings, the source and the range, what is done, and in the end
   the digest.
4. A result is written in one transaction with its progress in `replay_state.progress`.
5. Writers hold an advisory lock: two runs of one name cannot overlap, and a shadow being filled
   cannot be dropped.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import asyncpg
import msgspec
import orjson

from app.errors import ConfigurationError, UnreachableError, UsageError
from app.replay.span import Span
from app.settings import Settings
from app.storage.connect import close, connect
from app.storage.migrate import migrate
from app.storage.projection import Record
from app.storage.tables import PROJECTIONS
from schemas import kinds
from schemas.kinds import LEARNED

WRITE_TIMEOUT_S = 600.0
_NAME = re.compile(r"[a-z0-9_]{1,40}")
_MAX_SCHEMA = 63
_TABLES = """
CREATE TABLE IF NOT EXISTS replay_records (
    topic text NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (topic, key)
);
CREATE TABLE IF NOT EXISTS replay_state (
    name text PRIMARY KEY,
    settings jsonb NOT NULL,
    source jsonb NOT NULL,
    progress jsonb NOT NULL DEFAULT '{"folded": {}, "judged": {}}',
    rejected jsonb NOT NULL DEFAULT '{}',
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    digest text
);
"""


class Source(msgspec.Struct, frozen=True):
    """Where the trades come from.

    `kind` is `facts`, `closes` or `files`.  `ends` has the offset after the last record to be read
    of each partition, fixed at the start; `files` has each file's path, size and modification time
    (ns); `at_ms` (since 1970) is when the files were listed.
    """

    kind: str
    span: Span
    ends: dict[str, int] = {}
    files: list[tuple[str, int, int]] = []
    file_kind: str | None = None
    mapping: str | None = None
    at_ms: int = 0

    def asks_as(self, other: Source) -> bool:
        """Whether both have the same source and range."""
        mine, theirs = (
            (s.kind, s.span.asked, s.files, s.file_kind, s.mapping) for s in (self, other)
        )
        return mine == theirs


class Folded(msgspec.Struct, frozen=True):
    """A partition of groups that is done: the numbers of `records` read, `facts` folded, home
    `trades` among them, and `lessons` made."""

    next_offset: int
    records: int
    facts: int
    trades: int
    unreadable: int
    lessons: int
    modules: list[str]


class State(msgspec.Struct, frozen=True):
    """The row of `replay_state`; `judged` has the number of overrides by module."""

    name: str
    settings: dict[str, Any]
    source: Source
    folded: dict[str, Folded]
    judged: dict[str, int]
    rejected: dict[str, int]
    started_at: datetime
    finished_at: datetime | None
    digest: str | None


class ShadowRecord(NamedTuple):
    """A record as a worker would publish it; `topic` is without the prefix."""

    topic: str
    key: str
    version: int
    value: bytes


class _LogRecord(NamedTuple):
    """The attributes of a Kafka record that the projections need."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    timestamp: int


def schema_of(settings: Settings, name: str) -> str:
    """The schema of a shadow.  Raises `UsageError` for an invalid name."""
    schema = f"{_prefix(settings)}{name}"
    if not _NAME.fullmatch(name) or len(schema) > _MAX_SCHEMA:
        room = min(40, _MAX_SCHEMA - len(_prefix(settings)))
        raise UsageError(
            f"{name!r} is not a valid shadow name.",
            f"Use up to {room} of the characters a-z 0-9 _.",
        )
    return schema


def _prefix(settings: Settings) -> str:
    return f"{settings.database_schema}_shadow_"


def learning_settings(settings: Settings) -> dict[str, Any]:
    """The settings on which the results depend, by name: those of the learning core, and the
    dimensions, which determine the facts of a close."""
    found = msgspec.to_builtins(settings.learning_config)
    found["dimensions"] = list(settings.dimensions)
    return dict(msgspec.json.decode(msgspec.json.encode(found)))


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The settings that differ, each with both values, in words."""
    return [
        f"{name} ({one.get(name)!r}, here {other.get(name)!r})"
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    ]


class Shadow:
    """An open connection to a shadow."""

    def __init__(self, settings: Settings, name: str, connection: asyncpg.Connection) -> None:
        self.name = name
        self.schema = schema_of(settings, name)
        self._connection = connection

    async def exists(self) -> bool:
        """Whether there is such a shadow."""
        return bool(
            await self._connection.fetchval(
                "SELECT to_regclass($1)", f'"{self.schema}".replay_state'
            )
        )

    async def lock(self) -> None:
        """Become the only writer until the connection closes.  Raises `ConfigurationError` if there
        is another one."""
        if not await self._connection.fetchval(
            "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", f"replay {self.schema}"
        ):
            raise ConfigurationError(
                f"The shadow {self.name} is in use by another command.",
                "Wait for that command, or stop it.",
            )

    async def begin(self, settings: dict[str, Any], source: Source) -> None:
        """An empty shadow, in a schema that has been migrated."""
        await self._connection.execute(_TABLES)
        await self._connection.execute(
            "INSERT INTO replay_state (name, settings, source, started_at) VALUES ($1,"
            " $2::text::jsonb, $3::text::jsonb, $4)",
            self.name,
            _text(settings),
            _text(source),
            datetime.now(UTC),
        )

    async def state(self) -> State:
        """The shadow's description and progress.  Raises `ConfigurationError` if there is none."""
        if not await self.exists():
            raise ConfigurationError(
                f"There is no shadow {self.name}.",
                "Run `faust -A app replay list` to see the existing ones.",
            )
        row = await self._connection.fetchrow(
            "SELECT settings::text, source::text, progress::text, rejected::text, started_at,"
            " finished_at, digest FROM replay_state"
        )
        if row is None:
            raise ConfigurationError(
                f"The shadow {self.name} was never started.",
                f"Drop it: faust -A app replay drop {self.name}",
            )
        progress = orjson.loads(row["progress"])
        return State(
            self.name,
            orjson.loads(row["settings"]),
            msgspec.json.decode(row["source"], type=Source),
            msgspec.convert(progress["folded"], dict[str, Folded]),
            progress["judged"],
            orjson.loads(row["rejected"]),
            row["started_at"],
            row["finished_at"],
            row["digest"],
        )

    async def commit(
        self, records: Sequence[ShadowRecord], step: str, part: str, note: Any
    ) -> None:
        """Write the records and the progress of `step` (`folded` or `judged`) for `part` in one
        transaction."""
        by_topic: dict[str, list[ShadowRecord]] = {}
        for record in records:
            by_topic.setdefault(record.topic, []).append(record)
        now_ms = round(datetime.now(UTC).timestamp() * 1000)
        async with self._connection.transaction():
            for topic, written in by_topic.items():
                if rows := [row for record in written if (row := _row(record, now_ms)) is not None]:
                    await PROJECTIONS[topic].write(self._connection, rows)
                if topic in LEARNED:
                    await self._connection.copy_records_to_table(
                        "replay_records",
                        records=written,
                        columns=ShadowRecord._fields,
                        timeout=WRITE_TIMEOUT_S,
                    )
            await self._connection.execute(
                "UPDATE replay_state SET progress = jsonb_set(progress, ARRAY[$1, $2]::text[],"
                " $3::text::jsonb)",
                step,
                part,
                _text(note),
            )

    async def note_rejected(self, rejected: dict[str, int]) -> None:
        """How many closes were rejected, by reason."""
        await self._connection.execute(
            "UPDATE replay_state SET rejected = $1::text::jsonb", _text(rejected)
        )

    async def finish(self, digest: str) -> None:
        """Note that everything is done, and the digest."""
        await self._connection.execute(
            "UPDATE replay_state SET digest = $1, finished_at = $2", digest, datetime.now(UTC)
        )

    async def lessons(self, module: str) -> list[tuple[int, bytes]]:
        """(version, value) of the lessons and summaries of a module, by key."""
        rows = await self._connection.fetch(
            "SELECT version, value FROM replay_records"
            " WHERE topic = $1 AND convert_from(value, 'UTF8')::json ->> 'module' = $2 ORDER"
            " BY key",
            kinds.LESSONS,
            module,
            timeout=WRITE_TIMEOUT_S,
        )
        return [(row["version"], row["value"]) for row in rows]

    async def records(self) -> dict[str, dict[str, bytes]]:
        """Topic → key → value of everything that was learned."""
        found: dict[str, dict[str, bytes]] = {topic: {} for topic in LEARNED}
        for row in await self._connection.fetch(
            "SELECT topic, key, value FROM replay_records", timeout=WRITE_TIMEOUT_S
        ):
            found[row["topic"]][row["key"]] = row["value"]
        return found

    async def drop(self) -> None:
        """Remove the schema with all its contents."""
        await self._connection.execute(f'DROP SCHEMA IF EXISTS "{self.schema}" CASCADE')

    async def size_bytes(self) -> int:
        """Bytes of its tables and indexes on disk."""
        return int(
            await self._connection.fetchval(
                "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c JOIN"
                " pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind"
                " = 'r'",
                self.schema,
            )
        )


def _row(record: ShadowRecord, now_ms: int) -> Record | None:
    headers = (("version", str(record.version).encode()),)
    return PROJECTIONS[record.topic].decode(
        _LogRecord(record.key.encode(), record.value, headers, now_ms)
    )


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


@asynccontextmanager
async def opened(settings: Settings, name: str) -> AsyncIterator[Shadow]:
    """A shadow, which need not exist.  PostgreSQL errors become an `UnreachableError`."""
    schema = schema_of(settings, name)
    connection = await connect(settings.database_url, schema, command_timeout_s=WRITE_TIMEOUT_S)
    try:
        yield Shadow(settings, name, connection)
    except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, ConnectionError) as error:
        raise UnreachableError(
            f"The connection to PostgreSQL broke: {str(error) or type(error).__name__}.",
            "Run the same command again; it resumes where it stopped.",
        ) from error
    finally:
        await close(connection)


async def make_schema(settings: Settings, name: str) -> None:
    """The schema of a shadow, with the tables of the live one."""
    await migrate(settings.database_url, schema_of(settings, name))


async def names(settings: Settings) -> list[str]:
    """The names of all shadows of this installation."""
    connection = await connect(settings.database_url, settings.database_schema)
    try:
        rows: Iterable[Any] = await connection.fetch(
            "SELECT n.nspname FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid AND"
            " c.relname = 'replay_state' WHERE starts_with(n.nspname, $1) ORDER BY 1",
            _prefix(settings),
        )
    finally:
        await close(connection)
    return [row["nspname"].removeprefix(_prefix(settings)) for row in rows]
