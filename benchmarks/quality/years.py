"""Families of worlds with a window of five years: no effect, and effects that hold, fade or
stopped.

Effects of whole groups come in pairs that cancel out at any time: a group's effect is relative to
the mean of the module, and a single winner would turn all other groups into losers.

May touch: the generator it is given.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import noise as shapes
from benchmarks.quality.months import halving
from benchmarks.quality.registry import Families
from benchmarks.quality.scaffold import (
    CARDS_SHORT,
    Frame,
    burst_days,
    frame,
    group,
    noise,
    pick,
    regimes,
)
from benchmarks.quality.truth import YEARS, Days, Planted, World

FAMILIES = Families()
family = FAMILIES.add
WINDOW_DAYS = YEARS.window_days


def sign_of(index: int) -> float:
    """The sign of the effect: every third world has one that loses."""
    return -1.0 if index % 3 == 2 else 1.0


def stopping(days: Days, *, at_day: float, width_days: float) -> Days:
    """1 up to `at_day`, 0 from `width_days` later on, and linear in between."""
    return np.clip(1.0 - (days - at_day) / width_days, 0.0, 1.0)


def weekly(
    rng: np.random.Generator, made: Frame, sd: float, among: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Shocks (T,) that trades closing in the same week share; with `among` (T,), only trades with
    the same value of it."""
    return np.asarray(sd * shapes.common(rng, shapes.spans(made.exit_day, 7.0, among)))


# -- no effect anywhere


@family("null")
def null_years(rng: np.random.Generator, index: int) -> World:
    """Three to five groups with noise that is skewed, is heavy-tailed, or has a shock that all
    trades of a week share."""
    n_groups = int(rng.integers(3, 6))
    made = frame(
        rng, int(rng.integers(1500, 4000)), groups=n_groups, cards=CARDS_SHORT, calendar=YEARS
    )
    shape = ("lognormal", "t3", "gaussian")[index % 3]
    values = noise(rng, made, 1.2 if index % 3 < 2 else 1.0, shape)
    if index % 3 == 2:
        values = values + weekly(rng, made, 0.66)
    return made.world(
        "null_years", index, values if index % 2 else 2.0 * values.mean() - values, 1.2
    )


@family("null")
def null_shocks_long(rng: np.random.Generator, index: int) -> World:
    """Trades in bursts; those of a week share a shock (in every other world only those with the
    same value); market states last months."""
    n_groups = int(rng.integers(2, 5))
    days = burst_days(
        rng, int(rng.integers(1500, 3500)), bursts=400, width_days=3.0, calendar=YEARS
    )
    made = frame(rng, 0, groups=n_groups, cards=CARDS_SHORT, days=days, calendar=YEARS)
    regimes(rng, made, dwell_days=float(rng.uniform(40.0, 120.0)))
    values = noise(rng, made, 1.0) + weekly(
        rng, made, 0.6, made.column(made.dims[0]) if index % 2 else None
    )
    if index % 4 >= 2:
        values = values + 0.3 * shapes.wandering(
            rng, made.exit_day, tau_days=float(rng.uniform(20.0, 90.0))
        )
    return made.world("null_shocks_long", index, values, 1.2)


# -- effects


@family("years")
def years_whole_groups(rng: np.random.Generator, index: int) -> World:
    """Four to six groups of about a thousand trades; one as a whole is always better than the
    baseline, one always worse."""
    n_groups = int(rng.integers(4, 7))
    made = frame(
        rng,
        n_groups * int(rng.integers(800, 1300)),
        groups=n_groups,
        cards=(3, 4, 3, 4),
        calendar=YEARS,
    )
    better, worse = rng.choice(n_groups, 2, replace=False).tolist()
    size = float(rng.uniform(0.25, 0.4))
    planted = [Planted((group(better),), {}, size), Planted((group(worse),), {}, -size)]
    return made.world(
        "years_whole_groups",
        index,
        noise(rng, made, 1.2, ("gaussian", "t3")[index % 2]),
        1.2,
        planted,
    )


@family("years")
def years_slices(rng: np.random.Generator, index: int) -> World:
    """Three groups of 800 to 2 000 trades; in two of them a slice has a constant effect."""
    made = frame(rng, 3 * int(rng.integers(800, 2000)), groups=3, cards=CARDS_SHORT, calendar=YEARS)
    planted = []
    for g, sign in ((0, 1.0), (1, sign_of(index))):
        scope = pick(rng, made, g, int(rng.integers(1, 3)), 150, 450)
        planted.append(Planted((group(g),), scope, sign * float(rng.uniform(0.4, 0.65))))
    return made.world("years_slices", index, noise(rng, made, 1.0), 1.0, planted)


@family("years")
def years_decaying(rng: np.random.Generator, index: int) -> World:
    """Two groups of 1 500 to 2 500 trades; in one of them a slice began to earn 0.7 to 2 half-lives
    ago, with half-lives of 60 to 400 days."""
    made = frame(
        rng, 2 * int(rng.integers(1500, 2500)), groups=2, cards=CARDS_SHORT, calendar=YEARS
    )
    scope = pick(rng, made, 0, 1, 400, 900)
    half_life = float(np.exp(rng.uniform(np.log(60.0), np.log(400.0))))
    start = WINDOW_DAYS - half_life * float(rng.uniform(0.7, 2.0))
    size = -0.7 if index % 4 == 3 else float(rng.uniform(1.2, 2.0))
    profile = partial(halving, start_day=start, half_life_days=half_life)
    sd = float(rng.uniform(0.6, 1.0))
    return made.world(
        "years_decaying",
        index,
        noise(rng, made, sd),
        sd,
        [Planted((group(0),), scope, size, profile, half_life, start_day=start)],
    )


@family("years")
def years_stopped(rng: np.random.Generator, index: int) -> World:
    """Six groups of about a thousand trades; one earned more and one less until they stopped within
    the last year, and two others continue."""
    made = frame(
        rng, 6 * int(rng.integers(800, 1300)), groups=6, cards=(3, 4, 3, 4), calendar=YEARS
    )
    stopped, other_stopped, going, other_going = rng.choice(6, 4, replace=False).tolist()
    at_day = WINDOW_DAYS - float(rng.uniform(180.0, 365.0))
    profile = partial(stopping, at_day=at_day, width_days=60.0 if index % 2 else 1.0)
    was, still = float(rng.uniform(0.4, 0.6)), float(rng.uniform(0.3, 0.4))
    planted = [
        Planted((group(stopped),), {}, was, profile),
        Planted((group(other_stopped),), {}, -was, profile),
        Planted((group(going),), {}, still),
        Planted((group(other_going),), {}, -still),
    ]
    return made.world("years_stopped", index, noise(rng, made, 1.0), 1.0, planted)


@family("years")
def years_shocks(rng: np.random.Generator, index: int) -> World:
    """Four groups of a thousand trades in bursts; those of a week share a shock; two whole groups
    and a slice of a third have constant effects."""
    days = burst_days(
        rng, 4 * int(rng.integers(800, 1300)), bursts=400, width_days=3.0, calendar=YEARS
    )
    made = frame(rng, 0, groups=4, cards=CARDS_SHORT, days=days, calendar=YEARS)
    scope = pick(rng, made, 1, 1, 250, 450)
    size = float(rng.uniform(0.3, 0.4))
    planted = [
        Planted((group(0),), {}, size),
        Planted((group(3),), {}, -size),
        Planted((group(1),), scope, sign_of(index) * float(rng.uniform(0.5, 0.65))),
    ]
    return made.world(
        "years_shocks", index, noise(rng, made, 1.0) + weekly(rng, made, 0.6), 1.2, planted
    )
