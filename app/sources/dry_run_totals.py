"""The totals of a dry run: figures that a trader can compare with the broker's.

May touch: nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from app.sources.making import joined
from app.sources.positions import ClosedTrade

_SHOWN = 12
_CENT = 0.02
_NEARLY = 0.0005
"""Share by which a total may differ from the expected one: amounts are rounded trade by trade."""


@dataclass
class Money:
    """Sums of one currency: profit after and before fees (equal if fees are unknown), and fees."""

    after: float = 0.0
    before: float = 0.0
    fees: float = 0.0
    closes: int = 0


@dataclass
class Totals:
    """Sums over the closes that would be accepted."""

    by_symbol: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    money: dict[str, Money] = field(default_factory=lambda: defaultdict(Money))
    won: int = 0
    lost: int = 0
    first: str = ""
    last: str = ""
    turned: int = 0

    def add(self, told: ClosedTrade) -> None:
        """Count one close."""
        self.by_symbol[told.symbol][told.side] += 1
        if told.exit:
            self.first = min(filter(None, (self.first, told.entry or told.exit, told.exit)))
            self.last = max(self.last, told.exit)
        if told.pnl is None:
            return
        fees = told.fees or 0.0
        sums = self.money[told.currency]
        sums.closes += 1
        sums.fees += fees
        sums.after += told.pnl
        sums.before += told.pnl + fees if told.net else told.pnl
        self.won += told.pnl > 0
        self.lost += told.pnl < 0

    def expected(self, total: float, currency: str | None = None) -> tuple[bool, str]:
        """(whether the profit after or before fees is `total`, a sentence).  Without a currency,
        the profits of any currency may match."""
        for code, sums in sorted(self.money.items()):
            if currency not in (None, code):
                continue
            for what, found in (("after", sums.after), ("before", sums.before)):
                if abs(found - total) <= max(_CENT, abs(total) * _NEARLY):
                    return (
                        True,
                        (
                            f"The expected profit of {total:,.2f} is what these closes make:"
                            f" {found:,.2f} {code} {what} fees."
                        ),
                    )
        shown = (
            "; ".join(
                f"{s.after:,.2f} {c} after fees, {s.before:,.2f} before"
                for c, s in sorted(self.money.items())
            )
            or "no profit at all"
        )
        return False, f"The expected profit is {total:,.2f}, but these closes make {shown}."

    def document(self) -> dict[str, Any]:
        """The totals as plain data for `--json`."""
        return {
            "by_symbol": {symbol: dict(sides) for symbol, sides in sorted(self.by_symbol.items())},
            "profit": {
                currency: {
                    "after_fees": round(m.after, 8),
                    "before_fees": round(m.before, 8),
                    "fees": round(m.fees, 8),
                    "closes": m.closes,
                }
                for currency, m in sorted(self.money.items())
            },
            "won": self.won,
            "lost": self.lost,
            "first_entry": self.first or None,
            "last_exit": self.last or None,
        }

    def lines(self) -> Iterator[str]:
        """A few lines of text; none if nothing was counted."""
        if not self.by_symbol:
            return
        yield "To compare with the broker or the program:"
        symbols = [
            f"{symbol} {', '.join(f'{n:,} {side}' for side, n in sorted(sides.items()))}"
            for symbol, sides in sorted(
                self.by_symbol.items(), key=lambda item: -sum(item[1].values())
            )
        ]
        yield f"  Closes by symbol and side: {joined(symbols, _SHOWN)}."
        yield (
            f"  First entry {self.first or 'not known'}, last exit {self.last or 'not known'};"
            f" {self.won:,} won, {self.lost:,} lost."
        )
        for currency, sums in sorted(self.money.items()):
            fees = f"; before fees of {sums.fees:,.2f}: {sums.before:,.2f}" if sums.fees else ""
            yield f"  Total profit: {sums.after:,.2f} {currency} of {sums.closes:,} closes{fees}."
