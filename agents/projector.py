"""projector: every derived topic → PostgreSQL.

May touch: the broker (reads; commits offsets) and PostgreSQL, through `app/stages/projector.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import faust

from app.settings import Settings
from app.stages.projector import Projector
from app.worker.process import raw_topic
from schemas.kinds import BASELINES


def attach(app: faust.App, settings: Settings) -> None:
    """Let `app` run the service."""
    app.service(Projector(settings))  # type: ignore[arg-type]
    if settings.agents != ("projector",):
        return

    # Faust does not run without an agent.  No other agent reads this small topic, so it takes no
    # partitions from others.
    @app.agent(raw_topic(app, settings, BASELINES), concurrency=1, name="projector")
    async def keep_faust_running(stream: Any) -> AsyncIterator[None]:
        """Ignore the stream: the service reads the topics itself."""
        async for _ in stream:
            yield
