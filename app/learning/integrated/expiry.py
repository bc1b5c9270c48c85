"""Expiry: until when an override holds if nothing renews it.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from functools import lru_cache

from app.learning.common.event_time import DAY_US, micros_from_text, text_from_micros

LIFETIME_US = 30 * DAY_US
"""An override expires this long after its group's newest trade, or after the last multiple of
`ALIVE_US` that the module's newest trade has passed, whichever is later."""
ALIVE_US = 7 * DAY_US
"""A group that trades once a month is as alive as its module: its overrides are renewed on this
grid while others trade."""


def alive_at(newest_us: int) -> int:
    """The last point of the grid that a module's newest trade has passed.

    Parameters
    ----------
    newest_us
        Newest exit of the module, in microseconds since the epoch.

    Returns
    -------
    A multiple of `ALIVE_US`.
    """
    return newest_us // ALIVE_US * ALIVE_US


@lru_cache(maxsize=256)
def expires_at(as_of: str, newest_us: int) -> str:
    """When an override expires.

    Parameters
    ----------
    as_of
        Newest exit of its group.
    newest_us
        Newest exit of its module, in microseconds since the epoch.

    Returns
    -------
    The time as published.

    >>> expires_at("2024-03-01T00:00:00.000000Z", 0)
    '2024-03-31T00:00:00.000000Z'
    """
    return text_from_micros(max(micros_from_text(as_of), alive_at(newest_us)) + LIFETIME_US)
