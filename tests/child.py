"""Programs that tests start: they end with the tests, however those end.

May touch: nothing.
"""

from __future__ import annotations

import sys

from app.devstack import processes


def child(*words: str) -> list[str]:
    """The command line of `python WORDS`, which the kernel ends with the thread that starts it.

    Otherwise a worker that outlives a killed test run would try to reach its broker for
    `EDGELOOP_BROKER_AWAY_S`.
    """
    return processes.launcher_command([sys.executable, *words])


def faust(*words: str, app: str = "app") -> list[str]:
    """The command line of `faust -A APP WORDS`."""
    return child("-m", "faust", "-A", app, *words)
