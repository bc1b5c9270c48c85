"""Intervals contain the truth as often as they claim, and are reproducible."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

import app.audit.bootstrap
from app.audit.bootstrap import BLOCK_US, Resampler
from benchmarks.audit.coverage import coverage


@pytest.mark.parametrize(
    ("shape", "least"), [("independent", 0.84), ("by cut", 0.84), ("slow", 0.77)]
)
def test_an_interval_covers_what_it_says(shape: str, least: float) -> None:
    """Nearly as often where a level drifts over several cuts."""
    assert least <= coverage("block bootstrap", shape, 24, 30, worlds=200) <= 0.96


def test_it_covers_better_than_cuts_as_clusters_where_markets_change_slowly() -> None:
    found = [
        coverage(way, "slow", 24, 20, worlds=200) for way in ("block bootstrap", "clustered t")
    ]
    assert found[0] > found[1] + 0.1


def test_the_same_cuts_and_seed_give_the_same_interval() -> None:
    rng = np.random.default_rng(1)
    cut_us, values = np.repeat(np.arange(12), 10) * BLOCK_US, rng.normal(size=120)
    order = rng.permutation(120)
    one, other = Resampler(cut_us, 3).mean(values), Resampler(cut_us[order], 3).mean(values[order])
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))
    assert Resampler(cut_us, 4).mean(values).low != one.low


@pytest.mark.parametrize(("gap_days", "block"), [(20, 3), (30, 2), (300, 1), (1, 6)])
def test_a_block_is_some_sixty_days_and_a_quarter_of_history_at_most(
    gap_days: int, block: int
) -> None:
    assert Resampler(np.arange(24) * gap_days * (BLOCK_US // 60), 1).block == block


def test_a_share_stays_one() -> None:
    draws = Resampler(np.repeat(np.arange(10), 5) * BLOCK_US, 1)
    found = draws.share((np.arange(50) != 7).astype(np.float64), np.ones(50))
    assert found.value == 0.98
    assert 0.9 < found.low < found.high == 1.0


def test_a_band_ends_where_the_sum_does() -> None:
    cut_us = np.repeat(np.arange(20), 4) * BLOCK_US
    values = np.random.default_rng(2).normal(0.5, 1.0, 80)
    total, low, high = Resampler(cut_us, 1).band(values)
    assert total[-1] == pytest.approx(values.sum())
    assert (low <= total + 1e-9).mean() > 0.9
    assert (high >= total - 1e-9).mean() > 0.9
    assert high[-1] - low[-1] < 1e-6 + (high - low).max()


def test_too_little_is_unknown() -> None:
    for cuts in ([], [5]):
        draws = Resampler(np.array(cuts, np.int64), 1)
        assert draws.cuts.tolist() == cuts
        assert np.isinf(draws.mean(np.ones(len(cuts))).high)


def test_examples() -> None:
    result = doctest.testmod(app.audit.bootstrap)
    assert result.attempted
    assert not result.failed
