"""Whether more was read than exists, with others reading and writing the log at the same time."""

from __future__ import annotations

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from app.errors import ConfigurationError
from app.kafka import topics
from app.kafka.client import client_options
from app.kafka.log_identity import Log, LogIdentity, on_another_cluster, require_same_log
from app.kafka.producer import Producer
from app.kafka.records import Outgoing
from app.settings import Settings
from schemas import kinds

pytestmark = pytest.mark.stack


class Others:
    """A producer, and workers that have read everything at once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer = Producer(settings)
        self._topic = settings.topic(kinds.CLOSES)

    async def __aenter__(self) -> Others:
        self._consumer = AIOKafkaConsumer(
            **client_options(self._settings),
            group_id=self._settings.consumer_group,
            enable_auto_commit=False,
        )
        await self._consumer.start()
        self._consumer.assign([TopicPartition(self._topic, 0)])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()
        await self._producer.stop()

    async def go_on(self) -> None:
        await self._producer.send([Outgoing(self._topic, 0, b"k", b"{}") for _ in range(5)])
        await self.have_read(0)

    async def have_read(self, more: int) -> None:
        """Commit a number of records more than there are."""
        tp = TopicPartition(self._topic, 0)
        end = (await self._consumer.end_offsets([tp]))[tp]
        await self._consumer.commit({tp: OffsetAndMetadata(end + more, "")})


async def test_what_others_read_meanwhile_is_no_other_log(
    stack_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await topics.create(stack_settings)
    now = LogIdentity.now
    async with Others(stack_settings) as others:
        await others.go_on()

        async def and_then_they_go_on(identity: LogIdentity) -> Log:
            found = await now(identity)
            await others.go_on()
            return found

        monkeypatch.setattr(LogIdentity, "now", and_then_they_go_on)
        await require_same_log(stack_settings)
        monkeypatch.undo()
        await others.have_read(3)
        with pytest.raises(ConfigurationError, match=r"has read up to \d+: it is not the log"):
            await require_same_log(stack_settings)


async def test_a_leader_that_shows_less_for_a_moment_is_no_other_log(
    stack_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await topics.create(stack_settings)
    now = LogIdentity.now
    async with Others(stack_settings) as others:
        await others.go_on()
        looks = 0

        async def at_first_less(identity: LogIdentity) -> Log:
            nonlocal looks
            looks += 1
            found = await now(identity)
            if looks > 1:
                return found
            ends = {
                at: end._replace(offset=max(0, end.offset - 2)) for at, end in found.ends.items()
            }
            return Log(found.cluster, found.topics, ends, found.begins)

        monkeypatch.setattr(LogIdentity, "now", at_first_less)
        async with LogIdentity(stack_settings) as identity:
            assert await identity.beyond() == []
        assert looks == 2


async def test_another_cluster_is_told_where_it_has_none_of_the_topics(
    stack_settings: Settings,
) -> None:
    await topics.create(stack_settings)
    async with LogIdentity(stack_settings) as identity:
        now = await identity.now()
        empty = Log(cluster="another")
        found = await identity.differences(now, empty)
        assert {d.topic for d in found} == now.topics.keys()
        assert all("on another cluster" in d.what for d in found)
        assert on_another_cluster(now, empty)
        assert not on_another_cluster(now, Log(topics=now.topics))
        assert not on_another_cluster(Log(), now)
