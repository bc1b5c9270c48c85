"""Before a worker starts: the broker answers, the topics are as declared and visible, the database
is migrated.

May touch: the broker, the database (read only, save that the first worker claims its settings).
Faust reports itself ready even if a topic is missing, and exits at once without a broker.  This
waits for the broker, and refuses to start without a topic, naming the command that fixes it.
"""

from __future__ import annotations

import asyncio
import time

import structlog
from aiokafka.errors import KafkaError

from app.errors import ConfigurationError, UnreachableError
from app.kafka import topics
from app.kafka.admin import admin
from app.kafka.log_identity import Log, require_same_log
from app.settings import Settings
from app.storage import projected_log
from app.storage.migrate import require_migrated
from app.storage.rights import require_rights
from app.worker.agreement import require_agreement
from app.worker.connecting import CONNECT_WITHIN_S

log = structlog.get_logger(__name__)


async def _require_log(settings: Settings) -> Log:
    """The current state of the log.  Raises `UnreachableError` without a broker,
    `ConfigurationError` if the log or the topics are not as required.
    """
    async with admin(settings, timeout_s=5.0) as client:
        await client.list_topics()
    await topics.require(settings)
    seen = await require_same_log(settings)
    await require_agreement(settings)
    return seen


async def _require_log_within(settings: Settings, timeout_s: float) -> Log:
    """As `_require_log`, repeated while the broker does not answer, which may happen at any
    step."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return await _require_log(settings)
        except (UnreachableError, KafkaError, OSError) as error:
            lasting = isinstance(error, KafkaError) and not error.retriable
            if lasting or time.monotonic() > deadline:
                raise
            log.warning("worker.waiting_for_broker", broker=settings.broker, error=str(error))
            await asyncio.sleep(1.0)


async def preflight(settings: Settings, timeout_s: float = CONNECT_WITHIN_S) -> Log:
    """The state of the log, if a worker can start with it; raises otherwise.

    `UnreachableError` without a broker for `timeout_s` seconds; `ConfigurationError` on any topic
    that is not as declared, where the installation has agreed on other settings (the first worker's
    are taken as agreed), and where the projector is to run without a database, with one that is not
    migrated, or without the rights to write.  A database that is merely unreachable is no obstacle:
    the projector waits for it.
    """
    seen = await _require_log_within(settings, timeout_s)
    if "projector" in settings.agents:
        if not settings.database_url:
            raise ConfigurationError(
                "EDGELOOP_DATABASE_URL is not set.",
                "Set it, or leave projector out of EDGELOOP_AGENTS.",
            )
        try:
            await require_migrated(settings.database_url, settings.database_schema)
            await require_rights(settings)
            await projected_log.require_same_log(settings)
        except UnreachableError as error:
            log.warning("worker.database_away", error=error.what)
    return seen
