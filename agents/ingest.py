"""ingest: every closed position at the door becomes its facts, one per group, or a dead letter.  Keeps no state.

May touch: reads `position_closed`; writes `pattern_trade_events` and `position_closed.dlq`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from app.broker import JSON_HEADERS, Outgoing, Sender, Stopping
from app.closes import DeadLetterError, explode
from app.faust_app import app, raw_topic, settings
from app.topics import CLOSES, DEAD_LETTERS, FACTS, MAX_RECORD_BYTES, partition_of
from app.worker.fatal import die
from app.worker.metrics import CLOSES as CLOSES_TOTAL
from schemas.facts import group_key

CUT_BYTES = 1024 * 1024

sender = Sender(settings, lambda: bool(app.should_stop))
_encode = msgspec.json.Encoder(order="deterministic").encode


def outgoing(message: Any) -> list[Outgoing]:
    """What one record of `position_closed` becomes: its facts, or one dead letter."""
    try:
        facts = explode(message.value, round(message.timestamp * 1000), dimensions=settings.dimensions, outcome=settings.outcome)
    except DeadLetterError as error:
        CLOSES_TOTAL.labels("dead_letter").inc()
        return [dead_letter(message, error)]
    CLOSES_TOTAL.labels("facts").inc()
    topic = settings.topic(FACTS)
    version = ("version", str(message.offset).encode())
    return [
        Outgoing(
            topic,
            partition_of(key, settings.partitions),
            key.encode(),
            _encode(fact),
            (version, *JSON_HEADERS, ("event-id", fact.event_id.encode())),
        )
        for fact in facts
        for key in (group_key(fact.pattern_key, fact.action_category),)
    ]


def dead_letter(message: Any, error: DeadLetterError) -> Outgoing:
    """The record with key and value unchanged (a huge value: its first MiB), and in the headers why and where from."""
    value = message.value
    cut: tuple[tuple[str, bytes], ...] = ()
    if len(message.key or b"") + len(value or b"") > MAX_RECORD_BYTES - 16_384:
        cut = (("value.length", str(len(value)).encode()), ("value.sha256", hashlib.sha256(value).hexdigest().encode()))
        value = value[:CUT_BYTES]
    headers = (
        ("reason", error.reason.encode()),
        ("path", error.path.encode()),
        ("exception", error.exception.encode()),
        ("source.topic", message.topic.encode()),
        ("source.partition", str(message.partition).encode()),
        ("source.offset", str(message.offset).encode()),
        ("source.timestamp", str(round(message.timestamp * 1000)).encode()),
        *cut,
    )
    return Outgoing(settings.topic(DEAD_LETTERS), message.partition % settings.partitions, message.key, value, headers)


def explode_all(messages: Sequence[Any]) -> list[Outgoing]:
    """`outgoing` of a batch."""
    return [record for message in messages for record in outgoing(message)]


@app.agent(raw_topic(CLOSES), concurrency=1, name="ingest")
async def ingest(stream: Any) -> AsyncIterator[None]:
    """Decode, explode, send, and only then let Faust acknowledge."""
    async for events in stream.take_events(500, within=0.02):
        try:
            records = await asyncio.to_thread(explode_all, [event.message for event in events])
            await sender.send(records)
        except Stopping:
            # Nothing was acknowledged for good: `stream_wait_empty` holds the stop until here, so end without acknowledging.
            die("ingest: stopped while the broker was away", Stopping())
        except Exception as error:
            die("ingest", error)
        yield


@app.on_before_shutdown.connect
async def _close(*_: Any, **__: Any) -> None:
    await sender.stop()
