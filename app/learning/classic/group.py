"""One group's learner: its window, and the statistics of its slices, updated as trades enter and
leave.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from app.learning.classic import formulas
from app.learning.classic.slices import Incidence
from app.learning.classic.statistics import SliceStatistics, joined, slice_statistics
from app.learning.common.event_time import text_from_micros
from app.learning.common.outbox import Outbox
from app.learning.common.refit import Refit, Work, require_trades
from app.learning.common.rounding import shortened
from app.learning.common.segments import segment_sums
from app.learning.common.size_unit import robust_sd
from app.learning.common.trade_columns import Trades
from app.learning.common.window import GroupWindow, Snapshot
from edgeloop.identity import group_id, slice_id
from edgeloop.overrides import Evidence
from schemas.kinds import LESSONS
from schemas.lessons import GroupSummary, Lesson, LessonDecay

FULL_SHARE = 64
"""All slices are mined again when more than one in this many trades entered or left, since that is
then faster (5 000 trades × 19 dims, 47 000 slices: 24 ms for one trade that came and one that went,
280 for thirty of each, 260 for recomputing all)."""


class ClassicLearner:
    """Lessons of one group: every slice of at least `n_min` trades and at most `max_dims`
    dimensions.

    `fold` takes trades in; `refit` updates what they touched and returns the differences. The
    lessons equal those of a new learner on the same trades, to the last bit.

    Parameters
    ----------
    module, pattern_key, action_category
        The group.
    window_us
        Length of the window, in microseconds.
    window_trades
        Most trades in the window.
    n_min
        Trades that a slice needs for a lesson.
    max_dims
        Most dimensions of a slice; 0 means no limit.
    outcome
        What trades are measured by; every outcome but `rr` needs a unit of size.

    >>> from app.learning.common.trade import Trade
    >>> learner = ClassicLearner(
    ...     "pm", "pm.uptrend.S1.entry", "add", window_us=10**9, window_trades=100, n_min=2,
    ...     max_dims=3,
    ... )
    >>> learner.fold(
    ...     Trade(
    ...         str(i), (0, 1, i, "e", "00"), i, float(i), ("micro", "1h"), True,
    ...         ({"chain": "sol"} if i else {},),
    ...     )
    ...     for i in range(4)
    ... )
    >>> lessons, retired, summary = learner.refit(version=7)
    >>> [(lesson.scope, lesson.n, lesson.mean, lesson.variance) for lesson in lessons]
    [({}, 4, 1.5, 1.6666666666666667), ({'chain': 'sol'}, 3, 2.0, 1.0)]
    >>> summary.n_slices, [(s.n, s.sum, s.sum_sq) for s in summary.segments]
    (2, [(4, 6.0, 14.0)])
    >>> learner.refit(version=8)
    Refit(lessons=[], retired=[], summary=None)
    """

    apart = False

    def __init__(
        self,
        module: str,
        pattern_key: str,
        action_category: str,
        *,
        window_us: int,
        window_trades: int,
        n_min: int,
        max_dims: int,
        outcome: str = "rr",
    ) -> None:
        self.module = module
        self.search_cut = False
        self.pattern_key = pattern_key
        self.action_category = action_category
        self.n_min = n_min
        self.max_dims = max_dims
        self.outcome = outcome
        self.window = GroupWindow(window_us, window_trades)
        self.summary_id = group_id(module, pattern_key, action_category)
        self._known = _KnownSlices()
        self._summary: Outbox[GroupSummary] = Outbox(LESSONS)
        # It holds only records that another owner published: our own changed lessons are found from
        # the statistics, which saves the memory for tens of thousands of lessons.
        self._adopted: Outbox[Lesson] | None = None

    @property
    def needs_rebuild(self) -> bool:
        """True while the window lacks trades; see `GroupWindow`."""
        return self.window.needs_rebuild

    @property
    def dirty(self) -> bool:
        """Whether a refit may change anything."""
        return self.window.changed or self._adopted is not None

    @property
    def n_slices(self) -> int:
        """Slices at the last refit."""
        return len(self._known.slot_of)

    @property
    def touched(self) -> bool:
        """False: a refit costs only what has changed, so there are no provisional results."""
        return False

    @property
    def due(self) -> bool:
        """As `dirty`."""
        return self.dirty

    @property
    def stale(self) -> float:
        """1: the changes are not known before a refit."""
        return 1.0

    def provisional(self, version: int) -> Refit:
        """The same as `refit`.

        Parameters
        ----------
        version
            The version that changed records are marked with.

        Returns
        -------
        What differs.
        """
        return self.refit(version)

    def begin(self, version: int) -> None:
        """Do nothing: a refit is too short for a thread of its own.

        Parameters
        ----------
        version
            Not used.
        """

    def finish(self, work: Work, found: object, version: int) -> Refit:
        """Never called, as `begin` begins nothing.

        Parameters
        ----------
        work, found, version
            Not used.

        Returns
        -------
        Nothing.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError

    def fold(self, trades: Trades) -> None:
        """Add trades.

        Parameters
        ----------
        trades
            Trades or corrections of them, in any order, repeated or not.
        """
        self.window.fold(trades)

    def adopt(self, published: Iterable[Lesson | GroupSummary]) -> None:
        """Start from the published records: the next refit returns the differences from them, and
        retires those that no longer hold.

        Parameters
        ----------
        published
            All records of this group that are published.
        """
        records = list(published)
        self._summary.adopt(record for record in records if isinstance(record, GroupSummary))
        self._adopted = Outbox(LESSONS)
        self._adopted.adopt(record for record in records if isinstance(record, Lesson))

    def refit(self, version: int) -> Refit:
        """The changes since the last refit or `adopt`.

        Parameters
        ----------
        version
            The version that changed records are marked with.

        Returns
        -------
        What differs; empty if no trade has changed, whatever the version.

        Raises
        ------
        RebuildNeeded
            While the window lacks trades.
        """
        require_trades(self.window, self.pattern_key, self.action_category)
        if not self.dirty:
            return Refit([], [], None)
        summary = None
        changed: list[int] = []
        retired: list[str] = []
        if self.window.changed:
            snapshot = self.window.snapshot(ids=False)
            changed, retired = self._learn(snapshot)
            summary = self._summarised(snapshot, version)
        elif len(self.window):
            summary = self._summarised(self.window.snapshot(ids=False), version)
        if self._adopted is None:
            lessons = self._lessons(changed, version)
        else:
            difference = self._adopted.replace(
                self._lessons(list(self._known.slot_of.values()), version), version
            )
            lessons, retired = difference.published, difference.retired
            self._adopted = None
        about_group = self._summary.replace([] if summary is None else [summary], version)
        summaries = about_group.published
        return Refit(lessons, retired + about_group.retired, summaries[0] if summaries else None)

    def lessons(self, version: int) -> list[Lesson]:
        """All lessons as of the last refit.

        Parameters
        ----------
        version
            The version that they are marked with.

        Returns
        -------
        The lessons.
        """
        return self._lessons(list(self._known.slot_of.values()), version)

    def _learn(self, snapshot: Snapshot) -> tuple[list[int], list[str]]:
        """Bring the statistics up to date: slots of slices that are new or changed, ids of those
        that fell below n_min."""
        window, known = self.window, self._known
        incidence = Incidence(snapshot)
        moved = window.n_fresh + len(window.removed_rows())
        full = FULL_SHARE * moved > len(window) or not known.slot_of
        keys: list[bytes] = []
        items: list[NDArray[np.uint32]] = []
        parts: list[SliceStatistics] = []
        for block in incidence.mine(self.n_min, self.max_dims, fresh=not full):
            keys += _keys(block.items)
            items.append(block.items)
            parts.append(
                slice_statistics(incidence, block.trades, snapshot.exit_us, snapshot.outcome)
            )
        gone: list[bytes] = []
        if full:
            gone = list(known.slot_of.keys() - set(keys))
        elif window.removed_rows():
            done = set(keys)
            slots = [
                s
                for s in known.touched(window.removed_rows(), window.n_items)
                if known.keys[s] not in done
            ]
            if slots:
                block = incidence.slices(known.items[slots])
                enough = block.n >= self.n_min
                gone = [
                    known.keys[s]
                    for s, stays in zip(slots, enough.tolist(), strict=True)
                    if not stays
                ]
                keys += [
                    known.keys[s] for s, stays in zip(slots, enough.tolist(), strict=True) if stays
                ]
                items.append(known.items[slots][enough])
                parts.append(
                    slice_statistics(
                        incidence, block.trades[enough], snapshot.exit_us, snapshot.outcome
                    )
                )
        retired = known.drop(gone)
        changed = known.store(keys, items, joined(parts))
        window.settle()
        renumbered = window.recode()
        if renumbered is not None:
            known.renumber(renumbered)
        for slot in changed:
            if not known.lesson_ids[slot]:
                known.lesson_ids[slot] = slice_id(
                    self.module, self.pattern_key, self.action_category, self._scope(slot)
                )
        return changed, retired

    def _scope(self, slot: int) -> dict[str, str]:
        return dict(
            sorted(self.window.pair(item) for item in self._known.items[slot].tolist() if item)
        )

    def _lessons(self, slots: list[int], version: int) -> list[Lesson]:
        known = self._known
        counts = known.counts[slots].tolist()
        numbers = known.numbers[slots]
        states, multipliers = formulas.decay(numbers[:, 2], known.counts[slots, 1])
        texts = {us: text_from_micros(us) for us in np.unique(known.counts[slots, 2:]).tolist()}
        lessons = []
        for slot, (n, n_exits, first, last), (mean, variance, slope), state, multiplier in zip(
            slots, counts, numbers.tolist(), states.tolist(), multipliers.tolist(), strict=True
        ):
            lessons.append(
                Lesson(
                    learning="classic",
                    lesson_id=known.lesson_ids[slot],
                    module=self.module,
                    pattern_key=self.pattern_key,
                    action_category=self.action_category,
                    scope=self._scope(slot),
                    n=n,
                    mean=mean,
                    variance=variance,
                    decay=LessonDecay(
                        state=formulas.DECAY_STATES[state],
                        multiplier=multiplier,
                        slope_per_hour=slope if n_exits >= formulas.DECAY_EXITS else None,
                    ),
                    evidence=Evidence(
                        from_ts=texts[first], to_ts=texts[last], lesson_version=version
                    ),
                    as_of=texts[last],
                    version=version,
                )
            )
        return lessons

    def _summarised(self, snapshot: Snapshot, version: int) -> GroupSummary:
        return GroupSummary(
            learning="classic",
            lesson_id=self.summary_id,
            module=self.module,
            pattern_key=self.pattern_key,
            action_category=self.action_category,
            n=len(snapshot.exit_us),
            n_slices=self.n_slices,
            segments=segment_sums(snapshot),
            as_of=text_from_micros(int(snapshot.exit_us[-1])),
            version=version,
            robust_sd=None if self.outcome == "rr" else shortened(robust_sd(snapshot.outcome)),
        )


