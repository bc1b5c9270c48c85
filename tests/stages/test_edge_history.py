"""The days of edge histories without Kafka: which are sent, and which are withdrawn."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from app.kafka.records import Outgoing
from app.stages.edge_history import EdgeHistories
from schemas.kinds import HISTORY
from schemas.lessons import HistoryCell, Lesson, RegimeCell
from tests.stages.making import SETTINGS
from tests.storage.records import lesson


def with_days(*uplifts: float, version: int = 1) -> Lesson:
    """A lesson with a history of consecutive days, each with the given uplift."""
    cells = tuple(
        HistoryCell(20_000 + i, 0.1, (0.5,) * 6, (RegimeCell("", 3, uplift),))
        for i, uplift in enumerate(uplifts)
    )
    return replace(lesson(), lesson_id="a" * 32, version=version, history=cells)


def days(sent: Iterable[Outgoing]) -> list[tuple[str, bool]]:
    """(day, whether it is withdrawn) for each record that is sent."""
    found = []
    for record in sent:
        assert record.topic == HISTORY
        found.append(((record.key or b"").decode().partition("|")[2], record.value is None))
    return found


def test_only_days_that_differ_are_sent() -> None:
    histories = EdgeHistories(SETTINGS)
    assert days(histories.note(with_days(1.0, 2.0))) == []
    assert not histories.settled
    assert days(histories.new_days()) == [("2024-10-04", False), ("2024-10-05", False)]
    assert histories.settled
    assert days(histories.note(with_days(1.0, 2.5, 3.0, version=2))) == []
    assert days(histories.new_days()) == [("2024-10-05", False), ("2024-10-06", False)]
    assert days(histories.new_days()) == []


def test_a_day_that_a_correction_empties_is_withdrawn_with_the_lesson() -> None:
    histories = EdgeHistories(SETTINGS)
    list(histories.note(with_days(1.0, 2.0, 3.0)))
    list(histories.new_days())
    corrected = with_days(1.0, 2.0, 3.0, version=2)
    corrected = replace(corrected, history=(corrected.history[0], corrected.history[2]))
    assert days(histories.note(corrected)) == [("2024-10-05", True)]
    assert days(histories.new_days()) == []


def test_days_of_a_retired_lesson_stay() -> None:
    histories = EdgeHistories(SETTINGS)
    list(histories.note(with_days(1.0)))
    list(histories.new_days())
    histories.forget("a" * 32)
    assert days(histories.new_days()) == []
    assert histories.settled


def test_after_a_rebalance_all_days_are_sent_again() -> None:
    histories = EdgeHistories(SETTINGS)
    histories.adopt([with_days(1.0, 2.0)])
    assert not histories.settled
    assert days(histories.new_days()) == [("2024-10-04", False), ("2024-10-05", False)]
    assert histories.settled
