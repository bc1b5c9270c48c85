"""What was known of a module at a time: the trades that had closed by then and were still in the
window.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.audit.trades import Decision, Group, Module
from app.learning.common.config import LearningConfig
from app.learning.common.trade import Trade


class Timeline:
    """A module's trades, sorted by exit, and its decisions of `categories`, sorted by time."""

    def __init__(self, module: Module, config: LearningConfig, categories: Collection[str]) -> None:
        self._window_us = config.window_us
        self._window_trades = config.window_trades
        self._closed = {
            group: sorted(trades, key=lambda t: (t.exit_us, t.trade_id))
            for group, trades in module.trades.items()
        }
        self._exits = {
            group: np.array([t.exit_us for t in trades], np.int64)
            for group, trades in self._closed.items()
        }
        self._repeated = {
            group
            for group, trades in self._closed.items()
            if len({t.trade_id for t in trades}) < len(trades)
        }
        self.categories = tuple(categories)
        self.decisions = module.decisions(categories)
        self._decided = np.array([d.at_us for d in self.decisions], np.int64)
        self.home = {
            group
            for group, trades in self._closed.items()
            if group[1] in categories or any(t.home for t in trades)
        }
        """Groups that a baseline or an answer needs, with any learning method."""

    @property
    def end_us(self) -> int:
        """The newest exit; 0 if there is none."""
        return max((int(exits[-1]) for exits in self._exits.values()), default=0)

    def known(self, cut_us: int) -> dict[Group, list[Trade]]:
        """For each group, the closes up to `cut_us` that its window holds at that time, sorted by
        exit. Of several closes of a trade, the one that counts."""
        found = {}
        for group, trades in self._closed.items():
            until = int(np.searchsorted(self._exits[group], cut_us, side="right"))
            if not until:
                continue
            if group in self._repeated:
                counting: dict[str, Trade] = {}
                for trade in trades[:until]:
                    other = counting.get(trade.trade_id)
                    if other is None or other.rank < trade.rank:
                        counting[trade.trade_id] = trade
                held: Sequence[Trade] = sorted(
                    counting.values(), key=lambda t: (t.exit_us, t.trade_id)
                )
                bound = held[-1].exit_us - self._window_us
                found[group] = [t for t in held if t.exit_us >= bound][-self._window_trades :]
            else:
                start = int(
                    np.searchsorted(self._exits[group], trades[until - 1].exit_us - self._window_us)
                )
                found[group] = trades[max(start, until - self._window_trades) : until]
        return found

    def asked(self, after_us: int, until_us: int) -> list[Decision]:
        """The decisions after `after_us`, up to `until_us`."""
        return self.decisions[
            slice(*np.searchsorted(self._decided, (after_us, until_us), side="right").tolist())
        ]


class Slices:
    """Which trades of a list have a scope: one table for many queries."""

    def __init__(self, trades: Sequence[Trade]) -> None:
        self._n = len(trades)
        rows = [(i, scope) for i, trade in enumerate(trades) for scope in trade.scopes]
        self._trade = np.array([i for i, _ in rows], np.int64)
        self._codes: dict[str, dict[str, int]] = {}
        self._columns: dict[str, NDArray[np.int32]] = {}
        self._scopes = [scope for _, scope in rows]
        self._single = len(rows) == len(trades)

    def members(self, scope: Mapping[str, str]) -> NDArray[np.bool_]:
        """Whether an action of each trade has all of `scope` (T,)."""
        rows = np.ones(len(self._trade), np.bool_)
        for dimension, value in scope.items():
            if dimension not in self._columns:
                codes = self._codes[dimension] = {}
                self._columns[dimension] = np.array(
                    [
                        -1 if (v := s.get(dimension)) is None else codes.setdefault(v, len(codes))
                        for s in self._scopes
                    ],
                    np.int32,
                )
            code = self._codes[dimension].get(value)
            if code is None:
                return np.zeros(self._n, np.bool_)
            rows &= self._columns[dimension] == code
        if self._single:
            return rows
        found = np.zeros(self._n, np.bool_)
        found[self._trade[rows]] = True
        return found
