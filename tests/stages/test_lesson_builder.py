"""lesson_builder without Kafka: facts in, lessons and the days of their histories out."""

from __future__ import annotations

import itertools
import json
import pickle
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import psutil
import pytest

from app.kafka.records import Outgoing, version_of
from app.learning.common import sieve
from app.learning.common.refit import Refit
from app.learning.integrated.group import IntegratedLearner
from app.stages import lesson_builder, refit_schedule
from app.stages.lesson_builder import GroupStore, LessonBuilder
from app.worker import helpers as helpers_module
from app.worker.helpers import Helpers
from schemas.kinds import FACTS, HISTORY, LESSONS
from schemas.lessons import GroupSummary, Lesson, decode_lesson
from tests.learning.making import told
from tests.stages.making import SETTINGS, Message, by_topic, close, facts, facts_of, read_back

CLASSIC = replace(SETTINGS, learning="classic")


def store(records: list[Message], *, learning: str = "integrated") -> GroupStore:
    """A store that has folded these records."""
    made = LessonBuilder(replace(SETTINGS, learning=learning)).new_store(0)
    made.fold(records, len(records))
    return made


def contents(sent: dict[str, list[Outgoing]]) -> dict[bytes | None, dict[str, Any]]:
    """Lessons and summaries by key, without versions."""
    return {r.key: told(msgspec.json.decode(r.value or b"null")) for r in sent[LESSONS]}


@pytest.mark.parametrize("learning", ["integrated", "classic"])
def test_facts_become_lessons_of_the_folded_offset(learning: str) -> None:
    sent = by_topic(store(facts(60), learning=learning).changes(full=True))
    lessons = [decode_lesson(record.value or b"") for record in sent[LESSONS]]
    assert {type(lesson) for lesson in lessons} == {Lesson, GroupSummary}
    scopes = [lesson.scope for lesson in lessons if isinstance(lesson, Lesson)]
    assert {"chain": "sol"} in scopes
    assert {version_of(m) for m in read_back(sent[LESSONS])} == {60}
    assert {lesson.version for lesson in lessons} == {60}


def test_what_comes_is_told_at_once_and_exactly_later() -> None:
    records = facts(240)
    made = store(records[:230])
    made.changes(full=True)
    again = {r.key: r for r in made.changes(full=True)}
    assert made.settled
    assert not again
    for n, record in enumerate(records[230:233], 231):
        made.fold([record], n)
        sent = by_topic(made.changes(full=False))
        assert set(sent) == {LESSONS}
        kinds = [type(decode_lesson(r.value or b"")) for r in sent[LESSONS]]
        assert kinds.count(GroupSummary) == 1
        assert {version_of(m) for m in read_back(sent[LESSONS])} == {n}
        assert not made.settled, "a refit is owed"
        assert made.progress == 230, "for the facts from there on"
    exact = by_topic(made.changes(full=True))
    assert made.settled
    assert made.progress == 233
    assert made.changes(full=True) == []
    alone = by_topic(store(records[:233]).changes(full=True))
    last = {r.key: r.value for r in exact[LESSONS]}
    assert {key: value for key, value in contents(alone).items() if key in last} == contents(exact)


def test_a_group_that_moved_far_is_refitted_while_facts_come() -> None:
    records = facts(240)
    made = store(records[:200])
    made.changes(full=True)
    made.fold(records[200:], 240)
    made.changes(full=False)
    sent = by_topic(made.changes(full=True))
    assert set(sent) == {HISTORY}, "the call before has refitted: its lessons are right"


