"""The offsets that the broker has given to the records of this process.

They never go back in one log, so an offset that is given twice proves that the broker was rolled
back or has lost records, even if the log is as long as before by now.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

Place = tuple[str, int]
"""A topic (full name) and a partition."""


class Delivered:
    """Where each partition ended after the records that were delivered to it last.  The records of
    a partition are sent one batch after the other, by one producer.

    >>> delivered = Delivered()
    >>> delivered.note(("t", 0), 7, 3)
    >>> delivered.ends, delivered.lost
    ({('t', 0): 10}, {})
    >>> delivered.note(("t", 0), 8, 1)
    >>> delivered.ends, delivered.lost
    ({('t', 0): 9}, {('t', 0): 10})
    """

    def __init__(self) -> None:
        self._ends: dict[Place, int] = {}
        self._lost: dict[Place, int] = {}

    def note(self, place: Place, first: int, count: int) -> None:
        """Note that `count` records have the offsets from `first` on; -1 if the broker did not say
        which."""
        if first < 0:
            return
        reached = self._ends.get(place, 0)
        if first < reached:
            self._lost[place] = max(reached, self._lost.get(place, 0))
        self._ends[place] = first + count

    @property
    def ends(self) -> Mapping[Place, int]:
        """The end of each partition after the last delivery."""
        return dict(self._ends)

    @property
    def lost(self) -> Mapping[Place, int]:
        """The ends that partitions had reached before they were given the same offsets again."""
        return dict(self._lost)


DELIVERED = Delivered()
"""Those of this process."""
