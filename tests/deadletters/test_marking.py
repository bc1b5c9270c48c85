"""The value of a dead letter with the invalid part marked, for everything that input validation
refuses."""

from __future__ import annotations

import json

import pytest

from app.closes import RefusedCloseError, explode
from app.deadletters.marking import MARK, marked
from edgeloop.scope import DEFAULT_DIMENSIONS
from tests.pipeline.trades import simple


def refused(value: bytes | None) -> list[str]:
    with pytest.raises(RefusedCloseError) as caught:
        explode(value, 1_900_000_000_000, dimensions=DEFAULT_DIMENSIONS, outcome="rr")
    return marked(value, caught.value.path, caught.value.reason, caught.value.exception)


def the_mark(lines: list[str]) -> str:
    (line,) = [line for line in lines if MARK in line]
    return line.strip()


def test_a_value_deep_inside() -> None:
    event = simple("t")
    event["actions"][1]["scope"] = {"chain": {"no": "object"}}
    lines = refused(json.dumps(event).encode())
    assert the_mark(lines) == f'"chain": {{{MARK}wrong_type'
    assert "\n".join(line.replace(f"{MARK}wrong_type", "") for line in lines) == json.dumps(
        event, indent=2
    )


def test_a_field_that_is_missing_marks_what_it_is_missing_from() -> None:
    event = simple("t")
    del event["trade_summary"]["rr"]
    assert (
        the_mark(refused(json.dumps(event).encode()))
        == f'"trade_summary": {{{MARK}missing_outcome: $.trade_summary.rr'
    )


def test_names_that_are_no_plain_words() -> None:
    assert (
        the_mark(marked(b'{"a b": {"c.d": 1}}', '$["a b"]["c.d"]', "bad_text", ""))
        == f'"c.d": 1{MARK}bad_text'
    )


@pytest.mark.parametrize("path", ["$", "$.nowhere.at.all", "", "no path", "$[3]"])
def test_a_path_that_leads_nowhere_marks_the_whole(path: str) -> None:
    assert marked(b'{"a": 1}', path, "r", "")[0].startswith(f"{{{MARK}r")


def test_what_is_not_json_is_shown_around_the_byte() -> None:
    value = b'{"event_id": "' + b"x" * 2_000 + b'", !' + b"y" * 2_000
    lines = refused(value)
    assert lines[0].endswith(f"{MARK}not_json at byte {value.index(b'!'):,} of {len(value):,}")
    assert lines[1].startswith("!yyy")
    assert sum(map(len, lines)) < 1_000


@pytest.mark.parametrize(
    "value",
    [
        b"\xff\xfe\x00",
        b"\xef\xbb\xbf{}",
        b"",
        b"[" * 70 + b"]" * 70,
        b'"\\ud800"',
        b"[1, 2]",
        b"null",
    ],
)
def test_anything_is_shown(value: bytes) -> None:
    lines = refused(value)
    assert sum(MARK in line for line in lines) == 1
    "\n".join(lines).encode()


def test_no_value_at_all() -> None:
    assert refused(None) == [f"null{MARK}null_value"]


def test_long_texts_are_cut() -> None:
    (line,) = marked(json.dumps("x" * 5_000).encode(), "$", "too_long", "")
    assert len(line) < 300
    assert "5,002 characters" in line
