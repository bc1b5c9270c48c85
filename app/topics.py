"""Topics: the one declaration (name, partitions, policy, retention) from which they are created and checked.

May touch: the broker, through an admin client.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.partitioner import murmur2

from app.errors import ConfigurationError, UnreachableError
from app.settings import Settings

CLOSES = "position_closed"
DEAD_LETTERS = "position_closed.dlq"
FACTS = "pattern_trade_events"
LESSONS = "learning_lessons"
VERDICTS = "lesson_verdicts"
OVERRIDES = "pm_overrides"
BASELINES = "learning_baselines"
REGIME_WEIGHTS = "learning_regime_weights"
FACTORS = "learning_latent_factors"
HISTORY = "learning_edge_history"

DERIVED = (FACTS, LESSONS, VERDICTS, OVERRIDES, BASELINES, REGIME_WEIGHTS, FACTORS, HISTORY)
"""What the agents write and the projector copies into PostgreSQL."""

MAX_RECORD_BYTES = 16 * 1024 * 1024
"""What the doors take: a close of any size up to this ends in the facts or, whole, as a dead letter."""

VISIBLE_WITHIN_S = 30.0

_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Topic:
    """One topic as it has to be on the broker.  `config` holds Kafka's own names."""

    name: str
    partitions: int
    config: dict[str, str]


def declaration(settings: Settings) -> tuple[Topic, ...]:
    """Every topic of this installation, with the prefix and the settings' partitions and retention."""
    retention = str(round(settings.log_retention_days * _DAY_MS))
    log = {"cleanup.policy": "delete", "retention.ms": retention, "message.timestamp.type": "CreateTime"}
    # Compaction a day late and tombstones for a month: a reader who was away that long still sees every retirement.
    table = {
        "cleanup.policy": "compact",
        "delete.retention.ms": str(30 * _DAY_MS),
        "message.timestamp.type": "CreateTime",
    }
    door = {**log, "max.message.bytes": str(MAX_RECORD_BYTES + 65_536)}
    compacted = (LESSONS, VERDICTS, OVERRIDES, BASELINES, REGIME_WEIGHTS, FACTORS)
    kinds = (
        {CLOSES: door, DEAD_LETTERS: door, FACTS: log}
        | dict.fromkeys(compacted, table)
        | {HISTORY: {**log, "cleanup.policy": "compact,delete"}}
    )
    return tuple(Topic(settings.topic(name), settings.partitions, config) for name, config in kinds.items())


@functools.lru_cache(maxsize=65_536)
def partition_of(key: str, partitions: int) -> int:
    """The partition Kafka's default partitioner gives `key` (murmur2 of its UTF-8, as every official client does it)."""
    return int(murmur2(key.encode()) & 0x7FFFFFFF) % partitions


@asynccontextmanager
async def admin(settings: Settings, timeout_s: float = 10.0) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client that is connected, or `UnreachableError`."""
    client = AIOKafkaAdminClient(bootstrap_servers=settings.broker, request_timeout_ms=round(timeout_s * 1000))
    try:
        await client.start()
    except (KafkaError, OSError) as error:
        await client.close()
        raise UnreachableError(
            f"No Kafka broker answers at {settings.broker} ({type(error).__name__}).",
            "Start one (`faust -A app stack up` starts a local one) or set EDGELOOP_BROKER.",
        ) from error
    try:
        yield client
    finally:
        await client.close()


async def create(settings: Settings, *, dry_run: bool = False) -> list[str]:
    """Create the topics that are missing; returns their names.  Existing ones are left as they are (see `check`)."""
    async with admin(settings) as client:
        existing = set(await client.list_topics())
        missing = [topic for topic in declaration(settings) if topic.name not in existing]
        if missing and not dry_run:
            new = [NewTopic(t.name, t.partitions, settings.replication, topic_configs=t.config) for t in missing]
            response = await client.create_topics(new)
            for name, code, *rest in response.topic_errors:
                error = for_code(code)
                if code and error is not TopicAlreadyExistsError:  # another one created it meanwhile: `check` judges it
                    raise ConfigurationError(
                        f"The broker refused to create the topic {name}: {error.__name__} {(rest or [''])[0] or ''}.".strip(),
                        "Check EDGELOOP_PARTITIONS and EDGELOOP_REPLICATION against the cluster.",
                    )
            await _visible(client, [topic.name for topic in missing])
    return [topic.name for topic in missing]


async def _visible(client: AIOKafkaAdminClient, names: list[str]) -> None:
    """Return once every partition of the topics has a leader: what comes after the creation may then rely on them."""
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while True:
        described = await client.describe_topics(names)
        if all(t["error_code"] == 0 and all(p["leader"] >= 0 for p in t["partitions"]) for t in described):
            return
        if time.monotonic() > deadline:
            raise UnreachableError(
                f"The new topics have no leader after {VISIBLE_WITHIN_S:.0f} s.", "Look at the brokers' logs, then run the command again."
            )
        await asyncio.sleep(0.05)


MEND = "faust -A app topics mend"


@dataclass(frozen=True)
class Mismatch:
    """One thing about a topic that is not as declared, and the command that mends it."""

    topic: str
    problem: str
    remedy: str


async def check(settings: Settings) -> list[Mismatch]:
    """Compare the broker's topics with the declaration: existence, partition count, policy, retention and sizes."""
    wanted = {topic.name: topic for topic in declaration(settings)}
    async with admin(settings) as client:
        described = {t["topic"]: t for t in await client.describe_topics(sorted(wanted))}
        present = [name for name in wanted if described.get(name, {}).get("error_code") == 0]
        configs = await _configs(client, present)
    found: list[Mismatch] = []
    for name, topic in wanted.items():
        if name not in present:
            found.append(Mismatch(name, "does not exist", "faust -A app topics create"))
            continue
        count = len(described[name]["partitions"])
        if count != topic.partitions:
            found.append(
                Mismatch(
                    name,
                    f"has {count} partitions, {topic.partitions} are declared",
                    f"set EDGELOOP_PARTITIONS={count} for all workers, or make the topics anew",
                )
            )
        for key, value in topic.config.items():
            actual = configs[name].get(key)
            if actual != value:
                found.append(
                    Mismatch(
                        name,
                        f"has {key}={actual}, {value} is declared",
                        MEND,
                    )
                )
    return found


