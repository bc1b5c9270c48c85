"""What a draft asks where figures of the file that it does not read contradict it.

May touch: nothing.
"""

from __future__ import annotations

import re

from app.sources.column_names import known_as
from app.sources.drafting import simulate
from app.sources.drafting.adding_up import MOST
from app.sources.drafting.compared import EXACT, Compared, keys_of, near
from app.sources.drafting.comparisons import contradictions
from app.sources.drafting.conversions import ask_conversion
from app.sources.drafting.decided import Decided
from app.sources.drafting.outcomes import outcomes_of, sampled
from app.sources.mapping import OPEN_QUESTION

_POINT_VALUE = re.compile(
    r"(^|_)(pt|point|tick|contract|lot|unit)s?_(val|value|worth|sz|size|amt|mult|multiplier)$|^mult(iplier)?$"
    r"|^(shares|units)_per_(contract|lot)$"
)


def cross_check(decided: Decided) -> None:
    """Ask where unread figures contradict the reading.  A draft with open questions is not
    compared, but for that of the currency: its reading is not known yet."""
    ask_conversion(decided)
    open_keys = [key for key, (value, _) in decided.keys.items() if value == OPEN_QUESTION]
    if len(decided.asked) > open_keys.count("currency") or any(
        OPEN_QUESTION in spec.columns for spec in decided.fields.values()
    ):
        return
    mapping = simulate.mapping_of(decided)
    if mapping is None:
        return
    contents = decided.kept.contents
    rows, whole = sampled(mapping, contents.rows)
    if not whole:
        contents = contents.with_rows(rows)
    found = outcomes_of(mapping, rows)
    compared = Compared(
        decided.rows,
        contents,
        found,
        decided.used(),
        decided.fields.keys(),
        whole,
        keys_of(mapping),
        mapping.columns,
    )
    against = next(contradictions(compared), None)
    if against is None:
        _ask_point_value(decided)
    else:
        decided.ask(
            "contradictions",
            against.said,
            '"accept" if the columns are read rightly nevertheless; else correct them, the side or'
            " [multipliers]",
        )


def _ask_point_value(decided: Decided) -> None:
    """Ask what a point is worth, if a column may say it, is not read, and profits are made of
    prices and quantities."""
    contents, fields = decided.kept.contents, decided.fields
    if (
        "quantity" not in fields
        or {"multiplier", "gross", "net", "pnl_usd", "roi"} & fields.keys()
        or decided.sections.get("multipliers")
        or fields.get("price", fields.get("entry_price")) is None
    ):
        return
    said = " ".join(decided.guessed)
    columns = [
        column
        for column in contents.columns
        if column not in decided.used()
        and column not in said
        and _POINT_VALUE.search(known_as(column))
        and any(n not in (0, 1) for n in contents.read_numbers(column))
    ]
    if columns and not _is_confirmed(decided):
        decided.ask(
            "*",
            f"What a point is worth: {' and '.join(columns)} may say it, and no profit is read.",
            "money per point and unit; 1 if they say nothing of the kind",
            section="multipliers",
        )


def _is_confirmed(decided: Decided) -> bool:
    """Whether an amount is price times quantity as they stand."""
    contents, fields = decided.kept.contents, decided.fields
    price = fields.get("price") or fields["entry_price"]
    if OPEN_QUESTION in (price.column, fields["quantity"].column):
        return False
    values = [
        abs(a * b) if a and b else None
        for a, b in zip(
            contents.numbers(price.column), contents.numbers(fields["quantity"].column), strict=True
        )
    ]
    known = sum(value is not None for value in values)
    return any(
        sum(
            n is not None and value is not None and near(abs(n), value, EXACT)
            for n, value in zip(contents.numbers(column), values, strict=True)
        )
        >= max(1, MOST * known)
        for column in contents.columns
        if column not in decided.used() and contents.is_numeric(column)
    )
