"""Fills: units of prices and fees, what was traded, and the order in which contract values, fees,
profits and shorts are decided.

May touch: nothing.
"""

from __future__ import annotations

import re

from app.sources.column_names import NAMES, is_in_points, known_as
from app.sources.drafting.accrued_interest import name_accrued
from app.sources.drafting.decided import Decided
from app.sources.drafting.dollars import ASSUMED
from app.sources.drafting.fee_coins import name_fees_abroad, settle_fee_coins
from app.sources.drafting.fee_columns import drop_fees_abroad
from app.sources.drafting.fill_amounts import drop_doubled_multiplier, read_amount
from app.sources.drafting.fill_fees import all_in, fees_of_another_unit, settle_fees
from app.sources.drafting.inverse import inverse_profits, paid_in_coins, settle_inverse
from app.sources.drafting.net_prices import settle_net_prices
from app.sources.drafting.other_profits import compare_profits
from app.sources.drafting.quantities import coin_of_amounts, not_the_amount, quantity_in_coins
from app.sources.drafting.realized_values import settle_realized_values
from app.sources.drafting.shorts import settle_shorts
from app.sources.drafting.smallest_units import in_base_units, in_smallest_units
from app.sources.drafting.spec import Spec
from app.sources.drafting.split_rows import settle_splits
from app.sources.glued_names import spaced
from app.sources.mapping import OPEN_QUESTION

_CENTS = re.compile(r"(?i:(^|[^a-z])(us)?cents?\)?$)|\([¢c]\)|¢$")
_RANDS = re.compile(r"(value|cost|amount|net|gross|brokerage|charges|proceeds|fees?)\W*\(R\)", re.I)
"""Of an amount in South African rands, and no multiple of a risk."""
_PENCE = re.compile(r"\((p|pence|gbx)\)|gbx", re.IGNORECASE)
_PROFIT = re.compile("profit|pnl|gain|result")
_SYMBOL_LINE = re.compile(
    r"\b(?:symbol|instrument|ticker)\s*(?:[:;,= ]\s*(\S+)$|[:=]\s*([A-Z0-9@#/!._-]+)[,;\s])",
    re.IGNORECASE,
)


def settle(decided: Decided) -> None:
    """Decide what the rows show; ask about the rest."""
    contents, fields = decided.kept.contents, decided.fields
    quantity_in_coins(decided)
    coin_of_amounts(decided)
    in_base_units(decided)
    _in_pounds(decided)
    _in_percent(decided)
    not_the_amount(decided, "quantity", "price")
    not_the_amount(decided, "price", "quantity")
    named = [m[1] or m[2] for text in contents.texts if (m := _SYMBOL_LINE.search(text))]
    if "symbol" not in fields and len(named) == 1:
        decided.sections.setdefault("constants", {})["symbol"] = (named[0], "by a line of the file")
        decided.guessed.append(f"What was traded is {named[0]}, by a line of the file.")
    elif "symbol" not in fields and decided.two_rows:
        decided.sections.setdefault("constants", {})["symbol"] = (
            "none",
            "no column says what was traded",
        )
        decided.left.append("What was traded: no column says, so all fills belong to one symbol.")
        _ask_for_points(decided)
    elif "symbol" not in fields:
        question = (
            "What was traded: no column says, and fills of several instruments would be merged."
        )
        decided.ask(
            "symbol",
            question,
            "the name of the only instrument; or name the column in [columns].  Futures and options"
            " need [multipliers] too",
            section="constants",
        )
    drop_fees_abroad(decided, "fee")
    settle_fees(decided)
    if not in_smallest_units(decided):
        _settle_amounts(decided)
        settle_fee_coins(decided)
        name_fees_abroad(decided)
    settle_net_prices(decided)
    name_accrued(decided)
    settle_splits(decided)
    compare_profits(decided)
    if fields.get("side", Spec([""])).column != OPEN_QUESTION:
        settle_shorts(decided)


def _ask_for_points(decided: Decided) -> None:
    """Ask what a point is worth where profits are in points, and nothing says what was traded."""
    contents = decided.kept.contents
    profits = [
        column
        for column in contents.columns
        if is_in_points(column)
        and contents.is_numeric(column)
        and ({known_as(column)} & {*NAMES["pnl_usd"]} or _PROFIT.search(known_as(column)))
    ]
    if profits:
        decided.ask(
            "*",
            f"What a point is worth: {profits[0]} is in points, and no column says what was"
            " traded.",
            "money per point and unit; 1 for shares",
            section="multipliers",
        )


def _settle_amounts(decided: Decided) -> None:
    """Contract values and fees by the amounts and the profits of the fills."""
    contents, fields = decided.kept.contents, decided.fields
    if "price" in fields and fields["price"].keys.get("per_unit"):
        all_in(decided)
    elif {"quantity", "price"} <= fields.keys():
        amount = read_amount(decided)
        if (
            amount is not None
            and "multiplier" in fields
            and any(n != 1 for n in contents.read_numbers(fields["multiplier"].column))
        ):
            drop_doubled_multiplier(decided, amount)
        coins = paid_in_coins(decided) if "inverse" not in decided.keys else []
        if not coins or not inverse_profits(decided, coins):
            if "multiplier" not in fields:
                settle_realized_values(decided, amount)
            settle_inverse(decided, coins)
        if "fee" in fields:
            fees_of_another_unit(decided, fields["fee"])


def _in_pounds(decided: Decided) -> None:
    """Prices that are in pence, and amounts that are in cents, by their columns' names."""
    contents = decided.kept.contents
    for name in ("price", "fee"):
        own = decided.fields.get(name)
        if own is not None and all(_CENTS.search(spaced(column)) for column in own.columns):
            own.keys["scale"], own.comment = 0.01, "cents"
            decided.guessed.append(f"{' and '.join(own.columns)} is in cents.")
            rands = name == "price" and any(map(_RANDS.search, contents.columns))
            if rands and ASSUMED in decided.left:
                decided.left.remove(ASSUMED)
                decided.keys["currency"] = ("ZAR", "prices are in cents, amounts in rands (R)")
                decided.guessed.append("The currency is ZAR, as amounts are in R.")
    spec = decided.fields.get("price")
    if spec is not None and _PENCE.search(spaced(spec.column)):
        spec.keys["scale"], spec.comment = 0.01, "pence"
        decided.keys["currency"] = ("GBP", "prices are in pence")
        decided.guessed.append(f"{spec.column} is in pence: the currency is GBP.")


def _in_percent(decided: Decided) -> None:
    """Prices that are in percent of the nominal value by their column's name, as those of bonds."""
    spec = decided.fields.get("price")
    if spec is not None and known_as(spec.column).endswith("_pct"):
        spec.keys["scale"], spec.comment = 0.01, "percent of the nominal value"
        decided.guessed.append(f"{spec.column} is in percent of the nominal value.")
