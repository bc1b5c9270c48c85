"""Names of columns whose words have lost the gaps between them: `TRADEDATE`, `opendateutc`.

May touch: nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice

_WORDS = frozenset(
    (
        "account", "accrued", "acquired", "action", "adjusted", "amount", "asset",
        "average", "avg", "balance", "base", "basis", "bought", "broker", "brokerage",
        "buy", "cash", "cents", "change", "charge", "charges", "close", "closed", "closing",
        "code", "coin", "commission", "commissions", "completed", "consideration",
        "contract", "contracts", "conversion", "cost", "count", "created", "credit",
        "cumulative", "currency", "data", "date", "datetime", "days", "deal", "debit",
        "description", "digital", "direction", "discount", "disposed", "drawdown",
        "duration", "entry", "exchange", "exec", "executed", "execution", "exit", "exp",
        "expiration", "expiry", "fee", "fees", "fill", "filled", "fills", "final", "first",
        "force", "foreign", "form", "fund", "funding", "gain", "gas", "gross", "hash",
        "home", "income", "initial", "instrument", "interest", "isin", "iso", "last", "leg",
        "legs", "level", "limit", "liquidity", "long", "loss", "lot", "lots", "mae",
        "maker", "margin", "mark", "market", "maturity", "max", "mfe", "min", "multiplier",
        "name", "net", "notional", "number", "offset", "open", "opened", "opening", "order",
        "ordered", "other", "paid", "pair", "percent", "percentage", "period", "pnl",
        "point", "points", "position", "premium", "price", "proceeds", "product", "profit",
        "qty", "quantity", "quote", "rate", "realised", "realized", "reason", "received",
        "reference", "remaining", "reported", "result", "return", "risk", "sale",
        "security", "sell", "settl", "settle", "settlement", "share", "shares", "short",
        "side", "size", "sold", "spread", "start", "status", "stake", "stock", "stop", "strike",
        "swap", "symbol", "taker", "tax", "term", "text", "tick", "ticker", "time",
        "timestamp", "token", "total", "trade", "traded", "trades", "trading", "trailing",
        "transaction", "trigger", "type", "underlying", "unit", "units", "unrealized",
        "update", "updated", "value", "volume", "wash",
    )
)  # fmt: skip
_SHORT = frozenset(("id", "no", "pct", "ms", "at", "and", "or", "of", "in", "per", "up", "px"))
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

    >>> spaced("netp&lusd")
    'net p&l usd'
    >>> spaced("priceCents"), spaced("FEEUSD"), spaced("open_date-utc"), spaced("PnL (USDT)")
    ('price Cents', 'FEE USD', 'open date utc', 'PnL (USDT)')
    """
    words = re.sub(r"(?<=[a-z])(?<!\bPn)(?=[A-Z])", " ", column)
    words = re.sub(r"([Pp]&[Ll])(?!imit)", r" \1 ", words)
    words = re.sub(r"_|(?<=[A-Za-z])-(?=[A-Za-z])", " ", words)
    return re.sub(r"[A-Za-z]+", _with_gaps, words).strip()


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
