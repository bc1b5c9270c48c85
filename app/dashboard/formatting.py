"""Numbers, times and scopes as pages show them.

May touch: the clock.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from markupsafe import Markup, escape

from edgeloop.overrides import times_text


def size(value: float) -> str:
    """A multiplier: `× 1.42`."""
    return f"× {times_text(value)}"


def prose(text: str) -> Markup:
    """A text of Edgeloop as HTML, with names in backticks as code.

    >>> prose("by `a<b`")
    Markup('by <code>a&lt;b</code>')
    """
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if i % 2 and i < len(parts) - 1 else escape(part)
        for i, part in enumerate(parts)
    )


def signed(value: float | None, digits: int = 3) -> str:
    """A number with its sign; a dash for None."""
    return "–" if value is None else f"{value:+,.{digits}f}"


def moment(text: str) -> str:
    """An RFC 3339 time, to the minute."""
    return f"{text[:16].replace('T', ' ')} UTC"


def stamp(at: float | None) -> str:
    """Unix seconds as an RFC 3339 time."""
    if at is None:
        return ""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def span(seconds: float | None) -> str:
    """A length of time in one unit.

    >>> span(4.2), span(300), span(7200.0), span(400_000), span(None)
    ('4 s', '5 min', '2 h', '5 days', '–')
    """
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"


def age(at: float | None) -> Markup:
    """How long ago `at` (Unix seconds) was; the page's script keeps it current."""
    if at is None:
        return Markup("never")
    return Markup('<time datetime="{}" data-age="{}">{} ago</time>').format(
        stamp(at), f"{at:.0f}", span(max(0.0, time.time() - at))
    )


def hours(value: float | None) -> str:
    """A half-life."""
    return "none" if value is None else f"{value:.0f} h" if value < 72 else f"{value / 24:.0f} days"


def pairs(scope: Mapping[str, str]) -> list[tuple[str, str]]:
    """A scope, dimension by dimension."""
    return sorted(scope.items())


def plural(n: int, noun: str, several: str = "") -> str:
    """A count.

    >>> plural(1, "close"), plural(2000, "reply", "replies")
    ('1 close', '2,000 replies')
    """
    return f"{n:,} {noun if n == 1 else several or noun + 's'}"
