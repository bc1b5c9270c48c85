"""The audit as a document: the output of `--json`, and the source of the page and the tables.

May touch: nothing.  docs/audit.md says what each key means.
"""

from __future__ import annotations

import msgspec

from app.audit.bootstrap import Estimate
from app.audit.regime_gains import RegimeGain
from app.audit.score import Score
from edgeloop.overrides import Override


class Refusal(msgspec.Struct, frozen=True):
    """Closes rejected for one reason, with the first of them."""

    reason: str
    count: int
    first: str


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """The audited data: `trades`, `decisions` of the categories, how many of them `judged` after
    `cuts`; times are RFC 3339.

    `outcome` is the configured one.  `unreadable`: records of the log that cannot be read, so that
    their trades are missing; `first_unreadable` names the first and the reason.
    """

    source: str
    modules: tuple[str, ...]
    categories: tuple[str, ...]
    trades: int
    decisions: int
    judged: int
    cuts: int
    from_ts: str
    to_ts: str
    window_days: float
    horizon_days: float
    outcome: str
    placebos: int
    seed: int
    refused: tuple[Refusal, ...]
    unreadable: int = 0
    first_unreadable: str = ""


class Placebo(msgspec.Struct, frozen=True, kw_only=True):
    """The number of `real` overrides now; `counts` after shuffling outcomes, their `mean`, and the
    mean as a `share` of the real number."""

    real: int
    counts: tuple[int, ...]
    mean: float
    share: float | None


class Overlap(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions that any override matches: how many overrides match on average (`matched`), and the
    share of decisions that several match."""

    decisions: int
    matched: float
    several: Estimate


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One variant, walked forward.

    `overrides` now; `slope` and `intercept` of the decisions' outcomes on (multiplier − 1);
    `turnover`: mean change of a context's multiplier per month; `beyond`: what sizing by
    `integrated` is worth beyond this one (null for itself); `changed`: overrides that differ from
    those of `integrated` now, `greatest` the largest difference of their multipliers.
    """

    name: str
    overrides: int
    score: Score
    slope: Estimate | None
    intercept: Estimate | None
    turnover: float | None
    overlap: Overlap
    placebo: Placebo | None
    beyond: Score | None
    changed: int
    greatest: float


class DoubleCounting(msgspec.Struct, frozen=True, kw_only=True):
    """The overrides of `classic` that match sized decisions: `repeated` is the share of these votes
    that repeat the evidence of another, `doubled` the share of decisions for which any does;
    `matched` and `distinct` are how many match on average, and how many pieces of evidence these
    are; `change` is the mean change of the multiplier if each piece of evidence has one vote,
    `worth` what that adds to the value."""

    decisions: int
    repeated: Estimate
    doubled: Estimate
    matched: float
    distinct: float
    change: Estimate
    worth: Estimate


class Decay(msgspec.Struct, frozen=True, kw_only=True):
    """How well the three forms, fitted to `effects`, predicted the `trades` after the cuts: log
    predictive density per trade, in nats.

    `skill`: the best form beyond no edge at all.  The others are differences.
    """

    trades: int
    effects: int
    skill: Estimate
    exponential_over_linear: Estimate
    exponential_over_constant: Estimate
    linear_over_constant: Estimate


class Regimes(msgspec.Struct, frozen=True, kw_only=True):
    """`seen`: decisions in two regimes or more; `gains` by regime, `overall`; `attainable` is what
    sizing would gain in value per decision if the regimes' gains were known."""

    seen: bool
    gains: tuple[RegimeGain, ...]
    overall: Estimate
    attainable: Estimate


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """`answer`: yes, no, or not enough data; `figure` is the number behind it and `name` its name;
    `material` is the value from which it matters; `why` and `switching` (what on or off does to the
    overrides) are sentences."""

    question: str
    answer: str
    name: str
    figure: Estimate
    material: float | None
    why: str
    switching: str


class Switch(msgspec.Struct, frozen=True, kw_only=True):
    """A setting: its current and its recommended value, with the reason.

    For a learner, also the value per decision that it adds over off when weighted by its record
    (`adds`), and what it would add to that if it were always on (`always`; null where no record is
    used).
    """

    variable: str
    now: str
    recommended: str
    reason: str
    adds: Estimate | None = None
    always: Estimate | None = None


class Weight(msgspec.Struct, frozen=True, kw_only=True):
    """The learners' current weights in a category of a module, from 0 to 1, by their past accuracy:
    `half_life`, `shared_effects`; and `opened`: the evidence that the module has any edge, by which
    shared effects are scaled."""

    module: str
    category: str
    half_life: float
    shared_effects: float
    opened: float


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """A simple tool, walked forward on the same trades: `beyond` is what sizing by `integrated`
    is worth beyond it, as in `Setting`."""

    name: str
    score: Score
    slope: Estimate | None
    beyond: Score


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """The value of sizing by a setting so far: the sum over the decisions of each cut and those
    before it, with its band."""

    name: str
    cuts: tuple[str, ...]
    total: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class Bin(msgspec.Struct, frozen=True, array_like=True):
    """Decisions of similar multipliers: mean of (multiplier − 1), their mean outcome, its standard
    error, and their number."""

    told: float
    made: float
    se: float
    n: int


class EffectCurve(msgspec.Struct, frozen=True, kw_only=True):
    """Trades of an override in stretches of time: `days` before now, mean uplift, its standard
    error; and the forms that were fitted, at `at_days` before now."""

    days: tuple[float, ...]
    uplift: tuple[float, ...]
    se: tuple[float, ...]
    at_days: tuple[float, ...]
    constant: tuple[float, ...]
    linear: tuple[float, ...]
    exponential: tuple[float, ...]


class AuditedOverride(msgspec.Struct, frozen=True, kw_only=True):
    """A current override of `integrated`: its reason, its evidence, and its edge over time."""

    override: Override
    reason: str
    members: tuple[str, ...]
    curve: EffectCurve | None


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """One way of sizing, `scale` times as far from neutral as learned: three estimates of its value
    per decision beyond neutral sizes; the number of `decisions` sized so, and their effective
    number under the weights (`effective`; `effective_neutral` for neutral sizes)."""

    name: str
    scale: float
    decisions: int
    effective: float
    effective_neutral: float
    ips: Estimate
    snips: Estimate
    dr: Estimate


class Exploration(msgspec.Struct, frozen=True, kw_only=True):
    """The number of decisions whose draw is logged, of those that `explored`, and of inconsistent
    ones that are left out (`unusable`); and the mean `share` that was meant to explore.
    `on_chosen_sizes` is the value of sizing as learned, estimated from outcomes at the learned
    sizes alone."""

    decisions: int
    explored: int
    unusable: int
    share: float
    on_chosen_sizes: Estimate
    policies: tuple[Policy, ...]


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """Everything; `exploration` is null where no decision logged a draw."""

    data: Data
    edge: bool
    headline: str
    questions: tuple[Question, ...]
    switches: tuple[Switch, ...]
    weights: tuple[Weight, ...]
    settings: tuple[Setting, ...]
    peers: tuple[Peer, ...]
    double_counting: DoubleCounting
    decay: Decay
    regimes: Regimes
    curves: tuple[Curve, ...]
    calibration: dict[str, tuple[Bin, ...]]
    overrides: tuple[AuditedOverride, ...]
    exploration: Exploration | None
    seconds: float
