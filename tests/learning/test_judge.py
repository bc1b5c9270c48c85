"""Judgement of a module by `integrated`: the bar, netting, merging, and which records are published
and retired."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.learning.common.baselines import segment_baselines
from app.learning.common.changes import Changes
from app.learning.common.config import LearningConfig
from app.learning.common.event_time import DAY_US
from app.learning.common.outbox import same
from app.learning.common.trade import Trade
from app.learning.engine import Engine
from app.learning.integrated.error_rate import entry_log_p, z_of_log_p
from app.learning.integrated.judge import IntegratedJudge
from edgeloop.identity import group_id
from edgeloop.overrides import Override
from schemas.kinds import JUDGED, KINDS, OVERRIDES
from schemas.lessons import Fit, GroupSummary, Lesson, LessonVerdict, SegmentSum
from tests.learning.making import GROUPS, learned, market, told, trade

Records = list[Lesson | GroupSummary]


def records(engine: Engine) -> Records:
    return [*engine.lessons(), *engine.summaries()]


def judge(published: Records, **settings: Any) -> IntegratedJudge:
    module = IntegratedJudge("pm", LearningConfig(n_min=10, **settings))
    module.fold(published)
    return module


def overrides(published: Records, **settings: Any) -> dict[str, Override]:
    return {o.override_id: o for o in judge(published, **settings).judge(1).overrides.published}


class Reader:
    """A reader of a judge's records that works like a table: it ignores records older than its
    own."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Any]] = {topic: {} for topic in JUDGED}

    def read(self, changes: Changes, version: int) -> Changes:
        for topic, difference in changes.by_topic():
            held, key_of = self.held[topic], KINDS[topic].key_of
            for record in difference.published:
                assert not same(record, held.get(key_of(record))), (
                    "what did not change is not published again"
                )
                assert record.version == version
                held[key_of(record)] = record
            for key in difference.retired:
                del held[key]
        return changes

    def content(self) -> Any:
        return [told(sorted(held.items())) for held in self.held.values()]


@cache
def stages() -> list[tuple[Records, list[str]]]:
    """The records of two groups, then three, as their trades arrive, the last time with a
    correction that ends one group's edge."""
    engine, found, before = Engine(LearningConfig(n_min=10)), [], set()
    first, second = (
        market(1, 160, segments=(("micro", "1h"), ("mega", "4h"))),
        market(2, 120, name="u"),
    )
    for groups in (
        {GROUPS[0]: first[:60], GROUPS[2]: second[:30]},
        {GROUPS[0]: first[60:110]},
        {GROUPS[1]: first, GROUPS[2]: second[30:]},
        {GROUPS[0]: first[110:]},
        {
            GROUPS[2]: [
                trade(r.trade_id, r.exit_us, 0.1 * (i % 3), {"x": "1"}, revision=1)
                for i, r in enumerate(second)
            ]
        },
    ):
        engine.fold(groups)
        engine.learn()
        now = records(engine)
        found.append((now, sorted(before - {r.lesson_id for r in now})))
        before = {r.lesson_id for r in now}
    return found


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from(["all", "one group", "backwards"])),
        min_size=1,
        max_size=6,
    ),
    st.lists(
        st.sampled_from(["judge", "urgent", "nothing", "restart", "forgot"]), min_size=6, max_size=6
    ),
    st.sampled_from([True, False]),
)
def test_any_order_of_arrival_and_judging_gives_the_same_end(
    steps: list[tuple[int, str]], actions: list[str], factors: bool
) -> None:
    """I2, I12: judged between arrivals, urgently or not, by one process or by its successor,
    readers end with the results of a new judge."""
    held: dict[str, Lesson | GroupSummary] = {}
    module, reader = judge([], latent_factors=factors), Reader()
    for version, ((stage, part), action) in enumerate(zip(steps, actions, strict=False), 1):
        new, _ = stages()[stage]
        if part == "one group":
            new = [r for r in new if r.pattern_key == "pm.a.b"]
        elif part == "backwards":
            new = new[::-1]
        # A learner retires records that no longer hold, whatever it published before.
        of = (
            {r.pattern_key for r in new}
            if part == "one group"
            else {r.pattern_key for r in held.values()}
        )
        gone = sorted(
            i
            for i, r in held.items()
            if r.pattern_key in of and i not in {r.lesson_id for r in new}
        )
        module.fold(new, gone)
        held.update((r.lesson_id, r) for r in new)
        for lesson_id in gone:
            held.pop(lesson_id, None)
        if action in ("judge", "urgent"):
            reader.read(module.judge(version, urgent_only=action == "urgent"), version)
        elif action in ("restart", "forgot"):
            module = judge(list(held.values()), latent_factors=factors)
            if action == "restart":
                module.adopt(r for kind in reader.held.values() for r in kind.values())
            else:
                reader = Reader()
    reader.read(module.judge(100), 100)
    assert len(module.judge(101)) == 0
    fresh = Reader()
    fresh.read(judge(list(held.values()), latent_factors=factors).judge(1), 1)
    assert reader.content() == fresh.content()


