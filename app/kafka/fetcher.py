"""Read single records by topic, partition and offset.

May touch: the broker (read only).
"""

from __future__ import annotations

from aiokafka import ConsumerRecord, TopicPartition

from app.kafka.bulk_reader import reader, unreachable
from app.kafka.client import started
from app.kafka.consumer import Consumer
from app.settings import Settings
from edgeloop.close_client import close_client
from edgeloop.cluster import look

READ_WITHIN_MS = 10_000


class Fetcher:
    """Fetches records one by one over one connection: an async context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: Consumer | None = None

    async def __aenter__(self) -> Fetcher:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._consumer is not None:
            await close_client(self._consumer)

    async def fetch(self, topic: str, partition: int, offset: int) -> ConsumerRecord | None:
        """The record at a position of `topic` (full name); None if it does not exist, or no longer.

        Raises `UnreachableError`.
        """
        tp = TopicPartition(topic, partition)
        with unreachable(self._settings, topic):
            if self._consumer is None:
                self._consumer = await started(reader(self._settings))
            seen = await look(self._consumer._client, [topic])
            there = seen is None or (
                topic in seen.topics and partition in seen.topics[topic].leaders
            )
            if not there:
                return None
            self._consumer.assign([tp])
            begin = (await self._consumer.beginning_offsets([tp]))[tp]
            end = (await self._consumer.end_offsets([tp]))[tp]
            if not begin <= offset < end:
                return None
            self._consumer.seek(tp, offset)
            got = await self._consumer.getmany(tp, timeout_ms=READ_WITHIN_MS, max_records=1)
        found = got.get(tp, [])
        return found[0] if found and found[0].offset == offset else None
