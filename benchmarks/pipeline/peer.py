"""The Quix Streams peer (`quix.py`) as a process, on topics of its own.

May touch: the benchmark's stack, processes that it started, a folder for the peer's state.

The package `quixstreams` needs an older confluent-kafka than the tests, so it may be in an
environment of its own, whose interpreter is given with `--quix`.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import orjson
from aiokafka import TopicPartition

from app import devstack
from app.kafka.bulk_reader import reader
from benchmarks.pipeline import workload
from benchmarks.pipeline.installation import ROOT, Installation, running, uncollected
from schemas import kinds

SLICES = 12
"""Records that a close causes: the four slices of its context in each of three groups."""


def installed(python: str) -> bool:
    """Whether this interpreter has the package."""
    command = [python, "-c", "import quixstreams"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def peers(here: Installation, python: str, count: int) -> Iterator[None]:
    """A number of processes of the peer, in one consumer group."""
    prefix = here.settings.topic_prefix
    with ExitStack() as started:
        for _ in range(count):
            folder = started.enter_context(tempfile.TemporaryDirectory())
            log = started.enter_context(tempfile.TemporaryFile())
            environment = {
                "PEER_BROKER": here.settings.broker,
                "PEER_PREFIX": prefix,
                "PEER_STATE": folder,
            }
            command = [python, str(ROOT / "benchmarks/pipeline/quix.py")]
            started.enter_context(running(command, environment, log))
        yield


async def peer_rate(stack: devstack.StackInfo, python: str, closes: int, processes: int) -> float:
    """Closes per second until the last record has been published."""
    here = Installation(stack)
    await here.create()
    with peers(here, python, processes):
        await _warmed(here)
        started = time.monotonic()
        await here.produce(kinds.CLOSES, workload.closes(closes, first=200))
        return closes / (await _until_out(here, 200 + closes) - started)


async def peer_delays(
    stack: devstack.StackInfo, python: str, rate: float, count: int
) -> list[float]:
    """Seconds from each close to the record of its entry group that includes it, in ascending
    order."""
    here = Installation(stack)
    await here.create()
    with peers(here, python, 1):
        await _warmed(here)
        sent: dict[str, float] = {}
        with uncollected():
            reading = asyncio.create_task(_read(here, sent, count))
            await here.pace(rate, workload.closes(count, first=200), sent)
            return sorted(await asyncio.wait_for(reading, 120.0))


async def _warmed(here: Installation) -> None:
    await here.produce(kinds.CLOSES, workload.closes(200))
    await _until_out(here, 200)


async def _until_out(here: Installation, closes: int) -> float:
    async def out() -> bool:
        return await here.ends(kinds.OVERRIDES) >= SLICES * closes

    return await here.until(out, "the peer's records")


async def _read(here: Installation, sent: dict[str, float], count: int) -> list[float]:
    consumer = reader(here.settings)
    await consumer.start()
    partitions = [
        TopicPartition(here.settings.topic(kinds.OVERRIDES), p)
        for p in range(here.settings.partitions)
    ]
    consumer.assign(partitions)
    await consumer.seek_to_end(*partitions)
    delays: list[float] = []
    try:
        while len(delays) < count:
            for records in (await consumer.getmany(timeout_ms=50)).values():
                now = time.perf_counter()
                for record in records:
                    override = orjson.loads(record.value)
                    if override["override_id"].endswith("|entry|") and override["as_of"] in sent:
                        delays.append(now - sent[override["as_of"]])
    finally:
        await consumer.stop()
    return delays
