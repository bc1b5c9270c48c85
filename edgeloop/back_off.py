"""How long to wait before a request to Kafka or PostgreSQL is tried again.

May touch: nothing.
"""

from __future__ import annotations

FIRST_S, MOST_S = 0.1, 5.0
"""The first wait and the longest one: a server that restarts is not flooded, and one that is back
is noticed soon."""
_DOUBLINGS = 6
"""After this many the wait is the longest.  A larger power would overflow one day: a server may be
away for weeks."""


def back_off_s(attempt: int) -> float:
    """Seconds to wait before retry number `attempt` (0, 1, …).

    >>> [back_off_s(attempt) for attempt in (0, 1, 2, 10, 1_000_000)]
    [0.1, 0.2, 0.4, 5.0, 5.0]
    """
    return min(MOST_S, FIRST_S * 2.0 ** min(attempt, _DOUBLINGS))
