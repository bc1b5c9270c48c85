"""One reading for all monitors of the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from app.log.lag import LagReader, SharedLags
from app.log.shared_offsets import Lookout
from schemas import kinds
from tests.pipeline.conftest import install
from tests.pipeline.installation import Installation

__all__ = ["install"]


@pytest.mark.stack
def test_watchers_share_a_look_and_one_that_needs_a_new_one_has_it(
    install: Callable[..., Installation],
) -> None:
    installation = install(partitions=1)
    settings = installation.settings
    tp = TopicPartition(settings.topic(kinds.CLOSES), 0)

    async def watch() -> None:
        lookout = Lookout(settings)
        first, same = await asyncio.gather(lookout.look(), lookout.look())
        assert first is same
        await asyncio.to_thread(installation.send, kinds.CLOSES, b"k", b"{}", 0)
        assert (await lookout.look()).stable[tp] == first.stable[tp]
        seen = await lookout.look(max_age_s=0.0)
        assert seen.stable[tp] == first.stable[tp] + 1
        assert seen.log.ends[tp].offset == seen.stable[tp]
        assert await lookout.delivers(tp, first.stable[tp], seen.stable[tp], 30.0) is True
        assert await lookout.delivers(tp, seen.stable[tp], seen.stable[tp], 30.0) is False
        async with LagReader(settings) as reader:
            assert await SharedLags(settings, lookout).lags() == await reader.lags()
        await lookout.drop()
        assert (await lookout.look()).stable == seen.stable
        await lookout.stop()
        with pytest.raises(KafkaError, match="stopped"):
            await lookout.look()

    asyncio.run(watch())
