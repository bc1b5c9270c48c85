"""Regular collection of cyclic garbage, and return of free memory to the system.

Python collects when enough objects have come, however large what they refer to is.  The objects of
Kafka clients are few, refer to each other and to fetched bytes: without this, a worker under a
steady load gained 10 MB a minute.

May touch: nothing but Python's garbage collector and the allocator.
"""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import suppress
from typing import Any

import faust

from app.worker.memory import give_back

COLLECT_EVERY_S = 30.0
MOST_TIME = 0.01
"""Share of the time that collections may take: after a long one, the next one waits longer."""


def keep_state() -> None:
    """Exempt everything that exists from later collections, until the next call: after partitions
    were read, most of it is state that lives long."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class Garbage:
    """Collects from time to time while the worker runs."""

    def __init__(self, app: faust.App) -> None:
        self._stop = asyncio.Event()
        app.on_before_shutdown.connect(self.stop)
        app.task(self.run)

    async def stop(self, *_: Any, **__: Any) -> None:
        """Stop collecting."""
        self._stop.set()

    async def run(self) -> None:
        """Collect, until stopped."""
        pause_s = COLLECT_EVERY_S
        while not self._stop.is_set():
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause_s)
            began_s = time.monotonic()
            gc.collect()
            await asyncio.to_thread(give_back)
            pause_s = max(COLLECT_EVERY_S, (time.monotonic() - began_s) / MOST_TIME)
