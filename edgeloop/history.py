"""`OverrideHistory`: the overrides as of any time, for back-tests.

May touch: a file of changes, or the broker (both read only), when it is created; nothing
afterwards, not even the clock.

A change counts from its time on: with `by="published_at"` from its publication, as a bot would have
seen it; with `by="as_of"` from the newest trade that it was learned from, for logs that were
learned later all at once.  In both cases a back-test sees no trade that had not closed yet.  The
same changes and times give the same answers.

A file is written by `faust -A app export changes --out changes.csv`, or has JSON lines of
`{"published_at": …, "override_id": …, "version": …, "override": {…} or null}`.
"""

from __future__ import annotations

import asyncio
import csv
import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from edgeloop import explore
from edgeloop.close_client import close_client
from edgeloop.identity import check_category
from edgeloop.kafka_security import KafkaSecurity
from edgeloop.lookup import GroupIndex, answer
from edgeloop.overrides import TOPIC, Override
from edgeloop.pattern_key import canonical_pattern_key
from edgeloop.prepared import Prepared, prepare, unix_seconds
from edgeloop.resolution import EMERGENCY, Resolution, failed
from edgeloop.versions import Latest

ORDERS = ("published_at", "as_of")
Group = tuple[str, str]


class Change(NamedTuple):
    """One publication, at `published_s` (Unix seconds): the override became `record`, or was
    retired (None)."""

    override_id: str
    version: int
    published_s: float
    record: Override | None


class Step(NamedTuple):
    """From `at_s` on the override is `prepared` (None: retired)."""

    at_s: float
    override_id: str
    prepared: Prepared | None


class _State(NamedTuple):
    """A group after its first `place` changes."""

    place: int
    held: dict[str, Prepared]
    matcher: GroupIndex


class OverrideHistory:
    """Answers as a book would have given them at the time of each decision.

        history = OverrideHistory.from_file("changes.csv")
        size *= history.resolve("uptrend.S1.entry", "add", scope, at=candle_time).multiplier

    Unlike a book, it needs `at` in every call.
    """

    def __init__(
        self,
        changes: Iterable[Change],
        *,
        by: str = "published_at",
        explore_share: float | None = None,
    ) -> None:
        if by not in ORDERS:
            raise ValueError(f"by is {by!r}; expected one of: {', '.join(ORDERS)}.")
        self._explore = explore.share(explore_share)
        timed = sorted(
            ((_counts_from(change, by), change.version, change) for change in changes),
            key=lambda entry: entry[:2],
        )
        self._changes = len(timed)
        self._steps: dict[Group, list[Step]] = {}
        self._states: dict[Group, _State] = {}
        groups: dict[str, Group] = {}
        latest: Latest[str, None] = Latest()
        for at_s, version, change in timed:
            if not latest.put(change.override_id, version, None):
                continue
            prepared = None if change.record is None else prepare(change.record)
            if prepared is not None:
                groups[change.override_id] = prepared.group
            if (group := groups.get(change.override_id)) is not None:
                self._steps.setdefault(group, []).append(Step(at_s, change.override_id, prepared))

    def _index(self, group: Group, at_s: float) -> GroupIndex | None:
        """The group's overrides at `at_s`.  Back-tests ask in the order of time, so each change is
        applied once."""
        steps = self._steps.get(group)
        if steps is None:
            return None
        place = bisect_right(steps, at_s, key=lambda step: step.at_s)
        state = self._states.get(group)
        if state is None or state.place > place:
            state = _State(0, {}, GroupIndex(()))
        if state.place < place:
            held = dict(state.held)
            for step in steps[state.place : place]:
                if step.prepared is None:
                    held.pop(step.override_id, None)
                else:
                    held[step.override_id] = step.prepared
            state = _State(place, held, GroupIndex(held.values()))
        self._states[group] = state
        return state.matcher

    def __len__(self) -> int:
        return self._changes

    def resolve(
        self,
        pattern_key: str,
        action_category: str,
        scope: Mapping[str, object],
        at: datetime | None = None,
        *,
        module: str = "pm",
        emergency: bool = False,
        decision_id: str | None = None,
    ) -> Resolution:
        """The size multiplier at `at`: see `OverrideBook.resolve`.  Never raises."""
        if emergency:
            return EMERGENCY
        try:
            if at is None:
                raise ValueError("The history needs the time of the decision.")
            at_s = unix_seconds(at)
            key = canonical_pattern_key(pattern_key, module)
            group = (key, check_category(action_category))
            index = self._index(group, at_s)
            return answer(index, scope, at_s, self._explore, key, action_category, decision_id)
        except Exception as error:
            return failed(error)

    @classmethod
    def from_file(cls, path: str | Path, **options: Any) -> OverrideHistory:
        """Read a file of changes.  Raises `OSError`, and `ValueError` naming the line that cannot
        be read."""
        read = _from_csv if Path(path).suffix.lower() == ".csv" else _from_lines
        return cls(read(Path(path)), **options)

    @classmethod
    def from_topic(
        cls,
        broker: str,
        *,
        topic_prefix: str = "",
        security: KafkaSecurity | None = None,
        client_options: Mapping[str, Any] | None = None,
        timeout_s: float = 60.0,
        **options: Any,
    ) -> OverrideHistory:
        """Read the topic: it holds at least the last change of each override; compaction removes
        earlier ones after a while.  Must not be called in a running event loop.

        Raises `SecurityError`; `TimeoutError` and aiokafka's errors where the broker does not
        answer.
        """
        given = {**(security or KafkaSecurity()).client_options(), **(client_options or {})}
        read = read_changes(broker, topic_prefix + TOPIC, given)
        return cls(asyncio.run(asyncio.wait_for(read, timeout_s)), **options)


