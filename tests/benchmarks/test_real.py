"""The real logs: the simulator has no look-ahead, the same prices give the same trades, and peers
find existing effects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import zstandard

from app.audit.bootstrap import Estimate
from app.errors import ConfigurationError
from benchmarks.real import walk
from benchmarks.real.logs import LOGS, events
from benchmarks.real.measure import differences, figures, mean_of
from benchmarks.real.peers import PEERS
from benchmarks.real.peers.table import Lesson, slices
from benchmarks.real.prices import Panel, equal_weight, file_of, pairs_of
from benchmarks.real.rules import Rule, Signals
from benchmarks.real.simulate import Trade, simulate
from benchmarks.real.sources import Source
from benchmarks.real.walk import Sized, Task, joined, judged

pytestmark = pytest.mark.timeout(400)  # complete learning runs, also on a busy machine

DAYS, ASSETS = 700, 24


def panel(days: int = DAYS, assets: int = ASSETS, per_day: int = 1, seed: int = 3) -> Panel:
    rng = np.random.default_rng(seed)
    common = rng.normal(0.0002, 0.006, (days, 1))
    close = 100.0 * np.exp(np.cumsum(common + rng.normal(0, 0.012, (days, assets)), axis=0))
    if per_day > 1:
        times: Any = np.datetime64("2020-01-06T00:00:00") + np.arange(days) * np.timedelta64(1, "h")
    else:
        times = np.busday_offset(
            np.datetime64("2018-01-02"), np.arange(days), roll="forward"
        ).astype("datetime64[s]") + np.timedelta64(21, "h")
    return Panel(
        times, tuple(f"C{i:02d}" for i in range(1, assets + 1)), close, equal_weight(close), per_day
    )


def fitting(name: str, days: int = DAYS) -> Panel:
    """Simulated prices for the rules of a log."""
    if name == "eurusd":
        return panel(days, 1, per_day=24)
    return panel(days, 1 if name == "us_index" else ASSETS)


@pytest.mark.parametrize("name", LOGS)
def test_later_prices_change_no_earlier_trade(name: str) -> None:
    whole, known = fitting(name), DAYS - 150
    rng = np.random.default_rng(9)
    close = whole.close.copy()
    close[known:] *= np.exp(np.cumsum(rng.normal(0, 0.05, close[known:].shape), axis=0))
    other = Panel(
        whole.times,
        whole.assets,
        close,
        np.concatenate([whole.market[:known], equal_weight(close)[known:]]),
        whole.per_day,
    )
    log = replace(LOGS[name], rules=LOGS[name].rules[::2])
    last = f"{np.datetime_as_string(whole.times[known - 1], 's')}Z"

    def closed(prices: Panel) -> list[dict[str, Any]]:
        return [e for e in events(log, prices) if e["trade_summary"]["exit_timestamp"] <= last]

    expected = closed(whole)
    assert expected
    assert closed(other) == expected
    assert closed(whole.until(known)) == expected


def test_the_same_prices_make_the_same_events() -> None:
    log = replace(LOGS["countries"], rules=LOGS["countries"].rules[:2])
    assert orjson.dumps(events(log, panel())) == orjson.dumps(events(log, panel()))


def _one(prices: list[float], side: int, **more: float) -> list[Trade]:
    close = np.array(prices)[:, None]
    times = np.busday_offset(
        np.datetime64("2020-01-01"), np.arange(len(prices)), roll="forward"
    ).astype("datetime64[s]")
    entry = np.zeros(close.shape, np.int8)
    entry[70] = side
    rule = Rule(
        "one", "one", lambda p: Signals(entry, np.zeros_like(entry)), stop=50.0, most=4, **more
    )  # type: ignore[arg-type]
    return list(simulate(Panel(times, ("a",), close, close[:, 0]), rule, cost=0.001))


def _steady(after: list[float]) -> list[float]:
    return [100.0 + (t % 2) for t in range(71)] + after


def test_a_short_gains_what_the_price_loses_less_costs() -> None:
    (trade,) = _one(_steady([100.0, 98.0, 95.0, 92.0, 90.0, 90.0]), -1)
    assert [(a.t, a.category, a.motif) for a in trade.actions] == [
        (70, "entry", "entry"),
        (74, "exit", "time"),
    ]
    assert trade.roi == pytest.approx(0.10 - 0.001 - 0.001 * 0.90)
    assert trade.max_drawdown == pytest.approx(0.001)


def test_adds_and_trims_are_in_the_result() -> None:
    (trade,) = _one(_steady([100.0, 110.0, 110.0, 120.0, 120.0, 120.0]), 1, add=2.0, adds=1)
    assert [a.category for a in trade.actions] == ["entry", "add", "exit"]
    assert trade.actions[1].t == 72
    bought = 0.5 / 100.0 + 0.25 / 110.0
    assert trade.roi == pytest.approx((bought * 120.0 * 0.999 - 0.75 * 1.001) / 0.75)


def test_no_trade_that_is_open_at_the_end() -> None:
    assert not _one(_steady([100.0, 101.0]), 1)


def test_a_pair_is_the_ratio() -> None:
    prices = panel(50, 3)
    ratio = pairs_of(prices, (("C01", "C03"),))
    assert ratio.assets == ("C01-C03",)
    assert np.allclose(ratio.close[:, 0] * prices.close[:, 2], prices.close[:, 0])


def test_a_package_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigurationError, match="no-such-prices"):
        file_of("no-such-prices", "x.csv")


def lesson(n: int = 4000, seed: int = 1) -> tuple[Lesson, np.ndarray]:
    """Known trades, of which those with the first dimension at 1 make 0.8 more, and the truth of
    the decisions."""
    rng = np.random.default_rng(seed)
    seen, group = rng.integers(1, 4, (n, 4)), rng.integers(0, 5, n)
    truth = 0.8 * (seen[:, 0] == 1) + 0.2 * (group == 2)
    asked, asked_group = seen[:300], group[:300]
    exits = np.sort(rng.integers(0, 900, n)) * 86_400_000_000
    return Lesson(
        seen, group, truth - truth.mean() + rng.normal(0, 1.5, n), exits, asked, asked_group
    ), truth[:300]


@pytest.mark.parametrize("name", ["boosting", "ridge", "mixed"])
def test_a_peer_finds_what_is_there(name: str) -> None:
    if name == "boosting":
        pytest.importorskip("sklearn")
    table, truth = lesson()
    predicted = PEERS[name](table)
    assert np.corrcoef(predicted, truth)[0, 1] > 0.8
    assert (predicted == PEERS[name](table)).all()


@pytest.mark.parametrize("name", ["boosting", "ridge", "mixed", "group means"])
def test_a_peer_says_little_where_there_is_nothing(name: str) -> None:
    if name == "boosting":
        pytest.importorskip("sklearn")
    table, _ = lesson()
    noise = np.random.default_rng(5).normal(0, 1.5, len(table.uplift))
    assert np.std(PEERS[name](table._replace(uplift=noise))) < 0.1


@pytest.mark.parametrize("name", list(PEERS))
def test_a_peer_knows_nothing_of_few_trades(name: str) -> None:
    few = lesson()[0]
    few = few._replace(
        seen=few.seen[:40], group=few.group[:40], uplift=few.uplift[:40], exit_us=few.exit_us[:40]
    )
    assert np.isfinite(PEERS[name](few)).all()


def test_slices_are_the_values_of_one_and_of_two_dimensions() -> None:
    seen = np.array([[1, 1], [1, 2], [2, 1], [2, 0]] * 40)
    found = slices(seen, np.array([[1, 2], [3, 1]]), least_of_two=3)
    assert found.dimension.tolist() == [0, 0, 1, 1, -1, -1, -1]
    assert found.asked.toarray().tolist() == [[1, 0, 0, 1, 0, 1, 0], [0, 0, 1, 0, 0, 0, 0]]
    assert (found.seen.sum(axis=0) == [80, 80, 80, 40, 40, 40, 40]).all()


def test_parts_of_the_value_and_the_slope() -> None:
    rng = np.random.default_rng(2)
    cuts, group = np.repeat(np.arange(40) * 90 * 86_400_000_000, 50), np.tile(["a", "b"], 1000)
    skill = rng.normal(0, 0.3, 2000)
    between = np.where(group == "a", 0.2, -0.2)
    uplift = skill + between + rng.normal(0, 1, 2000)
    multipliers = {"ours": 1 + skill + between, "groups": 1 + between, "neutral": np.ones(2000)}
    sized = Sized(cuts, uplift, group, multipliers, ("ours",))
    found = figures(sized)
    assert found["ours"].slope.value == pytest.approx(1.0, abs=0.15)
    assert found["ours"].value.value == pytest.approx(
        found["ours"].within.value + found["ours"].between.value
    )
    assert found["groups"].within.value == pytest.approx(0.0, abs=1e-9)
    assert found["groups"].between.value > 0
    assert found["neutral"].beyond.value == pytest.approx(found["ours"].value.value)
    assert found["neutral"].beyond.low > 0
    assert differences(sized) == {
        ("ours", name): found[name].beyond for name in ("groups", "neutral")
    }


def test_the_mean_over_logs_is_surer_than_each() -> None:
    found = mean_of([Estimate(1.0, 0.0, 2.0)] * 4)
    assert (found.value, found.low, found.high) == (1.0, 0.5, 1.5)


@pytest.mark.parametrize("outcome", ["rr", pytest.param("roi", marks=pytest.mark.long)])
def test_a_cut_of_a_small_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    monkeypatch.setattr(
        walk, "PEERS", {name: peer for name, peer in PEERS.items() if name != "boosting"}
    )
    log = LOGS["us_2000"]
    found = events(log, panel())
    (tmp_path / "small.jsonl.zst").write_bytes(
        zstandard.compress(b"".join(orjson.dumps(e) + b"\n" for e in found))
    )
    (tmp_path / "small.env").write_text(log.env)
    source = Source("small", tmp_path / "small.jsonl.zst", tmp_path / "small.env")
    sized = joined([part for k in (2, 3) for part in judged(Task(source, outcome, 4, k))])
    assert len(sized.uplift) > 50
    assert sized.product[0] == "integrated"
    assert set(sized.multipliers) == {*sized.product, "ridge", "mixed", "group means", "neutral"}
    for multiplier in sized.multipliers.values():
        assert len(multiplier) == len(sized.uplift)
        assert ((multiplier >= 0.3) & (multiplier <= 3.0)).all()
    assert set(figures(sized)) == set(sized.multipliers)


def test_the_unit_of_size_is_read_off_two_decisions() -> None:
    from app.audit.trades import Decision

    asked = [
        Decision(("pm.a", "entry"), {}, 0, 1, str(i), o, (None, None))
        for i, o in enumerate((0.1, -0.3, 0.4))
    ]
    assert walk.unit_between(asked, np.array([0.1, -0.3, 0.4]) / 0.05 - 2.0) == pytest.approx(0.05)
    assert walk.unit_between([], np.zeros(0)) == 1.0
