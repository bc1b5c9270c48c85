"""The log from which the tables were filled, and the offsets up to which: `projected_log`, written
by the projector.

Kafka may be replaced, be rolled back, or lose a topic while PostgreSQL is kept, or the other way
round.  Then rows of the old log would have higher versions than all new records and stay forever,
or rows would be missing although the offsets are committed.  So every writer compares first.

May touch: PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import asyncpg
from aiokafka import TopicPartition

from app.errors import ConfigurationError
from app.kafka.bulk_reader import unreachable
from app.kafka.consumer_groups import projector_group
from app.kafka.log_identity import Difference, End, Log, LogIdentity
from app.settings import Settings
from app.storage.connect import close, connect
from edgeloop.cluster import Cluster

REBUILD = "faust -A app rebuild"


class Mark(NamedTuple):
    """A row of `projected_log`."""

    topic: str
    partition: int
    cluster_id: str
    topic_id: str
    leader_epoch: int
    next_offset: int


async def read(connection: asyncpg.Connection) -> list[Mark]:
    """All marks; empty if the schema is not migrated."""
    try:
        rows = await connection.fetch(f"SELECT {', '.join(Mark._fields)} FROM projected_log")
    except asyncpg.UndefinedTableError:
        return []
    return [Mark(*row) for row in rows]


async def write(connection: asyncpg.Connection, marks: Iterable[Mark]) -> None:
    """Replace the marks of these partitions, unless the stored ones are further ahead.

    Another projector may have continued while this one was suspended.
    """
    names = Mark._fields
    await connection.executemany(
        f"""INSERT INTO projected_log AS l ({", ".join(names)}) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (topic, partition) DO UPDATE SET noted_at = now(),
            {", ".join(f"{name} = excluded.{name}" for name in names[2:])}
        WHERE l.next_offset <= excluded.next_offset
            OR (l.cluster_id, l.topic_id) <> (excluded.cluster_id, excluded.topic_id)""",
        list(marks),
    )


def as_log(marks: Iterable[Mark]) -> Log:
    """The log that the marks belong to."""
    found = list(marks)
    return Log(
        next((mark.cluster_id for mark in found), ""),
        {mark.topic: mark.topic_id for mark in found},
        {(m.topic, m.partition): End(m.next_offset, m.leader_epoch) for m in found},
    )


async def differences(
    settings: Settings, connection: asyncpg.Connection, identity: LogIdentity
) -> list[Difference]:
    """How the log of the tables differs from the one in Kafka.  Raises `KafkaError`.

    Other projectors continue meanwhile.  They mark first, then commit; so offsets are read first,
    then marks, then the ends of the log.
    """
    committed = await identity.committed(projector_group(settings))
    marks = await read(connection)
    known = [mark for mark in marks if mark.topic.startswith(settings.topic_prefix)]
    found = await identity.changed_since(as_log(known))
    found += ahead(known, {(tp.topic, tp.partition): at.offset for tp, at in committed.items()})
    return found


def ahead(marks: Iterable[Mark], committed: Mapping[tuple[str, int], int]) -> list[Difference]:
    """Topics whose committed offsets are ahead of the tables."""
    found: dict[str, Difference] = {}
    for mark in sorted(marks):
        offset = committed.get((mark.topic, mark.partition), -1)
        if offset > mark.next_offset:
            what = (
                f"partition {mark.partition} is in the tables up to offset {mark.next_offset:,},"
                f" but was written up to {offset:,}: the database was rolled back to an older state"
            )
            found.setdefault(mark.topic, Difference(mark.topic, what))
    return list(found.values())


def refusal(settings: Settings, found: Iterable[Difference]) -> ConfigurationError:
    """The error for users: what has changed, and what fixes it."""
    lines = "".join(f"\n  {d.topic} {d.what}" for d in found)
    return ConfigurationError(
        f"The tables in the schema {settings.database_schema} are of another log than Kafka"
        f" has:{lines}",
        f"Stop all workers, then run: {REBUILD} (it fills the tables from the topics).",
    )


async def examine(settings: Settings) -> list[Difference]:
    """As `differences`, over connections of its own.

    Raises `UnreachableError` without the database or the broker.
    """
    connection = await connect(settings.database_url, settings.database_schema)
    try:
        async with LogIdentity(settings) as identity:
            with unreachable(settings, "The log"):
                return await differences(settings, connection, identity)
    finally:
        await close(connection)


async def require_same_log(settings: Settings) -> None:
    """Raise `ConfigurationError` if the tables come from another log than the one in Kafka.

    Raises as `examine` does.
    """
    if found := await examine(settings):
        raise refusal(settings, found)


def marks_of(cluster: Cluster, positions: Mapping[TopicPartition, int]) -> list[Mark]:
    """The marks of positions up to which everything is written; `cluster` was read after that."""
    found = []
    for tp, offset in positions.items():
        topic = cluster.topics.get(tp.topic)
        if topic is not None and tp.partition in topic.leaders:
            epoch = topic.leaders[tp.partition][1]
            found.append(Mark(tp.topic, tp.partition, cluster.id, topic.id, epoch, offset))
    return found
