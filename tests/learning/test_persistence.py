"""Persistence: the test whether results persist from one stretch of time to another has the right
error rate, and detects real persistence."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from app.learning.integrated.block_products import Products
from app.learning.integrated.persistence import (
    APART,
    LEAST_BLOCKS,
    block_of,
    far_pairs,
    packed,
    sign_flip_log_p,
)
from schemas.lessons import BlockProducts

Floats = NDArray[np.float64]
BLOCKS = 24


def earned(
    rng: np.random.Generator, slices: int, tails: float = np.inf, edge: float = 0.0
) -> Floats:
    """Products of the results of a number of slices in each two blocks: independent noise per
    block, and an edge that persists."""
    noise = (
        rng.normal(size=(slices, BLOCKS))
        if np.isinf(tails)
        else rng.standard_t(tails, (slices, BLOCKS))
    )
    held = noise + edge * rng.normal(size=(slices, 1))
    return np.asarray(held.T @ held)


@pytest.mark.parametrize("slices", [1, 5, 60])
@pytest.mark.parametrize("tails", [np.inf, 4.0])
def test_p_values_are_uniform_without_an_edge(slices: int, tails: float) -> None:
    rng = np.random.default_rng(slices)
    p = np.exp([sign_flip_log_p(earned(rng, slices, tails)) for _ in range(1500)])
    for level in (0.01, 0.05, 0.2, 0.5):
        sd = np.sqrt(level * (1.0 - level) / len(p))
        assert np.mean(p <= level) <= level * 1.3 + 3.0 * sd
        assert np.mean(p <= level) >= level * 0.5 - 3.0 * sd


def test_shocks_that_all_slices_share_are_no_edge() -> None:
    """A market that moves all slices of a block together counts as one observation per block."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(800):
        shock = rng.normal(size=BLOCKS) * rng.choice([0.3, 3.0], BLOCKS)
        held = rng.normal(size=(30, BLOCKS)) + shock
        found.append(sign_flip_log_p(held.T @ held))
    assert 0.02 <= np.mean(np.exp(found) <= 0.05) <= 0.09


def test_effects_that_persist_are_seen() -> None:
    rng = np.random.default_rng(4)
    p = np.array([sign_flip_log_p(earned(rng, 30, edge=0.4)) for _ in range(100)])
    assert np.mean(p < np.log(0.01)) > 0.9
    weaker, stronger = (
        np.mean([sign_flip_log_p(earned(rng, 30, edge=e)) for _ in range(100)]) for e in (0.1, 0.3)
    )
    assert stronger < weaker < 0.0


def test_near_blocks_do_not_count() -> None:
    """Correlation of neighbouring blocks alone is not evidence."""
    products = np.eye(BLOCKS) + 0.9 * (
        np.abs(np.subtract.outer(np.arange(BLOCKS), np.arange(BLOCKS))) == APART - 1
    )
    assert sign_flip_log_p(products) == 0.0
    assert not far_pairs(BLOCKS)[
        np.abs(np.subtract.outer(np.arange(BLOCKS), np.arange(BLOCKS))) < APART
    ].any()


def test_few_blocks_tell_nothing() -> None:
    for blocks in range(LEAST_BLOCKS):
        assert sign_flip_log_p(np.ones((blocks, blocks))) == 0.0
    assert sign_flip_log_p(np.ones((LEAST_BLOCKS, LEAST_BLOCKS))) < 0.0
    assert sign_flip_log_p(np.zeros((BLOCKS, BLOCKS))) == 0.0
    empty = np.zeros((BLOCKS, BLOCKS))  # only blocks in which anything happened count
    empty[: LEAST_BLOCKS - 1, : LEAST_BLOCKS - 1] = 1.0
    assert sign_flip_log_p(empty) == 0.0


def total(parts: Iterable[BlockProducts]) -> Floats:
    held = Products()
    for k, part in enumerate(parts):
        held.put((f"pm.{k}", "add"), part)
    return held.total()


def test_the_scale_and_the_order_of_groups_are_irrelevant() -> None:
    rng = np.random.default_rng(5)
    groups = [packed(earned(rng, 4, edge=0.3)[: 10 + k, : 10 + k], 100 + k) for k in range(8)]
    whole = total(groups)
    for _ in range(5):
        order = rng.permutation(len(groups))
        assert total(groups[i] for i in order).tolist() == whole.tolist(), "in any order, exactly"
    assert sign_flip_log_p(7.0 * whole) == pytest.approx(sign_flip_log_p(whole))


def test_what_is_packed_is_unpacked() -> None:
    products = earned(np.random.default_rng(6), 3)
    one = packed(products, 5)
    assert total([one]) == pytest.approx(products, rel=1e-8)
    assert total([one, one]) == pytest.approx(2.0 * products, rel=1e-8)
    assert total([]).shape == (0, 0)


def test_blocks_are_on_a_fixed_grid() -> None:
    exits = np.arange(0, 10_000, 7)
    window = 24 * 50
    assert block_of(exits, window).tolist() == (exits // 50).tolist()
    assert block_of(exits[30:], window).tolist() == block_of(exits, window)[30:].tolist()
