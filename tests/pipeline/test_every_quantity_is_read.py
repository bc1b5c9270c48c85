"""Every learned quantity is used: events change it, and an override with it; with its learner off,
the override does not change.

For each quantity there are two modules with the same trades.  Then more events come for one of
them, and the overrides of the two are compared; and again after restarts with one learner off each.
Shared effects are off until a last restart, so that the other quantities are visible by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from math import exp2
from typing import Any, NamedTuple

import pytest

from app.settings import Settings
from edgeloop import OverrideBook
from edgeloop.scope import canonical_text
from schemas import kinds
from tests.pipeline import planted
from tests.pipeline.compare import until_right
from tests.pipeline.in_process import check_integrated, engines
from tests.pipeline.installation import FIXED_DATES, Installation
from tests.pipeline.test_integrated import restart_with
from tests.pipeline.trades import START

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(240)]

SETTINGS = {"n_min": 15, "max_dims": 1, "half_life": True, "shared_effects": False, **FIXED_DATES}
END = START + timedelta(days=60)
LEARNERS = ("half_life", "regime_weights", "latent_factors")

FIRST = [
    trade
    for name in ("", "-moved")
    for trade in (
        *planted.lesson(f"lesson{name}", 1.0),
        *planted.baseline(f"baseline{name}"),
        *planted.others(f"baseline{name}", 0.0),
        *planted.half_life(f"half-life{name}", 1e9),
        *planted.regimes(f"regimes{name}", 0.5),
        *planted.factor(f"factor{name}"),
    )
]
MORE = [
    *planted.lesson("lesson-moved", -1.0, revision=1),
    *planted.others("baseline-moved", 1.2, revision=1),
    *planted.half_life("half-life-moved", 15.0, revision=1),
    *planted.regimes("regimes-moved", 1.0, revision=1),
    *planted.more_adds("factor", shared=True),
    *planted.more_adds("factor-moved", shared=False),
]

SOL = {"chain": "sol"}


class Shot(NamedTuple):
    """The published records, and the position manager's answers, at one time."""

    published: dict[str, dict[str, dict[str, Any]]]
    book: dict[str, Any]

    def override(
        self, module: str, pattern: str = "edge.S1", category: str = "entry", **scope: str
    ) -> dict[str, Any]:
        """The only override of a slice."""
        wanted = {
            "module": module,
            "pattern_key": f"{module}.{pattern}",
            "action_category": category,
            "scope": scope,
        }
        (found,) = [
            o for o in self.published[kinds.OVERRIDES].values() if wanted.items() <= o.items()
        ]
        return found

    def multiplier(self, question: str) -> float:
        """The answer to one of `QUESTIONS`."""
        assert self.book[question].reason == "matched"
        return float(self.book[question].multiplier)

    def of(self, topic: str, module: str) -> list[dict[str, Any]]:
        """The records of a module in a topic."""
        return [record for record in self.published[topic].values() if record["module"] == module]


# Name → module, pattern, category, scope, days after the newest exit.
QUESTIONS: dict[str, tuple[str, str, str, dict[str, str], float]] = {
    f"{module}{name}{detail}": (f"{module}{name}", *asked)
    for name in ("", "-moved")
    for module, detail, *asked in (
        ("lesson", "", "edge.S1", "entry", SOL, 0.0),
        ("baseline", "", "edge.S1", "entry", SOL, 0.0),
        ("half-life", "", "edge.S1", "entry", SOL, 0.0),
        ("half-life", " later", "edge.S1", "entry", SOL, 10.0),
        ("regimes", " S1", "edge.S1", "entry", {"chain": "base", "btc_macro": "S1"}, 0.0),
        ("regimes", " S3", "edge.S1", "entry", {"chain": "base", "btc_macro": "S3"}, 0.0),
        ("factor", "", "edge.S1", "entry", SOL, 0.0),
        ("factor", " add", "edge.S2", "add", SOL, 0.0),
    )
}


def shot(installation: Installation) -> Shot:
    """Wait until the published records equal those of the core in this process; then take a
    snapshot."""

    async def ask() -> dict[str, Any]:
        async with OverrideBook(
            installation.settings.broker, topic_prefix=installation.settings.topic_prefix
        ) as book:
            assert await book.ready(30)
            return {
                name: book.resolve(
                    pattern, category, scope, END + timedelta(days=days), module=module
                )
                for name, (module, pattern, category, scope, days) in QUESTIONS.items()
            }

    published = (
        kinds.OVERRIDES,
        kinds.BASELINES,
        kinds.REGIME_WEIGHTS,
        kinds.FACTORS,
        kinds.LESSONS,
    )
    return Shot({topic: installation.current(topic) for topic in published}, asyncio.run(ask()))


