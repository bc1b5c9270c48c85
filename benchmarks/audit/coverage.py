"""`python -m benchmarks.audit.coverage`: how often the 90 % intervals of the block bootstrap and of
other methods contain the truth.

May touch: stdout.

Values of decisions are simulated with a true mean of 0: independent; with a random level for each
cut; with a level that wanders across cuts with a time constant of 20 days; skewed.  The audit's
interval is compared with that of Student's t over cuts as clusters (Liang & Zeger 1986), and with a
bootstrap over weeks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from app.audit.bootstrap import Resampler
from schemas.times import DAY_US

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PER_CUT = 80
SHAPES = ("independent", "by cut", "slow", "skewed by cut")
DESIGNS = ((8, 30), (24, 20), (24, 30), (24, 300))
"""Numbers of cuts, and days between them."""


def values(rng: np.random.Generator, shape: str, cuts: int, gap_days: int) -> tuple[Ints, Floats]:
    """The cut of each decision in µs, and the decision's value; the true mean is 0."""
    day = np.sort(
        np.concatenate(
            [k * gap_days + rng.uniform(0.0, min(gap_days, 30), PER_CUT) for k in range(cuts)]
        )
    )
    cut = (day // gap_days).astype(np.int64)
    made = (
        rng.exponential(size=len(day)) ** 2 - 2.0
        if shape == "skewed by cut"
        else rng.standard_normal(len(day))
    )
    if shape.endswith("by cut"):
        made += 0.5 * rng.standard_normal(cuts)[cut]
    if shape == "slow":
        keep = np.exp(-1.0 / 20.0)
        level = np.empty(int(day.max()) + 1)
        level[0] = rng.standard_normal()
        for i, step in enumerate(rng.standard_normal(len(level) - 1), 1):
            level[i] = keep * level[i - 1] + np.sqrt(1.0 - keep * keep) * step
        made += 0.5 * level[day.astype(np.int64)]
    return cut * gap_days * DAY_US, made


def clustered(cut_us: Ints, made: Floats) -> tuple[float, float]:
    """Student's t, with cuts as clusters."""
    _, cluster = np.unique(cut_us, return_inverse=True)
    n = int(cluster.max()) + 1
    sums = np.bincount(cluster, made - made.mean())
    reach = float(stdtrit(n - 1, 0.95) * np.sqrt(n / (n - 1) * (sums @ sums))) / len(made)
    return float(made.mean()) - reach, float(made.mean()) + reach


def bootstrap(cut_us: Ints, made: Floats) -> tuple[float, float]:
    """The audit's own interval."""
    found = Resampler(cut_us, seed=1, draws=400).mean(made)
    return found.low, found.high


WAYS: dict[str, Callable[[Ints, Floats], tuple[float, float]]] = {
    "block bootstrap": bootstrap,
    "clustered t": clustered,
}


def coverage(way: str, shape: str, cuts: int, gap_days: int, worlds: int, seed: int = 1) -> float:
    """The share of worlds whose interval contains 0."""
    rng = np.random.default_rng(seed)
    held = 0
    for _ in range(worlds):
        low, high = WAYS[way](*values(rng, shape, cuts, gap_days))
        held += low <= 0.0 <= high
    return held / worlds


def main() -> None:
    """Print the table."""
    print(f"| values | cuts, days apart | {' | '.join(WAYS)} |\n|---|---|---|---|")
    for shape in SHAPES:
        for cuts, gap_days in DESIGNS:
            found = " | ".join(f"{coverage(way, shape, cuts, gap_days, 1000):.0%}" for way in WAYS)
            print(f"| {shape} | {cuts}, {gap_days} | {found} |", flush=True)


if __name__ == "__main__":
    main()
