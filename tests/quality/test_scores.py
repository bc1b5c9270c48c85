"""Scores of answers with known worth: the truth itself, nothing, noise, clones."""

from __future__ import annotations

import doctest
from collections.abc import Mapping
from types import ModuleType

import msgspec
import numpy as np
import pytest

from app.learning.common.event_time import text_from_micros
from benchmarks.quality import figures, oracle
from benchmarks.quality import score as score_module
from benchmarks.quality.figures import Pool, Row
from benchmarks.quality.score import Answer, Cut, churn, score, truth_record
from benchmarks.quality.truth import Group, Planted, World, exit_micros
from benchmarks.quality.worlds import make
from edgeloop.identity import slice_id
from edgeloop.overrides import Evidence, Override, OverrideDecay

SEED = 7
DAY = 90.0


def override(
    group: Group,
    scope: Mapping[str, str],
    effect: float,
    half_life_hours: float | None = None,
    day: float = DAY,
    **more: object,
) -> Override:
    at = text_from_micros(exit_micros(day))
    interval = None if half_life_hours is None else (0.8 * half_life_hours, 1.3 * half_life_hours)
    fields: dict[str, object] = {
        "override_id": slice_id("pm", *group, scope),
        "learning": "integrated",
        "module": "pm",
        "pattern_key": group[0],
        "action_category": group[1],
        "scope": dict(scope),
        "effect": effect,
        "effect_sd": 0.1,
        "multiplier": float(np.clip(round(1 + effect, 2), 0.3, 3.0)),
        "confidence": 0.5,
        "n_trades": 50,
        "baseline": 0.0,
        "decay": OverrideDecay("stable", half_life_hours, interval),
        "latent_factor_id": None,
        "covers": (),
        "regime_gains": {},
        "evidence": Evidence(at, at, 1),
        "as_of": at,
        "expires_at": None,
        "version": 1,
    }
    return Override(**fields | more)  # type: ignore[arg-type]


def true_overrides(planted: Planted, day: float) -> list[Override]:
    """The true overrides of a planted slice at `day`."""
    now = planted.size * float(planted.profile(np.array([day]))[0])
    hours = None if planted.half_life_days is None else 24.0 * planted.half_life_days
    return [
        override(g, planted.scope, now, hours, day, regime_gains=dict(planted.gains))
        for g in planted.groups
    ]


def truthful(world: World) -> Answer:
    """The true answer at the first cut."""
    return Answer(
        [o for planted in world.planted for o in true_overrides(planted, world.calendar.cuts[0])],
        [],
        [],
        m=400,
    )


class Shared(Override, frozen=True, kw_only=True):
    """An override that is part of a common estimate of many effects, not selected by itself."""

    part: str = "shared"


def shared(o: Override) -> Shared:
    return Shared(**msgspec.structs.asdict(o) | {"part": "shared"})


FOUND = (
    "single",
    "strong",
    "nested",
    "overlapping",
    "opposite",
    "groups",
    "whole_groups",
    "sparse",
    "actions",
    "decaying_new",
    "decaying_midway",
    "threshold",
    "years_whole_groups",
    "years_slices",
    "years_decaying",
    "years_stopped",
    "years_shocks",
)


@pytest.mark.parametrize("family", [*FOUND, "regime_control", "clones_across_groups"])
def test_the_truth_scores_full_marks(family: str) -> None:
    records = []
    for index in range(1, 4):
        world = make(family, index, SEED)
        cut = Cut(world, world.calendar.cuts[0])
        records.append(
            {
                "family": family,
                "index": index,
                "setting": "known",
                **score(cut, truthful(cut.world)),
            }
        )
    assert figures.fdr(records) == 0.0
    assert figures.void(records) == 0.0
    assert figures.power(records) in (1.0, None)
    # the reader clamps as the oracle does
    assert figures.gain(records) == pytest.approx(1.0, abs=0.02)
    assert figures.calibration(records) == pytest.approx(1.0, abs=0.1)
    assert figures.rmse(records) == pytest.approx(0.0, abs=1e-9)


def test_the_truth_of_regimes_is_the_whole_gap() -> None:
    cut = Cut(make("regime_gains", 1, SEED), DAY)
    answer = Answer(
        [
            override(
                g,
                p.scope,
                p.size,
                regime_gains={f"btc_macro={state}": gain for state, gain in p.gains.items()},
            )
            for p in cut.world.planted
            for g in p.groups
        ],
        [],
        [],
        m=400,
    )
    assert figures.regime_gap([score(cut, answer)], [truth_record(cut)]) == pytest.approx(
        1.0, abs=1e-6
    )


def test_saying_nothing_is_neither_false_nor_of_use() -> None:
    record = score(Cut(make("single", 1, SEED), DAY), Answer([], [], [], m=400))
    assert record["n_overrides"] == record["n_false"] == record["n_void"] == 0
    assert record["power"] in ([0], [])
    assert figures.gain([record]) == 0.0
    assert figures.fdr([record]) is None


