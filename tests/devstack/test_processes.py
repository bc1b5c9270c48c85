"""Starting, recognising and stopping servers, with processes killed at any time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from app.devstack import launcher, ports, processes

SLEEPER = [sys.executable, "-c", "import signal; signal.pause()"]
STUBBORN = [
    sys.executable,
    "-c",
    (
        "import signal, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        " pathlib.Path('deaf').touch()\nwhile True: signal.pause()"
    ),
]


def start(directory: Path, program: list[str], *, leash: bool = False) -> Path:
    record = directory / "server.pid"
    command = processes.launcher_command(program)
    processes.start(
        command,
        record,
        directory / "server.log",
        cwd=directory,
        environment={"LC_ALL": "C"},
        leash=leash,
    )
    return record


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    processes.stop(tmp_path / "server.pid", signal.SIGKILL, 5)


def test_a_started_server_is_recorded_and_in_a_session_of_its_own(directory: Path) -> None:
    pid = processes.running(start(directory, SLEEPER))
    assert pid is not None
    assert os.getsid(pid) == pid
    assert pid not in [child.pid for child in psutil.Process().children()]


def test_the_record_is_there_before_the_program_runs(
    directory: Path, wait_for: Callable[..., None]
) -> None:
    program = (
        "import os, pathlib; print(pathlib.Path('server.pid').read_text().split()[0] =="
        " str(os.getpid()))"
    )
    start(directory, [sys.executable, "-c", program])
    wait_for(lambda: (directory / "server.log").read_text() == "True\n")


def test_a_server_ends_at_the_first_signal(directory: Path) -> None:
    record = start(directory, SLEEPER)
    pid = processes.running(record)
    processes.stop(record, signal.SIGTERM, 30)
    assert processes.running(record) is None
    assert not record.exists()
    assert launcher.process_start(pid or 0) is None


def test_a_deaf_server_is_killed_after_the_deadline(
    directory: Path, wait_for: Callable[..., None]
) -> None:
    record = start(directory, STUBBORN)
    wait_for((directory / "deaf").exists)
    processes.stop(record, signal.SIGTERM, 0.2)
    assert processes.running(record) is None


def test_a_stranger_with_the_recorded_pid_is_left_alone(tmp_path: Path) -> None:
    record = tmp_path / "server.pid"
    with subprocess.Popen(SLEEPER) as stranger:
        record.write_text(f"{stranger.pid} {launcher.process_start(os.getpid())}\n")
        assert processes.running(record) is None
        processes.stop(record, signal.SIGKILL, 1)
        assert stranger.poll() is None
        assert not record.exists()
        stranger.kill()


@pytest.mark.parametrize("text", ["", "12", "x y", "99999999 never", "1 2 3"])
def test_a_torn_record_means_not_running(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.pid").write_text(text)
    assert processes.running(tmp_path / "server.pid") is None


def test_an_ended_child_that_nobody_has_reaped_does_not_count_as_running(
    wait_for: Callable[..., None],
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        wait_for(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
        assert launcher.process_start(child.pid) is None


def test_the_start_of_a_process_is_stable_and_differs_between_processes() -> None:
    assert launcher.process_start(os.getpid()) == launcher.process_start(os.getpid())
    with subprocess.Popen(SLEEPER) as other:
        assert launcher.process_start(other.pid) != launcher.process_start(os.getpid())
        other.kill()


@pytest.mark.parametrize("leash", [False, True])
def test_a_program_that_cannot_be_executed_is_an_error(directory: Path, leash: bool) -> None:
    with pytest.raises(OSError, match="FileNotFoundError"):
        start(directory, ["/no/such/program"], leash=leash)


START_ONE = """
import sys
from pathlib import Path
from app.devstack import processes
command = processes.launcher_command([sys.executable, "-c", "import signal; signal.pause()"])
directory, leash = Path(sys.argv[1]), sys.argv[2] == "leash"
pid_file, log = directory / "server.pid", directory / "server.log"
processes.start(command, pid_file, log, cwd=directory, environment={}, leash=leash)
print("started", flush=True)
sys.stdin = open(0)
import signal; signal.pause()
"""


def test_a_server_outlives_a_killed_caller(
    directory: Path, script: Callable[..., subprocess.Popen[str]]
) -> None:
    caller = script(START_ONE, directory, "free")
    assert caller.stdout is not None
    assert caller.stdout.readline() == "started\n"
    caller.kill()
    caller.wait()
    assert processes.running(directory / "server.pid") is not None


def test_a_server_on_a_leash_ends_with_its_killed_caller(
    directory: Path, script: Callable[..., subprocess.Popen[str]], wait_for: Callable[..., None]
) -> None:
    caller = script(START_ONE, directory, "leash")
    assert caller.stdout is not None
    assert caller.stdout.readline() == "started\n"
    assert processes.running(directory / "server.pid") is not None
    caller.kill()
    wait_for(lambda: processes.running(directory / "server.pid") is None)


def test_a_server_on_a_leash_can_be_stopped(directory: Path) -> None:
    record = start(directory, SLEEPER, leash=True)
    assert processes.running(record) is not None
    processes.stop(record, signal.SIGTERM, 30)
    assert processes.running(record) is None


def test_a_failing_tool_says_what_to_do_and_keeps_its_output(tmp_path: Path) -> None:
    program = [
        sys.executable,
        "-c",
        "import sys; sys.exit('FATAL: could not write: No space left on device')",
    ]
    with pytest.raises(processes.UnreachableError) as caught:
        processes.run_tool(
            processes.launcher_command(program),
            tmp_path / "tool.log",
            cwd=tmp_path,
            environment={},
            failure="The tool failed.",
        )
    assert caught.value.what == "The tool failed."
    assert "The disk is full" in caught.value.remedy
    assert str(tmp_path / "tool.log") in caught.value.remedy


def test_an_unknown_failure_still_points_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("fine\nERROR all went wrong\n")
    assert processes.explain([log]) == f"Its log says: ERROR all went wrong Log: {log}"


def test_free_ports_are_free_and_a_taken_one_is_not() -> None:
    import socket

    first, second = ports.free_ports(2)
    assert first != second
    with socket.socket() as taken:
        taken.bind((ports.HOST, first))
        taken.listen()
        assert not ports.is_free(first)
        assert ports.accepts(first)
    assert ports.is_free(first)
    assert not ports.accepts(first)
