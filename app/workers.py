"""Who works: the members of the workers' consumer groups, and which partitions of which topics each of them has now.

May touch: the broker (read only, what Kafka's own tools show).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError

from app.errors import UnreachableError
from app.settings import Settings
from app.storage.rebuild import projector_group
from app.topics import admin


@dataclass(frozen=True)
class Member:
    """One member of a group.  `client` names the worker (`edgeloop-HOST-PID`), `partitions` are (topic, partition), sorted."""

    group: str
    member_id: str
    client: str
    host: str
    partitions: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Group:
    """A consumer group.  `state` is Kafka's word: Stable, PreparingRebalance, CompletingRebalance, Empty or Dead."""

    name: str
    state: str
    members: tuple[Member, ...]

    @property
    def settled(self) -> bool:
        """Nothing is being handed over."""
        return self.state in ("Stable", "Empty", "Dead")


async def groups(settings: Settings) -> list[Group]:
    """The group of the agents, then that of the projectors.  Raises `UnreachableError` without a broker."""
    found = []
    async with admin(settings) as client:
        for name in (settings.consumer_group, projector_group(settings)):
            try:
                (response,) = await client.describe_consumer_groups([name])
            except KafkaError as error:  # a new cluster has no coordinator yet, and one that moves none for a moment
                raise UnreachableError(f"The broker cannot tell of the group {name}: {error!r}.", "Try again in a few seconds.") from error
            _, _, state, _, _, members, *_ = response.groups[0]
            found.append(Group(name, state or "Dead", tuple(sorted((_member(name, m) for m in members), key=lambda m: m.client))))
    return found


def in_words(numbers: list[int]) -> str:
    """Partition numbers as ranges.

    >>> in_words([0, 1, 2, 5, 7, 8])
    '0-2,5,7-8'
    """
    parts: list[str] = []
    for _, run in itertools.groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]):
        held = [number for _, number in run]
        parts.append(str(held[0]) if len(held) == 1 else f"{held[0]}-{held[-1]}")
    return ",".join(parts)


def _member(group: str, described: Any) -> Member:
    # Newer brokers put the static member's name in second place.
    member_id, *_, client, host, _, assignment = described
    partitions: list[tuple[str, int]] = []
    if assignment:  # empty while the group is rebalancing
        decoded = ConsumerProtocolMemberAssignment.decode(assignment)
        partitions = [(topic, partition) for topic, numbers in decoded.assignment for partition in numbers]
    return Member(group, member_id, client, host.lstrip("/"), tuple(sorted(partitions)))
