"""The window is a function of the set of folded records, or reports that it lacks some."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.learning.common.trade import Trade, trade_from_fact
from app.learning.common.window import GroupWindow
from schemas.facts import FactAction, PatternTradeEvent, Segment
from tests.learning.making import trade, trades
from tests.learning.reference import counting_trades


def inside(window: GroupWindow) -> list[tuple[str, int, float, object, bool, tuple[object, ...]]]:
    """The window's content in canonical order, from its snapshot."""
    shot = window.snapshot()
    found, row = [], 0
    for i, trade_id in enumerate(shot.trade_ids):
        rows = shot.codes[row : row + shot.row_counts[i]].tolist()
        row += int(shot.row_counts[i])
        scopes = tuple(tuple(sorted(window.pair(item) for item in codes if item)) for codes in rows)
        found.append(
            (
                trade_id,
                int(shot.exit_us[i]),
                float(shot.outcome[i]),
                shot.segments[shot.segment[i]],
                bool(shot.home[i]),
                scopes,
            )
        )
    return found


def expected(
    records: list[Trade], window_us: int, window_trades: int
) -> list[tuple[str, int, float, object, bool, tuple[object, ...]]]:
    counting = counting_trades(records, window_us, window_trades)
    return [
        (
            t.trade_id,
            t.exit_us,
            t.outcome,
            t.segment,
            t.home,
            tuple(tuple(sorted(s.items())) for s in t.scopes),
        )
        for t in counting
    ]


