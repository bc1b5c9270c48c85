"""The processes of a replay end with the one that started them, and report their progress."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from app.replay import pool
from app.replay.pool import Pool
from tests.pipeline.installation import wait

ROOT = Path(__file__).parents[2]


def count(arguments: tuple[int, int]) -> int:
    slot, n = arguments
    for _ in range(n):
        pool.advance(slot, 2)
    return n


def until_told_to_stop(slot: int) -> None:
    while True:
        pool.advance(slot, 0)
        time.sleep(0.01)


def test_results_and_counters_of_two_processes() -> None:
    with Pool(2, 2) as workers:
        assert sorted(workers.run(count, [(0, 30), (1, 40)], lambda: None)) == [30, 40]
        assert workers.done == [60, 80]
        assert all(peak > 2**20 for peak in workers.peaks.values())
        started = time.monotonic()
        workers.submit(until_told_to_stop, 0)
    assert time.monotonic() - started < 30


FOREVER = """
import time
from app.replay.pool import Pool

if __name__ == "__main__":
    with Pool(2, 1) as workers:
        for _ in range(2):
            workers.submit(time.sleep, 600)
        print("submitted", flush=True)
        time.sleep(600)
"""


def test_they_end_with_their_parent_when_it_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "forever.py"
    script.write_text(FOREVER)
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    with parent.stdout as stdout:
        assert stdout.readline() == b"submitted\n"
    children = psutil.Process(parent.pid).children(recursive=True)
    wait(lambda: len(psutil.Process(parent.pid).children(recursive=True)) >= 2, 30, "children")
    children = psutil.Process(parent.pid).children(recursive=True)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
