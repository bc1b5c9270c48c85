"""`OverrideBook` against a real broker: it is filled, stays current, and is neutral when in
doubt."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable

import msgspec
import psutil
import pytest
from aiokafka import AIOKafkaConsumer

from app.devstack import StackInfo, temporary_stack
from app.kafka import topics
from app.kafka.admin import admin
from app.kafka.producer import Producer
from app.kafka.records import Outgoing, partition_of
from app.settings import Settings
from edgeloop import OverrideBook
from edgeloop.overrides import Override
from schemas import kinds
from tests.client.test_resolve import make

pytestmark = pytest.mark.stack


async def eventually(condition: Callable[[], object], deadline_s: float = 30.0) -> None:
    give_up = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < give_up, f"not within {deadline_s} s"
        await asyncio.sleep(0.02)


def out(
    settings: Settings, override_id: str, value: Override | bytes | None, version: int | None
) -> Outgoing:
    body = msgspec.json.encode(value) if isinstance(value, Override) else value
    headers = () if version is None else (("version", str(version).encode()),)
    partition = partition_of(override_id, settings.partitions)
    return Outgoing(settings.topic(kinds.OVERRIDES), partition, override_id.encode(), body, headers)


Put = Callable[..., object]


@pytest.fixture
async def put(stack_settings: Settings) -> AsyncIterator[Put]:
    """Publish `(id, override or None, version)` triples; awaited, they are on the broker."""
    await topics.create(stack_settings)
    producer = Producer(stack_settings)

    async def publish(*triples: tuple[str, Override | bytes | None, int | None]) -> None:
        await producer.send([out(stack_settings, *triple) for triple in triples])

    yield publish
    await producer.stop()


def book_of(settings: Settings, **options: object) -> OverrideBook:
    return OverrideBook(settings.broker, topic_prefix=settings.topic_prefix, **options)  # type: ignore[arg-type]


def multiplier(book: OverrideBook, **scope: str) -> float:
    return book.resolve("a.b", "add", scope).multiplier


async def test_three_lines_from_another_program(stack_settings: Settings, put: Put):
    await put(
        ("o1", make("o1", effect=0.4, scope={"chain": "sol"}), 1), ("o2", make("o2", effect=0.1), 1)
    )
    async with book_of(stack_settings) as book:
        assert await book.ready(timeout=30)
        found = book.resolve("a.b", "add", {"chain": "sol"})
        assert (found.multiplier, found.reason) == (1.5, "matched")
        assert book.resolve("module=pm|pattern_key=a.b", "add", {"chain": "eth"}).multiplier == 1.1
        assert book.resolve("a.c", "add", {}).reason == "no_match"
        assert book.resolve("a.b", "add", {"chain": []}).reason == "error"
        assert book.resolve("a.b", "add", {"chain": "sol"}, emergency=True).multiplier == 1.0
        assert {o.override_id for o in book.overrides()} == {"o1", "o2"}
    assert book.resolve("a.b", "add", {}).reason == "stale"


async def test_neutral_until_everything_was_read(stack_settings: Settings, put: Put):
    many = [(f"o{i}", make(f"o{i}", effect=0.01), 1) for i in range(3_000)]
    await put(*many)
    async with book_of(stack_settings) as book:
        assert book.resolve("a.b", "add", {}).reason == "not_ready"
        assert await book.ready(timeout=30)
        assert book.status.overrides == 3_000
        assert multiplier(book) == 3.0


async def test_an_empty_topic_is_ready_and_a_missing_one_is_waited_for(stack_settings: Settings):
    async with book_of(stack_settings) as book:
        assert not await book.ready(timeout=0.5)
        assert "does not exist" in book.status.last_error
        await topics.create(stack_settings)
        assert await book.ready(timeout=30)
        assert book.resolve("a.b", "add", {}).reason == "no_match"


async def test_asking_for_a_missing_topic_does_not_create_it(stack_settings: Settings):
    async with book_of(stack_settings) as book:
        assert not await book.ready(timeout=1)
    async with admin(stack_settings) as client:
        assert stack_settings.topic(kinds.OVERRIDES) not in await client.list_topics()


async def test_changes_arrive_and_older_versions_never_win(stack_settings: Settings, put: Put):
    async with book_of(stack_settings) as book:
        assert await book.ready(timeout=30)
        await put(("o1", make("o1", effect=0.4), 5))
        await eventually(lambda: multiplier(book) == 1.4)
        await put(("o1", make("o1", effect=0.9), 4), ("o1", make("o1", effect=0.5), 5))
        await eventually(lambda: multiplier(book) == 1.5)  # of equal versions, the later one
        await put(("o1", None, 7))
        await eventually(lambda: multiplier(book) == 1.0)
        await put(
            ("o1", make("o1", effect=0.9), 6),
            ("o1", None, 3),
            ("mark", make("mark", effect=0.2), 1),
        )
        await eventually(lambda: multiplier(book) == 1.2)  # the retired one did not come back
        await put(("o1", make("o1", effect=0.1), 8))
        await eventually(lambda: multiplier(book) == pytest.approx(1.3))


async def test_the_order_in_the_log_does_not_matter(stack_settings: Settings, put: Put):
    log = [("o1", make("o1", effect=v / 100), v) for v in range(1, 10)] + [
        ("o2", make("o2", effect=0.2), 3),
        ("o2", None, 8),
    ]
    random.Random(3).shuffle(log)
    await put(*log)
    async with book_of(stack_settings) as book:
        assert await book.ready(timeout=30)
        assert multiplier(book) == 1.09


async def test_bad_records_are_counted_and_skipped(stack_settings: Settings, put: Put):
    good = make("o1", effect=0.4)
    await put(
        ("o1", good, 1),
        ("o1", b"not json", 2),
        ("o1", b"{}", 2),
        ("o1", msgspec.json.encode(make("other")), 2),
        ("o1", make("o1", effect=0.9), None),
        ("o1", msgspec.json.encode(make("o1", effect=0.9, regime_gains={"": -1.0})), 2),
        ("o1", make("o1", effect=0.9, as_of="yesterday"), 2),
        ("o1", None, None),
        ("o9", b"\xff\xff", 1),
    )
    async with book_of(stack_settings) as book:
        assert await book.ready(timeout=30)
        assert multiplier(book) == 1.4
        assert book.status.bad_records == 8
        await put(("o1", make("o1", effect=0.2), 2))
        await eventually(lambda: multiplier(book) == 1.2)


async def test_the_switch_makes_everything_neutral_at_once(stack_settings: Settings, put: Put):
    await put(("o1", make("o1", effect=0.4), 1))
    async with book_of(stack_settings, enabled=False) as book:
        assert await book.ready(timeout=30)
        assert book.resolve("a.b", "add", {}).reason == "disabled"
        book.enabled = True
        assert multiplier(book) == 1.4
        book.enabled = False
        assert multiplier(book) == 1.0


async def test_quiet_is_not_stale(stack_settings: Settings, put: Put):
    await put(("o1", make("o1", effect=0.4), 1))
    async with book_of(stack_settings, stale_after_s=1.0) as book:
        assert await book.ready(timeout=30)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            assert multiplier(book) == 1.4
            await asyncio.sleep(0.02)


async def test_a_broker_that_hangs_makes_it_stale_and_it_recovers(
    stack: StackInfo, stack_settings: Settings, put: Put
):
    await put(("o1", make("o1", effect=0.4), 1))
    broker = psutil.Process(stack.broker_pid)
    java = [broker, *broker.children(recursive=True)]
    async with book_of(stack_settings, stale_after_s=2.0) as book:
        assert await book.ready(timeout=30)
        for process in java:
            os.kill(process.pid, signal.SIGSTOP)
        try:
            stopped = time.monotonic()
            await eventually(lambda: book.resolve("a.b", "add", {}).reason == "stale", 10)
            assert time.monotonic() - stopped <= 4.0
            assert multiplier(book) == 1.0
        finally:
            for process in java:
                os.kill(process.pid, signal.SIGCONT)
        await put(("o1", make("o1", effect=0.6), 2))
        await eventually(lambda: multiplier(book) == 1.6, 60)


@pytest.mark.slow
@pytest.mark.long
async def test_a_broker_that_is_killed_and_comes_back(tmp_path, topic_prefix: str):
    from app.devstack import up

    loop = asyncio.get_running_loop()
    directory = tmp_path / "stack"
    stack = temporary_stack(directory)
    info = await loop.run_in_executor(None, stack.__enter__)
    try:
        settings = Settings(broker=info.broker, topic_prefix=topic_prefix, partitions=2)
        await topics.create(settings)
        producer = Producer(settings)
        await producer.send([out(settings, "o1", make("o1", effect=0.4), 1)])
        async with book_of(settings, stale_after_s=2.0) as book:
            assert await book.ready(timeout=30)
            assert multiplier(book) == 1.4
            os.kill(info.broker_pid, signal.SIGKILL)
            await eventually(lambda: book.resolve("a.b", "add", {}).reason == "stale", 10)
            again = await loop.run_in_executor(None, lambda: up(directory, die_with_parent=True))
            assert again.broker == info.broker
            await eventually(lambda: multiplier(book) == 1.4, 60)
            await producer.send([out(settings, "o1", make("o1", effect=0.6), 2)])
            await eventually(lambda: multiplier(book) == 1.6, 30)
        await producer.stop()
    finally:
        await loop.run_in_executor(None, stack.__exit__, None, None, None)


async def test_it_leaves_no_group_and_no_commits(stack_settings: Settings, put: Put):
    await put(("o1", make("o1", effect=0.4), 1))
    async with admin(stack_settings) as client:
        before = {group for group, *_ in await client.list_consumer_groups()}
        async with book_of(stack_settings) as book:
            assert await book.ready(timeout=30)
            assert {group for group, *_ in await client.list_consumer_groups()} == before


async def test_a_broker_that_is_not_there_is_no_error(topic_prefix: str):
    async with OverrideBook("127.0.0.1:1", topic_prefix=topic_prefix) as book:
        assert not await book.ready(timeout=0.5)
        assert book.resolve("a.b", "add", {}).reason == "not_ready"
        assert "KafkaConnectionError" in book.status.last_error


async def test_a_client_that_cancels_who_stops_it_does_not_end_the_book(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    starts: list[float] = []
    again = asyncio.Event()

    class Lost:
        """A client whose broker is away, and which answers a stop with the cancellation of its own
        tasks."""

        def __init__(self, **_: object) -> None: ...

        async def start(self) -> None:
            starts.append(time.monotonic())
            if len(starts) == 3:
                again.set()
            raise ConnectionError("away")

        async def stop(self) -> None:
            raise asyncio.CancelledError

    monkeypatch.setattr("aiokafka.AIOKafkaConsumer", Lost)
    async with OverrideBook("127.0.0.1:1") as book:
        await asyncio.wait_for(again.wait(), 20)
        assert book.status.last_error == "ConnectionError('away')"


async def test_a_book_that_ends_leaves_no_question_behind(
    stack_settings: Settings, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(("o1", make("o1", effect=0.4), 1))
    silent, asked, ask = False, asyncio.Event(), AIOKafkaConsumer.end_offsets

    async def end_offsets(consumer: AIOKafkaConsumer, partitions: object) -> object:
        if silent:
            asked.set()
            await asyncio.Event().wait()
        return await ask(consumer, partitions)

    monkeypatch.setattr(AIOKafkaConsumer, "end_offsets", end_offsets)
    before = asyncio.all_tasks()
    async with book_of(stack_settings, stale_after_s=1.0) as book:
        assert await book.ready(timeout=30)
        silent = True
        await asyncio.wait_for(asked.wait(), 10)
    left = asyncio.all_tasks() - before
    assert not left, left
