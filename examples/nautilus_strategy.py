"""A nautilus_trader strategy that is connected to Edgeloop, in a back-test on generated bars.

    python nautilus_strategy.py CHANGES SPOOL

CHANGES holds the overrides as they were: `faust -A app export changes --out changes.csv`.
"""

import math
import sys
from decimal import Decimal

from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

from edgeloop.history import OverrideHistory
from edgeloop.integrations import Connection
from edgeloop.integrations.nautilus import Sizer

INSTRUMENT = TestInstrumentProvider.ethusdt_binance()
BARS = BarType.from_str(f"{INSTRUMENT.id}-1-HOUR-LAST-EXTERNAL")
START_NS, HOUR_NS = 1_767_225_600_000_000_000, 3_600_000_000_000


class Swing(Strategy):
    """Buys low, adds lower, sells half on the way up and the rest at the top."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection
        self.step = 0

    def on_start(self) -> None:
        self.edgeloop = Sizer(self, self.connection, scope={"timeframe": "1h"})
        self.edgeloop.start()
        self.subscribe_bars(BARS)

    def on_bar(self, bar: Bar) -> None:
        step, self.step = self.step % 24, self.step + 1
        if step == 4:
            self.trade(OrderSide.BUY, Decimal("1.0"), "low", "entry")
        elif step == 6:
            self.trade(OrderSide.BUY, Decimal("0.5"), "lower", "add")
        elif step in (14, 18):
            (position,) = self.cache.positions_open(strategy_id=self.id)
            held = position.quantity.as_decimal()
            if step == 14:
                self.trade(OrderSide.SELL, held / 2, "up", "trim", at_most=held)
            else:
                self.trade(OrderSide.SELL, held, "top", "exit", emergency=True)

    def trade(self, side: OrderSide, quantity: Decimal, pattern: str, category: str, **how) -> None:
        sized = self.edgeloop.size(INSTRUMENT, quantity, pattern, category, **how)
        order = self.order_factory.market(INSTRUMENT.id, side, sized.quantity)
        self.edgeloop.submit(order, sized)


def bars(days: int) -> list[Bar]:
    """Hourly bars that swing once a day."""
    found = []
    for hour in range(24 * days):
        price = 2_000 - 100 * math.sin(hour * math.tau / 24) + hour % 7
        at = START_NS + (hour + 1) * HOUR_NS
        prices = [Price(price + move, 2) for move in (0, 1, -1, 0)]
        found.append(Bar(BARS, *prices, Quantity(1_000, 5), at, at))
    return found


def backtest(connection: Connection, days: int = 30) -> None:
    """Run the strategy on generated bars."""
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(log_level="ERROR")))
    engine.add_venue(
        venue=Venue("BINANCE"),
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        starting_balances=[Money(1_000_000, USDT)],
    )
    engine.add_instrument(INSTRUMENT)
    engine.add_data(bars(days))
    engine.add_strategy(Swing(connection))
    engine.run()
    engine.dispose()


if __name__ == "__main__":
    changes, spool = sys.argv[1:]
    history = OverrideHistory.from_file(changes, by="as_of")
    with Connection.from_environment(spool=spool, book=history) as connection:
        backtest(connection)
        connection.flush(30)
        print(connection.status)
