"""The control log: what the workers of an installation must agree on, in one order for all.

May touch: the broker: reads and writes `edgeloop_control`.

One compacted topic, of which only partition 0 is used, so that all readers see the same records in
the same order.  No producer of closes needs the right to write to it.  Edgeloop writes it without
transactions, and reads it whatever transactions are open: a worker that could not see its own
claims would refuse closes for which there is room.  The first word of the key names the kind:

* `settings|ID`: a claim of the settings that must be equal (`app.worker.agreement`).  Among the
  claims of the highest epoch, the first in the log counts.  Each has its own id, so compaction
  removes none of them and their order stays.
* `group|KEY|ID`: a group that was admitted, with its module (`app.stages.admission`); here, too,
  the id keeps the order under compaction.
* `approval|SHA-256`: a held close that a person approved, by the hash of its value.
* `rewrites|MODULE`: the newest alert of trades rewritten in bulk; null once acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from app.kafka.bulk_reader import read_to_end, reader
from app.kafka.client import started
from app.kafka.consumer import Consumer
from app.kafka.producer import Producer
from app.kafka.records import UNREADABLE, Outgoing
from app.kafka.retry import client_errors
from app.settings import Settings
from edgeloop.close_client import close_client
from schemas.kinds import CONTROL

log = structlog.get_logger(__name__)


class Claim(msgspec.Struct, frozen=True):
    """The settings that must be equal, as one worker or person stated them."""

    epoch: int
    settings: dict[str, Any]
    by: str
    at: str


class Admitted(msgspec.Struct, frozen=True):
    """A group for which facts may be written."""

    module: str


class Approval(msgspec.Struct, frozen=True):
    """The approval of a close that was held."""

    by: str
    at: str


class Rewrites(msgspec.Struct, frozen=True):
    """Known trades of a module were rewritten in bulk: how many trades in the ten minutes before
    `at`, and where in `pattern_trade_events` the last of them is."""

    trades: int
    at: str
    partition: int
    offset: int


_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "settings": msgspec.json.Decoder(Claim),
    "group": msgspec.json.Decoder(Admitted),
    "approval": msgspec.json.Decoder(Approval),
    "rewrites": msgspec.json.Decoder(Rewrites),
}
_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass
class ControlState:
    """What the log says.  For each kind: the records in force by the rest of their key, in the
    order of the log.  `changes` counts records."""

    settings: dict[str, Claim] = field(default_factory=dict)
    group: dict[str, Admitted] = field(default_factory=dict)
    approval: dict[str, Approval] = field(default_factory=dict)
    rewrites: dict[str, Rewrites] = field(default_factory=dict)
    changes: int = 0

    def take(self, key: bytes | None, value: bytes | None) -> bool:
        """Take in a record; returns False if it is unknown or unreadable."""
        kind, _, name = (key or b"").decode(errors="replace").partition("|")
        if kind == "group":
            name = name.rpartition("|")[0]
        if kind not in _DECODERS or not name:
            return False
        held: dict[str, Any] = getattr(self, kind)
        self.changes += 1
        if value is None:
            held.pop(name, None)
            return True
        try:
            decoded = _DECODERS[kind].decode(value)
            if kind == "group":
                held.setdefault(name, decoded)
            else:
                held[name] = decoded
        except UNREADABLE:
            return False
        return True

    @property
    def agreed(self) -> Claim | None:
        """The claim that counts, if there is one.

        >>> state = ControlState()
        >>> for name, epoch in (("a", 1), ("b", 1), ("c", 2), ("d", 2)):
        ...     claim = Claim(epoch, {"n_min": 33}, name, "")
        ...     _ = state.take(f"settings|{name}".encode(), msgspec.json.encode(claim))
        >>> state.agreed.by
        'c'
        """
        return max(self.settings.values(), key=lambda claim: claim.epoch, default=None)


class ControlLog:
    """The control log as read so far, over one connection that is opened when needed.

    Every method raises `KafkaError` or `OSError` when the broker is away, and may be called again.
    """

    def __init__(self, settings: Settings, should_stop: Callable[[], bool] = lambda: False) -> None:
        self.state = ControlState()
        self._tp = TopicPartition(settings.topic(CONTROL), 0)
        self._settings = settings
        self._consumer: Consumer | None = None
        self._should_stop = should_stop
        self._producer = Producer(settings, should_stop)
        self._next: int | None = None
        self._reading = asyncio.Lock()

    async def __aenter__(self) -> ControlLog:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def read(self) -> ControlState:
        """Read to the end as it is now.  Raises `Stopping` when asked to stop."""
        async with self._reading:
            try:
                with client_errors():
                    await self._read_on()
            except (KafkaError, OSError):
                await self._drop()
                raise
        return self.state

    async def _read_on(self) -> None:
        if self._consumer is None:
            uncommitted = reader(self._settings, isolation_level="read_uncommitted")
            self._consumer = await started(uncommitted)
        consumer = self._consumer  # `stop` may clear it meanwhile
        ends = await consumer.end_offsets([self._tp])
        if ends[self._tp] == self._next:
            return
        starts = {self._tp: self._next}
        reading = read_to_end(consumer, starts, should_stop=self._should_stop)
        async for _, records, next_offset in reading:
            for record in records:
                if not self.state.take(record.key, record.value):
                    log.error("control.unreadable", offset=record.offset)
            self._next = next_offset

    async def write(self, records: Iterable[tuple[str, msgspec.Struct | None]]) -> ControlState:
        """Send (key, value) pairs and read on: the log then shows which claim came first.

        Raises `Stopping` when asked to stop.
        """
        topic = self._tp.topic
        await self._producer.send(
            [
                Outgoing(topic, 0, key.encode(), None if value is None else _encode(value))
                for key, value in records
            ]
        )
        return await self.read()

    async def stop(self) -> None:
        """Close the connections."""
        await self._drop()
        await self._producer.stop()

    async def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await close_client(consumer)
