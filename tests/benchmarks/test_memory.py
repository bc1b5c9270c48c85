"""The memory benchmark runs, and holds the lessons that both stages agree on."""

from __future__ import annotations

from benchmarks.memory import Worker
from benchmarks.speed.worlds import group, trades


def test_both_stages_settle_on_the_lessons_of_all_groups() -> None:
    worker = Worker()
    for number in range(2):
        worker.take(group(number), trades(300, 4, (3,), seed=number))
    worker.learn(full=True)
    known = worker.lessons
    assert known > 2
    worker.learn(full=True)
    assert worker.lessons == known
