"""From figures to answers: each branch, and that a no needs evidence like a yes."""

from __future__ import annotations

import doctest
import math

import msgspec
import pytest

import app.audit.answers as answers
from app.audit.bootstrap import UNKNOWN, Estimate
from app.audit.document import (
    Decay,
    DoubleCounting,
    Overlap,
    Peer,
    Placebo,
    Regimes,
    Setting,
    Weight,
)
from app.audit.score import Score
from app.audit.variants import LEARNERS
from app.learning.common.config import LearningConfig

SURE = Estimate(0.2, 0.1, 0.3)
ZERO = Estimate(0.0, 0.0, 0.0)


def setting(
    name: str, value: Estimate = SURE, beyond: Estimate = ZERO, sized: float = 0.0
) -> Setting:
    return Setting(
        name=name,
        overrides=3,
        score=Score(value, value, 0.5, 0.1),
        slope=None,
        intercept=None,
        turnover=None,
        overlap=Overlap(decisions=9, matched=1.2, several=SURE),
        placebo=Placebo(real=3, counts=(1, 2), mean=1.5, share=0.5),
        beyond=None if name == "integrated" else Score(beyond, beyond, sized, 0.1),
        changed=2,
        greatest=0.4,
    )


def settings(
    value: Estimate = SURE, classic: Estimate = SURE, **beyond: Estimate
) -> dict[str, Setting]:
    made = {
        "integrated": setting("integrated", value),
        "classic": setting("classic", classic, beyond.get("classic", ZERO), 1.0),
    }
    for name in LEARNERS:
        key = name.replace(" ", "_").replace("-", "_")
        made[f"no {name}"] = setting(
            f"no {name}", value, beyond.get(key, ZERO), float(key in beyond)
        )
    return made


def regimes(attainable: Estimate, seen: bool = True) -> Regimes:
    return Regimes(seen=seen, gains=(), overall=UNKNOWN, attainable=attainable)


def forms(
    linear: Estimate, constant: Estimate = ZERO, skill: Estimate = SURE, trades: int = 100
) -> Decay:
    return Decay(
        trades=trades,
        effects=3,
        skill=skill,
        exponential_over_linear=linear,
        exponential_over_constant=constant,
        linear_over_constant=constant,
    )


@pytest.mark.parametrize(
    ("gain", "attainable", "expected"),
    [
        (Estimate(0.05, 0.03, 0.07), ZERO, "yes"),
        (ZERO, Estimate(0.0, -0.01, 0.01), "no"),
        (ZERO, Estimate(0.05, 0.03, 0.07), "not enough data"),
        (ZERO, Estimate(0.01, -0.01, 0.03), "not enough data"),
        (ZERO, UNKNOWN, "not enough data"),
        (Estimate(0.01, -0.02, 0.04), ZERO, "not enough data"),
        (Estimate(-0.05, -0.07, -0.03), Estimate(0.0, -0.01, 0.01), "no"),
    ],
)
def test_regimes(gain: Estimate, attainable: Estimate, expected: str) -> None:
    found = answers.regimes(settings(regime_weights=gain), regimes(attainable))
    assert (found.answer, found.material) == (expected, pytest.approx(0.02))
    assert "2 overrides of today are different" in found.switching


def test_without_an_edge_or_a_regime_nothing_is_said_of_regimes() -> None:
    unsure = Estimate(0.2, -0.1, 0.5)
    assert answers.regimes(settings(unsure), regimes(ZERO)).answer == "not enough data"
    assert "no clear value" in answers.regimes(settings(unsure), regimes(ZERO)).why
    assert answers.regimes(settings(), regimes(ZERO, seen=False)).answer == "not enough data"


