"""How the records of each derived topic become rows: a pure mapping, and one transaction per batch
in which the newest version wins.

May touch: PostgreSQL, through the connection it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple, Protocol

import asyncpg
import msgspec
import orjson
from aiokafka import ConsumerRecord

from app.learning.integrated.history import HISTORY_DAYS
from app.log.records import version_of
from edgeloop.versions import Latest
from schemas import kinds
from schemas.facts import PatternTradeEvent
from schemas.lessons import GroupSummary, Lesson


class BadRecord(ValueError):
    """A record of a derived topic that is invalid for the topic."""


Row = tuple[Any, ...]


class Record(NamedTuple):
    """One record as rows.  Of the records with one `key` the one with the greatest `rank` counts,
    of equals the later.  `place`: its partition and offset."""

    key: Hashable
    rank: Any
    rows: Sequence[Row]
    retired: bool = False
    change: Row | None = None
    place: tuple[int, int] | None = None


class Projection(Protocol):
    """The projector's interface to a topic."""

    @property
    def topic(self) -> str: ...

    def decode(self, record: ConsumerRecord) -> Record | None:
        """The record as rows, or None where it has none.  Pure.  Raises `BadRecord`."""

    async def write(self, connection: asyncpg.Connection, batch: Sequence[Record]) -> int:
        """Write a batch, in log order, in one transaction; returns the number of rows.  Writing it
        twice changes nothing."""


_time = datetime.fromisoformat


def _optional_time(text: str | None) -> datetime | None:
    return None if text is None else _time(text)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _scope(scope: dict[str, str]) -> str:
    return orjson.dumps(scope).decode()


def _parse(record: ConsumerRecord, decoder: msgspec.json.Decoder[Any]) -> tuple[str, int, Any]:
    """Key, version and value (None: a tombstone)."""
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
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadRecord(str(error)) from error


def _newest(batch: Sequence[Record]) -> list[Record]:
    latest: Latest[Hashable, Record] = Latest()
    for record in batch:
        latest.put(record.key, record.rank, record)
    return [record for _, record in latest.items()]


# Statements see rows that were committed before the lock was granted, so two workers that overlap
# during a rebalance cannot interleave.  Without statistics for the staging table the planner may
# read the whole of a large table for a hash join.
_BEGIN = """
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.{table}', 0));
"""


