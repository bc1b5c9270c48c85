"""The control log: what a worker writes to it, it reads, whatever other programs do there."""

from __future__ import annotations

import asyncio
import time

import pytest
from confluent_kafka import Producer

from app.kafka import topics
from app.kafka.control import Admitted, ControlLog
from app.settings import Settings
from app.worker.agreement import require_agreement
from schemas.kinds import CONTROL

pytestmark = pytest.mark.stack


def test_an_open_transaction_hides_no_claim(stack_settings: Settings) -> None:
    """Otherwise a worker that claims a group would refuse the group's closes, and one that starts
    would not see the settings that were agreed on."""
    asyncio.run(topics.create(stack_settings))
    stranger = Producer(
        {
            "bootstrap.servers": stack_settings.broker,
            "transactional.id": f"stranger-{time.time_ns()}",
            "transaction.timeout.ms": 60_000,
            "log_level": 4,
        }
    )
    stranger.init_transactions(30)
    stranger.begin_transaction()
    stranger.produce(stack_settings.topic(CONTROL), b"{}", b"stranger", 0)
    assert stranger.flush(30) == 0

    async def claimed() -> set[str]:
        await require_agreement(stack_settings)
        async with ControlLog(stack_settings) as control:
            await control.write([("group|pm.a.b|entry|1", Admitted("pm"))])
        async with ControlLog(stack_settings) as control:
            state = await control.read()
        assert state.agreed is not None
        return set(state.group)

    try:
        assert asyncio.run(asyncio.wait_for(claimed(), 60)) == {"pm.a.b|entry"}
    finally:
        stranger.abort_transaction(30)
