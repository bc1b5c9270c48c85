"""A start and a stop wait for nothing that Edgeloop does not have."""

from __future__ import annotations

import asyncio
import time

import pytest

from app.settings import Settings
from app.worker.process import EdgeloopWorker, NoTables, make_app

FAUSTS_WAIT_S = 1.0


@pytest.mark.asyncio
async def test_tables_that_do_not_exist_are_not_waited_for() -> None:
    app = make_app(Settings())
    assert isinstance(app.tables, NoTables)
    assert not app.tables, "an app with tables needs Faust's wait for them to be registered"
    started = time.monotonic()
    await app.tables.sleep(FAUSTS_WAIT_S)
    assert time.monotonic() - started < FAUSTS_WAIT_S / 2


def test_the_event_loop_of_a_stopped_worker_ends_at_once() -> None:
    loop = asyncio.new_event_loop()
    try:
        worker = EdgeloopWorker(make_app(Settings()), loop=loop)
        started = time.monotonic()
        loop.run_until_complete(worker._sentinel_task())
        assert time.monotonic() - started < FAUSTS_WAIT_S / 2
    finally:
        loop.close()