_SET_ON_TOPIC = 1  # Kafka's DYNAMIC_TOPIC_CONFIG: set for this topic, not inherited


async def _configs(client: AIOKafkaAdminClient, names: list[str], *, own_only: bool = False) -> dict[str, dict[str, str]]:
    """Configuration of topics by name; `own_only`: what is set for the topic itself."""
    if not names:
        return {}
    found: dict[str, dict[str, str]] = {}
    for response in await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names]):
        for resource in response.resources:
            _error, _message, _kind, name, entries = resource[:5]
            found[name] = {key: value for key, value, _, source, *_ in entries if not own_only or source == _SET_ON_TOPIC}
    return found


async def mend(settings: Settings, *, dry_run: bool = False) -> list[Mismatch]:
    """Give existing topics the configuration that is declared; returns what differed.  Whatever else is set for them stays as it is.

    Partition counts stay: changing one would move keys to other partitions.
    """
    wanted = {topic.name: topic for topic in declaration(settings)}
    differing = [m for m in await check(settings) if m.remedy == MEND]
    if differing and not dry_run:
        async with admin(settings) as client:
            own = await _configs(client, sorted({m.topic for m in differing}), own_only=True)
            resources = [ConfigResource(ConfigResourceType.TOPIC, name, configs | wanted[name].config) for name, configs in own.items()]
            for response in await client.alter_configs(resources):
                for code, message, _kind, name in response.resources:
                    if code:
                        raise ConfigurationError(
                            f"The broker refused to change the topic {name}: {for_code(code).__name__} {message or ''}.".strip(),
                            "Check that the user may alter topics.",
                        )
        await _mended(settings)
    return differing


async def _mended(settings: Settings) -> None:
    """Return once the broker shows the topics as they were mended: it says yes before it does."""
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while any(m.remedy == MEND for m in await check(settings)):
        if time.monotonic() > deadline:
            raise UnreachableError(
                f"The broker took the change of the topics and does not show it after {VISIBLE_WITHIN_S:.0f} s.",
                "Look at the brokers' logs, then run the command again.",
            )
        await asyncio.sleep(0.05)


async def require_existence(settings: Settings, names: Iterable[str]) -> None:
    """Raise `ConfigurationError` unless the topics `names` (without prefix) exist: cheap, and said at once by commands that only read."""
    wanted = {settings.topic(name) for name in names}
    async with admin(settings) as client:
        missing = sorted(wanted - set(await client.list_topics()))
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise ConfigurationError(f"The topic {missing[0]}{more} does not exist on {settings.broker}.", "Run: faust -A app topics create")


async def require(settings: Settings) -> None:
    """Raise `ConfigurationError` unless every topic is as declared; the message names each mismatch and its remedy."""
    mismatches = await check(settings)
    if mismatches:
        lines = "".join(f"\n  {m.topic} {m.problem}: {m.remedy}" for m in mismatches)
        raise ConfigurationError(f"The topics on {settings.broker} are not as they have to be:{lines}")


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
    raise ConfigurationError(f"The topic {topic} does not exist on {settings.broker}.", "Create it: faust -A app topics create")
