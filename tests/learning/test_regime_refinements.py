"""A difference that a module's gains explain in a regime is not counted again by a slice within
that regime."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from app.learning.common.config import LearningConfig
from app.learning.integrated.net_of_segments import Effect
from app.learning.integrated.quality_metrics import METRICS
from app.learning.integrated.regime_refinements import coarser, refined, refinements_of
from app.learning.integrated.regime_weights import RegimeWeights
from app.learning.methods import module_judge
from benchmarks.quality.run import Stream
from benchmarks.quality.worlds import make
from edgeloop.overrides import Override
from schemas.lessons import LessonDecay, Metrics
from tests.learning.making import GROUPS, learned, market

SIGNATURE = ("btc_macro",)


def effects(
    *, edge: float, difference: float, sd: float, part: str = "selected"
) -> dict[str, Effect]:
    """A slice of 400 trades with an edge, and its difference in S1, where 100 of them are."""
    [whole] = [x for x in learned({GROUPS[0]: market(1, 60)}).lessons() if not x.scope]
    metrics = Metrics(**dict.fromkeys(METRICS, 0.5))

    def effect(name: str, scope: dict[str, str], n: int, size: float, of: str) -> Effect:
        lesson = msgspec.structs.replace(whole, lesson_id=name, scope=scope, n=n, metrics=metrics)
        state = LessonDecay(state="stable")
        return Effect(lesson, 9.0, 1.0, size, sd, size, sd, state, 0.0, whole.as_of, of)

    return {
        "slice": effect("slice", {"chain": "sol"}, 400, edge, "selected"),
        "in S1": effect("in S1", {"btc_macro": "S1", "chain": "sol"}, 100, difference, part),
        "other": effect("other", {"btc_macro": "S1", "intent": "x"}, 100, 0.3, "selected"),
    }


def weights(gain: float) -> list[RegimeWeights]:
    offset = np.append(gain - 1.0, np.zeros(len(METRICS)))
    some, centre = np.ones(len(offset)), np.full(len(METRICS), 0.5)
    of_s1 = (("btc_macro", "S1"),)
    return [RegimeWeights(of_s1, 90, 400, offset, some, 0.001, gain != 1.0, offset, centre)]


def beside(found: dict[str, Effect], weights: list[RegimeWeights]) -> dict[str, Effect]:
    return refined(found, refinements_of(found, SIGNATURE), weights)


def test_without_gains_nothing_changes() -> None:
    found = effects(edge=0.8, difference=-0.6, sd=0.1)
    assert beside(found, weights(1.0)) == found
    assert beside(found, []) == found


def test_a_difference_that_the_gain_tells_is_silent_and_the_edge_is_that_over_all_regimes() -> None:
    found = beside(effects(edge=0.8, difference=-0.6, sd=0.1), weights(0.2 / 0.65))
    assert found["slice"].effect == pytest.approx(0.8 - 0.6 / 4)
    assert found["in S1"].effect == pytest.approx(0.0)
    assert found["other"].effect == 0.3


def test_what_the_gain_does_not_tell_stays_as_far_as_it_is_sure() -> None:
    found = beside(effects(edge=0.8, difference=-1.6, sd=0.1), weights(0.5))
    blend = 0.8 - 1.6 / 4
    left = 0.8 - 1.6 - blend * 0.5
    assert found["in S1"].effect == pytest.approx(left * (1 - 0.1**2 / left**2))


def test_a_shared_difference_gives_way() -> None:
    found = beside(effects(edge=0.8, difference=-0.1, sd=0.1, part="shared"), weights(0.5))
    assert found["in S1"].effect == 0.0


def test_a_gain_that_hardly_acts_hardly_changes_anything() -> None:
    before = effects(edge=0.8, difference=-0.6, sd=0.1)
    after = beside(before, weights(0.99))
    for name, effect in after.items():
        assert effect.effect == pytest.approx(before[name].effect, abs=0.04)


def test_changes_add_up_to_a_fresh_judgement_where_gains_act_on_chopped_slices() -> None:
    """Groups arrive one by one, so that gains change after overrides of slices have been
    published."""
    world = make("regime_gains", 4, 31)
    stream = Stream(world, LearningConfig())
    stream.up_to(world.calendar.cuts[0])
    records = [*stream.engine.lessons(), *stream.engine.summaries()]
    groups = sorted({(r.pattern_key, r.action_category) for r in records})
    judge, held = module_judge(stream.engine.config, "pm"), dict[str, Override]()
    for version, group in enumerate(groups, 1):
        judge.fold([r for r in records if (r.pattern_key, r.action_category) == group])
        changes = judge.judge(version).overrides
        held |= {o.override_id: o for o in changes.published}
        for gone in changes.retired:
            del held[gone]
    fresh = module_judge(stream.engine.config, "pm")
    fresh.fold(records)
    wanted = {o.override_id: o for o in fresh.judge(len(groups)).overrides.published}
    gaining = [o.scope for o in wanted.values() if o.regime_gains]
    chopped = [coarser(o.scope, stream.engine.config.regime_signature) for o in wanted.values()]
    assert any(scope in chopped for scope in gaining)
    assert {i: unversioned(o) for i, o in held.items()} == {
        i: unversioned(o) for i, o in wanted.items()
    }


def unversioned(override: Override) -> Override:
    evidence = msgspec.structs.replace(override.evidence, lesson_version=0)
    return msgspec.structs.replace(override, version=0, evidence=evidence)
