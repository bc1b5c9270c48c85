"""The options of every Kafka client, so that connections are configured in one place.

May touch: nothing.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from app.settings import Settings

REQUEST_TIMEOUT_MS = 30_000


def client_options(settings: Settings, **more: Any) -> dict[str, Any]:
    """The keyword arguments of an aiokafka client of this installation; `more` are added."""
    return {
        "bootstrap_servers": settings.broker,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        **more,
    }


def faust_broker(settings: Settings) -> str:
    """The broker as Faust's setting `broker` names it."""
    return ";".join(f"kafka://{address}" for address in settings.broker.split(","))


def client_id() -> str:
    """The client id of this worker's connections, by which `faust -A app workers` distinguishes
    workers."""
    return f"edgeloop-{socket.gethostname()}-{os.getpid()}"
