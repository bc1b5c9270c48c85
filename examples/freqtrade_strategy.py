"""A freqtrade strategy, and the same connected to Edgeloop: the last three lines.

freqtrade backtesting --strategy RsiDipSized ...
"""

from datetime import datetime

from freqtrade.strategy import IStrategy
from pandas import DataFrame

from edgeloop.integrations.freqtrade import EdgeloopMixin


class RsiDip(IStrategy):
    """Buys dips in the range of the last day, adds once, sells at the other end."""

    timeframe = "1h"
    minimal_roi = {"0": 10.0}
    stoploss = -0.08
    position_adjustment_enable = True
    max_entry_position_adjustment = 1
    startup_candle_count = 24

    def populate_indicators(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        low, high = dataframe["low"].rolling(24).min(), dataframe["high"].rolling(24).max()
        dataframe["place"] = (dataframe["close"] - low) / (high - low)
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe.loc[dataframe["place"] < 0.15, ["enter_long", "enter_tag"]] = (1, "dip")
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe.loc[dataframe["place"] > 0.85, ["exit_long", "exit_tag"]] = (1, "top")
        return dataframe

    def adjust_trade_position(
        self, trade, current_time: datetime, current_rate: float, current_profit: float, **kwargs
    ):
        if current_profit < -0.02 and trade.nr_of_successful_entries == 1:
            return 50.0, "deeper"
        return None


class RsiDipSized(EdgeloopMixin, RsiDip):
    def edgeloop_scope(self, pair: str, current_time: datetime, side: str, tag: str) -> dict:
        return {"bucket": "major" if pair.startswith("BTC") else "minor"}
