"""The identity of the log that this installation has read: noted, and compared with the current
log.

Versions are offsets.  If a topic is deleted and created again, or the broker is restored to an
older state, offsets begin again below the published versions, and the old records would win
forever.  So the identity of the log is noted in three places.  Every worker compares it at its
start and every few seconds while it runs, and so does `doctor`:

* in Kafka, as the committed offsets of the group `….log`: each offset is the end of a partition,
  and its metadata has the leader's epoch at that time and the ids of the cluster and of all topics.
  (Kafka forgets the offsets of a deleted topic, so the ids of all topics are kept with each topic.)
* in PostgreSQL, by the projector: for each partition, the log of its rows
  (`app.storage.projected_log`).
* in the published records: no version is beyond the end of the log of which it is an offset
  (`app.ownership.hydration`).

May touch: the broker: reads offsets and ids, commits offsets of the groups `….log` and `….lost`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupIdNotFound, KafkaError, UnknownTopicOrPartitionError
from aiokafka.structs import OffsetAndMetadata

from app.errors import ConfigurationError
from app.kafka.admin import admin
from app.kafka.bulk_reader import unreachable
from app.kafka.client import client_options
from app.kafka.consumer import Consumer
from app.kafka.consumer_groups import progress_group, projector_group
from app.kafka.records import UNREADABLE
from app.kafka.topics import ACCEPT
from app.settings import Settings
from edgeloop.close_client import close_client
from edgeloop.cluster import Cluster, ends_of_epochs, look
from schemas.kinds import CLOSES, FACTS, KINDS, LESSONS

COORDINATOR_WITHIN_S = 15.0
_LOOKS = 3
_LOOK_AGAIN_S = 0.5


class End(NamedTuple):
    """The end of a partition, and the leader epoch at the time."""

    offset: int
    epoch: int


@dataclass(frozen=True)
class Log:
    """The state of a log: the id of the cluster, the ids of the topics by full name, and the ends
    and beginnings by (topic, partition)."""

    cluster: str = ""
    topics: Mapping[str, str] = field(default_factory=dict)
    ends: Mapping[tuple[str, int], End] = field(default_factory=dict)
    begins: Mapping[tuple[str, int], int] = field(default_factory=dict)

    def records(self, topic: str) -> list[int]:
        """Offsets from the beginning to the end of each partition of a topic (full name)."""
        return [
            end.offset - self.begins.get(place, 0)
            for place, end in self.ends.items()
            if place[0] == topic
        ]

    def topics_partitions(self) -> dict[str, int]:
        """Topic (full name) → how many partitions it has."""
        return {topic: sum(name == topic for name, _ in self.ends) for topic in self.topics}


class Difference(NamedTuple):
    """How a topic differs from the log that was read before: its full name, and a sentence."""

    topic: str
    what: str


class Lost(NamedTuple):
    """Records that Kafka deleted before they were read: their number, the offset up to which, and
    when it was noticed (ms since 1970)."""

    topic: str
    partition: int
    records: int
    before: int
    at_ms: int

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.at_ms / 1000))
        return (
            f"{self.records:,} records of {self.topic}/{self.partition} before offset"
            f" {self.before:,} were deleted before they were read (noticed {when})"
        )


def log_group(settings: Settings) -> str:
    """The group whose committed offsets note the log.  It has no members."""
    return f"{settings.consumer_group}.log"


def lost_group(settings: Settings) -> str:
    """The group whose committed offsets note the records that were deleted unread.  It has no
    members."""
    return f"{settings.consumer_group}.lost"


class LogIdentity:
    """Reads and notes the identity of the log: an async context manager that keeps its connections
    open."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names = [settings.topic(name) for name in KINDS]
        self._open = AsyncExitStack()
        self._consumer: Consumer  # to the high watermark
        self._admin: AIOKafkaAdminClient
        self.cluster: Cluster | None = None

    async def __aenter__(self) -> LogIdentity:
        """Raises `UnreachableError`."""
        try:
            self._admin = await self._open.enter_async_context(admin(self._settings))
            self._consumer = Consumer(**client_options(self._settings, enable_auto_commit=False))
            self._open.push_async_callback(close_client, self._consumer)
            with unreachable(self._settings, "The log"):
                await self._consumer.start()
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._open.aclose()

    async def now(self) -> Log:
        """The current state of the log.  Raises `KafkaError`, `OSError`."""
        self.cluster = await look(self._consumer._client, self._names)
        if self.cluster is None:
            return Log()
        tps = [
            TopicPartition(name, number)
            for name, topic in self.cluster.topics.items()
            for number in topic.partitions
        ]
        if not tps:
            return Log(self.cluster.id)
        ends = await self._consumer.end_offsets(tps)
        begins = await self._consumer.beginning_offsets(tps)
        # Read again, so that no record before an end has a later epoch than the one noted with it.
        again = await look(self._consumer._client, self._names)
        if again is None or again.topics.keys() != self.cluster.topics.keys():
            raise UnknownTopicOrPartitionError("Topics are being created or deleted.")
        self.cluster = again
        return Log(
            self.cluster.id,
            {name: topic.id for name, topic in self.cluster.topics.items()},
            {
                (tp.topic, tp.partition): End(
                    ends[tp], self.cluster.topics[tp.topic].leaders[tp.partition][1]
                )
                for tp in tps
            },
            {(tp.topic, tp.partition): begins[tp] for tp in tps},
        )

    async def bounds(self, name: str) -> dict[TopicPartition, tuple[int, int]]:
        """The beginning and the end of each existing partition of a topic (full name)."""
        seen = await look(self._consumer._client, [name])
        numbers = list(range(self._settings.partitions))
        if seen is not None:
            numbers = seen.topics[name].partitions if name in seen.topics else []
        tps = [TopicPartition(name, number) for number in numbers]
        begins = await self._consumer.beginning_offsets(tps) if tps else {}
        ends = await self._consumer.end_offsets(tps) if tps else {}
        return {tp: (begins[tp], ends[tp]) for tp in tps}

    async def noted(self) -> Log:
        """The state of the log that was noted in Kafka; empty if there is none."""
        cluster, topics, ends = "", {}, {}
        for tp, committed in (await self.committed(log_group(self._settings))).items():
            if tp.topic not in self._names:
                continue
            try:
                note = msgspec.json.decode(committed.metadata or "", type=_Note)
            except UNREADABLE:
                continue
            cluster = note.cluster or cluster
            topics.update(note.topics)
            ends[tp.topic, tp.partition] = End(committed.offset, note.epoch)
        return Log(cluster, topics, ends)

    async def note(self, log: Log) -> None:
        """Note `log` in Kafka.  Raises `KafkaError`."""
        offsets: dict[TopicPartition, OffsetAndMetadata] = {}
        for (name, number), end in log.ends.items():
            first = _Note(end.epoch, log.cluster, dict(log.topics))
            text = msgspec.json.encode(first if number == 0 else _Note(end.epoch)).decode()
            offsets[TopicPartition(name, number)] = OffsetAndMetadata(end.offset, text)
        await self._commit(log_group(self._settings), offsets)

    async def lost(self) -> list[Lost]:
        """The records that were deleted unread and have not been acknowledged."""
        found = []
        for tp, committed in (await self.committed(lost_group(self._settings))).items():
            with suppress(*UNREADABLE):
                note = msgspec.json.decode(committed.metadata or "", type=_Lost)
                found.append(
                    Lost(tp.topic, tp.partition, note.records, committed.offset, note.at_ms)
                )
        return sorted(found)

    async def note_lost(self, lost: Lost) -> None:
        """Note lost records, in addition to those of the partition that were noted before."""
        tp = TopicPartition(lost.topic, lost.partition)
        before = sum(o.records for o in await self.lost() if o[:2] == (tp.topic, tp.partition))
        text = msgspec.json.encode(_Lost(before + lost.records, lost.at_ms)).decode()
        await self._commit(lost_group(self._settings), {tp: OffsetAndMetadata(lost.before, text)})

    async def forget_lost(self) -> None:
        """Acknowledge the lost records: they are not reported again."""
        noted = await self.committed(lost_group(self._settings))
        await self._commit(
            lost_group(self._settings),
            {tp: OffsetAndMetadata(at.offset, "") for tp, at in noted.items()},
        )

    async def committed(self, group: str) -> dict[TopicPartition, OffsetAndMetadata]:
        """The committed offsets of a group; empty if it has never committed any.  Raises
        `KafkaError`."""
        give_up = time.monotonic() + COORDINATOR_WITHIN_S
        while True:
            try:
                return dict(await self._admin.list_consumer_group_offsets(group))
            except GroupIdNotFound:
                return {}
            except KafkaError as error:  # a new cluster has no coordinator at first
                if not error.retriable or time.monotonic() > give_up:
                    raise
            await asyncio.sleep(0.1)

    async def _commit(
        self, group: str, offsets: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> None:
        if not offsets:
            return
        options = client_options(self._settings, group_id=group, enable_auto_commit=False)
        consumer = Consumer(**options)
        try:
            await consumer.start()
            consumer.assign(list(offsets))
            await consumer.commit(dict(offsets))
        finally:
            await close_client(consumer)

    async def differences(self, was: Log, now: Log) -> list[Difference]:
        """How the log `now` differs from the one that it `was`: the first difference found in each
        topic.  `now` is the last state that this object has read.
        """
        found: dict[str, Difference] = {}

        def differs(topic: str, what: str) -> None:
            found.setdefault(topic, Difference(topic, what))

        if on_another_cluster(was, now):
            for topic in sorted(was.topics):
                differs(topic, f"is on another cluster (id {now.cluster}, before {was.cluster})")
        for topic in sorted(was.topics.keys() & now.topics.keys()):
            if was.topics[topic] != now.topics[topic]:
                differs(topic, "was deleted and created again")
        same = {at: end for at, end in was.ends.items() if at[0] not in found and at in now.ends}
        for (topic, number), end in sorted(same.items()):
            if now.ends[topic, number].offset < end.offset:
                differs(
                    topic,
                    f"partition {number} ends at {now.ends[topic, number].offset:,}, but had"
                    f" reached {end.offset:,}: the broker was rolled back or lost records",
                )
        left = {at: end.epoch for at, end in same.items() if at[0] not in found and end.epoch >= 0}
        if left and self.cluster is not None:
            reached = await ends_of_epochs(self._consumer._client, self.cluster, left)
            for (topic, number), up_to in sorted(reached.items()):
                if up_to < same[topic, number].offset:
                    differs(
                        topic,
                        f"partition {number} had reached offset {same[topic, number].offset:,} and"
                        " was rewritten below it: the broker was rolled back and continued from"
                        " there",
                    )
        return list(found.values())

    async def changed_since(self, was: Log) -> list[Difference]:
        """The differences between `was` and the current log, if they persist.  A new leader may not
        know its own epoch for a moment.
        """

        async def look() -> list[Difference]:
            return await self.differences(was, await self.now())

        return await _if_they_stay(look)

    async def beyond(self) -> list[Difference]:
        """Topics of which more was read than exists, if that persists."""
        return await _if_they_stay(self._beyond)

    async def _beyond(self) -> list[Difference]:
        # Other workers read on meanwhile, so committed offsets are requested before the ends.
        read = {group: await self.committed(group) for group in readers(self._settings)}
        now = await self.now()
        found: dict[str, Difference] = {}
        for group, topics in readers(self._settings).items():
            names = {self._settings.topic(topic) for topic in topics}
            for tp, at in read[group].items():
                end = now.ends.get((tp.topic, tp.partition))
                if tp.topic in names and end is not None and at.offset > end.offset:
                    what = (
                        f"partition {tp.partition} ends at {end.offset:,}, but the group {group}"
                        f" has read up to {at.offset:,}: it is not the log that the group has read"
                    )
                    found.setdefault(tp.topic, Difference(tp.topic, what))
        return list(found.values())


def on_another_cluster(was: Log, now: Log) -> bool:
    """Whether both ids are known and differ.  No retry changes that."""
    return bool(was.cluster and now.cluster and was.cluster != now.cluster)


async def _if_they_stay(look: Callable[[], Awaitable[list[Difference]]]) -> list[Difference]:
    found = await look()
    for _ in range(_LOOKS - 1):
        if not found:
            return []
        await asyncio.sleep(_LOOK_AGAIN_S)
        found = await look()
    return found


def readers(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Group → the topics (without prefix) whose offsets it commits."""
    derived = tuple(kind.topic for kind in KINDS.values() if kind.source)
    return {
        settings.consumer_group: (CLOSES, FACTS, LESSONS),
        progress_group(settings, "lesson_builder"): (FACTS,),
        progress_group(settings, "override_materializer"): (LESSONS,),
        projector_group(settings): derived,
    }


async def examine(settings: Settings) -> tuple[list[Difference], list[Lost]]:
    """What has changed since the log was noted, and what was deleted unread.

    Raises `UnreachableError`.
    """
    async with LogIdentity(settings) as identity:
        with unreachable(settings, "The log"):
            changed = await identity.changed_since(await identity.noted())
            found = {d.topic: d for d in await identity.beyond()}
            found |= {d.topic: d for d in changed}
            return [found[topic] for topic in sorted(found)], await identity.lost()


def refusal(differences: list[Difference]) -> ConfigurationError:
    """The message: what has changed, and how to fix it."""
    lines = "".join(f"\n  {d.topic} {d.what}" for d in differences)
    return ConfigurationError(
        f"The log is not the one that was read before:{lines}",
        f"Stop all workers, then run: {ACCEPT} --dry-run (and without it, to go on with the log as"
        " it is).",
    )


async def require_same_log(settings: Settings) -> Log:
    """Raise `ConfigurationError` if the log is not the one that was noted; else note its state and
    return it."""
    async with LogIdentity(settings) as identity:
        with unreachable(settings, "The log"):
            differences = await identity.changed_since(await identity.noted())
            differences += await identity.beyond()
            if differences:
                raise refusal(differences)
            now = await identity.now()
            await identity.note(now)
            return now


class _Note(msgspec.Struct, omit_defaults=True):
    epoch: int = -1
    cluster: str = ""
    topics: dict[str, str] = {}


class _Lost(msgspec.Struct):
    records: int
    at_ms: int
