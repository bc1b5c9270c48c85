"""Infer from a fill's amounts: the contract value from a gross or net amount, the fee from a net
one, a fee in another coin.

May touch: nothing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

_ROUND_VALUES = tuple(Decimal(n) for n in ("0.01", "0.1", "1", "10", "100", "1000"))
_NEARLY = Decimal("0.002")
_DIGITS_OF_TICKS = 4
"""Significant digits of a price, at most, that is a multiple of a tick: `0.125`."""


class ContractTerms(NamedTuple):
    """The contract value and the fee; None if the amount does not determine it."""

    multiplier: Decimal | None
    fee: Decimal | None


def contract_value(quantity: Decimal, price: Decimal, gross: Decimal) -> Decimal | None:
    """Money per point and unit, from the amount paid or received before fees; None if one of them
    is 0.

    >>> (
    ...     contract_value(Decimal(-6), Decimal("0.55"), Decimal("330.00")),
    ...     contract_value(Decimal(3), Decimal("0.3333"), Decimal("1")),
    ... )
    (Decimal('100'), Decimal('1'))
    """
    size = abs(quantity) * abs(price)
    if not size or not gross:
        return None
    value = abs(gross) / size
    near = Decimal(round(value)) if value >= 1 else 1 / Decimal(round(1 / value))
    # An amount is rounded to cents or so: half of its last digit does not make another value.
    rounding = Decimal(1).scaleb(int(gross.as_tuple().exponent)) / size
    return near if abs(value - near) <= max(near * _NEARLY, min(rounding, near / 10)) else value


def from_net(
    quantity: Decimal,
    price: Decimal,
    net: Decimal,
    fee: Decimal | None,
    known: Decimal | None = None,
) -> ContractTerms | None:
    """The terms that explain the cash of a fill after fees; `fee` is that of its own column, and
    `known` the contract value, where others tell them.  None if no usual contract value explains
    it.

    >>> from_net(Decimal(-4), Decimal("6.35"), Decimal("2539.84"), None)
    ContractTerms(multiplier=Decimal('100'), fee=Decimal('0.16'))
    >>> from_net(Decimal(-2), Decimal("1.05"), Decimal("208.68"), Decimal("1.32"))
    ContractTerms(multiplier=Decimal('100'), fee=Decimal('1.32'))
    """
    size = abs(quantity) * abs(price)
    if not size or not net:
        return ContractTerms(None, fee)
    paid = abs(net)
    if fee is not None:
        value = contract_value(quantity, price, paid - fee if quantity > 0 else paid + fee)
        if value is not None and value in _ROUND_VALUES:
            return ContractTerms(value, fee)
    near = known or min(_ROUND_VALUES, key=lambda value: abs(size * value - paid) / (size * value))
    found = paid - size * near if quantity > 0 else size * near - paid
    if abs(found) > size * near * Decimal("0.4") and abs(found) > 30:
        return None
    return ContractTerms(near, found if fee is None else fee)


def is_rounding(fee: Decimal, quantity: Decimal, price: Decimal, value: Decimal) -> bool:
    """Whether a fee inferred from an amount is merely its rounding to cents, and that of a price
    with more digits than cents; one with few digits is no average of fills, as those of penny
    stocks.

    >>> is_rounding(Decimal("0.20"), Decimal(5000), Decimal("12.3457"), Decimal(1))
    True
    >>> is_rounding(Decimal("0.20"), Decimal(100), Decimal("185.50"), Decimal(1))
    False
    >>> is_rounding(Decimal("12.50"), Decimal(50000), Decimal("0.125"), Decimal(1))
    False
    """
    _, digits, last = price.normalize().as_tuple()
    average = isinstance(last, int) and last < -2 and len(digits) > _DIGITS_OF_TICKS
    digit = Decimal(1).scaleb(int(last)) if average else Decimal(0)
    return abs(fee) <= Decimal("0.006") + abs(quantity) * value * digit / 2
