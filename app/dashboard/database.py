"""Readings from PostgreSQL: closes by day, what was learned, changes, values of the scope, shadows.

May touch: PostgreSQL (read only).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import asyncpg
import msgspec

from app.replay.run import described
from app.replay.shadow import names, opened
from app.settings import Settings
from app.storage.connect import close, connect

DAYS = 60
MONTHS = 24
MOST_CHANGES = 12
MOST_VALUES = 200
"""Maximum number of values of a dimension, and of pattern keys, that the form suggests."""


class Day(msgspec.Struct, frozen=True):
    """Trades whose exit was on a day (UTC)."""

    day: str
    trades: int


class Activity(msgspec.Struct, frozen=True):
    """All trades, and the trades of each of the last days up to the newest exit."""

    trades: int
    newest: str | None
    days: tuple[Day, ...]


class Learned(msgspec.Struct, frozen=True):
    """Numbers of lessons by decision (`""`: not judged yet)."""

    lessons: int
    decisions: dict[str, int]


class PastChange(msgspec.Struct, frozen=True):
    """One published change of an override; `multiplier` is None where it was retired."""

    override_id: str
    at: str
    pattern_key: str
    action_category: str
    scope: dict[str, str]
    multiplier: float | None


class Month(msgspec.Struct, frozen=True):
    """What the effects in force, before each day of a month, predicted for the trades of that day,
    and what these trades made in the predicted direction; per trade, in units of the outcome."""

    month: str
    trades: int
    promised: float
    made: float


class Values(msgspec.Struct, frozen=True):
    """Suggestions for the form."""

    patterns: tuple[str, ...]
    scopes: dict[str, tuple[str, ...]]


class ShadowLine(msgspec.Struct, frozen=True):
    """A replay."""

    name: str
    source: str
    started_at: str
    finished_at: str | None
    trades: int
    overrides: int


class Database:
    """Keeps one connection open, and replaces it after an error."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: asyncpg.Connection | None = None

    async def ask(self, question: Callable[[asyncpg.Connection], Awaitable[object]]) -> object:
        """The rows of a query.  Raises what `connect` and asyncpg raise."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(
                self._settings.database_url, self._settings.database_schema
            )
        try:
            async with self._connection.transaction(readonly=True):
                return await question(self._connection)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await close(connection)


async def answers(connection: asyncpg.Connection) -> bool:
    """Check that the server answers."""
    return bool(await connection.fetchval("SELECT 1"))


async def activity(connection: asyncpg.Connection) -> Activity:
    """The number of trades, in total and by day."""
    total, newest = await connection.fetchrow(
        "SELECT count(*), max(exit_ts) FROM"
        " (SELECT module, trade_id, max(exit_ts) AS exit_ts FROM pattern_trade_events"
        " GROUP BY module, trade_id) AS trades"
    )
    if newest is None:
        return Activity(0, None, ())
    rows = await connection.fetch(
        "SELECT day::date::text AS day, count(DISTINCT (f.module, f.trade_id)) AS trades"
        " FROM generate_series(($1 AT TIME ZONE 'UTC')::date - $2::int + 1,"
        " ($1 AT TIME ZONE 'UTC')::date, '1 day') AS day"
        " LEFT JOIN pattern_trade_events AS f ON f.exit_ts >= day AT TIME ZONE 'UTC'"
        " AND f.exit_ts < (day + interval '1 day') AT TIME ZONE 'UTC' GROUP BY 1 ORDER BY 1",
        newest,
        DAYS,
    )
    return Activity(total, _text(newest), tuple(Day(r["day"], r["trades"]) for r in rows))


async def learned(connection: asyncpg.Connection) -> Learned:
    """How many lessons there are."""
    rows = await connection.fetch(
        "SELECT coalesce(decision, '') AS decision, count(*) AS n FROM learning_lessons"
        " WHERE lesson_version IS NOT NULL GROUP BY 1"
    )
    found = {r["decision"]: r["n"] for r in rows}
    return Learned(sum(found.values()), found)


async def changes(connection: asyncpg.Connection) -> tuple[PastChange, ...]:
    """The newest changes; a retired override is shown as it was before."""
    rows = await connection.fetch(
        "SELECT h.override_id, h.published_at, h.retired, coalesce(h.record, (SELECT b.record"
        " FROM pm_overrides_history AS b WHERE b.override_id = h.override_id"
        " AND b.record IS NOT NULL ORDER BY b.published_at DESC LIMIT 1))::text AS record"
        " FROM (SELECT * FROM pm_overrides_history ORDER BY published_at DESC, version DESC"
        " LIMIT $1) AS h ORDER BY h.published_at DESC, h.version DESC",
        MOST_CHANGES,
    )
    found = []
    for row in rows:
        record = msgspec.json.decode(row["record"]) if row["record"] else {}
        found.append(
            PastChange(
                row["override_id"],
                _text(row["published_at"]),
                record.get("pattern_key", ""),
                record.get("action_category", ""),
                record.get("scope", {}),
                None if row["retired"] else record.get("multiplier"),
            )
        )
    return tuple(found)


async def months(connection: asyncpg.Connection) -> tuple[Month, ...]:
    """What the effects of slices in force predicted, and what the trades made, by month."""
    rows = await connection.fetch(
        "SELECT to_char(d.day, 'YYYY-MM') AS month, sum(d.n) AS n,"
        " sum(d.n * abs(d.predicted)) / sum(d.n) AS promised,"
        " sum(d.n * d.uplift * sign(d.predicted)) / sum(d.n) AS made"
        " FROM learning_edge_history AS d JOIN pm_overrides AS o ON o.override_id = d.lesson_id"
        " WHERE o.scope <> '{}' AND d.n > 0 GROUP BY 1 ORDER BY 1 DESC LIMIT $1",
        MONTHS,
    )
    return tuple(
        Month(r["month"], int(r["n"]), float(r["promised"]), float(r["made"])) for r in rows[::-1]
    )


async def since(connection: asyncpg.Connection) -> dict[str, str]:
    """Override id → the time since which it has been in force without a break; only overrides in
    force."""
    rows = await connection.fetch(
        "SELECT h.override_id, min(h.published_at) AS at FROM pm_overrides AS o"
        " JOIN pm_overrides_history AS h USING (override_id)"
        " LEFT JOIN (SELECT override_id, max(published_at) AS at FROM pm_overrides_history"
        " WHERE retired GROUP BY 1) AS r USING (override_id)"
        " WHERE NOT h.retired AND (r.at IS NULL OR h.published_at > r.at) GROUP BY 1"
    )
    return {row["override_id"]: _text(row["at"]) for row in rows}


async def values(connection: asyncpg.Connection) -> Values:
    """Pattern keys and scope values of the lessons, each in alphabetical order."""
    patterns = await connection.fetch(
        "SELECT DISTINCT pattern_key FROM learning_lessons ORDER BY 1 LIMIT $1", MOST_VALUES
    )
    rows = await connection.fetch(
        "SELECT DISTINCT s.key, s.value FROM learning_lessons, jsonb_each_text(scope) AS s"
        " ORDER BY 1, 2"
    )
    scopes: dict[str, list[str]] = {}
    for row in rows:
        held = scopes.setdefault(row["key"], [])
        if len(held) < MOST_VALUES:
            held.append(row["value"])
    return Values(
        tuple(r["pattern_key"] for r in patterns), {name: tuple(v) for name, v in scopes.items()}
    )


async def shadows(settings: Settings) -> tuple[ShadowLine, ...]:
    """The existing replays, the newest first."""
    found = []
    for name in await names(settings):
        async with opened(settings, name) as shadow:
            state = await shadow.state()
        found.append(
            ShadowLine(
                state.name,
                described(state.source),
                _text(state.started_at),
                None if state.finished_at is None else _text(state.finished_at),
                sum(done.trades for done in state.folded.values()),
                sum(state.judged.values()),
            )
        )
    return tuple(sorted(found, key=lambda s: s.started_at, reverse=True))


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
