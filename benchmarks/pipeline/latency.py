"""Latency from a produced close to a book that sizes by it.

May touch: the benchmark's stack, processes that it started.

For each close, two moments are measured:

* *in evidence*: another reader has an override of its entry group whose evidence includes the
  close.  A record that differs only in its last digits waits up to ten seconds, so this measures
  how long digits wait.
* *right*: a book resolves, within a step of the grid, to the multiplier that an exact learner gives
  for the log up to this close, or up to a later one.  For a sample of closes, the exact learner
  refits everything; where a book was not right at once, also for the closes of the next second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson
from aiokafka import TopicPartition

from app import devstack
from app.closes import explode
from app.kafka.bulk_reader import reader
from app.learning.common.trade import Trade, trade_from_fact
from app.learning.engine import Engine
from app.settings import Settings
from benchmarks.pipeline import workload
from benchmarks.pipeline.figures import Figure
from benchmarks.pipeline.installation import Installation, uncollected
from benchmarks.pipeline.peer import peer_delays
from edgeloop import resolve
from edgeloop.shelf import Shelf
from schemas import kinds

WARM = 3_000
PROBES_A_SECOND = 1.0
"""Number of closes in the sample, for each of which the exact learner refits all groups that have
changed."""
LATER_S = 1.0
"""For how long after a close whose size was not right at once every later close is asked about."""
STEP = 0.01

Context = tuple[str, str, str]
"""Pattern key, category, scope as JSON."""
Asked = dict[int, set[Context]]
"""Contexts by the place of the close after which they are asked about."""


class Answer(NamedTuple):
    """The exact learner's multiplier in a context after the close at a place."""

    place: int
    context: Context
    multiplier: float


async def latency(
    stack: devstack.StackInfo,
    rate: float,
    seconds: float,
    learning: str,
    quix: str | None,
    warm: int = WARM,
    patterns: int = workload.PATTERNS,
) -> list[Figure]:
    """Both moments at a steady rate, and the first one for the peer."""
    here = Installation(stack, EDGELOOP_LEARNING=learning)
    await here.create()
    count = round(rate * seconds)
    messages = list(workload.closes(warm + count, patterns=patterns))
    sent: dict[str, float] = {}
    with here.worker():
        await here.produce(kinds.CLOSES, messages[:warm])
        await here.idle()
        with uncollected():
            done = asyncio.Event()
            reading = asyncio.create_task(_follow(here, done))
            await here.pace(rate, messages[warm:], sent)
            await here.idle()
            done.set()
            came = await reading
    shown = f"{rate:.0f} closes/s, {warm // patterns:,} trades a group ({learning})"
    waits = in_evidence(came, messages[warm:], sent)
    sample = range(warm, len(messages), max(1, round(rate / PROBES_A_SECOND)))
    rights = sorted(until_right(here.settings, came, messages, sample, sent, rate))
    at_once = sum(wait == 0.0 for wait in rights)
    late = [wait for wait in rights if wait > 0.0] or [0.0]
    figures = [
        Figure(
            f"close to a book that is right, {shown}",
            f"{_quantiles(rights)}; {at_once} of {len(rights)} right before; others"
            f" {_quantiles(late)}",
            1000 * _quantile(rights, 0.99),
            "p50 < 60 ms, p99 < 200 ms",
        ),
        Figure(f"close in evidence, {shown}", _quantiles(waits), 1000 * _quantile(waits, 0.99)),
    ]
    if quix is not None:
        theirs = await peer_delays(stack, quix, rate, count)
        figures.append(
            Figure(
                f"close in the Quix peer's records, {rate:.0f} closes/s",
                _quantiles(theirs),
                1000 * _quantile(theirs, 0.99),
            )
        )
    return figures


def in_evidence(
    came: Sequence[tuple[float, Any]],
    messages: Sequence[tuple[str, bytes]],
    sent: dict[str, float],
) -> list[float]:
    """Seconds, in ascending order."""
    waiting: dict[str, list[str]] = {}
    for _, value in messages:
        event = orjson.loads(value)
        waiting.setdefault(event["actions"][0]["pattern_key"], []).append(
            event["trade_summary"]["exit_timestamp"]
        )
    waits = []
    for at, record in came:
        if record.value is None:
            continue
        override = orjson.loads(record.value)
        if override["action_category"] == "entry" and not override["scope"]:
            exits = waiting.get(override["pattern_key"], [])
            while exits and exits[0] <= override["as_of"]:
                waits.append(at - sent[exits.pop(0)])
    return sorted(waits) or [float("nan")]