def test_refits_rest_while_facts_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that is due again waits for three times the duration of its first refit; a full call
    does not wait."""
    records = facts(240)
    made = store(records[:100])
    made.changes(full=True)
    clock = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    refits: list[float] = []
    refit = IntegratedLearner.refit

    def noted(self: IntegratedLearner, version: int) -> Refit:
        refits.append(clock[0])
        clock[0] += 0.05
        return refit(self, version)

    monkeypatch.setattr(IntegratedLearner, "refit", noted)
    for n in range(100, 160, 10):
        clock[0] += 0.06
        made.fold(records[n : n + 10], n + 10)
        made.changes(full=False)
    assert 1 < len(refits) < 6
    assert all(after - before > 0.15 for before, after in itertools.pairwise(refits))
    made.fold(records[160:170], 170)
    made.changes(full=True)
    assert not made.changes(full=True)
    assert made.settled


def test_a_large_group_is_refitted_beside_what_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts are folded and published while the refit runs; the final records are right."""
    monkeypatch.setattr(refit_schedule, "LARGE_TRADES", 100)
    records = facts(240)
    made = store(records[:200])
    held: dict[bytes | None, Outgoing] = {}

    def read(sent: list[Outgoing]) -> int:
        lessons = by_topic(sent).get(LESSONS, [])
        held.update({record.key: record for record in lessons})
        return len(lessons)

    read(made.changes(full=True))
    begun, go_on = threading.Event(), threading.Event()
    learn = IntegratedLearner._learn

    def slow(self: IntegratedLearner, *arguments: Any) -> Any:
        begun.set()
        assert go_on.wait(30.0)
        return learn(self, *arguments)

    monkeypatch.setattr(IntegratedLearner, "_learn", slow)
    made.fold(records[200:210], 210)
    read(made.changes(full=False))
    assert begun.wait(30.0)
    made.fold(records[210:211], 211)
    assert read(made.changes(full=False)), "new trades are published meanwhile"
    assert not made.settled
    go_on.set()
    deadline = time.monotonic() + 30.0
    while not made.settled:
        assert time.monotonic() < deadline
        read(made.changes(full=True))
    alone = by_topic(store(records[:211]).changes(full=True))
    last = {key: record for key, record in held.items() if record.value is not None}
    assert contents({LESSONS: list(last.values())}) == contents(alone)


def test_a_large_group_that_runs_out_of_memory_in_the_end_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Taking over the result of the other thread needs memory too; then the group is refitted
    later, and the progress stays before its trades."""
    monkeypatch.setattr(refit_schedule, "LARGE_TRADES", 100)
    records = facts(240)
    made = store(records[:200])
    made.changes(full=True)

    def full(self: IntegratedLearner, *arguments: Any) -> Any:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(IntegratedLearner, "finish", full)
        made.fold(records[200:210], 210)
        made.fold(records[210:220], 220)
        deadline = time.monotonic() + 30.0
        while not made._schedule.held:
            assert time.monotonic() < deadline
            made.changes(full=True)
    assert not made.settled
    assert made.progress == 200
    made._schedule._held.clear()
    while not made.settled:
        assert time.monotonic() < deadline
        made.changes(full=True)


def several(groups: int, trades: int) -> list[Message]:
    """Facts of some groups, each with an edge of its own."""
    found: list[Message] = []
    for group in range(groups):
        for record in facts(trades, edge=0.5 * group):
            fact = json.loads(record.value or b"")
            fact["pattern_key"] = f"pm.a.b{group}"
            found.append(replace(record, value=json.dumps(fact).encode()))
    return [replace(record, offset=i) for i, record in enumerate(found)]


def everything(made: GroupStore) -> list[Outgoing]:
    """All lessons, however many turns it takes."""
    sent = made.changes(full=True)
    while not made.settled:
        sent += made.changes(full=True)
    return by_topic(sent)[LESSONS]


def test_first_refits_on_several_threads_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    records = several(7, 60)
    monkeypatch.setattr(refit_schedule, "AT_ONCE", 1)
    alone = everything(store(records))
    monkeypatch.setattr(refit_schedule, "AT_ONCE", 3)
    monkeypatch.setattr(refit_schedule, "SEVERAL_TRADES", 50)
    threads: set[str] = set()
    learn = IntegratedLearner._learn

    def noted(self: IntegratedLearner, *arguments: Any) -> Any:
        threads.add(threading.current_thread().name)
        return learn(self, *arguments)

    monkeypatch.setattr(IntegratedLearner, "_learn", noted)
    together = everything(store(records))
    assert threads
    assert all(name.startswith("first-refit") for name in threads)
    assert [(r.key, r.value) for r in together] == [(r.key, r.value) for r in alone]


@pytest.fixture
def helpers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Helpers]:
    """Helpers that a schedule starts for the smallest backlog, whatever the machine has."""
    monkeypatch.setattr(helpers_module, "MOST", 2)
    monkeypatch.setattr(refit_schedule, "AT_ONCE", 2)
    monkeypatch.setattr(refit_schedule, "SEVERAL_TRADES", 50)
    monkeypatch.setattr(refit_schedule, "WORTH_HELP_S", 0.0)
    made = Helpers()
    monkeypatch.setattr(refit_schedule, "HELPERS", made)
    yield made
    made.end()


def test_first_refits_in_helper_processes_say_the_same(
    helpers: Helpers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all that follows: trades folded meanwhile, and provisional results afterwards."""
    records = several(7, 60)
    more = [replace(record, offset=len(records) + i) for i, record in enumerate(several(7, 70))]
    with monkeypatch.context() as patch:
        patch.setattr(refit_schedule, "AT_ONCE", 1)
        other = store(records)
        alone = everything(other)
        other.fold(more, len(records) + len(more))
        alone_later = everything(other)
    helped: list[str] = []
    submit = helpers.submit

    def noted(function: Any, argument: Any) -> Any:
        helped.append(argument.pattern_key)
        return submit(function, argument)

    monkeypatch.setattr(helpers, "submit", noted)
    made = store(records)
    together = everything(made)
    assert len(helped) == 7
    assert [(r.key, r.value) for r in together] == [(r.key, r.value) for r in alone]
    made.fold(more, len(records) + len(more))
    later = everything(made)
    assert [(r.key, r.value) for r in later] == [(r.key, r.value) for r in alone_later]
    assert len(helped) == 7, "later refits run here"


