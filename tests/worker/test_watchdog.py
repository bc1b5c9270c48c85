"""The watchdog reports stalls, and ignores roles that make progress or have nothing to do."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from app.kafka.retry import Stopping
from app.metrics import MEMORY_FULL
from app.settings import Settings
from app.worker import memory, watchdog
from app.worker.watchdog import Unmoved, Watchdog
from schemas import kinds
from tests.pipeline.conftest import install
from tests.pipeline.installation import ROOT, Installation
from tests.stages.making import close

__all__ = ["install"]
TP = TopicPartition("t", 0)


def test_only_what_waits_at_one_offset_is_unmoved() -> None:
    unmoved = Unmoved()
    assert unmoved.look({TP: 5}, {TP: 9}, 0.0) == {TP: 0.0}
    assert unmoved.look({TP: 5}, {TP: 20}, 100.0) == {TP: 100.0}
    assert unmoved.look({TP: 6}, {TP: 20}, 130.0) == {TP: 0.0}, "it has moved"
    assert unmoved.look({TP: 20}, {TP: 20}, 140.0) == {}, "it has nothing to do"
    assert unmoved.look({TP: 20}, {TP: 21}, 500.0) == {TP: 0.0}
    unmoved.passed(TP)
    assert unmoved.look({TP: 20}, {TP: 21}, 900.0) == {TP: 0.0}


class Signal:
    def connect(self, *_: object) -> None:
        """Nothing is sent here."""


def frozen_app(settings: Settings) -> Any:
    """A worker's app that owns partition 0 of the closes and never reads it."""
    tp = TopicPartition(settings.topic(kinds.CLOSES), 0)
    return SimpleNamespace(
        rebalancing=False,
        should_stop=False,
        consumer=SimpleNamespace(assignment=lambda: {tp}),
        on_rebalance_complete=Signal(),
        on_before_shutdown=Signal(),
        task=lambda function: function,
    )


@pytest.mark.stack
def test_closes_that_nobody_takes_are_a_stall_and_transactions_marks_are_not(
    install: Callable[..., Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = install(partitions=1)
    monkeypatch.setattr(watchdog, "STALLED_S", 0.0)
    settings = installation.settings
    dog = Watchdog(frozen_app(settings), settings)
    monkeypatch.setattr(watchdog, "_beats", {})

    async def look() -> None:
        give_up = time.monotonic() + 30
        while True:
            try:
                return await dog._look()
            except KafkaError:  # a new cluster has no coordinator yet
                assert time.monotonic() < give_up
                await asyncio.sleep(0.2)

    async def look_twice() -> list[str]:
        await look()
        await look()
        return [word for word, _ in dog.reasons]

    async def abort() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=settings.broker, transactional_id="dog")
        await producer.start()
        await producer.begin_transaction()
        await producer.send_and_wait(settings.topic(kinds.CLOSES), b"{}", partition=0)
        await producer.abort_transaction()
        await producer.stop()

    async def watch() -> tuple[list[str], list[str], list[str]]:
        await dog._on_joined()
        nothing = await look_twice()
        await abort()
        marks = await look_twice()
        await asyncio.to_thread(
            installation.send, kinds.CLOSES, b"k", close(1, 1.0, "sol").value, 0
        )
        give_up = time.monotonic() + 30
        while not (
            something := await look_twice()
        ):  # a loaded broker may take longer than one read
            assert time.monotonic() < give_up
        await dog.stop()
        return nothing, marks, something

    assert asyncio.run(watch()) == ([], [], ["stalled"])


def test_a_learner_whose_round_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(agents=("lesson_builder",))
    dog = Watchdog(frozen_app(settings), settings)
    monkeypatch.setattr(watchdog, "_beats", {})
    watchdog.beat("lesson_builder")
    watchdog._beats["lesson_builder"] -= watchdog.STALLED_S + 1
    asyncio.run(dog._look())
    assert dog.reasons == [], "it has not joined: it may be reading its partitions"
    asyncio.run(dog._on_joined())
    asyncio.run(dog._look())
    assert [word for word, _ in dog.reasons] == ["stalled"]


def test_an_event_loop_that_turns_no_more_ends_the_process() -> None:
    program = """
import asyncio, time
from types import SimpleNamespace
from app.settings import Settings
from app.worker import watchdog

class Signal:
    def connect(self, *_): pass

watchdog.STALLED_S = 2
app = SimpleNamespace(
    on_rebalance_complete=Signal(), on_before_shutdown=Signal(), task=lambda f: f, should_stop=False
)

async def main():
    dog = watchdog.Watchdog(app, Settings())
    running = asyncio.create_task(dog.run())
    await asyncio.sleep(1.5)
    time.sleep(60)

asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=40, check=False
    )
    assert ended.returncode == 70, ended


def test_limits_are_read_from_both_kinds_of_groups(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("4:memory:/jobs/a\n0::/box\n")
    old, new = tmp_path / "sys/fs/cgroup/memory/jobs/a", tmp_path / "sys/fs/cgroup/box"
    old.mkdir(parents=True)
    new.mkdir(parents=True)
    assert memory.limits(tmp_path)[0] is None
    (old / "memory.limit_in_bytes").write_text(f"{2**63 - 4096}\n")
    (new / "memory.max").write_text("max\n")
    assert memory.limits(tmp_path)[0] is None, "no limit is no limit"
    (new / "memory.max").write_text("512000000\n")
    assert memory.limits(tmp_path)[0] == 512_000_000
    (old / "memory.limit_in_bytes").write_text("300000000\n")
    assert memory.limits(tmp_path)[0] == 300_000_000


def test_near_the_limit_input_pauses_until_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used = [1.1, 1.1, 1.1, 0.5]
    monkeypatch.setattr(memory, "part_used", lambda: used[0] if len(used) == 1 else used.pop(0))
    asyncio.run(memory.room("lesson_builder", lambda: False))
    assert used == [0.5]
    assert MEMORY_FULL.labels("lesson_builder")._value.get() == 0
    used[:] = [1.1]
    with pytest.raises(Stopping):
        asyncio.run(memory.room("lesson_builder", lambda: True))


def test_a_limit_of_the_address_space_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 30, resource.RLIM_INFINITY))
    assert memory.limits()[1] == 1 << 30
    monkeypatch.setattr(memory, "_LIMITS", (None, 1))
    assert memory.is_full()
    monkeypatch.setattr(memory, "_LIMITS", (None, None))
    assert not memory.is_full()
