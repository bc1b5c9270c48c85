"""Batches on a real broker: a kill, a rebalance and gaps in the log lose no record, and nothing is
committed before its body is done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from app.devstack import StackInfo
from app.kafka import topics
from app.settings import Settings
from schemas.kinds import CLOSES, FACTS
from tests.contract.test_faust import Toy

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]


@pytest.fixture
def toys(stack: StackInfo, tmp_path: Path) -> Iterator[tuple[Toy, Toy]]:
    """Two workers of one group that have not been started."""
    name = f"b{time.time_ns():x}"
    settings = Settings(
        broker=stack.broker, topic_prefix=f"{name}.", consumer_group=name, partitions=1
    )
    asyncio.run(topics.create(settings))
    made = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        made.append(Toy(settings, folder))
    yield made[0], made[1]
    for toy in made:
        if toy.process is not None:
            toy.process.kill()
            toy.process.wait()


def test_many_records_are_one_event_and_committed_to_the_last(toys: tuple[Toy, Toy]) -> None:
    toy, _ = toys
    toy.send(CLOSES, *[b"close"] * 2_500)
    toy.start()
    toy.wait(lambda: len(toy.offsets("raising")) >= 2_500, "all records")
    assert toy.offsets("raising") == list(range(2_500))
    assert len(toy.notes("raising")) < 100
    toy.wait(lambda: toy.committed(CLOSES) == 2_500, "commit of the last")


def test_a_killed_worker_has_committed_nothing_of_the_batch_in_its_body(
    toys: tuple[Toy, Toy],
) -> None:
    toy, _ = toys
    toy.start()
    toy.send(FACTS, *[b"fact"] * 300)
    toy.wait(lambda: toy.offsets("holding"), "records to hold")
    # Commits are made meanwhile.
    toy.send(CLOSES, b"close")
    toy.wait(lambda: toy.committed(CLOSES) == 1, "a commit of another topic")
    assert toy.process is not None
    toy.process.kill()
    toy.process.wait(10)
    assert toy.committed(FACTS) <= 0
    held = len(toy.offsets("holding"))
    toy.release(True)
    toy.start()
    toy.wait(lambda: len(toy.offsets("holding")) >= held + 300, "the records once more", 60)
    assert toy.offsets("holding")[held:] == list(range(300))
    toy.wait(lambda: toy.committed(FACTS) == 300, "commit after the body")


def test_a_rebalance_waits_for_the_body_and_the_other_goes_on_behind_it(
    toys: tuple[Toy, Toy],
) -> None:
    first, second = toys
    first.release(True)
    second.release(True)
    first.start()
    first.send(FACTS, *[b"fact"] * 100)
    first.wait(lambda: len(first.offsets("holding")) == 100, "records")
    second.start()
    second.wait(lambda: second.notes("rebalance"), "the second worker's rebalance", 60)
    first.send(FACTS, *[b"fact"] * 100)
    first.wait(lambda: first.committed(FACTS) == 200, "commit of all", 60)
    seen = first.offsets("holding") + second.offsets("holding")
    assert sorted(set(seen)) == list(range(200))


def test_gaps_in_the_log_are_passed_and_committed(toys: tuple[Toy, Toy]) -> None:
    """An aborted transaction, and the markers that end one, take offsets that are never
    delivered."""
    toy, _ = toys
    toy.release(True)
    toy.start()
    toy.send(FACTS, b"fact")  # offset 0
    options = {"bootstrap.servers": toy.settings.broker, "transactional.id": f"t{time.time_ns()}"}
    producer = Producer(options)
    producer.init_transactions(30)
    for end in (producer.abort_transaction, producer.commit_transaction):
        producer.begin_transaction()
        for _ in range(3):
            producer.produce(toy.settings.topic(FACTS), b"fact", b"key")
        producer.flush(30)
        end(30)
    # 1 to 3 aborted, 4 the marker, 5 to 7 committed, 8 the marker
    toy.send(FACTS, b"fact", b"fact")  # 9 and 10
    toy.wait(lambda: 10 in toy.offsets("holding"), "the last record")
    assert toy.offsets("holding") == [0, 5, 6, 7, 9, 10]
    toy.wait(lambda: toy.committed(FACTS) == 11, "commit past the gaps")
