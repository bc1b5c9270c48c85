"""Fill the tables anew from the topics: the projector's offsets go back to the beginning, then the tables are emptied.

May touch: PostgreSQL, the committed offsets of the projector's consumer group.
"""

from __future__ import annotations

from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from app.errors import ConfigurationError, UnreachableError
from app.settings import Settings
from app.storage.connect import close, connect
from app.storage.migrate import migrate
from app.topics import DERIVED, admin

REBUILT_TABLES = (
    "pattern_trade_events", "learning_lessons", "learning_baselines", "learning_regime_weights", "learning_latent_factors",
    "learning_edge_history", "pm_overrides", "projection_tombstones",
)  # fmt: skip
"""Emptied by `rebuild`; pm_overrides_history is not: compaction has removed from the topic what it remembers."""


def projector_group(settings: Settings) -> str:
    """The consumer group whose committed offsets say what is in PostgreSQL."""
    return f"{settings.consumer_group}.projector"


async def rebuild(settings: Settings, *, dry_run: bool = False) -> dict[str, int]:
    """Migrate, set the projector back to the beginning of every derived topic, and empty the tables; returns records to read by topic.

    The offsets go first: if this is cut short, the projector writes over full tables what is there already, and nothing is lost.
    Raises `ConfigurationError` while a projector is running, `UnreachableError`.
    """
    group = projector_group(settings)
    await _refuse_while_running(settings, group)
    if not dry_run:
        await migrate(settings.database_url, settings.database_schema)
    records = await _rewind(settings, group, dry_run)
    if not dry_run:
        connection = await connect(settings.database_url, settings.database_schema)
        try:
            await connection.execute(f"TRUNCATE {', '.join(REBUILT_TABLES)}")
        finally:
            await close(connection)
    return records


async def _refuse_while_running(settings: Settings, group: str) -> None:
    async with admin(settings) as client:
        (response,) = await client.describe_consumer_groups([group])
    _, _, state, _, _, members, *_ = response.groups[0]
    if members:
        raise ConfigurationError(
            f"{len(members)} projector(s) are running (group {group}, {state}).",
            "Stop the workers first; one that was killed counts for another 12 seconds.",
        )


async def _rewind(settings: Settings, group: str, dry_run: bool) -> dict[str, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.broker, group_id=group, enable_auto_commit=False)
    records: dict[str, int] = {}
    offsets: dict[TopicPartition, OffsetAndMetadata] = {}
    try:
        await consumer.start()
        for name in DERIVED:
            partitions = [TopicPartition(settings.topic(name), p) for p in range(settings.partitions)]
            begins = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
            records[name] = sum(ends.values()) - sum(begins.values())
            offsets |= {tp: OffsetAndMetadata(begin, "") for tp, begin in begins.items()}
        if not dry_run:
            consumer.assign(list(offsets))
            await consumer.commit(offsets)
    except (KafkaError, OSError) as error:
        raise UnreachableError(f"The offsets of {group} could not be set back: {error!r}.", "Run: faust -A app doctor") from error
    finally:
        with suppress(KafkaError, OSError):
            await consumer.stop()
    return records
