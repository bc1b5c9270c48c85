"""Whether the tables hold everything up to the projector's committed offsets.

They do not after the schema was dropped and migrated again, or came from an old backup: the
projector continues from its offsets, and records before them are never written.

May touch: the broker and PostgreSQL (read only).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from aiokafka.errors import KafkaError

from app.log.admin import admin
from app.log.bulk_reader import log_bounds, read_range
from app.log.groups import projector_group
from app.log.records import UNREADABLE
from app.settings import Settings
from app.storage.connect import close, connect
from schemas import kinds

SAMPLE = 50
"""Facts at either end of what was read, of each partition."""


class _Trade(msgspec.Struct):
    module: str
    trade_id: str


_decode = msgspec.json.Decoder(_Trade).decode
_MISSING = """
SELECT count(*) FROM unnest($1::text[], $2::text[]) AS f (module, trade_id)
    WHERE NOT EXISTS (
        SELECT FROM pattern_trade_events t WHERE t.module = f.module AND t.trade_id = f.trade_id)
"""


async def read_so_far(settings: Settings) -> dict[int, tuple[int, int]]:
    """Partition → first offset of the facts, and the one up to which the projector has written;
    partitions of which nothing was written are left out.  Raises `UnreachableError`."""
    begins, ends = await log_bounds(settings, kinds.FACTS)
    async with admin(settings) as client:
        try:
            committed = await client.list_consumer_group_offsets(projector_group(settings))
        except KafkaError:
            return {}  # a group that never committed
    topic, found = settings.topic(kinds.FACTS), {}
    for tp, at in committed.items():
        if tp.topic == topic and (begin := begins.get(str(tp.partition))) is not None:
            end = min(at.offset, ends[str(tp.partition)])
            if end > begin:
                found[tp.partition] = (begin, end)
    return found


async def missing_trades(settings: Settings) -> tuple[int, int]:
    """(how many of the sampled trades are not in the tables, how many were sampled).

    Raises `UnreachableError` and `ConfigurationError`.
    """
    trades: list[_Trade] = []
    for partition, (begin, end) in (await read_so_far(settings)).items():
        for start in {begin, max(begin, end - SAMPLE)}:
            trades += await _sample(settings, partition, start, min(end, start + SAMPLE))
    if not trades:
        return 0, 0
    connection = await connect(settings.database_url, settings.database_schema)
    try:
        missing = await connection.fetchval(
            _MISSING, [t.module for t in trades], [t.trade_id for t in trades]
        )
    finally:
        await close(connection)
    return int(missing), len(trades)


async def _sample(settings: Settings, partition: int, start: int, end: int) -> list[_Trade]:
    found: list[_Trade] = []
    async for records, _ in read_range(settings, kinds.FACTS, partition, start, end):
        found += _trades(value for value, *_ in records if value is not None)
    return found


def _trades(values: Iterable[bytes]) -> list[_Trade]:
    found = []
    for value in values:
        try:
            found.append(_decode(value))
        except UNREADABLE:
            continue  # has no row: the projector skips and counts it
    return found
