"""The records of `position_closed.dlq`: read, filter and validate them again.

May touch: the broker (read only).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

from aiokafka import ConsumerRecord

from app.closes import RefusedCloseError, explode, held_revision
from app.errors import BadDataError, UsageError
from app.kafka.bulk_reader import scan
from app.kafka.fetcher import Fetcher
from app.kafka.records import header
from app.kafka.topics import require_existence
from app.settings import Settings
from schemas.kinds import DEAD_LETTERS

FOREIGN = "(none)"
"""The reason of a record without such a header: another program than ingest wrote it."""


class Place(NamedTuple):
    """Partition and offset of a record; `position_closed.dlq` by default."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"


def parse_place(text: str) -> Place:
    """`partition:offset`.  Raises `UsageError`.

    >>> parse_place("3:17")
    Place(partition=3, offset=17)
    """
    found = re.fullmatch(r"(\d{1,9}):(\d{1,18})", text)
    if found is None:
        raise UsageError(
            f"{text!r} is not a position.",
            "Use partition:offset, such as 3:17; `faust -A app dlq list` shows it.",
        )
    return Place(int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter without its value.

    `source` is where the close was; `length` (bytes) and `sha256` are those of the whole value
    where it was cut, `key_length` is that of a key that was cut; `written_ms` is when the letter
    was written, `source_ms` the close's own Kafka timestamp.
    """

    place: Place
    key: bytes | None
    reason: str
    path: str
    exception: str
    source_topic: str
    source: Place | None
    source_ms: int | None
    written_ms: int
    length: int
    sha256: str | None
    key_length: int | None = None

    @property
    def is_cut(self) -> bool:
        """Whether the letter holds only the first MiB of the value."""
        return self.sha256 is not None


def letter_of(record: ConsumerRecord) -> Letter:
    """The letter of a record, whichever program wrote it."""

    def text(name: str, otherwise: str = "") -> str:
        value = header(record, name)
        return otherwise if value is None else value.decode(errors="replace")

    def number(name: str) -> int | None:
        found = text(name)
        return int(found) if re.fullmatch(r"\d{1,18}", found) else None

    partition, offset, length = (
        number("source.partition"),
        number("source.offset"),
        number("value.length"),
    )
    return Letter(
        place=Place(record.partition, record.offset),
        key=record.key,
        reason=text("reason", FOREIGN),
        path=text("path", "$"),
        exception=text("exception"),
        source_topic=text("source.topic"),
        source=None if partition is None or offset is None else Place(partition, offset),
        source_ms=number("source.timestamp"),
        written_ms=record.timestamp,
        length=len(record.value or b"") if length is None else length,
        sha256=None if length is None else text("value.sha256") or None,
        key_length=number("key.length"),
    )


@dataclass(frozen=True)
class Wanted:
    """A filter of letters: every condition that is set must match.

    `path` matches the beginning of a letter's path, or all of it where it has `*` (anything) or `?`
    (one character); times are milliseconds since 1970 of the close's own Kafka timestamp, from
    `since_ms` on and before `until_ms`.
    """

    reasons: Collection[str] = ()
    path: str | None = None
    key: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    source_partition: int | None = None
    source_offset: int | None = None

    def fits(self, letter: Letter) -> bool:
        """Whether `letter` matches."""
        source = letter.source or Place(-1, -1)
        moment = letter.written_ms if letter.source_ms is None else letter.source_ms
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (self.path is None or path_fits(self.path, letter.path))
            and (self.key is None or letter.key == self.key.encode())
            and (self.since_ms is None or moment >= self.since_ms)
            and (self.until_ms is None or moment < self.until_ms)
            and self.source_partition in (None, source.partition)
            and self.source_offset in (None, source.offset)
        )


def path_fits(pattern: str, path: str) -> bool:
    """Whether a path begins with `pattern` or, if that has `*` or `?`, matches it as a whole;
    brackets match themselves.

    >>> (
    ...     path_fits("$.actions", "$.actions[3].scope.chain"),
    ...     path_fits("$.actions[*].ts", "$.actions[3].ts"), path_fits("$.a?", "$.abc"),
    ... )
    (True, True, False)
    """
    if not re.search(r"[*?]", pattern):
        return path.startswith(pattern)
    expression = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern)
    return re.fullmatch(expression, path, re.DOTALL) is not None


def problem_now(value: bytes | None, at_ms: int, settings: Settings) -> RefusedCloseError | None:
    """The validation error of `value` under these settings, for a record with the timestamp
    `at_ms`; None if it would become facts, or would meet a quota that only a worker knows."""
    try:
        facts = explode(
            value,
            at_ms,
            dimensions=settings.dimensions,
            outcome=settings.outcome,
            max_actions=settings.max_actions,
        )
    except RefusedCloseError as error:
        return error
    if facts[0].revision > settings.max_revision:
        return held_revision(facts[0], settings.max_revision)
    return None


async def letters(
    settings: Settings, *, on_batch: Callable[[int], None] = lambda n: None
) -> AsyncIterator[tuple[Letter, ConsumerRecord]]:
    """Every dead letter with its record, partition by partition in order.  Raises
    `UnreachableError`, `ConfigurationError`."""
    await require_existence(settings, [DEAD_LETTERS])
    async for records in scan(settings, DEAD_LETTERS):
        for record in records:
            yield letter_of(record), record
        on_batch(len(records))


async def letter_at(settings: Settings, place: Place) -> tuple[Letter, ConsumerRecord]:
    """The letter at a place.  Raises `BadDataError` if there is none."""
    await require_existence(settings, [DEAD_LETTERS])
    async with Fetcher(settings) as fetcher:
        record = await fetcher.fetch(settings.topic(DEAD_LETTERS), *place)
    if record is not None:
        return letter_of(record), record
    raise BadDataError(
        f"No dead letter at {place}.", "Run `faust -A app dlq list` to see their positions."
    )
