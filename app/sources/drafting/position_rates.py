"""Closed positions: fees that are a share of what was traded, and in no profit.

May touch: nothing.
"""

from __future__ import annotations

from app.sources.drafting.adding_up import MOST, Reading
from app.sources.drafting.decided import Decided
from app.sources.drafting.fee_columns import IN_POINTS, without_amounts
from app.sources.drafting.spec import Spec
from app.sources.drafting.text import spec_text


def ask_rate(decided: Decided, reading: Reading) -> None:
    """Ask whether a share was paid at both ends, where no fee is read, and profits are before it:
    they follow from prices and quantities, or are made of them."""
    contents, fields = decided.kept.contents, decided.fields
    if "fees_usd" in fields or not {"entry_price", "exit_price", "quantity"} <= fields.keys():
        return
    if "roi" in fields or ("pnl_usd" in fields and reading.exact < MOST):
        return
    columns = [
        column
        for column in without_amounts(contents, decided.used())
        if not IN_POINTS.search(column)
    ]
    if len(columns) != 1:
        return
    (column,) = columns
    spec = Spec(columns, {"rate": True})
    if not contents.has_percent(column):
        spec.keys["scale"] = 0.01
    if "pnl_usd" in fields:
        decided.keys["profit"] = ("gross", f"{column} is in no profit")
    decided.ask(
        "fees_usd",
        f"Whether {column} was paid of the value at the entry and of that at the exit: profits are"
        " before it.",
        f"{spec_text(spec)} if it was; remove this line if it is no cost",
        section="columns",
    )
