"""Agents only connect topics to stages: which topic each reads, and when ingest acknowledges;
without Kafka."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

import agents.ingest
from app.kafka.control import ControlState
from app.kafka.records import Outgoing, encode
from app.kafka.retry import Stopping
from app.settings import AGENTS
from app.stages import ingest
from app.worker.process import EdgeloopApp, make_app
from schemas import kinds
from tests.stages.making import SETTINGS, Message, close

READS = {
    "ingest": kinds.CLOSES,
    "lesson_builder": kinds.FACTS,
    "override_materializer": kinds.LESSONS,
    "projector": kinds.BASELINES,
}
"""Agent → the topic that Faust reads for it."""


class FakeProducer:
    """Records what is sent, or fails with `error`."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.sent: list[Outgoing] = []

    async def send(self, records: list[Outgoing]) -> None:
        if self.error is not None:
            raise self.error
        self.sent += records

    async def stop(self) -> None:
        pass


class FakeControl:
    """A control log in memory."""

    def __init__(self, *_: Any) -> None:
        self.state = ControlState()

    async def read(self) -> None:
        pass

    async def write(self, records: list[tuple[str, Any]]) -> None:
        for key, record in records:
            assert self.state.take(key.encode(), encode(record))

    async def stop(self) -> None:
        pass


class FakeStream:
    """Batches of messages as Faust's stream hands them over; each comes once the previous one has
    been acknowledged."""

    def __init__(self, *held: list[Message]) -> None:
        self.held = held
        self.acked: list[Any] = []
        self.enable_acks = True
        self._next = asyncio.Event()

    async def events(self) -> AsyncIterator[Any]:
        for records in self.held:
            yield SimpleNamespace(message=SimpleNamespace(records=records))
            await self._next.wait()
            self._next.clear()

    async def ack(self, event: Any) -> None:
        self.acked.append(event)
        self._next.set()


def app_of(*names: str, prefix: str = "") -> EdgeloopApp:
    settings = replace(SETTINGS, agents=names, topic_prefix=prefix)
    app = make_app(settings, [f"agents.{name}" for name in names])
    app.load_agents()
    return app


def topics_of(app: EdgeloopApp) -> dict[str, tuple[str, ...]]:
    return {
        str(name).rpartition(".")[2]: tuple(agent.channel.topics)
        for name, agent in app.agents.items()
    }


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_reads_one_topic_with_the_prefix(name: str) -> None:
    assert topics_of(app_of(name, prefix="x.")) == {name: (f"x.{READS[name]}",)}


def test_beside_other_agents_the_projector_is_a_service_alone() -> None:
    assert topics_of(app_of(*AGENTS)).keys() == {*AGENTS} - {"projector"}


@pytest.mark.parametrize("name", AGENTS)
def test_an_import_registers_nothing(name: str) -> None:
    app = make_app(SETTINGS)
    importlib.reload(importlib.import_module(f"agents.{name}"))
    assert not app.agents


async def test_ingest_acknowledges_a_batch_after_it_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    producer = FakeProducer()
    monkeypatch.setattr(ingest, "Producer", lambda *_: producer)
    monkeypatch.setattr(ingest, "ControlLog", FakeControl)
    (agent,) = app_of("ingest").agents.values()
    bad = Message(b"not JSON", offset=2)
    sent_by_then = [
        len(producer.sent) async for _ in agent.fun(FakeStream([close(1, 1.0, "sol")], [bad]))
    ]
    assert sent_by_then == [1, 2]
    assert [record.topic for record in producer.sent] == [kinds.FACTS, kinds.DEAD_LETTERS]


@pytest.mark.parametrize("error", [Stopping(), RuntimeError("a bug")])
async def test_ingest_acknowledges_nothing_that_was_not_sent(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def end(where: str, reason: BaseException) -> None:
        raise SystemExit(where) from reason

    monkeypatch.setattr(ingest, "Producer", lambda *_: FakeProducer(error))
    monkeypatch.setattr(ingest, "ControlLog", FakeControl)
    monkeypatch.setattr(agents.ingest, "fatal_exit", end)
    (agent,) = app_of("ingest").agents.values()
    with pytest.raises(SystemExit, match=r"^ingest"):
        await anext(agent.fun(FakeStream([close(1, 1.0, "sol")])))
