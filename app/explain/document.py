"""The documents of an explanation: plain records, the same for text, JSON and HTML.

May touch: nothing of ours.  Outcomes, uplifts and baselines are in units of the configured outcome;
effects, gains, contributions and multipliers are sizes.
"""

from __future__ import annotations

import msgspec

from edgeloop.overrides import Override
from schemas.lessons import Metrics


class SegmentLine(msgspec.Struct, frozen=True):
    """Trades of one segment among the evidence, and the mean outcome of that segment."""

    bucket: str | None
    timeframe: str | None
    n: int
    baseline: float


class TradeLine(msgspec.Struct, frozen=True):
    """One trade: its outcome, and its outcome beyond its segment's baseline."""

    trade_id: str
    exit_ts: str
    outcome: float
    uplift: float


class EvidenceLines(msgspec.Struct, frozen=True, kw_only=True):
    """The trades behind an override.

    `n` trades were counted by its lesson, with exits from `from_ts` to `to_ts`; `n_now` match in
    the window of the current facts, and the rest is about these: their mean outcome, the mean
    `uplift` beyond the baselines of their segments, and the mean `beyond` the level of the group's
    trades without its effects, which is what an effect measures.  `trades` are the newest first, as
    many as requested.
    """

    from_ts: str
    to_ts: str
    n: int
    n_now: int
    first_exit_ts: str | None
    last_exit_ts: str | None
    mean: float | None
    uplift: float | None
    beyond: float | None
    segments: tuple[SegmentLine, ...]
    trades: tuple[TradeLine, ...]


class SliceLine(msgspec.Struct, frozen=True, kw_only=True):
    """A further slice of the group that was considered.  `relation` is alias (exactly the same
    trades), parent (part of the scope), child (the scope and more) or beside (neither, and chosen).
    `statistic` is its |z|, signed where it was not chosen."""

    relation: str
    lesson_id: str | None
    scope: dict[str, str]
    n: int
    mean: float | None
    statistic: float | None
    decision: str
    reason: str


class SearchLines(msgspec.Struct, frozen=True, kw_only=True):
    """The search, and how clearly the effect passes.

    `group_hypotheses` distinct slices were searched in the group, `module_hypotheses` in the module
    (each group's level is one more).  At the error rate `alpha` the threshold is |z| = `bar`; the
    effect has `statistic`, and `share` of it (0 to 1) counts.
    """

    group_hypotheses: int
    module_hypotheses: int
    alpha: float
    bar: float
    statistic: float | None
    share: float | None


class WeighingLines(msgspec.Struct, frozen=True, kw_only=True):
    """How the chosen and the shared effects of a group were combined in the effect.

    `part` is selected (passes alone) or shared (one of many that count together).  Its trades
    average `mean` more than the group's; given all other slices, `shared` of that remains, which is
    the share `kept` (None without a shared effect).  The weights, from 0 to 1: `half_life` and
    `shared_effects` are those of these learners; `own_half_life` is that of a selected slice's
    half-life, given its own trades (else None); `open` is the evidence that the groups of its
    category have any edge.
    """

    part: str
    mean: float | None
    shared: float | None
    kept: float | None
    half_life: float
    own_half_life: float | None
    shared_effects: float
    open: float


class DecayLine(msgspec.Struct, frozen=True):
    """A day, or a longer stretch from `first_day` to `last_day` (YYYY-MM-DD): `n` trades, the
    uplift predicted from those before each day, the realised uplift of the day, and the fitted
    curve."""

    first_day: str
    last_day: str
    n: int
    predicted: float
    uplift: float
    fitted: float


class DecayLines(msgspec.Struct, frozen=True, kw_only=True):
    """How the effect moves: `now` is the edge at `as_of`; `days` are those of the edge history,
    `stretches` the same by week or month."""

    state: str
    half_life_hours: float | None
    interval: tuple[float, float] | None
    now: float
    as_of: str
    days: tuple[DecayLine, ...]
    stretches: tuple[DecayLine, ...]


class GainTerm(msgspec.Struct, frozen=True):
    """One metric in a gain: it adds `weight` · (`metric` − `centre`)."""

    name: str
    weight: float
    metric: float
    centre: float
    adds: float


class GainLine(msgspec.Struct, frozen=True, kw_only=True):
    """One regime's effect on the override: `gain` (1: none), and the weights behind it.  Without
    `active` the weights are not used."""

    regime: str
    gain: float
    active: bool
    p_value: float
    n_cells: int
    n_trades: int
    offset: float
    terms: tuple[GainTerm, ...]


class MemberLine(msgspec.Struct, frozen=True, kw_only=True):
    """A lesson of the same latent factor; `covered`: this override covers its trades."""

    lesson_id: str
    pattern_key: str
    action_category: str
    scope: dict[str, str]
    n: int
    representative: bool
    covered: bool


