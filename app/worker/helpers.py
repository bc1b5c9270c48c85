"""Processes that help a worker with a backlog, each of which ends when it has nothing to do.

A worker has one interpreter lock: what takes seconds of Python runs in one thread at a time, on
however many cores.  Helpers do such work when there is enough of it to pay for their start, which
takes some `START_S` of CPU each.

1. Work is a function and its argument; both, and the result, are pickled.  It depends on nothing
   else, so it does not matter which process does it.
2. A helper is a fresh interpreter, not a fork: a fork would inherit locks that other threads hold.
3. A thread of this process belongs to each helper: it hands over work, waits for the result, and
   ends the helper after `IDLE_S` without work.
4. A helper that dies, or whose work fails, costs time only: the caller gets `Lost` and does the
   work itself.
5. A helper ends at once when this process ends, however it ends: it watches the pipe between them.

May touch: processes of its own, and threads; /proc and /sys (read only), through `memory`.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future
from contextlib import suppress
from importlib import import_module
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import structlog

from app.worker.memory import spare_bytes

log = structlog.get_logger(__name__)

Work = tuple[Callable[[Any], Any], Any, Future[Any]]
Argument = TypeVar("Argument")
Result = TypeVar("Result")

MOST = min(4, len(os.sched_getaffinity(0)))
"""Helpers at a time."""
START_S = 1.0
"""What starting a helper costs: an interpreter, numpy and scipy."""
IDLE_S = 5.0
"""After this time without work a helper ends."""
HELPER_BYTES = 160 << 20
"""Memory of a helper, without what it is given."""
WORTH_HELP_RECORDS = 200_000
"""Reading this many records in helpers saves more time than it takes to start them."""
RECORD_BYTES = 600
"""Memory for a record that a helper reads, until it has handed it over, and here afterwards."""


class Lost(Exception):
    """The helper has died, or could not do the work: do it yourself."""


class _Crew:
    """Helpers that share a queue of work; None in it tells one of them to end."""

    def __init__(self) -> None:
        self.work: SimpleQueue[Work | None] = SimpleQueue()
        self.running: set[subprocess.Popen[bytes]] = set()


class Helpers:
    """The helpers of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._crew = _Crew()

    @property
    def number(self) -> int:
        """Helpers that are there."""
        return len(self._crew.running)

    def start(self, number: int = MOST, more_bytes: int = 0, own_bytes: int = 0) -> bool:
        """Start as many helpers as are missing, if there is a core and memory for each.

        `more_bytes` is the memory that each needs for its work, `own_bytes` what this process will
        need meanwhile.  Returns whether any is there.
        """
        with self._lock:
            wanted = min(number, MOST if MOST > 1 else 0)
            if (spare := spare_bytes()) is not None:
                wanted = min(wanted, (spare - own_bytes) // (HELPER_BYTES + more_bytes))
            crew = self._crew
            for _ in range(wanted - len(crew.running)):
                try:
                    process = _started()
                except (OSError, MemoryError) as error:
                    log.warning("helper.not_started", error=repr(error))
                    break
                crew.running.add(process)
                name = f"helper-{process.pid}"
                threading.Thread(
                    target=self._serve, args=(crew, process), name=name, daemon=True
                ).start()
            return bool(crew.running)

    def start_for(self, records: Collection[int], module: str) -> bool:
        """Start a helper for each of some parts of a log, of so many records, if that pays; they
        import `module`, which has the function that reads them.  Returns whether any is there."""
        parts = [n for n in records if n]
        if len(parts) < 2 or sum(parts) < WORTH_HELP_RECORDS:
            return False
        if not self.start(len(parts), RECORD_BYTES * max(parts), RECORD_BYTES * sum(parts)):
            return False
        for _ in range(self.number):
            self.submit(_load, module)
        return True

    def submit(self, function: Callable[[Argument], Result], argument: Argument) -> Future[Result]:
        """Have a helper do this as soon as one is free.

        The result may raise `Lost`, and `MemoryError` if the helper ran out of memory.
        """
        future: Future[Result] = Future()
        with self._lock:
            if self._crew.running:
                self._crew.work.put((function, argument, future))
            else:
                future.set_exception(Lost())
        return future

    def end(self) -> None:
        """End all helpers, whatever they do; others can be started at once."""
        with self._lock:
            crew, self._crew = self._crew, _Crew()
            for process in crew.running:
                process.kill()
                crew.work.put(None)  # for a thread that waits for work

    def _serve(self, crew: _Crew, process: subprocess.Popen[bytes]) -> None:
        """The thread of a helper."""
        lost = False
        while not lost:
            try:
                work = crew.work.get(timeout=IDLE_S)
            except Empty:
                if self._leave(crew, process, idle=True):
                    return
                continue
            if work is None:
                break
            if work[2].set_running_or_notify_cancel():
                lost = not _done(process, *work)
            del work
        self._leave(crew, process, idle=False)

    def _leave(self, crew: _Crew, process: subprocess.Popen[bytes], idle: bool) -> bool:
        """End a helper, unless work has come for an idle one.  With the last helper, the work that
        waits is lost."""
        left: list[Work | None] = []
        with self._lock:
            if idle and not crew.work.empty():
                return False
            crew.running.discard(process)
            while not crew.running:
                try:
                    left.append(crew.work.get_nowait())
                except Empty:
                    break
        process.kill()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]  # both are pipes
        process.wait()
        for work in left:
            if work is not None and work[2].set_running_or_notify_cancel():
                work[2].set_exception(Lost())
        return True


def _load(module: str) -> None:
    import_module(module)


def _started() -> subprocess.Popen[bytes]:
    # `-c` with our own path, since `-m` would look in the working directory first.
    program = (
        "import sys; sys.path[:] = sys.argv[1:]; from app.worker.helper_main import main; main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, *sys.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def _done(
    process: subprocess.Popen[bytes],
    function: Callable[[Any], Any],
    argument: Any,
    future: Future[Any],
) -> bool:
    """Have a helper do this work; whether it is still there."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        # Pickled before it is sent: a failure leaves nothing half written.
        request = pickle.dumps((function, argument), pickle.HIGHEST_PROTOCOL)
        process.stdin.write(request)
        process.stdin.flush()
        worked, result = pickle.load(process.stdout)
    except MemoryError as error:
        future.set_exception(error)
        return False  # a part of the reply may be in the pipe
    except Exception as error:
        log.warning("helper.lost", pid=process.pid, error=repr(error))
        future.set_exception(Lost())
        return False
    if worked:
        future.set_result(result)
    else:
        future.set_exception(MemoryError() if result else Lost())
    return True


HELPERS = Helpers()
"""Those of this process: all of its partitions share them."""
