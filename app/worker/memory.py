"""How much memory this process may use, waiting until there is room, and when to return what is
free.

May touch: /proc and /sys of this process (read only), Python's garbage collector, the allocator.

A worker that takes in more than its limit allows is killed, reads the same again at its next start,
and is killed again.  So near the limit it takes no input and refits nothing.  It reports this and
is not ready; its published records stay.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from app.kafka.retry import Stopping
from app.metrics import MEMORY_FULL

log = structlog.get_logger(__name__)

FULL = 0.9
"""The part of the limit on resident memory at which input stops: beyond the limit, the system kills
the process."""
FULL_SPACE = 0.97
"""The same for the address space, most of which is never touched: beyond the limit, only
allocations fail."""
LOG_EVERY_S = 30.0
PAUSE_S = 1.0
"""Time without work after which free memory is returned to the system."""
KEPT_BYTES = 64 << 20
"""Free memory at the end of the heap that a process with `keep_free` keeps."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of mallopt(3)
_PAGE = os.sysconf("SC_PAGE_SIZE")
_NO_LIMIT = 1 << 60


def limits(root: Path = Path("/")) -> tuple[int | None, int | None]:
    """Bytes that may be resident (the cgroup's), and bytes of address space (`ulimit -v`)."""
    found: list[int] = []
    groups = ""
    with suppress(OSError):
        groups = (root / "proc/self/cgroup").read_text()
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        base = root / ("sys/fs/cgroup/memory" if controllers else "sys/fs/cgroup")
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        # In a container, its own control group is mounted as the root.
        for folder in (base / path.lstrip("/"), base):
            with suppress(OSError, ValueError):
                found.append(int((folder / name).read_text()))
    resident = min((limit for limit in found if 0 < limit < _NO_LIMIT), default=None)
    space, _ = resource.getrlimit(resource.RLIMIT_AS)
    return resident, None if space == resource.RLIM_INFINITY else space


_LIMITS = limits()


def part_used() -> float:
    """The used part of the nearest limit: 1 when input should stop, 0 without a limit."""
    if _LIMITS == (None, None):
        return 0.0
    return max(bytes_ / (part * limit) for bytes_, limit, part in _used() if limit is not None)


def _used() -> tuple[tuple[int, int | None, float], ...]:
    """Bytes used, limit, and the part of it at which input stops: of memory, and of space."""
    size, resident = (
        int(pages) * _PAGE for pages in Path("/proc/self/statm").read_text().split()[:2]
    )
    return (resident, _LIMITS[0], FULL), (size, _LIMITS[1], FULL_SPACE)


def spare_bytes(root: Path = Path("/")) -> int | None:
    """Bytes that this process may still use before input stops, or the system has none left; None
    if that is not known."""
    found: list[int] = []
    with suppress(OSError, ValueError, IndexError):
        meminfo = (root / "proc/meminfo").read_text()
        found.append(1024 * int(meminfo.partition("MemAvailable:")[2].split(maxsplit=1)[0]))
    found += [int(part * limit) - bytes_ for bytes_, limit, part in _used() if limit is not None]
    return min(found, default=None)


def is_full() -> bool:
    """Whether input should pause."""
    return part_used() > 1.0


async def room(role: str, aborted: Callable[[], bool]) -> None:
    """Return as soon as there is room for more.  Raises `Stopping` when aborted."""
    if not is_full():
        return
    await asyncio.to_thread(_collect)
    logged_s = 0.0
    try:
        while is_full():
            if aborted():
                raise Stopping
            if time.monotonic() - logged_s > LOG_EVERY_S:
                logged_s = time.monotonic()
                MEMORY_FULL.labels(role).set(1)
                log.error("memory.full", role=role, used=round(part_used(), 3), do=REMEDY)
            await asyncio.sleep(0.5)
    finally:
        MEMORY_FULL.labels(role).set(0)


REMEDY = (
    "Raise the memory limit, spread the roles or partitions over more workers, or lower"
    " EDGELOOP_WINDOW_TRADES or EDGELOOP_MAX_GROUPS."
)


def _collect() -> None:
    """Free what is garbage, and return it to the system."""
    collect_all()
    give_back()


def collect_all() -> None:
    """Free all cyclic garbage.  What is left is exempt from collections until the next call: most
    of it is state that lives long."""
    gc.unfreeze()
    collect_new()


def collect_new() -> None:
    """Free the cyclic garbage among the objects that have come since the last call, and exempt the
    others.  The cycles of Kafka clients and of errors are young; one that is exempt before it
    becomes garbage waits for `collect_all`."""
    gc.collect()
    gc.freeze()


class Spare:
    """When the free memory that a loop's work leaves is to be returned to the system: after a pause
    in the work."""

    def __init__(self) -> None:
        self._worked_s = 0.0
        self._has = False

    def worked(self, now_s: float) -> None:
        """Note that there was work until now."""
        self._worked_s, self._has = now_s, True

    def due(self, now_s: float) -> bool:
        """Whether to return memory now; then it counts as returned."""
        if not self._has or now_s - self._worked_s < PAUSE_S:
            return False
        self._has = False
        return True


def keep_free() -> None:
    """Keep free memory from now on, where the system's allocator has such a setting: for processes
    that soon end.  Arrays of megabytes come and go in a refit, and for each of them the allocator
    would otherwise ask the system for pages, which it fills with zeros, and return them: an eighth
    of a refit's CPU."""
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES // 2)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)


def one_heap() -> None:
    """Have all threads that start from now on use one heap, where the system's allocator has such a
    setting.  With a heap of their own, threads for refits kept 20 MB that a few results among them
    held.  They seldom wait for each other, since most of what allocates holds the interpreter's
    lock."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Return free memory to the system where its allocator keeps it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
