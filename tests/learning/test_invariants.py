"""The invariants of learning, each through the whole core of `integrated`, and read by the position
manager's functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.learning.common import baselines
from app.learning.common.config import LearningConfig
from app.learning.common.trade import Trade
from app.learning.engine import Engine
from app.learning.integrated import chosen_and_shared, learner_weight, prior_share, whole_groups
from app.learning.integrated.candidates import SHARED_DIMS
from app.learning.integrated.judge import IntegratedJudge
from app.learning.integrated.shared_effects import least_shared
from app.learning.integrated.sketches import encode, trade_hash
from edgeloop.identity import slice_id
from edgeloop.lookup import GroupIndex
from edgeloop.overrides import Override
from edgeloop.prepared import prepare, unix_seconds
from edgeloop.resolution import Resolution, combine, resolve
from schemas.lessons import GroupSummary, Lesson
from tests.learning import reference
from tests.learning.making import DAY_US, GROUPS, everything, learned, market, trade, trades

GROUP = GROUPS[0]
CONTEXTS = [
    {"d0": a, "d1": b, "d2": c, "btc_macro": m}
    for a in "012"
    for b in "012"
    for c in "012"
    for m in ("S0", "S1")
]

worlds = st.builds(
    lambda seed, n, edge, n_actions, per_day: market(
        seed, n, edge=edge, n_actions=n_actions, per_day=per_day
    ),
    st.integers(0, 10**6),
    st.integers(20, 160),
    st.sampled_from([0.0, 1.0, -3.0]),
    st.integers(1, 3),
    st.sampled_from([1.0, 5.0]),
)


def newest(engine: Engine) -> datetime:
    return max(datetime.fromisoformat(s.as_of) for s in engine.summaries())


def told(
    engine: Engine,
    context: Mapping[str, object],
    hours_later: float = 0.0,
    group: tuple[str, str] = GROUP,
) -> Resolution:
    return resolve(
        engine.overrides(), *group, context, newest(engine) + timedelta(hours=hours_later)
    )


def uplift(
    engine: Engine, context: Mapping[str, object] | None = None, hours_later: float = 0.0
) -> float:
    """The sum of the effects, before the clamp and without the rounding grid."""
    return math.fsum(told(engine, context or {}, hours_later).contributions)


# -- counting


@settings(max_examples=60)
@given(
    st.lists(trades(), min_size=1, max_size=30), st.integers(1, 4), st.sampled_from([0, 1, 2, 4])
)
def test_lessons_match_a_plain_count(records: list[Trade], n_min: int, max_dims: int) -> None:
    """I1, I3, I5, I6: n counts each trade once, in all slices that one of its actions has; missing
    values form no slice; and a child's trades are among its parent's.  Compared with a plain count,
    aliases included."""
    engine = learned({GROUP: records}, n_min=n_min, max_dims=max_dims, lessons_per_group=10**6)
    counting = reference.counting_trades(records, LearningConfig().window_us, 10**6)
    judged = {
        scope: len(members)
        for scope, members in reference.slices(counting, n_min, max_dims).items()
    }
    least, two = least_shared(n_min), min(max_dims or SHARED_DIMS, SHARED_DIMS)
    expected = judged | {
        scope: len(members)
        for scope, members in reference.slices(counting, least, two).items()
        if scope
    }
    found: dict[frozenset[tuple[str, str]], int] = {}
    for lesson in engine.lessons():
        assert lesson.marginal is not None
        for scope in (lesson.scope, *lesson.marginal.aliases):
            assert frozenset(scope.items()) not in found
            found[frozenset(scope.items())] = lesson.n
    assert found.items() <= {**expected, frozenset(): len(counting)}.items()
    capped = any(
        lesson.marginal is not None and len(lesson.marginal.aliases) == 16
        for lesson in engine.lessons()
    )
    assert capped or judged.keys() <= found.keys()
    assert all(
        found[parent] >= n for scope, n in found.items() for parent in found if parent < scope
    )


@settings(max_examples=25)
@given(worlds, st.integers(2, 6), st.integers(0, 10**6))
def test_more_actions_of_a_trade_add_no_evidence(log: list[Trade], times: int, seed: int) -> None:
    """I1: actions repeated in the same scope change nothing at all."""
    often = [
        r._replace(scopes=r.scopes * (times if (i + seed) % 3 else 1)) for i, r in enumerate(log)
    ]
    assert everything(learned({GROUP: log})) == everything(learned({GROUP: often}))


def test_ids_ignore_key_order_and_type() -> None:
    """I7, I8: one key and one id for all forms of a pattern key and a scope."""
    log = market(1, 120)
    lesson = next(x for x in learned({GROUP: log}).lessons() if len(x.scope) == 2)
    turned = dict(reversed([(k, int(v) if v.isdigit() else v) for k, v in lesson.scope.items()]))
    for key in ("pm.a.b", "a.b", "module=pm|pattern_key=a.b"):
        assert slice_id("pm", key, "add", turned) == lesson.lesson_id


# -- eligible, then gone


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from([2.0, -2.0]), st.sampled_from([2.0, 8.0]))
def test_an_override_has_a_lesson_that_is_chosen_shared_or_the_group(
    seed: int, edge: float, per_day: float
) -> None:
    """I10, I19: an override exists only while its lesson does, and while the lesson is chosen or
    shared and has at least n_min trades, or the part of n_min that sharing needs."""
    log = market(seed, 120, edge=edge, per_day=per_day)
    engine = Engine(LearningConfig(n_min=10, window_us=30 * DAY_US))
    for start in range(0, 120, 40):
        engine.fold({GROUP: log[start : start + 40]})
        engine.learn()
        lessons = {x.lesson_id: x for x in engine.lessons()}
        for o in engine.overrides():
            lesson = lessons[o.override_id]
            assert lesson.n >= (10 if o.part == "selected" else least_shared(10))
            assert lesson.marginal is not None
            assert not lesson.scope or (
                lesson.marginal.step is not None
                if o.part == "selected"
                else bool(lesson.marginal.shared)
            )
            assert (o.evidence, o.n_trades) == (lesson.evidence, lesson.n)
    fewer = learned({GROUP: log[:120]}, n_min=400)
    assert {x.n for x in fewer.lessons()} == {120}


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from([24.0, 100.0, 1e9]), st.sampled_from([2.5, -2.5]))
def test_without_trades_overrides_move_to_neutral_and_expire(
    seed: int, half_life: float, edge: float
) -> None:
    """I10, I17: the reader's clock takes each contribution monotonically to 0 without changing its
    sign; after 60 days it is within 1 %."""
    rng = np.random.default_rng(seed)
    log = [
        trade(
            f"t{i:03d}",
            i * DAY_US // 5,
            float(rng.normal(edge * 2.0 ** (-i * 4.8 / half_life) * (i % 3 == 0))),
            {"d0": str(i % 3)},
        )
        for i in range(150)
    ]
    engine = learned({GROUP: log})
    before: dict[str, float] = {}
    for hours in (0.0, 1.0, 24.0, 200.0, 24.0 * 29, 24.0 * 31, 24.0 * 60):
        found = told(engine, {"d0": "0"}, hours)
        now = dict(zip(found.ids, found.contributions, strict=True))
        assert not before or now.keys() <= before.keys()
        assert all(0 <= c / before[i] <= 1 for i, c in now.items() if before and before[i])
        before = now or {"": 0.0}
    assert told(engine, {"d0": "0"}, 24.0 * 60).multiplier == pytest.approx(1.0, abs=0.01)


# -- bounds


@settings(max_examples=40)
@given(
    st.lists(trades(max_ids=60, max_exit=5000), min_size=1, max_size=80),
    st.sampled_from([1.0, 1e6, 1e15, -1e15]),
    st.sampled_from(["rr", "pnl"]),
    st.integers(1, 6),
)
def test_multipliers_stay_within_bounds(
    records: list[Trade], scale: float, outcome: str, n_min: int
) -> None:
    """I11: whatever the outcomes, every number is finite, every multiplier within [0.3, 3.0], and
    the reader gets one, never an error."""
    log = [r._replace(outcome=r.outcome / 33 * scale) for r in records]
    engine = learned({GROUP: log}, n_min=n_min, outcome=outcome)
    sound(engine)
    for context in ({"a": "x", "b": "y"}, {"a": "x", "b": "x", "c": "x", "d": "z"}, {}):
        found = told(engine, context)
        assert found.reason in ("matched", "no_match")
        assert 0.3 <= found.multiplier <= 3.0


def sound(engine: Engine) -> None:
    """All published numbers are finite, and the reader accepts every override."""
    finite(everything(engine))
    for o in engine.overrides():
        prepare(o)
        assert 0.3 <= o.multiplier <= 3.0
        assert o.multiplier != 1.0
        assert (o.multiplier > 1) == (o.effect > 0)
    for verdict in engine.verdicts():
        assert 0.3 <= verdict.multiplier <= 3.0
        assert verdict.reason


def finite(value: Any) -> None:
    if isinstance(value, dict):
        for part in value.values():
            finite(part)
    elif isinstance(value, list):
        for part in value:
            finite(part)
    elif isinstance(value, float):
        assert math.isfinite(value)


@settings(max_examples=15)
@given(worlds, st.sampled_from(CONTEXTS), st.floats(0, 3000))
def test_both_readers_agree(log: list[Trade], context: dict[str, str], hours: float) -> None:
    """The index of a book gives the same answer from the core's overrides as the plain function."""
    engine = learned({GROUP: log})
    at = newest(engine) + timedelta(hours=hours)
    together = GroupIndex(prepare(o) for o in engine.overrides()).match(context)
    matched = () if together is None else together.overrides
    plain = resolve(engine.overrides(), *GROUP, context, at)
    if matched:
        found = combine(matched, context, unix_seconds(at))
        assert found.multiplier == pytest.approx(plain.multiplier, abs=1e-12)
    else:
        assert plain.reason == "no_match"


