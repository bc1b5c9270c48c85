"""Effect attribution: which trades an override sized, what it predicted for them, what they earned,
and what its sizing added."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from app.explain.effect import attribution, mean_interval
from app.override_changes import OverrideChange
from edgeloop.overrides import OverrideDecay
from schemas.events import Sizing
from schemas.facts import PatternTradeEvent
from schemas.times import DAY_US, HOUR_US
from tests.audit.making import fact
from tests.explain.making import START_US, by_hand, override


def touched(
    trade_id: str,
    day: int,
    rr: float,
    *ids: str,
    scope: dict[str, str] | None = None,
    revision: int = 0,
) -> PatternTradeEvent:
    """A trade with two actions, ten hours before its exit on `day`; the first names the overrides
    `ids`."""
    made = fact(
        trade_id,
        START_US + day * DAY_US,
        rr,
        scope or {"x": "1"},
        {},
        entry_us=START_US + day * DAY_US - 10 * HOUR_US,
        revision=revision,
    )
    first = msgspec.structs.replace(made.actions[0], applied_overrides=ids)
    return msgspec.structs.replace(made, actions=(first, made.actions[1]))


A = override("a", 0.5, {"x": "1"})


def test_nothing_touched() -> None:
    assert (
        attribution(by_hand([OverrideChange("a", 1, START_US, A)], [touched("t", 1, 1.0)]), "a")
        is None
    )


def test_the_numbers_of_three_trades() -> None:
    facts = [
        touched("t1", 1, 1.0, "a"),
        touched("t2", 2, 2.0, "a"),
        touched("t3", 3, 3.0, "a"),
        touched("other", 4, 9.0),
    ]
    found = attribution(by_hand([OverrideChange("a", 1, START_US, A)], facts), "a")
    assert found is not None
    assert (found.n, found.n_actions, found.n_assumed) == (3, 3, 0)
    assert (found.mean_outcome, found.mean_uplift, found.made) == (2.0, 2.0, 2.0)
    assert (found.promised, found.promised_by_all, found.mean_multiplier) == (0.5, 0.5, 1.5)
    assert found.added == pytest.approx(0.5 * (1.0 + 2.0 + 3.0))
    assert (found.low, found.high) == pytest.approx((0.3141, 3.6859), abs=1e-4)
    assert found.first_exit_ts[:10] < found.last_exit_ts[:10]


def test_a_size_that_was_drawn_counts_as_it_was_taken() -> None:
    trade = touched("t1", 1, 2.0, "a")
    sizing = Sizing(multiplier=1.25, learned=1.5, propensity=0.02, explore=0.06)
    drawn = msgspec.structs.replace(trade.actions[0], sizing=sizing)
    fact = msgspec.structs.replace(trade, actions=(drawn, trade.actions[1]))
    found = attribution(by_hand([OverrideChange("a", 1, START_US, A)], [fact]), "a")
    assert found is not None
    assert (found.promised, found.mean_multiplier, found.added) == (0.5, 1.25, 0.5)


def test_each_trade_has_the_change_that_was_in_force_at_its_action() -> None:
    later = override("a", -0.2, {"x": "1"}, version=2)
    changes = [
        OverrideChange("a", 1, START_US, A),
        OverrideChange("a", 2, START_US + 5 * DAY_US, later),
        OverrideChange("a", 3, START_US + 9 * DAY_US, None),
    ]
    facts = [touched("t1", 3, 1.0, "a"), touched("t2", 7, -2.0, "a"), touched("t3", 11, 4.0, "a")]
    found = attribution(by_hand(changes, facts), "a")
    assert found is not None
    # The reader of the third had not received the retirement yet: its last content counts.
    assert found.added == pytest.approx(0.5 * 1.0 - 0.2 * -2.0 - 0.2 * 4.0)
    assert found.promised == pytest.approx((0.5 - 0.2 - 0.2) / 3)
    assert found.n_assumed == 0


def test_an_action_before_all_that_is_known_has_the_earliest_change_and_says_so() -> None:
    found = attribution(
        by_hand([OverrideChange("a", 1, START_US + 50 * DAY_US, A)], [touched("t1", 3, 1.0, "a")]),
        "a",
    )
    assert found is not None
    assert (found.n_assumed, found.promised, found.added) == (1, 0.5, 0.5)
    assert (found.low, found.high) == (None, None)


def test_what_had_faded_and_what_a_regime_makes_of_it_is_promised() -> None:
    fading = override(
        "a",
        0.5,
        {"x": "1"},
        decay=OverrideDecay("decaying", 24.0),
        regime_gains={"btc_macro=S1": 2.0},
    )
    facts = [
        # its action is 14 hours after as_of
        touched("t1", 1, 1.0, "a", scope={"x": "1", "btc_macro": "S1"}),
        touched("t2", 2, 1.0, "a"),
    ]
    found = attribution(by_hand([OverrideChange("a", 1, START_US, fading)], facts), "a")
    assert found is not None
    assert found.promised == pytest.approx((1.0 * 2 ** (-14 / 24) + 0.5 * 2 ** (-38 / 24)) / 2)


def test_parts_of_a_size_that_was_clamped_add_up_to_it() -> None:
    b = override("b", 2.0)
    changes = [OverrideChange("a", 1, START_US, A), OverrideChange("b", 1, START_US, b)]
    known = by_hand(changes, [touched("t1", 1, 1.0, "a", "b")])
    of_a, of_b = attribution(known, "a"), attribution(known, "b")
    assert of_a is not None
    assert of_b is not None
    assert (of_a.promised, of_b.promised, of_a.promised_by_all, of_b.promised_by_all) == (
        0.5,
        2.0,
        2.5,
        2.5,
    )
    assert of_a.added + of_b.added == pytest.approx(2.0)  # 3.0, not 3.5, was taken
    assert of_b.added == pytest.approx(4 * of_a.added)


def test_the_close_that_counts_counts_once() -> None:
    facts = [
        touched("t1", 1, 1.0, "a"),
        touched("t1", 1, -1.0, "a", revision=1),
        touched("t1", 1, 1.0, "a"),
    ]
    found = attribution(by_hand([OverrideChange("a", 1, START_US, A)], facts), "a")
    assert found is not None
    assert (found.n, found.mean_outcome, found.added) == (1, -1.0, -0.5)


def test_other_outcomes_are_in_their_own_units() -> None:
    facts = [msgspec.structs.replace(touched("t1", 1, 1.0, "a"), pnl_usd=40.0)]
    known = by_hand([OverrideChange("a", 1, START_US, A)], facts)
    found = attribution(replace(known, config=replace(known.config, outcome="pnl")), "a")
    assert found is not None
    assert (found.mean_outcome, found.added) == (40.0, 20.0)


def test_trades_of_one_day_are_one_piece_of_evidence() -> None:
    """Four equal days of two equal trades count as four trades; a single day gives no interval."""
    days, twice = [0, 1, 2, 3], [0, 0, 1, 1, 2, 2, 3, 3]
    assert mean_interval([1.0, 1.0, 2.0, 2.0, 4.0, 4.0, 5.0, 5.0], twice) == pytest.approx(
        mean_interval([1.0, 2.0, 4.0, 5.0], days)
    )
    assert mean_interval([1.0, 2.0, 3.0], [7, 7, 7]) is None
