"""Canonical forms and ids: properties over arbitrary input, and cases that the vectors cannot
have."""

from __future__ import annotations

import doctest
import json
import math
import os
import subprocess
import sys
from enum import StrEnum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeloop import identity, pattern_key, scope
from edgeloop.canonical import CanonicalError, member
from edgeloop.identity import baseline_id, check_category, factor_id, group_id, regime_id, slice_id
from edgeloop.pattern_key import canonical_pattern_key
from edgeloop.scope import (
    DEFAULT_DIMENSIONS,
    REGIME_DIMENSIONS,
    canonical_scope,
    canonical_text,
    canonical_value,
)

VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
)


@pytest.mark.parametrize("module", [identity, pattern_key, scope])
def test_examples_in_the_docstrings(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted
    assert not result.failed


def test_the_default_dimensions_are_the_documented_ones() -> None:
    regimes = [
        f"{m}_{h}"
        for m in ("btc", "alt", "bucket", "btcd", "usdtd")
        for h in ("macro", "meso", "micro")
    ]
    assert list(REGIME_DIMENSIONS) == regimes
    assert len(DEFAULT_DIMENSIONS) == len(set(DEFAULT_DIMENSIONS)) == 14 + 15
    assert DEFAULT_DIMENSIONS[14:] == REGIME_DIMENSIONS


def test_a_scope_keeps_its_dimensions_only_and_misses_what_is_missing() -> None:
    given_scope = {
        "chain": " sol ",
        "curator": None,
        "intent": "",
        "bucket": "UnKnown",
        "btc_macro": "S4",
        "alt_macro": "s4",
        "btc_meso": "S1",
        "timeframe": "S4",
        "bucket_leader": False,
        "symbol": "ABC",
        "note": {"a": [1]},
        "A_mode": 2.0,
    }
    expected = {
        "chain": "sol",
        "btc_meso": "S1",
        "timeframe": "S4",
        "bucket_leader": "false",
        "A_mode": "2",
    }
    assert canonical_scope(given_scope) == expected
    assert list(canonical_scope(given_scope)) == [d for d in DEFAULT_DIMENSIONS if d in expected]
    assert canonical_scope(given_scope, ["symbol", "chain"]) == {"symbol": "ABC", "chain": "sol"}
    assert canonical_scope({}) == {}


@pytest.mark.parametrize("value", [[], {}, ["a"], {"a": 1}, (), object(), b"x"])
def test_what_is_no_scalar_is_refused_with_its_path(value: object) -> None:
    with pytest.raises(CanonicalError) as caught:
        canonical_scope({"chain": value})
    assert isinstance(caught.value, ValueError)
    assert (caught.value.reason, caught.value.path) == ("wrong_type", ".chain")


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, 10**309, -(10**5000)],
    ids=["nan", "inf", "-inf", "1e309", "-1e5000"],
)
def test_numbers_beyond_doubles_are_refused(value: float) -> None:
    with pytest.raises(CanonicalError) as caught:
        canonical_scope({"chain": value})
    assert (caught.value.reason, caught.value.path) == ("bad_number", ".chain")


@pytest.mark.parametrize("text", ["a\x00", "\ud800", "x\udfffy"])
def test_text_that_postgresql_cannot_hold_is_refused(text: str) -> None:
    for call in (
        lambda: canonical_value(text),
        lambda: canonical_pattern_key(text, "pm"),
        lambda: canonical_text({text: "a"}),
    ):
        with pytest.raises(CanonicalError) as caught:
            call()
        assert caught.value.reason == "bad_text"
    assert caught.value.path.isascii()


def test_equal_numbers_of_other_types_do_not_share_a_cache() -> None:
    assert [canonical_value(v) for v in (1, True, 1.0, "1", 0, False, 0.0)] == [
        "1",
        "true",
        "1",
        "1",
        "0",
        "false",
        "0",
    ]