# -- continuity


@contextmanager
def without_grids() -> Iterator[None]:
    """For speed, quantities that groups share are rounded to steps (listed in
    docs/architecture.md); passing one moves all edges of a module by up to 2 %, and the smallest
    shared effects are left out.  Continuity is guaranteed apart from
    rounding; here the steps are too small to matter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prior_share, "SHARE_STEPS", 2**24)
        patch.setattr(learner_weight, "STEPS", 10**8)
        patch.setattr(whole_groups, "TAU_STEPS", 2**24)
        patch.setattr(chosen_and_shared, "LEAST_SIZE", 0.5e-6)
        patch.setattr(baselines, "on_error_grid", lambda mean, variance, _: (mean, variance))
        yield


Look = tuple[dict[str, float], tuple[str, ...]]


def with_outcome(log: list[Trade], place: int, outcome: float, **config: Any) -> Look:
    """The edges, unrounded, by lesson, and what was chosen, if one trade had this outcome."""
    engine = learned(
        {GROUP: [r._replace(outcome=outcome) if i == place else r for i, r in enumerate(log)]},
        **config,
    )
    [summary] = engine.summaries()
    assert summary.path is not None
    return {v.lesson_id: v.edge for v in engine.verdicts() if v.edge}, tuple(
        summary.path.lesson_ids
    )


def distance(one: Look, other: Look) -> float:
    return sum(
        abs(one[0].get(i, 0.0) - other[0].get(i, 0.0)) for i in one[0].keys() | other[0].keys()
    )


def steepest(
    look: Callable[[float], Look], low: float, high: float, halvings: int
) -> tuple[Look, Look, float]:
    """Both sides of the steepest place, found by repeatedly halving the interval in which the edges
    differ more."""
    ys = np.linspace(low, high, 5).tolist()
    looks = [look(y) for y in ys]
    k = int(np.argmax([distance(a, b) for a, b in pairwise(looks)]))
    (low, high), (one, other) = ys[k : k + 2], looks[k : k + 2]
    for _ in range(halvings):
        middle = (low + high) / 2
        between = look(middle)
        if distance(one, between) >= distance(between, other):
            high, other = middle, between
        else:
            low, one = middle, between
    return one, other, high - low


@settings(max_examples=8)
@given(st.integers(0, 10**6), st.sampled_from([0.8, 1.2, 2.0]), st.booleans(), st.booleans())
def test_edges_are_continuous_in_the_outcomes(
    seed: int, edge: float, half_life: bool, shared: bool
) -> None:
    """I13: no edge jumps as one trade's outcome moves, through the bar of the module and through
    the clip.

    Guaranteed: while the search chooses the same slices in the same order, edges are Lipschitz in
    the outcome, however many of them pass in the module.  Not guaranteed: when two slices that
    explain the outcomes equally well, such as a slice and the rest, swap places, the edges move
    from one explanation of the same trades to the other.  The same holds for swaps at a past time
    in the record, which weights learners that are neither on nor off.
    """
    log = market(seed, 90, edge=edge, n_dims=2, per_day=3, macros=0)
    place = next(i for i, r in enumerate(log) if r.scopes[0].get("d0") == "0")
    with without_grids():
        one, other, step = steepest(
            lambda y: with_outcome(log, place, y, half_life=half_life, shared_effects=shared),
            -6.0,
            6.0,
            10,
        )
    if one[1] == other[1]:
        assert distance(one, other) <= 10.0 * step


def test_a_step_of_a_grid_moves_edges_by_little() -> None:
    """I13: where the persistent share of the module passes a point of its grid, all shared effects
    move together, by at most one step of the share."""
    log = market(5439, 90, edge=2.0, n_dims=2, per_day=3, macros=0)
    place = next(i for i, r in enumerate(log) if r.scopes[0].get("d0") == "0")
    one, other, step = steepest(
        lambda y: with_outcome(log, place, y, half_life=False, shared_effects=True), -6.0, 6.0, 16
    )
    assert one[1] == other[1]
    assert distance(one, other) > 100.0 * step
    by = 2.0 ** (1 / prior_share.SHARE_STEPS) - 1.0
    assert distance(one, other) <= 1.1 * by * sum(map(abs, one[0].values()))


def test_an_effect_enters_at_zero() -> None:
    """I13: at the threshold of the group's search; a slice that is only just chosen has no effect
    yet."""
    log = market(0, 90, edge=1.2, n_dims=2, per_day=3, macros=0)
    place = next(i for i, r in enumerate(log) if r.scopes[0].get("d0") == "0")
    one, other, step = steepest(
        lambda y: with_outcome(log, place, y, half_life=False, shared_effects=False), -6.0, 6.0, 12
    )
    assert {len(one[1]), len(other[1])} <= {0, 1}
    assert distance(one, other) <= 10.0 * step


@pytest.mark.parametrize("seed", range(3))
def test_an_effect_grows_from_zero(seed: int) -> None:
    """I13: as a slice's outcomes rise, its edge is phased in over half a standard error, in small
    steps, up to its full size."""
    log = market(seed, 150, edge=0.0, n_dims=1, n_values=4, per_day=3, macros=0)
    mine = slice_id("pm", *GROUP, {"d0": "0"})
    looks = []
    for by in np.arange(0.0, 1.6, 0.04):
        moved = [r._replace(outcome=r.outcome + by * (r.scopes[0].get("d0") == "0")) for r in log]
        looks.append(
            with_outcome(moved, 0, moved[0].outcome, half_life=False, shared_effects=False)
        )
    edges = [look[0].get(mine, 0.0) for look in looks]
    assert edges[0] == 0.0
    assert edges[-1] == pytest.approx(1.6, abs=0.6)
    alone = [
        b - a
        for (a, one), (b, other) in pairwise(zip(edges, looks, strict=True))
        if {*one[1], *other[1]} <= {mine}
    ]
    assert len(alone) > 10
    assert min(alone) > -0.01
    assert max(alone) < 0.35


# -- more evidence


def pattern(times: int, mean: float, sd: float) -> list[Trade]:
    """`times` × 40 trades, half of them in {x=1} with the given mean and the others with mean 0,
    all with the same noise of the given standard deviation.

    Mean, variance and the hypotheses do not depend on `times`.
    """
    noise = np.random.default_rng(9).normal(0, 1, 20)
    noise = (noise - noise.mean()) / noise.std() * sd
    log = []
    for i in range(times * 40):
        inside = i % 2
        log.append(
            trade(
                f"t{i:05d}",
                i * DAY_US // 8,
                float(noise[(i // 2) % 20] + mean * inside),
                {"x": str(inside)},
            )
        )
    return log


def chosen_edge(log: list[Trade], **config: Any) -> float:
    """The difference between {x=1} and {x=0}."""
    engine = learned({GROUP: log}, **config)
    return uplift(engine, {"x": "1"}) - uplift(engine, {"x": "0"})


@pytest.mark.parametrize("half_life", [False, True])
@pytest.mark.parametrize("mean", [0.3, -0.3, 0.6, -0.6, 1.0])
def test_more_trades_never_weaken_more_variance_never_strengthens(
    mean: float, half_life: bool
) -> None:
    """I14, for chosen effects at the same number of hypotheses; with the half-life, up to two
    thirds of a step of the multiplier, which its filters cause."""
    slack = 0.02 if half_life else 1e-9
    config = {"half_life": half_life, "shared_effects": False}
    by_n = [
        chosen_edge(pattern(times, mean, 1.0), **config) / mean for times in (1, 2, 3, 4, 6, 10, 15)
    ]
    assert all(b >= a - slack for a, b in pairwise(by_n))
    assert by_n[-1] > 0.9
    by_sd = [
        chosen_edge(pattern(6, mean, sd), **config) / mean
        for sd in (0.1, 0.5, 0.8, 1.0, 1.3, 1.8, 2.5, 5.0)
    ]
    assert all(b <= a + slack for a, b in pairwise(by_sd))
    assert by_sd[0] > 0.9
    assert abs(by_sd[-1]) < 0.2


@pytest.mark.parametrize("mean", [0.3, -0.3, 0.6, -0.6, 1.0])
def test_more_trades_strengthen_what_is_shared(mean: float) -> None:
    """I14, for the weighted mean of both predictors, once there are enough blocks to estimate what
    persists: up to a twentieth of the edge."""
    by_n = [chosen_edge(pattern(times, mean, 1.0)) / mean for times in (6, 10, 15)]
    assert all(b >= a - 0.05 for a, b in pairwise(by_n))
    assert 0.7 < by_n[-1] < 1.1


# -- clones


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.sampled_from([1, 3, 10]), st.sampled_from(["a", "z"]))
def test_clones_change_nothing(seed: int, clones: int, prefix: str) -> None:
    """I15, I16: dimensions that repeat another, exact clones and children equal to their parents,
    leave every answer unchanged, to the last bit, whatever their names."""
    log = market(seed, 150, edge=2.0)
    cloned = [
        r._replace(
            scopes=tuple(
                {**s, **{f"{prefix}{k}": s["d0"] for k in range(clones)}} for s in r.scopes
            )
        )
        for r in log
    ]
    # All dimensions of the original plus one for the clones: the same slices can be found.
    plain, more = (
        learned({GROUP: records}, max_dims=3, lessons_per_group=1000) for records in (log, cloned)
    )
    assert [s.path.hypotheses for s in plain.summaries() if s.path] == [
        s.path.hypotheses for s in more.summaries() if s.path
    ]
    for context in CONTEXTS:
        wider = {**context, **{f"{prefix}{k}": context["d0"] for k in range(clones)}}
        assert told(plain, context).multiplier == told(more, wider).multiplier


def test_a_parent_of_an_edge_and_its_other_children_stay_neutral() -> None:
    """I16: effects are marginal, so a slice's edge counts once, however many slices contain it."""
    rng = np.random.default_rng(1)
    log = []
    for i in range(400):
        scope = {"x": str(i % 4), "y": str(rng.integers(3)), "z": str(rng.integers(3))}
        log.append(
            trade(f"t{i:03d}", i * DAY_US // 8, float(rng.normal(1.5 * (scope["x"] == "1"))), scope)
        )
    engine = learned({GROUP: log}, shared_effects=False)
    answers = {told(engine, {"x": "1", "y": y, "z": z}).multiplier for y in "012" for z in "012"}
    assert len(answers) == 1
    assert answers.pop() == pytest.approx(2.5, abs=0.4)
    assert {told(engine, {"x": x, "y": y}).multiplier for x in "023" for y in "012"} == {1.0}
    # Shared effects never repeat it: together with the chosen ones, they give about the same.
    engine = learned({GROUP: log})
    for y in "012":
        assert all(
            told(engine, {"x": "1", "y": y, "z": z}).multiplier == pytest.approx(2.5, abs=0.45)
            for z in "012"
        )
        assert all(
            told(engine, {"x": x, "y": y}).multiplier == pytest.approx(1.0, abs=0.15) for x in "023"
        )


# -- decay and sign


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.floats(0.05, 2.0), st.sampled_from([0.25, 0.5]))
def test_worse_recent_trades_never_soften_a_penalty(seed: int, worse: float, share: float) -> None:
    """I17: a losing slice whose recent trades are even worse does not get a larger size."""
    rng = np.random.default_rng(seed)
    log = [
        trade(
            f"t{i:03d}",
            i * DAY_US // 5,
            float(rng.normal(-1.5 * (i % 3 == 0))),
            {"x": "1" if i % 3 == 0 else str(2 + i % 2)},
        )
        for i in range(240)
    ]
    recent = (1 - share) * log[-1].exit_us
    after = [
        r._replace(outcome=r.outcome - worse * (r.scopes[0]["x"] == "1" and r.exit_us > recent))
        for r in log
    ]
    before, now = (learned({GROUP: records}) for records in (log, after))
    assert uplift(now, {"x": "1"}) <= uplift(before, {"x": "1"}) + 0.02
    assert told(now, {"x": "1"}).multiplier <= told(before, {"x": "1"}).multiplier + 0.02


