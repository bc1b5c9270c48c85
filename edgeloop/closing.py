"""Closing a Kafka client, whatever its broker does.

May touch: the client it is given.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

log = logging.getLogger(__name__)

CLOSE_WITHIN_S = 5.0


async def close_client(client: Any, within_s: float = CLOSE_WITHIN_S) -> None:
    """Stop a consumer, a producer or an admin client.  Raises only when cancelled.

    In a task of its own: a client whose broker is away answers a stop with the `CancelledError` of
    its own tasks, which would end whoever waits for it, and without a word.
    """
    stop = getattr(client, "stop", None) or client.close  # an admin client has no `stop`
    closing = asyncio.ensure_future(stop())
    try:
        await asyncio.wait({closing}, timeout=within_s)
    finally:
        closing.add_done_callback(noted)
        if not closing.done():
            closing.cancel()  # one that cannot be closed is left to the garbage collector


def noted(left: asyncio.Future[Any]) -> None:
    """What became of something that nobody waits for any more."""
    if not left.cancelled() and (error := left.exception()) is not None:
        log.info("The Kafka client failed on its way out: %r", error)
