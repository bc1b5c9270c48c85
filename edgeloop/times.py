"""The epoch, from which times that are numbers count.

May touch: nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment_of(micros: int) -> datetime:
    """The time so many microseconds after the epoch, in UTC.

    >>> moment_of(86_400_000_001).isoformat()
    '1970-01-02T00:00:00.000001+00:00'
    """
    return EPOCH + timedelta(microseconds=micros)
