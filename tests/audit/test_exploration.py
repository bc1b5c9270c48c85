"""Off-policy estimates compared with worlds whose truth is known."""

from __future__ import annotations

import json
from io import StringIO

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from app.audit import exploration
from app.audit.assess import audit
from app.audit.exploration import Drawn
from app.audit.trades import Decision, Module, into
from app.audit.walk_forward import SIZED, baseline_of
from app.audit.work import AuditPlan, run
from app.closes import explode
from app.kafka.skipped import Skipped
from app.learning.common.config import LearningConfig
from app.learning.common.event_time import DAY_US, text_from_micros
from app.learning.common.size_unit import unit_of_size
from app.report.page import page
from app.report.text import figure, show
from edgeloop.explore import explored, propensities, scaled
from edgeloop.resolution import Resolution
from schemas.events import Sizing

Floats = NDArray[np.float64]

EDGES = np.array([0.2, 0.8])
"""The learned effect, which is the true one of a unit at neutral size."""
IMPACT = 0.5
"""How much less a unit makes for each unit of size beyond neutral."""


def unit_outcome(edge: Floats, multiplier: Floats, impact: float = IMPACT) -> Floats:
    return edge - impact * (multiplier - 1.0)


def truth(scale: float, impact: float = IMPACT) -> float:
    """The exact worth, per decision, of sizing by `scale` beyond neutral sizes."""
    m = np.array([scaled(1.0 + e, scale) for e in EDGES])
    return float(np.mean(m * unit_outcome(EDGES, m, impact) - EDGES))


def world(seed: int, n: int, explore: float, impact: float = IMPACT) -> Drawn:
    """`n` decisions drawn by the reader's rule, ten per day."""
    rng = np.random.default_rng(seed)
    edge = rng.choice(EDGES, n)
    answers = [
        explored(
            Resolution(1.0 + float(e), "matched"), explore, "pm.a.b", "entry", f"{seed}/{i}"
        ).sizing
        for i, e in enumerate(edge)
    ]
    taken = np.array([a["multiplier"] for a in answers])
    u = unit_outcome(edge, taken, impact) + rng.normal(0, 1, n)
    p = np.array([a["propensity"] for a in answers])
    return Drawn(np.arange(n) // 10, 1.0 + edge, taken, p, u)


def test_the_draws_have_the_probabilities_that_they_log() -> None:
    drawn = world(1, 30_000, 0.3)
    for learned in 1.0 + EDGES:
        at = drawn.learned == learned
        for multiplier, p in propensities(float(learned), 0.3).items():
            share = float((drawn.taken[at] == multiplier).mean())
            assert share == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / at.sum()))


@pytest.mark.parametrize("impact", [0.0, IMPACT])
def test_the_estimates_find_what_each_policy_is_worth(impact: float) -> None:
    """Over many worlds the means equal the truth, and 90 % intervals contain it about that
    often."""
    worlds = [exploration.exploration(world(s, 2_000, 0.3, impact), 0, 0.3) for s in range(60)]
    for k, scale in enumerate(exploration.POLICIES.values()):
        for name in ("ips", "snips", "dr"):
            found = [getattr(w.policies[k], name) for w in worlds if w is not None]
            values = np.array([e.value for e in found])
            error = abs(values.mean() - truth(scale, impact))
            assert error < 3.5 * values.std() / np.sqrt(len(values)), (name, scale)
            held = np.mean([e.low <= truth(scale, impact) <= e.high for e in found])
            assert held >= 0.75, (name, scale, held)
    widths = {
        name: np.mean([getattr(w.policies[1], name).high - getattr(w.policies[1], name).low
                       for w in worlds if w is not None])
        for name in ("ips", "dr")
    }  # fmt: skip
    assert widths["dr"] < widths["ips"]


def test_chosen_sizes_alone_are_wrong_where_outcomes_depend_on_the_size() -> None:
    found = exploration.exploration(world(7, 40_000, 0.3), 0, 0.3)
    assert found is not None
    learned = found.policies[1]
    assert (
        truth(1.0) < -0.05 < 0.1 < found.on_chosen_sizes.low
    )  # sized up although that costs value
    for estimate in (learned.ips, learned.snips, learned.dr):
        assert estimate.low <= truth(1.0) <= estimate.high < 0.0
    # Without such an impact, chosen sizes give the right answer, too.
    honest = exploration.exploration(world(8, 40_000, 0.3, impact=0.0), 0, 0.3)
    assert honest is not None
    assert honest.on_chosen_sizes.low <= truth(1.0, 0.0) <= honest.on_chosen_sizes.high


