"""Fills: prices with the fees in them, beside those without.

May touch: nothing.
"""

from __future__ import annotations

import re

from app.sources.column_names import known_as
from app.sources.drafting.choose import LIMIT
from app.sources.drafting.decided import Decided
from app.sources.drafting.fill_rows import purchases
from app.sources.drafting.spec import Spec
from app.sources.drafting.text import spec_text
from app.sources.ends import is_price
from app.sources.mapping import OPEN_QUESTION

_NET = re.compile(
    r"(^|_)(net|netto|nett|neto|all_in|allin|incl|inclusive|effective|effektiv)(_|$)|after_(fee|comm)"
    r"|(incl|with)\w*_(fee|comm)"
)
"""Of prices with the fees in them."""
_MOST_FEE = 0.03
"""What fees may be of a price, at most."""


def settle_net_prices(decided: Decided) -> None:
    """Take prices with the fees in them, where no fees are read: all purchases are dearer by them,
    and all sales cheaper.  Ask whether fees are in a net price that is the only one."""
    contents, fields = decided.kept.contents, decided.fields
    price, fee = fields.get("price"), fields.get("fee")
    if price is None or price.column == OPEN_QUESTION or {"net", "gross"} & fields.keys():
        return
    if price.keys.get("per_unit"):
        return
    if fee is not None:
        if _NET.search(known_as(price.column)) and any(
            any(contents.read_numbers(column)) for column in fee.columns
        ):
            del fields["fee"]
            decided.ask(
                "fee",
                f"Whether {' and '.join(fee.columns)} is in {price.column} already.",
                f"{spec_text(fee)} if it is still to be taken off; remove this line if it is in the"
                " price",
                section="columns",
            )
        return
    buys, prices = purchases(decided), contents.numbers(price.column)
    for column in contents.columns:
        name = known_as(column)
        if (
            column in decided.used()
            or not (_NET.search(name) and is_price(name))
            or LIMIT.search(name)
            or not contents.is_numeric(column)
        ):
            continue
        rows = [
            (1 if buy else -1) * (net - gross) / gross
            for net, gross, buy in zip(contents.numbers(column), prices, buys, strict=True)
            if net and gross and buy is not None
        ]
        if len(rows) > 1 and all(0 <= more <= _MOST_FEE for more in rows) and any(rows):
            fields["price"] = Spec([column], dict(price.keys), "with the fees in it")
            decided.guessed.append(
                f"The price is {column}, with the fees in it: purchases are dearer than in"
                f" {price.column}, sales cheaper."
            )
            return
