"""Faust's consumer, handing over records in batches: one event for many records of a partition.

May touch: the broker, as Faust's consumer does.

An event costs Faust 100 to 190 µs, however small it is: a task, a future, a reference count and an
acknowledgement.  Here an event is a `Batch` of consecutive records.  Everything else stays as in
Faust: the assignment of partitions, the pausing of streams, the commits of offsets.

1. The records of one fetch are cut into batches, and the batches of all partitions take turns.
2. A batch covers all offsets after the previous record up to its own last one, including gaps
   (records removed by compaction, markers that end a transaction).  Acknowledging it acknowledges
   all these offsets.
3. `batches(stream)` gives an agent everything that waits, and acknowledges it once the agent asks
   for more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, cast

from aiokafka.errors import ConsumerStoppedError
from faust.transport.conductor import Conductor
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP, EventT, StreamT
from faust.types.tuples import ConsumerMessage, Message, ack_lock
from mode.utils.futures import notify

MAX_BATCH = 1_000
"""Maximum number of records in a batch."""
MAX_BATCHES = 16
"""Number of batches that may wait before a stream; beyond it, fetching of their partitions
pauses."""
MAX_TAKEN = 4_000
"""Maximum number of records that an agent takes at a time, not counting the rest of the last
batch."""


class Batch(ConsumerMessage):
    """Consecutive records of a partition, as one message of Faust.

    Its offset is that of the first record; `covers` are all offsets that it acknowledges.
    """

    __slots__ = ("covers", "records")

    def __init__(self, tp: TP, records: Sequence[Any], covers: range, generation: int) -> None:
        first = records[0]
        super().__init__(
            tp.topic,
            tp.partition,
            first.offset,
            first.timestamp / 1000.0,
            first.timestamp_type,
            None,
            None,
            b"",
            None,
            tp=tp,
            generation_id=generation,
        )
        self.records = records
        self.covers = covers


def cut(fetched: Mapping[TP, Sequence[Any]], size: int) -> Iterator[tuple[TP, Sequence[Any]]]:
    """At most `size` records at a time, one partition after the other, until nothing is left.

    >>> list(cut({"a": [1, 2, 3], "b": [4]}, 2))
    [('a', [1, 2]), ('b', [4]), ('a', [3])]
    """
    start = 0
    left = {tp: records for tp, records in fetched.items() if records}
    while left:
        for tp, records in left.items():
            yield tp, records[start : start + size]
        start += size
        left = {tp: records for tp, records in left.items() if len(records) > start}


class BatchingConsumer(Consumer):
    """Faust's consumer, whose messages are batches."""

    async def _drain_messages(self, fetcher: Any) -> None:
        """As Faust's own, for batches; Faust's `Fetcher` runs it and cancels it on a rebalance."""
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                # Yield to the event loop first: fetches that return at once would starve it.
                await self.sleep(0)
                await self._hand_over_a_fetch()
        except (ConsumerStoppedError, asyncio.CancelledError):
            if not self.transport.app.should_stop:
                raise

    async def _hand_over_a_fetch(self) -> None:
        fetched, active = await self._wait_next_records(1.0)
        generation = self.app.consumer_generation_id
        if fetched is None or self.should_stop:
            return
        pieces = list(cut(cast(Mapping[TP, Sequence[Any]], fetched), MAX_BATCH))
        left: list[tuple[TP, Sequence[Any]]] = []
        for place, (tp, records) in enumerate(pieces):
            if not self.flow_active or self.app.consumer_generation_id != generation:
                left += pieces[place:]
                break
            inactive = active is not None and tp not in active
            if not self._is_announced(tp) or (inactive and tp not in self._buffered_partitions):
                left.append((tp, records))
                continue
            batch = self._new_batch(tp, records, generation)
            if batch is not None:
                if self._commit_every is not None and self._n_acked >= self._commit_every:
                    self._n_acked = 0
                    await self.commit()
                self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
                await self.wait_first(self.callback(batch), self.suspend_flow.wait())
                self._read_offset[tp] = batch.records[-1].offset
        await self._go_back(left)

    def _is_announced(self, tp: Any) -> bool:
        """Whether Faust has told its streams of this partition.

        After a rebalance, the client fetches from new partitions at once, while Faust tells its
        streams in a task of its own: until then, there is nobody to hand over to, and Faust's
        conductor would raise `KeyError`, which ends the worker.
        """
        return tp in cast(Conductor, self.app.topics)._tp_index

    async def _go_back(self, left: Sequence[tuple[TP, Sequence[Any]]]) -> None:
        """Move the position back to records that were fetched but not handed over, so that they are
        fetched again.  A rebalance seeks only to committed offsets, which a new partition does not
        have.
        """
        first: dict[TP, int] = {}
        for tp, records in left:
            first.setdefault(TP(tp.topic, tp.partition), records[0].offset)
        for tp, offset in first.items():
            if tp not in self.assignment():
                continue
            try:
                await self.seek(tp, offset)
            except Exception as error:
                # As in Faust: the rebalance itself seeks once more.
                self.log.warning("The position was not moved back before a rebalance: %r", error)

    def _new_batch(self, tp: TP, records: Sequence[Any], generation: int) -> Batch | None:
        """The batch of those of the records that were not handed over before."""
        read = self._read_offset[tp]  # the last offset handed over; after a seek, the next one
        if read is not None and records[0].offset < read:
            records = [record for record in records if record.offset >= read]
        if not records:
            return None
        first = records[0].offset if read is None else min(records[0].offset, read + 1)
        # The key of what was fetched is aiokafka's own type.
        tp = TP(tp.topic, tp.partition)
        return Batch(tp, records, range(first, records[-1].offset + 1), generation)

    def ack(self, message: Message) -> bool:
        """Acknowledge all offsets of a batch, as Faust does the one of a message."""
        if not isinstance(message, Batch):
            return super().ack(message)
        with ack_lock:
            if message.acked:
                return False
            message.acked = True
            self._unacked_messages.discard(message)
            try:
                if not self.app.topics.acks_enabled_for(message.topic):
                    return False
                index = self._acked_index[message.tp]
                committed = self._committed_offset[message.tp] or 0
                new = [o for o in message.covers if o >= committed and o not in index]
                index.update(new)
                self._acked[message.tp].extend(new)
                self._n_acked += len(new)
                return bool(new)
            finally:
                notify(self._waiting_for_ack)


