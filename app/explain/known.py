"""What an explanation needs to know about a module: its published records, and the facts of one
group.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from app.learning.common.baselines import SegmentBaselines, module_baseline, segment_baselines
from app.learning.common.config import LearningConfig
from app.learning.common.size_unit import unit_of_size
from app.learning.common.trade import Scope, SegmentKey, Trade, trade_from_fact
from app.learning.common.window import GroupWindow
from app.learning.integrated.judge import IntegratedJudge, Standings
from app.override_changes import OverrideChange
from edgeloop.identity import slice_id
from schemas.facts import FactAction, PatternTradeEvent
from schemas.lessons import (
    EdgeHistory,
    GroupSummary,
    LatentFactor,
    Lesson,
    LessonVerdict,
    RegimeWeight,
)


@dataclass(frozen=True)
class Counted:
    """A trade of the group according to the close that counts."""

    trade: Trade
    actions: tuple[FactAction, ...]


@dataclass(frozen=True)
class Known:
    """Everything about one module, by id where there are ids; `days`, `facts` and `changes` cover
    at least the group in question.

    `facts` may hold several closes of a trade, in any order.  `notes` are sentences on what may be
    missing.
    """

    config: LearningConfig
    module: str
    lessons: Mapping[str, Lesson] = field(default_factory=dict)
    summaries: Mapping[str, GroupSummary] = field(default_factory=dict)
    verdicts: Mapping[str, LessonVerdict] = field(default_factory=dict)
    weights: Sequence[RegimeWeight] = ()
    factors: Mapping[str, LatentFactor] = field(default_factory=dict)
    days: Sequence[EdgeHistory] = ()
    facts: Sequence[PatternTradeEvent] = ()
    changes: Sequence[OverrideChange] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def trades(self) -> dict[str, Counted]:
        """Trade id → the close that counts, of all trades in the facts that have the outcome."""
        found: dict[str, Counted] = {}
        for fact in self.facts:
            trade = trade_from_fact(fact, self.config.outcome)
            if trade is not None and (
                trade.trade_id not in found or found[trade.trade_id].trade.rank < trade.rank
            ):
                found[trade.trade_id] = Counted(trade, fact.actions)
        return found

    @cached_property
    def window(self) -> list[Trade]:
        """The trades inside the group's window, oldest first: those that the core learns from."""
        window = GroupWindow(self.config.window_us, self.config.window_trades)
        window.fold(counted.trade for counted in self.trades.values())
        return [self.trades[i].trade for i in window.snapshot().trade_ids] if len(window) else []

    @cached_property
    def _segments(self) -> SegmentBaselines:
        return segment_baselines(
            self.module, self.summaries.values(), self.config.baseline_default, 0
        )

    @cached_property
    def _on_grid(self) -> SegmentBaselines:
        return self._segments.on_grid(self.unit)

    def baseline(self, segment: SegmentKey, *, judged: bool = True) -> float:
        """The mean outcome of a trade of the segment: on the grid that the judgement uses, or as
        published."""
        if self.config.learning == "integrated":
            segments = self._on_grid if judged else self._segments
            return segments.means.get(segment, segments.elsewhere[0])
        found = module_baseline(
            self.module, self.summaries.values(), self.config.baseline_default, 0
        )
        return self.config.baseline_default if found is None else found.mean

    def summary(self, pattern_key: str, category: str) -> GroupSummary | None:
        """The summary of a group, if it has one."""
        return next(
            (
                s
                for s in self.summaries.values()
                if (s.pattern_key, s.action_category) == (pattern_key, category)
            ),
            None,
        )

    def level(self, pattern_key: str, category: str) -> float:
        """The expected difference of a trade of the group from its segment's baseline, without the
        group's passing effects.  Baselines are means over all trades, including those that effects
        have moved; effects are relative to the group's level without them
        (`GroupSummary.path.fits`).  The level of the whole group, if it passes, is an effect too;
        it counts with its mean over the window, like the level that contains it.
        """
        standings, summary = self.standings, self.summary(pattern_key, category)
        if standings is None or summary is None or summary.path is None:
            return 0.0
        path = summary.path
        fit = path.fits[
            sum(i in standings.effects and i not in standings.shared for i in path.lesson_ids)
        ]
        explained = sum(
            x * self.baseline(segment)
            for x, segment in zip(fit.loadings[0], path.segments, strict=True)
        )
        whole = self.verdicts.get(slice_id(self.module, pattern_key, category, {}))
        passes = (
            whole is not None
            and whole.lesson_id in standings.effects
            and whole.lesson_id not in standings.shared
        )
        raw = whole.edge_raw if whole is not None and passes else None
        return fit.coefficients[0] - explained - (raw or 0.0) * self.unit

    @cached_property
    def unit(self) -> float:
        """Units of the outcome that are one unit of size."""
        return unit_of_size(self.config.outcome, self.summaries.values())

    @cached_property
    def standings(self) -> Standings | None:
        """How clearly the module's effects pass; None with `classic`."""
        if self.config.learning != "integrated":
            return None
        judge = IntegratedJudge(self.module, self.config)
        judge.fold([*self.lessons.values(), *self.summaries.values()])
        return judge.standings()


def matches(trade: Trade, scope: Scope) -> bool:
    """Whether one of the trade's actions in the group has all of `scope`: the core's rule.

    >>> from app.learning.common.trade import Trade
    >>> trade = Trade(
    ...     "t", (0, 2, 0, "e", "00"), 0, 1.0, (None, None), True, ({"a": "1"}, {"b": "2"})
    ... )
    >>> matches(trade, {"a": "1"}), matches(trade, {"a": "1", "b": "2"}), matches(trade, {})
    (True, False, True)
    """
    return any(scope.items() <= own.items() for own in trade.scopes)
