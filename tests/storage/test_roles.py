"""Owner, writer and reader in PostgreSQL: each may do its work, and no more."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from app.doctor import examine
from app.errors import ConfigurationError, UnreachableError
from app.settings import Settings
from app.storage import migrate as migrations
from app.storage.connect import connect
from app.storage.migrate import NotMigratedError, migrate, require_migrated, tables
from app.storage.rights import missing_rights, require_rights
from app.storage.tables import PROJECTIONS
from schemas import kinds

pytestmark = pytest.mark.stack


class LogIns:
    """The test's own users, dropped at its end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names: list[str] = []

    async def add(self, *memberships: str) -> Settings:
        name = f"u{uuid.uuid4().hex[:12]}"
        owner = await asyncpg.connect(self._settings.database_url)
        try:
            await owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'pw'")
            for role in memberships:
                await owner.execute(f"GRANT {role} TO {name}")
        finally:
            await owner.close()
        self._names.append(name)
        parts = urlsplit(self._settings.database_url)
        host = parts.netloc.rpartition("@")[2]
        url = urlunsplit(parts._replace(netloc=f"{name}:pw@{host}"))
        return replace(self._settings, database_url=url)

    async def drop(self) -> None:
        owner = await asyncpg.connect(self._settings.database_url)
        try:
            for name in self._names:
                await owner.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
        finally:
            await owner.close()


@pytest.fixture
async def log_ins(stack_settings: Settings) -> AsyncIterator[LogIns]:
    await migrate(stack_settings.database_url, stack_settings.database_schema)
    made = LogIns(stack_settings)
    yield made
    await made.drop()


async def refused(settings: Settings, statements: Iterable[str]) -> None:
    connection = await connect(settings.database_url, settings.database_schema)
    try:
        for sql in statements:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(sql)
    finally:
        await connection.close()


async def test_the_writer_projects_and_may_not_change_tables(log_ins: LogIns) -> None:
    writer = await log_ins.add("edgeloop_writer")
    await require_migrated(writer.database_url, writer.database_schema)
    await require_rights(writer)
    connection = await connect(writer.database_url, writer.database_schema)
    try:
        for name in tables():
            await connection.execute(f"DELETE FROM {name}")
            assert await connection.fetchval(f"SELECT count(*) FROM {name}") == 0
        await connection.execute("CREATE TEMP TABLE stage (x int)")
    finally:
        await connection.close()
    await refused(
        writer,
        [
            "DROP TABLE pm_overrides",
            "TRUNCATE pm_overrides",
            "ALTER TABLE pm_overrides ADD x int",
            "INSERT INTO edgeloop_migrations VALUES (9, 'x', 'y')",
            "SELECT edgeloop_grant('{}', 'pm_overrides')",
        ],
    )


async def test_the_reader_reads_everything_and_changes_nothing(log_ins: LogIns) -> None:
    reader = await log_ins.add("edgeloop_reader")
    connection = await connect(reader.database_url, reader.database_schema)
    try:
        for name in tables():
            await connection.fetch(f"SELECT * FROM {name}")
        assert await missing_rights(connection, reader.database_schema)
    finally:
        await connection.close()
    await refused(reader, [f"DELETE FROM {name}" for name in tables()])
    with pytest.raises(ConfigurationError, match="edgeloop_writer"):
        await require_rights(reader)


async def test_a_user_without_temp_is_found_before_it_waits_for_ever(
    log_ins: LogIns, stack_settings: Settings
) -> None:
    owner = await asyncpg.connect(stack_settings.database_url)
    writer = await log_ins.add("edgeloop_writer")
    try:
        await owner.execute("REVOKE TEMPORARY ON DATABASE edgeloop FROM PUBLIC, edgeloop_writer")
        with pytest.raises(ConfigurationError, match="TEMPORARY on the database"):
            await require_rights(writer)
        (rights,) = [f for f in await examine(writer) if f.check == "rights"]
        assert not rights.ok
        assert "TEMPORARY" in rights.found
    finally:
        await owner.execute("GRANT TEMPORARY ON DATABASE edgeloop TO PUBLIC, edgeloop_writer")
        await owner.close()
    await require_rights(writer)


async def test_a_stranger_sees_nothing(log_ins: LogIns) -> None:
    stranger = await log_ins.add()
    await refused(
        stranger, [f"SELECT * FROM {stranger.database_schema}.{name}" for name in tables()]
    )


def test_every_projection_writes_a_table_that_the_roles_know() -> None:
    assert set(kinds.DERIVED) == set(PROJECTIONS)
    assert {getattr(p, "table", "pattern_trade_events") for p in PROJECTIONS.values()} <= set(
        tables()
    )


async def test_a_stranger_is_told_about_rights_and_not_to_rebuild(log_ins: LogIns) -> None:
    stranger = await log_ins.add()
    with pytest.raises(ConfigurationError, match="does not let this user read") as caught:
        await require_migrated(stranger.database_url, stranger.database_schema)
    assert "edgeloop_writer" in caught.value.remedy
    assert not isinstance(caught.value, NotMigratedError)
    (database,) = [f for f in await examine(stranger) if f.check == "database"]
    assert not database.ok
    assert database.remedy == caught.value.remedy


async def test_a_database_that_accepts_no_writes_is_told(
    log_ins: LogIns, stack_settings: Settings
) -> None:
    writer = await log_ins.add("edgeloop_writer")
    user = urlsplit(writer.database_url).username
    owner = await asyncpg.connect(stack_settings.database_url)
    await owner.execute(f"ALTER ROLE {user} SET default_transaction_read_only = on")
    await owner.close()
    with pytest.raises(UnreachableError, match="accepts no writes"):
        await require_rights(writer)
    with pytest.raises(UnreachableError, match="read-only transaction"):
        await migrate(writer.database_url, f"{writer.database_schema}_other")
    (rights,) = [f for f in await examine(writer) if f.check == "rights"]
    assert not rights.ok


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_server_that_stops_meanwhile_is_away_and_not_misused(
    stack_settings: Settings, monkeypatch: pytest.MonkeyPatch, *, dry_run: bool
) -> None:
    """The error of a PostgreSQL that is restarted in the middle of a migration."""

    async def stops(*_: object) -> list[object]:
        connection = await asyncpg.connect(stack_settings.database_url)
        try:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        finally:
            connection.terminate()
        return []

    monkeypatch.setattr(migrations, "_pending", stops)
    with pytest.raises(UnreachableError, match="interrupted"):
        await migrate(stack_settings.database_url, stack_settings.database_schema, dry_run=dry_run)
