"""Closed positions: whether profits are before or after fees: by prices, another column of profits,
two other amounts, a total or a balance in the file, the name, or else by a question.

May touch: nothing.
"""

from __future__ import annotations

import re
from itertools import permutations, product

from app.sources.column_names import NAMES, known_as
from app.sources.drafting.adding_up import CENT, MOST, Reading, off_by
from app.sources.drafting.decided import Decided
from app.sources.drafting.fee_columns import are_negative, fee_numbers, is_cash
from app.sources.drafting.spec import Spec
from app.sources.figures import written
from app.sources.glued_names import spaced
from app.sources.value_names import is_balance

_SAID = re.compile(
    r"\b(?:(?P<net>net|netto|netti|neto|nett|after)|gross|brutto|bruto|before)\b", re.IGNORECASE
)
_AFTER = re.compile(r"(^|_)(total|net|netto|netti|neto|nett)(_|$)|合計|合计|净|淨")
_MOST_AMOUNTS, _MOST_ROWS, _FEWEST_ROWS = 12, 500, 2
"""Among how many columns two amounts are looked for that make the profit, and in which rows."""
_OPTION = 100
"""Shares of an option."""
_BASIS = re.compile(r"cost_base|cost_basis|allowable|adjusted_cost|acquisition_cost|anschaffung")
"""Of costs as they count for tax, which fees are a part of."""
_WITHIN = re.compile(
    r"[(\[][^)\]]*\b(in|part of) (the )?(cost|proceeds|price|basis|amount|total|profit)",
    re.IGNORECASE,
)
"""Of fees that are in another amount already, as the column's name says."""
_AMOUNT = re.compile(r"\(?[-+]?[$€£]?\d[\d,.']*[.,]\d{2}\)?(?!\d)")
"""Of amounts with cents in a line of text."""


def by_prices(decided: Decided, reading: Reading, n_sized: int) -> None:
    """Write whether profits are before or after fees, as the rows add up; ask where they add up
    neither way and no other amount tells.  `n_sized` rows have a profit."""
    fees = decided.fields.get("fees_usd")
    if fees is not None:
        _follow_columns(decided, reading, fees)
    if reading.profit is not None:
        _write_kind(decided, reading, n_sized)
    elif fees is None:
        if reading.exact >= MOST:
            decided.keys["profit"] = ("net", "there are no fees")
            decided.guessed.append(
                f"Profits agree with the prices in {reading.n_exact:,} of {n_sized:,} rows."
            )
    elif (
        reading.exact < MOST
        and not reading.values
        and not by_amounts(decided, fees)
        and not _by_totals(decided, fees)
        and not _by_balance(decided, fees)
    ):
        if (said := _said(decided.fields["pnl_usd"].column)) and said["net"]:
            _by_name(decided, said)
        else:
            _ask(decided, "the rows add up neither way")


def _follow_columns(decided: Decided, reading: Reading, fees: Spec) -> None:
    """Believe two columns of profits more than prices, and no prices that contradict a name."""
    _, gross, net = by_two_profits(decided, fees)
    own = decided.fields["pnl_usd"].column
    if own in (gross, net):
        reading.profit = "gross" if own == gross else "net"
    elif (named := _said(own)) and reading.profit == ("gross" if named["net"] else "net"):
        reading.profit, reading.exact, reading.values = None, 0.0, {}


def _write_kind(decided: Decided, reading: Reading, n_sized: int) -> None:
    profit, has_fees = decided.fields["pnl_usd"].column, "fees_usd" in decided.fields
    said = "before" if reading.profit == "gross" else "after"
    decided.keys["profit"] = (
        reading.profit,
        f"{profit} is {said} fees, as the prices show"
        if has_fees
        else "after fees that are in no column",
    )
    share = (
        f"{reading.n_exact:,} of {n_sized:,} rows add up"
        if reading.exact >= MOST
        else "by the prices, approximately"
    )
    decided.guessed.append(f"{profit} is {said} fees ({share}).")
    if reading.profit == "gross" and has_fees:
        decided.guessed.append("Fees are deducted: pnl_usd and roi are net of fees.")
        decided.left.append(
            f"Whether fees are to be deducted from {profit}: they"
            ' are; profit = "shown" leaves it unchanged.'
        )


