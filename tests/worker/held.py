"""`python -m tests.worker.held PLACE FILE`: a worker that halts during its start, at PLACE, until
FILE is deleted; it creates FILE when it gets there.

May touch: FILE; what a worker touches.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

PLACES = ("looked", "connected")
POLL_S = 0.05


def halting(step: Callable[..., Awaitable[Any]], file: Path) -> Callable[..., Awaitable[Any]]:
    """`step`, followed by a halt."""

    async def halted(*args: Any, **kwargs: Any) -> Any:
        result = await step(*args, **kwargs)
        await asyncio.to_thread(_halt, file)
        return result

    return halted


def _halt(file: Path) -> None:
    file.touch()
    while file.exists():
        time.sleep(POLL_S)


if __name__ == "__main__":
    place, file = sys.argv[1], Path(sys.argv[2])
    assert place in PLACES, place
    sys.argv = ["faust", "-A", "app", "worker", "-l", "info"]  # Faust reads it on import
    from faust.cli.faust import cli

    from app.worker import preflight
    from app.worker.process import CommittedThread

    if place == "looked":
        preflight.preflight = halting(preflight.preflight, file)  # type: ignore[assignment]
    else:
        CommittedThread.on_start = halting(CommittedThread.on_start, file)  # type: ignore[method-assign]
    cli()
