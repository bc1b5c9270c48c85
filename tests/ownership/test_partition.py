"""Step 2 of the protocol without Kafka: which records are accepted, skipped, or read from the
log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from app.kafka.records import Outgoing
from app.ownership.partition import Partition, PartitionState


@dataclass
class Record:
    """The part of a record that the protocol needs."""

    offset: int
    key: bytes = b"k"
    topic: str = "t"
    partition: int = 0
    value: bytes | None = b"v"
    headers: tuple[tuple[str, bytes], ...] = ()


class Store:
    """A store that remembers its calls."""

    def __init__(self) -> None:
        self.settled = True
        self.unfinished = False
        self.progress: int | None = None
        self.needs_rebuild = False

    def fold(self, records: Sequence[Any], next_offset: int) -> None: ...

    def adopt(self, published: Iterable[Any]) -> None: ...

    def changes(self, full: bool) -> list[Outgoing]:
        return []


@pytest.fixture
def partition() -> Partition:
    """A partition that has folded the offsets 0 to 9."""
    made = Partition(0, Store())
    made.read_to(10)
    made.state, made.folded = PartitionState.CURRENT, False
    return made


def offsets(partition: Partition) -> list[int]:
    return [record.offset for record in partition.pending]


def test_the_next_offset_is_taken_in_and_older_ones_are_skipped(partition: Partition) -> None:
    for offset in (8, 10, 9, 11, 10):
        partition.receive([Record(offset)], now_s=1.0)
    assert offsets(partition) == [10, 11]
    assert (partition.state, partition.next_offset) == (PartitionState.CURRENT, 12)
    assert partition.last_new_s == 1.0


def test_after_a_gap_the_log_is_read_up_to_the_new_record(partition: Partition) -> None:
    partition.receive([Record(10)], now_s=1.0)
    partition.receive([Record(13)], now_s=1.0)
    partition.receive([Record(14)], now_s=1.0)
    assert (partition.state, partition.known_end) == (PartitionState.BEHIND, 15)
    assert offsets(partition) == [10], "what comes behind a gap is read from the log, in order"
    assert partition.take_pending() == ([Record(10)], 11)
    partition.read_to(14)
    partition.caught_up()
    assert partition.state is PartitionState.BEHIND, "the log had grown meanwhile"
    partition.read_to(15)
    partition.caught_up()
    assert partition.state is PartitionState.CURRENT
    partition.receive([Record(15)], now_s=2.0)
    assert offsets(partition) == [15]


def test_a_hydrating_partition_takes_nothing_from_faust() -> None:
    partition = Partition(0, Store())
    partition.receive([Record(0)], now_s=1.0)
    assert not partition.pending
    assert partition.state is PartitionState.HYDRATING


def test_progress_is_noted_when_nothing_is_left(partition: Partition) -> None:
    store = partition.store
    assert isinstance(store, Store)
    partition.receive([Record(10)], now_s=1.0)
    partition.note_done()
    assert partition.done_offset is None, "something is pending"
    partition.take_pending()
    store.settled = False
    partition.note_done()
    assert partition.done_offset is None, "something is to be sent"
    store.settled, store.needs_rebuild = True, True
    partition.note_done()
    assert partition.done_offset is None, "the state is not right"
    store.needs_rebuild = False
    partition.note_done()
    assert partition.done_offset == 11


def test_progress_is_noted_while_something_is_always_left(partition: Partition) -> None:
    store = partition.store
    assert isinstance(store, Store)
    store.settled = False
    for progress, noted in ((0, None), (7, 7), (None, 7), (5, 7), (9, 9)):
        store.progress = progress
        partition.note_done()
        assert partition.done_offset == noted
