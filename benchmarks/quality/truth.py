"""A world: trades of a module whose expected outcome is known for every scope and time.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from app.learning.common.trade import Trade
from schemas.times import DAY_US

Group = tuple[str, str]
"""(pattern key, action category)."""
Days = NDArray[np.float64]
"""Times in days since the world began."""

T0_US = 1_704_067_200 * 1_000_000
"""2024-01-01T00:00:00Z, where every world begins."""
MISSING = -1
REGIME = "btc_macro"
"""The dimension by which gains differ."""


@dataclass(frozen=True)
class Calendar:
    """The calendar of a world, in days: the length of the core's window, when it learns, and how
    many days of decisions are scored each time.

    Trades are held for `hold_days` on average, and for at most `longest_hold_days`.
    """

    window_days: float = 90.0
    cuts: tuple[float, ...] = (90.0, 100.0)
    after_days: float = 10.0
    hold_days: float = 2.0 / 24.0
    longest_hold_days: float = 0.5

    @property
    def horizon_days(self) -> float:
        """The length of the world in days."""
        return self.cuts[-1] + self.after_days + 0.5


MONTHS = Calendar()
YEARS = Calendar(1826.0, (1826.0, 2008.0), 21.0, 4.0, 20.0)
"""A window of five years.  Overrides expire thirty days after the newest trade of their group, so
21 days are scored."""


def always(days: Days) -> Days:
    """The profile of a constant effect."""
    return np.ones_like(days)


@dataclass(frozen=True)
class Planted:
    """A slice with a true effect: size · profile(time of the action) · gain of the action's regime,
    in units of the outcome.

    It applies to the trades of all `groups` (a trade that acts in several gets the effect once).
    `half_life_days` is set where the profile decays with this half-life from `start_day` on.
    """

    groups: tuple[Group, ...]
    scope: Mapping[str, str]
    size: float
    profile: Callable[[Days], Days] = always
    half_life_days: float | None = None
    start_day: float = 0.0
    gains: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Movement:
    """The factor of all slices' effects over time: a random path, and how fast it reverts.

    `level` is the factor at `days` (N,) ascending; it holds until the next of them.  Its long-run
    mean is `mean`; the expected distance from it falls to 1/e in `tau_days`.
    """

    days: Days
    level: NDArray[np.float64]
    mean: float
    tau_days: float

    def __call__(self, days: Days) -> Days:
        """The factor at `days`."""
        return np.asarray(self.level[np.searchsorted(self.days, days, side="right") - 1])

    def seen_at(self, days: Days, now: float) -> Days:
        """The factor at `days` as known at day `now`: the path up to then, and its expectation
        after that."""
        ahead = self.mean + (self(np.array([now]))[0] - self.mean) * np.exp(
            -np.maximum(days - now, 0.0) / self.tau_days
        )
        return np.where(days <= now, self(np.minimum(days, now)), ahead)


@dataclass(frozen=True)
class Dense:
    """Small effects of very many slices at once, each drawn from a normal distribution, for worlds
    with one row per trade.

    `members` (R, K) marks the rows of each slice, `sd` (K,) is the standard deviation from which
    its effect was drawn, `effect` (K,) the effect.  Effects are relative to the mean of the module,
    so that the uplifts of all rows have mean 0, and are multiplied by `movement`, if there is one.
    The rest of an outcome is a level, a normal shock of `shock_sd` that trades with the same number
    in `shock` (T,) share, and normal noise of `noise_sd`.
    """

    members: NDArray[np.bool_]
    sd: NDArray[np.float64]
    effect: NDArray[np.float64]
    noise_sd: float
    shock: NDArray[np.int64] | None = None
    shock_sd: float = 0.0
    movement: Movement | None = None

    def design(self) -> NDArray[np.float64]:
        """The part of each effect in each row (R, K), before any movement."""
        return np.asarray(self.members - self.members.mean(axis=0))

    def row_effect(self, row_day: Days) -> NDArray[np.float64]:
        """The sum of the effects in each row (R,), decided at `row_day` (R,)."""
        level = self.members @ self.effect - self.members.mean(axis=0) @ self.effect
        return np.asarray(level if self.movement is None else level * self.movement(row_day))


@dataclass(frozen=True)
class World:
    """T trades with R scope rows (one per trade, group and distinct scope).

    `action_day`, `exit_day`, `outcome`, `segment`, `efficiency` are (T,); `row_trade`, `row_group`
    (R,) are indices of trades and of `groups`; `codes` (R, D) are indices of `values[d]`, −1 if
    missing.  `twin` is the same world without its cloned dimensions.  The truth is the sum of the
    effects of `planted` and of `dense`.
    """

    family: str
    index: int
    groups: tuple[Group, ...]
    dims: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    action_day: Days
    exit_day: Days
    outcome: NDArray[np.float64]
    segment: tuple[tuple[str, str], ...]
    efficiency: NDArray[np.float64]
    row_trade: NDArray[np.int64]
    row_group: NDArray[np.int64]
    codes: NDArray[np.int64]
    planted: tuple[Planted, ...]
    noise_sd: float
    twin: World | None = None
    n_clones: int = 0
    calendar: Calendar = MONTHS
    dense: Dense | None = None

    def has(self, scope: Mapping[str, str]) -> NDArray[np.bool_]:
        """The rows that have all of `scope` (R,)."""
        found: NDArray[np.bool_] = np.ones(len(self.codes), np.bool_)
        for dim, value in scope.items():
            d = self.dims.index(dim)
            try:
                found &= self.codes[:, d] == self.values[d].index(value)
            except ValueError:
                found[:] = False
        return found

    def rows_of(self, group: Group) -> NDArray[np.bool_]:
        """The rows of `group` (R,)."""
        return np.asarray(self.row_group == self.groups.index(group))

    def trades_of(self, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The trades that have one of `rows` (T,)."""
        found = np.zeros(len(self.outcome), np.bool_)
        found[self.row_trade[rows]] = True
        return found

    def row_inside(self, planted: Planted) -> NDArray[np.bool_]:
        """The rows of a planted slice (R,)."""
        return self.has(planted.scope) & np.isin(
            self.row_group, [self.groups.index(g) for g in planted.groups]
        )

    def row_effect(self, planted: Planted) -> NDArray[np.float64]:
        """What `planted` adds to the expected outcome at each row's action (R,); 0 outside the
        slice."""
        inside = self.row_inside(planted)
        effect = np.zeros(len(self.codes))
        effect[inside] = planted.size * planted.profile(self.action_day[self.row_trade[inside]])
        if planted.gains:
            effect[inside] *= self.row_gain(planted)[inside]
        return effect

    def row_gain(self, planted: Planted) -> NDArray[np.float64]:
        """The gain of each row's regime (R,)."""
        d = self.dims.index(REGIME)
        # the last is −1: missing
        table = np.array([planted.gains.get(v, 1.0) for v in self.values[d]] + [1.0])
        return np.asarray(table[self.codes[:, d]])

    def uplift(self) -> NDArray[np.float64]:
        """The true expected uplift (R,), over a trade without patterns, of a decision with each
        row's group, scope and time."""
        planted = (
            np.sum([self.row_effect(p) for p in self.planted], axis=0)
            if self.planted
            else np.zeros(len(self.codes))
        )
        return np.asarray(planted + self.dense_effect())

    def dense_effect(self) -> NDArray[np.float64]:
        """What the many small effects add to the expected outcome at each row's action (R,)."""
        return (
            np.zeros(len(self.codes))
            if self.dense is None
            else self.dense.row_effect(self.action_day[self.row_trade])
        )

    def realised(self) -> World:
        """This world with the planted effects added to the outcomes, once per trade (that of the
        first row that has one)."""
        outcome = self.outcome.copy()
        for planted in self.planted:
            effect = self.row_effect(planted)
            rows = np.flatnonzero(effect)
            trades, first = np.unique(self.row_trade[rows], return_index=True)
            outcome[trades] += effect[rows[first]]
        if self.dense is not None:
            outcome[self.row_trade] += self.dense_effect()
        return replace(self, outcome=outcome)

    def scope(self, row: int) -> dict[str, str]:
        """The canonical scope of a row."""
        return {
            dim: self.values[d][c]
            for d, (dim, c) in enumerate(zip(self.dims, self.codes[row].tolist(), strict=True))
            if c >= 0
        }

    def trades(self) -> dict[Group, list[Trade]]:
        """The trades of each group in the core's form, sorted by exit."""
        rows_of: dict[tuple[int, int], list[int]] = {}
        for row, (trade, group) in enumerate(
            zip(self.row_trade.tolist(), self.row_group.tolist(), strict=True)
        ):
            rows_of.setdefault((trade, group), []).append(row)
        home: dict[int, int] = {}
        for trade, group in rows_of:
            home.setdefault(trade, group)
        made: dict[Group, list[Trade]] = {group: [] for group in self.groups}
        for (trade, group), rows in rows_of.items():
            scopes = tuple({tuple(s.items()): s for s in map(self.scope, rows)}.values())
            exit_us = exit_micros(float(self.exit_day[trade]))
            more = (
                {"time_efficiency": float(self.efficiency[trade])}
                if "time_efficiency" in Trade._fields
                else {}
            )
            made[self.groups[group]].append(
                Trade(
                    f"t{trade:06d}",
                    (0, len(rows), exit_us, f"e{trade:06d}", "00"),
                    exit_us,
                    float(np.clip(self.outcome[trade], -33.0, 33.0)),
                    self.segment[trade],
                    home[trade] == group,
                    scopes,
                    **more,
                )
            )
        for trades in made.values():
            trades.sort(key=lambda t: (t.exit_us, t.trade_id))
        return made


def exit_micros(day: float) -> int:
    """Microseconds since 1970 of a day of the world."""
    return T0_US + round(day * DAY_US)
