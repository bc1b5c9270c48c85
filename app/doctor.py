"""The checks behind `faust -A app doctor`: broker, topics, log, published versions, lag, agreed
settings, database, rights, versions, clock.

Each says what it found and what to do.

May touch: the broker and the database (read only).
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import asyncpg
from aiokafka.errors import KafkaError

from app.errors import ConfigurationError, EdgeloopError, UnreachableError
from app.kafka import log_identity, topics
from app.kafka.admin import admin
from app.kafka.bulk_reader import log_bounds, scan
from app.kafka.control import ControlState
from app.kafka.lag import Lag, LagReader
from app.kafka.versions_beyond import versions_beyond
from app.settings import Settings
from app.storage import projected_log
from app.storage.connect import close, connect
from app.storage.lost_rows import read_so_far, sample_rows
from app.storage.migrate import NotMigratedError, require_migrated
from app.storage.rights import require_rights
from app.urls import redact_url
from app.worker.agreement import REMEDY, control_state, fingerprint, refusal
from schemas import kinds

PINNED = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}
CLOCK_LIMIT_S = 60.0
OPEN_FOR_S = 3.0
NEWEST = 2_000
"""Offsets at the end of each partition of a derived topic whose versions are checked; a worker
checks all of them when it reads what is published."""


@dataclass(frozen=True)
class Finding:
    """One check.  `remedy` is empty when all is well."""

    check: str
    ok: bool
    found: str
    remedy: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Run every check; none raises, each failure is a finding.

    They run concurrently, as each would wait for a broker that does not answer.
    """
    of_kafka, control, of_postgres, projection = await asyncio.gather(
        asyncio.gather(
            _broker(settings),
            _topics(settings),
            _log(settings),
            _published(settings),
            _lag(settings),
        ),
        _control(settings),
        asyncio.gather(_clock(settings), _database(settings)),
        _projection(settings),
    )
    return [_versions(), *of_kafka, *control, *of_postgres, *projection]


def _versions() -> Finding:
    found = {name: importlib.metadata.version(name) for name in PINNED}
    wrong = [f"{name} {version}" for name, version in found.items() if version != PINNED[name]]
    text = ", ".join(f"{name} {version}" for name, version in found.items())
    if wrong:
        pins = " ".join(f"{n}=={v}" for n, v in PINNED.items())
        return Finding(
            "versions",
            False,
            f"{', '.join(wrong)} differs from the tested version",
            f"pip install {pins}",
        )
    return Finding("versions", True, text)


async def _broker(settings: Settings) -> Finding:
    try:
        async with admin(settings, timeout_s=5.0) as client:
            cluster = await client.describe_cluster()
    except EdgeloopError as error:
        return Finding("broker", False, error.what, error.remedy)
    return Finding("broker", True, f"{settings.broker}, {len(cluster['brokers'])} broker(s)")


async def _topics(settings: Settings) -> Finding:
    try:
        mismatches = await topics.check(settings)
    except EdgeloopError as error:
        return Finding("topics", False, error.what, error.remedy)
    if mismatches:
        first = mismatches[0]
        more = f" (and {len(mismatches) - 1} more)" if len(mismatches) > 1 else ""
        return Finding("topics", False, f"{first.topic} {first.problem}{more}", first.remedy)
    return Finding(
        "topics", True, f"{len(topics.declaration(settings))} topics match their declaration"
    )


async def _log(settings: Settings) -> Finding:
    """Whether the log is the one that was read: in Kafka as it was noted, and in PostgreSQL."""
    try:
        differences, lost = await log_identity.examine(settings)
        if differences:
            return _differ("log", log_identity.refusal(differences))
        if settings.database_url:
            with suppress(UnreachableError):  # has its own finding
                await projected_log.require_same_log(settings)
    except ConfigurationError as error:
        return _differ("log", error)
    except EdgeloopError as error:
        return Finding("log", False, error.what, error.remedy)
    except (KafkaError, asyncpg.PostgresError) as error:
        return Finding("log", False, f"The log cannot be compared: {error!r}", "try again")
    if lost:
        more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
        remedy = f"send them again if you can; to acknowledge the loss: {topics.ACCEPT}"
        return Finding("log", False, f"{lost[0]}{more}", remedy)
    return Finding("log", True, "it is the one that was read before")


