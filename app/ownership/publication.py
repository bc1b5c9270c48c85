"""The records that an owner publishes, with its `writer` header, and those that others published.

May touch: the broker: sends to the stage's outputs, and reads them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition

from app.kafka.bulk_reader import partitions_of, read_to_end
from app.kafka.consumer import Consumer
from app.kafka.producer import Producer
from app.kafka.records import Outgoing, header, version_of
from app.metrics import RECORDS_SENT
from app.settings import Settings
from app.stages.owned import OwnedStage
from edgeloop.versions import Latest

Key = tuple[str, bytes]
"""Topic (full name) and message key."""


class Published:
    """Everything published: the latest version of each key, and the last record in the log."""

    def __init__(self) -> None:
        self.latest: Latest[Key, Any] = Latest()
        self._last: dict[Key, Any] = {}

    def beyond(self, ends: Mapping[int, int], route: Callable[[Any], int | None]) -> str:
        """A message about a record whose version is beyond the end of its source partition; empty
        if there is none."""
        for (topic, _), record in self.latest.items():
            version = version_of(record)
            if record.value is None or version <= min(ends.values(), default=version):
                continue
            partition = route(record)
            if partition is not None and version > ends.get(partition, version):
                return (
                    f"{topic} has records of version {version:,}, but partition {partition} of"
                    f" their source ends at {ends[partition]:,}."
                )
        return ""

    def add(self, record: Any) -> None:
        """Take in a record, in the order of the log."""
        key = (record.topic, record.key)
        self._last[key] = record
        self.latest.put(key, version_of(record), record)

    def share(
        self, partitions: Collection[int], route: Callable[[Any], int | None]
    ) -> tuple[dict[int, list[Any]], list[Outgoing]]:
        """The records in force by input partition, and those to resend.

        Readers use the highest version and compaction keeps the last record: if the last record has
        a lower version, the highest one is resent unchanged.
        """
        shares: dict[int, list[Any]] = {p: [] for p in partitions}
        covered: list[Outgoing] = []
        for key, record in self.latest.items():
            last = self._last[key]
            known = record if record.value is not None else last
            partition = None if known.value is None else route(known)
            if partition is None or partition not in shares:
                continue
            if record.value is not None:
                shares[partition].append(record)
            if record is not last:
                covered.append(_again(record))
        return shares, covered


class Publication:
    """The outputs of one stage: writes them, and reads what others wrote."""

    def __init__(
        self, settings: Settings, stage: OwnedStage, should_stop: Callable[[], bool]
    ) -> None:
        self.writer = f"{stage.role}-{time.time_ns():x}".encode()
        self._role = stage.role
        self._route = stage.route
        self._outputs = [tp for topic in stage.outputs for tp in partitions_of(settings, topic)]
        self._should_stop = should_stop
        self._producer = Producer(settings, should_stop)
        self._positions: dict[
            TopicPartition, int
        ] = {}  # offsets up to which the outputs were checked
        self._sent: Counter[TopicPartition] = Counter()  # records sent to each since then

    async def send(self, records: Sequence[Outgoing]) -> None:
        """Send and await every delivery.  Raises `Stopping`."""
        await self._producer.send(records, (("writer", self.writer),))
        for (topic, partition), n in Counter((r.topic, r.partition) for r in records).items():
            self._sent[TopicPartition(topic, partition)] += n
        RECORDS_SENT.labels(self._role).inc(len(records))

    async def read(self, consumer: Consumer, aborted: Callable[[], bool]) -> Published:
        """Read all published records.  Raises `Stopping` and `KafkaError`."""
        published = Published()
        starts = dict.fromkeys(self._outputs)
        async for tp, records, next_offset in read_to_end(consumer, starts, should_stop=aborted):
            self._positions[tp], self._sent[tp] = next_offset, 0
            for record in records:
                published.add(record)
        return published

    async def overwritten(self, consumer: Consumer, owned: Collection[int]) -> bool:
        """Whether another worker has published a record of the partitions `owned` since the last
        check (step 5).  Records that may belong to them count as well.  Raises `Stopping` and
        `KafkaError`.
        """
        found = False
        starts = await self._unknown(consumer)
        reading = read_to_end(consumer, starts, should_stop=self._should_stop)
        async for tp, records, next_offset in reading:
            self._positions[tp] = next_offset
            for record in records:
                if header(record, "writer") != self.writer:
                    # A tombstone or a foreign record does not say which partition it belongs to; an
                    # unnecessary check does no harm.
                    partition = None if record.value is None else self._route(record)
                    found = found or partition is None or partition in owned
        return found

    async def _unknown(self, consumer: Consumer) -> dict[TopicPartition, int | None]:
        """Where to continue reading the outputs that hold more than this worker has sent."""
        ends = await consumer.end_offsets(self._outputs)
        starts: dict[TopicPartition, int | None] = {}
        for tp in self._outputs:
            # As many new offsets as this worker has sent records: they are its own, and need not be
            # read.
            if ends[tp] - self._positions[tp] == self._sent[tp]:
                self._positions[tp] = ends[tp]
            else:
                starts[tp] = self._positions[tp]
            self._sent[tp] = 0
        return starts

    async def stop(self) -> None:
        """Close the producer."""
        await self._producer.stop()


def _again(record: Any) -> Outgoing:
    headers = tuple(h for h in record.headers if h[0] != "writer")
    return Outgoing(record.topic, record.partition, record.key, record.value, headers)
