"""Sends the closes of a spool to Kafka, in their order, in a thread of its own.

May touch: the broker (writes `position_closed`), a daemon thread.

One close is sent at a time and confirmed by all replicas before it leaves the spool.  The broker
may be away for any length of time: the thread retries, and the closes wait on disk.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from edgeloop.back_off import back_off_s
from edgeloop.close_client import close_client
from edgeloop.integrations.spool import Spool, Waiting
from edgeloop.kafka_security import KafkaSecurity

log = logging.getLogger(__name__)

TOPIC = "position_closed"


class SenderStatus(msgspec.Struct, frozen=True):
    """State of a sender: closes that wait, were sent by this process, and were refused for good."""

    waiting: int
    sent: int
    refused: int
    last_error: str


class CloseSender:
    """Keeps a spool empty.

    sender = CloseSender("127.0.0.1:9092", Spool("spool"))
    sender.start()
    sender.send(close)          # on disk when this returns
    sender.stop(timeout=10)     # what has not been sent by then stays on disk
    """

    def __init__(
        self,
        broker: str,
        spool: Spool,
        *,
        topic_prefix: str = "",
        security: KafkaSecurity | None = None,
        client_options: Mapping[str, Any] | None = None,
    ) -> None:
        self._security = security or KafkaSecurity()
        self._security.client_options()  # report invalid options now, not at each attempt
        self._options = {"bootstrap_servers": broker, **(client_options or {})}
        self._topic = topic_prefix + TOPIC
        self._spool = spool
        self._guard = threading.Condition()
        self._stopping = False
        self._sent = 0
        self._last_error = ""
        self._loop = asyncio.new_event_loop()
        self._wake = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="close-sender", daemon=True)

    def start(self) -> None:
        """Start sending the closes that wait."""
        self._thread.start()

    def send(self, event: Mapping[str, Any]) -> bool:
        """Spool a close: on disk when this returns.  False if the same one waits already.  Raises
        `SpoolError` if it is not a close, and `OSError` if the disk fails.
        """
        with self._guard:
            new = self._spool.put(event)
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._wake.set)
        return new

    def flush(self, timeout: float) -> bool:
        """Wait until every close is sent; False after `timeout` seconds."""
        with self._guard:
            return self._guard.wait_for(lambda: not self._spool.count(), timeout)

    def stop(self, timeout: float = 10.0) -> bool:
        """Send what can be sent within `timeout` seconds, and stop; returns whether nothing is
        left."""
        if not self._thread.is_alive():
            self._loop.close()
            return not self._spool.count()
        done = self.flush(timeout)
        self._stopping = True
        self._loop.call_soon_threadsafe(self._wake.set)
        self._thread.join(timeout=30)
        return done

    @property
    def status(self) -> SenderStatus:
        """For health pages and logs."""
        with self._guard:
            return SenderStatus(
                self._spool.count(), self._sent, self._spool.refused(), self._last_error
            )

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._work())
        finally:
            self._loop.close()

    async def _work(self) -> None:
        attempt = 0
        while not self._stopping:
            try:
                await self._drain()
                attempt = 0
            except (Exception, asyncio.CancelledError) as error:
                # Any error: the closes are on disk, and a new client may succeed. Nothing cancels
                # this loop, so a `CancelledError` comes from a client that has given up a request.
                if repr(error) != self._last_error:
                    log.warning("Closes wait on disk, since Kafka does not accept them: %r", error)
                self._last_error = repr(error)
                attempt += 1
            await self._woken(back_off_s(attempt) if attempt else None)

    async def _woken(self, timeout_s: float | None) -> None:
        """Wait for something to do; after an error no longer than `timeout_s`."""
        try:
            await asyncio.wait_for(self._wake.wait(), timeout_s)
        except TimeoutError:
            return
        if timeout_s is not None and not self._stopping:
            await asyncio.sleep(timeout_s)  # whatever closes come: the broker needs time
        self._wake.clear()

    async def _drain(self) -> None:
        """Send until asked to stop.  Raises when a new client is needed."""
        from aiokafka import AIOKafkaProducer

        if self._spool.first() is None:
            return
        producer = AIOKafkaProducer(
            **{
                "request_timeout_ms": 10_000,
                "max_request_size": 2 * 1024 * 1024,
                **self._security.client_options(),
                **self._options,
                "acks": "all",
                "enable_idempotence": True,
            }
        )
        try:
            await producer.start()
            while not self._stopping:
                self._wake.clear()
                waiting = self._spool.first()
                if waiting is None:
                    await self._wake.wait()
                else:
                    await self._send(producer, waiting)
        finally:
            await close_client(producer)

    async def _send(self, producer: Any, waiting: Waiting) -> None:
        from aiokafka.errors import MessageSizeTooLargeError, RecordTooLargeError

        started = time.monotonic()
        try:
            key = json.loads(waiting.value)["trade_id"].encode(errors="replace")
            await asyncio.wait_for(producer.send_and_wait(self._topic, waiting.value, key=key), 30)
        except (MessageSizeTooLargeError, RecordTooLargeError, ValueError, KeyError) as error:
            with self._guard:
                kept = self._spool.refuse(waiting, f"{type(error).__name__}: {error}")
                self._last_error = repr(error)
                self._guard.notify_all()
            log.error("The close in %s cannot be sent: %r", kept, error)
            return
        with self._guard:
            self._spool.sent(waiting)
            self._sent += 1
            self._last_error = ""
            self._guard.notify_all()
        log.debug("Sent %s in %.3f s", waiting.path.name, time.monotonic() - started)
