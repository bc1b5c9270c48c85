"""Ownership of partition state: hydrate it from the log, fold what arrives, publish what changed, and heal what others overwrote.

May touch: the broker.  The state itself is the core's; this file knows records, offsets and rebalances, and nothing of learning.

The log is the state and memory is a cache, so everything here follows one protocol:

1. On every rebalance (Faust's `on_rebalance_complete`, while the streams are still paused) drop the state of lost partitions and
   read each owned one from its own folded offset, or the beginning, to the end; then commit that end, so that Faust starts there.
2. An event from Faust is folded if its offset is the next one, skipped if it is older; if it is newer, what lies between is
   read from the log.  So whatever Faust repeats or leaves out, each record is folded once and in order.  Events of partitions without
   state are left alone: the rebalance under way reads them.
3. Folding and refitting happen on one thread, off the event loop.  What differs from what was last published is sent with the folded
   offset as its version; every delivery is awaited.
4. When nothing is left to fold or to send, the folded offset is noted as progress.
5. Records that another worker wrote (a predecessor that was frozen publishes its last batch late) are noticed by the `writer`
   header; then all that is published is read again, and the next refit corrects what differs.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol

import faust
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from app.broker import Outgoing, Progress, Sender, Stopping, back_off, header, read_to_end, reader, version_of
from app.settings import Settings
from app.worker.fatal import die
from app.worker.metrics import FOLDED, LAG_RECORDS, REBALANCES, RECORDS_SENT, REFIT_SECONDS
from app.worker.process import raw_topic

log = structlog.get_logger(__name__)

MAX_PENDING = 20_000  # records taken and not yet folded: beyond, the agent waits, Faust's buffers fill and the fetch pauses
QUIET_S = 0.5  # nothing new for so long: publish also what changed only in its last digits
FULL_EVERY_S = 10.0  # and at the latest after so long under a steady load
PROGRESS_EVERY_S = 0.25
WATCH_EVERY_S = 5.0  # how often the owner looks for records of others in its output


class PartitionState(Protocol):
    """The state of one input partition.  Every call comes from one thread."""

    def fold(self, records: Sequence[Any], next_offset: int) -> None:
        """Take in records (with `.key`, `.value`, `.headers`) in the order of their offsets; `next_offset` is the state's version."""

    def adopt(self, published: Mapping[bytes, Any]) -> None:
        """Take `published` (topic and key → last record, no tombstones) as what is handed out, and nothing else."""

    def changes(self, full: bool) -> list[Outgoing]:
        """What has to be sent, which then counts as handed out.  Not `full`: only what a reader would notice."""

    @property
    def settled(self) -> bool:
        """True if `changes(full=True)` would be empty."""

    @property
    def needs_rebuild(self) -> bool:
        """True if only folding the whole partition again, into this state or a new one, gives the right state."""


