"""What is published: the latest version of each key of a compacted topic.

Records that cannot be read are skipped, and reported to the caller: those without a version or with
a key that is not text (Edgeloop writes none), and values that are not in the form that this version
writes.

May touch: the broker (read only).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from aiokafka import ConsumerRecord

from app.kafka.bulk_reader import scan
from app.kafka.records import UNREADABLE, is_strangers, version_of
from app.kafka.skipped import Skipped
from app.kafka.topics import require_existence
from app.settings import Settings
from edgeloop.versions import Latest
from schemas.kinds import KINDS

NOT_OURS = "it has no version, or its key is not text"
"""Why a record of a derived topic is skipped although its value may be fine."""


async def current(
    settings: Settings,
    topic: str,
    skipped: Skipped,
    *,
    partition: int | None = None,
    wanted: Callable[[str], bool] = lambda key: True,
) -> dict[str, Any]:
    """Key → decoded record for every key that is not retired and that is `wanted`.

    Of `topic`, or of one partition of it.  Records that cannot be read are added to `skipped`.
    Raises `UnreachableError` without a broker, and `ConfigurationError` where the topic is missing.
    """
    await require_existence(settings, [topic])
    _, records = await _readable(settings, topic, partition, skipped)
    return {key: record for key, record in records.items() if wanted(key)}


class Snapshot(NamedTuple):
    """One topic: key → value in force, and key → highest version, including retired keys.  Every
    value can be decoded."""

    values: dict[str, bytes]
    versions: dict[str, int]


async def snapshots(
    settings: Settings, topics: Sequence[str], skipped: Skipped
) -> dict[str, Snapshot]:
    """A snapshot of each of `topics`, one after the other.  Skips and raises as `current` does."""
    await require_existence(settings, topics)
    found: dict[str, Snapshot] = {}
    for topic in topics:
        latest, _ = await _readable(settings, topic, None, skipped)
        texts = {key: key.decode() for key, _ in latest.items()}
        values = {texts[key]: value for key, value in latest.items() if value is not None}
        versions = {texts[key]: version for key, version in latest.versions().items()}
        found[topic] = Snapshot(values, versions)
    return found


async def _readable(
    settings: Settings, topic: str, partition: int | None, skipped: Skipped
) -> tuple[Latest[bytes, bytes | None], dict[str, Any]]:
    """The latest version of each key among those that can be read, and the decoded records."""
    decode, kind, name = decoder(topic), KINDS[topic], settings.topic(topic)
    latest: Latest[bytes, bytes | None] = Latest()
    async for records in scan(settings, topic, partition=partition):
        for record in records:
            if is_strangers(record):
                skipped.add(name, record.partition, record.offset, NOT_OURS)
            else:
                latest.put(record.key, version_of(record), record.value)
    decoded: dict[bytes, Any] = {}
    unreadable: set[bytes] = set()
    for key, raw in latest.items():
        try:
            if raw is not None:
                decoded[key] = kind.checked(decode(raw), key)
        except UNREADABLE:
            unreadable.add(key)
    if unreadable:
        # As for all other readers, an unreadable record does not hide an earlier version.
        for key in unreadable:
            latest.remove(key)
        async for records in scan(settings, topic, partition=partition):
            for record in records:
                if record.key not in unreadable or is_strangers(record):
                    continue
                try:
                    value = None
                    if record.value is not None:
                        value = kind.checked(decode(record.value), record.key)
                except UNREADABLE as error:
                    skipped.add(name, record.partition, record.offset, error)
                    continue
                if latest.put(record.key, version_of(record), record.value):
                    decoded[record.key] = value
    return latest, {key.decode(): x for key, x in decoded.items() if x is not None}


def decoder(topic: str) -> Callable[[bytes], Any]:
    """A decoder of the values of `topic`.  It raises one of `UNREADABLE`."""
    return msgspec.json.Decoder(KINDS[topic].struct).decode


def read_fact(take: Callable[[bytes], Any], record: ConsumerRecord, skipped: Skipped) -> Any:
    """The result of `take` for the value of a record of facts; None if it cannot be read, for which
    `take` raises one of `UNREADABLE`.
    """
    try:
        return None if record.value is None else take(record.value)
    except UNREADABLE as error:
        skipped.add(record.topic, record.partition, record.offset, error)
        return None
