"""Shared by the tests of the dev stack: waiting for a condition, and scripts in processes that can
be killed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """Returns once a condition holds; fails after a deadline."""

    def wait(condition: Callable[[], object], deadline_s: float = 30.0) -> None:
        give_up = time.monotonic() + deadline_s
        while not condition():
            assert time.monotonic() < give_up, f"not within {deadline_s} s"
            time.sleep(0.01)

    return wait


@pytest.fixture
def script() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Run Python source in separate processes, which are killed at the end of the test."""
    processes: list[subprocess.Popen[str]] = []

    def run(source: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(  # type: ignore[call-overload]
            [sys.executable, "-c", source, *map(str, arguments)],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()
