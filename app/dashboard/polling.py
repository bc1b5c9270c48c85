"""Ask a source repeatedly while the dashboard runs.

May touch: what `ask` touches.
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
"""Errors of a source that is unreachable."""


async def poll(
    feed: Feed, name: str, ask: Callable[[], Awaitable[Any]], *, within_s: float = 30.0
) -> None:
    """Store the result of `ask` in `feed`, as often as the feed says.  Every exception is stored
    there too: if the loop ended, the source would seem to load forever."""
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
            # A bug: show and log it, and go on with the other sources.
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
    """An error as one readable sentence."""
    if isinstance(error, EdgeloopError):
        return error.what
    if isinstance(error, TimeoutError):
        return "It did not answer in time."
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
