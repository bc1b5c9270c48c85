"""The records that an owner publishes, with its `writer` header, and those that others published.

May touch: the broker: sends to the stage's outputs, and reads them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition

from app.kafka.bulk_reader import partitions_of, read_to_end
from app.kafka.consumer import Consumer
from app.kafka.producer import Producer
from app.kafka.records import Outgoing, header, is_strangers, version_of
from app.metrics import RECORDS_SENT
from app.settings import Settings
from app.stages.owned import OwnedStage
from edgeloop.versions import Latest

Key = tuple[str, bytes]
"""Topic (full name) and message key."""

Run = Callable[..., Awaitable[Any]]
"""Runs a function with its arguments on the thread of the state."""


class Published:
    """Everything published: the latest version of each key, and the last record in the log.

    `route` is the stage's: it names the source partition of a record, or None if another program
    wrote it and it cannot be read.
    """

    def __init__(self, route: Callable[[Any], int | None]) -> None:
        self._latest: Latest[Key, Any] = Latest()
        self._last: dict[Key, Any] = {}
        self._route = route
        self._partitions: dict[Key, int] = {}  # the source partition, where it is known

    def add(self, record: Any) -> None:
        """Take in a record, in the order of the log."""
        key = (record.topic, record.key)
        self._last[key] = record
        if is_strangers(record):
            return
        held: Any = self._latest.get(key)
        counts = self._latest.put(key, version_of(record), record)
        counting, other = (record, held) if counts else (held, record)
        if counting.value is None and other is not None and other.value is not None:
            # A tombstone does not say which partition it belongs to, but another record of its key
            # does.
            self._locate(key, other)

    def _locate(self, key: Key, record: Any) -> bool:
        partition = self._route(record)
        if partition is None:
            return False
        self._partitions[key] = partition
        return True

    def forget_unreadable(self) -> set[Key]:
        """Forget the records that cannot be read, which count as absent whatever their version;
        returns their keys, whose other records are to be taken in by `add_readable`."""
        found = {
            key
            for key, record in self._latest.items()
            if record.value is not None and not self._locate(key, record)
        }
        for key in found:
            self._latest.remove(key)
        return found

    def add_readable(self, record: Any) -> None:
        """As `add`, but a record that cannot be read counts for nothing but its place."""
        key = (record.topic, record.key)
        if record.value is None or self._locate(key, record):
            self.add(record)
        else:
            self._last[key] = record

    def beyond(self, ends: Mapping[int, int]) -> str:
        """A message about a record whose version is beyond the end of its source partition, or of
        every partition if its own is not known; empty if there is none.  `ends` has all
        partitions."""
        for (topic, key), record in self._latest.items():
            version = version_of(record)
            if version <= min(ends.values()):
                continue
            partition = self._partitions.get((topic, key))
            end = max(ends.values()) if partition is None else ends[partition]
            if version > end:
                which = "" if partition is None else f" partition {partition} of"
                return (
                    f"{topic} has records of version {version:,}, but{which} their source ends at"
                    f" {end:,}."
                )
        return ""

    def share(self, partitions: Collection[int]) -> tuple[dict[int, list[Any]], list[Outgoing]]:
        """The records in force by input partition, and those to resend.

        Readers use the highest version and compaction keeps the last record: if the last record has
        a lower version or cannot be read, the highest one is resent unchanged.
        """
        shares: dict[int, list[Any]] = {p: [] for p in partitions}
        covered: list[Outgoing] = []
        for key, record in self._latest.items():
            partition = self._partitions.get(key)
            if partition is None or partition not in shares:
                continue
            if record.value is not None:
                shares[partition].append(record)
            if record is not self._last[key]:
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

    async def read(self, consumer: Consumer, aborted: Callable[[], bool], run: Run) -> Published:
        """Read all published records.  Raises `Stopping` and `KafkaError`."""
        published = Published(self._route)
        starts = dict.fromkeys(self._outputs)
        async for tp, records, next_offset in read_to_end(consumer, starts, should_stop=aborted):
            self._positions[tp], self._sent[tp] = next_offset, 0
            for record in records:
                published.add(record)
        if hiding := await run(published.forget_unreadable):
            async for _, records, _ in read_to_end(consumer, starts, should_stop=aborted):
                for record in records:
                    if (record.topic, record.key) in hiding:
                        published.add_readable(record)
        return published

    async def overwritten(self, consumer: Consumer, owned: Collection[int]) -> bool:
        """Whether another worker has published a record of the partitions `owned` since the last
        check (step 5), or another program has copied records of this worker.  Records that may
        belong to them count as well.  Raises `Stopping` and `KafkaError`.
        """
        found = False
        ours, self._sent = self._sent, Counter()
        starts = await self._unknown(consumer, ours)
        reading = read_to_end(consumer, starts, should_stop=self._should_stop)
        async for tp, records, next_offset in reading:
            self._positions[tp] = next_offset
            for record in records:
                if header(record, "writer") == self.writer:
                    ours[tp] -= 1
                    found = found or ours[tp] < 0
                else:
                    # A tombstone or a foreign record does not say which partition it belongs to; an
                    # unnecessary check does no harm.
                    partition = None if record.value is None else self._route(record)
                    found = found or partition is None or partition in owned
        return found

    async def _unknown(
        self, consumer: Consumer, ours: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int | None]:
        """Where to continue reading the outputs that hold more than this worker has sent: `ours`
        records of each."""
        ends = await consumer.end_offsets(self._outputs)
        starts: dict[TopicPartition, int | None] = {}
        for tp in self._outputs:
            # As many new offsets as this worker has sent records: they are its own, and need not be
            # read.
            if ends[tp] - self._positions[tp] == ours[tp]:
                self._positions[tp] = ends[tp]
            else:
                starts[tp] = self._positions[tp]
        return starts

    async def stop(self) -> None:
        """Close the producer."""
        await self._producer.stop()


def _again(record: Any) -> Outgoing:
    headers = tuple(h for h in record.headers if h[0] != "writer")
    return Outgoing(record.topic, record.partition, record.key, record.value, headers)
