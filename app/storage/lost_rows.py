"""Whether the tables hold everything up to the projector's committed offsets.

They do not if the schema was dropped and migrated again, or came from an old backup: the projector
continues from its offsets, and would never write the records before them.

May touch: the broker and PostgreSQL (read only).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from aiokafka.errors import KafkaError

from app.kafka.admin import admin
from app.kafka.bulk_reader import log_bounds, read_range
from app.kafka.consumer_groups import projector_group
from app.kafka.records import UNREADABLE
from app.settings import Settings
from app.storage.connect import close, connect
from schemas import kinds

SAMPLE = 50
"""Number of facts sampled at either end of the projected range of each partition."""


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
    """Partition → the first offset of its facts, and the offset up to which the projector has
    written; without partitions of which nothing was written.  Raises `UnreachableError`."""
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
    """(number of sampled trades that are not in the tables, number of sampled trades).

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
