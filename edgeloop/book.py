"""`OverrideBook`: the position manager's current copy of the overrides, which answers without
waiting.

May touch: the broker (read only: no consumer group, no commits).

How it knows that it is current (`_follow`):

1. Ask the broker for the end of every partition, and note when.
2. Read on until every position has reached those ends.
3. Then the book has everything that existed at the noted time. Staleness is measured from that
   time; repeat.

If the broker hangs, the connection is lost or the reader is stuck, step 3 is not reached, and the
book becomes stale.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any

import msgspec

from edgeloop import explore
from edgeloop.back_off import back_off_s
from edgeloop.close_client import close_client, noted
from edgeloop.identity import check_category
from edgeloop.kafka_security import KafkaSecurity
from edgeloop.lookup import answer
from edgeloop.overrides import TOPIC, Override
from edgeloop.pattern_key import canonical_pattern_key
from edgeloop.prepared import unix_seconds
from edgeloop.promotions import Promotions
from edgeloop.resolution import EMERGENCY, Resolution, failed
from edgeloop.shelf import Shelf

log = logging.getLogger(__name__)

_DISABLED = Resolution(1.0, "disabled")
_NOT_READY = Resolution(1.0, "not_ready", "The overrides have not been loaded yet.")
_STALE = Resolution(
    1.0, "stale", "It has been too long since the broker confirmed that the overrides are current."
)

# After this time without progress, a new client replaces the old one.
_START_OVER_AFTER_S = 30.0
# After this further time the reading task is cancelled, and it then has as long to end.
_HUNG_AFTER_S = 5.0
_LOOK_EVERY_S = 1.0


class BookStatus(msgspec.Struct, frozen=True):
    """State of a book.  `age_s`: seconds since it was last known to be current (None: never)."""

    ready: bool
    stale: bool
    enabled: bool
    age_s: float | None
    overrides: int
    bad_records: int
    last_error: str


class OverrideBook:
    """The overrides in memory.

        async with OverrideBook("127.0.0.1:9092") as book:
            await book.ready(timeout=30)
            scope = {"chain": "sol", "btc_macro": "S1"}
            size *= book.resolve("uptrend.S1.entry", "add", scope).multiplier

    Parameters
    ----------
    broker
        host:port, or a comma-separated list of them.  The broker may be unreachable at the start or
        at any time: the book reconnects on its own and is neutral meanwhile.
    stale_after_s
        Seconds without proof of being current after which every answer is neutral.
    security
        TLS and SASL, for instance `KafkaSecurity.from_environment()`.  The user needs to read
        `pm_overrides` and nothing else.
    client_options
        Passed to `aiokafka.AIOKafkaConsumer`.
    explore_share
        Share of decisions that explore (see `edgeloop.explore`); default EDGELOOP_EXPLORE, or none.

    Everything runs in the loop of the `async with`; `resolve` may be called from any thread.
    Setting `enabled` to False makes every answer neutral.
    """

    def __init__(
        self,
        broker: str,
        *,
        topic_prefix: str = "",
        stale_after_s: float = 60.0,
        enabled: bool = True,
        security: KafkaSecurity | None = None,
        client_options: Mapping[str, Any] | None = None,
        explore_share: float | None = None,
    ) -> None:
        if security is not None:
            security.client_options()  # report invalid options now, not at each attempt
        if not stale_after_s > 0:
            raise ValueError(f"stale_after_s is {stale_after_s}; it must be greater than 0.")
        self.enabled = enabled
        self._explore = explore.share(explore_share)
        self._broker = broker
        self._topic = topic_prefix + TOPIC
        self._stale_after_s = stale_after_s
        self._probe_every_s = min(5.0, stale_after_s / 4)
        self._security = security or KafkaSecurity()
        self._client_options = dict(client_options or {})
        self._shelf: Shelf | None = None
        self._current_at = -float("inf")  # monotonic seconds
        self._progress_at = 0.0  # monotonic seconds
        self._follower: asyncio.Task[None] | None = None
        self._filled = asyncio.Event()
        self._last_error = ""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> OverrideBook:
        self._task = asyncio.create_task(self._run(), name="override-book")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._current_at = -float("inf")

    # the caller's own definition
    async def ready(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109
        """Wait until all overrides that existed at the start have been read.

        False after `timeout` seconds; the book keeps trying.
        """
        try:
            await asyncio.wait_for(self._filled.wait(), timeout)
        except TimeoutError:
            return False
        return True

    def resolve(
        self,
        pattern_key: str,
        action_category: str,
        scope: Mapping[str, object],
        at: datetime | None = None,
        *,
        module: str = "pm",
        emergency: bool = False,
        decision_id: str | None = None,
    ) -> Resolution:
        """The size multiplier for an action: see `edgeloop.resolution.resolve`.

        It neither waits nor raises, and answers 1.0 whenever in doubt.  With exploration on,
        `decision_id` determines the draw; a decision without an id does not explore.
        """
        if emergency:
            return EMERGENCY
        try:
            if not self.enabled:
                return _DISABLED
            shelf = self._shelf
            if shelf is None:
                return _NOT_READY
            if time.monotonic() - self._current_at > self._stale_after_s:
                return _STALE
            at_s = time.time() if at is None else unix_seconds(at)
            key = canonical_pattern_key(pattern_key, module)
            index = shelf.group(key, check_category(action_category))
            return answer(index, scope, at_s, self._explore, key, action_category, decision_id)
        except Exception as error:
            return failed(error)

    def overrides(self) -> list[Override]:
        """The overrides in the book."""
        return [] if self._shelf is None else list(self._shelf.records.values())

    @property
    def status(self) -> BookStatus:
        """For health pages and logs."""
        shelf, age_s = self._shelf, time.monotonic() - self._current_at
        return BookStatus(
            shelf is not None,
            age_s > self._stale_after_s,
            self.enabled,
            None if shelf is None else age_s,
            0 if shelf is None else len(shelf.records),
            0 if shelf is None else shelf.bad_records,
            self._last_error,
        )

    async def _run(self) -> None:
        attempt = 0
        while True:
            began = time.monotonic()
            try:
                await self._watched()
            except Exception as error:
                # The response to any error is the same: neutral once stale, and a new client.
                if repr(error) != self._last_error:
                    log.warning("Lost the override feed: %r; retrying.", error)
                self._last_error = repr(error)
            attempt = 0 if time.monotonic() - began > _START_OVER_AFTER_S else attempt + 1
            await asyncio.sleep(back_off_s(attempt))

    async def _watched(self) -> None:
        """Follow the topic as long as there is progress.  A request to a broker that goes away may
        never return, nor react to cancellation; then the reading task is abandoned.  Raises what it
        raises, and `ConnectionError`.
        """
        self._progress_at = time.monotonic()
        follower = asyncio.create_task(self._follow(), name="override-book-follower")
        self._follower = follower
        limit_s = max(_START_OVER_AFTER_S, self._stale_after_s) + _HUNG_AFTER_S
        try:
            while not (await asyncio.wait({follower}, timeout=_LOOK_EVERY_S))[0]:
                if time.monotonic() - self._progress_at > limit_s:
                    raise ConnectionError(f"{self._broker} did not answer a request.")
            if follower.cancelled():
                raise ConnectionError(f"The client of {self._broker} ended its reader.")
            follower.result()
        finally:
            follower.add_done_callback(noted)
            if not follower.done():
                follower.cancel()
                await asyncio.wait({follower}, timeout=_HUNG_AFTER_S)

    async def _follow(self) -> None:
        """Read the topic from its beginning with a new client, and follow it.  Raises when a new
        client is needed.  The old shelf answers until the new one is complete, so a reconnection is
        not visible, and a recreated topic is read from its beginning.
        """
        from aiokafka import AIOKafkaConsumer, TopicPartition

        from edgeloop import tolerant
        from edgeloop.cluster import SameLog

        tolerant.install()  # else a header that is not UTF-8 leaves the book neutral forever
        consumer = AIOKafkaConsumer(
            **{
                "bootstrap_servers": self._broker,
                "enable_auto_commit": False,
                # A missing offset means that the log is another one: start over.
                "auto_offset_reset": "none",
                # The broker answers the requests of a connection in order: a request waits behind a
                # fetch that waits for records.
                "fetch_max_wait_ms": round(1000 * min(0.5, self._probe_every_s)),
                "request_timeout_ms": 10_000,
                "metadata_max_age_ms": 30_000,
                **self._security.client_options(),
                **self._client_options,
                "isolation_level": "read_committed",
            }
        )
        checked: asyncio.Task[None] | None = None
        try:
            await consumer.start()
            partitions = await self._partitions(consumer)
            tps = [TopicPartition(self._topic, p) for p in sorted(partitions)]
            consumer.assign(tps)
            for tp, begin in (await consumer.beginning_offsets(tps)).items():
                consumer.seek(tp, begin)
            same_log = SameLog(consumer, self._topic)
            await same_log.require()
            checked = asyncio.create_task(same_log.require())
            shelf, promotions = Shelf(), Promotions()
            asked_at = self._progress_at = time.monotonic()
            ends: dict[Any, int] | None = await consumer.end_offsets(tps)
            while asyncio.current_task() is self._follower:  # not an abandoned task
                until_probe_s = (
                    self._probe_every_s
                    if ends
                    else max(0.0, asked_at + self._probe_every_s - time.monotonic())
                )
                got = await consumer.getmany(
                    timeout_ms=round(1000 * min(0.5, until_probe_s)), max_records=1_000
                )
                for tp, records in got.items():
                    shelf.apply(promotions.ready(tp.partition, records))
                if got:
                    self._progress_at = time.monotonic()
                    await asyncio.sleep(0)  # thousands of records must not block the loop
                if ends is None and time.monotonic() >= asked_at + self._probe_every_s:
                    asked_at = time.monotonic()
                    ends = await self._probe(consumer, tps)
                    if consumer.partitions_for_topic(self._topic) not in (None, set(), partitions):
                        raise ConnectionError(f"The partitions of {self._topic} have changed.")
                    if checked.done():
                        checked.result()  # raises if it is another log
                        # In parallel to the probes: a broker may not answer.
                        checked = asyncio.create_task(same_log.require())
                if ends is not None and await self._reached(consumer, ends):
                    self._progress_at = time.monotonic()
                    shelf.apply(
                        promotions.complete_before({tp.partition: end for tp, end in ends.items()})
                    )
                    self._shelf, self._current_at, self._last_error = shelf, asked_at, ""
                    self._filled.set()
                    ends = None
                silent_s = time.monotonic() - self._progress_at
                if silent_s > max(_START_OVER_AFTER_S, self._stale_after_s):
                    raise ConnectionError(f"{self._broker} has not answered for {silent_s:.0f} s.")
        finally:
            if checked is not None:
                checked.cancel()
                await asyncio.wait([checked])
            await close_client(consumer)

    async def _partitions(self, consumer: Any) -> set[int]:
        from aiokafka import TopicPartition

        if (
            self._topic not in await consumer.topics()
        ):  # all topics are listed, since asking for one may create it
            raise ConnectionError(f"The topic {self._topic} does not exist.")
        first = TopicPartition(self._topic, 0)
        consumer.assign([first])
        await consumer.end_offsets([first])  # after that, the client knows the topic
        return set(consumer.partitions_for_topic(self._topic) or ())

    async def _probe(self, consumer: Any, tps: list[Any]) -> dict[Any, int] | None:
        """The ends of the log, or None if the broker does not answer in time."""
        from aiokafka.errors import KafkaError

        question = asyncio.ensure_future(consumer.end_offsets(tps))
        try:
            done, _ = await asyncio.wait({question}, timeout=max(1.0, self._probe_every_s))
        finally:  # also if the book ends meanwhile
            if not question.done():
                # Do not wait for it: a lost request may not react to cancellation.
                question.add_done_callback(noted)
                question.cancel()
        if not done:
            self._last_error = "TimeoutError()"
            return None
        try:
            ends: dict[Any, int] = question.result()
        except (KafkaError, OSError) as error:
            self._last_error = repr(error)
            return None
        return ends

    async def _reached(self, consumer: Any, ends: dict[Any, int]) -> bool:
        """Whether everything before `ends` has been read.

        Positions are compared, not offsets of records: only positions move past gaps that
        compaction left.
        """
        return all([await consumer.position(tp) >= end for tp, end in ends.items()])
