"""Any bytes give valid facts or a dead letter, never another exception; and a replay makes of them
the trades of their facts."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.closes import REASONS, RefusedCloseError
from edgeloop.pattern_key import canonical_pattern_key
from edgeloop.scope import canonical_scope
from tests.closes.events import NEW, OLDER, TIMESTAMP_MS, assert_replayed_alike, facts

JSON: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["S4", "2026-01-01T00:00:00Z", "add", "pm", "\x00"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)
HOSTILE: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**53,
    10**30,
    1e308,
    float("nan"),
    float("inf"),
    "",
    " ",
    "x" * 201,
    "🚀",
    "\x00",
    "\ud800",
    "S4",
    [],
    {},
    [[]],
    {"a": {}},
    [None],
    "2026-01-01",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:60-23:59",
    "2026-01-01T00:00:00Z",
    "pm..a",
    "a|b",
    "add",
    "position_closed",
    10**400,
]


def judge(value: bytes | None) -> bool:
    """Whether `value` is accepted; accepted values must give valid facts."""
    letter = None
    try:
        found = facts(value)
    except RefusedCloseError as error:
        letter = error
    assert_replayed_alike(value)
    if letter is not None:
        assert letter.reason in REASONS
        assert letter.path.startswith("$")
        assert all(
            len(text.encode()) < 3_000 for text in (letter.reason, letter.path, letter.exception)
        )
        return False
    assert sum(fact.home for fact in found) == 1
    assert len({(fact.pattern_key, fact.action_category) for fact in found}) == len(found)
    assert sum(len(fact.actions) for fact in found) == found[0].n_actions
    ids = [action.action_id for fact in found for action in fact.actions]
    assert len(set(ids)) == len(ids)
    for fact in found:
        assert canonical_pattern_key(fact.pattern_key, fact.module) == fact.pattern_key
        assert fact.rr is not None
        assert abs(fact.rr) < float("inf")
        for action in fact.actions:
            assert canonical_scope(action.scope) == action.scope
    return True


@given(st.binary(max_size=300))
def test_random_bytes(value: bytes) -> None:
    judge(value)


@given(JSON)
def test_random_json(tree: Any) -> None:
    judge(json.dumps(tree).encode())


@given(st.dictionaries(st.sampled_from([*NEW, *OLDER]), JSON))
def test_random_members(members: dict[str, Any]) -> None:
    judge(json.dumps({**NEW, **members}).encode())
    judge(json.dumps({**OLDER, **members}).encode())


def _places(tree: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    items = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree)
        if isinstance(tree, list)
        else ()
    )
    for key, child in items:
        found += [(tree, key), *_places(child)]
    return found


@settings(max_examples=300)
@given(
    st.sampled_from([NEW, OLDER]),
    st.randoms(use_true_random=False),
    st.integers(1, 4),
    JSON | st.sampled_from(HOSTILE),
)
def test_mutated_events(
    event: dict[str, Any], random_source: random.Random, mutations: int, value: Any
) -> None:
    tree = json.loads(json.dumps(event))
    for _ in range(mutations):
        places = _places(tree)
        if not places:
            break
        node, key = random_source.choice(places)
        if random_source.random() < 0.3:
            del node[key]
        else:
            node[key] = copy.deepcopy(value)
    judge(json.dumps(tree).encode())


@pytest.mark.parametrize("event", [NEW, OLDER], ids=["new", "older"])
def test_every_place_with_every_hostile_value(event: dict[str, Any]) -> None:
    accepted = refused = 0
    for index in range(len(_places(event))):
        for hostile in HOSTILE:
            tree = json.loads(json.dumps(event))
            node, key = _places(tree)[index]
            node[key] = hostile
            try:
                value = json.dumps(tree, ensure_ascii=False).encode()
            except UnicodeEncodeError:
                value = json.dumps(tree).encode()
            if judge(value):
                accepted += 1
            else:
                refused += 1
    assert accepted > 100
    assert refused > 800


@pytest.mark.parametrize("event", [NEW, OLDER], ids=["new", "older"])
def test_bytes_flipped_cut_and_doubled(event: dict[str, Any]) -> None:
    random_source = random.Random(7)
    value = json.dumps(event).encode()
    outcomes = set()
    for _ in range(3_000):
        changed = bytearray(value)
        for _ in range(random_source.randint(1, 3)):
            at = random_source.randrange(len(changed))
            match random_source.randrange(4):
                case 0:
                    changed[at] = random_source.randrange(256)
                case 1:
                    changed[at] = random_source.choice(b'"\\{}[],:0123456789eE.-utfn\x00 ')
                case 2:
                    del changed[at : at + random_source.randint(1, 40)]
                case _:
                    changed[at:at] = changed[at : at + random_source.randint(1, 40)]
            if not changed:
                break
        outcomes.add(judge(bytes(changed)))
    assert outcomes == {True, False}


def test_every_prefix_of_a_valid_event() -> None:
    value = json.dumps(NEW).encode()
    assert [end for end in range(len(value) + 1) if judge(value[:end])] == [len(value)]


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_timestamp(timestamp_ms: int) -> None:
    value = json.dumps(NEW).encode()
    day_ms = 86_400_000
    exit_ms = TIMESTAMP_MS - day_ms // 2
    try:
        facts(value, timestamp_ms=timestamp_ms)
        accepted = True
    except RefusedCloseError:
        accepted = False
    assert accepted == (exit_ms <= timestamp_ms + day_ms)
