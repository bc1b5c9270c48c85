"""Offsets of many topics, without aiokafka's pause at each."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import TopicPartition

from app.kafka import topics
from app.kafka.bulk_reader import reader, started_reader
from app.settings import Settings
from edgeloop.close_client import close_client
from schemas import kinds

pytestmark = pytest.mark.stack

PAUSE_S = 60.0


async def test_the_offsets_of_all_topics_come_without_a_pause(stack_settings: Settings) -> None:
    await topics.create(stack_settings)
    partitions = [TopicPartition(stack_settings.topic(name), 0) for name in kinds.KINDS]
    async with started_reader(stack_settings, "the log") as consumer:
        await consumer.end_offsets(partitions)  # until all of the new topics have leaders
    for ask in ("end_offsets", "beginning_offsets", "offsets_for_times"):
        consumer = reader(stack_settings, retry_backoff_ms=round(1000 * PAUSE_S))
        await consumer.start()
        try:
            asked = dict.fromkeys(partitions, 0) if ask == "offsets_for_times" else partitions
            found = await asyncio.wait_for(getattr(consumer, ask)(asked), PAUSE_S / 2)
        finally:
            await close_client(consumer)
        assert found == dict.fromkeys(partitions, None if ask == "offsets_for_times" else 0)
