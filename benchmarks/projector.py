"""Rows per second of the projector, from a full topic to committed rows: `python -m
benchmarks.projector`.

May touch: stdout, a dev stack of its own in a temporary folder.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from app.devstack import temporary_stack
from app.kafka import topics
from app.kafka.lag import LagReader
from app.kafka.producer import Producer
from app.kafka.records import Outgoing, partition_of
from app.settings import Settings
from app.storage.connect import close, connect
from app.storage.migrate import migrate
from edgeloop.overrides import Evidence, Override, OverrideDecay
from schemas import kinds
from schemas.facts import FactAction, PatternTradeEvent, Segment, group_key

RECORDS = 30_000
ACTIONS = 3
T0 = "2024-03-01T00:00:00.000000Z"


def facts(settings: Settings) -> Iterator[Outgoing]:
    """Facts of trades with three actions on a scope of ten dimensions."""
    rng = random.Random(1)
    for i in range(RECORDS):
        key = f"pm.family.S{i % 20}.motif"
        actions = tuple(
            FactAction(f"t{i}/{j}", T0, {f"d{k}": f"v{rng.randrange(4)}" for k in range(10)}, 0.3)
            for j in range(ACTIONS)
        )
        fact = PatternTradeEvent(
            module="pm",
            pattern_key=key,
            action_category="add",
            trade_id=f"t{i}",
            revision=0,
            n_actions=ACTIONS,
            exit_ts=T0,
            event_id=f"e{i}",
            value_sha256="00" * 32,
            actions=actions,
            rr=rng.random(),
            roi=0.1,
            pnl_usd=1.0,
            segment=Segment("small", "1h"),
            home=True,
        )
        message_key = group_key(key, "add")
        partition = partition_of(message_key, settings.partitions)
        headers = (("version", str(i).encode()),)
        yield Outgoing(
            settings.topic(kinds.FACTS),
            partition,
            message_key.encode(),
            msgspec.json.encode(fact),
            headers,
        )


def overrides(settings: Settings) -> Iterator[Outgoing]:
    """Overrides, all different."""
    for i in range(RECORDS):
        value = Override(
            override_id=f"{i:032x}",
            learning="classic",
            module="pm",
            pattern_key=f"pm.family.S{i % 20}.motif",
            action_category="add",
            scope={"chain": "sol", "bucket": f"b{i % 50}", "btc_macro": "S1"},
            effect=0.2,
            effect_sd=None,
            multiplier=1.2,
            confidence=0.5,
            n_trades=50,
            baseline=0.0,
            decay=OverrideDecay("stable"),
            latent_factor_id=None,
            covers=(),
            regime_gains={},
            evidence=Evidence(T0, T0, 1),
            as_of=T0,
            expires_at=None,
            version=1,
        )
        partition = partition_of(value.override_id, settings.partitions)
        headers = (("version", b"1"),)
        yield Outgoing(
            settings.topic(kinds.OVERRIDES),
            partition,
            value.override_id.encode(),
            msgspec.json.encode(value),
            headers,
        )


async def measure(settings: Settings, table: str, records: list[Outgoing]) -> None:
    """Fill the topic, then time the projector from its start until everything is committed."""
    from app.stages.projector import Projector

    sender = Producer(settings)
    await sender.send(records)
    await sender.stop()
    began = time.perf_counter()
    async with LagReader(settings) as reader, Projector(settings):
        joined = None
        while True:
            left = sum(lag.records for lag in await reader.lags() if lag.role == "projector")
            if joined is None and left < len(records):
                joined = time.perf_counter() - began
            if left == 0:
                break
            await asyncio.sleep(0.05)
    took_s = time.perf_counter() - began
    connection = await connect(settings.database_url, settings.database_schema)
    rows = await connection.fetchval(f"SELECT count(*) FROM {table}")
    await close(connection)
    print(
        f"{table}: {rows:,} rows in {took_s:.1f} s with joining the group ({joined:.1f} s):"
        f" {rows / took_s:,.0f} rows/s"
    )


async def main(directory: Path) -> None:
    loop = asyncio.get_running_loop()
    stack = temporary_stack(directory)
    info = await loop.run_in_executor(None, stack.__enter__)
    try:
        for make, table in ((facts, "pattern_trade_events"), (overrides, "pm_overrides")):
            settings = Settings(
                broker=info.broker,
                database_url=info.database_url,
                database_schema=table,
                topic_prefix=f"{table}.",
                consumer_group=table,
            )
            await topics.create(settings)
            await migrate(settings.database_url, settings.database_schema)
            await measure(settings, table, list(make(settings)))
    finally:
        await loop.run_in_executor(None, stack.__exit__, None, None, None)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))
