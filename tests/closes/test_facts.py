"""The facts of a valid close."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import pytest

from schemas.facts import FactAction, PatternTradeEvent, Segment, TradeMetrics
from tests.closes.events import ABSENT, NEW, OLDER, broken, facts, refused

VALUE = json.dumps(NEW).encode()

METRICS = TradeMetrics(
    time_efficiency=0.5,
    hold_time_days=2.0,
    time_to_payback_days=1.0,
    max_drawdown=0.1,
    max_gain=0.3,
    fees_usd=0.5,
)
EXPECTED_COMMON: dict[str, Any] = {
    "module": "pm",
    "trade_id": "t-1",
    "revision": 2,
    "n_actions": 4,
    "exit_ts": "2026-01-09T12:00:00.000000Z",
    "event_id": "e-1",
    "value_sha256": hashlib.sha256(VALUE).hexdigest(),
    "rr": 1.5,
    "roi": 0.25,
    "pnl_usd": 120.0,
    "segment": Segment("micro", "1h"),
    "metrics": METRICS,
    "position_id": "p-1",
    "symbol": "ABC",
    "entry_ts": "2026-01-07T12:00:00.000000Z",
    "schema_version": 1,
}
INHERITED = {"chain": "sol", "curator": "c1"}
EXPECTED_GROUPS: list[dict[str, Any]] = [
    {
        "pattern_key": "pm.uptrend.S1.entry",
        "action_category": "entry",
        "home": True,
        "actions": (
            FactAction(
                "a-0",
                "2026-01-07T12:00:00.000000Z",
                {**INHERITED, "btc_macro": "S1", "bucket_rank_position": "1"},
                0.5,
                ("o-1", "o-2"),
            ),
        ),
    },
    {
        "pattern_key": "pm.uptrend.S1.add",
        "action_category": "add",
        "home": False,
        "actions": (
            FactAction("a-1", "2026-01-08T12:00:00.000000Z", {**INHERITED, "chain": "eth"}),
            FactAction("t-1/2", "2026-01-08T12:00:00.000000Z", INHERITED),
        ),
    },
    {
        "pattern_key": "pm.uptrend.S1.exit",
        "action_category": "exit",
        "home": False,
        "actions": (FactAction("a-3", "2026-01-09T12:00:00.000000Z", INHERITED),),
    },
]
EXPECTED = tuple(PatternTradeEvent(**EXPECTED_COMMON, **group) for group in EXPECTED_GROUPS)


def test_one_fact_per_group_with_everything_in_it() -> None:
    assert facts(VALUE) == EXPECTED


def test_the_older_envelope_gives_the_same_facts() -> None:
    value = json.dumps(OLDER).encode()
    metrics = TradeMetrics(max_gain=0.3)
    expected = tuple(
        msgspec.structs.replace(
            fact, revision=0, value_sha256=hashlib.sha256(value).hexdigest(), metrics=metrics
        )
        for fact in EXPECTED
    )
    assert facts(value) == expected


def test_only_the_required_fields() -> None:
    event = {
        "event_id": "e",
        "schema_version": 1,
        "trade_id": "t",
        "trade_summary": {"exit_timestamp": "2026-01-01T00:00:00Z", "rr": -0.31},
        "actions": [{"ts": "2026-01-01T00:00:00Z", "pattern_key": "a", "action_category": "exit"}],
    }
    (fact,) = facts(json.dumps(event).encode())
    assert (fact.module, fact.pattern_key, fact.revision, fact.home, fact.n_actions) == (
        "pm",
        "pm.a",
        0,
        True,
        1,
    )
    assert fact.actions == (FactAction("t/0", "2026-01-01T00:00:00.000000Z", {}),)
    assert (fact.roi, fact.pnl_usd, fact.symbol, fact.position_id, fact.entry_ts) == (None,) * 5
    assert fact.segment == Segment(None, None)
    assert fact.metrics == TradeMetrics()


OPTIONAL = [
    "revision",
    "module",
    "position_id",
    "symbol",
    "chain",
    "timeframe",
    "bucket",
    "entry_context",
    "regime_context",
    "actions.0.action_id",
    "actions.0.scope",
    "actions.0.size_frac",
    "actions.0.applied_overrides",
    *(f"trade_summary.{f}" for f in NEW["trade_summary"] if f not in ("exit_timestamp", "rr")),
]


@pytest.mark.parametrize("path", OPTIONAL)
def test_optional_fields_may_be_null_which_is_absent(path: str) -> None:
    null, absent = facts(broken(NEW, path, None)), facts(broken(NEW, path, ABSENT))
    assert [msgspec.structs.replace(f, value_sha256="") for f in null] == [
        msgspec.structs.replace(f, value_sha256="") for f in absent
    ]


REQUIRED = [
    "event_id",
    "schema_version",
    "trade_id",
    "trade_summary",
    "actions",
    "trade_summary.exit_timestamp",
]
REQUIRED += [f"actions.3.{f}" for f in ("ts", "pattern_key", "action_category")]


@pytest.mark.parametrize("path", REQUIRED)
def test_required_fields(path: str) -> None:
    steps = "$." + path.replace(".3.", "[3].")
    assert refused(broken(NEW, path, ABSENT)) == ("missing_field", steps)
    assert refused(broken(NEW, path, None)) == (
        "missing_field" if path == "schema_version" else "wrong_type",
        steps,
    )


@pytest.mark.parametrize(("outcome", "field"), [("rr", "rr"), ("roi", "roi"), ("pnl", "pnl_usd")])
def test_the_configured_outcome_is_required_and_only_that(outcome: str, field: str) -> None:
    for value in (None, ABSENT):
        assert refused(broken(NEW, f"trade_summary.{field}", value), outcome=outcome) == (
            "missing_outcome",
            f"$.trade_summary.{field}",
        )
        assert facts(
            broken(NEW, f"trade_summary.{field}", value), outcome="roi" if outcome == "rr" else "rr"
        )


def test_rr_stays_raw() -> None:
    assert facts(broken(NEW, "trade_summary.rr", -1e6))[0].rr == -1e6
    assert facts(broken(NEW, "trade_summary.rr", 10**300))[0].rr == 1e300


def test_unknown_fields_are_ignored_whatever_they_hold() -> None:
    extra: dict[str, Any] = {
        "x": [1, {"y": None}],
        "big": 10**400,
        "kind": 5,
        "content": [],
        "id": 7,
    }
    tree = {**NEW, **extra, "trade_summary": {**NEW["trade_summary"], **extra}}
    tree["actions"] = [
        {**a, **extra, "scope": {**(a.get("scope") or {}), **extra}} for a in NEW["actions"]
    ]
    tree["entry_context"] = {**NEW["entry_context"], **extra}
    tree["regime_context"] = {"btc_macro": [], **extra}
    value = json.dumps(tree).replace(str(10**400), "1e400").encode()
    assert [msgspec.structs.replace(f, value_sha256="") for f in facts(value)] == [
        msgspec.structs.replace(f, value_sha256="") for f in EXPECTED
    ]


def test_kind_does_not_make_a_versioned_event_old() -> None:
    assert facts(broken(NEW, "kind", "position_closed"))[0].revision == 2


def test_the_last_of_duplicate_keys_wins() -> None:
    text = VALUE.decode()
    for first, then in [
        ('"rr": 1.5', '"rr": "no", "rr": 7'),
        ('"trade_id": "t-1"', '"trade_id": {}, "trade_id": "t-1"'),
        ('"schema_version": 1', '"schema_version": 2, "schema_version": 1'),
        ('"chain": "eth"', '"chain": [1], "chain": "eth"'),
        ('"actions": [', '"actions": [], "actions": ['),
        ('"module": "pm"', '"module": "m m", "module": "pm"'),
    ]:
        assert first in text
        assert facts(text.replace(first, then).encode())
    assert facts(text.replace('"rr": 1.5', '"rr": "no", "rr": 7').encode())[0].rr == 7
    assert refused(text.replace('"rr": 1.5', '"rr": 7, "rr": "no"').encode()) == (
        "wrong_type",
        "$.trade_summary.rr",
    )
    older = json.dumps(OLDER).replace('"module": "pm"', '"module": 5, "module": "pm"').encode()
    assert facts(older)


def test_scope_takes_the_actions_own_and_fills_from_the_entry_context_but_regimes() -> None:
    """I9: the regime at the entry is not used as the regime of a later action."""
    tree = json.loads(VALUE)
    tree["entry_context"] = {
        "chain": "sol",
        "bucket": "b",
        "btc_macro": "S2",
        "alt_meso": "S1",
        "foo": "x",
    }
    tree["actions"][0]["scope"] = {
        "chain": " unknown ",
        "bucket": "own",
        "btc_macro": "s4",
        "btc_meso": True,
        "A_mode": "",
    }
    (first, *_) = facts(json.dumps(tree).encode())
    assert first.actions[0].scope == {"chain": "sol", "bucket": "own", "btc_meso": "true"}


def test_the_events_own_labels_are_not_scope() -> None:
    tree = json.loads(VALUE)
    tree["entry_context"] = {}
    assert facts(json.dumps(tree).encode())[2].actions[0].scope == {}


def test_dimensions_are_a_setting() -> None:
    tree = json.loads(VALUE)
    tree["actions"][0]["scope"] = {"sector": " tech ", "chain": [], "my dim": 2}
    (first, *_) = facts(json.dumps(tree).encode(), dimensions=("sector", "my dim"))
    assert first.actions[0].scope == {"sector": "tech", "my dim": "2"}


@pytest.mark.parametrize(
    ("payback", "hold", "expected"),
    [
        (1, 3, 0.5),
        (None, 3, 0.25),
        (0, 3, 1.0),
        (None, None, None),
        (-1, 3, 0.25),
        (-1, None, None),
        (-1, -1, None),
        (1e308, None, 1e-308),
    ],
)
def test_time_efficiency(payback: float | None, hold: float | None, expected: float | None) -> None:
    tree = json.loads(VALUE)
    tree["trade_summary"] |= {"time_to_payback_days": payback, "hold_time_days": hold}
    assert facts(json.dumps(tree).encode())[0].metrics.time_efficiency == expected


def test_home_is_the_group_of_the_earliest_action_by_moment_and_then_by_place() -> None:
    def home(*times: str) -> str:
        tree = json.loads(VALUE)
        tree["actions"] = [
            {"ts": ts, "pattern_key": f"k{i}", "action_category": "add"}
            for i, ts in enumerate(times)
        ]
        (one,) = [f.pattern_key for f in facts(json.dumps(tree).encode()) if f.home]
        return one

    assert home("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z") == "pm.k1"
    assert (
        home("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000Z", "2026-01-01T01:00:00+01:00")
        == "pm.k0"
    )
    assert home("2026-01-01T00:30:00Z", "2026-01-01T01:00:00+01:00") == "pm.k1"
    assert (
        home("2026-01-01T00:00:00Z", "2025-12-31T23:30:00-01:00", "0001-01-01T00:00:00Z") == "pm.k2"
    )


def test_a_groups_actions_keep_their_order_and_an_action_may_follow_the_exit() -> None:
    tree = json.loads(VALUE)
    times = ["2030-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"]
    tree["actions"] = [{"ts": ts, "pattern_key": "k", "action_category": "trim"} for ts in times]
    (fact,) = facts(json.dumps(tree).encode())
    assert [a.action_id for a in fact.actions] == ["t-1/0", "t-1/1", "t-1/2"]
    assert [a.ts[:10] for a in fact.actions] == [ts[:10] for ts in times]


def test_key_forms_meet_in_one_group() -> None:
    tree = json.loads(VALUE)
    keys = [
        "uptrend.S1",
        "pm.uptrend.S1",
        "module=pm|pattern_key=uptrend.S1",
        "module=pm|pattern_key=pm.uptrend.S1",
    ]
    tree["actions"] = [
        {"ts": "2026-01-01T00:00:00Z", "pattern_key": k, "action_category": "add"} for k in keys
    ]
    (fact,) = facts(json.dumps(tree).encode())
    assert (fact.pattern_key, len(fact.actions)) == ("pm.uptrend.S1", 4)


def test_blank_and_unknown_segments_are_missing() -> None:
    tree = json.loads(VALUE) | {"bucket": " Unknown ", "timeframe": ""}
    assert facts(json.dumps(tree).encode())[0].segment == Segment(None, None)


def test_integers_may_be_written_as_floats_of_integral_value() -> None:
    assert (
        facts(
            VALUE.replace(b'"revision": 2', b'"revision": 2.0').replace(
                b'"schema_version": 1', b'"schema_version": 1.0'
            )
        )
        != ()
    )
    assert facts(broken(NEW, "revision", 2**53 - 1))[0].revision == 2**53 - 1


def test_limits_are_reached_but_not_crossed() -> None:
    wide = "🚀" * 200
    tree = json.loads(VALUE) | {
        "event_id": wide,
        "trade_id": wide,
        "position_id": wide,
        "symbol": wide,
        "module": "m" * 190,
    }
    tree["actions"] = [
        {
            "ts": "2026-01-01T00:00:00Z",
            "pattern_key": "k" * 9,
            "action_category": "add",
            "scope": {"chain": wide},
        }
    ]
    (fact,) = facts(json.dumps(tree, ensure_ascii=False).encode())
    assert fact.trade_id == wide
    assert len(fact.pattern_key) == 200
    assert fact.actions[0].action_id == f"{wide}/0"
    padding = 1024 * 1024 - len(VALUE)
    assert facts(VALUE + b" " * padding)
    assert refused(VALUE + b" " * (padding + 1)) == ("too_large", "$")
    nested: Any = 1
    for _ in range(63):
        nested = [nested]
    assert facts(broken(NEW, "x", nested))
    assert refused(broken(NEW, "x", [nested])) == ("too_deep", "$")
    assert refused(broken(NEW, "x", [nested])[:-1]) == ("too_deep", "$")


def test_brackets_in_text_are_not_nesting() -> None:
    text = "[{" * 500 + '\\"[' * 100 + "\\"
    assert facts(broken(NEW, "x", text))
    assert facts(broken(NEW, text, text))


def test_escapes_that_only_look_bad() -> None:
    for text in ["\\u0000", "\\\\u0000", "\\ud800", "😀", "\u0001"]:
        assert facts(broken(NEW, "x", text))
    assert (
        facts(broken(NEW, "actions.0.scope.chain", "\\u0000"))[0].actions[0].scope["chain"]
        == "\\u0000"
    )


def test_duplicate_action_ids() -> None:
    assert refused(broken(NEW, "actions.1.action_id", "a-0")) == (
        "duplicate_action_id",
        "$.actions[1].action_id",
    )
    assert refused(broken(NEW, "actions.0.action_id", "t-1/2")) == (
        "duplicate_action_id",
        "$.actions[2].action_id",
    )


def test_a_big_trade_is_like_a_small_one() -> None:
    tree = json.loads(VALUE)
    tree["actions"] = [
        {
            "ts": "2026-01-01T00:00:00Z",
            "pattern_key": "k",
            "action_category": "add",
            "scope": {"chain": "x"},
        }
        for _ in range(2_000)
    ]
    (fact,) = facts(json.dumps(tree).encode())
    assert len(fact.actions) == fact.n_actions == 2_000


def test_how_a_multiplier_was_drawn_is_beside_the_ids() -> None:
    sizing = {
        "multiplier": 1.0,
        "learned": 1.4,
        "propensity": 0.0125,
        "explore": 0.05,
        "decision_id": "d-1",
    }
    value = broken(NEW, "actions.0.applied_overrides", ["o-1", sizing, "o-2"])
    with_it, without = facts(value)[0].actions[0], facts(VALUE)[0].actions[0]
    assert with_it.applied_overrides == ("o-1", "o-2")
    assert msgspec.to_builtins(with_it.sizing) == sizing
    assert msgspec.json.decode(msgspec.json.encode(with_it), type=FactAction) == with_it
    assert "sizing" not in msgspec.to_builtins(without)
