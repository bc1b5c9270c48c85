"""Bulk producing compared with a bare producer, and catching up compared with a bare loop.

May touch: the benchmark's stack, processes that it started.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from contextlib import suppress

import orjson
import psutil
from aiokafka import AIOKafkaProducer, TopicPartition

from app import devstack
from app.kafka.bulk_reader import read_to_end, reader
from app.kafka.records import partition_of
from benchmarks.pipeline import workload
from benchmarks.pipeline.figures import Figure
from benchmarks.pipeline.installation import Installation
from schemas import kinds


async def produce_rate(stack: devstack.StackInfo, count: int) -> Figure:
    """Our sender compared with a bare idempotent aiokafka producer: the same messages, three times
    in turn."""
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


async def backlog(stack: devstack.StackInfo, count: int, learning: str) -> list[Figure]:
    """A worker that starts `count` facts behind: the time until its lessons are published, compared
    with reading and parsing the same topic."""
    here = Installation(
        stack,
        EDGELOOP_DIMENSIONS=",".join(f"d{i}" for i in range(8)),
        EDGELOOP_AGENTS="lesson_builder",
        EDGELOOP_LEARNING=learning,
    )
    await here.create()
    await here.produce(kinds.FACTS, workload.facts(count))
    bare, bare_cpu = map(min, zip(*[await _bare_read(here) for _ in range(3)], strict=True))
    started = time.monotonic()
    with here.worker() as process:
        watching = asyncio.create_task(_watched(process.pid))
        seconds = await here.idle(["lesson_builder"]) - started
        watching.cancel()
        peak, cpu = await watching
    return [
        Figure(
            f"idle behind {count:,} facts, start included ({learning})",
            f"{seconds:.1f} s against {bare:.1f} s of getmany + orjson",
            seconds / bare,
            "≤ 3",
        ),
        Figure(
            f"CPU of that worker and its helpers ({learning})",
            f"{cpu:.1f} s against {bare_cpu:.1f} s of getmany + orjson",
            cpu / bare_cpu,
        ),
        Figure(
            f"peak memory of all of them ({learning})", f"{peak:,.0f} MB", peak / 1024, "< 2 GB"
        ),
    ]


async def _watched(pid: int) -> tuple[float, float]:
    """The peak of the resident memory of a process and its children together, in MB, and their CPU
    seconds, at the time of cancellation."""
    parent, peak = psutil.Process(pid), 0.0
    with suppress(asyncio.CancelledError):
        while True:
            peak = max(peak, _of_all(parent, lambda process: process.memory_info().rss / 2**20))
            await asyncio.sleep(0.5)
    ended = parent.cpu_times()  # of children that have ended
    running = _of_all(parent, lambda process: sum(process.cpu_times()[:2]))
    return peak, ended.children_user + ended.children_system + running


def _of_all(parent: psutil.Process, measure: Callable[[psutil.Process], float]) -> float:
    """The sum of a measure of a process and its children, without those that have just ended."""
    total = 0.0
    for process in (parent, *parent.children()):
        with suppress(psutil.Error):
            total += measure(process)
    return total


async def _bare_read(here: Installation) -> tuple[float, float]:
    """Seconds, and seconds of CPU."""
    consumer = reader(here.settings)
    await consumer.start()
    started, busy = time.perf_counter(), time.process_time()
    starts: dict[TopicPartition, int | None] = {
        TopicPartition(here.settings.topic(kinds.FACTS), p): None
        for p in range(here.settings.partitions)
    }
    async for _, records, _ in read_to_end(consumer, starts):
        for record in records:
            orjson.loads(record.value)
    seconds, cpu = time.perf_counter() - started, time.process_time() - busy
    await consumer.stop()
    return seconds, cpu
