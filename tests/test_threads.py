"""Linear algebra runs on the thread that asks for it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import app

COUNTED = """
import os, app.learning.engine, numpy
a = numpy.random.default_rng(1).random((600, 600))
(a @ a).sum()
print(len(os.listdir("/proc/self/task")), os.environ["OPENBLAS_NUM_THREADS"])
"""


def counted(**variables: str) -> list[str]:
    """The number of threads of a process that has multiplied matrices, and its setting."""
    kept = {name: value for name, value in os.environ.items() if name not in app.THREADS}
    command = [sys.executable, "-c", COUNTED]
    return subprocess.check_output(command, env=kept | variables, text=True).split()


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads as Linux does")
def test_a_process_has_one_thread_unless_its_environment_says_otherwise() -> None:
    assert counted() == ["1", "1"]
    assert counted(OPENBLAS_NUM_THREADS="3")[1] == "3"
