"""Taxes on gains, which depend on the trader and are no costs of a trade.

May touch: nothing.
"""

from __future__ import annotations

import math
import re

from app.sources.column_names import known_as
from app.sources.drafting.decided import Decided
from app.sources.drafting.fee_columns import are_negative
from app.sources.drafting.fill_rows import purchases
from app.sources.drafting.spec import Spec
from app.sources.drafting.text import spec_text

LEVY = re.compile("tax|steuer|duty|levy|impuest|impost|imposta|iva|vat|thuế|vergi|税|稅|세")
"""Of what is paid to the state, which is no price of a fill, whatever it amounts to."""
_LARGEST_TAX = 0.01
"""How large a share of what was sold a tax on trades is."""
_ALIKE, _SMALLEST_TAX, _OTHER_UNITS = 0.05, 0.0035, 0.3
"""By how much shares of what was sold differ that are taxes on trades, how small one is that needs
no other to show it, and how large if prices are in other units than taxes."""


def ask_for_tax(decided: Decided, spec: Spec) -> bool:
    """Leave out taxes among the fees of fills that no purchase bore, and that are no small, equal
    share of what was sold, or ask about them; returns whether nothing else is to be settled."""
    contents, fields = decided.kept.contents, decided.fields
    if spec.keys or not {"quantity", "price"} <= fields.keys():
        return False
    specs = [fields[name] for name in ("quantity", "price")]
    scale = math.prod(float(own.keys.get("scale", 1)) for own in specs)
    factors = (contents.numbers(own.column) for own in specs)
    sizes = [abs(q * p) * scale if q and p else None for q, p in zip(*factors, strict=True)]
    buys = purchases(decided)
    for column in [c for c in spec.columns if LEVY.search(known_as(c))]:
        rows = [*zip(contents.numbers(column), sizes, buys, strict=True)]
        if any(tax and buy is not False for tax, _, buy in rows):
            continue
        shares = [abs(tax) / size for tax, size, buy in rows if tax and size]
        alike = len(shares) > 1 and min(shares) >= (1 - _ALIKE) * max(shares)
        if not shares or alike or not _SMALLEST_TAX < max(shares) < _OTHER_UNITS:
            continue
        signed = {"scale": -1} if are_negative(decided, spec) else {}
        rest = Spec([own for own in spec.columns if own != column], signed)
        if max(shares) > _LARGEST_TAX:
            spec.columns[:] = rest.columns
            decided.left.append(
                f"Whether {column} is a tax on gains, as no purchase bore it: it is left out."
            )
        else:
            decided.ask(
                "fee",
                f"Whether {column} is a tax on trades or one on gains: no purchase bore it.",
                f"{spec_text(Spec(spec.columns, signed))} if it is on trades, and a fee; "
                + (
                    f"{spec_text(rest)} if it is on gains"
                    if rest.columns
                    else "else remove this line"
                ),
                section="columns",
            )
            del fields["fee"]
            return True
    if not spec.columns:
        fields.pop("fee", None)
    return not spec.columns
