"""lesson_builder without Kafka: facts in, lessons and the days of their histories out."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest

from app.log.records import version_of
from app.stages.lesson_builder import GroupStore, LessonBuilder
from schemas.kinds import FACTS, HISTORY, LESSONS
from schemas.lessons import GroupSummary, Lesson
from tests.stages.making import SETTINGS, Message, by_topic, close, facts, facts_of, read_back

_decode = msgspec.json.Decoder(Lesson | GroupSummary).decode
CLASSIC = replace(SETTINGS, learning="classic")


def store(records: list[Message], *, learning: str = "integrated") -> GroupStore:
    """A store that has folded these records."""
    made = LessonBuilder(replace(SETTINGS, learning=learning)).new_store(0)
    made.fold(records, len(records))
    return made


@pytest.mark.parametrize("learning", ["integrated", "classic"])
def test_facts_become_lessons_of_the_folded_offset(learning: str) -> None:
    sent = by_topic(store(facts(60), learning=learning).changes(full=True))
    lessons = [_decode(record.value or b"") for record in sent[LESSONS]]
    assert {type(lesson) for lesson in lessons} == {Lesson, GroupSummary}
    scopes = [lesson.scope for lesson in lessons if isinstance(lesson, Lesson)]
    assert {"chain": "sol"} in scopes
    assert {version_of(m) for m in read_back(sent[LESSONS])} == {60}
    assert {lesson.version for lesson in lessons} == {60}


def test_the_days_of_a_history_go_out_in_a_full_call_only() -> None:
    made = store(facts(60))
    first = by_topic(made.changes(full=False))
    assert HISTORY not in first
    assert not made.settled
    days = by_topic(made.changes(full=True))
    assert set(days) == {HISTORY}
    assert all(b"|" in (record.key or b"") for record in days[HISTORY])
    assert made.settled
    assert made.changes(full=True) == []


def test_what_is_published_is_not_published_again() -> None:
    records = facts(60)
    published = by_topic(store(records).changes(full=True))[LESSONS]
    successor = store(records)
    successor.adopt(read_back(published))
    sent = by_topic(successor.changes(full=True))
    assert set(sent) == {HISTORY}, "whether all days were sent is not known"
    assert successor.settled


def test_what_belongs_to_no_group_is_retired() -> None:
    published = by_topic(store(facts(60)).changes(full=True))[LESSONS]
    successor = store([])
    successor.adopt(read_back(published))
    sent = by_topic(successor.changes(full=True))
    assert {record.key for record in sent[LESSONS]} == {record.key for record in published}
    assert {record.value for record in sent[LESSONS]} == {None}
    assert {r.partition for r in sent[LESSONS]} == {r.partition for r in published}


def test_a_day_that_a_correction_empties_is_withdrawn_with_its_lesson() -> None:
    records = facts(240)
    made = store(records)
    days = {r.key for r in by_topic(made.changes(full=True))[HISTORY]}
    moved = [close(n, 0.1, "sol" if n % 2 else "eth", revision=1) for n in range(144, 168)]
    for message in moved:  # the trades of one whole day close after all others instead
        event = json.loads(message.value or b"")
        event["trade_summary"]["exit_timestamp"] = "2023-12-19T10:00:00Z"
        message.value = json.dumps(event).encode()
    corrections = facts_of(SETTINGS, moved)
    made.fold(read_back(corrections, 240), 240 + len(corrections))
    sent = by_topic(made.changes(full=False))[HISTORY]
    assert {r.value for r in sent} == {None}
    assert {r.key for r in sent} == {key for key in days if key and key.endswith(b"|2023-12-15")}


def test_a_fact_that_cannot_be_read_is_left_out() -> None:
    records = facts(60)
    alone = by_topic(store(records).changes(full=True))[LESSONS]
    made = store([*records[:30], Message(b"no fact"), *records[30:]])
    lessons = by_topic(made.changes(full=True))[LESSONS]
    assert [r.key for r in lessons] == [r.key for r in alone]


def test_a_lesson_is_routed_to_the_owner_of_its_group() -> None:
    stage = LessonBuilder(SETTINGS)
    records = facts(60)
    for record in read_back(by_topic(store(records).changes(full=True))[LESSONS]):
        assert stage.route(record) == records[0].partition
    assert stage.route(Message(b"no lesson")) is None
    assert (stage.role, stage.source, stage.outputs) == ("lesson_builder", FACTS, (LESSONS,))