def test_a_decision_that_returns_has_the_version_it_returned_with() -> None:
    """Neutral, an override, neutral again: a table that ignores older versions must accept the
    third."""
    published, _ = stages()[3]
    module, reader = judge(published, shared_effects=False), Reader()
    found = reader.read(module.judge(1), 1).overrides
    assert found
    summaries = [r for r in published if isinstance(r, GroupSummary) and r.path is not None]
    unsure = [
        msgspec.structs.replace(
            s,
            path=msgspec.structs.replace(s.path, statistics=tuple(0.1 for _ in s.path.statistics)),
        )
        for s in summaries
        if s.path is not None
    ]
    for version in range(2, 9):
        module.fold(unsure if version % 2 == 0 else summaries)
        reader.read(module.judge(version), version)
    assert {o.version for o in reader.held[OVERRIDES].values()} <= set(range(1, 8))
    module.fold(unsure)
    module.judge(9)
    module.adopt([])
    assert {r.version for r in module.judge(10).verdicts.published} == {10}


def test_urgent_is_what_a_position_manager_notices() -> None:
    published, _ = stages()[3]
    module = judge(published)
    module.judge(1)
    shifted: Records = [
        msgspec.structs.replace(
            r, segments=tuple(msgspec.structs.replace(s, sum=s.sum + 1e-4) for s in r.segments)
        )
        for r in published
        if isinstance(r, GroupSummary)
    ]
    shifted += [
        msgspec.structs.replace(
            r, marginal=msgspec.structs.replace(r.marginal, now=r.marginal.now + 1e-6)
        )
        for r in published
        if isinstance(r, Lesson) and r.marginal is not None and r.marginal.step is not None
    ]
    module.fold(shifted)
    urgent = module.judge(2, urgent_only=True)
    assert len(urgent) == 0
    full = module.judge(3)
    assert full.baselines
    assert full.verdicts
    assert len(module.judge(4)) == 0


