"""Records with a wrong Kafka timestamp: in 1970, missing, in microseconds, or the time of
arrival."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from app.kafka.client import client_options
from schemas import kinds
from tests.pipeline.installation import Installation, wait
from tests.pipeline.reference import learn
from tests.pipeline.test_another_log import (
    RULES,
    SETTINGS,
    admin_of,
    learned,
    refused,
    run,
    succeeded,
)
from tests.pipeline.test_dead_letters import dead_letters, good
from tests.pipeline.trades import Close

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(240)]

SECONDS, MICROSECONDS = 1_790_000_000, 1_790_000_000_000_000
MEND = "faust -A app topics mend"
NOT_JSON = Close(b"{", b"no json", 0)


def stamped(
    installation: Installation, closes: list[Close], stamp_ms: int
) -> list[tuple[int, int]]:
    """Send with this timestamp, which ordinary clients would refuse."""

    async def send() -> list[tuple[int, int]]:
        producer = AIOKafkaProducer(**client_options(installation.settings))
        await producer.start()
        try:
            topic = installation.settings.topic(kinds.CLOSES)
            sent = [
                await producer.send_and_wait(topic, c.value, key=c.key, timestamp_ms=stamp_ms)
                for c in closes
            ]
            return [(record.partition, record.offset) for record in sent]
        finally:
            await producer.stop()

    return asyncio.run(send())


def configure(installation: Installation, key: str, value: str) -> None:
    """Set it for `position_closed`, as an administrator would; returns once the broker shows it."""
    topic = installation.settings.topic(kinds.CLOSES)
    entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
    client = admin_of(installation)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for done in client.incremental_alter_configs([resource]).values():
        done.result(30)

    def shown() -> bool:
        asked = ConfigResource(ResourceType.TOPIC, topic)
        (found,) = client.describe_configs([asked]).values()
        return bool(found.result(30)[key].value == value)

    wait(shown, 30, "configuration that is visible")


def printed(installation: Installation, *words: str) -> Any:
    result = run(installation, *words, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    "stamp_ms", [SECONDS, *(pytest.param(ms, marks=pytest.mark.long) for ms in (0, -1))]
)
def test_a_stamp_of_1970_is_a_letter_that_can_be_sent_again(
    install: Callable[..., Installation], stamp_ms: int
):
    installation = install(**SETTINGS)
    (worker,) = installation.start_ready()
    first, wrong = good(40, "pm"), good(18, "pm-2")
    installation.produce(first)
    places = stamped(installation, wrong, stamp_ms)
    learned(installation, first)
    letters = dead_letters(installation)
    assert sorted(letters) == sorted(places)
    for record in letters.values():
        headers = dict(record.headers)
        assert headers["reason"] == b"future_exit"
        assert int(headers["source.timestamp"]) == stamp_ms
    listed = printed(installation, "dlq", "list")["letters"]
    assert len(listed) == len(wrong)
    assert printed(installation, "dlq", "show", listed[0]["place"])["reason"] == "future_exit"
    assert printed(installation, "dlq", "redrive", "--yes")["sent"] == len(wrong)
    learned(installation, first + wrong)
    worker.check()


@pytest.mark.long
def test_a_stamp_of_microseconds_is_noticed_and_harms_nobody(
    install: Callable[..., Installation],
):
    installation = install(**SETTINGS)
    (worker,) = installation.start_ready()
    first, wrong = good(40, "pm"), good(30, "pm-2")
    installation.produce(first)
    configure(installation, "message.timestamp.after.max.ms", str(2**63 - 1))
    stamped(installation, wrong, MICROSECONDS)
    (place,) = stamped(installation, [NOT_JSON], MICROSECONDS)
    learned(installation, first + wrong)
    assert list(dead_letters(installation)) == [place]
    (letter,) = printed(installation, "dlq", "list")["letters"]
    assert printed(installation, "dlq", "show", letter["place"])["reason"] == "not_json"
    assert run(installation, "dlq", "list").exit_code == 0
    assert run(installation, "status").exit_code == 0
    worker.check()

    checked = run(installation, "topics", "check")
    assert checked.exit_code == 3
    assert "has message.timestamp.after.max.ms=9223372036854775807" in checked.output
    refused(installation, installation.start(), "message.timestamp.after.max.ms", MEND)
    succeeded(installation, "topics", "mend")
    succeeded(installation, "topics", "check")
    installation.terminate(worker)
    installation.start_ready()
    learned(installation, first + wrong)


@pytest.mark.long
def test_a_topic_that_stamps_arrival_is_refused_and_its_records_are_read(
    install: Callable[..., Installation],
):
    installation = install(**SETTINGS)
    (worker,) = installation.start_ready()
    first, second, third = good(40, "pm"), good(30, "pm-2"), good(20, "pm-3")
    installation.produce(first)
    configure(installation, "message.timestamp.type", "LogAppendTime")
    installation.produce(second)
    learned(installation, first + second)
    worker.check()
    checked = run(installation, "topics", "check")
    assert checked.exit_code == 3
    assert "has message.timestamp.type=LogAppendTime, expected CreateTime" in checked.output
    refused(installation, installation.start(), "message.timestamp.type=LogAppendTime", MEND)
    succeeded(installation, "topics", "mend")
    installation.terminate(worker)
    installation.start_ready()
    installation.produce(third)
    learned(installation, first + second + third)
    kinds_of_stamp = {record.timestamp_type for record in installation.read(kinds.CLOSES)}
    assert kinds_of_stamp == {0, 1}
    assert learn([c.value for c in first + second + third], RULES).lessons
