"""Tables that were lost, or come from an old backup, are found, and `rebuild` is advised."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import InconsistentGroupProtocolError

from app.doctor import Finding, examine
from app.kafka import topics
from app.kafka.consumer_groups import projector_group
from app.kafka.producer import Producer
from app.settings import Settings
from app.storage.connect import close, connect
from app.storage.lost_rows import sample_rows
from app.storage.migrate import migrate
from app.storage.rebuild import rebuild
from schemas import kinds
from tests.storage.records import (
    baseline,
    fact,
    factor,
    history,
    lesson,
    override,
    regime_weight,
    summary,
    verdict,
)
from tests.storage.test_projector import idle, out, projector

pytestmark = pytest.mark.stack


@pytest.fixture
async def projected(stack_settings: Settings) -> Settings:
    """Trades in two partitions, all of them in the tables, and the projector stopped."""
    await topics.create(stack_settings)
    await migrate(stack_settings.database_url, stack_settings.database_schema)
    await produce(stack_settings, range(300))
    await project(stack_settings)
    return stack_settings


async def produce(settings: Settings, trades: range) -> None:
    producer = Producer(settings)
    try:
        await producer.send(
            [
                out(settings, fact(f"t{i}", action_category=("add", "entry", "exit")[i % 3]))
                for i in trades
            ]
        )
    finally:
        await producer.stop()


async def project(settings: Settings) -> None:
    async with projector(settings):
        await idle(settings)


async def run_sql(settings: Settings, sql: str) -> None:
    connection = await connect(settings.database_url, settings.database_schema)
    try:
        await connection.execute(sql)
    finally:
        await close(connection)


async def finding(settings: Settings, check: str) -> Finding:
    (found,) = [f for f in await examine(settings) if f.check == check]
    return found


@pytest.mark.slow
@pytest.mark.long
async def test_a_schema_that_was_dropped_is_rebuilt_and_not_only_migrated(
    projected: Settings,
) -> None:
    s = projected
    assert (await finding(s, "tables")).ok
    await run_sql(s, f"DROP SCHEMA {s.database_schema} CASCADE")
    lost = await finding(s, "database")
    assert not lost.ok
    assert "faust -A app rebuild" in lost.remedy
    await migrate(s.database_url, s.database_schema)
    empty = await finding(s, "tables")
    assert not empty.ok
    assert "faust -A app rebuild" in empty.remedy
    # New records are written, earlier ones are not: the loss is still found.
    await produce(s, range(300, 310))
    await project(s)
    assert not (await finding(s, "tables")).ok
    await rebuild(s)
    assert (await finding(s, "tables")).ok  # no record counts as written
    await project(s)
    assert (await finding(s, "tables")).ok
    sampled = await sample_rows(s)
    assert not any(one.missing for one in sampled)
    assert sum(one.records for one in sampled) > 20


async def test_an_old_backup_is_found(projected: Settings) -> None:
    """An old backup lacks the newest trades that were projected."""
    await run_sql(
        projected, "DELETE FROM pattern_trade_events WHERE substr(trade_id, 2)::int >= 100"
    )
    found = await finding(projected, "tables")
    assert not found.ok
    assert "missing" in found.found


JUDGED = {
    "learning_lessons": (lesson, verdict, summary),
    "pm_overrides": (override,),
    "learning_baselines": (baseline,),
    "learning_regime_weights": (regime_weight,),
    "learning_latent_factors": (factor,),
    "learning_edge_history": (history,),
}


@pytest.fixture
async def judged(stack_settings: Settings) -> Settings:
    """Records of every derived topic, of which one was retired, in the tables."""
    s = stack_settings
    await topics.create(s)
    await migrate(s.database_url, s.database_schema)
    producer = Producer(s)
    records = [out(s, make()) for makers in JUDGED.values() for make in makers]
    retired = out(s, override("retired"))
    gone = out(s, None, topic=kinds.OVERRIDES, key="retired", version=9)
    try:
        await producer.send([out(s, fact()), *records, retired])
        await producer.send([gone._replace(partition=retired.partition)])
    finally:
        await producer.stop()
    await project(s)
    return s


@pytest.mark.slow
async def test_rows_that_any_table_lost_are_found(judged: Settings) -> None:
    found = await finding(judged, "tables")
    assert found.ok, found.found
    for table in JUDGED:
        empty = f"CREATE TABLE {table} (LIKE kept INCLUDING ALL)"
        await run_sql(judged, f"ALTER TABLE {table} RENAME TO kept; {empty}")
        found = await finding(judged, "tables")
        assert not found.ok, table
        assert table in found.found
        assert "faust -A app rebuild" in found.remedy
        await run_sql(judged, f"DROP TABLE {table}; ALTER TABLE kept RENAME TO {table}")
    assert (await finding(judged, "tables")).ok
    await run_sql(judged, "UPDATE pm_overrides SET version = version - 1")
    assert not (await finding(judged, "tables")).ok, "an older version, as in an old backup"


async def test_another_program_cannot_take_the_projectors_partitions(projected: Settings) -> None:
    """It would commit offsets of records that were never written."""
    s = projected
    consumer = AIOKafkaConsumer(
        s.topic(kinds.FACTS),
        bootstrap_servers=s.broker,
        group_id=projector_group(s),
        auto_offset_reset="earliest",
    )
    async with projector(s):
        await produce(s, range(300, 310))
        await idle(s)
        with suppress(InconsistentGroupProtocolError):
            await asyncio.wait_for(consumer.start(), 30)
            assert not await consumer.getmany(timeout_ms=5_000)
            raise AssertionError("it was admitted to the group")
        await consumer.stop()
        await produce(s, range(310, 320))
        await idle(s)
    assert (await finding(s, "tables")).ok
