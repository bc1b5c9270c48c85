"""One reading for all monitors of the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from app.kafka.lag import LagReader, SharedLags
from app.kafka.shared_offsets import SharedOffsets
from schemas import kinds
from tests.pipeline.conftest import install
from tests.pipeline.installation import Installation

__all__ = ["install"]


@pytest.mark.stack
def test_monitors_share_a_reading_and_one_can_ask_for_a_new_one(
    install: Callable[..., Installation],
) -> None:
    installation = install(partitions=1)
    settings = installation.settings
    tp = TopicPartition(settings.topic(kinds.CLOSES), 0)

    async def watch() -> None:
        offsets = SharedOffsets(settings)
        first, same = await asyncio.gather(offsets.read(), offsets.read())
        assert first is same
        await asyncio.to_thread(installation.send, kinds.CLOSES, b"k", b"{}", 0)
        assert (await offsets.read()).stable[tp] == first.stable[tp]
        seen = await offsets.read(max_age_s=0.0)
        assert seen.stable[tp] == first.stable[tp] + 1
        assert seen.log.ends[tp].offset == seen.stable[tp]
        assert await offsets.delivers(tp, first.stable[tp], seen.stable[tp], 30.0) is True
        assert await offsets.delivers(tp, seen.stable[tp], seen.stable[tp], 30.0) is False
        async with LagReader(settings) as reader:
            assert await SharedLags(settings, offsets).lags() == await reader.lags()
        await offsets.drop()
        assert (await offsets.read()).stable == seen.stable
        await offsets.stop()
        with pytest.raises(KafkaError, match="closed"):
            await offsets.read()

    asyncio.run(watch())
