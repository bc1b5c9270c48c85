"""How far each role is behind: its lag in records, what blocks it, and whether everything is idle.

Lag counts to the end of each partition that exists (the high watermark), also behind an open
transaction.  Records that will never be delivered (of aborted transactions, and the markers that
end transactions) are not lag; they are found by reading.

May touch: the broker (read only).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from app.kafka.bulk_reader import reader, unreachable
from app.kafka.consumer import Consumer
from app.kafka.consumer_groups import progress_group, projector_group
from app.kafka.log_identity import LogIdentity, Lost
from app.kafka.shared_offsets import SharedOffsets, record_between
from app.kafka.topics import require_existence
from app.settings import Settings
from edgeloop.close_client import close_client
from edgeloop.tolerant import DamagedBatchError
from schemas.kinds import CLOSES, DERIVED, FACTS, LESSONS

_LOOK_S = 2.0  # for finding a record in the lag; a fetch that finds one takes milliseconds


@dataclass(frozen=True)
class Lag:
    """Records of one topic that a role has not processed yet.

    `group` is the consumer group whose committed offsets show it.  `in_transaction` of the records
    wait behind an open transaction, in each partition from offset `open_at` on; `deleted` more were
    deleted before they were read; `beyond` means that more was read than exists, so the log is
    another one; `damaged` says where the next record cannot be read.  `next_offsets` has the offset
    of the first pending record of each partition that has one.
    """

    role: str
    topic: str
    group: str
    records: int
    by_partition: Mapping[int, int]
    in_transaction: int = 0
    deleted: int = 0
    beyond: bool = False
    open_at: Mapping[int, int] = field(default_factory=dict)
    next_offsets: Mapping[int, int] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()

    @property
    def problems(self) -> list[str]:
        """What blocks these records: one sentence each."""
        found = [f"{text} See docs/operations.md#when-a-log-is-damaged." for text in self.damaged]
        if self.in_transaction:
            found.append(
                f"{self.in_transaction:,} records of {self.topic} wait behind a producer's open"
                " transaction: end it, or wait for its time-out."
            )
        if self.deleted:
            found.append(
                f"{self.deleted:,} records of {self.topic} were deleted before {self.role} had read"
                " them."
            )
        if self.beyond:
            found.append(
                f"{self.role} has read more of {self.topic} than there is: it is another log. Run:"
                " faust -A app doctor"
            )
        return found


def chain(settings: Settings) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """(role, group, topics) in the order of the data flow.

    The progress of ingest is what Faust has committed; of the learners, what they have folded,
    refitted and published; of the projector, what it has committed after writing.
    """
    return (
        ("ingest", settings.consumer_group, (CLOSES,)),
        ("lesson_builder", progress_group(settings, "lesson_builder"), (FACTS,)),
        ("override_materializer", progress_group(settings, "override_materializer"), (LESSONS,)),
        ("projector", projector_group(settings), DERIVED),
    )


class LagReader:
    """Keeps its connections open for repeated queries: an async context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open = AsyncExitStack()
        self._committed_ends: Consumer  # ends at the last stable offset
        self._nothing: dict[tuple[TopicPartition, int], int] = {}  # ranges without a record

    async def __aenter__(self) -> LagReader:
        """Raises `UnreachableError`, and `ConfigurationError` where a topic is missing."""
        names = [name for _, _, topics in chain(self._settings) for name in topics]
        await require_existence(self._settings, names)
        self.identity = await self._open.enter_async_context(LogIdentity(self._settings))
        self._committed_ends = reader(self._settings)
        self._open.push_async_callback(close_client, self._committed_ends)
        with unreachable(self._settings, "The lag"):
            await self._committed_ends.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._open.aclose()

    async def lags(self) -> list[Lag]:
        """Lag per role and topic, read in the order of the data flow.

        If all are 0, nothing was in flight when the first was read.
        """
        return [
            await self._lag(role, group, topic)
            for role, group, topics in chain(self._settings)
            for topic in topics
        ]

    async def lost(self) -> list[Lost]:
        """The records that were deleted unread and have not been acknowledged."""
        return await self.identity.lost()

    async def _lag(self, role: str, group: str, topic: str) -> Lag:
        name = self._settings.topic(topic)
        committed = {tp: at.offset for tp, at in (await self.identity.committed(group)).items()}
        bounds = await self.identity.bounds(name)
        stable = await self._committed_ends.end_offsets(list(bounds))
        return await lag_of(role, name, group, committed, bounds, stable, self._is_nothing)

    async def _is_nothing(self, tp: TopicPartition, start: int, end: int) -> bool:
        """Whether no deliverable record lies between `start` and `end`.  Results are cached, since
        aborted records stay aborted.
        """
        if self._nothing.get((tp, start), -1) >= end:
            return True
        try:
            found = await record_between(self._committed_ends, tp, start, end, _LOOK_S)
        except DamagedBatchError:
            raise
        except KafkaError:
            return False  # counts as lag until the broker says otherwise
        if found is False:
            self._nothing[tp, start] = end
        return found is False


