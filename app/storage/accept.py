"""Accept the current log after it was replaced: `faust -A app topics accept`.

A version is an offset of the topic that a record was derived from.  If that topic was created again
or rolled back, versions begin again below the published ones.  So the published records are
deleted, and workers publish them again from the closes.  Only `position_closed` cannot be derived
again, and it is never deleted.

1. Find out what has changed: ids and ends, numbers of partitions, and versions beyond the end of
   the topic of which they are offsets.
2. Delete and create each topic whose versions would go back, or that has partitions of the wrong
   number.  If facts are gone, all closes are read again.
3. Reset the committed offsets of the changed topics to the beginning.
4. Refill PostgreSQL (`rebuild`), if there is one.
5. Note the current state of the log, and acknowledge records that were deleted unread.

May touch: topics and committed offsets; PostgreSQL.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from app.errors import ConfigurationError, UnreachableError
from app.kafka import topics
from app.kafka.admin import admin
from app.kafka.bulk_reader import unreachable
from app.kafka.consumer_groups import groups
from app.kafka.log_identity import Difference, LogIdentity, Lost, examine, readers
from app.kafka.progress import rewind
from app.kafka.versions_beyond import versions_beyond
from app.settings import Settings
from app.storage import projected_log
from app.storage.rebuild import rebuild
from schemas.kinds import CLOSES, DERIVED, FACTS, HISTORY, JUDGED, KINDS, LESSONS

_DELETED_WITHIN_S = 60.0
_GONE_WITHIN_S = 15.0


@dataclass
class Plan:
    """What has changed, and what to do: the topics (without prefix) to create again; by group, the
    topics to read from the beginning; and whether to refill PostgreSQL."""

    differences: list[Difference] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    recreate: list[str] = field(default_factory=list)
    read_again: dict[str, list[str]] = field(default_factory=dict)
    rebuild: bool = False


async def plan(settings: Settings) -> Plan:
    """Make the plan, without changing anything.  Raises `UnreachableError`,
    `ConfigurationError`."""
    await topics.require_existence(settings, KINDS)
    found, lost = await examine(settings)
    wrong = [m for m in await topics.check(settings) if m.remedy != topics.MEND]
    found += [Difference(m.topic, m.problem) for m in wrong]
    found += await versions_beyond(settings)
    names = {settings.topic(name): name for name in KINDS}
    changed = {names[d.topic] for d in found if d.topic in names}
    grown = {names[m.topic] for m in wrong if names[m.topic] in DERIVED}
    recreate = set(grown)
    if FACTS in changed:
        recreate |= {LESSONS, HISTORY}
    if LESSONS in changed | recreate:
        recreate |= set(JUDGED)
    again = changed | recreate
    if FACTS in again:
        again.add(CLOSES)
    tables = await projected_log.examine(settings) if settings.database_url else []
    found += [Difference(f"{d.topic} in the tables", d.what) for d in tables]
    return Plan(
        found,
        lost,
        [name for name in KINDS if name in recreate],
        {
            group: affected
            for group, read in readers(settings).items()
            if (affected := [name for name in read if name in again])
        },
        bool(settings.database_url) and bool(tables or again & set(DERIVED)),
    )


async def accept(settings: Settings, made: Plan) -> None:
    """Carry out the plan.  Raises as `plan` does; running it again resumes it."""
    await _refuse_while_running(settings)
    await _make_anew(settings, made.recreate)
    for group, names in made.read_again.items():
        await rewind(settings, group, names)
    if made.rebuild:
        await rebuild(settings)
    async with LogIdentity(settings) as identity:
        with unreachable(settings, "The log"):
            await identity.note(await identity.now())
            await identity.forget_lost()


async def _refuse_while_running(settings: Settings) -> None:
    """Raise an error while workers run.  Wait for killed ones, which count as members for another
    12 seconds."""
    give_up = time.monotonic() + _GONE_WITHIN_S
    while running := [group for group in await groups(settings) if group.members]:
        if time.monotonic() > give_up:
            group = running[0]
            raise ConfigurationError(
                f"{len(group.members)} worker(s) are running (group {group.name}, {group.state}).",
                "Stop the workers first.",
            )
        await asyncio.sleep(0.2)


async def _make_anew(settings: Settings, names: list[str]) -> None:
    """Delete topics and create them again; topics that are deleted already are created."""
    if not names:
        return
    full = [settings.topic(name) for name in names]
    async with admin(settings) as client:
        await client.delete_topics(full)
        give_up = time.monotonic() + _DELETED_WITHIN_S
        while set(full) & set(await client.list_topics()):
            if time.monotonic() > give_up:
                raise UnreachableError(
                    f"{full[0]} is still there {_DELETED_WITHIN_S:.0f} s after it was deleted.",
                    "Check that the broker allows deletion (delete.topic.enable), then run the"
                    " command again.",
                )
            await asyncio.sleep(0.1)
    await topics.create(settings)
