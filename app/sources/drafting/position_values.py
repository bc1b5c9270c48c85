"""Closed positions: find the reading of profit, fees, returns, sides and contract values under
which the rows add up, and ask about the rest.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.sources.column_names import NAMES, currency_in, is_in_points, known_as
from app.sources.drafting.adding_up import MOST, Reading, read_positions
from app.sources.drafting.before_or_after import by_amounts
from app.sources.drafting.binary_options import settle_bets
from app.sources.drafting.contracts import ask_inverse_profits
from app.sources.drafting.decided import Decided
from app.sources.drafting.fee_columns import drop_fees_abroad, turn_cash
from app.sources.drafting.points import in_points, in_points_of_futures
from app.sources.drafting.position_profits import (
    fees_by_prices,
    fees_by_total,
    find_funding,
    gains_and_losses,
    settle_cents,
    settle_contracts,
    settle_fees,
    settle_profit,
)
from app.sources.drafting.position_rates import ask_rate
from app.sources.drafting.position_returns import (
    in_basis_points,
    settle_fractions,
    settle_returns,
    settle_stake,
)
from app.sources.drafting.position_times import (
    bought_and_sold,
    exchanged_times,
    not_the_term,
    sold_what_was_bought,
)
from app.sources.drafting.position_trades import (
    counts_both_sides,
    drop_leverage,
    fees_of_two_signs,
    find_prices,
    is_return,
    not_the_stake,
    of_another,
    other_quantity,
    prices_of_amounts,
    proceeds_less_cost,
    profit_in_the_currency_of_prices,
    trades_of,
    what_was_closed,
    with_funding,
)
from app.sources.drafting.profit_columns import profits_after_costs
from app.sources.drafting.quantities import coin_of_amounts
from app.sources.drafting.smallest_units import profits_in_satoshis
from app.sources.drafting.spec import Spec
from app.sources.drafting.unit_fees import settle_unit_fees
from app.sources.mapping import OPEN_QUESTION
from app.sources.sides import Side, read_side

_PROFIT = re.compile("profit|pnl|gewinn|gain|résultat|resultado|beneficio|lucro")
_PERCENT = re.compile("(^|_)(pct|percent|roe|roi)(_|$)")
"""Of returns, also on a margin: they are a multiple of the price's change as a share."""
_WASH_SALE = re.compile(r"wash_(sale|amt|loss)|disallowed")
_CONFIRMED = 0.02
"""By which share an amount may differ from what prices and quantity give, to confirm them."""


def _symbols(decided: Decided) -> list[str]:
    """What was traded, where one column says it."""
    spec = decided.fields.get("symbol")
    known = spec is not None and len(spec.columns) == 1 and "option" not in spec.keys
    return list(decided.kept.contents.words(spec.column)) if spec is not None and known else []


def _is_money(decided: Decided, column: str) -> bool:
    """Whether a column's name or its cells have a currency."""
    return currency_in(column) is not None or bool(decided.kept.contents.signs(column))


