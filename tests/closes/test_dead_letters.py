"""Invalid closes, each with its reason and its path."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

import app.closes
import app.stages.admission
import edgeloop
from app.closes import REASONS
from tests.closes.events import ABSENT, NEW, OLDER, broken, facts, refused

VALUE = json.dumps(NEW).encode()

SYNTAX: list[tuple[bytes | None, str]] = [
    (None, "null_value"),
    (b"", "not_json"),
    (b" ", "not_json"),
    (b"nonsense", "not_json"),
    (b"{", "not_json"),
    (VALUE[:-1], "not_json"),
    (VALUE + b"x", "not_json"),
    (VALUE + VALUE, "not_json"),
    (b"\x00", "not_json"),
    (VALUE + b"\x00", "not_json"),
    (b"\x00\x01\x02\x03", "not_json"),
    (b"{'a': 1}", "not_json"),
    (b'{"a": 1,}', "not_json"),
    (b'{"a": 01}', "not_json"),
    (b'{"a": .5}', "not_json"),
    (b'{"a": +1}', "not_json"),
    (b'{"a": "\x01"}', "not_json"),
    (b'{"a": "\n"}', "not_json"),
    (b'{"a": "\\x"}', "not_json"),
    (b'{"a": "\\u12"}', "not_json"),
    (b"{1: 2}", "not_json"),
    (b"/* */ {}", "not_json"),
    (VALUE.replace(b"1.5", b"NaN"), "not_json"),
    (VALUE.replace(b"1.5", b"Infinity"), "not_json"),
    (VALUE.replace(b"1.5", b"-Infinity"), "not_json"),
    (b'{"x": NaN}', "not_json"),
    (b"[" * 64, "not_json"),
    (b"\xef\xbb\xbf" + VALUE, "byte_order_mark"),
    (VALUE.decode().encode("utf-16"), "not_utf8"),
    (VALUE.decode().encode("utf-32-le"), "not_json"),
    (b'{"a": "\xff"}', "not_utf8"),
    (b'{"a": "\xed\xa0\x80"}', "not_utf8"),
    (b'{"a": "\xc0\x80"}', "not_utf8"),
    (VALUE.replace(b"sol", "münchen".encode("latin-1")), "not_utf8"),
    (b"\x1f\x8b\x08\x00", "not_utf8"),
    (b"[" * 65, "too_deep"),
    (b"[" * 100_000, "too_deep"),
    (b'{"a":' * 100_000, "too_deep"),
    (b"[" * 500_000 + b"]" * 500_000, "too_deep"),
    (b'{"event_id": ' + b"[" * 64 + b"]" * 64 + b"}", "too_deep"),
    (b"[" * 10_000_000, "too_large"),
    (b" " * 10_000_000, "too_large"),
    (b"null", "wrong_type"),
    (b"[]", "wrong_type"),
    (b'"text"', "wrong_type"),
    (b"5", "wrong_type"),
    (b"true", "wrong_type"),
    (b"[" + VALUE + b"]", "wrong_type"),
]


@pytest.mark.parametrize(("value", "reason"), SYNTAX, ids=lambda x: ascii(x)[:30])
def test_what_is_no_json_object(value: bytes | None, reason: str) -> None:
    assert refused(value) == (reason, "$")


@pytest.mark.parametrize(
    ("event", "reason", "path"),
    [
        ({}, "missing_field", "$.schema_version"),
        ({"kind": "order_filled"}, "missing_field", "$.schema_version"),
        ({"kind": "POSITION_CLOSED", "content": {}}, "missing_field", "$.schema_version"),
        ({"kind": ["position_closed"]}, "missing_field", "$.schema_version"),
        ({"schema_version": None}, "missing_field", "$.schema_version"),
        ({"schema_version": 2}, "unsupported_version", "$.schema_version"),
        ({"schema_version": 1.5}, "unsupported_version", "$.schema_version"),
        (
            {"schema_version": 0, "kind": "position_closed"},
            "unsupported_version",
            "$.schema_version",
        ),
        ({"schema_version": 1}, "missing_field", "$.event_id"),
        ({**NEW, "schema_version": 2}, "unsupported_version", "$.schema_version"),
        ({**NEW, "schema_version": "1"}, "wrong_type", "$.schema_version"),
        ({**NEW, "schema_version": True}, "wrong_type", "$.schema_version"),
        ({**NEW, "schema_version": []}, "wrong_type", "$.schema_version"),
    ],
)
def test_which_envelope(event: dict[str, Any], reason: str, path: str) -> None:
    assert refused(json.dumps(event).encode()) == (reason, path)


NUMBERS = [
    "revision",
    *(f"trade_summary.{f}" for f in NEW["trade_summary"] if "timestamp" not in f),
    "actions.0.size_frac",
]
TEXTS = [
    "event_id",
    "trade_id",
    "module",
    "position_id",
    "symbol",
    "chain",
    "timeframe",
    "bucket",
    "trade_summary.exit_timestamp",
    "trade_summary.entry_timestamp",
    "actions.0.ts",
    "actions.0.pattern_key",
    "actions.0.action_category",
    "actions.0.action_id",
    "actions.0.applied_overrides.1",
]
OBJECTS = ["entry_context", "regime_context", "trade_summary", "actions.0.scope", "actions.0"]
ARRAYS = ["actions", "actions.0.applied_overrides"]


def json_path(path: str) -> str:
    return "$." + re.sub(r"\.(\d+)", r"[\1]", path)


@pytest.mark.parametrize(
    ("path", "value"),
    [(p, v) for p in NUMBERS for v in ("1", "", True, False, [], {}, [1])]
    + [
        (p, v)
        for p in TEXTS
        for v in (1, 1.5, True, [], {}, ["a"])
        if v != {} or "applied_overrides" not in p
    ]
    + [(p, v) for p in OBJECTS for v in ("x", 1, True, [], [{}])]
    + [(p, v) for p in ARRAYS for v in ("x", 1, True, {}, {"0": 1})],
    ids=str,
)
def test_types_are_strict(path: str, value: object) -> None:
    assert refused(broken(NEW, path, value)) == ("wrong_type", json_path(path))


SIZING = {"multiplier": 1.0, "learned": 1.4, "propensity": 0.0125, "explore": 0.05}


@pytest.mark.parametrize(
    ("sizing", "reason", "field"),
    [
        *(
            ({k: v for k, v in SIZING.items() if k != name}, "missing_field", f".{name}")
            for name in SIZING
        ),
        *((SIZING | {name: 0}, "out_of_range", f".{name}") for name in SIZING),
        *((SIZING | {name: 1.5}, "out_of_range", f".{name}") for name in ("propensity", "explore")),
        *((SIZING | {name: "1"}, "wrong_type", f".{name}") for name in SIZING),
        (SIZING | {"decision_id": ""}, "empty_text", ".decision_id"),
    ],
    ids=str,
)
def test_a_sizing_has_its_numbers(sizing: dict, reason: str, field: str) -> None:
    path = "actions.0.applied_overrides.1"
    assert refused(broken(NEW, path, sizing)) == (reason, json_path(path) + field)


def test_an_action_has_one_sizing() -> None:
    value = broken(NEW, "actions.0.applied_overrides", ["o-1", SIZING, "o-2", SIZING])
    assert refused(value) == ("wrong_type", "$.actions[0].applied_overrides[3]")


@pytest.mark.parametrize("path", [p for p in NUMBERS if p != "revision"])
@pytest.mark.parametrize(
    "number",
    ["1e400", "-1e400", "1" + "0" * 400, "9" * 5000, "1e99999999999999999999"],
    ids=lambda n: n[:8],
)
def test_numbers_are_finite(path: str, number: str) -> None:
    value = broken(NEW, path, 123454321).replace(b"123454321", number.encode())
    assert refused(value) == ("bad_number", json_path(path))


@pytest.mark.parametrize(
    "number",
    ["-1", "9007199254740992", "1e400", "9" * 400, "9" * 5000, "-1.0", "18446744073709551616"],
    ids=lambda n: n[:8],
)
def test_the_revisions_range(number: str) -> None:
    value = VALUE.replace(b'"revision": 2', b'"revision": ' + number.encode())
    assert refused(value) == ("out_of_range", "$.revision")
    assert refused(VALUE.replace(b'"revision": 2', b'"revision": 2.5')) == (
        "wrong_type",
        "$.revision",
    )


IDENTIFIERS = [
    "event_id",
    "trade_id",
    "position_id",
    "actions.1.action_id",
    "actions.0.applied_overrides.0",
]
LABELS = ["symbol", "chain", "timeframe", "bucket"]


@pytest.mark.parametrize("path", IDENTIFIERS)
def test_identifiers_are_not_empty(path: str) -> None:
    assert refused(broken(NEW, path, "")) == ("empty_text", json_path(path))


@pytest.mark.parametrize(
    "path",
    [
        *IDENTIFIERS,
        *LABELS,
        "actions.0.pattern_key",
        "actions.0.scope.chain",
        "entry_context.chain",
    ],
)
def test_text_of_over_200_code_points(path: str) -> None:
    for letter in "x🚀":
        assert refused(broken(NEW, path, letter * 201)) == ("too_long", json_path(path))


@pytest.mark.parametrize("scope", ["actions.0.scope", "entry_context"])
@pytest.mark.parametrize("dimension", ["chain", "btc_macro"])
@pytest.mark.parametrize("value", [[], {}, ["sol"], {"a": 1}])
def test_objects_and_arrays_in_a_dimension(scope: str, dimension: str, value: object) -> None:
    path = f"{scope}.{dimension}"
    assert refused(broken(NEW, path, value)) == ("wrong_type", json_path(path))
    assert facts(broken(NEW, f"{scope}.not_a_dimension", value))


@pytest.mark.parametrize(
    ("number", "reason"),
    [("1e400", "bad_number"), ("1" + "0" * 400, "bad_number"), ("1" + "0" * 250, "too_long")],
)
def test_numbers_in_a_dimension(number: str, reason: str) -> None:
    value = broken(NEW, "actions.0.scope.chain", 123454321).replace(b"123454321", number.encode())
    assert refused(value) == (reason, "$.actions[0].scope.chain")


@pytest.mark.parametrize(
    "path",
    [
        "x",
        "event_id",
        "trade_id",
        "actions.0.scope.chain",
        "actions.0.scope.note",
        "regime_context.a",
        "actions.1.x",
    ],
)
@pytest.mark.parametrize(
    "text", ["\x00", "a\x00b", "\ud800", "\ude00\ud83d", "\ud800\ud800\udc00"], ids=ascii
)
def test_text_that_postgresql_cannot_hold(path: str, text: str) -> None:
    assert refused(broken(NEW, path, text)) == ("bad_text", json_path(path))
    reason, place = refused(broken(NEW, f"{path}{text}", 1))
    assert (reason, place.isascii()) == ("bad_text", True)
    assert place.startswith(json_path(path).rpartition(".")[0] + '["')


def test_a_bad_key_of_any_length_has_a_short_path() -> None:
    reason, path = refused(broken(NEW, "\x00" * 100_000, 1))
    assert (reason, len(path) <= 500) == ("bad_text", True)


@pytest.mark.parametrize(
    "category", ["Entry", "EXIT", "", "add ", "emergency", "entry\n", "x" * 100_000, "a` - at `$.b"]
)
def test_categories_are_exact(category: str) -> None:
    assert refused(broken(NEW, "actions.2.action_category", category)) == (
        "unknown_category",
        "$.actions[2].action_category",
    )


@pytest.mark.parametrize("module", ["", " ", "p m", "pm\n", "p.m", "pм", "m" * 201, "pm|", "pm="])
def test_modules(module: str) -> None:
    assert refused(broken(NEW, "module", module)) == ("bad_module", "$.module")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "pm",
        "pm.",
        ".a",
        "a..b",
        "a b",
        "a\tb",
        "a\u3000b",
        "a|b",
        "a=b",
        "module=dm|pattern_key=a",
        "module=pm|pattern_key=",
    ],
)
def test_pattern_keys(key: str) -> None:
    assert refused(broken(NEW, "actions.1.pattern_key", key)) == (
        "bad_pattern_key",
        "$.actions[1].pattern_key",
    )


def test_no_actions() -> None:
    assert refused(broken(NEW, "actions", [])) == ("no_actions", "$.actions")


# --- the older envelope ---

TRADE = "$.content.completed_trades[2]"
ACTION = "content.completed_trades.2.actions.1"
EXIT = "$.content.trade_summary.exit_timestamp"


@pytest.mark.parametrize(
    ("path", "value", "reason", "where"),
    [
        ("id", "", "empty_text", "$.id"),
        ("id", 5, "wrong_type", "$.id"),
        ("id", "x" * 201, "too_long", "$.id"),
        ("module", "p m", "bad_module", "$.module"),
        ("content", ABSENT, "missing_field", "$.content"),
        ("content", [], "wrong_type", "$.content"),
        ("content.trade_id", ABSENT, "missing_field", "$.content.trade_id"),
        ("content.trade_id", "other", "trade_not_found", "$.content.completed_trades"),
        ("content.trade_id", 1, "wrong_type", "$.content.trade_id"),
        ("content.completed_trades", ABSENT, "missing_field", "$.content.completed_trades"),
        ("content.completed_trades", [], "trade_not_found", "$.content.completed_trades"),
        ("content.completed_trades", {}, "wrong_type", "$.content.completed_trades"),
        ("content.completed_trades.2.actions", ABSENT, "missing_field", f"{TRADE}.actions"),
        ("content.completed_trades.2.actions", [], "no_actions", f"{TRADE}.actions"),
        (f"{ACTION}.strand_id", "a-0", "duplicate_action_id", f"{TRADE}.actions[1].strand_id"),
        (f"{ACTION}.strand_id", 5, "wrong_type", f"{TRADE}.actions[1].strand_id"),
        (f"{ACTION}.scope.chain", [], "wrong_type", f"{TRADE}.actions[1].scope.chain"),
        (f"{ACTION}.scope.chain", "x" * 201, "too_long", f"{TRADE}.actions[1].scope.chain"),
        (f"{ACTION}.ts", "2026-01-01", "bad_time", f"{TRADE}.actions[1].ts"),
        (f"{ACTION}.pattern_key", "a b", "bad_pattern_key", f"{TRADE}.actions[1].pattern_key"),
        ("content.entry_context.chain", {}, "wrong_type", "$.content.entry_context.chain"),
        ("content.trade_summary.exit_timestamp", ABSENT, "missing_field", EXIT),
        ("content.trade_summary.exit_timestamp", "2026-01-01T00:00:00Z", "exit_before_entry", EXIT),
        ("content.trade_summary.rr", "1", "wrong_type", "$.content.trade_summary.rr"),
        (
            "content.completed_trades.2.summary.rpnl_usd", "1", "wrong_type",
            f"{TRADE}.summary.rpnl_usd",
        ),
        (
            "content.completed_trades.2.summary.entry_timestamp", "x", "bad_time",
            f"{TRADE}.summary.entry_timestamp",
        ),
        (
            "content.completed_trades.0.note", "\x00", "bad_text",
            "$.content.completed_trades[0].note",
        ),
    ],
)  # fmt: skip
def test_the_older_envelope(path: str, value: object, reason: str, where: str) -> None:
    assert refused(broken(OLDER, path, value)) == (reason, where)


def test_the_older_envelopes_outcome_may_be_in_either_summary() -> None:
    value = broken(OLDER, "content.completed_trades.2.summary.rr", -9)
    assert facts(value)[0].rr == 1.5
    assert facts(broken(json.loads(value), "content.trade_summary.rr", None))[0].rr == -9
    assert facts(broken(json.loads(value), "content.trade_summary.rr", ABSENT))[0].rr == -9
    without = json.loads(value)
    without["content"]["completed_trades"][2]["summary"]["exit_timestamp"] = "2026-01-09T00:00:00Z"
    assert (
        facts(broken(without, "content.trade_summary", None))[0].exit_ts
        == "2026-01-09T00:00:00.000000Z"
    )


def test_every_reason_is_documented_and_used() -> None:
    source = "".join(
        p.read_text()
        for p in Path(app.closes.__file__).parent.glob("*.py")
        if p.name != "refused.py"
    )
    source += "".join(p.read_text() for p in Path(edgeloop.__file__).parent.glob("*.py"))
    source += Path(app.stages.admission.__file__).read_text().partition("class Admission")[2]
    source += (
        (Path(app.closes.__file__).parent / "refused.py").read_text().partition("_MAX_MESSAGE")[2]
    )
    assert {reason for reason in REASONS if f'"{reason}"' not in source} == set()
    assert all(
        re.fullmatch("[a-z0-9_]+", reason) and text.endswith(".")
        for reason, text in REASONS.items()
    )


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 1_000_000,
        b"[" + b"[]," * 340_000 + b"1]",
        b'{"a":"' + b'\\"' * 500_000,
        b"[[" + b"[" * 62 + b'\\"' * 500_000,
        b'{"a":"' + b"\\\\u0000" * 140_000 + b'"}',
        b'{"a":"' + b"\\u0000" * 170_000 + b'"}',
        b'{"a":"' + b"\\ud800" * 170_000 + b'"}',
        b'{"schema_version":1,' + b'"a":1.5,' * 110_000 + b'"z":1}',
        b'{"' + b"\\u0000" * 170_000 + b'":1}',
        b'{"kind":"position_closed","content":{"trade_id":"t","completed_trades":['
        + b'{"trade_id":1},' * 60_000
        + b"1]}}",
        b'{"schema_version":1,"event_id":"e","trade_id":"t","trade_summary":{"exit_timestamp":"'
        + b"9" * 1_000_000
        + b'"},"actions":[{}]}',
        b'{"schema_version":1,"revision":' + b"9" * 1_000_000 + b"}",
    ],
    ids=range(12),
)  # fmt: skip
def test_no_input_of_a_megabyte_stalls_the_door(value: bytes) -> None:
    started = time.perf_counter()
    refused(value)
    assert time.perf_counter() - started < 2.0, (
        "0.06 s on a slow machine; a quadratic check would take minutes"
    )
