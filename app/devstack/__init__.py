"""The dev stack: a real Apache Kafka and a real PostgreSQL below one folder, without Docker, Java
or PostgreSQL installed.

May touch: the stack's folder, the per-user cache, loopback ports, processes that it started; the
network, to fetch Kafka once.

`up` starts both servers and returns once they answer; they keep running when the caller ends.
`down` stops them.  Any of this may be killed at any moment: each server is recorded before it
exists (`launcher.py`), and the next `up` or `down` continues from what it finds.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from app.devstack import processes
from app.devstack.cache import cache_directory
from app.devstack.jars import ensure_jars
from app.devstack.kafka import Kafka
from app.devstack.ports import accepts
from app.devstack.postgres import Postgres
from app.errors import ConfigurationError, UnreachableError

__all__ = [
    "DEFAULT_DIRECTORY",
    "StackInfo",
    "StackStatus",
    "down",
    "reset",
    "status",
    "temporary_stack",
    "up",
]

DEFAULT_DIRECTORY = Path(".edgeloop/stack")
# An empty stack takes 120 MB.
MIN_FREE_BYTES = 500_000_000
START_ATTEMPTS = 5
RETRY_S = 0.3
PORT_TAKEN = "Address already in use"
# Text in a log → why the server is started once more.
PASSING_PROBLEMS = {
    PORT_TAKEN: "its port was taken before it started; trying another",
    "pre-existing shared memory block": (
        "processes of an earlier, killed server are still exiting; trying again"
    ),
}
READY_DEADLINE_S = 90.0
# Another `up` may be fetching Kafka.
LOCK_TIMEOUT_S = 600.0
POLL_S = 0.05


@dataclass(frozen=True)
class StackInfo:
    """The addresses of a running stack."""

    broker: str
    """Kafka's `host:port`."""
    database_url: str
    """`postgresql://user:password@host:port/database`."""
    directory: Path
    broker_pid: int
    database_pid: int
    security: Mapping[str, str] = field(default_factory=dict)
    """Further settings that the administrator of a secure stack needs; the files of the other users
    are beside EDGELOOP_KAFKA_CA."""


@dataclass(frozen=True)
class StackStatus:
    """What is running of a stack.  `info` is set if both servers run."""

    directory: Path
    broker_running: bool
    database_running: bool
    info: StackInfo | None

    @property
    def is_up(self) -> bool:
        """Whether both servers run and listen."""
        return self.info is not None


def _silent(_message: str) -> None:
    pass


def up(
    directory: Path = DEFAULT_DIRECTORY,
    *,
    report: Callable[[str], None] = _silent,
    die_with_parent: bool = False,
    secure: bool = False,
) -> StackInfo:
    """Start the stack in `directory` unless it runs; return once a produce, a consume and a query
    have succeeded.

    `secure`: a Kafka that is created now gets TLS, SASL and access control, and keeps them.

    `report` is called with lines of progress, from several threads.  `die_with_parent`: servers
    started here end when this process ends, however it ends (for tests).  Raises `UnreachableError`
    or `ConfigurationError`, which say what to do.
    """
    directory = directory.absolute()
    with _os_errors_explained(directory), _exclusive(directory, report):
        _check_space(directory)
        postgres = Postgres(directory / "postgres")
        kafka = Kafka(directory / "kafka", [], make_secure=secure)
        if processes.running(kafka.record) is not None:
            kafka.prepare()  # refuses an open one where a secure one is asked for
        started: list[Kafka | Postgres] = []
        interrupted = threading.Event()

        def report_or_leave(message: str) -> None:
            if interrupted.is_set():
                raise InterruptedError("interrupted")
            report(message)

        def bring_up(server: Kafka | Postgres) -> None:
            if isinstance(server, Kafka) and processes.running(server.record) is None:
                server.jars = ensure_jars(cache_directory(), report_or_leave)
            _bring_up(server, report_or_leave, interrupted, started, leash=die_with_parent)

        with ThreadPoolExecutor(2) as pool:
            outcomes = [pool.submit(bring_up, server) for server in (kafka, postgres)]
            try:
                wait(outcomes)
            except BaseException:
                # Ctrl-C: started servers keep running, and the next `up` finds them.
                interrupted.set()
                raise
        problems = [problem for outcome in outcomes if (problem := outcome.exception()) is not None]
        if problems:
            for server in started:
                server.stop()
            raise problems[0]
        return _info(directory, kafka, postgres)


def down(directory: Path = DEFAULT_DIRECTORY) -> None:
    """Stop the stack in `directory`, if it runs; its data are kept."""
    directory = directory.absolute()
    if not directory.exists():
        return
    with _os_errors_explained(directory), _exclusive(directory, _silent):
        _stop(directory)


def status(directory: Path = DEFAULT_DIRECTORY) -> StackStatus:
    """What is running in `directory`; does not wait for an `up` or `down` in progress."""
    directory = directory.absolute()
    kafka, postgres = Kafka(directory / "kafka", []), Postgres(directory / "postgres")

    def is_alive(server: Kafka | Postgres) -> bool:
        return (
            processes.running(server.record) is not None
            and bool(server.ports)
            and accepts(server.ports[0])
        )

    broker, database = is_alive(kafka), is_alive(postgres)
    return StackStatus(
        directory,
        broker,
        database,
        _info(directory, kafka, postgres) if broker and database else None,
    )


