"""A search examines all existing slices, each set of trades once, under its most general name."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.learning.common.trade import Trade
from app.learning.common.window import GroupWindow
from app.learning.integrated.candidates import Candidates, candidates
from tests.learning import reference
from tests.learning.making import DAY_US, trade, trades

Scope = tuple[tuple[str, str], ...]


def found_in(records: list[Trade], n_min: int, max_dims: int) -> tuple[GroupWindow, Candidates]:
    window = GroupWindow(10**15, 10_000)
    window.fold(records)
    return window, candidates(window, window.snapshot(), n_min, max_dims)


def named(window: GroupWindow, found: Candidates) -> list[tuple[Scope, list[str], list[Scope]]]:
    """(scope, ids of its trades, aliases) of each candidate, in order."""
    ids = window.snapshot().trade_ids

    def scope(row: list[int]) -> Scope:
        return tuple(sorted(window.pair(item) for item in row if item))

    dense = found.members.toarray()
    return [
        (
            scope(row),
            [ids[t] for t in dense[j].nonzero()[0]],
            [scope(a) for a in found.aliases[j].tolist()] if j in found.aliases else [],
        )
        for j, row in enumerate(found.items.tolist())
    ]


@settings(max_examples=150)
@given(
    st.lists(trades(), min_size=1, max_size=30), st.integers(1, 4), st.sampled_from([0, 1, 2, 3])
)
def test_every_slice_is_a_candidate_an_alias_or_the_whole(
    records: list[Trade], n_min: int, max_dims: int
) -> None:
    """I1, I5, I6: compared with a plain enumeration."""
    window, found = found_in(records, n_min, max_dims)
    counting = reference.counting_trades(records, 10**15, 10_000)
    expected = {
        tuple(sorted(scope)): sorted(t.trade_id for t in members)
        for scope, members in reference.slices(counting, n_min, max_dims).items()
    }
    everyone = sorted(t.trade_id for t in counting)
    assert found.n_slices == len(expected)
    whole = [
        tuple(sorted(window.pair(item) for item in row if item)) for row in found.whole.tolist()
    ]
    assert set(whole) == {
        scope for scope, members in expected.items() if members == everyone and scope
    }
    assert len(whole) == len(set(whole))
    seen = set(whole)
    sets = set()
    for scope, members, aliases in named(window, found):
        assert sorted(members) != everyone
        assert tuple(sorted(members)) not in sets
        sets.add(tuple(sorted(members)))
        for name in (scope, *aliases):
            assert expected[name] == sorted(members)
            assert name not in seen
            assert (len(scope), scope) <= (len(name), name)
            seen.add(name)
        assert len(scope) == found.n_dims[[s for s, _, _ in named(window, found)].index(scope)]
    assert seen | {()} == set(expected) | {()}


@settings(max_examples=60)
@given(st.lists(trades(), min_size=1, max_size=30), st.integers(1, 3), st.integers(0, 1000))
def test_candidates_do_not_depend_on_the_order_of_arrival(
    records: list[Trade], n_min: int, seed: int
) -> None:
    """I4: nor do their order and the order of their aliases."""
    window, found = found_in(records, n_min, 0)
    rng = random.Random(seed)
    shuffled = [
        r._replace(scopes=tuple(dict(rng.sample(list(s.items()), len(s))) for s in r.scopes))
        for r in records
    ]
    rng.shuffle(shuffled)
    other_window, other = found_in(shuffled, n_min, 0)
    assert named(other_window, other) == named(window, found)
    whole = [
        [w.pair(i) for i in row if i]
        for w, f in ((window, found), (other_window, other))
        for row in f.whole.tolist()
    ]
    half = len(whole) // 2
    assert [sorted(row) for row in whole[:half]] == [sorted(row) for row in whole[half:]]
    assert found.order.tolist() == sorted(found.order.tolist())


def test_trades_of_many_actions_and_values_without_number() -> None:
    """More actions than a machine word has bits, and a dimension without a frequent value."""
    records = [
        trade(
            f"t{i:04d}",
            i * DAY_US,
            0.0,
            *({"k": str(k), "x": str(i % 3), "id": str(i)} for k in range(i % 100 + 1)),
        )
        for i in range(300)
    ]
    window, found = found_in(records, 33, 0)
    by_name = {scope: len(members) for scope, members, _ in named(window, found)}
    assert all("id" not in dict(scope) for scope in by_name)
    assert by_name[("k", "50"),] == 3 * 50
    assert by_name[("k", "50"), ("x", "1")] == 50
    assert by_name[("x", "0"),] == 100
    assert ("k", "90") not in dict.fromkeys(pair for scope in by_name for pair in scope)


def test_a_search_that_would_not_fit_leaves_out_its_deepest_slices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same candidates for any order of trades and dimensions, and all of a depth or none."""
    rng = np.random.default_rng(5)
    rows = rng.integers(0, 3, (200, 6)).tolist()
    trades = [
        Trade(
            str(i), (0, 1, i, "e", "00"), i, 1.0, (None, None), True,
            ({f"d{k}": str(v) for k, v in enumerate(row)},),
        )
        for i, row in enumerate(rows)
    ]  # fmt: skip

    def found(trades: list[Trade]) -> tuple[set[frozenset[tuple[str, str]]], bool]:
        window = GroupWindow(10**9, 1_000)
        window.fold(trades)
        of = candidates(window, window.snapshot(), 5, 4)
        slices = {frozenset(window.pair(i) for i in row if i) for row in of.items.tolist()}
        return slices, of.cut

    everything, cut = found(trades)
    assert not cut
    assert max(map(len, everything)) > 2
    # One and two dimensions have 6 · 200 and 15 · 200 rows.
    monkeypatch.setattr("app.learning.integrated.candidates.MAX_CELLS", 5_000)
    fewer, cut = found(trades)
    assert cut
    assert fewer == {s for s in everything if len(s) <= 2}
    turned = [t._replace(scopes=(dict(reversed(t.scopes[0].items())),)) for t in trades]
    assert found(turned[::-1]) == (fewer, True)
