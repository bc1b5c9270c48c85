"""Regular collection of cyclic garbage, and return of free memory to the system.

Python collects when enough objects have come, however large what they refer to is.  The objects of
Kafka clients are few, refer to each other and to fetched bytes: without this, a worker under a
steady load gained 10 MB a minute.

May touch: nothing but Python's garbage collector and the allocator.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from itertools import count
from typing import Any

import faust

from app.worker.memory import collect_all, collect_new, give_back

COLLECT_EVERY_S = 30.0
ALL_EVERY = 20
"""One in so many collections looks at all objects, the others only at those that have come since
the last one.  With 150 000 trades and 60 000 lessons, looking at all takes 60 ms of CPU, during
which nothing else runs."""
MOST_TIME = 0.01
"""Share of the time that collections may take: after a long one, the next one waits longer."""


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
        for number in count(1):
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause_s)
            if self._stop.is_set():
                return
            began_s = time.monotonic()
            if number % ALL_EVERY:
                collect_new()
            else:
                collect_all()
            await asyncio.to_thread(give_back)
            pause_s = max(COLLECT_EVERY_S, (time.monotonic() - began_s) / MOST_TIME)
