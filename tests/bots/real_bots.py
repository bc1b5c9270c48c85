"""Tests against the real programs (`make bots`): each runs in an environment of its own, with only
our client; its back-test produces closes in a real Kafka, and sizes that come from overrides."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.closes import explode
from app.kafka import topics
from app.kafka.bulk_reader import scan
from app.kafka.producer import Producer
from app.kafka.records import published
from app.settings import Settings
from app.sources import closes
from edgeloop.overrides import TOPIC, Override
from edgeloop.scope import DEFAULT_DIMENSIONS
from tests.client.test_resolve import make

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / "build" / "bots"
LEARNED = "2025-12-31T00:00:00Z"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH that holds the client alone."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "edgeloop").symlink_to(ROOT / "edgeloop")
    return folder


@pytest.fixture
def run(site: Path, tmp_path: Path, stack_settings: Settings) -> Callable[..., str]:
    """Run a program with the Python of one of the environments."""

    def call(environment: str, *words: str) -> str:
        python = ENVIRONMENTS / environment / "bin" / "python"
        assert python.exists(), f"{python} is missing: run `make bots`."
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": str(site),
            "EDGELOOP_BROKER": stack_settings.broker,
            "EDGELOOP_TOPIC_PREFIX": stack_settings.topic_prefix,
        }
        done = subprocess.run(
            [str(python), *words],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            text=True,
            timeout=300,
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        assert "Edgeloop: an unexpected error" not in output, output
        return output

    return call


def override(name: str, key: str, category: str, effect: float, **scope: str) -> Override:
    return msgspec.structs.replace(
        make(name, effect=effect, scope=scope, multiplier=1 + effect),
        pattern_key=key,
        action_category=category,
        as_of=LEARNED,
    )


async def publish(settings: Settings, *overrides: Override) -> None:
    await topics.create(settings)
    producer = Producer(settings)
    await producer.send([published(settings, TOPIC, o, 1) for o in overrides])
    await producer.stop()


async def in_kafka(settings: Settings) -> list[dict[str, Any]]:
    """The closes in the topic; all of them have facts."""
    found = []
    async for records in scan(settings, "position_closed"):
        for record in records:
            dimensions = (*DEFAULT_DIMENSIONS, "symbol", "enter_tag")
            now_ms = int(datetime.now(UTC).timestamp() * 1000)
            assert explode(record.value, now_ms, dimensions=dimensions, outcome="roi")
            close = json.loads(record.value)
            assert record.key.decode() == close["trade_id"]
            found.append(close)
    return found


def applied(close: dict[str, Any], category: str) -> set[str]:
    """The overrides that an action of this category names."""
    return {
        i for a in close["actions"] if a["action_category"] == category
        for i in a["applied_overrides"]
    }  # fmt: skip


# -- freqtrade
KEY = "pm.RsiDipSized"
FREQTRADE = (
    override("o-entry", f"{KEY}.dip", "entry", 0.5, bucket="major"),
    override("o-add", f"{KEY}.deeper", "add", -0.4),
    override("o-exit", f"{KEY}.top", "exit", -0.4, enter_tag="dip", bucket="minor"),
)


def configuration(settings: Settings, **own: Any) -> dict[str, Any]:
    return {
        "stake_currency": "USDT",
        "stake_amount": 100,
        "dry_run": True,
        "dry_run_wallet": 5_000,
        "max_open_trades": 2,
        "timeframe": "1h",
        "exchange": {"name": "binance", "pair_whitelist": ["BTC/USDT", "ETH/USDT"]},
        "pairlists": [{"method": "StaticPairList"}],
        "entry_pricing": {"price_side": "same", "use_order_book": False},
        "exit_pricing": {"price_side": "same", "use_order_book": False},
        "edgeloop": {"by": "as_of", **own},
    }


def backtest(folder: Path, run: Callable[..., str], configured: dict[str, Any]) -> dict[str, Any]:
    """Run the documented strategy; returns freqtrade's result."""
    strategies = folder / "user_data" / "strategies"
    strategies.mkdir(parents=True, exist_ok=True)
    source = (ROOT / "examples" / "freqtrade_strategy.py").read_text()
    (strategies / "freqtrade_strategy.py").write_text(source)
    (folder / "config.json").write_text(json.dumps(configured))
    run(
        "freqtrade",
        str(ROOT / "tests" / "bots" / "freqtrade_offline.py"),
        ".",
        "backtesting",
        *("--config", "config.json", "--userdir", "user_data", "--strategy", "RsiDipSized"),
        *("--timerange", "20260103-20260301", "--cache", "none", "--export", "trades"),
    )
    (result,) = (folder / "user_data" / "backtest_results").glob("*.zip")
    with zipfile.ZipFile(result) as archive:
        (name,) = (n for n in archive.namelist() if n == f"{result.stem}.json")
        backtested: dict[str, Any] = json.loads(archive.read(name))
    return backtested["strategy"]["RsiDipSized"]


