"""projector: copies every derived topic into PostgreSQL.

May touch: reads the derived topics with its own consumer group; writes PostgreSQL.

It may stop, run twice or lag at any time: the newest version of a row wins.

1. Take a batch of records, decode them, write them topic by topic, each topic in one transaction.
2. Commit the offsets after the write.  Records read twice, after a crash or a rebalance, are
   written twice, which changes nothing.
3. While PostgreSQL is unreachable, keep the batch and retry; heartbeats continue in the background,
   so the consumer stays in its group.
4. A record that is invalid for its topic, or that PostgreSQL refuses, is logged, counted and
   skipped: Edgeloop itself writes none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import mode
import structlog
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from app.errors import ConfigurationError, UnreachableError
from app.kafka.bulk_reader import group_reader
from app.kafka.consumer import Consumer
from app.kafka.consumer_groups import projector_group
from app.kafka.log_identity import LogIdentity
from app.kafka.records import KEY_CHARACTERS
from app.kafka.retry import Stopping, back_off, client_errors
from app.metrics import BAD_RECORDS, BATCH_SECONDS, PROJECTED_ROWS, PROJECTION_WAITING
from app.settings import Settings
from app.storage.connect import close, connect
from app.storage.projected_log import differences, marks_of, refusal, write
from app.storage.projection import BadRecord, Projection, Record
from app.storage.tables import PROJECTIONS
from app.worker.end_process import fatal_exit, refuse
from edgeloop.close_client import close_client
from edgeloop.cluster import Cluster, look
from schemas.times import DAY_MS

log = structlog.get_logger(__name__)

BATCH_RECORDS = 2_000  # 6 000 rows take 0.3 s to write
# Pause under a light load: writing ten rows costs as much as writing a thousand, and the agents
# need the time.
PAUSE_S = 0.25
LOG_EVERY_S = 30.0
SLOW_S = 30.0
"""Seconds after which a write counts as waiting."""
# The client leaves the group after this time without a poll. There is no poll while PostgreSQL is
# away, and no other member would do better; missing heartbeats reveal a dead process.
MAX_POLL_INTERVAL_MS = 7 * DAY_MS

_REFUSED = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.CardinalityViolationError,
    asyncpg.ProgramLimitExceededError,
    OverflowError,  # raised by asyncpg itself, in COPY
    UnicodeError,
)
"""Errors that retrying cannot fix: the data is at fault."""


class Projector(mode.Service):
    """The projector as a service: a Faust app runs it, or any program with `async with`."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        super().__init__(**options)
        self._settings = settings
        self._projections = {
            settings.topic(name): projection for name, projection in PROJECTIONS.items()
        }
        self._connection: asyncpg.Connection | None = None
        self._written: dict[TopicPartition, int] = {}  # offsets to commit
        self._positions: dict[TopicPartition, int] = {}  # offsets up to which everything is written
        self._last_log = -LOG_EVERY_S
        self._cluster: Cluster | None = None  # its ids when this consumer started
        self._marked: dict[TopicPartition, int] = {}  # offsets noted in PostgreSQL

    async def on_start(self) -> None:
        """Start; neither broker nor database needs to be reachable yet."""
        if not self._settings.database_url:
            raise ConfigurationError(
                "EDGELOOP_DATABASE_URL is not set.",
                "Set it, or leave projector out of EDGELOOP_AGENTS.",
            )
        self.add_future(self._run())

    async def _run(self) -> None:
        attempt = 0
        try:
            while not self.should_stop:
                started = time.monotonic()
                try:
                    with client_errors():
                        await self._consume()
                except (KafkaError, OSError, UnreachableError) as error:
                    attempt = 0 if time.monotonic() - started > 60 else attempt + 1
                    self._log_trouble("projector.broker_away", error)
                    await back_off(attempt, self._is_stopping)
        except Stopping:
            pass
        except Exception as error:
            fatal_exit("projector", error)
        finally:
            await self._disconnect()

    def _is_stopping(self) -> bool:
        return self.should_stop

    async def _consume(self) -> None:
        """Steps 1 and 2 until asked to stop.  Raises `KafkaError` when a new consumer is needed."""
        consumer = group_reader(
            self._settings,
            projector_group(self._settings),
            self._projections,
            max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
        )
        self._written.clear()
        self._positions.clear()
        self._marked.clear()
        self._cluster = None
        await self._disconnect()  # the next connection is compared with this log
        try:
            await consumer.start()
            while not self.should_stop:
                got = await consumer.getmany(timeout_ms=250, max_records=BATCH_RECORDS)
                if got:
                    with BATCH_SECONDS.labels("projector").time():
                        await self._write(got)
                await self._note_positions(consumer)
                if await self._mark(consumer):
                    await self._commit(consumer)
                if 0 < sum(map(len, got.values())) < BATCH_RECORDS // 2:
                    await self.sleep(PAUSE_S)
        finally:
            await close_client(consumer)

    async def _note_positions(self, consumer: Consumer) -> None:
        """Note that everything up to the consumer's position is written.  The marker that ends a
        transaction is not a record, but has an offset.
        """
        for tp in consumer.assignment():
            try:
                position = await asyncio.wait_for(consumer.position(tp), 1.0)
            except (IllegalStateError, TimeoutError):  # a rebalance, or the broker is away
                return
            if position > self._positions.get(tp, -1):
                self._positions[tp] = self._written[tp] = position

    async def _mark(self, consumer: Consumer) -> bool:
        """Note in PostgreSQL, before the offsets are committed, which log it has up to which
        offsets.  Returns False if a topic was replaced meanwhile: then nothing is noted or
        committed.
        """
        changed = {tp: o for tp, o in self._written.items() if self._marked.get(tp) != o}
        if not changed:
            return True
        cluster = await look(consumer._client, self._projections)
        if cluster is None:
            return True
        was, self._cluster = self._cluster or cluster, cluster
        same = all(
            name in cluster.topics and topic.id == cluster.topics[name].id
            for name, topic in was.topics.items()
        )
        if not same or was.id != cluster.id:
            self._cluster = was
            return False
        marks = marks_of(cluster, changed)
        await self._until_done(lambda connection: write(connection, marks), "projected_log")
        self._marked.update(changed)
        return True

    async def _commit(self, consumer: Consumer) -> None:
        if self._written:
            self._written = {
                tp: offset for tp, offset in self._written.items() if tp in consumer.assignment()
            }
        if not self._written:
            return
        try:
            await consumer.commit(self._written)
            self._written = {}
        except KafkaError as error:
            # A rebalance, or the broker is away: the commit is retried, or the records are read
            # again.
            self._log_trouble("projector.commit_failed", error)

    async def _write(self, got: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        by_topic: dict[str, list[ConsumerRecord]] = {}
        for tp, records in got.items():
            by_topic.setdefault(tp.topic, []).extend(records)
        for topic, records in by_topic.items():
            projection = self._projections[topic]
            batch = await asyncio.to_thread(decode_all, projection, records)
            if batch:
                await self._write_until_done(projection, batch)

    async def _write_until_done(self, projection: Projection, batch: Sequence[Record]) -> None:
        await self._until_done(
            lambda connection: self._write_or_skip(connection, projection, batch),
            projection.topic,
            records=len(batch),
        )

    async def _connected(self) -> asyncpg.Connection:
        """A connection to a database whose tables belong to the current log; otherwise the worker
        ends."""
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        settings = self._settings
        self._connection = await connect(settings.database_url, settings.database_schema)
        async with LogIdentity(settings) as identity:
            found = await differences(settings, self._connection, identity)
        if found:
            refuse(refusal(settings, found))
        return self._connection

    async def _until_done(
        self,
        action: Callable[[asyncpg.Connection], Awaitable[object]],
        topic: str,
        **context: Any,
    ) -> None:
        """Step 3.  Raises `Stopping`."""
        attempt = 0
        while True:
            try:
                async with self._noticed(topic):
                    await action(await self._connected())
                if attempt:
                    log.warning("projector.database_back", attempts=attempt)
                PROJECTION_WAITING.set(0)
                return
            except Exception as error:
                # Any exception: a server that goes away can cause errors of the client, the server,
                # asyncio and parsing.
                PROJECTION_WAITING.set(1)
                self._log_trouble("projector.database_away", error, topic=topic, **context)
                await self._disconnect()
                await back_off(attempt, self._is_stopping)
                attempt += 1

    @asynccontextmanager
    async def _noticed(self, topic: str) -> AsyncIterator[None]:
        """Say so if it takes too long: a lock or a server that hangs raises nothing."""

        def slow() -> None:
            PROJECTION_WAITING.set(1)
            log.warning("projector.database_waits", topic=topic, for_s=SLOW_S)

        noticing = asyncio.get_running_loop().call_later(SLOW_S, slow)
        try:
            yield
        finally:
            noticing.cancel()

    async def _write_or_skip(
        self, connection: asyncpg.Connection, projection: Projection, batch: Sequence[Record]
    ) -> None:
        """Write `batch`; if PostgreSQL refuses the data, halve it until one is left (step 4)."""
        try:
            PROJECTED_ROWS.labels(projection.topic).inc(await projection.write(connection, batch))
        except _REFUSED as error:
            if len(batch) == 1:
                BAD_RECORDS.labels(projection.topic).inc()
                partition, offset = batch[0].place or (None, None)
                log.error(
                    "projector.record_refused",
                    topic=self._settings.topic(projection.topic),
                    partition=partition,
                    offset=offset,
                    key=str(batch[0].key)[:KEY_CHARACTERS],
                    error=repr(error),
                )
                return
            middle = len(batch) // 2
            await self._write_or_skip(connection, projection, batch[:middle])
            await self._write_or_skip(connection, projection, batch[middle:])

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await close(connection)

    def _log_trouble(self, event: str, error: BaseException, **context: Any) -> None:
        now = time.monotonic()
        if now - self._last_log >= LOG_EVERY_S:
            self._last_log = now
            log.warning(event, error=repr(error), **context)


def decode_all(projection: Projection, records: Sequence[ConsumerRecord]) -> list[Record]:
    """The rows of the records; bad records are logged, counted and left out."""
    decoded = []
    for record in records:
        try:
            if (row := projection.decode(record)) is not None:
                decoded.append(row._replace(place=(record.partition, record.offset)))
        except BadRecord as error:
            BAD_RECORDS.labels(projection.topic).inc()
            log.error(
                "projector.bad_record",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                error=str(error),
            )
    return decoded
