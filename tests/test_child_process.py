"""Processes of a pool end with their parent, also when it is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
FOREVER = """
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from app.child_process import end_with_parent

if __name__ == "__main__":
    with ProcessPoolExecutor(2, get_context("spawn"), end_with_parent) as pool:
        list(pool.map(abs, range(20)))
        print("idle", flush=True)
        time.sleep(600)
"""


def test_idle_ones_end_with_their_parent_when_it_is_killed(tmp_path: Path) -> None:
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
        assert stdout.readline() == b"idle\n"
    children = psutil.Process(parent.pid).children(recursive=True)
    assert len(children) >= 2
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
