"""One installation of Edgeloop on the test stack, used from outside: worker processes, a Kafka
client, a SQL client.

May touch: topics, consumer groups and a database schema of its own; worker processes that it
starts.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from app.kafka import topics
from app.kafka.client import client_options
from app.kafka.lag import LagReader
from app.settings import Settings
from app.storage.migrate import migrate
from app.worker.agreement import agree
from schemas import kinds
from tests.child import faust
from tests.pipeline.trades import Close

ROOT = Path(__file__).parents[2]
POLL_S = 0.1
FIXED_DATES = {"retention_days": 100_000.0}
"""The generated trades have fixed dates; with a short retention, Kafka would delete them some
day."""


def confluent_options(settings: Settings) -> dict[str, Any]:
    """The configuration with which a confluent-kafka client connects as `settings` do."""
    options: dict[str, Any] = {
        "bootstrap.servers": settings.broker,
        "log_level": 4,
        "security.protocol": settings.kafka_security,
    }
    if settings.kafka.tls:
        options["ssl.ca.location"] = settings.kafka_ca
    if settings.kafka.sasl:
        options |= {
            "sasl.mechanism": settings.kafka_mechanism,
            "sasl.username": settings.kafka_user,
            "sasl.password": settings.kafka_password,
        }
    return options


def worker_command(_log: Path) -> list[str]:
    """A plain `faust -A app worker`."""
    return faust("worker", "-l", "info")


class Worker:
    """One `faust -A app worker`, its output in a file."""

    def __init__(
        self,
        settings: Settings,
        log: Path,
        command: Callable[[Path], list[str]] = worker_command,
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command(log),
                cwd=ROOT,
                env={**os.environ, **settings.environment()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def check(self) -> None:
        """Fail at once, with its log, if the worker has ended."""
        code = self.process.poll()
        assert code is None, f"the worker ended with {code}:\n{self.text()[-8_000:]}"

    def url(self) -> str | None:
        """The address of its health server; None before it listens."""
        found = re.search(r"http://127\.0\.0\.1:\d+", self.text())
        return found[0] if found else None

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page of its health server; status 0 before it listens."""
        if (url := self.url()) is None:
            return 0, ""
        try:
            with urllib.request.urlopen(url + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""
        except OSError:
            return 0, ""

    def page(self, path: str) -> tuple[int, str]:
        """As `get`, with the body of an answer that is an error, too."""
        try:
            return (0, "{}") if (url := self.url()) is None else _page(url + path)
        except OSError:
            return 0, "{}"

    def metric(self, name: str, **labels: str) -> float:
        """The value of a metric, 0 while there is none."""
        _, body = self.get("/metrics")
        wanted = (
            "{" + ",".join(f'{k}="{v}"' for k, v in sorted(labels.items())) + "}" if labels else ""
        )
        return next(
            (
                float(line.split()[-1])
                for line in body.splitlines()
                if line.startswith(f"{name}{wanted} ")
            ),
            0.0,
        )

    def ready(self) -> bool:
        self.check()
        return self.get("/readyz")[0] == 200

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9, frozen or not."""
        self.process.kill()
        self.process.wait()

    def terminate(self, deadline_s: float = 25.0) -> int:
        """SIGTERM; returns the exit code.  Fails, with the log, when it does not end in time."""
        self.process.terminate()
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"no end {deadline_s} s after SIGTERM:\n{self.text()[-8_000:]}"
            ) from None


def _page(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@dataclass
class Installation:
    """Topics, groups, tables and workers with unique names."""

    settings: Settings
    directory: Path
    workers: list[Worker] = field(default_factory=list)
    command: Callable[[Path], list[str]] = worker_command
    """The command line of a worker, given the path of its log."""
    _started: int = 0

    @classmethod
    def on(cls, broker: str, database_url: str, directory: Path, **changed: Any) -> Installation:
        """Create its topics and tables; `changed` are settings that differ from the defaults."""
        name = f"p{uuid.uuid4().hex[:12]}"
        settings = Settings(
            broker=broker,
            database_url=database_url,
            topic_prefix=f"{name}.",
            consumer_group=name,
            database_schema=name,
            **changed,
        )
        asyncio.run(topics.create(settings))
        asyncio.run(migrate(settings.database_url, settings.database_schema))
        return cls(settings, directory)

    # -- workers
    # ----------------------------------------------------------------------------------------------

    def start(self, **changed: Any) -> Worker:
        """Start a worker; `changed` are settings of this worker."""
        self._started += 1
        worker = Worker(
            replace(self.settings, **changed),
            self.directory / f"worker-{self._started}.log",
            self.command,
        )
        self.workers.append(worker)
        return worker

    def agree(self) -> None:
        """Agree on the current settings for all workers; none may be running."""
        asyncio.run(agree(self.settings))

    def start_ready(self, count: int = 1, deadline_s: float = 45.0) -> list[Worker]:
        """Start workers at once, and wait until each has joined and hydrated."""
        new = [self.start() for _ in range(count)]
        wait(
            lambda: all(worker.ready() for worker in new),
            deadline_s,
            "workers that are ready",
            lambda: self.logs(),
        )
        return new

    def kill(self, worker: Worker) -> None:
        self.workers.remove(worker)
        worker.kill()

    def terminate(self, worker: Worker) -> None:
        """Send SIGTERM; it must exit with 0."""
        self.workers.remove(worker)
        code = worker.terminate()
        assert code == 0, f"exit {code} after SIGTERM:\n{worker.text()[-8_000:]}"

    def terminate_all(self) -> None:
        for worker in list(self.workers):
            self.terminate(worker)

    def kill_all(self) -> None:
        for worker in list(self.workers):
            self.kill(worker)

    def logs(self) -> str:
        return "\n".join(
            f"--- {worker.log.name}\n{worker.text()[-5_000:]}" for worker in self.workers
        )

    def until_idle(self, deadline_s: float = 60.0) -> None:
        """Return once every record is folded, refitted, published and projected.  Fails at once
        when a worker dies."""
        asyncio.run(self._until_idle(deadline_s))

    async def _until_idle(self, deadline_s: float) -> None:
        give_up = time.monotonic() + deadline_s
        async with LagReader(self.settings) as reader:
            while behind := {
                f"{lag.role} on {lag.topic}": lag.by_partition
                for lag in await reader.lags()
                if lag.records
            }:
                for worker in self.workers:
                    worker.check()
                assert time.monotonic() < give_up, (
                    f"not idle after {deadline_s} s: {behind}\n{self.logs()}"
                )
                await asyncio.sleep(POLL_S)

    # -- Kafka
    # ----------------------------------------------------------------------------------------------

    def produce(self, closes: Iterable[Close], **options: Any) -> list[tuple[int, int]]:
        """Send to `position_closed` with confluent-kafka; returns (partition, offset) of each, all
        delivered."""
        producer = Producer(
            {
                **confluent_options(self.settings),
                "linger.ms": 5,
                "message.max.bytes": 100_000_000,
                "queue.buffering.max.kbytes": 1_000_000,
                **options,
            }
        )
        places: dict[int, tuple[int, int]] = {}
        errors: list[Any] = []

        def delivered(at: int) -> Callable[[Any, Any], None]:
            def note(error: Any, message: Any) -> None:
                if error is not None:
                    errors.append(error)
                else:
                    places[at] = (message.partition(), message.offset())

            return note

        topic = self.settings.topic(kinds.CLOSES)
        count = 0
        for at, close in enumerate(closes):
            producer.produce(
                topic,
                close.value,
                close.key,
                timestamp=close.timestamp_ms,
                on_delivery=delivered(at),
            )
            producer.poll(0)
            count += 1
        assert producer.flush(60) == 0
        assert not errors, errors[:3]
        return [places[at] for at in range(count)]

    def send(
        self,
        topic: str,
        key: bytes,
        value: bytes | None,
        partition: int,
        headers: Iterable[tuple[str, bytes]] = (),
    ) -> None:
        """Send one record to any topic, as another program might."""
        producer = Producer(confluent_options(self.settings))
        errors: list[Any] = []
        producer.produce(
            self.settings.topic(topic),
            value,
            key,
            partition,
            headers=list(headers),
            on_delivery=lambda error, _: errors.append(error),
        )
        assert producer.flush(30) == 0
        assert errors == [None]

    def read(self, topic: str) -> list[ConsumerRecord]:
        """Every current record of `topic`, partition by partition."""
        return asyncio.run(self._read(self.settings.topic(topic)))

    async def _read(self, topic: str) -> list[ConsumerRecord]:
        consumer = AIOKafkaConsumer(
            **client_options(self.settings),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            partitions = [TopicPartition(topic, p) for p in range(self.settings.partitions)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            await consumer.seek_to_beginning(*partitions)
            records: list[ConsumerRecord] = []
            give_up = time.monotonic() + 60
            while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
                assert time.monotonic() < give_up, f"{topic} cannot be read to its end"
                for got in (await consumer.getmany(timeout_ms=200)).values():
                    records.extend(got)
            return sorted(records, key=lambda r: (r.partition, r.offset))
        finally:
            await consumer.stop()

    def current(self, topic: str) -> dict[str, dict[str, Any]]:
        """Key → record of a compacted topic, read as documented: the highest version of a key
        counts, and null retires it.

        Also checks what compaction relies on: the last record of a key has its highest version, or
        both are null.  A record without a version is from another program.
        """
        highest: dict[str, tuple[int, bytes | None]] = {}
        last: dict[str, tuple[int, bytes | None]] = {}
        for record in self.read(topic):
            number = dict(record.headers).get("version") or b""
            if not re.fullmatch(rb"\d{1,19}", number):
                continue
            key, version = record.key.decode(), int(number)
            last[key] = (version, record.value)
            if key not in highest or version >= highest[key][0]:
                highest[key] = last[key]
        gone = {key for key in last if last[key][1] is None and highest[key][1] is None}
        wrong = {
            key: (last[key], highest[key])
            for key in last.keys() - gone
            if last[key] != highest[key]
        }
        assert not wrong, (
            f"{topic}: the last record of {len(wrong)} keys is not their highest version:"
            f" {list(wrong.items())[:2]}"
        )
        return {
            key: orjson.loads(value) for key, (_, value) in highest.items() if value is not None
        }

    def end_offsets(self, *names: str) -> dict[str, list[int]]:
        """Topic → the end offset of each partition."""

        async def ask() -> dict[str, list[int]]:
            consumer = AIOKafkaConsumer(**client_options(self.settings))
            await consumer.start()
            try:
                found = {}
                for name in names:
                    partitions = [
                        TopicPartition(self.settings.topic(name), p)
                        for p in range(self.settings.partitions)
                    ]
                    ends = await consumer.end_offsets(partitions)
                    found[name] = [ends[tp] for tp in partitions]
                return found
            finally:
                await consumer.stop()

        return asyncio.run(ask())

    def records_in(self, topic: str) -> int:
        return sum(self.end_offsets(topic)[topic])

    def configure(self, names: Iterable[str], config: Mapping[str, str | None]) -> None:
        """Set the configuration of topics, as an administrator would; None: the broker's
        default."""
        operation = AlterConfigOpType.SET, AlterConfigOpType.DELETE
        resources = [
            ConfigResource(
                ResourceType.TOPIC,
                self.settings.topic(name),
                incremental_configs=[
                    ConfigEntry(key, value, incremental_operation=operation[value is None])
                    for key, value in config.items()
                ],
            )
            for name in names
        ]
        client = AdminClient(confluent_options(self.settings))
        for done in client.incremental_alter_configs(resources).values():
            done.result(30)

    def delete_closes_read(self) -> int:
        """Delete the closes that ingest has acknowledged, as retention does; returns their
        number."""
        client = AdminClient(confluent_options(self.settings))
        group, topic = self.settings.consumer_group, self.settings.topic(kinds.CLOSES)
        asked = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
        read = [
            tp
            for tp in asked[group].result(30).topic_partitions
            if tp.topic == topic and tp.offset > 0
        ]
        for done in client.delete_records(read).values() if read else ():
            done.result(30)
        return sum(tp.offset for tp in read)

    def members(self) -> int:
        """Workers in the consumer group; 0 while it is rebalancing."""
        admin = AdminClient(confluent_options(self.settings))
        group = admin.describe_consumer_groups([self.settings.consumer_group])[
            self.settings.consumer_group
        ].result(20)
        return len(group.members) if group.state == ConsumerGroupState.STABLE else 0

    # -- PostgreSQL
    # ----------------------------------------------------------------------------------------------

    def query(self, sql: str) -> list[Mapping[str, Any]]:
        """Rows of a query on this installation's tables, `jsonb` decoded."""

        async def ask() -> Sequence[Mapping[str, Any]]:
            connection = await asyncpg.connect(
                self.settings.database_url,
                server_settings={"search_path": self.settings.database_schema},
            )
            try:
                await connection.set_type_codec(
                    "jsonb", encoder=None, decoder=orjson.loads, schema="pg_catalog"
                )
                return await connection.fetch(sql)
            finally:
                await connection.close()

        return [dict(row) for row in asyncio.run(ask())]


def wait(
    condition: Callable[[], object],
    deadline_s: float,
    what: str,
    details: Callable[[], str] = lambda: "",
) -> None:
    """Return once `condition` holds; fail after the deadline."""
    give_up = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < give_up, f"no {what} within {deadline_s} s\n{details()}"
        time.sleep(POLL_S)
