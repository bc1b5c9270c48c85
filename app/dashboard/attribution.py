"""What the applied overrides have earned: in total, by month, and one by one.

May touch: the broker and, for older changes, PostgreSQL (both read only).

A closed trade counts if one of its actions names overrides in `applied_overrides`.  Its size
follows from the versions of these overrides that were in force when each action was taken (the mean
over such actions).  What sizing added, compared with the neutral size, is (size − 1) · uplift, in
units of the outcome.  Uplift is the outcome minus the baseline of the trade's segment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from app.explain.effect import mean_interval, part_of
from app.explain.known import Known
from app.explain.reading import read_changes
from app.kafka.bulk_reader import scan
from app.kafka.skipped import Skipped
from app.kafka.snapshot import current, decoder, read_fact
from app.learning.common.event_time import DAY_US, text_from_micros
from app.learning.common.trade import Rank, SegmentKey, Trade, trade_from_fact
from app.override_changes import OverrideChange
from app.settings import Settings
from schemas import kinds
from schemas.facts import FactAction, PatternTradeEvent
from schemas.lessons import GroupSummary


class Sum(msgspec.Struct, frozen=True):
    """The outcome that sizing `added` over `trades`, with its 90 % interval (None with fewer than
    two days); `name` is a month or an override id, `""` for the total."""

    name: str
    trades: int
    added: float
    low: float | None
    high: float | None


class Helped(msgspec.Struct, frozen=True):
    """What applied overrides have earned; `first` and `last` are the times of the first and the
    last exit, None without trades.

    `assumed` trades name an override whose version at the time of the action is not known; the
    earliest known version is used instead.  `note` says what may be missing, `skipped` what cannot
    be read.
    """

    outcome: str
    total: Sum
    mean_size: float
    first: str | None
    last: str | None
    months: tuple[Sum, ...]
    overrides: tuple[Sum, ...]
    assumed: int
    note: str
    skipped: str


class Sized(NamedTuple):
    """A closed trade that was sized: what each override that it names added to its size, and
    whether a later version had to be used for one of them."""

    exit_us: int
    uplift: float
    parts: Mapping[str, float]
    assumed: bool


def helped(settings: Settings) -> Helped:
    """The earnings over the whole log.  Raises `UnreachableError`, `BadDataError`."""
    return asyncio.run(_read(settings))


async def _read(settings: Settings) -> Helped:
    held = await read_changes(settings)
    by_id: dict[str, list[OverrideChange]] = {}
    for change in held.changes:
        by_id.setdefault(change.override_id, []).append(change)
    facts = await _naming(settings, held.skipped)
    modules: dict[str, dict[str, Any]] = {}
    if facts:
        for key, record in (await current(settings, kinds.LESSONS, held.skipped)).items():
            if isinstance(record, GroupSummary) and record.learning == settings.learning:
                modules.setdefault(record.module, {})[key] = record
    known = {
        module: Known(settings.learning_config, module, summaries=summaries)
        for module, summaries in modules.items()
    }
    trades = sized(facts, by_id, known, settings)
    return summed(trades, settings.outcome, held.note, held.skipped.sentence())


async def _naming(settings: Settings, skipped: Skipped) -> list[PatternTradeEvent]:
    """The facts with an action that names an override, for each trade and group from the close that
    counts."""
    decode = decoder(kinds.FACTS)

    def read(value: bytes) -> tuple[PatternTradeEvent, Trade | None]:
        fact: PatternTradeEvent = decode(value)
        return fact, trade_from_fact(fact, settings.outcome)

    best: dict[tuple[str, str, str, str], tuple[Rank, PatternTradeEvent]] = {}
    async for records in scan(settings, kinds.FACTS):
        for record in records:
            if (found := read_fact(read, record, skipped)) is None:
                continue
            fact, trade = found
            if trade is None:
                continue
            key = (fact.module, fact.trade_id, fact.pattern_key, fact.action_category)
            if key not in best or best[key][0] < trade.rank:
                best[key] = trade.rank, fact
    return [fact for _, fact in best.values() if any(a.applied_overrides for a in fact.actions)]


def sized(
    facts: Iterable[PatternTradeEvent],
    changes: Mapping[str, Sequence[OverrideChange]],
    known: Mapping[str, Known],
    settings: Settings,
) -> list[Sized]:
    """The trades, each of them once, even if its actions are in several groups."""
    trades: dict[tuple[str, str], tuple[int, float, SegmentKey, list[FactAction]]] = {}
    for fact in facts:
        trade = trade_from_fact(fact, settings.outcome)
        if trade is None:
            continue
        found = trades.setdefault(
            (fact.module, fact.trade_id), (trade.exit_us, trade.outcome, trade.segment, [])
        )
        found[3].extend(a for a in fact.actions if a.applied_overrides)
    made = []
    for (module, _), (exit_us, outcome, segment, actions) in trades.items():
        parts: dict[str, float] = {}
        assumed = False
        for action in actions:
            for i in dict.fromkeys(action.applied_overrides):
                found_part = part_of(i, action, changes)
                parts[i] = parts.get(i, 0.0) + found_part.part / len(actions)
                assumed |= found_part.assumed
        baseline = known[module].baseline(segment) if module in known else settings.baseline_default
        made.append(Sized(exit_us, outcome - baseline, parts, assumed))
    return sorted(made, key=lambda trade: trade.exit_us)


def summed(trades: Sequence[Sized], outcome: str, note: str, skipped: str = "") -> Helped:
    """The totals of these trades."""
    added = [(t, sum(t.parts.values()) * t.uplift) for t in trades]
    months: dict[str, list[tuple[int, float]]] = {}
    overrides: dict[str, list[tuple[int, float]]] = {}
    for trade, value in added:
        day = trade.exit_us // DAY_US
        months.setdefault(text_from_micros(trade.exit_us)[:7], []).append((day, value))
        for i, part in trade.parts.items():
            overrides.setdefault(i, []).append((day, part * trade.uplift))
    by_override = [_sum(i, held) for i, held in overrides.items()]
    return Helped(
        outcome,
        _sum("", [(t.exit_us // DAY_US, value) for t, value in added]),
        1.0 + float(np.mean([sum(t.parts.values()) for t in trades])) if trades else 1.0,
        text_from_micros(trades[0].exit_us) if trades else None,
        text_from_micros(trades[-1].exit_us) if trades else None,
        tuple(_sum(month, held) for month, held in months.items()),
        tuple(sorted(by_override, key=lambda s: (-abs(s.added), s.name))),
        sum(t.assumed for t in trades),
        note,
        skipped,
    )


def _sum(name: str, held: Sequence[tuple[int, float]]) -> Sum:
    values = [value for _, value in held]
    interval = mean_interval(values, [day for day, _ in held]) if values else None
    n = len(values)
    low, high = (None, None) if interval is None else (interval[0] * n, interval[1] * n)
    return Sum(name, n, float(sum(values)), low, high)
