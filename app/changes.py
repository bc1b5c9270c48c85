"""Overrides as they were: every published change, and what was in force at a time.

May touch: the broker and, where it answers, PostgreSQL (both read only).

The topic holds at least the last change of each override; compaction removes the earlier ones after
a while.  `pm_overrides_history` in PostgreSQL keeps all that the projector saw.  A change counts
from its record's Kafka timestamp on.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import asyncpg

from app.errors import EdgeloopError
from app.learning.common.event_time import micros_from_text
from app.log.reader import scan
from app.log.records import is_strangers, version_of
from app.log.snapshot import decoder
from app.log.topics import require_existence
from app.settings import Settings
from app.storage.connect import close, connect
from edgeloop.overrides import Override
from edgeloop.versions import Latest
from schemas.kinds import OVERRIDES

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Change(NamedTuple):
    """One publication: at `published_us` (µs since 1970) the override became `record`, or was
    retired (None)."""

    override_id: str
    version: int
    published_us: int
    record: Override | None


class Changes(NamedTuple):
    """All changes that are known, oldest first, and a sentence of what may be missing, or `""`."""

    changes: list[Change]
    note: str


def in_force(changes: Iterable[Change], at_us: int) -> dict[str, Override]:
    """Override id → what a reader went by at `at_us`: what held then and had not expired.

    >>> in_force([Change("a", 1, 10, None)], 11)
    {}
    """
    return {i: record for i, record in held(changes, at_us).items() if not expired(record, at_us)}


def held(changes: Iterable[Change], at_us: int) -> dict[str, Override]:
    """Override id → what the topic held at `at_us`: of the changes up to then the one that counts,
    unless it is retired."""
    latest: Latest[str, Override | None] = Latest()
    for change in sorted(changes, key=_order):
        if change.published_us <= at_us:
            latest.put(change.override_id, change.version, change.record)
    return {i: record for i, record in latest.items() if record is not None}


def expired(record: Override, at_us: int) -> bool:
    """Whether a reader at `at_us` ignores the override for its age."""
    return record.expires_at is not None and micros_from_text(record.expires_at) <= at_us


def _order(change: Change) -> tuple[int, int, bool]:
    return change.published_us, change.version, change.record is not None


def merged(*several: Iterable[Change]) -> list[Change]:
    """The changes of several sources, each once, oldest first."""
    found = {
        (c.override_id, c.version, c.published_us, c.record is None): c
        for changes in several
        for c in changes
    }
    return sorted(found.values(), key=lambda c: (*_order(c), c.override_id))


async def read(settings: Settings) -> Changes:
    """Every change that the topic or the database knows.

    Raises `UnreachableError` without a broker, `ConfigurationError` without the topic.  A database
    that is not set, away or not migrated is told in the note, and the topic alone counts.
    """
    held = await _from_topic(settings)
    try:
        return Changes(merged(held, await _from_database(settings)), "")
    except EdgeloopError as error:
        return Changes(
            merged(held),
            f"{error.what}  Changes that compaction removed from {settings.topic(OVERRIDES)} may be"
            " missing.",
        )


async def _from_topic(settings: Settings) -> list[Change]:
    await require_existence(settings, [OVERRIDES])
    decode = decoder(settings, OVERRIDES)
    found = []
    async for records in scan(settings, OVERRIDES):
        for r in records:
            if is_strangers(r):
                continue
            record = None if r.value is None else decode(r.value)
            found.append(Change(r.key.decode(), version_of(r), r.timestamp * 1000, record))
    return found


async def _from_database(settings: Settings) -> list[Change]:
    """The rows of pm_overrides_history.  Raises an `EdgeloopError` if they cannot be had."""
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
    decode = decoder(settings, OVERRIDES)
    return [
        Change(
            i,
            version,
            (published - _EPOCH) // timedelta(microseconds=1),
            None if record is None else decode(record.encode()),
        )
        for i, version, published, record in rows
    ]