async def test_a_freqtrade_backtest_sizes_by_overrides_and_sends_its_closes(
    stack_settings: Settings, run: Callable[..., str], tmp_path: Path
) -> None:
    await publish(stack_settings, *FREQTRADE)
    backtested = backtest(tmp_path, run, configuration(stack_settings, send_backtests=True))
    found = await in_kafka(stack_settings)
    assert len(found) == len(backtested["trades"]) > 30
    assert len({close["trade_id"] for close in found}) == len(found)
    majors = [close for close in found if close["symbol"] == "BTC/USDT"]
    minors = [close for close in found if close["symbol"] == "ETH/USDT"]
    assert all(applied(close, "entry") == {"o-entry"} for close in majors)
    assert all(applied(close, "entry") == set() for close in minors)
    added = [c for c in found if any(a["action_category"] == "add" for a in c["actions"])]
    assert added
    assert all(applied(close, "add") == {"o-add"} for close in added)
    for trade in backtested["trades"]:
        stakes = [o["amount"] * o["safe_price"] for o in trade["orders"] if o["ft_is_entry"]]
        assert stakes[0] == pytest.approx(150 if trade["pair"] == "BTC/USDT" else 100, rel=0.001)
        assert all(stake == pytest.approx(30, rel=0.001) for stake in stakes[1:])
        sold = [o["amount"] for o in trade["orders"] if not o["ft_is_entry"]]
        if trade["pair"] == "ETH/USDT" and trade["orders"][-2]["ft_order_tag"] == "top":
            assert sold[0] == pytest.approx(0.6 * sum(sold), rel=0.001)
    partly = [c for c in minors if sum(a["action_category"] == "exit" for a in c["actions"]) == 2]
    assert partly
    assert all("o-exit" in applied(close, "exit") for close in partly)


async def test_live_and_imported_closes_of_freqtrade_are_the_same_trades(
    stack_settings: Settings, run: Callable[..., str], tmp_path: Path
) -> None:
    await publish(stack_settings)
    backtest(tmp_path, run, configuration(stack_settings, send_backtests=True))
    sent = {close["trade_id"]: close for close in await in_kafka(stack_settings)}
    (result,) = (tmp_path / "user_data" / "backtest_results").glob("*.zip")
    imported = {c["trade_id"]: c for c in (json.loads(c.value) for c in closes([str(result)]))}
    assert sent.keys() == imported.keys()
    for trade_id, close in sent.items():
        assert close.pop("revision") == 1  # so that it counts, in any order
        assert close.pop("chain") == close["entry_context"].pop("exchange") == "binance"
        for action in close["actions"]:
            assert action.pop("applied_overrides") == []
            assert action["scope"].pop("bucket") in ("major", "minor")
        assert close == imported[trade_id]


async def test_a_freqtrade_backtest_goes_on_without_a_broker(
    run: Callable[..., str], tmp_path: Path, stack_settings: Settings
) -> None:
    backtested = backtest(tmp_path, run, configuration(stack_settings, broker="127.0.0.1:1"))
    assert len(backtested["trades"]) > 30
    assert not list((tmp_path / "user_data" / "edgeloop" / "backtest" / "queue").iterdir())


