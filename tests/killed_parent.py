"""Programs whose children must end with them, also when they are killed.

May touch: processes that it starts.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.pipeline.installation import wait

ROOT = Path(__file__).resolve().parents[1]
WITHIN_S = 30.0


class Killed(NamedTuple):
    """The children that a program had when it was killed, and those that outlived it."""

    children: list[psutil.Process]
    alive: list[psutil.Process]


def killed(program: str, ready: bytes, folder: Path) -> Killed:
    """Start a program, kill it once it has printed the line `ready` and has two children, and wait
    for these."""
    script = folder / "parent.py"
    script.write_text(program)
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    with parent.stdout as stdout:
        assert stdout.readline() == ready
    of_parent = psutil.Process(parent.pid)
    wait(lambda: len(of_parent.children(recursive=True)) >= 2, WITHIN_S, "children")
    children = of_parent.children(recursive=True)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=WITHIN_S)
    return Killed(children, alive)
