"""The parts of a run: schedules, the proxy, and the check of a book."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from app.devstack.ports import free_ports
from tests.chaos.bookwatch import History, Look, Seen, older_than_said
from tests.chaos.clock import set_clock
from tests.chaos.faults import Faults
from tests.chaos.load import items
from tests.chaos.plan import FAULTS, schedule
from tests.chaos.proxy import Proxy
from tests.child import child
from tests.pipeline.installation import ROOT


def test_a_seed_is_a_schedule() -> None:
    assert schedule(7, 5) == schedule(7, 5) != schedule(8, 5)
    assert items(7, 50) == items(7, 50) != items(8, 50)


def test_every_fault_comes_and_none_begins_after_the_end() -> None:
    faults = schedule(3, 10)
    assert {fault.name for fault in faults} == set(FAULTS)
    assert [fault.at_s for fault in faults] == sorted(fault.at_s for fault in faults)
    assert faults[-1].at_s < 600
    assert {fault.name for fault in schedule(3, 10, ("kill", "cut"))} == {"kill", "cut"}


def test_the_input_has_hostile_records_among_good_ones() -> None:
    sent = items(1, 200)
    reasons = {item.reason for item in sent}
    assert {None, "not_json", "too_deep", "future_exit", "too_large"} <= reasons
    values = [item.close.value for item in sent if item.reason is None]
    assert len(set(values)) < len(values)
    assert any(item.headers for item in sent)


SEEN = {
    "k": [Seen(10, 1, False), Seen(20, 5, False), Seen(30, 3, False), Seen(40, 7, True)],
}


@pytest.mark.parametrize(
    ("complete_to", "held", "fine"),
    [
        (5, None, True),
        (5, 1, True),
        (15, 1, True),
        (15, 5, True),
        (15, None, True),  # the tombstone of version 7 may have arrived already
        (25, 1, False),
        (25, 5, True),
        (35, 3, False),
        (35, 5, True),
        (45, 5, False),
        (45, 7, False),  # it is gone
        (45, None, True),
    ],
)
def test_what_a_book_may_hold(complete_to: float, held: int | None, fine: bool) -> None:
    look = Look(complete_to, {} if held is None else {"k": held})
    histories = {key: History(seen) for key, seen in SEEN.items()}
    assert (older_than_said(look, histories) == []) == fine


CLOCK = """
import sys, time
real = time.time
from tests.chaos.clock import install
from pathlib import Path
install(Path(sys.argv[1]))
for line in sys.stdin:
    print(round(time.time() - real()), round(time.time_ns() / 1e9 - real()), flush=True)
"""


def test_a_clock_is_set_while_a_program_runs(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    with subprocess.Popen(
        child("-c", CLOCK, str(file)),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None

        def off() -> str:
            program.stdin.write("?\n")  # type: ignore[union-attr]
            program.stdin.flush()  # type: ignore[union-attr]
            return program.stdout.readline().strip()  # type: ignore[union-attr]

        assert off() == "0 0"
        set_clock(file, -86_400.0)
        assert off() == "-86400 -86400"
        set_clock(file, 3_000.0)
        assert off() == "3000 3000"


DISK = """
import sys
from pathlib import Path
from tests.chaos.disk import Disk, own_mounts
try:
    own_mounts()
except OSError:
    sys.exit("may not be mounted")
disk = Disk(Path(sys.argv[1]), 4_000_000)
kept = (disk.folder / "below" / "kept").read_text()
disk.fill()
try:
    (disk.folder / "more").write_bytes(bytes(10_000))
except OSError as error:
    print(error.strerror)
disk.free()
(disk.folder / "more").write_bytes(bytes(10_000))
disk.close()
print(kept, list(disk.folder.iterdir()))
"""


def test_a_disk_is_filled_that_nobody_else_sees(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "kept").write_text("kept")
    done = subprocess.run(
        child("-c", DISK, str(folder)), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert str(folder) not in Path("/proc/self/mounts").read_text()
    if os.geteuid() == 0 and done.stderr.strip() != "may not be mounted":
        assert (done.stdout, done.stderr) == ("No space left on device\nkept []\n", "")
    else:
        assert (done.returncode, done.stderr.strip()) == (1, "may not be mounted")


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that echoes its input."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection:
                try:
                    while data := connection.recv(100):
                        connection.sendall(data)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def ended(client: socket.socket) -> bool:
    """Whether the other side has ended the connection, in any way."""
    try:
        return client.recv(10) == b""
    except ConnectionResetError:
        return True


def test_the_proxy_passes_delays_holds_and_cuts(echo: int) -> None:
    (port,) = free_ports(1)
    with Proxy(port, echo) as proxy:
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(b"one")
            assert client.recv(10) == b"one"
            proxy.delay_s = 0.1
            began = time.monotonic()
            client.sendall(b"two")
            assert client.recv(10) == b"two"
            assert time.monotonic() - began >= 0.2  # there and back
            proxy.delay_s = 0.0
            proxy.hold()
            client.settimeout(0.3)
            client.sendall(b"three")
            with pytest.raises(TimeoutError):
                client.recv(10)
            client.settimeout(5)
            proxy.release()
            assert client.recv(10) == b"three"
            proxy.cut()
            assert ended(client)
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(b"again")
            assert client.recv(10) == b"again"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)


@pytest.mark.parametrize(
    ("code", "text", "away", "again"),
    [
        (4, "waiting_for_broker", True, True),
        (4, "waiting_for_broker", False, False),
        (4, "hydrated", True, False),
        (70, "waiting_for_broker", True, False),
    ],
)
def test_only_a_worker_that_waited_in_vain_before_it_joined_is_started_again(
    code: int, text: str, *, away: bool, again: bool
) -> None:
    worker = MagicMock()
    worker.process.poll.return_value = code
    worker.text.return_value = text
    worker.check.side_effect = AssertionError("it ended")
    installation = MagicMock(workers=[worker])
    faults = Faults(installation, MagicMock(), lambda _: None)
    faults._note_away("broker kill" if away else "postgres kill")
    if again:
        faults._check()
        assert installation.workers == []
        installation.start.assert_called_once()
    else:
        with pytest.raises(AssertionError, match="it ended"):
            faults._check()
