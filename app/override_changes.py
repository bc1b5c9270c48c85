"""The history of overrides: every published change, and those in force at a given time.

May touch: the broker and, if available, PostgreSQL (both read only).

The topic holds at least the last change of each override; compaction removes the earlier ones after
a while.  `pm_overrides_history` in PostgreSQL keeps all that the projector saw.  A change counts
from its record's Kafka timestamp on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import asyncpg

from app.errors import BadDataError, EdgeloopError
from app.kafka.bulk_reader import scan
from app.kafka.records import UNREADABLE, is_strangers, version_of
from app.kafka.skipped import Skipped
from app.kafka.snapshot import NOT_OURS, decoder
from app.kafka.topics import require_existence
from app.learning.common.event_time import micros_from_text
from app.settings import Settings
from app.storage.connect import close, connect
from edgeloop.overrides import Override
from edgeloop.versions import Latest
from schemas.kinds import KINDS, OVERRIDES
from schemas.times import micros_since_epoch


class OverrideChange(NamedTuple):
    """One publication: at `published_us` (µs since 1970) the override became `record`, or was
    retired (None)."""

    override_id: str
    version: int
    published_us: int
    record: Override | None


class KnownChanges(NamedTuple):
    """All known changes, oldest first; a sentence that says what may be missing, or `""`; and the
    records that cannot be read."""

    changes: list[OverrideChange]
    note: str
    skipped: Skipped


def in_force(changes: Iterable[OverrideChange], at_us: int) -> dict[str, Override]:
    """Override id → the override that a reader used at `at_us`: in force and not expired.

    >>> in_force([OverrideChange("a", 1, 10, None)], 11)
    {}
    """
    return {i: record for i, record in held(changes, at_us).items() if not expired(record, at_us)}


def held(changes: Iterable[OverrideChange], at_us: int) -> dict[str, Override]:
    """Override id → what the topic held at `at_us`: the latest version until then, unless it is
    retired."""
    latest: Latest[str, Override | None] = Latest()
    for change in sorted(changes, key=_order):
        if change.published_us <= at_us:
            latest.put(change.override_id, change.version, change.record)
    return {i: record for i, record in latest.items() if record is not None}


def expired(record: Override, at_us: int) -> bool:
    """Whether a reader at `at_us` ignores the override because of its age."""
    return record.expires_at is not None and micros_from_text(record.expires_at) <= at_us


def _order(change: OverrideChange) -> tuple[int, int, bool]:
    return change.published_us, change.version, change.record is not None


def merged(*several: Iterable[OverrideChange]) -> list[OverrideChange]:
    """The changes of several sources, each once, oldest first."""
    found = {
        (c.override_id, c.version, c.published_us, c.record is None): c
        for changes in several
        for c in changes
    }
    return sorted(found.values(), key=lambda c: (*_order(c), c.override_id))


async def read(settings: Settings, skipped: Skipped) -> KnownChanges:
    """Every change that the topic or the database knows.

    Records that cannot be read are added to `skipped`, which the result has, too.  Raises
    `UnreachableError` without a broker, `ConfigurationError` without the topic.  If the database is
    not set, not reachable or not migrated, the note says so and only the topic is used.
    """
    held = await _from_topic(settings, skipped)
    try:
        return KnownChanges(merged(held, await _from_database(settings)), "", skipped)
    except EdgeloopError as error:
        return KnownChanges(
            merged(held),
            f"{error.what}  Changes that compaction removed from {settings.topic(OVERRIDES)} may be"
            " missing.",
            skipped,
        )


async def _from_topic(settings: Settings, skipped: Skipped) -> list[OverrideChange]:
    await require_existence(settings, [OVERRIDES])
    decode = decoder(OVERRIDES)
    found = []
    async for records in scan(settings, OVERRIDES):
        for r in records:
            if is_strangers(r):
                skipped.add(r.topic, r.partition, r.offset, NOT_OURS)
                continue
            try:
                record = None
                if r.value is not None:
                    record = KINDS[OVERRIDES].checked(decode(r.value), r.key)
            except UNREADABLE as error:
                skipped.add(r.topic, r.partition, r.offset, error)
                continue
            found.append(OverrideChange(r.key.decode(), version_of(r), r.timestamp * 1000, record))
    return found


async def _from_database(settings: Settings) -> list[OverrideChange]:
    """The rows of pm_overrides_history.  Raises an `EdgeloopError` if they cannot be read."""
    connection = await connect(settings.database_url, settings.database_schema)
    try:
        rows = await connection.fetch(
            "SELECT override_id, version, published_at, record::text FROM pm_overrides_history"
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise EdgeloopError(
            f"pm_overrides_history cannot be read: {str(error) or type(error).__name__}."
        ) from error
    finally:
        await close(connection)
    decode = decoder(OVERRIDES)
    try:
        return [
            OverrideChange(
                i,
                version,
                micros_since_epoch(published),
                None if record is None else decode(record.encode()),
            )
            for i, version, published, record in rows
        ]
    except UNREADABLE as error:
        raise BadDataError(
            f"pm_overrides_history has a row that cannot be read: {error}."
        ) from error
