"""The exported table `lessons`: each lesson with its verdict.

May touch: the broker (read only).
"""

from __future__ import annotations

from typing import NamedTuple

from app.export.columns import column, json_column
from app.export.exported import (
    GROUP_COLUMNS,
    Exported,
    Filters,
    Remarks,
    Rows,
    decay_columns,
    prefixed,
)
from app.kafka.snapshot import current
from app.learning.integrated.quality_metrics import METRICS
from app.settings import Settings
from schemas import kinds
from schemas.lessons import Lesson, LessonVerdict


class LessonAndVerdict(NamedTuple):
    """A lesson with its verdict, if there is one."""

    lesson: Lesson
    verdict: LessonVerdict | None


_LESSON = (
    column("lesson_id", "text", "Id of the slice, its lesson and its override."),
    column("learning", "text", "classic or integrated."),
    *GROUP_COLUMNS,
    json_column("scope", "The slice's scope; {} is the whole group."),
    column("dimensions", "integer", "Dimensions of the scope.", lambda x: len(x.scope)),
    column("n", "integer", "Trades."),
    column("mean", "number", "Mean outcome."),
    column("variance", "number", "Sample variance of the outcome."),
    column("evidence_from", "time", "First exit.", "evidence.from_ts"),
    column("evidence_to", "time", "Last exit.", "evidence.to_ts"),
    column("as_of", "time", "Last exit."),
    *decay_columns("Half-life, where decay beats a constant."),
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


async def _lessons(settings: Settings, filters: Filters, remarks: Remarks) -> Rows:
    records = await current(settings, kinds.LESSONS, remarks.skipped)
    verdicts = await current(settings, kinds.VERDICTS, remarks.skipped)
    for record in sorted(filters.of(records), key=lambda r: r.lesson_id):
        if isinstance(record, Lesson):
            yield LessonAndVerdict(record, verdicts.get(record.lesson_id))


LESSONS = Exported(
    "A lesson with its verdict; null until it has been judged.",
    (*prefixed("lesson", _LESSON), *prefixed("verdict", _VERDICT)),
    _lessons,
    scope=lambda row: row.lesson.scope,
)
