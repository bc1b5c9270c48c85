"""Ask a source repeatedly, as long as the dashboard runs.

May touch: what the question touches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import structlog
from aiokafka.errors import KafkaError

from app.dashboard.feed import Feed
from app.errors import EdgeloopError

log = structlog.get_logger(__name__)

MIN_RETRY_S = 2.0
TROUBLE = (
    EdgeloopError,
    KafkaError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)
"""What a source that is away raises."""


async def poll(
    feed: Feed, name: str, ask: Callable[[], Awaitable[Any]], *, within_s: float = 30.0
) -> None:
    """Put what `ask` returns into `feed`, as often as the feed says; trouble goes there, too,
    whatever it is: a source that is not asked again would seem to be loading for ever."""
    reading = feed[name]
    while True:
        try:
            async with asyncio.timeout(within_s):
                answer = await ask()
        except TROUBLE as error:
            if not reading.error:
                log.warning("dashboard.source_away", source=name, error=sentence(error))
            feed.fail(name, sentence(error))
            await asyncio.sleep(min(MIN_RETRY_S, reading.every_s))
        except Exception as error:
            # A fault of ours: it is shown and logged, and the other sources go on.
            if not reading.error:
                log.exception("dashboard.source_failed", source=name)
            feed.fail(name, sentence(error))
            await asyncio.sleep(reading.every_s)
        else:
            if reading.error:
                log.info("dashboard.source_back", source=name)
            feed.put(name, answer)
            await asyncio.sleep(reading.every_s)


def sentence(error: BaseException) -> str:
    """An error as one sentence for a person."""
    if isinstance(error, EdgeloopError):
        return error.what
    if isinstance(error, TimeoutError):
        return "It did not answer in time."
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
