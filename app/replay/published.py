"""The published records: the latest version of each key, and the ends of the logs.

May touch: the broker (read only, no group).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from app.errors import BadDataError
from app.kafka.bulk_reader import ends_of, started_reader
from app.kafka.records import KEY_CHARACTERS
from app.kafka.skipped import Skipped
from app.kafka.snapshot import snapshots
from app.kafka.topics import require_existence
from app.replay.digest import Records
from app.settings import Settings
from schemas.kinds import CLOSES, FACTS, KINDS, LEARNED, LESSONS

_decoders = {topic: msgspec.json.Decoder(KINDS[topic].struct).decode for topic in LEARNED}


class Live(NamedTuple):
    """The records in force, by topic and key; the highest version of each key, including retired
    ones; the offset after the last record, by topic and partition; and the unreadable records."""

    records: Records
    versions: dict[str, dict[str, int]]
    ends: dict[str, dict[str, int]]
    skipped: Skipped


async def read_live(settings: Settings) -> Live:
    """Read all published records.  Raises `UnreachableError`, `ConfigurationError` where a topic is
    missing."""
    await require_existence(settings, [*LEARNED, FACTS, CLOSES])
    async with started_reader(settings, "The log") as consumer:
        ends = {
            topic: await ends_of(consumer, settings, topic) for topic in (CLOSES, FACTS, LESSONS)
        }
    skipped = Skipped()
    found = await snapshots(settings, LEARNED, skipped)
    return Live(
        {topic: snapshot.values for topic, snapshot in found.items()},
        {topic: snapshot.versions for topic, snapshot in found.items()},
        ends,
        skipped,
    )


def decoded(topic: str, key: str, value: bytes) -> Any:
    """The struct of a record.  Raises `BadDataError`."""
    try:
        return _decoders[topic](value)
    except msgspec.DecodeError as error:
        raise BadDataError(
            f"The record {key[:KEY_CHARACTERS]} of {topic} is not in the form this version writes:"
            f" {error}.",
            "Run the replay again with --restart.",
        ) from error
