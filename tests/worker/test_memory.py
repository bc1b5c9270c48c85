"""When a loop returns free memory to the system, and how many heaps there are."""

from __future__ import annotations

import subprocess
import sys

from app.worker.memory import PAUSE_S, Spare

HEAPS = """
import ctypes
from app.worker.memory import one_heap
from app.worker.threads import started_pool
{}
for block in started_pool(3, "test").map(lambda _: bytearray(100_000), range(100)):
    del block
ctypes.CDLL(None).malloc_stats()
"""


def returns(worked_s: list[float], asked_s: list[float]) -> list[float]:
    """The times at which memory is returned, if there is work at some times and a question at
    others."""
    spare, found = Spare(), []
    for now_s in sorted({*worked_s, *asked_s}):
        if now_s in worked_s:
            spare.worked(now_s)
        if now_s in asked_s and spare.due(now_s):
            found.append(now_s)
    return found


def test_it_returns_memory_once_after_the_work() -> None:
    asked = [x / 4 for x in range(400)]
    assert returns([], asked) == []
    assert returns([1.0], asked) == [1.0 + PAUSE_S]
    assert returns([1.0, 1.5, 9.0], asked) == [1.5 + PAUSE_S, 9.0 + PAUSE_S]


def test_threads_share_one_heap() -> None:
    def heaps(first: str) -> int:
        program = [sys.executable, "-c", HEAPS.format(first)]
        run = subprocess.run(program, capture_output=True, text=True, check=True)
        return run.stderr.count("Arena ")

    assert heaps("one_heap()") == 1 < heaps("")
