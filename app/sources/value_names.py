"""Whether an amount is the value of what was traded, a margin or a cost, by the name of its column.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.sources.column_names import is_in_points, is_known, known_as
from app.sources.ends import is_price

_MARGIN = re.compile(
    "margin|marge(n|m)?(_|$)|marża|marže|marja|collateral|teminat|garant|cobertura|couverture"
    "|depozyt|sicherheit|einschuss|caução|säkerhet|sikkerhet|sikkerhed|waarborg|dekking|letét"
    "|fedezet|záloh|jaminan|ký_quỹ|маржа|обеспечени|залог|(^|_)го(_|$)|забезпечення|περιθώριο"
    "|هامش|ضمان|ביטחונות|หลักประกัน|保證金|保证金|証拠金|증거금|담보"
)
"""Names of margins, which may be a fixed share of the value."""
_COST = re.compile(
    "deposit|fee|comm|cost|tax|komisyon|vergi|prowizj|gebühr|steuer|frais|taxa|手数料|手续费|手續費"
    "|税|稅|수수료|세금"
)
"""Names of costs, which may be one too."""
_VALUE = re.compile(
    "value|wert|valeur|valor|waarde|warto[sś][cć]|värde|verdi|værdi|arvo|érték|hodnota|vrijednost"
    "|vrednost|стоимость|сумм|сума|объ[её]м|оборот|вартість|değer|hacim|tutar|amount|betrag|montant"
    "|import[eo]|bedrag|kwota|belopp|beløb|összeg|suma|notional|nominal|turnover|umsatz|volume"
    "|money|額|额|金|価値|价值|價值|대금|금액|มูลค่า|จำนวนเงิน|giá_trị|nilai|قيمة|مبلغ|שווי|סכום|αξία|ποσό"
)
"""Words of amounts that are the value of what was traded."""
_BALANCE = re.compile(
    r"balance|equity|running|(^|_)cum|account_value|capital_after|saldo|solde|kontostand|bakiye|stan_konta"
    r"|guthaben|баланс|остаток|残高|余额|餘額|잔고|累计|累計|누적"
)
_OTHER_BALANCE = re.compile(r"pct|percent|(^|_)r($|_)|open|unreal|float|before|start")
"""Of balances that are not those after the row, in money."""


def is_balance(column: str) -> bool:
    """Whether the numbers may be what an account had after each row, or the profit so far.

    >>> is_balance("Account Balance"), is_balance("Cum. profit"), is_balance("Balance before")
    (True, True, False)
    """
    name = known_as(column)
    return (
        bool(_BALANCE.search(name)) and not _OTHER_BALANCE.search(name) and not is_in_points(column)
    )


_OF_ORDER = re.compile(r"(^|_)order(ed)?(_|$)")


def is_of_order(name: str) -> bool:
    """Whether a name, as names are compared, is that of numbers of an order, which may be more than
    was filled.

    >>> is_of_order("order_value"), is_of_order("qty_ordered"), is_of_order("border")
    (True, True, False)
    """
    return bool(_OF_ORDER.search(name))


def may_be_value(column: str, known: Sequence[str]) -> bool:
    """Whether an amount may be the value of what was traded, by its name: it has no word of fees,
    margins and prices, and is that of no field but one of those `known`."""
    name = known_as(column)
    share = _MARGIN.search(name) or _COST.search(name) or is_price(name)
    return not share and (not is_known(column) or name in known)


def is_margin(column: str) -> bool:
    """Whether an amount is a margin, by its name: where it is more than price × quantity, there are
    contracts.

    >>> is_margin("Marża"), is_margin("Value")
    (True, False)
    """
    return bool(_MARGIN.search(known_as(column)))


def says_value(column: str, known: Sequence[str]) -> bool:
    """Whether the name says so itself.

    >>> says_value("Hacim Değeri", ()), says_value("Blocked", ())
    (True, False)
    """
    name = known_as(column)
    return name in known or bool(_VALUE.search(name))
