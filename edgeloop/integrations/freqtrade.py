"""Connect freqtrade: a mixin for strategies.

May touch: what `Connection` touches, and the custom data of the bot's trades.

    class Mine(IStrategy): ...                   # your strategy, as it is

    class MineSized(EdgeloopMixin, Mine): ...    # the one that freqtrade runs

The book sizes entries, additions and partial exits.  If it makes a full exit smaller and
`position_adjustment_enable` is set, the exit becomes a partial one, and the next exit sells the
rest.  Stops, liquidations and forced exits are never resized.  Closed trades are sent with their
actions and the ids of the overrides.  No exception reaches the bot: errors are logged, and the
strategy's own size is used.

The bot's configuration has a section `edgeloop`; docs/integrations/freqtrade.md lists its keys.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from edgeloop.integrations.freqtrade_link import Link, Part

log = logging.getLogger(__name__)

T = TypeVar("T")

EMERGENCIES = frozenset(
    {
        "stop_loss",
        "trailing_stop_loss",
        "stoploss_on_exchange",
        "sold_on_exchange",
        "liquidation",
        "emergency_exit",
        "force_exit",
    }
)
"""Exit reasons that always close the whole position."""


class EdgeloopMixin:
    """Put it before the strategy's own class.  Override `edgeloop_scope` to add dimensions of the
    market; `edgeloop_emergencies` names the exit reasons that are never resized."""

    edgeloop_emergencies: frozenset[str] = EMERGENCIES
    _edgeloop: Link | None = None

    def edgeloop_scope(
        self, pair: str, current_time: datetime, side: str, tag: str
    ) -> dict[str, Any]:
        """Dimensions of the decision beyond pair, timeframe, exchange, side and leverage, such as a
        volatility bucket."""
        return {}

    def bot_start(self, **kwargs: Any) -> None:
        """Connect."""
        super().bot_start(**kwargs)  # type: ignore[misc]
        self._edgeloop = self._safely(lambda: Link.of(self), None)

    def bot_loop_start(self, current_time: datetime, **kwargs: Any) -> None:
        """Send closed trades."""
        super().bot_loop_start(current_time=current_time, **kwargs)  # type: ignore[misc]
        if self._edgeloop is not None:
            self._safely(self._edgeloop.report, None)

    def custom_stake_amount(
        self,
        pair: str,
        current_time: datetime,
        current_rate: float,
        proposed_stake: float,
        min_stake: float | None,
        max_stake: float,
        leverage: float,
        entry_tag: str | None,
        side: str,
        **kwargs: Any,
    ) -> float:
        """The strategy's own stake, times the multiplier of the entry."""
        stake: float = super().custom_stake_amount(  # type: ignore[misc]
            pair=pair,
            current_time=current_time,
            current_rate=current_rate,
            proposed_stake=proposed_stake,
            min_stake=min_stake,
            max_stake=max_stake,
            leverage=leverage,
            entry_tag=entry_tag,
            side=side,
            **kwargs,
        )

        def sized() -> float:
            if self._edgeloop is None or not stake or stake <= 0:
                return stake
            multiplier = self._edgeloop.entry(pair, current_time, side, entry_tag, leverage)
            return min(max(stake * multiplier, min(min_stake or 0.0, stake)), max_stake)

        return self._safely(sized, stake)

    def adjust_trade_position(
        self,
        trade: Any,
        current_time: datetime,
        current_rate: float,
        current_profit: float,
        min_stake: float | None,
        max_stake: float,
        current_entry_rate: float,
        current_exit_rate: float,
        current_entry_profit: float,
        current_exit_profit: float,
        **kwargs: Any,
    ) -> float | tuple[float | None, str | None] | None:
        """A full exit that was made smaller, or the strategy's own adjustment, times its
        multiplier."""
        exiting = self._safely(
            lambda: (
                self._edgeloop.smaller_exit(trade, current_rate, min_stake)
                if self._edgeloop is not None
                else None
            ),
            None,
        )
        if exiting is not None:
            return exiting
        own = super().adjust_trade_position(  # type: ignore[misc]
            trade=trade,
            current_time=current_time,
            current_rate=current_rate,
            current_profit=current_profit,
            min_stake=min_stake,
            max_stake=max_stake,
            current_entry_rate=current_entry_rate,
            current_exit_rate=current_exit_rate,
            current_entry_profit=current_entry_profit,
            current_exit_profit=current_exit_profit,
            **kwargs,
        )

        def sized() -> Any:
            stake, tag = own if isinstance(own, tuple) else (own, None)
            if self._edgeloop is None or not stake:
                return own
            part = Part(stake, tag or "", min_stake or 0.0, max_stake, current_rate)
            return self._edgeloop.adjusted(trade, current_time, part), tag

        return self._safely(sized, own)  # type: ignore[no-any-return]

    def confirm_trade_exit(
        self,
        pair: str,
        trade: Any,
        order_type: str,
        amount: float,
        rate: float,
        time_in_force: str,
        exit_reason: str,
        current_time: datetime,
        **kwargs: Any,
    ) -> bool:
        """False if the strategy says so, or if only part of the position is to be sold."""
        confirmed: bool = super().confirm_trade_exit(  # type: ignore[misc]
            pair=pair,
            trade=trade,
            order_type=order_type,
            amount=amount,
            rate=rate,
            time_in_force=time_in_force,
            exit_reason=exit_reason,
            current_time=current_time,
            **kwargs,
        )
        if not confirmed or self._edgeloop is None:
            return confirmed
        link, emergency = self._edgeloop, exit_reason in self.edgeloop_emergencies
        return self._safely(
            lambda: link.whole_exit(trade, current_time, exit_reason, emergency), True
        )

    def order_filled(
        self, pair: str, trade: Any, order: Any, current_time: datetime, **kwargs: Any
    ) -> None:
        """Keep the decision behind the order with the trade; send the trade if this closed it."""
        super().order_filled(  # type: ignore[misc]
            pair=pair, trade=trade, order=order, current_time=current_time, **kwargs
        )
        if (link := self._edgeloop) is not None:
            self._safely(lambda: link.filled(trade, order), None)

    def _safely(self, work: Callable[[], T], otherwise: T) -> T:
        """The result of `work`, or `otherwise` if it fails, so that the bot continues."""
        try:
            return work()
        except Exception:
            log.exception("Edgeloop: an unexpected error; the bot continues with its own size.")
            return otherwise
