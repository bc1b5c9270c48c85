"""The consumers of this program outside Faust, and reading in bulk with them: to the current end,
a range, or from now on.

May touch: the broker (read only).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError

from app.errors import UnreachableError
from app.kafka.client import client_id, client_options, read_large
from app.kafka.connection_errors import explained, why_unreachable
from app.kafka.consumer import Consumer
from app.kafka.records import is_strangers
from app.kafka.retry import Stopping, client_errors
from app.kafka.topics import require_existence
from app.settings import Settings
from edgeloop.close_client import close_client
from edgeloop.cluster import look
from edgeloop.tolerant import as_unpacked

BATCH_RECORDS = 5_000
_GROUP_TIMEOUT_MS = 12_000  # after this time a dead member loses its partitions
_FETCH_WAIT_MS = 20
"""How long the broker holds a fetch of a reader without a group while there is nothing new.  It
answers the requests of a connection in order, so whatever such a reader asks next waits behind the
fetch: with aiokafka's half second, hydrating four empty partitions took a second."""


def reader(settings: Settings, **more: Any) -> Consumer:
    """A consumer without a group; the caller starts, assigns and stops it; `more` are its options.

    Unless they say otherwise, it reads committed records only: a transaction is seen whole or not
    at all.
    """
    options = {"fetch_max_bytes": 33_554_432, "fetch_max_wait_ms": _FETCH_WAIT_MS, **more}
    return Consumer(**{**_options(settings), **options})


class OwnAssignor(RoundRobinPartitionAssignor):  # type: ignore[misc]  # aiokafka has no types for it
    """Round robin under a name of its own.  The broker admits only members with a common protocol
    to a group, so another program that uses the group's name by mistake is refused, instead of
    taking partitions and committing what was never written."""

    name = "edgeloop"


def group_reader(
    settings: Settings, group: str, topics: Iterable[str], *, max_poll_interval_ms: int
) -> Consumer:
    """A consumer of `topics` (full names) in a consumer group, whose caller commits."""
    return Consumer(
        *topics,
        **_options(settings),
        client_id=client_id(),
        group_id=group,
        partition_assignment_strategy=(OwnAssignor,),
        session_timeout_ms=_GROUP_TIMEOUT_MS,
        rebalance_timeout_ms=_GROUP_TIMEOUT_MS,
        heartbeat_interval_ms=_GROUP_TIMEOUT_MS // 4,
        max_poll_interval_ms=max_poll_interval_ms,
    )


def _options(settings: Settings) -> dict[str, Any]:
    return client_options(
        settings,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=4_194_304,
    )


@contextmanager
def unreachable(
    settings: Settings, what: str, remedy: str = "Run: faust -A app doctor"
) -> Iterator[None]:
    """Turn broker errors into an `UnreachableError` that names what cannot be read."""
    try:
        with client_errors():
            yield
    except (KafkaError, OSError) as error:
        if refusal := explained(error):
            raise refusal from error
        raise UnreachableError(
            f"{what} cannot be read from {settings.broker}: {error!r}.", remedy
        ) from error


@asynccontextmanager
async def started_reader(
    settings: Settings, what: str, *, unpacked: bool = False, **remedy: str
) -> AsyncIterator[Consumer]:
    """A started reader, stopped on exit.  Raises as `unreachable` does.

    With `unpacked`, its records have no topic and partition (`edgeloop.tolerant.as_unpacked`).
    """
    consumer = reader(settings, **({"value_deserializer": as_unpacked} if unpacked else {}))
    try:
        try:
            await consumer.start()
        except (KafkaError, OSError) as error:
            raise await why_unreachable(settings, error) from error
        with unreachable(settings, what, **remedy):
            yield consumer
    finally:
        await close_client(consumer)


def partitions_of(settings: Settings, topic: str) -> list[TopicPartition]:
    """All partitions of the topic `topic` (without prefix)."""
    return [TopicPartition(settings.topic(topic), p) for p in range(settings.partitions)]


async def partitions_there(
    consumer: Consumer, settings: Settings, topic: str
) -> list[TopicPartition]:
    """All partitions that the topic `topic` (without prefix) has on the broker.

    `position_closed` may have more than the setting says.
    """
    name = settings.topic(topic)
    seen = await look(consumer._client, [name])
    if seen is None or name not in seen.topics:
        return partitions_of(settings, topic)
    return [TopicPartition(name, number) for number in seen.topics[name].partitions]


