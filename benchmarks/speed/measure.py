"""Medians of several runs, and the lines that report them."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Took:
    """Medians in seconds: of wall-clock time, and of this process's CPU time, which other load on
    the machine disturbs less."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Row:
    """One line: `value` in `unit`, with the target `below` (None: only reported)."""

    name: str
    value: float
    unit: str
    below: float | None = None
    detail: str = ""

    @property
    def met(self) -> bool | None:
        return None if self.below is None else self.value < self.below


@dataclass(frozen=True)
class Comparison:
    """The same work done by us and by a peer, in seconds; `peer_s` is None where the peer is not
    installed."""

    peer: str
    work: str
    ours_s: float
    peer_s: float | None

    @property
    def ratio(self) -> float | None:
        """How many times longer the peer takes."""
        return None if self.peer_s is None else self.peer_s / self.ours_s


def timed(
    runs: int, work: Callable[[Any], object], prepare: Callable[[], Any] = lambda: None
) -> Took:
    """Medians over `runs` runs of `work(prepare())`, without the preparation, after one warm-up
    run."""
    wall, cpu = [], []
    for _ in range(runs + 1):
        prepared = prepare()
        gc.collect()
        at, busy = time.perf_counter(), time.process_time()
        work(prepared)
        wall.append(time.perf_counter() - at)
        cpu.append(time.process_time() - busy)
    return Took(statistics.median(wall[1:]), statistics.median(cpu[1:]))


def row(name: str, took: Took, below: float | None = None, detail: str = "") -> Row:
    """A line in seconds."""
    cpu = f"CPU {took.cpu_s:.3g} s"
    return Row(name, took.wall_s, "s", below, f"{cpu}; {detail}" if detail else cpu)
