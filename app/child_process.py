"""Processes of pools, which end with their parent.

May touch: a thread of its own, which ends the process.
"""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """End this process when its parent ends, also when the parent is killed.

    A process of a pool waits for tasks on a pipe whose other end its siblings hold as well, so it
    would wait for ever.
    """
    threading.Thread(target=_wait_for_parent, name="end-with-parent", daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
