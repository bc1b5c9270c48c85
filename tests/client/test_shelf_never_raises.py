"""Whatever is in `pm_overrides`, the book continues: invalid records are skipped and counted, and
every size is within its bounds."""

from __future__ import annotations

import copy
import random
from types import SimpleNamespace
from typing import Any

import msgspec
from hypothesis import find, given
from hypothesis import strategies as st

from edgeloop.overrides import MAX_MULTIPLIER, MIN_MULTIPLIER
from edgeloop.shelf import Shelf
from tests.client.test_resolve import make
from tests.closes.test_never_raises import HOSTILE, JSON, _places

IDS = ("0" * 32, "1" * 32, "odd")
AT_S = 1_770_000_000.0
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["version", "version", "promotion", "other", ""]),
        st.one_of(
            st.none(),
            st.binary(max_size=6),
            st.integers(-2, 2**54).map(lambda n: str(n).encode()),
        ),
    ),
    max_size=3,
)
KEYS = st.one_of(st.none(), st.binary(max_size=5), st.sampled_from(IDS).map(str.encode))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """An override with some values replaced."""
    tree = msgspec.json.decode(msgspec.json.encode(make(override_id=draw(st.sampled_from(IDS)))))
    source: random.Random = draw(st.randoms(use_true_random=False))
    for _ in range(draw(st.integers(0, 3))):
        node, key = source.choice(_places(tree) or [({}, None)])
        if key is None or source.random() < 0.2:
            node.pop(key, None) if isinstance(node, dict) else None
        else:
            node[key] = copy.deepcopy(draw(JSON | st.sampled_from(HOSTILE)))
    try:
        return bytes(msgspec.json.encode(tree))
    except (UnicodeEncodeError, ValueError, OverflowError):  # JSON has no such value
        return b'{"override_id": "odd", "multiplier": 1e999}'


VERSIONED = st.integers(0, 5).map(lambda n: [("version", str(n).encode())])
RECORDS = st.lists(
    st.one_of(
        st.tuples(KEYS, st.one_of(st.none(), st.binary(max_size=30), mutated()), HEADERS),
        st.tuples(KEYS, st.one_of(st.none(), mutated()), VERSIONED),
        mutated().flatmap(
            lambda value: st.tuples(st.just(key_of(value)), st.just(value), VERSIONED)
        ),
    ),
    max_size=6,
)


def key_of(value: bytes) -> bytes:
    """The key of an override."""
    return next((i for i in IDS if i.encode() in value), IDS[0]).encode()


def test_some_of_it_is_taken() -> None:
    """The properties below would also hold for an empty shelf."""

    def taken(records: list[tuple[Any, Any, Any]]) -> bool:
        shelf = Shelf()
        shelf.apply(
            SimpleNamespace(key=k, value=v, headers=h, offset=0, partition=0) for k, v, h in records
        )
        return len(shelf.records) > 1 and shelf.bad_records > 0

    assert find(RECORDS, taken)


@given(RECORDS)
def test_the_shelf_takes_anything(records: list[tuple[Any, Any, Any]]) -> None:
    shelf = Shelf()
    for offset, (key, value, headers) in enumerate(records):
        shelf.apply(
            [SimpleNamespace(key=key, value=value, headers=headers, offset=offset, partition=0)]
        )
    for override in shelf.records.values():
        group = shelf.group(override.pattern_key, override.action_category)
        assert group is not None, "an override that nobody can ask for"
        matched = group.match(override.scope)
        assert matched, override
        for at_s in (0.0, AT_S, 1e11):
            answer = matched.at(override.scope, at_s)
            assert MIN_MULTIPLIER <= answer.multiplier <= MAX_MULTIPLIER, (override, answer)


@given(RECORDS, st.integers(1, 5))
def test_how_records_are_batched_makes_no_difference(
    records: list[tuple[Any, Any, Any]], size: int
) -> None:
    made = [
        SimpleNamespace(key=key, value=value, headers=headers, offset=offset, partition=0)
        for offset, (key, value, headers) in enumerate(records)
    ]
    one, other = Shelf(), Shelf()
    one.apply(made)
    for start in range(0, len(made), size):
        other.apply(made[start : start + size])
    assert one.records == other.records
    assert one.bad_records == other.bad_records
