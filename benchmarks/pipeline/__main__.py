"""Measure, print a table with the machine, and with --json one document."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer, TopicPartition

from app import devstack
from app.log import topics
from app.log.lag import LagReader
from app.log.producer import Producer
from app.log.reader import read_to_end, reader
from app.log.records import Outgoing, partition_of
from app.settings import Settings
from app.storage.migrate import migrate
from benchmarks.pipeline import workload
from schemas import kinds

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 600.0
LOADS = {
    # One lesson a group: message for message what the bare chain passes on.
    "1 slice a group": {"EDGELOOP_DIMENSIONS": "none"},
    # Every close touches twelve slices, so some twenty-five more records leave the learners for it.
    "12 slices a group": {},
}


@dataclass(frozen=True)
class Figure:
    """One line of the report; `target` is what the ratio (or value) is held against."""

    name: str
    value: str
    ratio: float | None
    target: str


class Installation:
    """Topics and tables of their own on the benchmark's stack."""

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
    def worker(self, app: str = "app") -> Iterator[subprocess.Popen[bytes]]:
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "faust",
                    "-A",
                    app,
                    "worker",
                    *(["--without-web"] if app != "app" else []),
                ],
                cwd=ROOT,
                env=os.environ | self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                yield process
                if process.poll() is not None:
                    log.seek(0)
                    raise SystemExit(
                        f"a worker ended early:\n{log.read().decode(errors='replace')[-3000:]}"
                    )
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)

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
        deadline = time.monotonic() + DEADLINE_S
        while not await condition():
            if time.monotonic() > deadline:
                raise SystemExit(f"not within {DEADLINE_S:.0f} s: {what}")
            await asyncio.sleep(0.05)
        return time.monotonic()

    async def idle(
        self,
        roles: Iterable[str] = ("ingest", "lesson_builder", "override_materializer", "projector"),
    ) -> float:
        async with LagReader(self.settings) as status:

            async def check() -> bool:
                return not any(lag.records for lag in await status.lags() if lag.role in roles)

            return await self.until(check, "idle")

    async def produce(self, name: str, messages: Iterable[tuple[str, bytes]]) -> float:
        """Send as fast as the broker takes it; returns the seconds."""
        sender = Producer(self.settings)
        topic, partitions = self.settings.topic(name), self.settings.partitions
        batch: list[Outgoing] = []
        seconds = 0.0
        await sender.send([])
        for key, value in messages:
            batch.append(Outgoing(topic, partition_of(key, partitions), key.encode(), value))
            if len(batch) == 5_000:
                seconds += await _timed(sender, batch)
                batch = []
        seconds += await _timed(sender, batch)
        await sender.stop()
        return seconds


async def _timed(sender: Producer, batch: list[Outgoing]) -> float:
    started = time.perf_counter()
    await sender.send(batch)
    return time.perf_counter() - started


async def produce_rate(stack: devstack.StackInfo, count: int) -> Figure:
    """Our sender against a bare idempotent aiokafka producer, the same messages, three times in
    turn."""
    here = Installation(stack)
    await here.create()
    messages = list(workload.closes(count))
    ours, bare = [], []
    for _ in range(3):
        ours.append(count / await here.produce(kinds.CLOSES, messages))
        bare.append(count / await _bare_produce(here, messages))
    a, b = statistics.median(ours), statistics.median(bare)
    return Figure(
        "produce rate against bare aiokafka", f"{a:,.0f}/s against {b:,.0f}/s", a / b, "≥ 0.7"
    )


async def _bare_produce(here: Installation, messages: list[tuple[str, bytes]]) -> float:
    producer = AIOKafkaProducer(
        bootstrap_servers=here.settings.broker,
        enable_idempotence=True,
        acks="all",
        max_batch_size=1_048_576,
    )
    await producer.start()
    started = time.perf_counter()
    pending = [
        await producer.send(
            here.settings.topic(kinds.CLOSES),
            value,
            key.encode(),
            partition=partition_of(key, here.settings.partitions),
        )
        for key, value in messages
    ]
    await asyncio.gather(*pending)
    seconds = time.perf_counter() - started
    await producer.stop()
    return seconds


async def throughput(stack: devstack.StackInfo, count: int, load: str) -> Figure:
    """Closes per second from the first sent until everything is learned and projected, against the
    bare chain."""
    ours, bare = [], []
    for _ in range(3):
        here = Installation(stack)
        await here.create()
        with here.worker("benchmarks.pipeline.bare"):
            await here.produce(kinds.CLOSES, workload.closes(200))

            async def passed(here: Installation = here, wanted: int = 600) -> bool:
                return await here.ends(kinds.OVERRIDES) >= wanted

            await here.until(passed, "the bare chain's first messages")
            started = time.monotonic()
            await here.produce(kinds.CLOSES, workload.closes(count, first=200))

            async def through(here: Installation = here) -> bool:
                return await here.ends(kinds.OVERRIDES) >= 3 * (count + 200)

            bare.append(count / (await here.until(through, "the bare chain") - started))
        here = Installation(stack, **LOADS[load])
        await here.create()
        with here.worker():
            await here.produce(kinds.CLOSES, workload.closes(200))
            await here.idle()
            started = time.monotonic()
            await here.produce(kinds.CLOSES, workload.closes(count, first=200))
            ours.append(count / (await here.idle() - started))
    a, b = statistics.median(ours), statistics.median(bare)
    return Figure(
        f"closes through all agents, until projected ({load})",
        f"{a:,.0f}/s against a bare chain's {b:,.0f}/s",
        a / b,
        "≥ 0.7",
    )


