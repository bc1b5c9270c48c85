"""Placebos, near-duplicates, forms of decay, gains by regime: each on data with known
properties."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

import app.audit.decay
import app.audit.placebo
from app.audit import decay, placebo
from app.audit.bootstrap import BLOCK_US, UNKNOWN, Estimate, Resampler
from app.audit.duplicates import representatives
from app.audit.regime_gains import REST, gains
from app.audit.timeline import Slices, Timeline
from app.audit.variants import variants
from app.audit.walk_forward import MODEL, Judgements
from app.learning.common.config import LearningConfig
from app.learning.engine import Engine
from tests.audit.making import DAY_US, START_US, fact, market, module_of

CONFIG = LearningConfig(n_min=20, regime_signature=())


# -- what was known when


def test_what_is_known_at_a_time_is_what_a_window_would_hold() -> None:
    facts = market(1, n=500)
    facts += [
        fact("t0490", START_US + 130 * DAY_US, 9.0, {"d0": "1"}, revision=1),
        fact("t0010", START_US + 120 * DAY_US, 9.0, revision=1),
    ]
    module = module_of(facts)
    timeline = Timeline(module, CONFIG, ("entry",))
    for day in (0.1, 60, 110, 122, 140):
        cut_us = START_US + round(day * DAY_US)
        whole = Engine(CONFIG)
        whole.fold(
            {
                group: [t for t in trades if t.exit_us <= cut_us]
                for group, trades in module.trades.items()
            }
        )
        part = Engine(CONFIG)
        part.fold(timeline.known(cut_us))
        assert part.learn() == whole.learn()
        assert part.lessons() == whole.lessons()
    assert timeline.known(START_US - 1) == {}
    assert timeline.end_us == START_US + 130 * DAY_US


def test_slices_find_a_scope_in_one_action_of_a_trade() -> None:
    trades = module_of(
        [
            fact("a", START_US, 1.0, {"x": "1", "y": "1"}, {"x": "2"}),
            fact("b", START_US, 1.0, {"x": "2", "y": "1"}),
        ]
    ).trades
    slices = Slices(trades["pm.a.b", "entry"])
    assert slices.members({"x": "2"}).tolist() == [True, True]
    assert slices.members({"x": "2", "y": "1"}).tolist() == [False, True]
    assert (
        slices.members({"x": "3"}).tolist() == slices.members({"z": "1"}).tolist() == [False, False]
    )
    assert slices.members({}).tolist() == [True, True]


# -- placebos


@pytest.mark.parametrize("n", [2, 5, 24, 25, 100, 1000])
def test_stretches_change_places_as_wholes_and_none_stays(n: int) -> None:
    for seed in range(20):
        source = placebo.permutation(n, np.random.default_rng(seed))
        assert sorted(source.tolist()) == list(range(n))
        broken = np.count_nonzero(np.diff(source) % n != 1)
        assert broken <= placebo.STRETCHES
        assert (source != np.arange(n)).mean() > 0.85


def test_outcomes_change_places_and_nothing_else_does() -> None:
    both = [
        f
        for i, f in enumerate(market(2, n=200))
        for f in (
            [f, fact(f.trade_id, START_US + i * DAY_US // 4 + DAY_US // 2, f.rr, category="add")]
        )
    ]
    known = Timeline(module_of(both), CONFIG, ("entry",)).known(START_US + 1000 * DAY_US)
    shuffled = placebo.shuffled(known, 5)
    assert shuffled == placebo.shuffled(known, 5) != placebo.shuffled(known, 6)
    for group, trades in known.items():
        mine = shuffled[group]
        assert [t._replace(outcome=0.0) for t in mine] == [t._replace(outcome=0.0) for t in trades]
        assert sorted(t.outcome for t in mine) == sorted(t.outcome for t in trades)
    entry, add = (shuffled["pm.a.b", category] for category in ("entry", "add"))
    assert {t.trade_id: t.outcome for t in entry} == {t.trade_id: t.outcome for t in add}


def test_a_real_edge_is_gone_from_a_placebo() -> None:
    known = Timeline(module_of(market(3, n=400)), CONFIG, ("entry",)).known(
        START_US + 1000 * DAY_US
    )
    home = set(known)
    assert (
        placebo.counted(placebo.overrides_of("pm", known, CONFIG, home)["integrated"], ("entry",))
        >= 1
    )
    false = [
        placebo.overrides_of("pm", placebo.shuffled(known, seed), CONFIG, home) for seed in range(8)
    ]
    assert sum(placebo.counted(found["integrated"], ("entry",)) for found in false) <= 1
    assert sum(placebo.counted(found["classic"], ("entry",)) for found in false) > 16
    assert placebo.counted(false[0]["classic"], ("exit",)) == 0


# -- the same evidence twice


def test_clones_have_one_representative_and_others_their_own() -> None:
    facts = [
        fact(
            f"t{i:03d}",
            START_US + i * DAY_US // 8,
            float(i % 5),
            {"a": str(i % 3), "b": str(i % 3), "c": str(i % 4)},
        )
        for i in range(300)
    ]
    known = Timeline(module_of(facts), CONFIG, ("entry",)).known(START_US + 1000 * DAY_US)
    engine = Engine(variants(LearningConfig(n_min=20, max_dims=1, edge_min=0.0))["classic"])
    engine.fold(known)
    overrides = {o.override_id: o for o in engine.learn()}
    lead = representatives(overrides.values(), known, 0.7)
    assert set(lead) == set(overrides)
    for i, representative in lead.items():
        (mine,), (theirs,) = (
            overrides[i].scope.items() or [("", "")],
            overrides[representative].scope.items() or [("", "")],
        )
        if mine[0] in ("a", "b"):
            assert theirs[0] in ("a", "b")
            assert mine[1] == theirs[1]
        else:
            assert i == representative
    assert representatives([], known, 0.7) == {}


# -- how edges change


def fading(
    form: str, seed: int, n: int = 240, half_gone_h: float = 600.0, horizon_h: float = 720.0
) -> decay.TrackedEffect:
    """`n` trades over 1 200 hours and half as many in the 720 after them."""
    rng = np.random.default_rng(seed)
    hours, later = (
        np.sort(rng.uniform(0.0, 1200.0, n)),
        np.sort(rng.uniform(1200.0, 1200.0 + horizon_h, n // 2)),
    )

    def made(at: np.ndarray) -> np.ndarray:
        return np.asarray(
            decay.shapes(form, at, np.array([half_gone_h]))[0] + 0.3 * rng.standard_normal(len(at))
        )

    engine = Engine(CONFIG)
    engine.fold(module_of(market(1, n=100)).trades)
    engine.learn()
    return decay.TrackedEffect(
        engine.lessons()[0],
        hours,
        made(hours),
        0.3,
        np.round(later * 3.6e9).astype(np.int64),
        made(later),
    )


@pytest.mark.parametrize("form", decay.FORMS)
def test_each_form_foretells_itself_best(form: str) -> None:
    """Summed over several effects; both other forms include a constant."""
    effects = [
        fading(form, seed, half_gone_h=np.inf if form == "constant" else 350.0) for seed in range(6)
    ]
    nothing, *scored = decay.densities(effects).log_density.mean(axis=0)
    found = dict(zip(decay.FORMS, scored, strict=True))
    assert max(found.values()) > nothing
    if form == "constant":
        assert max(found.values()) - min(found.values()) < 0.05 * (found[form] - nothing)
    else:
        assert found[form] == max(found.values())
        assert found[form] > found["constant"] + 0.05


def test_a_half_life_is_seen_again() -> None:
    e = fading("exponential", 1, n=2000, half_gone_h=350.0)
    found = decay.fit("exponential", e.hours, e.uplift, e.noise_sd)
    now, later = found.curve(np.array([600.0, 950.0]))
    assert later / now == pytest.approx(0.5, abs=0.03)


def test_an_effect_that_nobody_asked_for_scores_nothing() -> None:
    e = fading("constant", 1)
    found = decay.densities([e._replace(after_us=e.after_us[:0], after=e.after[:0])])
    assert (found.n_effects, found.log_density.shape) == (0, (0, 4))
    assert decay.together([]).log_density.shape == (0, 4)


def test_effects_are_those_that_passed_with_what_each_trade_made_beyond_the_others() -> None:
    module = module_of(market(5, n=480))
    timeline = Timeline(module, CONFIG, ("entry",))
    cut_us = START_US + 90 * DAY_US
    engine = Engine(variants(CONFIG)["integrated"])
    known = timeline.known(cut_us)
    engine.fold(known)
    engine.learn()
    (effect,) = (
        e
        for e in decay.effects(engine, known, timeline.asked(cut_us, 2**62))
        if e.lesson.scope == {"d0": "0"}
    )
    assert effect.uplift.mean() == pytest.approx(2.0, abs=0.4)
    assert effect.after.mean() == pytest.approx(2.0, abs=0.6)
    assert len(effect.uplift) == effect.lesson.n
    assert effect.after_us.min() > cut_us


# -- regimes


def judged(gain: tuple[float, float], seed: int, n: int = 4000, level: float = 0.4) -> Judgements:
    """Half of `n` decisions have a prediction of 0.8, of which a given part is realised in each of
    two regimes; each regime has a level of its own."""
    rng = np.random.default_rng(seed)
    regime = rng.integers(0, 2, n)
    c = np.where(rng.random(n) < 0.5, 0.8, 0.0)
    uplift = c * np.array(gain)[regime] + np.array([level, -level])[regime] + rng.standard_normal(n)
    at = np.sort(rng.uniform(0, 24, n)).astype(np.int64)
    one = np.ones(n, np.int64)
    return Judgements(
        at,
        at * BLOCK_US,
        uplift,
        np.array(["m=S0", "m=S1"])[regime],
        {MODEL: 1.0 + c},
        {MODEL: one},
        c,
        np.zeros(n),
        one,
        np.ones(n),
        {},
        {},
    )


def test_gains_are_seen_and_the_level_of_a_regime_is_none() -> None:
    found = judged((1.5, 0.5), 1)
    measured = gains(found, Resampler(found.cut_us, 1))
    assert [g.regime for g in measured.regimes] == ["m=S0", "m=S1"]
    for g, true in zip(measured.regimes, (1.5, 0.5), strict=True):
        assert g.gain.low < true < g.gain.high
    # ½ · var(c) · var(gain)
    assert measured.attainable.value == pytest.approx(0.5 * 0.16 * 0.25, abs=0.008)
    assert measured.attainable.low > 0


def test_where_regimes_make_no_difference_nothing_is_attainable() -> None:
    held = 0
    for seed in range(30):
        found = judged((1.0, 1.0), seed, n=1000)
        measured = gains(found, Resampler(found.cut_us, seed))
        held += measured.attainable.low <= 0.0
        assert abs(measured.attainable.value) < 0.01
    assert held >= 27


def test_rare_regimes_are_put_together_and_none_is_no_error() -> None:
    found = judged((1.0, 1.0), 1, n=400)
    rare = found.regime.copy()
    rare[:20] = "m=S9"
    measured = gains(found._replace(regime=rare), Resampler(found.cut_us, 1))
    assert [g.regime for g in measured.regimes] == ["m=S0", "m=S1", REST]
    nothing = found._replace(blend=np.zeros(400))
    assert gains(nothing, Resampler(found.cut_us, 1)).attainable == UNKNOWN
    assert gains(
        nothing._replace(own=found.blend), Resampler(found.cut_us, 1)
    ).attainable == Estimate(0.0, 0.0, 0.0)
    alone = gains(found._replace(regime=np.full(400, "m=S0")), Resampler(found.cut_us, 1))
    assert len(alone.regimes) == 1
    assert np.isinf(alone.attainable.high)


@pytest.mark.parametrize("module", [app.audit.decay, app.audit.placebo])
def test_examples(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted
    assert not result.failed
