"""Judgement: what becomes an override, which records are published and when, and which are
retired."""

from __future__ import annotations

import random
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.learning.classic.group import ClassicLearner
from app.learning.classic.judge import ClassicJudge
from app.learning.common.baselines import module_baseline
from app.learning.common.changes import Changes
from app.learning.common.multiplier import GRID
from edgeloop.identity import baseline_id, group_id, slice_id
from edgeloop.overrides import Evidence, Override
from schemas.lessons import Baseline, GroupSummary, Lesson, LessonDecay, LessonVerdict, SegmentSum
from tests.learning import reference
from tests.learning.making import DAY_US, trade


def lesson(
    name: str,
    n: int = 40,
    mean: float = 0.95,
    variance: float = 0.33 / 3.9,
    version: int = 1,
    **changes: object,
) -> Lesson:
    given = {
        "learning": "classic",
        "lesson_id": slice_id("pm", "pm.a.b", "add", {"x": name}),
        "module": "pm",
        "pattern_key": "pm.a.b",
        "action_category": "add",
        "scope": {"x": name},
        "n": n,
        "mean": mean,
        "variance": variance,
        "decay": LessonDecay(state="stable", multiplier=1.0, slope_per_hour=0.0),
        "evidence": Evidence(
            from_ts="2024-01-01T00:00:00.000000Z",
            to_ts="2024-02-01T00:00:00.000000Z",
            lesson_version=version,
        ),
        "as_of": "2024-02-01T00:00:00.000000Z",
        "version": version,
    }
    return Lesson(**{**given, **changes})  # type: ignore[arg-type]


def summary(
    total: float,
    n: int = 100,
    group: str = "pm.a.b",
    version: int = 1,
    as_of: str = "2024-02-01T00:00:00.000000Z",
) -> GroupSummary:
    return GroupSummary(
        learning="classic",
        lesson_id=group_id("pm", group, "add"),
        module="pm",
        pattern_key=group,
        action_category="add",
        n=n,
        n_slices=1,
        segments=(
            SegmentSum(
                bucket="micro", timeframe="1h", n=n, sum=total, sum_sq=total * total / n + n
            ),
        ),
        as_of=as_of,
        version=version,
    )


def materializer(default: float = 0.0) -> ClassicJudge:
    return ClassicJudge("pm", n_min=33, edge_min=0.05, baseline_default=default)


class Reader:
    """A reader of a materializer's records."""

    def __init__(self) -> None:
        self.verdicts: dict[str, LessonVerdict] = {}
        self.overrides: dict[str, Override] = {}
        self.baselines: dict[str, Baseline] = {}

    def read(self, changes: Changes) -> Changes:
        self.verdicts.update({v.lesson_id: v for v in changes.verdicts.published})
        self.overrides.update({o.override_id: o for o in changes.overrides.published})
        self.baselines.update({b.baseline_id: b for b in changes.baselines.published})
        for retired, held in (
            (changes.verdicts.retired, self.verdicts),
            (changes.overrides.retired, self.overrides),
            (changes.baselines.retired, self.baselines),
        ):
            for record_id in retired:
                del held[record_id]  # type: ignore[attr-defined]
        return changes

    def content(self, urgent: bool = False) -> bytes:
        """All published records without versions; with `urgent`, only those that the position
        manager needs at once."""
        records = msgspec.to_builtins(
            [dict(sorted(held.items())) for held in (self.verdicts, self.overrides, self.baselines)]
        )
        for held in records:
            for record in held.values():
                record.pop("version")
                record.pop("lesson_version", None)
                record.get("evidence", {}).pop("lesson_version", None)
        if urgent:
            verdicts = {i: (v["decision"], v["multiplier"], v["n"]) for i, v in records[0].items()}
            records = [
                verdicts,
                {i: (o["multiplier"], o["n_trades"]) for i, o in records[1].items()},
            ]
        return msgspec.json.encode(records)


