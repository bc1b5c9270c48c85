"""The bare chain: plain Faust, one event per message, and no learning.

Its messages per close are those of the workers.

Run as `faust -A benchmarks.pipeline.bare worker`.
"""

from __future__ import annotations

from typing import Any

import orjson
from faust.transport.drivers.aiokafka import Transport

from app.kafka.producer import Producer
from app.kafka.records import Outgoing, partition_of
from app.settings import Settings
from app.worker.process import EdgeloopApp, make_app, raw_topic
from schemas.kinds import CLOSES, FACTS, LESSONS, OVERRIDES


class PlainApp(EdgeloopApp):
    """An app on Faust's own transport: one event per message."""

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)


settings = Settings.from_environment()
app = make_app(settings, kind=PlainApp, stream_buffer_maxsize=4_096, broker_commit_interval=1.0)
sender = Producer(settings)


def _pass_on(source: str, target: str, per_message: int) -> None:
    topic = settings.topic(target)

    async def agent(stream: Any) -> Any:
        async for events in stream.take_events(500, within=0.02):
            out = []
            for event in events:
                value = event.message.value
                key = orjson.loads(value)["trade_id"]
                partition = partition_of(key, settings.partitions)
                out.extend(
                    Outgoing(topic, partition, key.encode(), value) for _ in range(per_message)
                )
            await sender.send(out)
            yield

    app.agent(raw_topic(app, settings, source), name=f"bare-{source}")(agent)


_pass_on(CLOSES, FACTS, 3)
_pass_on(FACTS, LESSONS, 1)
_pass_on(LESSONS, OVERRIDES, 1)
