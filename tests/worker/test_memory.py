"""When a loop returns free memory to the system."""

from __future__ import annotations

from app.worker.memory import PAUSE_S, Spare


def returns(worked_s: list[float], asked_s: list[float]) -> list[float]:
    """The times at which memory is returned, if there is work at some times and a question at
    others."""
    spare, found = Spare(), []
    for now_s in sorted({*worked_s, *asked_s}):
        if now_s in worked_s:
            spare.worked(now_s)
        if now_s in asked_s and spare.due(now_s):
            found.append(now_s)
    return found


def test_it_returns_memory_once_after_the_work() -> None:
    asked = [x / 4 for x in range(400)]
    assert returns([], asked) == []
    assert returns([1.0], asked) == [1.0 + PAUSE_S]
    assert returns([1.0, 1.5, 9.0], asked) == [1.5 + PAUSE_S, 9.0 + PAUSE_S]
