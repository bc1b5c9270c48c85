"""Two sets of overrides side by side: what counts as a difference, how large it is, and its
reason."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.audit.differences import Sides, differences, sides
from app.audit.variants import LEARNERS, always, variants
from app.learning.common.config import LearningConfig
from edgeloop.overrides import Override, OverrideDecay
from tests.audit.making import market, module_of

CONFIG = LearningConfig(n_min=20, regime_signature=())


@pytest.fixture(scope="module")
def found() -> Sides:
    """An edge that halves every ten days."""
    return sides(
        "pm", module_of(market(1, edge=lambda day: 4.0 * 2 ** (-day / 10), n=240)).trades, CONFIG
    )


@pytest.fixture(scope="module")
def one() -> Override:
    """An override of a constant edge."""
    overrides = sides("pm", module_of(market(2, n=400)).trades, CONFIG).overrides["integrated"]
    return next(o for o in overrides if o.scope == {"d0": "0"})


def changed(one: Override, **how: Any) -> Override:
    return msgspec.structs.replace(one, **how)


def test_what_a_reader_is_told_alike_is_no_difference(one: Override) -> None:
    assert differences([one], [changed(one, version=9, n_trades=1, effect_sd=9.0)], []) == []


def test_what_one_side_alone_has_is_told_with_the_reason(one: Override, found: Sides) -> None:
    verdict = next(v for v in found.verdicts if v.lesson_id != one.override_id)
    theirs = changed(one, override_id=verdict.lesson_id, multiplier=1.25, effect=0.25)
    (first, second) = differences([one], [theirs], [verdict])
    assert (first.ours, first.theirs, first.of) == (one, None, one)
    assert first.reason == "Not among the strongest slices of its group."
    assert (second.ours, second.theirs, second.of, second.reason) == (
        None,
        theirs,
        theirs,
        verdict.reason,
    )
    assert first.size == pytest.approx(one.multiplier - 1.0)
    assert second.size == 0.25


def test_a_half_life_is_a_difference_and_what_classic_calls_one_is_not(one: Override) -> None:
    fading = OverrideDecay("decaying", 48.0, (24.0, 96.0))
    assert len(differences([one], [changed(one, decay=fading)], [])) == 1
    assert differences([one], [changed(one, decay=fading, learning="classic")], []) == []


def test_gains_count_for_how_large_a_difference_is(one: Override) -> None:
    (difference,) = differences(
        [changed(one, effect=0.5, multiplier=1.5, regime_gains={"m=S1": 2.0})],
        [changed(one, multiplier=1.5)],
        [],
    )
    assert difference.size == pytest.approx(0.5)


def test_the_greatest_comes_first(one: Override) -> None:
    others = [changed(one, override_id=f"{i}", multiplier=m) for i, m in enumerate((1.2, 3.0, 0.5))]
    assert [d.of.multiplier for d in differences([], others, [])] == [3.0, 0.5, 1.2]


def test_sides_say_what_each_way_of_learning_does(found: Sides) -> None:
    assert set(found.overrides) == {*variants(CONFIG)}
    assert {
        o.learning
        for name, overrides in found.overrides.items()
        for o in overrides
        if name != "classic"
    } == {"integrated"}
    (change,) = (d for d in found.learner("half-life") if d.of.scope == {"d0": "0"})
    assert change.theirs is not None
    assert change.theirs.decay.half_life_hours is None
    assert change.theirs.effect > 2.0 * (change.ours.effect if change.ours else 0.0)
    assert found.learner("regime weights") == []


def test_the_order_of_trades_is_irrelevant(found: Sides) -> None:
    facts = market(1, edge=lambda day: 4.0 * 2 ** (-day / 10), n=240)[::-1]
    assert sides("pm", module_of(facts).trades, CONFIG) == found


def test_variants_differ_in_what_their_names_say() -> None:
    made = variants(LearningConfig(half_life=False, learning="classic", max_dims=0))
    on = {
        name: tuple(getattr(c, switch) for switch in LEARNERS.values()) for name, c in made.items()
    }
    assert on["integrated"] == (None, None, None, None)
    assert [on[f"no {name}"].index(False) for name in LEARNERS] == [0, 1, 2, 3]
    assert all(sum(switch is None for switch in on[f"no {name}"]) == 3 for name in LEARNERS)
    assert {
        name: (c.half_life, c.shared_effects)
        for name, c in always(LearningConfig(half_life=False)).items()
    } == {
        "half-life": (True, None),
        "shared effects": (None, True),
    }
    assert (made["classic"].learning, made["classic"].max_dims, made["integrated"].max_dims) == (
        "classic",
        0,
        0,
    )
    assert variants(LearningConfig())["classic"].max_dims == 3
