"""The worlds are what they say: their truth is what their trades earn, and the same numbers make the same world."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.quality import noise, oracle
from benchmarks.quality.score import N_MIN, Cut
from benchmarks.quality.truth import Days, Planted, exit_micros
from benchmarks.quality.worlds import FAMILIES, halving, make

SEED = 7


@pytest.mark.parametrize("family", FAMILIES)
def test_a_world_is_a_function_of_its_seed(family: str) -> None:
    one, same, other = (make(family, 1, seed) for seed in (SEED, SEED, SEED + 1))
    assert np.array_equal(one.outcome, same.outcome)
    assert np.array_equal(one.exit_day, same.exit_day)
    assert np.array_equal(one.codes, same.codes)
    assert not np.array_equal(one.outcome, other.outcome)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_truth_is_what_the_trades_earn(family: str) -> None:
    """Over some worlds, the mean of outcome less truth is the same inside of planted slices as outside of them."""
    gaps = []
    for index in range(3):
        world = make(family, index, SEED)
        for planted in world.planted:
            inside = world.trades_of(world.row_effect(planted) != 0.0)
            trades, first = np.unique(world.row_trade, return_index=True)
            truth = np.zeros(len(world.outcome))
            truth[trades] = world.uplift()[first]
            # Of several actions any may be the one in the slice; what they share is planted, so the first tells it.
            rest = (world.outcome - truth)[inside]
            gaps.append((rest.mean() - (world.outcome - truth)[~inside].mean()) / (world.noise_sd / np.sqrt(inside.sum())))
    if gaps:
        assert abs(np.mean(gaps)) < 4.0 / np.sqrt(len(gaps))
    else:
        assert FAMILIES[family].kind in ("null", "segments")


@pytest.mark.parametrize("family", [f for f in FAMILIES if FAMILIES[f].kind not in ("null", "segments")])
def test_planted_slices_can_be_found(family: str) -> None:
    for index in range(4):
        cut = Cut(make(family, index, SEED), 90.0)
        assert all(trades.sum() >= N_MIN for _, _, trades in cut.planted_slices())
        assert len(cut.decided) > 20
        assert (np.abs(cut.uplift) > 0).any()


def test_a_trade_is_home_in_one_group() -> None:
    world = make("clones_across_groups", 0, SEED)
    homes = [trade.trade_id for trades in world.trades().values() for trade in trades if trade.home]
    assert len(homes) == len(set(homes)) == len({t.trade_id for trades in world.trades().values() for t in trades})


def test_exact_clones_change_nothing_else() -> None:
    world = make("exact_clones", 2, SEED)
    assert world.twin is not None
    assert world.n_clones == 3
    for mine, theirs in zip(world.trades().values(), world.twin.trades().values(), strict=True):
        assert [(t.exit_us, t.outcome) for t in mine] == [(t.exit_us, t.outcome) for t in theirs]
        scopes = [{k: v for k, v in scope.items() if not k.startswith("clone")} for t in mine for scope in t.scopes]
        assert scopes == [scope for t in theirs for scope in t.scopes]


@pytest.mark.parametrize("shape", noise.SHAPES)
def test_noise_has_mean_0_and_sd_1(shape: str) -> None:
    drawn = noise.SHAPES[shape](np.random.default_rng(1), 400_000)
    assert abs(drawn.mean()) < 0.01
    assert abs(drawn.std() - 1.0) < 0.05  # t(3) has no fourth moment


def test_a_wandering_level_forgets_in_its_time() -> None:
    days = np.arange(0.0, 20_000.0, 0.5)
    path = noise.wandering(np.random.default_rng(1), days, tau_days=2.0)
    assert np.corrcoef(path[:-4], path[4:])[0, 1] == pytest.approx(np.exp(-1.0), abs=0.03)
    assert path.std() == pytest.approx(1.0, abs=0.03)


def test_the_precision_of_a_half_life_is_what_least_squares_reaches() -> None:
    """400 fits to data of a known half-life scatter as the bound says."""
    from scipy.optimize import curve_fit

    rng = np.random.default_rng(2)
    days = np.linspace(0.0, 40.0, 300)
    planted = Planted((("pm.a", "add"),), {}, 1.5, lambda d: halving(d, start_day=0.0, half_life_days=8.0), 8.0)
    level = 1.5 * np.exp2(-days / 8.0)

    def curve(at: Days, size: float, log_h: float) -> Days:
        return np.asarray(size * np.exp2(-at / np.exp(log_h)))

    fits = [curve_fit(curve, days, level + 0.8 * rng.standard_normal(300), p0=(1.5, np.log(8.0)))[0][1] for _ in range(400)]
    assert np.std(fits) == pytest.approx(oracle.half_life_sd(planted, days, 0.8), rel=0.15)


def test_who_knows_all_but_the_regime_is_right_on_average() -> None:
    cut = Cut(make("regime_gains", 0, SEED), 90.0)
    (planted, *_), world = cut.world.planted, cut.world
    rows = (world.row_effect(planted) != 0.0) & cut.window
    said = oracle.regime_blind(replace(world, planted=(planted,)), world.trades_of(cut.window))[rows]
    assert np.ptp(said) == 0.0
    assert said[0] == pytest.approx(np.mean(oracle.knowing(world.row_effect(planted)[rows])))


def test_exits_are_whole_microseconds() -> None:
    assert exit_micros(1.0) - exit_micros(0.0) == 86_400_000_000
