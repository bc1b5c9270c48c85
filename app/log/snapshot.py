"""What is published: the latest version of each key of a compacted topic.

Records that another program wrote (without a version, or with a key that is not text) are skipped,
as by every reader of a derived topic.

May touch: the broker (read only).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from aiokafka import ConsumerRecord

from app.errors import BadDataError
from app.log.bulk_reader import scan
from app.log.records import is_strangers, version_of
from app.log.topics import require_existence
from app.settings import Settings
from edgeloop.versions import Latest
from schemas.kinds import KINDS


async def current(
    settings: Settings,
    topic: str,
    *,
    partition: int | None = None,
    wanted: Callable[[str], bool] = lambda key: True,
) -> dict[str, Any]:
    """Key → decoded record for every key that is not retired and that is `wanted`.

    Of `topic`, or of one partition of it.  Raises `UnreachableError` without a broker,
    `ConfigurationError` where the topic is missing, and `BadDataError` if a record is not in the
    form that this version writes.
    """
    await require_existence(settings, [topic])
    latest = await _latest(settings, topic, partition)
    decode = decoder(settings, topic)
    texts = {key.decode(): value for key, value in latest.items()}
    return {k: decode(value) for k, value in texts.items() if value is not None and wanted(k)}


class Snapshot(NamedTuple):
    """One topic: key → value in force, and key → highest version, including retired keys."""

    values: dict[str, bytes]
    versions: dict[str, int]


async def snapshots(settings: Settings, topics: Sequence[str]) -> dict[str, Snapshot]:
    """A snapshot of each of `topics`, one after the other.  Raises as `current` does."""
    await require_existence(settings, topics)
    found: dict[str, Snapshot] = {}
    for topic in topics:
        latest = await _latest(settings, topic, None)
        texts = {key: key.decode() for key, _ in latest.items()}
        values = {texts[key]: value for key, value in latest.items() if value is not None}
        versions = {texts[key]: version for key, version in latest.versions().items()}
        found[topic] = Snapshot(values, versions)
    return found


async def _latest(
    settings: Settings, topic: str, partition: int | None
) -> Latest[bytes, bytes | None]:
    latest: Latest[bytes, bytes | None] = Latest()
    async for records in scan(settings, topic, partition=partition):
        for record in records:
            if not is_strangers(record):
                latest.put(record.key, version_of(record), record.value)
    return latest


def decoder(settings: Settings, topic: str, struct: Any = None) -> Callable[[bytes], Any]:
    """A decoder of values of `topic`: of its struct, or of another that reads a part of it.

    It raises `BadDataError` for a value that is none.
    """
    decode = msgspec.json.Decoder(KINDS[topic].struct if struct is None else struct).decode

    def read(value: bytes) -> Any:
        try:
            return decode(value)
        except msgspec.MsgspecError as error:
            raise _foreign(settings, topic, error) from error

    return read


def read_fact(decode: Callable[[bytes], Any], record: ConsumerRecord) -> Any:
    """The decoded value of a record of facts; None where something else wrote what is no fact.

    Raises as `decode` does for what is ours.
    """
    try:
        return None if record.value is None else decode(record.value)
    except (BadDataError, msgspec.MsgspecError):
        if is_strangers(record):
            return None
        raise


def _foreign(settings: Settings, topic: str, error: Exception) -> BadDataError:
    return BadDataError(
        f"A record of {settings.topic(topic)} is not in the form this version writes: {error}.",
        "Was something else producing to it?  `faust -A app topics check` names the topics that "
        "belong to Edgeloop.",
    )
