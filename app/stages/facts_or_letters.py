"""What ingest makes of a closed position: its facts, one per group, or a dead letter.  Its only
state is that of the control log: admitted groups and approvals.

May touch: the control log, through its arguments.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import structlog

from app.closes import RefusedCloseError, explode
from app.deadletters.write import PATH_CHARACTERS, dead_letter
from app.kafka.control import ControlLog
from app.kafka.records import (
    Outgoing,
    derived_headers,
    encode,
    partition_of,
    timestamp_ms,
)
from app.kafka.trace import context_of
from app.metrics import ADMITTED, DEAD_LETTERS_TOTAL, DOOR_REFUSALS
from app.metrics import CLOSES as CLOSES_TOTAL
from app.settings import Settings
from app.stages.admission import DOOR_REASONS, Admission
from schemas.facts import PatternTradeEvent, group_key
from schemas.kinds import FACTS

log = structlog.get_logger(__name__)

_EXPLODED = CLOSES_TOTAL.labels("facts")
ASK_EVERY_S = 5.0


class Read(NamedTuple):
    """A record of `position_closed` with its facts, or the reason why it has none."""

    message: Any
    facts: tuple[PatternTradeEvent, ...]
    problem: RefusedCloseError | None


def read_closes(settings: Settings, messages: Sequence[Any]) -> list[Read]:
    """Validate records of `position_closed`, each by itself."""
    return [_read(settings, message) for message in messages]


def _read(settings: Settings, message: Any) -> Read:
    try:
        facts = explode(
            message.value,
            timestamp_ms(message),
            dimensions=settings.dimensions,
            outcome=settings.outcome,
            max_actions=settings.max_actions,
        )
    except RefusedCloseError as error:
        # The frames of the traceback refer to the whole batch, and it to this error.
        error.__cause__ = error.__context__ = None
        return Read(message, (), error.with_traceback(None))
    return Read(message, facts, None)


def outgoing(settings: Settings, read: Sequence[Read], admission: Admission) -> list[Outgoing]:
    """The facts of each, or its dead letter.  One line is logged for each reason, however many
    records of the batch have it.
    """
    refused: dict[str, tuple[Read, RefusedCloseError]] = {}
    sent: list[Outgoing] = []
    counts: Counter[str] = Counter()
    for one in read:
        problem = one.problem or admission.problem(one.facts)
        if problem is not None:
            refused.setdefault(problem.reason, (one, problem))
            counts[problem.reason] += 1
        sent += _outgoing(settings, one, problem)
    for reason, (one, problem) in refused.items():
        log.warning(
            "close.refused",
            topic=one.message.topic,
            partition=one.message.partition,
            offset=one.message.offset,
            event_id=one.facts[0].event_id if one.facts else None,
            reason=reason,
            path=problem.path[:PATH_CHARACTERS],
            records=counts[reason],
        )
    return sent


def _outgoing(settings: Settings, read: Read, problem: RefusedCloseError | None) -> list[Outgoing]:
    if problem is not None:
        CLOSES_TOTAL.labels("dead_letter").inc()
        DEAD_LETTERS_TOTAL.labels(problem.reason).inc()
        if problem.reason in DOOR_REASONS:
            DOOR_REFUSALS.labels(problem.reason).inc()
        return [dead_letter(settings, read.message, problem)]
    _EXPLODED.inc()
    offset, event_id = read.message.offset, read.facts[0].event_id.encode()
    trace = context_of(read.message)
    headers = (*derived_headers(offset), ("event-id", event_id), *trace)
    topic, partitions = settings.topic(FACTS), settings.partitions
    records = []
    for fact in read.facts:
        key = group_key(fact.pattern_key, fact.action_category)
        records.append(
            Outgoing(topic, partition_of(key, partitions), key.encode(), encode(fact), headers)
        )
    return records


class FactsOrLetters:
    """Accepts or refuses records of `position_closed`, and asks the control log where necessary."""

    def __init__(self, settings: Settings, control: ControlLog) -> None:
        self._settings = settings
        self._control = control
        self._admission = Admission(settings, control.state)
        self._asked_s: float | None = None

    async def process(self, messages: Sequence[Any]) -> list[Outgoing]:
        """Facts and dead letters of `messages`.

        Raises `KafkaError` or `OSError` while the control log cannot be read, and `Stopping`; it
        may be called again.
        """
        read = await asyncio.to_thread(read_closes, self._settings, messages)
        valid = [one.facts for one in read if one.problem is None]
        if any(self._admission.problem(facts) for facts in valid):
            await self._ask(valid)
        sent = await asyncio.to_thread(outgoing, self._settings, read, self._admission)
        ADMITTED.labels("groups").set(self._admission.groups)
        ADMITTED.labels("modules").set(self._admission.modules)
        return sent

    async def _ask(self, valid: Sequence[tuple[PatternTradeEvent, ...]]) -> None:
        """Read the control log further, and claim the admissions for which there is room.

        Without room, do so only every few seconds: a flood of refused closes costs little.
        """
        now_s = time.monotonic()
        held = any(facts[0].revision > self._settings.max_revision for facts in valid)
        wanted = self._admission.wanted(valid)
        if wanted or held or self._asked_s is None or now_s - self._asked_s > ASK_EVERY_S:
            await self._control.read()
            self._asked_s = now_s
            if wanted := self._admission.wanted(valid):
                await self._control.write(wanted)
