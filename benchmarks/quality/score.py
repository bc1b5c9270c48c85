"""Score one cut of one world: the core's answer at that time, compared with the truth after it.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import oracle
from benchmarks.quality.truth import DAY_US, REGIME, T0_US, Group, Planted, World
from edgeloop.lookup import GroupIndex
from edgeloop.overrides import Override
from edgeloop.prepared import prepare
from edgeloop.resolution import Resolution
from schemas.lessons import Lesson, LessonVerdict

SAME_JACCARD = 0.8
"""The Jaccard index from which a slice counts as a planted one."""
VOID_SHARE = 0.25
"""An override is void if the true effect is less than this share of the learned one."""
IDENTIFIED_SD = 0.35
"""A half-life is identified if its logarithm can be known with this standard deviation."""
ALIVE = 0.1
"""A planted slice whose effect at the cut is smaller than this does not count for power: ignoring
it is right."""
ALPHA = 0.05
N_MIN = 33
BAR_MARGIN = 0.05
TRACED = 1
"""The index of the world of each family whose decisions are kept for a picture."""
SAID = 0.005
"""The deviation from which an answer is not neutral: half a step of the grid of multipliers."""
MAX_FACTOR_LESSONS = 600
"""Maximum number of lessons whose pairs are compared (the first by id)."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """The core's answer at a cut."""

    overrides: Sequence[Override]
    lessons: Sequence[Lesson]
    verdicts: Sequence[LessonVerdict]
    m: int


@dataclass
class Cut:
    """A world at `day`: the windows, the decisions of the days after it, and the planted slices at
    that time.

    `window` (R,) marks rows of trades in their group's window; `decided` (D,) are the rows that are
    decisions, `uplift` (D,) their true uplift, and `blind` (D,) the best p without knowing regimes.
    """

    world: World
    day: float
    window: NDArray[np.bool_] = field(init=False)
    decided: NDArray[np.int64] = field(init=False)
    uplift: NDArray[np.float64] = field(init=False)
    blind: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        w = self.world
        exit_day = w.exit_day[w.row_trade]
        closed = exit_day <= self.day
        newest = np.array(
            [
                exit_day[closed & (w.row_group == g)].max(initial=-np.inf)
                for g in range(len(w.groups))
            ]
        )
        self.window = closed & (exit_day >= newest[w.row_group] - w.calendar.window_days)
        action_day = w.action_day[w.row_trade]
        self.decided = np.flatnonzero(
            (action_day > self.day) & (action_day <= self.day + w.calendar.after_days)
        )
        self.uplift = w.uplift()[self.decided]
        self.blind = oracle.regime_blind(w, w.trades_of(self.window))[self.decided]

    def members(self, group: Group, scope: Mapping[str, str]) -> NDArray[np.bool_]:
        """The trades of a slice in the window (T,)."""
        w = self.world
        return w.trades_of(w.has(scope) & w.rows_of(group) & self.window)

    def planted_slices(self) -> list[tuple[Planted, Group, NDArray[np.bool_]]]:
        """Every planted slice in each of its groups, with its trades."""
        return [(p, g, self.members(g, p.scope)) for p in self.world.planted for g in p.groups]


def resolutions(
    cut: Cut, overrides: Sequence[Override], rows: Sequence[int] | None = None
) -> list[Resolution]:
    """The reader's answer to every decision (or to those in `rows`, as if they were made at the
    cut)."""
    w = cut.world
    prepared: dict[Group, list[Any]] = {}
    for o in overrides:
        made = prepare(o)
        prepared.setdefault(made.group, []).append(made)
    indices = {group: GroupIndex(of_group) for group, of_group in prepared.items()}
    answers = []
    for row in cut.decided.tolist() if rows is None else rows:
        group = w.groups[w.row_group[row]]
        scope = w.scope(row)
        day = w.action_day[w.row_trade[row]] if rows is None else cut.day
        at_s = (T0_US + day * DAY_US) / 1e6
        matched = indices[group].match(scope) if group in indices else None
        answers.append(matched.at(scope, at_s) if matched else Resolution(1.0, "no_match"))
    return answers


def sums(p: NDArray[np.float64], u: NDArray[np.float64]) -> list[float]:
    """[n, Σp, Σu, Σp², Σpu, Σu²]: the sums that gain and calibration need.

    >>> sums(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    [2.0, 1.0, 1.0, 1.0, 0.5, 0.5]
    """
    return [float(len(p)), float(p.sum()), float(u.sum()), float(p @ p), float(p @ u), float(u @ u)]


