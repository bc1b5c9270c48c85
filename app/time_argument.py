"""Parse a point in time that is given to a command or a page.

May touch: the clock.
"""

from __future__ import annotations

from datetime import UTC, datetime

from app.errors import UsageError

EXPECTED = "Expected a form like 2026-01-31T12:00:00Z."


def parse_time(text: str | None, expected: str = EXPECTED) -> datetime:
    """Parse an RFC 3339 time with its offset; None is now.  Raises `UsageError`, with `expected` as
    the remedy."""
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise UsageError(
            f"{text!r} is not a time with a UTC offset.",
            expected,
        )
    return moment
