"""The topics: created, checked and corrected according to one declaration.

May touch: the broker, through an admin client.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, TopicAuthorizationFailedError, for_code

from app.errors import ConfigurationError, UnreachableError
from app.kafka.admin import admin
from app.kafka.records import MAX_RECORD_BYTES
from app.settings import Settings
from schemas.kinds import CLOSES, CONTROL, DEAD_LETTERS, KINDS, Kind
from schemas.times import DAY_MS

VISIBLE_WITHIN_S = 30.0

_LOOK_AT_LOGS = "Check the brokers' logs, then run the command again."


@dataclass(frozen=True)
class Topic:
    """The declaration of one topic.  `config` uses Kafka's names."""

    name: str
    partitions: int
    config: dict[str, str]


def declaration(settings: Settings) -> tuple[Topic, ...]:
    """Every topic of this installation."""
    retention = str(round(settings.log_retention_days * DAY_MS))
    log = {"retention.ms": retention, "message.timestamp.type": "CreateTime"}
    # Tombstones stay for a month: a reader that was away that long still sees every retirement.
    table = {"delete.retention.ms": str(30 * DAY_MS), "message.timestamp.type": "CreateTime"}
    large = {**log, "max.message.bytes": str(MAX_RECORD_BYTES + 65_536)}

    def config(kind: Kind) -> dict[str, str]:
        if kind.source is None:
            return large
        return log if "delete" in kind.cleanup else table

    control = Topic(
        settings.topic(CONTROL), settings.partitions, {"cleanup.policy": "compact", **table}
    )
    return (
        *(
            Topic(
                settings.topic(kind.topic),
                settings.partitions,
                {"cleanup.policy": kind.cleanup, **config(kind)},
            )
            for kind in KINDS.values()
        ),
        control,
    )


async def create(settings: Settings, *, dry_run: bool = False) -> list[str]:
    """Create the topics that are missing; returns their names.

    Existing ones are left as they are: see `check`.  Raises `UnreachableError`, and
    `ConfigurationError` where the broker refuses.
    """
    async with admin(settings) as client:
        existing = set(await client.list_topics())
        missing = [topic for topic in declaration(settings) if topic.name not in existing]
        if missing and not dry_run:
            response = await client.create_topics(
                [
                    NewTopic(t.name, t.partitions, settings.replication, topic_configs=t.config)
                    for t in missing
                ]
            )
            for name, code, *rest in response.topic_errors:
                error = for_code(code)
                if code and error is not TopicAlreadyExistsError:  # created meanwhile by another
                    why = f"{error.__name__} {(rest or [''])[0] or ''}"
                    raise ConfigurationError(
                        f"The broker refused to create the topic {name}: {why}.",
                        "Check EDGELOOP_PARTITIONS and EDGELOOP_REPLICATION against the cluster.",
                    )
            await _visible(client, [topic.name for topic in missing])
    return [topic.name for topic in missing]


async def _visible(client: AIOKafkaAdminClient, names: list[str]) -> None:
    """Return once every partition of the topics has a leader."""
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while True:
        described = await client.describe_topics(names)
        if all(
            topic["error_code"] == 0 and all(p["leader"] >= 0 for p in topic["partitions"])
            for topic in described
        ):
            return
        if time.monotonic() > deadline:
            raise UnreachableError(
                f"The new topics have no leader after {VISIBLE_WITHIN_S:.0f} s.", _LOOK_AT_LOGS
            )
        await asyncio.sleep(0.05)


AHEAD = "message.timestamp.after.max.ms"
AHEAD_MS = DAY_MS
"""How far in the future a broker may accept the timestamps of closes (its default is an hour).
Input validation refuses an exit more than a day after its record's timestamp; arbitrary timestamps,
such as microseconds taken for milliseconds, would void that check.
"""
MEND = "faust -A app topics mend"
ALLOW = "faust -A app topics acls (it shows the rights that each role needs)"
ACCEPT = "faust -A app topics accept"


@dataclass(frozen=True)
class Mismatch:
    """One difference between a topic and its declaration, and the command that fixes it."""

    topic: str
    problem: str
    remedy: str


async def check(settings: Settings) -> list[Mismatch]:
    """Compare the broker's topics with the declaration.

    Existence, partition count, policy, retention and sizes.  Raises `UnreachableError`.
    """
    wanted = {topic.name: topic for topic in declaration(settings)}
    async with admin(settings) as client:
        described = {t["topic"]: t for t in await client.describe_topics(sorted(wanted))}
        present = [name for name in wanted if described.get(name, {}).get("error_code") == 0]
        configs = await _configs(client, present)
    found: list[Mismatch] = []
    for name, topic in wanted.items():
        if described.get(name, {}).get("error_code") == TopicAuthorizationFailedError.errno:
            found.append(Mismatch(name, "may not be described by this user", ALLOW))
            continue
        if name not in present:
            found.append(Mismatch(name, "does not exist", "faust -A app topics create"))
            continue
        found += partitions_wrong(settings, {name: len(described[name]["partitions"])})
        for key, value in topic.config.items():
            actual = configs[name].get(key)
            if actual != value:
                found.append(Mismatch(name, f"has {key}={actual}, expected {value}", MEND))
        ahead = configs[name].get(AHEAD, "0")  # brokers before 3.6 do not have it
        if name == settings.topic(CLOSES) and int(ahead) > AHEAD_MS:
            found.append(Mismatch(name, f"has {AHEAD}={ahead}, expected {AHEAD_MS} at most", MEND))
    return found


