"""Kafka is replaced by an empty one under running clients, and compaction leaves holes in a log."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from app.devstack import temporary_stack, up
from app.devstack.kafka import Kafka
from edgeloop import ThreadedOverrideBook
from schemas import kinds
from tests.pipeline.installation import Installation, wait
from tests.pipeline.test_another_log import (
    ACCEPT,
    SETTINGS,
    learned,
    refused,
    reversed_closes,
    run,
    succeeded,
)
from tests.pipeline.test_dead_letters import good

pytestmark = [
    pytest.mark.stack,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(400),
]


@pytest.fixture
def own(
    tmp_path_factory: pytest.TempPathFactory, install: Callable[..., Installation]
) -> Iterator[tuple[Installation, Path]]:
    """An installation on a stack of its own, and the stack's folder."""
    folder = tmp_path_factory.mktemp("own")
    with temporary_stack(folder) as stack:
        installation = install(broker=stack.broker, database_url=stack.database_url, **SETTINGS)
        yield installation, folder
        installation.kill_all()


def test_kafka_is_replaced_under_a_worker_and_a_book(own: tuple[Installation, Path]) -> None:
    """The worker ends and names the remedy; the book recovers by itself."""
    installation, folder = own
    settings = installation.settings
    (worker,) = installation.start_ready()
    first = good(120, "pm")
    installation.produce(first)
    installation.until_idle()
    before = installation.current(kinds.OVERRIDES)
    assert before
    with ThreadedOverrideBook(settings.broker, topic_prefix=settings.topic_prefix) as book:
        assert book.ready(30)
        assert book.status.overrides == len(before)
        kafka = Kafka(folder / "kafka", [])
        kafka.stop()
        shutil.rmtree(folder / "kafka" / "data")
        up(folder, die_with_parent=True)
        succeeded(installation, "topics", "create")
        refused(installation, worker, "another cluster", deadline_s=90)
        wait(lambda: book.status.overrides == 0, 90, "book of the new log")
        as_advised(installation)
        second = reversed_closes(first, "pm")
        installation.produce(second)
        learned(installation, second)
        after = installation.current(kinds.OVERRIDES)
        assert after
        wait(lambda: book.status.overrides == len(after), 60, "book that has the new overrides")


def as_advised(installation: Installation) -> None:
    """Start a worker and follow the remedy that it names when it ends, until one keeps running.

    The previous worker may have published its state to the new log before it noticed, so several
    remedies may be needed.
    """
    for _ in range(3):
        worker = installation.start()
        wait(
            lambda: worker.process.poll() is not None or worker.get("/readyz")[0] == 200,  # noqa: B023
            90,
            "worker that is ready or ends",
            installation.logs,
        )
        if worker.process.poll() is None:
            return
        installation.workers.remove(worker)
        assert worker.process.returncode == 3, worker.text()[-4_000:]
        words = ("topics", "accept") if ACCEPT in worker.text() else ("rebuild",)
        assert f"faust -A app {' '.join(words)}" in worker.text()
        # A worker that has ended counts for another 12 seconds.
        done: list[Result] = []
        wait(
            lambda: done.append(run(installation, *words, "--yes")) or done[-1].exit_code == 0,  # noqa: B023
            40,
            "remedy that is carried out",
            lambda: done[-1].output,  # noqa: B023
        )
    raise AssertionError("what workers advise does not help")


def test_a_log_with_holes_is_read_and_passed(install: Callable[..., Installation]) -> None:
    """A restart reads the same state and publishes nothing; offsets pass the holes; the tables can
    be refilled."""
    installation = install(**SETTINGS)
    compacted = (kinds.LESSONS, kinds.OVERRIDES)
    installation.configure(
        compacted,
        {
            "segment.ms": "1000",
            "min.cleanable.dirty.ratio": "0.01",
            "max.compaction.lag.ms": "1000",
        },
    )
    (worker,) = installation.start_ready()
    sent = []
    for part in range(4):  # the same groups again and again: their keys repeat
        sent += (closes := good(80, "pm")[part * 20 : part * 20 + 20])
        installation.produce(closes)
        installation.until_idle()

    def holes() -> bool:
        return all(
            len(installation.read(name)) < installation.records_in(name) for name in compacted
        )

    def rolled_and_cleaned() -> bool:
        # A segment is closed by the next record after its time, and only closed ones are compacted.
        closes = reversed_closes(good(2, "pm"), "pm")
        if holes():
            return True
        if len(sent) < 82:
            sent.extend(closes)
        installation.produce(closes)
        installation.until_idle()
        return holes()

    wait(rolled_and_cleaned, 120, "holes", installation.logs)
    learned(installation, sent)
    strangers_tombstones(installation)
    learned(installation, sent)
    before = {name: installation.records_in(name) for name in kinds.KINDS}
    installation.terminate(worker)
    installation.start_ready()
    learned(installation, sent)
    assert {name: installation.records_in(name) for name in kinds.KINDS} == before
    installation.terminate_all()
    succeeded(installation, "rebuild", "--yes")
    installation.start_ready()
    learned(installation, sent)
    assert run(installation, "doctor", "--json").exit_code == 0


def strangers_tombstones(installation: Installation) -> None:
    """Write foreign tombstones as the last records of the lessons, which compaction would keep.
    Returns when their owner has written the lessons again after them."""
    lessons = installation.read(kinds.LESSONS)
    newest = {record.key: record for record in lessons if record.value is not None}
    hidden = [newest[key] for key in sorted(newest)[:3]]
    assert hidden
    for record in hidden:
        installation.send(kinds.LESSONS, record.key, None, record.partition)

    def on_top() -> bool:
        last = {record.key: record for record in installation.read(kinds.LESSONS)}
        return all(last[record.key].value == record.value for record in hidden)

    wait(on_top, 60, "lessons behind the tombstones", installation.logs)
