"""Checks while the worker runs that the log is still the same one, and can be read to its end.

* If a topic was created again, the broker was rolled back (it ends before what was seen or
  delivered, or gives the same offsets again), the cluster is another one, or partitions were added
  to a topic whose keys would move, the worker ends with code 3 and names the command that fixes it.
  What it has read and published belongs to another log than what it would read next.
* If a producer's transaction stays open, or records were deleted before they were read, the worker
  continues, is not ready, and gives the reason.

May touch: the broker (reads; commits offsets of the group `….log`), the process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from app.errors import ConfigurationError, EdgeloopError
from app.kafka.delivered import DELIVERED, Place
from app.kafka.log_identity import (
    Difference,
    End,
    Log,
    LogIdentity,
    on_another_cluster,
    refusal,
)
from app.kafka.retry import client_errors
from app.kafka.shared_offsets import SharedOffsets
from app.kafka.topics import ACCEPT, partitions_wrong
from app.metrics import IN_TRANSACTION
from app.settings import Settings
from app.worker.end_process import refuse
from app.worker.process import EdgeloopApp
from schemas.kinds import CLOSES, FACTS, LESSONS

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 5.0
NOTE_EVERY_S = 60.0
OPEN_FOR_S = 60.0
"""Seconds for which a transaction must be open before it is reported as blocking readers."""
_SURE_AFTER = 3
"""Number of consecutive checks that must find another log, since a starting broker may show too
little for a moment.  Another cluster is certain at the first check."""


class Guard:
    """`reasons`: a word and a sentence for each thing that blocks reading, for readiness."""

    def __init__(
        self, app: EdgeloopApp, settings: Settings, offsets: SharedOffsets | None = None
    ) -> None:
        self._settings = settings
        self._offsets = offsets or SharedOffsets(settings)
        self._sources = [settings.topic(name) for name in (CLOSES, FACTS, LESSONS)]
        self._was = Log()
        self._seen = 0  # consecutive checks that found another log
        self._noted_s = time.monotonic()
        self._open: dict[TopicPartition, tuple[int, float]] = {}  # last stable offset, since when
        self._stop = asyncio.Event()
        self._in_the_way: list[tuple[str, str]] = []
        self._looking = asyncio.Lock()
        app.look_before_assignment(self.look)
        app.on_before_shutdown.connect(self.stop)
        app.task(self.run)

    def begin_with(self, seen: Log) -> None:
        """Compare with this log, as it was read before the worker started."""
        self._was = seen

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """The reasons that block reading."""
        return list(self._in_the_way)

    async def stop(self, *_: Any, **__: Any) -> None:
        """Stop checking."""
        self._stop.set()
        await self._offsets.stop()

    async def run(self) -> None:
        """Check every few seconds, until stopped."""
        while not self._stop.is_set():
            await self.look()
            await self._pause()

    async def look(self) -> None:
        """End the process if the log is another one.  A broker that is away decides nothing."""
        async with self._looking:
            try:
                with client_errors():
                    await self._look()
            except (KafkaError, OSError, EdgeloopError) as error:
                log.info("guard.broker_away", error=repr(error))
                await self._offsets.drop()

    async def _pause(self) -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stop.wait(), LOOK_EVERY_S)

    async def _look(self) -> None:
        delivered = DELIVERED.ends
        seen = await self._offsets.read(max_age_s=0.0)
        identity, now = await self._offsets.identity(), seen.log
        differences = await identity.differences(self._was, now)
        gone = [name for name in self._was.topics if name not in now.topics]
        differences += [Difference(name, "is gone") for name in gone]
        losses = _losses(delivered, self._was, now)
        named = {difference.topic for difference in differences}
        differences += [_loss(at, end) for at, end in losses.items() if at[0] not in named]
        self._seen = self._seen + 1 if differences else 0
        if differences:
            log.warning("log.differs", found=[f"{d.topic} {d.what}" for d in differences])
            if self._seen >= _SURE_AFTER or on_another_cluster(self._was, now):
                await self._note(identity, losses)
                refuse(refusal(differences))
            return
        if wrong := partitions_wrong(self._settings, now.topics_partitions()):
            lines = "".join(f"\n  {m.topic} {m.problem}: {m.remedy}" for m in wrong)
            refuse(ConfigurationError(f"Partitions were added:{lines}"))
        self._was = _furthest(self._was, now)
        found = self._transactions(seen.stable, now)
        for lost in await identity.lost():
            found.append(("records_lost", f"{lost}. To acknowledge it: {ACCEPT}."))
        self._in_the_way = found
        if time.monotonic() - self._noted_s > NOTE_EVERY_S:
            await identity.note(now)
            self._noted_s = time.monotonic()

    async def _note(self, identity: LogIdentity, losses: Mapping[Place, int]) -> None:
        """Note for the next worker how far partitions had reached: by then they may be as long
        again."""
        ends = {at: End(end, self._was.ends[at].epoch) for at, end in losses.items()}
        await identity.note(Log(self._was.cluster, self._was.topics, ends))

    def _transactions(
        self, stable: Mapping[TopicPartition, int], now: Log
    ) -> list[tuple[str, str]]:
        """Transactions that have been open for too long."""
        tps = [TopicPartition(*at) for at in now.ends if at[0] in self._sources]
        waiting = {tp: now.ends[tp.topic, tp.partition].offset - stable[tp] for tp in tps}
        moment = time.monotonic()
        self._open = {
            tp: (
                self._open[tp]
                if tp in self._open and self._open[tp][0] == stable[tp]
                else (stable[tp], moment)
            )
            for tp, n in waiting.items()
            if n > 0
        }
        for topic in self._sources:
            records = sum(max(0, n) for tp, n in waiting.items() if tp.topic == topic)
            IN_TRANSACTION.labels(topic).set(records)
        return [
            (
                "open_transaction",
                f"{waiting[tp]:,} records of {tp.topic}/{tp.partition} wait behind a producer's"
                f" transaction that has been open for {moment - since:.0f} s.",
            )
            for tp, (_, since) in sorted(self._open.items())
            if moment - since > OPEN_FOR_S
        ]


def _losses(delivered: Mapping[Place, int], was: Log, now: Log) -> dict[Place, int]:
    """How far partitions of the same topics had reached that have lost records of this process."""
    found = {at: n for at, n in delivered.items() if at in now.ends and now.ends[at].offset < n}
    found |= DELIVERED.lost
    return {
        (topic, number): end
        for (topic, number), end in found.items()
        if (topic, number) in was.ends and was.topics[topic] == now.topics.get(topic)
    }


def _loss(place: Place, end: int) -> Difference:
    topic, number = place
    what = (
        f"partition {number} had reached {end:,} with records of this worker, and has lost some of"
        " them: the broker was rolled back"
    )
    return Difference(topic, what)


def _furthest(was: Log, now: Log) -> Log:
    """`now`, with no end below one that was seen before: brokers may differ for a moment."""
    ends = {
        at: End(max(end.offset, was.ends[at].offset), max(end.epoch, was.ends[at].epoch))
        if at in was.ends
        else end
        for at, end in now.ends.items()
    }
    return Log(now.cluster, now.topics, ends, now.begins)
