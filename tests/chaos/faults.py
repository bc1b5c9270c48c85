"""Injects the faults of a schedule into workers, servers and the network, and ends them.

May touch: workers, servers and a proxy that are the run's own.
"""

from __future__ import annotations

import heapq
import itertools
import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from app.devstack.kafka import Kafka
from app.devstack.postgres import Postgres
from app.errors import UnreachableError
from app.worker.connecting import CONNECT_WITHIN_S
from schemas import kinds
from tests.chaos.clock import set_clock
from tests.chaos.plan import Fault
from tests.chaos.servers import Servers
from tests.child import child
from tests.pipeline.installation import POLL_S, Installation, Worker, wait

READY_S = 90.0
NOT_DURING = {
    "postgres pause": ("postgres kill", "postgres disk full"),
    "postgres kill": ("postgres disk full",),
    "postgres disk full": ("postgres kill", "postgres pause"),
    "copy kill": ("postgres kill", "postgres pause", "postgres disk full"),
    "broker kill": ("broker disk full", "compaction"),
    "broker disk full": ("broker kill", "compaction"),
    "compaction": ("broker kill", "broker disk full"),
    "retention": ("broker kill", "broker disk full"),
}
"""Faults that cannot begin during others."""
COPY_WITHIN_S = 15.0
BROKER_AWAY = {"broker kill", "broker disk full", "no network"}
COMPACTED = (kinds.LESSONS, kinds.OVERRIDES, kinds.VERDICTS)
EAGER = {
    "segment.ms": "1000",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "1000",
}
"""Configuration with which a whole segment is ready for compaction after a second."""
UNFINISHED = {70, 75}
"""Exit codes of a worker that is stopped while a server is away: nothing is acknowledged."""


def clock_of(log: Path) -> Path:
    """The file that sets the clock of the worker with this log."""
    return log.with_suffix(".clock")


def command(log: Path) -> list[str]:
    """The command line of a worker whose clock can be set."""
    return child("-m", "tests.chaos.clock", str(clock_of(log)), "worker", "-l", "info")