@pytest.mark.parametrize(
    ("baseline", "edge", "multiplier"),
    [(0.5, 1.317484, 2.32), (0.8, 0.439161, 1.44), (1.5, -1.610258, 0.3)],
)
def test_golden_override(baseline: float, edge: float, multiplier: float) -> None:
    module = materializer()
    module.fold([lesson("1", version=5), summary(100 * baseline)])
    changes = module.judge(9)
    [override], [verdict], [base] = (
        changes.overrides.published,
        changes.verdicts.published,
        changes.baselines.published,
    )
    assert override == Override(
        override_id=lesson("1").lesson_id,
        learning="classic",
        module="pm",
        pattern_key="pm.a.b",
        action_category="add",
        scope={"x": "1"},
        effect=override.effect,
        effect_sd=None,
        multiplier=multiplier,
        confidence=override.confidence,
        n_trades=40,
        baseline=baseline,
        decay=override.decay,
        latent_factor_id=None,
        covers=(),
        regime_gains={},
        evidence=lesson("1", version=5).evidence,
        as_of=lesson("1").as_of,
        expires_at=None,
        version=9,
    )
    assert round(override.effect, 6) == edge
    assert round(override.confidence, 6) == round(0.550671 * 0.916703, 6)
    assert (override.decay.state, override.decay.half_life_hours) == ("stable", None)
    assert (
        verdict.decision,
        verdict.edge,
        verdict.multiplier,
        verdict.override_id,
        verdict.lesson_version,
        verdict.version,
    ) == (
        "override",
        override.effect,
        multiplier,
        override.override_id,
        5,
        9,
    )
    assert (base.mean, base.n, base.baseline_id, base.version) == (
        baseline,
        100,
        baseline_id("pm"),
        9,
    )


def test_decisions_have_reasons() -> None:
    module = materializer()
    module.fold([lesson("few", n=32), lesson("flat", mean=0.001), lesson("good")])
    verdicts = {v.scope["x"]: v for v in module.judge(1).verdicts.published}
    assert {x: v.decision for x, v in verdicts.items()} == {
        "few": "insufficient",
        "flat": "neutral",
        "good": "override",
    }
    assert verdicts["few"].reason == "The 32 trades are below the minimum of 33."
    assert (
        verdicts["flat"].reason
        == "The edge of +0.0027 over 40 trades is below the minimum of 0.05."
    )
    assert verdicts["good"].reason.endswith("reaches the minimum of 0.05.")
    assert [verdicts[x].multiplier for x in ("few", "flat")] == [1.0, 1.0]
    assert [verdicts[x].override_id for x in ("few", "flat")] == [None, None]


def test_judging_twice_or_with_a_new_version_changes_nothing() -> None:
    module = materializer()
    module.fold([lesson("1"), lesson("2", mean=-0.5), summary(50.0)])
    assert len(module.judge(1)) == 5
    assert len(module.judge(2)) == 0
    module.fold(
        [lesson("1", version=8), lesson("2", mean=-0.5, version=9), summary(50.0, version=9)]
    )
    assert len(module.judge(10)) == 0


def test_retired_lessons_leave_tombstones_and_may_return() -> None:
    module, reader = materializer(), Reader()
    module.fold([lesson("1"), lesson("2", mean=0.0), summary(0.0)])
    reader.read(module.judge(1))
    module.fold([], [lesson("1").lesson_id, lesson("2").lesson_id])
    changes = reader.read(module.judge(2, urgent_only=True))
    assert changes.overrides.retired == [lesson("1").lesson_id]
    assert set(changes.verdicts.retired) == {lesson("1").lesson_id, lesson("2").lesson_id}
    module.fold([], [lesson("1").lesson_id])
    assert len(module.judge(3)) == 0
    module.fold([lesson("1")])
    assert len(reader.read(module.judge(4)).overrides) == 1
    module.fold([lesson("3")], [lesson("3").lesson_id, lesson("1").lesson_id])
    module.fold([lesson("1")])
    assert len(module.judge(5)) == 0, "gone and back between two judgements"
    module.fold([], [group_id("pm", "pm.a.b", "add")])
    assert module.judge(6).baselines.retired == [baseline_id("pm")]


def test_an_override_is_retired_when_its_lesson_is_no_longer_eligible() -> None:
    module = materializer()
    module.fold([lesson("1")])
    module.judge(1)
    module.fold([lesson("1", n=32)])
    changes = module.judge(2, urgent_only=True)
    assert changes.overrides.retired == [lesson("1").lesson_id]
    assert [v.decision for v in changes.verdicts.published] == ["insufficient"]
    module.fold([lesson("1", mean=0.0)])
    assert [v.decision for v in module.judge(3).verdicts.published] == ["neutral"]


def test_a_baseline_that_moves_a_little_is_not_urgent() -> None:
    module = materializer()
    module.fold([*(lesson(str(i), mean=0.5 + i / 1000) for i in range(200)), summary(10.0)])
    module.judge(1)
    module.fold([summary(10.0001)])
    urgent = module.judge(2, urgent_only=True)
    assert len(urgent.baselines) == 1
    assert len(urgent.overrides) == len(urgent.verdicts) < 5
    full = module.judge(3)
    assert len(full.verdicts) == len(full.overrides) == 200 - len(urgent.verdicts)
    assert {v.baseline for v in full.verdicts.published} == {10.0001 / 100}


