"""The tables are compared with the log while other projectors keep writing."""

from __future__ import annotations

from typing import Any, cast

import asyncpg
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from app.kafka.log_identity import Difference, Log, LogIdentity
from app.settings import Settings
from app.storage import projected_log

TOPIC = "learning_lessons"


class AnotherProjector:
    """Marks and commits five more records whenever either is read."""

    def __init__(self) -> None:
        self.marked = self.committed_to = 0

    def goes_on(self) -> None:
        self.marked += 5
        self.committed_to = self.marked

    async def fetch(self, _: str) -> list[tuple[Any, ...]]:
        found = [(TOPIC, 0, "cluster", "topic", 0, self.marked)]
        self.goes_on()
        return found

    async def committed(self, _: str) -> dict[TopicPartition, OffsetAndMetadata]:
        found = {TopicPartition(TOPIC, 0): OffsetAndMetadata(self.committed_to, "")}
        self.goes_on()
        return found

    async def changed_since(self, _: Log) -> list[Difference]:
        return []


async def compare(other: AnotherProjector) -> list[Difference]:
    return await projected_log.differences(
        Settings(), cast(asyncpg.Connection, other), cast(LogIdentity, other)
    )


async def test_a_projector_that_goes_on_meanwhile_is_no_difference() -> None:
    assert await compare(AnotherProjector()) == []


async def test_offsets_that_were_committed_before_are_one() -> None:
    other = AnotherProjector()
    other.marked, other.committed_to = 3, 20
    (found,) = await compare(other)
    assert found.topic == TOPIC
    assert "rolled back" in str(found)
