"""Would it have helped?  Repeatedly learn up to a day, and size the decisions after it; `score.py`
says what that was worth.

May touch: nothing but its arguments.  No look-ahead: a decision is sized from trades closed by the
cut, and was taken after it.  Overrides are meant for the days after the newest trade, then expire:
a cut answers for those days only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.audit import decay, peers
from app.audit.duplicates import representatives
from app.audit.timeline import Timeline
from app.audit.trades import Decision, Group
from app.audit.variants import WEIGHED, always, published, variants
from app.learning.common.config import LearningConfig
from app.learning.common.size_unit import unit_of_size
from app.learning.common.trade import SegmentKey
from app.learning.engine import Engine
from app.learning.integrated.expiry import LIFETIME_US
from edgeloop.lookup import GroupIndex
from edgeloop.overrides import Override
from edgeloop.prepared import Prepared, prepare
from edgeloop.resolution import NO_MATCH, Resolution, combine
from edgeloop.scope import canonical_text
from schemas.lessons import Baseline

Floats = NDArray[np.float64]

SIZED = ("entry",)
"""Default categories of judged decisions.  An entry is decided before anything is known of its
trade, while adds and exits depend on how the trade has gone so far."""
HORIZON_US = LIFETIME_US
"""How long after a cut its overrides size decisions."""
PROBES = 400
"""Contexts resolved at every cut, to measure how their multipliers change."""
MODEL = "no regime weights"
"""The variant in which regimes are examined: its predictions do not use them."""


class Judgements(NamedTuple):
    """N decisions, what each variant sized them by, and what their trades made.

    `at_us` (N,) decision, `cut_us` (N,) the cut whose overrides answer; `uplift` (N,) outcome
    beyond the baseline known at the cut, in units of size; `regime` (N,) canonical text of the
    decision's regime; `multipliers`, `matched` by variant (N,): the answer, and how many overrides
    made it.  `blend` and `own` (N,) are two parts of the answer of the variant `MODEL`: the effects
    of slices learned over all regimes, and those of slices that name their regime.  For `classic`,
    `distinct` (N,) counts the pieces of evidence among the overrides that match, and `merged` (N,)
    is the multiplier if each piece had one vote.  `peers` and `always` hold multipliers (N,): by
    peer, and by the learner that is switched on regardless of its record.
    """

    at_us: NDArray[np.int64]
    cut_us: NDArray[np.int64]
    uplift: Floats
    regime: NDArray[np.str_]
    multipliers: dict[str, Floats]
    matched: dict[str, NDArray[np.int64]]
    blend: Floats
    own: Floats
    distinct: NDArray[np.int64]
    merged: Floats
    peers: dict[str, Floats]
    always: dict[str, Floats]


class Cut(NamedTuple):
    """All that is kept of one cut: the decisions after it, the answers to `PROBES` contexts at it
    by variant, and how well each form of decay predicted the trades after it."""

    cut_us: int
    judged: Judgements
    probes: dict[str, Floats]
    decay: decay.Densities


def cut_times(decisions: Sequence[Decision], n: int) -> list[int]:
    """At most `n` times in µs: the first after a third of the decisions, the others with equal
    numbers of decisions between them.

    `decisions` are sorted by time.
    """
    if not decisions:
        return []
    times = np.array([d.at_us for d in decisions])
    places = np.linspace(len(times) / 3, len(times), n, endpoint=False).astype(int)
    return sorted(set(times[places].tolist()))


class Reader:
    """The reader's own answers, from a set of overrides."""

    def __init__(self, overrides: Sequence[Override]) -> None:
        groups: dict[Group, list[Prepared]] = {}
        for override in overrides:
            groups.setdefault((override.pattern_key, override.action_category), []).append(
                prepare(override)
            )
        self._index = {group: GroupIndex(members) for group, members in groups.items()}

    def match(self, decision: Decision) -> Sequence[Prepared]:
        """The overrides that match, expired or not."""
        found = self._index.get(decision.group)
        together = found.match(decision.scope) if found is not None else None
        return () if together is None else together.overrides

    def answer(self, decision: Decision, at_us: int | None = None) -> Resolution:
        """The answer to `decision`, at its own time or as if it were taken at `at_us`."""
        matched = self.match(decision)
        return (
            combine(matched, decision.scope, (decision.at_us if at_us is None else at_us) / 1e6)
            if matched
            else NO_MATCH
        )


