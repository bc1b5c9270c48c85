"""The offsets that Faust commits after a batch is acknowledged: those that it would commit for its
records one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import TopicPartition
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from app.settings import Settings
from app.worker.batches import Batch, BatchingConsumer, cut
from app.worker.process import make_app

HERE = TP("t", 0)


@dataclass
class Record:
    """The part of a record that a batch needs."""

    offset: int
    timestamp: int = 0
    timestamp_type: int = 0


@pytest.fixture
async def consumer() -> BatchingConsumer:
    """A consumer that is not connected, of an app that acknowledges `t`."""
    app = make_app(Settings())
    app.topics._acking_topics.add(HERE.topic)
    made: Any = app.consumer
    assert isinstance(made, BatchingConsumer)
    return made


def take(consumer: BatchingConsumer, *offsets: int) -> Batch | None:
    """Hand over a batch as the fetch loop does, with aiokafka's type for the partition."""
    records = [Record(offset) for offset in offsets]
    batch = consumer._new_batch(TopicPartition(*HERE), records, 1)
    if batch is not None:
        consumer._read_offset[HERE] = batch.records[-1].offset
        batch.incref()
    return batch


def committable(consumer: BatchingConsumer) -> int | None:
    """The offset that Faust would commit now."""
    offset = consumer._filter_committable_offsets([HERE]).get(HERE)
    if offset is not None:
        consumer._committed_offset[HERE] = offset
    return offset


async def test_a_batch_is_committed_when_it_is_acknowledged(consumer: BatchingConsumer) -> None:
    batch = take(consumer, 0, 1, 2)
    assert batch is not None
    assert committable(consumer) is None
    assert batch.ack(consumer)
    assert committable(consumer) == 3
    assert not batch.ack(consumer), "once is enough"
    assert committable(consumer) is None


async def test_batches_acknowledged_out_of_order_wait_for_the_first(
    consumer: BatchingConsumer,
) -> None:
    consumer._committed_offset[HERE] = consumer._read_offset[HERE] = 10
    first, second = take(consumer, 10, 11), take(consumer, 12, 13)
    assert first is not None
    assert second is not None
    second.ack(consumer)
    assert committable(consumer) is None
    first.ack(consumer)
    assert committable(consumer) == 14


async def test_gaps_before_and_in_a_batch_count_as_done_with_it(
    consumer: BatchingConsumer,
) -> None:
    """Records that compaction removed, and markers that end a transaction, are never delivered."""
    consumer._committed_offset[HERE] = consumer._read_offset[HERE] = 10
    for offsets in ((11, 12, 15), (18, 19)):
        batch = take(consumer, *offsets)
        assert batch is not None
        batch.ack(consumer)
        assert committable(consumer) == offsets[-1] + 1


async def test_records_that_were_handed_over_are_not_handed_over_again(
    consumer: BatchingConsumer,
) -> None:
    take(consumer, 5, 6, 7)
    batch = take(consumer, 6, 7, 8)
    assert batch is not None
    # As in Faust, the last one may come twice; owners skip known records.
    assert [record.offset for record in batch.records] == [7, 8]
    assert take(consumer, 5, 6) is None


async def test_a_partition_that_was_lost_and_came_back_starts_anew(
    consumer: BatchingConsumer,
) -> None:
    old = take(consumer, 0, 1)
    assert old is not None
    for state in (consumer._acked, consumer._acked_index, consumer._committed_offset):
        state.pop(HERE, None)
    consumer._committed_offset[HERE] = consumer._read_offset[HERE] = 50
    old.ack(consumer)  # by an agent that had not finished it
    new = take(consumer, 50, 51)
    assert new is not None
    new.ack(consumer)
    assert committable(consumer) == 52


async def test_records_of_a_partition_that_streams_do_not_know_yet_wait(
    consumer: BatchingConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was frozen resumes in a new generation: the client has fetched from partitions
    that Faust has not told its streams of."""
    conductor: Any = consumer.app.topics
    got: list[int] = []
    back: list[tuple[TP, int]] = []

    async def fetched(_: float) -> tuple[dict[TopicPartition, list[Record]], None]:
        return {TopicPartition(*HERE): [Record(7), Record(8)]}, None

    async def handed_over(batch: Batch) -> None:
        got.extend(record.offset for record in batch.records)

    async def seek(tp: TP, offset: int) -> None:
        back.append((tp, offset))

    monkeypatch.setattr(consumer, "_wait_next_records", fetched)
    monkeypatch.setattr(consumer, "assignment", lambda: {HERE})
    monkeypatch.setattr(consumer, "seek", seek)
    monkeypatch.setattr(consumer, "highwater", lambda tp: 9)
    monkeypatch.setitem(conductor._tp_to_callback, HERE, handed_over)
    consumer.callback = handed_over
    consumer.flow_active = True

    await consumer._hand_over_a_fetch()
    assert (got, back) == ([], [(HERE, 7)])
    conductor._tp_index[HERE].add(object())
    await consumer._hand_over_a_fetch()
    assert (got, back) == ([7, 8], [(HERE, 7)])


@given(
    st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(), max_size=9)),
    st.integers(1, 4),
)
def test_a_fetch_is_cut_into_all_of_its_records_in_order(
    fetched: dict[str, list[int]], size: int
) -> None:
    found: dict[str, list[int]] = {}
    turns = []
    for tp, records in cut(fetched, size):  # type: ignore[arg-type, assignment]  # any key will do
        assert 0 < len(records) <= size
        found.setdefault(tp, []).extend(records)  # type: ignore[call-overload]
        turns.append(tp)
    assert found == {tp: records for tp, records in fetched.items() if records}
    assert len(set(turns[: len(found)])) == len(found), "each partition has its turn"
