"""The parts of events for all adapters: the client's functions (`edgeloop.integrations.making`),
and those that only files need: encoding, keys, and ids if the data has none.

May touch: nothing.  Nothing here raises for bad data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

import orjson

from edgeloop.integrations.making import (
    DRAWDOWN_FLOOR,
    UNITS,
    US_DOLLARS,
    closing_id,
    days_between,
    digest,
    from_epoch,
    from_utc,
    is_time,
    number,
    real,
    return_to_drawdown,
    rfc3339,
    segment,
    without_nothing,
)

__all__ = [
    "DAYS",
    "DRAWDOWN_FLOOR",
    "LOCAL_UNITS",
    "TICKS",
    "UNITS",
    "US_DOLLARS",
    "Occurrences",
    "closing_id",
    "days_between",
    "digest",
    "encode",
    "from_epoch",
    "from_utc",
    "is_time",
    "joined",
    "key",
    "number",
    "real",
    "return_to_drawdown",
    "rfc3339",
    "segment",
    "without_nothing",
]

DAYS = "days"
"""The unit of a spreadsheet's serial day: days since the end of 1899, in the table's own time zone.
"""


TICKS = "ticks"
"""The unit of .NET's times: ten millionths of a second since the year 1, in the table's own time
zone."""
LOCAL_UNITS = (DAYS, TICKS)
"""Units of numbers that do not say what time zone they are in."""


def encode(event: Mapping[str, Any]) -> bytes:
    """The event as the value of a `position_closed` record.  Values that JSON cannot express become
    text."""
    try:
        return orjson.dumps(event, default=_as_text)
    except TypeError:  # Integers beyond 64 bits, lone surrogates: JSON has them, orjson does not.
        return json.dumps(event, default=_as_text).encode()


def _as_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, (datetime, date)) else str(value)


def key(event: Mapping[str, Any]) -> bytes | None:
    """The message key: the trade's id."""
    trade_id = event.get("trade_id")
    return trade_id.encode(errors="replace") if isinstance(trade_id, str) else None


def short_digest(*parts: str) -> bytes:
    """Twelve bytes that distinguish texts in little memory."""
    joined = "\x00".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(joined, digest_size=12).digest()


class Occurrences:
    """Makes equal ids distinct: the second of a kind gets `/2`.  Used if the data itself has no
    ids."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def unique(self, name: str) -> str:
        """`name` the first time, then `name/2`, `name/3`, …

        >>> twins = Occurrences()
        >>> twins.unique("a"), twins.unique("b"), twins.unique("a")
        ('a', 'b', 'a/2')
        """
        times = self._seen[name] = self._seen.get(name, 0) + 1
        return name if times == 1 else f"{name}/{times}"


def joined(parts: Iterable[str], most: int = 5) -> str:
    """The first `most` parts with commas, and how many more there are.

    >>> joined(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    every = list(parts)
    rest = len(every) - most
    return ", ".join(every) if rest <= 0 else f"{', '.join(every[:most])} and {rest} more"
