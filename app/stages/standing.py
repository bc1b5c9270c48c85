"""The contents of one partition of lessons, as metrics: lessons, hypotheses, and overrides by
action and age.

May touch: the metrics.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable

from app.learning.common.event_time import micros_from_text
from app.metrics import HYPOTHESES, LESSONS, OVERRIDE_AGES, OVERRIDES
from edgeloop.identity import CATEGORIES
from edgeloop.overrides import Override
from schemas.lessons import GroupSummary, Lesson

_DAY_S = 86_400.0


class Standing:
    """Counts by key, so that order and repetition do not matter."""

    def __init__(self, partition: int) -> None:
        self._partition = str(partition)
        self._lessons: set[bytes] = set()
        self._slices: dict[bytes, int] = {}
        self._overrides: dict[str, tuple[str, float]] = {}
        self._newest: dict[str, list[float]] = {}  # by action, in order; replaced as a whole
        self._changed = True
        for action in CATEGORIES:
            for age, (start, end) in OVERRIDE_AGES.items():
                count = self._count(action, start * _DAY_S, end * _DAY_S)
                OVERRIDES.labels(self._partition, action, age).set_function(count)

    def lesson(self, key: bytes, record: Lesson | GroupSummary | None) -> None:
        """Take in a lesson or a group's summary; None if it was retired."""
        self._lessons.discard(key)
        self._slices.pop(key, None)
        if isinstance(record, GroupSummary):
            self._slices[key] = record.n_slices
        elif record is not None:
            self._lessons.add(key)
        self._changed = True

    def override(self, key: str, record: Override | None) -> None:
        """Take in an override; None if it was retired."""
        if record is None:
            self._overrides.pop(key, None)
        else:
            newest_s = micros_from_text(record.evidence.to_ts) / 1e6
            self._overrides[key] = (record.action_category, newest_s)
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
        LESSONS.labels(self._partition).set(len(self._lessons))
        HYPOTHESES.labels(self._partition).set(sum(self._slices.values()))
        newest: dict[str, list[float]] = {action: [] for action in CATEGORIES}
        for action, at_s in sorted(self._overrides.values()):
            newest[action].append(at_s)
        self._newest = newest

    def _count(self, action: str, start_s: float, end_s: float) -> Callable[[], float]:
        """Count when asked, since ages grow even if nothing changes."""

        def count() -> float:
            newest, now_s = self._newest.get(action, []), time.time()
            from_s = now_s - start_s if start_s else float("inf")
            return bisect_left(newest, from_s) - bisect_left(newest, now_s - end_s)

        return count
