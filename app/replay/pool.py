"""Processes that run a replay's tasks, and their progress.

May touch: processes of its own, which end with this one.

1. Tasks are plain functions of one argument, run by spawned processes; with one job, by a thread of
   this one.
2. Each task has a slot in an array of shared memory, where it counts the records that it has done:
   not a queue, which a process killed while writing would leave locked.
3. The array's last slot means stop: tasks check it between batches.
4. A process watches the pipe that ties it to its parent, and ends with it, also when the parent is
   killed.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from app.child_process import end_with_parent
from app.errors import EdgeloopError

T = TypeVar("T")
POLL_S = 0.2
STOP = -1
"""The slot that tells tasks to stop."""

_counters: Any = None


class Stopped(Exception):
    """The task was stopped; the next run does the rest."""


class Lost(EdgeloopError):
    """A process of the pool has died."""

    exit_code = 1


def advance(slot: int, n: int) -> None:
    """Count `n` more records as done, from within a task.  Raises `Stopped` if the task must
    end."""
    _counters[slot] += n
    if _counters[STOP]:
        raise Stopped


def peak_bytes() -> int:
    """Peak memory of this process, without that of the process which started it: on Linux
    `ru_maxrss` survives `exec`."""
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split(maxsplit=1)[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _begin(counters: Any) -> None:
    """The first thing a process of the pool does."""
    global _counters
    _counters = counters
    # Ctrl-C reaches every process of the terminal: the parent tells us when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Nearly all objects belong to windows and live long: scanning them for garbage costs a tenth of
    # the time.
    gc.set_threshold(50_000, 20, 100)
    end_with_parent()


class Pool:
    """`jobs` processes and `slots` counters.  A context manager; leaving it stops running tasks."""

    def __init__(self, jobs: int, slots: int) -> None:
        self.jobs = jobs
        self.peaks: dict[int, int] = {}
        """Peak memory of each process that has returned a result, by process id."""
        self._slots = slots

    def __enter__(self) -> Pool:
        global _counters
        context = multiprocessing.get_context("spawn")
        if self.jobs > 1:
            self._counters: Any = context.RawArray(ctypes.c_int64, self._slots + 1)
            self._executor: Executor = ProcessPoolExecutor(
                self.jobs, context, _begin, (self._counters,)
            )
        else:
            _counters = self._counters = (ctypes.c_int64 * (self._slots + 1))()
            self._executor = ThreadPoolExecutor(1, "replay")
        return self

    def __exit__(self, *error: object) -> None:
        self._counters[STOP] = 1
        self._executor.shutdown(cancel_futures=True)

    @property
    def done(self) -> list[int]:
        """Records done, by slot."""
        return list(self._counters[: self._slots])

    def note(self, slot: int, n: int) -> None:
        """Count records done in this process."""
        self._counters[slot] += n

    def submit(self, task: Callable[..., T], *arguments: Any) -> Future[T]:
        """Start a task as soon as there is a process for it."""
        return self._executor.submit(_measured, task, arguments)  # type: ignore[arg-type]

    def result(self, future: Future[Any]) -> Any:
        """The result of a finished task."""
        try:
            pid, peak, value = future.result()
        except BrokenProcessPool as error:
            raise Lost(
                "A replay process was killed, possibly because it ran out of memory.",
                "Run the same command again; it resumes where it stopped.  --jobs 1 needs less"
                " memory.",
            ) from error
        self.peaks[pid] = max(peak, self.peaks.get(pid, 0))
        return value

    def run(
        self, task: Callable[..., T], arguments: Sequence[Any], tick: Callable[[], None]
    ) -> Iterator[T]:
        """Run a task for each of the arguments, started in their order, and yield the results as
        they arrive; `tick` is called meanwhile."""
        open_ = {self.submit(task, argument) for argument in arguments}
        while open_:
            done, open_ = wait(open_, POLL_S, FIRST_COMPLETED)
            tick()
            for future in done:
                yield self.result(future)


def _measured(task: Callable[..., T], arguments: Sequence[Any]) -> tuple[int, int, T]:
    value = task(*arguments)
    return os.getpid(), peak_bytes(), value
