"""The processes of a replay stop when told to, and report their progress."""

from __future__ import annotations

import time

from app.replay import pool
from app.replay.pool import Pool


def count(n: int) -> int:
    for _ in range(n):
        pool.advance(2)
    return n


def until_told_to_stop(n: int) -> None:
    while True:
        pool.advance(n)
        time.sleep(0.01)


def test_results_and_counters_of_two_processes() -> None:
    with Pool(2) as workers:
        assert sorted(workers.run(count, [30, 40], lambda: None)) == [30, 40]
        workers.note(5)
        assert workers.done == 145
        assert all(peak > 2**20 for peak in workers.peaks.values())
        started = time.monotonic()
        workers.submit(until_told_to_stop, 0)
    assert time.monotonic() - started < 30
