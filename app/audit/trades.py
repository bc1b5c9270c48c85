"""The closed trades of the log, or of files, in the core's form, and the decisions in them.

May touch: the broker (read only).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from app.closes import RefusedCloseError, explode
from app.kafka import topics
from app.kafka.bulk_reader import scan
from app.kafka.skipped import Skipped
from app.kafka.snapshot import decoder, read_fact
from app.learning.common.event_time import micros_from_text
from app.learning.common.trade import SegmentKey, Trade, trade_from_fact
from app.settings import Settings
from app.sources import Closed
from edgeloop.identity import CATEGORIES
from schemas import kinds
from schemas.events import Sizing
from schemas.facts import PatternTradeEvent

Group = tuple[str, str]
"""(canonical pattern key, category)."""


class Decision(NamedTuple):
    """One action that was taken, at `at_us`, in a trade that closed at `exit_us` (µs since 1970)
    with this outcome; `sizing` says how its multiplier was drawn where the reader explored."""

    group: Group
    scope: Mapping[str, str]
    at_us: int
    exit_us: int
    trade_id: str
    outcome: float
    segment: SegmentKey
    sizing: Sizing | None = None


@dataclass
class Module:
    """All trades of one module, by group, and the decisions in them.  For each trade and group, the
    close that counts decides."""

    trades: dict[Group, list[Trade]] = field(default_factory=dict)
    _decided: dict[tuple[str, Group], tuple[Trade, list[Decision]]] = field(default_factory=dict)

    def add(self, fact: PatternTradeEvent, outcome: str) -> None:
        """Add a fact; facts without the outcome do not count.  Raises `ValueError` for one that
        cannot be read."""
        trade = trade_from_fact(fact, outcome)
        if trade is None:
            return
        group = (fact.pattern_key, fact.action_category)
        known = self._decided.get((trade.trade_id, group))
        if known is None or known[0].rank < trade.rank:
            self._decided[trade.trade_id, group] = (
                trade,
                [
                    Decision(
                        group,
                        a.scope,
                        micros_from_text(a.ts),
                        trade.exit_us,
                        trade.trade_id,
                        trade.outcome,
                        trade.segment,
                        None if isinstance(a.sizing, msgspec.UnsetType) else a.sizing,
                    )
                    for a in fact.actions
                ],
            )
        self.trades.setdefault(group, []).append(trade)

    def decisions(self, categories: Collection[str] = CATEGORIES) -> list[Decision]:
        """The decisions of these categories, sorted by time."""
        found = [
            d
            for (_, group), (_, decisions) in self._decided.items()
            if group[1] in categories
            for d in decisions
        ]
        return sorted(found, key=lambda d: (d.at_us, d.trade_id, d.group))


Take = Callable[[PatternTradeEvent], None]
"""Called for each fact.  Raises `ValueError` for an invalid one."""


def into(modules: dict[str, Module], outcome: str) -> Take:
    """Puts each fact into its module."""
    return lambda fact: modules.setdefault(fact.module, Module()).add(fact, outcome)


def of_groups(kept: dict[tuple[str, str, str], list[PatternTradeEvent]]) -> Take:
    """Keeps the facts of the groups (module, pattern key, category) that are in `kept`."""

    def take(fact: PatternTradeEvent) -> None:
        if (group := (fact.module, fact.pattern_key, fact.action_category)) in kept:
            kept[group].append(fact)

    return take


async def read_facts(
    settings: Settings,
    take: Take,
    skipped: Skipped,
    progress: Callable[[int], None] = lambda n: None,
) -> None:
    """Pass all facts of the log to `take`; those that cannot be read are added to `skipped`.

    `progress` gets the number of records of each batch.  Raises `UnreachableError` without a
    broker, `ConfigurationError` without the topic.
    """
    await topics.require_existence(settings, [kinds.FACTS])
    decode = decoder(kinds.FACTS)
    async for records in scan(settings, kinds.FACTS):
        for record in records:
            read_fact(lambda value: take(decode(value)), record, skipped)
        progress(len(records))


async def read_modules(
    settings: Settings, skipped: Skipped, progress: Callable[[int], None] = lambda n: None
) -> dict[str, Module]:
    """The facts of the log, module by module; see `read_facts`."""
    modules: dict[str, Module] = {}
    await read_facts(settings, into(modules, settings.outcome), skipped, progress)
    return modules


class Refused(NamedTuple):
    """Closes that would be dead letters for one reason: the reason, their number (`closes`), and a
    description of the first."""

    reason: str
    closes: int
    first: str


def explode_all(
    found: Iterable[Closed],
    settings: Settings,
    now_ms: int,
    take: Take,
    progress: Callable[[Closed], None] = lambda closed: None,
) -> list[Refused]:
    """Pass the facts of the closes in files to `take`; return the rejected closes by reason, the
    most frequent first.

    `now_ms` (since 1970) stands for the records' timestamp: no exit may lie more than a day after
    it.  `progress` gets each close.
    """
    reasons: Counter[str] = Counter()
    first: dict[str, str] = {}
    for closed in found:
        try:
            for fact in explode(
                closed.value, now_ms, dimensions=settings.dimensions, outcome=settings.outcome
            ):
                take(fact)
        except RefusedCloseError as error:
            reasons[error.reason] += 1
            first.setdefault(error.reason, f"{closed.place}: {error}")
        progress(closed)
    return [Refused(reason, n, first[reason]) for reason, n in reasons.most_common()]


def modules_of(
    found: Iterable[Closed],
    settings: Settings,
    now_ms: int,
    progress: Callable[[Closed], None] = lambda closed: None,
) -> tuple[dict[str, Module], list[Refused]]:
    """The modules of closes in files, and the rejected closes; see `explode_all`."""
    modules: dict[str, Module] = {}
    return modules, explode_all(found, settings, now_ms, into(modules, settings.outcome), progress)