class SharedLags:
    """Computes lags from a worker's `SharedOffsets`; its offsets may be some seconds old."""

    def __init__(self, settings: Settings, offsets: SharedOffsets) -> None:
        self._settings = settings
        self._offsets = offsets
        self._nothing: dict[tuple[TopicPartition, int], int] = {}

    async def lags(self) -> list[Lag]:
        """Lag per role and topic.  Raises as `SharedOffsets` does."""
        found = []
        seen = await self._offsets.read()
        for role, group, topics in chain(self._settings):
            committed = await self._offsets.committed(group)
            for topic in topics:
                name = self._settings.topic(topic)
                bounds = {
                    TopicPartition(*at): (seen.log.begins[at], end.offset)
                    for at, end in seen.log.ends.items()
                    if at[0] == name
                }
                found.append(
                    await lag_of(
                        role, name, group, committed, bounds, seen.stable, self._is_nothing
                    )
                )
        return found

    async def _is_nothing(self, tp: TopicPartition, start: int, end: int) -> bool:
        if self._nothing.get((tp, start), -1) < end:
            if await self._offsets.delivers(tp, start, end, _LOOK_S) is not False:
                return False
            self._nothing[tp, start] = end
        return True


async def lag_of(
    role: str,
    name: str,
    group: str,
    committed: Mapping[TopicPartition, int],
    bounds: Mapping[TopicPartition, tuple[int, int]],
    stable: Mapping[TopicPartition, int],
    is_nothing: Callable[[TopicPartition, int, int], Awaitable[bool]],
) -> Lag:
    """The lag of a role in a topic (full name), from its committed offsets and from the beginnings,
    ends and last stable offsets of the partitions; `is_nothing` tells whether no deliverable record
    lies between two offsets."""
    behind: dict[int, int] = {}
    open_at: dict[int, int] = {}
    next_offsets: dict[int, int] = {}
    damaged: list[str] = []
    in_transaction = deleted = 0
    beyond = False
    for tp, (begin, end) in bounds.items():
        done = committed.get(tp, -1)
        start = max(done, begin)
        beyond = beyond or done > end
        deleted += max(0, begin - done) if done >= 0 else 0
        readable = min(end, stable[tp])
        try:
            if start < readable and await is_nothing(tp, start, readable):
                start = readable
        except DamagedBatchError as error:
            damaged.append(error.what)
        behind[tp.partition] = max(0, end - start)
        if behind[tp.partition]:
            next_offsets[tp.partition] = start
        if stable[tp] < end and start < end:
            in_transaction += end - max(start, stable[tp])
            open_at[tp.partition] = stable[tp]
    records = sum(behind.values())
    return Lag(
        role,
        name,
        group,
        records,
        behind,
        in_transaction,
        deleted,
        beyond,
        open_at,
        next_offsets,
        tuple(damaged),
    )
