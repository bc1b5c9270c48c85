"""Read records with malformed headers, which neither the broker nor a producer checks.

aiokafka decodes the names of headers as UTF-8 while it unpacks a batch.  A name that is not UTF-8
raises in the middle of the batch, at every attempt: one such record would end every reader of its
partition for good.  Here a batch that aiokafka cannot unpack is unpacked once more, record by
record: a bad name is read with backslashes in place of its bad bytes (`trace\\xff`), headers that
make no sense are left out, and so are a key or a value.  All other batches go through as before.

May touch: aiokafka (`install` replaces the class by which its fetcher unpacks batches).
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

_LENGTH_AT = 8  # of a batch, behind its base offset
_MAGIC_AT = 16
_BEFORE_LENGTH = 12
_UNPACKING = (UnicodeDecodeError, CorruptRecordException, ValueError, IndexError)


def install() -> None:
    """Let every consumer of this process read so; calling it again changes nothing."""
    fetcher.MemoryRecords = TolerantRecords


class TolerantRecords:
    """What aiokafka's `MemoryRecords` is to its fetcher: the batches of an answer of the broker."""

    def __init__(self, data: bytes) -> None:
        self._records = MemoryRecords(data)
        self._data = data
        self._at = 0
        self.size_in_bytes = self._records.size_in_bytes
        self.has_next = self._records.has_next

    def next_batch(self) -> Any:
        """The next batch."""
        native, start = self._records.next_batch(), self._at
        if native is None:
            return None
        self._at += _BEFORE_LENGTH + struct.unpack_from(">i", self._data, start + _LENGTH_AT)[0]
        if self._data[start + _MAGIC_AT] < 2:  # has no headers
            return native
        return _Batch(native, memoryview(self._data)[start : self._at])


class _Batch:
    """A batch as aiokafka makes it; its records even where aiokafka cannot unpack them."""

    def __init__(self, native: Any, data: memoryview) -> None:
        self._native = native
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def __next__(self) -> Any:
        return next(self._native)

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self._native
        except _UNPACKING:
            # From the first record on: the fetcher passes over the offsets that it has had.
            yield from _unpack(self._data)


class _Record(NamedTuple):
    """What the fetcher needs of a record."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    checksum: None = None


def _unpack(data: memoryview) -> Iterator[_Record]:
    """The records of a batch, each by the length that stands before it."""
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
    """One record, as far as it makes sense; without an offset it makes none."""
    _, at = decode_varint(data, 0)  # attributes, not in use
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
        pass  # what has been read so far is what there is
    place = batch.base_offset + offset
    return _Record(place, timestamp, batch.timestamp_type, key, value, headers)


def _bytes(data: bytearray, at: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(data, at)
    if length < 0:
        return None, at
    if at + length > len(data):
        raise IndexError(f"{length} bytes are not in the record.")
    return bytes(data[at : at + length]), at + length
