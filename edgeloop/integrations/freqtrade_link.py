"""The connection of one freqtrade strategy: queries to the book, decisions kept with the trades,
and their closes.

May touch: what `Connection` touches, and the custom data of the bot's trades.

In live and dry runs, a book on the broker answers.  In a back-test, an `OverrideHistory` answers as
of the simulated time, from a file or from the topic, so that it never sees the future; its closes
are sent only if the configuration asks for it.  Hyperopt and all other modes stay unconnected.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from edgeloop.integrations import making
from edgeloop.integrations.connection import Connection
from edgeloop.integrations.decision import Book, Decision
from edgeloop.integrations.freqtrade_close import Trade, close
from edgeloop.integrations.freqtrade_parts import (
    KEY,
    candle,
    data,
    history,
    order_of,
    section,
    sold,
)
from edgeloop.kafka_security import KafkaSecurity
from edgeloop.resolution import Resolution, failed

log = logging.getLogger(__name__)

RECOVER = timedelta(days=30)
"""At a start, trades that closed within this time before it and were not sent are sent."""


class Part(NamedTuple):
    """An adjustment that the strategy requests: a stake (negative: to sell), its tag, and the
    bounds of the stake."""

    stake: float
    tag: str
    min_stake: float
    max_stake: float
    rate: float


class Asked(NamedTuple):
    """A decision whose order has not been filled yet, and the tag that the order will have."""

    tag: str
    decision: Decision


class Link:
    """The connection of one strategy, for the lifetime of the process."""

    def __init__(self, strategy: Any, connection: Connection, book: Book, backtest: bool) -> None:
        self._strategy, self._connection, self._book = strategy, connection, book
        self._backtest = backtest
        self._sends = not backtest or bool(section(strategy.config).get("send_backtests"))
        self._asked: dict[tuple[str, str], Asked] = {}
        self._closing: dict[str, Any] = {}
        atexit.register(self.finish)

    @classmethod
    def of(cls, strategy: Any) -> Link | None:
        """Connect `strategy`; None if the bot neither trades nor back-tests."""
        mode = getattr(strategy.config.get("runmode"), "value", "")
        if mode not in ("live", "dry_run", "backtest"):
            return None
        own, backtest = section(strategy.config), mode == "backtest"
        broker = own.get("broker") or os.environ.get("EDGELOOP_BROKER") or "127.0.0.1:9092"
        prefix = own.get("topic_prefix", os.environ.get("EDGELOOP_TOPIC_PREFIX", ""))
        spool = own.get("spool") or Path(strategy.config["user_data_dir"]) / "edgeloop" / mode
        if (before := _LINKS.pop(str(spool), None)) is not None:
            before.finish()  # the bot was reloaded, or back-tests several strategies in turn
        security = KafkaSecurity.from_environment()
        past = history(own, broker, prefix, security) if backtest else None
        connection = Connection(
            broker,
            spool=spool,
            topic_prefix=prefix,
            module=own.get("module", "pm"),
            book=past,
            security=security,
        )
        connection.start()
        if not connection.ready(float(own.get("ready_s", 10.0))):
            log.warning("Edgeloop: the overrides are not known yet; sizes stay as they are.")
        link = cls(strategy, connection, connection.book, backtest)
        _LINKS[str(spool)] = link
        log.info(
            "Edgeloop: %s sizes as module %s; closes are %ssent to %s.",
            strategy.get_strategy_name(), connection.module, "" if link._sends else "not ", broker,
        )  # fmt: skip
        if not backtest:
            link.recover()
        return link

    def finish(self) -> None:
        """At the end of the process, send what is left if the broker is available."""
        atexit.unregister(self.finish)
        try:
            self.report()
        except Exception:
            log.exception("Edgeloop: closes could not be spooled; the next start sends them.")
        sent = -1
        while not self._connection.flush(5.0) and self._connection.status.sent > sent:
            sent = self._connection.status.sent
        log.info("Edgeloop: %d closes sent.", self._connection.status.sent)
        if not self._connection.stop(timeout=0.1):
            log.warning("Edgeloop: closes wait in the spool; the next start sends them.")

    # questions
    def entry(self, pair: str, at: datetime, side: str, tag: str | None, leverage: float) -> float:
        """The multiplier of an entry."""
        context = self._context(pair, side == "short", leverage)
        named = making.segment(tag, "entry")
        decision = self._ask(pair, side, named, "entry", at, context, {}, f"{pair}/entry")
        self._asked[pair, "entry"] = Asked(tag or "", decision)
        return decision.multiplier

    def adjusted(self, trade: Any, at: datetime, part: Part) -> float:
        """The stake of an addition or a partial exit, times its multiplier, within its bounds."""
        adds = part.stake > 0
        entered = making.segment(trade.enter_tag, "entry")
        own: dict[str, Any] = {"enter_tag": entered}
        if adds:
            own["n_entry"] = trade.nr_of_successful_entries + 1
        tag = making.segment(part.tag, entered if adds else "partial_exit")
        category = "add" if adds else "trim"
        decision = self._of_trade(trade, tag, category, at, own)
        self._asked[trade.pair, "entry" if adds else "exit"] = Asked(part.tag, decision)
        stake = part.stake * decision.multiplier
        if adds:
            return min(max(stake, min(part.min_stake, part.stake)), part.max_stake)
        return -sold(trade, -stake, part.rate, part.min_stake)

    def whole_exit(self, trade: Any, at: datetime, reason: str, emergency: bool) -> bool:
        """Whether the exit closes the whole position; if not, `smaller_exit` gives the stake to
        sell."""
        known = data(trade)
        tag = making.segment(reason, "exit")
        own = {"enter_tag": making.segment(trade.enter_tag, "entry")}
        once = bool(known.get("reduced"))
        decision = self._of_trade(trade, tag, "exit", at, own, emergency or once)
        adjusts = bool(getattr(self._strategy, "position_adjustment_enable", False))
        if decision.multiplier >= 1.0 or not adjusts:
            self._asked[trade.pair, "exit"] = Asked(reason, decision)
            return True
        known["exit"] = {"tag": reason, "decision": msgspec.to_builtins(decision)}
        trade.set_custom_data(KEY, known)
        return False

    def smaller_exit(
        self, trade: Any, rate: float, min_stake: float | None
    ) -> tuple[float, str] | None:
        """(stake to sell, reason) of an exit that was made smaller; the whole position if a part
        cannot be sold."""
        known = data(trade)
        waiting = known.pop("exit", None)
        if waiting is None:
            return None
        trade.set_custom_data(KEY, {**known, "reduced": True})
        decision = msgspec.convert(waiting["decision"], Decision)
        self._asked[trade.pair, "exit"] = Asked(waiting["tag"], decision)
        wanted = trade.stake_amount * decision.multiplier
        return -sold(trade, wanted, rate, min_stake or 0.0), waiting["tag"]

    # orders and closes
    def filled(self, trade: Any, order: Any) -> None:
        """An order of `trade` was filled."""
        side = "entry" if order.ft_order_side == trade.entry_side else "exit"
        asked = self._asked.pop((trade.pair, side), None)
        known = data(trade)
        decisions = known.setdefault("orders", {})
        if asked is not None and asked.tag == (order.ft_order_tag or ""):
            decisions[str(order.order_id)] = msgspec.to_builtins(asked.decision)
        trade.set_custom_data(KEY, known)
        if side == "exit" and self._sends and (self._backtest or not trade.is_open):
            self._closing[str(trade.id)] = trade
            self.report()

    def report(self) -> None:
        """Send the trades that have closed since the last call."""
        if self._backtest and self._closing:
            # Callbacks get copies, and a back-test closes a trade after its last order.
            from freqtrade.persistence import LocalTrade

            closed = {str(t.id): t for t in LocalTrade.get_trades_proxy(is_open=False)}
            self._closing = {name: closed.get(name, t) for name, t in self._closing.items()}
        for name, trade in list(self._closing.items()):
            if not trade.is_open:
                self._connection.sender.send(self.close_of(trade))
                trade.set_custom_data(KEY, {**data(trade), "sent": True})
                del self._closing[name]

    def recover(self) -> None:
        """Send trades that had closed but were not sent when the bot stopped."""
        from freqtrade.persistence import Trade as Stored

        since = datetime.now(UTC) - RECOVER
        for trade in Stored.get_trades_proxy(is_open=False, close_date=since):
            known = data(trade)
            if known and not known.get("sent"):
                self._closing[str(trade.id)] = trade
        self.report()

    def close_of(self, trade: Any) -> dict[str, Any]:
        """The event of a closed trade."""
        decisions = data(trade).get("orders", {})
        opened, closed = making.from_utc(trade.open_date), making.from_utc(trade.close_date)
        strategy = trade.strategy or self._strategy.get_strategy_name()
        trade_id = (
            f"backtest/{strategy}/{trade.pair}/{opened}/{closed}"
            if self._backtest
            else f"freqtrade/{strategy}/{trade.pair}/{opened}/{trade.id}"
        )
        made = Trade(
            trade_id=trade_id,
            strategy=strategy,
            pair=trade.pair,
            stake_currency=self._strategy.config.get("stake_currency"),
            exchange=trade.exchange,
            timeframe=self._strategy.timeframe,
            enter_tag=trade.enter_tag,
            exit_reason=trade.exit_reason,
            opened=opened,
            closed=closed,
            open_rate=trade.open_rate,
            close_rate=trade.close_rate,
            amount=trade.amount,
            fee_open=trade.fee_open,
            fee_close=trade.fee_close,
            profit_ratio=trade.close_profit,
            profit_abs=trade.close_profit_abs,
            min_rate=trade.min_rate,
            max_rate=trade.max_rate,
            is_short=bool(trade.is_short),
            leverage=trade.leverage,
            orders=[made for order in trade.orders if (made := order_of(trade, order, decisions))],
            revision=making.LIVE_REVISION,
        )
        return close(made, self._connection.module)

    def _context(self, pair: str, is_short: bool, leverage: float) -> dict[str, Any]:
        exchange = self._strategy.config.get("exchange", {}).get("name")
        return making.without_nothing(
            {
                "symbol": pair,
                "timeframe": self._strategy.timeframe,
                "exchange": exchange,
                "is_short": is_short,
                "leverage": leverage,
            }
        )

    def _of_trade(
        self,
        trade: Any,
        tag: str,
        category: str,
        at: datetime,
        own: Mapping[str, Any],
        emergency: bool = False,
    ) -> Decision:
        context = self._context(trade.pair, bool(trade.is_short), trade.leverage)
        side = "short" if trade.is_short else "long"
        name = f"{trade.pair}/{making.from_utc(trade.open_date)}/{category}/{len(trade.orders)}"
        return self._ask(trade.pair, side, tag, category, at, context, own, name, emergency)

    def _ask(
        self,
        pair: str,
        side: str,
        tag: str,
        category: str,
        at: datetime,
        context: Mapping[str, Any],
        own: Mapping[str, Any],
        name: str,
        emergency: bool = False,
    ) -> Decision:
        """The answer for one decision.  A repeated request within a candle is the same decision."""
        strategy = self._strategy.get_strategy_name()
        key = f"{self._connection.module}.{making.segment(strategy)}.{tag}"
        scope: dict[str, Any] = dict(own)
        found: Resolution
        try:
            scope |= self._strategy.edgeloop_scope(pair, at, side, tag)
            found = self._book.resolve(
                key,
                category,
                {**context, **scope},
                at,
                module=self._connection.module,
                emergency=emergency,
                decision_id=f"{strategy}/{name}/{candle(at, self._strategy.timeframe)}",
            )
        except Exception as error:
            log.exception("Edgeloop: the scope of %s could not be made; the size is neutral.", pair)
            found = failed(error)
        return Decision.of(key, category, scope, found)


_LINKS: dict[str, Link] = {}
"""The links of this process by spool; each spool can have only one."""
