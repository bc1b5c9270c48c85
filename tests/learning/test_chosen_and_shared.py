"""Sharing: the published effects are a weighted mean of the chosen effects and those of all slices
together."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest

from app.learning.common.baselines import SegmentBaselines, segment_baselines
from app.learning.integrated.chosen_and_shared import (
    LEAST_SIZE,
    shared_part,
    shared_weight,
    with_shared,
)
from app.learning.integrated.group_path import GroupPath, of_one_refit, shared_sum
from app.learning.integrated.judge import IntegratedJudge
from app.learning.integrated.learner_weight import SHARED, Counts
from app.learning.integrated.merging import group_of
from app.learning.integrated.net_of_segments import Effect
from app.learning.integrated.persistence import far_pairs, symmetric, upper_half
from app.learning.integrated.prior_share import between
from app.learning.integrated.whole_groups import PooledLevel
from schemas.lessons import Lesson, LessonDecay
from tests.learning.making import GROUPS, learned, market

FINE = 1e-9
"""A unit of size so small that no effect is left out as less than a step of the multiplier.
"""
PERSISTENT = 0.02
"""Share of the variance of outcomes that persists."""


@cache
def group() -> tuple[GroupPath, Lesson, SegmentBaselines]:
    engine = learned(
        {GROUPS[0]: market(1, 400, per_day=5.0, segments=(("micro", "1h"), ("mega", "4h")))}
    )
    [summary] = engine.summaries()
    assert summary.path is not None
    lessons = {x.lesson_id: x for x in engine.lessons()}
    shared = tuple(x for x in lessons.values() if x.marginal is not None and x.marginal.shared)
    path = GroupPath(
        summary, summary.path, {i: lessons[i] for i in summary.path.lesson_ids}, shared
    )
    whole = next(x for x in lessons.values() if not x.scope)
    return path, whole, segment_baselines("pm", [summary], 0.0, 1)


def chosen(*sizes: float) -> dict[str, Effect]:
    """A whole group's effect and the effects of a path, with these sizes."""
    path, whole, _ = group()
    lessons = [whole, *(path.lessons[i] for i in path.path.lesson_ids)]
    return {
        lesson.lesson_id: Effect(
            lesson,
            9.0,
            1.0,
            size,
            0.1,
            size,
            0.1,
            LessonDecay(state="stable"),
            0.0,
            path.summary.as_of,
        )
        for lesson, size in zip(lessons, sizes, strict=False)
    }


def made(
    found: dict[str, Effect], mean: float, share: float, scale: float = FINE, added: float = 0.0
) -> dict[str, Effect]:
    path, whole, _ = group()
    level = PooledLevel(mean, mean - added, added)
    chosen = tuple(i for i in path.path.lesson_ids if i in found)
    weight = shared_weight([found[i] for i in chosen], Counts(0.0, 0.0, 0.0, share, 1.0))
    part = shared_part(path, chosen, weight, PERSISTENT, scale)
    return {**found, **with_shared(path, whole, found, level, part, weight, 1.0, scale)}


def net(lesson: Lesson) -> float:
    assert lesson.marginal is not None
    return float(between(PERSISTENT) @ lesson.marginal.shared)


@pytest.mark.parametrize("share", [0.0, 0.26, 0.6, 1.0])
@pytest.mark.parametrize("level", [0.0, -0.3])
@pytest.mark.parametrize("added", [0.0, 0.4])
@pytest.mark.parametrize("sizes", [(), (0.2, 1.5), (0.0, 2.0, -0.7)])
def test_every_context_gets_the_weighted_mean_of_both_predictors(
    share: float, level: float, sizes: tuple[float, ...], added: float
) -> None:
    path, whole, _ = group()
    # without a chosen effect there is no alternative
    found, weight = chosen(*sizes), share if sizes else 1.0
    lessons = {x.lesson_id: x for x in (whole, *path.shared, *path.lessons.values())}
    result = made(found, level, share, added=added)
    centre = sum(net(x) * x.n for x in path.shared) / path.summary.n
    for context in (
        {"d0": a, "d1": b, "d2": c, "btc_macro": m}
        for a in "012"
        for b in "01"
        for c in "02"
        for m in ("S0", "S1")
    ):
        matched = {i for i, x in lessons.items() if x.scope.items() <= context.items()}
        few = sum(found[i].effect for i in matched if i in found)
        all_ = level - centre + sum(net(x) for x in path.shared if x.lesson_id in matched)
        told = sum(result[i].effect for i in matched if i in result)
        # A level that passes by itself needs no others.  It is the level beyond the chosen effects,
        # which the shared predictor includes in the group's mean.
        beyond = (few - sizes[0] if sizes else 0.0, all_ - level + (added if sizes else 0.0))
        assert told == pytest.approx(
            (sizes[0] if sizes else level) + (1.0 - weight) * beyond[0] + weight * beyond[1],
            abs=1e-7,
        )


