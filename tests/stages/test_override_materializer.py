"""override_materializer without Kafka: lessons in, overrides and all other judged records out."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from app.kafka.records import Outgoing
from app.learning.integrated.learner_weight import Counts
from app.metrics import WEIGHT
from app.stages.lesson_builder import LessonBuilder
from app.stages.override_materializer import ModuleStore, OverrideMaterializer
from edgeloop.overrides import Override
from schemas.kinds import BASELINES, JUDGED, LESSONS, OVERRIDES, VERDICTS
from tests.stages.making import SETTINGS, Message, by_topic, facts, read_back

LEARNINGS = pytest.mark.parametrize("learning", ["integrated", "classic"])


def lessons(n: int = 120, *, learning: str = "integrated", edge: float = 1.0) -> list[Message]:
    """The records that the lesson builder sends for `n` facts."""
    settings = replace(SETTINGS, learning=learning)
    store = LessonBuilder(settings).new_store(0)
    store.fold(facts(n, edge=edge), n)
    return read_back(by_topic(store.changes(full=True))[LESSONS])


def judged(records: list[Message], *, learning: str = "integrated") -> ModuleStore:
    """A store that has folded these records."""
    made = OverrideMaterializer(replace(SETTINGS, learning=learning)).new_store(0)
    made.fold(records, len(records))
    return made


def overrides(sent: list[Outgoing]) -> list[Override]:
    """The overrides among them."""
    return [
        msgspec.json.decode(r.value, type=Override)
        for r in sent
        if r.topic == OVERRIDES and r.value is not None
    ]


@LEARNINGS
def test_lessons_become_overrides_verdicts_and_baselines(learning: str) -> None:
    records = lessons(learning=learning)
    sent = judged(records, learning=learning).changes(full=True)
    assert {OVERRIDES, VERDICTS, BASELINES} <= set(by_topic(sent)) <= set(JUDGED)
    assert sent[0].topic == OVERRIDES, "a position manager waits for them"
    found = {o.scope.get("chain"): o.multiplier for o in overrides(sent)}
    assert found.get("sol", 1.0) > found.get("eth", 1.0)
    assert {dict(r.headers)["version"] for r in sent} == {str(len(records)).encode()}
    assert len({record.partition for record in sent}) == 1, "a module is in one partition"


@LEARNINGS
def test_the_highest_version_of_a_lesson_counts(learning: str) -> None:
    old, new = lessons(learning=learning), lessons(120, learning=learning, edge=-1.0)
    for message in new:
        message.headers = tuple(
            (k, b"999") if k == "version" else (k, v) for k, v in message.headers
        )
    late = judged([*new, *old], learning=learning).changes(full=True)
    alone = judged(new, learning=learning).changes(full=True)
    assert {o.override_id: o.multiplier for o in overrides(late)} == {
        o.override_id: o.multiplier for o in overrides(alone)
    }


@LEARNINGS
def test_a_retired_lesson_takes_its_override_with_it(learning: str) -> None:
    records = lessons(learning=learning)
    store = judged(records, learning=learning)
    before = overrides(store.changes(full=True))
    gone = [
        Message(None, m.key, m.topic, m.partition, 500, (("version", b"999"),)) for m in records
    ]
    store.fold(gone, 1_000)
    sent = store.changes(full=True)
    assert {r.key.decode() for r in sent if r.topic == OVERRIDES and r.key and r.value is None} == {
        o.override_id for o in before
    }
    assert store.settled


@LEARNINGS
def test_what_is_published_is_not_published_again(learning: str) -> None:
    records = lessons(learning=learning)
    published = judged(records, learning=learning).changes(full=True)
    successor = judged(records, learning=learning)
    successor.adopt(read_back(published))
    assert successor.changes(full=True) == []


def test_lessons_of_another_way_of_learning_say_nothing() -> None:
    assert overrides(judged(lessons(learning="classic")).changes(full=True)) == []


def test_a_lesson_that_cannot_be_read_is_left_out() -> None:
    records = lessons()
    bad = Message(b"no lesson", records[0].key, headers=(("version", b"999"),))
    sent = judged([bad, *records]).changes(full=True)
    assert len(overrides(sent)) == len(overrides(judged(records).changes(full=True))) > 0


def test_records_are_routed_to_the_owner_of_their_module() -> None:
    stage = OverrideMaterializer(SETTINGS)
    sent = read_back(judged(lessons()).changes(full=True))
    assert {stage.route(record) for record in sent} == {sent[0].partition}
    assert stage.route(Message(b"no override", topic=OVERRIDES)) is None


def test_the_weights_of_learners_are_metrics() -> None:
    store = judged(lessons())
    store.changes(full=True)
    found = {
        sample.labels["learner"]: sample.value
        for metric in WEIGHT.collect()
        for sample in metric.samples
        if sample.labels["module"] == "pm"
    }
    assert found.keys() == set(Counts._fields)
    assert all(0.0 <= value <= 1.0 for value in found.values())