class Shots(NamedTuple):
    """Before and after the events that move the quantities, and without each learner."""

    before: Shot
    after: Shot
    without: dict[str, Shot]


@pytest.fixture(scope="module")
def shots(install: Callable[..., Installation]) -> Shots:
    installation = install(**SETTINGS)
    installation.start_ready()
    installation.produce(planted.closes(FIRST))
    installation.until_idle(90)
    before = shot(installation)
    installation.produce(planted.closes(MORE))
    installation.until_idle(90)
    after = shot(installation)
    everything = planted.closes([*FIRST, *MORE])
    with_all = installation.settings
    without: dict[str, Shot] = {}
    for learner, changed in (
        *((name, {name: False}) for name in LEARNERS),
        ("selected alone", {"shared_effects": None}),
    ):
        settings: Settings = replace(with_all, **changed)
        restart_with(installation, settings)
        expected = engines(everything, settings)
        until_right(
            installation, lambda expected=expected: check_integrated(installation, expected)
        )
        without[learner] = shot(installation)
    installation.kill_all()
    return Shots(before, after, without)


def test_before_there_is_no_difference(shots: Shots):
    """Otherwise the comparisons below would compare two logs, not the effect of the later
    events."""
    for name in QUESTIONS:
        if "-moved" in name:
            assert shots.before.multiplier(name) == shots.before.multiplier(
                name.replace("-moved", "")
            )
    for name in ("lesson", "baseline", "half-life", "regimes S1", "regimes S3"):
        assert shots.after.multiplier(name) == shots.before.multiplier(name)


def test_a_lesson_is_read(shots: Shots):
    """I18: a lesson, through the running pipeline."""
    still, moved = (
        shots.after.override("lesson", **SOL),
        shots.after.override("lesson-moved", **SOL),
    )
    assert still["multiplier"] > 1.8
    assert moved["multiplier"] < 0.5
    assert shots.after.multiplier("lesson-moved") == 0.3
    assert shots.after.multiplier("lesson") == pytest.approx(1 + still["effect"])


def test_a_baseline_is_read(shots: Shots):
    """I18: the trades behind the override are the same, and so is its lesson; the baseline of their
    segments changes."""

    def lesson(module: str) -> tuple[Any, ...]:
        (found,) = [r for r in shots.after.of(kinds.LESSONS, module) if r.get("scope") == SOL]
        return found["n"], found["mean"], found["variance"], found["marginal"]

    def baseline(module: str) -> float:
        (found,) = [
            r["mean"]
            for r in shots.after.of(kinds.BASELINES, module)
            if (r["bucket"], r["timeframe"]) == ("micro", "1h")
        ]
        return float(found)

    assert lesson("baseline") == lesson("baseline-moved")
    assert baseline("baseline-moved") > baseline("baseline") + 0.4
    still, moved = (
        shots.after.override("baseline", **SOL),
        shots.after.override("baseline-moved", **SOL),
    )
    assert moved["baseline"] > still["baseline"] + 0.1
    assert moved["effect"] < still["effect"] - 0.2
    assert moved["multiplier"] < still["multiplier"]
    assert shots.after.multiplier("baseline-moved") < shots.after.multiplier("baseline") - 0.2


def test_a_half_life_is_read(shots: Shots):
    """I18: a half-life, through the running pipeline."""
    still, moved = (
        shots.after.override("half-life", **SOL),
        shots.after.override("half-life-moved", **SOL),
    )
    assert (still["decay"]["state"], still["decay"]["half_life_hours"]) == ("stable", None)
    assert moved["decay"]["state"] == "decaying"
    hours = moved["decay"]["half_life_hours"]
    assert 0.6 * 15 * 24 < hours < 1.5 * 15 * 24
    assert moved["effect"] < 0.25 * still["effect"]
    # In the reader it continues until the next trade.
    faded = (shots.after.multiplier("half-life-moved later") - 1) / (
        shots.after.multiplier("half-life-moved") - 1
    )
    assert faded == pytest.approx(exp2(-10 * 24 / hours))
    assert shots.after.multiplier("half-life later") == shots.after.multiplier("half-life")
    # Without the learner, the edge is its mean over the window, and stays so.
    without = shots.without["half_life"]
    assert without.override("half-life-moved", **SOL)["decay"] == {
        "state": "stable",
        "half_life_hours": None,
        "interval": None,
    }
    assert without.override("half-life-moved", **SOL)["effect"] > 3 * moved["effect"]
    assert without.multiplier("half-life-moved later") == without.multiplier("half-life-moved")