async def read_to_end(
    consumer: Consumer,
    starts: Mapping[TopicPartition, int | None],
    *,
    begins: Mapping[TopicPartition, int] | None = None,
    ends: Mapping[TopicPartition, int] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> AsyncIterator[tuple[TopicPartition, list[ConsumerRecord], int]]:
    """Yield `(partition, records, next offset)` from each start to the current end.

    A start of None is the beginning; `begins` and `ends` are the bounds of the partitions, if the
    caller has asked for them.
    The last yield of a partition has its end offset as the next offset, even if its records are
    fewer (compaction, retention).  Raises `Stopping` when asked to stop and `KafkaError` when the
    broker goes away.
    """
    partitions = list(starts)
    if not partitions:
        return
    # Before the assignment, which starts fetching.
    if ends is None:
        ends = await consumer.end_offsets(partitions)
    if begins is None:
        begins = await consumer.beginning_offsets(partitions)
    open_ = {tp: max(starts[tp] or 0, begins[tp]) for tp in partitions}
    read = [tp for tp in partitions if open_[tp] >= ends[tp]]
    for tp in read:
        start = open_.pop(tp)
        yield tp, [], max(start if starts[tp] is None else starts[tp] or 0, ends[tp])
    if open_:
        # Of the others, whatever is fetched before their turn would be thrown away.
        consumer.assign(list(open_))
        for tp, start in open_.items():
            consumer.seek(tp, start)
    while open_:
        if should_stop():
            raise Stopping
        got = await consumer.getmany(*open_, timeout_ms=200, max_records=BATCH_RECORDS)
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


async def scan(
    settings: Settings,
    topic: str,
    *,
    partition: int | None = None,
    starts: Mapping[int, int] | None = None,
) -> AsyncIterator[list[ConsumerRecord]]:
    """Yield all records of `topic` in batches, in order within each partition, to the current end.

    With `partition`, of that one only; with `starts` (partition → offset), of those partitions
    only, from these offsets on.  Raises `UnreachableError` without a broker.
    """
    wanted = None if starts is None else sorted(starts)
    if partition is not None:
        wanted = [partition]
    if wanted is not None and not wanted:
        return  # aiokafka: stopping a consumer right after its start cancels the calling task
    name = settings.topic(topic)
    async with started_reader(settings, name) as consumer:
        if wanted is None:
            there = await partitions_there(consumer, settings, topic)
            wanted = [tp.partition for tp in there]
        begin = {TopicPartition(name, p): None if starts is None else starts.get(p) for p in wanted}
        async for _, records, _ in read_to_end(consumer, begin):
            if records:
                yield records


async def read_range(
    settings: Settings, topic: str, partition: int, start: int, end: int
) -> AsyncIterator[tuple[list[tuple[bytes | None, int, int]], int]]:
    """As `read_part`, but (value, timestamp in ms, offset) of each record."""
    async for records, next_offset in read_part(settings, topic, partition, start, end):
        yield [(r.value, r.timestamp, r.offset) for r in records], next_offset


async def read_part(
    settings: Settings, topic: str, partition: int, start: int, end: int
) -> AsyncIterator[tuple[list[ConsumerRecord], int]]:
    """Yield the records from `start` to before `end` in batches, each with the offset after it.

    They have no topic and partition.  The next batch is fetched meanwhile if the caller does its
    work in a thread.  Raises `UnreachableError`.
    """
    read_large()
    tp = TopicPartition(settings.topic(topic), partition)
    fetch: asyncio.Task[Any] | None = None
    again = "Run the same command again; it resumes where it stopped."
    async with started_reader(settings, tp.topic, unpacked=True, remedy=again) as consumer:
        try:
            consumer.assign([tp])
            consumer.seek(tp, max(start, (await consumer.beginning_offsets([tp]))[tp]))
            position = start
            while position < end:
                got = await (fetch or _fetch(consumer, tp))
                records = got.get(tp, [])
                # The position passes gaps, records do not.
                position = await consumer.position(tp)
                fetch = asyncio.create_task(_fetch(consumer, tp)) if position < end else None
                if position > end:
                    records = [record for record in records if record.offset < end]
                yield records, min(position, end)
        finally:
            if fetch is not None:
                fetch.cancel()


async def _fetch(consumer: Consumer, tp: TopicPartition) -> dict[TopicPartition, list[Any]]:
    return dict(await consumer.getmany(tp, timeout_ms=500, max_records=BATCH_RECORDS))


async def log_bounds(settings: Settings, topic: str) -> tuple[dict[str, int], dict[str, int]]:
    """Partition → its first offset, and partition → the offset after its last record.

    Raises `UnreachableError`, and `ConfigurationError` where the topic is missing.
    """
    await require_existence(settings, [topic])
    async with started_reader(settings, settings.topic(topic)) as consumer:
        there = await partitions_there(consumer, settings, topic)
        begins = await consumer.beginning_offsets(there)
        ends = await ends_of(consumer, settings, topic)
    return {str(tp.partition): offset for tp, offset in begins.items()}, ends


async def ends_of(consumer: Consumer, settings: Settings, topic: str) -> dict[str, int]:
    """Partition → the offset after the last record."""
    ends = await consumer.end_offsets(await partitions_there(consumer, settings, topic))
    return {str(tp.partition): offset for tp, offset in ends.items()}


async def follow(settings: Settings, topic: str) -> AsyncIterator[ConsumerRecord]:
    """Yield each record that Edgeloop publishes from now on, until the caller stops.

    Raises `UnreachableError`, and `ConfigurationError` where the topic is missing.
    """
    await require_existence(settings, [topic])
    partitions = partitions_of(settings, topic)
    async with started_reader(settings, settings.topic(topic)) as consumer:
        consumer.assign(partitions)
        await consumer.seek_to_end(*partitions)
        for tp in partitions:
            await consumer.position(tp)  # `seek_to_end` is lazy: this resolves it now
        async for record in consumer:
            if not is_strangers(record):
                yield record


async def offsets_at(settings: Settings, topic: str, since_ms: int) -> dict[int, int]:
    """Partition → the first offset whose record is not older than `since_ms` (since 1970).

    Partitions without one are left out.  Raises `UnreachableError`.
    """
    async with started_reader(settings, settings.topic(topic)) as consumer:
        times = dict.fromkeys(await partitions_there(consumer, settings, topic), since_ms)
        found = await consumer.offsets_for_times(times)
    return {tp.partition: at.offset for tp, at in found.items() if at is not None}
