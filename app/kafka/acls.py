"""The rights on Kafka that each role needs, and no more: as data, as commands, and granted to
users.

May touch: the broker's access control lists (`apply`), through an admin client.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest

from app.errors import ConfigurationError
from app.kafka.admin import admin
from app.kafka.consumer_groups import progress_group, projector_group
from app.kafka.log_identity import log_group, lost_group
from app.settings import Settings
from schemas import kinds

ROLES = {
    "owner": "creates and fixes the topics, and accepts a changed log",
    "producer": "sends closes: the trading system",
    "worker": "runs the agents and the projector",
    "position-manager": "follows the overrides",
    "reader": "reads: status, overrides, lessons, explain, audit, export, dlq list, doctor",
    "operator": "as a reader, and produce, import, dlq redrive, replay promote, rebuild,"
    " settings agree",
}
_RESOURCES = {"topic": 2, "group": 3, "transactional-id": 5}
_OPERATIONS = {
    "Read": 3,
    "Write": 4,
    "Create": 5,
    "Delete": 6,
    "Alter": 7,
    "Describe": 8,
    "DescribeConfigs": 10,
    "AlterConfigs": 11,
}
_LITERAL, _ALLOW = 3, 3
_ALL_TOPICS = (*kinds.KINDS, kinds.CONTROL)


class Acl(NamedTuple):
    """One right: `operation` on the resource of that name."""

    role: str
    resource: str
    name: str
    operation: str


def principals(given: Mapping[str, str]) -> dict[str, str]:
    """Role → Kafka principal; `User:edgeloop-ROLE` for roles without one.

    >>> principals({"worker": "User:CN=learner"})["worker"], principals({})["reader"]
    ('User:CN=learner', 'User:edgeloop-reader')
    """
    return {role: given.get(role, f"User:edgeloop-{role}") for role in ROLES}


def rights(settings: Settings, roles: Iterable[str] = tuple(ROLES)) -> list[Acl]:
    """The rights of the `roles`, by literal name: they cover no topic or group that is created
    later."""
    return [acl for role in roles for acl in dict.fromkeys(_of(settings, role))]


def _of(settings: Settings, role: str) -> list[Acl]:
    def topics(names: Iterable[str], *operations: str) -> list[Acl]:
        return [
            Acl(role, "topic", settings.topic(name), operation)
            for name in names
            for operation in operations
        ]

    def groups(names: Iterable[str], operation: str) -> list[Acl]:
        return [Acl(role, "group", name, operation) for name in names]

    progress = [progress_group(settings, r) for r in ("lesson_builder", "override_materializer")]
    own_groups = [
        settings.consumer_group,
        *progress,
        projector_group(settings),
        log_group(settings),
        lost_group(settings),
    ]
    looks = [
        *topics(_ALL_TOPICS, "Read", "DescribeConfigs"),
        *groups(own_groups, "Describe"),
    ]
    found = {
        "owner": [
            *topics(_ALL_TOPICS, "Create", "Alter", "Describe", "DescribeConfigs", "AlterConfigs"),
            *topics(_ALL_TOPICS, "Read"),
            *topics(kinds.DERIVED, "Delete"),
            *groups(own_groups, "Read"),
        ],
        "producer": topics([kinds.CLOSES], "Write"),
        "worker": [
            *topics(_ALL_TOPICS, "Read"),  # committing offsets of a topic needs this right, too
            *topics([kinds.DEAD_LETTERS, kinds.CONTROL, *kinds.DERIVED], "Write"),
            *topics(_ALL_TOPICS, "DescribeConfigs"),
            *groups(own_groups, "Read"),
        ],
        "position-manager": topics([kinds.OVERRIDES], "Read"),
        "reader": looks,
        "operator": [
            *looks,
            *topics([kinds.CLOSES, kinds.CONTROL, *kinds.LEARNED], "Write"),
            *groups([projector_group(settings)], "Read"),
            Acl(role, "transactional-id", promotion_id(settings), "Describe"),
            Acl(role, "transactional-id", promotion_id(settings), "Write"),
        ],
    }
    return found[role]


def promotion_id(settings: Settings) -> str:
    """The transactional id under which a promotion is published."""
    return f"{settings.topic_prefix}{settings.consumer_group}.promote"


def commands(settings: Settings, acls: Iterable[Acl], names: Mapping[str, str]) -> list[str]:
    """A call of Kafka's own `kafka-acls.sh` for each set of a role's resources that need the same
    rights."""
    operations: dict[tuple[str, str, str], list[str]] = {}
    for acl in acls:
        operations.setdefault(acl[:3], []).append(acl.operation)
    resources: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (role, resource, name), allowed in operations.items():
        resources.setdefault((role, resource, tuple(allowed)), []).append(name)
    return [
        shlex.join(
            [
                "kafka-acls.sh",
                *("--bootstrap-server", settings.broker, "--command-config", "admin.properties"),
                *("--add", "--allow-principal", names[role]),
                *(word for operation in allowed for word in ("--operation", operation)),
                *(word for name in found for word in (f"--{resource}", name)),
            ]
        )
        for (role, resource, allowed), found in resources.items()
    ]


async def apply(settings: Settings, acls: Iterable[Acl], names: Mapping[str, str]) -> int:
    """Grant the rights to the users; returns their number.  Granting a right twice changes nothing.

    Raises `ConfigurationError` where the broker refuses: the user needs Alter on the cluster.
    """
    count = 0
    async with admin(settings) as client:
        for acl in acls:
            request = CreateAclsRequest(
                _RESOURCES[acl.resource],
                acl.name,
                _LITERAL,
                names[acl.role],
                "*",
                _OPERATIONS[acl.operation],
                _ALLOW,
            )
            # aiokafka has this request, but no method that sends it yet.
            response: Any = await client._send_request(request)
            for code, message, *_ in response.creation_responses:
                if code:
                    raise ConfigurationError(
                        f"The broker refused to grant the rights: {for_code(code).__name__}"
                        f" {message or ''}".rstrip()
                        + ".",
                        "Run this as a user who may alter the cluster, on brokers with an"
                        " authorizer (authorizer.class.name).",
                    )
            count += 1
    return count


def describe(acls: Iterable[Acl], names: Mapping[str, str]) -> list[dict[str, str]]:
    """The rights as plain data for `--json`."""
    return [{**acl._asdict(), "principal": names[acl.role]} for acl in acls]