async def _stage(
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


_RANK = ("revision", "n_actions", "exit_ts", "event_id", "value_sha256")
_GROUP = ("module", "trade_id", "pattern_key", "action_category")
# jsonb travels as text: asyncpg's COPY is binary, and PostgreSQL parses JSON faster than we could
# encode it.
_FACT_COLUMNS = (
    ("module", "text"),
    ("trade_id", "text"),
    ("pattern_key", "text"),
    ("action_category", "text"),
    ("action_id", "text"),
    ("action_ts", "timestamptz"),
    ("scope", "text"),
    ("size_frac", "float8"),
    ("applied_overrides", "text[]"),
    ("rr", "float8"),
    ("roi", "float8"),
    ("pnl_usd", "float8"),
    ("position_id", "text"),
    ("symbol", "text"),
    ("bucket", "text"),
    ("timeframe", "text"),
    ("entry_ts", "timestamptz"),
    ("exit_ts", "timestamptz"),
    ("home", "boolean"),
    ("metrics", "text"),
    ("revision", "bigint"),
    ("n_actions", "integer"),
    ("event_id", 'text COLLATE "C"'),
    ("value_sha256", 'text COLLATE "C"'),
    ("version", "bigint"),
)
_FACT_JSON = frozenset({"scope", "metrics"})


def _select(columns: Iterable[str], json_columns: frozenset[str]) -> str:
    return ", ".join(f"{c}::jsonb" if c in json_columns else c for c in columns)


def fact_rows(fact: PatternTradeEvent, version: int) -> list[Row]:
    """One row per action, in the order of the staging columns."""
    head = (fact.module, fact.trade_id, fact.pattern_key, fact.action_category)
    tail = (
        fact.rr,
        fact.roi,
        fact.pnl_usd,
        fact.position_id,
        fact.symbol,
        fact.segment.bucket,
        fact.segment.timeframe,
        _optional_time(fact.entry_ts),
        _time(fact.exit_ts),
        fact.home,
        _json(fact.metrics),
        fact.revision,
        fact.n_actions,
        fact.event_id,
        fact.value_sha256,
        version,
    )
    return [
        (*head, a.action_id, _time(a.ts), _scope(a.scope), a.size_frac, a.applied_overrides, *tail)
        for a in fact.actions
    ]


class Facts:
    """`pattern_trade_events`: of several closes of a trade only the one with the highest rank has
    rows, group by group."""

    topic = kinds.FACTS
    _decoder = msgspec.json.Decoder(kinds.KINDS[topic].struct)

    def decode(self, record: ConsumerRecord) -> Record:
        _, version, fact = _parse(record, self._decoder)
        if fact is None:
            raise BadRecord("A null value has no meaning in this topic.")
        key = (fact.module, fact.trade_id, fact.pattern_key, fact.action_category)
        rank = (fact.revision, fact.n_actions, fact.exit_ts, fact.event_id, fact.value_sha256)
        try:
            return Record(key, rank, fact_rows(fact, version))
        except ValueError as error:  # a time that is none
            raise BadRecord(str(error)) from error

    async def write(self, connection: asyncpg.Connection, batch: Sequence[Record]) -> int:
        rows = [row for record in _newest(batch) for row in record.rows]
        async with connection.transaction():
            await _stage(connection, "stage_pattern_trade_events", _FACT_COLUMNS, rows)
            await connection.execute(_FACTS_SQL)
        return len(rows)


def _facts_sql() -> str:
    table, stage = "pattern_trade_events", "stage_pattern_trade_events"
    names = [name for name, _ in _FACT_COLUMNS]
    key = (*_GROUP, "action_id")
    same_group = " AND ".join(f"t.{c} = s.{c}" for c in _GROUP)
    rank_t, rank_s = (", ".join(f"{alias}.{c}" for c in _RANK) for alias in "ts")
    updates = ", ".join(f"{c} = excluded.{c}" for c in names if c not in key)
    return f"""{_BEGIN.format(table=table)}
        DELETE FROM {stage} s USING {table} t WHERE {same_group} AND ({rank_t}) > ({rank_s});
        DELETE FROM {table} t USING {stage} s WHERE {same_group} AND ({rank_t}) < ({rank_s});
        INSERT INTO {table} AS t ({", ".join(names)})
            SELECT {_select(names, _FACT_JSON)} FROM {stage}
            ON CONFLICT ({", ".join(key)}) DO UPDATE SET {updates}
                WHERE excluded.version >= t.version;"""


_FACTS_SQL = _facts_sql()


@dataclass(frozen=True)
class Column:
    """A column of a keyed table: name, type in the staging table, and how to read it from the
    record's value."""

    name: str
    kind: str
    read: Callable[[Any], Any]

    @property
    def is_json(self) -> bool:
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
    deleted when all of them are null.  Where the kind's key is an id and a day, so is the table's.
    `prune` is a statement that ends each batch.
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
        prune: str = "",
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
        self._prune = prune
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
        self._retired_cells = (None,) * len(self._columns)
        names = (*keys, version, *(c.name for c in self._columns))
        json_columns = frozenset(c.name for c in self._columns if c.is_json)
        updates = ", ".join(f"{c} = excluded.{c}" for c in names[len(keys) :])
        whole = len(halves) == 1
        emptied = ", ".join(f"{name} = NULL" for name in (version, *(c.name for c in own)))
        nothing_left = " AND ".join(f"t.{name} IS NULL" for name in halves)
        self._upsert = f"""{_BEGIN.format(table=table)}
            DELETE FROM {self._stage} s USING projection_tombstones m
                WHERE m.topic = '{topic}' AND m.key = {record_key} AND m.version > s.{version};
            DELETE FROM projection_tombstones m USING {self._stage} s
                WHERE m.topic = '{topic}' AND m.key = {record_key} AND NOT s.retired;
            INSERT INTO {table} AS t ({", ".join(names)})
                SELECT {_select(names, json_columns)} FROM {self._stage} WHERE NOT retired
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

    def decode(self, record: ConsumerRecord) -> Record | None:
        key, version, value = _parse(record, self._decoder)
        change = None
        if self._history:
            published = datetime.fromtimestamp(record.timestamp / 1000, UTC)
            change = (
                key,
                version,
                published,
                value is None,
                None if value is None else _json(value),
            )
        if isinstance(value, self._rowless):
            return None
        if value is not None and self._kind.key_of(value) != key:
            raise BadRecord(
                f"The key is not the record's {self._key}{' and day' if self._daily else ''}."
            )
        try:
            head = (*self._cells(key), version, value is None)
            cells = (
                self._retired_cells
                if value is None
                else tuple(c.read(value) for c in self._columns)
            )
        except ValueError as error:  # a time that is none
            raise BadRecord(str(error)) from error
        return Record(key, version, [(*head, *cells)], value is None, change)

    def _cells(self, key: str) -> Row:
        """The record's key as the table's key columns."""
        if not self._daily:
            return (key,)
        own, _, day = key.rpartition("|")
        return own, _day(day)

    async def write(self, connection: asyncpg.Connection, batch: Sequence[Record]) -> int:
        newest = _newest(batch)
        retiring = any(record.retired for record in newest)
        async with connection.transaction():
            await _stage(
                connection,
                self._stage,
                self._stage_columns,
                [row for record in newest for row in record.rows],
            )
            await connection.execute(
                self._upsert + (self._retire if retiring else "") + self._prune
            )
            if self._history:
                await self._write_history(
                    connection, [record.change for record in batch if record.change]
                )
        return len(newest)

    async def _write_history(self, connection: asyncpg.Connection, changes: Sequence[Row]) -> None:
        columns = (
            (self._key, "text"),
            ("version", "bigint"),
            ("published_at", "timestamptz"),
            ("retired", "boolean"),
            ("record", "text"),
        )
        await _stage(connection, f"stage_{self._history}", columns, changes)
        names = [name for name, _ in columns]
        await connection.execute(
            f"INSERT INTO {self._history} ({', '.join(names)}) SELECT"
            f" {_select(names, frozenset({'record'}))} FROM stage_{self._history} ON CONFLICT DO"
            " NOTHING"
        )


def _field(name: str, kind: str) -> Column:
    return Column(name, kind, lambda value: getattr(value, name))


def _json_field(name: str) -> Column:
    return Column(name, "json", lambda value: _json(getattr(value, name)))


def _time_field(name: str) -> Column:
    return Column(name, "timestamptz", lambda value: _optional_time(getattr(value, name)))


_GROUP_FIELDS = (
    _field("module", "text"),
    _field("pattern_key", "text"),
    _field("action_category", "text"),
)
_LESSON_SHARED = (_field("learning", "text"), *_GROUP_FIELDS, _json_field("scope"))
_LESSON_HALVES = ("lesson_version", "verdict_version")


def _stats(lesson: Lesson) -> str:
    """Everything without its own column, except the ids in the sketch and fields that `classic`
    does not have."""
    decay = lesson.decay
    stats: dict[str, Any] = {
        "decay": {
            "multiplier": decay.multiplier,
            "slope_per_hour": decay.slope_per_hour,
            "interval": decay.interval,
        }
    }
    if lesson.marginal is not None:
        stats["marginal"] = lesson.marginal
    if lesson.metrics is not None:
        stats["metrics"] = lesson.metrics
    if lesson.sketch:
        stats["sketch_length"] = len(lesson.sketch)
    return _json(stats)


LESSONS = Keyed(
    kinds.LESSONS,
    "learning_lessons",
    [
        _field("n", "bigint"),
        _field("mean", "float8"),
        _field("variance", "float8"),
        Column("decay_state", "text", lambda v: v.decay.state),
        Column("decay_halflife_hours", "float8", lambda v: v.decay.half_life_hours),
        Column("stats", "json", _stats),
        Column("evidence_from", "timestamptz", lambda v: _time(v.evidence.from_ts)),
        Column("evidence_to", "timestamptz", lambda v: _time(v.evidence.to_ts)),
        _time_field("as_of"),
    ],
    shared=_LESSON_SHARED,
    version="lesson_version",
    halves=_LESSON_HALVES,
    rowless=GroupSummary,
)

VERDICTS = Keyed(
    kinds.VERDICTS,
    "learning_lessons",
    [
        Column("effect", "float8", lambda v: v.edge),
        _field("effect_sd", "float8"),
        # `classic` shrinks nothing
        Column("edge_raw", "float8", lambda v: v.edge if v.edge_raw is None else v.edge_raw),
        _field("baseline", "float8"),
        _field("multiplier", "float8"),
        _field("confidence", "float8"),
        _field("latent_factor_id", "text"),
        _field("decision", "text"),
        _field("reason", "text"),
        _field("override_id", "text"),
        Column("judged_lesson_version", "bigint", lambda v: v.lesson_version),
    ],
    shared=_LESSON_SHARED,
    version="verdict_version",
    halves=_LESSON_HALVES,
)

OVERRIDES = Keyed(
    kinds.OVERRIDES,
    "pm_overrides",
    [
        _field("learning", "text"),
        *_GROUP_FIELDS,
        _json_field("scope"),
        _field("effect", "float8"),
        _field("effect_sd", "float8"),
        _field("multiplier", "float8"),
        _field("confidence", "float8"),
        _field("n_trades", "bigint"),
        _field("baseline", "float8"),
        _json_field("decay"),
        _field("latent_factor_id", "text"),
        _field("covers", "text[]"),
        _json_field("regime_gains"),
        _json_field("evidence"),
        _time_field("as_of"),
        _time_field("expires_at"),
        _field("part", "text"),
        _field("schema_version", "integer"),
    ],
    history="pm_overrides_history",
)

BASELINES = Keyed(
    kinds.BASELINES,
    "learning_baselines",
    [
        _field("learning", "text"),
        _field("module", "text"),
        _field("bucket", "text"),
        _field("timeframe", "text"),
        _field("n", "bigint"),
        _field("mean", "float8"),
        _field("variance", "float8"),
        _time_field("as_of"),
        _field("schema_version", "integer"),
    ],
)

REGIME_WEIGHTS = Keyed(
    kinds.REGIME_WEIGHTS,
    "learning_regime_weights",
    [
        _field("learning", "text"),
        _field("module", "text"),
        _field("regime", "text"),
        _field("n_cells", "bigint"),
        _field("n_trades", "bigint"),
        _json_field("weights"),
        _json_field("sds"),
        _json_field("centres"),
        _field("p_value", "float8"),
        _field("active", "boolean"),
        _time_field("as_of"),
        _field("schema_version", "integer"),
    ],
)

FACTORS = Keyed(
    kinds.FACTORS,
    "learning_latent_factors",
    [
        _field("learning", "text"),
        _field("module", "text"),
        _field("representative", "text"),
        _field("members", "text[]"),
        _field("cohesion", "float8"),
        _time_field("as_of"),
        _field("schema_version", "integer"),
    ],
)

HISTORY = Keyed(
    kinds.HISTORY,
    "learning_edge_history",
    [
        _field("learning", "text"),
        *_GROUP_FIELDS,
        _field("n", "bigint"),
        _field("predicted", "float8"),
        _field("uplift", "float8"),
        _json_field("metrics"),
        _json_field("regimes"),
        _field("schema_version", "integer"),
    ],
    # By event time, back from the table's newest day, so that a rebuild keeps the same.
    prune=(
        "DELETE FROM learning_edge_history WHERE day < (SELECT max(day) FROM"
        f" learning_edge_history) - {HISTORY_DAYS};"
    ),
)

PROJECTIONS: dict[str, Projection] = {
    p.topic: p
    for p in (Facts(), LESSONS, VERDICTS, OVERRIDES, BASELINES, REGIME_WEIGHTS, FACTORS, HISTORY)
}
"""By topic, without the prefix: everything in `kinds.DERIVED`."""
