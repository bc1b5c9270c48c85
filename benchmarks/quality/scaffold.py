"""Worlds before anything is planted: who trades when, in which scope.

May touch: the generator it is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import noise as shapes
from benchmarks.quality.truth import MISSING, MONTHS, REGIME, Calendar, Dense, Group, Planted, World

NAMES = (
    "chain", "btc_meso", "intent", "mcap_bucket", "vol_bucket", "age_bucket", "A_mode", "E_mode",
    "curator", "market_family", "bucket_leader", "mcap_vol_ratio_bucket",
)  # fmt: skip
CARDS = (3, 4, 3, 4, 3, 4, 3, 4)
CARDS_SHORT = (3, 4, 3, 4, 3, 4)
BUCKETS, TIMEFRAMES = ("micro", "mid", "mega"), ("1h", "4h")


def group(i: int) -> Group:
    """The i-th group of a module."""
    return f"pm.uptrend.S{i}.entry", ("entry", "add", "trim", "exit")[i % 4]


@dataclass
class Frame:
    """A world under construction; shapes as in `World`."""

    action_day: NDArray[np.float64]
    exit_day: NDArray[np.float64]
    segment: NDArray[np.int64]
    efficiency: NDArray[np.float64]
    row_trade: NDArray[np.int64]
    row_group: NDArray[np.int64]
    codes: NDArray[np.int64]
    dims: list[str]
    values: list[tuple[str, ...]]
    groups: tuple[Group, ...]
    calendar: Calendar = MONTHS

    @property
    def n(self) -> int:
        """The number of trades."""
        return len(self.action_day)

    def column(self, dim: str) -> NDArray[np.int64]:
        """The codes of a dimension (R,)."""
        return self.codes[:, self.dims.index(dim)]

    def add_dim(self, name: str, values: Sequence[str], codes: NDArray[np.int64]) -> None:
        """Add a dimension with these `codes` (R,)."""
        self.dims.append(name)
        self.values.append(tuple(values))
        self.codes = np.column_stack((self.codes, codes))

    def world(
        self,
        family: str,
        index: int,
        noise: NDArray[np.float64],
        noise_sd: float,
        planted: Sequence[Planted] = (),
        *,
        twin: World | None = None,
        n_clones: int = 0,
        dense: Dense | None = None,
    ) -> World:
        """The world in which each trade earns `noise` (T,) plus the planted effects and those of
        `dense`."""
        return World(
            family=family,
            index=index,
            groups=self.groups,
            dims=tuple(self.dims),
            values=tuple(self.values),
            action_day=self.action_day,
            exit_day=self.exit_day,
            outcome=noise,
            segment=tuple((BUCKETS[s // 2], TIMEFRAMES[s % 2]) for s in self.segment.tolist()),
            efficiency=self.efficiency,
            row_trade=self.row_trade,
            row_group=self.row_group,
            codes=self.codes,
            planted=tuple(planted),
            noise_sd=noise_sd,
            twin=twin,
            n_clones=n_clones,
            calendar=self.calendar,
            dense=dense,
        ).realised()


def value_names(dim: str, card: int) -> tuple[str, ...]:
    """S0, S1, … for market states, else v0, v1, …"""
    return tuple(f"{'S' if dim.startswith(('btc', 'alt')) else 'v'}{i}" for i in range(card))


def frame(
    rng: np.random.Generator,
    n: int,
    *,
    groups: int = 1,
    cards: Sequence[int] = CARDS,
    even: bool = False,
    days: NDArray[np.float64] | None = None,
    calendar: Calendar = MONTHS,
) -> Frame:
    """About `n` trades per window with one action each, spread over `groups` and time; with `even`,
    all values are equally likely."""
    total = round(n * calendar.horizon_days / calendar.window_days)
    action = np.sort(rng.uniform(0.0, calendar.horizon_days, total)) if days is None else days
    total = len(action)
    hold = np.minimum(rng.exponential(calendar.hold_days, total), calendar.longest_hold_days)
    codes = np.empty((total, len(cards)), np.int64)
    for d, card in enumerate(cards):
        shares = np.full(card, 1.0 / card) if even else rng.dirichlet(np.full(card, 8.0))
        codes[:, d] = rng.choice(card, total, p=shares)
    return Frame(
        action_day=action,
        exit_day=action + hold,
        segment=rng.integers(0, 6, total),
        efficiency=rng.uniform(0.1, 0.9, total),
        row_trade=np.arange(total),
        row_group=rng.integers(0, groups, total) if groups > 1 else np.zeros(total, np.int64),
        codes=codes,
        dims=list(NAMES[: len(cards)]),
        values=[value_names(NAMES[d], card) for d, card in enumerate(cards)],
        groups=tuple(group(i) for i in range(groups)),
        calendar=calendar,
    )


def several_actions(rng: np.random.Generator, made: Frame, mean: float, varying: int) -> Frame:
    """Give each trade 1 + Poisson(mean − 1) actions in its group; the last `varying` dimensions
    differ from action to action."""
    extra = rng.poisson(mean - 1.0, made.n)
    source = np.repeat(np.arange(made.n), 1 + extra)
    codes = made.codes[source].copy()
    for d in range(len(made.dims) - varying, len(made.dims)):
        codes[:, d] = rng.integers(0, len(made.values[d]), len(source))
    made.row_trade, made.row_group, made.codes = source, made.row_group[source], codes
    return made


def regimes(
    rng: np.random.Generator, made: Frame, dim: str = REGIME, card: int = 3, dwell_days: float = 4.0
) -> None:
    """Add a market state that all trades share and that switches after exponential times of mean
    `dwell_days`."""
    ends, states = [], []
    at, state = 0.0, int(rng.integers(card))
    while at < made.calendar.horizon_days:
        at += rng.exponential(dwell_days)
        ends.append(at)
        states.append(state)
        state = (state + int(rng.integers(1, card))) % card
    made.add_dim(
        dim,
        value_names(dim, card),
        np.array(states)[np.searchsorted(ends, made.action_day)][made.row_trade],
    )


def burst_days(
    rng: np.random.Generator,
    n: int,
    bursts: int = 40,
    width_days: float = 0.15,
    calendar: Calendar = MONTHS,
) -> NDArray[np.float64]:
    """Action times in bursts: 80 % near one of `bursts` moments, the rest anywhere."""
    total = round(n * calendar.horizon_days / calendar.window_days)
    centres = rng.uniform(0.0, calendar.horizon_days, bursts)
    weights = rng.dirichlet(np.ones(bursts))
    near = rng.choice(centres, total, p=weights) + rng.normal(0.0, width_days, total)
    days = np.where(rng.random(total) < 0.8, near, rng.uniform(0.0, calendar.horizon_days, total))
    return np.sort(np.clip(days, 0.0, calendar.horizon_days - 0.6))


def pick(
    rng: np.random.Generator,
    made: Frame,
    in_group: int,
    n_dims: int,
    low: int,
    high: int,
    *,
    avoid: Sequence[str] = (),
    within: Mapping[str, str] | None = None,
    tries: int = 400,
) -> dict[str, str]:
    """A random scope of `n_dims` dimensions (in addition to those of `within`) that `low` to `high`
    trades of the first window have.

    If none of `tries` draws has, the one that comes closest.
    """
    free = [
        d for d, name in enumerate(made.dims) if name not in avoid and name not in (within or {})
    ]
    base = (made.row_group == in_group) & (
        made.exit_day[made.row_trade] < made.calendar.window_days
    )
    for dim, value in (within or {}).items():
        d = made.dims.index(dim)
        base &= made.codes[:, d] == made.values[d].index(value)
    rows = np.flatnonzero(base)
    middle = np.sqrt(low * high)
    best: tuple[float, dict[str, str]] = (np.inf, {})
    for _ in range(tries):
        chosen = rng.choice(free, n_dims, replace=False)
        sample = made.codes[rng.choice(rows), chosen]
        if (sample == MISSING).any():
            continue
        inside = (made.codes[rows][:, chosen] == sample).all(axis=1)
        n = len(np.unique(made.row_trade[rows[inside]]))
        scope = dict(within or {}) | {
            made.dims[d]: made.values[d][c] for d, c in zip(chosen, sample, strict=True)
        }
        if low <= n <= high:
            return scope
        if n and abs(np.log(n / middle)) < best[0]:
            best = (float(abs(np.log(n / middle))), scope)
    return best[1]


def noise(
    rng: np.random.Generator,
    made: Frame,
    sd: float,
    shape: str = "gaussian",
    level: float | None = None,
) -> NDArray[np.float64]:
    """Independent noise (T,) around a level of the module (random if not given)."""
    centre = rng.uniform(-0.3, 0.3) if level is None else level
    return np.asarray(centre + sd * shapes.SHAPES[shape](rng, made.n))
