"""Whole groups: their course covers all trades in the window, and levels are shrunk by the part of
their variation that is chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from math import fsum

import numpy as np
import pytest

from app.learning.common.baselines import segment_baselines
from app.learning.common.config import LearningConfig
from app.learning.common.trade import Trade
from app.learning.engine import Engine
from app.learning.integrated.effect_history import COURSE_CELLS, course, course_days
from app.learning.integrated.group_path import GroupPath
from app.learning.integrated.held_lessons import HeldGroup
from app.learning.integrated.learner_weight import Counts
from app.learning.integrated.merging import group_of
from app.learning.integrated.persistence import symmetric
from app.learning.integrated.whole_groups import (
    PRIOR_GROUPS,
    PRIOR_LEVEL_SD2,
    Level,
    Spread,
    added_of,
    beyond_chance,
    coarse_level,
    level_of,
    net_noise2,
    noise_of,
    pooled_level,
    record_of_level,
    share_of,
    whole_effect,
)
from schemas.lessons import HISTORY_DAYS, GroupSummary
from tests.learning.making import DAY_US, learned, market, trade

YEARS = 1_000 * DAY_US
CONFIG = LearningConfig(n_min=10, window_us=YEARS)


def years(
    seed: int, level: float, n: int = 600, days: float = 900.0, home: bool = True
) -> list[Trade]:
    rng = np.random.default_rng(seed)
    return [
        trade(
            f"{seed}.{i}",
            int(i * days * DAY_US / n),
            float(rng.normal(level, 1.0)),
            {"x": str(rng.integers(2))},
            home=home,
        )
        for i in range(n)
    ]


@cache
def engine() -> Engine:
    return learned(
        {(f"pm.g.{k}", "add"): years(k, 0.1 * (k - 2)) for k in range(5)}, window_us=YEARS
    )


def groups(of: Engine) -> list[GroupPath]:
    lessons = {x.lesson_id: x for x in of.lessons()}
    return [
        GroupPath(s, s.path, {i: lessons[i] for i in s.path.lesson_ids}, ())
        for s in sorted(of.summaries(), key=lambda s: s.lesson_id)
        if s.path is not None
    ]


def whole_id(summary: GroupSummary) -> str:
    """The id of the lesson of a whole group."""
    return HeldGroup(summary.module, group_of(summary)).whole_id


def levels(held: Sequence[GroupPath]) -> dict[str, Level]:
    """The level of each of these groups without any effect, by the id of its whole lesson."""
    baselines = segment_baselines("pm", [g.summary for g in held], 0.0, 1)
    shares = [share_of(g, g.path.fits[0]) for g in held]
    added = added_of(fsum(n * shift for n, shift in shares), fsum(n for n, _ in shares))
    return {whole_id(g.summary): level_of(g, g.path.fits[0], baselines, added) for g in held}


def test_a_course_covers_the_whole_window() -> None:
    """Count, mean and standard error are those of the trades, also of those older than the
    history."""
    lessons = {x.lesson_id: x for x in engine().lessons()}
    for group in groups(engine()):
        summary = group.summary
        cells, whole = summary.course, lessons[whole_id(summary)]
        assert cells[0].day == 0
        assert cells[-1].day - cells[0].day > 2 * HISTORY_DAYS
        assert len(cells) <= COURSE_CELLS + 1
        assert sum(c.n for c in cells) == summary.n == whole.n == 600
        assert sum(c.n * c.mean for c in cells) / summary.n == pytest.approx(whole.mean, abs=1e-7)


@pytest.mark.parametrize("window_days", [1, 90, 128, 129, 1000, 5000])
def test_a_course_has_a_bounded_number_of_cells(window_days: int) -> None:
    days = course_days(window_days * DAY_US)
    assert days >= 1
    assert window_days / days <= COURSE_CELLS
    exits = np.sort(np.random.default_rng(window_days).integers(0, window_days * DAY_US, 500))
    cells = course(exits, np.arange(500.0), window_days * DAY_US)
    assert sum(c.n for c in cells) == 500
    assert all(c.day % days == 0 for c in cells)
    assert [c.day for c in cells] == sorted({c.day for c in cells})
    moved = course(exits[100:], np.arange(500.0)[100:], window_days * DAY_US)
    assert moved[1:] == cells[-len(moved) :][1:], "the grid does not move with the window"


def noises(held: Sequence[GroupPath], found: Mapping[str, Level]) -> dict[str, float]:
    """The variance of each group's level, by the id of its whole lesson."""
    ids = [(whole_id(g.summary), g.summary) for g in held]
    return {i: noise_of(summary, found[i], CONFIG)[0] for i, summary in ids}


