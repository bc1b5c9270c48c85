"""Which letters are resent, with and without records since the oldest of them."""

from __future__ import annotations

from typing import Any

import pytest

from app.deadletters.read import Place, Wanted
from app.deadletters.redrive import REDRIVEN_FROM, plan, send
from app.kafka import topics
from app.kafka.bulk_reader import scan
from app.kafka.producer import Producer
from app.kafka.records import Outgoing
from app.settings import Settings
from schemas import kinds

pytestmark = pytest.mark.stack

VALID = (
    b'{"event_id":"e","schema_version":1,"trade_id":"t","trade_summary":{"exit_timestamp":"2026-01-03T00:00:00Z","rr":0.1},'
    b'"actions":[{"ts":"2026-01-02T00:00:00Z","pattern_key":"a.b","action_category":"entry"}]}'
)


def letter(settings: Settings, offset: int, value: bytes | None, **headers: Any) -> Outgoing:
    """A letter of the close at `offset` of partition 1."""
    named = {
        "reason": "missing_outcome",
        "path": "$",
        "exception": "",
        "source.topic": settings.topic(kinds.CLOSES),
        "source.partition": "1",
        "source.offset": str(offset),
        "source.timestamp": "0",
        **headers,
    }
    return Outgoing(
        settings.topic(kinds.DEAD_LETTERS),
        1,
        b"t",
        value,
        tuple((name, str(text).encode()) for name, text in named.items()),
    )


async def test_each_source_is_sent_once(stack_settings: Settings) -> None:
    settings = stack_settings
    await topics.create(settings)
    producer = Producer(settings)
    try:
        # The first and the third are one close, whose letter a crash has written twice.  The fourth
        # was cut, and its whole value no longer exists.
        gone = {"value.length": 10, "value.sha256": "00"}
        await producer.send(
            [
                letter(settings, 0, VALID),
                letter(settings, 1, VALID.replace(b"0.1", b"null")),
                letter(settings, 0, VALID),
                letter(settings, 3, b"cut", **gone),
                letter(settings, 4, VALID),
                letter(settings, 5, None),
            ]
        )
        made = await plan(settings, Wanted())
        assert [x.place for x in made.send] == [Place(1, 0), Place(1, 4)]
        assert (made.wanted, made.valid, made.already, made.left) == (6, 2, 1, 0)
        assert dict(made.refused) == {"missing_outcome": 1, "null_value": 1}
        assert [x.place for x in made.gone] == [Place(1, 3)]
        limited = await plan(settings, Wanted(), limit=1)
        assert ([x.place for x in limited.send], limited.left) == ([Place(1, 0)], 1)
        assert await send(settings, limited.send) == 1
        made = await plan(settings, Wanted(), everything=True)
        assert [x.place for x in made.send] == [Place(1, 1), Place(1, 4), Place(1, 5)]
        assert made.already == 2
        assert await send(settings, made.send) == 3
        made = await plan(settings, Wanted(), everything=True)
        assert (made.send, made.already, len(made.gone)) == ([], 5, 1)
        closes = [record async for records in scan(settings, kinds.CLOSES) for record in records]
        assert [(r.partition, r.key, dict(r.headers)[REDRIVEN_FROM]) for r in closes] == [
            (1, b"t", place) for place in (b"1:0", b"1:1", b"1:4", b"1:5")
        ]
        assert [r.value for r in closes] == [VALID, VALID.replace(b"0.1", b"null"), VALID, None]
    finally:
        await producer.stop()


async def test_nothing_to_do(stack_settings: Settings) -> None:
    await topics.create(stack_settings)
    made = await plan(stack_settings, Wanted())
    assert (made.wanted, made.send) == (0, [])
