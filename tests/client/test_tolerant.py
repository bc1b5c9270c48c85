"""Batches with headers that are not UTF-8, or are invalid, are read."""

from __future__ import annotations

import pytest
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import ConsumerRecord, TopicPartition

from edgeloop import tolerant
from edgeloop.tolerant import DamagedBatchError, LocatingRecords, TolerantRecords
from tests.hostile import BAD_HEADERS, CODECS, READ_HEADERS, Record, builder

GOOD: Record = (b"k", b"v", [("name", b"x")])
BAD: Record = (b"bad", b"w", BAD_HEADERS)
BARE: Record = (None, None, [])


def read(data: bytes, records: type = TolerantRecords) -> list[ConsumerRecord]:
    """Unpack as aiokafka's fetcher does."""
    return list(unpacked(data, records))


def unpacked(data: bytes, records: type = TolerantRecords, start: int = 0) -> LocatingRecords:
    """What the fetcher makes of a response to a fetch from `start`."""
    at = TopicPartition("t", 0)
    return LocatingRecords(at, records(data), [], start, None, None, True, READ_COMMITTED)


@pytest.mark.parametrize("codec", CODECS)
def test_a_bad_name_is_read_and_nothing_beside_it_is_lost(codec: str) -> None:
    data = bytes(builder([GOOD, BAD, BARE, GOOD], codec, 5).build())
    with pytest.raises((UnicodeDecodeError, CorruptRecordException)):
        read(data, MemoryRecords)
    found = read(data)
    assert [(r.offset, r.key, r.value, r.timestamp) for r in found] == [
        (0, b"k", b"v", 5),
        (1, b"bad", b"w", 5),
        (2, None, None, 5),
        (3, b"k", b"v", 5),
    ]
    assert found[1].headers == READ_HEADERS
    assert found[0].headers == found[3].headers == (("name", b"x"),)


def test_what_aiokafka_reads_is_read_as_before() -> None:
    data = bytes(builder([GOOD, BARE] * 3, "zstd", 7).build())
    assert read(data + b"", TolerantRecords) == read(data, MemoryRecords)


def test_headers_that_make_no_sense_are_left_out() -> None:
    data = bytearray(builder([GOOD, GOOD], "none", 0).build())
    at = data.index(b"name") - 2
    assert data[at] == 2  # the number of headers, as a zigzag varint: 1
    data[at] = 100
    batch = tolerant._unpack(memoryview(bytes(data)))
    first, second = batch
    assert (first.key, first.value, first.headers[0]) == (b"k", b"v", ("name", b"x"))
    assert second.headers == [("name", b"x")]


def test_a_record_that_is_longer_than_its_batch_is_corrupt() -> None:
    data = bytes(builder([GOOD], "none", 0).build())
    with pytest.raises(CorruptRecordException):
        list(tolerant._unpack(memoryview(data)[:-3]))


def test_every_client_of_this_process_reads_so() -> None:
    import app.kafka.client

    assert app.kafka.client
    assert fetcher.MemoryRecords is TolerantRecords


def test_batches_before_a_damaged_one_are_read_and_then_it_is_named() -> None:
    def batch(first: int) -> bytearray:
        made = bytearray(builder([GOOD, BARE], "none", 0).build())
        made[:8] = first.to_bytes(8, "big")  # not part of the checksum
        return made

    damaged = batch(4)
    damaged[-1] ^= 0xFF
    response = bytes(batch(0) + batch(2) + damaged + batch(6))
    before = unpacked(response)
    assert [record.offset for record in before] == [0, 1, 2, 3]
    assert before.next_fetch_offset == 4
    with pytest.raises(DamagedBatchError, match="t partition 0 is damaged at offset 4: ") as error:
        list(unpacked(bytes(damaged + batch(6)), start=4))
    assert (error.value.topic, error.value.partition, error.value.offset) == ("t", 0, 4)