def settle(decided: Decided) -> None:
    """Decide what the rows show; ask about the rest."""
    contents, fields = decided.kept.contents, decided.fields
    in_basis_points(decided)
    profit_in_the_currency_of_prices(decided)
    drop_fees_abroad(decided, "fees_usd")
    gains_and_losses(decided)
    coin_of_amounts(decided)
    settle_cents(decided)
    profits_in_satoshis(decided)
    settle_bets(decided)
    prices_of_amounts(decided)
    not_the_term(decided)
    exchanged_times(decided)
    sold_what_was_bought(decided)
    bought_and_sold(decided)
    proceeds_less_cost(decided)
    settle_stake(decided)
    not_the_stake(decided)
    what_was_closed(decided)
    fees_by_total(decided)
    profits_after_costs(decided)
    if "fees_usd" in fields and "scale" not in fields["fees_usd"].keys:
        turn_cash(contents, fields["fees_usd"])
    trades = trades_of(decided)
    if fees_by_prices(decided, trades):
        trades = trades_of(decided)
    if "pnl_usd" in fields and (
        in_points(trades)
        or is_in_points(fields["pnl_usd"].column)
        or in_points_of_futures(trades, _symbols(decided))
    ):
        decided.guessed.append(
            f"{fields['pnl_usd'].column} is not read: it is in points, pips or ticks, as is the"
            " difference of the prices. The profit is computed from the prices."
        )
        decided.in_points.update(fields.pop("pnl_usd").columns)
        trades = trades_of(decided)
    if "pnl_usd" in fields and (
        is_return(trades, _is_money(decided, fields["pnl_usd"].column)) or find_prices(decided)
    ):
        spec = fields.pop("pnl_usd")
        fields.pop("stake", None)
        decided.guessed.append(
            f"{spec.column} is a return in percent: it is the change of the price, whatever the"
            " quantity."
        )
        fields.setdefault("roi", Spec([spec.column], {"scale": 0.01}, "percent"))
        trades = trades_of(decided)
    reading = read_positions(trades) if trades else Reading()
    if trades and counts_both_sides(decided, reading):
        trades = trades_of(decided)
        reading = read_positions(trades)
    if trades and reading.exact < 0.8 and "pnl_usd" in fields and "quantity" in fields:
        trades, reading = other_quantity(decided, trades, reading)
    drop_leverage(decided, reading)
    unsure = bool(trades) and (reading.exact < 0.8 or bool(reading.alone))
    if unsure and {"pnl_usd", "quantity", "fees_usd"} <= fields.keys():
        trades, reading = with_funding(decided, trades, reading)
    if trades and reading.exact < 0.8 and {"pnl_usd", "quantity", "fees_usd"} <= fields.keys():
        trades, reading = fees_of_two_signs(decided, trades, reading)
    if trades and reading.exact < 0.8 and {"pnl_usd", "fees_usd"} <= fields.keys():
        by_amounts(decided, fields["fees_usd"])
    known, _ = decided.keys.get("profit", (None, ""))
    if "pnl_usd" in fields and of_another(trades, known):
        names = f"{fields['entry_price'].column} and {fields['exit_price'].column}"
        decided.guessed.append(
            f"{names} are not read: the profits do not follow from them, as if they were those of"
            " an underlying."
        )
        del fields["entry_price"], fields["exit_price"]
        decided.keys.pop("bought_sold", None)
        trades, reading = [], Reading()
    if reading.exchanged:
        _exchange_sides(decided, reading)
    elif reading.n_against and reading.n_against > 0.05 * reading.n_compared:
        _against(decided, reading)
    if "pnl_usd" in fields and {"entry_price", "exit_price", "quantity"} <= fields.keys():
        settle_profit(decided, reading, trades)
    elif (
        {"entry_price", "exit_price"} <= fields.keys()
        and "pnl_usd" not in fields
        and not fields["entry_price"].keys.get("per_unit")
    ):
        settle_contracts(decided, bool(_likely_profits(decided)))
    if reading.exact < MOST:
        ask_inverse_profits(decided)
    find_funding(decided, reading)
    ask_rate(decided, reading)
    settle_fees(decided)
    settle_unit_fees(decided, trades)
    settle_returns(decided, reading)
    settle_fractions(contents, decided)
    _outcome(decided)
    _name_wash_sales(decided)
    if "symbol" not in fields:
        decided.left.append("What was traded: no column says.")


def _name_wash_sales(decided: Decided) -> None:
    """Name losses that a tax form has moved to later purchases."""
    contents = decided.kept.contents
    moved = [
        column
        for column in contents.columns
        if _WASH_SALE.search(known_as(column))
        and contents.is_numeric(column)
        and any(contents.read_numbers(column))
    ]
    if moved and "pnl_usd" in decided.fields:
        decided.left.append(
            f"Whether {decided.fields['pnl_usd'].column} is what each trade earned: losses in"
            f" {' and '.join(moved)} count for tax in later trades."
        )


def _exchange_sides(decided: Decided, reading: Reading) -> None:
    spec = decided.fields.get("side")
    if spec is None:
        decided.ask(
            "side",
            "Whether the positions are shorts: their profits contradict their prices, and no column"
            " has a side.",
            "the column that says long or short; if all are shorts, instead of this: [constants]"
            ' side = "short"',
            section="columns",
        )
        return
    words = decided.kept.contents.words(spec.column)
    buy = sorted(
        {w.strip().lower() for w in words if isinstance(s := read_side(w), Side) and s.position < 0}
    )
    sell = sorted(
        {w.strip().lower() for w in words if isinstance(s := read_side(w), Side) and s.position > 0}
    )
    decided.sections["sides"] = {
        "buy": (
            buy,
            "the side is that of the closing order: only then do profits agree with prices",
        ),
        "sell": (sell, ""),
    }
    decided.guessed.append(
        f"{spec.column} is the side of the closing order: only then do profits agree with prices."
    )


