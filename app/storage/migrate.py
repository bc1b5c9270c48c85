"""Numbered SQL migrations, each applied once, in order, in its own transaction, and never changed
afterwards.

May touch: PostgreSQL, the files in `app/migrations`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

import asyncpg
import structlog

from app.errors import ConfigurationError, EdgeloopError, UnreachableError
from app.storage.connect import close, connect, is_transient

log = structlog.get_logger(__name__)

LEDGER = "edgeloop_migrations"

_LOCK_WAIT_S = 60.0  # a second `migrate` waits for the first
_STATEMENT_TIMEOUT_S = 600.0  # an index over a year of trades takes minutes


@dataclass(frozen=True)
class Migration:
    """One file `NNNN_name.sql`; `sha256` is the hex digest of its bytes."""

    number: int
    name: str
    sql: str
    sha256: str


def migrations(folder: Traversable | None = None) -> tuple[Migration, ...]:
    """The migrations in `folder` (default: those of this release), by number.  Raises
    `ConfigurationError` on a gap or a duplicate."""
    source = files("app") / "migrations" if folder is None else folder
    found = []
    for file in source.iterdir():
        if match := re.fullmatch(r"(\d{4})_[a-z0-9_]+\.sql", file.name):
            content = file.read_bytes()
            found.append(
                Migration(
                    int(match[1]), file.name, content.decode(), hashlib.sha256(content).hexdigest()
                )
            )
    found.sort(key=lambda m: m.number)
    if [m.number for m in found] != list(range(1, len(found) + 1)):
        raise ConfigurationError(
            f"The migrations are not numbered 1 to {len(found)}:"
            f" {', '.join(m.name for m in found)}.",
            "Reinstall Edgeloop; if you wrote a migration, give it the next number.",
        )
    return tuple(found)


class NotMigratedError(ConfigurationError):
    """A schema lacks migrations: it is older, or its tables are gone."""


def tables(folder: Traversable | None = None) -> tuple[str, ...]:
    """The tables that the migrations create, without the ledger."""
    found = (re.findall(r"^CREATE TABLE (\w+)", m.sql, re.MULTILINE) for m in migrations(folder))
    return tuple(dict.fromkeys(name for names in found for name in names))


async def migrate(
    database_url: str, schema: str, *, dry_run: bool = False, folder: Traversable | None = None
) -> list[str]:
    """Bring `schema` (created if it is missing) up to date; returns the names of the migrations
    that were applied, or with `dry_run` would be applied.

    Safe to run twice at once: the second waits for the first.  A migration that fails is rolled
    back.  Raises `ConfigurationError` when the database was migrated with files that differ from
    these, `UnreachableError`.
    """
    known = migrations(folder)
    connection = await connect(database_url, schema, command_timeout_s=_STATEMENT_TIMEOUT_S)
    try:
        if dry_run:
            return [m.name for m in await _pending(connection, schema, known)]
        lock = f"hashtextextended('{LEDGER} {schema}', 0)"
        try:
            await connection.execute(f"SELECT pg_advisory_lock({lock})", timeout=_LOCK_WAIT_S)
        except TimeoutError as error:
            raise UnreachableError(
                f"Another migration of the schema {schema} has been running for {_LOCK_WAIT_S:g}"
                " seconds.",
                "Wait for it, then try again.",
            ) from error
        applied = await _apply(connection, schema, known)
        await _grant(connection, tables(folder))
        return applied
    except (asyncpg.PostgresError, OSError, TimeoutError, asyncpg.InterfaceError) as error:
        raise _explained(error, schema, dry_run=dry_run) from error
    finally:
        await close(connection)  # releases the advisory lock


def _explained(error: Exception, schema: str, *, dry_run: bool) -> EdgeloopError:
    """The error for a migration, or a check of one, that failed because of PostgreSQL or the
    connection."""
    if not isinstance(error, asyncpg.PostgresError) or is_transient(error):
        return UnreachableError(
            f"PostgreSQL interrupted the check or the migration of the schema {schema}:"
            f" {str(error) or type(error).__name__}.",
            "Nothing is left incomplete: try again when PostgreSQL accepts writes.",
        )
    if dry_run:
        return ConfigurationError(
            f"PostgreSQL does not let this user read the schema {schema}: {error}.",
            "As the owner run `faust -A app migrate`, then: GRANT edgeloop_writer TO this user.",
        )
    return ConfigurationError(
        f"PostgreSQL refused to migrate the schema {schema}: {error}.",
        "The failed migration was rolled back; fix the cause (often a user without the right to"
        " create schemas or tables) and try again.",
    )


async def _apply(
    connection: asyncpg.Connection, schema: str, known: tuple[Migration, ...]
) -> list[str]:
    if not await connection.fetchval(
        "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", schema
    ):
        await connection.execute(f'CREATE SCHEMA "{schema}"')
    await connection.execute(
        f"""CREATE TABLE IF NOT EXISTS {LEDGER} (
            number integer PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now())"""
    )
    pending = await _pending(connection, schema, known)
    for migration in pending:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                f"INSERT INTO {LEDGER} (number, name, sha256) VALUES ($1, $2, $3)",
                migration.number,
                migration.name,
                migration.sha256,
            )
    return [m.name for m in pending]


async def _grant(connection: asyncpg.Connection, names: tuple[str, ...]) -> None:
    """Grant the roles of `0004_roles.sql` their rights; a role that may not be created is
    logged."""
    if await connection.fetchval("SELECT to_regproc('edgeloop_grant')") is None:
        return
    missing = await connection.fetchval("SELECT edgeloop_grant($1, $2)", list(names), LEDGER)
    if missing:
        log.warning(
            "migrate.roles_missing",
            roles=missing,
            do="have an administrator run CREATE ROLE for each, then migrate again",
        )


async def _pending(
    connection: asyncpg.Connection, schema: str, known: tuple[Migration, ...]
) -> list[Migration]:
    if await connection.fetchval("SELECT to_regclass($1)", f'"{schema}".{LEDGER}') is None:
        return list(known)
    applied = {
        row["number"]: row
        for row in await connection.fetch(f"SELECT number, name, sha256 FROM {LEDGER}")
    }
    by_number = {m.number: m for m in known}
    for number, row in sorted(applied.items()):
        migration = by_number.get(number)
        if migration is None:
            raise ConfigurationError(
                f"The schema {schema} holds the migration {row['name']}, which this release of"
                " Edgeloop does not have.",
                "Run the release that migrated it (or a later one), or choose another"
                " EDGELOOP_DATABASE_SCHEMA.",
            )
        if migration.sha256 != row["sha256"]:
            raise ConfigurationError(
                f"The migration {migration.name} was changed after it had been applied to the"
                f" schema {schema}.",
                "Restore the file as it was released and put the change into a new migration; or"
                " drop the schema, migrate and rebuild.",
            )
    return [m for m in known if m.number not in applied]


async def require_migrated(database_url: str, schema: str) -> None:
    """Raise `NotMigratedError` unless `schema` has all migrations of this release, and
    `ConfigurationError` where it has others."""
    pending = await migrate(database_url, schema, dry_run=True)
    if pending:
        raise NotMigratedError(
            f"The schema {schema} lacks {len(pending)} migration(s): {', '.join(pending)}.",
            "Run `faust -A app migrate`.",
        )
