"""A benchmark's own topics and tables, the workers that run on them, and waiting until these are
done.

May touch: the benchmark's stack, processes that it started.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import orjson
from aiokafka import AIOKafkaProducer, TopicPartition

from app import devstack
from app.devstack import processes
from app.kafka import topics
from app.kafka.bulk_reader import reader, scan
from app.kafka.lag import LagReader
from app.kafka.producer import Producer
from app.kafka.records import Outgoing, partition_of
from app.settings import Settings
from app.storage.migrate import migrate
from benchmarks.pipeline import workload
from schemas import kinds

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 600.0
FAR_RECORDS, FAR_S, NEAR_S = 5_000, 0.5, 0.05


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], log: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is stopped at the end, or when this process ends, and must not end by itself
    before."""
    process = subprocess.Popen(
        processes.launcher_command(command),
        cwd=ROOT,
        env=os.environ | dict(environment),
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
        if process.poll() is not None:
            log.seek(0)
            raise SystemExit(
                f"{command[1:4]} ended early:\n{log.read().decode(errors='replace')[-3000:]}"
            )
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage collection in this process meanwhile: with all that it keeps, one takes 0.1 s and
    more, which would count as a delay of the records that come in that time."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Installation:
    """A set of topics and tables on the benchmark's stack."""

    made = 0

    def __init__(self, stack: devstack.StackInfo, **more: str) -> None:
        Installation.made += 1
        name = f"bench{Installation.made}"
        self.environment = {
            "EDGELOOP_BROKER": stack.broker,
            "EDGELOOP_DATABASE_URL": stack.database_url,
            "EDGELOOP_TOPIC_PREFIX": f"{name}.",
            "EDGELOOP_CONSUMER_GROUP": name,
            "EDGELOOP_DATABASE_SCHEMA": name,
            **workload.SETTINGS,
            **more,
        }
        self.settings = Settings.from_environment(self.environment)

    async def create(self) -> None:
        await topics.create(self.settings)
        await migrate(self.settings.database_url, self.settings.database_schema)

    @contextmanager
    def workers(self, count: int) -> Iterator[None]:
        """A number of workers, all with their partitions assigned."""
        with ExitStack() as started:
            for _ in range(count):
                started.enter_context(self.worker())
            command = [sys.executable, "-m", "faust", "-A", "app", "workers"]
            command += ["--until", str(count), "--timeout", "120"]
            subprocess.run(
                command,
                cwd=ROOT,
                env=os.environ | self.environment,
                check=True,
                capture_output=True,
            )
            yield

    @contextmanager
    def worker(self, app: str = "app") -> Iterator[subprocess.Popen[bytes]]:
        with tempfile.TemporaryFile() as log:
            web = ["--without-web"] if app != "app" else []
            command = [sys.executable, "-m", "faust", "-A", app, "worker", *web]
            with running(command, self.environment, log) as process:
                yield process

    async def ends(self, name: str) -> int:
        consumer = reader(self.settings)
        await consumer.start()
        try:
            partitions = [
                TopicPartition(self.settings.topic(name), p)
                for p in range(self.settings.partitions)
            ]
            return sum((await consumer.end_offsets(partitions)).values())
        finally:
            await consumer.stop()

    async def until(self, condition: Callable[[], Any], what: str) -> float:
        async def left() -> bool:
            return not await condition()

        return await self._until_none(left, what)

    async def idle(
        self,
        roles: Iterable[str] = ("ingest", "lesson_builder", "override_materializer", "projector"),
    ) -> float:
        async with LagReader(self.settings) as status:

            async def left() -> int:
                return sum(lag.records for lag in await status.lags() if lag.role in roles)

            return await self._until_none(left, "idle")

    async def _until_none(self, left: Callable[[], Awaitable[int]], what: str) -> float:
        """Wait until nothing is left.  Looking takes CPU from what is measured: rarely while much
        is left."""
        deadline = time.monotonic() + DEADLINE_S
        while n := await left():
            if time.monotonic() > deadline:
                raise SystemExit(f"not within {DEADLINE_S:.0f} s: {what}")
            await asyncio.sleep(FAR_S if n > FAR_RECORDS else NEAR_S)
        return time.monotonic()

    async def produce(self, name: str, messages: Iterable[tuple[str, bytes]]) -> float:
        """Send as fast as the broker accepts; returns the seconds."""
        sender = Producer(self.settings)
        topic, partitions = self.settings.topic(name), self.settings.partitions
        batch: list[Outgoing] = []
        seconds = 0.0
        await sender.send([])
        for key, value in messages:
            batch.append(Outgoing(topic, partition_of(key, partitions), key.encode(), value))
            if len(batch) == 5_000:
                seconds += await timed(sender, batch)
                batch = []
        seconds += await timed(sender, batch)
        await sender.stop()
        return seconds

    async def pace(
        self, rate: float, messages: Iterable[tuple[str, bytes]], sent: dict[str, float]
    ) -> None:
        """Send closes one by one at a rate per second, and note by exit when each was sent."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.settings.broker, enable_idempotence=True, acks="all"
        )
        topic, partitions = self.settings.topic(kinds.CLOSES), self.settings.partitions
        await producer.start()
        started = time.perf_counter()
        for number, (key, value) in enumerate(messages):
            await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
            sent[orjson.loads(value)["trade_summary"]["exit_timestamp"]] = time.perf_counter()
            await producer.send(topic, value, key.encode(), partition=partition_of(key, partitions))
        await producer.stop()  # delivers records in flight

    async def sizes(self) -> dict[str, tuple[int, int]]:
        """Topic → its records and the bytes of their keys and values."""
        found = {}
        for topic in kinds.KINDS:
            records = size = 0
            async for batch in scan(self.settings, topic):
                records += len(batch)
                size += sum(len(r.key or b"") + len(r.value or b"") for r in batch)
            found[topic] = (records, size)
        return found


async def timed(sender: Producer, batch: list[Outgoing]) -> float:
    started = time.perf_counter()
    await sender.send(batch)
    return time.perf_counter() - started
