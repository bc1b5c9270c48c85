"""A Kafka that workers reach through a proxy only, and a PostgreSQL, both of which may be killed.

May touch: the folder it is given; loopback ports; processes that it started.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from app.devstack import processes
from app.devstack.cache import cache_directory
from app.devstack.jars import ensure_jars
from app.devstack.kafka import Kafka
from app.devstack.ports import HOST, free_ports
from app.devstack.postgres import Postgres
from tests.chaos.proxy import Proxy
from tests.pipeline.installation import wait

READY_S = 60.0


@dataclass
class ProxiedKafka(Kafka):
    """Has one listener more, whose advertised address is the proxy's: clients that come through
    the proxy stay behind it."""

    inside: int = 0
    outside: int = 0

    @property
    def proxied_address(self) -> str:
        return f"{HOST}:{self.outside}"

    def _write_properties(self, name: str, ports: list[int], data: str) -> None:
        super()._write_properties(name, ports, data)
        path = self.directory / name
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


@dataclass
class Servers:
    """Both servers and the proxy between the workers and the broker."""

    kafka: ProxiedKafka
    postgres: Postgres
    proxy: Proxy

    def kill(self, server: Kafka | Postgres) -> None:
        """kill -9, and all that it had started; returns when they are gone."""
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
        """SIGSTOP to all its processes; returns their ids."""
        stopped = [process.pid for process in self.processes(server)]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        return stopped

    def run(self, server: Kafka | Postgres) -> None:
        """Start it on the port that it had, and wait until it answers."""
        server.prepare()
        server.start(leash=True)

        def answers() -> bool:
            try:
                asyncio.run(asyncio.wait_for(server.probe(), 15))
            except Exception:
                # Clients raise far more than their own errors at a server that is half up.
                return False
            return True

        wait(answers, READY_S, f"{server.name} that answers")


@contextmanager
def servers(directory: Path) -> Iterator[Servers]:
    """Both running, for as long as the `with` block runs, and never longer than this process."""
    inside, outside = free_ports(2)
    jars = ensure_jars(cache_directory(), lambda _: None)
    kafka = ProxiedKafka(directory / "kafka", jars, inside=inside, outside=outside)
    postgres = Postgres(directory / "postgres")
    with Proxy(outside, inside) as proxy:
        made = Servers(kafka, postgres, proxy)
        try:
            for server in (kafka, postgres):
                server.directory.mkdir(parents=True, exist_ok=True)
                server.prepare()
                server.choose_ports(anew=True)
                made.run(server)
            yield made
        finally:
            for server in (kafka, postgres):
                server.stop()
