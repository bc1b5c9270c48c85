"""The parts of a run: schedules, the proxy, and what a book may hold."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from app.devstack.ports import free_ports
from tests.chaos.bookwatch import History, Look, Seen, older_than_said
from tests.chaos.load import items
from tests.chaos.plan import FAULTS, schedule
from tests.chaos.proxy import Proxy


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
        (15, None, True),  # the tombstone of version 7 may have come already
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


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
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
    """Whether the other side has ended the connection, in whichever way."""
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
