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
_PAID_OUT = ("payout", "pay_out", "payoff", "return", "returned", "winnings", "выплата")
_FEWEST, _MOST = 2, 3.0
"""Rows at least of either outcome, and how many times the stake a gain is at most."""
_UP, _DOWN = ("call", "up", "higher", "rise", "buy", "long"), ("put", "down", "lower", "fall")


def settle_bets(decided: Decided) -> None:
    """Use the amount as the stake if every loss is the whole of it, and leave out the prices, which
    are those of an underlying."""
    contents, fields = decided.kept.contents, decided.fields
    if "entry_price" not in fields:
        return
    if "pnl_usd" not in fields and not _find_profit(decided):
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


def _find_profit(decided: Decided) -> bool:
    """Whether a column without a known name has what bets earned: the whole stake is lost where it
    is below 0.  Ask where there is but what was paid out."""
    contents = decided.kept.contents
    stakes = [c for c in contents.columns if known_as(c) in _STAKES and contents.is_numeric(c)]
    if len(stakes) != 1:
        return False
    staked = contents.numbers(stakes[0])
    for column in contents.columns:
        if column in (stakes[0], *decided.used()) or not contents.is_numeric(column):
            continue
        rows = [
            (n, stake)
            for n, stake in zip(contents.numbers(column), staked, strict=True)
            if n is not None and stake
        ]
        lost = [(n, stake) for n, stake in rows if n < 0]
        won = [(n, stake) for n, stake in rows if n > 0]
        if min(len(lost), len(won)) < _FEWEST or any(n > _MOST * stake for n, stake in won):
            continue
        if all(abs(n + stake) <= CENT for n, stake in lost):
            decided.fields["pnl_usd"] = Spec([column], comment="what is lost is the whole stake")
            return True
    for column in contents.columns:
        if known_as(column) not in _PAID_OUT or not contents.is_numeric(column):
            continue
        paid = [
            n / stake
            for n, stake in zip(contents.numbers(column), staked, strict=True)
            if n is not None and stake
        ]
        if (
            len(paid) == contents.n_rows
            and {True, False} == {n == 0 for n in paid}
            and all(n == 0 or 1 <= n <= _MOST for n in paid)
        ):
            decided.ask(
                "contradictions",
                f"What the rows earned: {column} is nothing, or more than {stakes[0]}, as what bets"
                " pay out, and no column has the profit.",
                f"add a column to the file, Profit: {column} less {stakes[0]}, and draft again",
            )
            return False
    return False


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
