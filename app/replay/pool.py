"""Processes that run a replay's tasks, and their progress.

May touch: processes of its own, which end with this one.

1. Tasks are plain functions, run by processes; with one job, by a thread of this one.
2. The processes are forks while this one has no other thread: what is imported is imported once.
   With other threads, whose locks a fork would inherit, and on macOS, whose libraries do not allow
   it, they are fresh interpreters.  So a pool is best opened first.
3. Each process has a place in an array of shared memory, where it counts the records that it has
   done: not a queue, which a process killed while writing would leave locked.
4. The array's last place means stop: tasks check it between batches.
5. A process watches the pipe that ties it to its parent, and ends with it, also when the parent is
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
import threading
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
HERE, STOP = -2, -1
"""The places of the process that has the pool, and of the word to stop."""

_counters: Any = None
_place = 0


class Stopped(Exception):
    """The task was stopped; the next run does the rest."""


class Lost(EdgeloopError):
    """A process of the pool has died."""

    exit_code = 1


def advance(n: int) -> None:
    """Count `n` more records as done, from within a task.  Raises `Stopped` if the task must
    end."""
    _counters[_place] += n
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


def _begin(counters: Any, taken: Any) -> None:
    """The first thing a process of the pool does."""
    global _counters, _place
    _counters = counters
    with taken:
        _place = taken.value
        taken.value += 1
    # Ctrl-C reaches every process of the terminal: the parent tells us when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Nearly all objects belong to windows and live long: scanning them for garbage costs a tenth of
    # the time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    end_with_parent()


class Pool:
    """`jobs` processes.  A context manager; leaving it stops running tasks."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self.peaks: dict[int, int] = {}
        """Peak memory of each process that has returned a result, by process id."""

    def __enter__(self) -> Pool:
        global _counters, _place
        if self.jobs > 1:
            may_fork = sys.platform != "darwin" and threading.active_count() == 1
            context = multiprocessing.get_context("fork" if may_fork else "spawn")
            self._counters: Any = context.RawArray(ctypes.c_int64, self.jobs + 2)
            self._executor: Executor = ProcessPoolExecutor(
                self.jobs, context, _begin, (self._counters, context.Value(ctypes.c_int))
            )
            if may_fork:  # all of them now, before anything starts a thread
                self._executor.submit(os.getpid).result()
        else:
            _counters = self._counters = (ctypes.c_int64 * 3)()
            _place = 0
            self._executor = ThreadPoolExecutor(1, "replay")
        return self

    def __exit__(self, *error: object) -> None:
        self._counters[STOP] = 1
        self._executor.shutdown(cancel_futures=True)

    @property
    def done(self) -> int:
        """Records done, by all tasks and in this process."""
        return sum(self._counters[:STOP])

    def note(self, n: int) -> None:
        """Count records done in this process."""
        self._counters[HERE] += n

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