async def test_a_freqtrade_dry_run_continues_after_a_restart_and_sends_its_close(
    stack_settings: Settings, run: Callable[..., str], tmp_path: Path
) -> None:
    key = "pm.ClimbSized"
    await publish(
        stack_settings,
        override("o-entry", f"{key}.dip", "entry", 0.5, symbol="BTC/USDT"),
        override("o-add", f"{key}.higher", "add", -0.4),
        override("o-exit", f"{key}.top", "exit", -0.25),
    )
    strategies = tmp_path / "user_data" / "strategies"
    strategies.mkdir(parents=True)
    source = (ROOT / "tests" / "bots" / "live_strategy.py").read_text()
    (strategies / "live_strategy.py").write_text(source)
    configured = configuration(stack_settings) | {
        "strategy": "ClimbSized",
        "db_url": "sqlite:///trades.sqlite",
        "initial_state": "running",
    }
    configured["exchange"]["enable_ws"] = False
    configured["entry_pricing"]["price_side"] = configured["exit_pricing"]["price_side"] = "other"
    (tmp_path / "config.json").write_text(json.dumps(configured))
    program = str(ROOT / "tests" / "bots" / "freqtrade_dry_run.py")
    for price, rounds in ((100, 2), (105, 2)):  # each in a process of its own
        run("freqtrade", program, str(price), str(rounds))
        assert await in_kafka(stack_settings) == []
    run("freqtrade", program, "115", "3")
    found = {close["symbol"]: close for close in await in_kafka(stack_settings)}
    assert found.keys() == {"BTC/USDT", "ETH/USDT"}
    database = tmp_path / "trades.sqlite"
    imported = {c["symbol"]: c for c in (json.loads(c.value) for c in closes([str(database)]))}
    for symbol, close in found.items():
        actions = [(a["action_category"], *a["applied_overrides"]) for a in close["actions"]]
        entry = ("entry", "o-entry") if symbol == "BTC/USDT" else ("entry",)
        # A quarter is left after the first exit, and is sold with the next.
        assert actions == [entry, ("add", "o-add"), ("exit", "o-exit"), ("exit",)]
        bought = [a["size_frac"] for a in close["actions"][:2]]
        stakes = (150 if symbol == "BTC/USDT" else 100, 30)
        units = stakes[0] / 100, stakes[1] / 105
        assert bought == pytest.approx([unit / sum(units) for unit in units], rel=0.01)
        assert [a["size_frac"] for a in close["actions"][2:]] == pytest.approx(
            [0.75, 1.0], rel=0.01
        )
        other = imported[symbol]
        assert (close["trade_id"], close["event_id"]) == (other["trade_id"], other["event_id"])
        assert close["trade_summary"] == other["trade_summary"]
        assert close["revision"] == 1
    # Nothing is sent again at the next start.
    run("freqtrade", program, "115", "0")
    assert len(await in_kafka(stack_settings)) == 2


# -- nautilus_trader
NAUTILUS = (
    override("n-entry", "pm.Swing-000.low", "entry", 0.5, symbol="ETHUSDT"),
    override("n-trim", "pm.Swing-000.up", "trim", -0.4, timeframe="1h"),
)


async def test_a_nautilus_backtest_sizes_by_overrides_and_sends_its_closes(
    stack_settings: Settings, run: Callable[..., str], tmp_path: Path
) -> None:
    await topics.create(stack_settings)
    lines = [
        {
            "published_at": "2026-11-01T00:00:00Z",
            "override_id": o.override_id,
            "version": 1,
            "override": msgspec.to_builtins(o),
        }
        for o in NAUTILUS
    ]
    # From the tenth day on, additions are sized as well.
    later = msgspec.structs.replace(
        override("n-add", "pm.Swing-000.lower", "add", 1.0), as_of="2026-01-10T00:00:00Z"
    )
    lines.append(lines[0] | {"override_id": "n-add", "override": msgspec.to_builtins(later)})
    (tmp_path / "changes.jsonl").write_text("\n".join(map(json.dumps, lines)))
    example = str(ROOT / "examples" / "nautilus_strategy.py")
    assert "waiting=0, sent=30" in run("nautilus", example, "changes.jsonl", "spool")
    first = await in_kafka(stack_settings)
    assert len(first) == 30
    for close in first:
        sizes = [action["size_frac"] for action in close["actions"]]
        grown = close["trade_summary"]["entry_timestamp"] > "2026-01-10"
        peak = 1.5 + (1.0 if grown else 0.5)
        assert sizes == pytest.approx([1.5 / peak, (peak - 1.5) / peak, 0.3, 1.0], abs=1e-5)
        assert applied(close, "entry") == {"n-entry"}
        assert applied(close, "add") == ({"n-add"} if grown else set())
        assert applied(close, "trim") == {"n-trim"}
        assert applied(close, "exit") == set()
    # A second run gives the same closes of the same trades: nothing counts twice.
    run("nautilus", example, "changes.jsonl", "spool")
    both = await in_kafka(stack_settings)
    assert len(both) == 60
    assert {json.dumps(c, sort_keys=True) for c in both} == {
        json.dumps(c, sort_keys=True) for c in first
    }
