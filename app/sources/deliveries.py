"""Assignments and exercises of options: the option ends at 0, and the shares that it moves are a
row of their own, at the strike.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from app.sources.books import Fill

_OCC = re.compile(r"[.-]{0,2}([A-Z]{1,6})\d?\s*\d{6}[CP](\d{8}|\d{1,6}(?:\.\d+)?)")
_BEHIND = re.compile(r"\b(?:CALL|PUT|C|P) ?\$?(\d+(?:\.\d+)?)(?![\d/])")
_BEFORE = re.compile(r"\$?(\d+(?:\.\d+)?) ?(?:C|P|CALL|PUT)\b")
_MOST_DAYS = 4
"""Days between an assignment and its shares: a weekend and a holiday."""
UNDELIVERED = (
    "The assignment or exercise of {symbol} moves shares at its strike, and no row within"
    f" {_MOST_DAYS} days does.  Export the shares' rows too; if it was settled in cash, leave the"
    " row out in [leave_out] and add a fill at the settlement price."
)


def option_parts(symbol: str) -> tuple[str, Decimal] | None:
    """(the underlying, the strike) of an option, None where the symbol does not name them.

    >>> option_parts("F     240315P00012500"), option_parts("AAPL 07/19/2024 220.00 P")
    (('F', Decimal('12.5')), ('AAPL', Decimal('220.00')))
    >>> option_parts("CROX 7/17/2026 Call $120.00"), option_parts("SPY 15MAR24 505 P")
    (('CROX', Decimal('120.00')), ('SPY', Decimal('505')))
    >>> option_parts("AAPL")
    """
    text = symbol.strip().upper()
    if found := _OCC.fullmatch(text):
        strike = Decimal(found[2])
        return found[1], strike / 1000 if len(found[2]) == 8 else strike
    under, _, rest = text.partition(" ")
    strikes = _BEHIND.search(rest) or _BEFORE.search(rest)
    return (under, Decimal(strikes[1])) if under and strikes else None


def underlying(symbol: str) -> str | None:
    """The underlying of an option, None where the symbol does not name it."""
    parts = option_parts(symbol)
    return parts[0] if parts else None


def is_delivered(option: Fill, fills: Iterable[Fill]) -> bool:
    """Whether a fill among `fills` moves the shares of an assigned or exercised option."""
    parts = option_parts(str(option.book[1]))
    if parts is None:
        return False
    under, strike = parts
    day = date.fromisoformat(option.ts[:10])
    return any(
        fill.kind == "fill"
        and fill.book[0] == option.book[0]
        and str(fill.book[1]).strip().upper() == under
        and fill.price == strike
        and abs(fill.quantity) >= option.quantity
        and abs((date.fromisoformat(fill.ts[:10]) - day).days) <= _MOST_DAYS
        for fill in fills
    )
