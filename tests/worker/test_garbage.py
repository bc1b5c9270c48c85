"""Cyclic garbage is collected whatever its objects' number, and a worker's threads all start at
once."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Iterator

import pytest

from app.settings import Settings
from app.stages.facts_or_letters import read_closes
from app.worker import garbage
from app.worker.garbage import Garbage, keep_state
from app.worker.process import make_app
from app.worker.threads import started_pool
from tests.stages.making import Message


class Cycle:
    """Refers to itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _only_as_asked() -> Iterator[None]:
    """No other collection, and nothing exempt afterwards."""
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


async def test_a_worker_collects_garbage_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "COLLECT_EVERY_S", 0.01)
    collector = Garbage(make_app(Settings()))
    running = asyncio.create_task(collector.run())
    gone = weakref.ref(Cycle())
    give_up = time.monotonic() + 20
    while gone() is not None:
        assert time.monotonic() < give_up
        await asyncio.sleep(0.01)
    await collector.stop()
    await asyncio.wait_for(running, 20)


def test_what_is_garbage_at_the_next_reading_is_not_kept() -> None:
    live = Cycle()
    gone = weakref.ref(live)
    keep_state()
    assert gc.get_freeze_count() > 0
    del live
    gc.collect()
    assert gone() is not None, "it is exempt"
    keep_state()
    assert gone() is None


def test_refused_closes_are_freed_without_a_collection() -> None:
    """A batch of them may have many megabytes."""
    message = Message(b"no JSON")
    gone = weakref.ref(message)
    read = read_closes(Settings(), [message, Message(b'{"schema_version": "1"}')])
    assert all(one.problem is not None for one in read)
    del message, read
    assert gone() is None


def test_all_threads_of_a_pool_start_at_once() -> None:
    pool = started_pool(3, "three")
    assert len(pool._threads) == 3
    assert pool.submit(sum, [1, 2]).result(20) == 3
    pool.shutdown()
