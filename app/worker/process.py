"""The Faust app of a worker process: its settings, each with the reason, and a stop that cannot
hang.

May touch: nothing by itself; the broker once a worker starts.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from typing import Any, ClassVar, cast

import faust
import structlog
from aiokafka import TopicPartition
from faust.cli.worker import worker as worker_command
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Producer, Transport
from faust.types import TP, EventT, StreamT

from app.errors import BadDataError
from app.kafka.client import client_id, faust_broker, faust_credentials
from app.kafka.retry import was_cancelled
from app.settings import Settings
from app.worker.batches import MAX_BATCHES, BatchingConsumer
from app.worker.connecting import connected
from app.worker.end_process import fatal_exit, guard_stop, refuse
from app.worker.logs import logging_config
from app.worker.memory import one_heap
from app.worker.threads import LOOP_THREADS, started_pool
from edgeloop.tolerant import DamagedBatchError

log = structlog.get_logger(__name__)

# Otherwise lines that a library prints would be split in the log; Faust ignores the setting
# `worker_redirect_stdouts`.
worker_command.redirect_stdouts = False

FETCH_WAIT_MS = 50
"""How long a broker holds a fetch while there is nothing new.  A record whose partition is not in
the current fetch waits that long, with Faust's default 1.5 s."""


SESSION_TIMEOUT_S = 12.0
"""How long a killed worker's partitions stay idle; Faust's default is 60 s."""
DAMAGED = (
    "Start the worker again once.  If that does not help, the broker's disk is damaged: see"
    " docs/operations.md#when-a-log-is-damaged."
)
FINISH_WITHIN_S = 5.0
"""Time in which the closes before a damaged batch may still be sent on and acknowledged."""
LOOK_WITHIN_S = SESSION_TIMEOUT_S * 2 / 3


class CommittedThread(AIOKafkaConsumerThread):
    """Faust's consumer, restricted to committed records: an aborted promotion is never folded.

    Faust offers this only together with its own transactions, which are not used here.
    """

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        # While a fetch waits for records of some partitions, those of the others wait too.
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def on_start(self) -> None:
        """Connect, and wait for a broker that is away."""
        self._consumer = await connected(
            lambda: self._create_consumer(loop=self.thread_loop),
            cast(EdgeloopApp, self.app).settings,
            lambda: self.app.should_stop,
        )
        self.time_started = time.monotonic()

    async def _fetch_records(self, *args: Any, **kwargs: Any) -> Any:
        """End the worker where the log is damaged, after what was read before has been finished."""
        try:
            return await super()._fetch_records(*args, **kwargs)
        except DamagedBatchError as error:
            log.critical("log.damaged", what=error.what)
            await asyncio.sleep(FINISH_WITHIN_S)
            refuse(BadDataError(error.what, DAMAGED))

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Check for stalls only if there is a position.  There is none while a lost offset is
        looked up again (deleted closes, a broker that was rolled back), but Faust asserts that
        there is one, and the worker would end.
        """
        subscription = self._ensure_consumer()._fetcher._subscriptions.subscription
        assignment = None if subscription is None else subscription.assignment
        if assignment is None:
            return
        state = assignment.state_value(TopicPartition(tp.topic, tp.partition))
        if state is not None and state.has_valid_position:
            super().verify_event_path(now, tp)


class CommittedConsumer(BatchingConsumer):
    """Faust's consumer on a `CommittedThread`, one event for many records."""

    def _new_consumer_thread(self) -> CommittedThread:
        return CommittedThread(self, loop=self.loop, beacon=self.beacon)


class WaitingProducer(Producer):
    """Faust's producer.  Edgeloop sends nothing through it, but Faust does not start without it."""

    async def on_start(self) -> None:
        """Connect, and wait for a broker that is away."""
        await super(Producer, self).on_start()
        self._producer = await connected(
            self._new_producer,
            cast(EdgeloopApp, self.app).settings,
            lambda: self.app.should_stop,
        )
        self.beacon.add(self._producer)


class CommittedTransport(Transport):
    """Faust's transport with clients that wait for the broker, and with a `CommittedConsumer`."""

    Consumer: ClassVar[Any] = CommittedConsumer
    Producer: ClassVar[Any] = WaitingProducer


