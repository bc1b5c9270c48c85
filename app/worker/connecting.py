"""Connect Faust's own clients, and wait if the broker goes away while the worker starts.  Faust
connects its producer and its consumer once; if the broker goes away after the preflight checks
(`app.worker.preflight`), the worker would end with a traceback.  `app.worker.broker_away`, which
watches the broker later, does not run yet at that time.

May touch: the broker; the process, which it ends if waiting does not help.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog
from aiokafka.errors import KafkaError

from app.kafka.client import started
from app.kafka.connection_errors import why_unreachable
from app.kafka.retry import Stopping, back_off, client_errors
from app.settings import Settings
from app.worker.end_process import refuse, stop_early

log = structlog.get_logger(__name__)

CONNECT_WITHIN_S = 60.0
_ANSWER_WITHIN_S = 15.0


async def connected(
    make: Callable[[], Any],
    settings: Settings,
    should_stop: Callable[[], bool],
    within_s: float = CONNECT_WITHIN_S,
) -> Any:
    """Start the consumer or producer that `make` makes, a new one for each attempt, and return it.
    The process ends with a message if the broker refuses the connection or does not answer for
    `within_s`, and at once when it is asked to stop, since it has taken no input yet.
    """
    give_up = time.monotonic() + within_s
    attempt = 0
    while True:
        try:
            with client_errors():
                return await asyncio.wait_for(started(make()), _ANSWER_WITHIN_S)
        except (KafkaError, OSError) as error:
            lasting = isinstance(error, KafkaError) and not error.retriable
            if lasting or time.monotonic() > give_up:
                refuse(await why_unreachable(settings, error))
            log.warning("worker.waiting_for_broker", broker=settings.broker, error=repr(error))
        try:
            await back_off(attempt, should_stop)
        except Stopping:
            stop_early()
        attempt += 1
