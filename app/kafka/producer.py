"""Send records, and return when all of them are on the broker: in order, or as one transaction.

May touch: the broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaError,
    KafkaTimeoutError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)

from app.kafka.client import client_options, started
from app.kafka.delivered import DELIVERED
from app.kafka.records import MAX_RECORD_BYTES, Outgoing
from app.kafka.retry import back_off, client_errors
from app.settings import Settings
from edgeloop.close_client import close_client

log = structlog.get_logger(__name__)

# Records whose deliveries are awaited together: bounds memory at some 20 MB of derived records.
_SEND_WINDOW = 20_000
BATCH_BYTES = 1_048_576
_TRANSACTION_TIMEOUT_MS = 60_000
"""Maximum time that readers wait behind a transaction whose process was killed."""


class Producer:
    """An idempotent producer (`acks=all`) whose `send` returns when every record is on the broker.

    A transient failure is retried in place until it works or the worker stops: with a new client,
    since an idempotent one cannot continue after losing a batch.  The retry may repeat records;
    every reader folds by key and version, so a repetition changes nothing.  A permanent failure
    means a bug or a broken installation, and raises.
    """

    def __init__(self, settings: Settings, should_stop: Callable[[], bool] = lambda: False) -> None:
        self._settings = settings
        self._should_stop = should_stop
        self._producer: Any = None
        self._starting = asyncio.Lock()

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                options = _options(self._settings, enable_idempotence=True)
                self._producer = await started(AIOKafkaProducer(**options))
            return self._producer

    async def send(
        self, records: Sequence[Outgoing], headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """Send and await every delivery, in order per partition; `headers` come after each
        record's own.

        Raises `Stopping`, or a `KafkaError` that no retry can fix.
        """
        for start in range(0, len(records), _SEND_WINDOW):
            left: Sequence[Outgoing] = records[start : start + _SEND_WINDOW]
            attempt = 0
            while left:
                left = await self._attempt(left, headers)
                if left:
                    log.warning("send.retry", records=len(left), attempt=attempt)
                    await back_off(attempt, self._should_stop)
                    attempt += 1

    async def _attempt(
        self, records: Sequence[Outgoing], headers: Sequence[tuple[str, bytes]]
    ) -> Sequence[Outgoing]:
        """Try once; returns what must be retried.

        That is everything from each partition's first failure on, to keep the order.
        """
        by_partition: dict[tuple[str, int], list[Outgoing]] = {}
        for record in records:
            by_partition.setdefault((record.topic, record.partition), []).append(record)
        producer: Any = None
        try:
            with client_errors():
                producer = await self._started()
        except (KafkaError, OSError) as error:
            _raise_if_fatal(error)
            return records
        lefts = await asyncio.gather(
            *(_send_in_batches(producer, *tp, part, headers) for tp, part in by_partition.items())
        )
        left = [record for part in lefts for record in part]
        if left:
            await self._drop(producer)
        return left

    async def _drop(self, producer: Any) -> None:
        if producer is not None and self._producer is producer:
            self._producer = None
            await close_client(producer)

    async def stop(self) -> None:
        """Close the producer."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await close_client(producer)


async def send_transaction(
    settings: Settings, records: Sequence[Outgoing], transactional_id: str
) -> None:
    """Send all records in one transaction: readers of committed records see all of it or nothing.

    A transaction that an earlier process of this id left open is ended first.  Raises `KafkaError`
    or `OSError`; then none of it is visible.
    """
    options = _options(settings, transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS)
    producer = AIOKafkaProducer(transactional_id=transactional_id, **options)
    try:
        await producer.start()
        async with producer.transaction():
            deliveries = [
                await producer.send(
                    r.topic, r.value, r.key, partition=r.partition, headers=list(r.headers)
                )
                for r in records
            ]
            for delivery in deliveries:
                await delivery
    finally:
        await close_client(producer)


def _options(settings: Settings, **more: Any) -> dict[str, Any]:
    return client_options(
        settings,
        acks="all",
        max_batch_size=BATCH_BYTES,
        max_request_size=MAX_RECORD_BYTES + 65_536,
        **more,
    )


async def _send_in_batches(
    producer: Any,
    topic: str,
    partition: int,
    records: Sequence[Outgoing],
    headers: Sequence[tuple[str, bytes]],
) -> Sequence[Outgoing]:
    """Send records of one partition and await their deliveries.

    Returns those from the first failed batch on.  Batches are filled here; `producer.send`, with a
    future for each record, takes more than twice as long (benchmarks/pipeline).
    """
    deliveries: list[tuple[int, asyncio.Future[Any]]] = []
    at = 0
    try:
        while at < len(records):
            batch, start = producer.create_batch(), at
            while at < len(records):
                r = records[at]
                appended = batch.append(
                    timestamp=r.timestamp_ms,
                    key=r.key,
                    value=r.value,
                    headers=[*r.headers, *headers],
                )
                if appended is None:
                    break
                at += 1
            with client_errors():
                sent = await producer.send_batch(batch, topic, partition=partition)
            deliveries.append((start, sent))
    except (KafkaError, OSError) as error:
        _raise_if_fatal(error)
        at = start
    results: list[Any] = await asyncio.gather(
        *(future for _, future in deliveries), return_exceptions=True
    )
    firsts = [first for first, _ in deliveries]
    for first, after, result in zip(firsts, [*firsts[1:], at], results, strict=True):
        if isinstance(result, BaseException):
            _raise_if_fatal(result)
            return records[first:]
        DELIVERED.note((topic, partition), result.offset, after - first)
    return records[at:]


# An idempotent producer that has lost its sequence reports it as an error that cannot be retried. A
# new producer solves it.
_LOST_SEQUENCE = (
    ProducerFenced,
    OutOfOrderSequenceNumber,
    UnknownProducerId,
    InvalidProducerEpoch,
    ProducerClosed,
    KafkaTimeoutError,
)


def _raise_if_fatal(error: BaseException) -> None:
    """Raise permanent failures."""
    # the client cancels a delivery that it gives up
    transient = isinstance(error, (OSError, asyncio.CancelledError, *_LOST_SEQUENCE))
    if not transient and not (isinstance(error, KafkaError) and error.retriable):
        raise error
