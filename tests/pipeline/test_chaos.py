"""Workers are killed, join, leave and freeze, and the database is away: lessons, overrides and rows
equal the reference."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.devstack import temporary_stack, up
from app.devstack.postgres import Postgres
from app.kafka.lag import Lag, LagReader
from schemas import kinds
from tests.pipeline.compare import check, check_until_right
from tests.pipeline.installation import FIXED_DATES, POLL_S, Installation, wait
from tests.pipeline.reference import Rules, World, learn
from tests.pipeline.trades import Close, Generator

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(240)]

RULES = Rules(n_min=15, max_dims=2, window_days=60.0, window_trades=200)
SETTINGS = {
    "learning": "classic",
    "n_min": 15,
    "max_dims": 2,
    "window_days": 60.0,
    "window_trades": 200,
    **FIXED_DATES,
}
AWAY_S = float(os.environ.get("POSTGRES_AWAY_S", "10"))
"""How long PostgreSQL is away: longer than the 12 s of a group's session."""

BROKER_AWAY_S = float(os.environ.get("BROKER_AWAY_S", "15"))
"""How long the broker is away: longer than a session of the consumer group lasts."""


def parts(seed: int, trades: int, count: int) -> list[list[Close]]:
    """A log in a number of parts, each shuffled, with repetitions and with corrections of trades of
    any part."""
    generator = Generator(seed)
    closes = generator.log(trades)
    generator.random.shuffle(closes)
    return [generator.sent(closes[at::count]) for at in range(count)]


def world_of(parts: list[list[Close]]) -> World:
    return learn([close.value for part in parts for close in part], RULES)


def produced(installation: Installation, closes: list[Close], topic: str, by: int) -> None:
    """Produce closes and wait until the pipeline is processing them: until a topic has a number of
    new records."""
    start = installation.records_in(topic)
    installation.produce(closes)
    wait(
        lambda: installation.records_in(topic) >= start + by,
        30,
        f"growth of {topic}",
        installation.logs,
    )


def test_killed_joining_leaving_and_frozen_workers_lose_and_double_nothing(
    install: Callable[..., Installation],
):
    log = parts(seed=7, trades=1_200, count=4)
    installation = install(**SETTINGS)
    killed, frozen = installation.start_ready(2)

    # One dies and one freezes in the middle of work; a third takes over from both when their
    # sessions end.
    produced(installation, log[0], kinds.FACTS, 100)
    installation.kill(killed)
    frozen.signal(signal.SIGSTOP)
    try:
        third = installation.start()
        installation.produce(log[1])
        wait(
            lambda: installation.members() == 1 and third.ready(),
            60,
            "takeover by the third worker",
            installation.logs,
        )
        installation.until_idle()
    finally:
        frozen.signal(signal.SIGCONT)

    # The frozen one wakes with an unpublished batch, finds itself removed from the group, and
    # rejoins.
    installation.produce(log[2])
    wait(
        lambda: installation.members() == 2 and frozen.ready(),
        60,
        "return of the frozen worker",
        installation.logs,
    )

    # One leaves in the middle of work, another joins.
    produced(installation, log[3], kinds.FACTS, 50)
    installation.terminate(third)
    installation.start_ready()
    installation.until_idle()
    check_until_right(installation, world_of(log))


@pytest.fixture
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL that may be stopped, since no other test uses it."""
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    server.prepare()
    server.choose_ports(change=True)
    run(server)
    yield server
    server.stop()


def run(server: Postgres) -> None:
    server.start(leash=True)

    def answers() -> bool:
        try:
            asyncio.run(server.probe())
        except Exception:
            # With a server that is still starting, clients raise far more than their own errors.
            return False
        return True

    wait(answers, 30, "PostgreSQL")


def test_postgres_away_costs_nothing_but_time(
    install: Callable[..., Installation], own_postgres: Postgres
):
    log = parts(seed=8, trades=500, count=3)
    installation = install(database_url=own_postgres.address, **SETTINGS)
    (worker,) = installation.start_ready()
    installation.produce(log[0])
    installation.until_idle()
    check(installation, world_of(log[:1]))
    own_postgres.stop()
    try:
        gone = time.monotonic()
        installation.produce(log[1])
        # Learning continues ...
        wait(
            lambda: not behind(installation, "projector"),
            45,
            "overrides without PostgreSQL",
            installation.logs,
        )
        # ... and a worker may end and another one start meanwhile.
        installation.terminate(worker)
        installation.start_ready()
        installation.produce(log[2])
        while time.monotonic() < gone + AWAY_S:
            installation.workers[0].check()
            assert behind(installation, "ingest", "lesson_builder", "override_materializer")
            time.sleep(POLL_S)
    finally:
        run(own_postgres)
    installation.until_idle(90)
    check(installation, world_of(log))


@pytest.mark.long
def test_a_broker_that_is_killed_and_comes_back_costs_nothing_but_time(
    install: Callable[..., Installation], tmp_path: Path
):
    log = parts(seed=9, trades=500, count=2)
    folder = tmp_path / "stack"
    with temporary_stack(folder) as own:
        installation = install(broker=own.broker, database_url=own.database_url, **SETTINGS)
        (worker,) = installation.start_ready()
        installation.produce(log[0])
        installation.until_idle()
        installation.produce(log[1])
        os.kill(own.broker_pid, signal.SIGKILL)
        gone = time.monotonic()
        while time.monotonic() < gone + BROKER_AWAY_S:
            worker.check()
            time.sleep(POLL_S)
        assert up(folder, die_with_parent=True).broker == own.broker
        installation.until_idle(90)
        check(installation, world_of(log))
        worker.check()
        installation.terminate_all()


def behind(installation: Installation, *except_roles: str) -> list[Lag]:
    """The lag of all roles but these."""

    async def ask() -> Any:
        async with LagReader(installation.settings) as reader:
            return await reader.lags()

    return [lag for lag in asyncio.run(ask()) if lag.records and lag.role not in except_roles]
