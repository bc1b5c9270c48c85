"""Free ports on the loopback interface.

May touch: sockets on 127.0.0.1, each for a moment.
"""

from __future__ import annotations

import random
import socket

HOST = "127.0.0.1"
# Below the ranges from which Linux (32768) and macOS (49152) take ports for outgoing connections,
# so that a port is still free when a stack starts again after a while.
FIRST, LAST = 20_000, 32_000


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now."""
    with socket.socket() as probe:
        # As servers do: closing connections of a predecessor do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def accepts(port: int, timeout_s: float = 1.0) -> bool:
    """Whether someone listens on `port`."""
    try:
        socket.create_connection((HOST, port), timeout_s).close()
    except OSError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """`count` different ports on which nothing listens now.  That may change a moment later, so
    callers must be ready to try again."""
    candidates = random.SystemRandom().sample(range(FIRST, LAST), LAST - FIRST)
    found = []
    for port in candidates:
        if is_free(port):
            found.append(port)
            if len(found) == count:
                return found
    raise OSError(f"fewer than {count} free ports from {FIRST} to {LAST} on {HOST}")
