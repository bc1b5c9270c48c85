"""Mining is exact, for any number of scopes per trade and any chunks of candidates."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.learning.classic import slices as slices_module
from app.learning.classic.slices import Incidence
from app.learning.classic.statistics import slice_statistics
from app.learning.common.trade import Trade
from app.learning.common.window import GroupWindow
from tests.learning import reference
from tests.learning.making import trade, trades


def window_of(records: list[Trade]) -> GroupWindow:
    window = GroupWindow(10**18, 10**6)
    window.fold(records)
    return window


def mined(
    window: GroupWindow, n_min: int, max_dims: int, *, fresh: bool = False
) -> dict[frozenset[tuple[str, str]], list[str]]:
    """Each slice with the ids of its trades in canonical order, decoded from the bitsets; fails if
    one comes twice."""
    shot = window.snapshot()
    incidence = Incidence(shot)
    found: dict[frozenset[tuple[str, str]], list[str]] = {}
    for block in incidence.mine(n_min, max_dims, fresh=fresh):
        bits = np.unpackbits(block.trades.view(np.uint8), axis=1, bitorder="little").astype(bool)
        for items, row, n in zip(block.items.tolist(), bits, block.n.tolist(), strict=True):
            scope = frozenset(window.pair(i) for i in items)
            assert scope not in found
            assert len(scope) == len(items)
            found[scope] = [shot.trade_ids[t] for t in incidence.trade_of_bit[np.flatnonzero(row)]]
            assert len(found[scope]) == n
    return found


def wanted(
    records: list[Trade], n_min: int, max_dims: int
) -> dict[frozenset[tuple[str, str]], list[str]]:
    counting = reference.counting_trades(records, 10**18, 10**6)
    return {
        scope: [t.trade_id for t in members]
        for scope, members in reference.slices(counting, n_min, max_dims).items()
    }


@settings(max_examples=300)
@given(
    st.lists(trades(max_ids=150), min_size=1, max_size=150),
    st.integers(1, 5),
    st.integers(0, 4),
    st.sampled_from([1, 7, 1 << 16]),
)
def test_exactly_the_slices_of_enough_trades(
    records: list[Trade], n_min: int, max_dims: int, chunk_words: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices_module, "CHUNK_WORDS", chunk_words)
        assert mined(window_of(records), n_min, max_dims) == wanted(records, n_min, max_dims)


@settings(max_examples=200)
@given(
    st.lists(trades(max_ids=80), min_size=1, max_size=60),
    st.lists(trades(max_ids=80), min_size=1, max_size=5),
    st.integers(1, 4),
)
def test_fresh_mining_finds_all_slices_of_a_fresh_trade(
    old: list[Trade], new: list[Trade], n_min: int
) -> None:
    window = window_of(old)
    before = set(window.snapshot().trade_ids)
    window.settle()
    window.fold(new)
    shot = window.snapshot()
    fresh = {t for t, is_fresh in zip(shot.trade_ids, shot.fresh, strict=True) if is_fresh}
    assert fresh >= set(shot.trade_ids) - before
    everything = wanted(old + new, n_min, 3)
    assert mined(window, n_min, 3, fresh=True) == {
        s: ids for s, ids in everything.items() if fresh & set(ids)
    }


@settings(max_examples=100)
@given(st.lists(trades(max_ids=60), min_size=1, max_size=60), st.integers(0, 100))
def test_child_trades_are_a_part_of_the_parents(records: list[Trade], seed: int) -> None:
    found = mined(window_of(records), 1, 0)
    scope = random.Random(seed).choice(sorted(found, key=sorted))
    for pair in scope:
        assert set(found[scope]) <= set(found[scope - {pair}])


def test_trades_of_more_scopes_than_a_word_has_bits() -> None:
    rng = random.Random(7)
    records = []
    for i in range(60):
        rows = [
            {d: str(rng.randint(0, 5)) for d in "abcde"}
            for _ in range(rng.choice([1, 3, 63, 64, 65, 130, 189]))
        ]
        records.append(trade(f"t{i:02d}", i * 1000, 1.0, *rows))
    assert any(len(r.scopes) > 128 for r in records)
    assert mined(window_of(records), 12, 3) == wanted(records, 12, 3)


def test_fifty_six_adds_of_one_trade_count_once() -> None:
    """I1, in `classic`."""
    many = trade(
        "many",
        1,
        -1.0,
        *({"chain": "sol", "btc_macro": f"S{i % 4}", "curator": str(i)} for i in range(56)),
    )
    records = [many, *(trade(f"t{i:02d}", 2 + i, 1.0, {"chain": "sol"}) for i in range(35))]
    assert len(mined(window_of(records), 33, 3)[frozenset({("chain", "sol")})]) == 36
    assert all(len(ids) == 1 for ids in mined(window_of([many]), 1, 3).values())
    assert mined(window_of([many]), 2, 3) == {}


def test_forty_trades_in_two_states_one_after_the_other() -> None:
    records = [
        trade(f"t{i:02d}", i, 0.0, {"btc_meso": "S1", "x": "a"}, {"btc_meso": "S3", "x": "b"})
        for i in range(40)
    ]
    found = mined(window_of(records), 33, 0)
    assert (
        len(found[frozenset({("btc_meso", "S1")})])
        == len(found[frozenset({("btc_meso", "S3")})])
        == 40
    )
    assert frozenset({("btc_meso", "S1"), ("x", "b")}) not in found, "no one action has both"


def test_thousands_of_values() -> None:
    records = [
        trade(f"t{i:05d}", i, 0.0, {"id": str(i), "pair": str(i // 2), "a": str(i % 2)})
        for i in range(9_000)
    ]
    found = mined(window_of(records), 2, 2)
    assert len(found) == 1 + 2 + 4_500


@settings(max_examples=100)
@given(st.lists(trades(max_ids=80), min_size=1, max_size=80), st.integers(0, 1000))
def test_statistics_of_a_slice_do_not_depend_on_its_neighbours(
    records: list[Trade], seed: int
) -> None:
    shot = window_of(records).snapshot()
    incidence = Incidence(shot)
    bits = np.concatenate([b.trades for b in incidence.mine(1, 3)])
    together = slice_statistics(incidence, bits, shot.exit_us, shot.outcome)
    order = np.random.default_rng(seed).permutation(len(bits))
    for i in order[:10].tolist():
        alone = slice_statistics(incidence, bits[i : i + 1], shot.exit_us, shot.outcome)
        assert all(
            a.tobytes() == t[i : i + 1].tobytes() for a, t in zip(alone, together, strict=True)
        )


def test_statistics_agree_with_exact_arithmetic_far_from_zero() -> None:
    rng = np.random.default_rng(3)
    hours = np.sort(rng.integers(0, 2_000, 500)) * 3_600_000_000 + 1_700_000_000_000_000
    outcome = 1e6 + rng.normal(size=500)
    records = [trade(f"t{i:03d}", int(hours[i]), float(outcome[i])) for i in range(500)]
    shot = window_of(records).snapshot()
    incidence = Incidence(shot)
    made = slice_statistics(
        incidence, next(incidence.mine(1, 0)).trades, shot.exit_us, shot.outcome
    )
    n, mean, variance, slope = reference.statistics(records)
    assert made.n[0] == n
    assert made.mean[0] == pytest.approx(mean, rel=1e-12)
    assert made.variance[0] == pytest.approx(variance, rel=1e-9)
    assert made.slope[0] == pytest.approx(slope, rel=1e-8)
    assert made.n_exits[0] == len(set(hours.tolist()))


def test_n_min_below_one_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        list(Incidence(window_of([trade("t", 1)]).snapshot()).mine(0, 3))