@pytest.mark.parametrize(
    ("found", "expected", "words"),
    [
        (forms(Estimate(0.05, 0.02, 0.08)), "yes", "better than linear"),
        (forms(Estimate(-0.05, -0.08, -0.02), Estimate(0.1, 0.05, 0.2)), "no", "Edges fade"),
        (forms(Estimate(0.0, -0.001, 0.001)), "no", "hardly fade"),
        (forms(Estimate(0.01, -0.02, 0.05)), "not enough data", "interval includes both"),
        (
            forms(Estimate(0.05, 0.02, 0.08), skill=Estimate(0.1, -0.1, 0.3)),
            "not enough data",
            "clearly predicted",
        ),
        (forms(UNKNOWN, trades=0), "not enough data", "No effect"),
    ],
)
def test_decay(found: Decay, expected: str, words: str) -> None:
    question = answers.decays(settings(half_life=Estimate(0.01, 0.005, 0.02)), found)
    assert question.answer == expected
    assert words in question.why


@pytest.mark.parametrize(
    ("doubled", "expected"),
    [
        (Estimate(0.6, 0.5, 0.7), "yes"),
        (Estimate(0.02, 0.0, 0.05), "no"),
        (Estimate(0.08, 0.0, 0.2), "not enough data"),
    ],
)
def test_double_counting(doubled: Estimate, expected: str) -> None:
    found = DoubleCounting(
        decisions=50,
        repeated=doubled,
        doubled=SURE,
        matched=5.0,
        distinct=3.0,
        change=SURE,
        worth=ZERO,
    )
    assert answers.double_counting(settings(), found).answer == expected
    assert (
        "difference is negligible"
        in answers.double_counting(settings(), msgspec.structs.replace(found, change=ZERO)).why
    ) == (expected == "yes")
    none = msgspec.structs.replace(found, decisions=0, repeated=UNKNOWN)
    assert answers.double_counting(settings(), none).answer == "not enough data"


def test_what_to_set() -> None:
    def recommended(**given: Estimate) -> dict[str, str]:
        made = answers.switches(
            settings(**given), LearningConfig(half_life=False, latent_factors=True), forms(ZERO)
        )
        assert [s.now for s in made] == ["integrated", "off", "auto", "on", "auto"]
        return {s.variable.removeprefix("EDGELOOP_"): s.recommended for s in made}

    good, bad = Estimate(0.05, 0.02, 0.08), Estimate(-0.05, -0.08, -0.02)
    assert recommended(half_life=good, regime_weights=bad) == {
        "LEARNING": "integrated",
        "HALF_LIFE": "auto",
        "REGIME_WEIGHTS": "off",
        "LATENT_FACTORS": "auto",
        "SHARED_EFFECTS": "auto",
    }
    assert recommended(classic=SURE)["LEARNING"] == "integrated"
    worse = settings()
    worse["classic"] = setting("classic", SURE, bad, 1.0)
    assert answers.switches(worse, LearningConfig(), forms(ZERO))[0].recommended == "classic"


GOOD, BAD, CHANCE = (
    Estimate(0.05, 0.02, 0.08),
    Estimate(-0.05, -0.08, -0.02),
    Estimate(0.01, -0.05, 0.07),
)


@pytest.mark.parametrize("name", list(LEARNERS))
@pytest.mark.parametrize(
    ("adds", "always", "word", "begins"),
    [
        (GOOD, None, "auto", "It adds +"),
        (CHANCE, CHANCE, "auto", "It adds +"),
        (UNKNOWN, UNKNOWN, "auto", "It adds +"),
        (GOOD, GOOD, "on", "Always on, it adds +"),
        (CHANCE, BAD, "auto", "It adds +"),
        (GOOD, Estimate(0.01, 0.005, 0.015), "auto", "It adds +"),
        (Estimate(-0.002, -0.003, -0.001), None, "off", "It has a cost: -"),
        (BAD, None, "off", "It has a cost: -"),
        (BAD, GOOD, "off", "It has a cost: -"),
    ],
)
def test_a_default_is_kept_unless_something_else_was_surely_better(
    name: str, adds: Estimate, always: Estimate | None, word: str, begins: str
) -> None:
    key = name.replace(" ", "_").replace("-", "_")
    on = {} if always is None else {name: Score(always, always, 0.5, 0.1)}
    made = answers.switches(settings(**{key: adds}), LearningConfig(), forms(ZERO), on)
    switch = next(s for s in made if s.variable == f"EDGELOOP_{LEARNERS[name].upper()}")
    assert (switch.now, switch.recommended, switch.adds, switch.always) == (
        "auto",
        word,
        adds,
        always,
    )
    assert switch.reason.startswith(begins)
    assert [s.recommended for s in made[1:] if s is not switch] == ["auto"] * 3


