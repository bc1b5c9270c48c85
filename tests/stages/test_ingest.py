"""Ingest with clients that fail on request: what is sent, what is retried, what is noted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from app.kafka.control import ControlState
from app.kafka.records import Outgoing, encode
from app.kafka.retry import Stopping
from app.stages import ingest
from app.stages.ingest import Ingest
from schemas.kinds import DEAD_LETTERS, FACTS
from tests.stages.making import SETTINGS, Message, close


class Clients:
    """Replaces the clients of one ingest: records the calls, and fails a number of times when the
    control log is read."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.stopping = False
        self.sent: list[Outgoing] = []
        self.passed: list[Any] = []
        self.partitions: Collection[int] = ()
        self.state = ControlState()
        self.stops = 0

    def client(self, *_: Any) -> Clients:
        return self

    async def send(self, records: Sequence[Outgoing]) -> None:
        self.sent += records

    async def passed_(self, messages: Sequence[Any]) -> None:
        self.passed += messages

    async def assigned(self, partitions: Collection[int]) -> None:
        self.partitions = partitions

    async def read(self) -> None:
        if self.failures:
            self.failures -= 1
            raise KafkaConnectionError("away")

    async def write(self, records: Sequence[tuple[str, Any]]) -> None:
        for key, record in records:
            assert self.state.take(key.encode(), encode(record))

    async def stop(self) -> None:
        self.stops += 1


class Gaps:
    """Replaces `Unread`."""

    def __init__(self, clients: Clients) -> None:
        self.passed = clients.passed_
        self.assigned = clients.assigned
        self.stop = clients.stop


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Callable[[Clients], Ingest]:
    def make(clients: Clients) -> Ingest:
        monkeypatch.setattr(ingest, "Producer", clients.client)
        monkeypatch.setattr(ingest, "ControlLog", clients.client)
        monkeypatch.setattr(ingest, "Unread", lambda *_: Gaps(clients))
        return Ingest(SETTINGS, lambda: clients.stopping)

    return make


async def test_closes_are_sent_as_facts_and_dead_letters(
    made: Callable[[Clients], Ingest],
) -> None:
    clients = Clients()
    messages = [close(1, 1.0, "sol"), Message(b"not JSON", offset=2)]
    await made(clients).take(messages)
    assert [record.topic for record in clients.sent] == [FACTS, DEAD_LETTERS]
    assert clients.passed == messages


async def test_a_broker_that_is_away_is_asked_again_and_nothing_is_sent_twice(
    made: Callable[[Clients], Ingest],
) -> None:
    clients = Clients(failures=2)
    await made(clients).take([close(1, 1.0, "sol")])
    assert clients.failures == 0
    assert [record.topic for record in clients.sent] == [FACTS]


async def test_a_stop_ends_the_retries_and_sends_nothing(made: Callable[[Clients], Ingest]) -> None:
    clients = Clients(failures=1_000)
    clients.stopping = True
    with pytest.raises(Stopping):
        await made(clients).take([close(1, 1.0, "sol")])
    assert not clients.sent


async def test_partitions_are_handed_on_and_all_clients_are_closed(
    made: Callable[[Clients], Ingest],
) -> None:
    clients = Clients()
    stage = made(clients)
    await stage.assigned({0, 2})
    await stage.stop()
    assert (clients.partitions, clients.stops) == ({0, 2}, 3)