def truth_record(cut: Cut) -> Record:
    """The sums of sizing by the truth, by the truth without regimes, by nothing, and, in worlds of
    many small effects, by a mixed model that knows their distribution."""
    record = {
        "oracle": sums(oracle.knowing(cut.uplift), cut.uplift),
        "blind": sums(cut.blind, cut.uplift),
        "zero": sums(np.zeros_like(cut.uplift), cut.uplift),
    }
    if cut.world.dense is not None:
        known = oracle.mixed_model(cut.world, cut.window, cut.decided, cut.day)
        record["mixed model"] = sums(oracle.knowing(known.mean), cut.uplift)
    return record


def selected(overrides: Sequence[Override]) -> list[Override]:
    """The overrides that were selected, each by itself, from all that was searched; the others are
    parts of a common estimate of many effects."""
    return [o for o in overrides if getattr(o, "part", "selected") == "selected"]


def score(cut: Cut, answer: Answer) -> Record:
    """All figures of one cut in one setting, as sums and lists that can be pooled.

    `n_overrides` and all counts of single overrides concern the `selected` ones; `sums` and `any`
    concern all answers.
    """
    w = cut.world
    answers = resolutions(cut, answer.overrides)
    p = np.array([a.multiplier - 1.0 for a in answers])
    live = [o for o in selected(answer.overrides) if o.multiplier != 1.0]
    anything = any(o.multiplier != 1.0 for o in answer.overrides) or bool((np.abs(p) >= SAID).any())
    record: Record = {
        "m": answer.m,
        "n_overrides": len(live),
        "any": anything,
        "sums": sums(p, cut.uplift),
    }
    record |= _slices(cut, answer, live, answers)
    record["half_lives"] = _half_lives(cut, answer)
    if w.planted and any(q.gains for q in w.planted):
        record["gains"] = _gains(cut, live)
    record["neutral_gains"] = _neutral_gains(w, live)
    record["factor_pairs"] = _factor_pairs(cut, answer)
    if w.index == TRACED and w.planted:
        record["trace"] = _trace(cut, p)
    return record


def _trace(cut: Cut, p: NDArray[np.float64]) -> list[list[float]]:
    """The [days, truth, estimate] of the decisions in planted slices, for a picture."""
    w = cut.world
    rows = cut.decided
    inside = np.any([w.row_effect(q)[rows] != 0.0 for q in w.planted], axis=0)
    days = w.action_day[w.row_trade[rows]]
    return [np.round(values[inside], 4).tolist() for values in (days, cut.uplift, p)]


