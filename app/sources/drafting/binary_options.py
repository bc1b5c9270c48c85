"""Bets on a price: positions that earn a share of the stake or lose it, whatever the prices.

May touch: nothing.
"""

from __future__ import annotations

from app.sources.column_names import known_as
from app.sources.drafting.adding_up import CENT
from app.sources.drafting.decided import Decided
from app.sources.drafting.spec import Spec
from app.sources.mapping import OPEN_QUESTION

_STAKES = ("amount", "stake", "investment", "invested", "stake_amount", "bet", "trade_amount")
_UP, _DOWN = ("call", "up", "higher", "rise", "buy", "long"), ("put", "down", "lower", "fall")


def settle_bets(decided: Decided) -> None:
    """Use the amount as the stake if every loss is the whole of it, and leave out the prices, which
    are those of an underlying."""
    contents, fields = decided.kept.contents, decided.fields
    if "pnl_usd" not in fields or "entry_price" not in fields:
        return
    profits = contents.numbers(fields["pnl_usd"].column)
    for column in contents.columns:
        if (
            column in fields["pnl_usd"].columns
            or known_as(column) not in _STAKES
            or not contents.is_numeric(column)
        ):
            continue
        rows = [
            (profit, abs(stake))
            for profit, stake in zip(profits, contents.numbers(column), strict=True)
            if profit is not None and stake
        ]
        lost = [(profit, stake) for profit, stake in rows if profit < 0]
        if not lost or not all(abs(profit + stake) <= CENT for profit, stake in lost):
            continue
        for name in ("entry_price", "exit_price", "quantity", "stake"):
            fields.pop(name, None)
        fields["stake"] = Spec([column], comment="what was put in, and is lost as a whole")
        decided.guessed.append(
            f"The positions lose {column} or make a share of it: their prices are not read."
        )
        _side(decided)
        return


def _side(decided: Decided) -> None:
    """A column that has only calls and puts: a call is long, and nothing is asked."""
    contents, asked = decided.kept.contents, OPEN_QUESTION in str(decided.sections.get("sides"))
    if "side" in decided.fields and not asked:
        return
    own = decided.fields.pop("side", None)
    for column in own.columns if own else contents.columns:
        words = {word.strip().lower() for word in contents.words(column)}
        if words and words <= {*_UP, *_DOWN} and column not in decided.used():
            decided.asked[:] = [said for said in decided.asked if f" in {column} mean" not in said]
            decided.fields["side"] = Spec([column])
            decided.sections["sides"] = {"buy": (list(_UP), ""), "sell": (list(_DOWN), "")}
            return
    if own is not None:
        decided.fields["side"] = own
