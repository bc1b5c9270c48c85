"""The document of an override: in worlds with planted truth, it shows the numbers that the core
used."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import msgspec
import pytest

from app.errors import BadDataError
from app.explain import OverrideDocument, explain_override
from app.explain.sections import sections
from app.learning.common.event_time import micros_from_text
from app.override_changes import OverrideChange
from app.settings import Settings
from tests.explain.making import DAY_US, learned, override_of
from tests.pipeline import planted

SETTINGS = Settings(n_min=15, max_dims=1)
ALONE = replace(SETTINGS, half_life=True, shared_effects=False)
"""Chosen effects only, with full half-lives."""


def document(
    trades: list[planted.Trade],
    pattern_key: str,
    trades_shown: int = 0,
    settings: Settings = SETTINGS,
    **scope: str,
) -> tuple[OverrideDocument, object]:
    known = learned(trades, settings, pattern_key)
    found = override_of(known, **scope)
    return explain_override(
        known, found.override_id, micros_from_text(found.as_of) + 1, trades=trades_shown
    ), known


def test_an_edge_that_fades() -> None:
    d, known = document(planted.half_life("pm", 20.0), "pm.edge.S1", 3, ALONE, chain="sol")
    assert d.in_force
    assert (d.evidence.n, d.evidence.n_now) == (200, 200)
    assert d.notes == ()
    # What the trades made beyond their group's level is exactly the estimated effect, to the
    # published digits.
    verdict = known.verdicts[d.override_id]
    assert d.evidence.beyond == pytest.approx(verdict.edge_raw, abs=2e-6)
    assert d.evidence.uplift == pytest.approx(d.evidence.mean - d.evidence.segments[0].baseline)
    assert [t.trade_id for t in d.evidence.trades] == ["e597", "e594", "e591"]
    assert d.search is not None
    assert d.search.module_hypotheses == d.search.group_hypotheses + 1
    assert d.search.statistic == pytest.approx(known.lessons[d.override_id].marginal.statistic)
    assert d.search.statistic > d.search.bar > 2.0
    assert d.search.share == 1.0
    assert f"{d.search.statistic:.2f} standard errors" in d.reason
    assert [(s.relation, s.scope, s.decision) for s in d.slices] == [("parent", {}, "neutral")]
    # The history by week is the history by day.
    assert d.decay.state == "decaying"
    assert 14 * 24 < d.decay.half_life_hours < 29 * 24
    assert len(d.decay.days) == 59
    assert sum(s.n for s in d.decay.stretches) == sum(day.n for day in d.decay.days) == 196
    made = [s.uplift for s in d.decay.stretches]
    assert made[0] > 1.4
    assert made[-1] < 0.4
    last = d.decay.days[-1]
    hours = (
        micros_from_text(d.override.as_of) - micros_from_text(f"{last.first_day}T12:00:00Z")
    ) / 3.6e9
    assert last.fitted == pytest.approx(d.override.effect * 2 ** (hours / d.decay.half_life_hours))
    assert d.gains == () or all(g.gain == 1.0 for g in d.gains)
    assert d.attribution is None


def test_what_regimes_make_of_an_edge_has_the_weights_behind_it() -> None:
    d, _ = document(planted.regimes("pm", 1.0), "pm.edge.S1", chain="eth")
    gains = {g.regime: g for g in d.gains}
    assert gains["btc_macro=S1"].gain > 1.0 > gains["btc_macro=S3"].gain
    assert {g.regime: g.gain for g in d.gains if g.gain != 1.0} == d.override.regime_gains
    for gain in (gains["btc_macro=S1"], gains["btc_macro=S3"]):
        assert gain.active
        computed = 1.0 + gain.offset + sum(term.adds for term in gain.terms)
        assert min(max(computed, 0.0), 2.5) == pytest.approx(gain.gain, abs=0.0051)
    assert [s.relation for s in d.slices][:1] == ["parent"]
    assert "beside" in {s.relation for s in d.slices}


def test_members_of_a_factor_and_children_that_were_considered() -> None:
    d, known = document(planted.factor("pm"), "pm.edge.S1", chain="sol")
    assert d.factor is not None
    groups = {(m.pattern_key, m.action_category) for m in d.factor.members}
    assert groups == {("pm.edge.S1", "entry"), ("pm.edge.S2", "add")}
    assert [m.representative for m in d.factor.members].count(True) == 1
    assert d.factor.members[0].representative
    assert d.factor.cohesion == pytest.approx(0.9)  # 108 of 120
    assert d.factor.factor_id == d.override.latent_factor_id
    world = planted.Log(seed=5)
    trades = [t for t in world.trades(900) if t.module == "pm"]
    known = learned(
        trades, Settings(n_min=15, max_dims=3, lessons_per_group=60), "pm.uptrend.S1.entry"
    )
    found = max(
        (c.record for c in known.changes if c.record.scope),
        key=lambda o: (-len(o.scope), o.n_trades),
    )
    d = explain_override(known, found.override_id, micros_from_text(found.as_of))
    assert d.evidence.n_now == found.n_trades
    own = found.scope.items()
    for s in d.slices:
        assert {
            "parent": s.scope.items() < own,
            "child": s.scope.items() > own,
            "alias": True,
            "beside": True,
        }[s.relation], s
    assert {"parent", "child"} <= {s.relation for s in d.slices}
    assert all(s.reason for s in d.slices)


def test_the_days_of_a_whole_group_are_told_relative_to_its_baseline() -> None:
    """Every trade of `edge.S1` earns 1 more than the trades of another pattern, which are four
    times as many and earn 2."""
    r = Random(4)
    trades = [
        planted.Trade(f"o{i}", "pm", i / 20, r.gauss(2.0, 0.5), planted.entry("other.S1", {}))
        for i in range(1_200)
    ]
    trades += [
        planted.Trade(f"e{i}", "pm", i / 5, r.gauss(3.0, 0.5), planted.entry("edge.S1", {}))
        for i in range(300)
    ]
    d, known = document(trades, "pm.edge.S1")
    raw = known.verdicts[d.override_id].edge_raw
    assert 0.7 < raw < 1.1
    days = d.decay.days
    assert sum(day.n * day.uplift for day in days) / sum(day.n for day in days) == pytest.approx(
        raw, abs=0.03
    )
    assert days[-1].predicted == pytest.approx(raw, abs=0.1)
    assert d.evidence.beyond == pytest.approx(raw, abs=0.01)  # here outcomes are not clipped
    assert d.search.statistic > d.search.bar


def test_a_whole_group_that_fades_is_held_against_what_it_made_over_the_window() -> None:
    """The rest of its edge does not include the level of the window's trades."""
    r = Random(5)
    trades = [
        planted.Trade(f"o{i}", "pm", i / 20, r.gauss(0.0, 0.4), planted.entry("other.S1", {}))
        for i in range(1_200)
    ]
    trades += [
        planted.Trade(
            f"e{i}", "pm", i / 5, r.gauss(2.0 * 2 ** (-i / 150), 0.4), planted.entry("edge.S1", {})
        )
        for i in range(300)
    ]
    d, known = document(trades, "pm.edge.S1")
    verdict = known.verdicts[d.override_id]
    assert 0.0 < verdict.edge < 0.9 * verdict.edge_raw, (
        "by the weight that half-lives of whole groups have"
    )
    assert d.evidence.beyond == pytest.approx(verdict.edge_raw, abs=0.02)


