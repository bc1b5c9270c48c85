"""ingest: `position_closed` → `pattern_trade_events`, `position_closed.dlq`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import faust
import structlog
from aiokafka.errors import KafkaError

from app.log.control import ControlLog
from app.log.producer import Producer
from app.log.records import Outgoing
from app.log.retry import Stopping, back_off, client_errors, later
from app.log.unread import Unread
from app.metrics import BATCH_SECONDS
from app.settings import Settings
from app.stages.ingest import Door
from app.worker.batches import batches
from app.worker.fatal import fatal_exit
from app.worker.process import raw_topic
from schemas.kinds import CLOSES

_SECONDS = BATCH_SECONDS.labels("ingest")

log = structlog.get_logger(__name__)

FINISH_WITHIN_S = 5.0
"""After a stop, to read what the control log says of closes in flight; the stop waits for 20 s."""


def attach(app: faust.App, settings: Settings) -> None:
    """Let `app` run this agent."""

    def stopping() -> bool:
        return bool(app.should_stop)

    producer = Producer(settings, stopping)
    topic = settings.topic(CLOSES)
    unread = Unread(settings, topic)
    control = ControlLog(settings, later(stopping, FINISH_WITHIN_S))
    door = Door(settings, control)

    async def through(messages: list[Any]) -> list[Outgoing]:
        """What the closes become; tries again while the broker is away.  Raises `Stopping`."""
        attempt = 0
        while True:
            try:
                with client_errors():
                    return await door.through(messages)
            except (KafkaError, OSError) as error:
                log.warning("control.retry", error=repr(error), attempt=attempt)
                await back_off(attempt, stopping)
                attempt += 1

    @app.agent(raw_topic(app, settings, CLOSES), concurrency=1, name="ingest")
    async def ingest(stream: Any) -> AsyncIterator[None]:
        """Send the facts and dead letters, and only then let Faust acknowledge the closes."""
        async for records in batches(stream):
            try:
                await unread.passed(records)
                with _SECONDS.time():
                    await producer.send(await through(records))
            except Stopping:
                # `stream_wait_empty` holds the stop until here: end without acknowledging.
                fatal_exit("ingest: stopped while the broker was unavailable", Stopping())
            except Exception as error:
                fatal_exit("ingest", error)
            yield

    @app.on_rebalance_complete.connect
    async def compare(*_: Any, **__: Any) -> None:
        assignment = app.consumer.assignment()
        await unread.assigned({tp.partition for tp in assignment if tp.topic == topic})

    @app.on_before_shutdown.connect
    async def close(*_: Any, **__: Any) -> None:
        await producer.stop()
        await unread.stop()
        await control.stop()