def _said(column: str) -> re.Match[str] | None:
    """The word for before or after fees in a column's name.

    >>> bool(_said("net_pnl_quote")), bool(_said("netPnl")), bool(_said("Cabinet"))
    (True, True, False)
    """
    return _SAID.search(spaced(column).replace("_", " "))


def _by_name(decided: Decided, said: re.Match[str]) -> None:
    decided.keys["profit"] = ("net" if said["net"] else "gross", "by the column's name")
    decided.guessed.append(
        f"{decided.fields['pnl_usd'].column} is {'after' if said['net'] else 'before'} fees, by its"
        " name."
    )


def _ask(decided: Decided, why: str) -> None:
    decided.ask(
        "profit",
        f"Whether {decided.fields['pnl_usd'].column} is before or after fees: {why}.",
        '"gross" if fees are still to be deducted, "net" if they already are',
    )


def without_prices(decided: Decided, fees: Spec, gross: str, net: str) -> None:
    """Whether profits are before or after fees, where prices do not tell: by the other column of
    profits, by the name, or else by a question."""
    contents, profit = decided.kept.contents, decided.fields.get("pnl_usd")
    paid = any(any(contents.read_numbers(column)) for column in fees.columns)
    if profit is None or not paid or "profit" in decided.keys:
        return
    if profit.column in (gross, net):
        decided.keys["profit"] = (
            "gross" if profit.column == gross else "net",
            f"{gross} without fees is {net}",
        )
    elif by_amounts(decided, fees) or _by_totals(decided, fees) or _by_balance(decided, fees):
        return
    elif said := _said(profit.column):
        _by_name(decided, said)
    else:
        _ask(decided, "nothing in the file shows it")


def by_amounts(decided: Decided, fees: Spec) -> bool:
    """Write whether profits are before or after fees, if two other amounts, such as a cost and
    proceeds or a credit and a debit, make them."""
    contents, fields = decided.kept.contents, decided.fields
    if "profit" in decided.keys:
        return False
    rows = range(min(contents.n_rows, _MOST_ROWS))
    profits = contents.numbers(fields["pnl_usd"].column)
    columns_of_fees = fee_numbers(contents, fees)
    paid = [abs(sum(numbers[i] or 0.0 for numbers in columns_of_fees)) for i in rows]
    known = [i for i in rows if profits[i] and paid[i]]
    if len(known) < _FEWEST_ROWS:
        return False
    skipped = {*fields["pnl_usd"].columns, *fees.columns}
    columns = [
        (contents.numbers(column), bool(_BASIS.search(known_as(column))))
        for column in contents.columns
        if column not in skipped
        and contents.is_numeric(column)
        and not contents.has_percent(column)
        and any(contents.read_numbers(column))
        and any(abs(contents.numbers(column)[i] or 0.0) != paid[i] for i in known)
    ]
    sizes: list[list[float | None] | None] = [None]
    if "quantity" in fields:
        quantities = contents.numbers(fields["quantity"].column)
        sizes += [quantities, [None if n is None else _OPTION * n for n in quantities]]
    off = off_by([paid[i] for i in known], profits)
    for (one, _), (other, basis) in permutations(columns[:_MOST_AMOUNTS], 2):
        for sign, size in product((1, -1), sizes):
            made = [
                ((one[i] or 0.0) + sign * (other[i] or 0.0)) * abs(size[i] or 0.0 if size else 1.0)
                for i in known
            ]
            less = [total - (profits[i] or 0.0) for total, i in zip(made, known, strict=True)]
            for kind, expected in (("gross", 0.0), ("net", 1.0)):
                if all(
                    abs(rest - expected * paid[i]) <= off
                    for rest, i in zip(less, known, strict=True)
                ):
                    if kind == "gross" and any(map(_WITHIN.search, fees.columns)):
                        kind = "net"
                    if kind == "gross" and basis and size is None:
                        _ask(decided, "costs for tax have fees in them, as a rule")
                        return True
                    said = "before" if kind == "gross" else "after"
                    decided.keys["profit"] = (kind, f"{said} fees, by two other amounts")
                    decided.guessed.append(
                        f"{fields['pnl_usd'].column} is {said} fees: two other amounts make it."
                    )
                    return True
    return False


