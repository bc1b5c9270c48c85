"""Whether the tables hold everything up to the projector's committed offsets.

They do not if the schema was dropped and migrated again, came from an old backup, or lost rows to
another program; or if another program committed offsets of the projector's group.  The projector
continues from its offsets, and would never write the records before them.

May touch: the broker and PostgreSQL (read only).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

import asyncpg
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from app.kafka.admin import admin
from app.kafka.bulk_reader import log_bounds, started_reader
from app.kafka.consumer import Consumer
from app.kafka.consumer_groups import projector_group
from app.settings import Settings
from app.storage.connect import close, connect
from app.storage.projection import BadRecord, Projection, Record
from app.storage.tables import PROJECTIONS

SAMPLE = 50
"""Number of offsets sampled at either end of the projected range of each partition."""
_SAMPLE_WITHIN_S = 5.0


class Sampled(NamedTuple):
    """How many records of a topic (full name) were looked for in its table, and how many of them
    are not there."""

    topic: str
    records: int
    missing: int


async def read_so_far(settings: Settings) -> dict[TopicPartition, tuple[int, int]]:
    """Partition → its first offset, and the offset up to which the projector has written; without
    partitions of which nothing was written.  Raises `UnreachableError`."""
    async with admin(settings) as client:
        try:
            committed = await client.list_consumer_group_offsets(projector_group(settings))
        except KafkaError:
            return {}  # a group that never committed
    found = {}
    for name in PROJECTIONS:
        begins, ends = await log_bounds(settings, name)
        for number, begin in begins.items():
            tp = TopicPartition(settings.topic(name), int(number))
            end = min(committed[tp].offset if tp in committed else -1, ends[number])
            if end > begin:
                found[tp] = (begin, end)
    return found


async def sample_rows(settings: Settings) -> list[Sampled]:
    """Look for the oldest and the newest projected records of each topic in its table.

    Raises `UnreachableError`, `ConfigurationError` and `asyncpg.PostgresError`.
    """
    ranges = await read_so_far(settings)
    connection = await connect(settings.database_url, settings.database_schema)
    try:
        async with started_reader(settings, "The projected records") as consumer:
            return [
                await _sampled(settings, consumer, connection, projection, ranges)
                for projection in PROJECTIONS.values()
            ]
    finally:
        await close(connection)


async def _sampled(
    settings: Settings,
    consumer: Consumer,
    connection: asyncpg.Connection,
    projection: Projection,
    ranges: dict[TopicPartition, tuple[int, int]],
) -> Sampled:
    topic = settings.topic(projection.topic)
    written: list[Record] = []
    for tp, (begin, end) in ranges.items():
        if tp.topic == topic:
            for start in sorted({begin, max(begin, end - SAMPLE)}):
                stop = min(end, start + SAMPLE)
                written += _decoded(projection, await _records(consumer, tp, start, stop))
    return Sampled(topic, len(written), await projection.missing(connection, written))


async def _records(
    consumer: Consumer, tp: TopicPartition, start: int, end: int
) -> list[ConsumerRecord]:
    """The records from `start` to before `end`, as far as the broker delivers them soon."""
    found: list[ConsumerRecord] = []
    consumer.assign([tp])
    consumer.seek(tp, start)
    give_up = time.monotonic() + _SAMPLE_WITHIN_S
    while await consumer.position(tp) < end and time.monotonic() < give_up:
        got = await consumer.getmany(tp, timeout_ms=200, max_records=SAMPLE)
        found += [record for record in got.get(tp, ()) if record.offset < end]
    return found


def _decoded(projection: Projection, records: Iterable[ConsumerRecord]) -> list[Record]:
    found = []
    for record in records:
        try:
            if (decoded := projection.decode(record)) is not None:
                found.append(decoded)
        except BadRecord:
            continue  # has no row: the projector skips and counts it
    return found
