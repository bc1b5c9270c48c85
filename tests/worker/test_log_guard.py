"""The checks of a worker before it takes partitions, and at its start."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from app.errors import EdgeloopError
from app.kafka import producer, topics
from app.kafka.delivered import Delivered
from app.kafka.log_identity import Log, LogIdentity, require_same_log
from app.kafka.records import Outgoing
from app.settings import Settings
from app.worker import log_guard, process
from app.worker.log_guard import Guard
from app.worker.preflight import preflight
from app.worker.process import EdgeloopApp, make_app
from schemas import kinds


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


@pytest.mark.stack
async def test_offsets_that_are_given_again_are_a_rollback_and_noted(
    stack_settings: Settings, refusals: list[EdgeloopError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker lost the last records between two looks, and has as many new ones by now."""
    await topics.create(stack_settings)
    delivered = Delivered()
    monkeypatch.setattr(log_guard, "DELIVERED", delivered)
    monkeypatch.setattr(producer, "DELIVERED", delivered)
    place = stack_settings.topic(kinds.FACTS), 1
    records = [Outgoing(*place, b"k", b"v")] * 5
    sender = producer.Producer(stack_settings)
    guard = Guard(make_app(stack_settings), stack_settings)
    try:
        guard.begin_with(await require_same_log(stack_settings))
        await sender.send(records)
        await sender.send(records)
        await guard.look()
        assert (delivered.ends, delivered.lost) == ({place: 10}, {})
        delivered.note(place, 12, 3)  # these were lost
        await sender.send(records)
        assert delivered.lost == {place: 15}
        await guard.look()
        await guard.look()
        with pytest.raises(Refused):
            await guard.look()
        async with LogIdentity(stack_settings) as identity:
            assert (await identity.noted()).ends[place].offset == 15
    finally:
        await guard.stop()
        await sender.stop()
    (refusal,) = refusals
    assert "partition 1 had reached 15 with records of this worker" in refusal.what


@pytest.mark.stack
async def test_a_log_that_ends_before_what_was_delivered_is_a_rollback(
    stack_settings: Settings, refusals: list[EdgeloopError], monkeypatch: pytest.MonkeyPatch
) -> None:
    await topics.create(stack_settings)
    delivered = Delivered()
    monkeypatch.setattr(log_guard, "DELIVERED", delivered)
    guard = Guard(make_app(stack_settings), stack_settings)
    try:
        guard.begin_with(await require_same_log(stack_settings))
        delivered.note((stack_settings.topic(kinds.FACTS), 1), 0, 3)
        await guard.look()
        await guard.look()
        with pytest.raises(Refused):
            await guard.look()
    finally:
        await guard.stop()
    assert len(refusals) == 1
