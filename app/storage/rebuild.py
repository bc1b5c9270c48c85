"""Refill the tables from the topics: reset the projector's offsets to the beginning, then empty the
tables.

May touch: PostgreSQL, the committed offsets of the projector's consumer group.
"""

from __future__ import annotations

from app.errors import ConfigurationError
from app.kafka.consumer_groups import group_of, projector_group
from app.kafka.progress import rewind
from app.settings import Settings
from app.storage.connect import close, connect
from app.storage.migrate import migrate
from schemas.kinds import DERIVED

REBUILT_TABLES = (
    "pattern_trade_events",
    "learning_lessons",
    "learning_baselines",
    "learning_regime_weights",
    "learning_latent_factors",
    "learning_edge_history",
    "pm_overrides",
    "projection_tombstones",
    "projected_log",
)
"""Emptied by `rebuild`.  Not pm_overrides_history: compaction has removed its records from the
topic."""


async def rebuild(settings: Settings, *, dry_run: bool = False) -> dict[str, int]:
    """Migrate, reset the projector to the beginning of every derived topic, and empty the tables;
    returns the number of records to read, by topic.

    The offsets go first: if this is interrupted, the projector rewrites existing rows, and nothing
    is lost. Raises `ConfigurationError` while a projector is running, `UnreachableError`.
    """
    await _refuse_while_running(settings)
    if not dry_run:
        await migrate(settings.database_url, settings.database_schema)
    records = await rewind(settings, projector_group(settings), DERIVED, dry_run=dry_run)
    if not dry_run:
        connection = await connect(settings.database_url, settings.database_schema)
        try:
            await connection.execute(f"TRUNCATE {', '.join(REBUILT_TABLES)}")
        finally:
            await close(connection)
    return records


async def _refuse_while_running(settings: Settings) -> None:
    group = await group_of(settings, projector_group(settings))
    if group.members:
        raise ConfigurationError(
            f"{len(group.members)} projector(s) are running (group {group.name}, {group.state}).",
            "Stop the workers first; one that was killed counts for another 12 seconds.",
        )