def test_baseline_does_not_depend_on_order_and_has_a_default() -> None:
    rng = random.Random(1)
    groups = [
        summary(rng.uniform(-1e3, 1e3), n=rng.randint(1, 50), group=f"pm.a.g{i}") for i in range(50)
    ]
    first = module_baseline("pm", groups, 0.0, 1)
    for _ in range(20):
        rng.shuffle(groups)
        assert module_baseline("pm", groups, 0.0, 1) == first
    assert module_baseline("pm", [], 0.25, 1) is None
    none = module_baseline("pm", [msgspec.structs.replace(groups[0], segments=())], 0.25, 1)
    assert none is not None
    assert (none.n, none.mean, none.variance) == (0, 0.25, 0.0)
    module = materializer(default=0.25)
    module.fold([lesson("1")])
    assert [v.baseline for v in module.judge(1).verdicts.published] == [0.25]


def test_another_modules_record_is_refused() -> None:
    with pytest.raises(ValueError, match="not of 'pm'"):
        materializer().fold([msgspec.structs.replace(lesson("1"), module="dm")])


STEPS = st.lists(
    st.one_of(
        st.builds(
            lambda x, n, mean, d: ("lesson", (str(x), n, mean, d)),
            st.integers(0, 5),
            st.sampled_from([20, 33, 40]),
            st.sampled_from([-1.0, 0.0, 0.02, 0.5]),
            st.sampled_from([1.0, 1.5]),
        ),
        st.builds(lambda x: ("retire", str(x)), st.integers(0, 5)),
        st.builds(lambda total: ("summary", total), st.sampled_from([-50.0, 0.0, 0.01, 1.0, 40.0])),
        st.just(("forget", None)),
        st.just(("urgent", None)),
        st.just(("judge", None)),
        st.just(("restart", None)),
    ),
    max_size=40,
)


@settings(max_examples=400)
@given(STEPS)
def test_what_is_handed_out_is_a_function_of_the_lessons(steps: list[tuple[str, object]]) -> None:
    """Whatever happened before, restarts included, after a full judgement the records are those of
    a new materializer."""
    module, reader = materializer(), Reader()
    lessons: dict[str, Lesson] = {}
    base: GroupSummary | None = None

    def fresh() -> tuple[ClassicJudge, Reader]:
        new, seen = materializer(), Reader()
        new.fold([*lessons.values(), *([base] if base else [])])
        return new, seen

    for version, (what, value) in enumerate([*steps, ("urgent", None), ("judge", None)]):
        if what == "lesson":
            x, n, mean, multiplier = value  # type: ignore[misc]
            made = lesson(
                x,
                n=n,
                mean=mean,
                version=version,
                decay=LessonDecay(state="stable", multiplier=multiplier, slope_per_hour=0.0),
            )
            lessons[made.lesson_id] = made
            module.fold([made])
        elif what == "retire":
            lessons.pop(lesson(str(value)).lesson_id, None)
            module.fold([], [lesson(str(value)).lesson_id])
        elif what == "summary":
            base = summary(value, version=version)  # type: ignore[arg-type]
            module.fold([base])
        elif what == "forget":
            base = None
            module.fold([], [group_id("pm", "pm.a.b", "add")])
        elif what == "restart":
            module, _ = fresh()
            module.adopt(
                [*reader.verdicts.values(), *reader.overrides.values(), *reader.baselines.values()]
            )
        else:
            urgent = what == "urgent"
            before = dict(reader.verdicts), dict(reader.overrides), dict(reader.baselines)
            changes = reader.read(module.judge(version, urgent_only=urgent))
            for old, records in zip(
                before,
                (
                    changes.verdicts.published,
                    changes.overrides.published,
                    changes.baselines.published,
                ),
                strict=True,
            ):
                for record in records:
                    known = old.get(
                        getattr(
                            record,
                            "override_id"
                            if isinstance(record, Override)
                            else record.__struct_fields__[1],
                        )
                    )
                    assert known is None or not equal(record, known), (
                        "what is handed out differs from what was"
                    )
            new, seen = fresh()
            seen.read(new.judge(0))
            assert reader.content(urgent) == seen.content(urgent)
            assert len(module.judge(version, urgent_only=urgent)) == 0


