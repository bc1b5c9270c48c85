"""Notice closes that Kafka deleted before they were read, and committed offsets that are gone.

A consumer whose offset no longer exists silently continues at the earliest record left.  So the
reader compares the offset that should have come next with the one that came.

May touch: the broker: reads offsets, commits offsets of the group `….lost`.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from contextlib import AsyncExitStack
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from app.errors import EdgeloopError
from app.kafka.log_identity import LogIdentity, Lost
from app.kafka.retry import Stopping, client_errors
from app.metrics import LOST, RESETS
from app.settings import Settings
from schemas.kinds import FACTS

log = structlog.get_logger(__name__)


class Unread:
    """Finds the records of one topic (full name) that were deleted before this worker read them."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._next: dict[int, int] = {}  # partition → the offset that comes next
        self._open = AsyncExitStack()
        self._identity: LogIdentity | None = None

    async def assigned(self, partitions: Collection[int]) -> None:
        """Take over these partitions: compare the committed offsets with their beginnings."""
        for number in self._next.keys() - set(partitions):
            del self._next[number]
        fresh = sorted(set(partitions) - self._next.keys())
        if fresh:
            await self._attempt(self._compare(fresh))

    async def passed(self, messages: Iterable[Any]) -> None:
        """Check these messages, which came in the order of their offsets, for gaps."""
        gaps: list[tuple[int, int, int]] = []
        for message in messages:
            expected = self._next.get(message.partition)
            if expected is not None and message.offset > expected:
                gaps.append((message.partition, expected, message.offset))
            self._next[message.partition] = max(expected or 0, message.offset + 1)
        if gaps:
            await self._attempt(self._look_into(gaps))

    async def stop(self) -> None:
        """Close the connections."""
        self._identity = None
        await self._open.aclose()

    async def _attempt(self, looking: Any) -> None:
        """While the broker is away, the check is skipped; reading continues."""
        try:
            with client_errors():
                await looking
        except (KafkaError, OSError, EdgeloopError, Stopping) as error:
            log.warning("unread.look_failed", topic=self._topic, error=repr(error))
            await self.stop()

    async def _looked(self) -> LogIdentity:
        if self._identity is None:
            self._identity = await self._open.enter_async_context(LogIdentity(self._settings))
        return self._identity

    async def _compare(self, fresh: Iterable[int]) -> None:
        identity = await self._looked()
        group = self._settings.consumer_group
        committed = await identity.committed(group)
        bounds = await identity.bounds(self._topic)
        noted = (await identity.noted()).ends
        facts = await identity.bounds(self._settings.topic(FACTS))
        begun_before = any(end > 0 for _, end in facts.values())
        for number in fresh:
            tp = TopicPartition(self._topic, number)
            if tp not in bounds:
                continue
            begin, end = bounds[tp]
            known = committed.get(tp)
            if known is None or known.offset < 0:
                was = noted.get((self._topic, number))
                if begun_before and end > begin and was is not None and was.offset > 0:
                    RESETS.labels(self._topic).inc()
                    log.warning(
                        "log.offset_missing",
                        topic=self._topic,
                        partition=number,
                        group=group,
                        read_again_from=begin,
                    )
            elif known.offset < begin:
                await self._tell(identity, number, known.offset, begin)
            self._next[number] = max(begin, known.offset if known is not None else begin)

    async def _look_into(self, gaps: Iterable[tuple[int, int, int]]) -> None:
        """Transaction markers leave gaps, too: only what lies before the beginning was deleted."""
        identity = await self._looked()
        bounds = await identity.bounds(self._topic)
        for number, expected, came in gaps:
            begin, _ = bounds.get(TopicPartition(self._topic, number), (0, 0))
            if begin > expected:
                await self._tell(identity, number, expected, min(begin, came))

    async def _tell(self, identity: LogIdentity, number: int, start: int, before: int) -> None:
        records = before - start
        LOST.labels(self._topic).inc(records)
        log.error(
            "log.records_lost",
            topic=self._topic,
            partition=number,
            offset=start,
            before=before,
            records=records,
        )
        await identity.note_lost(
            Lost(self._topic, number, records, before, round(time.time() * 1000))
        )
