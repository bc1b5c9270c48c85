"""The table of overrides: searched, filtered, sorted, page by page.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from app.context_text import context_text
from app.learning.common.event_time import DAY_US, micros_from_text
from edgeloop.identity import CATEGORIES
from edgeloop.overrides import Override
from edgeloop.scope import canonical_text

ROWS = 25
SORTS = {
    "strength": "strongest first",
    "size": "largest size",
    "-size": "smallest size",
    "trades": "most evidence",
    "since": "newest",
    "half_life": "shortest half-life",
    "pattern": "pattern",
}
PARTS = ("selected", "shared")
SIZES = {"up": "larger", "down": "smaller"}
SINCE = {"1": "the last day", "7": "the last week", "30": "the last month"}
HALF_LIVES = {"some": "fading", "none": "steady"}


class Asked(NamedTuple):
    """Which part of the table to show; `page` counts from 1."""

    q: str = ""
    category: str = ""
    part: str = ""
    size: str = ""
    since: str = ""
    half_life: str = ""
    sort: str = "strength"
    min_trades: int = 0
    page: int = 1

    def link(self, **changed: str | int) -> str:
        """The query string of this view with changes; defaults are left out."""
        wanted = self._replace(**{"page": 1, **changed})  # type: ignore[arg-type]
        plain = Asked()
        return "?" + urlencode(
            {n: v for n, v in wanted._asdict().items() if v != getattr(plain, n)}
        )


class Shown(NamedTuple):
    """A page of the table: `found` of `total` overrides match."""

    rows: list[Override]
    found: int
    total: int
    page: int
    pages: int


def asked(query: Mapping[str, str]) -> Asked:
    """The view that a query string asks for; invalid values count as the default.

    >>> asked({"q": " dip ", "sort": "nonsense", "page": "-3"}) == Asked(q="dip")
    True
    """

    def number(name: str, least: int) -> int:
        text = query.get(name, "")
        return (
            max(least, int(text)) if text.isascii() and text.isdigit() and len(text) < 9 else least
        )

    def choice(name: str, options: Iterable[str], otherwise: str) -> str:
        text = query.get(name, "")
        return text if text in options else otherwise

    return Asked(
        query.get("q", "").strip()[:200],
        choice("category", CATEGORIES, ""),
        choice("part", PARTS, ""),
        choice("size", SIZES, ""),
        choice("since", SINCE, ""),
        choice("half_life", HALF_LIVES, ""),
        choice("sort", SORTS, "strength"),
        number("min_trades", 0),
        number("page", 1),
    )


def shown(
    overrides: Sequence[Override], wanted: Asked, since: Mapping[str, str], now_us: int
) -> Shown:
    """The requested page of the overrides in force; `since` is when each came into force."""
    words = wanted.q.lower().split()
    found = [
        o
        for o in overrides
        if _fits(o, wanted, since, now_us) and all(word in text_of(o) for word in words)
    ]
    if wanted.sort == "since":
        found.sort(key=lambda o: (since.get(o.override_id, ""), o.override_id), reverse=True)
    else:
        found.sort(key=lambda o: (*_order(o, wanted.sort), o.override_id))
    pages = max(1, -(-len(found) // ROWS))
    page = min(wanted.page, pages)
    rows = found[(page - 1) * ROWS : page * ROWS]
    return Shown(rows, len(found), len(overrides), page, pages)


def _fits(o: Override, wanted: Asked, since: Mapping[str, str], now_us: int) -> bool:
    if wanted.since:
        at = since.get(o.override_id)
        if at is None or now_us - micros_from_text(at) > int(wanted.since) * DAY_US:
            return False
    return (
        wanted.category in ("", o.action_category)
        and wanted.part in ("", o.part)
        and o.n_trades >= wanted.min_trades
        and (not wanted.size or (o.multiplier > 1.0) == (wanted.size == "up"))
        and (
            not wanted.half_life
            or (o.decay.half_life_hours is None) == (wanted.half_life == "none")
        )
    )


def text_of(o: Override) -> str:
    """The text that a search looks at."""
    scope = context_text(o.scope)
    return f"{o.pattern_key} {o.action_category} {scope} {o.override_id}".lower()


def _order(o: Override, sort: str) -> tuple[float | str, ...]:
    if sort == "size":
        return (-o.multiplier,)
    if sort == "-size":
        return (o.multiplier,)
    if sort == "trades":
        return (-o.n_trades,)
    if sort == "half_life":
        return (o.decay.half_life_hours or float("inf"),)
    if sort == "pattern":
        return (o.pattern_key, o.action_category, canonical_text(o.scope))
    return (-abs(o.multiplier - 1.0),)
