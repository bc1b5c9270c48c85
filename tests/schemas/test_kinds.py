"""The registry matches every kind's records, topics and tables."""

from __future__ import annotations

import msgspec
import pytest

from app.storage.tables import PROJECTIONS
from edgeloop.versions import Latest
from schemas.facts import group_key
from schemas.kinds import (
    CLOSES,
    DEAD_LETTERS,
    DERIVED,
    FACTS,
    JUDGED,
    JUDGED_TOPIC,
    KINDS,
    LEARNED,
    LESSONS,
    OVERRIDES,
)
from tests.storage.records import fact, history, lesson, override


def test_every_derived_kind_comes_from_one_before_it_and_has_a_table() -> None:
    before = {CLOSES, DEAD_LETTERS}
    for topic in DERIVED:
        assert KINDS[topic].source in before
        before.add(topic)
    assert set(PROJECTIONS) == set(DERIVED)
    assert before == set(KINDS)


def test_what_is_judged_is_derived_from_lessons_with_the_overrides_first() -> None:
    assert JUDGED[0] == OVERRIDES
    assert set(LEARNED) == {LESSONS, *JUDGED}
    assert all(KINDS[topic].source == LESSONS and KINDS[topic].by_module for topic in JUDGED)
    assert {struct: KINDS[topic].struct for struct, topic in JUDGED_TOPIC.items()} == {
        struct: struct for struct in JUDGED_TOPIC
    }


@pytest.mark.parametrize("topic", DERIVED)
def test_the_key_is_made_of_fields_of_the_struct(topic: str) -> None:
    structs = getattr(KINDS[topic].struct, "__args__", (KINDS[topic].struct,))
    for struct in structs:
        assert set(KINDS[topic].key) <= {field.name for field in msgspec.structs.fields(struct)}


def test_keys_and_partitions() -> None:
    one = fact("t1")
    assert (
        KINDS[FACTS].key_of(one)
        == KINDS[FACTS].partition_text(one)
        == group_key(one.pattern_key, one.action_category)
    )
    day = history("l1", "2024-03-02")
    assert KINDS["learning_edge_history"].key_of(day) == "l1|2024-03-02"
    assert KINDS[LESSONS].partition_text(lesson("l1")) == "pm"
    assert KINDS[OVERRIDES].key_of(override("o1")) == "o1"


def test_of_equal_versions_the_later_counts_and_a_tombstone_is_a_value() -> None:
    latest: Latest[str, str | None] = Latest()
    assert [
        latest.put("a", v, x) for v, x in ((1, "x"), (3, None), (2, "y"), (3, "z"), (3, None))
    ] == [True, True, False, True, True]
    assert (latest.get("a"), latest.version("a"), latest.versions()) == (None, 3, {"a": 3})
    assert not latest.accepts("a", 2)
    assert latest.accepts("b", -1)
