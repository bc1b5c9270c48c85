"""What a text names as traded: an option's contract, or a symbol before a quantity and a price.

May touch: nothing.
"""

from __future__ import annotations

import re

from app.sources.pairs import is_occ

_AT_PRICE = re.compile(r"\s+[\d.,]+\s*@\s*\D{0,3}[\d.,]+$")
_EXPIRY_DAY = (
    r"\d{1,2}/\d{1,2}/(?:\d{4}|\d{2})"
    r"|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{1,2},? '?(?:\d{4}|\d{2})"
)
_OPTION = re.compile(
    rf"\b([A-Z][A-Z0-9.]{{0,5}}) ({_EXPIRY_DAY}) (Call|Put|C|P) \$?([\d.,]+)|"
    rf"\b([A-Z][A-Z0-9.]{{0,5}}) ({_EXPIRY_DAY}) \$?([\d.,]+) (Call|Put|C|P)\b",
    re.IGNORECASE,
)
_RIGHT_FIRST = re.compile(
    rf"\b(Call|Put)\s+[.]?([A-Z][A-Z.]{{0,5}})\s+({_EXPIRY_DAY})\s+\$?([\d.,]+)", re.IGNORECASE
)


def named(symbol: str | None) -> str | None:
    """The symbol without the quantity and the price that a description of the trade ends with.

    >>> named("Ocado Group plc Ordinary 2p 1000 @ 298.805"), named("@ES"), named(None)
    ('Ocado Group plc Ordinary 2p', '@ES', None)
    """
    return symbol if not symbol or "@" not in symbol else _AT_PRICE.sub("", symbol)


def option_contract(text: str) -> str | None:
    """The option that a text names, always written the same way.

    >>> (
    ...     option_contract("Expiration for CROX 7/17/2026 Call $120.00"),
    ...     option_contract("Apple Inc"), option_contract("TSLA 07/19/24 300 C"),
    ... )
    ('CROX 7/17/2026 Call $120.00', None, 'TSLA 07/19/24 Call $300')
    >>> option_contract("TSLA Mar 15 2024 190.00 Call")
    'TSLA Mar 15 2024 Call $190.00'
    >>> option_contract("CALL TSLA   03/15/24   200 TESLA INC")
    'TSLA 03/15/24 Call $200'
    """
    if is_occ(text):
        return text.strip().upper()
    if first := _RIGHT_FIRST.search(text):
        right, under, day, strike = first.groups()
        return f"{under.upper()} {day} {right.capitalize()} ${strike}"
    found = _OPTION.search(text)
    if found is None:
        return None
    under, day, right, strike = found.group(1, 2, 3, 4) if found[1] else found.group(5, 6, 8, 7)
    return f"{under.upper()} {day} {'Call' if right.lower().startswith('c') else 'Put'} ${strike}"
