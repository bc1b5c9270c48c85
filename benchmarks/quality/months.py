"""Families of worlds with a window of 90 days: no effect, constant, decaying, changing, regimes,
clones, effects at the threshold.

May touch: the generator it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import noise as shapes
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
    several_actions,
)
from benchmarks.quality.truth import MISSING, MONTHS, REGIME, Days, Planted, World

FAMILIES = Families()
family = FAMILIES.add
WINDOW_DAYS = MONTHS.window_days


# -- no effect anywhere


@family("null", churn=True)
def null_gaussian(rng: np.random.Generator, index: int) -> World:
    """Normal noise, 400 to 1 200 trades."""
    made = frame(rng, int(rng.integers(400, 1200)))
    return made.world("null_gaussian", index, noise(rng, made, 1.2), 1.2)


@family("null")
def null_t3(rng: np.random.Generator, index: int) -> World:
    """Student's t with three degrees of freedom."""
    made = frame(rng, int(rng.integers(400, 1200)))
    return made.world("null_t3", index, noise(rng, made, 1.2, "t3"), 1.2)


@family("null")
def null_skewed(rng: np.random.Generator, index: int) -> World:
    """Many small losses and rare large wins (lognormal or exponential), or the mirror image."""
    made = frame(rng, int(rng.integers(400, 1200)))
    sign = -1.0 if index % 4 == 3 else 1.0
    values = sign * noise(rng, made, 1.2, ("lognormal", "exponential")[index % 2])
    return made.world("null_skewed", index, values, 1.2)


@family("null")
def null_heteroscedastic(rng: np.random.Generator, index: int) -> World:
    """The noise's size depends on a dimension (up to fourfold) and drifts with time (up to
    threefold)."""
    made = frame(rng, int(rng.integers(400, 1200)))
    sd = np.geomspace(0.5, 2.0, len(made.values[0]))[made.column(made.dims[0])]
    if index % 2:
        sd = sd * np.geomspace(0.6, 1.8, made.n)[:: 1 if index % 4 == 1 else -1]
    return made.world(
        "null_heteroscedastic",
        index,
        rng.uniform(-0.3, 0.3) + sd * rng.standard_normal(made.n),
        1.2,
    )


@family("null")
def null_autocorrelated(rng: np.random.Generator, index: int) -> World:
    """A third of the variance is a level of the whole market that wanders over days, while market
    states switch over days."""
    made = frame(rng, int(rng.integers(500, 1200)), cards=CARDS_SHORT)
    regimes(rng, made, dwell_days=rng.uniform(2.0, 5.0))
    common = shapes.wandering(rng, made.exit_day, tau_days=rng.uniform(0.5, 3.0))
    values = noise(rng, made, 1.0, level=0.0) + 0.7 * common
    return made.world("null_autocorrelated", index, values, 1.2)


@family("null")
def null_shocks(rng: np.random.Generator, index: int) -> World:
    """One common shock per day, and market states that last some days each."""
    made = frame(rng, int(rng.integers(500, 1200)), cards=CARDS_SHORT)
    regimes(rng, made, dwell_days=rng.uniform(2.0, 5.0))
    return made.world(
        "null_shocks", index, noise(rng, made, 1.0) + 0.6 * shapes.daily(rng, made.exit_day), 1.2
    )


@family("null")
def null_clustered(rng: np.random.Generator, index: int) -> World:
    """Trades come in bursts that share a shock and, along two dimensions, the market's state."""
    made = frame(rng, 0, cards=CARDS_SHORT, days=burst_days(rng, int(rng.integers(500, 1200))))
    regimes(rng, made, dwell_days=5.0)
    regimes(rng, made, "alt_macro", dwell_days=1.5)
    common = shapes.wandering(rng, made.exit_day, tau_days=0.3)
    return made.world("null_clustered", index, noise(rng, made, 1.0) + 0.5 * common, 1.1)


@family("null")
def null_actions(rng: np.random.Generator, index: int) -> World:
    """Several actions per trade, some of whose dimensions differ from action to action."""
    made = several_actions(
        rng, frame(rng, int(rng.integers(300, 700))), mean=float(rng.uniform(2.0, 6.0)), varying=4
    )
    return made.world(
        "null_actions", index, noise(rng, made, 1.2, ("gaussian", "t3")[index % 2]), 1.2
    )


