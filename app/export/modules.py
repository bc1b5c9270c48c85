"""The exported tables of what was learned of a module: `history`, `weights`, `factors` and
`baselines`.

May touch: the broker (read only).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from app.export.columns import Column, column, json_column, json_text
from app.export.exported import GROUP_COLUMNS, Exported, Filters, Remarks, Rows
from app.kafka.snapshot import current
from app.learning.integrated.quality_metrics import METRICS
from app.settings import Settings
from schemas import kinds
from schemas.lessons import LatentFactor, Lesson

_DAY = (
    column("lesson_id", "text", "Id of the lesson."),
    column("day", "text", "YYYY-MM-DD in UTC, by exit."),
    column("learning", "text", "classic or integrated."),
    *GROUP_COLUMNS,
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


async def _days(settings: Settings, filters: Filters, remarks: Remarks) -> Rows:
    for record in sorted(
        filters.of(await current(settings, kinds.HISTORY, remarks.skipped)),
        key=lambda d: (d.lesson_id, d.day),
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


async def _weights(settings: Settings, filters: Filters, remarks: Remarks) -> Rows:
    records = await current(settings, kinds.REGIME_WEIGHTS, remarks.skipped)
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


async def _members(settings: Settings, filters: Filters, remarks: Remarks) -> Rows:
    factors = await current(settings, kinds.FACTORS, remarks.skipped)
    lessons = await current(settings, kinds.LESSONS, remarks.skipped)
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


async def _baselines(settings: Settings, filters: Filters, remarks: Remarks) -> Rows:
    records = await current(settings, kinds.BASELINES, remarks.skipped)
    for record in sorted(
        records.values(), key=lambda b: (b.module, b.bucket or "", b.timeframe or "")
    ):
        if filters.module in (None, record.module):
            yield record


HISTORY = Exported("A lesson on a day: predicted and realised uplift.", _DAY, _days)
WEIGHTS = Exported("The weights of a regime.", _WEIGHT, _weights, grouped=False)
FACTORS = Exported(
    "A member of a latent factor.",
    _MEMBER,
    _members,
    scope=lambda row: None if row.lesson is None else row.lesson.scope,
)
BASELINES = Exported("A baseline.", _BASELINE, _baselines, grouped=False)