def judge_cut(
    name: str,
    timeline: Timeline,
    config: LearningConfig,
    cut_us: int,
    end_us: int,
    probes: Sequence[Decision] = (),
) -> Cut:
    """Learn from the trades of module `name` that had closed by `cut_us`, and size the decisions
    after it, up to `end_us`.

    All variants of `integrated` judge the same lessons, as they would in production.  Peers learn
    from the same trades.
    """
    configs, weighed = (
        variants(config),
        {f"{name} on": made for name, made in always(config).items()},
    )
    known = timeline.known(cut_us)
    integrated, classic = Engine(configs["integrated"], name), Engine(configs["classic"], name)
    integrated.fold(known)
    # The formulas of `classic` use nothing of other groups except the baseline.
    classic.fold({group: trades for group, trades in known.items() if group in timeline.home})
    overrides = published(integrated, classic, configs | weighed)
    readers = {variant: Reader(found) for variant, found in overrides.items()}
    asked = timeline.asked(cut_us, min(end_us, cut_us + HORIZON_US))
    answers = {variant: [reader.answer(d) for d in asked] for variant, reader in readers.items()}
    expected = baseline_of(integrated.baselines(), config.baseline_default)
    unit = unit_of_size(config.outcome, integrated.summaries())
    table = peers.lesson(known, asked, timeline.categories, expected, unit)
    multipliers = {
        variant: np.array([a.multiplier for a in found], np.float64)
        for variant, found in answers.items()
    }
    regimes = [
        canonical_text({k: d.scope[k] for k in config.regime_signature if k in d.scope})
        for d in asked
    ]
    wanted = {d.group for d in asked}
    lead = representatives(
        (o for o in overrides["classic"] if (o.pattern_key, o.action_category) in wanted),
        known,
        config.factor_jaccard,
    )
    distinct, merged = _merged(readers["classic"], lead, asked)
    blend, own = _by_regime(overrides[MODEL], config.regime_signature, answers[MODEL])
    judged = Judgements(
        np.array([d.at_us for d in asked], np.int64),
        np.full(len(asked), cut_us, np.int64),
        np.array([(d.outcome - expected(d.segment)) / unit for d in asked], np.float64),
        np.array(regimes, np.str_),
        {variant: multipliers[variant] for variant in configs},
        {
            variant: np.array([len(a.ids) for a in answers[variant]], np.int64)
            for variant in configs
        },
        blend,
        own,
        distinct,
        merged,
        peers.sized(table),
        {name: multipliers[f"{name} on"] for name in WEIGHED},
    )
    at_probes = {
        variant: np.array(
            [readers[variant].answer(d, cut_us).multiplier for d in probes], np.float64
        )
        for variant in configs
    }
    return Cut(cut_us, judged, at_probes, decay.densities(decay.effects(integrated, known, asked)))


def _merged(
    reader: Reader, lead: Mapping[str, str], asked: Sequence[Decision]
) -> tuple[NDArray[np.int64], Floats]:
    """For each decision, how many different pieces of evidence match, and the multiplier if each
    has one vote."""
    distinct, multipliers = np.zeros(len(asked), np.int64), np.ones(len(asked))
    for i, d in enumerate(asked):
        matched = reader.match(d)
        if matched:
            one_each = {
                lead[o.override_id]: o
                for o in sorted(matched, key=lambda o: o.override_id == lead[o.override_id])
            }
            distinct[i] = len(one_each)
            multipliers[i] = combine(
                [one_each[i] for i in sorted(one_each)], d.scope, d.at_us / 1e6
            ).multiplier
    return distinct, multipliers


def _by_regime(
    overrides: Sequence[Override], signature: Sequence[str], answers: Sequence[Resolution]
) -> tuple[Floats, Floats]:
    """Two parts of each answer: from slices that name no dimension of the signature, which gains
    could change, and from slices that do."""
    named = {
        o.override_id: any(name in o.scope for name in signature) for o in overrides if o.scope
    }
    blend, own = np.zeros(len(answers)), np.zeros(len(answers))
    for k, a in enumerate(answers):
        for i, contribution in zip(a.ids, a.contributions, strict=True):
            if i in named:
                (own if named[i] else blend)[k] += contribution
    return blend, own


def baseline_of(baselines: Sequence[Baseline], default: float) -> Callable[[SegmentKey], float]:
    """The expected outcome of a trade by its segment, regardless of its pattern."""
    means = {(b.bucket, b.timeframe): b.mean for b in baselines}

    def expected(segment: SegmentKey) -> float:
        bucket, timeframe = segment
        for key in ((bucket, timeframe), (bucket, None), (None, timeframe), (None, None)):
            if key in means:
                return means[key]
        return default

    return expected


def summary(cuts: Sequence[Cut]) -> Judgements:
    """Several cuts, of several modules, as one; decisions are sorted by time."""
    parts = [cut.judged for cut in cuts]
    names = list(variants(LearningConfig()))
    order = (
        np.argsort(np.concatenate([p.at_us for p in parts]), kind="stable")
        if parts
        else np.zeros(0, np.int64)
    )

    def joined(values: Sequence[NDArray[Any]], kind: type) -> NDArray[Any]:
        return np.concatenate(values)[order] if values else np.zeros(0, kind)

    return Judgements(
        joined([p.at_us for p in parts], np.int64),
        joined([p.cut_us for p in parts], np.int64),
        joined([p.uplift for p in parts], np.float64),
        joined([p.regime for p in parts], np.str_),
        {name: joined([p.multipliers[name] for p in parts], np.float64) for name in names},
        {name: joined([p.matched[name] for p in parts], np.int64) for name in names},
        joined([p.blend for p in parts], np.float64),
        joined([p.own for p in parts], np.float64),
        joined([p.distinct for p in parts], np.int64),
        joined([p.merged for p in parts], np.float64),
        {name: joined([p.peers[name] for p in parts], np.float64) for name in peers.PEERS},
        {name: joined([p.always[name] for p in parts], np.float64) for name in WEIGHED},
    )
