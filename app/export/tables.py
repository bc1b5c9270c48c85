"""The tables that can be exported: their columns, and their rows from the topics.

May touch: the broker and, for what was in force at a time, PostgreSQL (read only).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from app import changes
from app.changes import in_force
from app.export.columns import Column, column, json_column, json_text
from app.learning.common.event_time import micros_from_text, text_from_micros
from app.learning.common.window import Rank
from app.learning.integrated.regimes import METRICS
from app.log import topics
from app.log.bulk_reader import scan
from app.log.snapshot import current, decoder, read_fact
from app.matching import matching
from app.settings import Settings
from edgeloop.overrides import MAX_MULTIPLIER, MIN_MULTIPLIER, Override
from schemas import kinds
from schemas.facts import FactAction, PatternTradeEvent
from schemas.lessons import LatentFactor, Lesson, LessonVerdict


class Filters(NamedTuple):
    """Which records: of this module, pattern key (may end in `*`) and category; `as_of_us` is for
    overrides alone."""

    module: str | None = None
    pattern: str | None = None
    category: str | None = None
    as_of_us: int | None = None

    def of(self, records: Mapping[str, Any]) -> list[Any]:
        """Those of `records` that fit."""
        return list(
            matching(
                dict(records), module=self.module, pattern=self.pattern, category=self.category
            )
        )

    def fit(self, record: Any) -> bool:
        """Whether a record fits."""
        return bool(self.of({"": record}))


Notes = list[str]
Rows = AsyncIterator[Any]


class Exported(NamedTuple):
    """One table.  `rows` yields the records that its columns read, in a fixed order, and may add
    sentences to the notes; `grouped`: its records have a pattern key and a category; `scope` gives
    a record's scope where it has one."""

    meaning: str
    columns: tuple[Column, ...]
    rows: Callable[[Settings, Filters, Notes], Rows]
    grouped: bool = True
    scope: Callable[[Any], Mapping[str, str] | None] | None = None


_GROUP = (
    column("module", "text", "Module."),
    column("pattern_key", "text", "Canonical pattern key."),
    column("action_category", "text", "entry, add, trim or exit."),
)


