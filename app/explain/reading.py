"""Read everything about a module from the topics; PostgreSQL only adds the changes that compaction
has removed.

May touch: the broker and PostgreSQL (read only).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app import override_changes
from app.errors import MissingError
from app.explain.known import Known
from app.kafka import topics
from app.kafka.bulk_reader import scan
from app.kafka.records import partition_of
from app.kafka.skipped import Skipped
from app.kafka.snapshot import current, decoder, read_fact
from app.learning.common.trade import Rank, Trade, trade_from_fact
from app.override_changes import OverrideChange
from app.settings import Settings
from schemas import kinds
from schemas.facts import PatternTradeEvent, group_key
from schemas.lessons import GroupSummary, Lesson

READ = (
    kinds.LESSONS,
    kinds.VERDICTS,
    kinds.OVERRIDES,
    kinds.REGIME_WEIGHTS,
    kinds.FACTORS,
    kinds.HISTORY,
    kinds.FACTS,
)
Progress = Callable[[str], None]
"""Called with the name of what is read next."""


def _quiet(what: str) -> None: ...


@dataclass(frozen=True)
class Found:
    """The override whose id begins with the given characters: its full id, and its group."""

    override_id: str
    module: str
    pattern_key: str
    action_category: str


async def read_changes(settings: Settings) -> override_changes.KnownChanges:
    """Every change of any override.  Raises as `app.override_changes.read` does, and
    `ConfigurationError` without the topics of `READ`."""
    await topics.require_existence(settings, READ)
    return await override_changes.read(settings, Skipped())


def find_override(held: override_changes.KnownChanges, prefix: str) -> Found:
    """The one override whose id begins with `prefix`, in force or not.  Raises `MissingError` if
    there is none, or more than one."""
    records = {
        c.override_id: c.record
        for c in held.changes
        if c.record is not None and c.override_id.startswith(prefix)
    }
    if len(records) != 1:
        problem = (
            f"{len(records)} overrides start with"
            if records
            else "No override ever published starts with"
        )
        raise MissingError(
            f"{problem} {prefix!r}.",
            "Run `faust -A app overrides list` to see those in force, or `faust -A app explain` to"
            " see why a context has none.",
        )
    ((override_id, record),) = records.items()
    return Found(override_id, record.module, record.pattern_key, record.action_category)


async def read_known(
    settings: Settings,
    held: override_changes.KnownChanges,
    module: str,
    pattern_key: str,
    category: str,
    *,
    progress: Progress = _quiet,
) -> tuple[Known, set[tuple[str, str]]]:
    """(everything about `module`, every (pattern key, category) with trades, of all modules).

    The facts, days and changes are those of the group.  A note names the records that cannot be
    read.  Raises `UnreachableError` without a broker.
    """
    groups: set[tuple[str, str]] = set()
    lessons: dict[str, Lesson] = {}
    summaries: dict[str, GroupSummary] = {}
    skipped = held.skipped
    progress("lessons")
    for key, record in (await current(settings, kinds.LESSONS, skipped)).items():
        if isinstance(record, GroupSummary):
            groups.add((record.pattern_key, record.action_category))
        if record.module == module and record.learning == settings.learning:
            (lessons if isinstance(record, Lesson) else summaries)[key] = record
    own = partition_of(module, settings.partitions)
    progress("their verdicts")
    verdicts = await current(settings, kinds.VERDICTS, skipped, partition=own)
    weights = await current(settings, kinds.REGIME_WEIGHTS, skipped, partition=own)
    factors = await current(settings, kinds.FACTORS, skipped, partition=own)
    in_group = {
        i
        for i, x in lessons.items()
        if (x.pattern_key, x.action_category) == (pattern_key, category)
    }
    progress("edge history")
    days = await current(
        settings,
        kinds.HISTORY,
        skipped,
        partition=own,
        wanted=lambda key: key.partition("|")[0] in in_group,
    )
    progress("trades")
    facts = await _facts(settings, pattern_key, category, skipped)
    if facts:
        groups.add((pattern_key, category))
    known = Known(
        config=settings.learning_config,
        module=module,
        lessons=lessons,
        summaries=summaries,
        verdicts={
            i: v
            for i, v in verdicts.items()
            if v.module == module and v.learning == settings.learning
        },
        weights=[w for w in weights.values() if w.module == module],
        factors={i: f for i, f in factors.items() if f.module == module},
        days=list(days.values()),
        facts=facts,
        changes=of_group(held.changes, pattern_key, category),
        notes=tuple(note for note in (held.note, skipped.sentence()) if note),
    )
    return known, groups


def of_group(held: list[OverrideChange], pattern_key: str, category: str) -> list[OverrideChange]:
    """The changes of the overrides of one group, including retirements."""
    ids = {
        c.override_id
        for c in held
        if c.record is not None
        and (c.record.pattern_key, c.record.action_category) == (pattern_key, category)
    }
    return [change for change in held if change.override_id in ids]


async def _facts(
    settings: Settings, pattern_key: str, category: str, skipped: Skipped
) -> list[PatternTradeEvent]:
    """The facts of one group that have the outcome: for each trade, the fact of the close that
    counts."""
    key = group_key(pattern_key, category).encode()
    decode = decoder(kinds.FACTS)

    def read(value: bytes) -> tuple[PatternTradeEvent, Trade | None]:
        fact: PatternTradeEvent = decode(value)
        return fact, trade_from_fact(fact, settings.outcome)

    best: dict[str, tuple[Rank, PatternTradeEvent]] = {}
    async for records in scan(
        settings, kinds.FACTS, partition=partition_of(key.decode(), settings.partitions)
    ):
        for record in records:
            if record.key != key or (found := read_fact(read, record, skipped)) is None:
                continue
            fact, trade = found
            known = best.get(fact.trade_id)
            if trade is not None and (known is None or known[0] < trade.rank):
                best[fact.trade_id] = trade.rank, fact
    return [fact for _, fact in best.values()]
