"""Promotion: publish the differences between a shadow and the live records, all of them or none.

May touch: the broker: reads the topics, and writes `learning_lessons`, `lesson_verdicts`,
`pm_overrides`, `learning_baselines`, `learning_regime_weights`, `learning_latent_factors`;
PostgreSQL (the shadow, read only).

1. Compare the published records with the shadow key by key.  Send records that differ, retire those
   that the shadow does not have.  (Edge history is left to the workers, which send the days of all
   lessons when they start.)
2. Refuse, unless each reason is accepted, if the settings differ, the shadow does not cover the
   whole log, the log has grown, or workers are running, which would overwrite it.
3. The version of a lesson is the current end of its group's facts; that of a judged record is the
   current end of its module's lessons; neither is below the published version.  So no version is
   below what any worker has written, or above what one that starts later will write.  With the
   shadow's settings that worker finds the records that it would publish itself, and publishes
   nothing.
4. Everything is one Kafka transaction.  Readers of committed records see nothing of it before its
   end, and nothing at all if it is interrupted; the next promotion, with the same transactional id,
   first aborts it.
5. Each record has headers: `promotion`, an id of this one, and `promotion.records`, how many of its
   records are in this partition, so that a reader in memory can apply them at once
   (`edgeloop.book`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from aiokafka.errors import KafkaError

from app.errors import ConfigurationError, UnreachableError
from app.kafka.acls import promotion_id
from app.kafka.connection_errors import explained
from app.kafka.consumer_groups import group_of
from app.kafka.producer import send_transaction
from app.kafka.records import Outgoing, derived_headers, encode, partition_of
from app.kafka.skipped import Skipped
from app.replay.digest import Records, bare
from app.replay.published import Live, decoded, read_live
from app.replay.shadow import State, differing, learning_settings, opened
from app.replay.span import newer
from app.settings import Settings
from schemas import kinds
from schemas.facts import group_key

SENT = (kinds.LESSONS, *kinds.JUDGED)
"""What is sent, in this order."""
REFUSALS = ("settings", "range", "age", "workers")
"""What may be accepted."""


class Promotion(NamedTuple):
    """What a promotion would publish.  `counts`: (records, tombstones) by topic; `refusals`:
    (sentence, remedy) by the word that accepts it; `skipped`: published records that cannot be
    read, which stay as they are unless the shadow has their key."""

    id: str
    records: list[Outgoing]
    counts: dict[str, tuple[int, int]]
    refusals: dict[str, tuple[str, str]]
    skipped: Skipped


def require_finished(state: State) -> None:
    """Raise `ConfigurationError` unless the replay is done."""
    if state.finished_at is None:
        raise ConfigurationError(
            f"The replay {state.name} is not finished.",
            "Run it again with the same source and range; it resumes where it stopped.",
        )


async def promote(
    settings: Settings,
    name: str,
    *,
    accept: Collection[str] = (),
    dry_run: bool = False,
    agreed: Callable[[Promotion], bool] = lambda plan: True,
) -> tuple[Promotion, bool]:
    """Plan and, unless `dry_run`, publish if `agreed` returns true; returns the plan and whether it
    was published.

    Raises `ConfigurationError` for the first refusal that was not accepted, `UnreachableError`.
    """
    async with opened(settings, name) as shadow:
        state = await shadow.state()
        require_finished(state)
        if not dry_run:
            await shadow.lock()
        records = await shadow.records()
        live = await read_live(settings)
        outgoing = changes(settings, records, live, f"{name}-{time.time_ns():x}")
        plan = Promotion(
            _id_of(outgoing),
            outgoing,
            _counts(settings, outgoing),
            refusals(
                state,
                learning_settings(settings),
                live,
                len((await group_of(settings, settings.consumer_group)).members),
            ),
            live.skipped,
        )
        for word, (what, remedy) in plan.refusals.items():
            if word not in accept and not dry_run:
                raise ConfigurationError(what, f"{remedy}  Or override this check: --accept {word}")
        yes = agreed(plan)
        if yes and not dry_run:
            await publish(settings, plan.records)
    return plan, yes and not dry_run


def refusals(
    state: State, mine: Mapping[str, Any], live: Live, members: int
) -> dict[str, tuple[str, str]]:
    """Why a shadow should not be promoted: (sentence, remedy) by the word that accepts it."""
    found: dict[str, tuple[str, str]] = {}
    if differences := differing(state.settings, dict(mine)):
        found["settings"] = (
            (
                "The shadow was built with settings that differ from this environment's:"
                f" {', '.join(differences)}."
            ),
            (
                "Workers with these settings would publish different records: promote with the"
                " shadow's settings, and use them for workers."
            ),
        )
    source = state.source
    if source.kind == "files" or not source.span.is_all:
        where = (
            "from files"
            if source.kind == "files"
            else f"built from part of the log ({source.span.asked})"
        )
        found["range"] = (
            f"The shadow is {where}, and workers learn from the whole log.",
            "They would replace it when they start: build a shadow with --all.",
        )
    else:
        topic = kinds.CLOSES if source.kind == "closes" else kinds.FACTS
        if more := newer(source.ends, live.ends[topic]):
            found["age"] = (
                f"{more:,} records have reached {topic} since the replay started.",
                f"Run it again: faust -A app replay run {state.name} --restart …",
            )
    if members:
        found["workers"] = (
            (
                f"{members} worker(s) are running and would overwrite it according to their own"
                " settings."
            ),
            "Stop them first; a killed worker counts for another 12 seconds.",
        )
    return found


def changes(settings: Settings, records: Records, live: Live, name: str) -> list[Outgoing]:
    """Steps 1, 3 and 5: the records to send, by topic and key."""
    lesson_versions: dict[str, int] = {}
    found: list[tuple[str, int, str, bytes | None, int]] = []
    for topic in SENT:
        held, versions = live.records.get(topic, {}), live.versions.get(topic, {})
        for key, value in sorted(records.get(topic, {}).items()):
            record = decoded(topic, key, value)
            partition = partition_of(record.module, settings.partitions)
            old = held.get(key)
            if old is not None and bare(old) == bare(value):
                if topic == kinds.LESSONS:
                    lesson_versions[key] = decoded(topic, key, old).version
                continue
            version = max(_version_now(settings, topic, record, live), versions.get(key, 0))
            if topic == kinds.LESSONS:
                lesson_versions[key] = version
            found.append(
                (
                    topic,
                    partition,
                    key,
                    encode(_versioned(record, version, lesson_versions)),
                    version,
                )
            )
        for key in sorted(held.keys() - records.get(topic, {}).keys()):
            record = decoded(topic, key, held[key])
            version = max(_version_now(settings, topic, record, live), versions.get(key, 0))
            found.append(
                (topic, partition_of(record.module, settings.partitions), key, None, version)
            )
    in_partition = Counter((topic, partition) for topic, partition, *_ in found)
    return [
        Outgoing(
            settings.topic(topic),
            partition,
            key.encode(),
            value,
            (
                *derived_headers(version),
                ("writer", f"replay-{name}".encode()),
                ("promotion", name.encode()),
                ("promotion.records", str(in_partition[topic, partition]).encode()),
            ),
        )
        for topic, partition, key, value, version in found
    ]


def _version_now(settings: Settings, topic: str, record: Any, live: Live) -> int:
    if topic == kinds.LESSONS:
        group = group_key(record.pattern_key, record.action_category)
        return live.ends[kinds.FACTS][str(partition_of(group, settings.partitions))]
    return live.ends[kinds.LESSONS][str(partition_of(record.module, settings.partitions))]


def _versioned(record: Any, version: int, lesson_versions: Mapping[str, int]) -> Any:
    """The record with its version and that of its lesson."""
    changed: dict[str, Any] = {"version": version}
    lesson_id = getattr(record, "lesson_id", None) or getattr(record, "override_id", None)
    lesson_version = lesson_versions.get(lesson_id or "", version)
    if hasattr(record, "lesson_version"):
        changed["lesson_version"] = lesson_version
    if hasattr(record, "evidence"):
        changed["evidence"] = msgspec.structs.replace(
            record.evidence, lesson_version=lesson_version
        )
    return msgspec.structs.replace(record, **changed)


def _id_of(records: Sequence[Outgoing]) -> str:
    return dict(records[0].headers)["promotion"].decode() if records else ""


def _counts(settings: Settings, records: Sequence[Outgoing]) -> dict[str, tuple[int, int]]:
    put = Counter(record.topic for record in records if record.value is not None)
    retired = Counter(record.topic for record in records if record.value is None)
    return {topic: (put[settings.topic(topic)], retired[settings.topic(topic)]) for topic in SENT}


async def publish(settings: Settings, records: Sequence[Outgoing]) -> None:
    """Step 4.  Raises `UnreachableError`; then none of it is visible."""
    try:
        await send_transaction(settings, records, promotion_id(settings))
    except (KafkaError, OSError) as error:
        if refusal := explained(error):
            raise refusal from error
        raise UnreachableError(
            f"The promotion was not published: {error!r}.",
            "Readers see none of it.  Run: faust -A app doctor, then promote again.",
        ) from error
