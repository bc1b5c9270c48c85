"""nautilus_trader's position events as closes, for its files and for connected strategies.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from edgeloop.integrations import making
from edgeloop.integrations.decision import Decision

TYPES = ("PositionOpened", "PositionChanged", "PositionClosed")
COLUMNS = frozenset({"position_id", "instrument_id", "opening_order_id", "strategy_id"})
"""Columns that every Parquet file of position events has."""


def kind_of(event: Any) -> str | None:
    """The kind of position event: from its `type`, or, for Parquet, which has none, from its
    columns."""
    if not isinstance(event, dict):
        return None
    if "type" in event:
        return event["type"] if event["type"] in TYPES else None
    if not event.keys() >= COLUMNS:
        return None
    if "ts_closed" in event:
        return "PositionClosed"
    return "PositionChanged" if "avg_px_close" in event else "PositionOpened"


def position_of(event: Mapping[str, Any]) -> tuple[str, ...]:
    """What identifies a position.  With netting, one id is reused, so the time of opening is part
    of it."""
    opened = event.get("ts_opened")
    return (
        str(event.get("trader_id")),
        str(event.get("position_id")),
        str(event.get("ts_event") if opened is None else opened),
    )


class Live(NamedTuple):
    """What a connected strategy knows beyond the events: the revision of its close, scope at entry,
    the order behind each event (by event id), and the decision behind each order."""

    revision: int | None = None
    scope: Mapping[str, Any] = {}
    orders: Mapping[str, str] = {}
    decisions: Mapping[str, Decision] = {}


NOTHING = Live()


def close(
    event: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]],
    module: str,
    note: Callable[[str], None],
    live: Live = NOTHING,
) -> dict[str, Any]:
    """The `position_closed` event of a `PositionClosed` and the events of the position before it.

    Where the orders are known, the fills of one order are one action.
    """
    symbol, _, venue = str(event.get("instrument_id", "")).rpartition(".")
    opened, closed = (
        making.from_epoch(event.get("ts_opened"), "ns"),
        making.from_epoch(event.get("ts_closed"), "ns"),
    )
    trade_id = "/".join(
        str(event.get(name, "-")) for name in ("trader_id", "position_id", "ts_opened")
    )
    context = {
        "symbol": symbol or None,
        "venue": venue or None,
        "is_short": event.get("entry") == "SELL",
        **live.scope,
    }
    return making.without_nothing(
        {
            "event_id": (
                (None if live.revision else event.get("event_id")) or making.closing_id(trade_id)
            ),
            "schema_version": 1,
            "module": module,
            "trade_id": trade_id,
            "revision": live.revision,
            "position_id": event.get("position_id"),
            "symbol": symbol or None,
            "chain": venue or None,
            "entry_context": making.without_nothing(context),
            "trade_summary": _summary(event, opened, closed, note),
            "actions": _actions(event, steps, module, opened, closed, live),
        }
    )


def _summary(
    event: Mapping[str, Any], opened: Any, closed: Any, note: Callable[[str], None]
) -> dict[str, Any]:
    pnl, currency = _money(event)
    in_dollars = currency in making.US_DOLLARS
    if not in_dollars:
        note(
            f"positions without pnl_usd, as their currency {currency or '(not known)'} is not the"
            " US dollar"
        )
    return making.without_nothing(
        {
            "entry_timestamp": opened,
            "exit_timestamp": closed,
            "entry_price": making.number(event.get("avg_px_open")),
            "exit_price": making.number(event.get("avg_px_close")),
            "roi": making.number(event.get("realized_return")),
            "pnl_usd": pnl if in_dollars else None,
            "hold_time_days": making.days_between(opened, closed),
        }
    )


def _money(event: Mapping[str, Any]) -> tuple[Any, str]:
    """The realised profit and its currency: `12.30 USD` in `to_dict`, a number beside the column
    `currency` in Parquet.

    >>> (
    ...     _money({"realized_pnl": "-1_200.50 USDT"}),
    ...     _money({"realized_pnl": 3.5, "currency": "EUR"}), _money({"realized_pnl": "lots"}),
    ... )
    ((-1200.5, 'USDT'), (3.5, 'EUR'), ('lots', ''))
    """
    value, currency = event.get("realized_pnl"), str(event.get("currency") or "")
    if isinstance(value, str):
        amount, _, own = value.partition(" ")
        try:
            return making.number(float(amount)), own or currency
        except ValueError:
            return value, own or currency
    return making.number(value), currency


def _actions(
    event: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]],
    module: str,
    opened: Any,
    closed: Any,
    live: Live,
) -> list[dict[str, Any]]:
    stem = f"{module}.{making.segment(event.get('strategy_id'), 'no_strategy')}"
    peak = _quantity(event, "peak_qty")
    actions: list[dict[str, Any]] = []

    def order_of(step: Mapping[str, Any]) -> str | None:
        return live.orders.get(str(step.get("event_id")))

    def act(category: str, ts: Any, size: float | None, step: Mapping[str, Any]) -> None:
        decision = live.decisions.get(order_of(step) or "")
        made = {
            "ts": ts,
            "pattern_key": f"{stem}.{category}",
            "action_category": category,
            "size_frac": size,
            **(decision.fields() if decision is not None else {}),
        }
        actions.append(making.without_nothing(made))

    changes = sorted(
        (s for s in steps if kind_of(s) == "PositionChanged"), key=lambda s: str(s.get("ts_event"))
    )
    openings = [s for s in steps if kind_of(s) == "PositionOpened"]
    held = _quantity(openings[0], "quantity") if openings else None
    share = round(held / peak, 6) if held is not None and peak else None
    act("entry", opened, share, openings[0] if openings else {})
    order = order_of(openings[0]) if openings else None
    for change in changes:
        now, last = _quantity(change, "quantity"), _quantity(change, "last_qty")
        # Without what was held before: at a new peak it was added to, below it was trimmed.
        grown = now is None or (
            now > held if held is not None else now >= (_quantity(change, "peak_qty") or 0.0)
        )
        whole = peak if grown else held
        size = round(min(1.0, last / whole), 6) if last and whole else None
        held = now
        if order is not None and order_of(change) == order:
            # One more fill of the same order: one action.
            so_far = actions[-1].get("size_frac")
            if so_far is not None and size is not None:
                actions[-1]["size_frac"] = round(min(1.0, so_far + size), 6)
            continue
        order = order_of(change)
        act(
            "add" if grown else "trim",
            making.from_epoch(change.get("ts_event"), "ns"),
            size,
            change,
        )
    if order is not None and order_of(event) == order and len(actions) > 1:
        actions.pop()  # the last fill of the order that began to close it
    act("exit", closed, 1.0, event)
    return actions


def _quantity(event: Mapping[str, Any], name: str) -> float | None:
    value = event.get(name)
    try:
        return None if value is None else abs(float(value))
    except (TypeError, ValueError):
        return None
