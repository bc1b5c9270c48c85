"""Processes of a pool end with their parent, also when it is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.killed_parent import killed

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
    with Pool(2) as workers:
        for _ in range(2):
            workers.submit(time.sleep, 600)
        print("there", flush=True)
        time.sleep(600)
"""


@pytest.mark.parametrize("program", [IDLE, REPLAYING], ids=["idle", "replaying"])
def test_they_end_with_their_parent_when_it_is_killed(program: str, tmp_path: Path) -> None:
    alive = killed(program, b"there\n", tmp_path).alive
    assert not alive
