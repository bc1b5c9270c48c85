"""The projector on real Kafka and PostgreSQL loses nothing, whatever fails."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY

from app.devstack import StackInfo, up
from app.devstack.postgres import Postgres
from app.errors import ConfigurationError
from app.kafka import topics
from app.kafka.lag import LagReader
from app.kafka.producer import Producer
from app.kafka.records import Outgoing, partition_of
from app.settings import Settings
from app.storage.connect import close, connect
from app.storage.migrate import migrate
from app.storage.rebuild import rebuild
from schemas import kinds
from tests.child import faust
from tests.storage.records import (
    TOPIC_OF,
    baseline,
    fact,
    factor,
    history,
    key_of,
    lesson,
    override,
    regime_weight,
    summary,
    verdict,
)

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def installation(stack_settings: Settings) -> Settings:
    """Topics and tables of this test."""
    await topics.create(stack_settings)
    await migrate(stack_settings.database_url, stack_settings.database_schema)
    return stack_settings


@pytest.fixture
async def producer(installation: Settings) -> AsyncIterator[Producer]:
    made = Producer(installation)
    yield made
    await made.stop()


def out(
    s: Settings,
    value: Any,
    *,
    topic: str | None = None,
    key: str | None = None,
    version: int | None = None,
) -> Outgoing:
    topic = topic or TOPIC_OF[type(value)]
    key = key or key_of(value)
    version = getattr(value, "version", 0) if version is None else version
    body = value if value is None or isinstance(value, bytes) else msgspec.json.encode(value)
    headers = (("version", str(version).encode()),)
    return Outgoing(s.topic(topic), partition_of(key, s.partitions), key.encode(), body, headers)


def projector(settings: Settings) -> Any:
    from app.stages.projector import Projector

    return Projector(settings)


async def until(condition: Callable[[], Awaitable[bool]], deadline_s: float = 45.0) -> None:
    give_up = time.monotonic() + deadline_s
    while not await condition():
        assert time.monotonic() < give_up, f"not within {deadline_s} s"
        await asyncio.sleep(0.1)


async def idle(settings: Settings) -> None:
    """Wait until the projector has committed everything."""
    async with LagReader(settings) as reader:

        async def done() -> bool:
            return all(lag.records == 0 for lag in await reader.lags() if lag.role == "projector")

        await until(done)


def skipped_so_far(topic: str) -> float:
    return (
        REGISTRY.get_sample_value("edgeloop_projection_bad_records_total", {"topic": topic}) or 0.0
    )


async def query(settings: Settings, sql: str) -> list[tuple]:
    connection = await connect(settings.database_url, settings.database_schema)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await close(connection)


COUNTS = """SELECT (SELECT count(*) FROM pattern_trade_events),
    (SELECT count(*) FROM learning_lessons),
    (SELECT count(*) FROM learning_baselines), (SELECT count(*) FROM pm_overrides)"""
COUNTS_BESIDE = """SELECT (SELECT count(*) FROM learning_regime_weights),
    (SELECT count(*) FROM learning_latent_factors),
    (SELECT count(*) FROM learning_edge_history)"""


def everything(n: int) -> list[Any]:
    """`n` trades of two actions, `n` each of lessons with verdicts, baselines, overrides, regime
    weights and factors, and `n` days."""
    return [
        *(
            fact(f"t{i}", actions=(f"t{i}/0", f"t{i}/1"), pattern_key=f"pm.a.S{i % 7}")
            for i in range(n)
        ),
        *(lesson(f"l{i}", version=i + 1) for i in range(n)),
        *(verdict(f"l{i}", version=i + 1) for i in range(n)),
        *(baseline(f"b{i}") for i in range(n)),
        *(override(f"o{i}") for i in range(n)),
        *(regime_weight(f"r{i}") for i in range(n)),
        *(factor(f"f{i}") for i in range(n)),
        *(history(f"l{i % 7}", str(date(2024, 1, 1) + timedelta(days=i))) for i in range(n)),
        summary(),
    ]


async def test_every_derived_topic_becomes_rows(installation: Settings, producer: Producer):
    await producer.send([out(installation, value) for value in everything(50)])
    async with projector(installation):
        await idle(installation)
    assert await query(installation, COUNTS) == [(100, 50, 50, 50)]
    assert await query(installation, COUNTS_BESIDE) == [(50, 50, 50)]
    assert await query(
        installation, "SELECT count(*) FROM learning_lessons WHERE n = 40 AND decision = 'override'"
    ) == [(50,)]


async def test_bad_and_refused_records_are_skipped_and_the_others_written(
    installation: Settings, producer: Producer
):
    good = [override(f"o{i}") for i in range(20)]
    bad = [
        out(installation, b"not json", topic=kinds.OVERRIDES, key="x1", version=1),
        out(installation, override("x2"), version=-5),
        # no such integer in PostgreSQL
        out(installation, override("x3", n_trades=2**62, effect_sd=1.0, schema_version=2**40)),
        out(installation, override("x4", latent_factor_id="a\x00b")),  # no such text in PostgreSQL
        out(installation, override("x5", scope={"chain": "a\x00b"})),  # nor such JSON
        out(installation, None, topic=kinds.FACTS, key="x6", version=1),
    ]
    await producer.send(
        [
            *bad[:3],
            *(out(installation, o) for o in good[:10]),
            *bad[3:],
            *(out(installation, o) for o in good[10:]),
        ]
    )
    skipped = [skipped_so_far(kinds.OVERRIDES), skipped_so_far(kinds.FACTS)]
    async with projector(installation):
        await idle(installation)
    assert [
        skipped_so_far(kinds.OVERRIDES) - skipped[0],
        skipped_so_far(kinds.FACTS) - skipped[1],
    ] == [5, 1]
    assert await query(
        installation,
        "SELECT count(*), count(*) FILTER (WHERE override_id LIKE 'x%') FROM pm_overrides",
    ) == [(20, 0)]


@pytest.mark.slow
@pytest.mark.long
async def test_postgres_away_while_records_flow(
    stack: StackInfo, installation: Settings, producer: Producer
):
    loop = asyncio.get_running_loop()
    server = Postgres(stack.directory / "postgres")
    values = everything(200)
    async with projector(installation):
        await producer.send([out(installation, value) for value in values[:300]])
        await loop.run_in_executor(None, server.stop)
        try:
            for start in range(300, len(values), 100):
                await producer.send(
                    [out(installation, value) for value in values[start : start + 100]]
                )
            # Long enough for the group's session to end if heartbeats stopped.
            async with LagReader(installation) as reader:
                end = time.monotonic() + 15
                while time.monotonic() < end:
                    behind = sum(
                        lag.records for lag in await reader.lags() if lag.role == "projector"
                    )
                    assert behind > 0
                    await asyncio.sleep(0.5)
        finally:
            again = await loop.run_in_executor(
                None, lambda: up(stack.directory, die_with_parent=True)
            )
        assert again.database_url == stack.database_url
        await idle(installation)
    assert await query(installation, COUNTS) == [(400, 200, 200, 200)]


async def test_a_table_that_stays_locked_is_told(
    installation: Settings, producer: Producer, monkeypatch: pytest.MonkeyPatch
):
    """As by a maintenance command that rewrites it, or a session that forgot its transaction."""
    monkeypatch.setattr("app.stages.projector.SLOW_S", 0.5)

    async def waits() -> bool:
        return bool(REGISTRY.get_sample_value("edgeloop_projection_waiting"))

    other = await connect(installation.database_url, installation.database_schema)
    async with projector(installation):
        async with other.transaction():
            await other.execute("LOCK TABLE pm_overrides")
            await producer.send([out(installation, override())])
            await until(waits)
        await idle(installation)
        assert not await waits()
    await close(other)
    assert await query(installation, "SELECT override_id FROM pm_overrides") == [("o1",)]


async def test_it_waits_for_tables_that_are_not_there_yet(stack_settings: Settings):
    await topics.create(stack_settings)
    producer = Producer(stack_settings)
    await producer.send([out(stack_settings, override())])
    await producer.stop()
    async with projector(stack_settings):
        async with LagReader(stack_settings) as reader:
            end = time.monotonic() + 4
            while time.monotonic() < end:
                assert (
                    sum(lag.records for lag in await reader.lags() if lag.role == "projector") == 1
                )
        await migrate(stack_settings.database_url, stack_settings.database_schema)
        await idle(stack_settings)
    assert await query(stack_settings, "SELECT override_id FROM pm_overrides") == [("o1",)]


async def test_an_older_version_never_wins_across_batches_and_members(
    installation: Settings, producer: Producer
):
    newest = [override(f"o{i}", version=100, multiplier=2.0) for i in range(100)]
    await producer.send([out(installation, value) for value in newest])
    async with projector(installation):
        await idle(installation)
        late = [override(f"o{i}", version=v, multiplier=0.5) for v in (1, 99) for i in range(100)]
        await producer.send([out(installation, value) for value in late])
        await producer.send(
            [
                out(installation, None, topic=kinds.OVERRIDES, key=f"o{i}", version=50)
                for i in range(100)
            ]
        )
        await idle(installation)
    assert await query(
        installation, "SELECT count(*), min(version), min(multiplier) FROM pm_overrides"
    ) == [(100, 100, 2.0)]


async def test_members_that_come_and_go_lose_nothing(installation: Settings, producer: Producer):
    async def flow(values: Sequence[Any]) -> None:
        for start in range(0, len(values), 50):
            await producer.send([out(installation, value) for value in values[start : start + 50]])

    values = everything(300)
    first, second = projector(installation), projector(installation)
    await first.start()
    flowing = asyncio.create_task(flow(values))
    await second.start()
    await flowing
    began = time.monotonic()
    await first.stop()
    assert time.monotonic() - began < 10
    await idle(installation)
    await second.stop()
    assert await query(installation, COUNTS) == [(600, 300, 300, 300)]


async def test_stopping_is_quick_while_postgres_is_away(installation: Settings, producer: Producer):
    away = replace(installation, database_url="postgresql://nobody@127.0.0.1:1/x")
    await producer.send([out(away, override())])
    service = projector(away)
    await service.start()

    async def is_waiting() -> bool:
        return bool(REGISTRY.get_sample_value("edgeloop_projection_waiting"))

    await until(is_waiting)
    began = time.monotonic()
    await service.stop()
    assert time.monotonic() - began < 6


async def test_rebuild_fills_a_lost_database_from_the_topics(
    installation: Settings, producer: Producer
):
    await producer.send([out(installation, value) for value in everything(60)])
    await producer.send([out(installation, None, topic=kinds.OVERRIDES, key="o0", version=9)])
    async with projector(installation):
        await idle(installation)
        with pytest.raises(ConfigurationError, match="projector\\(s\\) are running"):
            await rebuild(installation)
    before = await query(installation, "SELECT * FROM pm_overrides ORDER BY override_id")
    assert len(before) == 59
    await query(installation, f"DROP SCHEMA {installation.database_schema} CASCADE")
    planned = await rebuild(installation, dry_run=True)
    assert planned[kinds.FACTS] == 60
    assert await rebuild(installation) == planned
    assert await query(installation, COUNTS) == [(0, 0, 0, 0)]
    assert await query(installation, COUNTS_BESIDE) == [(0, 0, 0)]
    async with projector(installation):
        await idle(installation)
    assert await query(installation, COUNTS) == [(120, 60, 60, 59)]
    assert await query(installation, COUNTS_BESIDE) == [(60, 60, 60)]
    assert await query(installation, "SELECT * FROM pm_overrides ORDER BY override_id") == before


async def test_without_a_database_it_says_what_to_do(stack_settings: Settings):
    with pytest.raises(ConfigurationError, match="leave projector out of EDGELOOP_AGENTS"):
        await projector(replace(stack_settings, database_url="")).start()


def test_a_worker_of_the_projector_alone_runs_and_stops(installation_for_commands: Settings):
    """The real command: its rows arrive, SIGTERM ends it within seconds, and `rebuild` refuses
    while it runs."""
    s = installation_for_commands
    environment = {**os.environ, **replace(s, agents=("projector",)).environment()}

    worker = subprocess.Popen(
        faust("worker"),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        asyncio.run(_send_all(s, everything(10)))
        asyncio.run(idle(s))
        refused = subprocess.run(
            faust("rebuild", "--yes"),
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert refused.returncode == 3, refused.stderr
        assert "Stop the workers first" in refused.stderr
        worker.terminate()
        output, _ = worker.communicate(timeout=15)
    finally:
        worker.kill()
        worker.wait()
    assert worker.returncode == 0, output
    assert "Traceback" not in output
    planned = subprocess.run(
        faust("rebuild", "--dry-run", "--json"),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert json.loads(planned.stdout)["records"][kinds.OVERRIDES] == 10, planned.stderr
    assert asyncio.run(query(s, COUNTS)) == [(20, 10, 10, 10)]


@pytest.fixture
def installation_for_commands(stack_settings: Settings) -> Settings:
    """As `installation`, for tests without an event loop."""
    asyncio.run(topics.create(stack_settings))
    asyncio.run(migrate(stack_settings.database_url, stack_settings.database_schema))
    return stack_settings


async def _send_all(settings: Settings, values: Sequence[Any]) -> None:
    producer = Producer(settings)
    await producer.send([out(settings, value) for value in values])
    await producer.stop()


async def test_a_projector_that_stops_leaves_its_group(
    installation: Settings, producer: Producer
) -> None:
    """Also if its task is cancelled while it closes its consumer.  A member that did not leave
    would hold its partitions, and `rebuild` back, for twelve seconds."""
    from app.kafka.consumer_groups import group_of, projector_group

    made = projector(installation)
    pausing = asyncio.Event()

    async def until_stopped(_seconds: float) -> None:
        pausing.set()
        await made._stopped.wait()

    made.sleep = until_stopped
    async with made:
        await producer.send([out(installation, lesson())])
        await asyncio.wait_for(pausing.wait(), 45)
    assert not (await group_of(installation, projector_group(installation))).members
