"""Families of worlds in which every slice of one and of two dimensions has a small effect, drawn
from a normal distribution.

May touch: the generator it is given.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import noise as shapes
from benchmarks.quality.registry import Families
from benchmarks.quality.scaffold import Frame, frame, noise
from benchmarks.quality.truth import MONTHS, YEARS, Calendar, Dense, Movement, World

FAMILIES = Families()
family = FAMILIES.add
NOISE_SD = 1.2


def slices(made: Frame) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which rows have each slice of one and of two dimensions (R, K), and how many dimensions the
    slice has (K,).

    >>> made = frame(np.random.default_rng(1), 500, cards=(3, 4))
    >>> members, depth = slices(made)
    >>> members.shape[1], depth.tolist().count(1), bool((members.sum(axis=1) == 3).all())
    (19, 7, True)
    """
    of_dim = [made.codes[:, [d]] == np.arange(len(values)) for d, values in enumerate(made.values)]
    pairs = [
        (one[:, :, None] & other[:, None, :]).reshape(len(one), -1)
        for one, other in combinations(of_dim, 2)
    ]
    depth = [1] * sum(one.shape[1] for one in of_dim) + [2] * sum(pair.shape[1] for pair in pairs)
    return np.hstack([*of_dim, *pairs]), np.array(depth)


def some_cards(rng: np.random.Generator, low: int, high: int) -> list[int]:
    """Draw `low` to `high` dimensions of three or four values each."""
    return rng.integers(3, 5, int(rng.integers(low, high + 1))).tolist()


def log_uniform(rng: np.random.Generator, low: float, high: float) -> int:
    """A whole number between `low` and `high`, uniform on a logarithmic scale."""
    return round(float(np.exp(rng.uniform(np.log(low), np.log(high)))))


def effects(
    rng: np.random.Generator,
    made: Frame,
    *,
    in_common: float = 1.0,
    movement: Movement | None = None,
    shock: NDArray[np.int64] | None = None,
    shock_sd: float = 0.0,
) -> Dense:
    """Effects of standard deviation 0.10 to 0.20 for single values and 0.05 to 0.12 for pairs.

    The share `in_common` of their variance is the same in all groups, the rest is each group's own.
    """
    members, depth = slices(made)
    sd = np.where(depth == 1, rng.uniform(0.10, 0.20), rng.uniform(0.05, 0.12))
    parts, sds = [members], [sd * np.sqrt(in_common)]
    if in_common < 1.0:
        for g in range(len(made.groups)):
            parts.append(members & (made.row_group == g)[:, None])
            sds.append(sd * np.sqrt(1.0 - in_common))
    all_sd = np.concatenate(sds)
    return Dense(
        np.hstack(parts),
        all_sd,
        all_sd * rng.standard_normal(len(all_sd)),
        NOISE_SD,
        shock,
        shock_sd,
        movement,
    )


def one_group(rng: np.random.Generator, calendar: Calendar) -> Frame:
    """1 000 to 4 000 trades of one group with six to ten dimensions."""
    return frame(rng, log_uniform(rng, 1000, 4000), cards=some_cards(rng, 6, 10), calendar=calendar)


def shocks(made: Frame, length_days: float) -> NDArray[np.int64]:
    """The number of the shock of each trade (T,): trades that close in the same `length_days` share
    one."""
    return shapes.spans(made.exit_day, length_days)


def outcomes(rng: np.random.Generator, made: Frame, effects: Dense) -> NDArray[np.float64]:
    """The sum of level, noise and shocks (T,)."""
    values = noise(rng, made, effects.noise_sd)
    return (
        values
        if effects.shock is None
        else values + effects.shock_sd * shapes.common(rng, effects.shock)
    )


def world(rng: np.random.Generator, made: Frame, name: str, index: int, effects: Dense) -> World:
    """The world with these effects; its `noise_sd` covers noise and shock together."""
    return made.world(
        name,
        index,
        outcomes(rng, made, effects),
        float(np.hypot(effects.noise_sd, effects.shock_sd)),
        dense=effects,
    )


@family("dense")
def dense(rng: np.random.Generator, index: int) -> World:
    """A window of 90 days, independent noise."""
    made = one_group(rng, MONTHS)
    return world(rng, made, "dense", index, effects(rng, made))


@family("dense")
def dense_shocks(rng: np.random.Generator, index: int) -> World:
    """A window of 90 days; trades of a day share a shock, in every other world those of a week."""
    made = one_group(rng, MONTHS)
    return world(
        rng,
        made,
        "dense_shocks",
        index,
        effects(rng, made, shock=shocks(made, (1.0, 7.0)[index % 2]), shock_sd=0.5),
    )


@family("dense")
def dense_years(rng: np.random.Generator, index: int) -> World:
    """A window of five years; in every other world trades of a week share a shock."""
    made = one_group(rng, YEARS)
    shared = {"shock": shocks(made, 7.0), "shock_sd": 0.5} if index % 2 else {}
    return world(rng, made, "dense_years", index, effects(rng, made, **shared))


@family("dense")
def dense_groups(rng: np.random.Generator, index: int) -> World:
    """Four to six groups of 400 to 800 trades; 50 to 80 % of the variance of a slice's effect is
    common to all; 90 days or five years."""
    n_groups = int(rng.integers(4, 7))
    n = n_groups * int(rng.integers(400, 800))
    made = frame(
        rng, n, groups=n_groups, cards=some_cards(rng, 6, 6), calendar=(MONTHS, YEARS)[index % 2]
    )
    return world(
        rng, made, "dense_groups", index, effects(rng, made, in_common=float(rng.uniform(0.5, 0.8)))
    )


# -- effects that move together


def slow(rng: np.random.Generator, calendar: Calendar) -> Movement:
    """A path that wanders about 1, to which it reverts within some 150 to 300 days; never below
    0."""
    days = np.arange(0.0, calendar.horizon_days + 1.0)
    tau_days = float(rng.uniform(150.0, 300.0))
    return Movement(
        days, np.maximum(1.0 + 0.5 * shapes.wandering(rng, days, tau_days), 0.0), 1.0, tau_days
    )


def on_and_off(rng: np.random.Generator, calendar: Calendar) -> Movement:
    """1.7 and 0.3 in turn, for exponential times with a mean of 200 to 400 days."""
    dwell_days = float(rng.uniform(200.0, 400.0))
    starts, levels, at, on = [0.0], [], 0.0, bool(rng.integers(2))
    while at < calendar.horizon_days:
        at += rng.exponential(dwell_days)
        starts.append(at)
        levels.append(1.7 if on else 0.3)
        on = not on
    return Movement(np.array(starts[:-1]), np.array(levels), 1.0, dwell_days / 2.0)


@family("movement")
def common_movement(rng: np.random.Generator, index: int) -> World:
    """A window of five years; all effects grow and fade together: slowly, or in turns of half a
    year and more."""
    made = one_group(rng, YEARS)
    movement = (slow, on_and_off)[index % 2](rng, YEARS)
    return world(rng, made, "common_movement", index, effects(rng, made, movement=movement))