async def batches(stream: StreamT[Any]) -> AsyncIterator[list[Any]]:
    """The records of all waiting batches as one list, in order within each partition.  They are
    acknowledged once the caller asks for the next list.  It does not wait for more records: a list
    has one record under a light load, and thousands under a heavy one.
    """
    stream.enable_acks = False  # acknowledged below
    waiting: list[EventT[Any]] = []
    arrived, room = asyncio.Event(), asyncio.Event()

    async def pump() -> None:
        async for event in stream.events():
            waiting.append(event)
            arrived.set()
            while len(waiting) >= MAX_BATCHES:
                room.clear()
                await room.wait()

    pumping = asyncio.ensure_future(pump())
    pumping.add_done_callback(lambda _: arrived.set())
    try:
        while not (pumping.done() and not waiting):
            await arrived.wait()
            arrived.clear()
            taken: list[EventT[Any]] = []
            n = 0
            while waiting and n < MAX_TAKEN:
                taken.append(waiting.pop(0))
                n += len(cast(Batch, taken[-1].message).records)
            if waiting:
                arrived.set()
            room.set()
            if taken:
                try:
                    yield [r for event in taken for r in cast(Batch, event.message).records]
                finally:
                    for event in taken:
                        await stream.ack(event)
        await pumping  # the stream has ended, or raises what ended it
    finally:
        pumping.cancel()
