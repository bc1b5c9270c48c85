"""Event time as a number: RFC 3339 text in UTC with microseconds ⇄ whole microseconds since 1970.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from edgeloop.times import moment_of
from schemas.times import DAY_US, HOUR_US, micros_since_epoch

__all__ = ["DAY_US", "HOUR_US", "micros_from_text", "text_from_micros"]


def micros_from_text(text: str) -> int:
    """Microseconds since the epoch of an RFC 3339 time.

    Parameters
    ----------
    text
        The time.

    Returns
    -------
    Microseconds since 1970-01-01T00:00:00Z.

    Raises
    ------
    ValueError
        If `text` is not a time, or has no offset from UTC.

    >>> micros_from_text("1970-01-02T00:00:00.000001Z")
    86400000001
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"The time {text!r} has no offset from UTC.")
    return micros_since_epoch(moment)


@lru_cache(maxsize=4_096)
def text_from_micros(micros: int) -> str:
    """RFC 3339 text in UTC with microseconds, as facts have it.

    Parameters
    ----------
    micros
        Microseconds since the epoch.

    Returns
    -------
    The text.

    >>> text_from_micros(86_400_000_001)
    '1970-01-02T00:00:00.000001Z'
    """
    moment = moment_of(int(micros))
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
