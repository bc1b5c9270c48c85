"""Causes that block records are named: open transactions, records that were deleted unread, offsets
that are gone.  Offsets without a record are not lag."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from app.kafka.consumer_groups import progress_group
from app.ownership.owner import NOTE_AGAIN_S
from schemas import kinds
from tests.pipeline.installation import Installation, wait
from tests.pipeline.test_another_log import SETTINGS, admin_of, learned, run
from tests.pipeline.test_dead_letters import good
from tests.pipeline.trades import Close

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(240)]


@contextmanager
def transaction(installation: Installation, closes: list[Close], partition: int) -> Iterator[Any]:
    """A producer with an open transaction of these closes on the broker; the caller ends it."""
    producer = Producer(
        {
            "bootstrap.servers": installation.settings.broker,
            "transactional.id": f"{installation.settings.consumer_group}-{time.time_ns()}",
            "transaction.timeout.ms": 300_000,
            "log_level": 4,
        }
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for close in closes:
        producer.produce(
            installation.settings.topic(kinds.CLOSES),
            close.value,
            close.key,
            partition,
            timestamp=close.timestamp_ms,
        )
    assert producer.flush(30) == 0
    yield producer


def status(installation: Installation) -> dict[str, Any]:
    result = run(installation, "status", "--json")
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def ingest_lag(installation: Installation) -> dict[str, Any]:
    lags: list[dict[str, Any]] = status(installation)["lags"]
    return lags[0]


def finding(installation: Installation, name: str) -> dict[str, Any]:
    document = json.loads(run(installation, "doctor", "--json").stdout)
    (found,) = [check for check in document["checks"] if check["check"] == name]
    return dict(found)


def reasons(installation: Installation) -> list[str]:
    code, body = installation.workers[0].page("/readyz")
    document = json.loads(body)
    assert document.get("ready", False) == (code == 200)
    return [found["reason"] for found in document.get("reasons", [])]


def produce(installation: Installation, sent: list[Close], count: int, module: str) -> None:
    closes = good(count, module)
    installation.produce(closes)
    sent += closes
    installation.until_idle()


@pytest.fixture(scope="module")
def installation(install: Callable[..., Installation]) -> Installation:
    made = install(**SETTINGS)
    made.start_ready()
    return made


@pytest.fixture(scope="module")
def sent() -> list[Close]:
    """The offsets committed so far."""
    return []


@pytest.mark.long
def test_a_log_that_ends_in_an_aborted_transaction_is_no_lag(
    installation: Installation, sent: list[Close]
):
    first = good(60, "first")
    installation.produce(first)
    sent += first
    installation.until_idle()
    for partition in range(installation.settings.partitions):
        with transaction(installation, good(11, "aborted"), partition) as producer:
            producer.abort_transaction(30)
    with transaction(installation, committed := good(10, "committed"), 0) as producer:
        producer.commit_transaction(30)
    sent += committed
    learned(installation, sent)
    found = status(installation)
    assert (found["idle"], found["problems"]) == (True, [])
    assert finding(installation, "lag")["ok"]


@pytest.mark.long
def test_an_open_transaction_is_lag_and_named(
    installation: Installation, sent: list[Close], monkeypatch: pytest.MonkeyPatch
):
    waiting, behind = good(5, "waiting"), good(31, "behind")
    with transaction(installation, waiting, 1) as producer:
        part = Producer({"bootstrap.servers": installation.settings.broker, "log_level": 4})
        for close in behind:
            part.produce(
                installation.settings.topic(kinds.CLOSES),
                close.value,
                close.key,
                1,
                timestamp=close.timestamp_ms,
            )
        assert part.flush(30) == 0
        lag = ingest_lag(installation)
        assert (lag["records"], lag["in_transaction"]) == (36, 36)
        found = status(installation)
        assert not found["idle"]
        assert "open transaction" in " ".join(found["problems"])
        told = finding(installation, "lag")
        assert not told["ok"]
        assert "36 records" in told["found"]
        worker = installation.workers[0]
        topic = installation.settings.topic(kinds.CLOSES)
        wait(
            lambda: worker.metric("edgeloop_in_transaction_records", topic=topic) == 36,
            30,
            "the metric",
            worker.text,
        )
        wait(lambda: "open_transaction" in reasons(installation), 90, "the reason", worker.text)
        producer.commit_transaction(30)
    sent += waiting + behind
    learned(installation, sent)
    wait(lambda: not reasons(installation), 30, "readiness", worker.text)


@pytest.mark.long
def test_closes_deleted_unread_are_reported_until_accepted(
    installation: Installation, sent: list[Close]
):
    produce(installation, sent, 20, "before-lost")
    (worker,) = installation.workers
    installation.terminate(worker)
    lost = good(50, "lost")
    installation.produce(lost)
    topic = installation.settings.topic(kinds.CLOSES)
    client: AdminClient = admin_of(installation)
    everything = [TopicPartition(topic, p, -1) for p in range(installation.settings.partitions)]
    for done in client.delete_records(everything).values():
        done.result(30)
    found = status(installation)
    assert sum(lag["deleted"] for lag in found["lags"]) >= 50
    assert "deleted before ingest had read them" in " ".join(found["problems"])
    assert not finding(installation, "lag")["ok"]

    worker = installation.start()
    wait(
        lambda: worker.check() or worker.metric("edgeloop_lost_records_total", topic=topic) >= 50,
        60,
        "the metric",
        worker.text,
    )
    assert "log.records_lost" in worker.text()
    wait(lambda: "records_lost" in reasons(installation), 60, "the reason", worker.text)
    later = good(40, "later")
    installation.produce(later)
    sent += later
    learned(installation, sent)
    # Skipped, and still reported.
    assert "were deleted before they were read" in " ".join(status(installation)["problems"])
    told = finding(installation, "log")
    assert not told["ok"]
    assert "topics accept" in told["remedy"]

    installation.terminate(worker)
    accepted = run(installation, "topics", "accept", "--yes")
    assert accepted.exit_code == 0, accepted.output
    assert status(installation)["problems"] == []
    assert finding(installation, "log")["ok"]
    (worker,) = installation.start_ready()
    assert reasons(installation) == []
    learned(installation, sent)


@pytest.mark.long
def test_committed_offsets_that_are_gone_are_told_and_nothing_counts_twice(
    installation: Installation, sent: list[Close]
):
    produce(installation, sent, 20, "before-gone")
    (worker,) = installation.workers
    installation.terminate(worker)
    group = installation.settings.consumer_group
    client = admin_of(installation)  # it has to live until it is done
    client.delete_consumer_groups([group])[group].result(30)
    (worker,) = installation.start_ready()
    topic = installation.settings.topic(kinds.CLOSES)
    assert worker.metric("edgeloop_offset_resets_total", topic=topic) >= 1
    assert "log.offset_missing" in worker.text()
    learned(installation, sent)


def test_progress_that_somebody_deletes_is_noted_again(
    installation: Installation, sent: list[Close]
) -> None:
    """There is no new record, and yet no permanent lag."""
    produce(installation, sent, 20, "forgotten")
    group = progress_group(installation.settings, "lesson_builder")
    client = admin_of(installation)  # it has to live until it is done
    client.delete_consumer_groups([group])[group].result(30)
    lags = {lag["role"]: lag["records"] for lag in status(installation)["lags"]}
    assert lags["lesson_builder"] > 0
    installation.until_idle(NOTE_AGAIN_S + 30)
