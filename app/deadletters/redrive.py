"""Resend dead letters to `position_closed`: the same bytes under the same key, each once.

May touch: the broker: reads `position_closed.dlq` and `position_closed`, writes `position_closed`.

1. Every letter is read and, if it matches, validated with the current settings and the current
   time, which is the timestamp that the record will have.
2. `position_closed` is read from the time of the oldest wanted letter on.  A record that was sent
   again carries the header `redriven.from` with the place of its letter; that letter, and any other
   of the same source (a crash writes a letter twice), is done.
3. The remaining letters are sent, with that header, in their order, to the partition that the close
   was in.  A key that was cut is sent as the letter has it: any key will do.

So running it again, even after a crash in the middle, sends nothing twice.  A close that was sent
again and refused again is a new letter, whose source is the new record: it can be sent again by
itself, and a run never sees the letters that it causes.  Two runs at once would both send; as with
any redelivery, each trade still counts once.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from app.deadletters.read import Letter, Place, Wanted, letters, problem_now
from app.kafka.bulk_reader import offsets_at, scan
from app.kafka.fetcher import Fetcher
from app.kafka.producer import Producer
from app.kafka.records import MAX_RECORD_BYTES, Outgoing, header, partition_of
from app.kafka.topics import require_existence
from app.settings import Settings
from schemas.kinds import CLOSES, DEAD_LETTERS

REDRIVEN_FROM = "redriven.from"
"""Header of a record that was sent again: the place of its letter, `partition:offset`."""
BATCH_BYTES = 8 * 1024 * 1024
BATCH_RECORDS = 2_000

Progress = Callable[[int], None]


@dataclass
class Redrive:
    """What would be done with the matching letters.

    `send` in their order; `refused` counts, by reason, those that would be rejected again (not in
    `send` unless all were asked for); `already` were resent before; `gone` are cut letters whose
    whole value is no longer in `position_closed`; `too_large` are those whose whole value does not
    fit into a record; `left` are those beyond the limit.
    """

    wanted: int = 0
    send: list[Letter] = field(default_factory=list)
    valid: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    already: int = 0
    gone: list[Letter] = field(default_factory=list)
    too_large: int = 0
    left: int = 0


async def plan(
    settings: Settings,
    wanted: Wanted,
    *,
    everything: bool = False,
    limit: int | None = None,
    progress: Progress = lambda n: None,
) -> Redrive:
    """Plan only, send nothing.  `everything`: also those that would be rejected again.

    Raises `UnreachableError`, `ConfigurationError` without the topics.
    """
    await require_existence(settings, [CLOSES, DEAD_LETTERS])
    made, now_ms = Redrive(), round(time.time() * 1000)
    sources: dict[Place, Place | None] = {}
    found: list[tuple[Letter, str | None]] = []
    async for letter, record in letters(settings, on_batch=progress):
        sources[letter.place] = letter.source
        if wanted.fits(letter):
            problem = None if letter.is_cut else problem_now(record.value, now_ms, settings)
            found.append((letter, None if problem is None else problem.reason))
    made.wanted = len(found)
    if not found:
        return made
    places = await _sent_before(settings, min(letter.written_ms for letter, _ in found), progress)
    done = {sources[place] for place in places if sources.get(place) is not None}
    async with Fetcher(settings) as fetcher:
        for letter, reason in found:
            if letter.place in places or letter.source in done:
                made.already += 1
                continue
            if letter.source is not None:
                done.add(letter.source)
            if letter.is_cut:
                value = await whole_value(settings, fetcher, letter)
                if value is None:
                    made.gone.append(letter)
                    continue
                if len(value) + len(letter.key or b"") > MAX_RECORD_BYTES:
                    made.too_large += 1  # it had arrived compressed
                    continue
                problem = problem_now(value, now_ms, settings)
                reason = None if problem is None else problem.reason
            if reason is not None:
                made.refused[reason] += 1
                if not everything:
                    continue
            else:
                made.valid += 1
            if limit is not None and len(made.send) >= limit:
                made.left += 1
            else:
                made.send.append(letter)
    return made


async def _sent_before(settings: Settings, since_ms: int, progress: Progress) -> set[Place]:
    """The places of letters that records of `position_closed` from `since_ms` on were sent again
    from."""
    found: set[Place] = set()
    async for records in scan(
        settings, CLOSES, starts=await offsets_at(settings, CLOSES, since_ms)
    ):
        for record in records:
            value = header(record, REDRIVEN_FROM)
            partition, _, offset = (value or b"").decode(errors="replace").partition(":")
            if partition.isdecimal() and offset.isdecimal():
                found.add(Place(int(partition), int(offset)))
        progress(len(records))
    return found


async def whole_value(settings: Settings, fetcher: Fetcher, letter: Letter) -> bytes | None:
    """The whole value of a letter that holds only its first MiB, from the close's place; None if
    the close is gone or differs."""
    if letter.source is None or letter.source_topic != settings.topic(CLOSES):
        return None
    record = await fetcher.fetch(letter.source_topic, *letter.source)
    if (
        record is None
        or record.value is None
        or hashlib.sha256(record.value).hexdigest() != letter.sha256
    ):
        return None
    return bytes(record.value)


async def send(
    settings: Settings, chosen: Iterable[Letter], *, progress: Progress = lambda n: None
) -> int:
    """Send these letters again; returns how many are on the broker.  Raises `UnreachableError`."""
    by_partition: dict[int, dict[int, Letter]] = {}
    for letter in chosen:
        by_partition.setdefault(letter.place.partition, {})[letter.place.offset] = letter
    producer, sent = Producer(settings), 0
    batch: list[Outgoing] = []
    size = 0

    async def flush() -> None:
        nonlocal sent, size
        await producer.send(batch)
        sent += len(batch)
        progress(len(batch))
        batch.clear()
        size = 0

    try:
        async with Fetcher(settings) as fetcher:
            async for records in scan(
                settings,
                DEAD_LETTERS,
                starts={p: min(offsets) for p, offsets in by_partition.items()},
            ):
                for record in records:
                    letter_ = by_partition[record.partition].get(record.offset)
                    if letter_ is None:
                        continue
                    value = (
                        await whole_value(settings, fetcher, letter_)
                        if letter_.is_cut
                        else record.value
                    )
                    batch.append(_outgoing(settings, letter_, value))
                    size += len(value or b"")
                    if size >= BATCH_BYTES or len(batch) >= BATCH_RECORDS:
                        await flush()
            if batch:
                await flush()
    finally:
        await producer.stop()
    return sent


def _outgoing(settings: Settings, letter: Letter, value: bytes | None) -> Outgoing:
    if letter.source is not None and letter.source.partition < settings.partitions:
        partition = letter.source.partition
    else:
        partition = partition_of((letter.key or b"").decode(errors="replace"), settings.partitions)
    headers = ((REDRIVEN_FROM, str(letter.place).encode()),)
    # Never before its letter, whatever this machine's clock says: step 2 looks from there on.
    stamp_ms = max(round(time.time() * 1000), letter.written_ms)
    return Outgoing(settings.topic(CLOSES), partition, letter.key, value, headers, stamp_ms)