async def _published(settings: Settings) -> Finding:
    """Whether published records would win over all that workers publish."""
    try:
        found = await versions_beyond(settings, NEWEST)
    except ConfigurationError as error:  # the topics have their own finding
        return Finding("published", True, f"not checked: {error.what}")
    except EdgeloopError as error:
        return Finding("published", False, error.what, error.remedy)
    if found:
        text = "; ".join(f"{d.topic} {d.what}" for d in found)
        remedy = (
            "if the log was not replaced, another program has written them: revoke its right"
            f" (docs/security.md), stop all workers, then: {topics.ACCEPT}"
        )
        return Finding("published", False, text, remedy)
    return Finding("published", True, "no new record has a version beyond the end of its source")


def _differ(check: str, error: ConfigurationError) -> Finding:
    return Finding(check, False, " ".join(error.what.split()), error.remedy)


async def _lag(settings: Settings) -> Finding:
    """What blocks records that are behind."""
    try:
        async with LagReader(settings) as reader:
            lags = await reader.lags()
            if any(lag.open_at for lag in lags):
                # Every transaction is open for a moment; one that blocks does not move.
                before = {(lag.role, lag.topic): lag.open_at for lag in lags}
                await asyncio.sleep(OPEN_FOR_S)
                lags = [
                    _without_moving(lag, before[lag.role, lag.topic]) for lag in await reader.lags()
                ]
    except ConfigurationError as error:  # the topics have their own finding
        return Finding("lag", True, f"not checked: {error.what}")
    except EdgeloopError as error:
        return Finding("lag", False, error.what, error.remedy)
    except KafkaError as error:
        return Finding("lag", False, f"The lag cannot be read: {error!r}", "try again")
    problems = [text for lag in lags for text in lag.problems]
    if problems:
        return Finding("lag", False, " ".join(problems), "see `faust -A app status`")
    records = sum(lag.records for lag in lags)
    return Finding("lag", True, f"{records:,} records are behind, and nothing blocks them")


def _without_moving(lag: Lag, before: Mapping[int, int]) -> Lag:
    """`lag` with the records behind open transactions only if one of these was open `before`,
    too."""
    stays = any(before.get(partition) == offset for partition, offset in lag.open_at.items())
    return lag if stays else replace(lag, in_transaction=0)


async def _control(settings: Settings) -> list[Finding]:
    """What the control log says: the settings agreed on, and alerts of rewritten trades."""
    try:
        state = await control_state(settings)
    except ConfigurationError as error:  # a missing topic has its own finding
        return [Finding("settings", True, f"nothing is agreed on: {error.what}")]
    except EdgeloopError as error:
        return [Finding("settings", False, error.what, error.remedy)]
    return [_agreement(settings, state), _rewrites(state)]


def _agreement(settings: Settings, state: ControlState) -> Finding:
    """This environment's settings against those that the workers have agreed on."""
    agreed = state.agreed
    if agreed is None:
        return Finding("settings", True, "nothing is agreed on: the first worker's will be")
    if what := refusal(agreed, fingerprint(settings)):
        return Finding("settings", False, what, REMEDY)
    return Finding("settings", True, f"as agreed on since {agreed.at}, by {agreed.by}")


def _rewrites(state: ControlState) -> Finding:
    if not state.rewrites:
        return Finding("rewrites", True, "no alert of trades rewritten in bulk")
    module, alert = max(state.rewrites.items(), key=lambda item: item[1].trades)
    more = f" (and {len(state.rewrites) - 1} more modules)" if len(state.rewrites) > 1 else ""
    return Finding(
        "rewrites",
        False,
        f"{alert.trades:,} known trades of {module} were rewritten within ten minutes, until"
        f" {alert.at}{more}",
        "find out who wrote them (docs/operations.md#rewritten-trades), then: faust -A app rewrites"
        " acknowledge",
    )