def spread_of(held: Sequence[GroupPath], found: Mapping[str, Level]) -> Spread:
    """How much the levels of these groups vary, in units of size of 1."""
    noise2 = noises(held, found)
    return Spread(
        beyond_chance(np.array([(found[i].mean, x) for i, x in noise2.items()]), 1.0),
        beyond_chance(
            np.array([(found[i].net, net_noise2(found[i], x)) for i, x in noise2.items()]), 1.0
        ),
        1.0,
    )


def test_levels_differ_as_far_as_they_do_beyond_chance() -> None:
    held = groups(engine())
    found = levels(held)
    spread, noise2 = spread_of(held, found), noises(held, found)
    assert spread.tau2 > 0
    for group in held:
        i = whole_id(group.summary)
        products = symmetric(noise_of(group.summary, found[i], CONFIG)[1].upper)
        assert group.summary.persistence is not None
        assert len(products) >= group.summary.persistence.blocks
        assert np.linalg.eigvalsh(products).min() >= -1e-9 * products.max()
        assert noise2[i] >= found[i].mean_sd ** 2
        pooled = pooled_level(found[i], noise2[i], spread)
        assert abs(pooled.mean) < abs(found[i].mean)
        assert pooled.mean * found[i].mean >= 0
        assert abs(pooled.net) < abs(found[i].net)
        assert pooled.net * found[i].net >= 0
        assert pooled.added == found[i].mean - found[i].net
    assert spread_of(held[::-1], found).tau2 == pytest.approx(spread.tau2)
    only = found[whole_id(held[0].summary)]
    beyond = max(only.mean**2 - noise2[whole_id(held[0].summary)], 0.0)
    assert spread_of(held[:1], found).tau2 == pytest.approx(
        (beyond + PRIOR_GROUPS * PRIOR_LEVEL_SD2) / (1.0 + PRIOR_GROUPS)
    )


def test_a_level_that_holds_is_its_mean_and_one_that_is_gone_is_not() -> None:
    """With full half-lives, an effect of the first third of three years is gone now; without them,
    its mean counts."""
    rng = np.random.default_rng(7)
    falling = [
        trade(
            f"f{i}",
            int(i * 1.5 * DAY_US),
            float(rng.normal(2.0 * (i < 200), 0.5)),
            {"x": str(i % 2)},
            home=False,
        )
        for i in range(600)
    ]
    holding = [
        trade(
            f"h{i}",
            int(i * 1.5 * DAY_US),
            float(rng.normal(0.6, 0.5)),
            {"x": str(i % 2)},
            home=False,
        )
        for i in range(600)
    ]
    of = learned({("pm.f", "add"): falling, ("pm.h", "add"): holding}, window_us=YEARS)
    held = groups(of)
    lessons = {x.lesson_id: x for x in of.lessons()}
    found = levels(held)
    now = {}
    for group in held:
        i = whole_id(group.summary)
        for weight in (0.0, 0.5, 1.0):
            effect = whole_effect(
                lessons[i], group, found[i], Counts(weight, weight, weight, 0.0, 0.0), -1.0, CONFIG
            )
            now[group.summary.pattern_key, weight] = effect.effect
    assert 0.3 < now["pm.f", 0.0] < 0.8
    assert abs(now["pm.f", 1.0]) < 0.1
    assert now["pm.f", 1.0] < now["pm.f", 0.5] < now["pm.f", 0.0]
    assert now["pm.h", 0.0] == pytest.approx(0.6, abs=0.1)
    assert now["pm.h", 1.0] == pytest.approx(0.6, abs=0.15)


def test_the_record_of_a_level_is_told_in_trades() -> None:
    held = groups(engine())
    found = levels(held)
    noise2 = noises(held, found)
    for group in held:
        i = whole_id(group.summary)
        evidence = record_of_level(group.summary, *coarse_level(found[i], noise2[i]), CONFIG)
        assert evidence.squares >= 0
        assert 0 < evidence.trades <= group.summary.n
    young = groups(learned({("pm.y", "add"): market(3, 25)}))
    lone = levels(young)
    i = whole_id(young[0].summary)
    assert (
        record_of_level(young[0].summary, lone[i].mean, 0.1, LearningConfig(n_min=10)).trades == 0
    )
