"""A batch that was damaged on the broker's disk is named, and nothing beside it is lost."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from app.devstack import StackInfo
from schemas import kinds
from tests.pipeline.installation import Installation, wait
from tests.pipeline.test_another_log import SETTINGS, admin_of, learned
from tests.pipeline.test_dead_letters import good
from tests.pipeline.test_honest_lag import finding, status

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(240)]


def damage_last_batch(log: Path) -> int:
    """Change a byte of the last batch of a segment; returns the batch's offset."""
    data, end, offset = log.read_bytes(), 0, -1
    while end + 12 <= len(data):
        offset, length = struct.unpack_from(">qi", data, end)
        end += 12 + length
    with log.open("r+b") as segment:
        segment.seek(end - 20)
        segment.write(bytes([data[end - 20] ^ 0xFF]))
    return int(offset)


def test_a_damaged_batch_ends_the_worker_is_named_and_hides_no_other_close(
    install: Callable[..., Installation], stack: StackInfo
) -> None:
    installation = install(**SETTINGS)
    installation.start_ready()
    sent = good(60, "pm")
    installation.produce(sent)
    learned(installation, sent)
    installation.terminate_all()
    before = good(80, "pm")[60:]
    for close in before:  # a batch each
        installation.produce([close])
    topic = installation.settings.topic(kinds.CLOSES)
    (damaged,) = stack.directory.glob(f"**/{topic}-0/*.log")
    offset = damage_last_batch(damaged)
    place = f"{topic} partition 0 is damaged at offset {offset:,}"

    worker = installation.start()
    wait(lambda: worker.process.poll() is not None, 60, "end of the worker", worker.text)
    installation.workers.remove(worker)
    assert worker.process.returncode == 5, worker.text()[-4_000:]
    assert place in worker.text()
    assert status(installation)["lags"][0]["records"] == 1, "what lies before it was finished"
    assert place in " ".join(status(installation)["problems"])
    assert place in finding(installation, "lag")["found"]

    client = admin_of(installation)
    for done in client.delete_records([TopicPartition(topic, 0, offset + 1)]).values():
        done.result(30)
    (worker,) = installation.start_ready()
    wait(lambda: "log.records_lost" in worker.text(), 60, "the loss", worker.text)
    installation.produce(before)  # again
    learned(installation, sent + before)