def _jaccard(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    union = int((one | other).sum())
    return float((one & other).sum()) / union if union else 0.0


@dataclass(frozen=True)
class _Kept:
    """A planted slice of enough trades: its trades (T,), its effect in each row (R,), and its
    `parts` within one regime each (P, T)."""

    planted: Planted
    group: Group
    trades: NDArray[np.bool_]
    effect: NDArray[np.float64]
    parts: list[NDArray[np.bool_]]


def _kept(cut: Cut) -> list[_Kept]:
    w = cut.world
    kept = []
    for planted, group, trades in cut.planted_slices():
        if trades.sum() >= N_MIN:
            states = w.values[w.dims.index(REGIME)] if planted.gains else ()
            parts = [cut.members(group, {**planted.scope, REGIME: state}) for state in states]
            kept.append(_Kept(planted, group, trades, w.row_effect(planted), parts))
    return kept


def _slices(
    cut: Cut, answer: Answer, live: Sequence[Override], answers: Sequence[Resolution]
) -> Record:
    """False and void overrides, power, errors of effects."""
    w = cut.world
    kept = _kept(cut)
    rows = cut.decided
    if any(k.parts for k in kept):
        # The days after the cut may have only one regime, so the worth of a slice is its mean over
        # the regimes of the window.
        rows = np.flatnonzero(cut.window)
        answers = resolutions(cut, answer.overrides, rows.tolist())
    contributions: dict[str, list[tuple[int, float, float]]] = {o.override_id: [] for o in live}
    for row, a in zip(rows.tolist(), answers, strict=True):
        for override_id, contribution in zip(a.ids, a.contributions, strict=True):
            if override_id in contributions:
                contributions[override_id].append(
                    (row, contribution, a.multiplier - 1.0 - contribution)
                )
    uplift = w.uplift()
    found: set[int] = set()
    n_false = n_void = n_judged = 0
    effects: list[list[float]] = []
    for o in live:
        group = (o.pattern_key, o.action_category)
        trades = cut.members(group, o.scope)
        mine = [(i, k) for i, k in enumerate(kept) if k.group == group]
        jaccard, best = max(((_jaccard(trades, k.trades), i) for i, k in mine), default=(0.0, -1))
        is_found = jaccard >= SAME_JACCARD
        part_of = [
            i for i, k in mine if any(_jaccard(trades, part) >= SAME_JACCARD for part in k.parts)
        ]
        if is_found:
            true_now = _effect_at(cut, kept[best].planted)
            if np.sign(o.effect) == np.sign(true_now) or abs(true_now) < ALIVE:
                found.add(best)
            effects.append([true_now, o.effect])
        elif part_of:
            found.update(part_of)
        elif w.dense is None:  # else every slice has an effect, and none is false
            n_false += 1
        if contributions[o.override_id]:
            at, says, others = (
                np.array(x) for x in zip(*contributions[o.override_id], strict=True)
            )
            says_mean = float(says.mean()) if o.learning == "integrated" else o.multiplier - 1.0
            if is_found:
                true = float(kept[best].effect[at].mean())
            elif part_of and o.learning == "integrated":
                true = float((uplift[at] - others).mean())
            else:
                true = float(uplift[at].mean())
            n_judged += 1
            n_void += bool(says_mean * true <= 0.0 or abs(true) < VOID_SHARE * abs(says_mean))
    power = [
        int(i in found)
        for i, k in enumerate(kept)
        if abs(_effect_at(cut, k.planted)) >= ALIVE
        and _t_test_finds(cut, answer.m, k.group, k.trades)
    ]
    return {
        "n_false": n_false,
        "n_void": n_void,
        "n_judged": n_judged,
        "power": power,
        "effects": effects,
    }


def _t_test_finds(cut: Cut, m: int, group: Group, trades: NDArray[np.bool_]) -> bool:
    """Whether Welch's t-test at α/m, given the slice, distinguishes it from the rest of its group
    (of the module, if it is the whole group)."""
    w = cut.world
    rest = w.trades_of(w.rows_of(group) & cut.window) & ~trades
    others = rest if rest.sum() >= 2 else w.trades_of(cut.window) & ~trades
    return oracle.t_test_p(w.outcome[trades], w.outcome[others]) <= ALPHA / max(1, m)


def _effect_at(cut: Cut, planted: Planted) -> float:
    """The effect of a planted slice at the cut, averaged over the regimes in the window."""
    w = cut.world
    effect = planted.size * float(planted.profile(np.array([cut.day]))[0])
    if planted.gains:
        inside = w.row_inside(planted) & cut.window
        effect *= float(w.row_gain(planted)[inside].mean())
    return effect


def _half_lives(cut: Cut, answer: Answer) -> list[list[float | None]]:
    """[true, estimate, low, high, seen] for each identified half-life, in hours; None where none is
    claimed.

    `seen` is 1 if the t-test finds the slice when it is given (a short burst long ago is hidden in
    the window's mean).
    """
    w = cut.world
    found: list[list[float | None]] = []
    for planted, group, trades in cut.planted_slices():
        if planted.half_life_days is None:
            continue
        days = w.exit_day[trades]
        if trades.sum() < N_MIN or oracle.half_life_sd(planted, days, w.noise_sd) > IDENTIFIED_SD:
            continue
        best: tuple[float, Any] = (0.0, None)
        claims: list[Override | Lesson] = [*selected(answer.overrides), *answer.lessons]
        for record in claims:
            if (
                record.pattern_key,
                record.action_category,
            ) == group and record.decay.half_life_hours is not None:
                jaccard = _jaccard(trades, cut.members(group, record.scope))
                if jaccard >= SAME_JACCARD and jaccard > best[0]:
                    best = (jaccard, record.decay)
        true = 24.0 * planted.half_life_days
        decay = best[1]
        low, high = (None, None) if decay is None or decay.interval is None else decay.interval
        seen = float(_t_test_finds(cut, answer.m, group, trades))
        found.append([true, None if decay is None else decay.half_life_hours, low, high, seen])
    return found


def _gain_of(o: Override, state: str) -> float:
    return o.regime_gains.get(f"{REGIME}={state}", o.regime_gains.get("", 1.0))


def _gains(cut: Cut, live: Sequence[Override]) -> list[list[float]]:
    """[true gain relative to the mean over regimes, learned gain] for each found slice and market
    state."""
    w = cut.world
    pairs = []
    for planted, group, trades in cut.planted_slices():
        for o in live:
            if (o.pattern_key, o.action_category) != group or _jaccard(
                trades, cut.members(group, o.scope)
            ) < SAME_JACCARD:
                continue
            mean = float(w.row_gain(planted)[w.row_inside(planted) & cut.window].mean())
            pairs += [
                [planted.gains.get(s, 1.0) / mean, _gain_of(o, s)]
                for s in w.values[w.dims.index(REGIME)]
            ]
    return pairs


def _neutral_gains(w: World, live: Sequence[Override]) -> list[int]:
    """[pairs of override and market state whose gain is exactly 1, pairs]."""
    if REGIME not in w.dims:
        return [0, 0]
    states = w.values[w.dims.index(REGIME)]
    gains = [_gain_of(o, s) for o in live if REGIME not in o.scope for s in states]
    return [sum(g == 1.0 for g in gains), len(gains)]


def _factor_pairs(cut: Cut, answer: Answer) -> list[int]:
    """The numbers of pairs of lessons [both, only true, only learned, neither]: true pairs have the
    same evidence by their trades' Jaccard index, learned pairs are in the same factor.

    Pairs within 0.05 of the bar of 0.7 are left out.  Empty without factors.
    """
    factor_of = {v.lesson_id: v.latent_factor_id for v in answer.verdicts}
    factor_of |= {
        o.override_id: o.latent_factor_id
        for o in answer.overrides
        if o.latent_factor_id is not None
    }
    if not any(factor_of.values()):
        return []
    lessons = sorted(answer.lessons, key=lambda lesson: lesson.lesson_id)[:MAX_FACTOR_LESSONS]
    sets = np.array(
        [cut.members((x.pattern_key, x.action_category), x.scope) for x in lessons], np.float32
    )
    both = sets @ sets.T
    size = sets.sum(axis=1)
    jaccard = both / np.maximum(size[:, None] + size[None, :] - both, 1.0)
    names = [factor_of.get(x.lesson_id) or f"alone {x.lesson_id}" for x in lessons]
    _, cluster_of = np.unique(names, return_inverse=True)
    clustered = cluster_of[:, None] == cluster_of[None, :]
    counted = np.triu(np.abs(jaccard - 0.7) >= BAR_MARGIN, 1)
    true = jaccard >= 0.7
    return [
        int((counted & a & b).sum())
        for a, b in ((true, clustered), (true, ~clustered), (~true, clustered), (~true, ~clustered))
    ]


def clone_change(cut: Cut, answer: Answer, twin: Cut, twin_answer: Answer) -> float | None:
    """Mean relative change of the resolved effect that the clones cause, over the decisions in the
    planted slices; None without an effect."""
    inside = np.zeros(len(cut.decided), np.bool_)
    for planted in cut.world.planted:
        inside |= cut.world.has(planted.scope)[cut.decided]
    with_clones = np.array([a.multiplier - 1.0 for a in resolutions(cut, answer.overrides)])[inside]
    without = np.array([a.multiplier - 1.0 for a in resolutions(twin, twin_answer.overrides)])[
        inside
    ]
    size = float(np.abs(without).sum())
    return float(np.abs(with_clones - without).sum()) / size if size else None


def churn(before: Sequence[Override], after: Sequence[Override]) -> list[int]:
    """[changes of what is published, changes if it were not on a grid] between two learnings.

    A change is an override that is new, gone, or has another multiplier (off the grid: another
    effect).
    """
    old, new = {o.override_id: o for o in before}, {o.override_id: o for o in after}
    moved = len(old.keys() ^ new.keys())
    shared = old.keys() & new.keys()
    on_grid = sum(
        old[i].multiplier != new[i].multiplier or old[i].regime_gains != new[i].regime_gains
        for i in shared
    )
    return [moved + on_grid, moved + sum(old[i].effect != new[i].effect for i in shared)]