def test_first_refits_whose_helpers_are_killed_are_done_anyway(
    helpers: Helpers, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = several(7, 60)
    with monkeypatch.context() as patch:
        patch.setattr(refit_schedule, "AT_ONCE", 1)
        alone = everything(store(records))
    submit = helpers.submit

    def killed(function: Any, argument: Any) -> Any:
        if argument.pattern_key == "pm.a.b3":
            for child in psutil.Process().children():
                child.kill()
        return submit(function, argument)

    monkeypatch.setattr(helpers, "submit", killed)
    together = everything(store(records))
    assert [(r.key, r.value) for r in together] == [(r.key, r.value) for r in alone]


def test_a_refit_that_runs_out_of_memory_in_a_helper_waits(
    helpers: Helpers, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = helpers.submit

    def full(function: Any, argument: Any) -> Any:
        if argument.pattern_key == "pm.a.b1":
            return submit(out_of_memory, argument)
        return submit(function, argument)

    made = store(several(3, 60))
    with monkeypatch.context() as patch:
        patch.setattr(helpers, "submit", full)
        deadline = time.monotonic() + 30.0
        sent: list[Outgoing] = []
        while not made._schedule.held:
            assert time.monotonic() < deadline
            sent += made.changes(full=True)
    assert not made.settled
    made._schedule._held.clear()
    assert by_topic(sent + everything(made))[LESSONS]
    assert made.settled


def out_of_memory(_: Any) -> None:
    raise MemoryError


@pytest.mark.parametrize("sifted_trades", [20, 10_000])
def test_facts_folded_in_another_process_are_taken_over(
    monkeypatch: pytest.MonkeyPatch, sifted_trades: int
) -> None:
    """What a helper folds, pickled, gives the same records as what is folded here, also after
    further facts, repetitions and corrections, and where a window has moved back."""
    monkeypatch.setattr(lesson_builder, "SIFTED_TRADES", sifted_trades)
    monkeypatch.setattr(sieve, "SLACK", 0)
    settings = replace(SETTINGS, window_days=3.0)
    closes = [close(i, 0.1 * (i * 7 % 5 - 2), "sol" if i % 2 else "eth") for i in range(150)]
    closes += [close(n, 1.0, "sol", revision=1 + n, trade=140 + n % 10) for n in range(10)]
    records = read_back(facts_of(settings, closes))
    records.insert(40, Message(b"no fact"))
    trace = (("traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"),)
    records[-1] = replace(records[-1], headers=trace)
    records = [replace(record, offset=i) for i, record in enumerate(records)]
    here, there, after = (LessonBuilder(settings).new_store(0) for _ in range(3))
    for made in (here, there):
        for start in range(0, 130, 16):
            end = min(start + 16, 130)
            made.fold(records[start:end], end)
    after.take_over(pickle.loads(pickle.dumps(there.hand_over())))
    for made in (here, after):
        made.fold(records[130:], len(records))
        if made.needs_rebuild:
            made.fold(records, len(records))
        assert not made.needs_rebuild
    expected, found = (by_topic(made.changes(full=True)) for made in (here, after))
    assert [(r.key, r.value, r.headers) for r in found[LESSONS]] == [
        (r.key, r.value, r.headers) for r in expected[LESSONS]
    ]
    assert contents(found)
    for made in (here, after):
        made.fold(random.Random(1).sample(records, 40), len(records))
        assert made.changes(full=True) == []


def test_of_first_refits_the_one_that_runs_out_of_memory_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refit_schedule, "AT_ONCE", 3)
    monkeypatch.setattr(refit_schedule, "SEVERAL_TRADES", 50)
    learn = IntegratedLearner._learn

    def full(self: IntegratedLearner, *arguments: Any) -> Any:
        if self.pattern_key == "pm.a.b1":
            raise MemoryError
        return learn(self, *arguments)

    monkeypatch.setattr(IntegratedLearner, "_learn", full)
    made = store(several(3, 60))
    sent = by_topic(made.changes(full=True))
    said = {decode_lesson(r.value or b"").pattern_key for r in sent[LESSONS]}
    assert said == {"pm.a.b0", "pm.a.b2"}
    assert not made.settled
    made._schedule._held.clear()
    monkeypatch.setattr(IntegratedLearner, "_learn", learn)
    sent = by_topic(made.changes(full=True))
    assert {decode_lesson(r.value or b"").pattern_key for r in sent[LESSONS]} == {"pm.a.b1"}
    assert made.settled


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


@pytest.mark.parametrize("sifted_trades", [20, 10_000])
def test_sifting_a_log_gives_the_windows_that_sliding_gives(
    monkeypatch: pytest.MonkeyPatch, sifted_trades: int
) -> None:
    """Closes and corrections that move windows, in any order: sifted to the end, or until too many
    trades are kept."""
    monkeypatch.setattr(lesson_builder, "SIFTED_TRADES", sifted_trades)
    monkeypatch.setattr(sieve, "SLACK", 0)
    rng = random.Random(sifted_trades)
    settings = replace(SETTINGS, window_days=3.0)
    rebuilt = 0
    for _ in range(12):
        closes = [close(i, 0.1 * (i * 7 % 5 - 2), "sol" if i % 2 else "eth") for i in range(150)]
        # The newest trades are moved back, so that others belong to the window again.
        closes += [
            close(rng.randrange(150), 1.0, "sol", revision=1 + n, trade=rng.randrange(140, 150))
            for n in range(20)
        ]
        if rng.random() < 0.5:
            rng.shuffle(closes)
        records = read_back(facts_of(settings, closes))
        sifted, slid = (LessonBuilder(settings).new_store(0) for _ in range(2))
        assert slid.settled  # it is queried before it reads: nothing is sifted
        for made in (sifted, slid):
            for start in range(0, len(records), 16):
                made.fold(records[start : start + 16], min(start + 16, len(records)))
            if made.needs_rebuild:
                rebuilt += 1
                made.fold(records, len(records))
            assert not made.needs_rebuild
        found, expected = (by_topic(made.changes(full=True)) for made in (sifted, slid))
        assert contents(found) == contents(expected)
        # A repeated close of lower rank has no effect on either.
        for made in (sifted, slid):
            made.fold(rng.sample(records, 40), len(records))
            assert made.changes(full=True) == []
    assert rebuilt > 3, "some windows moved back"


def test_trades_outside_the_window_are_remembered_as_long_as_the_log_has_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A trade an hour, a window of a day, a log of three: at most twice the 48 outside."""
    monkeypatch.setattr(lesson_builder, "PRUNE_AFTER", 20)
    settings = replace(SETTINGS, window_days=1.0, retention_days=3.0)
    records = facts(600, settings=settings)
    made = LessonBuilder(settings).new_store(0)
    remembered: list[int] = []
    for end in range(10, len(records) + 1, 10):
        made.fold(records[end - 10 : end], end)
        assert not made.needs_rebuild
        remembered.append(sum(g.window.remembered for g in made._groups.values()))
    assert 48 <= max(remembered) <= 2 * 48 + 10
    assert max(remembered[-20:]) <= max(remembered[10:30])