def _counts_from(change: Change, by: str) -> float:
    if by == "published_at" or change.record is None:
        return change.published_s
    return datetime.fromisoformat(change.record.as_of).timestamp()


async def read_changes(broker: str, topic: str, client_options: Mapping[str, Any]) -> list[Change]:
    """All changes that the topic holds, up to its end now."""
    from aiokafka import AIOKafkaConsumer, TopicPartition

    consumer = AIOKafkaConsumer(
        **{
            "bootstrap_servers": broker,
            "enable_auto_commit": False,
            **client_options,
            "isolation_level": "read_committed",
        }
    )
    await consumer.start()
    try:
        if topic not in await consumer.topics():
            raise ConnectionError(f"The topic {topic} does not exist.")
        first = TopicPartition(topic, 0)
        consumer.assign([first])
        await consumer.end_offsets([first])
        tps = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        ends = await consumer.end_offsets(tps)
        changes: list[Change] = []
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                changes += [change for record in records if (change := _of_record(record))]
        return changes
    finally:
        await close_client(consumer)


def _of_record(record: Any) -> Change | None:
    """The change in a Kafka record; None for one that a book would skip, too."""
    try:
        version = int(next(v for n, v in reversed(record.headers) if n == "version"))
        override = (
            None if record.value is None else msgspec.json.decode(record.value, type=Override)
        )
        if override is not None:
            prepare(override)
        return Change(record.key.decode(), version, record.timestamp / 1000, override)
    except (StopIteration, ValueError, TypeError, AttributeError, RecursionError):
        return None


def _from_lines(path: Path) -> list[Change]:
    changes = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                record = row["override"]
                override = None if record is None else msgspec.convert(record, Override)
                changes.append(
                    Change(
                        str(row["override_id"]),
                        int(row["version"]),
                        unix_seconds(datetime.fromisoformat(row["published_at"])),
                        override,
                    )
                )
            except (ValueError, TypeError, KeyError) as error:
                raise ValueError(
                    f"{path}:{number} is not a change of an override: {error!r}."
                ) from None
    return changes


def _override(row: Mapping[str, str]) -> Override:
    """The record in a row of the export."""

    def real(name: str) -> float | None:
        return float(row[name]) if row[name] else None

    interval = real("half_life_low_hours"), real("half_life_high_hours")
    fields = {
        **{name: row[name] for name in _TEXTS},
        **{name: json.loads(row[name]) for name in ("scope", "regime_gains", "covers")},
        **{name: real(name) for name in _NUMBERS},
        "n_trades": int(row["n_trades"]),
        "version": int(row["version"]),
        "latent_factor_id": row["latent_factor_id"] or None,
        "expires_at": row["expires_at"] or None,
        "evidence": {
            "from": row["evidence_from"],
            "to": row["evidence_to"],
            "lesson_version": int(row["version"]),
        },
        "decay": {
            "state": row["decay_state"],
            "half_life_hours": real("half_life_hours"),
            "interval": None if None in interval else interval,
        },
    }
    return msgspec.convert(fields, Override)


_TEXTS = (
    "override_id",
    "learning",
    "module",
    "pattern_key",
    "action_category",
    "part",
    "as_of",
)
_NUMBERS = ("effect", "effect_sd", "multiplier", "confidence", "baseline")


def _from_csv(path: Path) -> list[Change]:
    changes = []
    with path.open(encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), 2):
            try:
                retired = row["retired"].lower() == "true"
                changes.append(
                    Change(
                        row["override_id"],
                        int(row["version"]),
                        unix_seconds(datetime.fromisoformat(row["published_at"])),
                        None if retired else _override(row),
                    )
                )
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise ValueError(
                    f"{path}:{number} is not a change of an override: {error!r}."
                ) from None
    return changes
