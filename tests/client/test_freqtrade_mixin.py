"""The freqtrade mixin without freqtrade: what it returns to the bot, and that none of our errors
reach it.  `make bots` runs the program itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeloop.history import Change, OverrideHistory
from edgeloop.integrations import Connection
from edgeloop.integrations import freqtrade_link as module
from edgeloop.integrations.freqtrade import EdgeloopMixin
from edgeloop.integrations.freqtrade_link import Link
from tests.client.test_resolve import make

AT = datetime(2024, 3, 2, 9, 30, tzinfo=UTC)
KEY = "pm.MineSized"


class Strategy:
    """The part of `IStrategy` that the mixin needs, with its own answers."""

    timeframe = "1h"
    position_adjustment_enable = True
    adjustment: Any = None
    confirms = True

    def __init__(self, **config: Any) -> None:
        self.config = {"stake_currency": "USDT", "exchange": {"name": "binance"}, **config}
        self.called: list[str] = []

    def get_strategy_name(self) -> str:
        return type(self).__name__

    def bot_start(self, **kwargs: Any) -> None:
        self.called.append("bot_start")

    def bot_loop_start(self, current_time: datetime, **kwargs: Any) -> None:
        self.called.append("bot_loop_start")

    def custom_stake_amount(self, proposed_stake: float, **kwargs: Any) -> float:
        return proposed_stake / 2

    def adjust_trade_position(self, **kwargs: Any) -> Any:
        return self.adjustment

    def confirm_trade_exit(self, **kwargs: Any) -> bool:
        return self.confirms

    def order_filled(self, **kwargs: Any) -> None:
        self.called.append("order_filled")


class MineSized(EdgeloopMixin, Strategy):
    """The strategy under test."""


class Trade(SimpleNamespace):
    """An open trade of 10 units at 10, with custom data."""

    def __init__(self, **more: Any) -> None:
        super().__init__(
            id=1, pair="BTC/USDT", enter_tag="dip", is_short=False, leverage=1.0, amount=10.0,
            stake_amount=100.0, open_date=AT, orders=[1], nr_of_successful_entries=1, kept={},
            **more,
        )  # fmt: skip

    def get_custom_data(self, key: str) -> Any:
        return self.kept.get(key)

    def set_custom_data(self, key: str, value: Any) -> None:
        self.kept[key] = value


def override(tag: str, category: str, effect: float) -> Change:
    record = make(tag, effect=effect, pattern_key=f"{KEY}.{tag}", action_category=category)
    return Change(tag, 1, 0.0, record)


@pytest.fixture
def strategy(tmp_path: Path) -> Iterator[MineSized]:
    book = OverrideHistory(
        [
            override("dip", "entry", 0.5),
            override("more", "add", 1.0),
            override("part", "trim", 0.5),
            override("top", "exit", -0.4),
            override("stop_loss", "exit", -0.4),
        ]
    )
    made = MineSized()
    connection = Connection("127.0.0.1:1", spool=tmp_path, book=book)
    connection.start()
    made._edgeloop = Link(made, connection, book, backtest=True)
    yield made
    made._edgeloop.finish()


def stake(strategy: Any, tag: str | None = "dip", **more: Any) -> float:
    asked = {
        "pair": "BTC/USDT", "current_time": AT, "current_rate": 10.0, "proposed_stake": 200.0,
        "min_stake": 5.0, "max_stake": 1_000.0, "leverage": 1.0, "entry_tag": tag, "side": "long",
    }  # fmt: skip
    return strategy.custom_stake_amount(**(asked | more))


def adjust(strategy: Any, trade: Any, **more: Any) -> Any:
    names = ("current_rate", "current_entry_rate", "current_exit_rate")
    profits = ("current_profit", "current_entry_profit", "current_exit_profit")
    asked = {"trade": trade, "current_time": AT, "min_stake": 5.0, "max_stake": 1_000.0}
    asked |= dict.fromkeys(names, 10.0) | dict.fromkeys(profits, 0.0)
    return strategy.adjust_trade_position(**(asked | more))


def confirm(strategy: Any, trade: Any, reason: str) -> bool:
    return strategy.confirm_trade_exit(
        pair="BTC/USDT", trade=trade, order_type="limit", amount=10.0, rate=10.0,
        time_in_force="GTC", exit_reason=reason, current_time=AT,
    )  # fmt: skip


def test_the_strategys_own_stake_is_sized_within_the_bounds(strategy: MineSized) -> None:
    assert stake(strategy) == 150.0
    assert stake(strategy, "other") == stake(strategy, None) == 100.0
    assert stake(strategy, max_stake=120.0) == 120.0
    assert stake(strategy, proposed_stake=0.0) == 0.0


def test_adjustments_are_sized_by_their_sign(strategy: MineSized) -> None:
    assert adjust(strategy, Trade()) is None
    strategy.adjustment = (40.0, "more")
    assert adjust(strategy, Trade()) == (80.0, "more")
    assert adjust(strategy, Trade(), max_stake=60.0) == (60.0, "more")
    strategy.adjustment = -20.0
    assert adjust(strategy, Trade()) == (-20.0, None)
    strategy.adjustment = (-20.0, "part")
    assert adjust(strategy, Trade()) == (-30.0, "part")
    strategy.adjustment = (-65.0, "part")  # the remainder would be too small to sell
    assert adjust(strategy, Trade()) == (-100.0, "part")


def test_a_smaller_exit_is_a_part_now_and_the_rest_later(strategy: MineSized) -> None:
    trade = Trade()
    assert not confirm(strategy, trade, "top")
    assert adjust(strategy, trade) == (-60.0, "top")
    assert adjust(strategy, trade) is None
    assert confirm(strategy, trade, "top")


@pytest.mark.parametrize("reason", ["stop_loss", "force_exit", "liquidation"])
def test_emergencies_are_whole(strategy: MineSized, reason: str) -> None:
    assert confirm(strategy, Trade(), reason)


def test_exits_are_whole_where_positions_are_not_adjusted(strategy: MineSized) -> None:
    strategy.position_adjustment_enable = False
    assert confirm(strategy, Trade(), "top")
    strategy.confirms = False
    assert not confirm(strategy, Trade(), "top")


def test_an_exit_that_cannot_be_parted_is_whole(strategy: MineSized) -> None:
    trade = Trade()
    assert not confirm(strategy, trade, "top")
    assert adjust(strategy, trade, min_stake=50.0) == (-100.0, "top")


def raising(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError("a bug of ours")


@pytest.mark.parametrize(
    "broken", ["entry", "adjusted", "whole_exit", "smaller_exit", "filled", "report"]
)
def test_an_error_of_ours_stays_ours(
    strategy: MineSized, broken: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Link, broken, raising)
        strategy.adjustment = (40.0, "unknown")
        assert stake(strategy) == (100.0 if broken == "entry" else 150.0)
        assert adjust(strategy, Trade()) == (40.0, "unknown")
        confirm(strategy, Trade(), "other")
        strategy.order_filled(pair="BTC/USDT", trade=Trade(), order=None, current_time=AT)
        strategy.bot_loop_start(current_time=AT)
    assert {"order_filled", "bot_loop_start"} <= set(strategy.called)
    assert "an unexpected error" in caplog.text


def test_an_error_in_the_scope_is_neutral(strategy: MineSized, caplog: Any) -> None:
    strategy.edgeloop_scope = raising  # type: ignore[method-assign]
    assert stake(strategy) == 100.0
    assert "the size is neutral" in caplog.text


def started(tmp_path: Path, mode: str, **own: Any) -> MineSized:
    made = MineSized(
        runmode=SimpleNamespace(value=mode),
        user_data_dir=tmp_path,
        edgeloop={"broker": "127.0.0.1:1", "ready_s": 0, **own},
    )
    made.bot_start()
    assert made.called == ["bot_start"]
    return made


def finish(*strategies: MineSized) -> None:
    for made in strategies:
        assert made._edgeloop is not None
        made._edgeloop.finish()


@pytest.mark.parametrize("mode", ["hyperopt", "plot", "webserver", ""])
def test_other_modes_stay_unconnected(tmp_path: Path, mode: str) -> None:
    made = started(tmp_path, mode)
    assert made._edgeloop is None
    assert stake(made) == 100.0
    assert adjust(made, Trade()) is None
    assert confirm(made, Trade(), "top")


def test_a_key_that_is_not_known_is_named(tmp_path: Path, caplog: Any) -> None:
    made = started(tmp_path, "backtest", brokr="x")
    assert made._edgeloop is None
    assert "has no 'brokr'" in caplog.text


def test_overrides_that_cannot_be_read_are_neutral(tmp_path: Path, caplog: Any) -> None:
    made = started(tmp_path, "backtest", overrides=str(tmp_path / "none.csv"))
    assert stake(made) == 100.0
    assert "cannot be read" in caplog.text
    finish(made)


def test_a_second_strategy_of_a_process_takes_over_the_spool(
    tmp_path: Path, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """freqtrade reloads its configuration, and back-tests lists of strategies, in one process."""
    (tmp_path / "none.jsonl").write_text("")
    with caplog.at_level(logging.ERROR):
        first = started(tmp_path, "backtest", overrides=str(tmp_path / "none.jsonl"))
        second = started(tmp_path, "backtest", overrides=str(tmp_path / "none.jsonl"))
    assert first._edgeloop is not None
    assert second._edgeloop is not None
    assert caplog.text == ""
    finish(second)
    monkeypatch.setattr(module, "_LINKS", {})