@family("null")
def null_groups(rng: np.random.Generator, index: int) -> World:
    """Twelve groups of unequal size."""
    made = frame(rng, int(rng.integers(1500, 2500)), groups=12, cards=CARDS_SHORT)
    made.row_group = rng.choice(12, made.n, p=rng.dirichlet(np.full(12, 3.0)))
    return made.world(
        "null_groups", index, noise(rng, made, 1.2, ("gaussian", "t3")[index % 2]), 1.2
    )


@family("segments")
def null_segments(rng: np.random.Generator, index: int) -> World:
    """Bucket and timeframe determine what a trade earns, groups trade them in different
    proportions, and patterns add nothing."""
    n_groups = int(rng.integers(2, 7))
    made = frame(rng, int(rng.integers(900, 2000)), groups=n_groups, cards=CARDS_SHORT)
    shares = rng.dirichlet(np.full(6, 1.5), n_groups)
    made.segment = np.array([rng.choice(6, p=shares[g]) for g in made.row_group])
    if index % 2:
        made.add_dim("bucket", ("micro", "mid", "mega"), made.segment // 2)
        made.add_dim("timeframe", ("1h", "4h"), made.segment % 2)
    level = (
        rng.normal(0.0, 0.6, 6)
        if index % 4 < 2
        else (np.array([-0.6, 0.0, 0.6])[:, None] + np.array([-0.2, 0.2])).ravel()
    )
    return made.world("null_segments", index, noise(rng, made, 1.0) + level[made.segment], 1.0)


# -- constant effects


@family("constant", churn=True)
def single(rng: np.random.Generator, index: int) -> World:
    """800 trades, 8 dimensions of 3 to 4 values, +0.8 on a pair of values that about 66 trades
    have, and noise with a standard deviation of 1.2."""
    made = frame(rng, 800, even=True)
    scope = pick(rng, made, 0, 2, 55, 78)
    return made.world(
        "single", index, noise(rng, made, 1.2), 1.2, [Planted(made.groups, scope, 0.8)]
    )


@family("constant", churn=True)
def strong(rng: np.random.Generator, index: int) -> World:
    """At least half a standard deviation on at least 200 trades."""
    made = frame(rng, int(rng.integers(1200, 2200)))
    scope = pick(rng, made, 0, int(rng.integers(1, 3)), 210, 420)
    size = rng.uniform(0.5, 0.9) * (-1.0 if index % 3 == 2 else 1.0)
    return made.world(
        "strong",
        index,
        noise(rng, made, 1.0),
        1.0,
        [Planted(made.groups, scope, size if size > -0.7 else -0.7)],
    )


@family("constant")
def nested(rng: np.random.Generator, index: int) -> World:
    """A slice and a part of it: the part adds something, or takes away more than the whole adds."""
    made = frame(rng, 1200)
    parent = pick(rng, made, 0, 1, 280, 420)
    child = pick(rng, made, 0, 1, 80, 130, within=parent)
    second = 0.8 if index % 2 else -0.95
    return made.world(
        "nested",
        index,
        noise(rng, made, 1.0),
        1.0,
        [Planted(made.groups, parent, 0.5), Planted(made.groups, child, second)],
    )


@family("constant")
def overlapping(rng: np.random.Generator, index: int) -> World:
    """Two slices along different dimensions that share trades; effects add up, or oppose each
    other."""
    made = frame(rng, 1300)
    one = pick(rng, made, 0, 1, 260, 420)
    other = pick(rng, made, 0, 1, 260, 420, avoid=list(one))
    sizes = (0.6, 0.6) if index % 2 else (0.7, -0.5)
    return made.world(
        "overlapping",
        index,
        noise(rng, made, 1.0),
        1.0,
        [Planted(made.groups, s, e) for s, e in zip((one, other), sizes, strict=True)],
    )


@family("constant")
def opposite(rng: np.random.Generator, index: int) -> World:
    """A winning and a losing slice, apart from each other in one dimension."""
    made = frame(rng, 1300)
    win = pick(rng, made, 0, 2, 90, 150)
    dim = next(iter(win))
    other = next(v for v in made.values[made.dims.index(dim)] if v != win[dim])
    lose = pick(rng, made, 0, 1, 80, 160, within={dim: other})
    return made.world(
        "opposite",
        index,
        noise(rng, made, 1.0),
        1.0,
        [Planted(made.groups, win, 0.8), Planted(made.groups, lose, -0.65)],
    )


@family("constant")
def groups(rng: np.random.Generator, index: int) -> World:
    """Six groups, slices of three of them have effects."""
    made = frame(rng, 2400, groups=6, cards=CARDS_SHORT)
    planted = [
        Planted((group(g),), pick(rng, made, g, int(rng.integers(1, 3)), 70, 150), size)
        for g, size in zip(rng.choice(6, 3, replace=False).tolist(), (0.9, -0.65, 0.8), strict=True)
    ]
    return made.world("groups", index, noise(rng, made, 1.0), 1.0, planted)


@family("constant")
def whole_groups(rng: np.random.Generator, index: int) -> World:
    """Ten groups; one as a whole is better than the baseline, and one is worse by as much."""
    made = frame(rng, 2500, groups=10, cards=(3, 4, 3, 4))
    better, worse = rng.choice(10, 2, replace=False).tolist()
    planted = [Planted((group(better),), {}, 0.5), Planted((group(worse),), {}, -0.5)]
    return made.world("whole_groups", index, noise(rng, made, 1.0), 1.0, planted)


@family("constant")
def heavy_tails(rng: np.random.Generator, index: int) -> World:
    """Student's t(3) or lognormal noise around an effect."""
    made = frame(rng, 1300)
    scope = pick(rng, made, 0, int(rng.integers(1, 3)), 120, 220)
    shape = ("t3", "lognormal")[index % 2]
    return made.world(
        "heavy_tails",
        index,
        noise(rng, made, 1.2, shape),
        1.2,
        [Planted(made.groups, scope, -0.7 if index % 3 == 2 else 0.9)],
    )


@family("constant")
def small_effect(rng: np.random.Generator, index: int) -> World:
    """A fifth of a standard deviation on a thousand trades."""
    made = frame(rng, 3000, cards=CARDS_SHORT)
    scope = pick(rng, made, 0, 1, 850, 1300)
    return made.world(
        "small_effect",
        index,
        noise(rng, made, 1.0),
        1.0,
        [Planted(made.groups, scope, 0.25 if index % 2 else -0.25)],
    )


@family("constant")
def many_values(rng: np.random.Generator, index: int) -> World:
    """A dimension of three thousand values, few of them frequent; the effect is on a frequent one
    or elsewhere."""
    made = frame(rng, 1600, cards=CARDS_SHORT)
    names = tuple(f"c{i}" for i in range(3000))
    share = 1.0 / np.arange(1.0, 3001.0)
    codes = rng.choice(3000, made.n, p=share / share.sum())
    made.add_dim("curator", names, codes)
    scope = {"curator": "c0"} if index % 2 else pick(rng, made, 0, 2, 90, 160, avoid=["curator"])
    return made.world(
        "many_values", index, noise(rng, made, 1.0), 1.0, [Planted(made.groups, scope, 0.7)]
    )


@family("constant")
def sparse(rng: np.random.Generator, index: int) -> World:
    """Two thirds of all values are missing."""
    made = frame(rng, 1500)
    made.codes[rng.random(made.codes.shape) < 0.66] = MISSING
    scope = pick(rng, made, 0, 1, 100, 200)
    return made.world(
        "sparse", index, noise(rng, made, 1.0), 1.0, [Planted(made.groups, scope, 0.7)]
    )


@family("constant")
def actions(rng: np.random.Generator, index: int) -> World:
    """Two actions a trade on average; the effect is on dimensions that all actions of a trade
    share."""
    made = several_actions(rng, frame(rng, 900), mean=2.0, varying=4)
    scope = pick(rng, made, 0, 2, 70, 120, avoid=made.dims[-4:])
    return made.world(
        "actions", index, noise(rng, made, 1.0), 1.0, [Planted(made.groups, scope, 0.9)]
    )


# -- effects that change


def halving(days: Days, *, start_day: float, half_life_days: float) -> Days:
    """0 before `start_day`, 1 there, then decaying with a half-life."""
    return np.where(
        days < start_day, 0.0, np.exp2(-np.maximum(days - start_day, 0.0) / half_life_days)
    )


def rising(days: Days, *, start_day: float, half_life_days: float) -> Days:
    """0 up to `start_day`, then approaching 1; the gap decays with a half-life."""
    return np.where(
        days < start_day, 0.0, 1.0 - np.exp2(-np.maximum(days - start_day, 0.0) / half_life_days)
    )


def ramp(days: Days, *, start_day: float, end_day: float) -> Days:
    """0 up to `start_day`, 1 from `end_day` on, linear between."""
    return np.clip((days - start_day) / (end_day - start_day), 0.0, 1.0)


def flip(days: Days, *, at_day: float, width_days: float) -> Days:
    """1 long before `at_day`, −1 long after it."""
    return -np.tanh((days - at_day) / width_days)


def wave(days: Days, *, period_days: float, phase: float) -> Days:
    """A sine of `period_days`."""
    return np.sin(2.0 * np.pi * days / period_days + phase)


def _decaying(
    rng: np.random.Generator,
    name: str,
    index: int,
    n: int,
    half_life: float,
    start: float,
    *,
    new: bool = False,
) -> World:
    """One slice whose effect begins at day `start`; with `new`, its trades begin then, too, else
    they had no effect before."""
    made = frame(rng, n, cards=CARDS_SHORT)
    scope = pick(rng, made, 0, int(rng.integers(1, 3)), n // 5, n // 3)
    if new:
        dim = next(iter(scope))
        d = made.dims.index(dim)
        own = made.values[d].index(scope[dim])
        before = np.flatnonzero(
            (made.codes[:, d] == own) & (made.action_day[made.row_trade] < start)
        )
        made.codes[before, d] = (own + rng.integers(1, len(made.values[d]), len(before))) % len(
            made.values[d]
        )
    sd = float(rng.uniform(0.4, 1.0))
    size = float(rng.uniform(1.2, 2.0)) if index % 4 else -0.7
    profile = partial(halving, start_day=start, half_life_days=half_life)
    values = noise(rng, made, sd, ("gaussian", "t3")[index % 5 == 4])
    return made.world(
        name, index, values, sd, [Planted(made.groups, scope, size, profile, half_life, start)]
    )


@family("decaying_fast")
def decaying_fast(rng: np.random.Generator, index: int) -> World:
    """Half-lives of one to two and a half days, of slices that were not traded before the last
    eight to fourteen days."""
    start = WINDOW_DAYS - float(rng.uniform(8.0, 14.0))
    half_life = float(rng.uniform(1.0, 2.5))
    return _decaying(
        rng, "decaying_fast", index, int(rng.integers(2400, 3000)), half_life, start, new=True
    )


@family("decaying")
def decaying_from_start(rng: np.random.Generator, index: int) -> World:
    """Half-lives of ten to thirty days, from the beginning of the window."""
    half_life = float(np.exp(rng.uniform(np.log(10.0), np.log(30.0))))
    return _decaying(
        rng, "decaying_from_start", index, int(rng.integers(900, 1500)), half_life, 0.0
    )


@family("decaying")
def decaying_new(rng: np.random.Generator, index: int) -> World:
    """Half-lives of three to thirty days, of slices that were not traded before the last fifteen to
    fifty days."""
    half_life = float(np.exp(rng.uniform(np.log(3.0), np.log(30.0))))
    start = WINDOW_DAYS - float(rng.uniform(15.0, 50.0))
    return _decaying(
        rng, "decaying_new", index, int(rng.integers(1500, 2400)), half_life, start, new=True
    )


@family("decaying")
def decaying_midway(rng: np.random.Generator, index: int) -> World:
    """Half-lives of three to thirty days, of slices that were traded before the last ten to fifty
    days, but had no effect then."""
    half_life = float(np.exp(rng.uniform(np.log(3.0), np.log(30.0))))
    start = WINDOW_DAYS - float(rng.uniform(10.0, 50.0))
    return _decaying(rng, "decaying_midway", index, int(rng.integers(1200, 2400)), half_life, start)


@family("improving")
def improving(rng: np.random.Generator, index: int) -> World:
    """From nothing to the full size within the last ten to eighty days: at once, linearly, or ever
    more slowly."""
    made = frame(rng, int(rng.integers(900, 1500)), cards=CARDS_SHORT)
    scope = pick(rng, made, 0, int(rng.integers(1, 3)), 180, 350)
    start = float(rng.uniform(10.0, 75.0))
    if index % 2:
        profile = partial(ramp, start_day=start, end_day=start + float(rng.uniform(5.0, 40.0)))
    else:
        profile = partial(rising, start_day=start, half_life_days=float(rng.uniform(3.0, 20.0)))
    size = -0.7 if index % 4 == 3 else float(rng.uniform(0.8, 1.4))
    return made.world(
        "improving", index, noise(rng, made, 1.0), 1.0, [Planted(made.groups, scope, size, profile)]
    )


@family("changing")
def reversing(rng: np.random.Generator, index: int) -> World:
    """A winning slice loses from some day on, or the other way round."""
    made = frame(rng, int(rng.integers(900, 1500)), cards=CARDS_SHORT)
    scope = pick(rng, made, 0, int(rng.integers(1, 3)), 180, 350)
    profile = partial(
        flip, at_day=float(rng.uniform(45.0, 95.0)), width_days=float(rng.uniform(1.0, 10.0))
    )
    return made.world(
        "reversing",
        index,
        noise(rng, made, 1.0),
        1.0,
        [Planted(made.groups, scope, 0.65 if index % 2 else -0.65, profile)],
    )


@family("changing")
def seasonal(rng: np.random.Generator, index: int) -> World:
    """A sine of fourteen to ninety days."""
    made = frame(rng, int(rng.integers(900, 1500)), cards=CARDS_SHORT)
    scope = pick(rng, made, 0, int(rng.integers(1, 3)), 180, 350)
    profile = partial(
        wave, period_days=float(rng.uniform(14.0, 90.0)), phase=float(rng.uniform(0.0, 2.0 * np.pi))
    )
    return made.world(
        "seasonal", index, noise(rng, made, 1.0), 1.0, [Planted(made.groups, scope, 0.65, profile)]
    )


# -- effects that exist in one market state and not in another


def _in_regimes(
    rng: np.random.Generator,
    name: str,
    index: int,
    gains: Callable[[bool], Mapping[str, float]],
    *,
    metric: bool,
) -> World:
    """Six groups with one slice each; with `metric`, the `gains` of a slice depend on whether its
    trades pay back fast."""
    made = frame(rng, int(rng.integers(2100, 2700)), groups=6, cards=(3, 4, 3, 4))
    regimes(rng, made, dwell_days=float(rng.uniform(3.0, 5.0)))
    made.efficiency = np.clip(rng.normal(0.5, 0.12, made.n), 0.05, 0.95)
    planted = []
    for g in range(6):
        scope = pick(rng, made, g, 1, 100, 170, avoid=[REGIME])
        fast = g % 2 == 0
        size = float(rng.uniform(0.7, 1.0)) if g % 3 < 2 else -0.65
        planted.append(Planted((group(g),), scope, size, gains=gains(fast)))
        if metric:
            inside = (made.row_group == g) & _rows(made, scope)
            made.efficiency[inside] = np.clip(
                rng.normal(0.8 if fast else 0.25, 0.1, int(inside.sum())), 0.05, 0.95
            )
    return made.world(name, index, noise(rng, made, 1.0), 1.0, planted)


def _rows(made: Frame, scope: Mapping[str, str]) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = np.all(
        [made.column(d) == made.values[made.dims.index(d)].index(v) for d, v in scope.items()],
        axis=0,
    )
    return inside


@family("regime")
def regime_gains(rng: np.random.Generator, index: int) -> World:
    """All effects are 1.4 × in one market state, 0.2 × in another."""
    table = {"S0": 1.4, "S1": 0.2, "S2": 1.0}
    return _in_regimes(rng, "regime_gains", index, lambda fast: table, metric=False)


@family("regime")
def regime_metric(rng: np.random.Generator, index: int) -> World:
    """In one market state the effects of slices that pay back fast hold and those of slow ones
    vanish; elsewhere both hold."""
    return _in_regimes(
        rng, "regime_metric", index, lambda fast: {"S1": 1.2 if fast else 0.0}, metric=True
    )


@family("regime_control")
def regime_control(rng: np.random.Generator, index: int) -> World:
    """Market states and pay-back times as in the previous two, but effects do not depend on
    them."""
    return _in_regimes(rng, "regime_control", index, lambda fast: {}, metric=bool(index % 2))


# -- the same evidence under several names


@family("clones")
def exact_clones(rng: np.random.Generator, index: int) -> World:
    """One to ten dimensions with the same information as one of the planted slice's."""
    made = frame(rng, 900, cards=(3, 4, 3, 4), even=True)
    scope = pick(rng, made, 0, 2, 55, 90)
    values = noise(rng, made, 1.0)
    planted = [Planted(made.groups, scope, 0.9)]
    twin = made.world("exact_clones", index, values, 1.0, planted)
    original = next(iter(scope))
    n_clones = 1 + index % 10
    column, names = made.column(original).copy(), made.values[made.dims.index(original)]
    for k in range(n_clones):
        made.add_dim(f"clone_{k}", names, column)
    return made.world("exact_clones", index, values, 1.0, planted, twin=twin, n_clones=n_clones)


@family("clones")
def near_clones(rng: np.random.Generator, index: int) -> World:
    """Two dimensions that equal one of the planted slice's except for 1 to 9 % of the trades, and
    one that equals it for a third of them.

    There is nothing in between: three slices of which only two pairs are alike have no clusters
    that everybody would agree on.
    """
    made = frame(rng, 900, cards=(3, 4, 3, 4))
    scope = pick(rng, made, 0, int(rng.integers(1, 3)), 70, 220)
    values = noise(rng, made, 1.0)
    original = next(iter(scope))
    names = made.values[made.dims.index(original)]
    for k in range(3):
        codes = made.column(original).copy()
        flipped = rng.random(len(codes)) < (
            rng.uniform(0.01, 0.09) if k < 2 else rng.uniform(0.6, 0.8)
        )
        codes[flipped] = rng.integers(0, len(names), int(flipped.sum()))
        made.add_dim(f"clone_{k}", names, codes)
    return made.world("near_clones", index, values, 1.0, [Planted(made.groups, scope, 0.8)])


@family("clones")
def clones_across_groups(rng: np.random.Generator, index: int) -> World:
    """The same trades act in two to four groups: all of them, or nine in ten; a fifth group has its
    own trades."""
    made = frame(rng, 900, cards=(3, 4, 3, 4))
    scope = pick(rng, made, 0, int(rng.integers(1, 3)), 70, 200)
    shared = 2 + index % 3
    own = rng.random(made.n) < 0.25
    keep = 1.0 if index % 2 else 0.9
    rows, of_group = [np.flatnonzero(own)], [np.full(int(own.sum()), shared)]
    for g in range(shared):
        acting = np.flatnonzero(~own & ((rng.random(made.n) < keep) | (g == 0)))
        rows.append(acting)
        of_group.append(np.full(len(acting), g))
    source, groups_of = np.concatenate(rows), np.concatenate(of_group)
    order = np.lexsort((groups_of, source))
    made.row_trade, made.row_group, made.codes = (
        source[order],
        groups_of[order],
        made.codes[source[order]],
    )
    made.groups = tuple(group(g) for g in range(shared + 1))
    planted = [Planted(made.groups[:shared], scope, 0.9)]
    return made.world("clones_across_groups", index, noise(rng, made, 1.0), 1.0, planted)


# -- effects at the threshold


@family("threshold")
def threshold(rng: np.random.Generator, index: int) -> World:
    """400 to 800 trades and one effect that is 3.5 to 4.5 of its standard errors, so that a
    selection finds about half of them."""
    made = frame(rng, int(rng.integers(400, 800)))
    scope = pick(rng, made, 0, int(rng.integers(1, 3)), 70, 160)
    window = made.exit_day < WINDOW_DAYS
    inside = int((_rows(made, scope) & window).sum())
    error = 1.2 / np.sqrt(inside * (1.0 - inside / window.sum()))
    size = float(rng.uniform(3.5, 4.5) * error) * (-1.0 if index % 3 == 2 else 1.0)
    return made.world(
        "threshold",
        index,
        noise(rng, made, 1.2),
        1.2,
        [Planted(made.groups, scope, max(size, -0.7))],
    )
