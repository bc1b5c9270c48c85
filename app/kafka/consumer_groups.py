"""The consumer groups of an installation: their names, and their current members.

May touch: the broker (read only).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError

from app.errors import UnreachableError
from app.kafka.admin import admin
from app.settings import Settings

COORDINATOR_WITHIN_S = 10.0


def progress_group(settings: Settings, role: str) -> str:
    """The group whose committed offsets are the progress of `role`.  It has no members."""
    return f"{settings.consumer_group}.{role}.done"


def projector_group(settings: Settings) -> str:
    """The group whose committed offsets say what is in PostgreSQL."""
    return f"{settings.consumer_group}.projector"


@dataclass(frozen=True)
class Member:
    """One member of a group.

    `client` names the worker (`edgeloop-HOST-PID`), `partitions` are (topic, partition), sorted.
    """

    group: str
    member_id: str
    client: str
    host: str
    partitions: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class ConsumerGroup:
    """A consumer group.

    `state` is Kafka's word: Stable, PreparingRebalance, CompletingRebalance, Empty or Dead.
    """

    name: str
    state: str
    members: tuple[Member, ...]

    @property
    def settled(self) -> bool:
        """Whether no partition is being reassigned."""
        return self.state in ("Stable", "Empty", "Dead")


async def groups(settings: Settings) -> list[ConsumerGroup]:
    """The group of the agents, then that of the projectors.  Raises `UnreachableError`."""
    return [
        await group_of(settings, name)
        for name in (settings.consumer_group, projector_group(settings))
    ]


async def group_of(settings: Settings, name: str) -> ConsumerGroup:
    """The group of that name, with its members.  Raises `UnreachableError`."""
    give_up = time.monotonic() + COORDINATOR_WITHIN_S
    async with admin(settings) as client:
        while True:
            try:
                (response,) = await client.describe_consumer_groups([name])
                break
            except KafkaError as error:
                # A new cluster has no coordinator at first, and none while the coordinator moves.
                if not error.retriable or time.monotonic() > give_up:
                    raise UnreachableError(
                        f"The broker cannot describe the group {name}: {error!r}.",
                        "Try again in a few seconds.",
                    ) from error
                await asyncio.sleep(0.2)
    _, _, state, _, _, members, *_ = response.groups[0]
    found = sorted((_member(name, m) for m in members), key=lambda m: m.client)
    return ConsumerGroup(name, state or "Dead", tuple(found))


def _member(group: str, described: Any) -> Member:
    # Newer brokers put the static member's name in second place.
    member_id, *_, client, host, _, assignment = described
    partitions: list[tuple[str, int]] = []
    if assignment:  # empty while the group is rebalancing
        decoded = ConsumerProtocolMemberAssignment.decode(assignment)
        partitions = [(topic, p) for topic, numbers in decoded.assignment for p in numbers]
    return Member(group, member_id, client, host.lstrip("/"), tuple(sorted(partitions)))
