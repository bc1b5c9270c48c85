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
from app.worker.garbage import Garbage
from app.worker.memory import collect_all, collect_new
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


def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "COLLECT_EVERY_S", 0.01)
    monkeypatch.setattr(garbage, "MOST_TIME", 1.0)


async def _collected(gone: weakref.ref[Cycle]) -> None:
    """Run a worker's collector until something is gone."""
    collector = Garbage(make_app(Settings()))
    running = asyncio.create_task(collector.run())
    give_up = time.monotonic() + 20
    while gone() is not None:
        assert time.monotonic() < give_up
        await asyncio.sleep(0.01)
    await collector.stop()
    await asyncio.wait_for(running, 20)


async def test_a_worker_collects_garbage_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    _often(monkeypatch)
    await _collected(weakref.ref(Cycle()))


async def test_a_worker_collects_old_garbage_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was in use at some collections, and is garbage since."""
    _often(monkeypatch)
    live = Cycle()
    gone = weakref.ref(live)
    collect_new()
    del live
    await _collected(gone)


def test_new_garbage_is_collected_without_a_look_at_what_is_kept() -> None:
    live = Cycle()
    kept = weakref.ref(live)
    collect_all()
    exempt = gc.get_freeze_count()
    del live
    gone = weakref.ref(Cycle())
    collect_new()
    assert gone() is None
    assert kept() is not None, "it is exempt"
    assert gc.get_freeze_count() >= exempt
    collect_all()
    assert kept() is None


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
