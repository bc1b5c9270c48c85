"""The owner of the partitions of one stage: the protocol's loop.

May touch: the broker.  See the package for the five steps.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from typing import Any

import faust
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from app.errors import ConfigurationError
from app.kafka.progress import Progress
from app.kafka.records import Outgoing
from app.kafka.retry import Stopping, back_off, client_errors
from app.metrics import (
    BATCH_SECONDS,
    FOLDED,
    LAG_RECORDS,
    REBALANCES,
    REFIT_SECONDS,
    forget_partition,
)
from app.ownership.hydration import Hydration
from app.ownership.partition import Partition, PartitionState
from app.ownership.publication import Publication
from app.ownership.watch import WATCH_EVERY_S, Watch
from app.settings import Settings
from app.stages.owned import OwnedStage
from app.stages.pace import (
    FULL_AFTER_QUIET_S,
    FULL_AFTER_S,
    PARTITIONS_PART,
    PARTITIONS_TURN_S,
    Allowance,
    Load,
    rest_s,
)
from app.worker.batches import batches
from app.worker.end_process import fatal_exit, refuse
from app.worker.helpers import HELPERS
from app.worker.memory import Spare, collect_all, give_back, room
from app.worker.watchdog import beat

log = structlog.get_logger(__name__)

# Records taken in but not folded yet; beyond, the agent waits, Faust's buffers fill, and fetching
# pauses.
MAX_PENDING = 20_000
PROGRESS_EVERY_S = 0.25
# Progress is committed again after this time, in case someone deleted or moved its offsets.
NOTE_AGAIN_S = 30.0
AGAIN_S = 0.01  # between two turns while refits are pending

_partition_of = attrgetter("partition")


class PartitionOwner:
    """Owns the partitions of a stage's source that this worker is assigned.

    `follow` is the body of the agent that reads the source; it takes records in.  The loop `run`,
    which Faust starts as a task, hands them to the stage's `StateStore.fold` and sends what
    `StateStore.changes` returns.
    """

    def __init__(self, app: faust.App, settings: Settings, stage: OwnedStage) -> None:
        self._app = app
        self._settings = settings
        self._stage = stage
        self._topic = settings.topic(stage.source)
        self._partitions: dict[int, Partition] = {}
        self._wake = asyncio.Event()
        self._taken = asyncio.Event()
        self._stop_asked = asyncio.Event()
        self._stopped = asyncio.Event()
        # Held either by a rebalance that hydrates or by the loop that refits.
        self._lock = asyncio.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=stage.role)
        self._load = Load()
        self._allowance = Allowance(settings.lessons_per_second)
        self._rest_until_s = self._noted_s = self._noted_again_s = self._watched_s = 0.0
        self._spare = Spare()
        self._running = False  # a worker stopped before it has joined never runs the loop
        self._publication = Publication(settings, stage, self._stop_asked.is_set)
        self._hydration = Hydration(settings, stage, self._publication, self._run)
        self._progress = Progress(settings, stage.role)
        self._watch = Watch(settings, self._publication, self._hydration, self._read_on)
        app.on_rebalance_complete.connect(self.on_rebalance_complete)
        app.on_before_shutdown.connect(self.stop)
        app.task(self.run)

    # -- what Faust calls --------------------------------------------------------------------------

    async def follow(self, stream: Any) -> AsyncIterator[None]:
        """Take in batch after batch; Faust acknowledges each only afterwards."""
        async for records in batches(stream):
            try:
                await self._receive(records)
            except Exception as error:
                fatal_exit(f"{self._stage.role}: receiving", error)
            yield

    async def _receive(self, records: Sequence[Any]) -> None:
        """Take in records (step 2); waits while too much is pending."""
        now_s = time.monotonic()
        for number, run in groupby(records, key=_partition_of):
            partition = self._partitions.get(number)
            if partition is not None:
                partition.receive(list(run), now_s)
        self._wake.set()
        while self._n_pending() > MAX_PENDING and not self._stop_asked.is_set():
            self._taken.clear()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._taken.wait(), 0.5)

    def _n_pending(self) -> int:
        return sum(len(partition.pending) for partition in self._partitions.values())

    async def on_rebalance_complete(self, *_: Any, **__: Any) -> None:
        """Hydrate (step 1).

        A newer rebalance or a stop aborts it; the next rebalance repeats it.
        """
        generation = self._app.consumer_generation_id
        assignment = self._app.consumer.assignment()
        assigned = {tp.partition for tp in assignment if tp.topic == self._topic}

        def aborted() -> bool:
            stopping = self._stop_asked.is_set() or bool(self._app.should_stop)
            return stopping or self._app.consumer_generation_id != generation

        REBALANCES.labels(self._stage.role).inc()
        try:
            async with self._lock:
                for number in set(self._partitions) - assigned:
                    self._drop(number)
                await self._hydrate(assigned, aborted)
                if aborted():
                    return
                offsets = {TP(self._topic, p): self._partitions[p].next_offset for p in assigned}
                if offsets:
                    # Faust's public `commit` only takes offsets from its own acknowledgements.
                    await self._app.consumer._commit(offsets)  # type: ignore[attr-defined]
                log.info("hydrated", role=self._stage.role, partitions=sorted(assigned))
        except Stopping:
            log.info("hydrate.aborted", role=self._stage.role)
        except ConfigurationError as error:
            refuse(error)
        except Exception as error:
            fatal_exit(f"{self._stage.role}: hydration", error)
        finally:
            self._wake.set()

    async def _hydrate(self, numbers: set[int], aborted: Callable[[], bool]) -> None:
        """Hydrate these partitions, retrying while the broker is unreachable.  Raises
        `Stopping`."""
        attempt = 0
        while True:
            try:
                with client_errors():
                    await self._hydrate_once(numbers, aborted)
                return
            except (KafkaError, OSError) as error:
                log.warning(
                    "hydrate.retry", role=self._stage.role, error=repr(error), attempt=attempt
                )
                await back_off(attempt, aborted)
                attempt += 1

    async def _hydrate_once(self, numbers: set[int], aborted: Callable[[], bool]) -> None:
        await self._fold_pending()
        kept = list(self._partitions.values())
        fresh = [self._new(number) for number in sorted(numbers - self._partitions.keys())]
        await self._hydration.hydrate(fresh, kept, [], aborted)
        await self._run(collect_all)
        await self._run(give_back)
        self._own(fresh)

    def _new(self, number: int) -> Partition:
        return Partition(number, self._stage.new_store(number))

    def _own(self, fresh: Sequence[Partition]) -> None:
        self._partitions.update((partition.number, partition) for partition in fresh)

    def _drop(self, number: int) -> None:
        del self._partitions[number]
        forget_partition(self._stage.role, str(number))

    async def stop(self, *_: Any, **__: Any) -> None:
        """End the loop and wait for it.

        Pending records can be dropped: the next owner reads them from the log.
        """
        self._stop_asked.set()
        self._wake.set()
        self._taken.set()
        if self._running:
            await self._stopped.wait()

    # -- the loop ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Fold, refit, publish (step 3), note progress (step 4), repair (step 5), until stopped."""
        self._running = True
        try:
            self._watched_s = time.monotonic()
            while not self._stop_asked.is_set():
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._idle_s())
                self._wake.clear()
                beat(self._stage.role)
                began_s = time.monotonic()
                try:
                    async with self._lock:
                        with client_errors():
                            n_sent = await self._cycle()
                            await self._watched()
                            await self._note_progress()
                except (KafkaError, OSError) as error:
                    log.warning("work.retry", role=self._stage.role, error=repr(error))
                    await back_off(3, self._stop_asked.is_set)
                    self._wake.set()
                    continue
                await self._pace(n_sent, began_s)
        except Stopping:
            pass
        except ConfigurationError as error:
            refuse(error)
        except Exception as error:
            fatal_exit(f"{self._stage.role}: work", error)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)
            HELPERS.end()
            await self._publication.stop()
            await self._progress.stop()
            await self._watch.stop()
            self._stopped.set()

    def _idle_s(self) -> float:
        """How long to wait for new records; hardly at all while refits are pending."""
        if any(partition.folded for partition in self._partitions.values()):
            return min(PROGRESS_EVERY_S, max(AGAIN_S, self._rest_until_s - time.monotonic()))
        return PROGRESS_EVERY_S

    async def _cycle(self) -> int:
        """One round over all partitions; returns the number of records sent to the first output."""
        await room(self._stage.role, self._stop_asked.is_set)
        await self._read_on()
        await self._rebuild()
        taken, began_s = self._take_pending(), time.monotonic()
        records = await self._run(self._fold_and_refit, taken, began_s)
        if records:
            await self._publication.send(records)
        if taken or records:
            ended_s = time.monotonic()
            BATCH_SECONDS.labels(self._stage.role).observe(ended_s - began_s)
            self._spare.worked(ended_s)
        if self._spare.due(began_s):
            await self._run(give_back)
        for partition in self._partitions.values():
            partition.note_done()
        first = self._settings.topic(self._stage.outputs[0])
        return sum(record.topic == first for record in records)

    def _take_pending(self) -> list[tuple[Partition, list[Any], int]]:
        """The pending records of each partition and the offset after them, taken together."""
        taken = [
            (partition, *partition.take_pending())
            for partition in self._partitions.values()
            if partition.pending
        ]
        FOLDED.labels(self._stage.role).inc(sum(len(batch) for _, batch, _ in taken))
        self._taken.set()
        return taken

    def _fold_and_refit(
        self, taken: Sequence[tuple[Partition, list[Any], int]], now_s: float
    ) -> list[Outgoing]:
        """On the thread of the state: fold everything, then refit for `PARTITIONS_TURN_S`."""
        for partition, batch, offset in taken:
            partition.store.fold(batch, offset)
            partition.folded = True
        busy = self._load.heavy(sum(len(batch) for _, batch, _ in taken), now_s)
        if busy and now_s < self._rest_until_s:
            return []
        began_s = time.monotonic()
        records: list[Outgoing] = []
        for partition in sorted(self._partitions.values(), key=lambda p: p.last_refit_s):
            if partition.store.settled:
                partition.folded = False
                continue
            full = (
                now_s - partition.last_new_s > FULL_AFTER_QUIET_S
                or now_s - partition.last_full_s > FULL_AFTER_S
            )
            # What a partial publication has left out waits until there is no input.
            if (full or partition.folded) and partition.owes_refit:
                with REFIT_SECONDS.labels(self._stage.role).time():
                    records += partition.store.changes(full)
                partition.last_refit_s = time.monotonic()
                partition.folded = partition.store.unfinished
                if full:
                    partition.last_full_s = now_s
                if (
                    partition.last_refit_s - began_s > PARTITIONS_TURN_S
                    or self._stop_asked.is_set()
                ):
                    break  # a stop waits only for the current refit
        ended_s = time.monotonic()
        self._rest_until_s = ended_s + rest_s(ended_s - began_s, PARTITIONS_PART) if busy else 0.0
        return records

    async def _fold_pending(self) -> None:
        for partition, batch, offset in self._take_pending():
            await self._run(partition.store.fold, batch, offset)
            partition.folded = True

    async def _read_on(self) -> None:
        """Read the log for partitions that are behind."""
        behind = [p for p in self._partitions.values() if p.state is PartitionState.BEHIND]
        if behind:
            await self._fold_pending()
            await self._hydration.read_on(behind, self._stop_asked.is_set)

    async def _rebuild(self) -> None:
        """Hydrate again the partitions whose state is no longer valid, and replace them."""
        fresh = [self._new(n) for n, p in self._partitions.items() if p.store.needs_rebuild]
        if not fresh:
            return
        numbers = {partition.number for partition in fresh}
        others = [p for n, p in self._partitions.items() if n not in numbers]
        await self._hydration.hydrate(fresh, [], others, self._stop_asked.is_set)
        for partition in fresh:
            # Records that Faust has delivered meanwhile went to the old state: read on from here.
            partition.fall_behind(partition.next_offset)
        self._own(fresh)
        self._wake.set()

    # -- progress, pace, thread --------------------------------------------------------------------

    async def _watched(self) -> None:
        """Look for records of other writers (step 5), every few seconds."""
        if not self._partitions or time.monotonic() - self._watched_s <= WATCH_EVERY_S:
            return
        if await self._watch.look(self._partitions, self._stop_asked.is_set):
            self._wake.set()
        self._watched_s = time.monotonic()

    async def _note_progress(self) -> None:
        now_s = time.monotonic()
        if now_s - self._noted_s < PROGRESS_EVERY_S:
            return
        self._noted_s = now_s
        again = now_s - self._noted_again_s > NOTE_AGAIN_S
        if again:
            self._noted_again_s = now_s
        changed = {
            TopicPartition(self._topic, p.number): p.done_offset
            for p in self._partitions.values()
            if p.done_offset is not None and (again or p.done_offset != p.noted_offset)
        }
        if changed:
            await self._progress.commit(changed)
            for tp, offset in changed.items():
                self._partitions[tp.partition].noted_offset = offset
        for partition in self._partitions.values():
            lag = LAG_RECORDS.labels(self._stage.role, str(partition.number))
            lag.set(len(partition.pending))

    async def _pace(self, n_sent: int, began_s: float) -> None:
        """Wait so that downstream gets at most the configured records per second."""
        wait_s = self._allowance.wait_s(n_sent, began_s, time.monotonic())
        if wait_s and not self._stop_asked.is_set():
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stop_asked.wait(), wait_s)

    async def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)
