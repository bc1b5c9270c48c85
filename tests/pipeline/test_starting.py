"""A broker that goes away between a worker's preflight checks and its first partitions: the worker
waits, or ends with a message."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from app.devstack import processes, temporary_stack, up
from app.devstack.kafka import Kafka
from tests.child import child
from tests.pipeline.installation import Installation, Worker, wait

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An installation on a stack of its own, whose broker may be killed."""
    made = tmp_path_factory.mktemp("own")
    with temporary_stack(made):
        yield made


@pytest.fixture
def start(
    folder: Path, tmp_path: Path, install: Callable[..., Installation]
) -> Iterator[Callable[..., tuple[Worker, Path]]]:
    """Start a worker that halts at a place; returns once it is there."""
    stack = up(folder, die_with_parent=True)
    installation = install(broker=stack.broker, database_url=stack.database_url, partitions=1)
    file = tmp_path / "halted"

    def begin(place: str, **changed: object) -> tuple[Worker, Path]:
        installation.command = lambda _: child("-m", "tests.worker.held", place, str(file))
        worker = installation.start(**changed)
        wait(file.exists, 60, f"a worker that has {place}", worker.text)
        return worker, file

    yield begin
    installation.kill_all()


def broker_of(folder: Path) -> psutil.Process:
    pid = processes.running(Kafka(folder / "kafka", []).record)
    assert pid is not None
    return psutil.Process(pid)


def kill_broker(folder: Path) -> None:
    broker = broker_of(folder)
    broker.kill()
    broker.wait(20)


def waits(worker: Worker) -> None:
    wait(
        lambda: worker.check() or "waiting_for_broker" in worker.text(),
        40,
        "worker that waits for its broker",
        worker.text,
    )
    assert "Traceback" not in worker.text()


@pytest.mark.parametrize("silent", [False, True])
def test_it_waits_for_a_broker_that_goes_away_before_it_is_connected(
    folder: Path, start: Callable[..., tuple[Worker, Path]], *, silent: bool
) -> None:
    worker, file = start("looked")
    broker = broker_of(folder)
    if silent:
        os.kill(broker.pid, signal.SIGSTOP)
    else:
        kill_broker(folder)
    try:
        file.unlink()
        waits(worker)
    finally:
        if silent:
            os.kill(broker.pid, signal.SIGCONT)
        else:
            up(folder, die_with_parent=True)
    wait(worker.ready, 90, "worker that is ready", worker.text)
    assert worker.terminate() == 0
    assert "Traceback" not in worker.text()


def test_it_can_be_stopped_while_it_waits(
    folder: Path, start: Callable[..., tuple[Worker, Path]]
) -> None:
    worker, file = start("looked")
    kill_broker(folder)
    file.unlink()
    waits(worker)
    assert worker.terminate() == 0
    assert "Traceback" not in worker.text()


def test_it_ends_with_a_sentence_when_the_broker_stays_away_before_it_has_joined(
    folder: Path, start: Callable[..., tuple[Worker, Path]]
) -> None:
    worker, file = start("connected", broker_away_s=5.0)
    wait(lambda: worker.get("/healthz")[0] == 200, 30, "worker that says it lives", worker.text)
    assert "not_hydrated" in worker.page("/readyz")[1]
    kill_broker(folder)
    file.unlink()
    assert worker.process.wait(90) == 4
    assert "No Kafka broker has answered" in worker.text()
    assert "Traceback" not in worker.text()