def test_a_judgement_comes_in_parts_of_different_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what urgent calls left: no part has more than some records, and none comes twice."""
    published, _ = stages()[3]
    later = [
        msgspec.structs.replace(r, marginal=msgspec.structs.replace(r.marginal, effect=9.0))
        for r in published
        if isinstance(r, Lesson) and r.marginal is not None and r.marginal.step is None
    ]
    whole, split = judge(published), judge(published)
    whole.judge(1), split.judge(1)
    whole.fold(later), split.fold(later)
    assert len(whole.judge(2, urgent_only=True)) == 0
    monkeypatch.setattr("app.learning.common.outbox.AT_A_TIME", 3)
    assert not any(len(part) for part in split.parts(2, urgent_only=True))
    parts = [part for part in split.parts(3) if part]
    assert len(parts) > 2
    assert max(len(part) for part in parts) == 3
    came = [record.lesson_id for part in parts for record in part.verdicts.published]
    assert sorted(came) == sorted(r.lesson_id for r in whole.judge(3).verdicts.published)
    assert len(split.judge(4)) == 0


def test_retired_lessons_take_their_overrides_with_them() -> None:
    """I10: tombstones for records of every kind that no longer hold; and none twice."""
    published, _ = stages()[3]
    module, reader = judge(published), Reader()
    reader.read(module.judge(1), 1)
    module.fold([], [r.lesson_id for r in published])
    changes = reader.read(module.judge(2, urgent_only=True), 2)
    assert changes.overrides.retired
    assert changes.baselines.retired
    assert changes.factors.retired
    assert not any(reader.held.values())
    assert len(module.judge(3)) == 0


def test_what_a_predecessor_published_too_much_is_retired() -> None:
    published, _ = stages()[3]
    first = judge(published).judge(1)
    empty = judge([])
    empty.adopt(
        [
            *first.verdicts.published,
            *first.overrides.published,
            *first.baselines.published,
            *first.factors.published,
            *first.regime_weights.published,
        ]
    )
    changes = empty.judge(2)
    assert (
        sorted(changes.overrides.retired)
        == sorted(o.override_id for o in first.overrides.published)
        != []
    )
    assert len(changes.verdicts.retired) == len(first.verdicts.published)
    assert len(empty.judge(3)) == 0


def test_every_lesson_has_a_verdict_with_a_reason() -> None:
    """I19: an override names its lesson's evidence, and a verdict names its override."""
    published, _ = stages()[3]
    changes = judge(published).judge(7)
    lessons = {r.lesson_id: r for r in published if isinstance(r, Lesson)}
    assert {v.lesson_id for v in changes.verdicts.published} == set(lessons)
    newest = {
        (r.pattern_key, r.action_category): r.as_of
        for r in published
        if isinstance(r, GroupSummary)
    }
    found = {o.override_id: o for o in changes.overrides.published}
    for verdict in changes.verdicts.published:
        assert verdict.reason
        judged = "neutral" if verdict.n >= 10 else "insufficient"
        assert verdict.decision == (
            "override"
            if verdict.lesson_id in found
            else "covered"
            if verdict.override_id
            else judged
        )
        assert (
            verdict.decision != "covered"
            or verdict.lesson_id in found[str(verdict.override_id)].covers
        )
    for override in found.values():
        lesson = lessons[override.override_id]
        assert (override.evidence, override.n_trades) == (lesson.evidence, lesson.n)
        assert (
            override.as_of == newest[override.pattern_key, override.action_category] >= lesson.as_of
        )
        assert override.scope == lesson.scope
        assert override.multiplier == pytest.approx(
            min(max(1 + override.effect, 0.3), 3.0), abs=0.005 + 1e-9
        )
        assert override.multiplier != 1.0
        assert 0.5 <= override.confidence <= 1.0


def test_a_group_is_judged_when_its_whole_path_has_arrived() -> None:
    """A summary that arrives before its lessons has no effect yet."""
    published, _ = stages()[3]
    full = overrides(published)
    chosen = next(iter(full))
    group = next(r for r in published if r.lesson_id == chosen)
    module = judge([r for r in published if r.lesson_id != chosen])
    early = module.judge(1)
    assert not [
        o
        for o in early.overrides.published
        if (o.pattern_key, o.action_category) == (group.pattern_key, group.action_category)
    ]
    module.fold([group])
    module.judge(2)
    module.adopt([])
    assert {o.override_id: told(o) for o in module.judge(3).overrides.published} == {
        i: told(o) for i, o in full.items()
    }


def test_another_modules_record_is_refused() -> None:
    with pytest.raises(ValueError, match="not of 'pm'"):
        judge([]).fold([msgspec.structs.replace(stages()[0][0][0], module="dm")])


# -- the bar


def test_the_error_rate_is_the_modules() -> None:
    """An effect that passes in its own group does not pass among a hundred groups that searched as
    well; its verdict says so."""
    engine = learned({GROUPS[0]: market(3, 120, edge=1.3, macros=0)})
    summary = next(s for s in engine.summaries() if s.path is not None and s.path.statistics)
    assert summary.path is not None
    weakest = summary.path.lesson_ids[-1]
    found = overrides(records(engine))
    assert weakest in found
    others: Records = [
        msgspec.structs.replace(
            summary,
            lesson_id=group_id("pm", f"pm.x.{i}", "add"),
            pattern_key=f"pm.x.{i}",
            segments=(),
            path=path,
            shared=None,
        )
        for i in range(2000)
        for path in [
            msgspec.structs.replace(
                summary.path,
                lesson_ids=(),
                statistics=(),
                fits=summary.path.fits[:1],
                hypotheses=10**7,
            )
        ]
    ]
    changes = judge([*records(engine), *others], shared_effects=False).judge(1)
    assert weakest not in {o.override_id for o in changes.overrides.published}
    verdict = next(v for v in changes.verdicts.published if v.lesson_id == weakest)
    assert (verdict.decision, verdict.multiplier, verdict.edge) == ("neutral", 1.0, 0.0)
    assert "not across all slices of the module" in verdict.reason


