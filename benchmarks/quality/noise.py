"""Noise of many shapes, each of mean 0 and standard deviation 1.

May touch: the generator it is given.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Noise = NDArray[np.float64]


def gaussian(rng: np.random.Generator, n: int) -> Noise:
    """Standard normal noise."""
    return rng.standard_normal(n)


def student3(rng: np.random.Generator, n: int) -> Noise:
    """Student's t with three degrees of freedom (variance 3) in units of its standard deviation."""
    return np.asarray(rng.standard_t(3, n) / np.sqrt(3.0))


def lognormal(rng: np.random.Generator, n: int, sigma: float = 0.75) -> Noise:
    """A lognormal minus its mean: many small losses and rare large wins."""
    spread = np.exp(sigma**2 / 2) * np.sqrt(np.exp(sigma**2) - 1.0)
    return np.asarray((rng.lognormal(0.0, sigma, n) - np.exp(sigma**2 / 2)) / spread)


def exponential(rng: np.random.Generator, n: int) -> Noise:
    """An exponential minus its mean."""
    return rng.exponential(1.0, n) - 1.0


SHAPES = {"gaussian": gaussian, "t3": student3, "lognormal": lognormal, "exponential": exponential}


def wandering(rng: np.random.Generator, days: NDArray[np.float64], tau_days: float) -> Noise:
    """One stationary Ornstein-Uhlenbeck path with relaxation time `tau_days`, read at `days` (n,),
    which need no order."""
    order = np.argsort(days, kind="stable")
    path = np.empty(len(days))
    level, before = rng.standard_normal(), None
    for place in order.tolist():
        if before is not None:
            keep = np.exp(-(days[place] - before) / tau_days)
            level = keep * level + np.sqrt(1.0 - keep**2) * rng.standard_normal()
        path[place], before = level, days[place]
    return path


def daily(rng: np.random.Generator, days: NDArray[np.float64]) -> Noise:
    """One independent shock per day, shared by all trades of the day."""
    day = np.floor(days).astype(np.int64)
    return rng.standard_normal(int(day.max()) + 1)[day]


def spans(
    days: NDArray[np.float64], length_days: float, among: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """The number (T,) of the span of `length_days` that each of `days` is in; with `among` (T,),
    different values of it get different numbers."""
    span = np.floor(days / length_days).astype(np.int64)
    return span if among is None else span * (int(among.max()) + 1) + among


def common(rng: np.random.Generator, shock: NDArray[np.int64]) -> Noise:
    """One independent shock for each number in `shock` (T,), shared by all trades that have it."""
    return rng.standard_normal(int(shock.max()) + 1)[shock]