async def _clock(settings: Settings) -> Finding:
    """Compare this machine's clock with the database's and with those of the newest closes'
    producers.

    A close whose exit lies more than a day after its record's timestamp is a dead letter, and
    overrides decay by the reader's clock.
    """
    clocks: dict[str, float] = {}
    with suppress(EdgeloopError):  # a broker or database that is away has its own finding
        clocks |= await _database_clock(settings)
    with suppress(EdgeloopError):
        clocks |= await _newest_close(settings)
    ahead = {name: seconds for name, seconds in clocks.items() if abs(seconds) > CLOCK_LIMIT_S}
    if ahead:
        text = ", ".join(
            f"{name} is {seconds:+.0f} s off this machine's clock"
            for name, seconds in ahead.items()
        )
        return Finding("clock", False, text, "synchronise the clocks (NTP)")
    compared = f" (agrees with {', '.join(clocks)})" if clocks else " (no reference clock)"
    return Finding("clock", True, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) + compared)


async def _database_clock(settings: Settings) -> dict[str, float]:
    if not settings.database_url:
        return {}
    connection = await connect(settings.database_url, settings.database_schema)
    try:
        theirs: float = await connection.fetchval(
            "SELECT extract(epoch FROM clock_timestamp())::float8"
        )
        return {"the database": theirs - time.time()}
    finally:
        await close(connection)


async def _newest_close(settings: Settings) -> dict[str, float]:
    """The newest close, if it is in the future; older ones show nothing about the clock."""
    begins, ends = await log_bounds(settings, kinds.CLOSES)
    last = {int(p): end - 1 for p, end in ends.items() if end > begins[p]}
    ahead = 0.0
    async for records in scan(settings, kinds.CLOSES, starts=last):
        for record in records:
            ahead = max(ahead, record.timestamp / 1000 - time.time())
    return {"the newest close": ahead} if ahead else {}


async def _database(settings: Settings) -> Finding:
    if not settings.database_url:
        remedy = "set EDGELOOP_DATABASE_URL, or leave projector out of EDGELOOP_AGENTS"
        return Finding(
            "database",
            "projector" not in settings.agents,
            "EDGELOOP_DATABASE_URL is not set",
            remedy,
        )
    try:
        await require_migrated(settings.database_url, settings.database_schema)
    except EdgeloopError as error:
        return Finding("database", False, error.what, await _migrate_or_rebuild(settings, error))
    return Finding(
        "database",
        True,
        f"{redact_url(settings.database_url)}, schema {settings.database_schema} is up to date",
    )


async def _migrate_or_rebuild(settings: Settings, error: EdgeloopError) -> str:
    """How to get tables that are missing: if the projector has written before, they were lost."""
    if isinstance(error, NotMigratedError):
        with suppress(EdgeloopError):  # a broker that is away has its own finding
            if await read_so_far(settings):
                return (
                    "the projector has written before: stop the workers, then"
                    " `faust -A app rebuild` (`migrate` alone would leave the tables half empty)"
                )
    return error.remedy


async def _projection(settings: Settings) -> list[Finding]:
    """Whether the projector may write, and whether the tables hold what it has committed.

    Empty where the database is not ready: that is a finding already.
    """
    if not settings.database_url:
        return []
    try:
        await require_migrated(settings.database_url, settings.database_schema)
    except EdgeloopError:
        return []
    findings = []
    if "projector" in settings.agents:
        findings.append(await _rights(settings))
    with suppress(EdgeloopError):  # a broker or a topic that is not there has its own finding
        findings.append(await _tables(settings))
    return findings


async def _tables(settings: Settings) -> Finding:
    """Whether records that the projector has read are in the tables."""
    try:
        sampled = await sample_rows(settings)
    except (asyncpg.PostgresError, KafkaError) as error:
        return Finding("tables", False, f"The tables cannot be compared: {error!r}", "try again")
    records = sum(s.records for s in sampled)
    lacking = [f"{s.missing:,} of {s.records:,} of {s.topic}" for s in sampled if s.missing]
    if not lacking:
        return Finding("tables", True, f"{records:,} sampled records, none is missing")
    return Finding(
        "tables",
        False,
        f"records that the projector has read are missing in the samples: {'; '.join(lacking)}",
        "stop the workers, then `faust -A app rebuild`",
    )


async def _rights(settings: Settings) -> Finding:
    try:
        await require_rights(settings)
    except EdgeloopError as error:
        return Finding("rights", False, error.what, error.remedy)
    return Finding("rights", True, "the projector may write")