def batches(records: list[Trade], seed: int) -> list[list[Trade]]:
    """The records, shuffled, some repeated, in batches of any size."""
    rng = random.Random(seed)
    log = records + rng.choices(records, k=len(records) // 2)
    rng.shuffle(log)
    cut = sorted(rng.choices(range(len(log) + 1), k=rng.randint(0, 6)))
    return [log[a:b] for a, b in zip([0, *cut], [*cut, len(log)], strict=True)]


@settings(max_examples=400)
@given(
    st.lists(trades(), min_size=1, max_size=40),
    st.integers(0, 20),
    st.integers(1, 8),
    st.integers(0, 1000),
)
def test_any_order_batching_and_repetition_gives_the_same_window(
    records: list[Trade], window_steps: int, window_trades: int, seed: int
) -> None:
    window_us = window_steps * 1_800_000_000
    window = GroupWindow(window_us, window_trades)
    seen: list[Trade] = []
    for batch in batches(records, seed):
        window.fold(batch)
        seen += batch
        held = inside(window)
        right = expected(seen, window_us, window_trades)
        if window.needs_rebuild:
            assert set(held) < set(right), (
                "needs_rebuild says that trades are missing, and no other is there"
            )
        else:
            assert held == right
    for batch in batches(records, seed + 1):
        window.fold(batch)
    assert not window.needs_rebuild, "folding the log again fills what was missing"
    assert inside(window) == expected(records, window_us, window_trades)


def test_exactly_as_old_as_the_window_is_inside() -> None:
    window = GroupWindow(100, 10)
    window.fold([trade("old", 899), trade("edge", 900), trade("new", 1000)])
    assert window.snapshot().trade_ids == ["edge", "new"]


def test_of_too_many_the_greatest_exit_and_id_stay() -> None:
    window = GroupWindow(100, 2)
    window.fold([trade("b", 5), trade("c", 5), trade("a", 6), trade("a0", 5)])
    assert window.snapshot().trade_ids == ["c", "a"]


def test_lesser_record_of_an_evicted_trade_stays_without_effect() -> None:
    window = GroupWindow(100, 10)
    window.fold([trade("t", 50, revision=1)])
    window.fold([trade("u", 1000)])
    window.fold([trade("t", 1000, revision=0)])
    assert window.snapshot().trade_ids == ["u"]
    assert not window.needs_rebuild


def test_correction_that_moves_the_newest_exit_back_asks_for_a_rebuild() -> None:
    window = GroupWindow(100, 10)
    window.fold([trade("old", 50), trade("young", 1000)])
    assert window.snapshot().trade_ids == ["young"]
    window.fold([trade("young", 120, revision=1)])
    assert window.needs_rebuild
    window.fold([trade("old", 50)])
    assert not window.needs_rebuild
    assert window.snapshot().trade_ids == ["old", "young"]


def test_correction_that_frees_a_place_asks_for_a_rebuild() -> None:
    window = GroupWindow(1000, 2)
    window.fold([trade("a", 1), trade("b", 2), trade("c", 3)])
    window.fold([trade("c", 0, revision=1)])
    assert window.needs_rebuild


def test_correction_that_needs_nothing_back_asks_for_none() -> None:
    window = GroupWindow(100, 10)
    window.fold([trade("old", 50), trade("young", 1000), trade("other", 990)])
    window.fold([trade("young", 980, revision=1)])
    assert not window.needs_rebuild
    assert window.snapshot().trade_ids == ["young", "other"]


def test_pruned_ranks_are_forgotten_and_no_more_missed() -> None:
    window = GroupWindow(100, 10)
    window.fold([trade("old", 50), trade("young", 1000)])
    window.fold([trade("young", 120, revision=1)])
    assert window.needs_rebuild
    window.prune(51)
    assert not window.needs_rebuild
    assert window.snapshot().trade_ids == ["young"]


def test_newest_of_an_empty_window_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        _ = GroupWindow(1, 1).newest_us


def test_gaps_and_thousands_of_values_are_cleared_away() -> None:
    window = GroupWindow(10**9, 100)
    window.fold([trade("t0", 0, 0.0, {"dim": "value 0"})])
    size = 0
    for i in range(1, 80_001):
        window.fold([trade(f"t{i}", i, i, {"dim": f"value {i}", "same": "s"})] if i % 100 else [])
        if i % 10_000 == 0:
            window.settle()
            window.recode()
            size = max(size, window.nbytes)
    assert window.n_items < 1_500
    assert size < 100_000
    assert [float(o) for o in window.snapshot().outcome[-3:]] == [79_997.0, 79_998.0, 79_999.0]
    assert inside(window)[-1][5] == ((("dim", "value 79999"), ("same", "s")),)


def test_more_values_than_sixteen_bits_tell_apart() -> None:
    window = GroupWindow(10**9, 10**6)
    window.fold([trade(f"t{i:06d}", i, 0.0, {"dim": f"value {i}"}) for i in range(70_000)])
    assert inside(window)[-1][5] == ((("dim", "value 69999"),),)
    assert inside(window)[0][5] == ((("dim", "value 0"),),)


def fact(**changes: object) -> PatternTradeEvent:
    given = {
        "module": "pm",
        "pattern_key": "pm.uptrend.S1.entry",
        "action_category": "add",
        "trade_id": "t",
        "revision": 2,
        "n_actions": 5,
        "exit_ts": "2024-03-01T00:00:00.000001Z",
        "event_id": "e",
        "value_sha256": "ab" * 32,
        "actions": (
            FactAction("t/0", "2024-02-01T00:00:00.000000Z", {"b": "2", "a": "1"}),
            FactAction("t/1", "", {"a": "1", "b": "2"}),
        ),
        "rr": 40.0,
        "roi": -0.5,
        "pnl_usd": None,
        "segment": Segment("micro", None),
        "home": True,
    }
    return PatternTradeEvent(**{**given, **changes})  # type: ignore[arg-type]


def test_trade_of_a_fact() -> None:
    made = trade_from_fact(fact(), "rr")
    assert made == Trade(
        "t",
        (2, 5, 1_709_251_200_000_001, "e", "ab" * 32),
        1_709_251_200_000_001,
        33.0,
        ("micro", None),
        True,
        ({"a": "1", "b": "2"},),
    )
    assert trade_from_fact(fact(rr=-1e300), "rr").outcome == -33.0  # type: ignore[union-attr]
    assert trade_from_fact(fact(), "roi").outcome == -0.5  # type: ignore[union-attr]
    assert trade_from_fact(fact(), "pnl") is None
    with pytest.raises(ValueError, match="rr, roi or pnl"):
        trade_from_fact(fact(), "profit")
    with pytest.raises(ValueError, match="offset"):
        trade_from_fact(fact(exit_ts="2024-03-01T00:00:00"), "rr")


def test_a_trade_without_a_scope_has_no_rows() -> None:
    window = GroupWindow(100, 10)
    window.fold([trade("a", 1)._replace(scopes=())])
    window.fold([trade("b", 2, 0.0, {"x": "1"})])
    assert window.snapshot().row_counts.tolist() == [0, 1]
