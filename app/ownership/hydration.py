"""Hydration: bring partitions to the end of the log, and compare them with what is published.

May touch: the broker (read only), except that `Publication` resends records that a late one hides.
"""

from __future__ import annotations

import asyncio
from asyncio import FIRST_COMPLETED
from collections.abc import Callable, Collection, Iterable
from typing import Any

import structlog
from aiokafka import TopicPartition

from app.errors import ConfigurationError
from app.kafka.bulk_reader import read_to_end, reader
from app.kafka.consumer import Consumer
from app.kafka.retry import Stopping
from app.kafka.topics import ACCEPT
from app.metrics import FOLDED, LOST
from app.ownership.partition import Partition, PartitionState
from app.ownership.publication import Publication, Published, Run
from app.settings import Settings
from app.stages.owned import OwnedStage, Part
from app.worker.helpers import HELPERS, Lost
from app.worker.memory import room
from edgeloop.close_client import close_client

log = structlog.get_logger(__name__)


Bounds = tuple[dict[TopicPartition, int], dict[TopicPartition, int]]
"""The first offset of each partition, and the one after its last record."""


class Hydration:
    """Reads the log for the partitions of one stage."""

    def __init__(
        self, settings: Settings, stage: OwnedStage, publication: Publication, run: Run
    ) -> None:
        self.role = stage.role
        self._settings = settings
        self._stage = stage
        self._topic = settings.topic(stage.source)
        self._publication = publication
        self._run = run

    async def hydrate(
        self,
        fresh: Collection[Partition],
        kept: Collection[Partition],
        others: Collection[Partition],
        aborted: Callable[[], bool],
    ) -> None:
        """Bring partitions to the end of the log and compare them with what is published (step 1).

        `fresh` ones are read from the beginning; `kept` ones, which have nothing pending, from
        their next offset; `others` are only compared with the published records.  Raises `Stopping`
        when aborted, and `KafkaError` or `OSError`; then discard the fresh ones.
        """
        consumer = reader(self._settings)
        try:
            await consumer.start()
            bounds = await self._bounds(consumer, [*kept, *fresh])
            took_time = await self._read_apart(bounds, fresh, aborted)
            await self.catch_up(consumer, [*kept, *fresh], aborted, None if took_time else bounds)
            # Now that the store knows every trade, folding the same records again restores those
            # that it had dropped too early.
            rebuild = [p for p in fresh if await self._run(_needs_rebuild, p)]
            for partition in rebuild:
                partition.next_offset = 0
            await self.catch_up(consumer, rebuild, aborted)
            await self.adopt(consumer, [*kept, *others, *fresh], aborted)
        finally:
            await close_client(consumer)
        for partition in fresh:
            partition.state, partition.folded = PartitionState.CURRENT, False

    async def read_on(
        self, partitions: Collection[Partition], should_stop: Callable[[], bool]
    ) -> None:
        """Bring partitions that are behind to the end of the log."""
        consumer = reader(self._settings)
        try:
            await consumer.start()
            await self.catch_up(consumer, partitions, should_stop)
        finally:
            await close_client(consumer)

    async def catch_up(
        self,
        consumer: Consumer,
        partitions: Collection[Partition],
        aborted: Callable[[], bool],
        bounds: Bounds | None = None,
    ) -> None:
        """Fold the log from each partition's next offset to its end; `bounds` are those of the
        logs, if the caller has just asked for them.

        A hydrating partition of which nothing has been read is read from the beginning.
        """
        by_number = {partition.number: partition for partition in partitions}
        starts = {
            TopicPartition(self._topic, number): (
                None
                if partition.state is PartitionState.HYDRATING and not partition.next_offset
                else partition.next_offset
            )
            for number, partition in by_number.items()
        }
        begins, ends = bounds or await self._bounds(consumer, partitions)
        # Only records that were never folded are lost; the others are part of the state.
        lost = {
            tp: (start, begins[tp])
            for tp, start in starts.items()
            if start is not None and begins[tp] > start
        }
        reading = read_to_end(consumer, starts, begins=begins, ends=ends, should_stop=aborted)
        async for tp, records, next_offset in reading:
            partition = by_number[tp.partition]
            if tp in lost:
                _report_lost(tp, *lost.pop(tp))
            await room(self.role, aborted)
            await self._run(partition.store.fold, records, next_offset)
            FOLDED.labels(self.role).inc(len(records))
            partition.read_to(next_offset)
        for partition in by_number.values():
            if partition.state is PartitionState.BEHIND:
                partition.caught_up()

    async def _bounds(self, consumer: Consumer, partitions: Collection[Partition]) -> Bounds:
        if not partitions:
            return {}, {}
        logs = [TopicPartition(self._topic, p.number) for p in partitions]
        # Before an assignment, which starts fetching.
        return await consumer.beginning_offsets(logs), await consumer.end_offsets(logs)

    async def _read_apart(
        self, bounds: Bounds, fresh: Collection[Partition], aborted: Callable[[], bool]
    ) -> bool:
        """Have helper processes read most of a long log; `catch_up` reads what they have not.
        Returns whether they had anything to do.  Raises `Stopping` when aborted."""
        read = self._stage.read_apart
        if read is None or len(fresh) < 2:
            return False
        partitions = {TopicPartition(self._topic, p.number): p for p in fresh}
        begins, ends = bounds
        records = {tp: ends[tp] - begins[tp] for tp in partitions if ends[tp] > begins[tp]}
        if not HELPERS.start_for(records.values(), read.__module__):
            return False
        log.info("hydrate.apart", role=self.role, records=sum(records.values()))
        reading = {}
        for tp in sorted(records, key=lambda tp: -records[tp]):  # the longest first
            part = Part(self._settings, tp.partition, begins[tp], ends[tp])
            reading[asyncio.wrap_future(HELPERS.submit(read, part))] = tp
        try:
            while reading:
                done, _ = await asyncio.wait(reading, timeout=0.2, return_when=FIRST_COMPLETED)
                if aborted():
                    raise Stopping
                for future in done:
                    tp = reading.pop(future)
                    try:
                        folded = future.result()
                    except (Lost, MemoryError):
                        continue
                    partition = partitions[tp]
                    await room(self.role, aborted)
                    await self._run(partition.store.take_over, folded)
                    FOLDED.labels(self.role).inc(records[tp])
                    partition.read_to(ends[tp])
        finally:
            if reading:
                HELPERS.end()
            for future in reading:
                future.cancel()
        return True

    async def _require_same_log(self, consumer: Consumer, published: Published) -> None:
        """Raise `ConfigurationError` if the published records were learned from a longer log than
        the current one: their versions would win forever.
        """
        # Requested after reading the published records, as another worker may be ahead of this one.
        ends = await self.ends(consumer, range(self._settings.partitions))
        if what := await self._run(published.beyond, ends):
            raise ConfigurationError(
                f"The log is not the one that the published records were learned from: {what}",
                f"Stop all workers, then run: {ACCEPT}",
            )

    async def ends(self, consumer: Consumer, numbers: Iterable[int]) -> dict[int, int]:
        """Partition → the end of its log."""
        partitions = [TopicPartition(self._topic, number) for number in numbers]
        return {tp.partition: end for tp, end in (await consumer.end_offsets(partitions)).items()}

    async def adopt(
        self,
        consumer: Consumer,
        partitions: Collection[Partition],
        aborted: Callable[[], bool],
    ) -> None:
        """Read all published records and give each store its part."""
        published = await self._publication.read(consumer, aborted, self._run)
        await self._require_same_log(consumer, published)
        stores = {partition.number: partition.store for partition in partitions}

        def share_out() -> list[Any]:
            shares, covered = published.share(stores)
            for number, store in stores.items():
                store.adopt(shares[number])
            return covered

        await self._publication.send(await self._run(share_out))


def _report_lost(tp: TopicPartition, start: int, before: int) -> None:
    """Count and log the records from `start` to before `before`, which Kafka has deleted."""
    LOST.labels(tp.topic).inc(before - start)
    log.error(
        "log.records_lost",
        topic=tp.topic,
        partition=tp.partition,
        offset=start,
        before=before,
        records=before - start,
    )


def _needs_rebuild(partition: Partition) -> bool:
    """Asked on the thread of the state, because a store may first have to finish what it has
    read."""
    return partition.store.needs_rebuild
