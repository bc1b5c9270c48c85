"""Processes that tests start end with them, even if the tests are killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from tests.child import child

ROOT = Path(__file__).parents[1]
PARENT = """
import subprocess, sys
from tests.child import child
started = subprocess.Popen(child("-c", "import time; print('there', flush=True); time.sleep(600)"))
print(started.pid, flush=True)
started.wait()
"""


def test_a_child_ends_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE) as made:
        assert made.stdout is not None
        lines = {made.stdout.readline().strip(), made.stdout.readline().strip()}
        (pid,) = lines - {b"there"}
        process = psutil.Process(int(pid))
        made.kill()
        process.wait(10)
        assert not process.is_running()


def test_a_child_is_the_program_itself() -> None:
    done = subprocess.run(
        child("-c", "import os, sys; print(os.getpid()); sys.exit(7)"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7
    assert int(done.stdout)
