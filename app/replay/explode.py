"""The first stage, if the source is closes: validate each under the current settings and write its
trades to the spool.

May touch: the broker (read only, no group), files (read only), the spool.

1. From the topic, each of its partitions is read by one process, which regularly writes a
   checkpoint.
2. From files, this process reads, others explode batches of closes, and this one writes what they
   return, in the order of the files.
3. Closes that input validation rejects are counted by reason and skipped, as are those outside the
   span.
4. Closes that workers refused for a quota, or hold for approval, are dead letters, and are skipped
   too: that depended on what came before them, and the letter records the decision.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from app.closes import RefusedCloseError
from app.deadletters.read import letter_of
from app.errors import BadDataError
from app.kafka.bulk_reader import read_range, scan
from app.kafka.records import letter_partition, partition_of
from app.learning.common.trade_columns import Row, TradeColumns, by_group
from app.replay import pool, spool
from app.replay.close_trades import CloseTrades
from app.replay.pool import Pool
from app.replay.shadow import Source
from app.replay.span import Span
from app.replay.spool import Group
from app.settings import Settings
from app.sources import Closed, closes
from app.sources.contradictions import Against
from app.stages.admission import DOOR_REASONS
from schemas import kinds
from schemas.facts import group_key

CHECKPOINT_EVERY = 20_000
"""Closes."""
FILE_BATCH = 2_000


class ExplodeTask(NamedTuple):
    """A partition of `position_closed`, from `start` to before `end`."""

    settings: Settings
    partition: int
    span: Span
    start: int
    end: int
    spool_folder: str


class Exploded(NamedTuple):
    """A batch of closes: a block of trades for each partition of groups, the number of rejected
    closes by reason, and of facts."""

    blocks: dict[int, bytes]
    rejected: dict[str, int]
    facts: int


def explode_batch(
    settings: Settings, span: Span, values: Iterable[tuple[bytes | None, int]]
) -> Exploded:
    """Explode (value, timestamp in ms) pairs."""
    trades_of = CloseTrades(settings.dimensions, settings.outcome).of
    found: dict[Group, list[Row]] = {}
    whole = span.is_all or span.offsets is not None
    rejected: Counter[str] = Counter()
    facts = 0
    for value, timestamp_ms in values:
        try:
            exit_us, trades = trades_of(value, timestamp_ms)
        except RefusedCloseError as error:
            rejected[error.reason] += 1
            continue
        if not (whole or span.contains(exit_us)):
            continue
        facts += len(trades)
        for group, trade in trades:
            held = found.get(group)
            if held is None:
                found[group] = [trade]
            else:
                held.append(trade)
    by_partition: dict[int, dict[Group, TradeColumns]] = {}
    for group, columns in by_group(found).items():
        partition = partition_of(group_key(group[1], group[2]), settings.partitions)
        by_partition.setdefault(partition, {})[group] = columns
    return Exploded(
        {p: spool.packed(columns) for p, columns in by_partition.items()}, dict(rejected), facts
    )


def explode_partition(task: ExplodeTask) -> None:
    """The task of a process of the pool."""
    asyncio.run(_explode_partition(task))


async def _explode_partition(task: ExplodeTask) -> None:
    target = spool.Spool(Path(task.spool_folder), task.partition)
    checkpoint = target.resume(task.start)
    pool.advance(max(0, checkpoint.position - task.start))
    refused = await _refused(task.settings, task.partition)
    waiting: list[tuple[bytes | None, int]] = []
    left_out: Counter[str] = Counter()

    def write(position: int) -> None:
        exploded = explode_batch(task.settings, task.span, waiting)
        exploded = exploded._replace(rejected=dict(Counter(exploded.rejected) + left_out))
        _add(checkpoint, len(waiting) + left_out.total(), exploded)
        left_out.clear()
        checkpoint.position = position
        target.write(checkpoint, {p: [block] for p, block in exploded.blocks.items()})
        waiting.clear()

    async for values, position in read_range(
        task.settings, kinds.CLOSES, task.partition, checkpoint.position, task.end
    ):
        for value, timestamp_ms, offset in values:
            if offset in refused:
                left_out[refused[offset]] += 1
            else:
                waiting.append((value, timestamp_ms))
        pool.advance(len(values))
        if len(waiting) >= CHECKPOINT_EVERY:
            await asyncio.to_thread(write, position)
    write(max(checkpoint.position, task.end))


async def _refused(settings: Settings, partition: int) -> dict[int, str]:
    """The offsets of closes that step 4 skips in a partition, each with the reason."""
    found: dict[int, str] = {}
    theirs = letter_partition(settings, partition)
    async for records in scan(settings, kinds.DEAD_LETTERS, partition=theirs):
        for record in records:
            letter = letter_of(record)
            if (
                letter.reason in DOOR_REASONS
                and letter.source is not None
                and letter.source.partition == partition
            ):
                found[letter.source.offset] = letter.reason
    return found


def _add(checkpoint: spool.Checkpoint, n: int, exploded: Exploded) -> None:
    checkpoint.closes += n
    checkpoint.facts += exploded.facts
    checkpoint.rejected = dict(Counter(checkpoint.rejected) + Counter(exploded.rejected))


def explode_files(
    settings: Settings,
    source: Source,
    folder: Path,
    workers: Pool,
    tick: Callable[[int], None],
    against: Against,
) -> None:
    """Stage 1 from files; `tick` gets the estimated number of closes in total, from the bytes read,
    and `against` what figures in tables say against their mapping.

    Raises `UsageError` and `BadDataError` as `app.sources.closes` does; nothing that was read until
    then stays in the spool, since a corrected mapping reads it differently.
    """
    paths = [path for path, _, _ in source.files]
    mapping = None if source.mapping is None else Path(source.mapping)
    read = closes(paths, source.file_kind, mapping, against=against)
    try:
        _explode(settings, source, read, folder, workers, tick)
    except BadDataError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _explode(
    settings: Settings,
    source: Source,
    read: Iterator[Closed],
    folder: Path,
    workers: Pool,
    tick: Callable[[int], None],
) -> None:
    target = spool.Spool(folder, 0)
    checkpoint = target.resume(0)
    for _ in islice(read, checkpoint.position):
        pass
    workers.note(checkpoint.position)
    total_bytes = sum(size for _, size, _ in source.files)
    before = last = 0
    n_read = checkpoint.position
    open_: deque[tuple[int, Future[Exploded]]] = deque()

    def take(keep: int) -> None:
        batches: list[tuple[int, Exploded]] = []
        while len(open_) > keep:
            n, future = open_.popleft()
            batches.append((n, workers.result(future)))
        _write(target, checkpoint, batches)

    while found := list(islice(read, FILE_BATCH)):
        batch = [(closed.value, source.at_ms) for closed in found]
        open_.append((len(batch), workers.submit(explode_batch, settings, source.span, batch)))
        before, last = before + (last if found[-1].position < last else 0), found[-1].position
        n_read += len(batch)
        if len(open_) >= 4 * workers.jobs:
            take(2 * workers.jobs)
        workers.note(len(batch))
        tick(round(n_read * max(1.0, total_bytes / max(before + last, 1))))
    take(0)
    if not checkpoint.closes:
        raise BadDataError(
            "The input contains no closed positions.",
            "Look at the files, or name their kind with --kind.",
        )


def _write(
    target: spool.Spool, checkpoint: spool.Checkpoint, batches: Sequence[tuple[int, Exploded]]
) -> None:
    blocks: dict[int, list[bytes]] = {}
    for n, exploded in batches:
        _add(checkpoint, n, exploded)
        checkpoint.position += n
        for partition, block in exploded.blocks.items():
            blocks.setdefault(partition, []).append(block)
    target.write(checkpoint, blocks)