def equal(one: msgspec.Struct, other: msgspec.Struct) -> bool:
    def bare(record: msgspec.Struct) -> dict[str, object]:
        fields = msgspec.to_builtins(record)
        fields.pop("version")
        fields.pop("lesson_version", None)
        fields.get("evidence", {}).pop("lesson_version", None)
        return fields  # type: ignore[no-any-return]

    return bare(one) == bare(other)


def test_perturbing_what_is_learned_changes_an_override() -> None:
    """I18, in `classic`: the baseline, the decay and each number of a lesson are read."""

    def override(one: Lesson, base: float) -> tuple[float, float, float]:
        module = materializer()
        module.fold([one, summary(base)])
        [made] = module.judge(1).overrides.published
        return made.multiplier, made.effect, made.confidence

    plain = override(lesson("1"), 50.0)
    assert override(lesson("1"), 60.0)[0] < plain[0]
    assert override(lesson("1", mean=1.0), 50.0)[0] > plain[0]
    assert override(lesson("1", variance=0.2), 50.0)[0] < plain[0]
    assert override(lesson("1", n=60), 50.0)[0] > plain[0]
    assert (
        override(lesson("1", decay=LessonDecay(state="decaying", multiplier=0.5)), 50.0)[0]
        < plain[0]
    )


def test_trades_to_overrides_agree_with_a_batch_computation() -> None:
    """Two groups, random trades, folded in random order through learners and materializer, compared
    with the plain reference."""
    rng = random.Random(11)
    records = {
        key: [
            trade(
                f"{i}",
                rng.randint(0, 120) * DAY_US // 2,
                rng.gauss(0.4, 1),
                *({d: rng.choice("uvw") for d in "abcd"} for _ in range(2)),
                home=(i % 2 == 0) == (key == "pm.a.b"),
            )
            for i in range(300)
        ]
        for key in ("pm.a.b", "pm.a.c")
    }
    module, reader = materializer(), Reader()
    counting = {}
    for key, log in records.items():
        group = ClassicLearner(
            "pm", key, "add", window_us=40 * DAY_US, window_trades=200, n_min=33, max_dims=3
        )
        counting[key] = reference.counting_trades(log, 40 * DAY_US, 200)
        rng.shuffle(log)
        for start in range(0, 300, 37):
            group.fold(log[start : start + 37])
            refit = group.refit(start)
            module.fold(
                [*refit.lessons, *([refit.summary] if refit.summary else [])], refit.retired
            )
            reader.read(module.judge(start, urgent_only=start % 2 == 0))
    reader.read(module.judge(1000))
    home = [t.outcome for members in counting.values() for t in members if t.home]
    mean = sum(home) / len(home)
    assert reader.baselines[baseline_id("pm")].mean == pytest.approx(mean, abs=1e-9)
    expected = {}
    for key, members in counting.items():
        for scope, inside in reference.slices(members, 33, 3).items():
            n, m, variance, slope = reference.statistics(inside)
            expected[slice_id("pm", key, "add", dict(scope))] = reference.edge(
                n, m, variance, reference.decay(slope)[1], mean
            )
    assert {i: v.edge for i, v in reader.verdicts.items()} == pytest.approx(expected, abs=1e-9)
    assert {i: o.effect for i, o in reader.overrides.items()} == pytest.approx(
        {i: e for i, e in expected.items() if abs(e) >= 0.05}, abs=1e-9
    )
    assert len(reader.overrides) > 20
    for override in reader.overrides.values():
        assert override.multiplier == pytest.approx(
            min(max(1 + override.effect, 0.3), 3.0), abs=0.005 + 1e-9
        )
        assert 0.3 <= override.multiplier <= 3.0
        assert round(override.multiplier * GRID, 9) % 1 == 0


def test_one_trade_of_many_adds_makes_no_override() -> None:
    group = ClassicLearner(
        "pm", "pm.a.b", "add", window_us=90 * DAY_US, window_trades=10_000, n_min=33, max_dims=3
    )
    group.fold([trade("many", DAY_US, -5.0, *({"x": str(i)} for i in range(56)))])
    refit = group.refit(1)
    assert refit.lessons == []
    module = materializer()
    assert refit.summary is not None
    module.fold([refit.summary])
    assert module.judge(1).overrides.published == []


