"""All our readers of topics see committed records only, including Faust, which has no option for
it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from app.kafka import topics
from app.kafka.bulk_reader import reader
from app.settings import Settings
from app.worker.process import make_app
from schemas import kinds

pytestmark = pytest.mark.stack


def faust_consumer(settings: Settings) -> AIOKafkaConsumer:
    """The consumer from which a worker's agents read, as Faust creates it."""
    app = make_app(settings)
    consumer: Any = app.consumer
    return consumer._new_consumer_thread()._create_worker_consumer(app.transport)


@pytest.mark.parametrize("make", [reader, faust_consumer])
async def test_what_was_aborted_is_not_read(
    stack_settings: Settings, make: Callable[[Settings], AIOKafkaConsumer]
) -> None:
    await topics.create(stack_settings)
    topic = stack_settings.topic(kinds.LESSONS)
    producer = AIOKafkaProducer(
        bootstrap_servers=stack_settings.broker, transactional_id=stack_settings.topic_prefix
    )
    await producer.start()
    consumer = make(stack_settings)
    await consumer.start()
    try:
        for value in (b"aborted", b"committed"):
            await producer.begin_transaction()
            await producer.send_and_wait(topic, value, b"key", partition=0)
            await (
                producer.abort_transaction()
                if value == b"aborted"
                else producer.commit_transaction()
            )
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        assert (await consumer.getone()).value == b"committed"
    finally:
        await consumer.stop()
        await producer.stop()
