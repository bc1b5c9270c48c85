"""Values that another program wrote with a valid version do not end any reader of a topic."""

from __future__ import annotations

import pytest

from app.kafka.control import ControlState
from app.metrics import UNREADABLE_RECORDS
from app.stages.lesson_builder import LessonBuilder
from app.stages.override_materializer import OverrideMaterializer
from app.storage.projection import BadRecord
from app.storage.tables import PROJECTIONS
from edgeloop.shelf import Shelf
from schemas.kinds import DERIVED, FACTS, LESSONS, OVERRIDES
from tests.stages.making import SETTINGS, Message

JUNK = {
    "no JSON": b"\x00junk",
    "empty": b"",
    "no object": b"[]",
    "another form": b"{}",
    "not UTF-8": b'{"module": "\xff", "lesson_id": "\xff"}',
    "nested deeply": b'{"junk": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}
junk = pytest.mark.parametrize("value", JUNK.values(), ids=JUNK)


def record(value: bytes, topic: str) -> Message:
    return Message(value, key=b"stranger", topic=topic, headers=(("version", b"7"),))


@junk
def test_the_lesson_builder_counts_and_skips_it(value: bytes) -> None:
    count = UNREADABLE_RECORDS.labels(LessonBuilder.role)
    before = count._value.get()
    stage = LessonBuilder(SETTINGS)
    stage.new_store(0).fold([record(value, FACTS)], 1)
    assert count._value.get() == before + 1
    assert stage.route(record(value, LESSONS)) is None


@junk
def test_the_override_materializer_counts_and_skips_it(value: bytes) -> None:
    count = UNREADABLE_RECORDS.labels(OverrideMaterializer.role)
    before = count._value.get()
    stage = OverrideMaterializer(SETTINGS)
    stage.new_store(0).fold([record(value, LESSONS)], 1)
    assert count._value.get() == before + 1
    assert stage.route(record(value, OVERRIDES)) is None


@junk
@pytest.mark.parametrize("topic", DERIVED)
def test_the_projector_reports_a_bad_record(topic: str, value: bytes) -> None:
    with pytest.raises(BadRecord):
        PROJECTIONS[topic].decode(record(value, topic))


@junk
def test_the_control_log_ignores_it(value: bytes) -> None:
    state = ControlState()
    assert not state.take(b"settings|stranger", value)
    assert state.agreed is None


@junk
def test_the_book_counts_and_skips_it(value: bytes) -> None:
    shelf = Shelf()
    shelf.apply([record(value, OVERRIDES)])
    assert (shelf.bad_records, shelf.records) == (1, {})
