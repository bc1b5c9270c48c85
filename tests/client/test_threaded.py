"""`ThreadedOverrideBook` against a real broker."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from app.kafka import topics
from app.kafka.producer import Producer
from app.kafka.records import published
from app.settings import Settings
from edgeloop import ThreadedOverrideBook
from edgeloop.overrides import TOPIC, Override
from tests.client.test_resolve import make

pytestmark = pytest.mark.stack


def publish(settings: Settings, override: Override, version: int) -> None:
    async def send() -> None:
        producer = Producer(settings)
        await producer.send([published(settings, TOPIC, override, version)])
        await producer.stop()

    asyncio.run(send())


def book_of(settings: Settings) -> ThreadedOverrideBook:
    return ThreadedOverrideBook(settings.broker, topic_prefix=settings.topic_prefix)


def test_a_program_without_asyncio_follows_changes(stack_settings: Settings) -> None:
    asyncio.run(topics.create(stack_settings))
    publish(stack_settings, make("o1", effect=0.4), 1)
    with book_of(stack_settings) as book:
        assert book.ready(timeout=30)
        assert book.resolve("a.b", "add", {}).multiplier == 1.4
        assert [o.override_id for o in book.overrides()] == ["o1"]
        assert (book.status.ready, book.status.stale) == (True, False)
        publish(stack_settings, make("o1", effect=0.5), 2)
        give_up = time.monotonic() + 30
        while book.resolve("a.b", "add", {}).multiplier != 1.5:
            assert time.monotonic() < give_up
            time.sleep(0.02)
        book.enabled = False
        assert not book.enabled
        assert book.resolve("a.b", "add", {}).reason == "disabled"
        book.enabled = True
    assert book.resolve("a.b", "add", {}).reason == "stale"
    assert not [thread for thread in threading.enumerate() if thread.name == "override-book"]


def test_it_is_neutral_while_there_is_no_topic(stack_settings: Settings) -> None:
    with book_of(stack_settings) as book:
        assert not book.ready(timeout=0.5)
        found = book.resolve("a.b", "add", {})
        assert (found.multiplier, found.reason) == (1.0, "not_ready")
        assert "does not exist" in book.status.last_error
