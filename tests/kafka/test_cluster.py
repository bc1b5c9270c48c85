"""Asking for the identity of a log, next to a reader that waits for records."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from app.kafka import topics
from app.kafka.client import client_options
from app.settings import Settings
from edgeloop.close_client import close_client
from edgeloop.cluster import ends_of_epochs, look
from schemas import kinds

pytestmark = pytest.mark.stack

FETCH_WAITS_S = 20.0


async def test_the_answer_does_not_wait_behind_a_fetch(stack_settings: Settings) -> None:
    await topics.create(stack_settings)
    name = stack_settings.topic(kinds.CLOSES)
    consumer = AIOKafkaConsumer(
        **client_options(stack_settings),
        enable_auto_commit=False,
        fetch_max_wait_ms=round(1000 * FETCH_WAITS_S),
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(name, 0)])
        await consumer.seek_to_end()
        await consumer.position(TopicPartition(name, 0))
        async with asyncio.timeout(FETCH_WAITS_S):
            while not consumer._fetcher._pending_tasks:  # until the fetch is sent
                await consumer.getmany(timeout_ms=10)
        began = time.monotonic()
        seen = await look(consumer._client, [name])
        assert seen is not None
        epochs = {(name, 0): seen.topics[name].leaders[0][1]}
        ends = await ends_of_epochs(consumer._client, seen, epochs)
        took_s = time.monotonic() - began
        assert ends == {(name, 0): 0}
        assert consumer._fetcher._pending_tasks  # the broker still holds it
        assert took_s < FETCH_WAITS_S / 2
    finally:
        await close_client(consumer)
