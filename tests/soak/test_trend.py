"""A trend is distinguished from noise and from the warm-up."""

from __future__ import annotations

from random import Random

import pytest

from tests.soak.trend import trend

TIMES = [float(t) for t in range(120)]


def noisy(slope: float, seed: int) -> list[float]:
    random = Random(seed)
    return [300 + slope * t + random.gauss(0, 2) for t in TIMES]


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_none(seed: int) -> None:
    assert not trend(TIMES, noisy(0.0, seed)).grows(6.0)


@pytest.mark.parametrize("seed", range(20))
def test_a_leak_is_one(seed: int) -> None:
    found = trend(TIMES, noisy(0.2, seed))
    assert found.grows(6.0)
    assert found.growth == pytest.approx(0.2 * 71, rel=0.4)
    assert found.last > found.first


def test_the_warm_up_does_not_count() -> None:
    values = [min(300.0, 100 + 5 * t) for t in TIMES]
    assert trend(TIMES, values) == (300.0, 300.0, 0.0, 1.0)


def test_a_single_step_is_no_more_than_it_is() -> None:
    assert not trend(TIMES, [10.0] * 90 + [12.0] * 30).grows(3.0)


def test_too_few_samples() -> None:
    with pytest.raises(ValueError, match="too few"):
        trend(TIMES[:10], TIMES[:10])
