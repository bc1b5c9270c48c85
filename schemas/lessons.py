"""`learning_lessons` and `lesson_verdicts`: the evidence of a slice, and the materializer's
verdict.

May touch: nothing of ours.
"""

from __future__ import annotations

import msgspec

from edgeloop.overrides import SCHEMA_VERSION, Evidence

HISTORY_DAYS = 400
"""Days of a history before its newest, however long the window: it travels with every lesson."""


class LessonDecay(msgspec.Struct, frozen=True):
    """How the outcome changes over time.  `slope_per_hour` is the least-squares slope of the
    outcome on hours of exit; `odds` of a chosen effect of `integrated` are the posterior odds that
    it reverts to neutral rather than being constant.

    In `classic`, with an outcome other than `rr`, `state` and `multiplier` are computed from the
    raw outcome; the judgement computes its own from the slope in units of size and puts them into
    the override.
    """

    state: str
    multiplier: float = 1.0
    slope_per_hour: float | None = None
    half_life_hours: float | None = None
    interval: tuple[float, float] | None = None
    odds: float | None = None


class Metrics(msgspec.Struct, frozen=True):
    """Quality of an edge, each from 0 to 1: see `app.learning.integrated.effect_history`."""

    time_efficiency: float
    field_coherence: float
    recurrence: float
    support: float
    stability: float
    magnitude: float


class RegimeCell(msgspec.Struct, frozen=True, array_like=True):
    """Within a grid cell the trades of one regime (canonical text): how many, and their mean
    uplift."""

    regime: str
    n: int
    uplift: float


class HistoryCell(msgspec.Struct, frozen=True, array_like=True):
    """A day (24 hours UTC, counted from 1970) of an effect's history.

    `predicted` uplift and `metrics` (in the order of `Metrics`) come from trades before the day,
    `regimes` from the day's own.
    """

    day: int
    predicted: float
    metrics: tuple[float, float, float, float, float, float]
    regimes: tuple[RegimeCell, ...]


class Marginal(msgspec.Struct, frozen=True, kw_only=True):
    """What the search of `integrated` found of a slice, relative to its group's level without the
    chosen effects.

    `step` is its place on the group's path (null: not chosen).  `statistic` is |z| of the step, or
    the signed z of a slice that was not chosen before anything is chosen; `conditional` the same
    given all that was chosen.  `hypotheses` slices were searched.  `effect` is the coefficient
    given all that was chosen (of a slice not chosen: by itself), `now` the edge at the summary's
    `as_of` by the half-life filters.  `aliases` are slices of exactly the same trades; `reason`
    says why a slice was not chosen.  `shared` are the posterior means of the slice's effect among
    all slices of the group together, one for each of the shares of the variance that may persist
    (`app.learning.integrated.shared_effects.SHARES`); empty where they are too small to matter.
    `shared_precision` is one over the variance of the slice's mean, `shared_prior` the variance of
    its effect per share.
    """

    step: int | None
    statistic: float
    conditional: float
    p_value: float
    hypotheses: int
    effect: float
    effect_sd: float
    now: float
    now_sd: float
    noise_sd: float
    reason: str
    aliases: tuple[dict[str, str], ...] = ()
    shared: tuple[float, ...] = ()
    shared_precision: float = 0.0
    shared_prior: float = 0.0


