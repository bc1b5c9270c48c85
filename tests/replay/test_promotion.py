"""A promotion under a reader that queries all the time: all of it or nothing, even if it is killed
midway."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from app.kafka import producer, topics
from app.kafka.producer import Producer
from app.kafka.records import Outgoing, partition_of
from app.kafka.skipped import Skipped
from app.kafka.snapshot import current
from app.replay import promote
from app.settings import Settings
from edgeloop import OverrideBook
from edgeloop.book import Promotions
from schemas import kinds
from tests.client.test_resolve import make
from tests.pipeline.installation import wait

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
N = 400
"""Number of overrides, each in its own group: a single query never sees a mixture, so consecutive
queries are tested."""
SMALL_FETCHES = {"max_partition_fetch_bytes": 4_096}


def overrides(settings: Settings, effect: float, promotion: bytes | None = None) -> list[Outgoing]:
    headers = (
        ("version", b"1"),
        *((("promotion", promotion), ("promotion.records", str(N).encode())) if promotion else ()),
    )
    partition = partition_of("pm", settings.partitions)
    encode = msgspec.json.encode
    return [
        Outgoing(
            settings.topic(kinds.OVERRIDES), partition, f"o{i}".encode(),
            encode(make(f"o{i}", effect=effect, pattern_key=f"pm.a.b{i}")), headers,
        )
        for i in range(N)
    ]  # fmt: skip


@pytest.fixture
def before(stack_settings: Settings) -> Settings:
    """An installation whose overrides are all 1.1, sent in batches as small as the fetches."""

    async def send() -> None:
        await topics.create(stack_settings)
        producer = Producer(stack_settings)
        await producer.send(overrides(stack_settings, 0.1))
        await producer.stop()

    asyncio.run(send())
    return stack_settings


class Answers:
    """The answers to a thread that queries all groups repeatedly."""

    def __init__(self) -> None:
        self.seen: list[float] = []
        """Each multiplier, in the order in which it was first seen."""
        self.back = 0
        """How often one group was still old after another one had been new."""
        self.latest: frozenset[float] = frozenset()
        """The answers of the last round."""

    def ask(self, book: OverrideBook, done: threading.Event) -> None:
        """Rounds alternate forwards and backwards: anything that becomes effective bit by bit shows
        in one of them."""
        order = range(N)
        while not done.is_set():
            answers = [book.resolve(f"pm.a.b{i}", "add", {}).multiplier for i in order]
            for answer in answers:
                if answer not in self.seen:
                    self.seen.append(answer)
                self.back += answer != self.seen[-1]
            order = order[::-1]
            self.latest = frozenset(answers)

    def until(self, only: float) -> None:
        wait(
            lambda: self.latest == {only},
            30,
            f"round of {only} alone",
            lambda: str((self.latest, self.seen)),
        )


@contextmanager
def asking(settings: Settings) -> Iterator[Answers]:
    """A position manager whose book runs in one thread while another thread queries it."""
    asked, books = Answers(), []
    done, there, left = threading.Event(), threading.Event(), threading.Event()

    async def hold() -> None:
        async with OverrideBook(
            settings.broker, topic_prefix=settings.topic_prefix, client_options=SMALL_FETCHES
        ) as book:
            if await book.ready(30):
                books.append(book)
            there.set()
            await asyncio.to_thread(left.wait)

    threads = [
        threading.Thread(target=lambda: asyncio.run(hold())),
        threading.Thread(target=lambda: asked.ask(books[0], done)),
    ]
    threads[0].start()
    try:
        assert there.wait(40)
        assert books, "the book is not ready"
        threads[1].start()
        yield asked
    finally:
        # The book ends last: without it every answer is neutral.
        for event, thread in ((done, threads[1]), (left, threads[0])):
            event.set()
            if thread.ident is not None:
                thread.join(30)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetch returns whole batches: with these settings, some ten overrides at a time."""
    monkeypatch.setattr(producer, "BATCH_BYTES", 4_096)


def test_a_reader_sees_all_of_a_promotion_or_nothing(before: Settings) -> None:
    with asking(before) as asked:
        asked.until(1.1)
        asyncio.run(promote.publish(before, overrides(before, 0.5, b"p1")))
        asked.until(1.5)
    assert (asked.seen, asked.back) == ([1.1, 1.5], 0)


def test_without_holding_back_it_would_be_mixed(
    before: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Promotions, "ready", lambda self, partition, records: records)
    with asking(before) as asked:
        asked.until(1.1)
        asyncio.run(promote.publish(before, overrides(before, 0.5, b"p1")))
        asked.until(1.5)
    assert asked.seen == [1.1, 1.5]
    assert asked.back > 0


KILLED = """
import asyncio, sys
from aiokafka import AIOKafkaProducer
from app.replay.promote import publish
from app.settings import Settings
from tests.replay.test_promotion import overrides

async def hang(self):
    print("sent", flush=True)
    await asyncio.sleep(600)

AIOKafkaProducer.commit_transaction = hang
settings = Settings.from_environment()
asyncio.run(publish(settings, overrides(settings, 0.9, b"killed")))
"""


def test_nothing_of_a_killed_promotion_is_visible_and_the_next_one_works(
    before: Settings,
) -> None:
    with asking(before) as asked:
        asked.until(1.1)
        environment = {**os.environ, **before.environment(), "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED], cwd=ROOT, env=environment, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        with process.stdout as stdout:
            assert stdout.readline() == b"sent\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert effects(before) == {0.1}
        assert (asked.seen, asked.latest) == ([1.1], {1.1})
        asyncio.run(promote.publish(before, overrides(before, 0.5, b"p2")))
        asked.until(1.5)
    assert (asked.seen, asked.back) == ([1.1, 1.5], 0)
    assert effects(before) == {0.5}


def effects(settings: Settings) -> set[float]:
    return {
        override.effect
        for override in asyncio.run(current(settings, kinds.OVERRIDES, Skipped())).values()
    }
