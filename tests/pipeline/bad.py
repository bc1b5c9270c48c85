"""Every kind of invalid record, each with the expected reason and path of its dead letter.

May touch: nothing.
"""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from typing import Any, NamedTuple

from tests.pipeline.trades import START, simple, text_of

MIB = 1024 * 1024
STAMP = START + timedelta(days=100)
ABSENT = object()


class Bad(NamedTuple):
    """A value, and the expected dead letter; `path` is None if the specification leaves it open."""

    sort: str
    value: bytes | None
    reason: str
    path: str | None = "$"


def every_sort(number: int) -> list[Bad]:
    """One of each kind; `number` makes the events distinct."""
    event = simple(f"bad-{number}")
    good = json.dumps(event).encode()
    older = {
        "id": f"o-{number}",
        "kind": "position_closed",
        "module": "pm",
        "content": _content(event),
    }
    return [
        *_not_json(good),
        *_fields(event),
        *_times(event),
        *_texts(event),
        Bad(
            "older: no such trade",
            _json(_set(older, "content.completed_trades", [])),
            "trade_not_found",
            None,
        ),
        Bad(
            "older: no content",
            _json({"id": "x", "kind": "position_closed"}),
            "missing_field",
            "$.content",
        ),
        Bad(
            "older: category",
            _json(_set(older, "content.completed_trades.0.actions.0.action_category", "buy")),
            "unknown_category",
            "$.content.completed_trades[0].actions[0].action_category",
        ),
        Bad(
            "older: no actions",
            _json(_set(older, "content.completed_trades.0.actions", [])),
            "no_actions",
            "$.content.completed_trades[0].actions",
        ),
    ]


def huge() -> list[Bad]:
    """Values over a mebibyte, up to the topic's limit."""
    event = simple("huge")
    return [
        Bad("1 MiB and one byte", _padded(event, MIB + 1), "too_large"),
        Bad("2 MB of brackets", b"[" * 2_000_000, "too_large"),
        Bad("10 MB, valid but for its size", _padded(event, 10_000_000), "too_large"),
        Bad("10 MB of noise", bytes(range(256)) * 40_000, "too_large"),
    ]


def largest(trade_id: str) -> bytes:
    """A valid close of exactly 1 MiB."""
    return _padded(simple(trade_id), MIB)


def _padded(event: dict[str, Any], size: int) -> bytes:
    bare = len(json.dumps({**event, "note": ""}).encode())
    return json.dumps({**event, "note": "x" * (size - bare)}).encode()


def _not_json(good: bytes) -> list[Bad]:
    rr = b'"rr": 1.0'
    assert rr in good
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    at_65 = good[:-1] + b', "deep": ' + b"[" * 64 + b"]" * 64 + b"}"
    return [
        Bad("null value", None, "null_value"),
        Bad("empty", b"", "not_json"),
        Bad("words", b"position closed, +3 %", "not_json"),
        Bad("cut off", good[:-20], "not_json"),
        Bad("two of them", good + good, "not_json"),
        Bad("binary", b"\x00\x01\x02\x03\x04", "not_json"),
        Bad("single quotes", b"{'event_id': 'x'}", "not_json"),
        Bad("NaN", good.replace(rr, b'"rr": NaN'), "not_json"),
        Bad("Infinity", good.replace(rr, b'"rr": Infinity'), "not_json"),
        Bad("-Infinity", good.replace(rr, b'"rr": -Infinity'), "not_json"),
        Bad("1e999", good.replace(rr, b'"rr": 1e999'), "bad_number", "$.trade_summary.rr"),
        Bad("broken UTF-8", good.replace(b"sol", b"s\xff\xfel"), "not_utf8"),
        Bad("Latin-1", good.replace(b"sol", "größe".encode("latin-1")), "not_utf8"),
        Bad("UTF-16", good.decode().encode("utf-16"), "not_utf8"),
        Bad("byte order mark", b"\xef\xbb\xbf" + good, "byte_order_mark"),
        Bad("an encoded surrogate", good.replace(b"sol", b"\xed\xa0\x80"), "not_utf8"),
        Bad("nesting of 100 000", deep, "too_deep"),
        Bad("100 000 open brackets", b"[" * 100_000, "too_deep"),
        Bad("nesting of 65", at_65, "too_deep"),
        Bad("an array", b"[" + good + b"]", "wrong_type"),
        Bad("a text", b'"position_closed"', "wrong_type"),
        Bad("a number", b"42", "wrong_type"),
        Bad("null", b"null", "wrong_type"),
        Bad("an empty object", b"{}", "missing_field", "$.schema_version"),
    ]


