"""Records that another program writes to the derived topics: with higher versions, copied, or in
the wrong partition.  None of them wins without being noticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from app.kafka.records import MAX_VERSION, derived_headers, partition_of
from app.kafka.topics import ACCEPT
from schemas import kinds
from tests.pipeline.installation import Installation, wait
from tests.pipeline.test_another_log import (
    SETTINGS,
    learned,
    refused,
    run,
)
from tests.pipeline.test_dead_letters import good
from tests.pipeline.test_honest_lag import finding
from tests.pipeline.trades import Close

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def running(install: Callable[..., Installation]) -> tuple[Installation, list[Close]]:
    """An installation with a worker that has learned some closes, and these."""
    installation = install(**SETTINGS)
    installation.start_ready()
    closes = good(200, "pm")
    installation.produce(closes)
    learned(installation, closes)
    return installation, closes


def last(installation: Installation, topic: str, key: str) -> ConsumerRecord:
    return [r for r in installation.read(topic) if r.key == key.encode()][-1]


def one(installation: Installation, topic: str) -> ConsumerRecord:
    """A record in force."""
    return last(installation, topic, min(installation.current(topic)))


def write(
    installation: Installation,
    topic: str,
    record: ConsumerRecord,
    value: bytes | None,
    version: int,
) -> None:
    installation.send(topic, record.key, value, record.partition, headers=derived_headers(version))


@pytest.mark.parametrize("topic", [kinds.OVERRIDES, kinds.LESSONS])
@pytest.mark.parametrize("retires", [True, False], ids=["tombstone", "value"])
def test_a_version_beyond_the_log_ends_the_worker_and_is_named(
    running: tuple[Installation, list[Close]], topic: str, retires: bool
) -> None:
    installation, closes = running
    (worker,) = installation.workers
    record = one(installation, topic)
    write(installation, topic, record, None if retires else record.value, MAX_VERSION)
    refused(installation, worker, f"{MAX_VERSION:,}", ACCEPT)
    refused(installation, installation.start(), f"{MAX_VERSION:,}", ACCEPT)
    found = finding(installation, "published")
    assert not found["ok"]
    assert f"{topic} has records of version {MAX_VERSION:,}" in found["found"]
    assert "another program" in found["remedy"]
    done = run(installation, "topics", "accept", "--yes")
    assert done.exit_code == 0, done.output
    installation.start_ready()
    learned(installation, closes)
    assert finding(installation, "published")["ok"]


def test_junk_of_a_higher_version_hides_nothing(
    running: tuple[Installation, list[Close]],
) -> None:
    """Malformed, and well-formed under the key of another record."""
    installation, _ = running
    overrides = installation.current(kinds.OVERRIDES)
    hidden = []
    for topic in (kinds.LESSONS, *kinds.JUDGED):
        keys = sorted(installation.current(topic))[:2]
        records = [last(installation, topic, key) for key in keys]
        for number, record in enumerate(records):
            junk = records[0].value if number else b"{"
            write(installation, topic, record, junk, MAX_VERSION)
            hidden.append((topic, record))
    assert len(hidden) > 6
    installation.terminate(installation.workers[0])
    installation.start_ready()
    installation.until_idle()
    for topic, record in hidden:
        assert last(installation, topic, record.key.decode()).value == record.value
    listed = json.loads(run(installation, "overrides", "list", "--json", "--limit", "9999").stdout)
    assert {o["override_id"] for o in listed["overrides"]} == overrides.keys()
    assert listed["unreadable"]["count"] > 0
    assert finding(installation, "published")["ok"]


def test_a_copy_of_an_older_record_is_replaced_even_with_its_writer(
    running: tuple[Installation, list[Close]],
) -> None:
    """As a tool that copies topics writes it, headers included."""
    installation, closes = running
    (worker,) = installation.workers
    old = one(installation, kinds.OVERRIDES)
    changed = good(400, "pm")[200:]
    installation.produce(changed)
    closes = closes + changed
    learned(installation, closes)
    new = last(installation, kinds.OVERRIDES, old.key.decode())
    assert new.value != old.value
    installation.send(
        kinds.OVERRIDES, old.key, old.value, old.partition, headers=tuple(old.headers)
    )
    wait(
        lambda: last(installation, kinds.OVERRIDES, old.key.decode()).value == new.value,
        60,
        "record that is published again",
        installation.logs,
    )
    worker.check()
    learned(installation, closes)


def test_facts_and_lessons_in_the_wrong_partition_do_not_count(
    running: tuple[Installation, list[Close]],
) -> None:
    """As a tool with another partitioner writes them."""
    installation, closes = running
    (worker,) = installation.workers
    partitions = installation.settings.partitions
    misplaced: list[tuple[str, Any]] = [
        (kinds.FACTS, installation.read(kinds.FACTS)[-1]),
        (kinds.LESSONS, one(installation, kinds.LESSONS)),
    ]
    for topic, record in misplaced:
        wrong = (record.partition + 1) % partitions
        assert wrong != partition_of("pm", partitions) or topic == kinds.FACTS
        installation.send(topic, record.key, record.value, wrong, headers=tuple(record.headers))
    for role in ("lesson_builder", "override_materializer"):
        wait(
            lambda role=role: worker.metric("edgeloop_unreadable_total", role=role) == 1,
            60,
            f"record that {role} skips",
            installation.logs,
        )
    learned(installation, closes)
