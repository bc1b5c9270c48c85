"""What a draft asks where figures of the file that it does not read contradict it.

May touch: nothing.
"""

from __future__ import annotations

import re
import statistics

from app.sources.column_names import currency_in, known_as
from app.sources.drafting import simulate
from app.sources.drafting.adding_up import MOST
from app.sources.drafting.compared import EXACT, Compared, near
from app.sources.drafting.comparisons import contradictions
from app.sources.drafting.conversions import ask_conversion
from app.sources.drafting.decided import Decided
from app.sources.drafting.fill_amounts import amounts_of, converted_amounts, sizes_of
from app.sources.drafting.outcomes import outcomes_of, sampled
from app.sources.mapping import OPEN_QUESTION
from app.sources.pairs import pair_of
from app.sources.value_names import is_balance

_POINT_VALUE = re.compile(
    r"(^|_)(pt|point|tick|contract|lot|unit)s?_(val|value|worth|sz|size|amt|mult|multiplier)$|^mult(iplier)?$"
    r"|^(shares|units)_per_(contract|lot)$"
)
_DAILY, _SAME_RATE = 0.03, 0.0005
"""By which share rates of exchange of several days differ at most, and contract values do not."""


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
    compared = Compared(decided.rows, contents, found, decided.used(), decided.fields.keys(), whole)
    said = _amounts_abroad(decided) if decided.rows == "fills" else None
    if said is None and (against := next(contradictions(compared), None)) is not None:
        said = against.said
    if said is None:
        _ask_point_value(decided)
    else:
        decided.ask(
            "contradictions",
            said,
            '"accept" if the columns are read rightly nevertheless; else correct them, the side or'
            " [multipliers]",
        )


def _amounts_abroad(decided: Decided) -> str | None:
    """Amounts that are always about the same multiple of price × quantity, and nothing says why:
    they may be in another currency than the prices."""
    fields = decided.fields
    known = {"gross", "net", "multiplier"} & fields.keys() or "inverse" in decided.keys
    if known or decided.sections.get("multipliers") or not {"price", "quantity"} <= fields.keys():
        return None
    keys = fields["price"].keys.keys() | fields["quantity"].keys.keys()
    symbols = decided.kept.contents.words(fields["symbol"].column) if "symbol" in fields else {}
    pairs = bool(symbols) and all(map(pair_of, symbols))
    if keys & {"per_unit", "money", "part"} or pairs or _is_confirmed(decided):
        return None
    told, _ = decided.keys.get("currency", ("", ""))
    converted = converted_amounts(decided)
    for column, numbers in amounts_of(decided):
        own = currency_in(column)
        rows = [
            (abs(n) / size, size)
            for n, size in zip(numbers, sizes_of(decided), strict=True)
            if n and size
        ]
        if (
            column in converted
            or is_balance(column)
            or len(rows) < 2
            or own not in (None, told)
            or len({round(size, 4) for _, size in rows}) < 2
        ):
            continue
        ratios = [ratio for ratio, _ in rows]
        middle = statistics.median(ratios)
        alike = all(abs(ratio / middle - 1) <= _DAILY for ratio in ratios)
        if alike and abs(middle - 1) > _DAILY and max(ratios) - min(ratios) > _SAME_RATE * middle:
            return (
                f"Whether prices are in the currency of {column}: it is about {middle:.4g} times"
                " price × quantity."
            )
    return None


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
