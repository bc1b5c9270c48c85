"""The nautilus_trader sizer without nautilus_trader: restarts, fills and orders without a fill.
`make bots` runs the program itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeloop.history import Change, OverrideHistory
from edgeloop.integrations import Connection
from edgeloop.integrations.nautilus import Sizer
from tests.client.test_resolve import make

HOUR_NS = 3_600_000_000_000
START_NS = 1_709_300_000_000_000_000


def change(name: str, pattern: str, category: str, effect: float) -> Change:
    key = f"pm.Mine-0.{pattern}"
    record = make(name, effect=effect, pattern_key=key, action_category=category)
    return Change(name, 1, 0.0, record)


HISTORY = OverrideHistory([change("n1", "dip", "entry", 0.5), change("n2", "top", "exit", 1.0)])


class Bus:
    def __init__(self) -> None:
        self.handlers: dict[str, Callable[[Any], None]] = {}

    def subscribe(self, topic: str, handler: Callable[[Any], None]) -> None:
        self.handlers[topic] = handler

    def unsubscribe(self, topic: str, handler: Callable[[Any], None]) -> None:
        assert self.handlers.pop(topic) == handler


class Strategy:
    """The part of a strategy that the sizer needs."""

    id = "Mine-0"

    def __init__(self) -> None:
        self.msgbus = Bus()
        self.clock = SimpleNamespace(timestamp_ns=lambda: START_NS)
        self.submitted: list[Any] = []

    def submit_order(self, order: Any) -> None:
        self.submitted.append(order)


INSTRUMENT = SimpleNamespace(
    id="ETHUSDT.BINANCE",
    min_quantity=Decimal("0.01"),
    max_quantity=Decimal("100"),
    size_increment=Decimal("0.001"),
    make_qty=lambda value: Decimal(f"{value:.3f}"),
)


class OrderFilled(SimpleNamespace):
    pass


class OrderCanceled(SimpleNamespace):
    pass


class _Position:
    def __init__(self, number: int, quantity: float, last: float, **more: Any) -> None:
        self.fields = {
            "type": type(self).__name__,
            "trader_id": "T-1",
            "strategy_id": "Mine-0",
            "instrument_id": "ETHUSDT.BINANCE",
            "position_id": "P-1",
            "event_id": f"e{number}",
            "entry": "BUY",
            "quantity": str(quantity),
            "last_qty": str(last),
            "ts_event": START_NS + number * HOUR_NS,
            **more,
        }

    @staticmethod
    def to_dict(event: _Position) -> dict[str, Any]:
        return dict(event.fields)


class PositionOpened(_Position):
    pass


class PositionChanged(_Position):
    pass


class PositionClosed(_Position):
    pass


OPENED = {"ts_opened": START_NS}


def connect(folder: Path) -> Connection:
    return Connection("127.0.0.1:1", spool=folder, book=HISTORY)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    made = connect(tmp_path)
    yield made
    made.stop(timeout=0)


def started(connection: Connection) -> tuple[Strategy, Sizer]:
    strategy = Strategy()
    sizer = Sizer(strategy, connection, scope={"timeframe": "1h"}, keep=True)
    sizer.start()
    return strategy, sizer


def order(sizer: Sizer, name: str, pattern: str, category: str, quantity: str = "1") -> Any:
    sized = sizer.size(INSTRUMENT, Decimal(quantity), pattern, category)
    sizer.submit(SimpleNamespace(client_order_id=name), sized)
    return sized


def fill(strategy: Strategy, name: str, event: _Position) -> None:
    """The events in the order in which the program publishes them."""
    filled = OrderFilled(client_order_id=name, position_id="P-1")
    strategy.msgbus.handlers["events.order.Mine-0"](filled)
    strategy.msgbus.handlers["events.position.Mine-0"](event)


def queued(connection: Connection) -> list[dict[str, Any]]:
    return [
        json.loads(p.read_bytes()) for p in sorted((connection.spool.folder / "queue").iterdir())
    ]


def remembered(connection: Connection) -> int:
    return len(list((connection.spool.folder / "open").iterdir()))


def test_quantities_are_sized_within_what_the_instrument_takes(connection: Connection) -> None:
    _, sizer = started(connection)

    def quantity(text: str, pattern: str = "dip", category: str = "entry", **how: Any) -> Decimal:
        return sizer.size(INSTRUMENT, Decimal(text), pattern, category, **how).quantity

    assert quantity("2") == 3
    assert quantity("2", "other") == 2
    assert quantity("90") == 100
    assert quantity("2", "top", "exit") == 4
    assert quantity("2", "top", "exit", at_most=Decimal("2.5")) == Decimal("2.5")
    assert quantity("2", "top", "exit", emergency=True) == 2
    assert quantity("2", category="buy") == 2  # in doubt


def test_a_position_goes_on_after_a_restart(tmp_path: Path) -> None:
    first = connect(tmp_path)
    strategy, sizer = started(first)
    order(sizer, "o1", "dip", "entry")
    fill(strategy, "o1", PositionOpened(1, 1.0, 1.0))
    # A second fill of the same order, then an order that fills after the restart.
    fill(strategy, "o1", PositionChanged(2, 1.5, 0.5, **OPENED | {"ts_opened": START_NS + HOUR_NS}))
    order(sizer, "o2", "top", "exit")
    first.stop(timeout=0)
    second = connect(tmp_path)
    strategy, sizer = started(second)
    closed = PositionClosed(
        4, 0.0, 1.5, ts_opened=START_NS + HOUR_NS, ts_closed=START_NS + 4 * HOUR_NS, peak_qty="1.5",
        realized_return=0.1, realized_pnl="12.5 USDT",
    )  # fmt: skip
    fill(strategy, "o2", closed)
    (close,) = queued(second)
    actions = close["actions"]
    assert [(a["pattern_key"], a["action_category"]) for a in actions] == [
        ("pm.Mine-0.dip", "entry"),
        ("pm.Mine-0.top", "exit"),
    ]
    assert [a["applied_overrides"] for a in actions] == [["n1"], ["n2"]]
    assert actions[0]["size_frac"] == pytest.approx(1.0, abs=1e-5)
    assert close["revision"] == 1
    assert close["trade_summary"]["pnl_usd"] == 12.5
    assert remembered(second) == 0
    second.stop(timeout=0)


def test_an_order_that_comes_to_nothing_is_forgotten(connection: Connection) -> None:
    strategy, sizer = started(connection)
    order(sizer, "o1", "dip", "entry")
    assert remembered(connection) == 1
    strategy.msgbus.handlers["events.order.Mine-0"](OrderCanceled(client_order_id="o1"))
    assert remembered(connection) == 0
    sizer.stop()
    assert strategy.msgbus.handlers == {}


def test_orders_that_were_not_sized_are_recorded_all_the_same(connection: Connection) -> None:
    strategy, _ = started(connection)
    fill(strategy, "x", PositionOpened(0, 1.0, 1.0))
    closed = {"ts_opened": START_NS, "ts_closed": START_NS + HOUR_NS, "peak_qty": "1.0"}
    fill(strategy, "y", PositionClosed(1, 0.0, 1.0, realized_return=0.1, **closed))
    (close,) = queued(connection)
    assert [a["pattern_key"] for a in close["actions"]] == ["pm.Mine-0.entry", "pm.Mine-0.exit"]
    assert all(a.get("applied_overrides", []) == [] for a in close["actions"])


def test_an_error_of_ours_stays_ours(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    strategy, sizer = started(connection)

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(connection.spool, "remember", full)
        order(sizer, "o1", "dip", "entry")
        fill(strategy, "o1", PositionOpened(0, 1.0, 1.0))
    assert len(strategy.submitted) == 1
    assert "No space left" in caplog.text
