"""Connect nautilus_trader: sizes for a strategy's orders, and its positions as closes.

May touch: what `Connection` touches, and the strategy's message bus.

    class Mine(Strategy):
        def on_start(self):
            self.edgeloop = Sizer(self, connection)
            self.edgeloop.start()

        def buy(self):
            sized = self.edgeloop.size(self.instrument, Decimal("0.10"), "dip", "entry")
            order = self.order_factory.market(self.instrument.id, OrderSide.BUY, sized.quantity)
            self.edgeloop.submit(order, sized)

The sizer listens to the strategy's own orders and positions and sends a close for every
`PositionClosed`.  Its only clock is the strategy's: a back-test with an `OverrideHistory` gives the
same sizes and closes every time.  The decisions of open positions are on disk, so a restarted live
strategy loses nothing.  Errors are logged, and the strategy's own size is used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from edgeloop.integrations import making
from edgeloop.integrations.connection import Connection
from edgeloop.integrations.decision import Decision
from edgeloop.integrations.nautilus_close import Live, close, kind_of, position_of
from edgeloop.times import moment_of

log = logging.getLogger(__name__)


class Sized(NamedTuple):
    """The answer: a `Quantity` of the instrument, and the decision behind it."""

    quantity: Any
    decision: Decision

    @property
    def multiplier(self) -> float:
        """The multiplier of the quantity."""
        return self.decision.multiplier


class Sizer:
    """The connection of one strategy.

    `scope`: dimensions that hold for all decisions of this strategy.  Pattern keys are
    `<module>.<strategy id>.<pattern>`.  `keep`: whether open positions are kept on disk; by
    default, if the strategy runs on a live clock.
    """

    def __init__(
        self,
        strategy: Any,
        connection: Connection,
        *,
        scope: Mapping[str, Any] | None = None,
        keep: bool | None = None,
    ) -> None:
        self._strategy, self._connection = strategy, connection
        self._scope = dict(scope or {})
        live = type(strategy.clock).__name__ == "LiveClock"
        self._spool = connection.spool if (live if keep is None else keep) else None
        self._open: dict[str, dict[str, Any]] = {}
        self._decisions: dict[str, Any] = {}
        self._last_fill: dict[str, str] = {}

    def start(self) -> None:
        """Listen to the strategy's orders and positions.  Call it in `on_start`."""
        for topic, handler in self._topics():
            self._strategy.msgbus.subscribe(topic=topic, handler=handler)

    def stop(self) -> None:
        """Stop listening.  Call it in `on_stop`, unless positions are closed there."""
        for topic, handler in self._topics():
            self._strategy.msgbus.unsubscribe(topic=topic, handler=handler)

    def _topics(self) -> tuple[tuple[str, Any], ...]:
        name = self._strategy.id
        return (
            (f"events.order.{name}", self._order_event),
            (f"events.position.{name}", self._position_event),
        )

    def size(
        self,
        instrument: Any,
        quantity: Any,
        pattern: str,
        category: str,
        scope: Mapping[str, Any] | None = None,
        *,
        emergency: bool = False,
        at_most: Any = None,
    ) -> Sized:
        """`quantity` times the multiplier, as a `Quantity` that the instrument takes.

        `category` is entry, add, trim or exit.  `at_most` is the quantity held, the most that an
        exit can sell.  It never raises because of the multiplier; a result below the instrument's
        minimum leaves the quantity as it was.
        """
        decision = self._decide(instrument, pattern, category, scope, emergency)
        wanted = float(quantity) * decision.multiplier
        if at_most is not None:
            wanted = min(wanted, float(at_most))
        least = float(instrument.min_quantity or instrument.size_increment)
        if wanted < min(least, float(quantity)):
            wanted = float(quantity)
        if instrument.max_quantity is not None:
            wanted = min(wanted, float(instrument.max_quantity))
        return Sized(instrument.make_qty(wanted), decision)

    def submit(self, order: Any, sized: Sized, **how: Any) -> None:
        """Submit the order through the strategy, and remember the decision behind it."""
        order_id = str(order.client_order_id)
        decision = self._decisions[order_id] = msgspec.to_builtins(sized.decision)
        self._safely(lambda: self._remember(f"order/{order_id}", decision))
        self._strategy.submit_order(order, **how)

    def _decide(
        self,
        instrument: Any,
        pattern: str,
        category: str,
        scope: Mapping[str, Any] | None,
        emergency: bool,
    ) -> Decision:
        own = {**self._scope, **(scope or {})}
        strategy, at_ns = str(self._strategy.id), int(self._strategy.clock.timestamp_ns())
        module = self._connection.module
        key = f"{module}.{making.segment(strategy)}.{making.segment(pattern, category)}"
        symbol, _, venue = str(instrument.id).rpartition(".")
        found = self._connection.book.resolve(
            key,
            category,
            {"symbol": symbol, "venue": venue, **own},
            moment_of(at_ns // 1000),
            module=module,
            emergency=emergency,
            decision_id=f"{strategy}/{instrument.id}/{category}/{at_ns}",
        )
        return Decision.of(key, category, own, found)

    def _order_event(self, event: Any) -> None:
        """Handles a fill, which is published before the position event that it causes."""
        order_id, kind = str(getattr(event, "client_order_id", "")), type(event).__name__
        if kind == "OrderFilled":
            self._last_fill[str(event.position_id)] = order_id
        elif kind in _NEVER_FILLED:
            self._decisions.pop(order_id, None)
            self._safely(lambda: self._forget(f"order/{order_id}"))

    def _position_event(self, event: Any) -> None:
        self._safely(lambda: self._take(type(event).to_dict(event)))

    def _take(self, event: dict[str, Any]) -> None:
        place = "/".join(("nautilus", *position_of(event)))
        known = self._open.get(place) or self._recall(place) or {"steps": [], "orders": {}}
        order_id = self._last_fill.get(str(event["position_id"]))
        if order_id is not None:
            decision = self._decisions.get(order_id) or self._recall(f"order/{order_id}")
            known["orders"][event["event_id"]] = order_id
            if decision is not None:
                known.setdefault("decisions", {})[order_id] = decision
        if kind_of(event) != "PositionClosed":
            known["steps"].append(event)
            self._open[place] = known
            self._remember(place, known)
            return
        decisions = known.get("decisions", {})
        live = Live(
            making.LIVE_REVISION,
            self._scope,
            known["orders"],
            {i: msgspec.convert(decision, Decision) for i, decision in decisions.items()},
        )
        made = close(event, known["steps"], self._connection.module, log.debug, live)
        self._connection.sender.send(made)
        self._open.pop(place, None)
        self._forget(place)
        for order_id in decisions:
            self._decisions.pop(order_id, None)
            self._forget(f"order/{order_id}")

    def _remember(self, name: str, state: Mapping[str, Any]) -> None:
        if self._spool is not None:
            self._spool.remember(name, state)

    def _recall(self, name: str) -> dict[str, Any] | None:
        return None if self._spool is None else self._spool.recall(name)

    def _forget(self, name: str) -> None:
        if self._spool is not None:
            self._spool.forget(name)

    def _safely(self, work: Callable[[], None]) -> None:
        """Run `work`; if it fails, the strategy continues."""
        try:
            work()
        except Exception:
            log.exception(
                "Edgeloop: an unexpected error; the strategy continues with its own size."
            )


_NEVER_FILLED = frozenset({"OrderDenied", "OrderRejected", "OrderCanceled", "OrderExpired"})
