"""A broker that never comes back: a worker ends with a message, unless it should wait forever."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from app.devstack import temporary_stack
from tests.pipeline.conftest import install
from tests.pipeline.installation import Installation, wait

__all__ = ["install"]


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.long
def test_a_worker_ends_when_its_broker_has_been_away_for_too_long(
    install: Callable[..., Installation], tmp_path: Path
) -> None:
    with temporary_stack(tmp_path / "stack") as own:
        installation = install(
            broker=own.broker, database_url=own.database_url, partitions=2, broker_away_s=6.0
        )
        impatient, patient = installation.start(), installation.start(broker_away_s=0.0)
        wait(lambda: impatient.ready() and patient.ready(), 60, "workers", installation.logs)
        os.kill(own.broker_pid, signal.SIGKILL)
        wait(lambda: impatient.process.poll() is not None, 90, "end", impatient.text)
        installation.workers.remove(impatient)
        assert impatient.process.returncode == 4
        assert f"No Kafka broker has answered at {own.broker} for 6 s" in impatient.text()
        assert "EDGELOOP_BROKER_AWAY_S" in impatient.text()
        patient.check()
