"""Read records with malformed headers, which neither the broker nor a producer checks, and say
where a log is damaged.

aiokafka decodes the names of headers as UTF-8 while it unpacks a batch.  A name that is not UTF-8
raises in the middle of the batch, at every attempt: one such record would stop every reader of its
partition for good.  Here a batch that aiokafka cannot unpack is unpacked again, record by record:
invalid bytes in a name become escapes (`trace\\xff`), and an invalid header, key or value is left
out.  All other batches are unpacked as before.

A batch whose checksum is wrong was damaged on the broker's disk or on the way.  aiokafka drops the
good batches of the same response and does not say which one it is.  Here the good batches before it
are delivered; only then `DamagedBatchError` names the place.

May touch: aiokafka (`install` replaces the classes by which its fetcher unpacks batches).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import aiokafka.consumer.fetcher as fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

_LENGTH_AT = 8  # in a batch, after its base offset
_MAGIC_AT = 16
_BEFORE_LENGTH = 12
_UNPACKING = (UnicodeDecodeError, CorruptRecordException, ValueError, IndexError)


def install() -> None:
    """Make every consumer of this process read this way; calling it again changes nothing."""
    fetcher.MemoryRecords = TolerantRecords
    fetcher.PartitionRecords = LocatingRecords


class DamagedBatchError(CorruptRecordException):  # type: ignore[misc]  # aiokafka has no types
    """The batch at this offset of a partition has a wrong checksum."""

    def __init__(self, topic: str, partition: int, offset: int) -> None:
        super().__init__(
            f"{topic} partition {partition} is damaged at offset {offset:,}: a checksum is wrong."
        )
        self.topic, self.partition, self.offset = topic, partition, offset

    @property
    def what(self) -> str:
        """The message in a sentence, without aiokafka's number of the error."""
        return str(self.args[0])


def as_unpacked(value: Any) -> Any:
    """As a consumer's `value_deserializer`: its records are those that aiokafka unpacks, with
    offset, timestamp, key, value and headers, but without topic and partition.  Making aiokafka's
    `ConsumerRecord` of each takes as long as unpacking it."""
    return value


class LocatingRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    """The records of a partition in a response; replaces aiokafka's `PartitionRecords`."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        unpacked: Iterator[Any] = self._records_iterator
        self._records_iterator: Any = self._located(unpacked)

    def __iter__(self) -> Iterator[Any]:
        # The iterator itself, which is resumed where it stopped: a call less for each record.
        return self._records_iterator or self

    def _located(self, records: Iterator[Any]) -> Iterator[Any]:
        try:
            yield from records
        except DamagedBatchError:
            raise
        except CorruptRecordException as error:
            topic, partition = self._tp
            raise DamagedBatchError(topic, partition, self.next_fetch_offset) from error

    def _consumer_record(self, tp: Any, record: Any) -> Any:
        if self._value_deserializer is as_unpacked:
            return record
        return super()._consumer_record(tp, record)


class TolerantRecords:
    """The batches of a broker's response; replaces aiokafka's `MemoryRecords` in its fetcher."""

    def __init__(self, data: bytes) -> None:
        self._records = MemoryRecords(data)
        self._data = data
        self._at = 0
        self._ahead: Any = None
        self._delivered = 0
        self.size_in_bytes = self._records.size_in_bytes

    def has_next(self) -> bool:
        """Whether there is another batch; a damaged one counts only as the first."""
        if self._ahead is None:
            self._ahead = self._take()
        if self._ahead is None:
            return False
        return not self._delivered or bool(self._ahead.validate_crc())

    def next_batch(self) -> Any:
        """The next batch."""
        taken, self._ahead = self._ahead or self._take(), None
        self._delivered += 1
        return taken

    def _take(self) -> Any:
        native, start = self._records.next_batch(), self._at
        if native is None:
            return None
        self._at += _BEFORE_LENGTH + struct.unpack_from(">i", self._data, start + _LENGTH_AT)[0]
        if self._data[start + _MAGIC_AT] < 2:  # has no headers
            return native
        return _Batch(native, memoryview(self._data)[start : self._at])


class _Batch:
    """A batch of aiokafka that also yields records which aiokafka cannot unpack."""

    def __init__(self, native: Any, data: memoryview) -> None:
        self._native = native
        self._data = data
        self._is_sound: bool | None = None

    def validate_crc(self) -> bool:
        """Whether the checksum is right; computed once."""
        if self._is_sound is None:
            self._is_sound = bool(self._native.validate_crc())
        return self._is_sound

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def __next__(self) -> Any:
        return next(self._native)

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self._native
        except _UNPACKING:
            # Start at the first record: the fetcher skips the offsets that it has already had.
            yield from _unpack(self._data)


class _Record(NamedTuple):
    """The attributes of a record that the fetcher reads."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    checksum: None = None


def _unpack(data: memoryview) -> Iterator[_Record]:
    """The records of a batch, separated by their length fields."""
    batch = _DefaultRecordBatchPy(data)
    batch._maybe_uncompress()
    buffer, at, count = batch._buffer, batch._pos, batch._num_records
    for _ in range(count):
        length, start = decode_varint(buffer, at)
        at = start + length
        if length < 0 or at > len(buffer):
            raise CorruptRecordException(f"A record of {length} bytes is not in its batch.")
        yield _record(batch, buffer[start:at])


def _record(batch: _DefaultRecordBatchPy, data: bytearray) -> _Record:
    """One record, up to its first invalid part; raises if even the offset is invalid."""
    _, at = decode_varint(data, 0)  # attributes: unused
    since, at = decode_varint(data, at)
    offset, at = decode_varint(data, at)
    appended = batch.timestamp_type == batch.LOG_APPEND_TIME
    timestamp = batch.max_timestamp if appended else batch.first_timestamp + since
    key: bytes | None = None
    value: bytes | None = None
    headers: list[tuple[str, bytes | None]] = []
    try:
        key, at = _bytes(data, at)
        value, at = _bytes(data, at)
        count, at = decode_varint(data, at)
        for _ in range(count):
            name, at = _bytes(data, at)
            content, at = _bytes(data, at)
            headers.append(((name or b"").decode(errors="backslashreplace"), content))
    except _UNPACKING:
        pass  # keep what has been read so far
    place = batch.base_offset + offset
    return _Record(place, timestamp, batch.timestamp_type, key, value, headers)


def _bytes(data: bytearray, at: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(data, at)
    if length < 0:
        return None, at
    if at + length > len(data):
        raise IndexError(f"{length} bytes are not in the record.")
    return bytes(data[at : at + length]), at + length
