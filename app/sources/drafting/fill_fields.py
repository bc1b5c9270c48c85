"""Fills: which columns are quantity and price, where their names do not say it.

May touch: nothing.
"""

from __future__ import annotations

import re
from itertools import permutations, product

from app.sources.cells import as_text
from app.sources.column_names import NAMES, currency_in, known_as
from app.sources.drafting.choose import LIMIT
from app.sources.drafting.contents import Contents
from app.sources.drafting.spec import Fields, Spec
from app.sources.ends import is_price
from app.sources.figures import filled_part
from app.sources.pairs import pair_of
from app.sources.sides import Side, read_side

_PURCHASES = (("buy", "sell"), ("bought", "sold"), ("purchase", "sale"))
_LONGS = (("long", "short"), ("long_buy", "short_sell"), ("buys", "sells"))
_PRICES = ("price", "rate", "avg_price", "average_price", "avg")
_NO_PRICE = re.compile("rate|level|fee|comm|exchange|fx|market|last|current|kurswert|devisen")
"""Of columns whose names have a word for prices, and which are none of fills."""
_NO_AMOUNT = re.compile(
    r"fee|comm(?!od)|(exchange|fx|interest|funding)_rate|tax|pct|percent|leverage|balance|profit|pnl|roi"
)
"""Of columns that are no factor and no product of a quantity and a price."""
_VALUES = (1, 0.01, 100)
"""What a point of shares, bonds and options is worth."""
_NEARLY = 0.001
"""By how much price × quantity may differ from an amount, by rounding."""

_OF_TOTAL = re.compile(r"(filled|executed|done|traded)_(of_)?(total|ordered|qty|quantity|size)")
"""Of a column with what was filled beside what was ordered."""


def one_sided(contents: Contents, known: Fields) -> tuple[Fields, str, list[str]] | None:
    """Fills whose purchases and sales have columns of their own: each row has amounts in one of
    them."""
    by_name = {known_as(column): column for column in contents.columns}
    for bought, sold in (*_PURCHASES, *_LONGS):
        found: Fields = {}
        for name, words in (("quantity", ("qty", "quantity", "units")), ("price", _PRICES)):
            pairs = [
                (by_name[f"{bought}_{word}"], by_name[f"{sold}_{word}"])
                for word in words
                if {f"{bought}_{word}", f"{sold}_{word}"} <= by_name.keys()
            ]
            if pairs and _either(contents, pairs[0]):
                found[name] = Spec(list(pairs[0]), comment="of the purchase or of the sale")
        if not found and "price" in known and {bought, sold} <= by_name.keys():
            both = by_name[bought], by_name[sold]
            if all(map(contents.is_numeric, both)) and _either(contents, both):
                found["quantity"] = Spec(list(both), comment="of the purchase or of the sale")
                found["price"] = known["price"]
        time = known.get("exit_timestamp") or known.get("time")
        if len(found) == 2 and time is not None:
            column = found["quantity"].column
            others = ("symbol", "chain", "currency", "bucket", "timeframe")
            fields = {
                "time": time,
                **{f: known[f] for f in others if f in known},
                "side": Spec([column], {"paid": True}, "bought where there is a quantity"),
                **found,
            }
            if "fees_usd" in known:
                fields["fee"] = known["fees_usd"]
            return fields, "fills", ["Each row is a fill: a purchase or a sale."]
    return None


def _either(contents: Contents, columns: tuple[str, str]) -> bool:
    return contents.n_rows > 1 and all(
        bool(a) != bool(b)
        for a, b in zip(*(contents.numbers(column) for column in columns), strict=True)
    )


_OF_A_FEED = re.compile(r"(^|_)(oracle|index|mark|fair)(_|$)")
"""Of prices that are nearly those of the fills."""