def test_an_override_of_the_wrong_sign_is_void_and_costs() -> None:
    cut = Cut(make("strong", 1, SEED), DAY)
    (planted,) = cut.world.planted
    record = score(cut, Answer([override(planted.groups[0], planted.scope, -0.5)], [], [], m=400))
    assert (record["n_false"], record["n_void"], record["power"]) == (0, 1, [0])
    assert (figures.gain([record]) or 0.0) < -1.0


def test_an_override_beside_the_planted_slice_is_false() -> None:
    cut = Cut(make("single", 1, SEED), DAY)
    (planted,) = cut.world.planted
    dim = next(iter(planted.scope))
    parent = override(planted.groups[0], {dim: planted.scope[dim]}, 0.25)
    neutral = override(planted.groups[0], {}, 0.001)
    record = score(cut, Answer([parent, neutral], [], [], m=400))
    assert (record["n_overrides"], record["n_false"]) == (1, 1)


def test_what_is_shared_is_sized_by_but_not_judged_by_itself() -> None:
    cut = Cut(make("single", 1, SEED), DAY)
    (planted,) = cut.world.planted
    right = shared(override(planted.groups[0], planted.scope, planted.size))
    wrong = shared(override(planted.groups[0], {}, -0.2))
    record = score(cut, Answer([right, wrong], [], [], m=400))
    assert (record["n_overrides"], record["n_false"], record["n_void"], record["effects"]) == (
        0,
        0,
        0,
        [],
    )
    assert record["power"] in ([0], [])
    predicted = np.where(cut.world.has(planted.scope)[cut.decided], planted.size - 0.2, -0.2)
    assert record["sums"][3] == pytest.approx(predicted @ predicted)
    world = {"family": "null_gaussian", "index": 1, **record}
    assert figures.worlds_with_selected([world]) == 0.0
    assert figures.worlds_with_any([world]) == 1.0
    assert figures.mean_square([world]) == pytest.approx(np.mean(predicted**2))


def test_many_shares_below_the_grid_are_something_said() -> None:
    cut = Cut(make("null_gaussian", 1, SEED), DAY)
    little = [
        shared(override(g, {}, 0.004, override_id=f"o{k}", multiplier=1.0))
        for g in cut.world.groups
        for k in range(2)
    ]
    assert score(cut, Answer(little[:1], [], [], m=400))["any"] is False
    assert score(cut, Answer(little, [], [], m=400))["any"] is True


def test_where_every_slice_has_an_effect_none_is_false() -> None:
    cut = Cut(make("dense", 1, SEED), DAY)
    dim, value = cut.world.dims[0], cut.world.values[0][0]
    record = score(cut, Answer([override(cut.world.groups[0], {dim: value}, 0.2)], [], [], m=400))
    assert (record["n_overrides"], record["n_false"], record["n_judged"]) == (1, 0, 1)


def test_half_lives_are_scored_where_they_can_be_known() -> None:
    cut = Cut(make("decaying_from_start", 1, SEED), DAY)
    (planted,) = cut.world.planted
    (scored,) = score(cut, truthful(cut.world))["half_lives"]
    assert planted.half_life_days is not None
    assert scored[:4] == pytest.approx(
        [24 * planted.half_life_days * share for share in (1.0, 1.0, 0.8, 1.3)]
    )
    assert score(cut, Answer([], [], [], m=400))["half_lives"] == [
        [24 * planted.half_life_days, None, None, None, scored[4]]
    ]


def test_churn_counts_what_moves() -> None:
    group = ("pm.a", "add")
    one, moved = override(group, {"x": "1"}, 0.5), override(group, {"x": "1"}, 0.52)
    within_the_grid = override(group, {"x": "1"}, 0.501)
    other = override(group, {"x": "2"}, 0.5)
    assert churn([one], [one]) == [0, 0]
    assert churn([one], [moved]) == [1, 1]
    assert churn([one], [within_the_grid]) == [0, 1]
    assert churn([one], [other]) == [2, 2]


def test_a_worst_row_is_that_of_the_worst_family() -> None:
    def record(family: str, found: list[int]) -> dict[str, object]:
        return {"family": family, "index": 0, "setting": "integrated", "power": found}

    pool = Pool([record("single", [1, 1, 1, 0]), record("strong", [1])])
    worst = Row("", figures.power, ("constant",), low=0.8, worst="min")
    assert worst.measure(pool, "integrated") == 0.75
    assert worst.met(0.75) is False
    assert Row("", figures.power, ("constant",), low=0.8).measure(pool, "integrated") == 0.8


def test_the_adjusted_rand_index_is_that_of_pair_counts() -> None:
    perfect, chance = {"factor_pairs": [5, 0, 0, 40]}, {"factor_pairs": [1, 4, 8, 32]}
    assert figures.adjusted_rand([perfect]) == 1.0
    assert figures.adjusted_rand([chance]) == 0.0
    assert figures.adjusted_rand([{"factor_pairs": []}]) is None


@pytest.mark.parametrize("module", [figures, oracle, score_module], ids=lambda m: m.__name__)
def test_the_examples_in_the_docstrings(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
