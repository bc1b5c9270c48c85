"""A dead letter in words: the column and the cell that cause it, as they are in the table.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.sources.mapping import TableMapping

_FILL_FIELDS = {
    "exit_timestamp": "time",
    "ts": "time",
    "entry_price": "price",
    "fees_usd": "fee",
    "pnl_usd": "multiplier",
    "size_frac": "quantity",
    "action_category": "side",
}
_EXPECTED = {
    "exit_timestamp": "not a time in the mapping's format",
    "entry_timestamp": "not a time in the mapping's format",
    "ts": "not a time in the mapping's format",
    "action_category": "not a known side; name it in [sides]",
}


def in_words(
    event: Mapping[str, Any] | None, path: str, reason: str, mapping: TableMapping | None
) -> str:
    """The error in the row of `event`, rejected for `reason` at `path`; empty if the path says
    enough."""
    if event is None:
        return ""
    summary = event.get("trade_summary")
    if isinstance(summary, str):
        return summary
    field = path.rpartition(".")[2]
    column = _column(field, mapping)
    value = _at(event, path)
    if reason in ("missing_field", "missing_outcome"):
        return f"{column or field} is empty." if column else ""
    if field == "symbol" and value == []:
        return f"{column or 'the symbol'} is empty."
    if value is None or isinstance(value, (dict, list)):
        return ""
    if reason == "exit_before_entry":
        return f"{column or field} is {value}, before the entry."
    expected = _EXPECTED.get(
        field, "no number" if reason == "wrong_type" else reason.replace("_", " ")
    )
    return f"{column or field} holds {value!r}: {expected}."


def _column(field: str, mapping: TableMapping | None) -> str:
    if mapping is None:
        return ""
    name = _FILL_FIELDS.get(field, field) if mapping.rows == "fills" else field
    column = mapping.columns.get(name)
    return " + ".join((column.name, *column.more)) if column else ""


def _at(event: Mapping[str, Any], path: str) -> Any:
    """The value at a JSON path of the event; None if the path leads nowhere."""
    found: Any = event
    for part in path.removeprefix("$").strip(".").split("."):
        name, _, rest = part.partition("[")
        try:
            found = found[name] if name else found
            for index in rest.rstrip("]").split("][") if rest else ():
                found = found[int(index)]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return found
