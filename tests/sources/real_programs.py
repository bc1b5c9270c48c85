"""Against the programs themselves (`make programs`): their own export, read from its draft, has
their own figures."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from app.sources import closes
from app.sources.draft import draft


def figures(table: Path) -> list[tuple[float, float]]:
    """(profit, return) of each close, read as it is drafted: nothing has to be asked."""
    made = draft(str(table), table.name)
    assert made.asked == []
    mapping = table.with_suffix(".toml")
    mapping.write_text(made.text)
    summaries = [
        json.loads(closed.value)["trade_summary"]
        for closed in closes([str(table)], mapping=mapping)
    ]
    return [(summary["pnl_usd"], summary["roi"]) for summary in summaries]


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