# -- netting


def test_what_segments_explain_is_not_an_edge() -> None:
    """A group that trades good segments is only as good as these: neither it nor the dimension that
    distinguishes them gets an override."""
    rng = np.random.default_rng(4)
    log: dict[tuple[str, str], list[Any]] = {GROUPS[0]: [], GROUPS[2]: []}
    for i in range(1200):
        group = GROUPS[0] if i % 2 else GROUPS[2]
        good = rng.random() < (0.8 if i % 2 else 0.2)
        scope = {
            "bucket": "mega" if good else "micro",
            "x": str(rng.integers(3)),
            "y": str(rng.integers(3)),
        }
        segment = (scope["bucket"], "1h")
        log[group].append(
            trade(
                f"t{i:04d}",
                i * 7_200_000_000,
                float(rng.normal(0.8 * good, 1.0)),
                scope,
                segment=segment,
            )
        )
    engine = learned(log)
    assert engine.overrides() == []
    by_segment = {b.bucket: b.mean for b in engine.baselines() if b.bucket and b.timeframe}
    assert by_segment["mega"] - by_segment["micro"] == pytest.approx(0.8, abs=0.15)
    chosen = {i for s in engine.summaries() if s.path for i in s.path.lesson_ids}
    assert chosen, "within its group the bucket tells"


@pytest.mark.parametrize("default", [0.0, -0.6])
def test_without_home_trades_the_constant_is_the_baseline(default: float) -> None:
    """A group whose trades have no home group is judged against the configured constant, not
    against 0."""
    rng = np.random.default_rng(2)
    log = [
        trade(f"t{i:03d}", i * 10**10, float(rng.normal(-0.6, 0.3)), home=False) for i in range(100)
    ]
    engine = learned({GROUPS[0]: log}, baseline_default=default)
    assert engine.baselines() == []
    assert [o.multiplier for o in engine.overrides()] == (
        [] if default else [pytest.approx(0.4, abs=0.1)]
    )


def test_a_segment_without_home_trades_has_its_modules_baseline() -> None:
    rng = np.random.default_rng(3)
    home = [trade(f"h{i:03d}", i * 10**10, float(rng.normal(2.0, 0.5))) for i in range(300)]
    away = [
        trade(
            f"a{i:03d}", i * 10**10, float(rng.normal(2.0, 0.5)), home=False, segment=("mega", "4h")
        )
        for i in range(100)
    ]
    assert learned({GROUPS[0]: home, GROUPS[2]: away}).overrides() == []


def sums(*parts: tuple[str, str, int, float, float]) -> list[GroupSummary]:
    return [
        GroupSummary(
            learning="integrated",
            lesson_id=f"g{i}",
            module="pm",
            pattern_key="pm.a",
            action_category="add",
            n=n,
            n_slices=1,
            version=1,
            as_of="2024-01-01T00:00:00Z",
            segments=(SegmentSum(bucket, timeframe, n, n * mean, n * (mean * mean + sd * sd)),),
        )
        for i, (bucket, timeframe, n, mean, sd) in enumerate(parts)
    ]


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["micro", "mega"]),
            st.sampled_from(["1h", "4h"]),
            st.integers(1, 500),
            st.floats(-5, 5),
            st.floats(0, 3),
        ),
        min_size=1,
        max_size=8,
    ),
    st.floats(-1, 1),
    st.randoms(use_true_random=False),
)
def test_baselines_lie_between_a_segment_and_what_is_above_it(
    parts: list[Any], default: float, rng: Any
) -> None:
    """Every mean is within the range of the segments' means and the constant, whatever the order of
    the groups; with enough evidence, it is the segment's own."""
    summaries = sums(*parts)
    found = segment_baselines("pm", summaries, default, 1)
    rng.shuffle(summaries)
    assert segment_baselines("pm", summaries, default, 1) == found
    assert all(math.isfinite(v) and v >= 0 for v in found.variances.values())
    module = found.records[0]
    assert (module.bucket, module.timeframe, module.n) == (None, None, sum(p[2] for p in parts))
    assert (
        min(default, *(p[3] for p in parts)) - 1e-9
        <= module.mean
        <= max(default, *(p[3] for p in parts)) + 1e-9
    )
    plenty = segment_baselines(
        "pm", sums(*((b, t, n * 10**6, m, s) for b, t, n, m, s in parts)), default, 1
    )
    for (bucket, timeframe), mean in plenty.means.items():
        own = [(n, m) for b, t, n, m, _ in parts if (b, t) == (bucket, timeframe)]
        assert mean == pytest.approx(sum(n * m for n, m in own) / sum(n for n, _ in own), abs=0.02)


