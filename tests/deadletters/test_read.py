"""Reading letters, whichever program wrote them, and the filters."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import ConsumerRecord

from app.deadletters.read import (
    FOREIGN,
    Letter,
    Place,
    Wanted,
    letter_of,
    parse_place,
    path_fits,
    problem_now,
)
from app.errors import UsageError
from app.settings import Settings

HEADERS = {
    "reason": "wrong_type",
    "path": "$.actions[3].scope.chain",
    "exception": "ValidationError: no",
    "source.topic": "position_closed",
    "source.partition": "1",
    "source.offset": "20",
    "source.timestamp": "1000",
}


def record(
    headers: dict[str, str], value: bytes | None = b"{}", key: bytes | None = b"T-1"
) -> ConsumerRecord:
    named = tuple((name, text.encode()) for name, text in headers.items())
    return ConsumerRecord("position_closed.dlq", 2, 7, 5_000, 0, key, value, None, 0, 0, named)


def letter(**headers: str) -> Letter:
    return letter_of(
        record(HEADERS | {name.replace("_", "."): text for name, text in headers.items()})
    )


def test_a_letter_of_ours() -> None:
    found = letter()
    assert (found.place, str(found.place), found.source, found.source_ms, found.written_ms) == (
        Place(2, 7),
        "2:7",
        Place(1, 20),
        1000,
        5000,
    )
    assert (found.key, found.reason, found.length, found.is_cut) == (b"T-1", "wrong_type", 2, False)
    cut = letter(value_length="20000000", value_sha256="ab")
    assert (cut.is_cut, cut.length, cut.sha256) == (True, 20_000_000, "ab")


@pytest.mark.parametrize(
    "headers", [{}, {"source.partition": "-1", "source.offset": "x"}, {"value.length": "many"}]
)
def test_a_record_of_somebody_else_is_a_letter_too(headers: dict[str, str]) -> None:
    found = letter_of(record(headers, value=None, key=None))
    assert (found.reason, found.path, found.source, found.length, found.is_cut) == (
        FOREIGN,
        "$",
        None,
        0,
        False,
    )
    assert Wanted().fits(found)
    assert not Wanted(source_partition=0).fits(found)


@pytest.mark.parametrize(
    ("fits", "wanted"),
    [
        (True, {"reasons": ("wrong_type", "bad_time")}),
        (False, {"reasons": ("bad_time",)}),
        (True, {"path": "$.actions[3]"}),
        (True, {"path": "$.actions[*].scope.*"}),
        (False, {"path": "$.actions[*].scope"}),
        (True, {"key": "T-1"}),
        (False, {"key": "T-"}),
        (True, {"since_ms": 1000, "until_ms": 1001}),
        (False, {"since_ms": 1001}),
        (False, {"until_ms": 1000}),
        (True, {"source_partition": 1, "source_offset": 20}),
        (False, {"source_partition": 2, "source_offset": 20}),
        (False, {"source_partition": 1, "source_offset": 2}),
        (False, {"reasons": ("wrong_type",), "key": "T-2"}),
    ],
)
def test_filters(fits: bool, wanted: dict[str, Any]) -> None:
    assert Wanted(**wanted).fits(letter()) is fits


def test_paths() -> None:
    assert path_fits("$", "$.a")
    assert path_fits("$.actions[?].ts", "$.actions[3].ts")
    assert not path_fits("$.actions[?].ts", "$.actions[33].ts")
    assert not path_fits("*.ts", "$.actions[3].ts_x")


def test_places() -> None:
    assert parse_place("12:345") == Place(12, 345)
    for wrong in ("", "1", "1:", ":1", "a:1", "1:2:3", "-1:2", "1:-2", "1: 2"):
        with pytest.raises(UsageError):
            parse_place(wrong)


def test_the_door_is_asked_with_the_settings_and_the_time_of_now() -> None:
    event = (
        b'{"event_id":"e","schema_version":1,"trade_id":"t","trade_summary":{"exit_timestamp":"2026-01-03T00:00:00Z","roi":0.1},'
        b'"actions":[{"ts":"2026-01-02T00:00:00Z","pattern_key":"a.b","action_category":"entry"}]}'
    )
    at_ms = 1_767_398_400_000  # 2026-01-03
    missing = problem_now(event, at_ms, Settings())
    assert missing is not None
    assert (missing.reason, missing.path) == ("missing_outcome", "$.trade_summary.rr")
    assert problem_now(event, at_ms, Settings(outcome="roi")) is None
    early = problem_now(event, at_ms - 2 * 86_400_000, Settings(outcome="roi"))
    assert early is not None
    assert early.reason == "future_exit"
