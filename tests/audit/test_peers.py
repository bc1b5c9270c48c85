"""Simple tools beside the product: they find simple effects, say little about noise, and learn only
from what was known."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

import app.audit.peers
from app.audit.peers import (
    LEAST_TRADES,
    MOST_COLUMNS,
    PEERS,
    Lesson,
    group_means,
    lesson,
    ridge,
    sized,
)
from app.audit.trades import Decision
from app.learning.common.trade import SegmentKey
from tests.audit.making import DAY_US, START_US, fact, market, module_of


def table(
    n: int = 3000, edge: float = 0.8, seed: int = 1, m: int = 200
) -> tuple[Lesson, np.ndarray]:
    """Known trades, of which those with 1 in the first two of four dimensions make `edge` more, and
    the truth of the decisions."""
    rng = np.random.default_rng(seed)
    seen, group = rng.integers(1, 4, (n, 4)), rng.integers(0, 6, n)
    truth = edge * ((seen[:, 0] == 1) & (seen[:, 1] == 1)) + 0.5 * edge * (group == 2)
    exits = START_US + np.arange(n) * DAY_US // 10
    return Lesson(seen, group, truth + rng.normal(0, 1.0, n), exits, seen[:m], group[:m]), truth[:m]


def test_the_mean_of_a_group_is_drawn_to_that_of_all() -> None:
    found, _ = table(edge=2.0)
    predicted = group_means(found._replace(asked_group=np.arange(-1, 6)))
    raw = np.array([found.uplift[found.group == g].mean() for g in range(6)])
    centre = found.uplift.mean()
    assert predicted[0] == centre, "the prediction for an unknown pattern"
    assert (np.abs(predicted[1:] - centre) < np.abs(raw - centre)).all()
    assert predicted[1:] == pytest.approx(raw, abs=0.05)
    kept = []
    for seed in range(20):
        noise = found._replace(
            uplift=np.random.default_rng(seed).normal(0.0, 1.0, len(found.uplift)),
            asked_group=np.arange(6),
        )
        kept.append(
            np.std(group_means(noise))
            / np.std([noise.uplift[found.group == g].mean() for g in range(6)])
        )
    assert np.mean(kept) < 0.5


def test_a_regression_finds_two_dimensions_and_says_little_of_noise() -> None:
    found, truth = table()
    predicted = ridge(found)
    assert np.corrcoef(predicted, truth)[0, 1] > 0.9
    assert (predicted == ridge(found)).all()
    noise = found._replace(uplift=np.random.default_rng(2).normal(0.0, 1.0, len(found.uplift)))
    assert np.std(ridge(noise)) < 0.05


def test_a_regression_says_nothing_of_few_trades_and_does_not_grow_without_end() -> None:
    few, _ = table(LEAST_TRADES - 1, m=20)
    assert (ridge(few) == 0.0).all()
    wide, _ = table(LEAST_TRADES + 100, m=20)
    none = wide._replace(
        seen=np.zeros((500, 0), np.int64),
        asked=np.zeros((20, 0), np.int64),
        group=np.zeros(500, np.int64),
    )
    assert ridge(none._replace(asked_group=np.zeros(20, np.int64))) == pytest.approx(
        np.full(20, wide.uplift.mean())
    )
    many, _ = table(20_000, m=20)
    codes = np.random.default_rng(1).integers(1, 9, (20_000, 11))
    assert MOST_COLUMNS < 11 * 8 + 55 * 64
    assert np.isfinite(ridge(many._replace(seen=codes, asked=codes[:20]))).all()


def test_peers_size_within_the_bounds_of_the_product() -> None:
    found, _ = table(edge=20.0)
    assert set(sized(found)) == set(PEERS)
    for multipliers in sized(found).values():
        assert multipliers.min() >= 0.3
        assert multipliers.max() == 3.0
    nothing = Lesson(
        found.seen[:0],
        found.group[:0],
        found.uplift[:0],
        found.exit_us[:0],
        found.asked,
        found.asked_group,
    )
    assert all((multipliers == 1.0).all() for multipliers in sized(nothing).values())


def test_the_table_is_of_the_judged_categories_in_units_of_size_beyond_the_baseline() -> None:
    facts = [
        *market(1, n=50),
        *(fact(f"x{i}", START_US + i * DAY_US, 5.0, {"z": "1"}, category="exit") for i in range(9)),
    ]
    module = module_of(facts)
    asked: list[Decision] = [
        module.decisions(("entry",))[3],
        module.decisions(("entry",))[4]._replace(group=("pm.z.z", "entry"), scope={"d0": "9"}),
    ]

    def expected(segment: SegmentKey) -> float:
        assert segment == ("micro", "1h")
        return 0.5

    made = lesson(module.trades, asked, ("entry",), expected, 2.0)
    assert made.seen.shape == (50, 2)
    assert (np.diff(made.exit_us) > 0).all()
    assert made.uplift.tolist() == [((f.rr or 0.0) - 0.5) / 2.0 for f in facts[:50]]
    assert made.asked_group.tolist() == [0, -1]
    assert (made.asked[0] == made.seen[3]).all()
    assert made.asked[1].tolist() == [0, 0]


def test_examples() -> None:
    result = doctest.testmod(app.audit.peers)
    assert result.attempted
    assert not result.failed
