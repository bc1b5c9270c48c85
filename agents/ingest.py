"""ingest: `position_closed` → `pattern_trade_events`, `position_closed.dlq`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import faust

from app.log.producer import Producer
from app.log.retry import Stopping
from app.settings import Settings
from app.stages.ingest import facts_of
from app.worker.fatal import fatal_exit
from app.worker.process import raw_topic
from schemas.kinds import CLOSES


def attach(app: faust.App, settings: Settings) -> None:
    """Let `app` run this agent."""
    producer = Producer(settings, lambda: bool(app.should_stop))

    @app.agent(raw_topic(app, settings, CLOSES), concurrency=1, name="ingest")
    async def ingest(stream: Any) -> AsyncIterator[None]:
        """Send the facts and dead letters, and only then let Faust acknowledge the closes."""
        async for events in stream.take_events(500, within=0.02):
            try:
                messages = [event.message for event in events]
                await producer.send(await asyncio.to_thread(facts_of, settings, messages))
            except Stopping:
                # `stream_wait_empty` holds the stop until here: end without acknowledging.
                fatal_exit("ingest: stopped while the broker was unavailable", Stopping())
            except Exception as error:
                fatal_exit("ingest", error)
            yield

    @app.on_before_shutdown.connect
    async def close(*_: Any, **__: Any) -> None:
        await producer.stop()
