"""Step 5 of the protocol: look for offsets that Faust never delivers, and for records that others
published.

May touch: the broker (read only), except that `Hydration` resends records that a late one hides.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping

import structlog
from aiokafka.errors import KafkaError

from app.kafka.bulk_reader import reader
from app.kafka.client import started
from app.kafka.consumer import Consumer
from app.kafka.retry import client_errors
from app.ownership.hydration import Hydration
from app.ownership.partition import Partition
from app.ownership.publication import Publication
from app.settings import Settings
from edgeloop.close_client import close_client

log = structlog.get_logger(__name__)

WATCH_EVERY_S = 5.0


class Watch:
    """Checks the logs beside the stream, over one connection that stays open.

    `read_on` reads the log for partitions that are behind.
    """

    def __init__(
        self,
        settings: Settings,
        publication: Publication,
        hydration: Hydration,
        read_on: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._publication = publication
        self._hydration = hydration
        self._read_on = read_on
        self._consumer: Consumer | None = None

    async def look(
        self, partitions: Mapping[int, Partition], should_stop: Callable[[], bool]
    ) -> bool:
        """Whether there are new offsets or foreign records.  Raises `Stopping`, `KafkaError` and
        `OSError`."""
        if self._consumer is None:
            self._consumer = await started(reader(self._settings))
        try:
            with client_errors():
                passed = await self._pass_markers(self._consumer, partitions)
                overwritten = await self._publication.overwritten(self._consumer, partitions)
                if overwritten:
                    await self._heal(self._consumer, partitions, should_stop)
        except (KafkaError, OSError):
            await self.stop()
            raise
        return passed or overwritten

    async def _pass_markers(self, consumer: Consumer, partitions: Mapping[int, Partition]) -> bool:
        """Count offsets that Faust never delivers as read.

        The marker that ends a transaction has an offset, which may be the last of the log.
        """
        now_s = time.monotonic()
        quiet = [
            number
            for number, partition in partitions.items()
            if not partition.pending and now_s - partition.last_new_s > WATCH_EVERY_S
        ]
        unread = {
            number: end
            for number, end in (await self._hydration.ends(consumer, quiet)).items()
            if end > partitions[number].next_offset
        }
        for number, end in unread.items():
            partitions[number].fall_behind(end)
        if unread:
            await self._read_on()
        return bool(unread)

    async def _heal(
        self,
        consumer: Consumer,
        partitions: Mapping[int, Partition],
        should_stop: Callable[[], bool],
    ) -> None:
        """Read everything published again: the next refit corrects the differences."""
        log.warning("output.overwritten", role=self._hydration.role)
        # If this worker was the one that was frozen, the other one has read more: catch up before
        # comparing with its records.
        for partition in partitions.values():
            partition.fall_behind(partition.next_offset)
        await self._read_on()
        await self._hydration.adopt(consumer, list(partitions.values()), should_stop)

    async def stop(self) -> None:
        """Close the connection."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await close_client(consumer)