class Faults:
    """Carries out a schedule.  `say` is called with each event."""

    def __init__(
        self,
        installation: Installation,
        servers: Servers,
        say: Callable[[str], None],
    ) -> None:
        self._installation, self._servers, self._say = installation, servers, say
        self._ends: list[tuple[float, int, str, Callable[[], None]]] = []
        self._number = itertools.count()
        self._on: set[str] = set()
        self._away_s = -math.inf  # when the broker was last down
        self._frozen: list[Worker] = []
        self._paused: list[int] = []
        self.done: dict[str, int] = {}
        self.skipped = self.not_reached = 0

    def start(self) -> Worker:
        """A worker behind the proxy."""
        return self._installation.start(broker=self._servers.kafka.proxied_address)

    def start_ready(self, count: int) -> None:
        new = [self.start() for _ in range(count)]
        wait(
            lambda: all(worker.ready() for worker in new),
            READY_S,
            "workers that are ready",
            self._installation.logs,
        )

    def run(self, schedule: Sequence[Fault], seconds: float) -> None:
        """Run the schedule for a number of seconds; fails at once if a worker ends by itself.

        A fault that takes long delays the later ones, which should happen under load and not all at
        once.  Faults that are left when the time is up do not happen.
        """
        began = time.monotonic()
        put_off_s = 0.0
        waiting = list(reversed(schedule))
        while (now := time.monotonic() - began) < seconds:
            self._check()
            if self._ends and self._ends[0][0] <= time.monotonic():
                self._end_next()
            elif waiting and (due := waiting[-1].at_s + put_off_s) <= now:
                put_off_s += now - due
                self._begin(waiting.pop())
            else:
                time.sleep(POLL_S)
        self.not_reached = len(waiting)

    def end_all(self) -> None:
        """Make everything run again, with at least one worker."""
        while self._ends:
            self._end_next()
        if not self._installation.workers:
            self.start_ready(1)

    def clean_up(self) -> None:
        """Continue stopped processes, so that they can be ended, and end the workers."""
        for pid in self._paused:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._servers.proxy.delay_s = 0.0
        self._servers.proxy.release()
        self._installation.kill_all()

    def _check(self) -> None:
        for worker in list(self._installation.workers):
            if self._gave_up(worker):
                self._say("a worker gave up before it had joined: started again")
                self._installation.workers.remove(worker)
                self.start()
            else:
                worker.check()

    def _gave_up(self, worker: Worker) -> bool:
        """Whether the worker waited a minute for the broker before it joined, and ended with the
        code that requests a restart: a slow machine may take that long to restart a broker."""
        away = time.monotonic() - self._away_s < 2 * CONNECT_WITHIN_S
        code = worker.process.poll()
        return away and code == UnreachableError.exit_code and "hydrated" not in worker.text()

    def _end_next(self) -> None:
        _, _, name, end = heapq.heappop(self._ends)
        self._say(f"end of {name}")
        end()
        self._note_away(name)
        self._on.discard(name)

    def _note_away(self, name: str) -> None:
        if name in BROKER_AWAY:
            self._away_s = time.monotonic()

    def _begin(self, fault: Fault) -> None:
        if still := self._on & {fault.name, *NOT_DURING.get(fault.name, ())}:
            self._say(f"{fault.name}: not now, {still.pop()} is still on")
            self.skipped += 1
            return
        self._say(str(fault))
        self._note_away(fault.name)
        self.done[fault.name] = self.done.get(fault.name, 0) + 1
        end = getattr(self, "_" + fault.name.replace(" ", "_"))(fault)
        if end is not None:
            self._on.add(fault.name)
            due = time.monotonic() + fault.lasts_s
            heapq.heappush(self._ends, (due, next(self._number), fault.name, end))

    # -- workers
    # ----------------------------------------------------------------------------------------------

    def _awake(self) -> list[Worker]:
        return [w for w in self._installation.workers if w not in self._frozen]

    def _kill(self, fault: Fault) -> None:
        workers = self._installation.workers
        if workers:
            self._installation.kill(workers[int(fault.pick * len(workers))])
        self.start()

    def _terminate(self, fault: Fault) -> None:
        if awake := self._awake():
            self._stop(awake[int(fault.pick * len(awake))])
        self.start()

    def _stop(self, worker: Worker) -> None:
        disturbed = bool(self._on - {"latency", "freeze"})
        self._installation.workers.remove(worker)
        code = worker.terminate(40.0)
        allowed = {0, *UNFINISHED} if disturbed else {0}
        # It may not have started handling the signal yet.
        if "worker.listening" not in worker.text():
            allowed.add(-signal.SIGTERM)
        assert code in allowed, f"exit {code} after SIGTERM:\n{worker.text()[-8_000:]}"

    def _freeze(self, fault: Fault) -> Callable[[], None] | None:
        if not (awake := self._awake()):
            return None
        worker = awake[int(fault.pick * len(awake))]
        worker.signal(signal.SIGSTOP)
        self._frozen.append(worker)

        def thaw() -> None:
            self._frozen.remove(worker)
            if worker in self._installation.workers:
                worker.signal(signal.SIGCONT)

        return thaw

    def _rolling_restart(self, fault: Fault) -> None:
        for worker in self._awake():
            self._stop(worker)
            new = self.start()
            if not self._on:
                wait(new.ready, READY_S, "restarted worker that is ready", self._installation.logs)

    def _scale(self, fault: Fault) -> None:
        """Scale to one worker, to three, to two."""
        for worker in self._awake()[1:]:
            self._stop(worker)
        self._until_members(1)
        while len(self._installation.workers) < 3:
            self.start()
        self._until_members(3)
        for worker in self._awake()[2:]:
            self._stop(worker)
        self._until_members(2)

    def _until_members(self, count: int) -> None:
        """If nothing else is failing, the group settles before the next step."""
        if self._on or len(self._installation.workers) != count:
            return
        wait(
            lambda: self._check() or self._installation.members() == count,
            READY_S,
            f"group of {count}",
            self._installation.logs,
        )

    def _clock_step(self, fault: Fault) -> Callable[[], None] | None:
        """Give one worker a time of day that differs from the others'."""
        if not (awake := self._awake()):
            return None
        clock = clock_of(awake[int(fault.pick * len(awake))].log)
        set_clock(clock, fault.step_s)
        return lambda: set_clock(clock, 0.0)

    # -- servers and network
    # ----------------------------------------------------------------------------------------------

    def _broker_kill(self, fault: Fault) -> Callable[[], None]:
        self._servers.kill(self._servers.kafka)
        return lambda: self._servers.run(self._servers.kafka)

    def _postgres_kill(self, fault: Fault) -> Callable[[], None]:
        # Stopped processes can be killed, too.
        self._paused.clear()
        self._servers.kill(self._servers.postgres)
        return lambda: self._servers.run(self._servers.postgres)

    def _postgres_pause(self, fault: Fault) -> Callable[[], None]:
        self._paused = self._servers.pause(self._servers.postgres)

        def go_on() -> None:
            for pid in self._paused:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            self._paused.clear()

        return go_on

    def _compaction(self, fault: Fault) -> Callable[[], None]:
        """Make Kafka compact, which leaves holes in the logs."""
        self._installation.configure(COMPACTED, EAGER)
        return lambda: self._installation.configure(COMPACTED, dict.fromkeys(EAGER))

    def _retention(self, fault: Fault) -> None:
        """Make Kafka delete closes that were read, which loses nothing."""
        self._installation.delete_closes_read()

    def _copy_kill(self, fault: Fault) -> None:
        """kill -9 the process of PostgreSQL that is in the middle of a projector's COPY."""
        if not self._servers.kill_in_copy(COPY_WITHIN_S):
            self._say("copy kill: nothing was copied")
            self.done[fault.name] -= 1
            self.skipped += 1

    def _broker_disk_full(self, fault: Fault) -> Callable[[], None]:
        return self._fill(self._servers.kafka)

    def _postgres_disk_full(self, fault: Fault) -> Callable[[], None]:
        return self._fill(self._servers.postgres)

    def _fill(self, server: Kafka | Postgres) -> Callable[[], None]:
        """Fill the disk: a server ends, or refuses to write."""
        disk = self._servers.disks[server.name]
        disk.fill()

        def free() -> None:
            disk.free()
            self._servers.revive(server)

        return free

    def _latency(self, fault: Fault) -> Callable[[], None]:
        self._servers.proxy.delay_s = fault.delay_s

        def none() -> None:
            self._servers.proxy.delay_s = 0.0

        return none

    def _cut(self, fault: Fault) -> None:
        self._servers.proxy.cut()

    def _no_network(self, fault: Fault) -> Callable[[], None]:
        self._servers.proxy.hold()
        return self._servers.proxy.release
