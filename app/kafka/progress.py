"""Committed offsets: how much of its input a role has processed.

May touch: committed offsets of consumer groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from app.errors import UnreachableError
from app.kafka.bulk_reader import partitions_there
from app.kafka.client import client_options, started
from app.kafka.consumer import Consumer
from app.kafka.consumer_groups import progress_group
from app.settings import Settings
from edgeloop.close_client import close_client


class Progress:
    """How much of its input a role has *completed*: a consumer group without members.

    Faust's own committed offsets show what was folded; these show what was folded, refitted and
    published.  Any Kafka tool can read them.
    """

    def __init__(self, settings: Settings, role: str) -> None:
        self._settings = settings
        self._group = progress_group(settings, role)
        self._consumer: Consumer | None = None

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Note `offsets`.  Raises `KafkaError`.

        The caller may retry: this is information for people, never state.
        """
        if self._consumer is None:
            self._consumer = await started(_group_consumer(self._settings, self._group))
        missing = set(offsets) - set(self._consumer.assignment())
        if missing:
            self._consumer.assign([*self._consumer.assignment(), *missing])
        await self._consumer.commit(_committed(offsets))

    async def stop(self) -> None:
        """Close the connection."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await close_client(consumer)


async def rewind(
    settings: Settings, group: str, topics: Iterable[str], *, dry_run: bool = False
) -> dict[str, int]:
    """Reset a group without members to the beginning of `topics`; returns records by topic.

    Raises `UnreachableError`.
    """
    consumer = _group_consumer(settings, group)
    records: dict[str, int] = {}
    offsets: dict[TopicPartition, int] = {}
    try:
        await consumer.start()
        for name in topics:
            partitions = await partitions_there(consumer, settings, name)
            begins = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
            records[name] = sum(ends.values()) - sum(begins.values())
            offsets |= begins
        if not dry_run:
            consumer.assign(list(offsets))
            await consumer.commit(_committed(offsets))
    except (KafkaError, OSError) as error:
        raise UnreachableError(
            f"The offsets of {group} could not be reset: {error!r}.", "Run: faust -A app doctor"
        ) from error
    finally:
        await close_client(consumer)
    return records


def _group_consumer(settings: Settings, group: str) -> Consumer:
    return Consumer(**client_options(settings, group_id=group, enable_auto_commit=False))


def _committed(offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, OffsetAndMetadata]:
    return {tp: OffsetAndMetadata(offset, "") for tp, offset in offsets.items()}
