"""The slices a search looks at are those that mining by bitsets finds, each set of trades once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.learning import candidates as module
from app.learning.candidates import Candidates, candidates
from app.learning.slices import Incidence
from app.learning.window import GroupWindow
from tests.learning.making import trade, trades

Scope = frozenset[tuple[str, str]]
Mined = dict[Scope, frozenset[int]]


def by_bitsets(window: GroupWindow, n_min: int, max_dims: int) -> Mined:
    """Scope → places of its trades; `{}` not among them."""
    incidence, mined = Incidence(window.snapshot()), {}
    for block in incidence.mine(n_min, max_dims):
        for row, words in zip(block.items.tolist(), block.trades, strict=True):
            bits = np.flatnonzero(np.unpackbits(words.astype("<u8").view(np.uint8), bitorder="little"))
            mined[frozenset(map(window.pair, row))] = frozenset(incidence.trade_of_bit[bits].tolist())
    mined.pop(frozenset(), None)
    return mined


def expanded(window: GroupWindow, found: Candidates) -> Mined:
    """Aliases and slices of all trades included."""

    def scope(row: list[int]) -> Scope:
        return frozenset(window.pair(item) for item in row if item)

    mined = {scope(row): frozenset(range(found.members.shape[1])) for row in found.whole.tolist()}
    for j, row in enumerate(found.items.tolist()):
        members = frozenset(found.members.indices[found.members.indptr[j] : found.members.indptr[j + 1]].tolist())
        assert scope(row) not in mined
        mined[scope(row)] = members
        for alias in found.aliases.get(j, np.zeros((0, 1))).tolist():
            assert scope(alias) not in mined
            mined[scope(alias)] = members
            assert len(scope(alias)) >= len(scope(row))
    return mined


@pytest.mark.parametrize("chunk", [5, module.CHUNK_ROWS])
@settings(max_examples=60, deadline=None)
@given(records=st.lists(trades(), min_size=1, max_size=40), n_min=st.integers(1, 4), max_dims=st.integers(0, 4))
def test_what_bitsets_find(records: list, n_min: int, max_dims: int, chunk: int) -> None:
    window = GroupWindow(10**12, 20)
    window.fold(records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK_ROWS", chunk)
        found = candidates(window, window.snapshot(), n_min, max_dims)
    mined = by_bitsets(window, n_min, max_dims)
    assert expanded(window, found) == mined
    assert found.n_slices == (len(mined) + 1 if len(window) >= n_min else 0)
    sets = [tuple(found.members.indices[a:b]) for a, b in zip(found.members.indptr, found.members.indptr[1:], strict=False)]
    assert len(set(sets)) == len(sets)


def test_a_trade_of_many_actions_counts_once() -> None:
    window = GroupWindow(10**12, 20)
    window.fold([trade("a", 0, 1.0, *({"x": "1", "y": str(i)} for i in range(100))), trade("b", 1, 1.0, {"x": "1", "y": "7"})])
    found = candidates(window, window.snapshot(), 2, 2)
    assert found.n_slices == 4
    assert [dict(window.pair(item) for item in row if item) for row in found.whole.tolist()] == [
        {"x": "1"},
        {"y": "7"},
        {"x": "1", "y": "7"},
    ]
    assert found.members.shape == (0, 2)


def test_the_least_number_of_trades_is_one() -> None:
    window = GroupWindow(10**12, 20)
    window.fold([trade("a", 0, 1.0)])
    with pytest.raises(ValueError, match="at least 1"):
        candidates(window, window.snapshot(), 0, 2)
