"""Fill two topics with closes and their facts, read them in a bare loop, replay them; print rates,
ratios and memory.

    python -m benchmarks.replay --trades 1000000 --json build/replay.json

May touch: a Kafka and a PostgreSQL of its own below a temporary folder; child processes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import orjson
import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition

from app import devstack
from app.closes import explode
from app.kafka import topics
from app.kafka.producer import Producer
from app.kafka.records import Outgoing, partition_of
from app.settings import Settings
from benchmarks.replay import workload
from schemas import kinds
from schemas.facts import group_key

ROOT = Path(__file__).resolve().parents[2]
TARGET = 0.3
MEMORY_TARGET_BYTES = 2 * 2**30


async def fill(settings: Settings, trades: int) -> dict[str, int]:
    """Closes, and the facts that ingest would make of them; returns the records of each topic."""
    await topics.create(settings)
    sender = Producer(settings)
    encode = msgspec.json.Encoder(order="deterministic").encode
    batch: list[Outgoing] = []
    counts = {kinds.CLOSES: 0, kinds.FACTS: 0}
    for key, value, at_ms in workload.closes(trades):
        name = settings.topic(kinds.CLOSES)
        batch.append(
            Outgoing(name, partition_of(key, settings.partitions), key.encode(), value, (), at_ms)
        )
        counts[kinds.CLOSES] += 1
        for fact in explode(value, at_ms, dimensions=settings.dimensions, outcome=settings.outcome):
            group = group_key(fact.pattern_key, fact.action_category)
            partition = partition_of(group, settings.partitions)
            batch.append(
                Outgoing(settings.topic(kinds.FACTS), partition, group.encode(), encode(fact))
            )
            counts[kinds.FACTS] += 1
        if len(batch) >= 15_000:
            await sender.send(batch)
            batch.clear()
    await sender.send(batch)
    await sender.stop()
    return counts


async def bare_loop(settings: Settings, name: str) -> tuple[int, float, float]:
    """Read the topic to its end with `getmany` and parse every value with orjson, in this process.

    Returns records, seconds and CPU seconds.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.broker,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4_194_304,
        fetch_max_bytes=33_554_432,
    )
    await consumer.start()
    partitions = [TopicPartition(settings.topic(name), p) for p in range(settings.partitions)]
    consumer.assign(partitions)
    left = sum((await consumer.end_offsets(partitions)).values())
    await consumer.seek_to_beginning(*partitions)
    n, started, cpu = 0, time.perf_counter(), time.process_time()
    while n < left:
        for records in (await consumer.getmany(timeout_ms=500, max_records=5_000)).values():
            for record in records:
                orjson.loads(record.value)
            n += len(records)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    await consumer.stop()
    return n, seconds, cpu


def replayed(settings: Settings, topic: str, folder: Path, jobs: int) -> dict[str, Any]:
    """Run `replay run` as a user would; return its output, with the seconds of the whole command
    and the peak memory of all its processes."""
    command = [
        sys.executable,
        "-m",
        "faust",
        "-A",
        "app",
        "replay",
        "run",
        topic,
        "--all",
        "--topic",
        topic,
        "--json",
    ]
    started, cpu = time.perf_counter(), _children_s()
    process = subprocess.Popen(
        [*command, "--jobs", str(jobs), "--work-dir", str(folder)],
        cwd=ROOT, env={**os.environ, **settings.environment()}, stdout=subprocess.PIPE,
    )  # fmt: skip
    peak = [0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peak))
    watcher.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - started
    watcher.join()
    if process.returncode:
        raise SystemExit(f"replay run ended with {process.returncode}")
    return {
        **json.loads(output),
        "command_seconds": seconds,
        "cpu_seconds": _children_s() - cpu,
        "peak_bytes": peak[0],
    }


def _children_s() -> float:
    """CPU seconds of the children that have ended, and of their children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _watch(pid: int, peak: list[int]) -> None:
    """The peak of the resident memory of a process and its children together, until it ends."""
    try:
        parent = psutil.Process(pid)
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
            total = 0
            for process in (parent, *parent.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak[0] = max(peak[0], total)
            time.sleep(0.1)
    except psutil.NoSuchProcess:
        return


async def measure(
    stack: devstack.StackInfo, trades: int, folder: Path, jobs: int
) -> list[dict[str, Any]]:
    """One row for each topic."""
    settings = Settings(
        broker=stack.broker,
        database_url=stack.database_url,
        dimensions=workload.DIMENSIONS,
        regime_signature=("d0",),
        max_dims=2,
        retention_days=100_000.0,
    )
    started = time.perf_counter()
    counts = await fill(settings, trades)
    print(
        f"{trades:,} closes and {counts[kinds.FACTS]:,} facts written in"
        f" {time.perf_counter() - started:.0f} s",
        flush=True,
    )
    rows = []
    for topic, name in (("facts", kinds.FACTS), ("closes", kinds.CLOSES)):
        n, bare_s, bare_cpu = await bare_loop(settings, name)
        done = await asyncio.to_thread(replayed, settings, topic, folder, jobs)
        rate, bare = n / done["command_seconds"], n / bare_s
        rows.append(
            {
                "topic": topic,
                "records": n,
                "trades": done["trades"],
                "replay_per_s": rate,
                "bare_per_s": bare,
                "ratio": rate / bare,
                "seconds": done["command_seconds"],
                "bare_seconds": bare_s,
                "peak_bytes": done["peak_bytes"],
                "cpu_us": 1e6 * done["cpu_seconds"] / n,
                "bare_cpu_us": 1e6 * bare_cpu / n,
                "digest": done["digest"],
                "lessons": done["lessons"],
                "overrides": done["overrides"],
            }
        )
        print(
            f"{topic}: {n:,} records in {done['command_seconds']:.1f} s, {rate:,.0f}/s; bare loop"
            f" {bare:,.0f}/s; ratio {rate / bare:.2f} (target ≥ {TARGET}); CPU"
            f" {1e6 * done['cpu_seconds'] / n:.1f} µs a record, bare {1e6 * bare_cpu / n:.1f}; peak"
            f" {done['peak_bytes'] / 2**20:,.0f} MiB (target < {MEMORY_TARGET_BYTES // 2**20:,})",
            flush=True,
        )
    if len({row["digest"] for row in rows}) != 1:
        raise SystemExit("The digests of the two replays differ.")
    return rows


def main() -> int:
    """Measure, print, and write the document."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__)
    parser.add_argument("--trades", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="Also write the figures to this file.")
    given = parser.parse_args()
    memory = psutil.virtual_memory().total / 2**30
    machine = (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.platform()}, Python"
        f" {platform.python_version()}"
    )
    command = f"python -m benchmarks.replay --trades {given.trades} --jobs {given.jobs}"
    with (
        tempfile.TemporaryDirectory(prefix="replay-") as folder,
        devstack.temporary_stack(Path(folder) / "stack") as stack,
    ):
        rows = asyncio.run(measure(stack, given.trades, Path(folder) / "spool", given.jobs))
    print(f"{machine}\n{command}")
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(
            json.dumps({"machine": machine, "command": command, "rows": rows}, indent=1)
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
