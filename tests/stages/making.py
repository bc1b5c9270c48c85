"""Records as Kafka delivers them, created without Kafka."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app.kafka.control import ControlState
from app.kafka.records import Outgoing, encode
from app.learning.common.event_time import DAY_US, text_from_micros
from app.settings import Settings
from app.stages.admission import Admission
from app.stages.facts_or_letters import outgoing, read_closes

SETTINGS = Settings(n_min=10, max_dims=1, dimensions=("chain",), regime_signature=(), partitions=1)
START_US = 19_700 * DAY_US


@dataclass
class Message:
    """The part of a received record that a stage needs."""

    value: bytes | None
    key: bytes | None = b"k"
    topic: str = "position_closed"
    partition: int = 0
    offset: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: int = 2_000_000_000_000


def close(
    number: int, rr: float, chain: str, revision: int = 0, trade: int | None = None
) -> Message:
    """A closed trade with one entry; one per hour.  With `trade`, a close of that trade instead."""
    exit_us = START_US + number * 3_600_000_000
    event: dict[str, Any] = {
        "event_id": f"e{number}-{revision}",
        "schema_version": 1,
        "trade_id": f"t{number if trade is None else trade}",
        "revision": revision,
        "bucket": "micro",
        "timeframe": "1h",
        "trade_summary": {"exit_timestamp": text_from_micros(exit_us), "rr": rr},
        "actions": [
            {
                "ts": text_from_micros(exit_us - 1_000_000),
                "pattern_key": "a.b",
                "action_category": "entry",
                "scope": {"chain": chain},
            }
        ],
    }
    return Message(json.dumps(event).encode(), offset=number)


def facts_of(
    settings: Settings, messages: Sequence[Message], state: ControlState | None = None
) -> list[Outgoing]:
    """The output of ingest for these records, with all of their claims immediately in the control
    log."""
    state = ControlState() if state is None else state
    admission = Admission(settings, state)
    read = read_closes(settings, messages)
    for key, admitted in admission.wanted(one.facts for one in read if one.facts):
        assert state.take(key.encode(), encode(admitted))
    return outgoing(settings, read, admission)


def read_back(sent: Iterable[Outgoing], start: int = 0) -> list[Message]:
    """Sent records as the next stage reads them."""
    return [
        Message(r.value, r.key, r.topic, r.partition, start + i, r.headers)
        for i, r in enumerate(sent)
    ]


def facts(n: int, *, edge: float = 1.0, settings: Settings = SETTINGS) -> list[Message]:
    """`n` facts of one group, whose trades with `chain=sol` earn `edge` more."""
    closes = [
        close(i, 0.1 * (i * 7 % 5 - 2) + edge * (i % 2), "sol" if i % 2 else "eth")
        for i in range(n)
    ]
    return read_back(facts_of(settings, closes))


def by_topic(sent: Iterable[Outgoing]) -> dict[str, list[Outgoing]]:
    """Records by topic."""
    found: dict[str, list[Outgoing]] = {}
    for record in sent:
        found.setdefault(record.topic, []).append(record)
    return found