def test_subclasses_of_text_and_numbers_are_what_they_hold() -> None:
    class Chain(StrEnum):
        SOL = "sol"

    assert canonical_value(Chain.SOL) == "sol"
    assert canonical_value(np.float64(1e-7)) == "1e-7"
    assert canonical_value(np.float64(2.0)) == "2"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_read_back_exactly(value: float) -> None:
    try:
        text = canonical_value(value)
    except CanonicalError:
        assert abs(value) >= 1e199, "only its length can be invalid"
        return
    assert text is not None
    assert float(text) == value
    # ECMAScript's form: an exponent only below 1e-6, without leading zeros and never for integral
    # values.
    assert ("e" in text) == (0 < abs(value) < 1e-6)
    if "e" in text:
        assert text.partition("e-")[2].lstrip("0") == text.partition("e-")[2]


@given(st.dictionaries(st.sampled_from(DEFAULT_DIMENSIONS), VALUES), st.randoms())
def test_ids_ignore_key_order_and_the_type_of_values(
    values: dict[str, object], random: object
) -> None:
    try:
        canonical = canonical_scope(values)
    except CanonicalError:
        return
    shuffled = list(values.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one = slice_id("pm", "pm.a.b", "add", values)
    assert one == slice_id("pm", "a.b", "add", dict(shuffled))
    assert one == slice_id("pm", "module=pm|pattern_key=a.b", "add", canonical)
    assert canonical_scope(canonical) == canonical


@given(*[st.dictionaries(st.text(max_size=3), st.text(max_size=4), max_size=3)] * 2)
def test_two_scopes_have_one_text_only_if_they_are_one(
    a: dict[str, str], b: dict[str, str]
) -> None:
    try:
        texts = canonical_text(a), canonical_text(b)
    except CanonicalError:
        return
    canonical = [canonical_scope(x, sorted(x)) for x in (a, b)]
    assert (texts[0] == texts[1]) == (canonical[0] == canonical[1])


@given(st.text(max_size=30), st.sampled_from(["pm", "dm", "x-1"]))
def test_a_key_is_canonical_once_and_for_all(text: str, module: str) -> None:
    try:
        key = canonical_pattern_key(text, module)
    except CanonicalError:
        return
    assert key.startswith(f"{module}.")
    assert not any(c.isspace() or c in "|=" for c in key)
    assert all(key.split("."))
    assert canonical_pattern_key(key, module) == key
    assert canonical_pattern_key(f"module={module}|pattern_key={key}", module) == key


def test_ids_tell_apart_what_differs() -> None:
    ids = {
        slice_id("pm", "a", "add", {}),
        slice_id("pm", "a", "entry", {}),
        slice_id("dm", "a", "add", {}),
        slice_id("pm", "b", "add", {}),
        slice_id("pm", "a", "add", {"chain": "x"}),
        slice_id("pm", "a", "add", {"chain": "y"}),
        slice_id("pm", "a", "add", {"bucket": "x"}),
        group_id("pm", "a", "add"),
        baseline_id("pm"),
        baseline_id("pm", "x"),
        baseline_id("pm", None, "x"),
        regime_id("pm", ""),
        regime_id("dm", ""),
        regime_id("pm", "btc_macro=S1"),
        factor_id("x"),
        factor_id("y"),
    }
    assert len(ids) == 16
    assert all(len(i) == 32 and int(i, 16) >= 0 for i in ids)
    assert baseline_id("pm", "unknown", "") == baseline_id("pm")


@pytest.mark.parametrize("category", ["Entry", "ENTRY", "", " add", "add ", "emergency", "exit\n"])
def test_categories_are_exact(category: str) -> None:
    with pytest.raises(CanonicalError) as caught:
        check_category(category)
    assert caught.value.reason == "unknown_category"


def test_ids_do_not_depend_on_the_run() -> None:
    code = (
        'from edgeloop.identity import slice_id; print(slice_id("pm", "a", "add", {"chain": "x",'
        ' "bucket": "y", "intent": 1}))'
    )
    ids = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("name", "step"),
    [("chain", ".chain"), ("a b", '["a b"]'), ('"', '["\\""]'), ("é", '["\\u00e9"]'), ("", '[""]')],
)
def test_path_steps(name: str, step: str) -> None:
    assert member(name) == step
    if step.startswith("["):
        assert json.loads(step) == [name]
