"""aiokafka's consumer, which asks for the metadata of all topics in one request.

Where it is asked for offsets of topics that it does not know yet, aiokafka raises for the first of
them, waits 0.1 s, and tries again: a second for ten topics.

May touch: the broker (read only).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndTimestamp


class Consumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """See `AIOKafkaConsumer`."""

    async def beginning_offsets(
        self, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """The first offset of each partition."""
        await self._know(partitions)
        return dict(await super().beginning_offsets(partitions))

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record of each partition."""
        await self._know(partitions)
        return dict(await super().end_offsets(partitions))

    async def offsets_for_times(
        self, timestamps: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """The first record of each partition at or after a time in ms since 1970."""
        await self._know(timestamps)
        return dict(await super().offsets_for_times(timestamps))

    async def _know(self, partitions: Iterable[TopicPartition]) -> None:
        known = self._client._topics
        unknown = {tp.topic for tp in partitions} - known
        if unknown:
            # Without an answer, aiokafka's own attempts follow.
            await self._client.set_topics(known | unknown)
