"""Shared effects: the posterior mean of all slices together, compared with dense linear algebra."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.integrated import shared_effects
from app.learning.integrated.candidates import Candidates
from app.learning.integrated.persistence import far_pairs
from app.learning.integrated.prior_share import SHARES
from app.learning.integrated.shared_effects import MAIN_PART, SharedFit, beyond_segments, shared_fit

Floats = NDArray[np.float64]
T = 400
USUAL = 3


def slices(dense: Floats, n_dims: NDArray[np.int64]) -> Candidates:
    """Candidates with these trades (m, T), in this order."""
    order = np.arange(len(n_dims))
    nothing = np.zeros((len(n_dims), 1), np.uint32)
    return Candidates(csr_array(dense), nothing, n_dims, order, {}, nothing[:0], order, len(order))


class World:
    """Trades with three dimensions of three values each and all their pairs, an effect on the first
    slice, in twenty blocks."""

    def __init__(self, seed: int, edge: float = 1.0, segments: int = 1) -> None:
        rng = np.random.default_rng(seed)
        value = rng.integers(0, 3, (3, T))
        ones = [value[d] == v for d in range(3) for v in range(3)]
        pairs = [
            ones[3 * d + v] & ones[3 * e + w]
            for d in range(3)
            for e in range(d)
            for v in range(3)
            for w in range(3)
        ]
        self.dense = np.array([*ones, *pairs], np.float64)
        self.n_dims = np.array([1] * len(ones) + [2] * len(pairs), np.int64)
        self.blocks = np.arange(T, dtype=np.int64) // 20
        place = rng.integers(0, segments, T)
        self.segments = (place[:, None] == np.arange(segments)).astype(np.float64)
        self.outcome = edge * ones[0] + rng.normal(size=T)

    def fit(self, order: Any = None, trades: Any = None, most: int = 1000) -> SharedFit:
        order = np.arange(len(self.dense)) if order is None else order
        trades = np.arange(T) if trades is None else trades
        found = slices(self.dense[np.ix_(order, trades)], self.n_dims[order])
        return shared_fit(
            self.outcome[trades], self.blocks[trades], found, self.segments[trades], most
        )


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_ridge_regression_of_dense_algebra(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With independent noise: |outcome − sum of effects|² + Σ effect² / (share · weight), each
    depth with its part of the variance."""
    monkeypatch.setattr(shared_effects, "TRANSIENT_PART", 0.0)
    world = World(seed, segments=3)
    found = world.fit()
    frequency = world.dense.mean(axis=1)
    weight = np.zeros(len(frequency))
    for depth, part in ((1, MAIN_PART), (2, 1.0 - MAIN_PART)):
        mine = world.n_dims == depth
        weight[mine] = part / (frequency * (1.0 - frequency))[mine].sum()
    centred = world.dense - frequency[:, None]
    y = beyond_segments(world.outcome, world.segments)
    for k, share in enumerate(SHARES):
        expected = np.linalg.solve(
            centred @ centred.T + np.diag(1.0 / (share * weight)), centred @ y
        )
        assert found.effects[:, k] == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_slices_and_trades_is_irrelevant(seed: int) -> None:
    world, rng = World(seed), np.random.default_rng(seed + 50)
    found = world.fit()
    order, trades = rng.permutation(len(world.dense)), rng.permutation(T)
    other = world.fit(order, trades)
    assert other.likeness == pytest.approx(found.likeness, rel=0.1), "of evenly spaced trades"
    assert other.effects == pytest.approx(found.effects[order], abs=2e-6)
    assert other.products == pytest.approx(found.products, abs=1e-9)


def test_parents_and_children_share_their_evidence() -> None:
    """All slices that contain the trades of an edge together give about its size, and never
    more."""
    found = World(7).fit()
    inside = World(7).dense[:, World(7).dense[0] == 1]
    told = found.effects[:, USUAL] @ inside
    assert 0.3 < told.mean() < 1.0
    assert 0 < found.effects[0, USUAL] < told.mean()