def _fields(event: dict[str, Any]) -> list[Bad]:
    def bad(sort: str, path: str, value: Any, reason: str, shown: str | None = "") -> Bad:
        place = "$." + ".".join(path.split(".")) if shown == "" else shown
        return Bad(sort, _json(_set(event, path, value)), reason, place)

    action = "$.actions[0]"
    return [
        bad("schema_version 2", "schema_version", 2, "unsupported_version"),
        bad("schema_version as text", "schema_version", "1", "wrong_type"),
        bad("no event_id", "event_id", ABSENT, "missing_field"),
        bad("no trade_id", "trade_id", ABSENT, "missing_field"),
        bad("an empty trade_id", "trade_id", "", "empty_text"),
        bad("a trade_id that is a number", "trade_id", 7, "wrong_type"),
        bad("a trade_id of 201", "trade_id", "é" * 201, "too_long"),
        bad("no summary", "trade_summary", ABSENT, "missing_field"),
        bad("no outcome", "trade_summary.rr", ABSENT, "missing_outcome"),
        bad("a null outcome", "trade_summary.rr", None, "missing_outcome"),
        bad("an outcome as text", "trade_summary.rr", "1.5", "wrong_type"),
        bad("an outcome that is true", "trade_summary.rr", True, "wrong_type"),
        bad("a revision below 0", "revision", -1, "out_of_range"),
        bad("a revision of 2^53", "revision", 2**53, "out_of_range"),
        bad("a broken revision", "revision", 1.5, "wrong_type"),
        bad("a module with a blank", "module", "p m", "bad_module"),
        bad("no actions", "actions", ABSENT, "missing_field"),
        bad("an empty list of actions", "actions", [], "no_actions"),
        bad("actions that are no list", "actions", {"0": 1}, "wrong_type"),
        bad(
            "an unknown category",
            "actions.0.action_category",
            "buy",
            "unknown_category",
            f"{action}.action_category",
        ),
        bad(
            "a category in capitals",
            "actions.0.action_category",
            "ENTRY",
            "unknown_category",
            f"{action}.action_category",
        ),
        bad(
            "no category",
            "actions.0.action_category",
            ABSENT,
            "missing_field",
            f"{action}.action_category",
        ),
        bad(
            "no pattern", "actions.0.pattern_key", ABSENT, "missing_field", f"{action}.pattern_key"
        ),
        bad(
            "an empty segment",
            "actions.0.pattern_key",
            "pm..S1",
            "bad_pattern_key",
            f"{action}.pattern_key",
        ),
        bad(
            "a pattern of the module alone",
            "actions.0.pattern_key",
            "pm",
            "bad_pattern_key",
            f"{action}.pattern_key",
        ),
        bad(
            "another module's pattern",
            "actions.0.pattern_key",
            "module=dm|pattern_key=a.b",
            "bad_pattern_key",
            f"{action}.pattern_key",
        ),
        bad(
            "a pattern with a blank",
            "actions.0.pattern_key",
            "pm.a b",
            "bad_pattern_key",
            f"{action}.pattern_key",
        ),
        bad("a scope that is a list", "actions.1.scope", [], "wrong_type", "$.actions[1].scope"),
        bad(
            "an object as a dimension",
            "actions.1.scope",
            {"chain": {"a": 1}},
            "wrong_type",
            "$.actions[1].scope.chain",
        ),
        bad(
            "a dimension of 201",
            "actions.1.scope",
            {"chain": "x" * 201},
            "too_long",
            "$.actions[1].scope.chain",
        ),
        bad(
            "an array at entry",
            "entry_context",
            {"chain": ["sol"]},
            "wrong_type",
            "$.entry_context.chain",
        ),
        Bad(
            "twice the same action",
            _json({**event, "actions": [{**a, "action_id": "same"} for a in event["actions"]]}),
            "duplicate_action_id",
            "$.actions[1].action_id",
        ),
    ]


def _times(event: dict[str, Any]) -> list[Bad]:
    def exit_at(sort: str, text: Any, reason: str) -> Bad:
        return Bad(
            sort,
            _json(_set(event, "trade_summary.exit_timestamp", text)),
            reason,
            "$.trade_summary.exit_timestamp",
        )

    return [
        exit_at("a naive time", "2025-02-01T00:00:00", "bad_time"),
        exit_at("a date", "2025-02-01", "bad_time"),
        exit_at("no such day", "2025-02-30T00:00:00Z", "bad_time"),
        exit_at("a time in seconds", 1_738_000_000, "wrong_type"),
        exit_at("before 1970", "1969-12-31T23:59:59Z", "ancient_exit"),
        exit_at("ancient", "0001-01-01T00:00:00Z", "ancient_exit"),
        exit_at(
            "a day and a second ahead", text_of(STAMP + timedelta(days=1, seconds=1)), "future_exit"
        ),
        exit_at("the year 9999", "9999-12-31T23:59:59Z", "future_exit"),
        Bad(
            "out before in",
            _json(_set(event, "trade_summary.entry_timestamp", text_of(STAMP))),
            "exit_before_entry",
            None,
        ),
        Bad(
            "a bad time of an action",
            _json(_set(event, "actions.1.ts", "yesterday")),
            "bad_time",
            "$.actions[1].ts",
        ),
    ]


def _texts(event: dict[str, Any]) -> list[Bad]:
    return [
        Bad(
            "NUL in an identifier", _json(_set(event, "trade_id", "a\0b")), "bad_text", "$.trade_id"
        ),
        Bad(
            "NUL in a field nobody reads",
            _json({**event, "note": {"deep": ["a\0b"]}}),
            "bad_text",
            "$.note.deep[0]",
        ),
        Bad("a lone surrogate", _json({**event, "note": "\ud800"}), "bad_text", "$.note"),
        Bad(
            "a lone surrogate in a scope",
            _json(_set(event, "actions.0.scope.chain", "\udfff")),
            "bad_text",
            "$.actions[0].scope.chain",
        ),
    ]


def _content(event: dict[str, Any]) -> dict[str, Any]:
    trade = {"trade_id": event["trade_id"], "actions": event["actions"]}
    return {
        "trade_id": event["trade_id"],
        "trade_summary": event["trade_summary"],
        "completed_trades": [trade],
    }


def _json(event: Any) -> bytes:
    return json.dumps(event).encode()


def _set(event: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of `event` with `value` at `path` (`actions.0.scope`); ABSENT removes it."""
    tree = copy.deepcopy(event)
    node: Any = tree
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps:
        node = node[step]
    if value is ABSENT:
        del node[last]
    else:
        node[last] = value
    return tree
