"""What a connected strategy reads from freqtrade's objects: configuration, candles, orders, and how
much can be sold.

May touch: nothing but its arguments; `history` a file or the broker (read only).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from edgeloop.history import OverrideHistory
from edgeloop.integrations import making
from edgeloop.integrations.decision import Decision
from edgeloop.integrations.freqtrade_close import Order
from edgeloop.kafka_security import KafkaSecurity

log = logging.getLogger(__name__)

KEY = "edgeloop"
"""The name of the section of the configuration, and of a trade's custom data."""
KEYS = frozenset(
    {"broker", "topic_prefix", "spool", "module", "overrides", "by", "send_backtests", "ready_s"}
)
_SECONDS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def section(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The section of the configuration.  Raises `ValueError` for an unknown key."""
    own: Mapping[str, Any] = config.get(KEY) or {}
    if unknown := sorted(own.keys() - KEYS):
        raise ValueError(
            f"The section `edgeloop` of the configuration has no {unknown[0]!r}; it has:"
            f" {', '.join(sorted(KEYS))}."
        )
    return own


def data(trade: Any) -> dict[str, Any]:
    """The data kept with a trade."""
    return dict(trade.get_custom_data(KEY) or {})


def candle(at: datetime, timeframe: str) -> int:
    """The start of the candle that contains `at`, in Unix seconds.

    >>> from datetime import UTC, datetime
    >>> candle(datetime(2026, 1, 31, 9, 37, tzinfo=UTC), "1h") % 86_400 / 3_600
    9.0
    """
    seconds = int(timeframe[:-1]) * _SECONDS.get(timeframe[-1], 1)
    return int(at.timestamp()) // seconds * seconds


def history(
    own: Mapping[str, Any], broker: str, prefix: str, security: KafkaSecurity
) -> OverrideHistory:
    """The overrides of a back-test; an empty history, and so neutral sizes, if they cannot be
    read."""
    by = own.get("by", "published_at")
    try:
        if own.get("overrides"):
            return OverrideHistory.from_file(own["overrides"], by=by)
        return OverrideHistory.from_topic(broker, topic_prefix=prefix, security=security, by=by)
    except Exception:
        log.exception("Edgeloop: the overrides cannot be read; every size stays as it is.")
        return OverrideHistory(())


def sold(trade: Any, stake: float, rate: float, min_stake: float) -> float:
    """How much of `trade` to sell: at most all of it, and all of it if the part sold or the part
    left would be below the exchange's minimum."""
    held: float = trade.stake_amount
    worth = trade.amount * rate / (trade.leverage or 1.0)
    share = min(1.0, stake / held) if held > 0 else 1.0
    too_small = min(share, 1.0 - share) * worth < min_stake
    return held if share >= 1.0 or too_small else held * share


def order_of(trade: Any, order: Any, decisions: Mapping[str, Any]) -> Order | None:
    """None for an order that was not filled at all."""
    filled = order.order_filled_utc
    amount = making.real(order.filled or order.safe_filled)
    if filled is None or not amount:
        return None
    decision = decisions.get(str(order.order_id))
    return Order(
        is_entry=order.ft_order_side == trade.entry_side,
        amount=amount,
        price=making.real(order.safe_price),
        placed=making.from_utc(order.order_date_utc),
        filled=making.from_utc(filled),
        tag=order.ft_order_tag,
        decision=None if decision is None else msgspec.convert(decision, Decision),
    )
