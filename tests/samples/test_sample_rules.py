"""The rules use the past only, the accounts add up, and the committed log is what the script
generates.

May touch: samples.*.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
import pytest

from samples import build, market
from samples.market import Bools, Ints, Market, Prices, highest, rsi, trend_state, volatility
from samples.rules import RULES, Rule, Signals
from samples.simulate import (
    COST,
    DRAWDOWN_FLOOR,
    FULL_SIZE_USD,
    Trade,
    actions,
    event,
    simulate,
    summary,
)


def _decided(
    prices: Prices, until: str, rules: tuple[Rule, ...] = RULES
) -> dict[str, dict[str, object]]:
    """Every action decided up to and including a day, by id, with its trade's entry context."""
    seen = Market(prices, market.SECTORS)
    return {
        a["action_id"]: {**a, "e_mode": trade.e_mode}
        for rule in rules
        for symbol in prices.symbols
        for trade in simulate(seen, rule, symbol)
        for a in actions(trade, seen)
        if str(a["ts"])[:10] <= until
    }


def _perturbed(prices: Prices, after: int) -> Prices:
    random = np.random.default_rng(after)
    factors = np.exp(np.cumsum(random.normal(0, 0.05, prices.close[after + 1 :].shape), axis=0))
    close, index = prices.close.copy(), prices.index.copy()
    close[after + 1 :] = np.rint(close[after + 1 :] * factors) + 1
    index[after + 1 :] = np.rint(index[after + 1 :] * factors[:, 0]) + 1
    return replace(prices, close=close, index=index)


@pytest.mark.parametrize("day", [120, 301, 555, 780])
def test_nothing_after_the_decision_matters(random_prices: Prices, day: int) -> None:
    until = random_prices.days[day]
    before = _decided(random_prices, until)
    assert len(before) > 20
    assert _decided(_perturbed(random_prices, day), until) == before


def test_a_rule_that_peeks_is_caught(random_prices: Prices) -> None:
    def tomorrow(close: Ints, days: tuple[str, ...]) -> Signals:
        entry: Bools = np.append(close[1:] > close[:-1], False)
        return Signals(entry, ~entry, entry)

    rules = (replace(RULES[0], signals=tomorrow),)
    until = random_prices.days[400]
    assert _decided(_perturbed(random_prices, 400), until, rules) != _decided(
        random_prices, until, rules
    )


def test_every_rule_trades_on_every_side(random_prices: Prices) -> None:
    seen = Market(random_prices)
    for rule in RULES:
        made = [t for symbol in random_prices.symbols for t in simulate(seen, rule, symbol)]
        assert made, rule
        assert {t.e_mode for t in made} == {"trail", "target"}
        assert all(
            len([d for d in t.decisions if d.category in ("entry", "add")]) <= rule.max_buys
            for t in made
        )


def test_fills_are_at_the_next_close_and_the_money_adds_up(random_prices: Prices) -> None:
    seen = Market(random_prices)
    for symbol in random_prices.symbols:
        closes = [c / market.SCALE for c in seen.close[symbol].tolist()]
        for trade in (t for rule in RULES for t in simulate(seen, rule, symbol) if t.closed):
            assert [(d.t + 1, closes[d.t + 1]) for d in trade.decisions] == [
                (t, price) for t, _, price in trade.fills
            ]
            bought = sum(n * price for _, n, price in trade.fills if n > 0)
            sold = sum(-n * price for _, n, price in trade.fills if n < 0)
            figures = event(trade, seen, closes)["trade_summary"]
            assert sum(n for _, n, _ in trade.fills) == pytest.approx(0, abs=1e-9 * bought)
            assert figures["pnl_usd"] == pytest.approx(
                sold - bought - COST * (sold + bought), abs=0.006
            )
            assert figures["roi"] == pytest.approx(figures["pnl_usd"] / bought, abs=1e-5)


def test_summary_by_hand() -> None:
    """1 000 shares at 10, 8, 12, 11, sold at 11; costs 5 then 5.5; the path is −5, −2005, 1995,
    995, 989.5."""
    days = ("2001-01-05", "2001-01-08", "2001-01-09", "2001-01-10", "2001-01-11")
    trade = Trade(RULES[0], "KO", "trail", 0.01, [], fills=[(0, 1000.0, 10.0), (4, -1000.0, 11.0)])
    got = summary(trade, days, [10.0, 8.0, 12.0, 11.0, 11.0])
    assert got["pnl_usd"] == 989.5
    assert got["roi"] == 0.09895
    assert got["fees_usd"] == 10.5
    assert got["max_drawdown"] == 0.2005
    assert got["max_gain"] == 0.1995
    assert got["rr"] == round(0.09895 / 0.2005, 4)
    assert (got["hold_time_days"], got["time_to_payback_days"]) == (6, 4)
    smooth = replace(trade, fills=[(0, 1000.0, 10.0), (4, -1000.0, 10.05)])
    got = summary(smooth, days, [10.0, 10.01, 10.02, 10.03, 10.05])
    assert got["max_drawdown"] < DRAWDOWN_FLOOR
    assert got["rr"] == pytest.approx((50 - 5 - 5.025) / 10_000 / DRAWDOWN_FLOOR, abs=1e-4)


def test_indicators_by_hand() -> None:
    close = np.array([10, 11, 12, 11, 13, 9], dtype=np.int64)
    assert highest(close, 2).tolist() == [False, False, True, False, True, False]
    # Wilder over two days: +1, +1, then -1, +2, -4 with averages (1, 0), (.5, .5), (1.25, .25),
    # (.625, 2.125).
    assert rsi(close, 2)[2:].tolist() == pytest.approx([100, 50, 250 / 3, 100 * 0.625 / 2.75])
    assert trend_state(close, 2, 1).tolist() == [4, 4, 3, 0, 3, 0]
    assert volatility(close, 2)[2] == pytest.approx(abs(1 / 10 - 1 / 11) / 2)
    assert np.isnan(volatility(close, 2)[:2]).all()


def test_rule_sizes_never_exceed_a_full_position_by_much() -> None:
    assert FULL_SIZE_USD == 40_000
    for rule in RULES:
        sizes = rule.sizes + rule.sizes[-1:] * max(0, rule.max_buys - len(rule.sizes))
        assert sum(sizes[: rule.max_buys]) <= 3.2, rule


def test_missing_package_is_said_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(market, "distribution", missing)
    assert build.main(["--check"]) == 3
    assert "--no-deps skfolio" in capsys.readouterr().err


def _has_prices() -> bool:
    try:
        return distribution(market.PACKAGE) is not None
    except PackageNotFoundError:
        return False


@pytest.mark.skipif(
    not _has_prices(), reason="needs the prices: python -m pip install --no-deps skfolio"
)
@pytest.mark.long
def test_the_script_makes_the_committed_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["--check"]) == 0, capsys.readouterr().err
