"""Published records whose versions are beyond the end of the topic of which they are offsets.

No worker can have written them: the source was created again or rolled back since, or another
program wrote the records.  They would win over all that workers publish.

May touch: the broker (read only).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from typing import Any

import msgspec
from aiokafka import ConsumerRecord

from app.kafka.bulk_reader import log_bounds, scan
from app.kafka.log_identity import Difference
from app.kafka.records import UNREADABLE, is_strangers, partition_of, version_of
from app.settings import Settings
from schemas.facts import group_key
from schemas.kinds import DERIVED, FACTS, HISTORY, KINDS, LESSONS

CHECKED = [topic for topic in DERIVED if topic != FACTS]
"""Of the facts of a trade, the highest rank counts, not the highest version."""

Ends = dict[str, dict[str, int]]
"""Source → partition → its end."""


async def versions_beyond(settings: Settings, newest: int | None = None) -> list[Difference]:
    """The sources that end before the versions of records derived from them; with `newest`, only
    that many offsets at the end of each partition are read.  Workers may be running.  Raises
    `UnreachableError`, and `ConfigurationError` where a topic is missing.
    """
    before = await _ends(settings)
    highest: dict[tuple[str, int | None], int] = {}  # by topic and source partition, if known
    retired: dict[bytes, int] = {}  # lessons
    for topic in CHECKED:
        decode = msgspec.json.Decoder(KINDS[topic].struct).decode
        least = min(before[str(KINDS[topic].source)].values())
        async for records in scan(settings, topic, starts=await _starts(settings, topic, newest)):
            for record in records:
                version = version_of(record)
                if version <= least or is_strangers(record):
                    continue
                if topic == LESSONS and record.value is None:
                    retired[record.key] = max(version, retired.get(record.key, 0))
                    continue
                with suppress(*UNREADABLE):
                    at = topic, _source_partition(settings, topic, record, decode)
                    highest[at] = max(version, highest.get(at, 0))
    groups = await _lesson_partitions(settings, retired) if retired else {}
    for key, version in retired.items():
        at = LESSONS, groups.get(key)
        highest[at] = max(version, highest.get(at, 0))
    return _differences(settings, highest, await _ends(settings))


async def _ends(settings: Settings) -> Ends:
    return {source: (await log_bounds(settings, source))[1] for source in (FACTS, LESSONS)}


async def _starts(settings: Settings, topic: str, newest: int | None) -> dict[int, int] | None:
    if newest is None:
        return None
    begins, ends = await log_bounds(settings, topic)
    return {int(p): max(begins[p], end - newest) for p, end in ends.items()}


def _source_partition(
    settings: Settings, topic: str, record: ConsumerRecord, decode: Callable[[bytes], Any]
) -> int | None:
    """The partition of the source that a record is derived from; None if it does not say so.
    Raises one of `UNREADABLE`."""
    if record.value is not None:
        value = KINDS[topic].checked(decode(record.value), record.key)
    if topic == HISTORY:
        return None
    if topic == LESSONS:
        group = group_key(value.pattern_key, value.action_category)
        return partition_of(group, settings.partitions)
    return int(record.partition)  # both are partitioned by module


async def _lesson_partitions(settings: Settings, keys: Container[bytes]) -> dict[bytes, int | None]:
    """Lesson id → the partition of its facts, as far as a record of it is left."""
    decode = msgspec.json.Decoder(KINDS[LESSONS].struct).decode
    found: dict[bytes, int | None] = {}
    async for records in scan(settings, LESSONS):
        for record in records:
            if record.key in keys and record.value is not None:
                with suppress(*UNREADABLE):
                    found[record.key] = _source_partition(settings, LESSONS, record, decode)
    return found


def _differences(
    settings: Settings, highest: Mapping[tuple[str, int | None], int], ends: Ends
) -> list[Difference]:
    found: dict[str, Difference] = {}
    for (topic, partition), version in highest.items():
        source = str(KINDS[topic].source)
        end = max(ends[source].values())
        if partition is not None:
            end = ends[source].get(str(partition), version)
        if version > end:
            what = f"ends at {end:,}, but {topic} has records of version {version:,}"
            found.setdefault(source, Difference(settings.topic(source), what))
    return list(found.values())