def test_classic_has_no_search_no_history_and_promises_nothing() -> None:
    settings = Settings(learning="classic", n_min=15, max_dims=1)
    known = learned(planted.lesson("pm", 1.0), settings, "pm.edge.S1")
    found = override_of(known, chain="sol")
    named = msgspec.structs.replace(
        known.facts[0],
        actions=(
            msgspec.structs.replace(
                known.facts[0].actions[0], applied_overrides=(found.override_id,)
            ),
        ),
    )
    d = explain_override(
        replace(known, facts=[named, *known.facts[1:]]),
        found.override_id,
        micros_from_text(found.as_of),
    )
    assert (d.search, d.gains, d.factor, d.decay.days, d.decay.stretches) == (
        None,
        (),
        None,
        (),
        (),
    )
    assert d.evidence.n_now == 100
    assert d.evidence.uplift == d.evidence.beyond == pytest.approx(d.evidence.mean - found.baseline)
    assert d.attribution.mean_multiplier == pytest.approx(found.multiplier)
    text = " ".join(sentence for section in sections(d) for sentence in section.sentences)
    assert "Every slice is judged alone" in text
    assert "It predicted" not in text
    assert "in units of rr: the sum of" in text


def test_history_retirement_and_expiry() -> None:
    known = learned(planted.lesson("pm", 1.0), SETTINGS, "pm.edge.S1")
    found = override_of(known, chain="sol")
    at = micros_from_text(found.as_of)
    assert not explain_override(known, found.override_id, at + 31 * DAY_US).in_force
    gone = replace(
        known, changes=[*known.changes, OverrideChange(found.override_id, 9, at + DAY_US, None)]
    )
    d = explain_override(gone, found.override_id, at + 2 * DAY_US)
    assert not d.in_force
    assert [(c.retired, c.multiplier) for c in d.history] == [
        (False, found.multiplier),
        (True, None),
    ]
    assert "The override is retired; this shows its last state." in d.notes
    with pytest.raises(BadDataError, match="Unknown override"):
        explain_override(known, "0" * 32, at)


def test_facts_that_do_not_agree_with_the_lesson_are_told() -> None:
    known = learned(planted.lesson("pm", 1.0), SETTINGS, "pm.edge.S1")
    found = override_of(known, chain="sol")
    fewer = replace(known, facts=known.facts[:150])
    (note,) = explain_override(fewer, found.override_id, micros_from_text(found.as_of)).notes
    assert note.startswith("The lesson counted 100 trades and the facts now hold 50")


def test_the_part_of_an_override_and_what_is_left_of_its_mean() -> None:
    known = learned(planted.half_life("pm", 20.0), SETTINGS, "pm.edge.S1")
    parts = {c.record.part for c in known.changes if c.record is not None}
    assert "selected" in parts
    assert parts <= {"selected", "shared"}
    for change in known.changes:
        assert change.record is not None
        d = explain_override(known, change.override_id, micros_from_text(change.record.as_of))
        w = d.weighing
        assert w is not None
        assert w.part == change.record.part
        assert all(0.0 <= x <= 1.0 for x in (w.half_life, w.shared_effects, w.open))
        if change.record.scope:
            assert w.mean is not None
            assert w.kept == pytest.approx(w.shared / w.mean)
            assert 0.0 < w.kept < 1.0
        text = " ".join(sentence for section in sections(d) for sentence in section.sentences)
        assert ("its evidence is sufficient alone" in text) == (w.part == "selected")
        assert ("does not pass alone" in text) == (w.part == "shared")
    alone = learned(planted.half_life("pm", 20.0), ALONE, "pm.edge.S1")
    found = override_of(alone, chain="sol")
    w = explain_override(alone, found.override_id, micros_from_text(found.as_of)).weighing
    assert (w.part, w.half_life, w.shared_effects, w.open) == ("selected", 1.0, 0.0, 0.0)
