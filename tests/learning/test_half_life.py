"""The estimated current edge follows the true one, and a half-life is claimed where there is
one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.learning.integrated.half_life import MIN_TRADES, EdgeState, edge_states

Floats = NDArray[np.float64]
DAY = 24.0


def states(
    times: list[Floats], uplifts: list[Floats], noise_sd: list[float], now_hours: float
) -> list[EdgeState]:
    starts = np.append(0, np.cumsum([len(t) for t in times]))
    return edge_states(
        np.concatenate(times), np.concatenate(uplifts), starts, np.array(noise_sd), now_hours
    )


def state(
    time: Floats, uplift: Floats, noise_sd: float = 1.0, now_hours: float | None = None
) -> EdgeState:
    return states(
        [time], [uplift], [noise_sd], float(time[-1]) if now_hours is None else now_hours
    )[0]


def noise(rng: np.random.Generator, kind: str, n: int) -> Floats:
    """Noise with a standard deviation of 1."""
    if kind == "t4":
        return rng.standard_t(4, n) / np.sqrt(2.0)
    return rng.exponential(1.0, n) - 1.0 if kind == "skewed" else rng.normal(0.0, 1.0, n)


def fisher_sd(time: Floats, amplitude: float, half_life: float, noise_sd: float) -> float:
    """The bound on the standard deviation of ln h in y = A · 2^(−t/h) + noise."""
    shape = np.exp2(-time / half_life)
    slopes = np.stack((shape, amplitude * shape * np.log(2.0) * time / half_life)) / noise_sd
    return float(np.sqrt(np.linalg.inv(slopes @ slopes.T)[1, 1]))


def test_worked_case_of_three_days() -> None:
    rng = np.random.default_rng(1)
    times = [np.sort(rng.uniform(0, 720, 200)) for _ in range(40)]
    found = states(
        times, [0.8 * np.exp2(-t / 72) + rng.normal(0, 0.3, 200) for t in times], [0.3] * 40, 720.0
    )
    assert all(f.state == "decaying" for f in found)
    half_lives = np.array([f.half_life_hours for f in found])
    assert np.median(half_lives) == pytest.approx(72, rel=0.1)
    assert np.mean(np.abs(half_lives / 72 - 1) < 0.25) >= 0.7
    assert np.abs([f.now for f in found]).max() < 0.08


@pytest.mark.parametrize("kind", ["gaussian", "t4"])
@pytest.mark.parametrize(("n", "tolerance"), [(1000, 0.12), (200, 0.25)])
def test_two_weeks_in_heavy_noise(kind: str, n: int, tolerance: float) -> None:
    rng = np.random.default_rng(2)
    times = [np.sort(rng.uniform(0, 60 * DAY, n)) for _ in range(40)]
    found = states(
        times,
        [1.5 * np.exp2(-t / (14 * DAY)) + 1.5 * noise(rng, kind, n) for t in times],
        [1.5] * 40,
        60 * DAY,
    )
    half_lives = [f.half_life_hours for f in found if f.half_life_hours is not None]
    assert len(half_lives) >= 36
    assert np.median(half_lives) == pytest.approx(14 * DAY, rel=tolerance)


def test_identified_half_lives_are_found_and_covered() -> None:
    rng = np.random.default_rng(3)
    errors, covered, tried = [], [], 0
    while tried < 96:
        n = int(np.exp(rng.uniform(np.log(60), np.log(1000))))
        span, half_life = (
            rng.uniform(20, 90) * DAY,
            np.exp(rng.uniform(np.log(2), np.log(40))) * DAY,
        )
        amplitude = rng.choice([-1, 1]) * rng.uniform(0.4, 2.0)
        time = np.sort(rng.uniform(0, span, n))
        if fisher_sd(time, amplitude, half_life, 1.2) > 0.35:
            continue
        tried += 1
        uplift = amplitude * np.exp2(-time / half_life) + 1.2 * noise(
            rng, str(rng.choice(["gaussian", "t4"])), n
        )
        found = state(time, uplift, 1.2, span)
        if found.half_life_hours is not None and found.interval is not None:
            errors.append(abs(found.half_life_hours / half_life - 1))
            covered.append(found.interval[0] <= half_life <= found.interval[1])
    assert len(errors) >= 0.9 * tried
    assert np.median(errors) <= 0.16
    assert 0.72 <= np.mean(covered) <= 0.92


@pytest.mark.parametrize("kind", ["gaussian", "t4", "skewed"])
def test_a_constant_edge_is_stable_and_keeps_its_value(kind: str) -> None:
    rng = np.random.default_rng(4)
    times = [np.sort(rng.uniform(0, 60 * DAY, 250)) for _ in range(400)]
    edges = rng.choice([-1, 1], 400) * rng.uniform(0.5, 1.0, 400)
    found = states(times, [edge + noise(rng, kind, 250) for edge in edges], [1.0] * 400, 60 * DAY)
    assert sum(f.half_life_hours is not None for f in found) <= 20
    assert sum(f.state == "stable" for f in found) >= 376
    now, level = np.array([f.now for f in found]), np.array([f.level for f in found])
    assert np.sum(now * edges - now**2 / 2) / np.sum(edges**2 / 2) >= 0.97
    # Nearly as good as the mean of all trades, which assumes a constant edge.
    spread = [
        np.subtract(*np.quantile(estimate - edges, (0.84, 0.16))) for estimate in (now, level)
    ]
    assert spread[0] <= 1.2 * spread[1]
    assert (
        0.75 <= np.mean(np.abs(now - edges) < 1.2816 * np.array([f.now_sd for f in found])) <= 0.95
    )


def test_an_edge_that_began_midway_and_falls_is_decaying() -> None:
    rng = np.random.default_rng(10)
    times, uplifts, truths, nows = [], [], [], []
    while len(times) < 80:
        n = int(rng.integers(250, 600))
        half_life, onset, amplitude = (
            np.exp(rng.uniform(np.log(3), np.log(30))) * DAY,
            rng.uniform(40, 75) * DAY,
            rng.choice([-1, 1]) * 1.6,
        )
        time = np.sort(rng.uniform(0, 90 * DAY, n))
        after = time >= onset
        if fisher_sd(time[after] - onset, amplitude, half_life, 0.7) > 0.35:
            continue
        times.append(time)
        uplifts.append(
            np.where(after, amplitude * np.exp2((onset - time) / half_life), 0.0)
            + 0.7 * noise(rng, "gaussian", n)
        )
        truths.append(half_life)
        nows.append(amplitude * np.exp2((onset - 90 * DAY) / half_life))
    found = states(times, uplifts, [0.7] * 80, 90 * DAY)
    claims = [
        (f.half_life_hours, f.interval, truth)
        for f, truth in zip(found, truths, strict=True)
        if f.half_life_hours is not None
    ]
    assert sum(f.state == "decaying" for f in found) >= 70
    assert len(claims) >= 72
    assert np.median([abs(h / truth - 1) for h, _, truth in claims]) <= 0.18
    assert (
        0.7 <= np.mean([i is not None and i[0] <= truth <= i[1] for _, i, truth in claims]) <= 0.95
    )
    now, true = np.array([f.now for f in found]), np.array(nows)
    assert np.sum((now - true) ** 2) <= 0.1 * np.sum(true**2)


@pytest.mark.parametrize("before", [0.0, -0.4])
def test_an_edge_that_began_midway_and_stays_is_no_decay(before: float) -> None:
    rng = np.random.default_rng(11)
    time = np.linspace(0, 90 * DAY, 500)
    found = states(
        [time] * 40,
        [np.where(time < 50 * DAY, before, 1.0) + noise(rng, "gaussian", 500) for _ in range(40)],
        [1.0] * 40,
        90 * DAY,
    )
    assert sum(f.half_life_hours is None for f in found) >= 36
    assert sum(f.state == ("reversed" if before else "improving") for f in found) >= 36
    assert np.sqrt(np.mean([(f.now - 1.0) ** 2 for f in found])) < 0.15


@pytest.mark.parametrize("noise_sd", [0.1, 0.3, 0.75])
def test_thirty_wins_then_thirty_losses(noise_sd: float) -> None:
    found = state(np.arange(60) * DAY, np.repeat([1.0, -0.5], 30), noise_sd)
    assert found.state == "reversed"
    assert found.half_life_hours is None
    assert found.now == pytest.approx(-0.48, abs=0.04)


def test_edges_that_grow_turn_and_come_back() -> None:
    rng = np.random.default_rng(5)
    time = np.linspace(0, 90 * DAY, 700)
    day = time / DAY
    shapes = {
        "improving": 0.8 * day / 90,
        "reversed": np.where(day < 54, 0.8, -0.8),
        "season": 0.8 * np.sin(2 * np.pi * day / 30 + 1.0),
    }
    for name, shape in shapes.items():
        found = states(
            [time] * 20,
            [shape + 0.8 * noise(rng, "t4", 700) for _ in range(20)],
            [0.8] * 20,
            90 * DAY,
        )
        now = np.array([f.now for f in found])
        assert np.sqrt(np.mean((now - shape[-1]) ** 2)) < 0.25, name
        assert np.sqrt(np.mean((now - shape[-1]) ** 2)) < 0.6 * np.sqrt(
            np.mean([(f.level - shape[-1]) ** 2 for f in found])
        ), name
        if name == "season":
            assert (
                sum(f.half_life_hours is not None and f.half_life_hours < 15 * DAY for f in found)
                >= 18
            )
        else:
            assert sum(f.state == name and f.half_life_hours is None for f in found) >= 17, name


def test_insufficient_below_the_evidence_it_needs() -> None:
    rng = np.random.default_rng(6)
    time = np.arange(200) * 3.0
    assert state(time[: MIN_TRADES - 1], np.full(MIN_TRADES - 1, 5.0)).state == "insufficient"
    assert state(np.repeat([0.0, 5.0], 50), np.full(100, 5.0)).state == "insufficient"
    nothing = [state(time, rng.normal(0, 1, 200)) for _ in range(40)]
    assert sum(f.state == "insufficient" for f in nothing) >= 30
    assert all(
        f.half_life_hours is None and f.interval is None
        for f in nothing
        if f.state == "insufficient"
    )
    with pytest.raises(ValueError, match="no trades"):
        edge_states(time, time, np.array([0, 0, 200]), np.ones(2), 0.0)
    assert edge_states(time[:0], time[:0], np.array([0]), np.ones(0), 0.0) == []


def test_silence_moves_an_edge_to_neutral_and_never_past_it() -> None:
    rng = np.random.default_rng(7)
    time = np.sort(rng.uniform(0, 30 * DAY, 200))
    uplift = np.where(time < 20 * DAY, 0.9, -0.3) * np.exp2(-time / (9 * DAY)) + rng.normal(
        0, 0.5, 200
    )
    for sign in (1.0, -1.0):
        edges = np.array(
            [
                state(time, sign * uplift, 0.5, (30 + gap) * DAY).now
                for gap in (0, 1, 3, 10, 30, 100, 1000)
            ]
        )
        assert np.all(edges * edges[0] >= 0)
        assert np.all(np.abs(edges) <= np.abs(edges[0]))
    going = [
        state(time, np.exp2(-time / (9 * DAY)) + uplift * 0, 0.3, (30 + gap) * DAY)
        for gap in (0, 9)
    ]
    assert going[1].now == pytest.approx(going[0].now / 2, rel=0.1)


def test_each_effect_is_judged_by_itself() -> None:
    rng = np.random.default_rng(8)
    times = [np.sort(rng.uniform(0, 900, n)) for n in (12, 300, 40, 1500)]
    uplifts = [0.7 + rng.normal(0, 1, len(t)) for t in times]
    together = states(times, uplifts, [1.0, 1.1, 0.9, 1.0], 950.0)
    for k, (time, uplift) in enumerate(zip(times, uplifts, strict=True)):
        alone = state(time, uplift, [1.0, 1.1, 0.9, 1.0][k], 950.0)
        assert together[k].state == alone.state
        assert together[k].now == pytest.approx(alone.now, abs=1e-9)
        assert together[k].odds == pytest.approx(alone.odds, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_units_do_not_matter(scale: float) -> None:
    rng = np.random.default_rng(9)
    time = np.sort(rng.uniform(0, 900, 150))
    uplift = np.exp2(-time / 200) + rng.normal(0, 0.5, 150)
    plain, scaled = state(time, uplift, 0.5), state(time, uplift * scale, 0.5 * scale)
    assert scaled.now / scale == pytest.approx(plain.now, rel=1e-6)
    assert scaled.half_life_hours == pytest.approx(plain.half_life_hours, rel=1e-6)


def test_degenerate_outcomes_give_finite_numbers() -> None:
    for n in (1, 2, 3, 30):
        for value in (0.0, -1.0, 1e9):
            for noise_sd in (0.0, 1.0):
                for time in (np.zeros(n), np.arange(n) * 1.0):
                    found = state(time, np.full(n, value), noise_sd, 100.0)
                    assert np.isfinite([found.now, found.now_sd, found.level, found.odds]).all()
                    assert found.now * value >= 0


@st.composite
def losing_slices(draw: st.DrawFn) -> tuple[Floats, Floats]:
    n = draw(st.integers(12, 80))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    time = np.sort(rng.uniform(0, 720, n))
    shape = draw(st.sampled_from([np.ones(n), np.exp2(-time / 200)]))
    return time, -draw(st.floats(0.2, 2.0)) * shape + rng.normal(0, 0.7, n)


@settings(max_examples=60)
@given(losing_slices(), st.floats(0.01, 2.0))
def test_worse_outcomes_of_a_losing_slice_never_soften_it(
    losing: tuple[Floats, Floats], worse: float
) -> None:
    """Except for a tenth of a standard error: worse outcomes also shift weight between constant and
    decaying models, whose current edges differ."""
    time, uplift = losing
    plain, harder = state(time, uplift, 0.7), state(time, uplift - worse, 0.7)
    assert harder.now <= plain.now + 0.1 * plain.now_sd


@settings(max_examples=60)
@given(losing_slices(), st.integers(0, 11), st.floats(-20.0, 20.0))
def test_the_edge_now_is_continuous_in_an_outcome(
    losing: tuple[Floats, Floats], which: int, value: float
) -> None:
    time, uplift = losing
    uplift[which] = value
    beside = uplift.copy()
    beside[which] += 1e-7
    assert state(time, beside, 0.7).now == pytest.approx(state(time, uplift, 0.7).now, abs=1e-5)


@settings(max_examples=60)
@given(losing_slices())
def test_signs_are_treated_alike(losing: tuple[Floats, Floats]) -> None:
    time, uplift = losing
    one, other = state(time, uplift, 0.7), state(time, -uplift, 0.7)
    assert other.state == one.state
    assert other.now == pytest.approx(-one.now, rel=1e-9, abs=1e-12)
