"""The lag as metrics, in records and in seconds."""

from __future__ import annotations

import faust
from prometheus_client import REGISTRY

from app.kafka.lag import Lag
from app.settings import Settings
from app.worker.lag_watch import LagWatch, Waiting

P0, P1 = ("t", 0), ("t", 1)


def test_the_oldest_record_has_waited_since_its_offset_was_seen() -> None:
    waiting = Waiting()
    assert waiting.look(0.0, {}, {}) == 0.0
    assert waiting.look(10.0, {P0: 5}, {P0: 0}) == 0.0  # first seen now
    assert waiting.look(20.0, {P0: 9}, {P0: 0}) == 10.0
    assert waiting.look(30.0, {P0: 9}, {P0: 4}) == 20.0  # the record 4 was there at 10
    assert waiting.look(40.0, {P0: 12}, {P0: 5}) == 20.0  # the record 5 came between 10 and 20
    assert waiting.look(50.0, {P0: 12}, {P0: 11}) == 10.0
    assert waiting.look(60.0, {P0: 12, P1: 1}, {P0: 11, P1: 0}) == 20.0  # the longer of the two
    assert waiting.look(70.0, {P1: 1}, {P1: 0}) == 10.0  # the first has caught up
    assert waiting.look(80.0, {P0: 20, P1: 1}, {P0: 12, P1: 0}) == 20.0
    assert waiting.look(90.0, {}, {}) == 0.0


def test_what_is_remembered_is_bounded_and_stays_right() -> None:
    waiting = Waiting()
    for second in range(20_000):
        assert waiting.look(float(second), {P0: second + 1}, {P0: 0}) == float(second)
    assert len(waiting._ends[P0]) <= 1_001
    behind = waiting.look(20_000.0, {P0: 20_001}, {P0: 19_990})
    assert 0 <= behind <= 20_000


def test_roles_are_shown_as_a_whole() -> None:
    watch = LagWatch(faust.App("lag-watch", autodiscover=False), Settings())
    lags = [
        Lag("projector", "a", "g", 7, {0: 5, 1: 2}, next_offsets={0: 10, 1: 3}),
        Lag("projector", "b", "g", 1, {0: 1}, next_offsets={0: 8}),
        Lag("ingest", "c", "g", 0, {0: 0}),
    ]

    def shown(name: str, role: str) -> float | None:
        return REGISTRY.get_sample_value(f"edgeloop_lag_{name}", {"role": role})

    watch.show(lags, 100.0)
    watch.show(lags, 130.0)
    assert (shown("records", "projector"), shown("seconds", "projector")) == (8, 30)
    assert (shown("records", "ingest"), shown("seconds", "ingest")) == (0, 0)