def _by_totals(decided: Decided, fees: Spec) -> bool:
    """Write whether profits are before or after fees, if a line around the table has the total of
    the profits without the fees, or with them."""
    contents = decided.kept.contents
    mark = "," if contents.decimal == "," else "."
    totals = [
        float(told.text)
        for text in contents.texts
        for number in _AMOUNT.findall(text)
        if (told := written(number, mark)) is not None
    ]
    profits = sum(contents.read_numbers(decided.fields["pnl_usd"].column))
    paid = sum(n or 0.0 for numbers in fee_numbers(contents, fees) for n in numbers)
    negative = "scale" in fees.keys or are_negative(decided, fees)
    paid = -paid if negative else paid
    if abs(paid) <= 2 * CENT:
        return False
    less, more = (
        any(abs(total - expected) <= CENT for total in totals)
        for expected in (profits - paid, profits + paid)
    )
    if less == more:
        return False
    said = "before" if less else "after"
    decided.keys["profit"] = ("gross" if less else "net", f"{said} fees, by the total")
    decided.guessed.append(
        f"{decided.fields['pnl_usd'].column} is {said} fees, by the total in the file."
    )
    return True


def _by_balance(decided: Decided, fees: Spec) -> bool:
    """Write whether profits are before or after fees, if a balance changes by the one or the other
    in nearly all rows."""
    contents, profit = decided.kept.contents, decided.fields["pnl_usd"].column
    profits = [n or 0.0 for n in contents.numbers(profit)]
    columns = fee_numbers(contents, fees)
    paid = [abs(sum(numbers[i] or 0.0 for numbers in columns)) for i in range(contents.n_rows)]
    off = off_by(paid, profits)
    for column in contents.columns:
        if column in decided.used() or not is_balance(column) or not contents.is_numeric(column):
            continue
        balances = contents.numbers(column)
        for step in (1, -1):
            rows = [
                (balances[i] - balances[i - step], profits[i], paid[i])  # type: ignore[operator]
                for i in range(contents.n_rows)
                if 0 <= i - step < contents.n_rows
                and balances[i] is not None
                and balances[i - step] is not None
                and paid[i]
            ]
            gross = sum(abs(moved - own + fee) <= off for moved, own, fee in rows)
            net = sum(abs(moved - own) <= off for moved, own, _ in rows)
            if len(rows) < _FEWEST_ROWS or max(gross, net) < MOST * len(rows):
                continue
            kind, said = ("gross", "before") if gross > net else ("net", "after")
            decided.keys["profit"] = (kind, f"{said} fees, by {column}")
            decided.guessed.append(f"{profit} is {said} fees, as {column} changes.")
            return True
    return False


def _is_total(column: str) -> bool:
    """Whether the name is that of a profit after costs, and so of the later of two."""
    return bool(_AFTER.search(known_as(column)))


def by_two_profits(decided: Decided, spec: Spec) -> tuple[int, str, str]:
    """(1 where fees as they stand are what profits before are more than profits after them, -1
    where that is so of the opposite, 0 where the table has not both profits; the two columns)."""
    contents = decided.kept.contents
    columns = fee_numbers(contents, spec)
    fees = [sum(column[i] or 0.0 for column in columns) for i in range(contents.n_rows)]
    profits = [
        column
        for column in contents.columns
        if known_as(column) in NAMES["pnl_usd"] and contents.is_numeric(column)
    ]
    for gross, net in permutations(profits, 2):
        less = [
            (before - after, fee)
            for before, after, fee in zip(
                contents.numbers(gross), contents.numbers(net), fees, strict=True
            )
            if before is not None and after is not None and fee
        ]
        named = _is_total(net) - _is_total(gross)
        # What was received makes the later one larger.
        received = not named and bool(spec.columns) and all(map(is_cash, spec.columns))
        lower = sum(cost for cost, _ in less) > 0
        if not less or named < 0 or not (named or received or lower):
            continue
        off = off_by(fees, contents.numbers(gross), contents.numbers(net))
        for sign in (-1,) if received else (1, -1):
            if all(abs(cost - sign * fee) <= off for cost, fee in less):
                return sign, gross, net
    return 0, "", ""
