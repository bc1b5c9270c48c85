"""Names of columns whose words have lost the gaps between them: `TRADEDATE`, `opendateutc`.

May touch: nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice

_WORDS = frozenset(
    (
        "account", "acquired", "action", "adjusted", "amount", "asset", "average", "avg",
        "balance", "base", "basis", "bought", "broker", "brokerage", "buy", "cash", "cents",
        "change", "charge", "charges", "close", "closed", "closing", "code", "coin",
        "commission", "commissions", "consideration", "contract", "contracts", "cost",
        "count", "created", "cumulative", "currency", "data", "date", "datetime", "days",
        "deal", "description", "direction", "disposed", "duration", "entry", "exchange",
        "exec", "executed", "execution", "exit", "exp", "expiration", "expiry", "fee",
        "fees", "fill", "filled", "fills", "first", "foreign", "fund", "funding", "gain",
        "gross", "home", "initial", "instrument", "interest", "isin", "iso", "last", "leg",
        "level", "limit", "loss", "lot", "lots", "mae", "margin", "mark", "market", "max",
        "mfe", "min", "multiplier", "name", "net", "notional", "number", "offset", "open",
        "opened", "opening", "order", "ordered", "other", "pair", "percent", "period",
        "pnl", "point", "points", "position", "premium", "price", "proceeds", "product",
        "profit", "qty", "quantity", "quote", "rate", "realised", "realized", "reason",
        "remaining", "return", "risk", "security", "sell", "settl", "settle", "settlement",
        "share", "shares", "side", "size", "sold", "spread", "start", "status", "stock",
        "stop", "strike", "swap", "symbol", "tax", "text", "tick", "ticker", "time",
        "timestamp", "total", "trade", "traded", "trades", "trading", "transaction",
        "trigger", "type", "underlying", "unit", "units", "unrealized", "update", "updated",
        "value", "volume",
    )
)  # fmt: skip
_SHORT = frozenset(("id", "no", "pct", "ms", "at", "and", "or", "of", "in", "px", "iso"))
"""Words that stand behind others."""
_CURRENCIES = frozenset(("usd", "usdt", "usdc", "eur", "gbp", "jpy", "btc", "eth"))
_ZONES = frozenset(("utc", "gmt", "et", "est", "edt", "cet", "cest"))
_BEFORE_ZONES = frozenset(("time", "date", "datetime", "timestamp"))
_SHORTEST = 6


@lru_cache(maxsize=16_384)
def parted(word: str) -> tuple[str, ...]:
    """The fewest English words that make up `word` without a rest; itself alone where none do.

    >>> parted("tradedate"), parted("opendateutc"), parted("profitandloss")
    (('trade', 'date'), ('open', 'date', 'utc'), ('profit', 'and', 'loss'))
    >>> parted("datetimeet"), parted("ticket")
    (('datetime', 'et'), ('ticket',))
    >>> parted("timestamp"), parted("kaufpreis"), parted("btcusdt"), parted("datumutc")
    (('timestamp',), ('kaufpreis',), ('btcusdt',), ('datumutc',))
    """
    if len(word) < _SHORTEST or not (word.isascii() and word.isalpha()):
        return (word,)
    best: dict[int, tuple[str, ...]] = {0: ()}
    for end in range(1, len(word) + 1):
        ways = [
            (*best[start], word[start:end])
            for start in range(end)
            if start in best and _stands(word[start:end], best[start], end == len(word))
        ]
        if ways:
            best[end] = min(ways, key=len)
    return best.get(len(word), (word,))


@lru_cache(maxsize=16_384)
def spaced(column: str) -> str:
    """The name with gaps between its words, however it tells them apart.

    >>> spaced("priceCents"), spaced("FEEUSD"), spaced("open_date-utc"), spaced("PnL (USDT)")
    ('price Cents', 'FEE USD', 'open date utc', 'PnL (USDT)')
    """
    words = re.sub(r"(?<=[a-z])(?<!\bPn)(?=[A-Z])", " ", column)
    words = re.sub(r"_|(?<=[A-Za-z])-(?=[A-Za-z])", " ", words)
    return re.sub(r"[A-Za-z]+", _with_gaps, words)


def _with_gaps(found: re.Match[str]) -> str:
    rest = iter(found[0])
    parts = parted(found[0].lower())
    return " ".join("".join(islice(rest, len(part))) for part in parts)


def _stands(part: str, before: tuple[str, ...], last: bool) -> bool:
    if not before:
        return part in _WORDS or part in ("utc", "gmt")
    if last and (part in _CURRENCIES or (part in _ZONES and before[-1] in _BEFORE_ZONES)):
        return True
    return part in _WORDS or part in _SHORT