def reset(directory: Path = DEFAULT_DIRECTORY) -> None:
    """Stop the stack in `directory` and delete its data, ports, password and logs, but nothing else
    in the folder."""
    directory = directory.absolute()
    if not directory.exists():
        return
    with _os_errors_explained(directory), _exclusive(directory, _silent):
        _stop(directory)
        for path in data_of(directory):
            # Renamed first, so that a reset that is killed half-way leaves no incomplete data under
            # that name.
            shutil.rmtree(path.with_suffix(".deleted"), ignore_errors=True)
            path.rename(path.with_suffix(".deleted"))
        for path in directory.glob("*.deleted"):
            shutil.rmtree(path)


def data_of(directory: Path) -> list[Path]:
    """The folders which `reset` deletes."""
    return [
        path for name in ("kafka", "postgres") if (path := directory.absolute() / name).exists()
    ]


@contextlib.contextmanager
def temporary_stack(
    directory: Path, *, report: Callable[[str], None] = _silent, secure: bool = False
) -> Iterator[StackInfo]:
    """A stack that runs during the `with` block, and never longer than this process; its data are
    kept in `directory`."""
    try:
        yield up(directory, report=report, die_with_parent=True, secure=secure)
    finally:
        down(directory)


def _bring_up(
    server: Kafka | Postgres,
    report: Callable[[str], None],
    interrupted: threading.Event,
    started: list[Kafka | Postgres],
    *,
    leash: bool,
) -> None:
    if processes.running(server.record) is not None:
        # It may come from an `up` that was killed before it was ready.
        _wait_until_ready(server, interrupted)
        return
    report(f"Starting {server.name}")
    server.prepare()
    problem = ""
    for attempt in range(START_ATTEMPTS):
        server.choose_ports(change=problem == PORT_TAKEN)
        log_ends = {log: processes.size_of(log) for log in server.logs}
        started.append(server)
        server.start(leash=leash)
        try:
            _wait_until_ready(server, interrupted)
        except UnreachableError:
            news = "".join(
                processes.tail(log, max(0, processes.size_of(log) - end))
                for log, end in log_ends.items()
            )
            problem = next((sign for sign in PASSING_PROBLEMS if sign in news), "")
            if (
                not problem
                or attempt + 1 == START_ATTEMPTS
                or processes.running(server.record) is not None
            ):
                raise
            report(f"{server.name}: {PASSING_PROBLEMS[problem]}")
            time.sleep(RETRY_S)
        else:
            report(f"{server.name} is ready")
            return


def _wait_until_ready(server: Kafka | Postgres, interrupted: threading.Event) -> None:
    give_up = time.monotonic() + READY_DEADLINE_S
    last_error: Exception | None = None
    while time.monotonic() < give_up:
        if processes.running(server.record) is None:
            raise UnreachableError(
                f"{server.name} exited during start-up.", processes.explain(server.logs)
            )
        if accepts(server.ports[0]):
            try:
                asyncio.run(asyncio.wait_for(server.probe(), 15))
            except Exception as error:
                # With a server that is still starting, clients raise far more than their own
                # errors.
                last_error = error
            else:
                return
        if interrupted.wait(POLL_S):
            raise InterruptedError("interrupted")
    raise UnreachableError(
        f"{server.name} is running but was not ready within {READY_DEADLINE_S:.0f} s"
        f" ({last_error!r}).",
        f"Stop it with `faust -A app stack down`, then try again. {processes.explain(server.logs)}",
    )


def _stop(directory: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        for outcome in [
            pool.submit(server.stop)
            for server in (Kafka(directory / "kafka", []), Postgres(directory / "postgres"))
        ]:
            outcome.result()


def _info(directory: Path, kafka: Kafka, postgres: Postgres) -> StackInfo:
    pids = [processes.running(server.record) for server in (kafka, postgres)]
    if None in pids:
        raise UnreachableError(
            "A server of the stack exited right after it became ready.",
            processes.explain([*kafka.logs, *postgres.logs]),
        )
    security = {} if kafka.secure is None else kafka.secure.environment()
    return StackInfo(kafka.address, postgres.address, directory, *pids, security)  # type: ignore[arg-type,call-arg]


@contextlib.contextmanager
def _exclusive(directory: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Allow one `up`, `down` or `reset` at a time; the kernel frees the lock of one that was
    killed."""
    from filelock import FileLock, Timeout

    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / "lock", thread_local=False)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report("Waiting for another command that is using this stack")
            lock.acquire(timeout=LOCK_TIMEOUT_S)
    except Timeout:
        raise UnreachableError(
            f"Another command has been using {directory} for {LOCK_TIMEOUT_S:.0f} s.",
            "Stop it, then try again.",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _check_space(directory: Path) -> None:
    free = shutil.disk_usage(directory).free
    if free < MIN_FREE_BYTES:
        raise UnreachableError(
            f"Only {free / 1e6:.0f} MB are free on the disk of {directory}; the stack needs"
            f" {MIN_FREE_BYTES / 1e6:.0f} MB.",
            "Free some space, or use another folder (--dir).",
        )


@contextlib.contextmanager
def _os_errors_explained(directory: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise ConfigurationError(
            f"The stack's files cannot be used: {error}.",
            f"If another user created {directory}, run as that user or choose another folder"
            " (--dir).",
        ) from error
    except OSError as error:
        remedy = processes.remedy(str(error)) or f"See the logs below {directory}."
        raise UnreachableError(
            f"The stack could not be started or stopped: {error}.", remedy
        ) from error