# -- the ramp


def test_what_a_batch_parts_is_judged_when_it_is_whole_again() -> None:
    """Lessons of a new refit with the path of the previous one, or the other way round, change
    nothing: the previous refit counts."""
    before = learned({GROUPS[0]: market(7, 150, edge=2.0, macros=0)})
    after = learned({GROUPS[0]: market(7, 170, edge=2.0, macros=0)})
    [old], [new] = before.summaries(), after.summaries()
    assert new.path is not None
    assert new.path.lesson_ids
    module = judge(records(before))
    module.judge(1)
    told = {o.override_id: o.effect for o in before.overrides()}
    module.fold(after.lessons())
    assert not [
        o for o in module.judge(2).overrides.published if o.effect != told.get(o.override_id)
    ]
    module.fold([new])
    module.judge(3)
    fresh = judge(records(after))
    assert {o.override_id: o.effect for o in after.overrides()} == {
        o.override_id: o.effect for o in fresh.judge(1).overrides.published
    }
    assert not module.judge(4)
    assert old != new


def test_an_effect_comes_in_over_half_a_standard_error() -> None:
    """I13: 0 at the bar, 1 half a standard error beyond it, and linear in between."""
    engine = learned({GROUPS[0]: market(7, 150, edge=2.0, macros=0)})
    [summary] = engine.summaries()
    assert summary.path is not None
    chosen = summary.path.lesson_ids[0]
    rest = [r for r in records(engine) if not isinstance(r, GroupSummary)]
    # the group's level is one more hypothesis
    bar = z_of_log_p(entry_log_p(LearningConfig().alpha, summary.path.hypotheses + 1))

    def edge(z: float) -> float:
        path = msgspec.structs.replace(
            summary.path,
            lesson_ids=(chosen,),
            statistics=(z,),
            fits=tuple(Fit(f.coefficients, f.sds, f.loadings) for f in summary.path.fits[:2]),
        )  # type: ignore[union-attr]
        lessons = [alone if lesson.lesson_id == chosen else lesson for lesson in rest]
        found = (
            judge(
                [*lessons, msgspec.structs.replace(summary, path=path)],
                half_life=False,
                shared_effects=False,
            )
            .judge(1)
            .verdicts.published
        )
        return next(v for v in found if v.lesson_id == chosen).edge

    # A lesson and its path come from one refit only if their effects are equal.
    of = next(lesson for lesson in rest if lesson.lesson_id == chosen)
    assert of.marginal is not None
    alone = msgspec.structs.replace(
        of,
        marginal=msgspec.structs.replace(of.marginal, effect=summary.path.fits[1].coefficients[1]),
    )
    whole = edge(bar + 0.6)
    assert whole > 0.5
    for share in (0.0, 0.01, 0.25, 0.5, 0.99, 1.0, 5.0):
        assert edge(bar + 0.5 * share) == pytest.approx(whole * min(share, 1.0), abs=1e-6)
    assert edge(bar - 1e-6) == 0.0


# -- merging


def test_one_evidence_in_two_groups_has_one_effect() -> None:
    """The same trades act in two groups: both groups' overrides have the representative's estimate
    and name the factor.

    Shared effects belong to each group, so with them the two are only nearly equal.
    """
    log = market(1, 160)
    noisy = [r._replace(outcome=r.outcome) for r in log[:150]]
    [one, other] = [
        o for o in learned({GROUPS[0]: log, GROUPS[1]: noisy}).overrides() if o.scope == {"d0": "0"}
    ]
    assert one.effect == pytest.approx(other.effect, abs=0.05)
    engine = learned({GROUPS[0]: log, GROUPS[1]: noisy}, shared_effects=False)
    by_scope: dict[str, list[Override]] = {}
    for o in engine.overrides():
        by_scope.setdefault(str(o.scope), []).append(o)
    [one, other] = by_scope["{'d0': '0'}"]
    assert one.effect == other.effect
    assert one.latent_factor_id == other.latent_factor_id is not None
    factor = next(f for f in engine.latent_factors() if f.factor_id == one.latent_factor_id)
    assert {one.override_id, other.override_id} <= set(factor.members)
    assert factor.representative in factor.members
    apart = learned({GROUPS[0]: log, GROUPS[1]: noisy}, latent_factors=False, shared_effects=False)
    assert len({o.effect for o in apart.overrides() if o.scope == {"d0": "0"}}) == 2
    assert apart.latent_factors() == []
    assert {v.latent_factor_id for v in apart.verdicts()} == {None}


