"""A watchdog for silent stalls: the worker is alive and has joined, but makes no progress.

May touch: the broker (read only), the process.

* ingest: closes wait after the last acknowledged one, and that has not moved for two minutes.  The
  worker is not ready, and after five minutes the process ends (code 70) so that a new one
  reconnects.
* The learners: no round of their loop has ended for two minutes.  The worker is not ready, but
  continues, since a new process would have to do the same work again.
* The event loop: it has not run for two minutes, measured by a thread.  The process ends.

Nothing is reported before the worker has joined or during a rebalance, and no waiting closes while
the broker is away.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, NoReturn

import faust
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from app.errors import UnreachableError
from app.kafka.retry import client_errors
from app.kafka.shared_offsets import SharedOffsets
from app.metrics import STALLED
from app.settings import Settings
from app.worker import memory
from app.worker.end_process import EXIT_FATAL, end, fatal_exit
from schemas.kinds import CLOSES

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 10.0
STALLED_S = 120.0
EXIT_S = 300.0
PEEK_S = 2.0

_beats: dict[str, float] = {}


def beat(role: str) -> None:
    """Note that a round of this role's loop begins, so that the previous one has ended."""
    _beats[role] = time.monotonic()


class Unmoved:
    """Since when each partition has stayed at an offset although records wait after it."""

    def __init__(self) -> None:
        self._since: dict[TopicPartition, tuple[int, float]] = {}

    def look(
        self, done: dict[TopicPartition, int], ends: dict[TopicPartition, int], now_s: float
    ) -> dict[TopicPartition, float]:
        """The partitions that have not moved since the last check, and for how many seconds."""
        behind = {tp: at for tp, at in done.items() if ends.get(tp, 0) > at}
        before = self._since
        self._since = {
            tp: before[tp] if tp in before and before[tp][0] == at else (at, now_s)
            for tp, at in behind.items()
        }
        return {tp: now_s - since for tp, (_, since) in self._since.items()}

    def passed(self, tp: TopicPartition) -> None:
        """There is no deliverable record after the offset: the partition does not wait."""
        del self._since[tp]


class Watchdog:
    """`reasons`: a word and a sentence for each stall, for readiness."""

    def __init__(
        self, app: faust.App, settings: Settings, offsets: SharedOffsets | None = None
    ) -> None:
        self._app = app
        self._settings = settings
        self._offsets = offsets or SharedOffsets(settings)
        self._unmoved = Unmoved()
        self._stalled: dict[str, str] = {}
        self._turns = 0
        self._joined = False
        self._stop = asyncio.Event()
        app.on_rebalance_complete.connect(self._on_joined)
        app.on_before_shutdown.connect(self.stop)
        app.task(self.run)

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """The stalls, and whether memory is full."""
        found = [("stalled", text) for text in self._stalled.values()]
        if memory.is_full():
            found.append(("memory_full", f"The memory limit is nearly reached. {memory.REMEDY}"))
        return found

    async def _on_joined(self, *_: Any, **__: Any) -> None:
        self._joined = True

    async def stop(self, *_: Any, **__: Any) -> None:
        """Stop checking."""
        self._stop.set()
        await self._offsets.stop()

    async def run(self) -> None:
        """Check every few seconds, until stopped."""
        threading.Thread(target=self._watch_loop, name="watchdog", daemon=True).start()
        looked_s = time.monotonic()
        while not self._stop.is_set():
            await asyncio.sleep(1.0)
            self._turns += 1
            if time.monotonic() - looked_s < LOOK_EVERY_S:
                continue
            looked_s = time.monotonic()
            try:
                with client_errors():
                    await self._look()
            except (KafkaError, OSError, UnreachableError) as error:
                log.info("watchdog.broker_away", error=repr(error))
            except Exception as error:
                fatal_exit("watchdog", error)

    def _watch_loop(self) -> None:
        """On a thread: end the process if the event loop no longer runs.  It counts its own rounds
        instead of seconds, because a freeze stops this thread, too.
        """
        seen, rounds = self._turns, 0
        while not self._stop.is_set():
            time.sleep(1.0)
            rounds = rounds + 1 if self._turns == seen else 0
            seen = self._turns
            if rounds > STALLED_S:
                self._end_stalled(rounds)

    def _end_stalled(self, for_s: int) -> NoReturn:
        end(EXIT_FATAL, lambda: log.critical("worker.stalled", what="the event loop", for_s=for_s))

    async def _look(self) -> None:
        if not self._joined or self._app.rebalancing or self._app.should_stop:
            self._unmoved = Unmoved()
            return
        now_s = time.monotonic()
        stalled: dict[str, tuple[str, float]] = {}
        for role, last_s in _beats.items():
            if now_s - last_s > STALLED_S:
                stalled[role] = (f"The {role} has been busy with one round of work", now_s - last_s)
        for tp, seconds in (await self._unread(now_s)).items():
            if seconds > STALLED_S:
                stalled["ingest"] = (
                    f"Closes of {tp.topic}:{tp.partition} have been unread",
                    seconds,
                )
        for role in self._settings.agents:
            STALLED.labels(role).set(role in stalled)
        self._stalled = {
            role: f"{what} for {seconds:.0f} s." for role, (what, seconds) in stalled.items()
        }
        for role, text in self._stalled.items():
            log.error("worker.stalled", role=role, what=text)
        if "ingest" in stalled and stalled["ingest"][1] > EXIT_S:
            fatal_exit("watchdog", RuntimeError(self._stalled["ingest"]))

    async def _unread(self, now_s: float) -> dict[TopicPartition, float]:
        """For each of ingest's partitions with waiting closes, the seconds since a close was
        acknowledged."""
        topic = self._settings.topic(CLOSES)
        owned = [tp for tp in self._app.consumer.assignment() if tp.topic == topic]
        if not owned or "ingest" not in self._settings.agents:
            return {}
        partitions = [TopicPartition(tp.topic, tp.partition) for tp in owned]
        stable = (await self._offsets.read()).stable
        ends = {tp: stable.get(tp, 0) for tp in partitions}
        committed = await self._offsets.committed(self._settings.consumer_group)
        done = {tp: committed.get(tp, 0) for tp in partitions}
        found = self._unmoved.look(done, ends, now_s)
        for tp, seconds in found.items():
            if seconds > STALLED_S and not await self._offsets.delivers(
                tp, done[tp], ends[tp], PEEK_S
            ):
                self._unmoved.passed(tp)
                return {}
        return found
