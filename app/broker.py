"""Our own hands on the log: a sender whose deliveries are awaited, a bulk reader without a group, and progress offsets.

May touch: the broker.  Agents receive through Faust; everything that is sent, read in bulk or noted as done goes through here.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import (
    IllegalOperation,
    InvalidProducerEpoch,
    KafkaError,
    KafkaTimeoutError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)
from aiokafka.structs import OffsetAndMetadata

from app.settings import Settings
from app.topics import MAX_RECORD_BYTES

log = structlog.get_logger(__name__)

_SEND_WINDOW = 20_000  # records whose deliveries are awaited together: bounds memory at ~20 MB of derived records

JSON_HEADERS = (("content-type", b"application/json"), ("schema-version", b"1"))
"""What every record that an agent derives says of itself."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to send.  `topic` is the full name, `value` None a tombstone."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp_ms: int | None = None


class Stopping(Exception):
    """The caller is being stopped: what was under way is left to the next start, which reads it from the log again."""


async def back_off(attempt: int, should_stop: Callable[[], bool]) -> None:
    """Sleep before retry number `attempt` (0, 1, …): 0.1 s doubling to 5 s, with jitter.  Raises `Stopping` when told to stop."""
    until = asyncio.get_running_loop().time() + min(5.0, 0.1 * 2**attempt) * random.uniform(0.5, 1.0)
    while (left := until - asyncio.get_running_loop().time()) > 0:
        if should_stop():
            raise Stopping
        await asyncio.sleep(min(left, 0.1))


