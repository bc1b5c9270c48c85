"""A Kafka that workers reach only through a proxy, and a PostgreSQL; both may be killed.

May touch: the folder it is given; loopback ports; processes that it started.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import psutil

from app.devstack import processes
from app.devstack.cache import cache_directory
from app.devstack.jars import ensure_jars
from app.devstack.kafka import Kafka
from app.devstack.ports import HOST, free_ports
from app.devstack.postgres import Postgres
from tests.chaos.disk import Disk
from tests.chaos.proxy import Proxy
from tests.pipeline.installation import wait

READY_S = 60.0
DISK_BYTES = 512 * 1024 * 1024
"""Bytes of a disk, which takes memory for its contents, and all of it while it is full."""


@dataclass
class ProxiedKafka(Kafka):
    """A Kafka with one more listener, whose advertised address is the proxy's, so that clients that
    connect through the proxy stay behind it."""

    inside: int = 0
    outside: int = 0

    @property
    def proxied_address(self) -> str:
        return f"{HOST}:{self.outside}"

    def _write_properties(self, name: str, ports: list[int], data: str) -> None:
        super()._write_properties(name, ports, data)
        path = self.directory / name
        with path.open("a") as file:
            file.write("log.cleaner.backoff.ms=500\n")  # 15 s are longer than a fault
        more = {
            "listeners": f"PROXIED://{HOST}:{self.inside}",
            "advertised.listeners": f"PROXIED://{HOST}:{self.outside}",
            "listener.security.protocol.map": "PROXIED:PLAINTEXT",
        }
        lines = []
        for line in path.read_text().splitlines():
            key = line.split("=")[0]
            lines.append(f"{line},{more.pop(key)}" if key in more else line)
        assert not more, more
        path.write_text("\n".join(lines) + "\n")


class SmallPostgres(Postgres):
    """A PostgreSQL that keeps little of its log, so that its data fit on a small disk."""

    def prepare(self) -> None:
        new = not (self.directory / "data").exists()
        super().prepare()
        if new:
            with (self.directory / "data" / "postgresql.conf").open("a") as file:
                file.write("min_wal_size = 32MB\nmax_wal_size = 64MB\n")


@dataclass
class Servers:
    """Both servers and the proxy between the workers and the broker."""

    kafka: ProxiedKafka
    postgres: Postgres
    proxy: Proxy
    disks: dict[str, Disk] = field(default_factory=dict)
    """The disks by server, for servers whose data are on a disk of their own."""

    def kill(self, server: Kafka | Postgres) -> None:
        """kill -9 it and all processes that it started; returns when they are gone."""
        tree = self.processes(server)
        for process in tree:
            process.kill()
        _, alive = psutil.wait_procs(tree, 20)
        assert not alive, alive

    def processes(self, server: Kafka | Postgres) -> list[psutil.Process]:
        pid = processes.running(server.record)
        assert pid is not None, f"{server.name} does not run: {processes.explain(server.logs)}"
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]

    def pause(self, server: Kafka | Postgres) -> list[int]:
        """Send SIGSTOP to all its processes; returns their ids."""
        stopped = [process.pid for process in self.processes(server)]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        return stopped

    def run(self, server: Kafka | Postgres) -> None:
        """Start it on its previous port, and wait until it answers."""
        server.prepare()
        server.start(leash=True)
        wait(lambda: answers(server), READY_S, f"{server.name} that answers")

    def revive(self, server: Kafka | Postgres) -> None:
        """Return when it answers; if it has ended, or is ending, it is started again."""

        def up() -> bool:
            if processes.running(server.record) is None:
                server.prepare()
                server.start(leash=True)
            return answers(server)

        wait(up, READY_S, f"{server.name} that answers", lambda: processes.explain(server.logs))

    def kill_in_copy(self, within_s: float) -> bool:
        """kill -9 the first process of PostgreSQL that is in the middle of a COPY to a table."""
        return asyncio.run(_kill_in_copy(self.postgres.address, within_s))


def answers(server: Kafka | Postgres) -> bool:
    """Whether it works."""
    try:
        asyncio.run(asyncio.wait_for(server.probe(), 15))
    except Exception:
        # With a server that is still starting, clients raise far more than their own errors.
        return False
    return True


IN_COPY = "SELECT pid FROM pg_stat_progress_copy WHERE command = 'COPY FROM'"


async def _kill_in_copy(address: str, within_s: float) -> bool:
    give_up = time.monotonic() + within_s
    connection = await asyncpg.connect(address, command_timeout=5)
    try:
        while time.monotonic() < give_up:
            pid = await connection.fetchval(IN_COPY)
            if pid is None:
                continue
            found = None
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)  # so that it still exists when it is killed
                try:
                    found = await connection.fetchval(f"{IN_COPY} AND pid = $1", pid)
                finally:
                    os.kill(pid, signal.SIGCONT if found is None else signal.SIGKILL)
            if found is not None:
                return True
        return False
    finally:
        connection.terminate()


@contextmanager
def servers(directory: Path, *, disks: bool = False) -> Iterator[Servers]:
    """Both servers, running during the `with` block, and never longer than this process.

    `disks`: the data of each are on a disk of its own, which needs `own_mounts`.
    """
    inside, outside = free_ports(2)
    jars = ensure_jars(cache_directory(), lambda _: None)
    kafka = ProxiedKafka(directory / "kafka", jars, inside=inside, outside=outside)
    postgres = SmallPostgres(directory / "postgres")
    with Proxy(outside, inside) as proxy:
        made = Servers(kafka, postgres, proxy)
        try:
            for server in (kafka, postgres):
                server.directory.mkdir(parents=True, exist_ok=True)
                server.prepare()
                server.choose_ports(change=True)
                if disks:
                    made.disks[server.name] = Disk(server.directory / "data", DISK_BYTES)
                made.run(server)
            yield made
        finally:
            for server in (kafka, postgres):
                server.stop()
            for disk in made.disks.values():
                disk.close()
