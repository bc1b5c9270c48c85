"""Waits that can be stopped, and a stop with a delay."""

from __future__ import annotations

import time

import pytest

from app.kafka import retry
from app.kafka.retry import Stopping, back_off, later


async def test_a_back_off_ends_when_told_to_stop() -> None:
    began = time.monotonic()
    with pytest.raises(Stopping):
        await back_off(9, lambda: time.monotonic() > began + 0.2)
    assert time.monotonic() - began < 2.0


async def test_a_server_that_is_away_for_weeks_is_still_waited_for() -> None:
    """0.1 s times two to the number of attempts is more than a float after 85 minutes."""
    with pytest.raises(Stopping):
        await back_off(100_000, lambda: True)


def test_a_later_stop_counts_from_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    now, stopped = [100.0], [False]
    monkeypatch.setattr(retry.time, "monotonic", lambda: now[0])
    asked = later(lambda: stopped[0], 5.0)
    now[0] += 50
    assert not asked()
    stopped[0] = True
    assert not asked()
    now[0] += 4.9
    assert not asked()
    now[0] += 0.2
    assert asked()