def _against(decided: Decided, reading: Reading) -> None:
    if "side" in decided.fields:
        decided.left.append(
            f"Why {reading.n_against:,} of {reading.n_compared:,} profits contradict their prices"
            " and side: they are refused."
        )
        return
    decided.fields["side"] = Spec([OPEN_QUESTION], comment="the column that says long or short")
    decided.asked.append(
        f"Which rows are shorts: no column says, and {reading.n_against:,} of"
        f" {reading.n_compared:,} profits contradict their prices."
    )


def _likely_profits(decided: Decided) -> list[str]:
    """The columns whose numbers have the sign of the change of the prices in all rows, and are no
    multiple of it: profits whose name is not known."""
    contents = decided.kept.contents
    trades = trades_of(decided)
    if len(trades) < contents.n_rows or not all(trade.entry for trade in trades):
        return []
    is_sized = "quantity" in decided.fields
    moves = [trade.side * (trade.exit - trade.entry) for trade in trades]
    shares = [move / trade.entry for move, trade in zip(moves, trades, strict=True)]
    gains = [move * abs(trade.quantity or 0) for move, trade in zip(moves, trades, strict=True)]
    found = []
    for column in contents.columns:
        if column in decided.used() | decided.in_points or not contents.is_numeric(column):
            continue
        numbers = contents.numbers(column)
        if (
            contents.has_percent(column)
            or (not is_sized and not _PROFIT.search(known_as(column)))
            or is_in_points(column)
            or (_PERCENT.search(known_as(column)) and _is_multiple(numbers, shares))
            or not all(n and m and (n > 0) == (m > 0) for n, m in zip(numbers, moves, strict=True))
            or len({n > 0 for n in numbers if n}) < 2
        ):
            continue
        if is_sized and all(
            abs(n - gain) <= _CONFIRMED * abs(gain) + abs(trade.fees) + 0.011
            for n, gain, trade in zip(numbers, gains, trades, strict=True)
            if n is not None
        ):
            return []  # The prices give it too.
        if not is_sized or not any(_is_multiple(numbers, own) for own in (moves, shares)):
            found.append(column)
    return found


def _is_multiple(numbers: Sequence[float | None], of: Sequence[float]) -> bool:
    """Whether all numbers are the same multiple, but for rounding."""
    ratios = [n / m for n, m in zip(numbers, of, strict=True) if n and m]
    return bool(ratios) and max(ratios) - min(ratios) <= 0.05 * abs(max(ratios))


def _unread_profits(decided: Decided) -> str | None:
    """The column that is called a profit and has texts with digits that are no numbers."""
    contents = decided.kept.contents
    return next(
        (
            column
            for column in contents.columns
            if column not in decided.used()
            and known_as(column) in NAMES["pnl_usd"]
            and not contents.is_numeric(column)
            and contents.time(column) is None
            and contents.values(column)
            and all(any(c.isdigit() for c in word) for word in contents.words(column))
        ),
        None,
    )


def _outcome(decided: Decided) -> None:
    fields = decided.fields
    has_prices = {"entry_price", "exit_price"} <= fields.keys()
    if "pnl_usd" not in fields and (unread := _unread_profits(decided)):
        decided.ask(
            "pnl_usd",
            f"What the trades earned: {unread} has it, but its cells cannot all be read as numbers,"
            " and prices alone do not show what a point is worth.",
            f"mend the numbers in {unread} and draft again; or the column with the profit",
            section="columns",
        )
        return
    if not {"pnl_usd", "roi", "rr"} & fields.keys() and (likely := _likely_profits(decided)):
        decided.ask(
            "pnl_usd",
            f"What the trades earned: {' or '.join(likely)} is above 0 where the prices rose for"
            " the position and below 0 where they fell, and its name is not known.",
            f"the column with the profit, such as {likely[-1]!r}; or remove this line if none is,"
            " and add [multipliers] if quantities are in lots or contracts",
            section="columns",
        )
        return
    outcomes = [name for name in ("rr", "roi", "pnl_usd") if name in fields]
    if not outcomes and not has_prices:
        decided.ask(
            "pnl_usd",
            "What the trades earned: no column looks like a return, a profit or two prices, and"
            " without one nothing can be learned.",
            "the column with the profit; if each row is a purchase or a sale, draft again with"
            " --rows fills, or export the fills with their prices",
            section="columns",
        )
    elif not outcomes:
        decided.guessed.append("The return is computed from the two prices.")
    if "rr" not in fields and "max_drawdown" in fields and ("roi" in fields or has_prices):
        decided.guessed.append("rr is the return divided by the drawdown.")
