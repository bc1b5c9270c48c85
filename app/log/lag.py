"""How far each role is behind: its lag in records, and whether the whole chain is idle.

May touch: the broker (read only: end offsets and committed offsets).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from app.log.admin import admin
from app.log.groups import progress_group, projector_group
from app.log.reader import partitions_of, reader
from app.log.topics import require_existence
from app.settings import Settings
from schemas.kinds import CLOSES, DERIVED, FACTS, LESSONS


@dataclass(frozen=True)
class Lag:
    """Records of one topic that a role has not done yet.

    `group` is the consumer group whose committed offsets say so.  `next_offsets` are the places of
    the first such records, of partitions that have any.
    """

    role: str
    topic: str
    group: str
    records: int
    by_partition: Mapping[int, int]
    next_offsets: Mapping[int, int]


def chain(settings: Settings) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """(role, group, topics) in the order of the data flow.

    The progress of ingest is what Faust has committed; of the learners, what they have folded,
    refitted and published; of the projector, what it has committed after writing.
    """
    return (
        ("ingest", settings.consumer_group, (CLOSES,)),
        ("lesson_builder", progress_group(settings, "lesson_builder"), (FACTS,)),
        ("override_materializer", progress_group(settings, "override_materializer"), (LESSONS,)),
        ("projector", projector_group(settings), DERIVED),
    )


class LagReader:
    """Keeps its connections open for repeated queries: an async context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open = AsyncExitStack()
        self._consumer: AIOKafkaConsumer
        self._admin: AIOKafkaAdminClient

    async def __aenter__(self) -> LagReader:
        """Raises `UnreachableError`, and `ConfigurationError` where a topic is missing."""
        names = [name for _, _, topics in chain(self._settings) for name in topics]
        await require_existence(self._settings, names)
        self._admin = await self._open.enter_async_context(admin(self._settings))
        self._consumer = reader(self._settings)
        self._open.push_async_callback(self._consumer.stop)
        await self._consumer.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._open.aclose()

    async def lags(self) -> list[Lag]:
        """Lag per role and topic, read in the order of the data flow.

        If all are 0, nothing was in flight when the first was read.
        """
        return [
            await self._lag(role, group, topic)
            for role, group, topics in chain(self._settings)
            for topic in topics
        ]

    async def _lag(self, role: str, group: str, topic: str) -> Lag:
        committed = await self._committed(group)
        partitions = partitions_of(self._settings, topic)
        ends = await self._consumer.end_offsets(partitions)
        begins = await self._consumer.beginning_offsets(partitions)
        behind = {
            tp.partition: max(0, ends[tp] - max(committed.get(tp, -1), begins[tp]))
            for tp in partitions
        }
        firsts = {tp.partition: ends[tp] - behind[tp.partition] for tp in partitions}
        return Lag(
            role,
            self._settings.topic(topic),
            group,
            sum(behind.values()),
            behind,
            {partition: first for partition, first in firsts.items() if behind[partition]},
        )

    async def _committed(self, group: str) -> dict[TopicPartition, int]:
        try:
            found = await self._admin.list_consumer_group_offsets(group)
        except KafkaError:
            return {}  # a group that never committed
        return {tp: committed.offset for tp, committed in found.items()}