def test_members_that_were_not_chosen_are_covered_once() -> None:
    """A near clone of a chosen slice gets no override of its own; one override names it, and its
    verdict that override."""
    log = [
        r._replace(
            scopes=tuple({**s, "near": "1" if s["d0"] == "0" and i % 12 else "0"} for s in r.scopes)
        )
        for i, r in enumerate(market(1, 200))
    ]
    engine = learned({GROUPS[0]: log}, shared_effects=False)
    near = next(v for v in engine.verdicts() if v.scope == {"near": "1"})
    assert near.decision == "covered"
    assert near.multiplier == 1.0
    covering = [o for o in engine.overrides() if near.lesson_id in o.covers]
    assert [o.override_id for o in covering] == [near.override_id]
    everything = [i for o in engine.overrides() for i in o.covers]
    assert len(everything) == len(set(everything))
    assert isinstance(near, LessonVerdict)


def test_standings_tell_of_what_is_handed_out_how_surely_it_passes() -> None:
    seen = 0
    for published, _ in stages():
        module = judge(published)
        changes = module.judge(1)
        seen += len(changes.overrides.published)
        standings = module.standings()
        parts = {o.override_id: o.part for o in changes.overrides.published}
        assert {o.override_id for o in changes.overrides.published} <= standings.effects.keys()
        groups = [r for r in published if isinstance(r, GroupSummary)]
        assert standings.searched <= sum(
            g.path.hypotheses + 1 for g in groups if g.path is not None
        )
        assert standings.bar == z_of_log_p(entry_log_p(LearningConfig().alpha, standings.searched))
        for verdict in changes.verdicts.published:
            if verdict.decision == "override":
                statistic, share = standings.effects[verdict.lesson_id]
                assert 0.0 < share <= 1.0
                if parts[verdict.lesson_id] == "selected":
                    assert statistic > standings.bar
                    assert f"{statistic:.2f} standard errors" in verdict.reason
                else:
                    assert "Shared effect" in verdict.reason
    assert seen > 2


# -- levels of young groups


def level_log(name: str, n: int, level: float, move: float, start: float) -> list[Trade]:
    """Four trades a day from day `start`.  Two blocks of time move up, two down, and so on, so that
    the mean of 360 trades is the same with and without moves."""
    days = start + np.arange(n) / 4.0
    moves = np.where((days // 7.5).astype(int) % 2, -move, move)
    outcomes = np.random.default_rng(n).permutation(np.linspace(-1.7, 1.7, n)) + level + moves
    return [
        trade(f"{name}{i:03d}", int(day * DAY_US), float(y), {"d0": str(i % 2)})
        for i, (day, y) in enumerate(zip(days, outcomes, strict=True))
    ]


def level_of_a_young_group(move: float) -> float:
    groups = {
        (f"pm.old{k}", "entry"): level_log(f"o{k}", 360, level, move, 0.0)
        for k, level in enumerate((1.0, -1.0, 0.6, -0.6))
    }
    groups["pm.young", "entry"] = level_log("y", 24, 0.6, 0.0, 84.0)
    found = overrides(records(learned(groups)))
    (level,) = (o for o in found.values() if (o.pattern_key, o.scope) == ("pm.young", {}))
    assert level.part == "shared"
    return level.multiplier


def test_a_group_too_young_for_shared_effects_has_a_level() -> None:
    """Its own blocks of time are too few to show how its outcomes cluster: its level is shrunk as
    far as the outcomes of the category's other groups cluster."""
    alone, clustered = level_of_a_young_group(0.0), level_of_a_young_group(1.0)
    assert 1.1 < clustered < alone - 0.05 < 1.6
