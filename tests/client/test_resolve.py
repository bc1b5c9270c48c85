"""`resolve`: the published vectors, the bounds, and an index that agrees with the plain loop."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeloop.canonical import CanonicalError
from edgeloop.lookup import GroupIndex
from edgeloop.overrides import Override
from edgeloop.prepared import contained, prepare, unix_seconds
from edgeloop.resolution import combine, resolve

ROOT = Path(__file__).parents[2]
CASES = json.loads((ROOT / "schemas/vectors/resolve.json").read_text())["cases"]
AT = datetime(2024, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_vectors(case: dict[str, Any]):
    overrides = [msgspec.convert(o, Override) for o in case["overrides"]]
    query = dict(case["query"])
    at = datetime.fromisoformat(query.pop("at"))
    found = resolve(overrides, at=at, **query)
    expected = case["expected"]
    assert found.multiplier == pytest.approx(expected["multiplier"], abs=1e-6)
    assert found.reason == expected["reason"], found.detail
    assert sorted(m.override_id for m in found.matches) == expected["matches"]
    if found.reason != "matched":
        assert found.multiplier == 1.0
    elif 0.3 < found.multiplier < 3.0:
        assert found.multiplier == pytest.approx(
            1 + sum(m.contribution for m in found.matches), abs=1e-12
        )


def test_the_golden_blend():
    (case,) = [c for c in CASES if c["name"].startswith("classic blend: (0.5·1·1.10")]
    assert case["expected"]["multiplier"] == 0.842452
    weights = [0.5, 0.5 * 2**1.5, 0.4 * 4**1.5]
    by_hand = sum(w * m for w, m in zip(weights, (1.10, 1.30, 0.60), strict=True)) / sum(weights)
    assert by_hand == pytest.approx(0.842452, abs=5e-7)


def test_the_old_form_of_a_key_gives_the_same_answer():
    overrides = [make("a", effect=0.4)]
    forms = ("pm.a.b", "a.b", "module=pm|pattern_key=a.b", "module=pm|pattern_key=pm.a.b")
    assert {resolve(overrides, form, "add", {}, AT).multiplier for form in forms} == {1.4}


def test_the_clock_is_used_without_a_time():
    day = timedelta(days=1)
    fresh = make("a", effect=0.4, expires_at=(datetime.now(UTC) + day).isoformat())
    old = make("b", effect=0.4, expires_at=(datetime.now(UTC) - day).isoformat())
    assert resolve([fresh, old], "pm.a.b", "add", {}).multiplier == 1.4


def test_matches_are_ordered_by_strength():
    overrides = [make("a", effect=0.1), make("b", effect=-0.5), make("c", effect=0.3)]
    assert [m.override_id for m in resolve(overrides, "pm.a.b", "add", {}, AT).matches] == [
        "b",
        "c",
        "a",
    ]


def make(override_id: str, **fields: Any) -> Override:
    time = "2024-03-01T00:00:00.000000Z"
    defaults: dict[str, Any] = {
        "learning": "integrated",
        "module": "pm",
        "pattern_key": "pm.a.b",
        "action_category": "add",
        "scope": {},
        "effect": 0.0,
        "effect_sd": None,
        "multiplier": 1.0,
        "confidence": 0.5,
        "n_trades": 40,
        "baseline": 0.0,
        "decay": {"state": "stable", "half_life_hours": None, "interval": None},
        "latent_factor_id": None,
        "covers": [],
        "regime_gains": {},
        "evidence": {"from": time, "to": time, "lesson_version": 1},
        "as_of": time,
        "expires_at": None,
        "version": 1,
    }
    return msgspec.convert(defaults | {"override_id": override_id} | fields, Override)


numbers = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from(
    [0.0, -0.0, 1e308, -1e308, 5e-324]
)
scopes = st.dictionaries(
    st.sampled_from(["chain", "bucket", "btc_macro"]), st.sampled_from(["a", "b", "S1"]), max_size=3
)
wild_values = (
    st.none()
    | st.booleans()
    | st.integers()
    | numbers
    | st.text(max_size=5)
    | st.lists(st.integers(), max_size=1)
)
wild_overrides = st.builds(
    make,
    st.text("abc", min_size=1, max_size=3),
    learning=st.sampled_from(["classic", "integrated", "other"]),
    scope=scopes,
    effect=numbers,
    multiplier=numbers,
    confidence=numbers,
    decay=st.fixed_dictionaries({"state": st.just("x"), "half_life_hours": st.none() | numbers}),
    regime_gains=st.dictionaries(
        st.sampled_from(["", "btc_macro=S1", "nonsense", "a=b|"]), numbers, max_size=2
    ),
    as_of=st.sampled_from(
        [
            "2024-03-01T00:00:00.000000Z",
            "9999-12-31T23:59:59.999999Z",
            "never",
            "2024-03-01T00:00:00",
        ]
    ),
)


@settings(max_examples=400)
@given(
    st.lists(wild_overrides, max_size=6),
    st.text(max_size=8) | st.just("a.b") | st.none(),
    st.sampled_from(["add", "exit", "", None]),
    st.dictionaries(st.sampled_from(["chain", "bucket", "btc_macro", "x"]), wild_values)
    | st.none(),
    st.none() | st.datetimes() | st.datetimes(timezones=st.just(UTC)),
)
def test_any_input_gives_an_answer_within_bounds(overrides, pattern, category, scope, at):
    """I11: for any records and any query."""
    found = resolve(overrides, pattern, category, scope, at)
    assert math.isfinite(found.multiplier)
    assert 0.3 <= found.multiplier <= 3.0
    if found.reason != "matched":
        assert found.multiplier == 1.0
        assert found.matches == ()


tame_overrides = st.lists(
    st.builds(
        make,
        st.uuids().map(lambda u: u.hex),
        learning=st.sampled_from(["classic", "integrated"]),
        scope=scopes,
        effect=st.floats(-1, 1),
        multiplier=st.floats(0.3, 3),
        confidence=st.floats(0, 1),
        decay=st.fixed_dictionaries(
            {"state": st.just("x"), "half_life_hours": st.none() | st.floats(1, 1000)}
        ),
        regime_gains=st.dictionaries(
            st.sampled_from(["", "btc_macro=S1", "bucket=a|btc_macro=S1"]),
            st.floats(0, 2),
            max_size=3,
        ),
    ),
    max_size=30,
    unique_by=lambda o: o.override_id,
)
contexts = st.dictionaries(
    st.sampled_from(["chain", "bucket", "btc_macro", "curator"]),
    st.sampled_from(["a", " a", "b", "S1", "S4", "unknown", "", 1, 1.0, True, None]),
)


@settings(max_examples=300)
@given(tame_overrides, contexts)
def test_the_index_finds_what_the_plain_loop_finds(
    overrides: list[Override], context: dict[str, object]
):
    prepared = [prepare(o) for o in overrides]
    by_loop = sorted(
        (p for p in prepared if contained(p.items, context)), key=lambda p: p.override_id
    )
    together = GroupIndex(prepared).match(context)
    by_index = [] if together is None else list(together.overrides)
    assert by_index == by_loop
    plain = resolve(overrides, "pm.a.b", "add", context, AT)
    if together is not None:
        assert together.at(context, unix_seconds(AT)).multiplier == pytest.approx(
            plain.multiplier, abs=1e-12
        )
        # The cached result for this context is used for another time.
        late = AT + timedelta(days=400)
        again = together.at(context, unix_seconds(late))
        assert again == combine(by_index, context, unix_seconds(late))
    else:
        assert plain.multiplier == 1.0


VALUES = ("1", 1, True, "1 ", 1.0, "2", None, [])


@pytest.mark.parametrize("first", VALUES, ids=repr)
@pytest.mark.parametrize("then", VALUES, ids=repr)
def test_what_is_remembered_of_one_value_is_not_said_of_another(first: object, then: object):
    """True equals 1 in Python, but not as a scope value; a list has no canonical value."""
    gained = make("a", scope={}, effect=0.2, regime_gains={"btc_macro=1": 2.0, "": 0.5})
    scoped = make("b", scope={"chain": "1"}, effect=0.1)
    index = GroupIndex([prepare(gained), prepare(scoped)])

    def multiplier(value: object) -> float:
        context = {"btc_macro": value, "chain": value}
        together = index.match(context)
        assert together is not None
        return together.at(context, unix_seconds(AT)).multiplier

    for value in (first, then, first):
        if isinstance(value, list):
            with pytest.raises(CanonicalError):
                multiplier(value)
        else:
            is_one = value is not True and value in ("1", "1 ", 1)
            assert multiplier(value) == pytest.approx(1.5 if is_one else 1.1)


def test_a_context_that_makes_up_values_is_left_as_it_is():
    context = defaultdict(lambda: "a", bucket="b")
    index = GroupIndex([prepare(make("a", scope={"chain": "a"}))])
    assert index.match(context) is None
    assert dict(context) == {"bucket": "b"}


@given(st.floats(0.01, 1), st.floats(0, 5000), st.floats(0, 5000), st.floats(1, 1000))
def test_decay_is_monotone_toward_neutral_and_keeps_the_sign(
    effect: float, early_h: float, late_h: float, half_life_h: float
):
    """I10, I17, in the reader: between any two times."""
    early_h, late_h = sorted((early_h, late_h))
    for sign in (1, -1):
        override = make(
            "a", effect=sign * effect, decay={"state": "decaying", "half_life_hours": half_life_h}
        )
        start = datetime(2024, 3, 1, tzinfo=UTC)
        first, then = (
            resolve([override], "a.b", "add", {}, start + timedelta(hours=h)).multiplier - 1
            for h in (early_h, late_h)
        )
        assert sign * first >= 0
        assert sign * then >= 0
        assert abs(then) <= abs(first)


def test_the_position_manager_needs_neither_faust_nor_postgres():
    source = (
        "import edgeloop, sys; print([m for m in ('faust', 'mode', 'asyncpg', 'numpy', 'aiokafka',"
        " 'click') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
