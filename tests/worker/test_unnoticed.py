"""Kafka clients raise cancellations of their own, but none ends a task of a worker unnoticed."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaConnectionError, KafkaError

from app.commands.base import handle_errors
from app.errors import UnreachableError
from app.kafka import unread_closes
from app.kafka.control import ControlLog
from app.kafka.retry import client_errors, was_cancelled
from app.settings import Settings
from app.stages.projector import Projector
from app.worker import process
from app.worker.process import EdgeloopApp, make_app
from edgeloop.close_client import close_client
from tests.pipeline.installation import POLL_S


class Client:
    """A client that answers a stop as if its broker were away."""

    async def stop(self) -> None:
        task = asyncio.ensure_future(asyncio.sleep(3_600))
        task.cancel()
        await task


async def test_a_client_that_answers_a_stop_by_a_cancellation_harms_nobody() -> None:
    await close_client(Client())
    assert not was_cancelled()


async def test_who_closes_a_client_can_be_cancelled() -> None:
    class Slow:
        ended = False

        async def stop(self) -> None:
            try:
                await asyncio.sleep(3_600)
            finally:
                Slow.ended = True

    closing = asyncio.ensure_future(close_client(Slow()))
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert closing.cancelled()
    await asyncio.sleep(0)
    assert Slow.ended


async def test_the_projector_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    projector = Projector(Settings(database_url="postgresql://nobody@127.0.0.1:1/none"))
    tries = 0

    async def consume() -> None:
        nonlocal tries
        tries += 1
        await Client().stop()

    monkeypatch.setattr(projector, "_consume", consume)
    async with projector:
        give_up = asyncio.get_running_loop().time() + 20
        while tries < 3:
            assert asyncio.get_running_loop().time() < give_up, "it does not try again"
            await asyncio.sleep(POLL_S)


async def test_a_task_of_the_app_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    fatal: list[str] = []
    monkeypatch.setattr(process, "fatal_exit", lambda where, error: fatal.append(where))
    app: EdgeloopApp = make_app(Settings())

    async def look() -> None:
        await Client().stop()

    await app._execute_task(look())
    assert len(fatal) == 1
    assert fatal[0].endswith("look")

    running = asyncio.ensure_future(app._execute_task(asyncio.sleep(3_600)))
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})
    assert len(fatal) == 1, "that was asked for"


async def test_a_request_that_a_client_gave_up_is_an_error_of_kafka() -> None:
    with pytest.raises(KafkaConnectionError), client_errors():
        await Client().stop()

    async def waits() -> None:
        with client_errors():
            await asyncio.sleep(3_600)

    waiting = asyncio.ensure_future(waits())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_was_deleted_unread_is_asked_for_again_after_a_client_gave_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ingest continues meanwhile, and every connection is a new one."""
    opened: list[object] = []

    class Given(Client):
        async def __aenter__(self) -> Given:
            opened.append(self)
            return self

        async def __aexit__(self, *_: object) -> None:
            await close_client(self)

        async def committed(self, group: str) -> None:
            await self.stop()

    monkeypatch.setattr(unread_closes, "LogIdentity", lambda settings: Given())
    looking = unread_closes.Unread(Settings(), "position_closed")
    for _ in range(2):
        await looking.assigned({0})
    assert len(opened) == 2
    assert not was_cancelled()


def test_a_command_whose_client_gave_up_ends_with_a_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @handle_errors
    def command() -> None:
        asyncio.run(Client().stop())

    with pytest.raises(SystemExit) as ended:
        command()
    assert ended.value.code == UnreachableError.exit_code
    assert "faust -A app doctor" in capsys.readouterr().err


async def test_a_stop_in_the_middle_of_a_look_at_the_control_log_is_no_error_of_ours() -> None:
    control = ControlLog(Settings())

    class Stopped:
        async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
            await control.stop()
            return dict.fromkeys(tps, 5)

        async def beginning_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
            return dict.fromkeys(tps, 0)

        def assign(self, _: object) -> None:
            raise ConsumerStoppedError

        async def stop(self) -> None:
            """It was never connected."""

    control._consumer = Stopped()  # type: ignore[assignment]
    with pytest.raises(KafkaError, match="closed"):
        await control.read()
