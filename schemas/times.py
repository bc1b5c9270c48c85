"""Time as a number: the lengths of a day and an hour, and microseconds since the epoch.

May touch: nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from edgeloop.times import EPOCH

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
DAY_MS = DAY_US // 1_000
DAY_S = DAY_MS // 1_000

_MICROSECOND = timedelta(microseconds=1)


def micros_since_epoch(moment: datetime) -> int:
    """Whole microseconds since 1970 of a time with an offset.

    >>> micros_since_epoch(datetime.fromisoformat("1970-01-02T00:00:00Z")) == DAY_US
    True
    """
    return (moment - EPOCH) // _MICROSECOND
