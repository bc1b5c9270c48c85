"""Lessons of one group: fold trades, keep the statistics of known slices up to date, find newly frequent slices, say what changed.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.core0 import classic
from app.core0.baselines import segment_sums
from app.core0.slices import Incidence, Members, incidence, members_of, mine
from app.core0.statistics import SliceStatistics, statistics
from app.core0.window import GroupWindow, Items, ItemTable, to_text, trade_of
from schemas.facts import PatternTradeEvent
from schemas.identity import group_id, slice_id
from schemas.lessons import Evidence, GroupSummary, Lesson, LessonDecay, SegmentSum

LEARNING = "classic"


@dataclass(frozen=True)
class LessonRules:
    """What the lessons of a group depend on besides its trades."""

    window_us: int
    window_trades: int
    retention_us: int
    n_min: int
    max_dims: int
    outcome: str


@dataclass(frozen=True)
class Changes:
    """What has to be published: new or changed lessons, ids of lessons that no longer hold, the summary if it changed."""

    lessons: list[Lesson]
    retired: list[str]
    summary: GroupSummary | None
    summary_retired: bool = False

    @property
    def empty(self) -> bool:
        """Nothing to publish."""
        return not (self.lessons or self.retired or self.summary or self.summary_retired)


# A lesson without identity and version: n, mean, variance, decay state, multiplier, slope, first and last exit.
_Content = tuple[int, float, float, str, float, float | None, str, str]
_Summary = tuple[int, int, tuple[SegmentSum, ...], str]


class GroupLessons:
    """Owns the window and the slices of one group (module, pattern key, category).

    `fold` takes in trades.  `changes` brings the lessons up to date and returns what differs from what was handed out before: with
    `full=False` for known slices that the trades touched, with `full=True` for all, newly frequent ones included.  After a full one the
    lessons are a function of the set of trades folded, to the last bit.
    """

    def __init__(self, module: str, pattern_key: str, category: str, rules: LessonRules) -> None:
        self.identity = (module, pattern_key, category)
        self.summary_id = group_id(module, pattern_key, category)
        self._rules = rules
        self._window = GroupWindow(rules.window_us, rules.window_trades, rules.retention_us)
        self._table = ItemTable()
        self._ids: dict[Items, tuple[str, dict[str, str]]] = {}
        self._known: dict[Items, _Content] = {}
        self._handed: dict[str, _Content | None] = {}  # lesson id → what was published last
        self._handed_summary: _Summary | None = None
        self._touched: dict[Items, None] = {}  # distinct scopes of trades that came or left since the last `changes`
        self._unmined = True  # something came or left since the last full one
        self._unpublished = False  # `adopt` found something that may differ

    def __len__(self) -> int:
        return len(self._window)

    @property
    def settled(self) -> bool:
        """Whether `changes(full=True)` would do nothing."""
        return not (self._unmined or self._unpublished)

    @property
    def needs_rebuild(self) -> bool:
        """See `GroupWindow`."""
        return self._window.needs_rebuild

    def fold(self, facts: Iterable[PatternTradeEvent], *, evict: bool = True) -> int:
        """Take in facts of this group (in any order, any number of times); returns how many lack the outcome that is learned from."""
        trades = [trade_of(fact, self._rules.outcome, self._table) for fact in facts]
        came, left = self._window.fold([trade for trade in trades if trade is not None], evict=evict)
        for trade in (*came, *left):
            self._touched.update(dict.fromkeys(trade.scopes))
            self._unmined = True
        return trades.count(None)

    def adopt(self, published: Iterable[Lesson], retired: Iterable[str], summary: GroupSummary | None, *, complete: bool) -> None:
        """Take these as what is published: all there is if `complete`, else some that another has written over ours."""
        if complete:
            self._handed.clear()
            self._handed_summary = None
        for lesson in published:
            self._handed[lesson.lesson_id] = _content_of(lesson) if lesson.learning == LEARNING else None
        for lesson_id in retired:
            if lesson_id == self.summary_id:
                self._handed_summary = None
            self._handed.pop(lesson_id, None)
        if summary is not None:
            self._handed_summary = (summary.n, summary.n_slices, summary.segments, summary.as_of)
        self._unpublished = True

    def changes(self, version: int, *, full: bool) -> Changes:
        """Bring the lessons up to date and hand out what differs, as of `version`."""
        if full and len(self._table) > 4 * self._rules.window_trades:
            self._renumber()
        data = incidence(self._window.trades.values(), self._table)
        if full and self._unmined:
            self._take(mine(data, self._rules.n_min, self._rules.max_dims), data, everything=True)
            self._unmined = False
        elif self._unmined:
            self._take(members_of(self._touched_slices(), data), data, everything=False)
        self._touched.clear()
        if full:
            self._unpublished = False
        return self._difference(version)

    def _renumber(self) -> None:
        """Start a new item table: the old one holds scopes of trades long gone."""
        old, self._table = self._table, ItemTable()
        for trade_id, trade in self._window.trades.items():
            scopes = tuple(self._table.items_of(old.scope_of(scope)) for scope in trade.scopes)
            self._window.trades[trade_id] = replace(trade, scopes=scopes)
        self._ids.clear()
        self._unmined = True

    def _touched_slices(self) -> list[Items]:
        """Known slices that match a scope of a trade that came or left: only their trades can have changed."""
        if not self._known or not self._touched:
            return []
        known = list(self._known)
        width = max(map(len, known)) or 1
        always = len(self._table.pairs)  # a column that is true for every scope pads short slices
        columns = np.array([items + (always,) * (width - len(items)) for items in known])
        has = np.zeros((len(self._touched), always + 1), bool)
        has[:, always] = True
        for row, items in enumerate(self._touched):
            has[row, list(items)] = True
        touched = np.zeros(len(known), bool)
        for row in has:
            touched |= row[columns].all(axis=1)
        return [known[i] for i in np.flatnonzero(touched)]

    def _take(self, members: Members, data: Incidence, *, everything: bool) -> None:
        enough = members.n >= max(self._rules.n_min, 1)
        gone = [items for items, ok in zip(members.items, enough, strict=True) if not ok]
        if gone:
            members = _select(members, enough)
        found = dict(zip(members.items, _contents(statistics(members, data)), strict=True))
        if everything:
            self._known = found
        else:
            self._known.update(found)
            for items in gone:
                del self._known[items]

    def _identify(self, items: Items) -> tuple[str, dict[str, str]]:
        known = self._ids.get(items)
        if known is None:
            scope = self._table.scope_of(items)
            known = self._ids[items] = (slice_id(*self.identity, scope), scope)
        return known

    def _difference(self, version: int) -> Changes:
        module, pattern_key, category = self.identity
        lessons: list[Lesson] = []
        now: set[str] = set()
        for items, content in self._known.items():
            lesson_id, scope = self._identify(items)
            now.add(lesson_id)
            if self._handed.get(lesson_id) == content:
                continue
            n, mean, variance, state, multiplier, slope, first, last = content
            lessons.append(
                Lesson(
                    learning=LEARNING,
                    lesson_id=lesson_id,
                    module=module,
                    pattern_key=pattern_key,
                    action_category=category,
                    scope=scope,
                    n=n,
                    mean=mean,
                    variance=variance,
                    decay=LessonDecay(state, multiplier, slope),
                    evidence=Evidence(first, last, version),
                    as_of=last,
                    version=version,
                )
            )
            self._handed[lesson_id] = content
        retired = [lesson_id for lesson_id in self._handed if lesson_id not in now]
        for lesson_id in retired:
            del self._handed[lesson_id]
        return Changes(lessons, retired, *self._summary_difference(version))

    def _summary_difference(self, version: int) -> tuple[GroupSummary | None, bool]:
        if not len(self._window):
            existed, self._handed_summary = self._handed_summary is not None, None
            return None, existed
        trades = self._window.trades.values()
        content = (len(self._window), len(self._known), segment_sums(trades), to_text(self._window.newest_us))
        if content == self._handed_summary:
            return None, False
        self._handed_summary = content
        module, pattern_key, category = self.identity
        n, n_slices, segments, as_of = content
        summary = GroupSummary(
            learning=LEARNING,
            lesson_id=self.summary_id,
            module=module,
            pattern_key=pattern_key,
            action_category=category,
            n=n,
            n_slices=n_slices,
            segments=segments,
            as_of=as_of,
            version=version,
        )
        return summary, False


def _select(members: Members, keep: np.ndarray) -> Members:
    items = [items for items, ok in zip(members.items, keep, strict=True) if ok]
    starts = np.concatenate([[0], np.cumsum(members.n[keep])]).astype(np.int64)
    return Members(items, starts, members.trades[np.repeat(keep, members.n)])


def _contents(found: SliceStatistics) -> Sequence[_Content]:
    states, multipliers = classic.decay(found.slope, found.distinct_exits)
    slopes = [None if state == 0 else slope for state, slope in zip(states.tolist(), found.slope.tolist(), strict=True)]
    texts = {us: to_text(us) for us in np.unique(np.concatenate([found.first_us, found.last_us])).tolist()}
    return list(
        zip(
            found.n.tolist(),
            found.mean.tolist(),
            found.variance.tolist(),
            [classic.STATES[state] for state in states.tolist()],
            multipliers.tolist(),
            slopes,
            [texts[us] for us in found.first_us.tolist()],
            [texts[us] for us in found.last_us.tolist()],
            strict=True,
        )
    )


def _content_of(lesson: Lesson) -> _Content:
    d, e = lesson.decay, lesson.evidence
    return (lesson.n, lesson.mean, lesson.variance, d.state, d.multiplier, d.slope_per_hour, e.from_ts, e.to_ts)
