"""A group learned by `integrated`: its lessons are a function of the trades, are correct, and are
published once."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.learning.classic.group import ClassicLearner
from app.learning.common.config import LearningConfig
from app.learning.common.event_time import text_from_micros
from app.learning.common.refit import RebuildNeeded
from app.learning.common.trade import Trade
from app.learning.integrated.candidates import SHARED_DIMS
from app.learning.integrated.clipping import clip_bounds
from app.learning.integrated.effect_history import day_digests, history_records
from app.learning.integrated.group import IntegratedLearner
from app.learning.integrated.shared_effects import least_shared
from app.learning.integrated.sketches import decode, trade_hash
from edgeloop.identity import group_id, slice_id
from tests.learning import reference
from tests.learning.making import DAY_US, market, told, trade, trades
from tests.learning.reader import PublishedReader


def learner(**config: Any) -> IntegratedLearner:
    return IntegratedLearner("pm", "pm.a.b", "add", LearningConfig(**{"n_min": 10, **config}))


class Reader(PublishedReader):
    def content(self) -> Any:
        return told([sorted(self.lessons.items()), self.summary])


def fresh(records: list[Trade], **config: Any) -> Reader:
    group, reader = learner(**config), Reader()
    group.fold(records)
    reader.read(group.refit(1))
    return reader


@settings(max_examples=30)
@given(
    st.integers(0, 10**6),
    st.integers(5, 100),
    st.sampled_from([0.0, 3.0]),
    st.sampled_from([10, 90]),
    st.sampled_from([40, 10_000]),
    st.sampled_from(["none", "adopt", "adopt in between"]),
)
def test_incremental_learning_equals_learning_at_once(
    seed: int, n: int, edge: float, window_days: int, window_trades: int, restart: str
) -> None:
    """I2, I3, I4, I12, with restarts: readers end with the results of a new learner on the same
    trades, and receive nothing twice."""
    rng = random.Random(seed)
    config = {"window_us": window_days * DAY_US, "window_trades": window_trades}
    records = market(seed, n, edge=edge, n_actions=2)
    records += [
        r._replace(rank=(1, *r.rank[1:]), outcome=-r.outcome) for r in rng.sample(records, n // 5)
    ]
    log = records + rng.choices(records, k=n // 2)
    rng.shuffle(log)
    steps, reader = learner(**config), Reader()
    for version, start in enumerate(range(0, len(log), max(1, len(log) // 3)), 2):
        steps.fold(log[start : start + max(1, len(log) // 3)])
        if steps.needs_rebuild:
            with pytest.raises(RebuildNeeded):
                steps.refit(version)
        else:
            reader.read(steps.refit(version))
        if restart == "adopt in between":
            steps.adopt(reader.published())
    if restart == "adopt":
        steps = learner(**config)
        steps.adopt(reader.published())
    steps.fold(log)
    steps.fold(log)
    reader.read(steps.refit(100))
    assert steps.refit(101) == ([], [], None)
    assert reader.content() == fresh(records, **config).content()
    assert told(sorted(steps.lessons(101), key=lambda x: x.lesson_id)) == told(
        [x for _, x in sorted(reader.lessons.items())]
    )


def test_publishing_and_adopting_gives_no_differences() -> None:
    reader = fresh(market(1, 150))
    successor = learner()
    successor.fold(market(1, 150))
    successor.adopt(reader.published())
    assert successor.dirty
    assert successor.refit(9) == ([], [], None)


def test_what_a_predecessor_published_too_much_is_retired() -> None:
    reader = fresh(market(1, 150))
    empty = learner()
    empty.adopt(reader.published())
    gone = empty.refit(2)
    assert gone.lessons == []
    assert gone.summary is None
    assert set(gone.retired) == {*reader.lessons, group_id("pm", "pm.a.b", "add")}
    assert empty.refit(3) == ([], [], None)


def test_lessons_of_classic_are_replaced() -> None:
    """After a switch, slices that classic published are retired or replaced, with the same id."""
    log = market(1, 150)
    before = ClassicLearner(
        "pm", "pm.a.b", "add", window_us=90 * DAY_US, window_trades=10_000, n_min=10, max_dims=4
    )
    before.fold(log)
    old = before.refit(1)
    assert old.summary is not None
    after = learner(lessons_per_group=20)
    after.fold(log)
    after.adopt([*old.lessons, old.summary])
    refit = after.refit(2)
    assert len(refit.lessons) == 20
    assert {x.lesson_id for x in refit.lessons} <= {x.lesson_id for x in old.lessons}
    assert set(refit.retired) == {x.lesson_id for x in old.lessons} - {
        x.lesson_id for x in refit.lessons
    }
    assert refit.summary is not None


@settings(max_examples=60)
@given(
    st.lists(trades(max_ids=30, max_exit=400), min_size=1, max_size=60),
    st.integers(1, 6),
    st.sampled_from([1, 3, 200]),
)
def test_lessons_match_plain_arithmetic(records: list[Trade], n_min: int, room: int) -> None:
    """I1, I3: n, mean and variance of each slice's clipped outcomes, its times, its sketch;
    compared with plain arithmetic."""
    reader = fresh(records, n_min=n_min, lessons_per_group=room)
    counting = reference.counting_trades(records, 90 * DAY_US, 10_000)
    low, high = clip_bounds(np.array([t.outcome for t in counting]))
    clipped = [t._replace(outcome=min(max(t.outcome, low), high)) for t in counting]
    members = {
        **reference.slices(clipped, least_shared(n_min), SHARED_DIMS),
        **reference.slices(clipped, n_min, 4),
        frozenset(): clipped,
    }
    assert reader.summary is not None
    assert reader.summary.n == len(counting)
    path = reader.summary.path
    assert path is not None
    assert len(reader.lessons) <= max(room, 1 + len(path.lesson_ids))
    assert set(path.lesson_ids) <= reader.lessons.keys()
    for lesson_id, lesson in reader.lessons.items():
        mine = members[frozenset(lesson.scope.items())]
        n, mean, variance, _ = reference.statistics(mine)
        assert lesson_id == slice_id("pm", "pm.a.b", "add", lesson.scope)
        assert lesson.n == n
        assert lesson.mean == pytest.approx(mean, abs=1e-6)
        assert lesson.variance == pytest.approx(variance, rel=1e-6, abs=1e-6)
        assert lesson.evidence.from_ts == text_from_micros(min(t.exit_us for t in mine))
        assert (
            lesson.evidence.to_ts == lesson.as_of == text_from_micros(max(t.exit_us for t in mine))
        )
        assert decode(lesson.sketch).tolist() == sorted(trade_hash(t.trade_id) for t in mine)
        assert lesson.marginal is not None
        assert lesson.marginal.hypotheses == path.hypotheses
        chosen = lesson_id in path.lesson_ids
        assert (lesson.marginal.step is not None) == chosen
        assert bool(lesson.marginal.reason) != chosen
        assert (lesson.metrics is not None) == (chosen or not lesson.scope)
        for scope in lesson.marginal.aliases:
            assert {t.trade_id for t in members[frozenset(scope.items())]} == {
                t.trade_id for t in mine
            }


@settings(max_examples=12)
@given(st.integers(0, 10**6), st.sampled_from([1.5, 8.0]))
def test_histories_are_of_days_before_and_on_the_day(seed: int, per_day: float) -> None:
    """The cells of `{}` count every trade but those of the first day once, by regime; predictions
    come from earlier days only."""
    log = market(seed, 120, per_day=per_day, macros=3)
    lessons = fresh(log).lessons
    whole = next(x for x in lessons.values() if not x.scope)
    by_day: dict[tuple[int, str], int] = {}
    for r in log:
        key = (r.exit_us // DAY_US, f"btc_macro={r.scopes[0]['btc_macro']}")
        by_day[key] = by_day.get(key, 0) + 1
    first = log[0].exit_us // DAY_US
    assert {(c.day, p.regime): p.n for c in whole.history for p in c.regimes} == {
        k: n for k, n in by_day.items() if k[0] != first
    }
    for lesson in lessons.values():
        assert all(0.0 <= m <= 1.0 for c in lesson.history for m in c.metrics)
        assert [c.day for c in lesson.history] == sorted({c.day for c in lesson.history})
        assert [r.day for r in history_records(lesson, {})] == [
            text_from_micros(c.day * DAY_US)[:10] for c in lesson.history
        ]
        assert history_records(lesson, day_digests(lesson)) == []
    cut = [r for r in log if r.exit_us // DAY_US < whole.history[-1].day]
    before = next((x for x in fresh(cut).lessons.values() if not x.scope), None)
    assert before is not None
    assert [c.day for c in before.history] == [c.day for c in whole.history[:-1]]


def test_the_strongest_rejected_slices_are_published_with_reasons() -> None:
    """Lessons with shared effects come first, up to their limit; the rest of the lessons are those
    with the largest statistics."""
    lessons = list(fresh(market(4, 200), lessons_per_group=30).lessons.values())
    assert len(lessons) == 30
    rejected = [
        x.marginal
        for x in lessons
        if x.marginal is not None and x.marginal.step is None and x.scope
    ]
    everything = fresh(market(4, 200), lessons_per_group=10_000).lessons
    others = [x.marginal for i, x in everything.items() if i not in {y.lesson_id for y in lessons}]
    assert others
    shared, alone = ([m for m in rejected if bool(m.shared) == told] for told in (True, False))
    assert shared
    assert alone
    assert (
        min(abs(m.statistic) for m in alone)
        >= max(abs(m.statistic) for m in others if m is not None) - 1e-6
    )
    assert any(m.reason.startswith("Explained by ") for m in rejected), (
        "a slice with an edge in the shadow of a chosen one"
    )
    assert any("could be chance" in m.reason for m in rejected)


def test_lessons_do_not_depend_on_the_switches() -> None:
    """Meta-learners are switched in the judge, so lessons with different switches are equal."""
    log = market(2, 200, edge=3.0)
    off = fresh(
        log, half_life=False, regime_weights=False, latent_factors=False, shared_effects=False
    )
    assert off.content() == fresh(log).content()


def test_aliases_of_the_whole_group() -> None:
    group = learner()
    group.fold(
        [trade(f"t{i:02d}", i * DAY_US, float(i % 5), {"b": "1", "a": "2"}) for i in range(40)]
    )
    [lesson] = group.refit(1).lessons
    assert lesson.scope == {}
    assert lesson.marginal is not None
    assert lesson.marginal.aliases == ({"a": "2"}, {"b": "1"}, {"a": "2", "b": "1"})