def by_content(contents: Contents, as_fills: Fields, known: str) -> Spec | None:
    """The column, whatever it is called, that makes another one when multiplied by the known
    field."""
    used = {column for spec in as_fills.values() for column in spec.columns}
    factors = contents.numbers(as_fills[known].column)
    columns = [
        c
        for c in contents.columns
        if c not in used
        and contents.is_numeric(c)
        and not _NO_AMOUNT.search(known_as(c))
        and not _OF_A_FEED.search(known_as(c))
    ]
    columns.sort(key=lambda c: "net" in known_as(c).split("_"))
    for value, (found, amount) in product(_VALUES, permutations(columns, 2)):
        rows = [
            abs(abs(a) - abs(n * f) * value) <= _NEARLY * abs(a)
            for n, f, a in zip(
                contents.numbers(found), factors, contents.numbers(amount), strict=True
            )
            if n and f and a
        ]
        if len(rows) >= max(2, contents.n_rows // 2) and all(rows):
            times = "" if value == 1 else f" × {value:g}"
            return Spec([found], comment=f"times {as_fills[known].column}{times} it is {amount}")
    return None


def filled_of_total(contents: Contents) -> Spec | None:
    """The column of quantities in which what was filled stands beside what was ordered."""
    for column in contents.columns:
        values = contents.values(column)
        if (
            (known_as(column) in NAMES["quantity"] or _OF_TOTAL.fullmatch(known_as(column)))
            and values
            and all(filled_part(as_text(v)) is not None for v in values)
        ):
            contents.parts.add(column)
            contents.forget(column)
            return Spec([column], {"part": True}, "what was filled, of what was ordered")
    return None


def named_price(contents: Contents, as_fills: Fields) -> str | None:
    """The only column of numbers that is called a price, among other words."""
    used = {column for spec in as_fills.values() for column in spec.columns}
    found = [
        column
        for column in contents.columns
        if is_price(known_as(column))
        and not _NO_PRICE.search(known_as(column))
        and not LIMIT.search(known_as(column))
        and column not in used
        and contents.is_numeric(column)
        and any(contents.read_numbers(column))
    ]
    return found[0] if len(found) == 1 else None


def by_coin(contents: Contents, as_fills: Fields) -> Fields:
    """The quantity and the amount of money, where each coin has a column of amounts."""
    symbols = contents.words(as_fills["symbol"].column) if "symbol" in as_fills else {}
    pairs = [pair for word in symbols if (pair := pair_of(word)) is not None]
    columns: dict[str, str] = {}
    for column in contents.columns:
        if "amount" in known_as(column).split("_") and contents.is_numeric(column):
            units = {*contents.signs(column), *filter(None, [currency_in(column)])}
            if len(units) == 1:
                columns.setdefault(units.pop(), column)
    bases, quotes = {base for base, _ in pairs}, {quote for _, quote in pairs}
    if len(pairs) < len(symbols) or len(quotes) != 1 or not bases | quotes <= columns.keys():
        return {}
    amount = columns[quotes.pop()]
    return {
        "quantity": Spec([columns[base] for base in sorted(bases)]),
        "price": Spec([amount], {"per_unit": True}, "the amount over the quantity"),
    }


def price_per_unit(contents: Contents, as_fills: Fields) -> bool:
    """Take the amount over the quantity for the price, where there is none."""
    if not {"time", "quantity", "side", "symbol"} <= as_fills.keys():
        return False
    used = {column for spec in as_fills.values() for column in spec.columns}
    sided = [
        isinstance(read_side(as_text(v)), Side) if v is not None else False
        for v in contents.cells(as_fills["side"].column)
    ]
    quantities = contents.numbers(as_fills["quantity"].column)
    for name in dict.fromkeys((*NAMES["net"], *NAMES["gross"])):
        for column in contents.columns:
            if known_as(column) != name or column in used or not contents.is_numeric(column):
                continue
            amounts = contents.numbers(column)
            if all(a and q for a, q, s in zip(amounts, quantities, sided, strict=True) if s):
                as_fills["price"] = Spec(
                    [column], {"per_unit": True}, "the amount over the quantity"
                )
                return True
    return False