# -- every learned quantity is read


def module() -> Engine:
    """Six groups with an edge, the last of which has the trades of the first, with a few of its
    own."""
    groups = {
        (f"pm.g.{i}", "add"): market(i, 200, edge=2.5, n_dims=2, per_day=5, name=f"t{i}.")
        for i in range(5)
    }
    twin = groups["pm.g.0", "add"][:185] + market(9, 15, n_dims=2, name="own", per_day=0.4)
    return learned({**groups, ("pm.g.0", "trim"): twin})


@pytest.fixture(scope="module")
def records() -> list[Lesson | GroupSummary]:
    engine = module()
    return [*engine.lessons(), *engine.summaries()]


def judged(records: Sequence[Lesson | GroupSummary], **config: Any) -> dict[str, Override]:
    judge = IntegratedJudge("pm", LearningConfig(n_min=10, **config))
    judge.fold(records)
    return {o.override_id: o for o in judge.judge(1).overrides.published}


Change = Callable[[Lesson | GroupSummary], Lesson | GroupSummary]


def other_regimes(r: Lesson | GroupSummary) -> Lesson | GroupSummary:
    """Edges exist in S0 and not in S1, so that regime weights can be learned."""
    if not isinstance(r, Lesson):
        return r

    def part(p: Any, predicted: float) -> Any:
        return msgspec.structs.replace(p, uplift=predicted * (2.0 if "S0" in p.regime else 0.0))

    cells = tuple(
        msgspec.structs.replace(c, regimes=tuple(part(p, c.predicted) for p in c.regimes))
        for c in r.history
    )
    return msgspec.structs.replace(r, history=cells if r.scope else r.history)


