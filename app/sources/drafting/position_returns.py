"""Closed positions: whether returns and excursions are percent or fractions, or not to be read.

May touch: nothing.
"""

from __future__ import annotations

import statistics

from app.sources.column_names import NAMES, is_in_basis_points, known_as
from app.sources.drafting.adding_up import Reading
from app.sources.drafting.contents import Contents
from app.sources.drafting.decided import Decided
from app.sources.drafting.position_times import side_of
from app.sources.drafting.spec import Spec
from app.sources.mapping import OPEN_QUESTION

_LARGEST_FRACTION = 0.3
"""The largest return or excursion without a unit that is taken for a fraction."""
_CENTS = 0.021
"""The largest error of a sum of two amounts that are rounded to cents."""
_PUT_IN = ("stake", "stake_amount", "invested", "invested_amount", "investment", "amount_invested")
"""Names of stakes that are the same for shorts as for long positions."""
_FRACTIONS = ("max_drawdown", "max_gain")


def settle_stake(decided: Decided) -> None:
    """Whether the return is the profit over what was put in; of shorts that is what they were sold
    for, whatever a column of returns says."""
    fields = decided.fields
    _size_in_money(decided)
    if "stake" not in fields:
        return
    prices = {"entry_price", "exit_price"} <= fields.keys()
    put_in = known_as(fields["stake"].column) in _PUT_IN
    if "pnl_usd" in fields and not (prices or put_in) and _are_shorts_on_cost(decided):
        decided.keys["bought_sold"] = (
            True,
            f"{fields['stake'].column} is the value of the purchase, which for a short is the exit",
        )
        if "roi" in fields:
            decided.guessed.append(
                f"{fields.pop('roi').column} is not read: of shorts it is the return on what they"
                " were bought back for."
            )
    elif "pnl_usd" in fields and prices and _is_per_point(decided):
        fields["quantity"] = fields.pop("stake")
        fields["quantity"].comment = "money per point"
        return
    elif "pnl_usd" not in fields or "roi" in fields or (prices and not _is_stake(decided)):
        del fields["stake"]
        return
    decided.guessed.append(
        f"The return is {fields['pnl_usd'].column} over {fields['stake'].column}."
    )


def _size_in_money(decided: Decided) -> None:
    """Take a size in money for the stake, where there is no quantity: profits are the change of
    the price on it, and the fees tell whether they are taken off."""
    contents, fields = decided.kept.contents, decided.fields
    if {"stake", "quantity"} & fields.keys():
        return
    if not {"pnl_usd", "entry_price", "exit_price"} <= fields.keys():
        return
    profits, entries, exits = (
        contents.numbers(fields[name].column) for name in ("pnl_usd", "entry_price", "exit_price")
    )
    paid = [
        sum(abs(contents.numbers(column)[i] or 0.0) for column in fields["fees_usd"].columns)
        if "fees_usd" in fields
        else 0.0
        for i in range(contents.n_rows)
    ]
    for column in contents.columns:
        if (
            known_as(column) not in NAMES["quantity"]
            or column in decided.used()
            or not contents.is_numeric(column)
        ):
            continue
        rows = [
            ((side_of(decided, i, None) or 1) * abs(size) * (b / a - 1), profit, paid[i])
            for i, (size, a, b, profit) in enumerate(
                zip(contents.numbers(column), entries, exits, profits, strict=True)
            )
            if size and a and b and profit is not None
        ]
        for kind, factor in (("net", 1.0), ("gross", 0.0)):
            if rows and all(
                abs(made - factor * fee - profit) <= 0.02 + 0.001 * abs(made)
                for made, profit, fee in rows
            ):
                fields["stake"] = Spec([column], comment="the size in money")
                decided.keys["profit"] = (kind, "as the prices and the sizes show")
                return


def _is_stake(decided: Decided) -> bool:
    """Whether the profits are, but for fees, the change of the price on the stake, where there is
    no quantity."""
    contents, fields = decided.kept.contents, decided.fields
    if "quantity" in fields:
        return False
    columns = [fields[name].column for name in ("pnl_usd", "stake", "entry_price", "exit_price")]
    rows = [
        (profit / abs(stake), left / entered - 1)
        for profit, stake, entered, left in zip(*map(contents.numbers, columns), strict=True)
        if profit is not None and stake and entered and left
    ]
    return bool(rows) and all(
        abs(abs(made) - abs(moved)) <= 0.01 + 0.1 * abs(moved) for made, moved in rows
    )


def _is_per_point(decided: Decided) -> bool:
    """Whether the profits are, but for fees, the stake for each point of the price."""
    contents, fields = decided.kept.contents, decided.fields
    if "quantity" in fields:
        return False
    columns = [fields[name].column for name in ("pnl_usd", "stake", "entry_price", "exit_price")]
    rows = [
        (abs(profit), abs(stake * (left - entered)))
        for profit, stake, entered, left in zip(*map(contents.numbers, columns), strict=True)
        if profit and stake and entered is not None and left is not None
    ]
    return bool(rows) and all(abs(profit - made) <= _CENTS + 0.05 * made for profit, made in rows)


