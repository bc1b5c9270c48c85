"""The learner of one group: which slices have an edge of their own, how large it is, and what is
left of it now.

May touch: nothing but its arguments.  A refit computes everything from the trades in the window
(`group_refit.py`), so that lessons are a function of the set of trades; it returns the differences
from the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from app.learning.common.config import LearningConfig
from app.learning.common.digests import Digests
from app.learning.common.item_names import Names
from app.learning.common.refit import Refit, require_trades
from app.learning.common.trade_columns import Trades
from app.learning.common.window import GroupWindow, Moves, Snapshot
from app.learning.integrated.group_refit import Learned, Task, learn
from app.learning.integrated.provisional_estimates import ProvisionalEstimates
from app.learning.integrated.track_record import Record
from edgeloop.identity import group_id
from schemas.kinds import LESSONS
from schemas.lessons import GroupSummary, Lesson


class Learning:
    """A refit under way: `run` it on any thread, or have its `apart` run in another process; then
    pass it to its learner's `finish`.

    Parameters
    ----------
    learn
        Computes the result from a snapshot and a version.
    task
        The same as a task, from the names of items, a snapshot and a version.
    window
        The group's window.
    snapshot
        Its trades; None if it is empty.
    version
        The version that the refit began at.
    """

    def __init__(
        self,
        learn: Callable[[Snapshot | None, int], Learned],
        task: Callable[[Names, Snapshot | None, int], Task],
        window: GroupWindow,
        snapshot: Snapshot | None,
        version: int,
    ) -> None:
        self._learn, self._task = learn, task
        self._window, self._snapshot = window, snapshot
        self.version = version

    def run(self) -> Learned:
        """The result, on any thread.

        Returns
        -------
        What was learned from the snapshot.
        """
        return self._learn(self._snapshot, self.version)

    def apart(self) -> tuple[Callable[[Task], Learned], Task]:
        """The same as a function and its argument, which can be pickled.

        Returns
        -------
        `learn` and its task.
        """
        return learn, self._task(self._window.names(), self._snapshot, self.version)


class IntegratedLearner:
    """Lessons of one group: `{}`, its chosen effects, and the strongest of the slices that were not
    chosen.

    The interface is that of `app.learning.methods.GroupLearner`: `fold` takes trades in, and
    `refit` returns what differs from the last refit, or from the published records that were passed
    to `adopt`.

    Parameters
    ----------
    module, pattern_key, action_category
        The group.
    config
        The settings of the learning.
    between
        Whether `provisional` estimates the chosen effects again between two refits, at a cost that
        depends on the trades that came and went alone.

    >>> from app.learning.common.trade import Trade
    >>> learner = IntegratedLearner("pm", "pm.uptrend.S1.entry", "add", LearningConfig(n_min=20))
    >>> learner.fold(
    ...     Trade(
    ...         str(i), (0, 1, i, "e", "00"), i * 3_600_000_000, float(i % 7 + 5 * (i % 4 == 0)),
    ...         ("micro", "1h"), True, ({"x": str(i % 4)},),
    ...     )
    ...     for i in range(100)
    ... )
    >>> lessons, retired, summary = learner.refit(version=7)
    >>> [
    ...     (lesson.scope, lesson.marginal.step, round(lesson.marginal.effect, 1))
    ...     for lesson in lessons
    ...     if lesson.marginal.step == 0
    ... ]
    [({'x': '0'}, 0, 5.0)]
    >>> learner.refit(version=8)
    Refit(lessons=[], retired=[], summary=None)
    """

    apart = True

    def __init__(
        self,
        module: str,
        pattern_key: str,
        action_category: str,
        config: LearningConfig,
        between: bool = False,
    ) -> None:
        self.module = module
        self.pattern_key = pattern_key
        self.action_category = action_category
        self.window = GroupWindow(config.window_us, config.window_trades)
        self.summary_id = group_id(module, pattern_key, action_category)
        self.search_cut = False
        """Whether the last refit's search left out its deepest slices: see `MAX_CELLS`."""
        self._config = config
        self._lessons: Digests[Lesson] = Digests(LESSONS)
        self._summary: Digests[GroupSummary] = Digests(LESSONS)
        self._learned = False
        self._record = Record()
        self._follows = between
        self._provisional: ProvisionalEstimates | None = None
        self._sent_provisional = self._under_way = False
        self._since: list[tuple[Moves, Moves] | None] = []
        """What moved since the refit that is under way began."""

    @property
    def needs_rebuild(self) -> bool:
        """True while the window lacks trades; see `GroupWindow`."""
        return self.window.needs_rebuild

    @property
    def dirty(self) -> bool:
        """Whether a refit may change anything."""
        return self.window.changed or not self._learned or self._sent_provisional or self._under_way

    def fold(self, trades: Trades) -> None:
        """Add trades.

        Parameters
        ----------
        trades
            Trades or corrections of them, in any order, repeated or not.
        """
        self.window.fold(trades)

    def adopt(self, published: Iterable[Lesson | GroupSummary]) -> None:
        """Start from the published records: the next refit returns what differs from them, and
        retires those that no longer hold.

        Parameters
        ----------
        published
            All records of this group that are published.
        """
        records = list(published)
        self._lessons.adopt(record for record in records if isinstance(record, Lesson))
        self._summary.adopt(record for record in records if isinstance(record, GroupSummary))
        self._learned = False

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
        work = self.begin(version)
        if work is None:
            return Refit([], [], None)
        return self.finish(work, work.run(), version)

    def begin(self, version: int) -> Learning | None:
        """Begin a refit of the trades that are in the window now.

        Until `finish`, the group may fold and publish provisionally, but not begin another refit.

        Parameters
        ----------
        version
            The version that changed records are marked with.

        Returns
        -------
        The refit, to be run and then finished; None if no trade has changed.

        Raises
        ------
        RebuildNeeded
            While the window lacks trades.
        """
        require_trades(self.window, self.pattern_key, self.action_category)
        if not self.dirty:
            return None
        if self.touched:
            self._take(version)
        snapshot = self.window.snapshot() if len(self.window) else None
        self.window.settle()
        if self._follows:
            self.window.follow()
        self._under_way, self._since = True, []
        return Learning(self._learn, self._task, self.window, snapshot, version)

    def finish(self, work: Learning, found: Learned, version: int) -> Refit:
        """What differs by the result of a refit, updated provisionally by what came meanwhile.

        Parameters
        ----------
        work
            The refit, from `begin`.
        found
            Its result.
        version
            The version that changed records are marked with.

        Returns
        -------
        What differs from the published records.

        Raises
        ------
        RebuildNeeded
            While the window lacks trades.
        """
        require_trades(self.window, self.pattern_key, self.action_category)
        lessons, summary, self._provisional, self.search_cut, self._record = found
        self._under_way, self._learned, self._sent_provisional = False, True, False
        if version != work.version:
            lessons = [_marked(lesson, version) for lesson in lessons]
        parts = self._since
        self._since = []
        if self.touched:
            parts.append(self.window.moves())
        for moves in parts:
            if self._provisional is None or moves is None:
                self._provisional = None
                break
            taken = self._provisional.take(*moves, self.window.segments, version)
            if taken is not None:
                lessons[: len(taken[0])], summary = taken
                self._sent_provisional = True
        if not self.window.changed and self.window.recode() is not None:
            self._record, self._provisional = Record(), None
        changed = self._lessons.replace(lessons, version)
        about_group = self._summary.replace([] if summary is None else [summary], version)
        return Refit(
            changed.published,
            changed.retired + about_group.retired,
            about_group.published[0] if about_group.published else None,
        )

    @property
    def touched(self) -> bool:
        """Whether `provisional` may return anything."""
        return self._provisional is not None and self.window.moved

    @property
    def due(self) -> bool:
        """Whether the group needs a refit next, and not `provisional`: its result may have changed
        by more than digits."""
        return self.dirty and (self._provisional is None or self._provisional.due)

    @property
    def stale(self) -> float:
        """Part of the trades that came or went since the last refit; 1 before the first."""
        return 1.0 if self._provisional is None else self._provisional.stale

    def provisional(self, version: int) -> Refit:
        """The changes, as far as they are known without a refit: see `provisional_estimates.py`.

        Parameters
        ----------
        version
            The version that changed records are marked with.

        Returns
        -------
        What differs; empty where only a refit can find it, and then `due` is true.

        Raises
        ------
        RebuildNeeded
            While the window lacks trades.
        """
        require_trades(self.window, self.pattern_key, self.action_category)
        taken = self._take(version) if self.touched else None
        if taken is None:
            return Refit([], [], None)
        self._sent_provisional = True
        lessons, summary = taken
        changed = self._lessons.update(lessons, version)
        about_group = self._summary.update([summary], version)
        return Refit(
            changed.published, [], about_group.published[0] if about_group.published else None
        )

    def _take(self, version: int) -> tuple[list[Lesson], GroupSummary] | None:
        """Take what moved into the estimates between refits; returns their results, if there are
        any."""
        moves = self.window.moves()
        if self._under_way:
            self._since.append(moves)
        if self._provisional is None or moves is None:
            self._provisional = None
            return None
        return self._provisional.take(*moves, self.window.segments, version)

    def lessons(self, version: int) -> list[Lesson]:
        """All lessons of the trades in the window, learned from scratch; what counts as published
        stays as it is.

        Parameters
        ----------
        version
            The version that they are marked with.

        Returns
        -------
        The lessons; none if the window is empty.
        """
        return self._learn(self.window.snapshot(), version).lessons if len(self.window) else []

    def _learn(self, snapshot: Snapshot | None, version: int) -> Learned:
        """A refit from scratch; of the window it reads nothing but the names of items."""
        return learn(self._task(self.window, snapshot, version))

    def _task(self, names: Names, snapshot: Snapshot | None, version: int) -> Task:
        return Task(
            self.module,
            self.pattern_key,
            self.action_category,
            self._config,
            self._follows,
            names,
            self._record,
            snapshot,
            version,
        )


def _marked(lesson: Lesson, version: int) -> Lesson:
    evidence = msgspec.structs.replace(lesson.evidence, lesson_version=version)
    return msgspec.structs.replace(lesson, version=version, evidence=evidence)