def partitions_wrong(settings: Settings, counts: Mapping[str, int]) -> list[Mismatch]:
    """Mismatches in the number of partitions (`counts`: full name → number).  `position_closed` and
    its dead letters may have more than declared: closes may be in any partition, and all are read.
    """
    free = (settings.topic(CLOSES), settings.topic(DEAD_LETTERS))
    found = []
    for topic in declaration(settings):
        count = counts.get(topic.name, topic.partitions)
        if count == topic.partitions or (topic.name in free and count > topic.partitions):
            continue
        remedy = f"set EDGELOOP_PARTITIONS={count} for all workers"
        if topic.name not in free:
            remedy += f", if all topics have that many; else stop them and run {ACCEPT}"
        found.append(
            Mismatch(topic.name, f"has {count} partitions, expected {topic.partitions}", remedy)
        )
    return found


_SET_ON_TOPIC = 1  # Kafka's DYNAMIC_TOPIC_CONFIG: set for this topic, not inherited


async def _configs(
    client: AIOKafkaAdminClient, names: list[str], *, own_only: bool = False
) -> dict[str, dict[str, str]]:
    """Configuration of topics by name; with `own_only`, only what is set for the topic itself."""
    if not names:
        return {}
    found: dict[str, dict[str, str]] = {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    for response in await client.describe_configs(resources):
        for resource in response.resources:
            _error, _message, _kind, name, entries = resource[:5]
            found[name] = {
                key: value
                for key, value, _, source, *_ in entries
                if not own_only or source == _SET_ON_TOPIC
            }
    return found


async def mend(settings: Settings, *, dry_run: bool = False) -> list[Mismatch]:
    """Give existing topics the declared configuration; returns what differed.  Other configuration
    stays, and so do partition counts: changing one would move keys to other partitions.  Raises
    `UnreachableError`, and `ConfigurationError` where the broker refuses.
    """
    wanted = {topic.name: topic for topic in declaration(settings)}
    differing = [m for m in await check(settings) if m.remedy == MEND]
    if differing and not dry_run:
        async with admin(settings) as client:
            own = await _configs(client, sorted({m.topic for m in differing}), own_only=True)
            stamps = {m.topic for m in differing if AHEAD in m.problem}
            resources = [
                ConfigResource(
                    ConfigResourceType.TOPIC,
                    name,
                    config
                    | wanted[name].config
                    | ({AHEAD: str(AHEAD_MS)} if name in stamps else {}),
                )
                for name, config in own.items()
            ]
            for response in await client.alter_configs(resources):
                for code, message, _kind, name in response.resources:
                    if code:
                        why = f"{for_code(code).__name__} {message or ''}"
                        raise ConfigurationError(
                            f"The broker refused to change the topic {name}: {why}.",
                            "Check that the user is allowed to alter topics.",
                        )
        await _mended(settings)
    return differing


async def _mended(settings: Settings) -> None:
    """Return once the change is visible: the broker accepts it before that."""
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while any(m.remedy == MEND for m in await check(settings)):
        if time.monotonic() > deadline:
            raise UnreachableError(
                "The broker accepted the change, but it is not visible after "
                f"{VISIBLE_WITHIN_S:.0f} s.",
                _LOOK_AT_LOGS,
            )
        await asyncio.sleep(0.05)


async def require_existence(settings: Settings, names: Iterable[str]) -> None:
    """Raise `ConfigurationError` unless the topics `names` (without prefix) exist."""
    wanted = {settings.topic(name) for name in names}
    async with admin(settings) as client:
        missing = sorted(wanted - set(await client.list_topics()))
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        plain = settings.kafka_security == "plaintext"
        raise ConfigurationError(
            f"The topic {missing[0]}{more} does not exist on {settings.broker}"
            f"{'' if plain else ', or this user may not see it'}.",
            f"Run: faust -A app topics create{'' if plain else f', or see: {ALLOW}'}",
        )


async def require(settings: Settings) -> None:
    """Raise `ConfigurationError` unless every topic is as declared.

    The message names each mismatch and its remedy.
    """
    mismatches = await check(settings)
    if mismatches:
        lines = "".join(f"\n  {m.topic} {m.problem}: {m.remedy}" for m in mismatches)
        raise ConfigurationError(
            f"The topics on {settings.broker} differ from their declaration:{lines}"
        )


def describe(topic: Topic) -> dict[str, Any]:
    """`topic` as plain data for `--json`."""
    return {"name": topic.name, "partitions": topic.partitions, "config": topic.config}


async def require_one(settings: Settings, name: str) -> int:
    """The partition count of topic `name`; `ConfigurationError` if it does not exist."""
    topic = settings.topic(name)
    async with admin(settings) as client:
        for described in await client.describe_topics([topic]):
            if described["error_code"] == 0:
                return len(described["partitions"])
    raise ConfigurationError(
        f"The topic {topic} does not exist on {settings.broker}.",
        "Create it: faust -A app topics create",
    )