def shorter_half_life(r: Lesson | GroupSummary) -> Lesson | GroupSummary:
    """Perturb a lesson: a half-life of a day, and less of the edge now."""
    if not isinstance(r, Lesson) or r.marginal is None or r.marginal.step is None:
        return r
    decay = msgspec.structs.replace(
        r.decay, state="decaying", half_life_hours=24.0, interval=(12.0, 48.0)
    )
    return msgspec.structs.replace(
        r, decay=decay, marginal=msgspec.structs.replace(r.marginal, now=r.marginal.now / 2)
    )


def other_trades(r: Lesson | GroupSummary) -> Lesson | GroupSummary:
    """Perturb lessons: the trades of trims differ from those of adds."""
    if not isinstance(r, Lesson) or r.action_category != "trim":
        return r
    hashes = np.sort(np.array([trade_hash(f"{r.lesson_id}{i}") for i in range(r.n)], np.uint64))
    return msgspec.structs.replace(r, sketch=encode(hashes))


def other_baseline(r: Lesson | GroupSummary) -> Lesson | GroupSummary:
    """Perturb a summary: home trades earned 3 more."""
    if not isinstance(r, GroupSummary):
        return r
    raised = tuple(
        msgspec.structs.replace(s, sum=s.sum + 3 * s.n, sum_sq=s.sum_sq + 6 * s.sum + 9 * s.n)
        for s in r.segments
    )
    return msgspec.structs.replace(r, segments=raised)


