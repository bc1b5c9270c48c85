"""The classic formulas, to all digits in the specification."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.learning.classic import formulas
from app.learning.common.multiplier import multiplier, on_grid
from tests.learning import reference

RR = [0.5 + 0.1 * (i % 10) for i in range(40)]


def test_golden_forty_trades() -> None:
    variance = float(np.var(RR, ddof=1))
    assert round(variance, 6) == 0.084615
    assert round(float(formulas.reliability(40, variance)), 6) == 0.916703
    assert round(float(formulas.support(40)), 6) == 0.550671
    edges = formulas.edge_raw(40, 0.95, variance, 1.0, [0.5, 0.8, 1.5])
    assert edges.round(6).tolist() == [1.317484, 0.439161, -1.610258]
    assert multiplier(edges).round(6).tolist() == [2.317484, 1.439161, 0.3]


def test_golden_constant_and_losing() -> None:
    assert round(float(formulas.edge_raw(40, 1.2, 0.0, 1.0, 0.7)), 6) == 1.649290
    assert round(float(formulas.edge_raw(52, -0.725, 0.076, 1.0, -0.615)), 4) == -0.2954


def test_decay_states_and_bounds() -> None:
    slopes = [-1.0, -0.0011, -0.001, 0.0, 0.001, 0.0011, 1.0]
    state, change = formulas.decay(slopes, 5)
    assert [formulas.DECAY_STATES[s] for s in state] == ["decaying"] * 2 + ["stable"] * 3 + [
        "improving"
    ] * 2
    assert change.round(6).tolist() == [0.5, 0.89, 1.0, 1.0, 1.0, 1.11, 1.5]
    state, change = formulas.decay(slopes, 4)
    assert set(state.tolist()) == {0}
    assert set(change.tolist()) == {1.0}


@given(
    st.integers(1, 10_000),
    st.floats(-33, 33),
    st.floats(0, 1e3),
    st.floats(0.5, 1.5),
    st.floats(-33, 33),
)
def test_edge_and_bounds(
    n: int, mean: float, variance: float, decay: float, baseline: float
) -> None:
    edge = float(formulas.edge_raw(n, mean, variance, decay, baseline))
    assert edge == pytest.approx(reference.edge(n, mean, variance, decay, baseline), abs=1e-9)
    assert 0.3 <= float(on_grid(multiplier(edge))) <= 3.0
    assert 0 <= float(formulas.confidence(n, variance)) <= 1


def test_a_number_does_not_depend_on_its_place_in_the_array() -> None:
    rng = np.random.default_rng(0)
    n, mean, variance = (
        rng.integers(1, 10_000, 1001).astype(float),
        rng.normal(0, 5, 1001),
        rng.exponential(size=1001),
    )
    edge, confidence = (
        formulas.edge_raw(n, mean, variance, 1.0, 0.1),
        formulas.confidence(n, variance),
    )
    for start in range(1, 40):
        part = slice(start, None, start)
        assert (
            formulas.edge_raw(n[part], mean[part], variance[part], 1.0, 0.1).tobytes()
            == edge[part].tobytes()
        )
        assert formulas.confidence(n[part], variance[part]).tobytes() == confidence[part].tobytes()


def test_threshold() -> None:
    assert formulas.is_override(
        [33, 32, 33, 33], [0.05, 9.0, -0.05, 0.0499999], 33, 0.05
    ).tolist() == [True, False, True, False]
