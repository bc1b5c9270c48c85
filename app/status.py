"""How far each role has got: its lag in records, and whether the whole chain is idle.

May touch: the broker (read only: end offsets and committed offsets, the same that Kafka's own tools show).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from app import topics
from app.broker import progress_group, reader
from app.settings import Settings
from app.storage.rebuild import projector_group


@dataclass(frozen=True)
class Lag:
    """Records of one topic that a role has not done yet.  `group` is the consumer group whose offsets say so."""

    role: str
    topic: str
    group: str
    records: int
    by_partition: Mapping[int, int]


def chain(settings: Settings) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """(role, group, topics) in the order of the data's way.

    ingest is done with what Faust has committed; the learners with what their progress says (folded, refitted and published); the
    projector with what it has committed after writing.
    """
    return (
        ("ingest", settings.consumer_group, (topics.CLOSES,)),
        ("lesson_builder", progress_group(settings, "lesson_builder"), (topics.FACTS,)),
        ("override_materializer", progress_group(settings, "override_materializer"), (topics.LESSONS,)),
        ("projector", projector_group(settings), topics.DERIVED),
    )


class StatusReader:
    """Keeps its connections open, for those who ask again and again.  Use as an async context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer = None
        self._admin: AIOKafkaAdminClient = None

    async def __aenter__(self) -> StatusReader:
        await topics.require_existence(self._settings, [name for _, _, names in chain(self._settings) for name in names])
        self._context = topics.admin(self._settings)
        self._admin = await self._context.__aenter__()
        self._consumer = reader(self._settings)
        await self._consumer.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._consumer.stop()
        await self._context.__aexit__(None, None, None)

    async def lags(self) -> list[Lag]:
        """Lag per role and topic, read in the order of the data's way: if all are 0, nothing was under way when the first was read."""
        found: list[Lag] = []
        for role, group, names in chain(self._settings):
            try:
                committed = await self._admin.list_consumer_group_offsets(group)
            except KafkaError:
                committed = {}  # a group that never committed
            for name in names:
                topic = self._settings.topic(name)
                partitions = [TopicPartition(topic, p) for p in range(self._settings.partitions)]
                ends = await self._consumer.end_offsets(partitions)
                begins = await self._consumer.beginning_offsets(partitions)
                behind = {}
                for tp in partitions:
                    done = committed[tp].offset if tp in committed else -1
                    behind[tp.partition] = ends[tp] - max(done, begins[tp]) if ends[tp] > max(done, begins[tp]) else 0
                found.append(Lag(role, topic, group, sum(behind.values()), behind))
        return found
