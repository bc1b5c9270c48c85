"""The contents of one owned partition, as metrics: groups and their windows, or lessons, overrides
by action and age, and the weights of learners.

May touch: the metrics, and the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from heapq import nsmallest

import numpy as np
from numpy.typing import NDArray

from app.learning.common.event_time import micros_from_text
from app.learning.methods import GroupLearner, Judge
from app.metrics import (
    GROUPS,
    HELD_GROUPS,
    HYPOTHESES,
    LESSONS,
    OVERRIDE_AGES,
    OVERRIDES,
    WAITING_GROUPS,
    WEIGHT,
    WINDOW_BYTES,
)
from edgeloop.identity import CATEGORIES
from edgeloop.overrides import Override
from schemas.lessons import GroupSummary, Lesson
from schemas.times import DAY_S

SHOW_EVERY_S = 5.0
"""How often the sizes of a partition's windows are added up."""
SHOWN_MODULES = 100
"""Maximum number of modules of a partition whose weights are published as metrics: names of modules
come from events, which must not create an unlimited number of metrics."""


class GroupGauges:
    """The gauges of one partition of facts."""

    def __init__(self, partition: int) -> None:
        self._partition = str(partition)
        self._next_s = 0.0

    def show(self, groups: Collection[GroupLearner], owing: tuple[int, int], held: int) -> None:
        """Set the metrics: `owing` groups (large, small) owe a refit, `held` wait for memory."""
        for size, waiting in zip(("large", "small"), owing, strict=True):
            WAITING_GROUPS.labels(self._partition, size).set(waiting)
        HELD_GROUPS.labels(self._partition).set(held)
        if time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + SHOW_EVERY_S
            GROUPS.labels(self._partition).set(len(groups))
            WINDOW_BYTES.labels(self._partition).set(sum(group.window.nbytes for group in groups))


class ModuleGauges:
    """The gauges of one partition of lessons.  They count by key, so that order and repetition do
    not matter."""

    def __init__(self, partition: int) -> None:
        self._partition = str(partition)
        self._lessons = 0
        self._slices: dict[str, int] = {}
        # newest exit in µs · number of categories + place of the category
        self._overrides: dict[str, int] = {}
        # in seconds by category, in order; replaced as a whole
        self._newest: dict[str, NDArray[np.float64]] = {}
        self._changed = True
        for action in CATEGORIES:
            for age, (start, end) in OVERRIDE_AGES.items():
                count = self._count(action, start * DAY_S, end * DAY_S)
                OVERRIDES.labels(self._partition, action, age).set_function(count)

    def lesson(self, key: str, record: Lesson | GroupSummary | None, *, known: bool) -> None:
        """Take in a lesson or a group's summary; None if it was retired.  `known`: the key was in
        force before."""
        if known and self._slices.pop(key, None) is None:
            self._lessons -= 1
        if isinstance(record, GroupSummary):
            self._slices[key] = record.n_slices
        elif record is not None:
            self._lessons += 1
        self._changed = True

    def override(self, key: str, record: Override | None) -> None:
        """Take in an override; None if it was retired."""
        if record is None:
            self._overrides.pop(key, None)
        else:
            self._overrides[key] = _stamp(record.evidence.to_ts, record.action_category)
        self._changed = True

    def no_overrides(self) -> None:
        """Forget all overrides: the published ones are read again."""
        self._overrides.clear()
        self._changed = True

    def show(self) -> None:
        """Set the metrics."""
        if not self._changed:
            return
        self._changed = False
        LESSONS.labels(self._partition).set(self._lessons)
        HYPOTHESES.labels(self._partition).set(sum(self._slices.values()))
        newest, place = np.divmod(
            np.fromiter(self._overrides.values(), np.int64, len(self._overrides)), len(CATEGORIES)
        )
        self._newest = {
            action: np.sort(newest[place == number]) / 1e6
            for number, action in enumerate(CATEGORIES)
        }

    def show_weights(self, modules: Mapping[str, Judge], judged: Collection[str]) -> None:
        """Set the weights of learners in the `judged` ones of the `modules`."""
        if not judged:
            return
        shown = set(nsmallest(SHOWN_MODULES, modules))
        for module in shown.intersection(judged):
            for category, counts in modules[module].counts().items():
                for learner, weight in counts._asdict().items():
                    WEIGHT.labels(module, category, learner).set(weight)

    def _count(self, action: str, start_s: float, end_s: float) -> Callable[[], float]:
        """Count when asked, since ages grow even if nothing changes."""

        def count() -> float:
            newest, now_s = self._newest.get(action), time.time()
            if newest is None:
                return 0.0
            from_s = now_s - start_s if start_s else float("inf")
            first, last = np.searchsorted(newest, (now_s - end_s, from_s))
            return float(last - first)

        return count


@lru_cache(maxsize=4096)
def _stamp(to_ts: str, category: str) -> int:
    """A newest exit and a category as one number; one object for equal ones, which are many."""
    return micros_from_text(to_ts) * len(CATEGORIES) + CATEGORIES.index(category)