def until_right(
    settings: Settings,
    came: Sequence[tuple[float, Any]],
    messages: Sequence[tuple[str, bytes]],
    sample: Sequence[int],
    sent: dict[str, float],
    rate: float,
) -> list[float]:
    """For the close at each place of the sample and each of its groups, the seconds until a book is
    right: 0 if it was right before, infinite if it never was."""
    moments = [sent.get(_exit(value), 0.0) for _, value in messages]
    asked = {place: set(_contexts(messages[place][1])) for place in sample}
    first = exact(settings, messages, asked)
    known = _resolved(came, {answer.context for answer in first})
    late: Asked = {}
    for answer in first:
        if _first(known[answer.context], [answer], moments) > moments[answer.place]:
            until = min(len(messages), answer.place + 1 + round(rate * LATER_S))
            for place in range(answer.place + 1, until):
                late.setdefault(place, set()).add(answer.context)
    goals: dict[Context, list[Answer]] = {}
    for answer in first + exact(settings, messages, late):
        goals.setdefault(answer.context, []).append(answer)
    return [
        _first(
            known[answer.context],
            [goal for goal in goals[answer.context] if goal.place >= answer.place],
            moments,
        )
        - moments[answer.place]
        for answer in first
    ]


def exact(settings: Settings, messages: Sequence[tuple[str, bytes]], asked: Asked) -> list[Answer]:
    """The answers of a learner that refits everything after each of the closes asked about."""
    engine = Engine(settings.learning_config)
    answers, folded = [], 0
    for place in sorted(asked):
        engine.fold(_trades(settings, messages[folded : place + 1]))
        folded = place + 1
        overrides = engine.learn()
        answers += [
            Answer(place, context, _multiplier(overrides, context)) for context in asked[place]
        ]
    return answers


def _resolved(
    came: Sequence[tuple[float, Any]], contexts: Collection[Context]
) -> dict[Context, list[tuple[float, float]]]:
    """When a book resolved a context to what: moments and multipliers, where these changed."""
    shelf = Shelf()
    known: dict[Context, list[tuple[float, float]]] = {context: [] for context in contexts}

    def note(at: float) -> None:
        overrides = list(shelf.records.values())
        for context, published in known.items():
            now = _multiplier(overrides, context)
            if not published or published[-1][1] != now:
                published.append((at, now))

    at = float("-inf")
    for came_at, record in came:
        if came_at != at:
            note(at)
            at = came_at
        shelf.apply([record])
    note(at)
    return known


def _first(
    published: Sequence[tuple[float, float]], goals: Sequence[Answer], moments: Sequence[float]
) -> float:
    """The first moment at which the published multiplier is within a step of a goal that is valid
    by then: from the moment of its close on."""
    best = float("inf")
    for place, (since, multiplier) in enumerate(published):
        until = published[place + 1][0] if place + 1 < len(published) else float("inf")
        for goal in goals:
            start = max(since, moments[goal.place])
            if start < until and abs(multiplier - goal.multiplier) < STEP + 1e-9:
                best = min(best, start)
    return best


def _multiplier(overrides: Sequence[Any], context: Context) -> float:
    pattern_key, category, scope = context
    return resolve(overrides, pattern_key, category, orjson.loads(scope), _at()).multiplier


def _exit(value: bytes) -> str:
    return str(orjson.loads(value)["trade_summary"]["exit_timestamp"])


def _contexts(value: bytes) -> Iterator[Context]:
    for action in orjson.loads(value)["actions"]:
        scope = orjson.dumps(action["scope"]).decode()
        yield action["pattern_key"], action["action_category"], scope


def _trades(
    settings: Settings, messages: Sequence[tuple[str, bytes]]
) -> dict[tuple[str, str], list[Trade]]:
    found: dict[tuple[str, str], list[Trade]] = {}
    now_ms = round(time.time() * 1000)
    for _, value in messages:
        for fact in explode(
            value, now_ms, dimensions=settings.dimensions, outcome=settings.outcome
        ):
            trade = trade_from_fact(fact, settings.outcome)
            if trade is not None:
                found.setdefault((fact.pattern_key, fact.action_category), []).append(trade)
    return found


def _at() -> datetime:
    """One moment for all answers, after every close, so that decay is not compared."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


async def _follow(here: Installation, done: asyncio.Event) -> list[tuple[float, Any]]:
    """Collect all records of overrides with the time of their arrival, until it is done and all
    that were there by then have come."""
    consumer = reader(here.settings, fetch_max_wait_ms=20)
    await consumer.start()
    came: list[tuple[float, Any]] = []
    topic = here.settings.topic(kinds.OVERRIDES)
    partitions = [TopicPartition(topic, p) for p in range(here.settings.partitions)]
    consumer.assign(partitions)
    ends: dict[TopicPartition, int] | None = None
    try:
        while ends is None or any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            if ends is None and done.is_set():
                ends = await consumer.end_offsets(partitions)
            for records in (await consumer.getmany(timeout_ms=50)).values():
                now = time.perf_counter()
                came += [(now, record) for record in records]
        return came
    finally:
        await consumer.stop()


def _quantile(waits: Sequence[float], q: float) -> float:
    return waits[round(q * (len(waits) - 1))]


def _quantiles(waits: Sequence[float]) -> str:
    p50, p99 = (1000 * _quantile(sorted(waits), q) for q in (0.5, 0.99))
    return f"p50 {p50:.0f} ms, p99 {p99:.0f} ms ({len(waits)})"
