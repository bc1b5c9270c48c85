"""What counts as published: by version, whatever other programs have written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from app.kafka.records import MAX_VERSION, Outgoing
from app.ownership.publication import Published

PARTITION = 1
JUNK = b"{"


@dataclass
class Record:
    offset: int
    version: int | None
    value: bytes | None = b"v"
    key: bytes = b"a"
    topic: str = "t"
    partition: int = 0

    @property
    def headers(self) -> tuple[tuple[str, bytes], ...]:
        version = () if self.version is None else (("version", str(self.version).encode()),)
        return (*version, ("writer", b"w"))


def route(record: Any) -> int | None:
    assert record.value is not None
    return None if record.value == JUNK else PARTITION


def made(*records: Record) -> Published:
    published = Published(route)
    for record in records:
        published.add(record)
    hiding = published.forget_unreadable()
    for record in records:
        if (record.topic, record.key) in hiding:
            published.add_readable(record)
    return published


def offsets(shares: dict[int, list[Any]]) -> dict[int, list[int]]:
    return {p: [record.offset for record in share] for p, share in shares.items()}


def outgoing(version: int, value: bytes | None = b"v") -> Outgoing:
    return Outgoing("t", 0, b"a", value, (("version", str(version).encode()),))


def test_a_late_record_is_covered_by_the_highest_version() -> None:
    published = made(Record(0, 5), Record(1, 4, b"late"), Record(2, 5, key=b"b"))
    shares, covered = published.share([0, PARTITION])
    assert offsets(shares) == {0: [], PARTITION: [0, 2]}
    assert covered == [outgoing(5)]


def test_a_late_record_does_not_bring_back_what_was_retired() -> None:
    published = made(Record(0, 5, None), Record(1, 4, b"late"))
    assert published.share([PARTITION]) == ({PARTITION: []}, [outgoing(5, None)])


def test_what_is_of_no_partition_of_ours_is_left_alone() -> None:
    published = made(Record(0, 5), Record(1, 4, b"late"), Record(2, 5, None, key=b"b"))
    assert published.share([0]) == ({0: []}, [])


@pytest.mark.parametrize(
    "junk",
    [Record(1, MAX_VERSION, JUNK), Record(1, 7, JUNK), Record(1, 5, JUNK), Record(1, None)],
    ids=["highest", "higher", "equal", "no version"],
)
def test_what_cannot_be_read_counts_as_absent_whatever_its_version(junk: Record) -> None:
    shares, covered = (published := made(Record(0, 5), junk)).share([PARTITION])
    assert offsets(shares) == {PARTITION: [0]}
    assert covered == [outgoing(5)]
    assert published.beyond({0: 9, PARTITION: 9}) == ""
    assert made(junk).share([PARTITION]) == ({PARTITION: []}, [])


@pytest.mark.parametrize(
    ("records", "found"),
    [
        ([Record(0, 9)], False),
        ([Record(0, 10)], True),
        ([Record(0, 10, None)], False),  # may be of partition 0
        ([Record(0, 21, None)], True),
        ([Record(0, 5), Record(1, 10, None)], True),
        ([Record(0, 10, None), Record(1, 5)], True),
        ([Record(0, 5), Record(1, 9, None)], False),
        ([Record(0, MAX_VERSION, JUNK), Record(1, 10, None)], False),
    ],
)
def test_a_version_beyond_the_end_of_the_source_is_found(
    records: Iterable[Record], found: bool
) -> None:
    assert bool(made(*records).beyond({0: 20, PARTITION: 9})) == found
