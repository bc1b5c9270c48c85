"""A bot of one's own, connected: its trades, the decorator, and closes that reach a real broker."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.closes import explode
from app.devstack import StackInfo, temporary_stack
from app.kafka import topics
from app.kafka.bulk_reader import scan
from app.settings import Settings
from edgeloop.history import Change, OverrideHistory
from edgeloop.integrations import Connection, Trade, TradeClosedError
from edgeloop.scope import DEFAULT_DIMENSIONS
from tests.client.test_resolve import make

ENTRY = make(
    "o1", effect=0.5, pattern_key="pm.dip.S1", action_category="entry", scope={"chain": "sol"}
)
HISTORY = OverrideHistory([Change("o1", 1, 0.0, ENTRY)])
NOBODY = "127.0.0.1:1"


@pytest.fixture
def bot(tmp_path: Path) -> Iterator[Connection]:
    """A connection without a broker; closes stay in the spool."""
    connection = Connection(NOBODY, spool=tmp_path, book=HISTORY)
    yield connection
    connection.stop(timeout=0)


def now() -> datetime:
    return datetime.now(UTC)


def waiting(connection: Connection) -> list[dict[str, Any]]:
    paths = sorted((connection.spool.folder / "queue").iterdir())
    return [json.loads(path.read_bytes()) for path in paths]


def test_a_trade_collects_its_actions_and_closes_once(bot: Connection) -> None:
    with bot.trade("T-1", symbol="BONK", timeframe="1h", context={"chain": "sol"}) as trade:
        decision = trade.entry("dip.S1", {"btc_macro": "S2"}, ts=now())
        assert decision.multiplier == 1.5
        trade.exit("dip.S3", ts=now())
        event = trade.close(rr=1.4, roi=0.12)
        with pytest.raises(TradeClosedError):
            trade.close(rr=1.4)
        with pytest.raises(TradeClosedError):
            trade.exit("dip.S3")
    assert waiting(bot) == [event]
    facts = explode(
        json.dumps(event).encode(),
        round(time.time() * 1000),
        dimensions=DEFAULT_DIMENSIONS,
        outcome="rr",
    )
    assert [(f.pattern_key, f.action_category) for f in facts] == [
        ("pm.dip.S1", "entry"),
        ("pm.dip.S3", "exit"),
    ]
    assert facts[0].actions[0].applied_overrides == ("o1",)
    assert facts[0].actions[0].scope == {"btc_macro": "S2", "chain": "sol"}


def test_a_trade_continues_after_a_restart(tmp_path: Path) -> None:
    first = Connection(NOBODY, spool=tmp_path, book=HISTORY)
    first.trade("T-1", symbol="BONK", context={"chain": "sol"}).entry("dip.S1", ts=now())
    first.stop(timeout=0)
    second = Connection(NOBODY, spool=tmp_path, book=HISTORY)
    trade = second.trade("T-1")
    assert len(trade.actions) == 1
    trade.exit("dip.S3", ts=now())
    event = trade.close(rr=1.0)
    assert event["symbol"] == "BONK"
    assert [a["action_category"] for a in event["actions"]] == ["entry", "exit"]
    # The trade is over: the id begins a new one.
    assert second.trade("T-1").actions == ()
    second.stop(timeout=0)


def test_a_close_that_is_repeated_after_a_crash_is_the_same_event(bot: Connection) -> None:
    made = now()

    def close() -> dict[str, Any]:
        trade = bot.trade("T-1")
        trade.entry("dip.S1", ts=made)
        return trade.close(rr=1.0, exit_timestamp=made + timedelta(hours=1))

    assert close() == close()
    assert len(waiting(bot)) == 1


def test_a_correction_has_an_id_and_a_revision_of_its_own(bot: Connection) -> None:
    ids = set()
    for revision in (0, 1, 2):
        trade = bot.trade("T-1")
        trade.entry("dip.S1", ts=now())
        ids.add(trade.close(rr=1.0, revision=revision)["event_id"])
    assert ids == {"T-1/closed", "T-1/closed/1", "T-1/closed/2"}


def test_an_error_in_the_block_leaves_the_trade_open(bot: Connection) -> None:
    def fail() -> None:
        with bot.trade("T-1") as trade:
            trade.entry("dip.S1", ts=now())
            raise RuntimeError("the exchange said no")

    with pytest.raises(RuntimeError):
        fail()
    assert waiting(bot) == []
    assert len(bot.trade("T-1").actions) == 1


def test_a_trade_without_actions_cannot_be_closed(bot: Connection) -> None:
    with pytest.raises(ValueError, match="no action"):
        bot.trade("T-1").close(rr=1.0)
    with pytest.raises(TypeError, match="'colour'"):
        bot.trade("T-1", colour="red")


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_decorator_sizes_and_records(asynchronous: bool, bot: Connection) -> None:
    placed = []

    def place(trade: Trade, size: float, scope: dict[str, Any], fail: bool = False) -> float:
        if fail:
            raise RuntimeError("the exchange said no")
        placed.append(size)
        return size

    async def place_later(
        trade: Trade, size: float, scope: dict[str, Any], fail: bool = False
    ) -> float:
        return place(trade, size, scope, fail)

    sized = bot.sized("dip.S1", "entry")
    call: Callable[..., Any] = sized(place_later if asynchronous else place)
    done = (lambda *a, **k: asyncio.run(call(*a, **k))) if asynchronous else call
    history_at = HISTORY.resolve("dip.S1", "entry", {"chain": "sol"}, now())
    assert history_at.multiplier == 1.5
    trade = bot.trade("T-1")
    trade._book = AsOfNow()  # the book of one's own bot answers as of now
    assert done(trade, size=100, scope={"chain": "sol"}) == 150
    assert done(trade, 100, {"chain": "eth"}) == 100
    with pytest.raises(RuntimeError):
        done(trade, 100, {"chain": "sol"}, fail=True)
    assert placed == [150, 100]
    assert [a["applied_overrides"] for a in trade.actions] == [["o1"], []]


class AsOfNow:
    """The history, queried as of now."""

    def resolve(self, *words: Any, **how: Any) -> Any:
        pattern_key, category, scope, *at = words
        return HISTORY.resolve(pattern_key, category, scope, (at and at[0]) or now(), **how)


# -- with a broker


async def in_kafka(settings: Settings) -> list[str]:
    """Event ids in the order of the log, partition by partition."""
    found = []
    async for records in scan(settings, "position_closed"):
        found += [json.loads(record.value)["event_id"] for record in records]
    return found


def send(connection: Connection, *numbers: int) -> None:
    for number in numbers:
        connection.sender.send({"event_id": f"e{number}", "trade_id": "t"})


@pytest.mark.stack
def test_what_waited_is_sent_once_the_topic_is_there(
    stack_settings: Settings, tmp_path: Path
) -> None:
    def connect() -> Connection:
        return Connection(
            stack_settings.broker,
            spool=tmp_path,
            topic_prefix=stack_settings.topic_prefix,
            book=HISTORY,
            client_options={"request_timeout_ms": 2_000},
        )

    first = connect()
    first.start()
    send(first, 1, 2, 3)
    assert not first.flush(3)
    assert not first.stop(timeout=0)
    asyncio.run(topics.create(stack_settings))
    with connect() as second:
        send(second, 4)
        assert second.flush(60), second.status
        assert second.status.sent == 4
    assert asyncio.run(in_kafka(stack_settings)) == ["e1", "e2", "e3", "e4"]


@pytest.mark.stack
def test_a_close_that_is_too_large_for_the_topic_is_put_aside(
    stack_settings: Settings, tmp_path: Path
) -> None:
    asyncio.run(topics.create(stack_settings))
    with Connection(
        stack_settings.broker,
        spool=tmp_path,
        topic_prefix=stack_settings.topic_prefix,
        book=HISTORY,
        client_options={"max_request_size": 10_000},
    ) as connection:
        send(connection, 1)
        connection.sender.send({"event_id": "big", "trade_id": "t", "text": "x" * 20_000})
        send(connection, 2)
        assert connection.flush(60), connection.status
        assert (connection.status.sent, connection.status.refused) == (2, 1)
    assert asyncio.run(in_kafka(stack_settings)) == ["e1", "e2"]


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackInfo]:
    with temporary_stack(tmp_path_factory.mktemp("own")) as info:
        yield info


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_broker_that_hangs_and_comes_back_loses_and_doubles_nothing(
    own_stack: StackInfo, topic_prefix: str, tmp_path: Path
) -> None:
    settings = Settings(broker=own_stack.broker, topic_prefix=topic_prefix, partitions=2)
    asyncio.run(topics.create(settings))
    with Connection(
        settings.broker, spool=tmp_path, topic_prefix=topic_prefix, book=HISTORY
    ) as connection:
        send(connection, 1)
        assert connection.flush(60)
        main = psutil.Process(own_stack.broker_pid)
        broker = [p.pid for p in (main, *main.children(recursive=True))]
        for pid in broker:
            os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            send(connection, *range(2, 30))
            assert time.monotonic() - began < 5  # the bot does not wait for the broker
            assert not connection.flush(2)
        finally:
            for pid in broker:
                os.kill(pid, signal.SIGCONT)
        assert connection.flush(120), connection.status
    found = asyncio.run(in_kafka(settings))
    assert sorted(set(found), key=lambda e: int(e[1:])) == [f"e{i}" for i in range(1, 30)]
    # In order; a close that was resent after the hang is the same event.
    firsts = list(dict.fromkeys(found))
    assert firsts == [f"e{i}" for i in range(1, 30)]
