"""The records in force are counted as metrics: lessons, hypotheses, overrides by action and age."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from app.kafka.records import partition_of
from app.metrics import OVERRIDE_AGES, forget_partition
from app.stages import gauges
from app.stages.lesson_builder import LessonBuilder
from app.stages.override_materializer import OverrideMaterializer
from schemas.kinds import LESSONS, OVERRIDES
from schemas.lessons import GroupSummary, Lesson
from tests.stages import making
from tests.stages.making import START_US, Message, by_topic, facts, facts_of, read_back

SETTINGS = replace(making.SETTINGS, partitions=1_000)
GROUPS = partition_of("pm.a.b|entry", SETTINGS.partitions)
PARTITION = partition_of("pm", SETTINGS.partitions)  # no other test shows its metrics


def shown(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"partition": str(PARTITION), **labels})


def ages(action: str = "entry") -> dict[str, float | None]:
    return {age: shown("edgeloop_overrides", action=action, age=age) for age in OVERRIDE_AGES}


def test_lessons_and_overrides_are_counted_and_age(monkeypatch: pytest.MonkeyPatch) -> None:
    builder = LessonBuilder(SETTINGS).new_store(GROUPS)
    builder.fold(facts(120), 120)
    records = read_back(by_topic(builder.changes(full=True))[LESSONS])
    decoded = [msgspec.json.decode(r.value or b"", type=Lesson | GroupSummary) for r in records]
    store = OverrideMaterializer(SETTINGS).new_store(PARTITION)
    store.fold(records, len(records))
    store.fold(records, len(records))  # a repetition counts once
    sent = by_topic(store.changes(full=True))[OVERRIDES]
    n = len(sent)
    assert shown("edgeloop_lessons") == sum(isinstance(r, Lesson) for r in decoded) > 0
    slices = sum(r.n_slices for r in decoded if isinstance(r, GroupSummary))
    assert shown("edgeloop_hypotheses") == slices > 0
    newest = START_US / 1e6 + 119 * 3600
    for days, age in ((0.5, "1d"), (1.5, "7d"), (8, "30d"), (31, "older"), (-1, "1d")):
        monkeypatch.setattr(gauges.time, "time", lambda d=days: newest + d * 86_400)
        assert ages() == {a: float(n * (a == age)) for a in OVERRIDE_AGES}, days
    assert set(ages("exit").values()) == {0.0}

    # Another worker takes over: published records count, retired ones do not.
    successor = OverrideMaterializer(SETTINGS).new_store(PARTITION)
    successor.fold(records, len(records))
    successor.adopt(read_back(sent))
    successor.changes(full=True)
    assert sum(v or 0 for v in ages().values()) == n
    late = [replace(r, value=None, headers=(("version", b"999"),)) for r in records]
    successor.fold(late, 999)
    gone = successor.changes(full=True)
    assert any(r.value is None and r.topic == OVERRIDES for r in gone)
    assert (shown("edgeloop_lessons"), shown("edgeloop_hypotheses")) == (0, 0)
    assert set(ages().values()) == {0.0}

    forget_partition("override_materializer", str(PARTITION))
    assert set(ages().values()) == {None}
    assert shown("edgeloop_lessons") is None


def test_dead_letters_are_counted_by_reason_and_logged_once_a_batch() -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("edgeloop_dead_letters_total", {"reason": "not_json"}) or 0

    before = counted()
    with capture_logs() as logged:
        facts_of(SETTINGS, [Message(b"{", offset=at, partition=3) for at in range(5, 9)])
    assert counted() == before + 4
    (line,) = [entry for entry in logged if entry["event"] == "close.refused"]
    assert (line["topic"], line["partition"], line["offset"]) == ("position_closed", 3, 5)
    assert (line["reason"], line["path"], line["records"]) == ("not_json", "$", 4)
    assert line["event_id"] is None
