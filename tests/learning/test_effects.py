"""The search of effects: its parts compared with the quantities that they approximate, and its
results in known worlds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import expon, gamma, norm
from scipy.stats import t as student

from app.learning.integrated.autocorrelation import LagPairs
from app.learning.integrated.clipping import clip_bounds, robust_sd
from app.learning.integrated.error_rate import entry_log_p, z_of_log_p
from app.learning.integrated.saddlepoint import saddlepoint_z, student_z
from app.learning.integrated.selection import ChosenPath, Selection

Floats = NDArray[np.float64]


def search(
    outcome: Floats,
    members: NDArray[np.bool_],
    hours: Floats | None = None,
    n_dims: list[int] | None = None,
) -> ChosenPath:
    """The path through candidates (m, T) given as booleans."""
    m, t = members.shape
    return Selection(
        outcome,
        np.arange(float(t)) if hours is None else hours,
        csr_array(members.astype(np.float64)),
        np.array([1] * m if n_dims is None else n_dims, np.int64),
        np.arange(m),
        np.ones((t, 1)),
        10,
    ).path(0.05)


def thirds(rng: np.random.Generator, t: int, dims: int) -> NDArray[np.bool_]:
    """Indicators of three values of each dimension."""
    codes = rng.integers(0, 3, (dims, t))
    return np.array([codes[d] == v for d in range(dims) for v in range(3)])


# -- parts


@given(
    st.lists(st.floats(-33, 33), min_size=1, max_size=60), st.floats(-10, 10), st.floats(0.1, 10)
)
def test_clipping_moves_and_scales_with_the_outcomes(
    values: list[float], shift: float, scale: float
) -> None:
    y = np.array(values)
    low, high = clip_bounds(y)
    assert low <= np.median(y) <= high
    moved_low, moved_high = clip_bounds(scale * y + shift)
    if robust_sd(y) > 1e-6:
        assert moved_low == pytest.approx(scale * low + shift, abs=1e-6)
        assert moved_high == pytest.approx(scale * high + shift, abs=1e-6)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=40), st.integers(0, 1000))
def test_pairs_by_lag_are_all_pairs(hours: list[int], seed: int) -> None:
    """Each pair that is close enough counts once, in the lag of its distance."""
    at = np.sort(np.array(hours, np.float64))
    n = len(at)
    pairs = LagPairs(at)
    x = np.random.default_rng(seed).normal(size=(n, 2))
    sums = pairs.products(x)
    typical = (at[-1] - at[0]) / max(n - 1, 1)
    edges = [e for e in 0.5 * typical * 2.0 ** np.arange(8) if e < (at[-1] - at[0]) / 4]
    assert len(sums) == len(pairs.n_pairs) == len(edges)
    for lag, edge in enumerate(edges):
        mine = [
            (i, k)
            for i in range(n)
            for k in range(i + 1, n)
            if at[k] <= at[i] + edge and (not lag or not at[k] <= at[i] + edges[lag - 1])
        ]
        assert pairs.n_pairs[lag] == len(mine)
        np.testing.assert_allclose(
            sums[lag], sum((x[i] * x[k] for i, k in mine), np.zeros(2)), atol=1e-9
        )


def test_autocorrelation_is_found_and_noise_has_none() -> None:
    rng = np.random.default_rng(0)
    hours = np.arange(2000.0)
    wandering = np.zeros(2000)
    for i in range(1, 2000):
        wandering[i] = 0.95 * wandering[i - 1] + rng.normal()
    rho = LagPairs(hours).autocorrelation(wandering)
    assert rho.max() > 0.7
    assert LagPairs(hours).autocorrelation(rng.normal(size=2000)).max() < 0.1
    assert not LagPairs(hours).autocorrelation(np.zeros(2000)).any()
    assert not LagPairs(np.zeros(5)).autocorrelation(np.arange(5.0)).size


@given(st.floats(-600, -1e-3))
def test_z_of_a_p_value(log_p: float) -> None:
    z = z_of_log_p(log_p)
    assert norm.logsf(z) + math.log(2) == pytest.approx(log_p, rel=1e-6, abs=1e-9)
    assert z_of_log_p(0.0) == 0.0


def test_bonferroni() -> None:
    assert entry_log_p(0.05, 1) == pytest.approx(math.log(0.05))
    assert entry_log_p(0.05, 1000) == pytest.approx(math.log(0.05 / 1000))
    assert entry_log_p(0.05, 0) == entry_log_p(0.05, 1)


def powers_of_a_slice(n: int, t: int) -> NDArray[np.float64]:
    """Sums of powers (3, 1) of the contrast of n trades against the other t − n."""
    f = n / t
    return np.array([[n * (1 - f) ** k + (t - n) * (-f) ** k] for k in (2, 3, 4)])


@pytest.mark.parametrize("z", [-4.0, -3.0, 3.0, 4.0, 5.0, 6.0])
def test_tails_of_skewed_sums(z: float) -> None:
    """Sums of 40 of many exponentials have a gamma distribution, whose tails the normal one misses
    by a factor of up to 500."""
    n, t = 40, 40_000
    points = expon.ppf((np.arange(4000) + 0.5) / 4000)
    standard = (points - points.mean()) / points.std()
    found = float(saddlepoint_z(np.array([z]), powers_of_a_slice(n, t), standard)[0])
    total = n + z * math.sqrt(n)
    exact = gamma(n).logsf(total) if z > 0 else gamma(n).logcdf(total)
    normal_error = abs(norm.logsf(abs(z)) - exact)
    assert abs(norm.logsf(abs(found)) - exact) < 0.12 * normal_error + 0.1
    assert found * z > 0


@pytest.mark.parametrize("z", [-2.5, 3.0, 3.5, 4.0])
def test_tails_of_weighted_skewed_sums(z: float) -> None:
    """A contrast in which recent trades weigh more has the tails of simulated sums, which the
    normal distribution misses by a factor of up to 50."""
    rng = np.random.default_rng(1)
    points = expon.ppf((np.arange(4000) + 0.5) / 4000)
    standard = (points - points.mean()) / points.std()
    weights = np.exp2(-np.arange(60.0) / 15.0)
    powers = np.array([[np.sum(weights**k)] for k in (2, 3, 4)])
    draws = (rng.exponential(size=(400_000, 60)) - 1.0) @ weights / math.sqrt(float(powers[0, 0]))
    found = float(saddlepoint_z(np.array([z]), powers, standard)[0])
    simulated = float(np.mean(draws * np.sign(z) > abs(z)))
    assert found * z > 0
    assert 0.6 < norm.sf(abs(found)) / simulated < 1.7
    assert not 0.5 < norm.sf(abs(z)) / simulated < 2.0


@given(st.floats(-6, 6), st.integers(20, 400), st.floats(0.05, 0.9))
def test_normal_residuals_keep_their_z(z: float, n: int, share: float) -> None:
    """Close to normal tails for many observations; a little more far out, where the distribution
    ends."""
    t = round(n / share)
    residuals = norm.ppf((np.arange(2000) + 0.5) / 2000)
    found = float(saddlepoint_z(np.array([z]), powers_of_a_slice(n, t), residuals)[0])
    assert found == pytest.approx(z, rel=0.05, abs=0.06)


@given(st.floats(-20, 20), st.floats(1, 1e8))
def test_students_z_has_the_same_p(z: float, dof: float) -> None:
    found = float(student_z(np.array([z]), np.array([dof]))[0])
    assert found * z >= 0
    assert abs(found) <= abs(z) + 1e-6
    exact = student.logsf(abs(z), dof)
    if abs(z) > 0.01 and exact > -600:
        assert norm.logsf(abs(found)) == pytest.approx(exact, rel=1e-3, abs=1e-3)


# -- the search


@pytest.mark.parametrize("effect", [1.5, -1.5])
def test_planted_effects_are_found_and_hardly_anything_else(effect: float) -> None:
    """Two overlapping effects of opposite signs: both are found in full, and in twenty worlds at
    most three false ones."""
    others = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        members = thirds(rng, 600, 4)
        path = search(rng.normal(size=600) + effect * members[0] - effect * members[4], members)
        chosen = [step.candidate for step in path.steps]
        assert {0, 4} <= set(chosen)
        others += len(chosen) - 2
        by_place = dict(zip(chosen, path.fits[-1].coefficients[1:], strict=True))
        assert by_place[0] == pytest.approx(effect, abs=0.5)
        assert by_place[4] == pytest.approx(-effect, abs=0.5)
    assert others <= 3


@settings(max_examples=40)
@given(
    st.integers(0, 10**6),
    st.integers(12, 200),
    st.integers(1, 4),
    st.sampled_from([0.0, 2.0]),
    st.booleans(),
)
def test_what_a_path_is(seed: int, t: int, dims: int, effect: float, ties: bool) -> None:
    """Statistics fall along the path, fits are least squares, loadings on all segments together are
    those of a constant, numbers finite."""
    rng = np.random.default_rng(seed)
    members = thirds(rng, t, dims)
    outcome = rng.normal(size=t) + effect * members[0]
    members = members[members.sum(axis=1) >= 5]
    if ties:
        outcome = np.round(outcome)
    path = search(outcome, members)
    chosen = [step.candidate for step in path.steps]
    assert len(set(chosen)) == len(chosen) <= 16
    statistics = [step.statistic for step in path.steps]
    assert statistics == sorted(statistics, reverse=True)
    assert len(path.fits) == len(chosen) + 1
    for k, fit in enumerate(path.fits):
        x = np.column_stack((np.ones(t), members[chosen[:k]].T.astype(float)))
        np.testing.assert_allclose(
            fit.coefficients, np.linalg.lstsq(x, outcome, rcond=None)[0], atol=1e-8
        )
        np.testing.assert_allclose(fit.loadings[:, 0], [1.0] + [0.0] * k, atol=1e-9)
        assert np.isfinite(fit.covariance).all()
        assert (np.diag(fit.covariance) >= 0).all()
    np.testing.assert_allclose(path.residuals.mean(), 0.0, atol=1e-9)
    assert np.isfinite(path.marginal).all()
    assert np.isfinite(path.conditional).all()
    assert (path.noise_sd > 0).all()
    np.testing.assert_allclose(path.conditional[chosen], 0.0, atol=0.05)


@settings(max_examples=25)
@given(
    st.integers(0, 10**6),
    st.sampled_from([1e-6, 0.5, 1e6]),
    st.sampled_from([-3.0, 0.0, 100.0]),
    st.booleans(),
)
def test_units_do_not_matter(seed: int, scale: float, shift: float, mirrored: bool) -> None:
    """The same slices with the same statistics for any unit, origin and sign of the outcome."""
    rng = np.random.default_rng(seed)
    members = thirds(rng, 300, 3)
    outcome = rng.normal(size=300) + 1.2 * members[1]
    one, other = (
        search(outcome, members),
        search((-scale if mirrored else scale) * outcome + shift * scale, members),
    )
    assert [s.candidate for s in one.steps] == [s.candidate for s in other.steps]
    np.testing.assert_allclose(
        [s.statistic for s in one.steps], [s.statistic for s in other.steps], rtol=1e-4
    )


def test_more_general_names_win_ties() -> None:
    """Of slices with nearly the same trades, the one with fewer dimensions is chosen, and the
    refinement is not chosen beside it."""
    rng = np.random.default_rng(1)
    parent = rng.integers(0, 3, 500) == 0
    members = np.array([parent & (rng.random(500) > 0.03), parent])
    path = search(rng.normal(size=500) + 1.5 * parent, members, n_dims=[2, 1])
    assert [s.candidate for s in path.steps] == [1]


@pytest.mark.parametrize("seed", range(8))
def test_of_a_slice_and_the_rest_the_smaller_is_chosen(seed: int) -> None:
    """Whichever of the two is noisier: their variances do not decide which of them has the edge."""
    rng = np.random.default_rng(seed)
    inside = rng.random(500) < 0.3
    noise = rng.normal(size=500) * np.where(inside, 0.3 if seed % 2 else 2.0, 1.0)
    others = thirds(rng, 500, 2)
    path = search(noise + 1.5 * inside, np.vstack((~inside, others, inside)))
    assert 7 in [s.candidate for s in path.steps]
    assert 0 not in [s.candidate for s in path.steps]


def test_a_second_effect_does_not_undo_the_first() -> None:
    """Of three values one has an edge, and a second one by chance: the first stays chosen, instead
    of the absence of the other two."""
    lost = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        codes = rng.choice(3, 90, p=[0.34, 0.42, 0.24])
        members = np.array([codes == v for v in range(3)])
        outcome = rng.normal(size=90) + 1.5 * (codes == 0) - 0.7 * (codes == 2)
        path = search(outcome, members)
        given = dict(
            zip([s.candidate for s in path.steps], [s.statistic for s in path.steps], strict=True)
        )
        lost += len(given) > 1 and max(given.values()) < 3.0
    assert lost == 0


def test_a_recent_edge_is_seen() -> None:
    """An edge of the last tenth of the window, diluted beyond recognition in the mean of all, is
    found; so is one that has always been."""
    found = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        members = thirds(rng, 1000, 2)
        late = members[0] & (np.arange(1000) > 880)
        found += 0 in [
            s.candidate for s in search(rng.normal(size=1000) + 1.6 * late, members).steps
        ]
    assert found >= 8


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_noise_is_left_alone_even_if_it_drifts(rho: float) -> None:
    """Outcomes that wander, and slices that last as long: about one world in twenty has a chosen
    slice, not most of them."""
    worlds = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        values = np.zeros(400)
        for i in range(1, 400):
            values[i] = rho * values[i - 1] + rng.normal() * math.sqrt(1 - rho * rho)
        spells = np.repeat(rng.integers(0, 3, (3, 40)), 10, axis=1)
        members = np.array([spells[d] == v for d in range(3) for v in range(3)])
        worlds += bool(search(values + rng.normal(size=400), members).steps)
    assert worlds <= 8


def test_nothing_to_search() -> None:
    path = search(np.arange(20.0), np.zeros((0, 20), np.bool_))
    assert path.steps == []
    assert len(path.fits) == 1
    assert path.fits[0].coefficients[0] == pytest.approx(9.5)
    one = search(np.array([1.0]), np.zeros((0, 1), np.bool_))
    assert np.isfinite(one.fits[0].covariance).all()
