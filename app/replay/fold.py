"""One partition of groups: sift its trades, learn once from each group's window, and write the
lessons to the shadow.

May touch: the broker (read only, no group), the spool (read only), PostgreSQL (the shadow).

1. Read batch after batch, from the topic of the facts or from the spool, and sift it (`sieve.py`).
2. If a correction moved a window back over dropped trades, read everything again for those.
3. Fold what is inside each group's window into its learner, and refit it: lessons, summary, the
   days of its edge history.
4. Write them and the partition's progress in one transaction.

Only one partition's windows are in memory at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from app.kafka.bulk_reader import read_range
from app.kafka.records import encode
from app.learning.common.config import LearningConfig
from app.learning.common.fact_trades import Group, trades_by_group
from app.learning.common.sieve import Sieve
from app.learning.common.trade_columns import TradeColumns
from app.learning.integrated.effect_history import history_records
from app.learning.methods import group_learner
from app.replay import pool, spool
from app.replay.shadow import Folded, ShadowRecord, opened
from app.replay.span import Span
from app.settings import Settings
from schemas import kinds
from schemas.facts import group_key


class FoldTask(NamedTuple):
    """A partition of groups: from the facts in the topic (`start` to before `end`), or from
    `spool_folder`."""

    settings: Settings
    name: str
    partition: int
    span: Span
    start: int
    end: int
    spool_folder: str | None


class Counts:
    """Counts of what was read."""

    def __init__(self) -> None:
        self.records = self.facts = self.trades = self.unreadable = 0


class Groups:
    """The groups of one partition."""

    def __init__(self, config: LearningConfig, spooled: bool) -> None:
        self.config = config
        self._spooled = spooled
        self.sieves: dict[Group, Sieve] = {}

    def add(self, trades: Mapping[Group, TradeColumns]) -> None:
        """Add trades."""
        for group, batch in trades.items():
            sieve = self.sieves.get(group)
            if sieve is None:
                sieve = self.sieves[group] = Sieve(self.config.window_us, self.config.window_trades)
            sieve.add(batch)

    def missing(self) -> dict[Group, set[str]]:
        """Trades that must be read again, by group."""
        return {
            group: missing for group, sieve in self.sieves.items() if (missing := sieve.missing())
        }

    def restore(
        self, trades: Mapping[Group, TradeColumns], missing: Mapping[Group, set[str]]
    ) -> None:
        """Add those of these trades that are missing."""
        for group, batch in trades.items():
            if group in missing:
                self.sieves[group].restore(batch, missing[group])

    def records(self, version: int) -> list[ShadowRecord]:
        """The groups' records: lessons, summaries, edge history."""
        found: list[ShadowRecord] = []
        for group in sorted(self.sieves, key=lambda g: group_key(g[1], g[2])):
            learner = group_learner(self.config, *group)
            inside = self.sieves.pop(group).inside()
            learner.fold(spool.unpacked(inside) if self._spooled else inside)
            refit = learner.refit(version)
            for lesson in refit.lessons:
                found.append(_written(kinds.LESSONS, lesson))
                found += [_written(kinds.HISTORY, day) for day in history_records(lesson, {})]
            if refit.summary is not None:
                found.append(_written(kinds.LESSONS, refit.summary))
        return found


def _written(topic: str, record: Any) -> ShadowRecord:
    return ShadowRecord(topic, kinds.KINDS[topic].key_of(record), record.version, encode(record))


def fold_partition(task: FoldTask) -> Folded:
    """The task of a process of the pool."""
    return asyncio.run(_fold_partition(task))


async def _fold_partition(task: FoldTask) -> Folded:
    groups = Groups(task.settings.learning_config, task.spool_folder is not None)
    counts = Counts()
    async for trades in _trades(task, counts):
        await asyncio.to_thread(groups.add, trades)
    if missing := groups.missing():
        async for trades in _trades(task, None):
            groups.restore(trades, missing)
    modules = sorted({group[0] for group in groups.sieves})
    records = groups.records(task.end)
    lessons = sum(record.topic == kinds.LESSONS for record in records)
    done = Folded(
        task.end, counts.records, counts.facts, counts.trades, counts.unreadable, lessons, modules
    )
    async with opened(task.settings, task.name) as shadow:
        await shadow.commit(records, "folded", str(task.partition), done)
    return done


async def _trades(
    task: FoldTask, counts: Counts | None
) -> AsyncIterator[Mapping[Group, TradeColumns]]:
    """The trades of the partition in batches, by group; `counts` is None when they are read
    again."""
    if task.spool_folder is not None:
        for group_trades in spool.read(Path(task.spool_folder), task.partition):
            n = sum(map(len, group_trades.values()))
            if counts is not None:
                counts.records += n
                counts.facts += n
                counts.trades += sum(sum(trades.homes) for trades in group_trades.values())
                pool.advance(n)
            yield group_trades
        return
    if task.start >= task.end:
        return
    async for values, _ in read_range(
        task.settings, kinds.FACTS, task.partition, task.start, task.end
    ):
        trades = await asyncio.to_thread(_by_group, values, task, counts)
        if counts is not None:
            counts.records += len(values)
            pool.advance(len(values))
        yield trades


def _by_group(
    values: Iterable[tuple[bytes | None, int, int]], task: FoldTask, counts: Counts | None
) -> Mapping[Group, TradeColumns]:
    unreadable: list[int] = []  # a worker counts and skips them as well
    found, _ = trades_by_group(
        (value for value, *_ in values),
        task.settings.outcome,
        lambda place, _: unreadable.append(place),
    )
    span = task.span
    if not (span.is_all or span.offsets is not None):
        found = {
            group: trades.take(
                [place for place, exit_us in enumerate(trades.exit_us) if span.contains(exit_us)]
            )
            for group, trades in found.items()
        }
    found = {group: trades for group, trades in found.items() if trades}
    if counts is not None:
        counts.facts += sum(map(len, found.values()))
        counts.trades += sum(sum(trades.homes) for trades in found.values())
        counts.unreadable += len(unreadable)
    return found
