"""ingest: a closed position becomes its facts, one per group, or a dead letter
(`facts_or_letters.py`).  This file has the side towards Kafka: it sends them, retries while the
broker is away, and notices closes that were deleted before they were read.

May touch: the broker: sends facts and dead letters; reads and writes the control log; reads offsets
and notes gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import structlog
from aiokafka.errors import KafkaError

from app.kafka.control import ControlLog
from app.kafka.producer import Producer
from app.kafka.records import Outgoing
from app.kafka.retry import back_off, client_errors, later
from app.kafka.unread_closes import Unread
from app.metrics import BATCH_SECONDS
from app.settings import Settings
from app.stages.facts_or_letters import FactsOrLetters
from schemas.kinds import CLOSES

log = structlog.get_logger(__name__)

FINISH_WITHIN_S = 5.0
"""Time after a stop in which the control log may still answer for closes in flight; the stop waits
for 20 s."""
_SECONDS = BATCH_SECONDS.labels("ingest")


class Ingest:
    """Closes in; facts and dead letters out, with confirmed delivery."""

    def __init__(self, settings: Settings, should_stop: Callable[[], bool]) -> None:
        self._should_stop = should_stop
        self._producer = Producer(settings, should_stop)
        self._unread = Unread(settings, settings.topic(CLOSES))
        self._control = ControlLog(settings, later(should_stop, FINISH_WITHIN_S))
        self._facts_or_letters = FactsOrLetters(settings, self._control)

    async def assigned(self, partitions: Collection[int]) -> None:
        """Take over these partitions of `position_closed`."""
        await self._unread.assigned(partitions)

    async def take(self, messages: Sequence[Any]) -> None:
        """Send the facts or dead letters of these closes; returns once they are delivered.

        Raises `Stopping`: then some may not be, and none may be acknowledged.
        """
        await self._unread.passed(messages)
        with _SECONDS.time():
            await self._producer.send(await self._outgoing(messages))

    async def _outgoing(self, messages: Sequence[Any]) -> list[Outgoing]:
        attempt = 0
        while True:
            try:
                with client_errors():
                    return await self._facts_or_letters.process(messages)
            except (KafkaError, OSError) as error:
                log.warning("control.retry", error=repr(error), attempt=attempt)
                await back_off(attempt, self._should_stop)
                attempt += 1

    async def stop(self) -> None:
        """Close the connections."""
        await self._producer.stop()
        await self._unread.stop()
        await self._control.stop()
