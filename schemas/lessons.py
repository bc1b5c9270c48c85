"""`learning_lessons` and `lesson_verdicts`: the evidence of a slice, and what the materializer made of it.

May touch: nothing of ours.
"""

from __future__ import annotations

import msgspec

from schemas import SCHEMA_VERSION


class Evidence(msgspec.Struct, frozen=True, rename={"from_ts": "from", "to_ts": "to"}):
    """The exits between which the slice's trades lie, and the version of the lesson they make."""

    from_ts: str
    to_ts: str
    lesson_version: int


class LessonDecay(msgspec.Struct, frozen=True):
    """How the outcome moves with time.  `slope_per_hour` is the least-squares slope of the outcome on hours of exit."""

    state: str
    multiplier: float = 1.0
    slope_per_hour: float | None = None
    half_life_hours: float | None = None
    interval: tuple[float, float] | None = None


class Lesson(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="lesson"):
    """Evidence of one slice: what its trades in the sliding window say, before anyone judges it.

    `n` trades with `mean` and sample `variance` of the outcome.  `as_of` is the newest exit among them.
    """

    learning: str
    lesson_id: str
    module: str
    pattern_key: str
    action_category: str
    scope: dict[str, str]
    n: int
    mean: float
    variance: float
    decay: LessonDecay
    evidence: Evidence
    as_of: str
    version: int
    schema_version: int = SCHEMA_VERSION


class SegmentSum(msgspec.Struct, frozen=True):
    """Count, sum and sum of squares of the outcomes of the *home* trades of one segment."""

    bucket: str | None
    timeframe: str | None
    n: int
    sum: float
    sum_sq: float


class GroupSummary(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="group"):
    """A group as a whole: what baselines add up, each trade once through its home group."""

    learning: str
    lesson_id: str
    module: str
    pattern_key: str
    action_category: str
    n: int
    n_slices: int
    segments: tuple[SegmentSum, ...]
    as_of: str
    version: int
    schema_version: int = SCHEMA_VERSION


class LessonVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is, or is not, an override for a lesson.  `decision`: override, covered, neutral or insufficient."""

    learning: str
    lesson_id: str
    module: str
    pattern_key: str
    action_category: str
    scope: dict[str, str]
    n: int
    edge: float
    baseline: float
    multiplier: float
    confidence: float
    decision: str
    reason: str
    override_id: str | None
    latent_factor_id: str | None
    lesson_version: int
    as_of: str
    version: int
    schema_version: int = SCHEMA_VERSION


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """`learning_baselines`: what a trade of the module earns on average, whatever its pattern; `mean` is what is subtracted."""

    learning: str
    baseline_id: str
    module: str
    bucket: str | None
    timeframe: str | None
    n: int
    mean: float
    variance: float
    as_of: str
    version: int
    schema_version: int = SCHEMA_VERSION
