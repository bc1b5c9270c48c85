"""Apply a promotion as a whole: hundreds of records become effective at once, or not at all.

May touch: nothing.

1. A promotion is one transaction, and the book reads committed records only: it sees nothing of an
   aborted one.
2. Each of its records has the promotion's id and the number of its records in the partition.  From
   the first one on, records of the partition are held back until all of them have arrived.
3. Compaction may have removed some.  But no log end that the broker reports lies within a
   transaction: once everything before such an end has been read, all remaining records of the
   promotions that began before it have arrived.
4. Then all records held back become effective in one assignment, between two queries.  A module is
   in one partition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class Promotions:
    """Holds back records of a partition, in log order, until a promotion is complete."""

    def __init__(self) -> None:
        self._held: dict[int, list[Any]] = {}  # by partition
        self._missing: dict[
            int, dict[bytes, int]
        ] = {}  # partition → promotion → number of records still missing

    def ready(self, partition: int, records: Sequence[Any]) -> Sequence[Any]:
        """The records, of the new ones and those held back, that may become effective."""
        held, missing = self._held.pop(partition, []), self._missing.get(partition, {})
        free = 0  # number of held records to release
        for record in records:
            held.append(record)
            if (promotion := _promotion(record.headers)) is not None:
                name, n = promotion
                missing[name] = missing.get(name, n) - 1
                if missing[name] <= 0:
                    del missing[name]
            if not missing:
                free = len(held)
        if free < len(held):
            self._held[partition], self._missing[partition] = held[free:], missing
        else:
            self._missing.pop(partition, None)
        return held[:free]

    def complete_before(self, ends: Mapping[int, int]) -> list[Any]:
        """The records of partitions whose promotions began before `ends` (partition → offset).

        Everything before that has been read.
        """
        done = [p for p, held in self._held.items() if held[0].offset < ends[p]]
        records = []
        for partition in done:
            held = self._held.pop(partition)
            del self._missing[partition]
            past = next(
                (i for i, record in enumerate(held) if record.offset >= ends[partition]), len(held)
            )
            records += held[:past]
            records += self.ready(partition, held[past:])
        return records


def _promotion(headers: Iterable[tuple[str, bytes]]) -> tuple[bytes, int] | None:
    """Id of the record's promotion, and the number of its records in the partition."""
    found = {name: value for name, value in headers if name in ("promotion", "promotion.records")}
    try:
        return found["promotion"], int(found["promotion.records"])
    except (KeyError, ValueError, TypeError):  # a header may be null
        return None
