"""Fills: which contracts are counted in dollars and settled in their coin, by the coins of fees, by
the profits that the table has, or by a question.

May touch: nothing.
"""

from __future__ import annotations

from app.sources.cells import as_text
from app.sources.column_names import NAMES, known_as
from app.sources.drafting.adding_up import nice
from app.sources.drafting.contracts import ask_inverse
from app.sources.drafting.decided import Decided
from app.sources.drafting.dollars import ASSUMED
from app.sources.drafting.fill_rows import purchases
from app.sources.drafting.realized_values import values_by_profits
from app.sources.mapping import OPEN_QUESTION
from app.sources.pairs import may_be_inverse, pair_of, settled_in


def paid_in_coins(decided: Decided) -> list[str]:
    """The pairs whose fees are in the coin of the pair for purchases and sales alike, if quantities
    are whole: contracts that are settled in their coin."""
    contents, fields = decided.kept.contents, decided.fields
    if not {"symbol", "fee", "fee_currency"} <= fields.keys() or len(fields["symbol"].columns) > 1:
        return []
    whole = all(n.is_integer() for n in contents.read_numbers(fields["quantity"].column))
    sides: set[bool | None] = set()
    for symbol, coin, buy in zip(
        contents.cells(fields["symbol"].column),
        contents.cells(fields["fee_currency"].column),
        purchases(decided),
        strict=True,
    ):
        pair = pair_of(as_text(symbol or ""))
        if pair is None or pair[1] != "USD" or as_text(coin or "").upper() != pair[0]:
            return []
        sides.add(buy)
    return sorted(contents.words(fields["symbol"].column)) if whole and len(sides) > 1 else []


def settle_inverse(decided: Decided, coins: list[str]) -> None:
    """Ask about contracts that may be inverse, and the pairs `coins` whose fees are in their coins,
    unless profits show that they are."""
    spec = decided.fields.get("symbol")
    if spec is None or "inverse" in decided.keys:
        return
    if decided.fields["quantity"].column == OPEN_QUESTION:
        return
    found = [
        symbol
        for symbol in decided.kept.contents.words(spec.column)
        if symbol in coins or may_be_inverse(symbol)
    ]
    if not found:
        return
    contents = decided.kept.contents
    whole = all(
        float(n).is_integer() for n in contents.read_numbers(decided.fields["quantity"].column)
    )
    if not whole and not all(map(settled_in, found)):
        return  # Contracts of dollars are whole ones.
    if inverse_profits(decided, found):
        return
    ask_inverse(decided, found)


def inverse_profits(decided: Decided, symbols: list[str]) -> bool:
    """Whether the table's profits are those of inverse contracts: then there is nothing to ask."""
    columns = [
        c
        for c in decided.kept.contents.columns
        if known_as(c) in NAMES["pnl_usd"] and decided.kept.contents.is_numeric(c)
    ]
    for column in columns:
        decided.keys["inverse"] = (
            sorted(symbols),
            (
                f"counted in dollars and settled in the coin, so that {column} agrees with the"
                " prices"
            ),
        )
        values = values_by_profits(decided, column)
        if (
            values
            and set(symbols) <= values.keys()
            and all(nice(value) for value in values.values())
        ):
            for symbol in symbols:
                decided.sections.setdefault("multipliers", {})[symbol] = (
                    values[symbol],
                    "dollars per contract",
                )
            decided.guessed.append(
                f"The contracts are inverse, settled in their coin: only then does {column} agree"
                " with the prices."
            )
            if len(symbols) == len(values):
                decided.left[:] = [said for said in decided.left if said != ASSUMED]
            return True
        del decided.keys["inverse"]
    return False