class FactorLines(msgspec.Struct, frozen=True):
    """The latent factor that the override belongs to."""

    factor_id: str
    cohesion: float
    members: tuple[MemberLine, ...]


class ChangeLine(msgspec.Struct, frozen=True, kw_only=True):
    """One publication of the override; its content is null where it was retired."""

    published_at: str
    version: int
    retired: bool
    multiplier: float | None
    effect: float | None
    n_trades: int | None
    state: str | None
    expires_at: str | None


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    """The closed trades whose actions name the override in `applied_overrides`, and what they
    earned.

    `n` trades with `n_actions` such actions; `mean_uplift` is the mean outcome beyond the segments'
    baselines, with its 90 % interval `low` to `high` (null with fewer than two days).  `promised`
    is what the override predicted for them, `promised_by_all` what all overrides that their actions
    name predicted, each as of the action's time; `made` is the realised outcome relative to the
    group without its effects, with its 90 % interval.  `added` is the outcome that its sizing
    added: the sum of (its part of the size − 1) · uplift.  For `n_assumed` trades, no version of
    the override before the action is known; the earliest known one is used.
    """

    n: int
    n_actions: int
    n_assumed: int
    first_exit_ts: str
    last_exit_ts: str
    mean_outcome: float
    mean_uplift: float
    low: float | None
    high: float | None
    promised: float
    promised_by_all: float
    made: float
    made_low: float | None
    made_high: float | None
    mean_multiplier: float
    added: float


class OverrideDocument(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="override"):
    """Everything behind one override.

    `in_force` is false if it is retired, or expired at `at`; then `override` is the last that was
    published.  `slices` are the strongest of `n_slices` related ones.  `attribution` is null if no
    closed trade names it.  Parts that a learning method does not have are null or empty.
    """

    override_id: str
    at: str
    outcome: str
    in_force: bool
    override: Override
    reason: str
    aliases: tuple[dict[str, str], ...]
    metrics: Metrics | None
    evidence: EvidenceLines
    slices: tuple[SliceLine, ...]
    n_slices: int
    search: SearchLines | None
    weighing: WeighingLines | None
    decay: DecayLines
    gains: tuple[GainLine, ...]
    factor: FactorLines | None
    history: tuple[ChangeLine, ...]
    attribution: Attribution | None
    notes: tuple[str, ...]


class IgnoredKey(msgspec.Struct, frozen=True):
    """A key of the given scope that does not count, with the reason."""

    name: str
    value: str
    why: str


class ContributionLine(msgspec.Struct, frozen=True, kw_only=True):
    """An override whose scope the context has.  `state` is matched, expired or aside (classic
    beside integrated).  `contribution` = `effect` · `gain` · `fade` (classic: its weighted share);
    0 where it does not count."""

    override_id: str
    state: str
    scope: dict[str, str]
    multiplier: float
    effect: float
    gain: float
    gain_regime: str | None
    fade: float
    contribution: float
    n_trades: int
    expires_at: str | None


class DifferenceLine(msgspec.Struct, frozen=True):
    """A dimension in which a context differs from an override's scope; `given` is null where the
    context has no value."""

    dimension: str
    wanted: str
    given: str | None


class NearLine(msgspec.Struct, frozen=True):
    """An override of the group that does not match, and the dimensions that differ."""

    override_id: str
    scope: dict[str, str]
    multiplier: float
    differs: tuple[DifferenceLine, ...]


class LessonLine(msgspec.Struct, frozen=True, kw_only=True):
    """A slice of the group that the context is in, and its verdict."""

    lesson_id: str
    scope: dict[str, str]
    n: int
    mean: float
    statistic: float | None
    edge: float | None
    decision: str
    reason: str


class ValueLine(msgspec.Struct, frozen=True):
    """Trades in the group's window that have one value of the context."""

    dimension: str
    value: str
    n: int


class ContextDocument(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="context"):
    """Why a context resolves to what it does.

    `pattern_key` is canonical, null where `asked` has no such form.  `scope` is the part of the
    given scope that counts.  `n_group` trades are in the group's window (null: there is no such
    group); `n_context` of them match the whole scope.
    """

    asked: str
    pattern_key: str | None
    action_category: str
    module: str
    at: str
    scope: dict[str, str]
    ignored: tuple[IgnoredKey, ...]
    multiplier: float
    reason: str
    detail: str
    matches: tuple[ContributionLine, ...]
    near: tuple[NearLine, ...]
    lessons: tuple[LessonLine, ...]
    n_group: int | None
    n_context: int
    n_min: int
    values: tuple[ValueLine, ...]
    similar: tuple[str, ...]
    because: tuple[str, ...]
    notes: tuple[str, ...]
