"""The checks behind `faust -A app doctor`: broker, topics, database, versions, clock.  Each says
what it found and what to do.

May touch: the broker and the database (read only).
"""

from __future__ import annotations

import importlib.metadata
import time
from contextlib import suppress
from dataclasses import dataclass

from app.errors import EdgeloopError
from app.log import topics
from app.log.admin import admin
from app.log.reader import log_bounds, scan
from app.settings import Settings, redact_url
from app.storage.connect import close, connect
from app.storage.migrate import require_migrated
from schemas import kinds

PINNED = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}
CLOCK_LIMIT_S = 60.0


@dataclass(frozen=True)
class Finding:
    """One check.  `remedy` is empty when all is well."""

    check: str
    ok: bool
    found: str
    remedy: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Run every check; none raises, each failure is a finding."""
    return [
        _versions(),
        await _broker(settings),
        await _topics(settings),
        await _clock(settings),
        await _database(settings),
    ]


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
        return Finding("database", False, error.what, error.remedy)
    return Finding(
        "database",
        True,
        f"{redact_url(settings.database_url)}, schema {settings.database_schema} is up to date",
    )
