"""Owners of partition state under kills, joins, leaves and freezes: every record is folded exactly
once, whichever worker owns it.

The toy app (`toy.py`) publishes per key how many records it folded, how many different ones, and
their sum.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import psutil
import pytest
from aiokafka import TopicPartition

from app.kafka import topics
from app.kafka.bulk_reader import read_to_end, reader
from app.kafka.producer import Producer
from app.kafka.records import Outgoing, partition_of, version_of
from app.settings import Settings
from schemas.kinds import FACTS, LESSONS
from tests.child import faust

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

ROOT = Path(__file__).resolve().parents[2]
KEYS = 40


class Toys:
    """Workers of the toy app, and their records."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self._folder = folder
        self._producer = Producer(settings)
        self._workers: list[subprocess.Popen[bytes]] = []
        self._sent = 0

    def start(self, **more: str) -> subprocess.Popen[bytes]:
        log = (self._folder / f"worker-{len(self._workers)}.log").open("wb")
        worker = subprocess.Popen(
            faust("worker", "-l", "info", "--without-web", app="tests.ownership.toy"),
            cwd=ROOT,
            env=os.environ | self.settings.environment() | more,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        log.close()
        self._workers.append(worker)
        return worker

    async def send(self, count: int) -> None:
        records = []
        for number in range(self._sent, self._sent + count):
            key = f"k{number % KEYS}"
            records.append(
                Outgoing(
                    self.settings.topic(FACTS),
                    partition_of(key, self.settings.partitions),
                    key.encode(),
                    str(number).encode(),
                )
            )
        self._sent += count
        await self._producer.send(records)

    async def published(self) -> dict[str, dict[str, int]]:
        """The state of a reader that keeps the highest version of each key."""
        consumer = reader(self.settings)
        await consumer.start()
        found: dict[bytes, tuple[int, bytes]] = {}
        partitions = [
            TopicPartition(self.settings.topic(LESSONS), p) for p in range(self.settings.partitions)
        ]
        try:
            async for _, records, _ in read_to_end(consumer, dict.fromkeys(partitions)):
                for record in records:
                    version = version_of(record)
                    if record.key not in found or version >= found[record.key][0]:
                        found[record.key] = (version, record.value)
        finally:
            await consumer.stop()
        return {key.decode(): orjson.loads(value) for key, (_, value) in found.items()}

    def expected(self) -> dict[str, dict[str, int]]:
        numbers = {f"k{k}": list(range(k, self._sent, KEYS)) for k in range(min(KEYS, self._sent))}
        return {
            key: {"key": key, "n": len(v), "distinct": len(v), "sum": sum(v)}
            for key, v in numbers.items()
        }  # type: ignore[dict-item]

    async def settle(
        self, deadline_s: float = 60.0, condition: Callable[[], bool] = lambda: True
    ) -> None:
        """Return once everything sent is published, exactly once; fail with the first difference
        after the deadline."""
        until = time.monotonic() + deadline_s
        while True:
            published, expected = await self.published(), self.expected()
            if published == expected and condition():
                return
            if time.monotonic() > until:
                different = {
                    k: (published.get(k), v) for k, v in expected.items() if published.get(k) != v
                }
                pytest.fail(
                    f"{len(different)} of {len(expected)} keys differ:"
                    f" {dict(list(different.items())[:3])}\n{self.logs()}"
                )
            await asyncio.sleep(0.1)

    def logs(self) -> str:
        return "\n".join(
            f"== {path.name}\n{path.read_text(errors='replace')[-2_000:]}"
            for path in sorted(self._folder.glob("*.log"))
        )

    def log_of(self, worker: subprocess.Popen[bytes]) -> str:
        return (self._folder / f"worker-{self._workers.index(worker)}.log").read_text(
            errors="replace"
        )

    async def end(self) -> None:
        await self._producer.stop()
        for worker in self._workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.terminate()
        for worker in self._workers:
            worker.wait(40)


@pytest.fixture
async def toys(stack_settings: Settings, tmp_path: Path) -> Iterator[Toys]:
    await topics.create(stack_settings)
    made = Toys(stack_settings, tmp_path)
    yield made
    await made.end()


async def test_a_backlog_and_what_follows_are_folded_once(toys: Toys) -> None:
    await toys.send(30_000)
    worker = toys.start()
    await toys.settle()
    for _ in range(10):
        await toys.send(100)
    await toys.settle()
    worker.terminate()
    assert worker.wait(30) == 0


def helpers_of(worker: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The helper processes of a worker, once there are two; none where there is one core."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("helpers need two cores")
    until = time.monotonic() + 60
    while True:
        found = [
            p for p in psutil.Process(worker.pid).children() if "helper_main" in str(p.cmdline())
        ]
        if len(found) == 2:
            return found
        assert time.monotonic() < until
        time.sleep(0.01)  # looks again


async def test_a_long_log_is_read_by_helpers_which_end(toys: Toys) -> None:
    await toys.send(30_000)
    worker = toys.start()
    helpers = helpers_of(worker)
    await toys.settle()
    assert "hydrate.apart" in toys.log_of(worker)
    _, alive = psutil.wait_procs(helpers, timeout=30)
    assert not alive
    await toys.send(100)
    await toys.settle()


async def test_helpers_end_with_a_worker_that_is_killed_while_they_read(toys: Toys) -> None:
    await toys.send(30_000)
    killed = toys.start(TOY_SLOW="1")
    helpers = helpers_of(killed)
    killed.kill()
    killed.wait(10)
    _, alive = psutil.wait_procs(helpers, timeout=30)
    assert not alive
    toys.start()
    await toys.settle()


async def test_a_worker_stops_while_helpers_read(toys: Toys) -> None:
    await toys.send(30_000)
    worker = toys.start(TOY_SLOW="1")
    helpers = helpers_of(worker)
    worker.terminate()
    assert worker.wait(30) == 0, toys.logs()
    _, alive = psutil.wait_procs(helpers, timeout=30)
    assert not alive


async def test_what_killed_helpers_have_not_read_the_worker_reads(toys: Toys) -> None:
    await toys.send(30_000)
    worker = toys.start(TOY_SLOW="1")
    for helper in helpers_of(worker):
        helper.kill()
    await toys.settle()
    assert worker.poll() is None


@pytest.mark.long
async def test_kill_join_and_leave_lose_and_double_nothing(toys: Toys) -> None:
    first = toys.start()
    await toys.send(2_000)
    await toys.settle()
    second = toys.start()
    for _ in range(20):
        await toys.send(100)
        await asyncio.sleep(0.05)  # spreads the records over the rebalance; nothing waits for this
    first.kill()
    first.wait(10)
    for _ in range(20):
        await toys.send(100)
        await asyncio.sleep(0.05)
    third = toys.start()
    await toys.settle()
    second.terminate()
    assert second.wait(30) == 0
    await toys.send(500)
    await toys.settle()
    assert third.poll() is None


@pytest.mark.long
async def test_a_frozen_owner_that_comes_back_late_is_corrected(toys: Toys) -> None:
    frozen = toys.start()
    await toys.send(2_000)
    await toys.settle()
    await toys.send(2_000)
    frozen.send_signal(signal.SIGSTOP)
    other = toys.start()
    await toys.send(2_000)
    await toys.settle(90)  # the other worker takes over once the frozen one's session has ended
    frozen.send_signal(signal.SIGCONT)
    await toys.send(2_000)
    await toys.settle(
        90, lambda: frozen.poll() is not None or toys.log_of(frozen).count("hydrated") >= 2
    )
    assert other.poll() is None


async def test_a_stop_before_the_worker_has_joined_ends_it_at_once(toys: Toys) -> None:
    worker = toys.start()
    until = time.monotonic() + 20
    while "OK" not in toys.log_of(worker) and "Starting" not in toys.log_of(worker):
        assert time.monotonic() < until, toys.logs()
        await asyncio.sleep(0.01)
    worker.terminate()
    assert worker.wait(15) == 0, toys.logs()
