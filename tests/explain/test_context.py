"""Why a context resolves to what it does: every reason for finding nothing, and the numbers
otherwise."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.explain import ContextDocument, Known, explain_context
from app.learning.common.event_time import text_from_micros
from app.override_changes import OverrideChange
from app.settings import Settings
from edgeloop.overrides import OverrideDecay
from edgeloop.resolution import resolve
from tests.audit.making import fact
from tests.explain.making import DAY_US, START_US, by_hand, learned, override
from tests.pipeline import planted

DIMENSIONS = ("x", "y", "btc_macro")
GROUPS = {("pm.a.b", "entry"), ("pm.a.b", "exit"), ("pm.other.S1", "entry")}
AT = START_US + DAY_US
FACTS = [fact(f"t{i}", START_US + i, 1.0, {"x": str(i % 2), "y": "1"}) for i in range(8)]


def explained(
    known: Known,
    scope: dict[str, str],
    asked: str = "a.b",
    category: str = "entry",
    at_us: int = AT,
) -> ContextDocument:
    return explain_context(
        known, asked, category, scope, at_us, dimensions=DIMENSIONS, groups=GROUPS
    )


def known(*changes: OverrideChange, **changed: Any) -> Known:
    return by_hand(
        changes or [OverrideChange("a", 1, START_US, override("a", 0.5, {"x": "1"}))],
        FACTS,
        **changed,
    )


def test_what_matches_adds_up_to_what_the_reader_says() -> None:
    fading = override(
        "b", -0.2, {}, decay=OverrideDecay("decaying", 24.0), regime_gains={"btc_macro=S1": 0.5}
    )
    several = known(
        OverrideChange("a", 1, START_US, override("a", 0.5, {"x": "1"})),
        OverrideChange("b", 1, START_US, fading),
    )
    scope = {"x": "1", "btc_macro": "S1"}
    d = explained(several, scope)
    assert d.pattern_key == "pm.a.b"
    assert [(m.override_id, m.state, m.effect, m.gain, m.gain_regime) for m in d.matches] == [
        ("a", "matched", 0.5, 1.0, None), ("b", "matched", -0.2, 0.5, "btc_macro=S1"),
    ]  # fmt: skip
    assert d.matches[1].fade == 0.5
    for m in d.matches:
        assert m.contribution == pytest.approx(m.effect * m.gain * m.fade)
    assert d.multiplier == pytest.approx(1.0 + 0.5 - 0.05)
    assert d.because == ("2 overrides of the group match the context.",)


def test_keys_that_do_not_count() -> None:
    d = explained(
        known(),
        {"x": " 1 ", "btc_macro": "S4", "y": "unknown", "btc_marco": "S1", "zz": "9", "note": ""},
    )
    assert d.scope == {"x": "1"}
    why = {x.name: x.why for x in d.ignored}
    assert set(why) == {"btc_macro", "y", "btc_marco", "zz", "note"}
    assert "did you mean btc_macro?" in why["btc_marco"]
    assert why["zz"] == "It is not one of EDGELOOP_DIMENSIONS"
    assert why["y"] == why["btc_macro"] == "The value means unknown."


def test_an_override_that_has_expired() -> None:
    old = override("a", 0.5, {"x": "1"}, expires_at=text_from_micros(AT))
    d = explained(known(OverrideChange("a", 1, START_US, old)), {"x": "1"})
    assert (d.multiplier, d.reason, [m.state for m in d.matches]) == (1.0, "no_match", ["expired"])
    assert d.because[0].startswith("The matching overrides have expired")
    assert (
        explained(known(OverrideChange("a", 1, START_US, old)), {"x": "1"}, at_us=AT - 1).multiplier
        == 1.5
    )


def test_overrides_that_nearly_match() -> None:
    far = override("far", 0.9, {"x": "3", "y": "3"})
    d = explained(
        known(
            OverrideChange("near", 1, START_US, override("near", 0.5, {"x": "1", "y": "2"})),
            OverrideChange("far", 1, START_US, far),
        ),
        {"x": "1"},
    )
    assert [
        (n.override_id, [(x.dimension, x.wanted, x.given) for x in n.differs]) for n in d.near
    ] == [
        ("near", [("y", "2", None)]),
        ("far", [("x", "3", "1"), ("y", "3", None)]),
    ]
    assert d.because[0] == "The group's overrides have other scopes."
    assert (d.n_group, d.n_context) == (8, 4)


def test_too_few_trades_and_a_value_that_was_never_seen() -> None:
    d = explained(known(), {"x": "1", "y": "7"}, at_us=AT)
    assert d.multiplier == 1.5
    d = explained(
        known(OverrideChange("z", 1, START_US, override("z", 0.5, {"x": "9"}))),
        {"x": "1", "y": "7"},
    )
    assert (
        "Of the 8 trades in the group's window, 0 match this context; a slice needs 3 to be judged."
        in d.because
    )
    assert "No trade of the group has y=7." in d.because
    assert [(v.dimension, v.n) for v in d.values] == [("x", 4), ("y", 0)]


def test_no_such_group_and_what_may_have_been_meant() -> None:
    d = explained(known(), {}, asked="a.b", category="trim")
    assert d.n_group is None
    assert d.similar[:2] == ("pm.a.b entry", "pm.a.b exit")
    assert d.because[0] == "No trade of pm.a.b trim is known."
    d = explained(known(), {}, asked="othr.S1")
    assert d.similar == ("pm.other.S1 entry",)
    assert explained(known(), {}, asked="quite.different.thing").similar == ()


@pytest.mark.parametrize("asked", ["pm", "a b", "", "module=xm|pattern_key=a.b"])
def test_a_key_without_a_canonical_form(asked: str) -> None:
    d = explained(known(), {"x": "1"}, asked=asked)
    assert (d.pattern_key, d.multiplier, d.reason) == (None, 1.0, "error")
    assert d.because[0].startswith("The position manager gets × 1: CanonicalError")


def test_the_overrides_are_those_of_the_time() -> None:
    changed = known(
        OverrideChange("a", 1, START_US, override("a", 0.5, {"x": "1"})),
        OverrideChange("a", 2, START_US + 2 * DAY_US, override("a", -0.3, {"x": "1"})),
        OverrideChange("a", 3, START_US + 3 * DAY_US, None),
    )
    found = [
        explained(changed, {"x": "1"}, at_us=START_US + day * DAY_US).multiplier
        for day in (1, 2, 3, 4)
    ]
    assert found == pytest.approx([1.5, 0.7, 1.0, 1.0])
    early = known(OverrideChange("a", 1, START_US + 9 * DAY_US, override("a", 0.5, {"x": "1"})))
    d = explained(early, {"x": "1"})
    assert d.multiplier == 1.5
    assert d.notes == (
        ("Nothing was published by then, so the current overrides are shown instead."),
    )


def test_of_a_module_that_has_learned() -> None:
    settings = Settings(n_min=15, max_dims=1, shared_effects=False)
    module = learned(planted.lesson("pm", 1.0), settings, "pm.edge.S1")
    at_us = module.changes[0].published_us
    groups = {("pm.edge.S1", "entry")}
    scope = {"chain": "sol", "A_mode": "fast"}
    d = explain_context(
        module, "edge.S1", "entry", scope, at_us, dimensions=settings.dimensions, groups=groups
    )
    overrides = [c.record for c in module.changes if c.record is not None]
    at = datetime.fromtimestamp(at_us / 1e6, UTC)
    assert d.multiplier == resolve(overrides, "edge.S1", "entry", scope, at).multiplier > 1.5
    assert d.lessons[0].decision == "override"
    assert d.lessons[0].scope == {"chain": "sol"}
    scope = {"chain": "eth"}
    d = explain_context(
        module, "edge.S1", "entry", scope, at_us, dimensions=settings.dimensions, groups=groups
    )
    assert d.multiplier == 1.0
    own = next(x for x in d.lessons if x.scope == scope)
    assert own.decision == "neutral"
    assert f"Its own slice, chain=eth, is neutral: {own.reason}" in d.because
    assert (d.n_group, d.n_context) == (300, 100)