def test_a_regime_weight_is_read(shots: Shots):
    """I18: a regime weight, through the running pipeline."""

    def active(shot: Shot, module: str) -> set[str]:
        return {
            record["regime"] for record in shot.of(kinds.REGIME_WEIGHTS, module) if record["active"]
        }

    both = {"btc_macro=S1", "btc_macro=S3"}
    assert (active(shots.after, "regimes"), active(shots.after, "regimes-moved")) == (set(), both)
    still = shots.after.override("regimes", chain="base")
    moved = shots.after.override("regimes-moved", chain="base")
    assert still["regime_gains"] == {}
    assert moved["effect"] == pytest.approx(still["effect"], abs=0.02)
    gains = moved["regime_gains"]
    assert gains.keys() == both
    assert gains["btc_macro=S1"] > 1.2
    assert gains["btc_macro=S3"] < 0.8
    assert shots.after.multiplier("regimes S1") == shots.after.multiplier("regimes S3")
    for regime in ("S1", "S3"):
        expected = 1 + moved["effect"] * gains[canonical_text({"btc_macro": regime})]
        assert shots.after.multiplier(f"regimes-moved {regime}") == pytest.approx(expected)
    without = shots.without["regime_weights"]
    assert without.published[kinds.REGIME_WEIGHTS] == {}
    assert all(
        override["regime_gains"] == {} for override in without.published[kinds.OVERRIDES].values()
    )
    assert without.multiplier("regimes-moved S1") == without.multiplier("regimes-moved S3")


def test_a_latent_factor_is_read(shots: Shots):
    """I18: shared trades make two overrides one piece of evidence, with one effect; separate trades
    separate them again."""

    def both(shot: Shot, module: str) -> tuple[dict[str, Any], dict[str, Any]]:
        return shot.override(module, **SOL), shot.override(module, "edge.S2", "add", **SOL)

    for of_one, of_other in (
        both(shots.before, "factor"),
        both(shots.before, "factor-moved"),
        both(shots.after, "factor"),
    ):
        assert of_one["latent_factor_id"] == of_other["latent_factor_id"] is not None
        assert of_one["effect"] == of_other["effect"]
        assert of_one["n_trades"] > of_other["n_trades"]
    factors = {record["factor_id"]: record for record in shots.after.of(kinds.FACTORS, "factor")}
    one, other = both(shots.after, "factor")
    factor = factors[one["latent_factor_id"]]
    assert factor["representative"] == one["override_id"]
    assert {one["override_id"], other["override_id"]} <= set(factor["members"])
    assert shots.after.of(kinds.FACTORS, "factor-moved") == []
    one, other = both(shots.after, "factor-moved")
    assert (one["latent_factor_id"], other["latent_factor_id"]) == (None, None)
    assert one["effect"] != other["effect"]
    assert shots.after.multiplier("factor") == shots.after.multiplier("factor add")
    assert shots.after.multiplier("factor-moved") != shots.after.multiplier("factor-moved add")
    without = shots.without["latent_factors"]
    assert without.published[kinds.FACTORS] == {}
    for module in ("factor", "factor-moved"):
        one, other = both(without, module)
        assert (one["latent_factor_id"], other["latent_factor_id"]) == (None, None)
        assert one["effect"] != other["effect"]


@pytest.mark.parametrize("off", LEARNERS)
def test_each_learner_is_switched_by_itself(shots: Shots, off: str):
    shot = shots.without[off]
    claimed = shot.override("half-life-moved", **SOL)["decay"]["half_life_hours"] is not None
    assert [
        claimed,
        bool(shot.published[kinds.REGIME_WEIGHTS]),
        bool(shot.published[kinds.FACTORS]),
    ] == [off != name for name in LEARNERS]


def test_what_is_shared_is_read(shots: Shots):
    """I18: with shared effects there are overrides of slices that do not pass alone; without them
    there are none."""
    shared = shots.without["selected alone"]

    def parts(shot: Shot) -> set[str]:
        return {override["part"] for override in shot.published[kinds.OVERRIDES].values()}

    assert parts(shots.after) == {"selected"}
    assert parts(shared) == {"selected", "shared"}
    assert shared.override("lesson", **SOL)["part"] == "selected"
    assert shared.multiplier("lesson") == pytest.approx(shots.after.multiplier("lesson"), abs=0.4)
    weak = [
        o
        for o in shared.published[kinds.OVERRIDES].values()
        if o["part"] == "shared" and o["scope"]
    ]
    lessons = {record["lesson_id"]: record for record in shared.published[kinds.LESSONS].values()}
    assert weak
    assert all(lessons[o["override_id"]]["marginal"]["shared"] for o in weak)