def test_a_wrong_model_does_not_bias_the_estimate() -> None:
    """The outcome depends on the size by a step that no line fits; the propensities are right."""
    values, true = [], None
    for seed in range(40):
        drawn = world(seed, 2_000, 0.3, impact=0.0)
        u = drawn.u - 0.6 * ((drawn.taken > 1.15) & (drawn.taken < 1.25))
        found = exploration.exploration(drawn._replace(u=u), 0, 0.3)
        assert found is not None
        values.append(found.policies[1].dr.value)
        m = 1.0 + EDGES
        true = float(np.mean(m * (EDGES - 0.6 * ((m > 1.15) & (m < 1.25))) - EDGES))
    assert np.mean(values) == pytest.approx(true, abs=3.5 * np.std(values) / np.sqrt(40))


def closes(n: int, explore: float, outcome: str) -> dict[str, Module]:
    """The same world as closes, as a connected bot sends them."""
    rng = np.random.default_rng(3)
    modules: dict[str, Module] = {}
    take = into(modules, outcome)
    for i in range(n):
        edge = float(rng.choice(EDGES))
        answer = explored(
            Resolution(1.0 + edge, "matched", "", ("o-1",), (edge,)),
            explore, "pm.a.b", "entry", f"t{i}",
        )  # fmt: skip
        u = float(unit_outcome(np.array(edge), np.array(answer.multiplier)) + rng.normal())
        at = 1_700_000_000_000_000 + i * DAY_US // 10
        made = {"rr": u} if outcome == "rr" else {"pnl_usd": 100 * u * answer.multiplier}
        event = {
            "event_id": f"e{i}",
            "schema_version": 1,
            "trade_id": f"t{i}",
            "trade_summary": {"exit_timestamp": text_from_micros(at + DAY_US // 20), **made},
            "actions": [
                {
                    "ts": text_from_micros(at),
                    "pattern_key": "pm.a.b",
                    "action_category": "entry",
                    "applied_overrides": list(answer.applied),
                }
            ],
        }
        for fact in explode(
            json.dumps(event).encode(), 4_000_000_000_000, dimensions=("chain",), outcome=outcome
        ):
            take(fact)
    return modules


@pytest.mark.parametrize("outcome", ["rr", "pnl"])
def test_an_audit_of_closes_says_what_sizing_is_worth(outcome: str) -> None:
    config = LearningConfig(outcome=outcome, regime_signature=())
    plan = AuditPlan(closes(6_000, 0.4, outcome), config, SIZED, cuts=3, placebos=0, seed=1, jobs=1)
    done = run(plan)
    whole = audit(plan, done, "a test", [], Skipped(), 0.0)
    found = whole.exploration
    assert found is not None
    out = Console(file=StringIO(), width=160)
    show(whole, out)
    for text in (out.file.getvalue(), page(whole)):  # type: ignore[attr-defined]
        assert "one and a half times" in text
        assert figure(found.policies[1].dr) in text
        assert figure(found.on_chosen_sizes) in text
    assert f"{found.explored:,} of 6,000 decisions" in page(whole)
    assert found.decisions == 6_000
    assert found.unusable == 0
    assert found.share == pytest.approx(0.4)
    assert found.explored == pytest.approx(2_400, abs=200)
    # The average outcome of trades is not due to sizing, so it is subtracted from each unit.
    now, scale = done.now["pm"], 100.0 if outcome == "pnl" else 1.0
    baseline = baseline_of(now.baselines, 0.0)((None, None))
    unit = unit_of_size(outcome, now.summaries)
    for policy in found.policies:
        more = np.mean([scaled(1.0 + e, policy.scale) - 1.0 for e in EDGES])
        true = (scale * truth(policy.scale) - baseline * more) / unit
        assert policy.dr.low <= true <= policy.dr.high
    assert found.policies[1].dr.high < found.on_chosen_sizes.low


def test_without_a_logged_draw_there_is_nothing_to_say() -> None:
    decision = Decision(("pm.a", "entry"), {}, 0, 1, "t", 1.0, (None, None))
    drawn, unusable, share = exploration.drawn([decision], lambda segment: 0.0, 1.0, "rr")
    assert (exploration.exploration(drawn, unusable, share), unusable) == (None, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"multiplier": 1.3},
        {"propensity": 0.5},
        {"learned": 1.5},
        {"explore": 0.9},
        {"learned": 9.0},
    ],
    ids=str,
)
def test_draws_whose_numbers_do_not_fit_are_left_out_and_counted(wrong: dict[str, float]) -> None:
    right = {"multiplier": 1.4, "learned": 1.4, "propensity": 0.95, "explore": 0.05}
    decisions = [
        Decision(("pm.a", "entry"), {}, 0, 1, "t", 1.0, (None, None), Sizing(**sizing))
        for sizing in (right, right | wrong)
    ]
    drawn, unusable, _ = exploration.drawn(decisions, lambda segment: 0.5, 2.0, "rr")
    assert unusable == 1
    assert drawn.u.tolist() == [0.25]
