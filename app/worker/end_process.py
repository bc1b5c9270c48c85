"""Every way in which a worker ends at once, without committing unfinished work; others decide when.

May touch: the process.  An exception in a Faust agent, `app.crash()` and a stop all acknowledge the
batch in flight; `os._exit` does not.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import structlog

from app.errors import EdgeloopError
from app.kafka.connection_errors import explained

log = structlog.get_logger(__name__)

EXIT_FATAL = 70
EXIT_STOP_HUNG = 75
STOP_LIMIT_S = 20.0
REPORT_WITHIN_S = 5.0

_guarded = threading.Event()


def end(code: int, report: Callable[[], object]) -> NoReturn:
    """Report, and end the process, also if the report fails or nobody reads it: a log whose reader
    has stopped blocks whoever writes to it, and one on a full disk raises."""
    reporter = threading.Thread(target=report, name="last-words", daemon=True)
    with suppress(RuntimeError):  # no memory for a thread
        reporter.start()
        reporter.join(REPORT_WITHIN_S)
    os._exit(code)


def fatal_exit(where: str, error: BaseException) -> NoReturn:
    """Log `error` with its traceback and end the process: nothing in flight is acknowledged, the
    next start reads it again."""

    def report() -> None:
        refusal = explained(error)
        more = {} if refusal is None else {"what": refusal.what, "do": refusal.remedy}
        log.critical("worker.exits", where=where, error=repr(error), exc_info=error, **more)

    end(EXIT_FATAL, report)


def refuse(error: EdgeloopError) -> NoReturn:
    """Print the error and its remedy, and end the process with the error's exit code.  Nothing in
    flight is acknowledged, and a restart would not help."""

    def report() -> None:
        log.critical("worker.refused", error=error.what, remedy=error.remedy)
        sys.stderr.write(f"Error: {error.what}\n       {error.remedy}\n")
        sys.stderr.flush()

    end(error.exit_code, report)


def stop_early() -> NoReturn:
    """End the process as a stop does, before it has taken any input."""
    end(0, lambda: log.warning("worker.stopped", what="before it had joined"))


def guard_stop(limit_s: float = STOP_LIMIT_S) -> None:
    """Start a thread that ends the process if it is still there `limit_s` after the first call (a
    stop that hangs)."""
    if _guarded.is_set():
        return
    _guarded.set()

    def hung() -> None:
        end(EXIT_STOP_HUNG, lambda: log.critical("worker.stop_hung", limit_s=limit_s))

    timer = threading.Timer(limit_s, hung)
    timer.daemon = True
    timer.start()