def test_what_chosen_effects_add_to_the_level_counts_once() -> None:
    path, whole, _ = group()
    slices = {i: e for i, e in chosen(0.0, 1.5).items() if i != whole.lesson_id}
    result = made(slices, 0.5, 0.2, added=0.4)
    centre = sum(net(x) * x.n for x in path.shared) / path.summary.n
    assert result[whole.lesson_id].effect == pytest.approx(0.2 * (0.5 - centre) + 0.8 * 0.1)


def test_the_average_trade_is_told_the_level() -> None:
    path, _, _ = group()
    result = made({}, 0.2, 0.5)
    assert sum(e.effect * e.lesson.n for e in result.values()) / path.summary.n == pytest.approx(
        0.2
    )
    assert {e.part for e in result.values()} == {"shared"}


def test_a_slice_in_both_predictors_has_one_effect_that_is_chosen() -> None:
    result = made(chosen(0.2, 1.5), 0.2, 0.5)
    for i, effect in chosen(0.2, 1.5).items():
        assert result[i].part == "selected"
        assert (result[i].statistic, result[i].raw, result[i].ramp) == (
            effect.statistic,
            effect.raw,
            effect.ramp,
        )


def test_what_would_not_move_a_multiplier_is_left_out() -> None:
    result = made({}, 0.0, 0.5, scale=1.0)
    assert 0 < len(result) < len(made({}, 0.0, 0.5))
    assert all(abs(e.effect) >= LEAST_SIZE for e in result.values())


@pytest.mark.parametrize(
    ("now", "kept"), [(1.5, 1.0), (0.6, 0.4), (0.0, 0.0), (2.0, 1.0), (-0.6, 0.4)]
)
def test_what_is_shared_counts_as_far_as_the_chosen_effect_is_still_there(
    now: float, kept: float
) -> None:
    path, _, _ = group()
    i = path.path.lesson_ids[0]
    found = chosen(0.2, 1.5)
    beyond_the_mean = made(found, 0.2, 0.5)[i].effect - 1.5
    moved = made({**found, i: found[i]._replace(effect=now)}, 0.2, 0.5)[i].effect
    assert moved == pytest.approx(now + kept * beyond_the_mean)


def test_a_group_is_whole_when_all_that_is_shared_has_come() -> None:
    path, _, _ = group()

    def whole(shared: Any) -> bool:
        return of_one_refit(path.summary, path.path, path.lessons, shared)

    first = path.shared[0]
    assert first.marginal is not None
    other = msgspec.structs.replace(
        first,
        marginal=msgspec.structs.replace(first.marginal, shared=(*first.marginal.shared[:-1], 1.0)),
    )
    assert whole(path.shared)
    assert whole(path.shared[::-1])
    assert not whole(path.shared[1:])
    assert not whole((*path.shared, first))
    assert not whole((other, *path.shared[1:]))
    assert path.summary.shared == shared_sum(path.shared)
    assert {group_of(x) for x in path.shared} == {GROUPS[0]}
    unsaid = msgspec.structs.replace(path.summary, shared=None)
    assert of_one_refit(unsaid, path.path, path.lessons, ()), (
        "a summary from before there were shared effects"
    )


def test_where_chosen_effects_leave_nothing_shared_ones_count_less() -> None:
    """Until the record says otherwise; a summary of a version that did not report it changes
    nothing."""
    engine = learned({GROUPS[0]: market(1, 400, per_day=5.0)})
    [summary] = engine.summaries()
    assert summary.persistence is not None
    assert summary.unexplained is not None

    def shared(left: float | None) -> float:
        products = symmetric(summary.persistence.upper)
        products = (
            products * 10.0 * summary.likeness / abs(products[far_pairs(len(products))].sum())
        )
        changed = msgspec.structs.replace(
            summary,
            record=(),
            unexplained=left,
            persistence=msgspec.structs.replace(
                summary.persistence, upper=upper_half(np.abs(products))
            ),
        )
        judge = IntegratedJudge("pm", engine.config)
        judge.fold([*engine.lessons(), changed])
        judge.judge(1)
        [counts] = judge.counts().values()
        return counts.shared

    assert shared(0.0) < shared(None) == SHARED.mean < shared(1e9) == 1.0
