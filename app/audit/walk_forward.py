"""Would it have helped?  Learn up to a day, size the decisions of the days after it, look at how their trades ended; and again.

May touch: nothing but its arguments.  No peeking: what sizes a decision was learned from trades that had closed by the cut, and the
decision was taken after it.  Overrides are meant for the days after the newest trade, then expire: a cut answers for those days only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from app.audit.trades import Decision, Group, Module
from app.audit.variants import told, variants
from app.learning.config import LearningConfig
from app.learning.engine import Engine
from app.learning.judge import LIFETIME_US
from app.learning.window import Trade
from app.runtime.index import GroupIndex
from app.runtime.resolve import Prepared, combine, prepare
from schemas.lessons import Baseline
from schemas.overrides import Override

SIZED = ("entry",)
"""Categories whose decisions count: an entry chooses a size knowing nothing, while what an add or an exit is called tells how the trade
went so far."""
HORIZON_US = LIFETIME_US
"""A cut answers for decisions so long after it."""


class Judged(NamedTuple):
    """What N decisions were sized by, variant by variant: `multipliers` name → (N,); `uplift` (N,) what their trades made beyond the
    baseline known at the cut; `cut_us` (N,) the cut that answers."""

    multipliers: dict[str, NDArray[np.float64]]
    uplift: NDArray[np.float64]
    cut_us: NDArray[np.int64]


class Score(NamedTuple):
    """What sizing by a variant was worth.

    `value` is the outcome that sizing added per decision, Σ (multiplier − 1) · uplift / N, with its 90 % interval `low` to `high`;
    `sized` is the share of decisions that were not left at 1, `spread` the multiplier's standard deviation.
    """

    value: float
    low: float
    high: float
    sized: float
    spread: float


def cut_times(decisions: Sequence[Decision], n: int) -> list[int]:
    """At most `n` times in µs, the first at a third of the decisions, the others so that as many decisions lie between any two.

    `decisions` by time.
    """
    if not decisions:
        return []
    times = np.array([d.at_us for d in decisions])
    places = np.linspace(len(times) / 3, len(times), n, endpoint=False).astype(int)
    return sorted(set(times[places].tolist()))


def resolver(overrides: Sequence[Override]) -> Callable[[Decision], float]:
    """The reader's own answer for a decision, from these overrides."""
    groups: dict[Group, list[Prepared]] = {}
    for override in overrides:
        groups.setdefault((override.pattern_key, override.action_category), []).append(prepare(override))
    index = {group: GroupIndex(members) for group, members in groups.items()}

    def answer(decision: Decision) -> float:
        found = index.get(decision.group)
        matched = found.match(decision.scope) if found is not None else []
        return combine(matched, decision.scope, decision.at_us / 1e6).multiplier if matched else 1.0

    return answer


def walk_forward(
    name: str, module: Module, config: LearningConfig, cuts: Sequence[int], progress: Callable[[], None] = lambda: None
) -> Judged:
    """Walk through the history of module `name`, learning at each of `cuts` (µs, ascending); `progress` is called after each.

    A cut answers for the decisions of SIZED categories up to the next cut, and for HORIZON_US at most.  All variants of `integrated` judge
    the same lessons, as they would in production.
    """
    decisions = module.decisions(SIZED)
    configs = variants(config)
    integrated, classic = Engine(configs["integrated"], name), Engine(configs["classic"], name)
    closed = {group: sorted(trades, key=lambda t: t.exit_us) for group, trades in module.trades.items()}
    done = dict.fromkeys(closed, 0)
    multipliers: dict[str, list[float]] = {variant: [] for variant in configs}
    uplift: list[float] = []
    answered: list[int] = []
    for cut, following in zip(cuts, [*cuts, 2**62][1:], strict=True):
        batch: dict[Group, list[Trade]] = {}
        for group, trades in closed.items():
            start = done[group]
            while done[group] < len(trades) and trades[done[group]].exit_us <= cut:
                done[group] += 1
            if done[group] > start:
                batch[group] = trades[start : done[group]]
        integrated.fold(batch)
        classic.fold(batch)
        answers = told(integrated, classic, configs)
        end = min(following, cut + HORIZON_US)
        asked = [d for d in decisions if cut < d.at_us <= end]
        for variant, overrides in answers.items():
            answer = resolver(overrides)
            multipliers[variant] += [answer(d) for d in asked]
        expected = baseline_of(integrated.baselines(), config.baseline_default)
        uplift += [d.outcome - expected(d) for d in asked]
        answered += [cut] * len(asked)
        progress()
    return Judged({v: np.array(m) for v, m in multipliers.items()}, np.array(uplift), np.array(answered, np.int64))


