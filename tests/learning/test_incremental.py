"""A group that learned step by step has the same state as one that learned all at once, to the last
bit, and reports what changed."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.learning.classic import group as classic_group
from app.learning.classic.group import ClassicLearner
from app.learning.common.event_time import text_from_micros
from app.learning.common.refit import RebuildNeeded
from app.learning.common.trade import Trade
from edgeloop.identity import group_id, slice_id
from tests.learning import reference
from tests.learning.making import DAY_US, trade, trades
from tests.learning.reader import PublishedReader

STEP_US = 1_800_000_000


def learner(
    window_us: int = 20 * STEP_US, window_trades: int = 8, n_min: int = 2, max_dims: int = 3
) -> ClassicLearner:
    return ClassicLearner(
        "pm",
        "pm.a.b",
        "add",
        window_us=window_us,
        window_trades=window_trades,
        n_min=n_min,
        max_dims=max_dims,
    )


class Reader(PublishedReader):
    def content(self) -> bytes:
        """All published records without versions, to the last digit."""
        lessons = [msgspec.to_builtins(self.lessons[i]) for i in sorted(self.lessons)]
        for lesson in lessons:
            del lesson["version"], lesson["evidence"]["lesson_version"]
        summary = msgspec.to_builtins(self.summary)
        if summary:
            del summary["version"]
        return msgspec.json.encode([lessons, summary])


def cut(log: list[Trade], rng: random.Random) -> list[list[Trade]]:
    at = sorted(rng.choices(range(len(log) + 1), k=rng.randint(0, 6)))
    return [log[a:b] for a, b in zip([0, *at], [*at, len(log)], strict=True)]


@settings(max_examples=400)
@given(
    st.lists(trades(), min_size=1, max_size=40),
    st.integers(5, 40),
    st.integers(1, 12),
    st.integers(1, 4),
    st.sampled_from([0, 1, 2, 3]),
    st.sampled_from([0, 3, 10**9]),
    st.integers(0, 1000),
)
def test_incremental_learning_equals_learning_at_once(
    records: list[Trade],
    window_steps: int,
    window_trades: int,
    n_min: int,
    max_dims: int,
    full_share: int,
    seed: int,
) -> None:
    """Random revisions, orders, repetitions and batches; `full_share` forces incremental mining,
    full mining, or the mix."""
    rng = random.Random(seed)
    setting = {
        "window_us": window_steps * STEP_US,
        "window_trades": window_trades,
        "n_min": n_min,
        "max_dims": max_dims,
    }
    once, reader_once = learner(**setting), Reader()
    once.fold(records)
    reader_once.read(once.refit(1))

    log = records + rng.choices(records, k=len(records) // 2)
    rng.shuffle(log)
    steps, reader = learner(**setting), Reader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classic_group, "FULL_SHARE", full_share)
        for version, batch in enumerate(cut(log, rng)):
            steps.fold(batch)
            if steps.needs_rebuild:
                with pytest.raises(RebuildNeeded):
                    steps.refit(version)
            elif rng.random() < 0.8:
                reader.read(steps.refit(version))
        for _ in range(2):
            steps.fold(log)
        reader.read(steps.refit(100))
        assert steps.refit(101) == ([], [], None)
    assert reader.content() == reader_once.content()
    agrees_with_reference(reader, records, **setting)
    assert sorted(steps.lessons(100), key=lambda x: x.lesson_id) == [
        msgspec.structs.replace(
            x, version=100, evidence=msgspec.structs.replace(x.evidence, lesson_version=100)
        )
        for _, x in sorted(reader.lessons.items())
    ]


def agrees_with_reference(
    reader: Reader,
    records: list[Trade],
    window_us: int,
    window_trades: int,
    n_min: int,
    max_dims: int,
) -> None:
    counting = reference.counting_trades(records, window_us, window_trades)
    expected = reference.slices(counting, n_min, max_dims)
    assert set(reader.lessons) == {
        slice_id("pm", "pm.a.b", "add", dict(scope)) for scope in expected
    }
    for scope, members in expected.items():
        lesson = reader.lessons[slice_id("pm", "pm.a.b", "add", dict(scope))]
        n, mean, variance, slope = reference.statistics(members)
        assert (lesson.n, lesson.scope) == (n, dict(scope))
        assert lesson.mean == pytest.approx(mean, abs=1e-9)
        assert lesson.variance == pytest.approx(variance, abs=1e-9)
        assert lesson.evidence.from_ts == text_from_micros(min(t.exit_us for t in members))
        assert (
            lesson.evidence.to_ts
            == lesson.as_of
            == text_from_micros(max(t.exit_us for t in members))
        )
        assert lesson.decay.slope_per_hour == (
            slope if slope is None else pytest.approx(slope, abs=1e-9)
        )
        assert lesson.decay.multiplier == pytest.approx(reference.decay(slope)[1], abs=1e-6)
        if slope is None or abs(abs(slope) - 0.001) > 1e-9:
            assert lesson.decay.state == reference.decay(slope)[0]
    summary = reader.summary
    assert summary is not None
    assert (summary.n, summary.n_slices) == (len(counting), len(expected))
    assert {(s.bucket, s.timeframe): s.n for s in summary.segments} == {
        key: sum(t.home and t.segment == key for t in counting)
        for key in {t.segment for t in counting if t.home}
    }
    assert sum(s.sum for s in summary.segments) == pytest.approx(
        sum(t.outcome for t in counting if t.home), abs=1e-9
    )
    assert sum(s.sum_sq for s in summary.segments) == pytest.approx(
        sum(t.outcome**2 for t in counting if t.home), abs=1e-7
    )


@settings(max_examples=200)
@given(st.lists(trades(), min_size=1, max_size=30), st.lists(trades(), max_size=30), st.booleans())
def test_after_a_restart_only_differences_are_published(
    old: list[Trade], new: list[Trade], again: bool
) -> None:
    before, reader = learner(window_us=10**12, window_trades=100), Reader()
    before.fold(old)
    reader.read(before.refit(1))

    after = learner(window_us=10**12, window_trades=100)
    after.fold(old + new)
    if again:
        after.refit(2)
    after.adopt(list(reader.lessons.values()) + [reader.summary] * (reader.summary is not None))
    reader.read(after.refit(3))
    fresh, reader_fresh = learner(window_us=10**12, window_trades=100), Reader()
    fresh.fold(old + new)
    reader_fresh.read(fresh.refit(1))
    assert reader.content() == reader_fresh.content()
    assert after.refit(4) == ([], [], None)


def test_what_a_predecessor_published_too_much_is_retired() -> None:
    before = learner()
    before.fold([trade("a", 1, 1.0, {"x": "1"}), trade("b", 2, 1.0, {"x": "1"})])
    refit = before.refit(1)
    assert refit.summary is not None
    empty = learner()
    empty.adopt([*refit.lessons, refit.summary])
    gone = empty.refit(2)
    assert gone.lessons == []
    assert set(gone.retired) == {x.lesson_id for x in refit.lessons} | {
        group_id("pm", "pm.a.b", "add")
    }
    assert empty.refit(3) == ([], [], None)


def test_a_batch_that_changes_nothing_publishes_nothing() -> None:
    group = learner()
    records = [trade(f"t{i}", i, 1.0, {"x": "1"}) for i in range(5)]
    group.fold(records)
    assert len(group.refit(1).lessons) == 2
    group.fold(records)
    assert not group.dirty
    assert group.refit(2) == ([], [], None)
    group.fold([trade("t0", 0, 1.0, {"x": "1"}, revision=1)])
    assert group.refit(3) == ([], [], None), "a correction that says the same"


def test_only_touched_slices_are_published() -> None:
    group = learner(window_trades=1000, window_us=10**18)
    group.fold([trade(f"t{i}", i, 1.0, {"x": str(i % 3)}) for i in range(300)])
    group.refit(1)
    group.fold([trade("u", 400, 1.0, {"x": "2"})])
    assert [x.scope for x in sorted(group.refit(2).lessons, key=lambda x: x.n)] == [{"x": "2"}, {}]


def test_numbers_of_values_are_given_anew() -> None:
    """Values that keep coming and going do not accumulate, and the state survives their
    renumbering."""
    group, fresh = (
        learner(window_us=10**18, window_trades=300, n_min=30, max_dims=2) for _ in range(2)
    )
    records = [
        trade(f"t{i:05d}", i, float(i % 7), {"id": str(i), "x": str(i % 3), "y": str(i // 700)})
        for i in range(3000)
    ]
    reader, reader_fresh = Reader(), Reader()
    for i in range(0, 3000, 50):
        group.fold(records[i : i + 50])
        reader.read(group.refit(i))
    assert group.window.n_items < 1500
    fresh.fold(records)
    reader_fresh.read(fresh.refit(1))
    assert reader.content() == reader_fresh.content()


def test_missing_values_never_form_a_slice() -> None:
    """I6, in `classic`."""
    group = learner(window_us=10**18, window_trades=100)
    group.fold([trade(f"t{i}", i, 1.0, {"x": "1"} if i % 2 else {}) for i in range(8)])
    assert {tuple(x.scope.items()): x.n for x in group.refit(1).lessons} == {
        (): 8,
        (("x", "1"),): 4,
    }


def test_golden_forty_trades() -> None:
    group = learner(window_us=90 * DAY_US, window_trades=10_000, n_min=33)
    group.fold([trade(f"t{i:02d}", i * DAY_US, 0.5 + 0.1 * (i % 10)) for i in range(40)])
    lesson = group.refit(7).lessons[0]
    assert lesson.mean == pytest.approx(0.95)
    assert round(lesson.variance, 6) == 0.084615
    assert (lesson.decay.state, lesson.decay.multiplier) == ("stable", 1.0)
    assert lesson.version == lesson.evidence.lesson_version == 7
    assert lesson.evidence.from_ts == "1970-01-01T00:00:00.000000Z"
    assert lesson.as_of == "1970-02-09T00:00:00.000000Z"


def test_a_correction_of_the_scope_alone_moves_the_lesson() -> None:
    """The new slice has exactly the statistics of the one that is retired."""
    group = learner(n_min=1)
    group.fold([trade("a", 5, 1.0, {"x": "1"})])
    group.refit(1)
    group.fold([trade("a", 5, 1.0, {"x": "2"}, revision=1)])
    refit = group.refit(2)
    assert [x.scope for x in refit.lessons] == [{"x": "2"}]
    assert refit.retired == [slice_id("pm", "pm.a.b", "add", {"x": "1"})]