async def latency(stack: devstack.StackInfo, rate: float, seconds: float, load: str) -> Figure:
    """From a close produced to an override of its entry group that has it in its evidence, read by
    another consumer."""
    here = Installation(stack, **LOADS[load])
    await here.create()
    warm = 3_000
    with here.worker():
        await here.produce(kinds.CLOSES, workload.closes(warm))
        await here.idle()
        count = round(rate * seconds)
        pending: dict[str, list[tuple[str, float]]] = {}
        delays: list[float] = []
        reading = asyncio.create_task(_read_overrides(here, pending, delays, count))
        sender = Producer(here.settings)
        await sender.send([])
        started = time.perf_counter()
        for number, (key, value) in enumerate(workload.closes(count, first=warm)):
            ahead = number / rate - (time.perf_counter() - started)
            if ahead > 0:
                await asyncio.sleep(ahead)
            event = orjson.loads(value)
            group = event["actions"][0]["pattern_key"]
            pending.setdefault(group, []).append(
                (event["trade_summary"]["exit_timestamp"], time.perf_counter())
            )
            await sender.send(
                [
                    Outgoing(
                        here.settings.topic(kinds.CLOSES), partition_of(key, 4), key.encode(), value
                    )
                ]
            )
        await asyncio.wait_for(reading, 60.0)
        await sender.stop()
    delays.sort()
    p50, p99 = (1000 * delays[int(q * (len(delays) - 1))] for q in (0.5, 0.99))
    return Figure(
        f"close to override readable, {rate:.0f} closes/s ({load})",
        f"p50 {p50:.0f} ms, p99 {p99:.0f} ms ({len(delays)} closes)",
        p99,
        "< 250 ms",
    )


async def _read_overrides(
    here: Installation, pending: dict[str, list[tuple[str, float]]], delays: list[float], count: int
) -> None:
    consumer = reader(here.settings, fetch_max_wait_ms=20)
    await consumer.start()
    partitions = [
        TopicPartition(here.settings.topic(kinds.OVERRIDES), p)
        for p in range(here.settings.partitions)
    ]
    consumer.assign(partitions)
    await consumer.seek_to_end(*partitions)
    while len(delays) < count:
        for records in (await consumer.getmany(timeout_ms=50)).values():
            now = time.perf_counter()
            for record in records:
                if record.value is None:
                    continue
                override = orjson.loads(record.value)
                if override["action_category"] != "entry" or override["scope"]:
                    continue
                waiting = pending.get(override["pattern_key"], [])
                while waiting and waiting[0][0] <= override["as_of"]:
                    delays.append(now - waiting.pop(0)[1])
    await consumer.stop()


async def backlog(stack: devstack.StackInfo, count: int) -> list[Figure]:
    """A worker started behind `count` facts: time until its lessons are published, against reading
    and parsing the same topic."""
    here = Installation(
        stack,
        EDGELOOP_DIMENSIONS=",".join(f"d{i}" for i in range(8)),
        EDGELOOP_AGENTS="lesson_builder",
    )
    await here.create()
    await here.produce(kinds.FACTS, workload.facts(count))
    bare = min([await _bare_read(here) for _ in range(3)])
    started = time.monotonic()
    with here.worker() as process:
        seconds = await here.idle(["lesson_builder"]) - started
        peak = _peak_mb(process.pid)
    return [
        Figure(
            f"idle behind {count:,} facts, start included",
            f"{seconds:.1f} s against {bare:.1f} s of getmany + orjson",
            seconds / bare,
            "≤ 3",
        ),
        Figure("peak memory of that worker", f"{peak:,.0f} MB", peak / 1024, "< 2 GB"),
    ]


def _peak_mb(pid: int) -> float:
    """Greatest resident memory of a process so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


async def _bare_read(here: Installation) -> float:
    consumer = reader(here.settings)
    await consumer.start()
    started = time.perf_counter()
    starts: dict[TopicPartition, int | None] = {
        TopicPartition(here.settings.topic(kinds.FACTS), p): None
        for p in range(here.settings.partitions)
    }
    async for _, records, _ in read_to_end(consumer, starts):
        for record in records:
            orjson.loads(record.value)
    seconds = time.perf_counter() - started
    await consumer.stop()
    return seconds


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Speed of the pipeline, as ratios in one run.")
    parser.add_argument(
        "--only", choices=["produce", "throughput", "latency", "backlog"], action="append"
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="fraction of the full size, for a quick look (default 1)",
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    chosen = options.only or ["produce", "throughput", "latency", "backlog"]
    figures: list[Figure] = []
    # a new topic's first records are sent again until its leader is known
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    with (
        tempfile.TemporaryDirectory() as folder,
        devstack.temporary_stack(Path(folder) / "stack") as stack,
    ):
        if "produce" in chosen:
            figures.append(asyncio.run(produce_rate(stack, round(50_000 * options.scale))))
        if "throughput" in chosen:
            figures += [
                asyncio.run(throughput(stack, round(10_000 * options.scale), load))
                for load in LOADS
            ]
        if "latency" in chosen:
            figures += [
                asyncio.run(latency(stack, 200.0, 60.0 * options.scale, load)) for load in LOADS
            ]
        if "backlog" in chosen:
            figures.extend(asyncio.run(backlog(stack, round(1_000_000 * options.scale))))
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    if options.json:
        print(json.dumps({"machine": machine, "figures": [vars(f) for f in figures]}))
        return
    print(f"\n{machine}; scale {options.scale:g}")
    for f in figures:
        print(
            f"{f.name:62} {f.value:60} {f'{f.ratio:.2f}' if f.ratio is not None else '':>8}  "
            f" target {f.target}"
        )


if __name__ == "__main__":
    main()
