"""The resources of a worker and a book do not grow with each rebalance, nor while the broker is
away."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from app.devstack import temporary_stack, up
from edgeloop import OverrideBook
from tests.pipeline.installation import POLL_S, Installation, Worker, wait
from tests.pipeline.test_another_log import SETTINGS
from tests.pipeline.test_dead_letters import good

pytestmark = [
    pytest.mark.stack,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(900),
]

ROUNDS = int(os.environ.get("REBALANCES", "12"))
WARM = 4
"""Number of warm-up rounds."""


@dataclass
class Held:
    """The resources of a process."""

    rss_mb: float
    descriptors: int
    threads: int
    tasks: int

    def grown(self, since: Held) -> str:
        """Growth beyond noise, such as a few MB of the allocator or a connection that is being
        opened."""
        allowed = Held(since.rss_mb + 12, since.descriptors + 6, since.threads + 3, since.tasks + 6)
        return ", ".join(
            f"{name} {getattr(since, name):g} → {getattr(self, name):g}"
            for name, most in vars(allowed).items()
            if getattr(self, name) > most
        )


def held(pid: int, tasks: int) -> Held:
    process = psutil.Process(pid)
    with process.oneshot():
        return Held(
            process.memory_info().rss / 1e6, process.num_fds(), process.num_threads(), tasks
        )


def held_by(worker: Worker) -> Held:
    return held(worker.pid, round(worker.metric("edgeloop_asyncio_tasks")))


def test_a_worker_does_not_grow_with_rebalances(install: Callable[..., Installation]) -> None:
    installation = install(**SETTINGS)
    (worker,) = installation.start_ready()
    installation.produce(good(200, "pm"))
    installation.until_idle()
    seen = []
    for _ in range(ROUNDS):
        other = installation.start(agents=("projector",))
        wait(other.ready, 60, "second worker", installation.logs)
        wait(lambda: installation.members() == 2, 60, "group of two", installation.logs)
        installation.terminate(other)
        wait(
            lambda: installation.members() == 1 and worker.ready(),
            60,
            "group of one",
            installation.logs,
        )
        seen.append(held_by(worker))
    assert worker.metric("edgeloop_rebalances_total", role="lesson_builder") > ROUNDS
    assert not (found := seen[-1].grown(seen[WARM - 1])), (found, seen)


def test_neither_worker_nor_book_grows_while_the_broker_stands_still_or_is_away(
    install: Callable[..., Installation], tmp_path: Path
) -> None:
    folder = tmp_path / "stack"
    with temporary_stack(folder) as own:
        installation = install(broker=own.broker, database_url=own.database_url, **SETTINGS)
        (worker,) = installation.start_ready()
        closes = good(200, "pm")
        seen, book_seen = [], []

        async def around() -> None:
            settings = installation.settings
            async with OverrideBook(settings.broker, topic_prefix=settings.topic_prefix) as book:
                for part in range(5):
                    await asyncio.to_thread(
                        installation.produce, closes[part * 40 : part * 40 + 40]
                    )
                    os.kill(own.broker_pid, signal.SIGSTOP)
                    try:
                        await asyncio.sleep(14.0)  # the group's session ends after 12 s
                    finally:
                        os.kill(own.broker_pid, signal.SIGCONT)
                    await asyncio.to_thread(
                        wait, worker.ready, 90, "worker that is back", installation.logs
                    )
                    await asyncio.to_thread(installation.until_idle, 90)
                    seen.append(held_by(worker))
                assert await book.ready(60)
                os.kill(own.broker_pid, signal.SIGKILL)
                for _ in range(6):
                    await asyncio.sleep(10.0)
                    gc.collect()
                    book_seen.append(
                        Held(
                            psutil.Process().memory_info().rss / 1e6,
                            psutil.Process().num_fds(),
                            threading.active_count(),
                            len(asyncio.all_tasks()),
                        )
                    )
                    seen.append(held_by(worker))
                await asyncio.to_thread(up, folder, die_with_parent=True)
                assert await book.ready(60)

        asyncio.run(around())
        give_up = time.monotonic() + 90
        while not worker.ready():
            assert time.monotonic() < give_up, worker.text()[-8_000:]
            time.sleep(POLL_S)
        seen.append(held_by(worker))
        assert not (found := seen[4].grown(seen[1])), (found, seen)
        assert not (found := seen[-2].grown(seen[5])), (found, seen)
        assert not (found := book_seen[-1].grown(book_seen[1])), (found, book_seen)
