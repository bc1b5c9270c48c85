"""The parts of a close: times, numbers, segments of pattern keys, ids, and a computed `rr`.
Importers of files and connected bots use the same functions, so that both give the same close for a
trade.

May touch: nothing.  A value that is not the expected number or time is passed on as text, so that
input validation refuses it with a path; nothing here raises for invalid data.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from edgeloop.times import moment_of

DRAWDOWN_FLOOR = 0.001
"""Least drawdown by which a return is divided, as a fraction, so that a trade without a drawdown
has a finite `rr`."""

US_DOLLARS = frozenset(
    {
        "USD",
        "USDT",
        "USDC",
        "BUSD",
        "TUSD",
        "FDUSD",
        "DAI",
        "USDP",
        "PYUSD",
        "USDD",
        "GUSD",
        "USDE",
        "USDS",
        "USD1",
        "UST",
        "SUSD",
        "LUSD",
    }
)
"""Currencies in which a profit is `pnl_usd`: the US dollar and coins that are meant to be worth
one."""

LIVE_REVISION = 1
"""Revision of a close that a connected bot sends: higher than that of an import of the same trade,
which has no overrides."""

UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 0.001}
"""Microseconds of each unit of a numeric time."""

_NOT_IN_A_SEGMENT = re.compile(r"[\s.|=\x00-\x1f\x7f\ud800-\udfff]+")
_SEGMENT_CODE_POINTS = 60
_MADE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


def segment(value: Any, otherwise: str = "") -> str:
    """`value` as a segment of a pattern key: each run of white space, `.`, `|`, `=` and control
    characters is one `_`.

    What is longer than 60 code points is cut to 51 and gets `-` and eight hex digits of its
    BLAKE2b, so that two long names stay distinct.  None or blank text becomes `otherwise`.

    >>> segment("rsi < 30"), segment("a.b|c"), segment("  ", "entry"), segment(None, "entry")
    ('rsi_<_30', 'a_b_c', 'entry', 'entry')
    """
    return (
        _segment(value if type(value) is str else str(value)) if value is not None else ""
    ) or otherwise


@lru_cache(maxsize=16_384)
def _segment(text: str) -> str:
    text = _NOT_IN_A_SEGMENT.sub("_", text.strip())
    return text if len(text) <= _SEGMENT_CODE_POINTS else f"{text[:51]}-{digest(text)[:8]}"


def digest(*parts: str) -> str:
    """32 hex digits of BLAKE2b-128 over the parts, one per line."""
    return hashlib.blake2b(
        "\n".join(parts).encode(errors="surrogatepass"), digest_size=16
    ).hexdigest()


def number(value: Any) -> Any:
    """`value` if it is a finite number, None if it is empty, else its text (which input validation
    does not take for a number).

    >>> (
    ...     number(1.5), number(None), number(float("nan")), number("abc"), number(Decimal("0.5")),
    ...     number(True),
    ... )
    (1.5, None, 'nan', 'abc', 0.5, 'True')
    """
    if value is None or (type(value) is float and math.isfinite(value)) or type(value) is int:
        return value
    if isinstance(value, Decimal) and value.is_finite():
        return float(value)
    return str(value)


def real(value: Any) -> float | None:
    """`value` as a float, None if it is not a number.

    >>> real(2), real("2"), real(None)
    (2.0, None, None)
    """
    value = number(value)
    return float(value) if type(value) in (int, float) else None


def rfc3339(moment: datetime) -> str:
    """`moment` (aware) in UTC, in the form that events use.

    >>> rfc3339(datetime(2026, 1, 31, 9, 30, tzinfo=UTC))
    '2026-01-31T09:30:00Z'
    """
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def from_epoch(value: Any, unit: str = "ms") -> Any:
    """A numeric time in `unit` since 1970 as RFC 3339; None stays None, anything else its text.

    >>> from_epoch(1515568500000.0), from_epoch(1_580_000_000_123_456_789, "ns"), from_epoch("soon")
    ('2018-01-10T07:15:00Z', '2020-01-26T00:53:20.123456Z', 'soon')
    """
    if value is None:
        return None
    try:
        # Whole numbers stay whole: nanoseconds have more digits than a double.
        exact = (
            int(value)
            if isinstance(value, int) or str(value).strip().lstrip("-").isdigit()
            else float(value)
        )
        us = (
            exact // 1000 if unit == "ns" and isinstance(exact, int) else round(exact * UNITS[unit])
        )
        return rfc3339(moment_of(us))
    except (ValueError, OverflowError, TypeError):
        return str(value)


def from_utc(value: Any) -> Any:
    """A time as text, `datetime` or `date`; without an offset it is UTC. None stays None; a text
    that is not a time stays as it is.

    >>> (
    ...     from_utc("2018-01-10 07:15:00+00:00"), from_utc("2022-10-18 09:12:42.684000"),
    ...     from_utc("no time"),
    ... )
    ('2018-01-10T07:15:00Z', '2022-10-18T09:12:42.684000Z', 'no time')
    """
    if value is None:
        return None
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return rfc3339(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return str(value)


def is_time(text: Any) -> bool:
    """Whether `text` is a time in the form that the functions here make."""
    return isinstance(text, str) and _MADE.fullmatch(text) is not None


def days_between(start: Any, end: Any) -> float | None:
    """Days from one such time to another; None if either is not a time or they are in the wrong
    order.

    >>> (
    ...     days_between("2020-01-01T00:00:00Z", "2020-01-02T12:00:00Z"),
    ...     days_between("soon", "2020-01-02T12:00:00Z"),
    ... )
    (1.5, None)
    """
    if not (is_time(start) and is_time(end)):
        return None
    days = (datetime.fromisoformat(end) - datetime.fromisoformat(start)) / timedelta(days=1)
    return round(days, 6) if days >= 0 else None


def return_to_drawdown(
    roi: float | None, drawdown: float | None, floor: float = DRAWDOWN_FLOOR
) -> float | None:
    """`rr` = roi / max(drawdown, -roi, floor): a trade's drawdown is at least its final loss.

    >>> (
    ...     return_to_drawdown(0.06, 0.02), return_to_drawdown(-0.05, 0.02),
    ...     return_to_drawdown(0.05, 0.0), return_to_drawdown(0.05, None),
    ... )
    (3.0, -1.0, 50.0, None)
    """
    if roi is None or drawdown is None:
        return None
    return round(roi / max(drawdown, -roi, floor), 6)


def without_nothing(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are not empty."""
    return {name: value for name, value in fields.items() if value is not None}


def closing_id(trade_id: str) -> str:
    """The `event_id` of a trade's only close."""
    return f"{trade_id}/closed"