def estimate(found: SharedFit) -> float:
    """The share of the variance that persists, estimated from this group alone."""
    return float(found.products[far_pairs(len(found.products))].sum()) / found.likeness


def test_more_persists_of_what_is_larger() -> None:
    strong, weak, none = (World(8, edge).fit() for edge in (1.5, 0.5, 0.0))
    assert estimate(strong) > estimate(weak) > estimate(none)
    assert strong.effects[0, USUAL] > weak.effects[0, USUAL] > abs(none.effects[0, USUAL])
    assert np.all(strong.precision > 0)
    assert np.all(np.diff(np.abs(strong.effects[0])) > 0), "the more persists, the more is told"


def test_an_edge_that_turns_does_not_persist() -> None:
    """Results that slices earn in one half and lose in the other do not count as persistent."""
    world = World(9, 0.0)
    turning = World(9, 0.0)
    sign = np.where(world.blocks < 10, 1.0, -1.0)
    turning.outcome = world.outcome + sign * world.dense[0]
    assert estimate(turning.fit()) < 0.2 * estimate(World(9, 1.0).fit())


def unexplained(world: World, left: Floats) -> float:
    """The part of what persists that is still in `left`."""
    found = slices(world.dense, world.n_dims)
    fit = shared_fit(world.outcome, world.blocks, found, world.segments, 1000, left)
    assert fit.products == pytest.approx(world.fit().products), "residuals do not change the rest"
    return fit.unexplained / float(fit.products[far_pairs(len(fit.products))].sum())


@pytest.mark.parametrize("seed", range(3))
def test_what_effects_leave_persists_no_longer(seed: int) -> None:
    """Of one effect nothing is left beside it; of two, the other."""
    world = World(seed + 20, 1.5)
    first, second = world.dense[0], world.dense[3]
    assert unexplained(world, world.outcome) == pytest.approx(1.0)
    assert abs(unexplained(world, world.outcome - 1.5 * first)) < 0.3
    world.outcome = world.outcome + 1.5 * second
    assert 0.25 < unexplained(world, world.outcome - 1.5 * first) < 0.75
    assert abs(unexplained(world, world.outcome - 1.5 * first - 1.5 * second)) < 0.3


def test_the_unit_of_outcomes_is_irrelevant() -> None:
    world = World(10)
    found = world.fit()
    world.outcome = 1000.0 * world.outcome + 5.0
    more = world.fit()
    assert more.effects == pytest.approx(1000.0 * found.effects, abs=5e-3)
    assert more.precision == pytest.approx(1e-6 * found.precision)
    assert more.products == pytest.approx(found.products, abs=1e-9)


def test_deeper_slices_have_none() -> None:
    world = World(11)
    world.n_dims[:5] = 3
    assert set(range(5)).isdisjoint(world.fit().slices.tolist())


def test_degenerate_groups_have_none() -> None:
    world = World(12)
    young = shared_fit(
        world.outcome, world.blocks * 0, slices(world.dense, world.n_dims), world.segments, 1000
    )
    assert len(young.slices) == 0
    world.outcome[:] = 1.0
    assert len(world.fit().slices) == 0
    nothing = shared_fit(
        world.outcome,
        world.blocks,
        slices(np.zeros((0, T)), world.n_dims[:0]),
        world.segments,
        1000,
    )
    assert len(nothing.slices) == 0


def test_what_tells_most_carries_what_persists() -> None:
    """With a limit of a few slices, these give at least as much as all together: no persistent
    effect is lost with the others."""
    world = World(13)
    all_, few = world.fit(), world.fit(most=12)
    assert len(few.slices) == 12
    assert 0 in few.slices
    assert (few.likeness, few.products.tolist()) == (all_.likeness, all_.products.tolist())
    inside = world.dense[:, world.dense[0] == 1]
    told = [(fit.effects[:, USUAL] @ inside[fit.slices]).mean() for fit in (all_, few)]
    assert told[0] < told[1] < 1.2
