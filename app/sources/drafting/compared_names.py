"""What the columns of a table are called, as names are compared: of messages by what stands in
them, of MetaTrader's lists by their place.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from app.sources.column_names import NAMES, known_as
from app.sources.drafting.contents import Contents
from app.sources.drafting.spec import Names
from app.sources.ends import end_of

_METATRADER_5 = {
    0: "open_time",
    1: "ticket",
    2: "symbol",
    3: "type",
    4: "volume",
    5: "open_price",
    8: "close_time",
    9: "close_price",
    10: "commission",
    11: "swap",
    12: "profit",
}
_METATRADER_4 = {
    0: "ticket",
    1: "open_time",
    2: "type",
    3: "volume",
    4: "symbol",
    5: "open_price",
    8: "close_time",
    9: "close_price",
    10: "commission",
    11: "tax",
    12: "swap",
    13: "profit",
}
"""By position, the columns of the two programs' lists of positions, after whose price come stop
loss and take profit."""
_COSTS = ("commission", "swap", "profit", "tax")
_ALONE = frozenset(("currency", "symbol", "ticker", "instrument", "side"))
_OF_ROWS = frozenset(
    ("price", "quantity", "qty", "size", "amount", "contracts", "volume", "time", "timestamp")
)
"""Names of what a message has in it, beside what is said of the message."""
_OF_ANOTHER = re.compile("order|info|raw|stop|limit|profit|position|account|fee", re.IGNORECASE)
_DETAILS = frozenset(("detail", "details", "data", "attributes", "node", "item", "fill", "trade"))
"""What an object with the rest of a row is called."""
_OF_DETAILS = {*NAMES["price"], *NAMES["quantity"]}
_FEWEST_INSIDE = 3
"""Columns that stand inside of a message, at least."""
_FEES = re.compile("fee|commission", re.IGNORECASE)


def names_of(contents: Contents) -> Names:
    """The name of each column."""
    return {**_names_of(contents.columns), **_of_metatrader(contents)}


def _names_of(columns: Sequence[str]) -> Names:
    """The columns' names as names are compared; those of what stands inside of something else by
    their last part alone, where no other column is called so."""
    names = {column: known_as(column) for column in columns}
    inner = Counter(column.rpartition(".")[0] for column in columns)
    for column in columns:
        inside, dot, last = column.rpartition(".")
        own = known_as(last) if last else ""
        if not dot or own in names.values():
            continue
        of_message = (
            inner[inside] >= _FEWEST_INSIDE
            and not _OF_ANOTHER.search(inside)
            and end_of(known_as(inside)) is None
        )
        of_row = own in _ALONE or (own in _OF_DETAILS and known_as(inside) in _DETAILS)
        if (of_row and not _FEES.search(inside)) or (own in _OF_ROWS and of_message):
            names[column] = own
    return names


def _of_metatrader(contents: Contents) -> Names:
    """The names of the columns of MetaTrader's positions, whose order is the same in any
    language."""
    columns = contents.columns
    if len(columns) <= max(_METATRADER_5) or columns[9] != f"{columns[5]} (2)":
        return {}
    names = _METATRADER_5
    if columns[8] != f"{columns[0]} (2)":
        names = _METATRADER_4
        if len(columns) <= max(names) or contents.time(columns[1]) is None:
            return {}
    if contents.time(columns[8]) is None or not contents.is_numeric(columns[5]):
        return {}
    own = {at: known_as(columns[at]).removesuffix("s") for at in names}
    if any(own[at] in _COSTS and own[at] != name for at, name in names.items()):
        return {}  # Their names say another order.
    return {columns[at]: name for at, name in names.items()}
