"""freqtrade's trades as closes: shared by the readers of its database and backtest results and by
connected bots.

May touch: nothing.

A trade's fills become actions: the first filled entry order is the `entry`, later ones are `add`s,
the last exit order is the `exit`, those before it are `trim`s.  A pattern key is
`<module>.<strategy>.<tag>`: the enter tag for entries and adds, the exit's own tag or reason for
trims and exits.  The scope has what was known at the action: pair, timeframe, exchange, side and
leverage; for adds and exits also the enter tag of the trade, for adds also the number of the entry.
An order of a connected bot comes with its decision, which defines the action.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgeloop.integrations import making
from edgeloop.integrations.decision import Decision


@dataclass(frozen=True, slots=True)
class Order:
    """A filled order.  `placed` and `filled` are times made by `making` (or the original text if it
    is not a time), `amount` is in units of the pair's base."""

    is_entry: bool
    amount: float | None
    price: float | None
    placed: Any
    filled: Any
    tag: Any
    decision: Decision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A closed trade, whatever release wrote it.  Rates, fees and profits are in freqtrade's units:
    fees and profits are fractions."""

    trade_id: str
    strategy: Any
    pair: Any
    stake_currency: Any
    exchange: Any
    timeframe: Any
    enter_tag: Any
    exit_reason: Any
    opened: Any
    closed: Any
    open_rate: Any
    close_rate: Any
    amount: Any
    fee_open: Any
    fee_close: Any
    profit_ratio: Any
    profit_abs: Any
    min_rate: Any
    max_rate: Any
    is_short: bool
    leverage: Any
    orders: Sequence[Order] = ()
    revision: int | None = None
    scope: Mapping[str, Any] | None = None


def ignore(phrase: str) -> None:
    """A `note` that ignores its argument."""


def close(trade: Trade, module: str, note: Callable[[str], None] = ignore) -> dict[str, Any]:
    """The `position_closed` event of `trade`.  `note` is called with what could not be
    determined."""
    pair = _label(trade.pair)
    context = making.without_nothing(
        {
            "symbol": pair,
            "timeframe": trade.timeframe,
            "exchange": trade.exchange or None,
            "is_short": trade.is_short,
            "leverage": trade.leverage,
            **(trade.scope or {}),
        }
    )
    return making.without_nothing(
        {
            "event_id": making.closing_id(trade.trade_id),
            "schema_version": 1,
            "module": module,
            "trade_id": trade.trade_id,
            "revision": trade.revision,
            "symbol": pair,
            "chain": trade.exchange or None,
            "timeframe": trade.timeframe,
            "entry_context": context,
            "trade_summary": _summary(trade, note),
            "actions": _actions(trade, module),
        }
    )


def _label(value: Any) -> Any:
    return None if value is None or value == "" else str(value)


def _actions(trade: Trade, module: str) -> list[dict[str, Any]]:
    stem = f"{module}.{making.segment(trade.strategy, 'no_strategy')}"
    entered = making.segment(trade.enter_tag, "entry")
    # So that 09:00:00Z comes before 09:00:00.5Z.
    orders = sorted(trade.orders, key=lambda o: str(o.filled).removesuffix("Z"))
    entries, exits = [o for o in orders if o.is_entry], [o for o in orders if not o.is_entry]
    bought = sum(o.amount or 0.0 for o in entries)
    actions: list[dict[str, Any]] = []

    def act(
        category: str,
        tag: str,
        ts: Any,
        size: float | None,
        scope: dict[str, Any],
        decision: Decision | None = None,
    ) -> None:
        made = {
            "ts": ts,
            "pattern_key": f"{stem}.{tag}",
            "action_category": category,
            "size_frac": None if size is None else round(size, 6),
            "scope": scope,
            **(decision.fields(scope) if decision is not None else {}),
        }
        actions.append(making.without_nothing(made))

    if not entries:
        act("entry", entered, trade.opened, None, {})
    held, n_entries, last = 0.0, 0, exits[-1] if exits else None
    for order in orders:
        amount = order.amount or 0.0
        if order.is_entry:
            n_entries += 1
            held += amount
            size = amount / bought if bought > 0 else None
            if n_entries == 1:
                act("entry", entered, order.placed, size, {}, order.decision)
            else:
                act(
                    "add",
                    making.segment(order.tag, entered),
                    order.placed,
                    size,
                    {"enter_tag": entered, "n_entry": n_entries},
                    order.decision,
                )
            continue
        size = min(1.0, amount / held) if held > 0 else None
        held = max(0.0, held - amount)
        if order is last:
            act(
                "exit",
                making.segment(order.tag, making.segment(trade.exit_reason, "exit")),
                order.placed,
                size,
                {"enter_tag": entered},
                order.decision,
            )
        else:
            act(
                "trim",
                making.segment(order.tag, "partial_exit"),
                order.placed,
                size,
                {"enter_tag": entered},
                order.decision,
            )
    if last is None:
        act(
            "exit",
            making.segment(trade.exit_reason, "exit"),
            trade.closed,
            None,
            {"enter_tag": entered},
        )
    return actions


def _summary(trade: Trade, note: Callable[[str], None]) -> dict[str, Any]:
    roi = making.number(trade.profit_ratio)
    drawdown, gain = _excursions(trade)
    currency = str(trade.stake_currency or "").upper()
    in_dollars = currency in making.US_DOLLARS
    if not in_dollars:
        note(
            f"trades without pnl_usd, as their stake currency {currency or '(not known)'} is not"
            " the US dollar"
        )
    return making.without_nothing(
        {
            "entry_timestamp": trade.opened,
            "exit_timestamp": trade.closed,
            "entry_price": making.number(trade.open_rate),
            "exit_price": making.number(trade.close_rate),
            "roi": roi,
            "pnl_usd": making.number(trade.profit_abs) if in_dollars else None,
            "rr": making.return_to_drawdown(making.real(trade.profit_ratio), drawdown),
            "max_drawdown": drawdown,
            "max_gain": gain,
            "fees_usd": _fees(trade) if in_dollars else None,
            "hold_time_days": making.days_between(trade.opened, trade.closed),
        }
    )


def _excursions(trade: Trade) -> tuple[float | None, float | None]:
    """(greatest loss, greatest gain) of the open trade, as positive fractions of the stake,
    including fees and leverage.  Both refer to the average open rate, so they are approximate for
    trades with additions. freqtrade stores 0 if it has no data.
    """
    rates = making.real(trade.open_rate), making.real(trade.min_rate), making.real(trade.max_rate)
    opened, low, high = (rate if rate is not None and rate > 0 else None for rate in rates)
    if opened is None or low is None or high is None:
        return None, None
    worst, best = (high, low) if trade.is_short else (low, high)
    drawdown = max(0.0, -_profit(trade, opened, worst))
    return round(drawdown, 8), round(max(0.0, _profit(trade, opened, best)), 8)


def _profit(trade: Trade, opened_at: float, rate: float) -> float:
    """The profit of a close at `rate`, as a fraction of the stake, by freqtrade's definition: fees
    on both sides, times leverage."""
    fee_open, fee_close = making.real(trade.fee_open) or 0.0, making.real(trade.fee_close) or 0.0
    leverage = making.real(trade.leverage) or 1.0
    if trade.is_short:
        taken, paid = opened_at * (1 - fee_open), rate * (1 + fee_close)
        return (1 - paid / taken) * leverage if taken > 0 else 0.0
    spent = opened_at * (1 + fee_open)
    return (rate * (1 - fee_close) / spent - 1) * leverage if spent > 0 else 0.0


def _fees(trade: Trade) -> float | None:
    fee_open, fee_close = making.real(trade.fee_open), making.real(trade.fee_close)
    if fee_open is None or fee_close is None:
        return None
    priced = [
        (o.is_entry, o.amount * o.price)
        for o in trade.orders
        if o.amount is not None and o.price is not None
    ]
    if {is_entry for is_entry, _ in priced} != {True, False}:
        amount, opened_at, closed_at = (
            making.real(trade.amount),
            making.real(trade.open_rate),
            making.real(trade.close_rate),
        )
        if amount is None or opened_at is None or closed_at is None:
            return None
        priced = [(True, amount * opened_at), (False, amount * closed_at)]
    return round(
        sum(value * (fee_open if is_entry else fee_close) for is_entry, value in priced), 8
    )