def baseline_of(baselines: Sequence[Baseline], default: float) -> Callable[[Decision], float]:
    """What a decision's trade was expected to make, by its segment, whatever its pattern."""
    means = {(b.bucket, b.timeframe): b.mean for b in baselines}

    def expected(decision: Decision) -> float:
        bucket, timeframe = decision.segment
        for key in ((bucket, timeframe), (bucket, None), (None, timeframe), (None, None)):
            if key in means:
                return means[key]
        return default

    return expected


def score(multiplier: NDArray[np.float64], judged: Judged) -> Score:
    """What these multipliers (N,) were worth."""
    p = multiplier - 1.0
    if not len(p):
        return Score(0.0, float("-inf"), float("inf"), 0.0, 0.0)
    gained = p * judged.uplift
    low, high = interval(gained, judged.cut_us)
    return Score(float(gained.mean()), low, high, float((p != 0).mean()), float(p.std()))


def interval(values: NDArray[np.float64], cut_us: NDArray[np.int64]) -> tuple[float, float]:
    """90 % interval of the mean of `values` (N,), endless with less than two cuts.

    What one cut answers for hangs together: the same overrides, the same weeks of market.  So it is the cuts that count as independent, and
    the standard error is that of their sums, with Student's t for so few of them (Liang & Zeger 1986; Cameron & Miller 2015).

    >>> [round(x, 3) for x in interval(np.array([1.0, 2.0, 3.0]), np.array([0, 1, 2]))]
    [0.314, 3.686]
    >>> interval(np.array([1.0, 2.0, 3.0]), np.array([0, 0, 0]))
    (-inf, inf)
    """
    _, cluster = np.unique(cut_us, return_inverse=True)
    n = int(cluster.max(initial=-1)) + 1
    if n < 2:
        return float("-inf"), float("inf")
    mean = float(values.mean())
    sums = np.bincount(cluster, weights=values - mean)
    se = float(np.sqrt(n / (n - 1) * (sums @ sums))) / len(values)
    reach = float(stdtrit(n - 1, 0.95)) * se
    return mean - reach, mean + reach


def compared(judged: Judged, one: str, other: str) -> Score:
    """What sizing by `one` was worth beyond sizing by `other`, decision by decision."""
    difference = judged.multipliers[one] - judged.multipliers[other]
    return score(1.0 + difference, judged)


def verdict(difference: Score) -> str:
    """yes, no, or not enough data: whether the 90 % interval of a difference leaves 0 out.

    >>> verdict(Score(0.1, 0.02, 0.2, 1.0, 0.1)), verdict(Score(0.1, -0.02, 0.2, 1.0, 0.1)), verdict(Score(0.0, 0.0, 0.0, 0.0, 0.0))
    ('yes', 'not enough data', 'no difference')
    """
    if difference.sized == 0.0:
        return "no difference"
    if difference.low > 0:
        return "yes"
    return "no" if difference.high < 0 else "not enough data"


def summary(judged: Mapping[str, Judged]) -> Judged:
    """Several modules as one."""
    parts = list(judged.values())
    names = parts[0].multipliers.keys() if parts else ()
    return Judged(
        {name: np.concatenate([part.multipliers[name] for part in parts]) for name in names},
        np.concatenate([part.uplift for part in parts]) if parts else np.zeros(0),
        np.concatenate([part.cut_us for part in parts]) if parts else np.zeros(0, np.int64),
    )