def other_effects(r: Lesson | GroupSummary) -> Lesson | GroupSummary:
    """Perturb a lesson."""
    if not isinstance(r, Lesson) or r.marginal is None:
        return r
    return msgspec.structs.replace(
        r, marginal=msgspec.structs.replace(r.marginal, now=r.marginal.now / 2)
    )


@pytest.mark.parametrize(
    ("change", "switch"),
    [
        (other_regimes, "regime_weights"),
        (shorter_half_life, "half_life"),
        (other_trades, "latent_factors"),
    ],
)
def test_a_learner_is_read_unless_it_is_off(
    records: list[Lesson | GroupSummary], change: Change, switch: str
) -> None:
    """I18: a regime weight, a half-life, a factor.  Perturbed, overrides change; with its learner
    off they do not."""
    changed = [change(r) for r in records]
    assert changed != records
    assert judged(changed) != judged(records)
    off = {switch: False}
    assert judged(changed, **off) == judged(records, **off)
    assert judged(records, **off)


def test_a_regime_weight_is_a_gain(records: list[Lesson | GroupSummary]) -> None:
    """I18: the reader's answer changes in the regime and not outside it; there is no gain along a
    dimension of the slice's own scope."""
    found = judged([other_regimes(r) for r in records])
    gains = {
        o.regime_gains.get("btc_macro=S0") or o.regime_gains.get("btc_macro=S1")
        for o in found.values()
        if o.regime_gains
    }
    assert gains
    for o in found.values():
        assert not o.regime_gains or not (o.scope.keys() & {"btc_macro"})
        if not o.scope or not o.regime_gains:
            continue
        at = datetime.fromisoformat(o.as_of)
        plain = msgspec.structs.replace(o, regime_gains={})
        for macro in ("S0", "S1", "S9"):
            scope = {**o.scope, "btc_macro": macro}
            one, other = (
                resolve([x], o.pattern_key, o.action_category, scope, at) for x in (o, plain)
            )
            assert one.contributions[0] == pytest.approx(
                other.contributions[0] * o.regime_gains.get(f"btc_macro={macro}", 1.0)
            )


