"""How soon work is done, how long it runs, and when it rests: the times of all three schedulers.

May touch: nothing.

Each scheduler divides the time of the one above it.  None of them affects what is learned:

1. `app/ownership/owner.py` gives turns to partitions, and sends what differs after each turn.
2. `refit_schedule.py` gives turns to the groups of a partition, and refits them.
3. `refit_fairness.py` orders the groups that wait for a refit.
"""

from __future__ import annotations

from collections import deque

# 1. Partitions.

FULL_AFTER_QUIET_S = 0.25
"""A partition publishes changes in the last digits too after this time without input: they matter
to no reader, so they are worth a record only when there is nothing else to do."""
FULL_AFTER_S = 10.0
"""The same under a steady load, where no time is quiet."""
PARTITIONS_TURN_S = 0.05
"""After this time the turn of the partitions ends, so that results are sent and new records folded;
one group or module takes as long as it takes."""
BUSY_RECORDS = 2_000
"""A load is heavy where this many records came in within the last `BUSY_SPAN_S`."""
BUSY_SPAN_S = 1.0
PARTITIONS_PART = 0.1
"""The part of the time that turns take under a heavy load: the more records a refit covers, the
less it costs per record."""

# 2. Groups of a partition.

REFIT_AFTER_QUIET_S = 0.5
"""A group is refitted after this time without new trades; until then it publishes provisionally."""
REFIT_AFTER_S = 10.0
"""The same for a group that always gets new trades."""
GROUPS_TURN_S = 1.0
"""After this time the turn of the groups ends while no facts come."""
GROUPS_TURN_BUSY_S = 0.1
"""The same while facts come, since nothing else is published in the meantime."""
GROUPS_PART = 0.25
"""The part of the time that refits take while facts come; the rest is for folding and
publishing."""
HELD_S = 60.0
"""How long a group waits after a refit that ran out of memory."""

# 3. Groups that wait.

SMALL_GROUPS_PART = 0.25
"""The part of the time for groups with too few trades to have lessons, while both kinds wait."""


def rest_s(took_s: float, part: float) -> float:
    """How long work rests after `took_s`, so that it takes only `part` of the time.

    >>> rest_s(2.0, 0.25)
    6.0
    """
    return took_s * (1.0 / part - 1.0)


class Load:
    """Whether records come in quickly.  How many come at a time does not tell: after any delay it
    is many, and a rest would be the next delay.

    >>> load = Load()
    >>> [load.heavy(n, now_s) for n, now_s in ((600, 10.0), (600, 10.9), (600, 11.8), (1600, 12.0))]
    [False, False, False, True]
    """

    def __init__(self) -> None:
        self._came: deque[tuple[float, int]] = deque()

    def heavy(self, n: int, now_s: float) -> bool:
        """Note that `n` records came in at `now_s`; whether the load is heavy now."""
        self._came.append((now_s, n))
        while now_s - self._came[0][0] > BUSY_SPAN_S:
            self._came.popleft()
        return sum(n for _, n in self._came) >= BUSY_RECORDS


class Allowance:
    """How long work waits so that it sends at most some records per second: the time that the work
    itself takes counts.

    >>> allowance = Allowance(per_second=100.0)
    >>> allowance.wait_s(50, began_s=10.0, now_s=10.2)
    0.3
    >>> allowance.wait_s(50, began_s=10.5, now_s=12.0)  # at most so many: nothing is saved up
    0.0
    >>> allowance.wait_s(50, began_s=12.0, now_s=12.0)
    0.5
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._used_until_s = 0.0

    def wait_s(self, n: int, began_s: float, now_s: float) -> float:
        """How long to wait at `now_s`, once work that began at `began_s` has sent `n` records."""
        self._used_until_s = max(self._used_until_s, began_s) + n / self._per_second
        return round(max(0.0, self._used_until_s - now_s), 6)