def test_the_weights_of_now_are_told_with_the_advice() -> None:
    weights = [
        Weight(module="pm", category="entry", half_life=0.25, shared_effects=0.6, opened=1.0),
        Weight(module="pm", category="add", half_life=0.5, shared_effects=0.6, opened=0.0),
    ]
    made = {
        s.variable: s
        for s in answers.switches(
            settings(half_life=GOOD), LearningConfig(), forms(ZERO), {}, weights
        )
    }
    assert made["EDGELOOP_HALF_LIFE"].reason.endswith("a weight of 0.25 to 0.50 now (at most 1).")
    assert made["EDGELOOP_SHARED_EFFECTS"].reason.endswith("a weight of 0.60 now (at most 1).")
    assert "weight" not in made["EDGELOOP_LATENT_FACTORS"].reason


def peer(name: str, value: Estimate, beyond: Estimate) -> Peer:
    return Peer(
        name=name,
        score=Score(value, value, 1.0, 0.1),
        slope=None,
        beyond=Score(beyond, beyond, 1.0, 0.1),
    )


NOTHING = Estimate(0.0, -0.1, 0.1)


@pytest.mark.parametrize(
    ("ours", "means", "ridge", "words"),
    [
        (
            SURE, (Estimate(0.1, 0.0, 0.2), GOOD), (NOTHING, Estimate(0.2, 0.1, 0.3)),
            "it is worth running",
        ),
        (
            SURE, (SURE, Estimate(0.0, -0.02, 0.01)), (NOTHING, Estimate(0.2, 0.1, 0.3)),
            "mean of each group was worth as much: +0.2",
        ),
        (
            SURE, (NOTHING, Estimate(0.2, 0.1, 0.3)), (Estimate(0.3, 0.2, 0.4), BAD),
            "regression on all dimensions was worth more: +0.3",
        ),
        (
            SURE, (SURE, CHANCE), (NOTHING, CHANCE),
            "beside simple tools: a shrunk mean of each group was worth +0.2",
        ),
        (
            NOTHING, (NOTHING, CHANCE), (NOTHING, CHANCE),
            "Simple tools found nothing certain either",
        ),
        (
            NOTHING, (SURE, Estimate(-0.2, -0.4, 0.1)), (NOTHING, CHANCE),
            "Yet a shrunk mean of each group was worth +0.2",
        ),
        (UNKNOWN, (UNKNOWN, UNKNOWN), (UNKNOWN, UNKNOWN), ""),
    ],
)  # fmt: skip
def test_whether_it_is_worth_running_beside_simple_tools(
    ours: Estimate, means: tuple[Estimate, Estimate], ridge: tuple[Estimate, Estimate], words: str
) -> None:
    expected = answers.beside(settings(ours), [peer("group means", *means), peer("ridge", *ridge)])
    assert words in expected
    assert bool(words) == bool(expected)
    assert answers.beside(settings(ours), []) == ""


def test_without_an_edge_sizes_are_left_alone() -> None:
    unsure = Estimate(0.0, -0.1, 0.1)
    nothing = settings(unsure, unsure)
    assert not answers.has_edge(nothing)
    assert "Leave sizes unchanged" in answers.headline(nothing)
    assert (
        answers.switches(nothing, LearningConfig(), forms(ZERO))[0].recommended
        == "integrated (not applied to sizes)"
    )
    assert "too little data to judge" in answers.headline(settings(UNKNOWN, UNKNOWN))
    assert "by `classic` would" in answers.headline(settings(unsure))


def test_an_unknown_interval_is_never_an_answer() -> None:
    assert answers.answer(UNKNOWN, 0.1) == "not enough data"
    assert answers.answer(Estimate(5.0, -math.inf, math.inf), 0.1) == "not enough data"


def test_examples() -> None:
    result = doctest.testmod(answers)
    assert result.attempted
    assert not result.failed
