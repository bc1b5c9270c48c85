"""Closes per second through all agents, compared with a bare chain and with the Quix Streams peer.

May touch: the benchmark's stack, processes that it started.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from app import devstack
from benchmarks.pipeline import workload
from benchmarks.pipeline.figures import Figure
from benchmarks.pipeline.installation import Installation
from benchmarks.pipeline.peer import peer_rate
from schemas import kinds

LOADS = {
    # One lesson per group: the same messages as the bare chain.
    "1 slice a group": {"EDGELOOP_DIMENSIONS": "none"},
    # Every close touches twelve slices in three groups.
    "12 slices a group": {},
}
LEARNINGS = ("integrated", "classic")


async def throughput(
    stack: devstack.StackInfo, count: int, load: str, runs: int, quix: str | None
) -> list[Figure]:
    """Closes per second from the first one sent until everything is learned and projected, in one
    process, alternating with the bare chain and the peer."""
    bare: list[float] = []
    peer: list[float] = []
    ours: dict[str, list[float]] = {learning: [] for learning in LEARNINGS}
    for _ in range(runs):
        bare.append(await _bare_rate(stack, count))
        if quix is not None:
            peer.append(await peer_rate(stack, quix, count, 1))
        for learning in LEARNINGS:
            here = Installation(stack, EDGELOOP_LEARNING=learning, **LOADS[load])
            ours[learning].append(await rate(here, count, 1))
    figures = []
    for learning, rates in ours.items():
        name = f"closes through all agents, until projected ({learning}, {load})"
        found = statistics.median(rates)
        figures.append(_against(name, found, "a bare chain's", bare, ""))
        if peer:
            figures.append(_against(name, found, "the Quix peer's", peer, "≥ 1"))
    return figures


async def workers(
    stack: devstack.StackInfo, count: int, runs: int, quix: str | None
) -> list[Figure]:
    """The same with one, two and three processes."""
    figures = []
    ours: dict[int, float] = {}
    for processes in (1, 2, 3):
        rates = [await rate(Installation(stack), count, processes) for _ in range(runs)]
        ours[processes] = statistics.median(rates)
        against = "" if quix is None else await _peer_text(stack, quix, count, processes)
        figures.append(
            Figure(
                f"closes through all agents, {processes} worker{'s' * (processes > 1)}",
                f"{ours[processes]:,.0f}/s{against}",
                ours[processes] / ours[1],
            )
        )
    return figures


async def _peer_text(stack: devstack.StackInfo, quix: str, count: int, processes: int) -> str:
    found = await peer_rate(stack, quix, count, processes)
    return f"; the Quix peer in as many processes {found:,.0f}/s"


async def rate(here: Installation, count: int, workers: int) -> float:
    """Closes per second through a number of workers."""
    await here.create()
    with here.workers(workers):
        await here.produce(kinds.CLOSES, workload.closes(200))
        await here.idle()
        started = time.monotonic()
        await here.produce(kinds.CLOSES, workload.closes(count, first=200))
        return count / (await here.idle() - started)


async def per_close(stack: devstack.StackInfo, count: int, rate: float) -> list[Figure]:
    """The records and bytes that a close causes on each topic, at a steady rate and in a burst."""
    figures = []
    for name, pace in ((f"at {rate:.0f} closes/s", rate), ("in a burst", None)):
        here = Installation(stack)
        await here.create()
        with here.worker():
            await here.produce(kinds.CLOSES, workload.closes(1_000))
            await here.idle()
            before = await here.sizes()
            closes = workload.closes(count, first=1_000)
            if pace is None:
                await here.produce(kinds.CLOSES, closes)
            else:
                await here.pace(pace, closes, {})
            await here.idle()
            after = await here.sizes()
        for topic, (records, size) in after.items():
            n, octets = records - before[topic][0], size - before[topic][1]
            value = f"{n / count:.2f} records, {octets / count:,.0f} bytes"
            figures.append(Figure(f"a close {name}: {topic}", value))
    return figures


def _against(name: str, found: float, whose: str, others: Sequence[float], target: str) -> Figure:
    other = statistics.median(others)
    return Figure(name, f"{found:,.0f}/s against {whose} {other:,.0f}/s", found / other, target)


async def _bare_rate(stack: devstack.StackInfo, count: int) -> float:
    here = Installation(stack)
    await here.create()
    with here.worker("benchmarks.pipeline.bare"):
        await here.produce(kinds.CLOSES, workload.closes(200))

        async def passed() -> bool:
            return await here.ends(kinds.OVERRIDES) >= 600

        await here.until(passed, "the bare chain's first messages")
        started = time.monotonic()
        await here.produce(kinds.CLOSES, workload.closes(count, first=200))

        async def through() -> bool:
            return await here.ends(kinds.OVERRIDES) >= 3 * (count + 200)

        return count / (await here.until(through, "the bare chain") - started)