def test_fifty_six_adds_of_a_loser_do_not_turn_the_sign() -> None:
    group = ClassicLearner(
        "pm", "pm.a.b", "add", window_us=90 * DAY_US, window_trades=10_000, n_min=33, max_dims=3
    )
    group.fold([trade("many", DAY_US, -5.0, *({"x": str(i), "c": "sol"} for i in range(56)))])
    group.fold(
        [
            trade(f"t{i}", DAY_US + i * 3_600_000_000, 1.0, {"c": "sol"}, home=False)
            for i in range(35)
        ]
    )
    refit = group.refit(1)
    assert {x.n for x in refit.lessons} == {36}
    module = materializer()
    module.fold(refit.lessons)
    assert all(o.multiplier > 1 for o in module.judge(1).overrides.published)


def test_urgent_judgement_of_twenty_thousand_lessons_is_quick() -> None:
    module = materializer()
    rng = random.Random(5)
    lessons = [
        lesson(str(i), n=rng.randint(33, 500), mean=rng.gauss(0.2, 0.3), variance=rng.random())
        for i in range(20_000)
    ]
    module.fold([*lessons, summary(20.0, n=1000)])
    module.judge(1)
    best = 1.0
    for k in range(5):
        changed = [
            lesson(
                str(i),
                n=one.n,
                mean=one.mean + 0.01 * (k + 1),
                variance=one.variance,
                version=2 + k,
            )
            for i, one in enumerate(lessons[:20])
        ]
        module.fold(changed)
        module.fold([summary(20.0 + 1e-7 * k, n=1000)])
        start = time.perf_counter()
        changes = module.judge(2 + k, urgent_only=True)
        best = min(best, time.perf_counter() - start)
        assert 20 <= len(changes.verdicts.published) < 100
    assert best < 0.1, (
        "0.001 s on the machine it was measured on; a loop over all lessons takes more than 0.1"
    )


@pytest.mark.parametrize("outcome", ["roi", "pnl"])
def test_the_scale_of_an_outcome_makes_no_difference(outcome: str) -> None:
    """Cents or whole units give the same sizes, decay states and confidences, whether learned in
    steps or at once."""
    rng = random.Random(5)
    log = [
        trade(
            f"{i}",
            i * DAY_US // 4,
            0.005 * (rng.gauss(0.4, 1) + (i % 3 == 0) * (6.0 - i / 50)),
            {"x": str(i % 3), "y": str(i % 2)},
        )
        for i in range(300)
    ]

    def learned(scale: float, steps: int) -> Reader:
        group = ClassicLearner(
            "pm",
            "pm.a.b",
            "add",
            window_us=60 * DAY_US,
            window_trades=200,
            n_min=33,
            max_dims=2,
            outcome=outcome,
        )
        module, reader = (
            ClassicJudge("pm", n_min=33, edge_min=0.05, baseline_default=0.0, outcome=outcome),
            Reader(),
        )
        for start in range(0, 300, 300 // steps):
            group.fold(
                [t._replace(outcome=scale * t.outcome) for t in log[start : start + 300 // steps]]
            )
            refit = group.refit(start)
            module.fold(
                [*refit.lessons, *([refit.summary] if refit.summary else [])], refit.retired
            )
            reader.read(module.judge(start, urgent_only=start % 2 == 1))
        reader.read(module.judge(1000))
        return reader

    one, other, at_once = learned(1.0, 10), learned(100.0, 10), learned(1.0, 1)
    assert one.content() == at_once.content()
    assert one.overrides.keys() == other.overrides.keys()
    assert len(one.overrides) >= 4
    for i, override in one.overrides.items():
        scaled = other.overrides[i]
        assert (scaled.multiplier, scaled.decay) == (override.multiplier, override.decay)
        assert (scaled.effect, scaled.confidence) == pytest.approx(
            (override.effect, override.confidence), rel=1e-6
        )
        assert scaled.baseline == pytest.approx(100.0 * override.baseline)
    assert max(abs(o.multiplier - 1.0) for o in one.overrides.values()) > 0.5
    assert {o.decay.state for o in one.overrides.values()} > {"stable"}


def test_rr_needs_no_unit_of_size() -> None:
    group = ClassicLearner(
        "pm", "pm.a.b", "add", window_us=60 * DAY_US, window_trades=200, n_min=33, max_dims=2
    )
    group.fold([trade(f"{i}", i * DAY_US, float(i % 7)) for i in range(40)])
    [whole], _, found = group.refit(1)
    assert found is not None
    assert found.robust_sd is None
    made = []
    for robust_sd in (None, 5.0):
        module = materializer()
        module.fold([whole, msgspec.structs.replace(found, robust_sd=robust_sd)])
        made.append(module.judge(1).verdicts.published)
    assert made[0] == made[1]
