"""A Faust app with our settings whose agents show how Faust handles offsets; they write their
observations to the file TOY_NOTES.

Run as `faust -A tests.contract.toy worker` with the settings in the environment.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from faust.types import TP

from app.settings import Settings
from app.worker.batches import batches
from app.worker.end_process import fatal_exit
from app.worker.process import make_app, raw_topic
from schemas.kinds import CLOSES, FACTS, LESSONS

NOTES = Path(os.environ["TOY_NOTES"])
RELEASE = NOTES.with_name("release")
START_AT = 5

settings = Settings.from_environment()
app = make_app(settings)
print("a plain line")  # noqa: T201


def note(kind: str, **what: Any) -> None:
    with NOTES.open("a") as file:
        file.write(json.dumps({"kind": kind, **what}) + "\n")


@app.on_rebalance_complete.connect
async def commit_where_to_start(*_: Any, **__: Any) -> None:
    """Slow enough to notice a stream that does not wait for it."""
    note("rebalance")
    await asyncio.sleep(1.0)
    tp = TP(settings.topic(LESSONS), 0)
    note(
        "committed",
        done=await app.consumer._commit({tp: START_AT}),
        assigned=tp in app.consumer.assignment(),
    )


@app.agent(raw_topic(app, settings, LESSONS), concurrency=1)
async def starting(stream: Any) -> Any:
    async for records in batches(stream):
        note("started", offsets=[record.offset for record in records])
        yield


@app.agent(raw_topic(app, settings, CLOSES), concurrency=1)
async def raising(stream: Any) -> Any:
    async for records in batches(stream):
        note("raising", offsets=[record.offset for record in records])
        if any(record.value == b"raise" for record in records):
            raise RuntimeError("an exception in an agent's body")
        yield


@app.agent(raw_topic(app, settings, FACTS), concurrency=1)
async def holding(stream: Any) -> Any:
    async for records in batches(stream):
        note("holding", offsets=[record.offset for record in records])
        if any(record.value == b"die" for record in records):
            fatal_exit("toy", RuntimeError("told to die"))
        while not RELEASE.exists():  # noqa: ASYNC110 (the test is another process)
            await asyncio.sleep(0.05)
        note("released")
        yield