class Owner:
    """Owns the state of the partitions of one topic that this worker is assigned; the agent that reads the topic is its own, named `role`.

    `new_state(partition)` makes an empty state.  `outputs` are the topics it publishes to; `route(record)` tells which input partition an
    output record belongs to; None if it cannot be read, since only another program can have written that.
    """

    def __init__(
        self,
        app: faust.App,
        settings: Settings,
        role: str,
        *,
        topic: str,
        outputs: Sequence[str],
        new_state: Callable[[int], PartitionState],
        route: Callable[[Any], int | None],
        records_per_second: float,
    ) -> None:
        self.app = app
        self.settings = settings
        self.role = role
        self.topic = settings.topic(topic)
        self._output_partitions = [TopicPartition(settings.topic(name), p) for name in outputs for p in range(settings.partitions)]
        self.writer = f"{role}-{time.time_ns():x}".encode()
        self._new_state = new_state
        self._route = route
        self._rate = records_per_second
        self._states: dict[int, PartitionState] = {}
        self._next: dict[int, int] = {}  # next offset to take in, per partition with state
        self._pending: dict[int, list[Any]] = {}
        self._gaps: dict[int, int] = {}  # partitions where the log has to be read from `_next` on, at least up to this offset
        self._folded: set[int] = set()  # partitions that folded something since their last refit
        self._last_new: dict[int, float] = {}
        self._last_full: dict[int, float] = {}
        self._done: dict[int, int] = {}  # progress to note
        self._noted: dict[int, int] = {}
        self._output_positions: dict[TopicPartition, int] = {}  # up to where the output was looked at
        self._sent: Counter[TopicPartition] = Counter()  # records sent to it since
        self._wake = asyncio.Event()
        self._taken = asyncio.Event()
        self._stop_asked = asyncio.Event()
        self._stopped = asyncio.Event()
        self._lock = asyncio.Lock()  # either a rebalance is hydrating or the loop is refitting
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=role)
        self._running = False  # a worker stopped before it has joined never runs the loop
        self._stopping = False
        self._sender = Sender(settings, lambda: self._stopping)
        self._progress = Progress(settings, role)
        self._watcher: AIOKafkaConsumer | None = None
        app.on_rebalance_complete.connect(self.on_rebalance_complete)
        app.on_before_shutdown.connect(self.stop)
        app.task(self.run)
        app.agent(raw_topic(app, settings, topic), concurrency=1, name=role)(self.follow)

    # -- what Faust calls ------------------------------------------------------------------------------------------------------

    async def follow(self, stream: Any) -> AsyncIterator[None]:
        """The agent: take in batch after batch, and only then let Faust acknowledge."""
        async for events in stream.take_events(500, within=0.02):
            try:
                await self._receive([event.message for event in events])
            except Exception as error:
                die(f"{self.role}: receiving", error)
            yield

    async def _receive(self, messages: Sequence[Any]) -> None:
        """Take in messages that Faust delivered (step 2); waits while too much is pending."""
        now = time.monotonic()
        for message in messages:
            partition = message.partition
            next_offset = self._next.get(partition)
            if next_offset is None or message.offset < next_offset:
                continue
            if partition in self._gaps or message.offset > next_offset:
                self._gaps[partition] = max(self._gaps.get(partition, 0), message.offset + 1)
            else:
                self._pending[partition].append(message)
                self._next[partition] = next_offset + 1
            self._last_new[partition] = now
        self._wake.set()
        while sum(map(len, self._pending.values())) > MAX_PENDING and not self._stopping:
            self._taken.clear()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._taken.wait(), 0.5)

    async def on_rebalance_complete(self, *_: Any, **__: Any) -> None:
        """Hydrate (step 1).  A newer rebalance or a stop aborts it; the next rebalance does it again."""
        generation = self.app.consumer_generation_id
        assigned = {tp.partition for tp in self.app.consumer.assignment() if tp.topic == self.topic}

        def aborted() -> bool:
            return self._stopping or bool(self.app.should_stop) or self.app.consumer_generation_id != generation

        REBALANCES.labels(self.role).inc()
        try:
            async with self._lock:
                for partition in set(self._states) - assigned:
                    self._forget(partition)
                attempt = 0
                while True:
                    try:
                        await self._hydrate(assigned, aborted)
                        break
                    except (KafkaError, OSError) as error:
                        log.warning("hydrate.retry", role=self.role, error=repr(error), attempt=attempt)
                        await back_off(attempt, aborted)
                        attempt += 1
                if aborted():
                    return
                offsets = {TP(self.topic, p): self._next[p] for p in assigned}
                if offsets:
                    # Faust's public `commit` takes offsets from its own acknowledgements only.
                    await self.app.consumer._commit(offsets)  # type: ignore[attr-defined]
                log.info("hydrated", role=self.role, partitions=sorted(assigned))
        except Stopping:
            log.info("hydrate.aborted", role=self.role)
        except Exception as error:
            die(f"{self.role}: hydration", error)
        finally:
            self._wake.set()

    # -- hydration ---------------------------------------------------------------------------------------------------------------

    def _forget(self, partition: int) -> None:
        tables = (self._states, self._next, self._pending, self._gaps, self._last_new, self._last_full, self._done, self._noted)
        for table in tables:
            table.pop(partition, None)
        self._folded.discard(partition)
        with suppress(KeyError):
            LAG_RECORDS.remove(self.role, str(partition))

    async def _hydrate(self, partitions: Iterable[int], aborted: Callable[[], bool]) -> None:
        """Bring the state of `partitions` to the end of the log and compare it with what is published."""
        wanted = set(partitions)
        fresh = {p: self._new_state(p) for p in wanted - set(self._states)}
        consumer = reader(self.settings)
        try:
            await consumer.start()
            await self._fold_pending()
            ends = await self._catch_up(consumer, wanted, fresh, aborted)
            if rebuild := [p for p, state in fresh.items() if state.needs_rebuild]:
                # Now that the state knows every trade, the same records once more fill in those that it had let go too early.
                ends |= await self._catch_up(consumer, rebuild, fresh, aborted)
            await self._adopt(consumer, {**self._states, **fresh}, aborted)
        finally:
            await consumer.stop()
        for partition, state in fresh.items():
            self._states[partition], self._next[partition] = state, ends[partition]
            self._pending[partition], self._last_new[partition] = [], 0.0

    async def _catch_up(
        self,
        consumer: AIOKafkaConsumer,
        partitions: Iterable[int],
        fresh: Mapping[int, PartitionState],
        aborted: Callable[[], bool],
    ) -> dict[int, int]:
        """Fold the log from each partition's own next offset to its end (fresh ones: from the beginning); returns the ends."""
        starts = {TopicPartition(self.topic, p): None if p in fresh else self._next[p] for p in partitions}
        ends: dict[int, int] = {}
        async for tp, records, next_offset in read_to_end(consumer, starts, should_stop=aborted):
            state = fresh.get(tp.partition) or self._states[tp.partition]
            await self._run(state.fold, records, next_offset)
            FOLDED.labels(self.role).inc(len(records))
            ends[tp.partition] = next_offset
            if tp.partition not in fresh:
                self._next[tp.partition] = next_offset
                self._folded.add(tp.partition)
        for partition in ends:
            if self._gaps.get(partition, 0) <= self._next.get(partition, 0):
                self._gaps.pop(partition, None)
        return ends

    async def _adopt(self, consumer: AIOKafkaConsumer, states: Mapping[int, PartitionState], aborted: Callable[[], bool]) -> None:
        """Read all that is published and tell each state its part: of each key the highest version, of equals the later."""
        last: dict[bytes, Any] = {}
        highest: dict[bytes, Any] = {}
        async for tp, records, next_offset in read_to_end(consumer, dict.fromkeys(self._output_partitions), should_stop=aborted):
            self._output_positions[tp], self._sent[tp] = next_offset, 0
            for record in records:
                key = tp.topic.encode() + b"\0" + record.key
                last[key] = record
                if key not in highest or version_of(record) >= version_of(highest[key]):
                    highest[key] = record

        def share_out() -> list[Outgoing]:
            parts: dict[int, dict[bytes, Any]] = {p: {} for p in states}
            covered: list[Outgoing] = []
            for key, record in highest.items():
                known = record if record.value is not None else last[key]
                p = None if known.value is None else self._route(known)
                if p is None or p not in parts:
                    continue
                if record.value is not None:
                    parts[p][key] = record
                if record is not last[key]:
                    headers = tuple(h for h in record.headers if h[0] != "writer")
                    covered.append(Outgoing(record.topic, record.partition, record.key, record.value, headers))
            for p, state in states.items():
                state.adopt(parts[p])
            return covered

        # Readers go by the highest version and compaction keeps the last: where a late record of lower version is the last, the highest
        # is sent once more, as it was.
        await self._publish(await self._run(share_out))

    async def _overwritten(self, consumer: AIOKafkaConsumer) -> bool:
        """Whether another worker has published something since we last looked that is, or may be, of our partitions."""
        found = False
        ends = await consumer.end_offsets(self._output_partitions)
        starts: dict[TopicPartition, int | None] = {}
        for tp in self._output_partitions:
            # As many new offsets as we have sent records: they are ours, and need not be read.
            if ends[tp] - self._output_positions[tp] == self._sent[tp]:
                self._output_positions[tp] = ends[tp]
            else:
                starts[tp] = self._output_positions[tp]
            self._sent[tp] = 0
        async for tp, records, next_offset in read_to_end(consumer, starts, should_stop=lambda: self._stopping):
            self._output_positions[tp] = next_offset
            for record in records:
                if header(record, "writer") != self.writer:
                    # A tombstone, or what is no record of ours at all, does not say whose it is: better one look too many.
                    p = None if record.value is None else self._route(record)
                    found = found or p is None or p in self._states
        return found

    # -- the loop ----------------------------------------------------------------------------------------------------------------

    async def stop(self, *_: Any, **__: Any) -> None:
        """End the loop and wait for it.  What is pending needs no care: the next owner reads it from the log."""
        self._stopping = True
        self._stop_asked.set()
        self._wake.set()
        self._taken.set()
        if self._running:
            await self._stopped.wait()

    async def run(self) -> None:
        """Fold, refit, publish (step 3), note progress (step 4), heal (step 5), until stopped."""
        self._running = True
        try:
            watched = time.monotonic()
            while not self._stopping:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), PROGRESS_EVERY_S)
                self._wake.clear()
                try:
                    async with self._lock:
                        sent = await self._cycle()
                        if self._states and time.monotonic() - watched > WATCH_EVERY_S:
                            await self._watch()
                            watched = time.monotonic()
                        await self._note_progress()
                except (KafkaError, OSError) as error:
                    log.warning("work.retry", role=self.role, error=repr(error))
                    await back_off(3, lambda: self._stopping)
                    self._wake.set()
                    continue
                await self._breathe(sent)
        except Stopping:
            pass
        except Exception as error:
            die(f"{self.role}: work", error)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)
            with suppress(KafkaError, OSError):
                await self._sender.stop()
                await self._progress.stop()
                await self._end_watcher()
            self._stopped.set()

    async def _cycle(self) -> int:
        """One round over all partitions: fold what is pending, refit, publish; returns the number of records sent to the first output."""
        if self._gaps:
            await self._mend_gaps()
        rebuild = [p for p, state in self._states.items() if state.needs_rebuild]
        if rebuild:
            await self._rebuild(rebuild)
        now = time.monotonic()
        pending = self._take_pending()
        quiet = {p for p in self._states if now - self._last_new.get(p, 0.0) > QUIET_S}
        full = quiet | {p for p in self._states if now - self._last_full.get(p, 0.0) > FULL_EVERY_S}

        def fold_and_refit() -> list[Outgoing]:
            records: list[Outgoing] = []
            for partition, state in self._states.items():
                if partition in pending:
                    state.fold(*pending[partition])
                    self._folded.add(partition)
                # What is left to say after a refit that was not full waits for quiet.
                due = partition in full or partition in self._folded
                if due and not state.settled and not state.needs_rebuild:
                    started = time.perf_counter()
                    records += state.changes(partition in full)
                    REFIT_SECONDS.labels(self.role).observe(time.perf_counter() - started)
                    self._folded.discard(partition)
                    if partition in full:
                        self._last_full[partition] = now
            return records

        records = await self._run(fold_and_refit)
        if records:
            await self._publish(records)
        for partition, state in self._states.items():
            if state.settled and not self._pending[partition] and not state.needs_rebuild:
                self._done[partition] = self._next[partition]
        return sum(record.topic == self._output_partitions[0].topic for record in records)

    async def _rebuild(self, partitions: Sequence[int]) -> None:
        for partition in partitions:
            self._forget(partition)
        await self._hydrate(partitions, lambda: self._stopping)
        # What Faust delivered meanwhile was left alone: read on from where the hydration ended.
        self._gaps.update((p, self._next[p]) for p in partitions)
        self._wake.set()

    async def _publish(self, records: Sequence[Outgoing]) -> None:
        signed = [Outgoing(r.topic, r.partition, r.key, r.value, (*r.headers, ("writer", self.writer)), r.timestamp_ms) for r in records]
        await self._sender.send(signed)
        self._sent.update(TopicPartition(r.topic, r.partition) for r in signed)
        RECORDS_SENT.labels(self.role).inc(len(signed))

    def _take_pending(self) -> dict[int, tuple[list[Any], int]]:
        """Per partition the records taken and the offset behind them: both at once, before anything is awaited."""
        taken = {p: (batch, self._next[p]) for p, batch in self._pending.items() if batch and p in self._states}
        for partition, (batch, _) in taken.items():
            self._pending[partition] = []
            FOLDED.labels(self.role).inc(len(batch))
        self._taken.set()
        return taken

    async def _fold_pending(self) -> None:
        for partition, batch in self._take_pending().items():
            await self._run(self._states[partition].fold, *batch)
            self._folded.add(partition)

    async def _mend_gaps(self) -> None:
        await self._fold_pending()
        gaps = [p for p in self._gaps if p in self._states]
        consumer = reader(self.settings)
        try:
            await consumer.start()
            await self._catch_up(consumer, gaps, {}, lambda: self._stopping)
        finally:
            await consumer.stop()

    async def _watch(self) -> None:
        """Step 5.  The consumer is kept: starting one takes as long as a refit."""
        if self._watcher is None:
            consumer = reader(self.settings)
            await consumer.start()
            self._watcher = consumer
        try:
            await self._pass_markers(self._watcher)
            if await self._overwritten(self._watcher):
                log.warning("output.overwritten", role=self.role)
                # If it is we who were frozen, the other knows more than we do: catch up before judging what it wrote.
                self._gaps.update({p: max(self._gaps.get(p, 0), self._next[p]) for p in self._states})
                await self._mend_gaps()
                await self._adopt(self._watcher, self._states, lambda: self._stopping)
        except (KafkaError, OSError):
            await self._end_watcher()
            raise

    async def _pass_markers(self, consumer: AIOKafkaConsumer) -> None:
        """Count as read what Faust never delivers: the mark that ends a transaction takes an offset, and may be the last of the log."""
        now = time.monotonic()
        quiet = [p for p in self._states if not self._pending[p] and now - self._last_new.get(p, 0.0) > WATCH_EVERY_S]
        ends = await consumer.end_offsets([TopicPartition(self.topic, p) for p in quiet])
        unread = {tp.partition: end for tp, end in ends.items() if end > self._next[tp.partition]}
        if unread:
            self._gaps.update({p: max(self._gaps.get(p, 0), end) for p, end in unread.items()})
            await self._mend_gaps()
            self._wake.set()

    async def _end_watcher(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            await watcher.stop()

    async def _note_progress(self) -> None:
        changed = {p: offset for p, offset in self._done.items() if self._noted.get(p) != offset and p in self._states}
        if changed:
            await self._progress.commit({TopicPartition(self.topic, p): offset for p, offset in changed.items()})
            self._noted.update(changed)
        for partition in self._states:
            LAG_RECORDS.labels(self.role, str(partition)).set(len(self._pending[partition]))

    async def _breathe(self, sent: int) -> None:
        """Wait so long that downstream gets no more than the configured records per second; small batches wait next to nothing."""
        if sent and not self._stopping:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stop_asked.wait(), sent / self._rate)

    async def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)
