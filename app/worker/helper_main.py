"""The program of a helper process: it answers one request after the other, see `helpers.py`.

May touch: the pipes that tie it to its parent, this process, its allocator, and what the requests
touch.
"""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import threading
from typing import Any

from app.worker.memory import keep_free


def main() -> None:
    """Answer requests until the parent closes the pipe, or ends."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is for the log, not for the parent
    # Ctrl-C reaches every process of the terminal: the parent closes the pipe when it is time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Most objects that are made here live until they are sent.
    gc.set_threshold(50_000, 20, 100)
    keep_free()
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    while True:
        try:
            function, argument = pickle.load(requests)
        except EOFError:
            return
        try:
            reply = True, function(argument)
        except Exception as error:
            # Only what kind of error: the parent does the work itself, and meets it there.
            reply = False, isinstance(error, MemoryError)
        replies.write(_pickled(reply))
        replies.flush()
        del function, argument, reply


def _pickled(reply: tuple[bool, Any]) -> bytes:
    """The reply in one piece: where it cannot be pickled, nothing half written is in the pipe."""
    try:
        return pickle.dumps(reply, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        return pickle.dumps((False, isinstance(error, MemoryError)))


def _end_with_parent() -> None:
    """End this process when the other end of the pipe is closed, also in the middle of a
    request."""
    pipe = select.poll()
    pipe.register(0, 0)  # reports nothing but the end
    while not pipe.poll():
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
