"""Close a Kafka client, whatever its broker does.  May touch: the client that is passed to it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

log = logging.getLogger(__name__)

CLOSE_WITHIN_S = 5.0


async def close_client(client: Any, within_s: float = CLOSE_WITHIN_S) -> None:
    """Stop a consumer, a producer or an admin client.  Raises only when cancelled.

    It runs in a separate task: a client whose broker is away raises the `CancelledError` of its own
    tasks, which would silently end the calling task.  If the caller is cancelled meanwhile, as the
    task of a service that stops, the client is still closed: a consumer that did not leave its
    group would remain a member until its session ends.  A second cancellation ends the wait.
    """
    stop = getattr(client, "stop", None) or client.close  # an admin client has no `stop`
    closing = asyncio.ensure_future(stop())
    try:
        try:
            await asyncio.wait({closing}, timeout=within_s)
        except asyncio.CancelledError:
            await asyncio.wait({closing}, timeout=within_s)
            raise
    finally:
        closing.add_done_callback(noted)
        if not closing.done():
            closing.cancel()  # a client that cannot be closed is left to the garbage collector


def noted(left: asyncio.Future[Any]) -> None:
    """Log the exception of a task that nothing awaits any more."""
    if not left.cancelled() and (error := left.exception()) is not None:
        log.info("The Kafka client failed while it was closed: %r", error)
