"""Read a cell with a fee as a share of the fill's value: a rate, or the text of an object with a
rate and with amounts in coins, as bots store it.

May touch: nothing.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from app.sources.figures import written


class FeeCell(NamedTuple):
    """The share of the value, and amounts with their coins."""

    rate: Decimal
    amounts: tuple[tuple[Decimal, str], ...] = ()


def fee_cell(value: Any, decimal: str = ".") -> FeeCell | None:
    """The fee in the cell; None if it cannot be read.

    >>> fee_cell("0.1%")
    FeeCell(rate=Decimal('0.001'), amounts=())
    >>> fee_cell('{"percent": "0", "flat_fees": [{"token": "USDT", "amount": "0.2"}]}')
    FeeCell(rate=Decimal('0'), amounts=((Decimal('0.2'), 'USDT'),))
    >>> fee_cell("a few") is None
    True
    """
    text = str(value).strip()
    if text.startswith("{"):
        return _of_object(text)
    told = written(text, decimal)
    if told is None:
        return None
    return FeeCell(Decimal(told.text) / (100 if told.percent else 1))


def _of_object(text: str) -> FeeCell | None:
    try:
        said = json.loads(text)
        flat = said.get("flat_fees") or []
        amounts = tuple((Decimal(str(one["amount"])), str(one["token"])) for one in flat)
        rate = Decimal(str(said.get("percent") or 0))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, InvalidOperation):
        return None
    known = all(number.is_finite() for number in (rate, *(amount for amount, _ in amounts)))
    return FeeCell(rate, amounts) if known else None
