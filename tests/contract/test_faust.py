"""The behaviour of Faust that agents and owners rely on, tested on a real broker: when it commits,
where it starts, how it stops.

Faust and aiokafka are pinned; these tests show what changes when the pins move.  The app is
`toy.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiokafka.codec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from app.devstack import StackInfo
from app.kafka import topics
from app.settings import Settings
from schemas.kinds import CLOSES, FACTS, LESSONS
from tests.child import faust

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[2]
START_AT = 5  # as in toy.py, which reads the environment when it is imported


class Toy:
    """A worker of the toy app in a folder of its own."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.home = folder / "home"
        self.home.mkdir()
        self._notes = folder / "notes"
        self._log = folder / "log"
        self._release = folder / "release"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        python_path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                faust("worker", "-l", "info", "--without-web", app="tests.contract.toy"),
                cwd=self.home,
                env={
                    **os.environ,
                    **self.settings.environment(),
                    "TOY_NOTES": str(self._notes),
                    "PYTHONPATH": python_path,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def notes(self, kind: str) -> list[dict[str, Any]]:
        text = self._notes.read_text() if self._notes.exists() else ""
        return [note for line in text.splitlines() if (note := json.loads(line))["kind"] == kind]

    def offsets(self, kind: str) -> list[int]:
        return [offset for note in self.notes(kind) for offset in note["offsets"]]

    def release(self, yes: bool) -> None:
        if yes:
            self._release.touch()
        else:
            self._release.unlink(missing_ok=True)

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def send(self, topic: str, *values: bytes) -> None:
        producer = Producer({"bootstrap.servers": self.settings.broker, "log_level": 4})
        errors = []
        for value in values:
            producer.produce(
                self.settings.topic(topic),
                value,
                b"key",
                on_delivery=lambda error, _: errors.append(error),
            )
        assert producer.flush(30) == 0
        assert errors == [None] * len(values)

    def committed(self, topic: str) -> int:
        """The committed offset; -1001 where there is none."""
        options = {
            "bootstrap.servers": self.settings.broker,
            "group.id": self.settings.consumer_group,
            "log_level": 4,
        }
        consumer = Consumer(options)
        try:
            return consumer.committed([TopicPartition(self.settings.topic(topic), 0)], 20)[0].offset
        finally:
            consumer.close()

    def wait(self, condition: Callable[[], object], what: str, deadline_s: float = 40.0) -> None:
        give_up = time.monotonic() + deadline_s
        while not condition():
            assert time.monotonic() < give_up, (
                f"no {what} within {deadline_s} s\n{self.log()[-6_000:]}"
            )
            time.sleep(0.05)

    def end(self) -> int:
        assert self.process is not None
        code = self.process.wait(40)
        self.process = None
        return code


@pytest.fixture(scope="module")
def toy(stack: StackInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    """A worker started after the records: 10 to hold, 3 to raise at, and 8, of which it should skip
    the first 5."""
    folder = tmp_path_factory.mktemp("toy")
    name = f"c{time.time_ns():x}"
    settings = Settings(
        broker=stack.broker, topic_prefix=f"{name}.", consumer_group=name, partitions=1
    )
    asyncio.run(topics.create(settings))
    made = Toy(settings, folder)
    made.send(FACTS, *[b"fact"] * 10)
    made.send(CLOSES, b"close", b"close", b"raise")
    made.send(LESSONS, *[b"lesson"] * 8)
    made.start()
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.wait()


def test_rebalance_complete_is_awaited_before_streams_start_at_the_committed_offsets(toy: Toy):
    toy.wait(lambda: len(toy.offsets("started")) >= 8 - START_AT, "records of the third topic")
    assert toy.notes("committed") == [{"kind": "committed", "done": True, "assigned": True}]
    assert toy.offsets("started") == list(range(START_AT, 8))


def test_partitions_are_assigned_by_fausts_own_assignor(toy: Toy):
    """Faust uses aiokafka's round-robin assignor only with table_standby_replicas=0.  Members with
    different assignors cannot be in one group."""
    toy.wait(lambda: "performing partition assignments using faust" in toy.log(), "assignment")


def test_an_exception_in_a_body_acknowledges_its_batch(toy: Toy):
    """Therefore our bodies never raise."""
    toy.wait(lambda: toy.committed(CLOSES) == 3, "commit of the batch that raised")
    toy.send(CLOSES, b"close")
    toy.wait(lambda: 3 in toy.offsets("raising"), "next record")
    assert toy.offsets("raising") == [0, 1, 2, 3]


def test_a_batch_is_acknowledged_after_its_body_and_not_before(toy: Toy):
    toy.wait(lambda: toy.offsets("holding"), "records to hold")
    # Offsets of the other topics have been committed meanwhile, so this topic's would have been,
    # too.
    toy.send(CLOSES, b"close")
    toy.wait(lambda: toy.committed(CLOSES) == 5, "a commit while the body runs")
    assert toy.committed(FACTS) <= 0
    toy.release(True)
    toy.wait(lambda: toy.committed(FACTS) == 10, "commit after the body")
    assert sorted(toy.offsets("holding")) == list(range(10))


def test_a_stop_waits_for_the_body_and_commits_its_batch(toy: Toy):
    toy.release(False)
    toy.send(FACTS, b"fact")
    toy.wait(lambda: 10 in toy.offsets("holding"), "the record")
    assert toy.process is not None
    toy.process.terminate()
    # The stop is in progress, and the body is not done.
    toy.wait(lambda: "Stopping..." in toy.log(), "a stop")
    assert toy.process.poll() is None
    assert toy.committed(FACTS) == 10
    toy.release(True)
    assert toy.end() == 0, toy.log()[-6_000:]
    assert toy.committed(FACTS) == 11


def test_dying_in_a_body_commits_nothing(toy: Toy):
    toy.send(FACTS, b"die")
    toy.start()
    assert toy.end() == 70, toy.log()[-6_000:]
    assert toy.offsets("holding")[-1] == 11
    assert toy.committed(FACTS) == 11


def test_nothing_is_written_into_the_working_folder(toy: Toy):
    assert list(toy.home.iterdir()) == []


def test_what_is_printed_is_not_made_a_log_record(toy: Toy):
    assert toy.log().splitlines().count("a plain line") == 2  # from two starts


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_the_client_can_read_every_codec(codec: str):
    assert getattr(aiokafka.codec, f"has_{codec}")()


def test_our_commands_stand_beside_fausts():
    help_text = subprocess.run(
        [sys.executable, "-m", "faust", "-A", "app", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    listed = {
        line.split()[0] for line in help_text.partition("Commands:")[2].splitlines() if line.strip()
    }
    ours = {
        "stack",
        "topics",
        "migrate",
        "produce",
        "status",
        "overrides",
        "lessons",
        "resolve",
        "doctor",
    }
    assert {"worker", "agents"} | ours <= listed


def test_a_command_without_a_broker_says_so_and_exits_with_4():
    environment = {**os.environ, "EDGELOOP_BROKER": "127.0.0.1:1"}
    result = subprocess.run(
        [sys.executable, "-m", "faust", "-A", "app", "topics", "check"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 4, result.stderr
    assert "127.0.0.1:1" in result.stderr
    assert "Traceback" not in result.stderr
