"""The facts as rows, one for each action of a trade, from the close that counts.

May touch: PostgreSQL, through a connection that is passed to it.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    optional_time,
    parsed,
    scope_text,
    selected,
    time_of,
)
from schemas import kinds
from schemas.facts import PatternTradeEvent

_RANK = ("revision", "n_actions", "exit_ts", "event_id", "value_sha256")
_GROUP = ("module", "trade_id", "pattern_key", "action_category")
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
        optional_time(fact.entry_ts),
        time_of(fact.exit_ts),
        fact.home,
        json_text(fact.metrics),
        fact.revision,
        fact.n_actions,
        fact.event_id,
        fact.value_sha256,
        version,
    )
    return [
        (
            *head,
            a.action_id,
            time_of(a.ts),
            scope_text(a.scope),
            a.size_frac,
            a.applied_overrides,
            *tail,
        )
        for a in fact.actions
    ]


class Facts:
    """`pattern_trade_events`: of several closes of a trade only the one with the highest rank has
    rows, group by group."""

    topic = kinds.FACTS
    _decoder = msgspec.json.Decoder(kinds.KINDS[topic].struct)

    def decode(self, record: ConsumerRecord) -> Record:
        """See `Projection`."""
        _, version, fact = parsed(record, self._decoder)
        if fact is None:
            raise BadRecord("A null value has no meaning in this topic.")
        key = (fact.module, fact.trade_id, fact.pattern_key, fact.action_category)
        rank = (fact.revision, fact.n_actions, fact.exit_ts, fact.event_id, fact.value_sha256)
        try:
            return Record(key, rank, fact_rows(fact, version))
        except ValueError as error:  # not a valid time
            raise BadRecord(str(error)) from error

    async def write(self, connection: asyncpg.Connection, batch: Sequence[Record]) -> int:
        """See `Projection`."""
        rows = [row for record in newest(batch) for row in record.rows]
        async with connection.transaction():
            await fill_stage(connection, "stage_pattern_trade_events", _FACT_COLUMNS, rows)
            await connection.execute(_FACTS_SQL)
        return len(rows)

    async def missing(self, connection: asyncpg.Connection, written: Sequence[Record]) -> int:
        """See `Projection`."""
        groups = zip(*{record.key for record in written}, strict=True) if written else ()
        return int(await connection.fetchval(_MISSING_SQL, *groups)) if written else 0


def _facts_sql() -> str:
    table, stage = "pattern_trade_events", "stage_pattern_trade_events"
    names = [name for name, _ in _FACT_COLUMNS]
    key = (*_GROUP, "action_id")
    same_group = " AND ".join(f"t.{c} = s.{c}" for c in _GROUP)
    rank_t, rank_s = (", ".join(f"{alias}.{c}" for c in _RANK) for alias in "ts")
    updates = ", ".join(f"{c} = excluded.{c}" for c in names if c not in key)
    return f"""{LOCK_TABLE.format(table=table)}
        DELETE FROM {stage} s USING {table} t WHERE {same_group} AND ({rank_t}) > ({rank_s});
        DELETE FROM {table} t USING {stage} s WHERE {same_group} AND ({rank_t}) < ({rank_s});
        INSERT INTO {table} AS t ({", ".join(names)})
            SELECT {selected(names, _FACT_JSON)} FROM {stage}
            ON CONFLICT ({", ".join(key)}) DO UPDATE SET {updates}
                WHERE excluded.version >= t.version;"""


_FACTS_SQL = _facts_sql()
_MISSING_SQL = f"""
SELECT count(*)
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS s ({", ".join(_GROUP)})
    WHERE NOT EXISTS (
        SELECT FROM pattern_trade_events t WHERE {" AND ".join(f"t.{c} = s.{c}" for c in _GROUP)})
"""
