"""Records that no client of ours would send: built byte by byte, as another program might.

May touch: the broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


class BadName(str):
    """A header's name that is sent as bytes which are not UTF-8."""

    __slots__ = ()

    def encode(self, *_: Any, **__: Any) -> bytes:
        return b"trace\xff\xfe"


BAD_HEADERS = [("fine", b"1"), (BadName("trace"), b"v"), ("empty", None), ("bytes", b"\xff\x00")]
READ_HEADERS = (
    ("fine", b"1"),
    ("trace\\xff\\xfe", b"v"),
    ("empty", None),
    ("bytes", b"\xff\x00"),
)
"""The headers as they are read."""

Record = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]
"""Key, value, headers."""


def builder(records: Sequence[Record], codec: str, stamp_ms: int) -> _DefaultRecordBatchBuilderPy:
    """A batch of `records`, unchanged."""
    made = _DefaultRecordBatchBuilderPy(2, CODECS[codec], 0, -1, -1, 0, 1 << 30)
    for at, (key, value, headers) in enumerate(records):
        made.append(at, stamp_ms, key, value, list(headers))
    return made


def send(
    broker: str,
    topic: str,
    partition: int,
    records: Sequence[Record],
    *,
    codec: str = "gzip",
    stamp_ms: int = 1_750_000_000_000,
) -> int:
    """Send them as one batch; returns the offset of the first."""

    async def go() -> int:
        producer = AIOKafkaProducer(bootstrap_servers=broker, max_request_size=200_000_000)
        await producer.start()
        try:
            batch: Any = producer.create_batch()
            batch._builder = builder(records, codec, stamp_ms)
            batch._relative_offset = len(records)
            sent = await (await producer.send_batch(batch, topic, partition=partition))
            return int(sent.offset)
        finally:
            await producer.stop()

    return asyncio.run(go())
