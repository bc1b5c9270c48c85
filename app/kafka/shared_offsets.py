"""The offsets at which the log begins and ends, read once for all monitors of a worker.

The guard, the watchdog and the metrics of the lag need the same offsets every few seconds.  They
share the connections and the results.

May touch: the broker (reads).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from app.errors import EdgeloopError
from app.kafka.bulk_reader import reader, unreachable
from app.kafka.consumer import Consumer
from app.kafka.log_identity import Log, LogIdentity
from app.kafka.retry import client_errors
from app.settings import Settings
from edgeloop.close_client import close_client

SHARED_S = 5.0
"""Maximum age of a shared result, in seconds."""


class Seen(NamedTuple):
    """The state of the log at `at_s` (monotonic seconds), and the last stable offset of each
    partition."""

    log: Log
    stable: Mapping[TopicPartition, int]
    at_s: float


class SharedOffsets:
    """Reads offsets over connections that stay open and are reopened after an error.

    Every method raises `KafkaError`, `OSError` and `UnreachableError` while the broker is away.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open = AsyncExitStack()
        self._connected: tuple[LogIdentity, Consumer] | None = None
        self._seen: Seen | None = None
        self._committed: dict[str, tuple[dict[TopicPartition, int], float]] = {}
        self._stopped = False
        self._lock = asyncio.Lock()  # the consumer can serve one caller at a time

    async def identity(self) -> LogIdentity:
        """The object that made the last reading."""
        async with self._lock:
            return (await self._connect())[0]

    async def read(self, max_age_s: float = SHARED_S) -> Seen:
        """The state of the log, at most this many seconds old."""
        async with self._lock:
            if self._seen is None or time.monotonic() - self._seen.at_s > max_age_s:
                identity, consumer = await self._connect()
                at_s = time.monotonic()
                async with self._closed_after_errors():
                    log = await identity.now()
                    tps = [TopicPartition(*at) for at in log.ends]
                    stable = await consumer.end_offsets(tps) if tps else {}
                self._seen = Seen(log, stable, at_s)
            return self._seen

    async def committed(self, group: str) -> Mapping[TopicPartition, int]:
        """The committed offsets of a group, at most `SHARED_S` old."""
        async with self._lock:
            held, at_s = self._committed.get(group, ({}, -SHARED_S))
            if time.monotonic() - at_s <= SHARED_S:
                return held
            identity, _ = await self._connect()
            at_s = time.monotonic()
            async with self._closed_after_errors():
                found = {tp: at.offset for tp, at in (await identity.committed(group)).items()}
            self._committed[group] = found, at_s
            return found

    async def delivers(
        self, tp: TopicPartition, start: int, end: int, within_s: float
    ) -> bool | None:
        """As `record_between`."""
        async with self._lock:
            _, consumer = await self._connect()
            async with self._closed_after_errors():
                return await record_between(consumer, tp, start, end, within_s)

    async def drop(self) -> None:
        """Close the connections; the next call opens new ones."""
        async with self._lock:
            await self._close()

    async def stop(self) -> None:
        """Close the connections for good."""
        self._stopped = True
        await self.drop()

    async def _connect(self) -> tuple[LogIdentity, Consumer]:
        if self._stopped:
            # when a worker ends, the users of shared offsets do not all stop at the same time
            raise KafkaError("The connections for shared offsets were closed.")
        if self._connected is None:
            try:
                identity = await self._open.enter_async_context(LogIdentity(self._settings))
                consumer = reader(self._settings)
                self._open.push_async_callback(close_client, consumer)
                with unreachable(self._settings, "The log"):
                    await consumer.start()
            except BaseException:
                await self._close()
                raise
            self._connected = identity, consumer
        return self._connected

    @asynccontextmanager
    async def _closed_after_errors(self) -> AsyncIterator[None]:
        try:
            with client_errors():
                yield
        except (KafkaError, OSError, EdgeloopError):
            await self._close()
            raise

    async def _close(self) -> None:
        self._connected, self._seen, self._committed = None, None, {}
        opened, self._open = self._open, AsyncExitStack()
        await opened.aclose()


async def record_between(
    consumer: Consumer, tp: TopicPartition, start: int, end: int, within_s: float
) -> bool | None:
    """Whether a deliverable record lies between `start` and `end`; None if that was not found out
    in time.  Raises `KafkaError`."""
    consumer.assign([tp])
    consumer.seek(tp, start)
    give_up = time.monotonic() + within_s
    while time.monotonic() < give_up:
        if (await consumer.getmany(tp, timeout_ms=200, max_records=1)).get(tp):
            return True
        if await consumer.position(tp) >= end:
            return False
    return None
