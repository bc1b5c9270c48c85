"""Tables that were lost, or come from an old backup, are found, and `rebuild` is advised."""

from __future__ import annotations

import pytest

from app.doctor import Finding, examine
from app.kafka import topics
from app.kafka.producer import Producer
from app.settings import Settings
from app.storage.connect import close, connect
from app.storage.lost_rows import missing_trades
from app.storage.migrate import migrate
from app.storage.rebuild import rebuild
from tests.storage.records import fact
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
    missing, sampled = await missing_trades(s)
    assert missing == 0
    assert sampled > 20


async def test_an_old_backup_is_found(projected: Settings) -> None:
    """An old backup lacks the newest trades that were projected."""
    await run_sql(
        projected, "DELETE FROM pattern_trade_events WHERE substr(trade_id, 2)::int >= 100"
    )
    found = await finding(projected, "tables")
    assert not found.ok
    assert "missing" in found.found
