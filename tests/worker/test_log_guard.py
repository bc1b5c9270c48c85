"""The checks of a worker before it takes partitions, and at its start."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from app.errors import EdgeloopError
from app.kafka import topics
from app.kafka.log_identity import Log, LogIdentity
from app.settings import Settings
from app.worker import log_guard, process
from app.worker.log_guard import Guard
from app.worker.preflight import preflight
from app.worker.process import EdgeloopApp, make_app


class Refused(Exception):
    """Raised instead of ending the process."""


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> list[EdgeloopError]:
    found: list[EdgeloopError] = []

    def refuse(error: EdgeloopError) -> None:
        found.append(error)
        raise Refused

    monkeypatch.setattr(log_guard, "refuse", refuse)
    return found


@pytest.mark.stack
async def test_another_cluster_than_at_the_start_is_refused_at_the_first_look(
    stack_settings: Settings, refusals: list[EdgeloopError]
) -> None:
    settings = replace(stack_settings, agents=("ingest",))
    await topics.create(settings)
    seen = await preflight(settings)
    app = make_app(settings)
    guard = Guard(app, settings)
    try:
        guard.begin_with(seen)
        await guard.look()
        assert not refusals
        guard.begin_with(replace(seen, cluster="the one before"))
        with pytest.raises(Refused):
            await guard.look()
    finally:
        await guard.stop()
    (refusal,) = refusals
    assert "on another cluster" in refusal.what
    assert "faust -A app topics accept" in refusal.remedy


@pytest.mark.stack
async def test_a_broker_that_shows_less_for_a_moment_is_asked_again(
    stack_settings: Settings, refusals: list[EdgeloopError], monkeypatch: pytest.MonkeyPatch
) -> None:
    await topics.create(stack_settings)
    app = make_app(stack_settings)
    guard = Guard(app, stack_settings)
    seen: Mapping[bool, Log] = {}
    try:
        async with LogIdentity(stack_settings) as identity:
            now = await identity.now()
        seen = {False: now, True: replace(now, topics={}, ends={}, begins={})}
        guard.begin_with(now)
        shows_less = True

        async def look(_: LogIdentity) -> Log:
            return seen[shows_less]

        monkeypatch.setattr(LogIdentity, "now", look)
        await guard.look()
        await guard.look()
        shows_less = False
        await guard.look()
        assert not refusals
        shows_less = True
        await guard.look()
        await guard.look()
        assert not refusals
        with pytest.raises(Refused):
            await guard.look()
    finally:
        await guard.stop()


async def test_partitions_are_taken_after_the_look(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    app: EdgeloopApp = make_app(Settings())

    async def looks() -> None:
        await asyncio.sleep(0)
        said.append("looked")

    async def hangs() -> None:
        await asyncio.sleep(3_600)

    async def taken(*_: object) -> None:
        said.append("taken")

    monkeypatch.setattr(process, "LOOK_WITHIN_S", 0.2)
    monkeypatch.setattr(process.faust.App, "_on_partitions_assigned", taken)
    app.look_before_assignment(looks)
    app.look_before_assignment(hangs)
    await app._on_partitions_assigned(set())
    assert said == ["looked", "taken"]