def _are_shorts_on_cost(decided: Decided) -> bool:
    """Whether there are shorts, and another column is the stake and the profit together in all
    rows: what was sold for, beside what was bought for."""
    contents, fields = decided.kept.contents, decided.fields
    quantities = (
        contents.numbers(fields["quantity"].column)
        if "quantity" in fields
        else [None] * contents.n_rows
    )
    if not any(side_of(decided, i, quantity) == -1 for i, quantity in enumerate(quantities)):
        return False
    stakes, profits = (contents.numbers(fields[name].column) for name in ("stake", "pnl_usd"))
    for column in contents.columns:
        if column in decided.used() or not contents.is_numeric(column):
            continue
        rows = [
            abs(abs(sold) - abs(stake) - profit) <= _CENTS
            for sold, stake, profit in zip(contents.numbers(column), stakes, profits, strict=True)
            if sold is not None and stake is not None and profit is not None
        ]
        if rows and all(rows):
            return True
    return False


def in_basis_points(decided: Decided) -> None:
    """Returns and excursions that are in hundredths or tenths of a percent by their columns'
    names."""
    for name in ("roi", *_FRACTIONS):
        spec = decided.fields.get(name)
        if name == "roi" and spec is not None and "‰" in spec.column:
            spec.keys["scale"], spec.comment = 0.001, "per mille"
        if spec is not None and is_in_basis_points(spec.column):
            spec.keys["scale"], spec.comment = 0.0001, "basis points"
            decided.guessed.append(f"{spec.column} is in basis points.")


def settle_returns(decided: Decided, reading: Reading) -> None:
    """Whether returns are percent, by the prices or by their size; those on margin are not read."""
    spec = decided.fields.get("roi")
    if spec is not None and (reading.of_another or reading.leverage):
        del decided.fields["roi"]
        what = (
            "on margin, as it is larger than the prices give"
            if reading.leverage
            else "not on the purchase value"
        )
        decided.guessed.append(
            f"{spec.column} is not read: it is a return {what}. The return is computed from the"
            " prices."
        )
        return
    levers = [c for c in decided.kept.contents.columns if known_as(c) == "leverage"]
    if spec is not None and reading.percent is None and levers:
        decided.left.append(
            f"Whether {spec.column} is on what was traded or on the margin: {levers[0]} suggests"
            " the latter."
        )
    if spec is None or "scale" in spec.keys or decided.kept.contents.has_percent(spec.column):
        return
    if reading.percent is not None:
        if reading.percent:
            spec.keys["scale"], spec.comment = 0.01, "percent, which agrees with the prices"
        decided.guessed.append(
            f"{spec.column} is {'percent' if reading.percent else 'a fraction'}, since so it agrees"
            " with the prices."
        )
        return
    _by_size(decided, spec)


def settle_fractions(contents: Contents, decided: Decided) -> None:
    """Greatest losses and gains of a trade: fractions of the stake or percent, or amounts of money,
    which are not read."""
    specs = {name: decided.fields[name] for name in _FRACTIONS if name in decided.fields}
    named = [
        spec
        for spec in specs.values()
        if _named_percent(spec.column) and not contents.has_percent(spec.column)
    ]
    percent = any(abs(n) > 1 for spec in named for n in contents.read_numbers(spec.column))
    for name, spec in specs.items():
        largest = max(map(abs, contents.read_numbers(spec.column)), default=0.0)
        if contents.has_percent(spec.column) or is_in_basis_points(spec.column):
            continue
        if spec in named and percent:
            spec.keys["scale"], spec.comment = (
                0.01,
                "assumed to be percent: remove the scale if 0.05 means five percent",
            )
            decided.left.append(
                f"Whether {spec.column} is in percent: assumed, since its numbers are that large."
            )
        elif contents.signs(spec.column) or spec in named or largest > _LARGEST_FRACTION:
            del decided.fields[name]
            decided.guessed.append(
                f"{spec.column} is not read: nothing shows that it is a fraction of the stake."
            )
        elif largest:
            decided.left.append(f"Whether {spec.column} is a fraction of the stake: assumed.")


def _named_percent(column: str) -> bool:
    return any(word in column.lower() for word in ("pct", "percent", "%"))


def _by_size(decided: Decided, spec: Spec) -> None:
    """Percent or fraction where no prices tell: by the name and the size of the numbers, and asked
    where both are possible."""
    numbers = [abs(n) for n in decided.kept.contents.read_numbers(spec.column)]
    largest = max(numbers, default=0.0)
    named = _named_percent(spec.column)
    if named and largest > 1.5 and statistics.median(numbers) > 0.1:
        spec.keys["scale"], spec.comment = (
            0.01,
            "assumed to be percent: remove the scale if 0.05 means five percent",
        )
        decided.left.append(
            f"Whether {spec.column} is in percent: assumed, since its numbers are that large."
        )
    elif largest and (named or largest > _LARGEST_FRACTION):
        spec.keys["scale"], spec.comment = (
            OPEN_QUESTION,
            f"0.01 if {largest:g} is {largest:g} percent, 1 if it is a fraction",
        )
        decided.asked.append(
            f"Whether {spec.column} is in percent or a fraction: its largest number is {largest:g},"
            " and there are no prices to compare."
        )
    elif largest:
        decided.left.append(
            f"Whether {spec.column} is a fraction: assumed, since its largest number is"
            f" {largest:g}."
        )
