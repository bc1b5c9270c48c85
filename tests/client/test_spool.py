"""The spool: no accepted close is lost, whenever the process dies; none waits twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiokafka
import pytest

from edgeloop.integrations import Spool, SpoolError
from edgeloop.integrations import spool as module
from edgeloop.integrations.sender import CloseSender


def close(number: int, **more: Any) -> dict[str, Any]:
    return {"event_id": f"e{number}", "trade_id": f"t{number}", **more}


def drained(spool: Spool) -> list[str]:
    found = []
    while (waiting := spool.first()) is not None:
        found.append(json.loads(waiting.value)["event_id"])
        spool.sent(waiting)
    return found


def test_closes_leave_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert all(spool.put(close(i)) for i in (3, 1, 2))
    assert spool.count() == 3
    assert drained(spool) == ["e3", "e1", "e2"]
    assert spool.count() == 0


def test_order_and_content_outlive_the_process(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for i in range(12):
        spool.put(close(i))
    spool.sent(spool.first() or pytest.fail("nothing waits"))
    spool.close()
    again = Spool(tmp_path)
    assert again.put(close(99))
    assert drained(again) == [*(f"e{i}" for i in range(1, 12)), "e99"]


def test_what_waits_already_is_not_put_twice(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert spool.put(close(1))
    assert not spool.put(close(1))
    assert spool.put(close(1, revision=1))
    spool.close()
    again = Spool(tmp_path)
    assert not again.put(close(1))
    assert drained(again) == ["e1", "e1"]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with pytest.raises(SpoolError, match="Another process uses"):
        Spool(tmp_path)
    spool.close()
    Spool(tmp_path).close()


def test_a_write_that_was_cut_short_is_no_close(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put(close(1))
    spool.close()
    (tmp_path / "queue" / f"{2:020d}-abc.json.part").write_bytes(b'{"event_id": "e')
    again = Spool(tmp_path)
    assert again.count() == 1
    assert drained(again) == ["e1"]


def test_a_disk_that_fails_is_said_and_accepts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            spool.put(close(1))
    assert spool.count() == 0
    assert spool.put(close(1))
    assert drained(spool) == ["e1"]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"event_id": "e"}, "no trade_id"),
        ({"trade_id": "t"}, "no event_id"),
        (close(1, rr=float("nan")), "not JSON"),
        (close(1, at=object()), "not JSON"),
        (close(1, text="x" * 1_100_000), "at most"),
    ],
    ids=["no trade", "no id", "nan", "object", "too long"],
)
def test_what_no_worker_could_read_is_refused_at_once(
    tmp_path: Path, event: dict[str, Any], words: str
) -> None:
    spool = Spool(tmp_path)
    with pytest.raises(SpoolError, match=words):
        spool.put(event)
    assert spool.count() == 0


def test_a_close_that_the_broker_never_takes_does_not_hold_up_the_others(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put(close(1))
    spool.put(close(2))
    kept = spool.refuse(spool.first() or pytest.fail("nothing waits"), "too large")
    assert drained(spool) == ["e2"]
    assert json.loads(kept.read_bytes())["event_id"] == "e1"
    assert kept.with_suffix(".reason").read_text() == "too large"
    assert spool.refused() == 1


WRITER = """
import sys
from edgeloop.integrations import Spool
spool = Spool(sys.argv[1])
i = 0
while True:
    spool.put({"event_id": f"e{i}", "trade_id": f"t{i}", "text": "x" * 5000})
    spool.remember("open", {"step": i})
    print(i, flush=True)
    i += 1
"""


@pytest.mark.parametrize("after", [1, 17, 60])
def test_nothing_that_was_accepted_is_lost_when_the_process_is_killed(
    tmp_path: Path, after: int
) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    for _ in range(after):
        writer.stdout.readline()
    os.kill(writer.pid, signal.SIGKILL)
    reported = [after - 1, *map(int, writer.stdout.read().split())]
    writer.wait(timeout=30)
    spool = Spool(tmp_path)
    found = drained(spool)
    # One more may have been on disk before this was reported.
    assert found[: reported[-1] + 1] == [f"e{i}" for i in range(reported[-1] + 1)]
    assert len(found) <= reported[-1] + 2
    remembered = spool.recall("open")
    assert remembered is not None
    assert remembered["step"] in (reported[-1], reported[-1] + 1)


def test_open_trades_are_remembered_until_they_are_forgotten(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert spool.recall("t/1") is None
    spool.remember("t/1", {"actions": [1]})
    spool.remember("t/1", {"actions": [1, 2]})
    spool.close()
    again = Spool(tmp_path)
    assert again.recall("t/1") == {"actions": [1, 2]}
    again.forget("t/1")
    again.forget("t/1")
    assert again.recall("t/1") is None


def test_a_client_that_gives_a_close_up_does_not_end_its_sender(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka clients raise cancellations of their own while the broker goes away."""
    tries: list[str] = []

    class Client:
        def __init__(self, **_: Any) -> None:
            """No connection."""

        async def start(self) -> None:
            """Succeed."""

        async def send_and_wait(self, *_: Any, key: bytes) -> None:
            tries.append(key.decode())
            if len(tries) < 3:
                raise asyncio.CancelledError

        async def stop(self) -> None:
            raise asyncio.CancelledError

    monkeypatch.setattr(aiokafka, "AIOKafkaProducer", Client)
    sender = CloseSender("127.0.0.1:1", Spool(tmp_path))
    sender.start()
    sender.send(close(1))
    assert sender.stop(timeout=20)
    assert tries == ["t1"] * 3
    assert sender.status.sent == 1
