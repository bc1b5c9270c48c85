"""Thread pools whose threads all start at once.

A pool of `concurrent.futures` starts another thread whenever none is idle.  So a worker would get
threads, and the memory that the allocator keeps for each of them, hours after its start.

May touch: threads.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

LOOP_THREADS = 4
"""For `asyncio.to_thread` and for looking up names: `ingest`, the projector, and two more."""


def started_pool(threads: int, name: str) -> ThreadPoolExecutor:
    """A pool of so many threads, all of which are starting."""
    pool = ThreadPoolExecutor(threads, name)
    everyone = Barrier(threads)  # none is idle before the last one runs
    for _ in range(threads):
        pool.submit(everyone.wait)
    return pool