def _prefixed(prefix: str, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """The columns of a record that is the attribute `prefix` of a row."""

    def below(inner: Column) -> Column:
        return inner._replace(
            read=lambda row: (
                None if getattr(row, prefix) is None else inner.read(getattr(row, prefix))
            )
        )

    return tuple(map(below, columns))


# -- lessons


class LessonAndVerdict(NamedTuple):
    """A lesson with its verdict, if there is one."""

    lesson: Lesson
    verdict: LessonVerdict | None


_LESSON = (
    column("lesson_id", "text", "Id of the slice, its lesson and its override."),
    column("learning", "text", "classic or integrated."),
    *_GROUP,
    json_column("scope", "The slice's scope; {} is the whole group."),
    column("dimensions", "integer", "Dimensions of the scope.", lambda x: len(x.scope)),
    column("n", "integer", "Trades."),
    column("mean", "number", "Mean outcome."),
    column("variance", "number", "Sample variance of the outcome."),
    column("evidence_from", "time", "First exit.", "evidence.from_ts"),
    column("evidence_to", "time", "Last exit.", "evidence.to_ts"),
    column("as_of", "time", "Last exit."),
    column(
        "decay_state",
        "text",
        "insufficient, stable, decaying, improving or reversed.",
        "decay.state",
    ),
    column(
        "half_life_hours",
        "number",
        "Half-life, where decay beats a constant.",
        "decay.half_life_hours",
    ),
    column(
        "half_life_low_hours",
        "number",
        "Its 80 % interval.",
        lambda x: x.decay.interval and x.decay.interval[0],
    ),
    column(
        "half_life_high_hours",
        "number",
        "Its 80 % interval.",
        lambda x: x.decay.interval and x.decay.interval[1],
    ),
    column(
        "slope_per_hour",
        "number",
        "classic: slope of the outcome on hours.",
        "decay.slope_per_hour",
    ),
    column(
        "step", "integer", "Place among the chosen slices of the group, from 0.", "marginal.step"
    ),
    column(
        "statistic",
        "number",
        "|z| at which it was chosen; if not chosen, its own signed z.",
        "marginal.statistic",
    ),
    column("conditional", "number", "z given all chosen slices.", "marginal.conditional"),
    column(
        "p_value",
        "number",
        "Its two-sided p-value, not corrected for the search.",
        "marginal.p_value",
    ),
    column("hypotheses", "integer", "Slices searched in the group.", "marginal.hypotheses"),
    column("marginal_effect", "number", "Coefficient over the window.", "marginal.effect"),
    column("marginal_effect_sd", "number", "Its standard error.", "marginal.effect_sd"),
    column("marginal_now", "number", "Current coefficient, by the half-life.", "marginal.now"),
    column("marginal_now_sd", "number", "Its standard error.", "marginal.now_sd"),
    column("noise_sd", "number", "Standard deviation of single trades.", "marginal.noise_sd"),
    json_column(
        "shared",
        "Its posterior means given all slices of the group, one for each assumed persistent share.",
        "marginal.shared",
    ),
    column(
        "shared_precision",
        "number",
        "1 / variance of its mean.",
        "marginal.shared_precision",
    ),
    column("shared_prior", "number", "Variance of its effect per share.", "marginal.shared_prior"),
    json_column("aliases", "Other scopes that match exactly the same trades.", "marginal.aliases"),
    *(column(name, "number", "Quality from 0 to 1.", f"metrics.{name}") for name in METRICS),
    column("version", "integer", "Version of the lesson."),
)
_VERDICT = (
    column("decision", "text", "override, covered, neutral or insufficient."),
    column("reason", "text", "The reason, as a sentence."),
    column("edge", "number", "The edge now in effect, in units of size."),
    column("edge_raw", "number", "The edge over the window, before shrinkage."),
    column("effect_sd", "number", "Standard error of the edge."),
    column("baseline", "number", "Mean outcome of its trades' segments."),
    column("multiplier", "number", "Size factor."),
    column("confidence", "number", "Probability that the edge has this sign."),
    column("override_id", "text", "The override that covers it."),
    column("latent_factor_id", "text", "Its latent factor."),
    column("verdict_version", "integer", "Version of the verdict.", "version"),
)


async def _lessons(settings: Settings, filters: Filters, notes: Notes) -> Rows:
    records = await current(settings, kinds.LESSONS)
    verdicts = await current(settings, kinds.VERDICTS)
    for record in sorted(filters.of(records), key=lambda r: r.lesson_id):
        if isinstance(record, Lesson):
            yield LessonAndVerdict(record, verdicts.get(record.lesson_id))


# -- overrides and their changes

_OVERRIDE = (
    column("override_id", "text", "Id of the slice, its lesson and its override."),
    column("learning", "text", "classic or integrated."),
    *_GROUP,
    json_column("scope", "The scope that a context must contain."),
    column(
        "part", "text", "selected: passes alone; shared: one of many effects that count together."
    ),
    column(
        "multiplier",
        "number",
        f"Size factor of this override alone, {MIN_MULTIPLIER} to {MAX_MULTIPLIER}.",
    ),
    column("effect", "number", "Expected uplift at as_of, in units of size."),
    column("effect_sd", "number", "Its standard error."),
    column("confidence", "number", "Probability that the edge has this sign."),
    column("n_trades", "integer", "Trades behind it."),
    column("baseline", "number", "Mean outcome of its trades' segments."),
    column(
        "decay_state",
        "text",
        "insufficient, stable, decaying, improving or reversed.",
        "decay.state",
    ),
    column(
        "half_life_hours",
        "number",
        "Half-life with which it decays after as_of.",
        "decay.half_life_hours",
    ),
    column(
        "half_life_low_hours",
        "number",
        "Its 80 % interval.",
        lambda x: x.decay.interval and x.decay.interval[0],
    ),
    column(
        "half_life_high_hours",
        "number",
        "Its 80 % interval.",
        lambda x: x.decay.interval and x.decay.interval[1],
    ),
    json_column("regime_gains", "Regime → gain of the effect."),
    column("latent_factor_id", "text", "Its latent factor."),
    json_column("covers", "Further lessons that it covers."),
    column("evidence_from", "time", "First exit.", "evidence.from_ts"),
    column("evidence_to", "time", "Last exit.", "evidence.to_ts"),
    column("as_of", "time", "Time at which the effect holds."),
    column("expires_at", "time", "Time from which it is ignored."),
    column("version", "integer", "Version of the record."),
)


async def overrides_at(settings: Settings, as_of_us: int, notes: Notes) -> dict[str, Override]:
    """The overrides that were in force at `as_of_us`, by id; a note says if compaction may have
    removed some changes.

    Raises `UnreachableError` without a broker.
    """
    known = await changes.read(settings)
    if known.note:
        notes.append(known.note)
    return in_force(known.changes, as_of_us)


async def _overrides(settings: Settings, filters: Filters, notes: Notes) -> Rows:
    if filters.as_of_us is None:
        records = await current(settings, kinds.OVERRIDES)
    else:
        records = await overrides_at(settings, filters.as_of_us, notes)
    for record in sorted(filters.of(records), key=lambda o: o.override_id):
        yield record


_CHANGE = (
    column("override_id", "text", "Id of the override."),
    column(
        "published_at",
        "time",
        "Kafka timestamp of the change.",
        lambda x: text_from_micros(x.published_us),
    ),
    column("version", "integer", "Version of the change."),
    column(
        "retired",
        "flag",
        "The override was retired; the other columns are null.",
        lambda x: x.record is None,
    ),
    *_prefixed("record", _OVERRIDE[1:-1]),
)


async def _changes(settings: Settings, filters: Filters, notes: Notes) -> Rows:
    known = await changes.read(settings)
    if known.note:
        notes.append(known.note)
    wanted = {
        c.override_id for c in known.changes if c.record is not None and filters.fit(c.record)
    }
    for change in known.changes:
        if change.override_id in wanted or (change.record is None and filters == Filters()):
            yield change


# -- what was learned of a module

_DAY = (
    column("lesson_id", "text", "Id of the lesson."),
    column("day", "text", "YYYY-MM-DD in UTC, by exit."),
    column("learning", "text", "classic or integrated."),
    *_GROUP,
    column("n", "integer", "Trades of the day."),
    column("predicted", "number", "Uplift expected from the trades before the day."),
    column("uplift", "number", "Mean uplift of the day's trades."),
    *(
        column(name, "number", "Quality before the day, from 0 to 1.", f"metrics.{name}")
        for name in METRICS
    ),
    Column(
        "regimes",
        "json",
        "Regime → [trades, uplift] of the day.",
        lambda x: json_text({r.regime: [r.n, r.uplift] for r in x.regimes.values()}),
    ),
    column("version", "integer", "Version of the record."),
)


async def _days(settings: Settings, filters: Filters, notes: Notes) -> Rows:
    for record in sorted(
        filters.of(await current(settings, kinds.HISTORY)), key=lambda d: (d.lesson_id, d.day)
    ):
        yield record


def _of(name: str, field: str) -> Callable[[Any], Any]:
    return lambda record: getattr(record, field).get(name)


_WEIGHT = (
    column("regime_id", "text", "Id of the regime's weights."),
    column("learning", "text", "integrated."),
    column("module", "text", "Module."),
    column("regime", "text", "Canonical text of the regime; empty: all."),
    column("active", "flag", "The test passed, so overrides have gains for it."),
    column("p_value", "number", "p-value of the test."),
    column("n_cells", "integer", "Lessons × days behind it."),
    column("n_trades", "integer", "Trades behind it."),
    *(
        Column(f"weight_{name}", "number", "Weight.", _of(name, "weights"))
        for name in ("offset", *METRICS)
    ),
    *(
        Column(f"sd_{name}", "number", "Its standard error.", _of(name, "sds"))
        for name in ("offset", *METRICS)
    ),
    *(
        Column(
            f"centre_{name}",
            "number",
            "Value of the metric at which the weight adds nothing.",
            _of(name, "centres"),
        )
        for name in METRICS
    ),
    column("as_of", "time", "Newest exit of the module."),
    column("version", "integer", "Version of the record."),
)


async def _weights(settings: Settings, filters: Filters, notes: Notes) -> Rows:
    records = await current(settings, kinds.REGIME_WEIGHTS)
    for record in sorted(records.values(), key=lambda w: (w.module, w.regime)):
        if filters.module in (None, record.module):
            yield record


class Membership(NamedTuple):
    """One lesson in one factor; the lesson is None if it has just been retired."""

    factor: LatentFactor
    lesson_id: str
    lesson: Lesson | None


_MEMBER = (
    column("factor_id", "text", "Id of the factor.", "factor.factor_id"),
    column("module", "text", "Module.", "factor.module"),
    column("cohesion", "number", "Mean Jaccard index of the members' trades.", "factor.cohesion"),
    column("lesson_id", "text", "A member."),
    column(
        "representative",
        "flag",
        "The member whose effect the factor has.",
        lambda x: x.factor.representative == x.lesson_id,
    ),
    column("pattern_key", "text", "Canonical pattern key of the member.", "lesson.pattern_key"),
    column("action_category", "text", "Category of the member.", "lesson.action_category"),
    json_column("scope", "Scope of the member.", "lesson.scope"),
    column("n", "integer", "Trades of the member.", "lesson.n"),
    column("as_of", "time", "Newest exit of the members.", "factor.as_of"),
    column("version", "integer", "Version of the record.", "factor.version"),
)


async def _members(settings: Settings, filters: Filters, notes: Notes) -> Rows:
    factors = await current(settings, kinds.FACTORS)
    lessons = await current(settings, kinds.LESSONS)
    everything = filters == Filters(module=filters.module)
    for factor in sorted(factors.values(), key=lambda f: f.factor_id):
        if filters.module not in (None, factor.module):
            continue
        for i in factor.members:
            lesson = lessons.get(i)
            if everything or (lesson is not None and filters.fit(lesson)):
                yield Membership(factor, i, lesson if isinstance(lesson, Lesson) else None)


_BASELINE = (
    column("baseline_id", "text", "Id of the baseline."),
    column("learning", "text", "classic or integrated."),
    column("module", "text", "Module."),
    column("bucket", "text", "Bucket of the segment; null: all."),
    column("timeframe", "text", "Timeframe of the segment; null: all."),
    column("n", "integer", "Trades."),
    column("mean", "number", "Mean outcome, subtracted from outcomes."),
    column("variance", "number", "Sample variance of their outcomes."),
    column("as_of", "time", "Newest exit of the module."),
    column("version", "integer", "Version of the record."),
)


async def _baselines(settings: Settings, filters: Filters, notes: Notes) -> Rows:
    records = await current(settings, kinds.BASELINES)
    for record in sorted(
        records.values(), key=lambda b: (b.module, b.bucket or "", b.timeframe or "")
    ):
        if filters.module in (None, record.module):
            yield record


# -- trades


class Acted(NamedTuple):
    """One action of a trade, according to the close that counts."""

    fact: PatternTradeEvent
    action: FactAction


_ACTION = (
    column("trade_id", "text", "With the module it identifies the trade.", "fact.trade_id"),
    column("action_id", "text", "Id of the action.", "action.action_id"),
    column("module", "text", "Module.", "fact.module"),
    column("pattern_key", "text", "Canonical pattern key.", "fact.pattern_key"),
    column("action_category", "text", "entry, add, trim or exit.", "fact.action_category"),
    column("action_ts", "time", "Time of the action.", "action.ts"),
    column("entry_ts", "time", "Entry of the trade.", "fact.entry_ts"),
    column("exit_ts", "time", "Exit of the trade.", "fact.exit_ts"),
    json_column(
        "scope", "Scope of the action, canonical, entry context filled in.", "action.scope"
    ),
    column(
        "size_frac",
        "number",
        "Size of the action as a fraction of the full position.",
        "action.size_frac",
    ),
    json_column(
        "applied_overrides", "Ids of the overrides that sized it.", "action.applied_overrides"
    ),
    Column(
        "sizing",
        "json",
        "How its multiplier was drawn, where the reader explored.",
        lambda x: (
            None
            if isinstance(x.action.sizing, msgspec.UnsetType)
            else json_text(msgspec.to_builtins(x.action.sizing))
        ),
    ),
    column("rr", "number", "Return / maximum drawdown of the trade.", "fact.rr"),
    column("roi", "number", "Return of the trade as a fraction.", "fact.roi"),
    column("pnl_usd", "number", "Profit of the trade in US dollars.", "fact.pnl_usd"),
    column("bucket", "text", "Bucket of the trade's segment.", "fact.segment.bucket"),
    column("timeframe", "text", "Timeframe of the trade's segment.", "fact.segment.timeframe"),
    column("symbol", "text", "Symbol.", "fact.symbol"),
    column("position_id", "text", "Position.", "fact.position_id"),
    column(
        "home",
        "flag",
        "This is the group of the trade's earliest action, in which it counts in baselines.",
        "fact.home",
    ),
    column("revision", "integer", "Revision of the close that counts.", "fact.revision"),
    column("n_actions", "integer", "Actions of the whole trade.", "fact.n_actions"),
    *(
        column(name, "number", meaning, f"fact.metrics.{name}")
        for name, meaning in (
            ("time_efficiency", "1/(1 + days to payback, else held)."),
            ("hold_time_days", "Days held."),
            ("time_to_payback_days", "Days until the stake was paid back."),
            ("max_drawdown", "A fraction."),
            ("max_gain", "A fraction."),
            ("fees_usd", "US dollars."),
        )
    ),
    column("event_id", "text", "Event id of the close that counts.", "fact.event_id"),
)


class _Head(msgspec.Struct):
    """The rank of a fact, and what identifies its trade: all that the first reading needs."""

    trade_id: str
    revision: int
    n_actions: int
    exit_ts: str
    event_id: str
    value_sha256: str


async def _actions(settings: Settings, filters: Filters, notes: Notes) -> Rows:
    """Partition by partition, each read twice: for which close of each trade counts, then for the
    rows; so memory holds ranks only."""
    await topics.require_existence(settings, [kinds.FACTS])
    head, whole = decoder(settings, kinds.FACTS, _Head), decoder(settings, kinds.FACTS)
    for partition in range(settings.partitions):
        best: dict[tuple[bytes, str], tuple[Rank, int]] = {}
        async for records in scan(settings, kinds.FACTS, partition=partition):
            for record in records:
                if (h := read_fact(head, record)) is None:
                    continue
                rank = (
                    h.revision,
                    h.n_actions,
                    micros_from_text(h.exit_ts),
                    h.event_id,
                    h.value_sha256,
                )
                known = best.get((record.key, h.trade_id))
                if known is None or known[0] < rank:
                    best[record.key, h.trade_id] = rank, record.offset
        offsets = {offset for _, offset in best.values()}
        del best
        if not offsets:
            continue
        async for records in scan(settings, kinds.FACTS, starts={partition: min(offsets)}):
            for record in records:
                if record.offset in offsets:
                    fact = whole(record.value)
                    if filters.fit(fact):
                        for action in fact.actions:
                            yield Acted(fact, action)


TABLES: dict[str, Exported] = {
    "lessons": Exported(
        "A lesson with its verdict; null until it has been judged.",
        (*_prefixed("lesson", _LESSON), *_prefixed("verdict", _VERDICT)),
        _lessons,
        scope=lambda row: row.lesson.scope,
    ),
    "overrides": Exported(
        "An override in force, now or at a given time.",
        _OVERRIDE,
        _overrides,
        scope=lambda row: row.scope,
    ),
    "changes": Exported(
        "A published change of an override.",
        _CHANGE,
        _changes,
        scope=lambda row: None if row.record is None else row.record.scope,
    ),
    "history": Exported("A lesson on a day: predicted and realised uplift.", _DAY, _days),
    "weights": Exported("The weights of a regime.", _WEIGHT, _weights, grouped=False),
    "factors": Exported(
        "A member of a latent factor.",
        _MEMBER,
        _members,
        scope=lambda row: None if row.lesson is None else row.lesson.scope,
    ),
    "baselines": Exported("A baseline.", _BASELINE, _baselines, grouped=False),
    "trades": Exported(
        "An action of a closed trade, from the close that counts.",
        _ACTION,
        _actions,
        scope=lambda row: row.action.scope,
    ),
}
"""By name; `faust -A app export NAME --describe` prints the columns."""

__all__ = ["TABLES", "Exported", "Filters", "overrides_at"]
