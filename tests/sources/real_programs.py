"""Tests against the real programs (`make programs`): their own export, read with its draft, gives
their own figures."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import BadDataError
from app.sources import closes
from app.sources.draft import draft


def figures(table: Path, *, shorts: bool = False) -> list[tuple[float, float]]:
    """The (profit, return) of each close, read with the draft, which asks nothing, except with
    `shorts` whether sales open shorts."""
    made = draft(str(table), table.name)
    assert [question[:7] for question in made.asked] == (["Whether"] if shorts else [])
    mapping = table.with_suffix(".toml")
    mapping.write_text(made.text.replace('shorts = "?"', 'shorts = "yes"'))
    summaries = [
        json.loads(closed.value)["trade_summary"]
        for closed in closes([str(table)], mapping=mapping)
    ]
    return [(summary["pnl_usd"], summary["roi"]) for summary in summaries]


def prices(pandas: Any) -> Any:
    """Closing prices of 300 days."""
    steps = np.random.default_rng(3).normal(0, 0.02, 300)
    days = pandas.date_range("2023-01-01", periods=300)
    return pandas.Series(100 * np.exp(np.cumsum(steps)), index=days, name="XYZ")


def bars(pandas: Any) -> Any:
    close = prices(pandas)
    return pandas.DataFrame(
        {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": 1000}
    )


def test_backtesting_py(tmp_path: Path) -> None:
    backtesting = importlib.import_module("backtesting")
    pandas = importlib.import_module("pandas")
    steps = np.random.default_rng(3).normal(0, 0.02, 300)
    close = pandas.Series(
        100 * np.exp(np.cumsum(steps)), index=pandas.date_range("2023-01-01", periods=300)
    )
    prices = pandas.DataFrame(
        {"Open": close, "High": close * 1.01, "Low": close * 0.99, "Close": close, "Volume": 1}
    )

    class Turns(backtesting.Strategy):  # type: ignore[misc]
        def init(self) -> None:
            self.mean = self.I(lambda x: pandas.Series(x).rolling(10).mean(), self.data.Close)

        def next(self) -> None:
            above = self.data.Close[-1] > self.mean[-1]
            if above != self.position.is_long or not self.position:
                self.position.close()
                (self.buy if above else self.sell)(size=0.5, tag="above" if above else "below")

    trades = backtesting.Backtest(
        prices, Turns, cash=10_000, commission=0.002, finalize_trades=True
    ).run()["_trades"]
    assert len(trades) > 10
    trades.to_csv(tmp_path / "trades.csv")
    assert np.array(figures(tmp_path / "trades.csv")) == pytest.approx(
        trades[["PnL", "ReturnPct"]].to_numpy(), abs=1e-9
    )


def test_vectorbt(tmp_path: Path) -> None:
    vectorbt = importlib.import_module("vectorbt")
    pandas = importlib.import_module("pandas")
    steps = np.random.default_rng(3).normal(0, 0.02, 300)
    close = pandas.Series(
        100 * np.exp(np.cumsum(steps)),
        index=pandas.date_range("2023-01-01", periods=300),
        name="X-USD",
    )
    above = close > close.rolling(10).mean()
    portfolio = vectorbt.Portfolio.from_signals(
        close, above, ~above, short_entries=~above, short_exits=above, fees=0.001, freq="1D"
    )
    trades = portfolio.trades.records_readable
    trades.to_csv(tmp_path / "trades.csv", index=False)
    closed = trades[trades["Status"] == "Closed"]
    assert np.array(figures(tmp_path / "trades.csv")) == pytest.approx(
        closed[["PnL", "Return"]].to_numpy(), abs=1e-9
    )


def test_pybroker(tmp_path: Path) -> None:
    pybroker = importlib.import_module("pybroker")
    pandas = importlib.import_module("pandas")

    def turns(context: Any) -> None:
        if context.bars < 12:
            return
        if context.close[-1] > context.close[-10:].mean():
            if context.short_pos():
                context.cover_all_shares()
            elif not context.long_pos():
                context.buy_shares = 50
        elif context.long_pos():
            context.sell_all_shares()
        elif not context.short_pos():
            context.sell_shares = 30

    data = bars(pandas).rename_axis("date").reset_index().assign(symbol="XYZ")
    config = pybroker.StrategyConfig(fee_mode=pybroker.FeeMode.PER_SHARE, fee_amount=0.01)
    strategy = pybroker.Strategy(data, "2023-01-01", "2023-10-27", config)
    strategy.add_execution(turns, ["XYZ"])
    result = strategy.backtest()
    result.trades.to_csv(tmp_path / "trades.csv")
    result.orders.to_csv(tmp_path / "orders.csv")
    assert len(result.trades) > 10
    assert np.array(figures(tmp_path / "trades.csv")) == pytest.approx(
        result.trades[["pnl", "return_pct"]].to_numpy() * [1, 0.01], abs=1e-9
    )
    by_orders = sum(profit for profit, _ in figures(tmp_path / "orders.csv"))
    assert by_orders == pytest.approx(result.trades["pnl"].sum() - result.orders["fees"].sum())


def test_bt(tmp_path: Path) -> None:
    bt = importlib.import_module("bt")
    data = prices(importlib.import_module("pandas")).to_frame()
    algos = [bt.algos.SelectWhere(data > data.rolling(10).mean()), bt.algos.WeighEqually()]
    strategy = bt.Strategy("s", [*algos, bt.algos.Rebalance()])
    backtest = bt.Backtest(strategy, data, initial_capital=100_000, progress_bar=False)
    bt.run(backtest).get_transactions().to_csv(tmp_path / "transactions.csv")
    profits = [profit for profit, _ in figures(tmp_path / "transactions.csv")]
    assert len(profits) > 10
    assert sum(profits) == pytest.approx(backtest.strategy.value - 100_000)


def test_backtrader(tmp_path: Path) -> None:
    backtrader = importlib.import_module("backtrader")
    pandas = importlib.import_module("pandas")

    class Turns(backtrader.Strategy):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.mean = backtrader.ind.SMA(period=10)

        def next(self) -> None:
            above = self.data.close[0] > self.mean[0]
            if above != (self.position.size > 0) or not self.position:
                self.close()
                (self.buy if above else self.sell)(size=10)

    cerebro = backtrader.Cerebro()
    cerebro.adddata(backtrader.feeds.PandasData(dataname=bars(pandas)), name="XYZ")
    cerebro.addstrategy(Turns)
    cerebro.addanalyzer(backtrader.analyzers.Transactions, _name="transactions")
    cerebro.addanalyzer(backtrader.analyzers.TradeAnalyzer, _name="trades")
    cerebro.addwriter(backtrader.WriterFile, csv=True, out=str(tmp_path / "writer.csv"))
    analyzers = cerebro.run()[0].analyzers
    rows = [
        (at, *row) for at, every in analyzers.transactions.get_analysis().items() for row in every
    ]
    columns = ["date", "amount", "price", "sid", "symbol", "value"]
    pandas.DataFrame(rows, columns=columns).to_csv(tmp_path / "transactions.csv", index=False)
    profits = [profit for profit, _ in figures(tmp_path / "transactions.csv", shorts=True)]
    counted = analyzers.trades.get_analysis()
    assert len(profits) == counted.total.closed > 10
    assert sum(profits) == pytest.approx(counted.pnl.gross.total)
    with pytest.raises(BadDataError, match="prices of bars"):
        draft(str(tmp_path / "writer.csv"), "writer.csv")
