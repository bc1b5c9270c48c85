"""Processes of a pool end with their parent, also when it is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.pipeline.installation import wait

ROOT = Path(__file__).parents[1]
IDLE = """
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from app.child_process import end_with_parent

if __name__ == "__main__":
    with ProcessPoolExecutor(2, get_context("spawn"), end_with_parent) as pool:
        list(pool.map(abs, range(20)))
        print("there", flush=True)
        time.sleep(600)
"""
REPLAYING = """
import time

from app.replay.pool import Pool

if __name__ == "__main__":
    with Pool(2, 1) as workers:
        for _ in range(2):
            workers.submit(time.sleep, 600)
        print("there", flush=True)
        time.sleep(600)
"""


@pytest.mark.parametrize("program", [IDLE, REPLAYING], ids=["idle", "replaying"])
def test_they_end_with_their_parent_when_it_is_killed(program: str, tmp_path: Path) -> None:
    script = tmp_path / "forever.py"
    script.write_text(program)
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    with parent.stdout as stdout:
        assert stdout.readline() == b"there\n"
    wait(lambda: len(psutil.Process(parent.pid).children(recursive=True)) >= 2, 30, "children")
    children = psutil.Process(parent.pid).children(recursive=True)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