class EdgeloopApp(faust.App):
    """Faust's app without folders on disk: without tables there is nothing to store."""

    settings: Settings
    agent_modules: tuple[str, ...] = ()
    _looks: tuple[Callable[[], Awaitable[None]], ...] = ()

    def look_before_assignment(self, look: Callable[[], Awaitable[None]]) -> None:
        """Register `look`, which is called before the worker takes partitions and may end the
        process.  Handlers of Faust's signals run in no order, so `on_rebalance_complete` would be
        too late for that.
        """
        self._looks = (*self._looks, look)

    async def _on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        if self._looks and not self.should_stop:
            # No heartbeat is sent meanwhile, so a check that takes too long is abandoned: with a
            # broker that goes away, it may not even react to cancellation.
            looks = {asyncio.ensure_future(look()) for look in self._looks}
            done, late = await asyncio.wait(looks, timeout=LOOK_WITHIN_S)
            for looked in done:
                looked.result()
            for looking in late:
                looking.cancel()
        await super()._on_partitions_assigned(assigned, generation_id)

    def _create_directories(self) -> None:
        pass

    def _new_transport(self) -> Any:
        return CommittedTransport(self.conf.broker_consumer, self)

    async def on_start(self) -> None:
        """Start the tasks before the consumer, so that health and the guards work while the worker
        connects, joins and hydrates."""
        await super().on_start()
        await super().on_started_init_extra_tasks()

    async def on_started_init_extra_tasks(self) -> None:
        """Do nothing: the tasks run already.  Faust would start them after the first rebalance, and
        would not notice a broker that goes away before."""

    async def _execute_task(self, task: Awaitable[Any]) -> None:
        """Run one of the app's tasks as mode does, but let none end unnoticed.  A `CancelledError`
        without a cancellation comes from a Kafka client that has given up a request; mode would
        take it for the end of the task, and the worker would continue without the task.
        """

        async def noticed() -> None:
            try:
                await task
            except asyncio.CancelledError as error:
                if not (self.should_stop or was_cancelled()):
                    fatal_exit(f"task {getattr(task, '__qualname__', task)}", error)
                raise

        await super()._execute_task(noticed())

    def load_agents(self) -> None:
        """Attach the agents, once, for the commands that need them.  Faust's own `autodiscover`
        runs with every command and imports all modules of `app`, including scipy and the plots.
        """
        modules, self.agent_modules = self.agent_modules, ()
        for module in modules:
            import_module(module).attach(self, self.settings)


class LeanMonitor(faust.Monitor):
    """Faust's monitor without its cost per event; the metrics are in `app.metrics`."""

    def on_stream_event_in(
        self, tp: TP, offset: int, stream: StreamT[Any], event: EventT[Any]
    ) -> None:
        """Note the time for Faust's own check of stalled streams, and nothing else."""
        self.stream_inbound_time[tp] = time.monotonic()

    def on_stream_event_out(
        self,
        tp: TP,
        offset: int,
        stream: StreamT[Any],
        event: EventT[Any],
        state: dict[Any, Any] | None = None,
    ) -> None:
        """Do nothing."""


class EdgeloopWorker(faust.Worker):
    """Faust's worker, whose stop is guarded from the beginning, whether requested or after a failed
    start."""

    def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
        """Keep the level of the root logger: Faust's spinner sets it to DEBUG, and each record sent
        would create a log record."""
        self.spinner = None

    async def stop(self) -> None:
        """Stop; the process ends in any case (see `guard_stop`)."""
        guard_stop()
        await super().stop()

    async def on_first_start(self) -> None:
        """Called before the app starts."""
        # The objects of windows live long; scanning them for garbage at Python's default rate costs
        # a tenth of a hydration.
        gc.set_threshold(50_000, 20, 100)
        one_heap()
        asyncio.get_running_loop().set_default_executor(started_pool(LOOP_THREADS, "loop"))
        await super().on_first_start()

    def on_worker_shutdown(self) -> None:
        """Called before the shutdown, also when the start failed."""
        guard_stop()
        super().on_worker_shutdown()


def make_app(
    settings: Settings,
    agent_modules: Sequence[str] = (),
    kind: type[EdgeloopApp] = EdgeloopApp,
    **more: Any,
) -> EdgeloopApp:
    """A Faust app with our settings; `agent_modules` are attached when a command needs the agents.

    `more` are settings of Faust that replace ours.
    """
    ours: dict[str, Any] = dict(
        broker=faust_broker(settings),
        broker_credentials=faust_credentials(settings),
        broker_client_id=client_id(),
        origin="app",
        Worker=EdgeloopWorker,
        Monitor=LeanMonitor,
        store="memory://",
        key_serializer="raw",
        value_serializer="raw",
        topic_allow_declare=False,  # topics are created and checked by our own command
        topic_disable_leader=True,
        processing_guarantee="at_least_once",
        consumer_auto_offset_reset="earliest",
        # new partitions of `position_closed` are read after this time
        consumer_metadata_max_age_ms=30_000,
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_heartbeat_interval=3.0,
        broker_commit_interval=0.25,
        broker_request_timeout=40.0,
        stream_wait_empty=True,  # otherwise a stop acknowledges unfinished work
        stream_buffer_maxsize=MAX_BATCHES,  # bounds a backlog's memory; more is not faster
        consumer_max_fetch_size=4_194_304,
        worker_redirect_stdouts=False,
        logging_config=logging_config(settings),
    )
    app = kind(settings.consumer_group, **ours | more)
    app.settings = settings
    app.agent_modules = tuple(agent_modules)
    return app


def raw_topic(app: faust.App, settings: Settings, name: str) -> Any:
    """A topic as bytes; we decode, since a decoding error inside Faust restarts the agent."""
    return app.topic(
        settings.topic(name),
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
    )


def assigned_to(app: faust.App, topic: str) -> set[int]:
    """The partitions of `topic` (full name) that this worker has."""
    return {tp.partition for tp in app.consumer.assignment() if tp.topic == topic}