class Lesson(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="lesson"):
    """Evidence of one slice, from its trades in the sliding window, before it is judged.

    `n` trades with `mean` and sample `variance` of the outcome.  `as_of` is the newest exit among
    them.  In `integrated` also: `marginal`, `metrics`, the `history` of chosen slices and of the
    whole group, and a `sketch` of the trade ids (see `app.learning.integrated.sketches`).
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
    marginal: Marginal | None = None
    metrics: Metrics | None = None
    history: tuple[HistoryCell, ...] = ()
    sketch: str = ""
    schema_version: int = SCHEMA_VERSION


class SegmentSum(msgspec.Struct, frozen=True):
    """Count, sum and sum of squares of the outcomes of the *home* trades of one segment."""

    bucket: str | None
    timeframe: str | None
    n: int
    sum: float
    sum_sq: float


class Fit(msgspec.Struct, frozen=True):
    """Least squares on the group's level and the first k slices of its path, the level first: k + 1
    coefficients, their standard errors, and for each its loadings on the segments (in the order of
    the summary's)."""

    coefficients: tuple[float, ...]
    sds: tuple[float, ...]
    loadings: tuple[tuple[float, ...], ...]


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """The effects that a group's search chose, most certain first: lesson ids, |z| of each step,
    and the fit of the first 0, 1, … of them.

    `hypotheses` distinct slices were searched; `robust_sd` is that of the outcomes, `segments` are
    those that `Fit.loadings` are about.
    """

    lesson_ids: tuple[str, ...]
    statistics: tuple[float, ...]
    fits: tuple[Fit, ...]
    hypotheses: int
    robust_sd: float
    segments: tuple[tuple[str | None, str | None], ...]


class BlockProducts(msgspec.Struct, frozen=True, array_like=True):
    """Products of what slices earned in each pair of blocks: the upper half, row by row, of a
    symmetric matrix of `blocks` blocks, the first of which has this number (see
    `app.learning.integrated.persistence`)."""

    first: int
    blocks: int
    upper: tuple[float, ...]


class CourseCell(msgspec.Struct, frozen=True, array_like=True):
    """Trades of a group that closed in the days from `day` (counted from 1970) up to the next line
    of the grid: how many, and their mean outcome."""

    day: int
    n: int
    mean: float


class RecordCell(msgspec.Struct, frozen=True, array_like=True):
    """What a group's predictors gave at `cut_us` for the `n` trades after it, and the outcomes:
    `products` are the upper half, row by row, of the symmetric matrix of sums of products around
    the means of these columns: the chosen effects, taken as constant; the same as their
    half-lives leave them; the shared effects for each of the shares of the variance that may
    persist; and the outcomes."""

    cut_us: int
    n: int
    products: tuple[float, ...]


class GroupSummary(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="group"):
    """A group as a whole.  Baselines are sums over the summaries, with each trade once, through its
    home group.

    `robust_sd` is that of the outcomes where `classic` needs it to scale them: null with the
    outcome `rr`, and in `integrated`, whose path has it.  In `integrated` also its path; its
    `course` over the whole window, on a grid of days; `persistence` of what its slices earn, in
    units of the variance of an outcome, and the `likeness` of their trades, which is what it would
    be if all of that variance persisted; the `unexplained` part of `persistence`, between distant
    blocks, that its chosen effects leave; the `record` of predictions for it at past times; and
    `shared`, the number of its lessons with a shared effect and the sum of these effects, which
    tell a reader whether it has all of them.
    """

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
    robust_sd: float | None = None
    path: Path | None = None
    course: tuple[CourseCell, ...] = ()
    persistence: BlockProducts | None = None
    likeness: float = 0.0
    unexplained: float | None = None
    record: tuple[RecordCell, ...] = ()
    shared: tuple[int, float] | None = None
    schema_version: int = SCHEMA_VERSION


decode_lesson = msgspec.json.Decoder(Lesson | GroupSummary).decode
"""The lesson or summary that a value of `learning_lessons` holds."""


class LessonVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is, or is not, an override for a lesson.  `decision`: override, covered, neutral or
    insufficient.

    `edge` is what is published, `edge_raw` (integrated) the same before it is shrunk, with its
    standard error `effect_sd`.
    """

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
    edge_raw: float | None = None
    effect_sd: float | None = None
    schema_version: int = SCHEMA_VERSION


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """`learning_baselines`: the mean outcome of a module's trades, regardless of their pattern;
    `mean` is subtracted from outcomes."""

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


class RegimeWeight(msgspec.Struct, frozen=True, kw_only=True):
    """`learning_regime_weights`: how well, in one regime, each quality metric predicts which edges
    persist.

    See `app.learning.integrated.regime_weights`.  `regime` is its canonical text (`""`: all).
    `weights` and `sds` are by name: `offset` and the metrics; `active`: the test passed, so
    overrides have gains for it.
    """

    learning: str
    regime_id: str
    module: str
    regime: str
    n_cells: int
    n_trades: int
    weights: dict[str, float]
    sds: dict[str, float]
    centres: dict[str, float]
    p_value: float
    active: bool
    as_of: str
    version: int
    schema_version: int = SCHEMA_VERSION


class LatentFactor(msgspec.Struct, frozen=True, kw_only=True):
    """`learning_latent_factors`: slices that match (nearly) the same trades: one piece of evidence.
    `cohesion`: mean pairwise Jaccard."""

    learning: str
    factor_id: str
    module: str
    representative: str
    members: tuple[str, ...]
    cohesion: float
    as_of: str
    version: int
    schema_version: int = SCHEMA_VERSION


class EdgeHistory(msgspec.Struct, frozen=True, kw_only=True):
    """`learning_edge_history`: one lesson × one day; see `HistoryCell`.  `n` and `uplift` are the
    day's over all regimes."""

    learning: str
    lesson_id: str
    module: str
    pattern_key: str
    action_category: str
    day: str
    n: int
    predicted: float
    uplift: float
    metrics: Metrics
    regimes: dict[str, RegimeCell]
    version: int
    schema_version: int = SCHEMA_VERSION
