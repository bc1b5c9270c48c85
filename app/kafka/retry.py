"""Retries in place, with a back-off that can be stopped.

May touch: nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiokafka.errors import ConsumerStoppedError, KafkaConnectionError

from edgeloop.back_off import back_off_s


class Stopping(Exception):
    """The caller is being stopped; the next start reads unfinished work from the log."""


async def back_off(attempt: int, should_stop: Callable[[], bool]) -> None:
    """Sleep before retry number `attempt` (0, 1, …), with jitter.

    Raises `Stopping` when asked to stop.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + back_off_s(attempt) * random.uniform(0.5, 1.0)
    while (left := until - loop.time()) > 0:
        if should_stop():
            raise Stopping
        await asyncio.sleep(min(left, 0.1))


def was_cancelled() -> bool:
    """Whether somebody has cancelled the current task.

    If not, a `CancelledError` comes from a Kafka client that has given up a request, as its broker
    is away.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@contextmanager
def client_errors() -> Iterator[None]:
    """Turn a client's own errors into a `KafkaConnectionError`: the `CancelledError` of a request
    that it gave up, and the error of a consumer that was closed meanwhile.  Uncaught, a
    `CancelledError` would silently end the calling task; this way the caller retries.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        if was_cancelled():
            raise
        raise KafkaConnectionError("The client gave up a request.") from error
    except ConsumerStoppedError as error:
        raise KafkaConnectionError("The client was closed meanwhile.") from error


def later(should_stop: Callable[[], bool], seconds: float) -> Callable[[], bool]:
    """`should_stop`, delayed by `seconds`, so that work in flight can finish despite a slow broker.
    The delay counts from the first call after the stop.
    """
    since: list[float] = []

    def asked() -> bool:
        if should_stop() and not since:
            since.append(time.monotonic())
        return bool(since) and time.monotonic() - since[0] >= seconds

    return asked
