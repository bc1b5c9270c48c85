"""Helper processes: what they do, and that none is left behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.worker import helpers as module
from app.worker.helpers import Helpers, Lost
from tests.killed_parent import killed

WITHIN_S = 30.0
KILLED = """
import time

from app.worker import helpers

if __name__ == "__main__":
    helpers.MOST = 2
    found = helpers.Helpers()
    assert found.start(2)
    print(found.submit(abs, -1).result(), flush=True)
    found.submit(time.sleep, 600)
    time.sleep(600)
"""


def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)  # looks again


def out_of_memory(_: Any) -> None:
    raise MemoryError


def fails(_: Any) -> None:
    raise ValueError("no helper can do this")


def ours() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


@pytest.fixture
def helpers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Helpers]:
    monkeypatch.setattr(module, "MOST", 2)
    before, made = ours(), Helpers()
    yield made
    made.end()
    until(lambda: ours() <= before and not made.number, "all helpers have ended")


def test_they_do_what_they_are_given_and_end_when_there_is_nothing_to_do(
    helpers: Helpers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0.2)
    before = ours()
    assert helpers.start()
    assert helpers.number == 2
    done = [helpers.submit(sorted, [n, 1]) for n in range(20)]
    assert [future.result(WITHIN_S) for future in done] == [sorted([n, 1]) for n in range(20)]
    until(lambda: ours() <= before, "idle helpers end")
    assert helpers.number == 0
    with pytest.raises(Lost):
        helpers.submit(abs, 1).result(WITHIN_S)
    assert helpers.start(1), "others can be started later"
    assert helpers.submit(abs, -2).result(WITHIN_S) == 2


def test_an_error_is_for_the_caller_to_meet_and_leaves_the_helper_there(helpers: Helpers) -> None:
    assert helpers.start(1)
    with pytest.raises(MemoryError):
        helpers.submit(out_of_memory, None).result(WITHIN_S)
    with pytest.raises(Lost):
        helpers.submit(fails, None).result(WITHIN_S)
    with pytest.raises(Lost):
        helpers.submit(lambda _: None, None).result(WITHIN_S)  # cannot be pickled


def test_the_work_of_a_helper_that_is_killed_is_lost_and_that_which_waits_is_done_by_another(
    helpers: Helpers,
) -> None:
    before = ours()
    assert helpers.start(1)
    (pid,) = ours() - before
    assert helpers.submit(abs, -1).result(WITHIN_S) == 1
    sleeping = helpers.submit(time.sleep, 600)
    assert helpers.start(2)
    waiting = helpers.submit(abs, -3)
    until(sleeping.running, "it has begun")
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(Lost):
        sleeping.result(WITHIN_S)
    assert waiting.result(WITHIN_S) == 3


def test_with_the_last_helper_everything_that_waits_is_lost(helpers: Helpers) -> None:
    assert helpers.start(1)
    all_of_it = [helpers.submit(time.sleep, 600) for _ in range(3)]
    until(all_of_it[0].running, "it has begun")
    helpers.end()
    assert helpers.start(1), "others can be started at once"
    for future in all_of_it:
        with pytest.raises(Lost):
            future.result(WITHIN_S)
    assert helpers.submit(abs, -4).result(WITHIN_S) == 4


def test_none_is_started_without_memory_or_on_one_core(
    helpers: Helpers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "spare_bytes", lambda: module.HELPER_BYTES + 100)
        assert not helpers.start(2, more_bytes=200)
        assert not helpers.start(2, more_bytes=50, own_bytes=100)
        assert helpers.start(2, more_bytes=100)
        assert helpers.number == 1, "there is memory for one"
    helpers.end()
    until(lambda: not helpers.number, "it has ended")
    monkeypatch.setattr(module, "MOST", 1)
    assert not helpers.start(2)


def test_they_end_in_the_middle_of_work_when_their_parent_is_killed(tmp_path: Path) -> None:
    children, alive = killed(KILLED, b"1\n", tmp_path)
    assert len(children) == 2
    assert not alive
