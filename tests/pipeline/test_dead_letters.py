"""One worker and every kind of input: invalid records by the thousand, huge ones, every compression
codec."""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from aiokafka import ConsumerRecord

from app.devstack import StackInfo
from app.kafka.records import partition_of
from schemas import kinds
from tests.pipeline import bad
from tests.pipeline.bad import Bad
from tests.pipeline.compare import check, check_until_right
from tests.pipeline.installation import FIXED_DATES, Installation
from tests.pipeline.reference import Rules, learn
from tests.pipeline.trades import Close, close, simple

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(180)]

RULES = Rules(n_min=5, max_dims=2, window_days=90.0)
STAMP_MS = round(bad.STAMP.timestamp() * 1000)
ROUNDS = 40


@pytest.fixture(scope="module")
def installation(install: Callable[..., Installation]) -> Installation:
    """An installation with one worker, which runs until the last test."""
    made = install(learning="classic", n_min=RULES.n_min, max_dims=RULES.max_dims, **FIXED_DATES)
    made.start_ready()
    return made


@pytest.fixture(scope="module")
def sent() -> list[Close]:
    """The good closes sent so far, which the worker must have learned."""
    return []


def good(count: int, module: str) -> list[Close]:
    random = Random(module)
    return [
        close(
            simple(
                f"{module}-{i}",
                module=module,
                day=random.uniform(1, 80),
                rr=random.gauss(0.5, 1),
                scope={
                    "chain": random.choice(["sol", "eth"]),
                    "mcap_bucket": random.choice([1, 2]),
                },
            ),
            key=f"{module}-{i}".encode(),
            at=bad.STAMP,
        )
        for i in range(count)
    ]


def learn_all(installation: Installation, sent: list[Close]) -> None:
    check(installation, learn([close.value for close in sent], RULES))


def dead_letters(installation: Installation) -> dict[tuple[int, int], ConsumerRecord]:
    """The letters by source partition and offset; a repetition counts as the same."""
    found: dict[tuple[int, int], ConsumerRecord] = {}
    for record in installation.read(kinds.DEAD_LETTERS):
        headers = dict(record.headers)
        found[int(headers["source.partition"]), int(headers["source.offset"])] = record
    return found


def check_letter(
    installation: Installation, record: ConsumerRecord, expected: Bad, key: bytes | None
) -> None:
    headers = {name: value.decode() for name, value in record.headers}
    assert headers["reason"] == expected.reason, (expected.sort, headers)
    assert expected.path is None or headers["path"] == expected.path, (expected.sort, headers)
    assert headers["path"].startswith("$")
    assert headers["source.topic"] == installation.settings.topic(kinds.CLOSES)
    assert headers["source.timestamp"] == str(STAMP_MS)
    assert headers["exception"]
    assert record.key == key, expected.sort
    assert record.value == expected.value, expected.sort


def test_each_bad_record_is_a_dead_letter_and_each_good_one_is_learned(
    installation: Installation, sent: list[Close]
):
    worker = installation.workers[0]
    flood: list[tuple[Bad | None, Close]] = [
        (b, Close(b.value, f"k{number}".encode(), STAMP_MS))
        for number in range(ROUNDS)
        for b in bad.every_sort(number)
    ]
    flood += [(b, Close(b.value, b"huge", STAMP_MS)) for b in bad.huge()]
    flood.append((bad.every_sort(0)[0], Close(None, None, STAMP_MS)))
    bad_count = len(flood)
    assert bad_count > 2_500
    fine = [*good(300, "pm"), Close(bad.largest("largest"), b"largest", STAMP_MS)]
    flood += [(None, close) for close in fine]
    Random(3).shuffle(flood)
    sent += fine

    places = installation.produce([close for _, close in flood])
    installation.until_idle(90)

    letters = dead_letters(installation)
    expected = {
        place: (b, close.key)
        for place, (b, close) in zip(places, flood, strict=True)
        if b is not None
    }
    assert len(expected) == bad_count
    wrong = {
        place: (b.sort, b.reason) for place, (b, _) in expected.items() if place not in letters
    }
    assert not wrong, f"{len(wrong)} records went missing: {Counter(wrong.values()).most_common(5)}"
    unexpected = [dict(letters[place].headers) for place in letters.keys() - expected.keys()]
    assert not unexpected, f"{len(unexpected)} good ones were refused: {unexpected[:2]}"
    for place, (b, key) in expected.items():
        check_letter(installation, letters[place], b, key)
    learn_all(installation, sent)
    assert installation.workers == [worker]
    worker.check()
    assert "Traceback" not in worker.text()
    assert worker.text().count("worker.listening") == 1


