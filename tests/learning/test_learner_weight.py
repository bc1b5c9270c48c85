"""Weights of learners: from 0 to 1, from the prior to the record's estimate, and fixed if a learner
is switched on or off."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.learning.integrated.learner_weight import (
    DISCOUNT,
    GROWTH,
    HALF_LIFE,
    SHARED,
    Prior,
    WeightEvidence,
    among_clusters,
    half_life_evidence,
    opened,
    shared_evidence,
    shared_prior,
    weight,
)
from schemas.lessons import RecordCell

priors = st.sampled_from([HALF_LIFE, GROWTH, SHARED, Prior(0.2, 0.1)])
evidence = st.builds(WeightEvidence, st.floats(0, 1e9), st.floats(-1e9, 1e9), st.integers(0, 10**6))


@given(evidence, priors)
def test_it_is_from_0_to_1_and_a_switch_is_a_switch(found: WeightEvidence, prior: Prior) -> None:
    assert 0.0 <= weight(found, prior, None) <= 1.0
    assert weight(found, prior, True) == 1.0
    assert weight(found, prior, False) == 0.0


@given(priors)
def test_without_a_record_it_is_the_prior(prior: Prior) -> None:
    assert weight(WeightEvidence(), prior, None) == pytest.approx(prior.mean)


@given(st.floats(0, 1e6), st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=6), priors)
def test_the_more_came_the_more_it_counts(squares: float, came: list[float], prior: Prior) -> None:
    found = [weight(WeightEvidence(squares, c, 1), prior, None) for c in sorted(came)]
    assert all(a <= b for a, b in pairwise(found))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_long_record_is_believed(share: float) -> None:
    assert weight(WeightEvidence(1e8, share * 1e8, 10**8), SHARED, None) == pytest.approx(
        share, abs=0.01
    )


@given(st.lists(st.floats(0.5, 20), min_size=2, max_size=6))
def test_the_more_other_groups_cluster_the_less_half_lives_count(clusterings: list[float]) -> None:
    found = [among_clusters(HALF_LIFE, c) for c in sorted(clusterings)]
    for (prior, discount), (next_prior, next_discount) in pairwise(found):
        assert 0.0 < next_prior.mean <= prior.mean <= HALF_LIFE.mean
        assert DISCOUNT <= discount <= next_discount
    long = WeightEvidence(1e8, 1e8, 10**8)
    assert {weight(long, prior, None, discount) for prior, discount in found} == {1.0}
    assert among_clusters(HALF_LIFE, 5.0)[0].mean < 0.001


sums = st.floats(-1e6, 1e6)


@given(sums, sums, sums, st.floats(0, 1e6))
def test_the_more_is_left_the_more_shared_effects_count(
    total: float, one: float, other: float, variance: float
) -> None:
    low, high = (shared_prior(total, x, variance).mean for x in sorted((one, other)))
    assert 0.0 <= low <= high <= 1.0


def test_what_persists_by_chance_says_nothing_of_shared_effects() -> None:
    assert shared_prior(0.0, 0.0, 0.0) == SHARED
    assert shared_prior(-30.0, -30.0, 4.0) == SHARED
    few, many = shared_prior(1e6, 0.0, 4.0), shared_prior(1e6, 1e6, 4.0)
    assert (few.mean, many.mean) == pytest.approx((0.0, 1.0), abs=1e-5)


SHARES = np.array([0.0, 0.25, 0.75, 0.0, 0.0, 0.0])


def cell(
    constant: np.ndarray, moving: np.ndarray, shared: np.ndarray, came: np.ndarray
) -> RecordCell:
    """A record in which effects are the same for all shares."""
    columns = np.stack([x - x.mean() for x in (constant, moving, *[shared] * len(SHARES), came)])
    return RecordCell(
        0, len(came), tuple((columns @ columns.T)[np.triu_indices(len(columns))].tolist())
    )


def test_evidence_is_that_of_a_regression() -> None:
    """The regression of shared effects, if half-lives count by half: their predictions beyond the
    chosen effects, and the outcomes beyond these."""
    rng = np.random.default_rng(1)
    constant, moving, shared, outcome = rng.normal(size=(4, 200))
    held = cell(constant, moving, shared, outcome)
    found = shared_evidence([held], SHARES, 0.5)
    predicted, came, beyond, moved = (
        x - x.mean()
        for x in (
            shared - constant,
            outcome - constant - 0.5 * (moving - constant),
            outcome - constant,
            moving - constant,
        )
    )
    unit = 200 / (beyond**2).sum()
    assert found.squares == pytest.approx(unit * predicted @ predicted)
    assert found.products == pytest.approx(unit * predicted @ came)
    assert half_life_evidence([held]).squares == pytest.approx(unit * moved @ moved)
    assert half_life_evidence([held]).products == pytest.approx(unit * moved @ beyond)


def test_the_unit_and_the_order_of_cells_are_irrelevant() -> None:
    rng = np.random.default_rng(2)
    parts = [rng.normal(size=(4, 50)) for _ in range(4)]
    one = shared_evidence([cell(*p) for p in parts], SHARES, 0.7)
    other = shared_evidence([cell(*(30.0 * p)) for p in parts[::-1]], SHARES, 0.7)
    assert other.squares == pytest.approx(one.squares)
    assert other.products == pytest.approx(one.products)
    assert other.trades == one.trades == 200
    assert shared_evidence([cell(*np.zeros((4, 5)))], SHARES, 0.7) == WeightEvidence()


@given(st.lists(st.floats(-100, 0), min_size=2, max_size=6), st.floats(0.001, 0.2), st.floats(0, 1))
def test_a_module_opens_continuously(log_ps: list[float], alpha: float, sure: float) -> None:
    """At least as much as its most certain effect is phased in; more for smaller p-values; nothing
    at a p-value of 1."""
    found = [opened(p, alpha, sure) for p in sorted(log_ps, reverse=True)]
    assert all(sure <= a <= b <= 1.0 for a, b in pairwise(found))
    assert opened(0.0, alpha, sure) == sure
    for p in log_ps:
        assert abs(opened(p, alpha, sure) - opened(p - 0.01, alpha, sure)) < 0.01
