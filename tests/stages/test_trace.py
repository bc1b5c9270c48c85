"""The trace context goes from the close to the fact, the lesson and the override."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.kafka.records import header
from app.kafka.trace import context_of
from app.stages.lesson_builder import LessonBuilder
from app.stages.override_materializer import OverrideMaterializer
from schemas.kinds import DEAD_LETTERS, LESSONS, OVERRIDES
from tests.stages.making import SETTINGS, Message, by_topic, close, facts_of, read_back

OLD, NEW = (b"00-" + digit * 32 + b"-00f067aa0ba902b7-01" for digit in (b"a", b"b"))


def closes(n: int = 120) -> list[Message]:
    """Closes of one group without a trace."""
    return [close(i, 0.1 * (i * 7 % 5 - 2) + (i % 2), "sol" if i % 2 else "eth") for i in range(n)]


def traced(message: Message, parent: bytes, *more: tuple[str, bytes]) -> Message:
    return replace(message, headers=(("other", b"x"), ("traceparent", parent), *more))


def parents(closed: list[Message]) -> tuple[set[bytes | None], set[bytes | None]]:
    """The contexts of all lessons, and of all judged records."""
    builder = LessonBuilder(SETTINGS).new_store(0)
    builder.fold(read_back(facts_of(SETTINGS, closed)), len(closed))
    lessons = by_topic(builder.changes(full=True))[LESSONS]
    judge = OverrideMaterializer(SETTINGS).new_store(0)
    judge.fold(read_back(lessons), len(lessons))
    sent = judge.changes(full=True)
    assert by_topic(sent)[OVERRIDES]
    return (
        {header(r, "traceparent") for r in lessons},  # type: ignore[arg-type]
        {header(r, "traceparent") for r in sent},  # type: ignore[arg-type]
    )


def test_what_is_learned_carries_the_context_of_the_newest_close() -> None:
    made = closes()
    made[3], made[-1] = traced(made[3], OLD), traced(made[-1], NEW)
    assert parents(made) == ({NEW}, {NEW})


def test_a_newer_close_of_no_trace_ends_it() -> None:
    made = closes()
    made[3] = traced(made[3], OLD)
    assert parents(made) == ({None}, {None})


def test_a_tombstone_carries_it_too() -> None:
    builder = LessonBuilder(SETTINGS).new_store(0)
    builder.fold(read_back(facts_of(SETTINGS, closes())), 120)
    builder.changes(full=True)
    # A later window: lessons of the old one are retired.
    late = [traced(replace(m, offset=m.offset + 120), NEW) for m in [close(90 * 48, 0.0, "sol")]]
    builder.fold(read_back(facts_of(SETTINGS, late), 120), 121)
    gone = [r for r in builder.changes(full=True) if r.value is None]
    assert gone
    assert {dict(r.headers)["traceparent"] for r in gone} == {NEW}


def test_a_dead_letter_keeps_it_with_its_state() -> None:
    bad = traced(Message(b"{"), NEW, ("tracestate", b"vendor=1"))
    (letter,) = facts_of(SETTINGS, [bad])
    assert letter.topic == DEAD_LETTERS
    assert letter.headers[-2:] == (("traceparent", NEW), ("tracestate", b"vendor=1"))


@pytest.mark.parametrize(
    "parent",
    [
        b"",
        b"\xff\xfe",
        NEW.upper(),
        NEW + b"\n",
        b"ff" + NEW[2:],
        b"00-" + b"0" * 32 + NEW[35:],
        NEW[:36] + b"0" * 16 + b"-01",
        b"x" * 100_000,
        None,
    ],
)
def test_what_is_no_context_is_not_passed_on(parent: bytes) -> None:
    message = traced(close(1, 1.0, "sol"), parent, ("tracestate", b"vendor=1"))
    assert context_of(message) == ()
    (fact,) = facts_of(SETTINGS, [message])
    assert "traceparent" not in dict(fact.headers)


def test_a_state_that_is_too_long_is_left_out() -> None:
    message = traced(close(1, 1.0, "sol"), NEW, ("tracestate", b"x" * 513))
    assert context_of(message) == (("traceparent", NEW),)