def test_a_bomb_of_40_megabytes_in_a_small_batch_is_cut(
    installation: Installation, sent: list[Close]
):
    bomb = Close(b" " * 40_000_000, b"bomb", STAMP_MS)
    around = good(20, "bomb")
    places = installation.produce(
        [*around[:10], bomb, *around[10:]], **{"compression.type": "gzip"}
    )
    sent += around
    installation.until_idle()
    record = dead_letters(installation)[places[10]]
    headers = dict(record.headers)
    assert (headers["reason"], headers["path"]) == (b"too_large", b"$")
    assert record.key == b"bomb"
    assert record.value == bomb.value[: 1024 * 1024]
    assert headers["value.length"] == b"40000000"
    assert headers["value.sha256"] == hashlib.sha256(bomb.value).hexdigest().encode()
    learn_all(installation, sent)
    installation.workers[0].check()


CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
"""The codecs by their number in a record batch."""


def codecs_in(segment: Path) -> set[str]:
    """The codecs of the batches in a segment of Kafka's log (record batch, version 2: the
    attributes are at byte 21)."""
    data, at, found = segment.read_bytes(), 0, set()
    while at < len(data):
        length, attributes = struct.unpack_from(">8xi9xh", data, at)
        found.add(CODECS[attributes & 7])
        at += 12 + length
    return found


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_is_read(
    stack: StackInfo, installation: Installation, sent: list[Close], codec: str
):
    closes = good(40, f"codec-{codec}")
    # All in one batch, since a batch of one small record is not always compressed.
    installation.produce(
        closes,
        **{"compression.type": codec, "linger.ms": 200, "sticky.partitioning.linger.ms": 200},
    )
    sent += closes
    segments = stack.directory.glob(
        f"kafka/**/{installation.settings.topic(kinds.CLOSES)}-[0-9]*/*.log"
    )
    assert codec in set().union(*map(codecs_in, segments)), "the test sent nothing in that codec"
    installation.until_idle()
    learn_all(installation, sent)
    installation.workers[0].check()


def test_time_of_the_future_is_judged_by_the_record_not_by_the_clock(
    installation: Installation, sent: list[Close]
):
    edge = simple("edge", module="edge", day=0.0)
    edge["trade_summary"]["exit_timestamp"] = (bad.STAMP + timedelta(days=1)).isoformat()
    on_the_edge = close(edge, at=bad.STAMP)
    late = close(edge | {"event_id": "late"}, at=bad.STAMP - timedelta(seconds=1))
    accepted, refused = installation.produce([on_the_edge, late])
    sent.append(on_the_edge)
    installation.until_idle()
    letters = dead_letters(installation)
    assert accepted not in letters
    assert dict(letters[refused].headers)["reason"] == b"future_exit"
    learn_all(installation, sent)


def test_rubbish_in_the_derived_topics_harms_nobody(installation: Installation, sent: list[Close]):
    """Another program overwrites our records and writes invalid ones; also for a worker that finds
    them when it starts."""
    before = good(60, "before-rubbish")
    installation.produce(before)
    sent += before
    installation.until_idle()
    partitions = installation.settings.partitions
    for topic in (kinds.LESSONS, kinds.OVERRIDES, kinds.VERDICTS, kinds.BASELINES):
        key, record = min(installation.current(topic).items())
        for value in (b"no JSON", b"{}", b'{"kind": "lesson"}', b"\xff\xfe"):
            installation.send(
                topic, key.encode(), value, partition_of(record["module"], partitions)
            )
    for value in (b"no JSON", b"{}", None):
        installation.send(
            kinds.FACTS, b"pm.plain.S1|entry", value, partition_of("pm.plain.S1|entry", partitions)
        )
    more = good(30, "after-rubbish")
    installation.produce(more)
    sent += more
    installation.start_ready()
    installation.until_idle()
    check_until_right(installation, learn([close.value for close in sent], RULES))
    for worker in installation.workers:
        worker.check()