class Sender:
    """One idempotent producer per worker (`acks=all`).  `send` returns when every record is on the broker.

    A transient failure is retried in place until it works or the worker stops: with a new producer, since an idempotent one that lost a
    batch may not go on.  The retry may repeat records; every reader folds by key and version, so a repetition changes nothing.  What is not
    transient is a bug or a broken installation and raises.
    """

    def __init__(self, settings: Settings, should_stop: Callable[[], bool] = lambda: False) -> None:
        self._settings = settings
        self._should_stop = should_stop
        self._producer: Any = None
        self._starting = asyncio.Lock()

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._settings.broker,
                    enable_idempotence=True,
                    acks="all",
                    max_batch_size=1_048_576,
                    max_request_size=MAX_RECORD_BYTES + 65_536,
                    request_timeout_ms=30_000,
                )
                try:
                    await producer.start()
                except BaseException:
                    with suppress(KafkaError, OSError):
                        await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def send(self, records: Sequence[Outgoing]) -> None:
        """Send and await every delivery, in order per partition.  Raises `Stopping`, or a `KafkaError` that no retry can mend."""
        for start in range(0, len(records), _SEND_WINDOW):
            left: Sequence[Outgoing] = records[start : start + _SEND_WINDOW]
            attempt = 0
            while left:
                left = await self._attempt(left)
                if left:
                    log.warning("send.retry", records=len(left), attempt=attempt)
                    await back_off(attempt, self._should_stop)
                    attempt += 1

    async def _attempt(self, records: Sequence[Outgoing]) -> Sequence[Outgoing]:
        """Try once; returns what has to be tried again: of each partition all from its first failure on, so that their order stays."""
        by_partition: dict[tuple[str, int], list[Outgoing]] = {}
        for record in records:
            by_partition.setdefault((record.topic, record.partition), []).append(record)
        producer: Any = None
        try:
            producer = await self._started()
        except (KafkaError, OSError) as error:
            _raise_if_fatal(error)
            return records
        lefts = await asyncio.gather(*(_send_in_batches(producer, *tp, part) for tp, part in by_partition.items()))
        left = [record for part in lefts for record in part]
        if left:
            await self._drop(producer)
        return left

    async def _drop(self, producer: Any) -> None:
        if producer is not None and self._producer is producer:
            self._producer = None
            with suppress(KafkaError, OSError, asyncio.TimeoutError):
                await asyncio.wait_for(producer.stop(), 5)

    async def stop(self) -> None:
        """Close the producer."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()


async def _send_in_batches(producer: Any, topic: str, partition: int, records: Sequence[Outgoing]) -> Sequence[Outgoing]:
    """Send records of one partition and await their deliveries; returns those from the first failed batch on.

    Batches are filled here; `producer.send`, with a future for each record, takes more than twice as long (benchmarks/pipeline).
    """
    deliveries: list[tuple[int, asyncio.Future[Any]]] = []
    at = 0
    try:
        while at < len(records):
            batch, start = producer.create_batch(), at
            while at < len(records):
                r = records[at]
                if batch.append(timestamp=r.timestamp_ms, key=r.key, value=r.value, headers=list(r.headers)) is None:
                    break
                at += 1
            deliveries.append((start, await producer.send_batch(batch, topic, partition=partition)))
    except (KafkaError, OSError) as error:
        _raise_if_fatal(error)
        at = start
    results = await asyncio.gather(*(future for _, future in deliveries), return_exceptions=True)
    for (first, _), result in zip(deliveries, results, strict=True):
        if isinstance(result, BaseException):
            _raise_if_fatal(result)
            return records[first:]
    return records[at:]


# An idempotent producer reports each loss of its sequence as an error that is not to be retried; a new producer mends those.
_LOST_SEQUENCE = (ProducerFenced, OutOfOrderSequenceNumber, UnknownProducerId, InvalidProducerEpoch, ProducerClosed, KafkaTimeoutError)


def _raise_if_fatal(error: BaseException) -> None:
    """Raise what no retry mends."""
    transient = isinstance(error, (OSError, *_LOST_SEQUENCE)) or (isinstance(error, KafkaError) and error.retriable)
    if not transient:
        raise error


def reader(settings: Settings, **options: Any) -> AIOKafkaConsumer:
    """A consumer without a group, for bulk reading; the caller starts, assigns and stops it.

    It ends where what is committed ends: a promotion (`app.replay.promote`) is one transaction, seen whole or not at all.
    """
    return AIOKafkaConsumer(
        bootstrap_servers=settings.broker,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=4_194_304,
        fetch_max_bytes=33_554_432,
        request_timeout_ms=30_000,
        **options,
    )


async def read_to_end(
    consumer: AIOKafkaConsumer,
    starts: Mapping[TopicPartition, int | None],
    *,
    should_stop: Callable[[], bool] = lambda: False,
    batch: int = 5_000,
) -> AsyncIterator[tuple[TopicPartition, list[ConsumerRecord], int]]:
    """Yield `(partition, records, next offset)` from each start (None: the beginning) to the end as it is now.

    The last yield of a partition has its end offset as the next offset, even if its records are fewer (compaction, retention).
    Raises `Stopping` when told to stop and `KafkaError` when the broker goes away.
    """
    partitions = list(starts)
    if not partitions:
        return
    consumer.assign(partitions)
    ends = await consumer.end_offsets(partitions)
    begins = await consumer.beginning_offsets(partitions)
    open_: dict[TopicPartition, int] = {}
    for tp in partitions:
        start = max(starts[tp] or 0, begins[tp])
        if start >= ends[tp]:
            yield tp, [], max(start, ends[tp]) if starts[tp] is None else max(starts[tp] or 0, ends[tp])
            consumer.pause(tp)
        else:
            consumer.seek(tp, start)
            open_[tp] = start
    while open_:
        if should_stop():
            raise Stopping
        got = await consumer.getmany(*open_, timeout_ms=200, max_records=batch)
        for tp in list(open_):
            records = [r for r in got.get(tp, ()) if r.offset < ends[tp]]
            # The position passes gaps that compaction left, records do not.
            position = await consumer.position(tp)
            if position >= ends[tp]:
                del open_[tp]
                consumer.pause(tp)
                yield tp, records, ends[tp]
            elif records:
                open_[tp] = position
                yield tp, records, position


class Progress:
    """How far a role is *done* with its input, as committed offsets of a consumer group without members.

    Faust's own committed offsets say what was folded; these say what was folded, refitted and published.  Any Kafka tool can read them.
    """

    def __init__(self, settings: Settings, role: str) -> None:
        self.group = progress_group(settings, role)
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Note `offsets`.  Raises `KafkaError` (the caller may try again: what is noted is a hint for people, never state)."""
        if self._consumer is None:
            consumer = AIOKafkaConsumer(bootstrap_servers=self._settings.broker, group_id=self.group, enable_auto_commit=False)
            await consumer.start()
            self._consumer = consumer
        missing = set(offsets) - set(self._consumer.assignment())
        if missing:
            self._consumer.assign([*self._consumer.assignment(), *missing])
        await self._consumer.commit({tp: OffsetAndMetadata(offset, "") for tp, offset in offsets.items()})

    async def stop(self) -> None:
        """Close the connection."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with suppress(IllegalOperation):
                await consumer.stop()


def progress_group(settings: Settings, role: str) -> str:
    """Name of the group that holds the progress of `role`."""
    return f"{settings.consumer_group}.{role}.done"


def header(record: ConsumerRecord, name: str) -> bytes | None:
    """The last header of that name, or None."""
    found = None
    for key, value in record.headers:
        if key == name:
            found = value
    return found


def version_of(record: ConsumerRecord) -> int:
    """The `version` header of a derived record; -1 where there is none or it is no number."""
    try:
        return int(header(record, "version") or b"-1")
    except ValueError:
        return -1