class _KnownSlices:
    """The slices of a group and their statistics, a slot each.

    A slice's key is its items as bytes, in order of dimension.  `items` (slots, width) padded with
    0; `numbers` (slots, 3): mean, variance, slope; `counts` (slots, 4): n, distinct exits (0 if too
    few for a slope, else 5), first and last exit in µs.
    """

    def __init__(self) -> None:
        self.slot_of: dict[bytes, int] = {}
        self.keys: list[bytes] = []
        self.lesson_ids: list[str] = []
        self.items = np.zeros((0, 1), np.uint32)
        self.numbers = np.zeros((0, 3), np.float64)
        self.counts = np.zeros((0, 4), np.int64)
        self._free: list[int] = []

    def touched(self, removed: list[NDArray[np.unsignedinteger]], n_items: int) -> list[int]:
        """Slots of the slices that one of the removed trades was in; `removed` holds each one's
        scope rows (rows, D)."""
        hit = np.zeros(len(self.items), np.bool_)
        for row in np.unique(np.concatenate([_as_wide(rows, removed) for rows in removed]), axis=0):
            has = np.zeros(n_items, np.bool_)
            has[row] = True
            has[0] = True
            hit |= has[self.items].all(axis=1)
        hit[self._free] = False
        slots: list[int] = np.flatnonzero(hit).tolist()
        return slots

    def store(
        self, keys: list[bytes], items: list[NDArray[np.uint32]], statistics: SliceStatistics
    ) -> list[int]:
        """Take statistics in; the slots of slices that are new or whose statistics differ in any
        bit."""
        if not keys:
            return []
        slot_of = self.slot_of
        slots = [slot_of.get(key, -1) for key in keys]
        new = [i for i, slot in enumerate(slots) if slot < 0]
        self._make_room(len(new), max(block.shape[1] for block in items))
        for i in new:
            slot = self._free.pop()
            slots[i] = slot_of[keys[i]] = slot
            self.keys[slot], self.lesson_ids[slot] = keys[i], ""
        where = np.array(slots)
        few = statistics.n_exits < formulas.DECAY_EXITS
        slope = np.where(few, 0.0, statistics.slope)
        # -0.0 and 0.0 are one number
        numbers = np.column_stack((statistics.mean, statistics.variance, slope)) + 0.0
        exits = np.where(few, 0, formulas.DECAY_EXITS)
        counts = np.column_stack((statistics.n, exits, statistics.first_us, statistics.last_us))
        differs = (self.numbers[where].view(np.int64) != numbers.view(np.int64)).any(axis=1)
        differs |= (self.counts[where] != counts).any(axis=1)
        differs[new] = True
        self.numbers[where], self.counts[where] = numbers, counts
        start = 0
        for block in items:
            part = where[start : start + len(block)]
            self.items[part] = 0
            self.items[part, : block.shape[1]] = block
            start += len(block)
        changed: list[int] = where[differs].tolist()
        return changed

    def drop(self, keys: list[bytes]) -> list[str]:
        """Forget slices; their lesson ids, sorted."""
        slots = [self.slot_of.pop(key) for key in keys]
        self._free += slots
        return sorted(self.lesson_ids[slot] for slot in slots)

    def renumber(self, renumbered: NDArray[np.int64]) -> None:
        """Items got new numbers."""
        slots = list(self.slot_of.values())
        self.items = renumbered[self.items].astype(np.uint32)
        self.slot_of = {}
        for slot in slots:
            key = self.items[slot][self.items[slot] > 0].tobytes()
            self.keys[slot] = key
            self.slot_of[key] = slot

    def _make_room(self, more: int, width: int) -> None:
        size, columns = self.items.shape
        lacking = more - len(self._free)
        room = max(lacking, size) if lacking > 0 else 0
        if room or width > columns:
            items = np.zeros((size + room, max(width, columns)), np.uint32)
            items[:size, :columns] = self.items
            self.items = items
        if room:
            self.numbers = np.concatenate((self.numbers, np.zeros((room, 3))))
            self.counts = np.concatenate((self.counts, np.zeros((room, 4), np.int64)))
            self.keys += [b""] * room
            self.lesson_ids += [""] * room
            self._free += range(size + room - 1, size - 1, -1)


def _as_wide(
    rows: NDArray[np.unsignedinteger], removed: list[NDArray[np.unsignedinteger]]
) -> NDArray[np.uint32]:
    """Rows with as many columns as the widest of `removed` (a dimension may have been discovered in
    between)."""
    wide = np.zeros((len(rows), max(r.shape[1] for r in removed)), np.uint32)
    wide[:, : rows.shape[1]] = rows
    return wide


def _keys(items: NDArray[np.uint32]) -> list[bytes]:
    """The bytes of each row (K, k)."""
    if not items.shape[1]:
        return [b""] * len(items)
    rows: list[bytes] = np.ascontiguousarray(items).view(f"V{4 * items.shape[1]}").ravel().tolist()
    return rows
