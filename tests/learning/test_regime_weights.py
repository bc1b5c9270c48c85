"""Regime gains are exactly 1 where regimes have no effect, capture most of the gain where they have
one, and change only with the evidence."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.learning.integrated.quality_metrics import (
    METRICS,
    edge_sign,
    field_coherence,
    recurrence,
)
from app.learning.integrated.regime_cells import Cell, History, history
from app.learning.integrated.regime_contrast import spending
from app.learning.integrated.regime_weights import RegimeWeights, fit, gains

Floats = NDArray[np.float64]
STATES = ("S1", "S2", "S3")
MIX = np.array([0.4, 0.3, 0.3])
SIGNATURE = ("btc_macro",)


class World(NamedTuple):
    """`effect` (L,) and `metrics` (L, 6) at the end of the history, `truth` (L, 3) per regime."""

    history: History
    effect: Floats
    metrics: Floats
    truth: Floats


def _plain(good: float, middle: float, bad: float) -> Callable[[Floats], Floats]:
    return lambda x: np.stack([np.full_like(x, share) for share in (good, middle, bad)], axis=-1)


# The part of an edge that remains in a regime, if its time efficiency is x.
PERSISTENCE: dict[str, Callable[[Floats], Floats]] = {
    "control": _plain(1.0, 1.0, 1.0),
    "metric matters everywhere": lambda x: np.stack([1.8 * x] * 3, axis=-1),
    "good in S1": _plain(1.0, 0.5, 0.0),
    "against in S3": _plain(1.0, 0.5, -0.5),
    "metric tells in S1": lambda x: np.stack(
        [1.8 * x, np.full_like(x, 0.5), np.full_like(x, 0.5)], axis=-1
    ),
}


def world(
    seed: int,
    n_lessons: int,
    kind: str,
    *,
    days: int = 75,
    spell: float = 0.0,
    shock: float = 0.0,
    heavy: bool = False,
) -> World:
    """Lessons with edges of 0.3 … 1.0 in noise of 1 … 1.5, walked forward: a prediction is the
    shrunk mean of all trades before the cell.

    They are selected with hindsight (3 standard errors).  With `spell`, the market stays that many
    days in a state; `shock` is the standard deviation of a shock that all trades of a day share;
    `heavy` tails are t(3).
    """
    rng = np.random.default_rng([seed, n_lessons])
    sd = rng.uniform(1.0, 1.5, n_lessons)
    edge = rng.uniform(0.3, 1.0, n_lessons) * rng.choice([1, 1, -1], n_lessons)
    usual, drift = rng.uniform(0.15, 0.95, (n_lessons, 6)), np.zeros((n_lessons, 6))
    rate = rng.gamma(2.0, 1.5, n_lessons)
    prior_n = (sd / 0.35) ** 2
    seen_n, seen_sum = np.zeros(n_lessons), np.zeros(n_lessons)
    state = rng.choice(3, p=MIX)
    columns: list[tuple[NDArray[np.float64], ...]] = []
    for day in range(-20, days):
        drift = 0.9 * drift + rng.normal(0.0, 0.04, drift.shape)
        metrics = np.clip(usual + drift, 0.0, 1.0)
        if spell and rng.random() < 1 / spell:
            state = rng.choice(3, p=MIX)
        mix = 0.1 * MIX + 0.9 * np.eye(3)[state] if spell else rng.dirichlet(6 * MIX)
        n = np.minimum(rng.poisson(rate[:, None] * mix), 10)
        noise = rng.standard_t(3, n.shape) / math.sqrt(3) if heavy else rng.normal(size=n.shape)
        truth = edge[:, None] * PERSISTENCE[kind](metrics[:, 0])
        uplift = truth + noise * sd[:, None] / np.sqrt(np.maximum(n, 1)) + rng.normal(0.0, shock)
        if day >= 0:
            i, r = np.nonzero(n)
            predicted = seen_sum / (seen_n + prior_n)
            columns.append(
                (
                    i,
                    np.full(len(i), 20000 + day),
                    r,
                    predicted[i],
                    metrics[i],
                    n[i, r],
                    uplift[i, r],
                    sd[i] ** 2,
                )
            )
        seen_n, seen_sum = seen_n + n.sum(axis=1), seen_sum + (n * uplift).sum(axis=1)
    lesson, when, regime, predicted, seen_metrics, count, realised, variance = (
        np.concatenate(c) for c in zip(*columns, strict=True)
    )
    effect = seen_sum / (seen_n + prior_n)
    chosen = np.abs(effect) > 3 * sd / np.sqrt(seen_n)
    k = chosen[lesson]
    shot = History(
        lesson[k],
        when[k],
        regime[k],
        tuple((s,) for s in STATES),
        predicted[k],
        seen_metrics[k],
        count[k],
        realised[k],
        variance[k],
    )
    return World(shot, effect[chosen], metrics[chosen], truth[chosen])


def gain_table(weights: list[RegimeWeights], metrics: Floats) -> Floats:
    """The gains as a reader resolves them (L, 3)."""
    maps = [gains(weights, row, {}) for row in metrics]
    return np.array(
        [[found.get(f"btc_macro={s}", found.get("", 1.0)) for s in STATES] for found in maps]
    ).reshape(len(metrics), 3)


def value(p: Floats, truth: Floats) -> float:
    return float((MIX * (p * truth - p * p / 2)).sum())


@cache
def measured(
    kind: str, n_lessons: int, worlds: int, **how: float
) -> tuple[float, float, list[float]]:
    """The share that the gains win of the gap between the oracle that knows regimes and the one
    that ignores them; the share of gains that are exactly 1; p-values."""
    won = gap = 0.0
    ones: list[bool] = []
    p_values: list[float] = []
    for seed in range(worlds):
        shot, effect, metrics, truth = world(seed, n_lessons, kind, **how)  # type: ignore[arg-type]
        weights = fit(shot, SIGNATURE)
        table = gain_table(weights, metrics)
        blind = np.repeat((truth * MIX).sum(axis=1)[:, None], 3, axis=1)
        flat = np.repeat(effect[:, None], 3, axis=1)
        won += value(flat * table, truth) - value(flat, truth)
        gap += value(truth, truth) - value(blind, truth)
        ones += (table == 1.0).ravel().tolist()
        p_values += [w.p_value for w in weights[1:]]
    return won / gap if gap > 1e-9 else math.nan, float(np.mean(ones)), p_values


@pytest.mark.parametrize(
    ("kind", "n_lessons", "worlds", "least"),
    [
        ("good in S1", 5, 10, 0.4),
        ("good in S1", 20, 4, 0.8),
        ("good in S1", 80, 2, 0.9),
        ("against in S3", 20, 4, 0.6),
        ("metric tells in S1", 20, 8, 0.4),
        ("metric tells in S1", 80, 2, 0.8),
    ],
)
def test_most_of_what_knowing_the_regime_is_worth(
    kind: str, n_lessons: int, worlds: int, least: float
) -> None:
    assert measured(kind, n_lessons, worlds)[0] >= least


def test_also_if_a_state_lasts() -> None:
    assert measured("good in S1", 20, 6, spell=10.0)[0] >= 0.6
    assert measured("metric tells in S1", 40, 3, spell=10.0)[0] >= 0.4


CONTROLS = [
    ("control", 5, 16, {}),
    ("control", 20, 6, {}),
    ("control", 80, 2, {}),
    ("metric matters everywhere", 20, 6, {}),
    ("control", 20, 6, {"heavy": True}),
    ("control", 20, 6, {"spell": 10.0, "shock": 0.4}),
]


@pytest.mark.parametrize(("kind", "n_lessons", "worlds", "how"), CONTROLS)
def test_exactly_one_where_regimes_do_nothing(
    kind: str, n_lessons: int, worlds: int, how: dict[str, float]
) -> None:
    assert measured(kind, n_lessons, worlds, **how)[1] >= 0.95


def test_p_values_are_honest() -> None:
    found = [
        p
        for kind, n_lessons, worlds, how in CONTROLS
        for p in measured(kind, n_lessons, worlds, **how)[2]
    ]
    assert len(found) == 126
    assert np.mean(np.array(found) < 0.1) <= 0.1
    assert np.mean(np.array(found) < 0.02) <= 0.03


def test_what_is_recovered_is_the_truth() -> None:
    table = gain_table(fit(world(0, 80, "good in S1").history, SIGNATURE), np.full((1, 6), 0.5))[0]
    blend = 0.4 + 0.3 * 0.5
    assert table.tolist() == pytest.approx([1 / blend, 0.5 / blend, 0.0], abs=0.12)
    weights = {w.regime: w for w in fit(world(0, 80, "metric tells in S1").history, SIGNATURE)}
    slopes = weights[(("btc_macro", "S1"),)].weights[1:]
    assert slopes[0] > 0.8
    assert np.abs(slopes[1:]).max() < 0.5


def test_all_is_never_given_a_gain() -> None:
    """Predictions that are twice too large are so in all regimes alike."""
    shot = world(1, 20, "control").history
    weights = fit(shot._replace(predicted=2 * shot.predicted), SIGNATURE)
    assert weights[0].regime == ()
    assert weights[0].estimate[0] == pytest.approx(-0.5, abs=0.1)
    assert weights[0].p_value < 1e-6
    assert not any(w.active for w in weights)
    assert gains(weights, np.full(6, 0.5), {}) == {}


def test_the_scale_of_predictions_is_not_a_property_of_regimes() -> None:
    shot = world(2, 20, "good in S1").history
    half = gain_table(
        fit(shot._replace(predicted=shot.predicted / 1.4), SIGNATURE), np.full((1, 6), 0.5)
    )
    assert half == pytest.approx(gain_table(fit(shot, SIGNATURE), np.full((1, 6), 0.5)), abs=0.1)


def test_one_lesson_or_one_day_makes_no_regime() -> None:
    shot = world(3, 20, "control").history
    one_lesson = (shot.lesson == np.bincount(shot.lesson).argmax()) & (shot.regime == 0)
    one_day = (shot.day == 20040) & (shot.regime == 0)
    assert one_lesson.sum() > 20
    assert one_day.sum() > 5
    for rows in (one_lesson, one_day):
        moved = shot._replace(
            uplift=np.where(rows, shot.uplift + 5 * np.sign(shot.predicted), shot.uplift)
        )
        assert not any(w.active for w in fit(moved, SIGNATURE))


def test_the_order_of_cells_is_irrelevant() -> None:
    shot = world(4, 20, "metric tells in S1").history
    order = np.random.default_rng(0).permutation(len(shot.day))
    shuffled = shot._replace(
        **{name: getattr(shot, name)[order] for name in History._fields if name != "regimes"}
    )
    for one, other in zip(fit(shot, SIGNATURE), fit(shuffled, SIGNATURE), strict=True):
        assert repr(one) == repr(other)
        assert one.weights.tobytes() == other.weights.tobytes()


@pytest.mark.parametrize("kind", ["good in S1", "metric tells in S1"])
def test_gains_do_not_jump(kind: str) -> None:
    """On the way from outcomes without regimes to outcomes with them, even the fastest change of
    the gains is continuous."""
    found = world(5, 30, kind)
    shot = found.history
    regime_blind = np.empty_like(shot.uplift)  # each lesson's outcomes shuffled among its cells
    chance = np.random.default_rng(1).random(len(shot.lesson))
    regime_blind[np.argsort(shot.lesson, kind="stable")] = shot.uplift[
        np.lexsort((chance, shot.lesson))
    ]

    def table(t: float) -> Floats:
        return gain_table(
            fit(shot._replace(uplift=(1 - t) * regime_blind + t * shot.uplift), SIGNATURE),
            found.metrics,
        )

    assert (table(0.0) == 1.0).all()
    assert (table(1.0) == 1.0).mean() < 0.5
    low, high = 0.0, 1.0
    for _ in range(4):
        at = np.linspace(low, high, 11)
        steps = np.abs(np.diff([table(t) for t in at], axis=0)).max(axis=(1, 2))
        worst = int(steps.argmax())
        low, high = at[worst], at[worst + 1]
    assert steps.max() <= 0.011


def test_what_is_long_ago_is_forgotten() -> None:
    """S1 was good and S3 bad until day 150, then the other way round: the newer half of as many
    cells decides."""
    rows = [
        Cell(
            lesson,
            20000 + day,
            (s,),
            0.5,
            (0.5,) * 6,
            3,
            0.5 + (sign if day < 150 else -sign) + 0.2 * math.sin(7.0 * day + lesson),
        )
        for lesson in range(8)
        for day in range(300)
        for s, sign in (("S1", 0.4), ("S3", -0.4))
    ]
    found = gains(fit(history(rows, np.ones(8)), SIGNATURE), (0.5,) * 6, {})
    assert found["btc_macro=S1"] < 0.9
    assert found["btc_macro=S3"] > 1.1


def two_deep() -> list[Cell]:
    """Meso states matter only in macro S1, where the edges are all in meso S2.  A third of the
    cells have no meso state."""
    rng = np.random.default_rng(6)
    rows = []
    for lesson in range(12):
        for day in range(70):
            for macro in ("S1", "S3"):
                for meso in ("S1", "S2", ""):
                    share = {"S1": 0.0, "S2": 2.0, "": 1.0}[meso] if macro == "S1" else 1.0
                    rows.append(
                        Cell(
                            lesson,
                            20000 + day,
                            (macro, meso),
                            0.6,
                            (0.5,) * 6,
                            2,
                            0.6 * share + float(rng.normal(0, 0.8)),
                        )
                    )
    return rows


def test_a_finer_regime_departs_from_the_coarser() -> None:
    weights = fit(history(two_deep(), np.full(12, 1.3)), ("btc_macro", "btc_meso"))
    by_name = {"|".join(value for _, value in w.regime): w for w in weights}
    assert list(by_name) == ["", "S1", "S3", "S1|S1", "S1|S2", "S3|S1", "S3|S2"]
    assert [name for name, w in by_name.items() if w.active] == ["S1|S1", "S1|S2"]
    assert by_name["S1"].n_cells == 12 * 70 * 3
    assert by_name["S1|S2"].n_cells == 12 * 70
    assert by_name["S1|S2"].n_trades == 2 * 12 * 70
    found = gains(weights, (0.5,) * 6, {})
    assert found == pytest.approx(
        {"btc_macro=S1|btc_meso=S1": 0.0, "btc_macro=S1|btc_meso=S2": 2.0}, abs=0.15
    )
    assert gains(weights, (0.5,) * 6, {"btc_meso": "S2"}) == {}


def test_an_unknown_state_counts_for_no_regime() -> None:
    rows = [cell._replace(regime=("",)) for cell in two_deep()]
    weights = fit(history(rows, np.full(12, 1.3)), SIGNATURE)
    assert [(w.regime, w.n_cells) for w in weights] == [((), len(rows))]


def hand(regime: tuple[tuple[str, str], ...], *weights: float) -> RegimeWeights:
    w = np.array((*weights, *[0.0] * (7 - len(weights))))
    return RegimeWeights(regime, 90, 300, w, np.ones(7), 0.001, bool(w.any()), w, np.full(6, 0.5))


S1, S2, MESO = ("btc_macro", "S1"), ("btc_macro", "S2"), ("btc_meso", "S3")


def test_gains_are_kept_within_bounds_and_on_the_grid() -> None:
    weights = [hand(()), hand((S1,), 4.0), hand((S2,), -3.0), hand((S1, MESO), -0.3337)]
    assert gains(weights, np.full(6, 0.5), {}) == {"btc_macro=S1": 2.5, "btc_macro=S2": 0.0}
    assert gains([hand(()), hand((S1,), 0.1234)], np.full(6, 0.5), {}) == {"btc_macro=S1": 1.12}
    assert gains([hand(()), hand((S1,), 0.004)], np.full(6, 0.5), {}) == {}


def test_a_finer_regime_that_is_back_at_one_says_so() -> None:
    """Without an entry the coarser one would be read."""
    assert gains([hand(()), hand((S1,), 1.0), hand((S1, MESO), -0.5)], np.full(6, 0.5), {}) == {
        "btc_macro=S1": 2.0,
        "btc_macro=S1|btc_meso=S3": 1.0,
    }


def test_no_gain_along_a_dimension_of_the_own_scope() -> None:
    weights = [hand(()), hand((S1,), 0.5), hand((S2,), -0.5), hand((S1, MESO), -0.5)]
    assert gains(weights, np.full(6, 0.5), {"btc_macro": "S1", "chain": "sol"}) == {}
    assert gains(weights, np.full(6, 0.5), {"btc_meso": "S1"}) == {
        "btc_macro=S1": 1.5,
        "btc_macro=S2": 0.5,
    }


def test_each_weight_is_read_and_an_unknown_metric_is_average() -> None:
    metrics = np.array([0.9, 0.8, 0.7, 0.6, 0.4, 0.3])
    for k in range(7):
        weights = np.zeros(7)
        weights[k] = 0.5
        expected = 1.5 if k == 0 else 1 + 0.5 * (metrics[k - 1] - 0.5)
        assert gains([hand((S1,), *weights)], metrics, {})["btc_macro=S1"] == pytest.approx(
            expected, abs=0.005
        )
    unknown = np.array([np.nan, 0.5, 0.5, 0.5, 0.5, 0.5])
    assert gains([hand((S1,), 0.0, 2.0)], unknown, {}) == {}
    shot = world(7, 20, "good in S1").history
    blanked = shot.metrics.copy()
    blanked[:, 3] = np.nan
    weights_without = fit(shot._replace(metrics=blanked), SIGNATURE)
    assert all(np.isfinite(w.estimate).all() and w.estimate[4] == 0.0 for w in weights_without)
    assert weights_without[0].centre[3] == 0.5


def test_names_are_escaped_as_in_scopes() -> None:
    assert gains([hand((("bucket", "a|b"),), 0.5)], np.full(6, 0.5), {}) == {"bucket=a%7Cb": 1.5}


def test_too_little_is_not_tested() -> None:
    nothing = fit(history([], np.zeros(0)), SIGNATURE)
    assert [(w.regime, w.n_cells, w.p_value, w.active) for w in nothing] == [((), 0, 1.0, False)]
    cells = [
        Cell(lesson, 20000 + day, (s,), 0.5, (0.5,) * 6, 5, y)
        for lesson in range(2)
        for day in range(60)
        for s, y in (("S1", 1.0), ("S3", 0.0))
    ]
    for weights in (
        fit(history(cells, np.ones(2)), SIGNATURE),
        fit(history(cells[:4], np.ones(2)), SIGNATURE),
    ):
        assert [(w.p_value, w.active, w.weights.any()) for w in weights] == [
            (1.0, False, False)
        ] * 3
    only = fit(history([c for c in cells if c.regime == ("S1",)], np.ones(2)), SIGNATURE)
    assert not any(w.active for w in only)
    useless = history([Cell(0, 20000, ("S1",), 0.5, (0.5,) * 6, 0, math.nan)], [1.0])
    assert len(fit(useless, SIGNATURE)) == 1
    no_edge = history([c._replace(predicted=0.0) for c in cells], np.ones(2))
    assert not any(w.active for w in fit(no_edge, SIGNATURE))


@pytest.mark.parametrize("variance", [5e-324, 1e-300, 1e-30, 1e-9])
@pytest.mark.parametrize("edge", [0.4, 0.0])
def test_outcomes_without_noise_are_a_world_like_others(variance: float, edge: float) -> None:
    cells = [
        Cell(lesson, 20_000 + day, ("S1" if day % 2 else "S2",), edge, (0.5,) * 6, 3, edge)
        for lesson in range(4)
        for day in range(30)
    ]
    for weights in fit(history(cells, [variance] * 4), ("btc_macro",)):
        assert np.isfinite(
            [*weights.estimate, *weights.sd, *weights.weights, weights.p_value]
        ).all()
        assert not weights.active


def test_regimes_fit_the_signature() -> None:
    with pytest.raises(ValueError, match="a value for each of"):
        fit(world(0, 5, "control").history, ("btc_macro", "btc_meso"))


def test_there_are_six_metrics() -> None:
    assert len(METRICS) == 6
    assert spending(6).sum() == pytest.approx(1.0)


# --- the metrics that come from here ---

unit = st.floats(-1.0, 1.0)


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 400), unit), max_size=30),
    st.lists(st.tuples(st.integers(0, 420), unit), max_size=10),
)
def test_recurrence_is_the_faded_share(
    cells: list[tuple[int, float]], asked: list[tuple[int, float]]
) -> None:
    cells.sort(key=lambda cell: cell[0])
    found = recurrence(
        [20000 + d for d, _ in cells],
        [s for _, s in cells],
        [20000 + d for d, _ in asked],
        [e for _, e in asked],
    )
    for (day, edge), share in zip(asked, found.tolist(), strict=True):
        known = [(math.exp(-(day - d) / 30), (1 + edge * s) / 2) for d, s in cells if d < day]
        assert share == pytest.approx(
            (0.5 + sum(w * a for w, a in known)) / (1 + sum(w for w, _ in known)), abs=1e-9
        )
        assert -1e-12 <= share <= 1 + 1e-12


segments = st.lists(st.tuples(st.floats(-3, 3), st.integers(0, 40)), max_size=8)


@settings(max_examples=200)
@given(segments, st.floats(0.1, 4.0), st.sampled_from([1.0, -1.0]))
def test_field_coherence_is_a_share_shrunk_to_a_half(
    found: list[tuple[float, int]], variance: float, edge: float
) -> None:
    uplift, counts = [u for u, _ in found], [n for _, n in found]
    share = float(field_coherence(uplift, counts, variance, edge))
    k = sum(n > 0 for n in counts)
    assert 1 / (2 + k) <= share <= (1 + k) / (2 + k)
    assert float(field_coherence(uplift, counts, variance, -edge)) == pytest.approx(1 - share)
    clear = [(u, n) for u, n in found if n == 0 or abs(u) * math.sqrt(n / variance) > 0.5]
    if len(clear) == len(found):
        assert share == pytest.approx((1 + sum(u * edge > 0 for u, n in found if n)) / (2 + k))


@settings(max_examples=100)
@given(st.floats(-2, 2), st.integers(1, 50), st.floats(0.1, 4.0), st.floats(1e-9, 1e-3))
def test_signs_are_continuous_and_monotone(
    uplift: float, n: int, variance: float, step: float
) -> None:
    low, high = edge_sign([uplift, uplift + step], n, variance).tolist()
    assert 0.0 <= high - low <= 2 * step * math.sqrt(n / variance) + 1e-9
