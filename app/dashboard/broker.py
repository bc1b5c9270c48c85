"""Readings from the broker: how far behind each role is, which workers run, which closes were
refused, when each stage last published.

May touch: the broker (read only: no group is joined, nothing is committed).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AsyncExitStack

import msgspec
from aiokafka import ConsumerRecord, TopicPartition

from app.deadletters.marking import MARK, marked
from app.deadletters.read import letter_of
from app.kafka.bulk_reader import partitions_of, started_reader, unreachable
from app.kafka.consumer import Consumer
from app.kafka.consumer_groups import groups
from app.kafka.lag import LagReader
from app.kafka.topics import require_existence
from app.settings import Settings
from schemas.kinds import CLOSES, DEAD_LETTERS, FACTS, LESSONS, OVERRIDES, VERDICTS

MOST_LETTERS = 20
"""Number of dead letters shown: the newest ones."""
MOST_LINES = 60
"""Lines shown of each dead letter: those around the invalid value."""
READ_WITHIN_S = 5.0
STAGES = (
    ("closes received", CLOSES),
    ("facts written by ingest", FACTS),
    ("lessons refitted by lesson_builder", LESSONS),
    ("verdicts judged by override_materializer", VERDICTS),
    ("overrides published", OVERRIDES),
)
"""What the newest record of each topic shows to have been done."""


class RoleLag(msgspec.Struct, frozen=True):
    """One topic that a role works on: how many records it is behind, and the age in seconds of the
    oldest of them (None if there is none)."""

    role: str
    topic: str
    records: int
    seconds: float | None


class Worker(msgspec.Struct, frozen=True):
    """A member of a consumer group and how many partitions it has."""

    client: str
    host: str
    group: str
    partitions: int


class Membership(msgspec.Struct, frozen=True):
    """A consumer group."""

    group: str
    state: str
    workers: tuple[Worker, ...]


class DeadLetter(msgspec.Struct, frozen=True):
    """A refused close; `lines` are its value, with the invalid part marked."""

    place: str
    reason: str
    path: str
    key: str
    written_ms: int
    lines: tuple[str, ...]


class DeadLetters(msgspec.Struct, frozen=True):
    """The number of dead letters in the log, and the newest of them."""

    total: int
    newest: tuple[DeadLetter, ...]


class Stage(msgspec.Struct, frozen=True):
    """The time of the newest record of a stage's output (`at_ms`, None if there is none), and
    `end`, the sum of the end offsets of its partitions."""

    what: str
    topic: str
    end: int
    at_ms: int | None


class Broker:
    """Keeps its connections open between readings, and reopens them after an error."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: AsyncExitStack | None = None
        self._lags: LagReader
        self._consumer: Consumer

    async def lags(self) -> tuple[RoleLag, ...]:
        """The lag of each role and topic."""
        try:
            if self._open is None:
                opened = AsyncExitStack()
                self._lags = await opened.enter_async_context(LagReader(self._settings))
                self._consumer = await opened.enter_async_context(
                    started_reader(self._settings, "The log")
                )
                self._open = opened
            found = await self._lags.lags()
            places = {
                TopicPartition(lag.topic, partition): offset
                for lag in found
                for partition, offset in lag.next_offsets.items()
            }
            records = await _records_from(self._consumer, places, most=1)
        except BaseException:
            await self.close()
            raise
        now_ms = time.time() * 1000
        oldest: dict[str, float] = {}
        for tp, held in records.items():
            if held:
                age_s = max(0.0, (now_ms - held[0].timestamp) / 1000)
                oldest[tp.topic] = max(age_s, oldest.get(tp.topic, 0.0))
        return tuple(
            RoleLag(lag.role, lag.topic, lag.records, oldest.get(lag.topic)) for lag in found
        )

    async def close(self) -> None:
        """Close the connections."""
        opened, self._open = self._open, None
        if opened is not None:
            await opened.aclose()


async def _records_from(
    consumer: Consumer, places: Mapping[TopicPartition, int], *, most: int
) -> dict[TopicPartition, list[ConsumerRecord]]:
    """For each place, up to `most` records from there on; fewer if the log ends before.  Offsets
    without a record (compaction, the end of a transaction) are skipped.
    """
    found: dict[TopicPartition, list[ConsumerRecord]] = {tp: [] for tp in places}
    if not places:
        return found
    consumer.assign(list(places))
    ends = await consumer.end_offsets(list(places))
    for tp, offset in places.items():
        consumer.seek(tp, offset)
    open_ = {tp for tp, offset in places.items() if offset < ends[tp]}
    deadline = time.monotonic() + READ_WITHIN_S
    while open_ and time.monotonic() < deadline:
        for tp, records in (await consumer.getmany(*open_, timeout_ms=200)).items():
            found[tp] += records[: most - len(found[tp])]
        for tp in list(open_):
            if len(found[tp]) >= most or await consumer.position(tp) >= ends[tp]:
                open_.remove(tp)
    return found


async def memberships(settings: Settings) -> tuple[Membership, ...]:
    """The workers by group."""
    return tuple(
        Membership(
            group.name,
            group.state,
            tuple(Worker(m.client, m.host, m.group, len(m.partitions)) for m in group.members),
        )
        for group in await groups(settings)
    )


async def dead_letters(settings: Settings) -> DeadLetters:
    """The number of dead letters, and the newest `MOST_LETTERS` of them."""
    await require_existence(settings, [DEAD_LETTERS])
    tps = partitions_of(settings, DEAD_LETTERS)
    async with started_reader(settings, settings.topic(DEAD_LETTERS)) as consumer:
        with unreachable(settings, settings.topic(DEAD_LETTERS)):
            begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
            places = {tp: max(begins[tp], ends[tp] - MOST_LETTERS) for tp in tps}
            found = await _records_from(consumer, places, most=MOST_LETTERS)
    letters = [_letter(record) for records in found.values() for record in records]
    letters.sort(key=lambda letter: -letter.written_ms)
    total = sum(ends[tp] - begins[tp] for tp in tps)
    return DeadLetters(total, tuple(letters[:MOST_LETTERS]))


def _letter(record: ConsumerRecord) -> DeadLetter:
    letter = letter_of(record)
    lines = marked(record.value, letter.path, letter.reason, letter.exception)
    if len(lines) > MOST_LINES:
        at = next((i for i, line in enumerate(lines) if MARK in line), 0)
        start = max(0, min(at - MOST_LINES // 2, len(lines) - MOST_LINES))
        lines = ["…", *lines[start : start + MOST_LINES], "…"]
    return DeadLetter(
        str(letter.place),
        letter.reason,
        letter.path,
        "" if letter.key is None else letter.key.decode(errors="replace"),
        letter.written_ms,
        tuple(lines),
    )


async def stages(settings: Settings) -> tuple[Stage, ...]:
    """The newest record of each stage."""
    await require_existence(settings, [topic for _, topic in STAGES])
    found = []
    async with started_reader(settings, "The log") as consumer:
        with unreachable(settings, "The log"):
            for what, topic in STAGES:
                tps = partitions_of(settings, topic)
                begins = await consumer.beginning_offsets(tps)
                ends = await consumer.end_offsets(tps)
                # The last offsets may be the marker of a transaction's end.
                places = {tp: max(begins[tp], ends[tp] - 3) for tp in tps}
                records = await _records_from(consumer, places, most=3)
                times = [r.timestamp for held in records.values() for r in held]
                end = sum(ends.values())
                found.append(Stage(what, settings.topic(topic), end, max(times, default=None)))
    return tuple(found)
