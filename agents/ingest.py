"""ingest: `position_closed` → `pattern_trade_events`, `position_closed.dlq`.

May touch: the broker, through `app/stages/ingest.py`; the process, which it ends when that fails.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import faust

from app.kafka.retry import Stopping
from app.settings import Settings
from app.stages.ingest import Ingest
from app.worker.batches import batches
from app.worker.end_process import fatal_exit
from app.worker.process import assigned_to, raw_topic
from schemas.kinds import CLOSES


def attach(app: faust.App, settings: Settings) -> None:
    """Let `app` run this agent."""
    stage = Ingest(settings, lambda: bool(app.should_stop))

    @app.agent(raw_topic(app, settings, CLOSES), concurrency=1, name="ingest")
    async def ingest(stream: Any) -> AsyncIterator[None]:
        """Acknowledge closes only once their facts and dead letters are delivered."""
        async for records in batches(stream):
            try:
                await stage.take(records)
            except Stopping:
                # `stream_wait_empty` holds the stop until here: end without acknowledging.
                fatal_exit("ingest: stopped while the broker was unavailable", Stopping())
            except Exception as error:
                fatal_exit("ingest", error)
            yield

    @app.on_rebalance_complete.connect
    async def rebalanced(*_: Any, **__: Any) -> None:
        await stage.assigned(assigned_to(app, settings.topic(CLOSES)))

    @app.on_before_shutdown.connect
    async def stop(*_: Any, **__: Any) -> None:
        await stage.stop()
