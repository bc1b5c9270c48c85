"""The sieve keeps the trades of a window that has folded the same records, for any order, batches
and corrections."""

from __future__ import annotations

import random

import pytest

from app.learning.common import sieve
from app.learning.common.sieve import Sieve
from app.learning.common.trade import Trade
from app.learning.common.window import GroupWindow


def records(rng: random.Random) -> list[Trade]:
    """A log of some sixty trades, a third of them with several closes, which may move an exit far;
    some are sent again."""
    made = []
    for number in range(60):
        exit_us = 40 * number
        for revision in range(rng.choice([1, 1, 2, 3])):
            rank = (
                revision,
                rng.choice([1, 2]),
                exit_us,
                rng.choice("ef"),
                f"{rng.randrange(256):02x}",
            )
            made.append(
                Trade(
                    f"t{number:02d}",
                    rank,
                    exit_us,
                    float(revision),
                    (None, None),
                    True,
                    ({"x": str(number % 3)},),
                )
            )
            exit_us = rng.choice([exit_us, exit_us + 7, rng.randrange(2_400)])
    made += rng.sample(made, 20)
    if rng.random() < 0.5:
        rng.shuffle(made)
    return made


@pytest.mark.parametrize("window_trades", [9, 1_000])
def test_it_holds_what_the_window_holds(
    monkeypatch: pytest.MonkeyPatch, window_trades: int
) -> None:
    monkeypatch.setattr(sieve, "SLACK", 0)
    rng = random.Random(window_trades)
    read_again = 0
    for _ in range(150):
        log = records(rng)
        window = GroupWindow(500, window_trades)
        window.fold(log)
        if window.needs_rebuild:
            window.fold(log)
        sifted = Sieve(500, window_trades)
        at = 0
        while at < len(log):
            size = rng.randrange(1, 25)
            sifted.add(log[at : at + size])
            at += size
        if missing := sifted.missing():
            read_again += 1
            sifted.restore(log, missing)
            assert not sifted.missing()
        copy = GroupWindow(500, window_trades)
        copy.fold(sifted.inside())
        mine, theirs = copy.snapshot(), window.snapshot()
        assert mine.trade_ids == theirs.trade_ids
        assert mine.exit_us.tolist() == theirs.exit_us.tolist()
        assert mine.outcome.tolist() == theirs.outcome.tolist()
    assert read_again > 2
