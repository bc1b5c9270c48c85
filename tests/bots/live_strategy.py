"""A strategy for a dry run: enters at once, adds once at a gain of 3 %, exits at a gain of 8 %."""

from freqtrade.strategy import IStrategy

from edgeloop.integrations.freqtrade import EdgeloopMixin


class Climb(IStrategy):
    timeframe = "1h"
    minimal_roi = {"0": 10.0}  # noqa: RUF012
    stoploss = -0.5
    position_adjustment_enable = True
    order_types = {  # noqa: RUF012
        "entry": "market",
        "exit": "market",
        "stoploss": "market",
        "stoploss_on_exchange": False,
    }

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        dataframe[["enter_long", "enter_tag"]] = (1, "dip")
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe

    def adjust_trade_position(self, trade, current_time, current_rate, current_profit, **kwargs):
        if 0.03 < current_profit < 0.08 and trade.nr_of_successful_entries == 1:
            return 50.0, "higher"
        return None

    def custom_exit(self, pair, trade, current_time, current_rate, current_profit, **kwargs):
        return "top" if current_profit > 0.08 else None


class ClimbSized(EdgeloopMixin, Climb):
    pass