@pytest.mark.parametrize("change", [other_baseline, other_effects])
def test_baselines_and_lessons_are_read(
    records: list[Lesson | GroupSummary], change: Change
) -> None:
    """I18: a baseline and a lesson, which have no switch."""
    assert judged([change(r) for r in records]) != judged(records)


def test_the_order_of_outcomes_is_read_by_the_half_life_alone() -> None:
    """I18, from trades: an edge that came late is worth more now than an early one; without the
    learner, only the mean counts."""
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 0.4, 300)
    found: dict[bool, list[tuple[float, str]]] = {True: [], False: []}
    for late in (False, True):
        times = np.arange(300) if late else np.arange(300)[::-1]
        edge = 3.0 * np.exp2((times - 299) / 50) * (np.arange(300) % 3 == 0)
        log = [
            trade(
                f"t{i:03d}",
                i * DAY_US // 8,
                float(noise[i] + edge[i]),
                {"x": "1" if i % 3 == 0 else str(2 + i % 2)},
            )
            for i in range(300)
        ]
        for on in (True, False):
            engine = learned({GROUP: log}, half_life=on, shared_effects=False)
            states = {o.decay.state for o in engine.overrides() if o.scope == {"x": "1"}}
            found[on].append((uplift(engine, {"x": "1"}), *states))  # type: ignore[arg-type]
    early_on, late_on = (f[0] for f in found[True])
    assert late_on > 1.5
    assert early_on < 0.3
    early_off, late_off = (f[0] for f in found[False])
    assert early_off == pytest.approx(late_off, abs=0.15)
    assert {state for f in found[False] for state in f[1:]} <= {"stable"}


