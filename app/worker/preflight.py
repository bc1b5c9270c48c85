"""Before a worker starts: the broker answers, the topics are as declared and visible, the database
is migrated.

May touch: the broker, the database (both read only).  Faust calls itself ready without a missing
topic, and exits at once without a broker; this waits for the broker and refuses to start without a
topic, naming the command that fixes it.
"""

from __future__ import annotations

import asyncio
import time

import structlog

from app.errors import ConfigurationError, UnreachableError
from app.log import topics
from app.log.admin import admin
from app.settings import Settings
from app.storage.migrate import require_migrated

log = structlog.get_logger(__name__)


async def wait_for_broker(settings: Settings, timeout_s: float) -> None:
    """Return as soon as the broker answers; `UnreachableError` after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            async with admin(settings, timeout_s=5.0) as client:
                await client.list_topics()
            return
        except UnreachableError:
            if time.monotonic() > deadline:
                raise
            log.warning("worker.waiting_for_broker", broker=settings.broker)
            await asyncio.sleep(1.0)


async def preflight(settings: Settings, timeout_s: float = 60.0) -> None:
    """Raise unless a worker can start.

    `UnreachableError` without a broker; `ConfigurationError` on any topic that is not as declared,
    and where the projector is to run without a database or with one that is not migrated.  A
    database that is merely unreachable is no obstacle: the projector waits for it.
    """
    await wait_for_broker(settings, timeout_s)
    await topics.require(settings)
    if "projector" in settings.agents:
        if not settings.database_url:
            raise ConfigurationError(
                "EDGELOOP_DATABASE_URL is not set.",
                "Set it, or leave projector out of EDGELOOP_AGENTS.",
            )
        try:
            await require_migrated(settings.database_url, settings.database_schema)
        except UnreachableError as error:
            log.warning("worker.database_away", error=error.what)
