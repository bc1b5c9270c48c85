"""A world: trades of a module whose expected outcome is known for every scope and time.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from app.learning.common.window import Trade

Group = tuple[str, str]
"""(pattern key, action category)."""
Days = NDArray[np.float64]
"""Times in days since the world began."""

DAY_US = 86_400_000_000
T0_US = 1_704_067_200 * 1_000_000
"""2024-01-01T00:00:00Z, where every world begins."""
MISSING = -1
REGIME = "btc_macro"
"""The dimension along which gains differ."""


def always(days: Days) -> Days:
    """The profile of a constant effect."""
    return np.ones_like(days)


@dataclass(frozen=True)
class Planted:
    """A slice that does have an effect: size · profile(time of the action) · gain of the action's regime, in units of the outcome.

    The trades of all of `groups` are meant (a trade that acts in several gets the effect once).  `half_life_days` is set where the profile
    falls by halves from `start_day` on.
    """

    groups: tuple[Group, ...]
    scope: Mapping[str, str]
    size: float
    profile: Callable[[Days], Days] = always
    half_life_days: float | None = None
    start_day: float = 0.0
    gains: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class World:
    """T trades with R scope rows (one per trade, group and distinct scope).

    `action_day`, `exit_day`, `outcome`, `segment`, `efficiency` are (T,); `row_trade`, `row_group` (R,) are places in the trades and in
    `groups`; `codes` (R, D) are places in `values[d]`, −1 = missing.  `twin` is the same world without its cloned dimensions.
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

    def has(self, scope: Mapping[str, str]) -> NDArray[np.bool_]:
        """(R,) the rows that have all of `scope`."""
        found: NDArray[np.bool_] = np.ones(len(self.codes), np.bool_)
        for dim, value in scope.items():
            d = self.dims.index(dim)
            try:
                found &= self.codes[:, d] == self.values[d].index(value)
            except ValueError:
                found[:] = False
        return found

    def rows_of(self, group: Group) -> NDArray[np.bool_]:
        """(R,) the rows of `group`."""
        return np.asarray(self.row_group == self.groups.index(group))

    def trades_of(self, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(T,) the trades that have one of `rows`."""
        found = np.zeros(len(self.outcome), np.bool_)
        found[self.row_trade[rows]] = True
        return found

    def row_inside(self, planted: Planted) -> NDArray[np.bool_]:
        """(R,) the rows of a planted slice."""
        return self.has(planted.scope) & np.isin(self.row_group, [self.groups.index(g) for g in planted.groups])

    def row_effect(self, planted: Planted) -> NDArray[np.float64]:
        """(R,) what `planted` adds to the expected outcome at each row's action; 0 outside of it."""
        inside = self.row_inside(planted)
        effect = np.zeros(len(self.codes))
        effect[inside] = planted.size * planted.profile(self.action_day[self.row_trade[inside]])
        if planted.gains:
            effect[inside] *= self.row_gain(planted)[inside]
        return effect

    def row_gain(self, planted: Planted) -> NDArray[np.float64]:
        """(R,) the gain of each row's regime."""
        d = self.dims.index(REGIME)
        table = np.array([planted.gains.get(v, 1.0) for v in self.values[d]] + [1.0])  # the last is −1: missing
        return np.asarray(table[self.codes[:, d]])

    def uplift(self) -> NDArray[np.float64]:
        """(R,) the true expected uplift over a trade without patterns, of a decision with each row's group, scope and time."""
        return np.sum([self.row_effect(p) for p in self.planted], axis=0) if self.planted else np.zeros(len(self.codes))

    def realised(self) -> World:
        """This world with the planted effects added to the outcomes, once per trade (of the first row that has one)."""
        outcome = self.outcome.copy()
        for planted in self.planted:
            effect = self.row_effect(planted)
            rows = np.flatnonzero(effect)
            trades, first = np.unique(self.row_trade[rows], return_index=True)
            outcome[trades] += effect[rows[first]]
        return replace(self, outcome=outcome)

    def scope(self, row: int) -> dict[str, str]:
        """The canonical scope of a row."""
        return {dim: self.values[d][c] for d, (dim, c) in enumerate(zip(self.dims, self.codes[row].tolist(), strict=True)) if c >= 0}

    def trades(self) -> dict[Group, list[Trade]]:
        """The trades of each group as the core takes them, by exit."""
        rows_of: dict[tuple[int, int], list[int]] = {}
        for row, (trade, group) in enumerate(zip(self.row_trade.tolist(), self.row_group.tolist(), strict=True)):
            rows_of.setdefault((trade, group), []).append(row)
        home: dict[int, int] = {}
        for trade, group in rows_of:
            home.setdefault(trade, group)
        made: dict[Group, list[Trade]] = {group: [] for group in self.groups}
        for (trade, group), rows in rows_of.items():
            scopes = tuple({tuple(s.items()): s for s in map(self.scope, rows)}.values())
            exit_us = exit_micros(float(self.exit_day[trade]))
            more = {"time_efficiency": float(self.efficiency[trade])} if "time_efficiency" in Trade._fields else {}
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
