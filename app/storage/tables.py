"""The table of each derived topic: its columns, and the parts of a record that go into them.

May touch: nothing but its arguments; its projections write to PostgreSQL.
"""

from __future__ import annotations

from typing import Any

from app.storage.facts_table import Facts
from app.storage.keyed_table import Column, Keyed
from app.storage.projection import Projection, json_text, optional_time, time_of
from schemas import kinds
from schemas.lessons import HISTORY_DAYS, GroupSummary, Lesson


def _field(name: str, kind: str) -> Column:
    return Column(name, kind, lambda value: getattr(value, name))


def _json_field(name: str) -> Column:
    return Column(name, "json", lambda value: json_text(getattr(value, name)))


def _time_field(name: str) -> Column:
    return Column(name, "timestamptz", lambda value: optional_time(getattr(value, name)))


_GROUP_FIELDS = (
    _field("module", "text"),
    _field("pattern_key", "text"),
    _field("action_category", "text"),
)
_LESSON_SHARED = (_field("learning", "text"), *_GROUP_FIELDS, _json_field("scope"))
_LESSON_HALVES = ("lesson_version", "verdict_version")


def _stats(lesson: Lesson) -> str:
    """Everything without its own column, except the ids in the sketch and fields that `classic`
    does not have."""
    decay = lesson.decay
    stats: dict[str, Any] = {
        "decay": {
            "multiplier": decay.multiplier,
            "slope_per_hour": decay.slope_per_hour,
            "interval": decay.interval,
        }
    }
    if lesson.marginal is not None:
        stats["marginal"] = lesson.marginal
    if lesson.metrics is not None:
        stats["metrics"] = lesson.metrics
    if lesson.sketch:
        stats["sketch_length"] = len(lesson.sketch)
    return json_text(stats)


LESSONS = Keyed(
    kinds.LESSONS,
    "learning_lessons",
    [
        _field("n", "bigint"),
        _field("mean", "float8"),
        _field("variance", "float8"),
        Column("decay_state", "text", lambda v: v.decay.state),
        Column("decay_halflife_hours", "float8", lambda v: v.decay.half_life_hours),
        Column("stats", "json", _stats),
        Column("evidence_from", "timestamptz", lambda v: time_of(v.evidence.from_ts)),
        Column("evidence_to", "timestamptz", lambda v: time_of(v.evidence.to_ts)),
        _time_field("as_of"),
    ],
    shared=_LESSON_SHARED,
    version="lesson_version",
    halves=_LESSON_HALVES,
    rowless=GroupSummary,
)

VERDICTS = Keyed(
    kinds.VERDICTS,
    "learning_lessons",
    [
        Column("effect", "float8", lambda v: v.edge),
        _field("effect_sd", "float8"),
        # `classic` does not shrink
        Column("edge_raw", "float8", lambda v: v.edge if v.edge_raw is None else v.edge_raw),
        _field("baseline", "float8"),
        _field("multiplier", "float8"),
        _field("confidence", "float8"),
        _field("latent_factor_id", "text"),
        _field("decision", "text"),
        _field("reason", "text"),
        _field("override_id", "text"),
        Column("judged_lesson_version", "bigint", lambda v: v.lesson_version),
    ],
    shared=_LESSON_SHARED,
    version="verdict_version",
    halves=_LESSON_HALVES,
)

OVERRIDES = Keyed(
    kinds.OVERRIDES,
    "pm_overrides",
    [
        _field("learning", "text"),
        *_GROUP_FIELDS,
        _json_field("scope"),
        _field("effect", "float8"),
        _field("effect_sd", "float8"),
        _field("multiplier", "float8"),
        _field("confidence", "float8"),
        _field("n_trades", "bigint"),
        _field("baseline", "float8"),
        _json_field("decay"),
        _field("latent_factor_id", "text"),
        _field("covers", "text[]"),
        _json_field("regime_gains"),
        _json_field("evidence"),
        _time_field("as_of"),
        _time_field("expires_at"),
        _field("part", "text"),
        _field("schema_version", "integer"),
    ],
    history="pm_overrides_history",
)

BASELINES = Keyed(
    kinds.BASELINES,
    "learning_baselines",
    [
        _field("learning", "text"),
        _field("module", "text"),
        _field("bucket", "text"),
        _field("timeframe", "text"),
        _field("n", "bigint"),
        _field("mean", "float8"),
        _field("variance", "float8"),
        _time_field("as_of"),
        _field("schema_version", "integer"),
    ],
)

REGIME_WEIGHTS = Keyed(
    kinds.REGIME_WEIGHTS,
    "learning_regime_weights",
    [
        _field("learning", "text"),
        _field("module", "text"),
        _field("regime", "text"),
        _field("n_cells", "bigint"),
        _field("n_trades", "bigint"),
        _json_field("weights"),
        _json_field("sds"),
        _json_field("centres"),
        _field("p_value", "float8"),
        _field("active", "boolean"),
        _time_field("as_of"),
        _field("schema_version", "integer"),
    ],
)

FACTORS = Keyed(
    kinds.FACTORS,
    "learning_latent_factors",
    [
        _field("learning", "text"),
        _field("module", "text"),
        _field("representative", "text"),
        _field("members", "text[]"),
        _field("cohesion", "float8"),
        _time_field("as_of"),
        _field("schema_version", "integer"),
    ],
)

HISTORY = Keyed(
    kinds.HISTORY,
    "learning_edge_history",
    [
        _field("learning", "text"),
        *_GROUP_FIELDS,
        _field("n", "bigint"),
        _field("predicted", "float8"),
        _field("uplift", "float8"),
        _json_field("metrics"),
        _json_field("regimes"),
        _field("schema_version", "integer"),
    ],
    # By event time, counted back from the table's newest day, so that a rebuild keeps the same
    # days.
    days=HISTORY_DAYS,
)

PROJECTIONS: dict[str, Projection] = {
    p.topic: p
    for p in (Facts(), LESSONS, VERDICTS, OVERRIDES, BASELINES, REGIME_WEIGHTS, FACTORS, HISTORY)
}
"""By topic, without the prefix: everything in `kinds.DERIVED`."""