# -- noise


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.long
def test_worlds_without_edge_are_left_alone() -> None:
    """I20: at most 0.1 % of slices carry an override of their own, whatever the shape of the noise;
    shared effects are absent, too, or nearly zero."""
    slices = found = 0
    shared: list[float] = []
    shapes: list[Callable[[np.random.Generator, int], Any]] = [
        lambda rng, n: rng.normal(0, 1.2, n),
        lambda rng, n: rng.standard_t(3, n),
        lambda rng, n: rng.lognormal(0, 1, n) - 2.0,
        lambda rng, n: rng.normal(0, 1, n) * np.geomspace(0.5, 2.0, n),
        lambda rng, n: rng.normal(0, 1, n) + np.repeat(rng.normal(0, 0.5, n // 8 + 1), 8)[:n],
    ]
    for seed in range(40):
        rng = np.random.default_rng(seed)
        values = np.clip(shapes[seed % len(shapes)](rng, 400), -33, 33)
        log = [
            trade(
                f"t{i:03d}",
                i * DAY_US // 8,
                float(y),
                {f"d{k}": str(rng.integers(3 + k % 2)) for k in range(8)},
            )
            for i, y in enumerate(values)
        ]
        engine = learned({GROUP: log}, n_min=33)
        slices += sum(s.n_slices for s in engine.summaries())
        by_itself = [o for o in engine.overrides() if o.part == "selected"]
        found += len(by_itself)
        shared += [abs(o.effect) for o in engine.overrides() if o.part == "shared"]
        assert by_itself or not shared or max(shared) < 0.1
    assert slices > 5000
    assert found <= 0.001 * slices
    assert len(shared) <= 0.02 * slices
    assert sum(x * x for x in shared) <= 1e-4 * slices
    assert max(shared, default=0.0) < 0.1


# -- degenerate input


def degenerate() -> dict[str, list[Trade]]:
    rng = np.random.default_rng(0)

    def of(
        n: int,
        outcome: Callable[[int], float],
        scope: Callable[[int], dict[str, str]],
        day: float = 1.0,
    ) -> list[Trade]:
        return [
            trade(f"t{i:04d}", int(i * DAY_US * day), float(outcome(i)), scope(i)) for i in range(n)
        ]

    coin = lambda i: {"x": str(i % 2)}  # noqa: E731
    return {
        "one trade": of(1, lambda i: 1.0, coin),
        "two trades": of(2, lambda i: 1.0, coin),
        "all outcomes equal": of(200, lambda i: 0.1, coin),
        "all outcomes zero": of(200, lambda i: 0.0, coin),
        "all exits equal": of(200, lambda i: rng.normal(i % 2), coin, day=0.0),
        "all exits and outcomes equal": of(200, lambda i: 2.0, coin, day=0.0),
        "no dimensions": of(200, lambda i: rng.normal(1.0), lambda i: {}),
        "a slice that all trades have": of(
            200, lambda i: rng.normal(i % 2), lambda i: {"all": "1", **coin(i)}
        ),
        "nothing but clones": of(
            200, lambda i: rng.normal(i % 2), lambda i: {f"x{k}": str(i % 2) for k in range(8)}
        ),
        "no noise": of(200, lambda i: 2.0 * (i % 2), coin),
        "one outcome is not the same": of(200, lambda i: float(i == 77), coin),
        "huge": of(200, lambda i: 1e15 * rng.normal(i % 2), coin),
        "tiny": of(200, lambda i: 1e-300 * rng.normal(i % 2), coin),
        "from tiny to huge": of(
            200, lambda i: 10.0 ** rng.uniform(-15, 15) * rng.choice([-1, 1]), coin
        ),
        "at the limits": of(200, lambda i: 33.0 if i % 2 else -33.0, coin),
        "189 actions": [
            trade(
                f"t{i:02d}",
                i * DAY_US,
                float(rng.normal()),
                *({"k": str(k), "x": str(i % 2)} for k in range(189)),
                n_actions=189,
            )
            for i in range(40)
        ],
        "thousands of values": of(
            3000,
            lambda i: rng.normal(i % 2),
            lambda i: {"id": str(i), "pair": str(i // 2), **coin(i)},
            0.01,
        ),
        "a window of microseconds": [
            trade(f"t{i:03d}", i, float(rng.normal(i % 2)), coin(i)) for i in range(200)
        ],
        "forty years": of(200, lambda i: rng.normal(i % 2), coin, day=73.0),
    }


@pytest.mark.parametrize("outcome", ["rr", "pnl"])
@pytest.mark.parametrize("name", degenerate())
def test_degenerate_input(name: str, outcome: str) -> None:
    """I11: there is no exception and no NaN; data without noise beyond its level gets no
    override."""
    log = degenerate()[name]
    engine = learned({GROUP: log}, outcome=outcome, window_us=10**18)
    sound(engine)
    if name in (
        "one trade",
        "two trades",
        "all outcomes equal",
        "all outcomes zero",
        "all exits and outcomes equal",
        "no dimensions",
    ):
        assert engine.overrides() == []
    for context in ({}, {"x": "1"}, {"x": "0", "all": "1"}):
        found = resolve(engine.overrides(), *GROUP, context, datetime(2260, 1, 1, tzinfo=UTC))
        assert found.reason in ("matched", "no_match")
