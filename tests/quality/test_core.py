"""The core in small worlds of every family, one cut each, with bounds that are wider than the
targets.

`python -m benchmarks.quality` measures; these tests show when something is broken.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.quality import figures
from benchmarks.quality.run import run_world
from benchmarks.quality.score import Record
from benchmarks.quality.worlds import FAMILIES, make

SEED = 11


def scores(
    kind: str,
    indices: Sequence[int],
    settings: Sequence[str] = ("integrated",),
    families: Sequence[str] = (),
) -> dict[str, list[Record]]:
    """The scores by setting, including `truth`, of worlds of a kind of family (of these families
    only, if given)."""
    found: dict[str, list[Record]] = {name: [] for name in ("truth", *settings)}
    for family in families or [f for f in FAMILIES if FAMILIES[f].kind == kind]:
        for index in indices:
            world = make(family, index, SEED)
            for record in run_world(world, settings, cuts=world.calendar.cuts[:1], churn_days=()):
                found[record["setting"]].append(record)
    return found


def at_least(value: float | None, bound: float) -> bool:
    return value is not None and value >= bound


def at_most(value: float | None, bound: float) -> bool:
    return value is not None and value <= bound


def lost(records: Sequence[Record]) -> float:
    """Σ(u − p)²: twice the gain of sizing by the truth that sizing by p misses."""
    _, _, _, pp, pu, uu = figures.summed(records)
    return float(pp - 2.0 * pu + uu)


def test_noise_is_left_alone() -> None:
    records = scores("null", range(1))["integrated"]
    assert at_most(figures.worlds_with_selected(records), 0.2)
    assert at_most(figures.false_slices(records), 0.001)
    assert at_most(figures.mean_square(records), 0.002)


def test_classic_takes_noise_for_edges() -> None:
    """The purpose of the benchmark: it distinguishes the two settings."""
    records = scores("segments", range(1), ("classic",))["classic"]
    assert at_least(figures.false_slices(records), 0.5)


def test_segments_that_differ_are_no_edge() -> None:
    assert at_most(figures.worlds_with_selected(scores("segments", range(2))["integrated"]), 0.0)


def test_constant_effects_are_found() -> None:
    found = scores("constant", range(1), ("integrated", "no shared effects"))
    records = found["no shared effects"]
    assert at_most(figures.fdr(records), 0.33)
    assert at_most(figures.void(records), 0.25)
    assert at_least(figures.power(records), 0.8)
    assert at_most(abs(figures.bias(records) or 0.0), 0.1)
    assert at_least(figures.gain(records), 0.8)
    # With them, an override has a part of an effect, and the slices above and below it have the
    # rest: the sum counts.
    assert at_least(figures.power(found["integrated"]), 0.8)
    assert at_least(figures.gain(found["integrated"]), 0.8)


@pytest.mark.parametrize("family", ["decaying_from_start", "decaying_new", "decaying_fast"])
def test_decaying_effects_fade(family: str) -> None:
    records = scores(FAMILIES[family].kind, range(1, 4), ("integrated", "no half-life"), [family])
    assert at_most(figures.half_life_error(records["integrated"]), 0.5)
    assert lost(records["integrated"]) < 0.5 * lost(records["no half-life"])


def test_changing_effects_are_followed() -> None:
    records = scores("changing", range(1, 3), ("integrated", "no half-life"))
    assert lost(records["integrated"]) < lost(records["no half-life"])
    assert at_least(figures.gain(scores("improving", range(1, 4))["integrated"]), 0.1)


def test_effects_that_depend_on_the_market_are_of_use() -> None:
    records = scores("regime", range(1), ("integrated", "no regime weights"))
    assert at_least(figures.gain(records["integrated"]), 0.5)
    assert all(gain == 1.0 for r in records["no regime weights"] for _, gain in r["gains"])


def test_without_dependence_on_the_market_gains_are_1() -> None:
    assert at_least(figures.neutral_gains(scores("regime_control", range(1))["integrated"]), 0.9)


def test_the_same_evidence_counts_once() -> None:
    records = scores("clones", range(2))["integrated"]
    assert at_most(figures.clone_change(records), 0.01)
    assert at_least(figures.adjusted_rand(records), 0.9)
    assert at_least(figures.gain(records), 0.8)


def test_effects_that_hold_for_years_are_found() -> None:
    records = scores("years", range(2), families=["years_whole_groups", "years_slices"])[
        "integrated"
    ]
    assert at_least(figures.power(records), 0.8)
    assert at_least(figures.gain(records), 0.6)


def test_worlds_of_many_small_effects_are_scored_against_the_mixed_model() -> None:
    records = scores("dense", range(1), families=["dense", "dense_groups"])
    assert at_most(figures.share_of_mixed_model(records["integrated"], records["truth"]), 1.0)
    assert at_least(figures.gain(records["truth"], "mixed model"), 0.3)
